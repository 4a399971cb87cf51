"""Find the language model and the structures of a prediction."""

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from halo.embeddings.files import opened
from halo.embeddings.find import find_weights
from halo.embeddings.hub import cached
from halo.embeddings.published import PUBLISHED
from halo.embeddings.weights import DOWNLOADS, FILE, Weights
from halo.errors import HaloError
from halo.predict.bundle import Bundle
from halo.predict.settings import PATTERNS, PREDICT, PredictSettings
from halo.proteins.accessions import parse_accession
from halo.proteins.members import Member
from halo.store import Store
from halo.structures.fetch import fetch_structures
from halo.structures.files import NO_SPELLINGS, NamePattern, files_below
from halo.structures.layout import LAYOUT, Note
from halo.structures.resolve import Directory, names_of
from halo.structures.search import search
from halo.structures.settings import StructureSettings, TransportSettings
from halo.structures.sources import names_to_try
from halo.structures.transport import why_unreachable

log = logging.getLogger(__name__)


def find_language_model(bundle: Bundle, settings: PredictSettings) -> Weights:
    """The pretrained language model of the bundle, verified by its sha256, or a given file.

    Raises
    ------
    HaloError
        if it is not available, or if it is a different one
    """
    wanted = bundle.description.language_model
    given = settings.language_model or bundle.language_model
    if settings.embeddings is not None:
        return _embedding_file(bundle, settings.embeddings)
    if wanted.source == FILE:
        raise HaloError(
            f"{bundle.folder}: trained on embeddings by {wanted.name}, which HALO does not "
            "compute; give a file of its embeddings of the proteins: --embeddings"
        )
    if given is not None and not given.exists():
        raise HaloError(f"--language-model: there is no file {given}; correct the path")
    name = wanted.name
    if given is None and name not in PUBLISHED and cached(name) is None:
        raise HaloError(
            f"{bundle.folder}: it needs the language model {name} (sha256 {wanted.sha256}), "
            "which is not in Hugging Face's cache and which HALO does not download; give the path "
            "of the checkpoint or of its folder: --language-model; a bundle that is made with "
            "release.language_model: true contains it"
        )
    weights = find_weights(str(given or name), _downloads(settings), None)
    if weights.sha256 != wanted.sha256:
        raise HaloError(
            f"{weights.path}: its sha256 is {weights.sha256}, but the bundle {bundle.folder} was "
            f"trained with {name}, sha256 {wanted.sha256}; give that checkpoint "
            "(--language-model), or delete this one if it is a damaged download"
        )
    return replace(weights, name=name)


def _embedding_file(bundle: Bundle, path: str) -> Weights:
    """The file of embeddings; HaloError if the bundle needs those of fine-tuned models."""
    if any(model.adapter for model in bundle.description.models):
        raise HaloError(
            f"--embeddings: the bundle {bundle.folder} has fine-tuned language models, whose "
            "embeddings no file has; leave the option out"
        )
    file = opened(path, bundle.description.embeddings.layer)
    return Weights(bundle.description.language_model.name, path, file.digest, source=FILE)


def find_structures(
    bundle: Bundle,
    settings: PredictSettings,
    store: Path,
    members: Mapping[str, Sequence[Member]],
    spelt: Mapping[str, str] = NO_SPELLINGS,
) -> tuple[Store, dict[str, Note]]:
    """The store of structures, and the result of the search for each sequence.

    `spelt` are the spellings of all names of the input, of which `members` may be a chunk.

    Single failed searches are recorded in the result. An unreachable server is an error, unless
    `settings.unreachable` says that it is not asked: then it is one of each search that needs it.
    """
    wanted = StructureSettings(
        sources=settings.sources(),
        # The folder may have new files since the last call.
        retry_missing=settings.structures is not None,
        **bundle.description.structures.model_dump(),
    )
    if settings.stage != PREDICT and not wanted.sources:
        return _without_sources(wanted, store, members)
    if settings.stage != PREDICT:
        transport = replace(settings.transport, max_error_share=1.0)
        reason = settings.unreachable
        return fetch_structures(members, store, wanted, transport, unreachable=reason, spelt=spelt)
    structures = Store.create(store, "structures", wanted.description(), LAYOUT)
    names = [member.seq_hash for bucket in members.values() for member in bucket]
    failed = Note("error", message="it was missing when structures were fetched")
    notes = {
        name: Note.from_json(structures.attributes(name)["manifest"])
        for name in names
        if name in structures
    }
    return structures, dict.fromkeys(names, failed) | notes


def noting_unreachable(settings: PredictSettings, names: Iterable[str]) -> PredictSettings:
    """The settings, with `unreachable` where AlphaFold DB does not answer.

    It is tried only if one of the `names` of the proteins is an accession, and if it would be asked
    in the same call. A server that the user has named must answer.
    """
    default = settings.transport.base_url == TransportSettings().base_url
    asked = settings.download and settings.stage is None and default
    if settings.unreachable or not asked or not any(map(parse_accession, names)):
        return settings
    reason = why_unreachable(settings.transport)
    if reason:
        log.warning(
            "AlphaFold DB cannot be reached (%s): proteins are predicted without its structures. "
            "Repeat the call with internet access to use them; --no-download does not ask for them",
            reason,
        )
    return replace(settings, unreachable=reason)


def _without_sources(
    wanted: StructureSettings, store: Path, members: Mapping[str, Sequence[Member]]
) -> tuple[Store, dict[str, Note]]:
    """A store that is empty and is not made, and the reason for each sequence."""
    nothing = Directory({}, {})
    everyone = [member for bucket in members.values() for member in bucket]
    notes = {
        each.seq_hash: search(each.sequence, names_of(each, nothing), (), wanted).note
        for each in everyone
    }
    return Store(store / "structures" / "none", LAYOUT), notes


Files = dict[str, list[list[str | int]]]  # name, size and modification time of files, by protein


def files_by_name(settings: PredictSettings, spelt: Mapping[str, str]) -> tuple[Files, list[str]]:
    """Files in the folder of structures by name of the protein, and those of no protein.

    `spelt` are the spellings of the proteins' names, see `halo.structures.files.all_spellings`.
    """
    files: Files = defaultdict(list)
    if settings.structures is None:
        return files, []
    patterns = [NamePattern(pattern) for pattern in PATTERNS]
    unused = []
    for file in sorted(files_below(settings.structures, 1)):
        told = [told for pattern in patterns if (told := pattern.find(file, spelt))]
        for name in {one.accession for one in told}:
            files[name].append([file, *_size_and_time(settings.structures / file)])
        if not told and any(pattern.read(file) for pattern in patterns):
            unused.append(file)
    return files, unused


def files_of(files: Files, names: Iterable[str]) -> list[list[str | int]]:
    """Name, size and modification time of each file of the protein with these names."""
    texts = dict.fromkeys(text for name in names for text in names_to_try(name))
    return [file for text in texts for file in files.get(text, ())]


class StructureFiles:
    """Files in the folder of structures, by protein.

    Name, size and modification time of a protein's files are part of the name of its chunk, so that
    a changed file repeats the prediction. `spelt` are the spellings of the ids and accessions of
    the proteins.
    """

    def __init__(self, settings: PredictSettings, spelt: Mapping[str, str]) -> None:
        self._files, unused = files_by_name(settings, spelt)
        if unused:
            some = ", ".join(unused[:3])
            log.log(
                logging.INFO if self._files else logging.WARNING,
                "--structures: %s%s files of %s match no protein, such as %s; name a "
                "file after the protein's id or accession",
                "" if self._files else "none is used, ", f"{len(unused):,}", settings.structures,
                some,
            )  # fmt: skip

    def of(self, names: Iterable[str]) -> list[list[str | int]]:
        """Name, size and modification time of each file of the protein with these names."""
        return files_of(self._files, names)


def _size_and_time(path: Path) -> tuple[int, int]:
    """Size in bytes and modification time in nanoseconds; 0 for a broken link."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def _downloads(settings: PredictSettings) -> Path:
    """Folder of downloaded checkpoints: in the store, or the cache of torch.hub like fair-esm."""
    if settings.store is not None:
        return settings.store / DOWNLOADS
    import torch  # slow to import, and only needed for the path of the cache

    return Path(torch.hub.get_dir()) / "checkpoints"
