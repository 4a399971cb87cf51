"""Hooks of MkDocs: the site's pages that are made from files outside of docs/.

- A file of the repository that a page links to becomes a page below ``repository/``, so that the
  site is complete without a network and a link cannot break.
- Each subpackage of ``halo`` becomes a page below ``reference/api/``, written by mkdocstrings.
"""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "workflow/halo"
API = "reference/api"
REPOSITORY = "repository"
ALWAYS = ("CHANGELOG.md", "CONTRIBUTING.md")  # in the navigation, linked or not
LOADED = re.compile(
    r"""<(?:script|img|iframe|link(?![^>]*rel="?canonical))[^>]*(?:src|href)="?(?:https?:)?//[^>]*>"""
)
LINK = re.compile(r"(?<=\]\()([^)\s#]+)(?=[)#])")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the pages of the package to the navigation, below *Reference*."""
    config.watch.append(str(PACKAGE))
    reference = next(part["Reference"] for part in config.nav if "Reference" in part)
    pages = [{name: f"{API}/{name}.md"} for name in modules_by_page()]
    reference.append({"Python API": [f"{API}/index.md", *pages]})
    return config


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the generated pages to those of docs/."""
    for name, text in {**api_pages(), **repository_pages(files)}.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links that leave docs/ to the pages below ``repository/``."""
    del config, files
    return LINK.sub(lambda link: in_site(link[0], page.file.src_uri), markdown)


def on_post_build(*, config: MkDocsConfig) -> None:
    """End the build if a page loads anything from elsewhere: the site is read offline."""
    for file in sorted(Path(config.site_dir).rglob("*.html")):
        match = LOADED.search(file.read_text(encoding="utf-8"))
        if match:
            raise PluginError(f"{file}: loads from the network: {match[0]}")


def modules_by_page() -> dict[str, list[str]]:
    """The public modules of each page: one of the modules beside no other, one a subpackage."""
    pages: dict[str, list[str]] = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        *folders, name = file.relative_to(PACKAGE.parent).with_suffix("").parts
        page = ".".join(folders[:2])
        module = ".".join(folders if name == "__init__" else (*folders, name))
        if not name.startswith("__") or name == "__init__":
            pages.setdefault(page, []).append(module)
    return pages


def api_pages() -> dict[str, str]:
    """Markdown of the pages of the package, by their names."""
    pages = {
        f"{API}/{name}.md": f"# {name}\n\n" + "".join(f"::: {module}\n\n" for module in modules)
        for name, modules in modules_by_page().items()
    }
    lines = "".join(f"- [{name}]({name}.md)\n" for name in modules_by_page())
    pages[f"{API}/index.md"] = f"# Python API\n\n{API_TEXT}\n\n{lines}"
    return pages


API_TEXT = """The package `halo` does the work of the workflow's rules and knows nothing of
Snakemake. [Predict new proteins](../../how-to/predict.md) shows the calls that other programs
use. The pages below document all public modules; they may change before version 1.0."""


def repository_pages(files: Files) -> dict[str, str]:
    """Markdown of the repository's files that the pages link to, directly or through each other."""
    pages: dict[str, str] = {}
    waiting = {*ALWAYS}
    for file in files.documentation_pages():
        waiting.update(outside(file.content_string, file.src_uri))
    while waiting:
        path = waiting.pop()
        name = page_of(path)
        if name not in pages:
            pages[name] = as_markdown(path)
            waiting.update(outside(pages[name], name))
    return pages


def outside(markdown: str, source: str) -> Iterator[str]:
    """The repository's files outside of docs/ that a page links to."""
    for link in LINK.findall(markdown):
        path = path_of(link, source)
        if path is not None and (ROOT / path).is_file() and not path.startswith("docs/"):
            yield path


def in_site(link: str, source: str) -> str:
    """The link in the site."""
    path = path_of(link, source)
    if path is None or not (ROOT / path).is_file():
        return link
    there = path.removeprefix("docs/") if path.startswith("docs/") else page_of(path)
    return posixpath.relpath(there, posixpath.dirname(source) or ".")


def path_of(link: str, source: str) -> str | None:
    """The file of the repository that a relative link of a page names; None of other links."""
    if re.match(r"[a-z]+:|/", link):
        return None
    written = source.removeprefix(f"{REPOSITORY}/")
    folder = posixpath.dirname(written if written != source else f"docs/{source}")
    path = posixpath.normpath(posixpath.join(folder, link))
    return None if path.startswith("..") else path


def page_of(path: str) -> str:
    """The page of a file of the repository."""
    return f"{REPOSITORY}/{path}" if path.endswith(".md") else f"{REPOSITORY}/{path}.md"


def as_markdown(path: str) -> str:
    """A file's content as a page: Markdown as it is, another text as a block of code."""
    text = (ROOT / path).read_text(encoding="utf-8")
    if path.endswith(".md"):
        return text
    kind = path.rpartition(".")[2]
    return f"# {path}\n\n````{kind}\n{text}````\n"
