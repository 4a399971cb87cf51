"""Compare attributions with known human signal peptides and mitochondrial presequences.

    PYTHONPATH=workflow python tests/benchmarks/known_signals.py BUNDLE --shared ../shared/data

`known_signals.csv` has 25 proteins of DeepLoc 2.0 and where UniProt says that their signal ends.
They are predicted with a bundle whose labels are DeepLoc 2.0's, and what is on the page for them
is compared with the signal. A protein counts where the model gives it, or finds most probable, the
label that the signal leads to. Prints one JSON object; areas are those below the ROC curve of the
signal's residues, chance is 0.5. Proteins that the model was trained on count as well: it has
never seen where their signals are.
"""

import argparse
import json
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from halo.predict.output import read_chunk_explanations
from halo.predict.regions import smoothed
from halo.predict.run import predict
from halo.predict.settings import PredictSettings

TABLE = "deeploc2/Swissprot_Train_Validation_dataset.csv.gz"


def measure(bundle: Path, shared: Path, language_model: Path | None) -> dict[str, object]:
    """The figures, by kind of signal."""
    known = pd.read_csv(Path(__file__).with_suffix(".csv")).set_index("accession")
    table = pd.read_csv(shared / TABLE).set_index("ACC").loc[known.index, "Sequence"]
    with TemporaryDirectory() as scratch:
        fasta, out = Path(scratch, "known.fasta"), Path(scratch, "out")
        fasta.write_text("".join(f">{name}\n{text}\n" for name, text in table.items()))
        settings = PredictSettings(
            structures=shared / "afdb", download=False, language_model=language_model
        )
        predict(fasta, bundle, out, settings)
        explanations = [
            e for file in out.glob("chunks/*.json") for e in read_chunk_explanations(file)
        ]
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for entry in explanations:
        signal = known.loc[entry.id]
        if signal["label"] not in entry.labels:
            continue
        inside = np.zeros(len(entry.sequence), dtype=bool)
        inside[signal["start"] - 1 : signal["end"]] = True
        values = smoothed(entry.attribution.values[list(entry.labels).index(signal["label"])])
        own = [r for r in entry.regions() if r.label == signal["label"]]
        figures = found[signal["signal"]]
        figures["attribution"].append(roc_auc_score(inside, values))
        figures["attention"].append(roc_auc_score(inside, smoothed(entry.attribution.attention)))
        top = np.argsort(-values)[: inside.sum()]
        figures["attribution, top"].append(inside[top].mean())
        figures["share of residues in the signal"].append(inside.mean())
        figures["highest value in the signal"].append(inside[values.argmax()])
        figures["a region in the signal"].append(any(r.start <= signal["end"] for r in own))
    return {
        kind: {
            "known": int((known["signal"] == kind).sum()),
            "predicted": len(values["attribution"]),
        }
        | {name: round(float(np.mean(numbers)), 3) for name, numbers in values.items()}
        for kind, values in found.items()
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--shared", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--language-model", type=Path, help="where the bundle's is not published")
    arguments = parser.parse_args()
    result = measure(arguments.bundle, arguments.shared, arguments.language_model)
    print(json.dumps(result, indent=1))
