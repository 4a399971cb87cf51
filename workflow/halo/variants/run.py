"""Predict variants, with bounded memory; interrupted calls are resumed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from halo.cli import log
from halo.embeddings.registry import LANGUAGE_MODELS
from halo.embeddings.weights import FILE
from halo.errors import HaloError
from halo.files import read_text_table, write_text
from halo.predict.bundle import Bundle
from halo.predict.folder import (
    REJECTED_VARIANTS,
    STORE,
    VARIANTS_CSV,
    VARIANTS_PAGE,
    OutputFolder,
)
from halo.predict.output import read_chunk
from halo.predict.records import STANDARD_INPUT
from halo.predict.run import (
    claimed_folder,
    names_of_all,
    predict_chunks,
    read_inputs,
    table_of_sequences,
)
from halo.predict.settings import PredictSettings
from halo.predict.sources import find_structures, noting_unreachable
from halo.proteins.ingest import Rejected
from halo.proteins.members import members_of
from halo.structures.files import all_spellings
from halo.variants.chunks import Chunks, Protein, Structure, compute, read_known, unusable
from halo.variants.read import read_variants
from halo.variants.records import write
from halo.variants.scan import fault
from halo.variants.settings import VariantSettings
from halo.variants.wildtypes import WildTypes, wild_types


def variants(
    wildtypes: Path,
    listed: Path | None,
    bundle: Path,
    out: Path,
    settings: VariantSettings | None = None,
) -> Path:
    """Predict variants; the path of ``variants.html``.

    Finished chunks are kept in ``chunks/`` of `out`. Repeating an interrupted call resumes it.

    Parameters
    ----------
    wildtypes : proteins, see `halo.predict.records.read_queries`
    listed : variants of them, see `halo.variants.read.read_variants`; None for a scan alone
    bundle : folder of a model bundle
    out : folder to write to
    settings : see `VariantSettings`

    Raises
    ------
    HaloError
        if nothing can be predicted; names the file, line or id, and the fix
    """
    settings = settings or VariantSettings()
    if listed is None and settings.scan is None:
        raise HaloError("no variants: give a file of variants, or --scan")
    if listed == wildtypes == STANDARD_INPUT:
        raise HaloError("-: wild types and variants cannot both be the standard input")
    inputs = [wildtypes, bundle, *([listed] if listed else [])]
    with claimed_folder(inputs, out, settings.predict) as folder:
        model, queries = read_inputs(
            wildtypes, bundle, folder, settings.predict, True, REJECTED_VARIANTS
        )
        if model.description.language_model.source == FILE:
            raise HaloError(
                f"{bundle}: trained on embeddings of a file, and HALO does not compute those of "
                "variants; use a bundle whose language model HALO computes"
            )
        own = noting_unreachable(settings.predict, names_of_all(queries.table))
        settings = replace(settings, predict=own)
        rows = queries.table.set_index("id", drop=False)
        proteins = {
            row.id: Protein(row.id, row.sequence, row.seq_hash)
            for row in rows.itertuples(index=False)
        }
        place = "standard input" if wildtypes == STANDARD_INPUT else wildtypes.name
        rejected = [replace(record, file=place) for record in queries.rejected]
        if listed is not None:
            limit = settings.predict.max_length
            rejected += _add_listed(listed, wild_types(queries), proteins, limit)
        if settings.scan is not None:
            rejected += _add_scans(proteins.values(), settings)
        used = [one for one in proteins.values() if one.listed or one.is_scanned]
        table = rows.loc[[protein.id for protein in used]].reset_index(drop=True)
        spelt = all_spellings(names_of_all(queries.table))
        header, failed = _predict_wildtypes(table, proteins, model, folder, settings, spelt)
        for protein in used:
            if protein.id in failed:
                rejected += unusable(protein, f"{protein.id}: {failed[protein.id]}")
        used = [protein for protein in used if protein.id not in failed]
        structures = _structures(table, model, folder, settings, spelt)
        chunks = Chunks(model, folder, settings, structures)
        for protein in used:
            protein.has_structure = structures(protein) is not None
        compute(used, chunks, model, folder, settings)
        for protein in used:
            rejected += read_known(protein, chunks)
        used = [protein for protein in used if len(protein.probabilities)]
        write(folder, header, used, chunks, rejected, settings)
    page = Path(out) / VARIANTS_PAGE
    log.info("results, for a browser: %s", page)
    return page


def predict_variants(
    wildtypes: Mapping[str, str],
    notations: Sequence[str],
    bundle: Path,
    settings: VariantSettings | None = None,
) -> pd.DataFrame:
    """Predict variants without files; the table that ``variants.csv`` would be.

    Parameters
    ----------
    wildtypes : sequences by id
    notations : variants, such as ``R97C``; with several wild types, ``id:R97C``
    bundle : folder of a model bundle
    settings : see `VariantSettings`; without a scan

    Raises
    ------
    HaloError
        if a variant or a wild type cannot be used or predicted
    """
    settings = replace(settings or VariantSettings(), scan=None)
    _require_usable(wildtypes, settings.predict)
    with TemporaryDirectory(prefix="halo.") as folder:
        fasta, listed = Path(folder, "wildtypes.fasta"), Path(folder, "variants.txt")
        write_text(fasta, "".join(f">{name}\n{text}\n" for name, text in wildtypes.items()))
        write_text(listed, "".join(f"{text}\n" for text in notations))
        out = Path(folder, "out")
        variants(fasta, listed, bundle, out, settings)
        for record in read_text_table(out / REJECTED_VARIANTS).to_dict("records"):
            kind = "wild type" if record["file"] else "variant"
            raise HaloError(f"{kind} {record['id']}: {record['detail']}")
        return pd.read_csv(out / VARIANTS_CSV, keep_default_na=False)


def _require_usable(wildtypes: Mapping[str, str], settings: PredictSettings) -> None:
    """Raise a HaloError for a wild type that would be rejected, or lost in a FASTA."""
    for name in table_of_sequences(wildtypes, settings)["id"]:
        if name.split() != [name]:
            raise HaloError(f"wild type {name!r}: white space in the id; give an id without it")


def _add_listed(
    listed: Path, known: WildTypes, proteins: Mapping[str, Protein], max_length: int
) -> list[Rejected]:
    """Add the variants of a file to their wild types; what cannot be used."""
    variants, rejected = read_variants(listed, known, max_length)
    for variant in variants:
        proteins[variant.protein].listed.append(variant)
    return rejected


def _add_scans(proteins: Iterable[Protein], settings: VariantSettings) -> list[Rejected]:
    """Let the proteins be scanned; those that cannot be.

    HaloError if none can be, and there are no other variants.
    """
    assert settings.scan is not None
    rejected = []
    for protein in proteins:
        reason = fault(protein.sequence, settings.scan, settings.window)
        protein.is_scanned = not reason
        if reason:
            log.warning("%s is not scanned: %s", protein.id, reason)
            rejected.append(Rejected(protein.id, 0, "too short", reason))
    if not any(protein.is_scanned or protein.listed for protein in proteins):
        raise HaloError(f"{rejected[0].id} cannot be scanned: {rejected[0].detail}")
    return rejected


def _predict_wildtypes(
    table: pd.DataFrame,
    proteins: Mapping[str, Protein],
    model: Bundle,
    folder: OutputFolder,
    settings: VariantSettings,
    spelt: Mapping[str, str],
) -> tuple[dict[str, Any], dict[str, str]]:
    """Predict and explain the wild types; sets their `record`.

    Returns what is common to all predictions, and why wild types could not be predicted, by id.
    """
    failed: dict[str, str] = {}
    header: dict[str, Any] = {}
    for file in predict_chunks(table, model, folder, settings.predict, spelt):
        chunk = read_chunk(file)
        header = dict(chunk.header)
        failed |= {record.id: record.detail for record in chunk.rejected}
        for record in chunk.records:
            proteins[record["id"]].record = record
    return header, failed


def _structures(
    table: pd.DataFrame,
    model: Bundle,
    folder: OutputFolder,
    settings: VariantSettings,
    spelt: Mapping[str, str],
) -> Callable[[Protein], Structure]:
    """What reads the structure of a wild type; None where it has none, or none is used."""
    if not _uses_structures(model):
        return lambda protein: None
    own = settings.predict
    place = own.store or folder.claim(STORE)
    store, _ = find_structures(model, own, place, members_of(table), spelt)

    def read(protein: Protein) -> Structure:
        if protein.seq_hash not in store:
            return None
        arrays = store.read(protein.seq_hash)
        return arrays if len(arrays["coordinates"]) or len(arrays["contacts"]) else None

    return read


def _uses_structures(model: Bundle) -> bool:
    """Whether the language model or a network of a bundle reads structures."""
    members = [member for one in model.description.models for member in one.members]
    reads = LANGUAGE_MODELS[model.model_class].reads_structures
    return reads or any(member.method_class != "esm" for member in members)
