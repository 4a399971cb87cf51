"""Search for the structure of one protein in all sources and by all names."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np

from halo.structures.layout import Note, mean_plddt, pack
from halo.structures.match import best_placed, fragment_of
from halo.structures.parse import StructureError
from halo.structures.resolve import Name
from halo.structures.settings import SourceSettings, StructureSettings
from halo.structures.sources import Model, Source
from halo.structures.transport import FetchError

MOST_REASONS = 3  # reasons in a message


@dataclass(frozen=True)
class Result:
    """Arrays for the store, and the note about the search."""

    arrays: Mapping[str, np.ndarray]
    note: Note


def search(
    sequence: str,
    names: Sequence[Name],
    sources: Sequence[tuple[SourceSettings, Source]],
    settings: StructureSettings,
) -> Result:
    """The first structure that matches `sequence`, in the order of the sources, then the names.

    Candidates that do not match or cannot be used are skipped. A server error ends the search with
    the status ``error``, to be repeated later, so that a temporary error never leads to a structure
    of a less preferred source.
    """
    asked = tuple(sorted(name.text for name in names))
    today = date.today().isoformat()
    common: dict[str, Any] = {"asked": asked, "date": today}
    if len(sequence) > settings.max_length:
        message = f"{len(sequence)} residues, more than structures.max_length"
        return Result(pack(), Note("too_long", message=message, **common))
    refused: list[Note] = []
    for source_settings, source in sources:
        for name in names:
            known: dict[str, Any] = {
                **common,
                "resolved": name.how,
                "source": source_settings.kind,
            }
            try:
                for read in source.candidates(name.text, sequence):
                    result = _read(read, sequence, source_settings, settings, known)
                    if result.note.status == "ok":
                        return result
                    refused.append(result.note)
            except FetchError as error:
                return Result(pack(), Note("error", message=str(error), **known))
    if refused:
        return Result(pack(), _reason(refused))
    message = _nowhere([source for _, source in sources], [name.text for name in names])
    return Result(pack(), Note("missing", message=message, **common))


def _reason(refused: Sequence[Note]) -> Note:
    """The note if no candidate could be used; unreadable files are reported first."""
    first = next((note for note in refused if note.status == "error"), refused[0])
    others = [note.message for note in refused if note is not first]
    message = "; ".join([first.message, *others][:MOST_REASONS])
    return replace(first, message=message)


def _nowhere(sources: Sequence[Source], names: Sequence[str]) -> str:
    """Why there is no candidate, including sources that were not searched."""
    if not names:
        return "no accession"
    reasons = [source.not_asked(names) for source in sources]
    said = "; ".join(dict.fromkeys(filter(None, reasons)))
    if reasons and all(reasons):
        return said
    return f"no source has it ({said})" if said else "no source has it"


def _read(
    read: Callable[[], Model],
    sequence: str,
    source: SourceSettings,
    settings: StructureSettings,
    known: Mapping[str, Any],
) -> Result:
    """Read a candidate and compare it with `sequence`; status ``error`` if it cannot be used."""
    try:
        return _fitted(read(), sequence, source, settings, known)
    except StructureError as error:
        return Result(pack(), Note("error", message=str(error), **known))


@contextmanager
def _naming(where: str) -> Iterator[None]:
    """Let errors about a file begin with its path or address, if it is known."""
    try:
        yield
    except StructureError as error:
        raise StructureError(f"{where}: {error}" if where else str(error)) from None


def _fitted(
    model: Model,
    sequence: str,
    source: SourceSettings,
    settings: StructureSettings,
    common: Mapping[str, Any],
) -> Result:
    """Compare `model` with `sequence`; the status is ``ok`` or ``mismatch``."""
    fields = {
        **common,
        "version": model.version,
        "sha256": model.sha256,
        "accession": model.accession,
    }
    if model.contacts is not None:
        if model.length != len(sequence):
            message = f"contacts of {model.length} residues, the protein has {len(sequence)}"
            return Result(pack(), Note("mismatch", message=message, **fields))
        note = Note("ok", n_residues=model.length, **{**fields, "asked": (), "date": ""})
        return Result(pack(contacts=model.contacts), note)

    n = len(model.fragments)
    starts = [*model.starts, *[None] * (n - len(model.starts))]
    places = [*model.places, *[""] * (n - len(model.places))]
    placed = []
    for chains, start, where in zip(model.fragments, starts, places, strict=True):
        with _naming(where):
            placed.append(best_placed(chains, sequence, start))
    identity = min(place.identity for place in placed)
    covered = len(np.unique(np.concatenate([place.position for place in placed])))
    coverage = covered / len(sequence)
    if identity < settings.min_identity or coverage < settings.min_coverage:
        message = _difference(identity, coverage, settings)
        return Result(pack(), Note("mismatch", message=message, **fields))
    fragments = []
    for place, where in zip(placed, places, strict=True):
        with _naming(where):
            fragments.append(fragment_of(place, source.confidence))
    remarks = [model.remark, *(fragment.remark for fragment in fragments)]
    note = Note(
        "ok",
        n_residues=covered,
        mean_plddt=mean_plddt(fragments),
        message="; ".join(dict.fromkeys(filter(None, remarks))),
        **{**fields, "asked": (), "date": ""},
    )
    return Result(pack(fragments), note)


def _difference(identity: float, coverage: float, settings: StructureSettings) -> str:
    shares = (
        f"{100 * identity:.1f} % of the structure's residues are the protein's, "
        f"{100 * coverage:.1f} % of the protein's are in the structure"
    )
    if identity >= settings.min_identity:
        least = f"min_coverage asks for {100 * settings.min_coverage:g} %"
        return f"only a part of the protein: {shares}; {least}"
    return f"another sequence: {shares}"
