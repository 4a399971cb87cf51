"""Data set of a training: graphs and embeddings are joined when a protein is loaded."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from halo.embeddings.layout import read_embedding
from halo.network.batch import Batch, Data
from halo.network.features import SCALES, protein_data
from halo.store import Store


class ProteinDataset(Dataset[Data]):
    """Proteins by their rows in the protein table.

    Parameters
    ----------
    hashes : object [n], sequence hash of each protein
    labels : float [n, n_labels], 0, 1 or NaN (unknown)
    graphs, embeddings : the stores
    cache_bytes : size of the cache; proteins are cached after the first reading until it is full
    scales : amino-acid scales, see `halo.network.features.protein_data`
    regions : kind of region of each residue of each protein, int8 [length], see
        `halo.regions.table.Regions.targets`; None if the data set has no regions
    """

    def __init__(
        self,
        hashes: np.ndarray,
        labels: np.ndarray,
        graphs: Store | None,
        embeddings: Store,
        cache_bytes: float = 0,
        scales: torch.Tensor = SCALES,
        regions: Sequence[np.ndarray] | None = None,
    ) -> None:
        self.hashes = hashes
        self.labels = torch.from_numpy(labels.astype(np.float32))
        self.graphs = graphs
        self.embeddings = embeddings
        self._cache: dict[int, Data] = {}
        self._room = cache_bytes
        self._scales = scales
        self.regions = regions

    def __len__(self) -> int:
        return len(self.hashes)

    def __getitem__(self, row: int) -> Data:
        if row in self._cache:
            return self._cache[row]
        name = self.hashes[row]
        embedding = read_embedding(self.embeddings, name)
        assert self.graphs is not None  # they are needed by networks alone
        data = protein_data(self.graphs.read(name), embedding, self._scales)
        data.y = self.labels[row : row + 1]
        data.row = torch.tensor([row])
        if self.regions is not None:
            data.region = torch.from_numpy(self.regions[row].astype(np.int64))
        size = sum(value.nbytes for value in data.to_dict().values() if torch.is_tensor(value))
        if size <= self._room:
            self._room -= size
            self._cache[row] = data
        return data


class ResidueBudget(Sampler[list[int]]):
    """Batches of at most `budget` residues, so that every batch costs about the same.

    A protein that is longer than the budget is a batch of its own. With `shuffle`, the order
    changes every epoch and depends on the seed and the epoch.
    """

    def __init__(
        self, lengths: np.ndarray, rows: Sequence[int], budget: int, seed: int, shuffle: bool
    ) -> None:
        self.lengths = lengths
        self.rows = np.asarray(rows, dtype=np.int64)
        self.budget = budget
        self.seed = seed
        self.shuffle = shuffle
        self.epoch = 0

    def batch_count(self) -> int:
        """Number of batches of the next epoch."""
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[list[int]]:
        rows = self.rows
        if self.shuffle:
            rows = np.random.default_rng((self.seed, self.epoch)).permutation(rows)
        batch: list[int] = []
        used = 0
        for row in rows:
            if batch and used + self.lengths[row] > self.budget:
                yield batch
                batch, used = [], 0
            batch.append(int(row))
            used += int(self.lengths[row])
        if batch:
            yield batch


def loader(dataset: Dataset[Data], sampler: ResidueBudget, workers: int) -> DataLoader[Any]:
    """A loader of batches; `workers` processes read the stores, 0 reads in this one."""
    return DataLoader(
        dataset,
        batch_sampler=sampler,
        num_workers=workers,
        collate_fn=Batch.from_data_list,
        persistent_workers=workers > 0,
        # A separate generator. Otherwise the seed of the workers would be drawn from the generator
        # of the training, once per epoch without workers and once in total with them.
        generator=torch.Generator(),
    )
