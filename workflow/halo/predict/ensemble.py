"""The ensemble of all models of a bundle: one prediction from graphs and embeddings."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from halo import biochemistry
from halo.cascade.calibration import Calibration
from halo.cascade.combination import Band, MemberPrediction, combine
from halo.device import needing_memory, within_memory
from halo.embeddings.layout import read_embedding
from halo.errors import HaloError
from halo.evaluation.conformal import label_sets
from halo.finetuning.predict import head_logits, load_head
from halo.methods import AVERAGE
from halo.network.batch import Batch, Data
from halo.network.classes import prepared
from halo.network.features import SCALES
from halo.predict.attribution import (
    Attribution,
    head_attribution,
    mean_attribution,
    network_attribution,
    steps_of,
)
from halo.predict.bundle import Bundle
from halo.store import Store
from halo.training.checkpoint import load_model
from halo.training.data import ProteinDataset, ResidueBudget
from halo.training.decisions import probabilities

CACHE = 1e9  # bytes for caching proteins that several networks read
RESIDUES = 4096  # per batch, the default of the training


@dataclass(frozen=True)
class EnsemblePrediction:
    """Prediction of all models of a bundle for n proteins.

    Attributes
    ----------
    probabilities : float64 [n, n_labels], calibrated probabilities averaged over the models
    sets : bool [n, n_labels], conformal sets, or None
    decided_by : text [n], methods that decided, joined by ``;``
    weights : float64 [n, 3], modality weights, or None without a network
    alone
        float64 [n, n_labels], probabilities of the models alone where a homologue is part of
        `probabilities`, NaN elsewhere; None without homologues
    """

    probabilities: np.ndarray
    sets: np.ndarray | None
    decided_by: np.ndarray
    weights: np.ndarray | None
    alone: np.ndarray | None = None


class Member:
    """One method of a model, with its calibration."""

    def __init__(self, bundle: Bundle, entry: Mapping[str, Any], device: str) -> None:
        labels = bundle.labels
        folder = bundle.folder / entry["folder"]
        self.method = entry["method"]
        self.is_network = entry["class"] != "esm"
        try:
            network: Any = (load_model if self.is_network else load_head)(folder)[0]
        except (KeyError, TypeError, ValueError) as error:  # of an incomplete description
            raise HaloError(f"{folder}: damaged ({error!r}); copy the bundle again") from None
        # The head processes one protein at a time, on the CPU.
        with needing_memory("the networks of the bundle", "free the GPU, or give --device cpu"):
            self.network = network.to(device if self.is_network else "cpu")
        self.device = device
        self.task = bundle.task
        shifts = np.array([entry["shifts"][name] for name in labels])
        self.calibration = Calibration(entry["temperature"], shifts, self.task)
        thresholds = np.array([entry["thresholds"][name] for name in labels])
        self.thresholds = self.calibration.thresholds(thresholds)

    def predict(
        self, dataset: ProteinDataset, lengths: np.ndarray
    ) -> tuple[MemberPrediction, np.ndarray | None]:
        """Calibrated probabilities of all proteins in `dataset`, and their modality weights."""
        weights = None
        if self.is_network:
            logits, weights = network_outputs(self.network, dataset, lengths, self.device)
        else:
            logits = head_logits(self.network, dataset.embeddings, dataset.hashes)
        calibrated = self.calibration(probabilities(logits, self.task).numpy())
        return MemberPrediction(calibrated, self.thresholds, self.task), weights

    def explain(self, dataset: ProteinDataset, labels: Sequence[int], steps: int) -> Attribution:
        """Attribution of `labels` to the residues of the only protein in `dataset`."""
        if self.is_network:
            return network_attribution(
                self.network, dataset[0], labels, self.task, self.device, steps
            )
        residues = read_embedding(dataset.embeddings, dataset.hashes[0])
        return head_attribution(self.network, residues, labels, self.task, steps)


class Model:
    """The bundle's method for one fold and seed, with one member or two combined ones."""

    def __init__(self, bundle: Bundle, entry: Mapping[str, Any], device: str) -> None:
        self.members = [Member(bundle, member, device) for member in entry["members"]]
        band = entry["band"]
        self.band = Band(band["certainty"], band["weight"]) if band else None
        self.method_class = bundle.description["class"]
        self.cut = entry["conformal"]["cut"] if entry["conformal"] else None
        adapter = entry["adapter"]
        self.adapter = bundle.folder / adapter if adapter else None
        self.adapter_sha256 = bundle.files[adapter] if adapter else None

    @property
    def thresholds(self) -> np.ndarray:
        """Thresholds of the calibrated probabilities, float64 [n_labels]."""
        return self.members[0].thresholds

    @property
    def explained(self) -> Member:
        """The member that is explained: of two members, the network."""
        networks = [member for member in self.members if member.is_network]
        return networks[-1] if networks else self.members[-1]

    @property
    def needs_graphs(self) -> bool:
        """Whether a network is among the members."""
        return any(member.is_network for member in self.members)

    def predict(
        self, dataset: ProteinDataset, lengths: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Probabilities, methods that decided, and modality weights."""
        predictions = [member.predict(dataset, lengths) for member in self.members]
        weights = next((each for _, each in reversed(predictions) if each is not None), None)
        names = [member.method for member in self.members]
        joint = predictions[0][0]
        asked = np.zeros(len(dataset), dtype=bool)
        if self.band is not None:
            joint, asked = combine(predictions[0][0], predictions[1][0], self.band)
        second = ";".join(names) if self.method_class == AVERAGE else names[-1]
        return joint.probabilities, np.where(asked, second, names[0]), weights


class Ensemble:
    """All models of a bundle, loaded once."""

    def __init__(self, bundle: Bundle, device: str) -> None:
        self.models = [Model(bundle, entry, device) for entry in bundle.description["models"]]
        self.thresholds = np.mean([model.thresholds for model in self.models], axis=0)
        cuts = [model.cut for model in self.models if model.cut is not None]
        self.cut = float(np.mean(cuts)) if len(cuts) == len(self.models) else None
        self.scales = _scales(bundle)

    @property
    def needs_graphs(self) -> bool:
        """Whether a network is among the models."""
        return any(model.needs_graphs for model in self.models)

    def predict(
        self,
        hashes: np.ndarray,
        lengths: np.ndarray,
        graphs: Store | None,
        embeddings: Sequence[Store],
    ) -> EnsemblePrediction:
        """Mean prediction of the models; `embeddings` has one store per model."""
        labels = np.zeros((len(hashes), len(self.thresholds)))
        datasets = {
            store.path: ProteinDataset(hashes, labels, graphs, store, CACHE, self.scales)
            for store in embeddings
        }
        predictions = [
            model.predict(datasets[store.path], lengths)
            for model, store in zip(self.models, embeddings, strict=True)
        ]
        mean = np.mean([part for part, _, _ in predictions], axis=0)
        deciders = zip(*(names for _, names, _ in predictions), strict=True)
        decided_by = np.array([";".join(dict.fromkeys(names)) for names in deciders], dtype=object)
        weights = [part for _, _, part in predictions if part is not None]
        return EnsemblePrediction(
            mean,
            label_sets(mean, self.cut) if self.cut is not None else None,
            decided_by,
            np.mean(weights, axis=0) if weights else None,
        )

    def explain(
        self,
        sequence_hash: str,
        labels: Sequence[int],
        graphs: Store | None,
        embeddings: Sequence[Store],
    ) -> Attribution:
        """Attribution of labels to the residues of one protein, averaged over the models."""
        hashes = np.array([sequence_hash], dtype=object)
        none = np.zeros((1, len(self.thresholds)))
        steps = steps_of(len(self.models))
        parts = []
        for model, store in zip(self.models, embeddings, strict=True):
            dataset = ProteinDataset(hashes, none, graphs, store, scales=self.scales)
            parts.append(model.explained.explain(dataset, labels, steps))
        return mean_attribution(parts)


def _scales(bundle: Bundle) -> Tensor:
    """Amino-acid scales of the bundle; raises a HaloError if their number differs from HALO's."""
    scales = torch.from_numpy(biochemistry.scales(bundle.scales).to_numpy())
    if scales.shape != SCALES.shape:
        raise HaloError(
            f"{bundle.scales}: {scales.shape[1]} amino-acid scales, but this version of HALO "
            f"needs {SCALES.shape[1]}; use HALO {bundle.description['halo']}, or build the bundle "
            "again with this version"
        )
    return scales


@torch.inference_mode()
def network_outputs(
    network: nn.Module, dataset: ProteinDataset, lengths: np.ndarray, device: str
) -> tuple[Tensor, np.ndarray]:
    """Logits [n, n_labels] and modality weights [n, 3] of all proteins, on the CPU."""
    logits, weights = [], []
    for rows in ResidueBudget(lengths, range(len(dataset)), RESIDUES, seed=0, shuffle=False):
        for part in _forward(network, [dataset[row] for row in rows], device):
            logits.append(part[0])
            weights.append(part[1])
    return torch.cat(logits), torch.cat(weights).numpy()


def _forward(network: nn.Module, proteins: list[Data], device: str) -> list[tuple[Tensor, Tensor]]:
    """Outputs of a batch, which is halved if the GPU runs out of memory; at last, on the CPU."""

    def work() -> list[tuple[Tensor, Tensor]]:
        batch = prepared(network, Batch.from_data_list(proteins))
        out = network(batch.to(device))
        return [(out.logits.float().cpu(), out.modality_weights.float().cpu())]

    last = len(proteins) == 1 and device == "cpu"
    outputs = work() if last else within_memory(work)
    if outputs is not None:
        return outputs
    if len(proteins) == 1:
        return _forward(deepcopy(network).cpu(), proteins, "cpu")
    half = len(proteins) // 2
    return _forward(network, proteins[:half], device) + _forward(network, proteins[half:], device)
