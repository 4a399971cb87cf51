"""Ids of one protein in several forms: matched where the plain ids do not."""

import logging
import re
from collections.abc import Iterable, Sequence

log = logging.getLogger(__name__)

_BARS = re.compile(r"(?:sp|tr|ref|gb|emb|dbj|pdb|lcl)\|([^|\s]+)(?:\|(\S*))?")
_PREFIX = re.compile(r"(?i:uniprot(?:kb)?|sp|tr)[:/](\S+)")
_VERSION = re.compile(r"(.+)\.\d{1,3}")
_MODEL = re.compile(r"AF-(.+)-F\d+(?:-model_v\d+)?")


def forms(text: str) -> tuple[str, ...]:
    """Other ids by which the protein `text` may be known, without `text` itself.

    Of ``sp|P38798|NMD2_YEAST`` the accession and the entry name, of ``UniProtKB:P38798`` and
    ``AF-P38798-F1-model_v4`` the accession, and of each the id without its version
    (``NP_000537.3``). An isoform (``P38798-2``) is another protein and stays what it is.
    """
    found = [text]
    if bars := _BARS.match(text):
        found += [part for part in bars.groups() if part]
    for pattern in (_PREFIX, _MODEL):
        if match := pattern.fullmatch(text):
            found.append(match[1])
    found += [match[1] for name in found if (match := _VERSION.fullmatch(name))]
    return tuple(dict.fromkeys(found[1:]))


def matched(ids: Sequence[str], given: Iterable[str], what: str) -> dict[str, str]:
    """For each of `given` that is one of `ids`, or a form of exactly one of them, that id.

    Parameters
    ----------
    ids : of the proteins
    given : ids in another table
    what : that table, for the log, which says how many matched by form
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
        found = set().union(*(index.get(form, set()) for form in (name, *forms(name))))
        if len(found) == 1:
            by_form[name] = found.pop()
        elif found:
            ambiguous.append(name)
    if by_form:
        first = next(iter(by_form))
        log.info(
            "%s: %s ids are matched by their forms, such as %s as %s",
            *(what, f"{len(by_form):,}", first, by_form[first]),
        )
    if ambiguous:
        log.warning(
            "%s: %s ids fit to several proteins and to none exactly, such as %s",
            *(what, f"{len(ambiguous):,}", ambiguous[0]),
        )
    return plain | by_form
