"""Variants of real sorting signals, against variants of other residues of the same proteins.

The proteins are those of DeepLoc 2.0's partition 4 with a sorting signal in TargetP 2.0's data and
the label to which it leads. The bundle must not have been trained on them: that of
`config/deeploc2_offline.yaml` with `release.all_proteins: false`, which has met nothing similar
either. All residues of the signal but the first are deleted, or put into a random order; beside it,
as many residues in one stretch at a random place behind the signal. The models see sequences alone.

    make bench-variants BUNDLE=results/deeploc2_offline/bundle
    PYTHONPATH=workflow python tests/benchmarks/real_signals.py folder --proteins 40

It prints a table in Markdown. Intervals are paired bootstraps over proteins (95 %). The last line
is one JSON object.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from samples import DEEPLOC, SHARED, require_unseen

from halo.predict.settings import PredictSettings
from halo.variants.run import predict_variants
from halo.variants.settings import VariantSettings

TARGETP = SHARED / "signals/targetp2.csv.gz"
PARTITION = 4
# Of TargetP's types: the signal, and DeepLoc's label to which it leads.
SIGNALS = {
    "SP": ("signal peptide", "Extracellular"),
    "mTP": ("mitochondrial transit peptide", "Mitochondrion"),
    "cTP": ("chloroplast transit peptide", "Plastid"),
    "luTP": ("chloroplast transit peptide", "Plastid"),
}
KINDS = ("deleted", "scrambled")
RESAMPLES = 2000
Interval = tuple[float, float, float]  # value, and ends of the interval


def proteins(count: int) -> pd.DataFrame:
    """At most `count` proteins of each signal: id, sequence, end of the signal, signal, label."""
    table = pd.read_csv(DEEPLOC)
    table = table[table["Partition"] == PARTITION].merge(
        pd.read_csv(TARGETP), left_on="ACC", right_on="accession"
    )
    table = table[table["type"].isin(SIGNALS)]
    signals = table["type"].map(SIGNALS)
    table = table.assign(signal=signals.str[0], label=signals.str[1], end=table["cleavage_index"])
    has_label = np.array([row[row["label"]] == 1 for _, row in table.iterrows()])
    # Two signals fit into the protein, and one has at least ten residues.
    fits = (table["end"] > 10) & (table["Sequence"].str.len() >= 2 * table["end"])
    table = table[has_label & fits].rename(columns={"ACC": "id", "Sequence": "sequence"})
    table = table.sample(frac=1, random_state=1).groupby("signal").head(count)
    return table[["id", "sequence", "end", "signal", "label"]].reset_index(drop=True)


def variants_of(
    sequence: str, end: int, random: np.random.Generator
) -> Iterator[tuple[str, bool, str]]:
    """Kind, whether it is of the signal, and notation, of each variant of a protein."""
    length = end - 1  # the first residue stays
    elsewhere = int(random.integers(end, len(sequence) - length + 1))
    for start, of_signal in ((1, True), (elsewhere, False)):
        part = sequence[start : start + length]
        place = f"{part[0]}{start + 1}_{part[-1]}{start + length}"
        yield "deleted", of_signal, f"{place}del"
        mixed = part
        while mixed == part:
            mixed = "".join(random.permutation(list(part)))
        yield "scrambled", of_signal, f"{place}delins{mixed}"


def measure(bundle: Path, count: int, threads: int) -> pd.DataFrame:
    """Each variant's difference of the label's probability, and whether the label is given."""
    random = np.random.default_rng(1)
    chosen = proteins(count)
    require_unseen(bundle, chosen["sequence"].tolist())
    rows = [
        (one.id, one.signal, one.label, kind, of_signal, f"{one.id}:{text}")
        for one in chosen.itertuples()
        for kind, of_signal, text in variants_of(one.sequence, one.end, random)
    ]
    table = pd.DataFrame(rows, columns=["id", "signal", "label", "kind", "of_signal", "text"])
    own = PredictSettings(download=False, page=0, threads=threads)
    found = predict_variants(
        dict(zip(chosen["id"], chosen["sequence"], strict=True)),
        table["text"].tolist(),
        bundle,
        VariantSettings(random=0, structure=False, predict=own),
    )
    labels = list(enumerate(table["label"]))
    return table.assign(
        difference=[found[f"difference:{label}"].iat[row] for row, label in labels],
        before=[label in found["labels_wildtype"].iat[row].split(";") for row, label in labels],
        after=[label in found["labels"].iat[row].split(";") for row, label in labels],
    )


def bootstrap(values: np.ndarray, above: np.ndarray) -> tuple[Interval, Interval]:
    """The mean of paired `values` [n], and of `above` [n, n], over resampled proteins."""
    count = len(values)
    random = np.random.default_rng(1)
    weights = random.multinomial(count, np.full(count, 1 / count), RESAMPLES) / count
    means = weights @ values
    areas = np.einsum("ri,ij,rj->r", weights, above, weights, optimize=True)

    def interval(value: float, resampled: np.ndarray) -> Interval:
        low, high = np.quantile(resampled, [0.025, 0.975])
        return round(float(value), 3), round(float(low), 3), round(float(high), 3)

    return interval(values.mean(), means), interval(above.mean(), areas)


def figures(table: pd.DataFrame) -> dict[str, object]:
    """Figures of one signal and kind of variant."""
    both = {one: part.set_index("id") for one, part in table.groupby("of_signal")}
    signal, other = both[True], both[False].loc[both[True].index]
    decrease, of_other = -signal["difference"].to_numpy(), -other["difference"].to_numpy()
    # The area under the ROC curve: the share of pairs in which the signal's decrease is larger.
    above = (decrease[:, None] > of_other) + 0.5 * (decrease[:, None] == of_other)
    mean, area = bootstrap(of_other - decrease, above)
    given = signal["before"]
    return {
        "proteins": len(signal),
        "mean difference": round(float(-decrease.mean()), 3),
        "mean difference, other residues": round(float(-of_other.mean()), 3),
        "signal minus other": mean,
        "area": area,
        "with the label": int(given.sum()),
        "lose it": int((given & ~signal["after"]).sum()),
        "lose it, other residues": int((given & ~other["after"]).sum()),
    }


def row_of(signal: str, kind: str, found: dict) -> str:
    """A row of the table."""

    def text(value: Interval) -> str:
        return f"{value[0]:.2f} ({value[1]:.2f} to {value[2]:.2f})"

    means = f"{found['mean difference']:.2f} | {found['mean difference, other residues']:.2f}"
    lost = [f"{found[name]} of {found['with the label']}" for name in found if "lose it" in name]
    cells = [means, text(found["signal minus other"]), text(found["area"]), *lost]
    return f"| {signal}, {kind} | {found['proteins']} | {' | '.join(cells)} |"


def main() -> None:
    """Print the table, and the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--proteins", type=int, default=40, help="of each signal, at most")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    if not DEEPLOC.exists() or not TARGETP.exists():
        print(f"real signals: not measured, {TARGETP} or {DEEPLOC} is absent")
        return
    table = measure(arguments.bundle, arguments.proteins, arguments.threads)
    names = ("variants", "proteins", "signal", "other", "signal minus other", "area")
    print(f"| {' | '.join(names)} | lose the label, signal | other |\n{'|---' * 8}|")
    result = {}
    for (signal, kind), part in table.groupby(["signal", "kind"], sort=False):
        found = result[f"{signal}, {kind}"] = figures(part)
        print(row_of(signal, kind, found))
    print(json.dumps({"name": "real_signals", **result}))


if __name__ == "__main__":
    main()
