"""The bundle of the package: whole, small, and as good as its card says."""

import pandas as pd
import pytest
from scipy.stats import spearmanr

from halo.files import read_json
from halo.predict.bundle import read_bundle
from halo.predict.default_bundle import DEFAULT_BUNDLE, default_bundle
from halo.predict.run import predict
from halo.predict.settings import PredictSettings

LARGEST = 12_000_000  # bytes
# Decisions and probabilities of 40 proteins of its validation and calibration without a structure:
# of ``predictions.csv`` of its training, which has those that it was not trained on.
SAMPLE = "tests/data/default_bundle_held_out.csv"


def test_it_is_whole_and_small():
    bundle = read_bundle(default_bundle())
    assert sum(path.stat().st_size for path in DEFAULT_BUNDLE.rglob("*")) <= LARGEST
    assert bundle.description.language_model.included
    assert not bundle.description.simulated
    assert "academic use" in (DEFAULT_BUNDLE / "LICENSE").read_text()
    assert [model.fold for model in bundle.description.models] == ["all"]
    card = (DEFAULT_BUNDLE / "README.md").read_text()
    assert "trained on the test proteins, too" in card
    assert "## Human Protein Atlas" in card
    for label in bundle.labels:
        value = read_json(DEFAULT_BUNDLE / "metrics.json")["labels"][label]["f1"]["value"]
        line = next(line for line in card.splitlines() if line.startswith(f"| {label} |"))
        assert f"| {value:.3f} (" in line
        assert len(line.split("|")) == 10  # with the F1 of homology transfer


@pytest.mark.slow
def test_it_predicts_held_out_proteins_as_its_run_did(root, shared, tmp_path):
    sample = pd.read_csv(root / SAMPLE).set_index("id")
    file = shared / "deeploc2/Swissprot_Train_Validation_dataset.csv.gz"
    table = pd.read_csv(file).set_index("ACC").loc[sample.index]
    fasta = tmp_path / "held_out.fasta"
    fasta.write_text("".join(f">{name}\n{text}\n" for name, text in table["Sequence"].items()))
    predict(fasta, default_bundle(), tmp_path / "out", PredictSettings(download=False, page=0))
    found = pd.read_csv(tmp_path / "out/predictions.csv").set_index("id").loc[sample.index]
    assert found["labels"].fillna("").tolist() == sample["labels"].fillna("").tolist()
    # The bundle calibrates the probabilities, which keeps their order.
    for name in sample.filter(like="p:"):
        assert spearmanr(found[name], sample[name]).statistic > 0.999
    # None of them is similar to a training protein, so no known label is part of the decision.
    assert set(found["decided_by"]) == {"halo"}
