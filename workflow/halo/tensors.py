"""Tensors in files."""

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
    """The `OSError` of the file system where it refuses `file`; none where there is no file.

    safetensors says the same of a file that cannot be read and of one that is damaged.
    """
    with suppress(FileNotFoundError), Path(file).open("rb") as content:
        content.read(1)


def save_tensors(
    file: Path,
    tensors: Mapping[str, Tensor],
    metadata: dict[str, str] | None = None,
    shared: bool = False,
) -> None:
    """Write `tensors` to a safetensors file, in place of an earlier one.

    With `shared` its permissions are those of the folder; see `halo.files.atomic_path`.

    OSError where the file system refuses: safetensors itself says so in words only.
    """
    found = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    with atomic_path(file, shared) as temporary:
        try:
            save_file(found, temporary, metadata)
        except SafetensorError as error:
            code = SYSTEM_ERROR.search(str(error))
            if code is None:
                raise
            raise OSError(int(code[1]), str(error), str(file)) from None
