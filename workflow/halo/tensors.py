"""Save tensors to safetensors files."""

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from halo.errors import HaloError
from halo.files import atomic_path

SYSTEM_ERROR = re.compile(r"os error (\d+)")


def require_readable(file: Path) -> None:
    """Raise the `OSError` of a file that exists and cannot be read.

    safetensors does not distinguish unreadable from damaged files.
    """
    with suppress(FileNotFoundError), Path(file).open("rb") as content:
        content.read(1)


def load_finite(file: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file on the CPU, by name.

    Raises
    ------
    HaloError
        if a number is NaN or infinite; predictions with it would have no label and no message
    SafetensorError, OSError
        if the file is damaged or cannot be read
    """
    tensors = load_file(file)
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise HaloError(
                f"{file}: damaged, {name} has numbers that are not finite; train it again, or "
                "copy the bundle again"
            )
    return tensors


def save_tensors(
    file: Path,
    tensors: Mapping[str, Tensor],
    metadata: dict[str, str] | None = None,
    shared: bool = False,
) -> None:
    """Write `tensors` to a safetensors file atomically.

    With `shared`, its permissions are those of the folder; see `halo.files.atomic_path`.

    Raises
    ------
    OSError
        if the file system fails; safetensors reports the error number in its message only
    """
    arrays = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    with atomic_path(file, shared) as temporary:
        try:
            save_file(arrays, temporary, metadata)
        except SafetensorError as error:
            code = SYSTEM_ERROR.search(str(error))
            if code is None:
                raise
            raise OSError(int(code[1]), str(error), str(file)) from None
