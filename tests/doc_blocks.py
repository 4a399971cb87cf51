"""Code blocks of the documentation."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline import ROOT

FENCE = re.compile(r"^(?P<indent> *)```(?P<kind>\w*)\n(?P<text>.*?)^(?P=indent)```", re.S | re.M)
SHELL = ("", "bash", "console", "sh", "shell")


@dataclass(frozen=True)
class Block:
    """A block of code: its page, as a path from the repository, its kind and its text."""

    page: str
    kind: str
    text: str

    @property
    def commands(self) -> list[str]:
        """The lines of a shell block, without comments; lines that end in a backslash are one."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [command for line in lines if (command := without_comment(line))]


def pages() -> list[Path]:
    """The Markdown files of the repository that describe it."""
    folders = ("docs", "config", "resources")
    below = (file for folder in folders for file in (ROOT / folder).rglob("*.md"))
    return sorted([*ROOT.glob("*.md"), *below])


def blocks(*kinds: str) -> Iterator[Block]:
    """All blocks of some kinds."""
    for page in pages():
        for found in FENCE.finditer(page.read_text(encoding="utf-8")):
            if found["kind"] in kinds:
                text = re.sub(rf"^{found['indent']}", "", found["text"], flags=re.M)
                yield Block(page.relative_to(ROOT).as_posix(), found["kind"], text)


def without_comment(line: str) -> str:
    """A command without the comment at its end and blanks around it; it has no # in quotes."""
    return re.sub(r"(^|\s+)#.*", "", line).strip()
