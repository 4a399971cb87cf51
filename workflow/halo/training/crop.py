"""Cropping of long proteins in training."""

import torch
from torch.utils.data import Dataset

from halo.network.batch import Data

RESIDUES = ("embedding", "structure", "coordinates", "biochemistry", "region")  # by residue


def crop_middle(protein: Data, longest: int) -> Data:
    """Remove the middle of a protein of more than `longest` residues, and keep both ends.

    Most sorting signals are at an end of the sequence. The first half of the kept residues, one
    more if `longest` is odd, is from the N-terminus. Features of a residue and of an edge, such as
    the distance to a terminus, remain those of the whole protein. Edges of removed residues are
    removed.

    Parameters
    ----------
    protein : from `halo.network.features.protein_data`, with further tensors of the protein itself
    longest : number of residues, at least 2
    """
    length = protein.num_nodes
    if length <= longest:
        return protein
    first = (longest + 1) // 2
    kept = torch.cat([torch.arange(first), torch.arange(length - longest + first, length)])
    place = torch.full((length,), -1)
    place[kept] = torch.arange(longest)
    ends = place[protein.edge_index]
    inside = (ends >= 0).all(dim=0)
    tensors = dict(protein)
    for name in RESIDUES:
        if name in tensors:
            tensors[name] = tensors[name][kept]
    return Data(
        longest,
        **tensors
        | {
            "edge_index": ends[:, inside],
            "edge_attr": protein.edge_attr[inside],
            "edge_contact": protein.edge_contact[inside],
        },
    )


class CroppedProteins(Dataset[Data]):
    """The proteins of another data set, cropped to `longest` residues by `crop_middle`."""

    def __init__(self, proteins: Dataset[Data], longest: int) -> None:
        self.proteins = proteins
        self.longest = longest

    def __getitem__(self, row: int) -> Data:
        return crop_middle(self.proteins[row], self.longest)
