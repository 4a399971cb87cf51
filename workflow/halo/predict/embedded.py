"""Predictions from embeddings of a file: proteins without one, and embeddings by another model."""

from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
from torch import nn

from halo.embeddings.files import EmbeddingFile, UnusableEmbedding, index_of
from halo.embeddings.index import Names, faults
from halo.errors import HaloError
from halo.network.standardize import StandardizeEmbedding
from halo.predict.bundle import Bundle
from halo.predict.records import Queries
from halo.proteins.ingest import Rejected
from halo.proteins.members import members_of
from halo.tables.readers import LINE

SAMPLE = 32  # embeddings that are compared with those of the training
# Smallest correlation of mean embeddings. Between proteins it is 0.55 (one protein and four others)
# and more for ProtT5, 0.87 and more for ESM-2, and below 0.05 between these models.
SAME = 0.3


def embedded_queries(queries: Queries, file: EmbeddingFile) -> Queries:
    """The proteins that have an embedding in the file; the others are rejected with the reason."""
    members = [each for bucket in members_of(queries.table).values() for each in bucket]
    names = Names(file.entries)
    wanted = dict.fromkeys(entry for member in members for entry in names.of(member))
    with closing(file):
        index = index_of(file, wanted, values=False)
    missing = faults(file.path, index, members)
    lost = queries.table["seq_hash"].isin(missing).to_numpy()
    rejected = [
        Rejected(row["id"], int(row[LINE]), *missing[row["seq_hash"]])
        for row in queries.table[lost].to_dict("records")
    ]
    if lost.all():
        raise HaloError(
            f"{file.path}: none of {len(lost):,} proteins has an embedding that can be used, the "
            f"first ({rejected[0].id}): {rejected[0].detail}; names in the file are such as "
            f"{file.entries[0].name!r}"
        )
    table = queries.table[~lost].reset_index(drop=True)
    return replace(queries, table=table, rejected=[*queries.rejected, *rejected])


def require_same_embeddings(
    bundle: Bundle, networks: Iterable[nn.Module], file: EmbeddingFile
) -> None:
    """Raise a HaloError if the embeddings are not like those that the networks were trained on.

    The means of the channels differ little between proteins and much between language models and
    layers. They are compared with those of the training, which the networks have.
    """
    modules = (module for network in networks for module in network.modules())
    known = next((each for each in modules if isinstance(each, StandardizeEmbedding)), None)
    if known is None:
        return
    name = bundle.description.language_model.name
    with closing(file):
        _require_similar(file, known.mean.cpu().numpy(), name, bundle.folder)


def _require_similar(file: EmbeddingFile, expected: np.ndarray, name: str, bundle: Path) -> None:
    step = max(1, len(file.entries) // SAMPLE)
    means = []
    for entry in file.entries[::step][:SAMPLE]:
        try:
            rows = file.read(entry)
        except UnusableEmbedding:
            continue
        if rows.shape[1] != len(expected):
            raise HaloError(
                f"{file.path}: the embedding {entry.key} has {rows.shape[1]:,} columns, but the "
                f"bundle {bundle} was trained on those of {name} with {len(expected):,}; "
                "give embeddings by that model"
            )
        means.append(rows.astype(np.float64).mean(axis=0))
    if not means:
        return
    mean = np.mean(means, axis=0)
    same = np.corrcoef(mean, expected)[0, 1]
    if not same >= SAME:
        raise HaloError(
            f"{file.path}: these embeddings are not like those of {name} that the bundle "
            f"{bundle} was trained on: the mean embeddings have the correlation {same:.2f}, "
            f"and {SAME} is the least for the same model; give embeddings by that model and layer"
        )
