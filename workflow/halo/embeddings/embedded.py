"""The proteins of a run that have an embedding in the file of its configuration."""

import logging
from collections.abc import Sequence
from dataclasses import replace

from halo.embeddings.index import Indexed, faults
from halo.errors import HaloError
from halo.proteins.ingest import Rejected
from halo.proteins.members import members_of
from halo.proteins.table import Proteins

log = logging.getLogger(__name__)


def only_embedded(
    proteins: Proteins, file: str, index: Sequence[Indexed]
) -> tuple[Proteins, list[Rejected]]:
    """The proteins whose embedding can be used, and the others with the reason.

    Parameters
    ----------
    file : name of the file, for messages
    index : its embeddings

    Raises
    ------
    HaloError
        if no protein is left
    """
    members = [each for bucket in members_of(proteins.table).values() for each in bucket]
    missing = faults(file, index, members)
    keep = ~proteins.table["seq_hash"].isin(missing).to_numpy()
    rejected = [
        Rejected(name, 0, *missing[digest])
        for name, digest in zip(
            proteins.ids[~keep], proteins.table.loc[~keep, "seq_hash"], strict=True
        )
    ]
    if not keep.any():
        raise HaloError(
            f"{file}: none of {len(proteins):,} proteins has an embedding that can be used, the "
            f"first ({rejected[0].id}): {rejected[0].detail}; names in the file are such as "
            f"{index[0].entry.name!r}"
        )
    if keep.all():
        return proteins, []
    kept = replace(
        proteins,
        table=proteins.table[keep].reset_index(drop=True),
        labels=proteins.labels[keep],
        known=proteins.known[keep],
    )
    return kept, rejected
