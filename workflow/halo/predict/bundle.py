"""The model bundle: one folder with all that a prediction needs.

The language model is included only if it is asked for (`release.language_model`).

``bundle.json`` says what it is, ``manifest.json`` has the size and sha256 of every other file.
``docs/how-to/predict.md`` describes both.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from halo import __version__
from halo.content_versions import content_versions
from halo.embeddings.hub import CONFIG
from halo.embeddings.registry import LANGUAGE_MODELS
from halo.errors import HaloError
from halo.files import read_json, sha256_of_file, sha256_of_text
from halo.label_groups import LabelGroup, all_groups, from_content
from halo.predict.description import Description, parse_description

FORMAT = 2
FORMAT_GROUPS = 3  # with further groups of labels
DESCRIPTION, MANIFEST = "bundle.json", "manifest.json"
TRAINING = "training.fasta.xz"
LANGUAGE_MODEL, LANGUAGE_MODEL_FOLDER = "language_model.pt", "language_model"
SCALES = "amino_acids.csv"  # the scales that the networks were trained with
MODELS = "models"
METRICS = "metrics.json"
NOTES = "NOTES.md"


@dataclass(frozen=True)
class Bundle:
    """A bundle that was read and found whole.

    Attributes
    ----------
    folder
        Where it is.
    description
        Content of ``bundle.json``.
    files
        sha256 of every file but the manifest, by its path in the folder.
    """

    folder: Path
    description: Description
    files: Mapping[str, str]

    @cached_property
    def sha256(self) -> str:
        """Digest of all files: what identifies the bundle."""
        return sha256_of_text(
            "\n".join(f"{self.files[name]}  {name}" for name in sorted(self.files))
        )

    @property
    def labels(self) -> list[str]:
        """Names of the labels of all groups."""
        return self.description.labels

    @property
    def groups(self) -> tuple[LabelGroup, ...]:
        """The main group of labels, and the further ones."""
        named = {name: each.model_dump() for name, each in self.description.groups.items()}
        return all_groups(self.labels, self.description.task, from_content(self.labels, named))

    @property
    def model_class(self) -> str:
        """The class of its language model, see `halo.embeddings.registry`."""
        return self.description.language_model.model_class

    @property
    def training(self) -> Path | None:
        """FASTA of the training sequences, None where the bundle has none."""
        return self.folder / TRAINING if TRAINING in self.files else None

    @property
    def notes(self) -> Path | None:
        """What the author added to the card, None if there is nothing."""
        return self.folder / NOTES if NOTES in self.files else None

    @property
    def language_model(self) -> Path | None:
        """Checkpoint of the language model, None if the bundle does not include it."""
        if f"{LANGUAGE_MODEL_FOLDER}/{CONFIG}" in self.files:
            return self.folder / LANGUAGE_MODEL_FOLDER
        return self.folder / LANGUAGE_MODEL if LANGUAGE_MODEL in self.files else None

    @property
    def scales(self) -> Path:
        """The scales of the amino acids that the networks read."""
        return self.folder / SCALES

    def identity(self) -> dict[str, str]:
        """Name, version and digest, for what is made with it."""
        return {
            "name": self.description.name,
            "version": self.description.version,
            "sha256": self.sha256,
        }


def listed(folder: Path) -> dict[str, dict[str, Any]]:
    """Size and sha256 of each file below `folder` but the manifest: what the manifest says."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): {
            "bytes": path.stat().st_size,
            "sha256": sha256_of_file(path),
        }
        for path in paths
        if path != folder / MANIFEST
    }


def read_bundle(folder: Path) -> Bundle:
    """Read a bundle and check that it is whole and fits this version of HALO.

    HaloError, with the file and the fix, where it is not.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise HaloError(f"{folder}: there is no such folder; make the bundle of a run first")
    for name in (DESCRIPTION, MANIFEST):
        if not (folder / name).is_file():
            raise HaloError(
                f"{folder}/{name}: missing, so this is no (whole) model bundle; give another "
                "folder, or copy the bundle again"
            )
    raw = _read(folder / DESCRIPTION)
    if raw.get("format") not in (FORMAT, FORMAT_GROUPS):
        raise HaloError(
            f"{folder}/{DESCRIPTION}: a bundle of format {raw.get('format')!r}, and HALO "
            f"{__version__} reads format {FORMAT} and {FORMAT_GROUPS}; use the HALO that made it "
            f"({raw.get('halo', 'unknown')}), or make the bundle again with this one"
        )
    files = _checked(folder, _read(folder / MANIFEST))
    try:
        description = parse_description((folder / DESCRIPTION).read_text(encoding="utf-8"))
    except ValueError as error:
        fault = f"{folder}/{DESCRIPTION}: damaged, {error}; copy the bundle again"
        raise HaloError(fault) from None
    _require_same_content(folder, description)
    if SCALES not in files:
        raise HaloError(
            f"{folder}/{MANIFEST}: damaged, it does not list {SCALES}; copy the bundle again"
        )
    for member in (member for model in description.models for member in model.members):
        if not any(name.startswith(f"{member.folder}/") for name in files):
            raise HaloError(
                f"{folder}/{DESCRIPTION}: damaged, {MANIFEST} lists no file of {member.folder}; "
                "copy the bundle again"
            )
    for adapter in (model.adapter for model in description.models):
        if adapter is not None and adapter not in files:
            raise HaloError(
                f"{folder}/{DESCRIPTION}: damaged, {MANIFEST} does not list the adapter {adapter}; "
                "copy the bundle again"
            )
    return Bundle(folder, description, files)


def _read(file: Path) -> dict[str, Any]:
    try:
        content = read_json(file)
    except HaloError:
        content = None
    if not isinstance(content, dict):
        raise HaloError(f"{file}: damaged, not a JSON object; copy the bundle again")
    return content


def _checked(folder: Path, manifest: Mapping[str, Any]) -> dict[str, str]:
    """The sha256 of each file, if all are as the manifest says."""
    expected = manifest.get("files", {})
    if not isinstance(expected, dict) or DESCRIPTION not in expected:
        raise HaloError(f"{folder}/{MANIFEST}: damaged, it lists no files; copy the bundle again")
    for name, entry in expected.items():
        path = folder / name
        if ".." in Path(name).parts or Path(name).is_absolute():
            raise HaloError(f"{folder}/{MANIFEST}: refused, {name} is outside of the bundle")
        size, digest = (
            (entry.get("bytes"), entry.get("sha256")) if isinstance(entry, dict) else (None, None)
        )
        if type(size) is not int or not isinstance(digest, str):
            raise HaloError(
                f"{folder}/{MANIFEST}: damaged, it has no size and sha256 of {name}; copy the "
                "bundle again"
            )
        if not _is_file(path):
            raise HaloError(f"{path}: missing; copy the bundle again")
        if path.stat().st_size != size:
            raise HaloError(
                f"{path}: damaged, it has {path.stat().st_size:,} bytes and not "
                f"{size:,}; copy the bundle again"
            )
        actual = sha256_of_file(path)
        if actual != digest:
            raise HaloError(
                f"{path}: damaged or changed, its sha256 is {actual} and not {digest}; "
                "copy the bundle again"
            )
    unlisted = [
        str(path.relative_to(folder))
        for path in sorted((folder / MODELS).rglob("*"))
        if path.is_file() and str(path.relative_to(folder)) not in expected
    ]
    if unlisted:
        raise HaloError(
            f"{folder}/{MANIFEST}: damaged, it does not list {unlisted[0]}; copy the bundle again"
        )
    return {name: entry["sha256"] for name, entry in expected.items()}


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that no file can have
        return False


def _require_same_content(folder: Path, description: Description) -> None:
    trained = description.content
    model_class = description.language_model.model_class
    if model_class not in LANGUAGE_MODELS:
        raise HaloError(
            f"{folder}/{DESCRIPTION}: needs a language model of the class {model_class}, which "
            f"HALO {__version__} does not have; use the version that made it "
            f"({description.halo})"
        )
    now = content_versions(model_class)
    other = [name for name, version in now.items() if trained.get(name) != version]
    if other:
        raise HaloError(
            f"{folder}/{DESCRIPTION}: trained with HALO {description.halo}, whose "
            f"{' and '.join(other)} are computed in another way than those of this HALO "
            f"({__version__}); use that version, or make the bundle again with this one"
        )
