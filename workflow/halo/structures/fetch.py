"""Fetch structures for the proteins of some buckets that are not in the store yet."""

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date
from itertools import islice
from pathlib import Path

from halo.cli import Progress, log
from halo.errors import HaloError
from halo.proteins.members import Member
from halo.store import Store
from halo.structures.afdb import AlphaFoldDb
from halo.structures.archive import open_archive
from halo.structures.contacts import Contacts
from halo.structures.files import NO_SPELLINGS, open_folder
from halo.structures.layout import LAYOUT, STATUSES, Note
from halo.structures.resolve import Name, make_directory, names_of
from halo.structures.search import search
from halo.structures.settings import SourceSettings, StructureSettings, TransportSettings
from halo.structures.sources import Source, names_to_try
from halo.structures.staging import Staging
from halo.structures.transport import Client

SETTLE_RESIDUES = 6_000_000  # staged residues (about 250 MB) before segments are written
AFDB = TransportSettings().base_url
ERRORS_IN_A_ROW = 20  # consecutive errors after which the server is considered down


@dataclass(frozen=True)
class Wanted:
    """A protein to search for, and the names for the search."""

    member: Member
    names: Sequence[Name]


def fetch_structures(
    members: Mapping[str, Sequence[Member]],
    root: Path,
    settings: StructureSettings,
    transport: TransportSettings,
    shard: Path | None = None,
    unreachable: str = "",
    spelt: Mapping[str, str] = NO_SPELLINGS,
) -> tuple[Store, dict[str, Note]]:
    """Fetch the structures of `members`, by bucket, into the store below `root`.

    `shard` is the shard file that is registered in the store. With `unreachable`, the reason why
    AlphaFold DB is not asked, each search that needs it fails, and this function does not.
    `spelt` are the spellings of all names of the input of which `members` are a part, see
    `halo.structures.files.select_names`.

    Returns the store and the result of each search by sequence hash, including earlier runs.
    Proteins in the store are not searched again unless the local files of a source have changed.
    Proteins without a usable structure are searched again if `settings.retry_missing` is set,
    `settings.retry_after_days` have passed, or they have a new name.

    Raises
    ------
    HaloError
        if the server cannot be reached or too many searches fail; structures fetched until then are
        kept
    """
    store = Store.create(root, "structures", settings.description(), LAYOUT, shard)
    staging = Staging(store)
    for bucket in members:
        staging.settle(bucket)
    everyone = [member for bucket in members.values() for member in bucket]
    notes = {
        member.seq_hash: Note.from_json(store.attributes(member.seq_hash)["manifest"])
        for member in everyone
        if member.seq_hash in store
    }
    doubtful = [member for member in everyone if _is_doubtful(notes.get(member.seq_hash))]
    directory = make_directory(doubtful, settings.names, settings.sequences, root / "archives")
    names = {member.seq_hash: names_of(member, directory) for member in everyone}
    with closing(Client(transport, unreachable)) as client:
        sources = _open_all(
            settings, client, _candidates(names, notes), root / "archives", doubtful, spelt
        )
        local = _Local(sources)
        server = _server(settings, transport)
        wanted = [
            Wanted(member, names[member.seq_hash])
            for member in everyone
            if _is_wanted(member, notes.get(member.seq_hash), names, settings, local, server)
        ]
        log.info("%s proteins, %s to search for", f"{len(everyone):,}", f"{len(wanted):,}")
        if not settings.sources:
            log.info("structures.sources is empty: none is found")
        store.require_writable(job.member.seq_hash for job in wanted)

        def find(job: Wanted) -> Note:
            result = search(job.member.sequence, job.names, sources, settings)
            state = local.state(job.member, result.note)
            note = replace(result.note, state=state, server=server)
            if note.status != "error" or note.source != "afdb":
                staging.put(job.member.seq_hash, replace(result, note=note))
            return note

        pairs = _concurrently(find, wanted, transport.concurrency)
        new_notes = _collect(pairs, len(wanted), client, lambda: _settle(staging, members))
    if not unreachable:
        _check_errors(new_notes, transport)
    return store, notes | new_notes


def _is_doubtful(note: Note | None) -> bool:
    """Whether a search with another name could find a structure."""
    return note is None or note.status not in ("ok", "too_long")


def _candidates(names: Mapping[str, Sequence[Name]], notes: Mapping[str, Note]) -> frozenset[str]:
    """All names by which files are looked up."""
    texts = {name.text for own in names.values() for name in own}
    texts |= {text for note in notes.values() for text in (note.accession, *note.asked) if text}
    return frozenset(name for text in texts for name in names_to_try(text))


def _is_wanted(
    member: Member,
    note: Note | None,
    names: Mapping[str, Sequence[Name]],
    settings: StructureSettings,
    local: "_Local",
    server: str,
) -> bool:
    """Whether to search for a protein, given the result of an earlier search if any.

    What another server does not have says nothing: its address may have been wrong.
    """
    if note is None or note.status == "error" or local.has_changed(member, note):
        return True
    if not _is_doubtful(note):
        return False
    if note.server != server and note.status != "too_long":
        return True
    new_name = not {name.text for name in names[member.seq_hash]} <= set(note.asked)
    return settings.retry_missing or new_name or _is_old(note, settings.retry_after_days)


def _server(settings: StructureSettings, transport: TransportSettings) -> str:
    """The address that is asked in place of AlphaFold DB; "" where it is that, or none is."""
    asked = any(source.kind == "afdb" for source in settings.sources)
    return transport.base_url if asked and transport.base_url != AFDB else ""


def _is_old(note: Note, days: int | None) -> bool:
    if days is None or not note.date:
        return False
    return (date.today() - date.fromisoformat(note.date)).days >= days


class _Local:
    """Local files of proteins in the sources, now and at the time of an earlier search."""

    def __init__(self, sources: Sequence[tuple[SourceSettings, Source]]) -> None:
        self._sources = sources

    def state(self, member: Member, note: Note) -> tuple[str, ...]:
        """State of the files in each source, up to the one of the structure."""
        names = list(filter(None, note.asked or (*member.accessions, note.accession)))
        kinds = [settings.kind for settings, _ in self._sources]
        stop = len(kinds)
        if note.status == "ok" and note.source in kinds:
            stop -= kinds[::-1].index(note.source)
        states = tuple(source.state(names) for _, source in self._sources[:stop])
        return states if any(states) else ()

    def has_changed(self, member: Member, note: Note) -> bool:
        """Whether the files have changed."""
        return bool(self._sources) and self.state(member, note) != note.state


def _open_all(
    settings: StructureSettings,
    client: Client,
    candidates: frozenset[str],
    cache: Path,
    doubtful: Sequence[Member],
    spelt: Mapping[str, str],
) -> list[tuple[SourceSettings, Source]]:
    """Open the sources; returns none if one is missing and no protein needs it."""
    try:
        return [
            (source, _open(source, client, candidates, cache, spelt)) for source in settings.sources
        ]
    except HaloError as error:
        if doubtful:
            raise
        log.warning("%s; all structures are in the store, and used as they are", error)
        return []


def _open(
    source: SourceSettings,
    client: Client,
    candidates: frozenset[str],
    cache: Path,
    spelt: Mapping[str, str],
) -> Source:
    match source.kind:
        case "afdb":
            return AlphaFoldDb(client, source.version)
        case "folder":
            return open_folder(source, candidates, spelt)
        case "archive":
            return open_archive(source, candidates, cache, spelt)
        case "contacts":
            return Contacts(source, candidates)
    raise HaloError(
        f"structures.sources: unknown kind {source.kind!r}; known are afdb, folder, archive, "
        "contacts"
    )


def _concurrently(
    find: Callable[[Wanted], Note], wanted: Iterable[Wanted], threads: int
) -> Generator[tuple[Wanted, Note], None, None]:
    """Yield notes in the order of completion, with a bounded queue of searches.

    If the caller stops the iteration, searches that have not started are cancelled.
    """
    running: dict[Future[Note], Wanted] = {}
    jobs = iter(wanted)
    with ThreadPoolExecutor(threads) as pool:
        try:
            while True:
                for job in islice(jobs, 2 * threads - len(running)):
                    running[pool.submit(find, job)] = job
                if not running:
                    return
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield running.pop(future), future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _collect(
    pairs: Generator[tuple[Wanted, Note], None, None],
    total: int,
    client: Client,
    settle: Callable[[], None],
) -> dict[str, Note]:
    """Collect the notes and write segments regularly; raises a HaloError if the server is down."""
    notes: dict[str, Note] = {}
    progress = Progress(total, "searches for a structure")
    in_a_row = residues = 0
    with closing(pairs):
        for job, note in pairs:
            notes[job.member.seq_hash] = note
            progress.add()
            residues += note.n_residues
            if residues > SETTLE_RESIDUES:
                settle()
                residues = 0
            if client.unreachable and note.source == "afdb":
                continue  # said once, by the caller
            if note.status == "error":
                log.warning("%s: %s", " ".join(job.member.accessions), note.message)
            if note.source == "afdb":  # errors of local files concern one protein only
                in_a_row = in_a_row + 1 if note.status == "error" else 0
                _check_server(note, in_a_row, client)
    settle()
    return notes


def _settle(staging: Staging, buckets: Iterable[str]) -> None:
    for bucket in buckets:
        staging.settle(bucket)


def _check_server(note: Note, in_a_row: int, client: Client) -> None:
    if note.status == "error" and not client.answered:
        raise HaloError(
            f"{client.settings.base_url} cannot be reached: {note.message}. Run this stage "
            "where there is internet, fix structures.transport.base_url (halo predict: --afdb), "
            "or remove `afdb` from structures.sources (halo predict: --no-download); finished "
            "downloads are kept"
        )
    if in_a_row >= ERRORS_IN_A_ROW:
        raise HaloError(
            f"{in_a_row} searches in a row failed, the last: {note.message}. Run again later; "
            "what was found is kept"
        )


def _check_errors(notes: Mapping[str, Note], transport: TransportSettings) -> None:
    errors = [
        note.message for note in notes.values() if note.status == "error" and note.source == "afdb"
    ]
    if len(errors) > transport.max_error_share * len(notes):
        raise HaloError(
            f"{len(errors):,} of {len(notes):,} searches failed, more than "
            f"structures.transport.max_error_share = {transport.max_error_share:g} allows; "
            f"the first: {errors[0]}. Run again (what was found is kept), or raise that share "
            "to go on without these structures"
        )
    if errors:
        log.warning(
            "%s searches failed, the first: %s; they are repeated with the next search",
            f"{len(errors):,}",
            errors[0],
        )


def summary(notes: Iterable[Note]) -> str:
    """Statuses with their numbers, as one line."""
    counts = Counter(note.status for note in notes)
    return ", ".join(f"{counts[status]:,} {status}" for status in STATUSES if counts[status])
