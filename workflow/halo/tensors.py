"""Save tensors to safetensors files."""

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from halo.files import atomic_path

SYSTEM_ERROR = re.compile(r"os error (\d+)")


def require_readable(file: Path) -> None:
    """Raise the `OSError` of a file that exists and cannot be read.

    safetensors does not distinguish unreadable from damaged files.
    """
    with suppress(FileNotFoundError), Path(file).open("rb") as content:
        content.read(1)


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
