"""Writing tensors to a file."""

import re
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from halo.files import atomic_path

SYSTEM_ERROR = re.compile(r"os error (\d+)")


def save_tensors(
    file: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None
) -> None:
    """Write `tensors` to a safetensors file, in place of an earlier one.

    OSError where the file system refuses: safetensors itself says so in words only.
    """
    found = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    with atomic_path(file) as temporary:
        try:
            save_file(found, temporary, metadata)
        except SafetensorError as error:
            code = SYSTEM_ERROR.search(str(error))
            if code is None:
                raise
            raise OSError(int(code[1]), str(error), str(file)) from None
