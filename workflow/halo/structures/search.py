"""The search for one protein's structure: source by source, name by name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from halo.errors import HaloError
from halo.structures.layout import Note, mean_plddt, pack
from halo.structures.match import best_placed, fragment_of
from halo.structures.resolve import Name
from halo.structures.settings import SourceSettings, StructureSettings
from halo.structures.sources import Model, Source


@dataclass(frozen=True)
class Result:
    """Arrays for the store, and how they were come by."""

    arrays: Mapping[str, np.ndarray]
    note: Note


def search(
    sequence: str,
    names: Sequence[Name],
    sources: Sequence[tuple[SourceSettings, Source]],
    settings: StructureSettings,
) -> Result:
    """The first structure that fits `sequence`, in the order of the sources, then the names.

    A source that fails ends the search, so that a less preferred one never takes its
    place because of a passing fault: the status is then ``error``, for another time.
    """
    asked = tuple(sorted(name.text for name in names))
    if len(sequence) > settings.max_length:
        message = f"{len(sequence)} residues, more than structures.max_length"
        return Result(pack(), Note("too_long", message=message, asked=asked))
    refused: list[Note] = []
    for source_settings, source in sources:
        for name in names:
            common = {"resolved": name.how, "source": source_settings.kind, "asked": asked}
            try:
                model = source.find(name.text, sequence)
                if model is None:
                    continue
                result = _fitted(model, sequence, source_settings, settings, common)
            except HaloError as error:
                return Result(pack(), Note("error", message=str(error), **common))
            if result.note.status == "ok":
                return result
            refused.append(result.note)
    if refused:
        return Result(pack(), refused[0])
    message = "no source has it" if names else "no accession"
    return Result(pack(), Note("missing", message=message, asked=asked))


def _fitted(
    model: Model,
    sequence: str,
    source: SourceSettings,
    settings: StructureSettings,
    common: Mapping[str, object],
) -> Result:
    """`model` compared with `sequence`; the status is ``ok`` or ``mismatch``."""
    found = {
        **common,
        "version": model.version,
        "sha256": model.sha256,
        "accession": model.accession,
    }
    if model.contacts is not None:
        if model.length != len(sequence):
            message = f"contacts of {model.length} residues, the protein has {len(sequence)}"
            return Result(pack(), Note("mismatch", message=message, **found))
        note = Note("ok", n_residues=model.length, **{**found, "asked": ()})
        return Result(pack(contacts=model.contacts), note)

    placed = [best_placed(chains, sequence) for chains in model.fragments]
    identity = min(place.identity for place in placed)
    covered = len(np.unique(np.concatenate([place.position for place in placed])))
    coverage = covered / len(sequence)
    if identity < settings.min_identity or coverage < settings.min_coverage:
        message = (
            f"another sequence: {100 * identity:.1f} % of the structure's residues are the "
            f"protein's, {100 * coverage:.1f} % of the protein's are in the structure"
        )
        return Result(pack(), Note("mismatch", message=message, **found))
    fragments = [fragment_of(place, source.confidence) for place in placed]
    note = Note(
        "ok", n_residues=covered, mean_plddt=mean_plddt(fragments), **{**found, "asked": ()}
    )
    return Result(pack(fragments), note)
