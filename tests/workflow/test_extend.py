"""The page on extensions, followed to the letter in a copy of the workflow."""

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from pipeline import ROOT, copy_workflow, environment

PAGE = (ROOT / "docs/how-to/extend.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^ *```(\w+)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)


def blocks(section: str) -> list[tuple[str, str]]:
    """Kind and text of the blocks of a section of the page."""
    text = re.search(rf"^## {section}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)[1]
    return [(kind, textwrap.dedent(block)) for kind, block in BLOCK.findall(text)]


def follow(section: str, checkout: Path) -> dict:
    """Write the files of a section into a checkout; the section's piece of a configuration."""
    config = {}
    for kind, block in blocks(section):
        if kind == "yml":  # yaml: what HALO without the extension takes
            config = yaml.safe_load(block)
            continue
        name, text = re.fullmatch(r"# (\S+)\n(.*)", block, re.DOTALL).groups()
        file = checkout / name
        if not file.exists():
            file.write_text(text, encoding="utf-8")
            continue
        anchor = text.splitlines()[0] + "\n"
        content = file.read_text(encoding="utf-8")
        if content.count(anchor) != 1:  # of a block whose indentation was that of a list
            text = textwrap.indent(text, "    ")
            anchor = text.splitlines()[0] + "\n"
        assert content.count(anchor) == 1, f"{name}: {anchor}"
        file.write_text(content.replace(anchor, text), encoding="utf-8")
    return config


@pytest.fixture
def checkout(tmp_path) -> Path:
    copy_workflow(tmp_path / "halo")
    return tmp_path / "halo"


def python(checkout: Path, *arguments: object) -> str:
    """Run Python with the copy's package; what it prints."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(checkout / "workflow"), "PYTHONSAFEPATH": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


COMPLETED = """
import json, sys
from pathlib import Path
from halo.config import completed_config
from halo.plan import Plan
from halo.relevance import relevant
from halo.stage_settings import ingest_settings
config = completed_config(json.loads(sys.argv[1]), Path(sys.argv[2]))
plan = Plan.from_config(config)
ingest = ingest_settings(relevant(config))
print(json.dumps({"baselines": plan.methods.baselines, "ingest": ingest}))
"""


def completed(checkout: Path, config: dict) -> dict:
    """What the copy makes of a configuration."""
    return json.loads(python(checkout, "-c", COMPLETED, json.dumps(config), checkout))


def test_add_a_method(checkout, tmp_path):
    change = follow("Add a method", checkout)
    proteins = tmp_path / "proteins.csv"
    proteins.write_text("id,sequence,A,B\np0,MKV,1,0\np1,MKL,0,1\np2,MKI,1,1\n")
    found = completed(checkout, {"run": "x", "dataset": {"proteins": str(proteins)}, **change})
    assert found["baselines"] == ["chance"]
    settings = json.dumps(found["ingest"])
    table, plan = tmp_path / "run/proteins.csv", {"shards": 1, "folds": 1, "seeds": 1}
    plan |= {"networks": 0, "baselines": 1, "finetunings": 0, "embedded": 1, "model": "m"}
    python(
        checkout, checkout / "scripts/ingest.py", "--input", proteins, "--proteins", table,
        "--rejected", tmp_path / "rejected.csv", "--members", tmp_path / "members", "--digests",
        tmp_path / "members.json", "--settings", settings, "--plan", json.dumps(plan),
    )  # fmt: skip
    (tmp_path / "assignments.csv").write_text("id,part_0\np0,train\np1,val\np2,test\n")
    (tmp_path / "hits.csv").write_text("query,target,bits\n")
    python(
        checkout, checkout / "scripts/baseline.py", "--proteins", table, "--assignments",
        tmp_path / "assignments.csv", "--hits", tmp_path / "hits.csv", "--class", "uniform",
        "--method", "chance", "--split", "kfold", "--fold", "0", "--seed", "1", "--out",
        tmp_path / "out",
    )  # fmt: skip
    predictions = pd.read_csv(tmp_path / "out/predictions.csv")
    assert predictions.drop(columns=["id", "part"]).to_numpy().tolist() == [[0.5, 0.5]] * 2


def test_add_a_source_of_labels(checkout, tmp_path):
    change = follow("Add a source of labels", checkout)
    file = tmp_path / change["dataset"]["proteins"]
    file.write_text("p0 MKV Nucleus;Golgi\np1 MKL Nucleus\np2 MKI Golgi\n")
    change["dataset"]["proteins"] = str(file)
    found = completed(checkout, {"run": "x", **change})
    program = (
        "import json, sys; from pathlib import Path\n"
        "from halo.proteins.datasets import DataFiles, read_datasets\n"
        "files = DataFiles(Path(sys.argv[1]), None, None, None)\n"
        "proteins, rejected = read_datasets(files, json.loads(sys.argv[2]))\n"
        "print(json.dumps([proteins.label_names, proteins.labels.tolist(), len(rejected)]))"
    )
    read = json.loads(python(checkout, "-c", program, file, json.dumps(found["ingest"])))
    assert read == [["Golgi", "Nucleus"], [[1, 1], [0, 1], [1, 0]], 0]


def test_add_a_rule(checkout, tmp_path):
    follow("Add a rule", checkout)
    table = pd.read_csv(ROOT / "resources/demo/proteins.csv", dtype=str).head(30)
    table.to_csv(tmp_path / "proteins.csv", index=False)
    config = {
        "run": "x",
        "dataset": {
            "proteins": "proteins.csv",
            "accession": "accession",
            "annotations": ["kingdom"],
        },
        "structures": {"sources": []},
        "embeddings": {"model": str(ROOT / "resources/demo/esm2_demo.pt")},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "snakemake", "--snakefile", str(checkout / "Snakefile")),
            *("--configfile", "config.yaml", "--cores", "1", "results/x/label_counts.csv"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    counts = pd.read_csv(tmp_path / "results/x/label_counts.csv", index_col="label")["proteins"]
    labels = table.drop(columns=["id", "accession", "kingdom", "sequence"]).astype(int)
    assert counts.to_dict() == labels.sum().to_dict()


def test_add_a_language_model(checkout, tmp_path):
    transformers = pytest.importorskip(
        "transformers", reason="the extra language-models is missing"
    )
    change = follow("Add a language model", checkout)
    folder = tmp_path / "models" / change["embeddings"]["model"].replace("/", "--")
    folder.mkdir(parents=True)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    (folder / "vocab.txt").write_text("\n".join([*special, *"LAGVESIKRDTPNQFYMHCWXUBZO"]))
    config = transformers.BertConfig(
        vocab_size=30, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32,
    )  # fmt: skip
    model = transformers.BertModel(config).eval()
    model.save_pretrained(folder)
    program = (
        "import json, sys, torch; from pathlib import Path\n"
        "from halo.embeddings.embed import make_encoder\n"
        "from halo.embeddings.find import find_weights\n"
        "weights = find_weights(sys.argv[1], Path(sys.argv[1]), None)\n"
        "encoder = make_encoder(weights, -1, 'cpu', torch.float32)\n"
        "states = encoder.start(['MKTU', 'ACDEFGH'])()\n"
        "print(json.dumps([weights.model_class, [rows.tolist() for rows in states]]))"
    )
    name, states = json.loads(python(checkout, "-c", program, folder).splitlines()[-1])
    assert name == "protbert"
    tokenizer = transformers.BertTokenizer(str(folder / "vocab.txt"), do_lower_case=False)
    for text, found in zip(["M K T X", "A C D E F G H"], states, strict=True):
        tokens = tokenizer(text, return_tensors="pt")
        expected = model(**tokens).last_hidden_state[0, 1:-1].detach().numpy()
        np.testing.assert_allclose(found, expected, atol=1e-5)
