"""Proteins as tensors by name, one or several together.

PyTorch Geometric has the same (``Data`` and ``Batch``), but its import alone takes longer than the
prediction of a protein.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor


class Data:
    """One protein: tensors as attributes and by name, and `num_nodes`, its number of residues.

    The rows of a tensor are residues, edges or the protein itself. Only of a tensor whose name
    ends in ``index`` the columns are edges, and the values number residues.
    """

    def __init__(self, num_nodes: int, **tensors: Tensor) -> None:
        self.num_nodes = num_nodes
        for name, tensor in tensors.items():
            setattr(self, name, tensor)

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
        """The same with what `function` makes of each tensor."""
        made = object.__new__(type(self))
        made.__dict__.update(vars(self) | {name: function(value) for name, value in self})
        return made

    def to(self, device: torch.device | str, non_blocking: bool = False) -> "Data":
        """The same with all tensors on `device`."""
        return self.apply(lambda value: value.to(device, non_blocking=non_blocking))

    def clone(self) -> "Data":
        """A copy that shares no memory."""
        return self.apply(torch.clone)

    def pin_memory(self) -> "Data":
        """The same in memory that a GPU reads directly; a DataLoader asks for it."""
        return self.apply(torch.Tensor.pin_memory)


class Batch(Data):
    """Several proteins, whose residues and edges stand one after the other.

    Beside the tensors of `Data` there are ``batch`` int64 [N], the protein of each residue, and
    ``ptr`` int64 [G + 1], where the residues of each protein begin; `num_graphs` is G.
    """

    num_graphs: int

    @classmethod
    def from_data_list(cls, proteins: Sequence[Data]) -> "Batch":
        """The proteins together; all have the same tensors."""
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
