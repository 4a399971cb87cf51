"""The ensemble of all models of a bundle: one prediction from graphs and embeddings."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
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
from halo.label_groups import MAIN
from halo.methods import AVERAGE
from halo.model_description import RegionKinds
from halo.network.batch import Batch, Data
from halo.network.classes import prepared
from halo.network.features import SCALES
from halo.predict import description
from halo.predict.attribution import (
    Attribution,
    head_attribution,
    mean_attribution,
    network_attribution,
    steps_of,
)
from halo.predict.bundle import Bundle
from halo.regions.decode import PredictedRegion, decode
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
    probabilities : float64 [n, n_labels], calibrated probabilities averaged over the models, or
        what the rule of homologues makes of them
    thresholds : float64 [n, n_labels], a label is given if its probability reaches this
    sets : bool [n, n_labels], conformal sets, or None
    decided_by : text [n, n_groups], methods that decided about each group of labels, joined by
        ``;``
    weights : float64 [n, 3], modality weights, or None without a network
    of_models : float64 [n_models, n, n_labels], calibrated probabilities of each model
    alone
        float64 [n, n_labels], probabilities of the models alone where a homologue is part of
        `probabilities`, NaN elsewhere; None without homologues
    regions : predicted regions of each protein, or None if the networks predict none
    """

    probabilities: np.ndarray
    thresholds: np.ndarray
    sets: np.ndarray | None
    decided_by: np.ndarray
    weights: np.ndarray | None
    of_models: np.ndarray
    alone: np.ndarray | None = None
    regions: list[list[PredictedRegion]] | None = None


@dataclass(frozen=True)
class NetworkOutputs:
    """Outputs of a network for n proteins, on the CPU.

    Attributes
    ----------
    logits : float32 [n, n_labels]
    weights : float32 [n, 3], modality weights
    regions : float32 [length, n_kinds + 1] of each protein, probabilities of no region and of each
        kind; None if the network predicts no regions
    """

    logits: Tensor
    weights: np.ndarray
    regions: list[np.ndarray] | None


class Member:
    """One method of a model, with its calibration."""

    def __init__(self, bundle: Bundle, entry: description.Member, device: str) -> None:
        labels = bundle.labels
        folder = bundle.folder / entry.folder
        self.method = entry.method
        self.is_network = entry.method_class != "esm"
        self.regions: RegionKinds | None = None
        try:
            network: Any
            trained: Any
            if self.is_network:
                network, described = load_model(folder)
                trained, self.regions = described, described.regions
            else:
                network, trained = load_head(folder)
        except (KeyError, TypeError, ValueError) as error:  # of an incomplete description
            raise HaloError(f"{folder}: damaged ({error!r}); copy the bundle again") from None
        _require_same_labels(bundle, folder, trained)
        # The head processes one protein at a time, on the CPU.
        with needing_memory("the networks of the bundle", "free the GPU, or give --device cpu"):
            self.network = network.to(device if self.is_network else "cpu")
        self.device = device
        self.groups = bundle.groups
        temperatures = {MAIN: entry.temperature, **entry.temperatures}
        shifts = np.array([entry.shifts[name] for name in labels])
        self.calibrations = [
            Calibration(temperatures[group.name], shifts[group.columns], group.task)
            for group in self.groups
        ]
        thresholds = np.array([entry.thresholds[name] for name in labels])
        parts = [
            calibration.thresholds(thresholds[group.columns])
            for group, calibration in zip(self.groups, self.calibrations, strict=True)
        ]
        self.thresholds = np.concatenate(parts)

    def predict(
        self, dataset: ProteinDataset, lengths: np.ndarray
    ) -> tuple[list[MemberPrediction], NetworkOutputs | None]:
        """Calibrated prediction of each group of labels, and a network's outputs."""
        outputs = None
        if self.is_network:
            outputs = network_outputs(self.network, dataset, lengths, self.device)
            logits = outputs.logits
        else:
            logits = head_logits(self.network, dataset.embeddings, dataset.hashes)
        uncalibrated = probabilities(logits, self.groups).numpy()
        predictions = [
            MemberPrediction(
                calibration(uncalibrated[:, group.columns]),
                self.thresholds[group.columns],
                group.task,
            )
            for group, calibration in zip(self.groups, self.calibrations, strict=True)
        ]
        return predictions, outputs

    def explain(self, dataset: ProteinDataset, labels: Sequence[int], steps: int) -> Attribution:
        """Attribution of `labels` to the residues of the only protein in `dataset`."""
        if self.is_network:
            return network_attribution(
                self.network, dataset[0], labels, self.groups, self.device, steps
            )
        residues = read_embedding(dataset.embeddings, dataset.hashes[0])
        return head_attribution(self.network, residues, labels, self.groups, steps)


class Model:
    """The bundle's method for one fold and seed, with one member or two combined ones."""

    def __init__(self, bundle: Bundle, entry: description.Model, device: str) -> None:
        self.members = [Member(bundle, member, device) for member in entry.members]
        self.explained = self.members[entry.explained]
        of_groups: list[description.Model | description.JoinedGroup] = [entry]
        of_groups += entry.groups.values()
        self.bands = [_band(each.band) for each in of_groups]
        self.method_class = bundle.description.method_class
        cuts = [each.conformal and each.conformal.cut for each in of_groups]
        self.cuts = None if None in cuts else np.array(cuts)
        adapter = entry.adapter
        self.adapter = bundle.folder / adapter if adapter else None
        self.adapter_sha256 = bundle.files[adapter] if adapter else None

    @property
    def thresholds(self) -> np.ndarray:
        """Thresholds of the calibrated probabilities, float64 [n_labels]."""
        return self.members[0].thresholds

    @property
    def needs_graphs(self) -> bool:
        """Whether a network is among the members."""
        return any(member.is_network for member in self.members)

    @property
    def regions(self) -> RegionKinds | None:
        """Kinds of regions that the last network predicts, if any."""
        networks = [member for member in self.members if member.is_network]
        return networks[-1].regions if networks else None

    def predict(
        self, dataset: ProteinDataset, lengths: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, NetworkOutputs | None]:
        """Probabilities, methods that decided [n, n_groups], and outputs of the last network."""
        predictions = [member.predict(dataset, lengths) for member in self.members]
        outputs = next((each for _, each in reversed(predictions) if each is not None), None)
        names = [member.method for member in self.members]
        second = ";".join(names) if self.method_class == AVERAGE else names[-1]
        of_groups, deciders = [], []
        for number, band in enumerate(self.bands):
            joint = predictions[0][0][number]
            asked = np.zeros(len(dataset), dtype=bool)
            if band is not None:
                joint, asked = combine(joint, predictions[1][0][number], band)
            of_groups.append(joint.probabilities)
            deciders.append(np.where(asked, second, names[0]))
        return np.concatenate(of_groups, axis=1), np.stack(deciders, axis=1), outputs


def _require_same_labels(bundle: Bundle, folder: Path, trained: Any) -> None:
    """Raise a HaloError if a member's own description has other labels, tasks or groups."""
    content = bundle.description
    groups = {name: (each.task, each.labels) for name, each in content.groups.items()}
    own = {name: (each.task, list(each.labels)) for name, each in (trained.groups or {}).items()}
    if (list(trained.labels), trained.task, own) != (content.labels, content.task, groups):
        raise HaloError(
            f"{bundle.folder}/bundle.json: damaged, its labels, tasks or groups are not those of "
            f"{folder} ({', '.join(trained.labels)}); copy the bundle again"
        )


def _band(entry: description.Band | None) -> Band | None:
    return Band(entry.certainty, entry.weight) if entry else None


class Ensemble:
    """All models of a bundle, loaded once."""

    def __init__(self, bundle: Bundle, device: str) -> None:
        self.models = [Model(bundle, entry, device) for entry in bundle.description.models]
        self.thresholds = np.mean([model.thresholds for model in self.models], axis=0)
        self.groups = bundle.groups
        cuts = [model.cuts for model in self.models if model.cuts is not None]
        # Of each group of labels.
        self.cuts = np.mean(cuts, axis=0) if len(cuts) == len(self.models) else None
        self.scales = _scales(bundle)
        self.regions = _common_kinds([model.regions for model in self.models])

    @property
    def needs_graphs(self) -> bool:
        """Whether a network is among the models."""
        return any(model.needs_graphs for model in self.models)

    @property
    def networks(self) -> list[nn.Module]:
        """The networks and heads of all models."""
        return [member.network for model in self.models for member in model.members]

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
        return self.predict_datasets([datasets[store.path] for store in embeddings], lengths)

    def predict_datasets(
        self, datasets: Sequence[ProteinDataset], lengths: np.ndarray
    ) -> EnsemblePrediction:
        """Mean prediction of the models for the same proteins; one data set per model.

        FloatingPointError if a probability is not finite: it would count as one of no label.
        """
        predictions = [
            model.predict(dataset, lengths)
            for model, dataset in zip(self.models, datasets, strict=True)
        ]
        of_models = np.stack([part for part, _, _ in predictions])
        if not np.isfinite(of_models).all():
            raise FloatingPointError("a model gives a probability that is not finite")
        mean = of_models.mean(axis=0)
        deciders = np.stack([names for _, names, _ in predictions], axis=-1)
        decided_by = np.array(
            [[";".join(dict.fromkeys(names)) for names in of_groups] for of_groups in deciders],
            dtype=object,
        )
        outputs = [part for _, _, part in predictions if part is not None]
        return EnsemblePrediction(
            mean,
            np.tile(self.thresholds, (len(mean), 1)),
            self._sets(mean),
            decided_by,
            np.mean([part.weights for part in outputs], axis=0) if outputs else None,
            of_models,
            regions=self._regions(outputs),
        )

    def _sets(self, probabilities: np.ndarray) -> np.ndarray | None:
        """Conformal sets, bool [n, n_labels], with the cut of each group."""
        if self.cuts is None:
            return None
        sizes = [len(group.labels) for group in self.groups]
        return label_sets(probabilities, np.repeat(self.cuts, sizes))

    def _regions(self, outputs: Sequence[NetworkOutputs]) -> list[list[PredictedRegion]] | None:
        """Regions of each protein, from the mean probabilities of the models."""
        if self.regions is None:
            return None
        of_models = [part.regions for part in outputs if part.regions is not None]
        kinds, transitions = self.regions.kinds, self.regions.transitions
        return [
            decode(np.mean(parts, axis=0), kinds, transitions)
            for parts in zip(*of_models, strict=True)
        ]

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


def _common_kinds(of_models: Sequence[RegionKinds | None]) -> RegionKinds | None:
    """Kinds of regions that all models predict, with mean transitions; None if they differ."""
    known = [each for each in of_models if each is not None]
    if len(known) < len(of_models) or any(each.kinds != known[0].kinds for each in known):
        return None
    first, following = (
        np.logaddexp.reduce([getattr(each.transitions, name) for each in known])
        - np.log(len(known))
        for name in ("first", "next")
    )
    return known[0].model_copy(update={"first": first.tolist(), "next": following.tolist()})


def _scales(bundle: Bundle) -> Tensor:
    """Amino-acid scales of the bundle; raises a HaloError if their number differs from HALO's."""
    scales = torch.from_numpy(biochemistry.scales(bundle.scales).to_numpy())
    if scales.shape != SCALES.shape:
        raise HaloError(
            f"{bundle.scales}: {scales.shape[1]} amino-acid scales, but this version of HALO "
            f"needs {SCALES.shape[1]}; use HALO {bundle.description.halo}, or build the bundle "
            "again with this version"
        )
    return scales


@torch.inference_mode()
def network_outputs(
    network: nn.Module, dataset: ProteinDataset, lengths: np.ndarray, device: str
) -> NetworkOutputs:
    """Outputs of a network for all proteins.

    On a CPU, as many batches are computed at a time as PyTorch has threads, each by one thread: so
    threads do not wait for each other after every operation.
    """
    batches = ResidueBudget(lengths, range(len(dataset)), RESIDUES, seed=0, shuffle=False)
    threads = min(torch.get_num_threads(), batches.batch_count()) if device == "cpu" else 1
    proteins = ([dataset[row] for row in rows] for rows in batches)
    if threads <= 1:
        parts = [part for batch in proteins for part in _forward(network, batch, device)]
    else:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            work = torch.inference_mode()(_forward)  # the mode is one of each thread
            started = (pool.submit(work, network, batch, device) for batch in proteins)
            parts = [part for done in _ahead(started, threads) for part in done]
    of_regions = [part.regions for part in parts if part.regions is not None]
    return NetworkOutputs(
        torch.cat([part.logits for part in parts]),
        np.concatenate([part.weights for part in parts]),
        [each for part in of_regions for each in part] if of_regions else None,
    )


def _ahead(
    started: Iterable[Future[list[NetworkOutputs]]], ahead: int
) -> Iterator[list[NetworkOutputs]]:
    """Yield the results of batches, with `ahead` more started than the one that is waited for."""
    running: deque[Future[list[NetworkOutputs]]] = deque()
    for batch in started:
        running.append(batch)
        if len(running) > ahead:
            yield running.popleft().result()
    while running:
        yield running.popleft().result()


def _forward(network: nn.Module, proteins: list[Data], device: str) -> list[NetworkOutputs]:
    """Outputs of a batch, which is halved if the GPU runs out of memory; at last, on the CPU."""

    def work() -> list[NetworkOutputs]:
        batch = prepared(network, Batch.from_data_list(proteins))
        out = network(batch.to(device))
        regions = None
        if out.regions is not None:
            lengths = [protein.num_nodes for protein in proteins]
            of_residues = torch.softmax(out.regions.float(), dim=1).cpu()
            regions = [part.numpy() for part in of_residues.split(lengths)]
        weights = out.modality_weights.float().cpu().numpy()
        return [NetworkOutputs(out.logits.float().cpu(), weights, regions)]

    last = len(proteins) == 1 and device == "cpu"
    outputs = work() if last else within_memory(work)
    if outputs is not None:
        return outputs
    if len(proteins) == 1:
        return _forward(deepcopy(network).cpu(), proteins, "cpu")
    half = len(proteins) // 2
    return _forward(network, proteins[:half], device) + _forward(network, proteins[half:], device)
