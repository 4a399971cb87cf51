"""The key of a trained model: split, fold, seed and method."""

from dataclasses import dataclass
from pathlib import Path, PurePath

from halo.errors import HaloError


@dataclass(frozen=True, order=True)
class ModelKey:
    """A method, trained on one fold of a split with one seed."""

    split: str
    fold: str
    seed: int
    method: str

    @property
    def path(self) -> str:
        """The folder of the model's files, relative to that of the run's results."""
        return f"{self.split}/{self.fold}/{self.seed}/{self.method}"

    @classmethod
    def parse(cls, folder: str | PurePath) -> "ModelKey":
        """The key of a folder that ends like `path`; raises a HaloError for other folders."""
        parts = Path(folder).parts[-4:]
        if len(parts) < 4 or not (parts[2].isascii() and parts[2].isdecimal()):
            raise HaloError(
                f"{folder}: not the folder of a model, <split>/<fold>/<seed>/<method>; give the "
                "files of a run where they were made"
            )
        split, fold, seed, method = parts
        return cls(split, fold, int(seed), method)
