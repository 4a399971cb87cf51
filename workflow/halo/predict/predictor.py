"""Predict chunks of proteins with a bundle that is loaded once."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np
import pandas as pd
import torch

from halo.decisions import decide, rounded, uncertainty
from halo.device import claim_device
from halo.embeddings.convert import convert_buckets
from halo.embeddings.embed import LanguageModelError, OneEncoder, embed_buckets
from halo.embeddings.files import opened
from halo.embeddings.registry import LANGUAGE_MODELS
from halo.embeddings.weights import FILE, Weights
from halo.errors import HaloError
from halo.evaluation.conformal import label_sets
from halo.graphs.stage import build_graphs
from halo.homologues.rule import HomologueRule
from halo.label_groups import LabelGroup, as_content, by_group
from halo.malloc import trim_freed_memory
from halo.network.features import MODALITIES
from halo.predict.attribution import Attribution
from halo.predict.bundle import Bundle
from halo.predict.description import Homologues
from halo.predict.embedded import require_same_embeddings
from halo.predict.ensemble import Ensemble, EnsemblePrediction
from halo.predict.explanation import Explanation, backbone, explained_labels
from halo.predict.homologues import evidence_of, homologue_of, nearest_of, remarks
from halo.predict.nearest import Neighbour, TrainingSequences
from halo.predict.output import Chunk
from halo.predict.same_sequence import by_structure, is_of_another
from halo.predict.settings import PREDICT, PredictSettings
from halo.predict.sources import find_language_model, find_structures
from halo.proteins.ingest import Rejected
from halo.proteins.members import Member, members_of
from halo.store import Store
from halo.structures.files import NO_SPELLINGS
from halo.structures.layout import Note
from halo.tables.readers import LINE

log = logging.getLogger(__name__)

# The labels of which a protein was explained, and what its residues contribute to them.
LabelAttributions = tuple[list[int], Attribution]

# If this many proteins all fail, the cause is probably not the proteins.
SUSPICIOUS = 10
HOMOLOGY = "homology"  # in decided_by, where labels of a homologue are part of the decision
DIGITS = 6  # decimals of reported numbers, as in evaluation/predictions.csv


@dataclass(frozen=True)
class _Stores:
    """The store of structures, if they are read, and the root of those of graphs and embeddings."""

    structures: Store | None
    own: Path


@dataclass(frozen=True)
class _Predicted:
    """A protein's prediction, which is a row of several, and its structure, if it is shown."""

    prediction: EnsemblePrediction
    place: int
    attributions: LabelAttributions | None
    note: Note | None
    backbone: Mapping[str, np.ndarray] | None


class Predictor:
    """A loaded bundle: models, language model and training sequences.

    Use it as a context manager, or call `close` in the end.

    Parameters
    ----------
    bundle : see `halo.predict.bundle.read_bundle`
    settings : location of structures and language model, device
    store : root of the store of structures
    scratch : root of the store of graphs and embeddings; None for `store`
    spelt : spellings of the names of all proteins of which tables are chunks, see
        `halo.structures.files.all_spellings`

    Attributes
    ----------
    ensemble : the models
    weights : the language model of each of them
    embedding_settings, graph_settings : how their input is computed
    encoder_of : loads a language model, see `halo.embeddings.embed.OneEncoder`
    """

    def __init__(
        self,
        bundle: Bundle,
        settings: PredictSettings,
        store: Path,
        scratch: Path | None = None,
        spelt: Mapping[str, str] = NO_SPELLINGS,
    ) -> None:
        torch.set_num_threads(settings.threads)
        self.bundle, self.settings, self.store = bundle, settings, Path(store)
        self.own_store = Path(scratch or store)
        self._spelt = spelt
        content = bundle.description
        self.device = claim_device(settings.device or "auto")
        self.ensemble = Ensemble(bundle, self.device)
        self.embedding_settings = content.embeddings
        if settings.precision is not None:
            precision = cast(Any, settings.precision)  # one of those of the settings
            self.embedding_settings = replace(self.embedding_settings, precision=precision)
        self.graph_settings = content.graphs
        weights = find_language_model(bundle, settings)
        self.weights = [_adapted(weights, model) for model in self.ensemble.models]
        self.encoder_of = OneEncoder()
        if weights.source == FILE:
            networks = [one.network for model in self.ensemble.models for one in model.members]
            file = opened(weights.path, self.embedding_settings.layer)
            require_same_embeddings(bundle, networks, file)
        self._scratch = TemporaryDirectory(prefix="halo.")
        rules = [content.homologues, *(each.homologues for each in content.groups.values())]
        self._rules = [_rule(each) for each in rules]
        self._training = None
        if bundle.training is not None:
            self._training = TrainingSequences(
                *(bundle.training, content.search.model_dump()),
                *(Path(self._scratch.name), settings.threads),
                groups=[group.labels for group in bundle.groups],
            )

    def __enter__(self) -> "Predictor":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the temporary files."""
        self._scratch.cleanup()

    def predict(self, table: pd.DataFrame, explained: int = 0) -> Chunk:
        """Predict the proteins of `table` (see `halo.predict.records.Queries`), in its order.

        The first `explained` rows are also explained. Proteins that cannot be predicted are
        returned as rejected.

        Raises
        ------
        HaloError
            if none of at least `SUSPICIOUS` proteins can be predicted
        """
        neighbours = self._neighbours(table)
        shown = set(table["id"][:explained])
        found: dict[str, _Predicted] = {}
        failed: dict[str, str] = {}
        for part, stores, notes in self._by_structure(table):
            wanted = frozenset(part.loc[part["id"].isin(shown), "seq_hash"])
            distinct = part.drop_duplicates("seq_hash")
            predictions, faults = self._predictions(distinct, stores, wanted, neighbours)
            for row in part.to_dict("records"):
                name = row["seq_hash"]
                if name in faults:
                    failed[row["id"]] = faults[name]
                    continue
                chain = backbone(stores.structures, name) if name in wanted else None
                found[row["id"]] = _Predicted(*predictions[name], notes.get(name), chain)
        if not found and table["seq_hash"].nunique() >= SUSPICIOUS:
            raise HaloError(
                f"none of {table['seq_hash'].nunique():,} proteins can be predicted, the first "
                f"because of {next(iter(failed.values()))}; run again, finished chunks are kept"
            )
        records, rejected, explanations = [], [], []
        for row in table.to_dict("records"):
            if row["id"] in failed:
                reason = failed[row["id"]]
                rejected.append(Rejected(row["id"], int(row[LINE]), "failed", reason))
                continue
            own = found[row["id"]]
            regions = None
            if row["id"] in shown:
                assert own.attributions is not None  # they were asked for
                labels, attribution = own.attributions
                asked = [self.bundle.labels[label] for label in labels]
                explanations.append(
                    Explanation(row["id"], row["sequence"], asked, attribution, own.backbone)
                )
                regions = [asdict(region) for region in explanations[-1].regions()]
            records.append(self._record(row, own, neighbours[row["seq_hash"]], regions))
        return Chunk(self.header(), records, rejected, explanations)

    def _by_structure(
        self, table: pd.DataFrame
    ) -> Iterator[tuple[pd.DataFrame, _Stores, dict[str, Note]]]:
        """Parts of `table` with the structures of their sequences, and the notes about them.

        No protein gets the structure of another one with the same sequence, if its own can be
        looked for: what the store does not have is then found in a store that is not kept.
        """
        if not (self.ensemble.needs_graphs or self._reads_structures):
            yield table, _Stores(None, self.own_store), {}
            return
        cannot_search = self.settings.stage == PREDICT or bool(self.settings.unreachable)
        rest = by_structure(table, self.settings, self._spelt)
        kept = True
        while rest:
            part, *rest = rest
            with TemporaryDirectory(dir=self._scratch.name) as scratch:
                store, own = (self.store, self.own_store) if kept else (Path(scratch),) * 2
                members = members_of(part)
                structures, notes = find_structures(
                    self.bundle, self.settings, store, members, self._spelt
                )
                others = {
                    each.seq_hash
                    for bucket in members.values()
                    for each in bucket
                    if kept and is_of_another(notes[each.seq_hash], each)
                }
                if cannot_search:
                    notes |= {name: _of_another(notes[name]) for name in others}
                else:
                    again = part["seq_hash"].isin(others)
                    part, rest = part[~again], [*rest, *([part[again]] if again.any() else [])]
                usable = sum(notes[name].status == "ok" for name in set(part["seq_hash"]))
                log.info(
                    "%s of %s sequences have a structure",
                    f"{usable:,}", f"{part['seq_hash'].nunique():,}",
                )  # fmt: skip
                if len(part):
                    yield part, _Stores(structures, own), notes
            kept = cannot_search

    def _predictions(
        self,
        table: pd.DataFrame,
        stores: _Stores,
        wanted: frozenset[str],
        neighbours: Mapping[str, Sequence[Neighbour]],
    ) -> tuple[dict[str, tuple[EnsemblePrediction, int, LabelAttributions | None]], dict[str, str]]:
        """The prediction of each sequence with its row, and the attributions of those `wanted`.

        Also returns why the others could not be predicted, by sequence hash. A batch that fails is
        tried again in halves, so that one faulty protein does not affect the others.
        """
        try:
            prediction, attributions = self._prediction(table, stores, wanted, neighbours)
        except (OSError, LanguageModelError):  # not caused by a protein, such as a full disk
            raise
        except Exception as error:
            if len(table) == 1:
                log.warning("%s cannot be predicted: %s", table["id"].iat[0], error)
                return {}, {table["seq_hash"].iat[0]: f"{type(error).__name__}: {error}"}
            half = len(table) // 2
            halves = (table[:half], table[half:])
            parts = [self._predictions(part, stores, wanted, neighbours) for part in halves]
            return parts[0][0] | parts[1][0], parts[0][1] | parts[1][1]
        rows = enumerate(table["seq_hash"])
        return {name: (prediction, row, attributions.get(name)) for row, name in rows}, {}

    def _prediction(
        self,
        table: pd.DataFrame,
        stores: _Stores,
        wanted: frozenset[str],
        neighbours: Mapping[str, Sequence[Neighbour]],
    ) -> tuple[EnsemblePrediction, dict[str, LabelAttributions]]:
        members = members_of(table)
        graphs = None
        if stores.structures is not None and self.ensemble.needs_graphs:
            graphs = build_graphs(members, stores.own, stores.structures, self.graph_settings)
        embeddings = [self._embedded(members, weights, stores) for weights in self.weights]
        trim_freed_memory()
        hashes = table["seq_hash"].to_numpy(dtype=object)
        alone = self.ensemble.predict(hashes, table["length"].to_numpy(), graphs, embeddings)
        trim_freed_memory()
        prediction = self._with_homologues(alone, [neighbours[name] for name in hashes])
        chosen = by_group(
            self.bundle.groups, decide, prediction.probabilities, prediction.thresholds
        )
        attributions = {}
        for row, name in enumerate(hashes):
            if name in wanted:
                labels = explained_labels(prediction.probabilities[row], chosen[row])
                attributions[name] = (
                    labels,
                    self.ensemble.explain(name, labels, graphs, embeddings),
                )
        return prediction, attributions

    def _with_homologues(
        self, alone: EnsemblePrediction, neighbours: Sequence[Sequence[Neighbour]]
    ) -> EnsemblePrediction:
        """Combine the prediction of the models with the labels of similar training proteins."""
        probabilities, decided_by = alone.probabilities.copy(), alone.decided_by.copy()
        thresholds = alone.thresholds.copy()
        own = np.full(probabilities.shape, np.nan)
        sets = None if alone.sets is None else alone.sets.copy()
        for place, (group, rule) in enumerate(zip(self.bundle.groups, self._rules, strict=True)):
            rows, evidence = evidence_of(neighbours, group)
            if rule is None or not len(rows):
                continue
            at = rows[:, None], np.arange(group.first, group.first + len(group.labels))
            probabilities[at] = rule(alone.probabilities[at], evidence, group.task)
            thresholds[at] = rule.thresholds(self.ensemble.thresholds[group.columns], evidence)
            decided_by[rows, place] += f";{HOMOLOGY}"
            if sets is not None:
                sets[at] = label_sets(probabilities[at], rule.cut)
            own[rows] = alone.probabilities[rows]
        if np.isnan(own).all():
            return alone
        return replace(
            alone, probabilities=probabilities, thresholds=thresholds, sets=sets,
            decided_by=decided_by, alone=own,
        )  # fmt: skip

    @property
    def _reads_structures(self) -> bool:
        """Whether the language model reads structures."""
        return any(
            weights.source != FILE and LANGUAGE_MODELS[weights.model_class].reads_structures
            for weights in self.weights
        )

    def _embedded(
        self, members: dict[str, list[Member]], weights: Weights, stores: _Stores
    ) -> Store:
        settings = self.embedding_settings
        if weights.source == FILE:
            return convert_buckets(members, stores.own, weights, settings)
        return embed_buckets(
            members, stores.own, weights, settings, self.device, self.encoder_of,
            structures=stores.structures,
        )  # fmt: skip

    def _neighbours(self, table: pd.DataFrame) -> dict[str, list[Neighbour]]:
        distinct = table.drop_duplicates("seq_hash")
        if self._training is None:
            return {name: [] for name in distinct["seq_hash"]}
        nearest = self._training.nearest(distinct["sequence"].tolist())
        return dict(zip(distinct["seq_hash"], nearest, strict=True))

    def _record(
        self,
        row: Mapping[str, Any],
        own: _Predicted,
        neighbours: Sequence[Neighbour],
        regions: list[dict[str, Any]] | None,
    ) -> dict[str, Any]:
        prediction, place = own.prediction, own.place
        labels = self.bundle.labels
        probabilities, thresholds = self._numbers(prediction, place)
        main, *further = (
            self._decision(group, prediction, place, number, neighbours)
            for number, group in enumerate(self.bundle.groups)
        )
        weights = None
        if prediction.weights is not None:
            values = prediction.weights[place].astype(float).round(DIGITS).tolist()
            weights = dict(zip(MODALITIES, values, strict=True))
        near = nearest_of(neighbours, self.bundle.groups[0])
        training, found = self._training, None if near is None else near.similar
        counted = (homologue_of(neighbours, group) for group in self.bundle.groups)
        shown = [one for one in (near, *counted) if one is not None]
        length = int(row["length"])
        return {
            "id": row["id"],
            "accession": row["accession"],
            "length": length,
            **main,
            **self._by_name(further),
            "probabilities": dict(zip(labels, probabilities, strict=True)),
            "thresholds": dict(zip(labels, thresholds, strict=True)),
            "probabilities_alone": self._alone(prediction, place),
            "modality_weights": weights,
            "structure": _structure(own.note),
            "nearest_training": asdict(near) if near is not None else None,
            "similar": bool(found) if training else None,
            "far": found is None if training else None,
            "remarks": remarks(length, shown, training.shortest if training else None),
            "regions": regions,
            "predicted_regions": _predicted_regions(prediction, place),
        }

    def _decision(
        self,
        group: LabelGroup,
        prediction: EnsemblePrediction,
        place: int,
        number: int,
        neighbours: Sequence[Neighbour],
    ) -> dict[str, Any]:
        """What is decided about a group of labels, the one of this number, of one protein."""
        own = prediction.probabilities[place : place + 1, group.columns]
        thresholds = prediction.thresholds[place : place + 1, group.columns]
        sets = prediction.sets
        homologue = homologue_of(neighbours, group) if self._rules[number] else None
        return {
            "labels": _names(group.labels, decide(own, thresholds, group.task)[0]),
            "set": None if sets is None else _names(group.labels, sets[place, group.columns]),
            "uncertainty": round(float(uncertainty(own, thresholds, group.task)[0]), DIGITS),
            "decided_by": str(prediction.decided_by[place, number]),
            "homologue": None if homologue is None else homologue.id,
        }

    def _numbers(
        self, prediction: EnsemblePrediction, place: int
    ) -> tuple[list[float], list[float]]:
        """Probabilities and thresholds of a protein, which lead to its decisions."""
        row = slice(place, place + 1)
        own, thresholds = prediction.probabilities[row], prediction.thresholds[row]
        agreeing = partial(rounded, digits=DIGITS)
        values, limits = by_group(self.bundle.groups, agreeing, own, thresholds)[:, 0].tolist()
        return values, limits

    def _by_name(self, further: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The key ``groups`` of a record, if there are further groups of labels."""
        names = [group.name for group in self.bundle.groups[1:]]
        return {"groups": dict(zip(names, further, strict=True))} if names else {}

    def _alone(self, prediction: EnsemblePrediction, place: int) -> dict[str, float] | None:
        """Probabilities by the models alone, if a homologue is part of the decision."""
        if prediction.alone is None or np.isnan(prediction.alone[place]).any():
            return None
        values = prediction.alone[place].round(DIGITS).tolist()
        return dict(zip(self.bundle.labels, values, strict=True))

    def header(self) -> dict[str, Any]:
        """Data common to all records: versions, labels, thresholds."""
        content = self.bundle.description
        conformal = content.models[0].conformal
        groups = as_content(self.bundle.groups[1:])
        return {
            "bundle": {**self.bundle.identity(), "method": content.method},
            "task": self.bundle.groups[0].task,
            "labels": self.bundle.labels,
            **({"groups": groups} if groups else {}),
            "thresholds": dict(
                zip(
                    self.bundle.labels, self.ensemble.thresholds.round(DIGITS).tolist(), strict=True
                )
            ),
            "set_misses": conformal.risk if conformal and self.ensemble.cuts is not None else None,
            "simulated": content.simulated,
            "region_kinds": self.ensemble.regions.kinds if self.ensemble.regions else None,
        }


def _rule(content: Homologues | None) -> HomologueRule | None:
    return HomologueRule(**content.model_dump()) if content else None


def _of_another(note: Note) -> Note:
    """The note of a structure that is used for want of the protein's own."""
    remark = f"of {note.accession}, which has the same sequence"
    return replace(note, message="; ".join(filter(None, (note.message, remark))))


def _names(labels: Sequence[str], chosen: np.ndarray) -> list[str]:
    return [name for name, given in zip(labels, chosen, strict=True) if given]


def _predicted_regions(prediction: EnsemblePrediction, place: int) -> list[dict[str, Any]] | None:
    if prediction.regions is None:
        return None
    return [
        {**asdict(region), "confidence": round(region.confidence, DIGITS)}
        for region in prediction.regions[place]
    ]


def _structure(note: Note | None) -> dict[str, Any]:
    if note is None:
        return {
            **{"status": "not used", "source": "", "name": "", "version": "", "mean_plddt": None},
            "message": "",
        }
    return {
        "status": note.status,
        "source": note.source if note.status in ("ok", "error") else "",
        "name": note.accession,
        "version": note.version,
        "mean_plddt": note.mean_plddt,
        "message": note.message,
    }


def _adapted(weights: Weights, model: Any) -> Weights:
    if model.adapter is None:
        return weights
    return replace(weights, adapter=str(model.adapter), adapter_sha256=model.adapter_sha256)
