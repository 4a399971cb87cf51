"""Files that are of none of a run's proteins: mostly the sign of ids that files do not carry."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from halo.structures.archive import archives, read_index
from halo.structures.files import NamePattern, all_spellings, files_below
from halo.structures.settings import SourceSettings

EXAMPLES = 3


def unused_files(
    sources: Iterable[SourceSettings], names: Iterable[str], cache: Path
) -> Iterator[str]:
    """For each folder and archive, a line on its files that are called none of `names`.

    `cache` is the folder in which the indexes of archives are kept.
    """
    wanted = all_spellings(names)
    for source in sources:
        if source.kind not in ("folder", "archive"):
            continue
        pattern = NamePattern(source.pattern)
        total, unused = 0, []
        for file in sorted(_files(source, pattern.depth, cache)):
            path = "/".join(file.split("/")[-pattern.depth :])
            if pattern.read(path) is not None:
                total += 1
                if pattern.find(path, wanted) is None:
                    unused.append(path)
        if unused:
            yield (
                f"{source.path}: {len(unused):,} of {total:,} files match no protein: "
                f"{', '.join(unused[:EXAMPLES])}{', ...' * (len(unused) > EXAMPLES)}"
            )


def _files(source: SourceSettings, depth: int, cache: Path) -> Iterator[str]:
    if source.kind == "folder":
        yield from files_below(Path(source.path), depth)
        return
    for path in archives(source.path):
        for name in read_index(path, cache).name.tolist():
            yield name.decode("utf-8", "replace")
