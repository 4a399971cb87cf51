"""The commands of conda that Snakemake calls, with the solver and the installer of rattler.

As with conda itself, CONDA_CHANNEL_ALIAS is the URL before the name of a channel, and
CONDA_PKGS_DIRS is where unpacked packages lie, from which environments are hard-linked.
"""

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import yaml
from rattler import (
    Channel,
    ChannelConfig,
    Gateway,
    MatchSpec,
    RepoDataRecord,
    Subdir,
    VirtualPackage,
    install,
    solve,
)

HOME = Path(__file__).resolve().parent
VERSION = "25.1.0"
PLATFORMS = [Subdir.current(), Subdir("noarch")]
ANSWERS = {
    ("--version",): f"conda {VERSION}",
    ("info", "--json"): json.dumps(
        {"conda_prefix": str(HOME), "platform": str(PLATFORMS[0]), "conda_version": VERSION}
    ),
    ("config", "--get", "channel_priority", "--json"): json.dumps(
        {"get": {"channel_priority": "strict"}}
    ),
    ("clean", "-y", "--tarballs"): "There are no tarballs to remove.",
    ("clean", "--all", "-y"): "There is nothing to remove.",
}


async def solved(file: Path) -> list[RepoDataRecord]:
    """The packages of an environment file."""
    environment = yaml.safe_load(file.read_text())
    alias = ChannelConfig(channel_alias=os.environ["CONDA_CHANNEL_ALIAS"].rstrip("/") + "/")
    names = [name for name in environment["channels"] if name != "nodefaults"]
    return await solve(
        sources=[Channel(name, alias) for name in names],
        specs=[each for each in environment["dependencies"] if isinstance(each, str)],
        platforms=PLATFORMS,
        virtual_packages=VirtualPackage.detect(),
    )


async def pinned(file: Path) -> list[RepoDataRecord]:
    """The packages that a file names by their URLs."""
    urls = re.findall(r"^\w+://[^\s#]+", file.read_text(), re.MULTILINE)
    found = await Gateway().query(
        sources=sorted({url.rsplit("/", 2)[0] for url in urls}),
        platforms=PLATFORMS,
        specs=[MatchSpec(Path(url).name.rsplit("-", 2)[0]) for url in urls],
        recursive=False,
    )
    records = {record.url: record for records in found for record in records}
    if missing := sorted(set(urls) - records.keys()):
        sys.exit(f"PackagesNotFoundError: {', '.join(missing)}")
    return [records[url] for url in urls]


def create(file: Path, prefix: Path, explicit: bool) -> None:
    """Make the environment `prefix`, as `file` describes it."""

    async def run() -> None:
        records = await (pinned(file) if explicit else solved(file))
        cache = os.environ["CONDA_PKGS_DIRS"]
        await install(records, target_prefix=prefix, cache_dir=cache, show_progress=False)

    asyncio.run(run())
    wanted = [] if explicit else pip_section(file)
    if wanted:  # as conda does it, which calls the pip of the environment
        pip = (prefix / "bin/python", "-I", "-m", "pip", "install", "--upgrade", *wanted)
        subprocess.run(pip, check=True, stdout=subprocess.DEVNULL)


def pip_section(file: Path) -> list[str]:
    """What pip is to install into an environment."""
    entries = yaml.safe_load(file.read_text())["dependencies"]
    return [text for entry in entries if isinstance(entry, dict) for text in entry["pip"]]


def explicit_list(prefix: Path) -> str:
    """The packages of an environment by their URLs and checksums, to make it again."""
    records = [json.loads(file.read_text()) for file in prefix.glob("conda-meta/*.json")]
    return "\n".join(["@EXPLICIT", *sorted(f"{each['url']}#{each['md5']}" for each in records)])


def main() -> None:
    words = tuple(sys.argv[1:])
    if words in ANSWERS:
        print(ANSWERS[words])
        return
    parser = argparse.ArgumentParser("conda")
    commands = parser.add_subparsers(dest="command", required=True)
    from_yaml = commands.add_parser("env").add_subparsers(required=True).add_parser("create")
    from_pins = commands.add_parser("create")
    for command in (from_yaml, from_pins):
        for option in ("--quiet", "--no-default-packages", "--yes"):
            command.add_argument(option, action="store_true")
        command.add_argument("--file", type=Path, required=True)
        command.add_argument("--prefix", type=Path, required=True)
    listing = commands.add_parser("list")
    for option in ("--explicit", "--md5"):
        listing.add_argument(option, action="store_true", required=True)
    listing.add_argument("--prefix", type=Path, required=True)
    options = parser.parse_args()
    if options.command == "list":
        print(explicit_list(options.prefix))
    else:
        create(options.file, options.prefix, explicit=options.command == "create")


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # threads of rattler (0.28) may still run, and Python would abort as it ends
