"""Every stage with every injected error: how the job ends, and that the next call succeeds.

The table of docs/explanation/faults.md is `matrix()`; a new one is written by
`PYTHONPATH=workflow:tests python tests/faults/test_matrix.py`.
"""

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from halo.embeddings.find import find_weights
from halo.embeddings.layout import LAYOUT as EMBEDDINGS
from halo.embeddings.weights import write_weights
from halo.files import read_json, write_json
from halo.graphs.layout import LAYOUT as GRAPHS
from halo.proteins.members import write_members
from halo.proteins.table import Proteins, write_proteins
from halo.store import BUCKETS, Layout, Store
from halo.structures.layout import LAYOUT as STRUCTURES
from made_proteins import protein_table
from once import made_once
from pipeline import ROOT

HERE = Path(__file__).parent
DOCUMENT = ROOT / "docs/explanation/faults.md"
PROTEINS = 24
COUNTED = "counted.json"
FEW = 30_000  # bytes of a flush, so that a stage has several
ALL = 1 << 28

NETWORK = {"hidden": 8, "layers": 1, "heads": 2, "pooling_heads": 2}
MEMBERS = ("--members", "members", "--buckets", *BUCKETS, "--store", "store")
TABLES = ("--proteins", "proteins.csv", "--assignments", "assignments.csv", "--fold", "0")
FOLDER = {"kind": "folder", "path": str(ROOT / "resources/demo/afdb")}


@dataclass(frozen=True)
class Stage:
    """A script, its command line without the settings, and what it makes.

    Attributes
    ----------
    made : paths that do not exist before it
    layout : of the store that it fills, which is called like its shard file; None where it is no
        store
    same : files whose bytes must be those of an undisturbed run
    flush_bytes : bytes after which finished results are put into the store
    """

    script: str
    arguments: tuple[str, ...]
    settings: dict[str, Any]
    made: tuple[str, ...]
    layout: Layout | None = None
    same: tuple[str, ...] = ()
    flush_bytes: int = FEW


def filling(kind: str, layout: Layout, *arguments: str, **options: Any) -> Stage:
    """A stage that fills a store."""
    shard = f"{kind}.json"
    return Stage(
        script=f"{kind}.py",
        arguments=(*MEMBERS, "--shard", shard, *arguments),
        made=(shard, f"store/{kind}"),
        layout=layout,
        same=(shard,),
        **options,
    )


STAGES = {
    "structures": filling(
        "structures", STRUCTURES, "--manifest", "structures.csv", settings={"sources": [FOLDER]}
    ),
    "embeddings": filling(
        "embeddings", EMBEDDINGS, "--language-model", "language_model.json", settings={}
    ),
    "graphs": filling("graphs", GRAPHS, "--structures", "structures.json", settings={}),
    "graphs, in their only flush": filling(
        "graphs", GRAPHS, "--structures", "structures.json", settings={}, flush_bytes=ALL
    ),
    "training": Stage(
        script="train.py",
        arguments=(
            *TABLES, "--graphs", "graphs.json", "--embeddings", "embeddings.json",
            "--store", "store", "--split", "kfold", "--seed", "1", "--method", "halo",
            "--class", "network", "--out", "model",
        ),
        settings={"network": NETWORK, "training": {"epochs": 3, "residues_per_batch": 2000}},
        made=("model",),
        same=("model/model.safetensors", "model/model.json", "model/predictions.csv"),
    ),
    "fine-tuning": Stage(
        script="finetune.py",
        arguments=(
            *TABLES, "--language-model", "language_model.json", "--seed", "1", "--out", "finetune",
            "--store", "store", "--save-minutes", "0",
        ),
        settings={
            "embeddings": {"window": 64, "overlap": 16},
            "finetune": {"epochs": 2, "tokens_per_batch": 1000, "rank": 2, "hidden": 8},
        },
        made=("finetune", "store/finetune"),
        same=("finetune/adapter.safetensors", "finetune/head.safetensors"),
    ),
}  # fmt: skip

COUNT, KILL, DISK, LOCK, FSYNC = range(1, 6)  # of faults.c
KILLED, MESSAGE, UNNOTICED = "killed", "ends with a message", "ends without a fault"


@dataclass(frozen=True)
class Fault:
    """A fault of faults.c, with `value` from what an undisturbed run counts; how the job ends."""

    kind: int
    value: Callable[[dict[str, int]], int]
    ends: str


def part(what: str, share: float) -> Callable[[dict[str, int]], int]:
    return lambda counted: max(1, round(counted[what] * share))


def code(number: int) -> Callable[[dict[str, int]], int]:
    return lambda counted: number


FAULTS = {
    "kill -9, early": Fault(KILL, part("steps", 0.3), KILLED),
    "kill -9, half-way": Fault(KILL, part("steps", 0.6), KILLED),
    "kill -9, at the end": Fault(KILL, part("steps", 1), KILLED),
    "disk full": Fault(DISK, part("bytes", 0.5), MESSAGE),
    "no locks (ENOLCK)": Fault(LOCK, code(errno.ENOLCK), UNNOTICED),
    "no locks (ENOTSUPP)": Fault(LOCK, code(524), UNNOTICED),
    "no fsync of folders": Fault(FSYNC, code(errno.EINVAL), UNNOTICED),
}


def matrix() -> str:
    """The table of stages and faults, in Markdown."""
    rows = [("", *FAULTS), ("---",) * (len(FAULTS) + 1)]
    ends = {KILLED: "resumes", MESSAGE: "message, resumes", UNNOTICED: "works"}
    rows += [(name, *(ends[fault.ends] for fault in FAULTS.values())) for name in STAGES]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


@dataclass
class Zygote:
    """The process that runs the stages."""

    process: subprocess.Popen
    runs: int = field(default=0)

    def run(self, stage: Stage, folder: Path, fault: int = COUNT, value: int = 0) -> dict[str, int]:
        """Run a stage in `folder`: its exit status, and the steps, bytes and locks counted."""
        script = str(ROOT / "scripts" / stage.script)
        order = {
            "arguments": [script, *stage.arguments, "--settings", json.dumps(stage.settings)],
            "folder": str(folder),
            "fault": fault,
            "value": value,
            "flush_bytes": stage.flush_bytes,
            "output": str(folder / "output.txt"),
        }
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@pytest.fixture(scope="module")
def zygote(tmp_path_factory) -> Iterator[Zygote]:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("there is no C compiler for a file system that fails")
    library = tmp_path_factory.mktemp("faults") / "faults.so"
    source = HERE / "faults.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    process = subprocess.Popen(
        [sys.executable, str(HERE / "stages.py")],
        env={
            **os.environ,
            "LD_PRELOAD": str(library),
            "PYTHONPATH": str(ROOT / "workflow"),
            "OMP_NUM_THREADS": "1",
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        yield Zygote(process)
        process.stdin.close()


@pytest.fixture(scope="module")
def undisturbed(zygote, tmp_path_factory) -> tuple[Path, dict[str, dict[str, int]]]:
    """A folder in which all stages have run, and what was counted."""
    folder = made_once(tmp_path_factory, "undisturbed", partial(run_stages, zygote))
    return folder, read_json(folder / COUNTED)


def run_stages(zygote: Zygote, folder: Path) -> None:
    """Run all stages in a folder, and write what was counted."""
    table = pd.read_csv(ROOT / "resources/demo/proteins.csv", dtype=str, keep_default_na=False)
    table = table.head(PROTEINS)
    labels = table[["Nucleus", "Mitochondrion"]].astype("uint8").to_numpy()
    core = protein_table(table["sequence"], table["id"], table["accession"])
    proteins = Proteins(core, ("Nucleus", "Mitochondrion"), labels, "multilabel")
    write_proteins(folder / "proteins.csv", proteins, long_labels=False)
    write_members(folder / "members", folder / "members.json", core)
    parts = ["train"] * 12 + ["val"] * 6 + ["cal"] * 3 + ["test"] * 3
    assignments = pd.DataFrame({"id": core["id"], "part_0": parts})
    assignments.to_csv(folder / "assignments.csv", index=False)
    weights = find_weights(str(ROOT / "resources/demo/esm2_demo.pt"), folder, None)
    write_weights(folder / "language_model.json", weights)
    counted = {}
    for name, stage in STAGES.items():
        remove(folder, stage)
        if name == "training":  # compiles the kernels of the network, which a later run finds
            zygote.run(stage, folder)
            remove(folder, stage)
        counted[name] = zygote.run(stage, folder)
        assert counted[name]["status"] == 0, (folder / "output.txt").read_text()
    write_json(folder / COUNTED, counted)


def remove(folder: Path, stage: Stage) -> None:
    """Take away what a stage has made."""
    for name in stage.made:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def results(folder: Path, stage: Stage) -> dict[str, Any]:
    """All that a stage has made: bytes of files, and what its store has of each protein."""
    found: dict[str, Any] = {name: (folder / name).read_bytes() for name in stage.same}
    if stage.layout is not None:
        store = Store(folder / "store" / read_json(folder / stage.same[0])["store"], stage.layout)
        for name in (name for bucket in BUCKETS for name in store.hashes(bucket)):
            arrays = {key: value.tobytes() for key, value in store.read(name).items()}
            found[name] = arrays, store.attributes(name)
        store.close()
    return found


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_changes_no_result(zygote, undisturbed, tmp_path, stage, fault):
    before, counted = undisturbed
    chosen, found = STAGES[stage], FAULTS[fault]
    folder = tmp_path / "run"
    shutil.copytree(before, folder)
    remove(folder, chosen)
    ended = zygote.run(chosen, folder, found.kind, found.value(counted[stage]))
    message = (folder / "output.txt").read_text()
    assert "Traceback" not in message
    if found.ends == KILLED:
        assert ended["status"] == -9, message
    elif found.ends == MESSAGE:
        assert ended["status"] == 1, message
        assert "the disk is full: free some space and run again" in message
    else:
        assert ended["status"] == 0, message
        assert not ended["locks"]
    if found.ends != UNNOTICED:
        again = zygote.run(chosen, folder)
        assert again["status"] == 0, (folder / "output.txt").read_text()
    assert results(folder, chosen) == results(before, chosen)


def test_the_matrix_of_the_documentation_is_this_one():
    assert matrix() in DOCUMENT.read_text()


if __name__ == "__main__":
    text = DOCUMENT.read_text()
    start = text.index("|  | kill")
    DOCUMENT.write_text(text[:start] + matrix() + text[text.index("\n\n", start) :])
