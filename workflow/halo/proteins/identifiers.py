"""Match ids of proteins that differ in form only, such as a prefix or a version."""

import logging
import re
from collections.abc import Iterable, Sequence

log = logging.getLogger(__name__)

_BARS = re.compile(r"(?:sp|tr|ref|gb|emb|dbj|pdb|lcl)\|([^|\s]+)(?:\|(\S*))?")
_PREFIX = re.compile(r"(?i:uniprot(?:kb)?|sp|tr)[:/](\S+)")
_VERSION = re.compile(r"(.+)\.\d{1,3}")
_MODEL = re.compile(r"AF-(.+)-F\d+(?:-model_v\d+)?")


def forms(text: str) -> tuple[str, ...]:
    """Other forms of the id `text`, without `text` itself.

    For ``sp|P38798|NMD2_YEAST`` the accession and the entry name; for ``UniProtKB:P38798`` and
    ``AF-P38798-F1-model_v4`` the accession; and each form without its version
    (``NP_000537.3``). An isoform (``P38798-2``) is a different protein and is not shortened.
    """
    names = [text]
    if bars := _BARS.match(text):
        names += [part for part in bars.groups() if part]
    for pattern in (_PREFIX, _MODEL):
        if match := pattern.fullmatch(text):
            names.append(match[1])
    names += [match[1] for name in names if (match := _VERSION.fullmatch(name))]
    return tuple(dict.fromkeys(names[1:]))


def matched(ids: Sequence[str], given: Iterable[str], what: str) -> dict[str, str]:
    """Map each of `given` to the id in `ids` that it equals, or whose form it shares uniquely.

    Parameters
    ----------
    ids : ids of the proteins
    given : ids in another table
    what : name of that table, for log messages about matches by form
    """
    own = set(ids)
    given = list(dict.fromkeys(given))
    plain = {name: name for name in given if name in own}
    index: dict[str, set[str]] = {}
    for name in own - plain.keys():
        for form in (name, *forms(name)):
            index.setdefault(form, set()).add(name)
    by_form: dict[str, str] = {}
    ambiguous = []
    for name in given:
        if name in plain:
            continue
        candidates = set().union(*(index.get(form, set()) for form in (name, *forms(name))))
        if len(candidates) == 1:
            by_form[name] = candidates.pop()
        elif candidates:
            ambiguous.append(name)
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
