"""Named tensors of one protein (`Data`) and of several (`Batch`).

They correspond to ``Data`` and ``Batch`` of PyTorch Geometric, whose import alone takes longer than
the prediction of a protein.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor


class Data:
    """Tensors of one protein, as attributes and by name; `num_nodes` is its number of residues.

    The rows of a tensor are residues, edges or the protein itself. A tensor whose name ends in
    ``index`` has edges as columns and residue numbers as values.
    """

    def __init__(self, num_nodes: int, **tensors: Tensor) -> None:
        self.num_nodes = num_nodes
        for name, tensor in tensors.items():
            setattr(self, name, tensor)

    if TYPE_CHECKING:  # any name is that of a tensor

        def __getattr__(self, name: str) -> Tensor: ...

        def __setattr__(self, name: str, value: Tensor | int) -> None: ...

    def __getitem__(self, name: str) -> Tensor:
        return getattr(self, name)

    def __setitem__(self, name: str, tensor: Tensor) -> None:
        setattr(self, name, tensor)

    def __delitem__(self, name: str) -> None:
        delattr(self, name)

    def __contains__(self, name: str) -> bool:
        return name in self.__dict__

    def __iter__(self) -> Iterator[tuple[str, Tensor]]:
        """Names and tensors."""
        return ((name, value) for name, value in vars(self).items() if torch.is_tensor(value))

    def to_dict(self) -> dict[str, Any]:
        """Tensors and numbers by name."""
        return dict(vars(self))

    def apply(self, function: Callable[[Tensor], Tensor]) -> "Data":
        """Apply `function` to each tensor."""
        made = object.__new__(type(self))
        made.__dict__.update(vars(self) | {name: function(value) for name, value in self})
        return made

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "Data":
        """Move all tensors to `device`."""
        return self.apply(lambda value: value.to(device, non_blocking=non_blocking))

    def clone(self) -> "Data":
        """A deep copy."""
        return self.apply(torch.clone)

    def pin_memory(self) -> "Data":
        """Copy all tensors to pinned memory; called by a DataLoader."""
        return self.apply(torch.Tensor.pin_memory)


class Batch(Data):
    """Several proteins, with concatenated residues and edges.

    In addition to the tensors of `Data`, there are ``batch`` int64 [N], the protein of each
    residue, and ``ptr`` int64 [G + 1], the first residue of each protein; `num_graphs` is G.
    """

    num_graphs: int
    width: int  # of the longest protein, where a network has prepared the batch so

    @classmethod
    def from_data_list(cls, proteins: Sequence[Data]) -> "Batch":
        """Concatenate proteins, which must have the same tensors."""
        lengths = torch.tensor([protein.num_nodes for protein in proteins])
        ptr = torch.zeros(len(proteins) + 1, dtype=torch.int64)
        torch.cumsum(lengths, dim=0, out=ptr[1:])
        starts = ptr[:-1].tolist()
        tensors: dict[str, Tensor] = {}
        for name, _ in proteins[0]:
            parts = [protein[name] for protein in proteins]
            if name.endswith("index"):
                moved = [part + start for part, start in zip(parts, starts, strict=True)]
                tensors[name] = torch.cat(moved, dim=1)
            else:
                tensors[name] = torch.cat(parts)
        made = cls(int(ptr[-1]), **tensors)
        made.batch = torch.repeat_interleave(torch.arange(len(proteins)), lengths)
        made.ptr = ptr
        made.num_graphs = len(proteins)
        return made
