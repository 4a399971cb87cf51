"""Build a model bundle from the results of a run."""

import logging
import lzma
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from halo import __version__
from halo.biochemistry import SCALES_FILE
from halo.cascade.calibration import calibrate
from halo.content_versions import content_versions
from halo.embeddings.hub import index_files, model_files
from halo.embeddings.layout import EmbeddingSettings, store_names
from halo.embeddings.weights import FILE, Weights, read_weights
from halo.errors import HaloError
from halo.evaluation.conformal import risk_control
from halo.evaluation.models import Model, read_model
from halo.evaluation.table import joined
from halo.files import read_json, write_json, write_text
from halo.fold_parts import TRAIN, FoldParts
from halo.graphs.build import GraphSettings
from halo.graphs.layout import description as graphs_description
from halo.homologues.pairs import fit_to_models, similar_hits
from halo.homologues.rule import FEWEST, HomologueRule
from halo.label_groups import MAIN, LabelGroup, as_content
from halo.model_description import JoinedMember, ModelDescription, read_description
from halo.predict.bundle import (
    DESCRIPTION,
    FORMAT,
    FORMAT_GROUPS,
    LANGUAGE_MODEL,
    LANGUAGE_MODEL_FOLDER,
    MANIFEST,
    METRICS,
    MODELS,
    NOTES,
    SCALES,
    TRAINING,
    listed,
)
from halo.predict.model_card import model_card
from halo.predict.performance import of_test
from halo.proteins.table import Proteins
from halo.store import store_name
from halo.structures.settings import StructureSettings

log = logging.getLogger(__name__)

NETWORK_FILES = ("model.json", "model.safetensors")
TAB = "\t"
ADAPTER_FILES = ("adapter.json", "adapter.safetensors", "head.safetensors")


@dataclass(frozen=True)
class BundleSettings:
    """Settings of a bundle.

    Attributes
    ----------
    name, version
        Name and version of the bundle.
    sequences
        Whether the bundle contains the training sequences.
    homologues
        Whether known labels of a similar training protein are part of the decisions.
    language_model
        Whether the bundle contains the pretrained language model.
    data
        Description of the data set: ``title``, and ``citation`` and ``licence`` if known.
    simulated
        Whether the data are simulated.
    finetuned
        Whether each fold has its own fine-tuned language model.
    risk
        Fraction of a protein's labels that conformal sets may miss, for methods without sets.
    search
        ``sensitivity`` and the keys of `halo.split.settings.Rule` of the split.
    embeddings, graphs, structures
        Keys of these sections of the configuration that influence results.
    """

    name: str
    version: str
    sequences: bool
    homologues: bool
    language_model: bool
    data: Mapping[str, str]
    simulated: bool
    finetuned: bool
    risk: float
    search: Mapping[str, Any]
    embeddings: Mapping[str, Any]
    graphs: Mapping[str, Any]
    structures: Mapping[str, Any]


def build_bundle(
    proteins: Proteins,
    assignments: pd.DataFrame,
    predictions: Sequence[Path],
    language_model: Path,
    metrics: Path,
    licence: Path,
    settings: BundleSettings,
    folder: Path,
    beside: Collection[str] = (),
    hits: pd.DataFrame | None = None,
    notes: Path | None = None,
    similar_apart: int | None = None,
) -> None:
    """Write the bundle to `folder`, atomically.

    An existing bundle is replaced.

    Parameters
    ----------
    assignments : content of ``split/assignments.csv``, or of ``split/all.csv`` for models of all
        proteins, as text, indexed by id
    predictions : ``predictions.csv`` of one method, for the folds and seeds of the bundle
    language_model : ``language_model.json`` of the run's pretrained language model
    metrics : ``evaluation/metrics.json``
    licence : file with the licence of the bundle
    beside : files of others that a bundle that is replaced may have
    hits : content of ``split/hits.csv.gz``, to which a rule for homologues is fitted; or None
    notes : file with Markdown for the card; or None
    similar_apart
        What the audit found apart in the split, see `halo.predict.performance.leaks`; None if it is
        not known.

    Raises
    ------
    HaloError
        if `folder` has other files, or files of the run are missing or do not fit
    """
    folder = Path(folder)
    _require_replaceable(folder, beside)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as scratch:
        work = Path(scratch) / "bundle"
        work.mkdir()
        weights = read_weights(language_model)
        trained_models = {
            group: [read_model(path, proteins, assignments, group) for path in predictions]
            for group in proteins.groups
        }
        models = []
        for number, path in enumerate(predictions):
            of_groups = {group: trained[number] for group, trained in trained_models.items()}
            models.append(_model(path, of_groups, proteins, weights, settings, work))
        rules: dict[str, dict[str, Any] | None] = dict.fromkeys(g.name for g in proteins.groups)
        if hits is not None and settings.sequences and settings.homologues:
            for group, of_group in trained_models.items():
                own = proteins.of_group(group)
                rule = _homologue_rule(of_group, own, assignments, hits, settings)
                rules[group.name] = asdict(rule) if rule else None
        trained = _training(proteins, assignments, models)
        measured = read_json(metrics) | {"similar_apart": similar_apart}
        first = read_description(predictions[0].parent)
        description = {
            "format": FORMAT_GROUPS if proteins.further else FORMAT,
            "halo": __version__,
            "name": settings.name,
            "version": settings.version,
            "method": first.method,
            "class": first.method_class,
            "task": proteins.task,
            "labels": list(proteins.label_names),
            **_groups(proteins, rules),
            "simulated": settings.simulated,
            "data": dict(settings.data),
            "language_model": {
                "name": weights.name,
                "sha256": weights.sha256,
                "included": settings.language_model,
                "source": weights.source,
                "class": weights.model_class,
            },
            "embeddings": dict(settings.embeddings),
            "graphs": dict(settings.graphs),
            "structures": _portable(settings.structures),
            "content": content_versions(weights.model_class),
            "search": dict(settings.search),
            "training": {"proteins": len(trained), "sequences": settings.sequences},
            "homologues": rules[MAIN],
            "models": models,
        }
        if settings.sequences:
            _write_training(work / TRAINING, proteins, trained)
        if settings.language_model:
            copy_language_model(weights, work)
        shutil.copyfile(SCALES_FILE, work / SCALES)
        shutil.copyfile(licence, work / "LICENSE")
        if notes is not None:
            shutil.copyfile(notes, work / NOTES)
        write_json(work / METRICS, _metrics(measured, first.method))
        write_text(work / "README.md", model_card(description, measured, licence, notes))
        write_json(work / DESCRIPTION, description)
        write_json(work / MANIFEST, {"format": FORMAT, "files": listed(work)})
        work.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        work.rename(folder)


def _require_replaceable(folder: Path, beside: Collection[str]) -> None:
    """Raise a HaloError if `folder` has files that its manifest does not list, but `beside`."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise HaloError(f"{folder}: a file; give a folder for the bundle")
    manifest = read_json(folder / MANIFEST) if (folder / MANIFEST).is_file() else {}
    listed_before = {*manifest.get("files", {}), MANIFEST, *beside}
    files = (path.relative_to(folder) for path in sorted(folder.rglob("*")) if not path.is_dir())
    foreign = [str(path) for path in files if str(path) not in listed_before]
    if foreign:
        raise HaloError(
            f"{folder}: {', '.join(foreign[:5])}: exists and belongs to no bundle; give another "
            "folder, or move it away"
        )


def _homologue_rule(
    models: Sequence[Model],
    proteins: Proteins,
    assignments: pd.DataFrame,
    hits: pd.DataFrame,
    settings: BundleSettings,
) -> HomologueRule | None:
    """The rule for proteins with a similar training protein; None if too few are there to fit."""
    least = settings.search["identity"]
    similar = similar_hits(hits)
    rule = fit_to_models(models, proteins, assignments, similar, least, settings.risk)
    if rule is None:
        log.warning(
            "labels of similar training proteins are not used: validation and calibration proteins "
            "with a similar one are of fewer than %s homology groups",
            FEWEST,
        )
    return rule


def _metrics(measured: Mapping[str, Any], method: str) -> dict[str, Any]:
    """Metrics of the method and the test; of further groups of labels in ``label_groups``."""
    content = {**measured["methods"][method], "test": of_test(measured)}
    groups = {name: _metrics(of, method) for name, of in measured.get("label_groups", {}).items()}
    return {**content, **({"label_groups": groups} if groups else {})}


def _groups(
    proteins: Proteins, rules: Mapping[str, Mapping[str, Any] | None]
) -> dict[str, dict[str, Any]]:
    """The key ``groups`` of the description, if there are further groups of labels."""
    groups = {
        name: {**each, "homologues": rules[name]}
        for name, each in as_content(proteins.further).items()
    }
    return {"groups": groups} if groups else {}


def _model(
    path: Path,
    of_groups: Mapping[LabelGroup, Model],
    proteins: Proteins,
    weights: Weights,
    settings: BundleSettings,
    work: Path,
) -> dict[str, Any]:
    """Copy the files of one fold and seed, and return their description."""
    key = next(iter(of_groups.values())).key
    results = path.parents[4]
    finetuned = results / key.split / key.fold / "finetune"
    fits = {
        group.name: _fit(model, proteins.of_group(group), settings.risk)
        for group, model in of_groups.items()
    }
    if settings.finetuned:
        _copy(finetuned, ADAPTER_FILES, work / f"{MODELS}/{key.fold}/finetune")
        weights = read_weights(finetuned / "language_model.json")
    main, further = fits[MAIN], {name: fit for name, fit in fits.items() if name != MAIN}
    entries = []
    for number, member in enumerate(main.members):
        own = replace(key, seed=member.seed, method=member.method)
        source = results / own.path
        trained = read_description(source)
        if trained.method_class == "esm":
            where = f"{MODELS}/{key.fold}/finetune"
        else:
            where = f"{MODELS}/{own.fold}/{own.seed}/{own.method}"
            _require_same_settings(source / "model.json", trained, weights, settings)
            _copy(source, NETWORK_FILES, work / where)
        shifts: dict[str, float] = {}
        for fit in fits.values():
            shifts |= fit.members[number].shifts
        temperatures = {name: fit.members[number].temperature for name, fit in further.items()}
        entries.append(
            {
                "method": trained.method,
                "class": trained.method_class,
                "folder": where,
                "thresholds": trained.thresholds,
                "temperature": member.temperature,
                "shifts": shifts,
                **({"temperatures": temperatures} if temperatures else {}),
            }
        )
    joint = {name: {"band": fit.band, "conformal": fit.conformal} for name, fit in further.items()}
    return {
        "fold": key.fold,
        "seed": key.seed,
        "adapter": f"{MODELS}/{key.fold}/finetune/adapter.safetensors"
        if settings.finetuned
        else None,
        "members": entries,
        "band": main.band,
        "conformal": main.conformal,
        **({"groups": joint} if joint else {}),
    }


@dataclass(frozen=True)
class _Fit:
    """Calibrated members of a model for one group of labels, and how they are joined and cut."""

    members: Sequence[JoinedMember]
    band: dict[str, Any] | None
    conformal: dict[str, float] | None


def _fit(model: Model, proteins: Proteins, risk: float) -> _Fit:
    """That of a joined method, or one that is fitted on ``cal``."""
    description = model.description
    if description.members is not None:
        assert description.band is not None  # of a joined method, as `conformal` is
        assert description.conformal is not None
        band, conformal = description.band.model_dump(), description.conformal.model_dump()
        return _Fit(description.members, band, conformal)
    cal = model.of_part("cal")
    truth, known = proteins.labels[cal.rows].astype(bool), proteins.known[cal.rows]
    fitted = calibrate(cal.probabilities, truth, proteins.task, known)
    member = JoinedMember(
        method=model.method,
        seed=model.seed,
        temperature=fitted.temperature,
        shifts=dict(zip(proteins.label_names, map(float, fitted.shifts), strict=True)),
    )
    if not len(truth):
        return _Fit([member], None, None)
    cut = risk_control(fitted(cal.probabilities), truth & known, risk)
    return _Fit([member], None, {"risk": risk, "cut": cut})


def _require_same_settings(
    file: Path, description: ModelDescription, weights: Weights, settings: BundleSettings
) -> None:
    """Raise a HaloError if the network was trained on other graphs or embeddings."""
    structures = store_name(StructureSettings(**settings.structures).description())
    wanted = {
        "embeddings": store_names(weights, EmbeddingSettings(**settings.embeddings), structures),
        "graphs": {store_name(graphs_description(structures, GraphSettings(**settings.graphs)))},
    }
    for name, stores in wanted.items():
        if getattr(description, name) not in stores:
            raise HaloError(
                f"{file}: trained on other {name} than those of the current configuration; run the "
                "pipeline again before building the bundle"
            )


def _portable(structures: Mapping[str, Any]) -> dict[str, Any]:
    """Requirements of structures, without the sources of the run."""
    return {key: structures[key] for key in ("min_identity", "min_coverage", "max_length")}


def copy_language_model(weights: Weights, work: Path) -> None:
    """Copy a checkpoint, or the files of a folder in Hugging Face's format."""
    source = Path(weights.path)
    if weights.source == FILE:
        raise HaloError(
            "release.language_model: true, but the embeddings are from a file; set it to false"
        )
    if not source.exists():
        raise HaloError(
            f"{source}: missing, so it cannot be in the bundle (release.language_model); put it "
            "back, or delete the run's language_model.json and run the pipeline again"
        )
    if not source.is_dir():
        shutil.copyfile(source, work / LANGUAGE_MODEL)
        return
    folder = work / LANGUAGE_MODEL_FOLDER
    folder.mkdir()
    for file in (*model_files(source), *index_files(source)):
        shutil.copyfile(file, folder / file.name)


def _training(
    proteins: Proteins, assignments: pd.DataFrame, models: Sequence[Mapping[str, Any]]
) -> pd.DataFrame:
    """Id and sequence of the training proteins of all models, each sequence once."""
    seen = np.zeros(len(proteins), dtype=bool)
    for fold in {model["fold"] for model in models}:
        seen |= FoldParts.of_fold(assignments, fold, proteins.ids).is_in(TRAIN)
    table = proteins.table.loc[seen, ["id", "sequence", "seq_hash"]]
    return table.drop_duplicates("seq_hash").sort_values("id")


def _write_training(file: Path, proteins: Proteins, trained: pd.DataFrame) -> None:
    """Write a FASTA whose headers are id, labels and, if there are any, unknown labels."""
    rows = pd.Index(proteins.ids).get_indexer(trained["id"])
    labels, unknown = (
        joined(chosen[rows], proteins.label_names)
        for chosen in (proteins.labels.astype(bool), ~proteins.known)
    )
    headers = map("\t".join, zip(trained["id"], labels, unknown, strict=True))
    text = "".join(
        f">{header.removesuffix(TAB)}\n{sequence}\n"
        for header, sequence in zip(headers, trained["sequence"], strict=True)
    )
    # A fifth smaller than with gzip. The header has no time, so equal sequences give equal bytes.
    file.write_bytes(lzma.compress(text.encode("utf-8"), preset=9))


def _copy(source: Path, names: Sequence[str], target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for name in names:
        if not (source / name).is_file():
            raise HaloError(f"{source / name}: missing; run the pipeline again")
        shutil.copyfile(source / name, target / name)
