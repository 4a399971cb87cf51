"""Predict chunks of proteins with a bundle that is loaded once."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np
import pandas as pd
import torch

from halo.decisions import decide, uncertainty
from halo.device import claim_device
from halo.embeddings.convert import convert_buckets
from halo.embeddings.embed import LanguageModelError, OneEncoder, embed_buckets
from halo.embeddings.files import opened
from halo.embeddings.registry import LANGUAGE_MODELS
from halo.embeddings.weights import FILE, Weights
from halo.errors import HaloError
from halo.evaluation.conformal import label_sets
from halo.graphs.stage import build_graphs
from halo.homologues.rule import Evidence, HomologueRule
from halo.label_groups import LabelGroup, as_content, by_group
from halo.network.features import MODALITIES
from halo.predict.attribution import Attribution
from halo.predict.bundle import Bundle
from halo.predict.description import Homologues
from halo.predict.embedded import require_same_embeddings
from halo.predict.ensemble import Ensemble, EnsemblePrediction
from halo.predict.explanation import Explanation, backbone, explained_labels
from halo.predict.nearest import Neighbour, TrainingSequences
from halo.predict.output import Chunk
from halo.predict.settings import PredictSettings
from halo.predict.sources import find_language_model, find_structures
from halo.proteins.ingest import Rejected
from halo.proteins.members import Member, members_of
from halo.store import Store
from halo.structures.files import NOBODY
from halo.structures.layout import Note
from halo.tables.readers import LINE

log = logging.getLogger(__name__)

# The labels of which a protein was explained, and what its residues contribute to them.
LabelAttributions = tuple[list[int], Attribution]

# If this many proteins all fail, the cause is probably not the proteins.
SUSPICIOUS = 10
HOMOLOGY = "homology"  # in decided_by, where labels of a homologue are part of the decision
DIGITS = 6  # decimals of reported numbers, as in evaluation/predictions.csv


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
        spelt: Mapping[str, str] = NOBODY,
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
        notes: dict[str, Note] = {}
        structures = None
        if self.ensemble.needs_graphs or self._reads_structures:
            members = members_of(table)
            structures, notes = find_structures(
                self.bundle, self.settings, self.store, members, self._spelt
            )
            usable = sum(note.status == "ok" for note in notes.values())
            log.info("%s of %s sequences have a structure", f"{usable:,}", f"{len(notes):,}")
        distinct = table.drop_duplicates("seq_hash")
        wanted = frozenset(table["seq_hash"][:explained])
        predictions, failed = self._predictions(distinct, structures, wanted, neighbours)
        if not predictions and len(distinct) >= SUSPICIOUS:
            reason = next(iter(failed.values()))
            raise HaloError(
                f"none of {len(distinct):,} proteins can be predicted, the first because of "
                f"{reason}; run again, finished chunks are kept"
            )
        records, rejected, explanations = [], [], []
        for number, row in enumerate(table.to_dict("records")):
            name = row["seq_hash"]
            if name in failed:
                rejected.append(Rejected(row["id"], int(row[LINE]), "failed", failed[name]))
                continue
            prediction, place, attributions = predictions[name]
            regions = None
            if number < explained:
                assert attributions is not None  # they were asked for
                asked = [self.bundle.labels[label] for label in attributions[0]]
                explanations.append(
                    Explanation(
                        row["id"],
                        row["sequence"],
                        asked,
                        attributions[1],
                        backbone(structures, name),
                    )
                )
                regions = [asdict(region) for region in explanations[-1].regions()]
            parts = (prediction, place, neighbours[name], notes.get(name), regions)
            records.append(self._record(row, *parts))
        return Chunk(self.header(), records, rejected, explanations)

    def _predictions(
        self,
        table: pd.DataFrame,
        structures: Store | None,
        wanted: frozenset[str],
        neighbours: Mapping[str, Neighbour | None],
    ) -> tuple[dict[str, tuple[EnsemblePrediction, int, LabelAttributions | None]], dict[str, str]]:
        """The prediction of each sequence with its row, and the attributions of those `wanted`.

        Also returns why the others could not be predicted, by sequence hash. A batch that fails is
        tried again in halves, so that one faulty protein does not affect the others.
        """
        try:
            prediction, attributions = self._prediction(table, structures, wanted, neighbours)
        except (OSError, LanguageModelError):  # not caused by a protein, such as a full disk
            raise
        except Exception as error:
            if len(table) == 1:
                log.warning("%s cannot be predicted: %s", table["id"].iat[0], error)
                return {}, {table["seq_hash"].iat[0]: f"{type(error).__name__}: {error}"}
            half = len(table) // 2
            halves = (table[:half], table[half:])
            parts = [self._predictions(part, structures, wanted, neighbours) for part in halves]
            return parts[0][0] | parts[1][0], parts[0][1] | parts[1][1]
        rows = enumerate(table["seq_hash"])
        return {name: (prediction, row, attributions.get(name)) for row, name in rows}, {}

    def _prediction(
        self,
        table: pd.DataFrame,
        structures: Store | None,
        wanted: frozenset[str],
        neighbours: Mapping[str, Neighbour | None],
    ) -> tuple[EnsemblePrediction, dict[str, LabelAttributions]]:
        members = members_of(table)
        graphs = None
        if structures is not None and self.ensemble.needs_graphs:
            graphs = build_graphs(members, self.own_store, structures, self.graph_settings)
        embeddings = [self._embedded(members, weights, structures) for weights in self.weights]
        hashes = table["seq_hash"].to_numpy(dtype=object)
        alone = self.ensemble.predict(hashes, table["length"].to_numpy(), graphs, embeddings)
        prediction = self._with_homologues(alone, [neighbours[name] for name in hashes])
        chosen = by_group(
            self.bundle.groups, decide, prediction.probabilities, self.ensemble.thresholds
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
        self, alone: EnsemblePrediction, neighbours: Sequence[Neighbour | None]
    ) -> EnsemblePrediction:
        """Combine the prediction of the models with the labels of similar training proteins."""
        probabilities, decided_by = alone.probabilities.copy(), alone.decided_by.copy()
        own = np.full(probabilities.shape, np.nan)
        sets = None if alone.sets is None else alone.sets.copy()
        for place, (group, rule) in enumerate(zip(self.bundle.groups, self._rules, strict=True)):
            rows, evidence = _evidence(neighbours, group)
            if rule is None or not len(rows):
                continue
            at = rows[:, None], np.arange(group.first, group.first + len(group.labels))
            joint = rule(alone.probabilities[at], evidence, group.task)
            thresholds = self.ensemble.thresholds[group.columns]
            probabilities[at] = rule.on_scale_of(thresholds, joint, evidence, group.task)
            decided_by[rows, place] += f";{HOMOLOGY}"
            if sets is not None:
                sets[at] = label_sets(joint, rule.cut)
            own[rows] = alone.probabilities[rows]
        if np.isnan(own).all():
            return alone
        return replace(
            alone, probabilities=probabilities, sets=sets, decided_by=decided_by, alone=own
        )

    @property
    def _reads_structures(self) -> bool:
        """Whether the language model reads structures."""
        return any(
            weights.source != FILE and LANGUAGE_MODELS[weights.model_class].reads_structures
            for weights in self.weights
        )

    def _embedded(
        self, members: dict[str, list[Member]], weights: Weights, structures: Store | None
    ) -> Store:
        settings = self.embedding_settings
        if weights.source == FILE:
            return convert_buckets(members, self.own_store, weights, settings)
        return embed_buckets(
            members, self.own_store, weights, settings, self.device, self.encoder_of,
            structures=structures,
        )  # fmt: skip

    def _neighbours(self, table: pd.DataFrame) -> dict[str, Neighbour | None]:
        distinct = table.drop_duplicates("seq_hash")
        if self._training is None:
            return dict.fromkeys(distinct["seq_hash"])
        nearest = self._training.nearest(distinct["sequence"].tolist())
        return dict(zip(distinct["seq_hash"], nearest, strict=True))

    def _record(
        self,
        row: Mapping[str, Any],
        prediction: EnsemblePrediction,
        place: int,
        near: Neighbour | None,
        note: Note | None,
        regions: list[dict[str, Any]] | None,
    ) -> dict[str, Any]:
        labels = self.bundle.labels
        own = prediction.probabilities[place : place + 1]
        main, *further = (
            self._decision(group, prediction, place, number)
            for number, group in enumerate(self.bundle.groups)
        )
        weights = None
        if prediction.weights is not None:
            values = prediction.weights[place].astype(float).round(DIGITS).tolist()
            weights = dict(zip(MODALITIES, values, strict=True))
        far = near is None if self._training is not None else None
        return {
            "id": row["id"],
            "accession": row["accession"],
            "length": int(row["length"]),
            **main,
            **self._by_name(further),
            "probabilities": dict(zip(labels, own[0].round(DIGITS).tolist(), strict=True)),
            "probabilities_alone": self._alone(prediction, place),
            "modality_weights": weights,
            "structure": _structure(note),
            "nearest_training": asdict(near) if near is not None else None,
            "far": far,
            "regions": regions,
            "predicted_regions": _predicted_regions(prediction, place),
        }

    def _decision(
        self, group: LabelGroup, prediction: EnsemblePrediction, place: int, number: int
    ) -> dict[str, Any]:
        """What is decided about a group of labels, the one of this number, of one protein."""
        own = prediction.probabilities[place : place + 1, group.columns]
        thresholds = self.ensemble.thresholds[group.columns]
        sets = prediction.sets
        return {
            "labels": _names(group.labels, decide(own, thresholds, group.task)[0]),
            "set": None if sets is None else _names(group.labels, sets[place, group.columns]),
            "uncertainty": round(float(uncertainty(own, thresholds, group.task)[0]), DIGITS),
            "decided_by": str(prediction.decided_by[place, number]),
        }

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


def _evidence(
    neighbours: Sequence[Neighbour | None], group: LabelGroup
) -> tuple[np.ndarray, Evidence]:
    """Rows of the queries with a similar training protein that is annotated, and the evidence."""
    annotated = [
        (row, near)
        for row, near in enumerate(neighbours)
        if near is not None and near.similar and not set(group.labels) <= set(near.unknown)
    ]
    similar = [near for _, near in annotated]
    shape = (len(similar), len(group.labels))
    has = [[name in near.labels for name in group.labels] for near in similar]
    known = [[name not in near.unknown for name in group.labels] for near in similar]
    return np.array([row for row, _ in annotated], dtype=int), Evidence(
        np.array([near.identity for near in similar]),
        np.array(has, dtype=bool).reshape(shape),
        np.array(known, dtype=bool).reshape(shape),
    )


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
