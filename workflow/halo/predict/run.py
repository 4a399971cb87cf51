"""Predict a file of proteins in chunks, with bounded memory; interrupted calls are resumed."""

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from halo import __version__
from halo.cli import Progress, log
from halo.code_digest import package_digest
from halo.embeddings.files import opened
from halo.embeddings.pattern import split_pattern
from halo.errors import HaloError
from halo.files import write_json
from halo.predict.bundle import Bundle, read_bundle
from halo.predict.embedded import embedded_queries
from halo.predict.folder import (
    CHUNKS,
    CSV_FILE,
    FETCHED,
    PAGE_FILE,
    REJECTED_FILE,
    SEQUENCES,
    STORE,
    OutputFolder,
    output_folder,
    path_faults,
)
from halo.predict.output import is_whole, read_chunk, table_of, write_chunk, write_predictions
from halo.predict.page import explained_method, write_page
from halo.predict.performance import read_performance
from halo.predict.predictor import Predictor
from halo.predict.records import KnownSequences, Queries, read_queries
from halo.predict.settings import PREDICT, PredictSettings
from halo.predict.sources import (
    StructureFiles,
    find_language_model,
    find_structures,
    noting_unreachable,
)
from halo.proteins.ingest import (
    DatasetSettings,
    core_table,
    identity_faults,
    sequence_faults,
)
from halo.proteins.members import members_of
from halo.structures.files import all_spellings
from halo.tables.readers import LINE

PAGE_RESIDUES = 1_000_000  # largest number of residues on the page, about 15 MB
STORED = ("structures", "graphs", "embeddings", "language_models")  # folders of a store


@dataclass(frozen=True)
class Part:
    """Proteins of one chunk, and its file.

    The first `explained` of them are on the page.
    """

    table: pd.DataFrame
    explained: int
    file: Path


def predict(
    proteins: Path, bundle: Path, out: Path, settings: PredictSettings | None = None
) -> Path:
    """Predict the proteins of a file; the path of ``predictions.csv``.

    Finished chunks are kept in ``chunks/`` of `out`. Repeating an interrupted call resumes it;
    repeating a finished call only writes the output files again. Chunks with a protein whose
    prediction failed are computed again.

    Parameters
    ----------
    proteins : FASTA, table, or list of accessions; see `halo.predict.records.read_queries`
    bundle : folder of a model bundle
    out : folder to write to
    settings : see `PredictSettings`

    Raises
    ------
    HaloError
        if nothing can be predicted; names the file, line or id, and the fix
    """
    settings = settings or PredictSettings()
    with claimed_folder([proteins, bundle], out, settings) as folder:
        model, queries = read_inputs(proteins, bundle, folder, settings)
        files = predict_chunks(queries.table, model, folder, settings)
        count = write_predictions(folder, files, queries.rejected)
        if not count:
            raise HaloError(f"{proteins}: no protein could be predicted; see {out}/rejected.csv")
        performance = read_performance(model)
        write_page(folder, files, explained_method(model.description), performance)
    table = Path(out) / CSV_FILE
    log.info("%s proteins predicted: %s", f"{count:,}", table)
    log.info("explanations, for a browser: %s", table.with_name(PAGE_FILE))
    return table


def fetch(proteins: Path, bundle: Path, out: Path, settings: PredictSettings) -> Path:
    """Download everything for a later `predict` on a machine without internet access.

    The parameters are those of `predict`, with a store and the stage `FETCH`. Returns the path of
    ``fetched.json``, a summary of the downloads.
    """
    with claimed_folder([proteins, bundle], out, settings) as folder:
        model, queries = read_inputs(proteins, bundle, folder, settings)
        weights = find_language_model(model, settings)
        assert settings.store is not None
        spelt = all_spellings(names_of_all(queries.table))
        counts: Counter[str] = Counter()
        for start in range(0, len(queries.table), settings.chunk):
            members = members_of(queries.table[start : start + settings.chunk])
            _, notes = find_structures(model, settings, settings.store, members, spelt)
            counts.update(note.status for note in notes.values())
        content = {
            "bundle": model.identity(),
            "language_model": {"name": weights.name, "sha256": weights.sha256},
            "proteins": len(queries.table),
            "structures": dict(sorted(counts.items())),
        }
        write_json(folder.claim(FETCHED), content)
    return Path(out) / FETCHED


def predict_sequences(
    sequences: Mapping[str, str], bundle: Path, settings: PredictSettings | None = None
) -> pd.DataFrame:
    """Predict sequences by id, without files; the table that ``predictions.csv`` would be.

    To predict again and again, keep a `halo.predict.predictor.Predictor`. HaloError if an id or
    a sequence cannot be used, or is longer than ``settings.max_length``.
    """
    settings = settings or PredictSettings()
    table = table_of_sequences(sequences, settings)
    settings = noting_unreachable(settings, names_of_all(table))
    with TemporaryDirectory(prefix="halo.") as scratch:
        store = settings.store or Path(scratch)
        with Predictor(read_bundle(bundle), settings, store) as predictor:
            chunk = predictor.predict(table)
    for record in chunk.rejected:
        raise HaloError(f"protein {record.id!r} cannot be predicted: {record.detail}")
    return table_of(chunk.header, chunk.records)


def table_of_sequences(sequences: Mapping[str, str], settings: PredictSettings) -> pd.DataFrame:
    """Sequences by id as the table of `Queries`; HaloError for an id or a sequence without use."""
    records = pd.DataFrame(
        {"id": list(sequences), "sequence": list(sequences.values()), LINE: range(len(sequences))}
    ).astype({"id": str, "sequence": str})
    limits = DatasetSettings(max_length=settings.max_length)
    table = core_table(records, limits)
    for row, (reason, detail) in identity_faults(table).items():
        raise HaloError(f"protein {table['id'].iat[row]!r}: {reason} ({detail}); change the id")
    for row, (reason, detail) in sequence_faults(table, limits, "settings.{}").items():
        raise HaloError(f"protein {table['id'].iat[row]!r}: {reason} {detail}; fix the sequence")
    return table


@contextmanager
def claimed_folder(
    inputs: Sequence[Path], out: Path, settings: PredictSettings
) -> Iterator[OutputFolder]:
    """The output folder `out`; raises a HaloError if an input would be overwritten.

    `inputs` are files and folders that the user gives, in addition to those of `settings`.
    """
    given = [*inputs, settings.structures, settings.language_model]
    if settings.embeddings is not None:
        given.append(split_pattern(settings.embeddings)[0])
    if settings.store is not None:
        given += [settings.store, *(settings.store / kind for kind in STORED)]
    with path_faults(), output_folder(Path(out), [Path(path) for path in given if path]) as folder:
        yield folder


def read_inputs(
    proteins: Path,
    bundle: Path,
    out: OutputFolder,
    settings: PredictSettings,
    with_genes: bool = False,
    listed_in: str = REJECTED_FILE,
) -> tuple[Bundle, Queries]:
    """The bundle, and the proteins to predict; see `halo.predict.records.read_queries`."""
    ask = settings.download and settings.stage != PREDICT
    model = read_bundle(bundle)
    transport = settings.transport if ask else None
    known = KnownSequences(out.path / SEQUENCES, lambda: out.claim(SEQUENCES))
    queries = read_queries(proteins, transport, known, settings.max_length, with_genes, listed_in)
    if settings.embeddings is not None:
        layer = model.description.embeddings.layer
        queries = embedded_queries(queries, opened(settings.embeddings, layer))
    return model, queries


def predict_chunks(
    table: pd.DataFrame,
    bundle: Bundle,
    out: OutputFolder,
    settings: PredictSettings,
    spelt: Mapping[str, str] | None = None,
) -> list[Path]:
    """Predict the proteins of `table` in chunks; the files of the chunks, in its order.

    `spelt` are the spellings of the names of the whole input, None if `table` is all of it.
    Chunks that are finished are kept. Those with a failed prediction are not: see `_finished`.
    """
    if spelt is None:
        spelt = all_spellings(names_of_all(table))
    parts = _parts(table, out.path, bundle, settings, spelt)
    missing = [part for part in parts if not _finished(part.file, settings)]
    if missing:
        names = pd.concat([names_of_all(part.table) for part in missing])
        settings = noting_unreachable(settings, names)
        missing = [part for part in missing if not _finished(part.file, settings)]
    log.info(
        "%s proteins, %s of %s chunks to do",
        f"{len(table):,}", f"{len(missing):,}", f"{len(parts):,}",
    )  # fmt: skip
    if missing:
        _predict_parts(missing, bundle, settings, out, spelt)
    return [part.file for part in parts]


def _predict_parts(
    missing: list[Part],
    bundle: Bundle,
    settings: PredictSettings,
    out: OutputFolder,
    spelt: Mapping[str, str],
) -> None:
    """Predict the missing chunks, with embeddings and graphs in a temporary folder.

    Each chunk has its own folder: batches shared with other proteins, which a killed call may have
    left, would change results by rounding.
    """
    out.claim(CHUNKS)
    store = settings.store or out.claim(STORE)
    progress = Progress(sum(len(part.table) for part in missing), "predicted proteins")
    with (
        out.scratch() as scratch,
        Predictor(bundle, settings, store, settings.store or scratch, spelt) as predictor,
    ):
        for part in missing:
            write_chunk(part.file, predictor.predict(part.table, part.explained))
            for folder in scratch.iterdir():
                shutil.rmtree(folder)
            progress.add(len(part.table))


def names_of_all(table: pd.DataFrame) -> pd.Series:
    """The accessions and ids of the proteins."""
    names = pd.concat([table["accession"], table["id"]])
    return names[names != ""]


def _parts(
    table: pd.DataFrame,
    out: Path,
    bundle: Bundle,
    settings: PredictSettings,
    spelt: Mapping[str, str],
) -> list[Part]:
    common, files = _common(bundle, settings), StructureFiles(settings, spelt)
    shown = min(settings.page, int((np.cumsum(table["length"]) <= PAGE_RESIDUES).sum()))
    parts = []
    for start in range(0, len(table), settings.chunk):
        some = table[start : start + settings.chunk]
        explained = min(max(0, shown - start), len(some))
        name = _name(some, explained, files, common)
        parts.append(Part(some, explained, out / CHUNKS / f"{name}.json"))
    return parts


def _finished(file: Path, settings: PredictSettings) -> bool:
    """Whether a chunk exists, and neither a prediction nor a repeatable structure search failed.

    A prediction may have failed by the machine, such as by too little memory; another call may have
    more, or another device.
    """
    if not file.exists():
        return False
    chunk = read_chunk(file)
    searches = [record["structure"] for record in chunk.records]
    # A wrong structure file fails again until it is replaced, which changes the chunk's name.
    asked = ("",) if settings.unreachable else ("", "afdb")
    failed = any(s["status"] == "error" and s["source"] in asked for s in searches)
    return not (failed or chunk.rejected) and is_whole(file, chunk)


def _common(bundle: Bundle, settings: PredictSettings) -> dict[str, Any]:
    """Everything that the content of all chunks depends on."""
    return {
        "halo": __version__,
        "code": package_digest(),
        "bundle": bundle.sha256,
        "structures": [source.description() for source in settings.sources()],
        "server": settings.transport.base_url if settings.download else None,
        "precision": settings.precision,
        "embeddings": settings.embeddings
        and opened(settings.embeddings, bundle.description.embeddings.layer).digest,
    }


def _name(
    table: pd.DataFrame, explained: int, files: StructureFiles, common: Mapping[str, Any]
) -> str:
    """Name of a chunk: a digest of everything that its content depends on."""
    columns = ["id", "accession", "seq_hash", LINE]
    names = zip(table["accession"], table["id"], strict=True)
    content = {
        **common,
        "proteins": table[columns].astype(str).to_numpy().tolist(),
        "files": [files.of(filter(None, pair)) for pair in names],
        "explained": explained,
    }
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:20]
