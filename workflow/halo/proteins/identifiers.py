"""Match ids of proteins that differ in form only, such as a prefix or a version."""

import logging
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")

_BARS = re.compile(r"(?:sp|tr|ref|gb|emb|dbj|pdb|lcl)\|([^|\s]+)(?:\|(\S*))?")
_PREFIX = re.compile(r"(?i:uniprot(?:kb)?|sp|tr)[:/](\S+)")
_VERSION = re.compile(r"(.+)\.\d{1,3}")
_MODEL = re.compile(r"AF-(.+)-F\d+(?:-model_v\d+)?")


def spellings(text: str) -> tuple[str, ...]:
    """The id `text` and its other forms, each with the version that it has.

    For ``sp|P38798|NMD2_YEAST`` also the accession and the entry name; for ``UniProtKB:P38798``
    and ``AF-P38798-F1-model_v4`` the accession.
    """
    names = [text]
    if bars := _BARS.match(text):
        names += [part for part in bars.groups() if part]
    for pattern in (_PREFIX, _MODEL):
        if match := pattern.fullmatch(text):
            names.append(match[1])
    return tuple(dict.fromkeys(names))


def without_version(names: Iterable[str]) -> tuple[str, ...]:
    """Those of the `names` that have a version (``NP_000537.3``), without it.

    An isoform (``P38798-2``) is a different protein and is not shortened.
    """
    return tuple(match[1] for name in names if (match := _VERSION.fullmatch(name)))


def forms(text: str) -> tuple[str, ...]:
    """Other forms of the id `text`: its `spellings`, with and without their version."""
    names = spellings(text)
    return tuple(dict.fromkeys([*names, *without_version(names)]))[1:]


class Forms(Generic[T]):
    """Values by all forms of their id.

    A version may be missing on one side: ``X.3`` is found as ``X``, and ``X`` as ``X.3``. Two
    versions are different proteins: splice forms (``AT1G01010.1``) and genes
    (``fig|83333.1.peg.4``) are numbered in the same way.
    """

    def __init__(self, values: Iterable[tuple[str, T]]) -> None:
        self._full: dict[str, dict[T, None]] = {}
        self._short: dict[str, dict[T, None]] = {}
        for text, value in values:
            names = spellings(text)
            for form in names:
                self._full.setdefault(form, {})[value] = None
            for form in without_version(names):
                self._short.setdefault(form, {})[value] = None

    def of(self, text: str) -> list[T]:
        """The values whose id has a form of `text`."""
        names = spellings(text)
        found = [index.get(form, {}) for index in (self._full, self._short) for form in names]
        found += [self._full.get(form, {}) for form in without_version(names)]
        return list(dict.fromkeys(value for values in found for value in values))


def matched(ids: Sequence[str], given: Iterable[str], what: str) -> dict[str, str]:
    """Map each of `given` to the id in `ids` that it equals, or whose form it alone has.

    An id that is equal to one of `given` has no other forms, and of several that have a form of
    the same id none is used: they may be of different proteins.

    Parameters
    ----------
    ids : ids of the proteins
    given : ids in another table
    what : name of that table, for log messages about matches by form
    """
    own = set(ids)
    given = list(dict.fromkeys(given))
    plain = {name: name for name in given if name in own}
    index = Forms((name, name) for name in sorted(own))
    by_form: dict[str, str] = {}
    ambiguous = []
    for name in given:
        if name in plain:
            continue
        candidates = index.of(name)
        if len(candidates) > 1:
            ambiguous.append(name)
        elif candidates and candidates[0] not in plain:
            by_form[name] = candidates[0]
    counts = Counter(by_form.values())
    competing = [name for name, of in by_form.items() if counts[of] > 1]
    if competing:
        log.warning(
            "%s: %s ids have the form of a protein that others have, too, such as %s of %s, and "
            "are not used; give the protein's id",
            *(what, f"{len(competing):,}", competing[0], by_form[competing[0]]),
        )
    by_form = {name: of for name, of in by_form.items() if counts[of] == 1}
    if by_form:
        first = next(iter(by_form))
        log.info(
            "%s: %s ids are matched by their forms, such as %s as %s",
            *(what, f"{len(by_form):,}", first, by_form[first]),
        )
    if ambiguous:
        log.warning(
            "%s: %s ids match several proteins and none exactly, such as %s",
            *(what, f"{len(ambiguous):,}", ambiguous[0]),
        )
    return plain | by_form
