"""Compare what a bundle explains and predicts with annotated sorting signals.

    make known-signals BUNDLE=folder
    make known-signals BUNDLE=folder SIGNALS='--most 50'
    make known-signals BUNDLE=folder SIGNALS='--proteins in.fasta --regions in.csv --label NLS=Core'

By default, the proteins are those of TargetP 2.0 in a partition of DeepLoc 2.0 (4) that the bundle
must not be trained on. With `--proteins` and `--regions`, a table of one region per row (`id`,
`start`, `end`, `kind`; 1-based, both included) can have any kinds: peroxisomal signals (PTS1),
KDEL, nuclear localization signals, ...; `--label` names the label that a kind leads to. The 25
proteins of `known_signals.csv` are compared by

    --proteins ../shared/data/deeploc2/Swissprot_Train_Validation_dataset.csv.gz --id ACC
    --sequence Sequence --regions tests/benchmarks/known_signals.csv
    --label 'transit peptide=Mitochondrion'

For each protein with a region of a kind, three rankings of its residues are compared with that
region: the attribution of the label, the attention, and the residue head (the confidence inside of
predicted regions of the kind, 0 elsewhere). A protein counts if the label is one of the three most
probable ones that it is given, or if it is given none and the label is its most probable one, since
others have no attribution of it. Attributions and attention are averages over 7 residues, as on the
page. Measured are the area below the ROC curve (chance: 0.5), and of the k highest residues the
share in the region, which has k residues (chance: the share of the region in the protein).
Intervals are 95 % percentile intervals over proteins. Prints a table in Markdown, and as the last
line one JSON object.
"""

import argparse
import json
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from samples import DEEPLOC, SHARED, require_unseen, trained_on
from sklearn.metrics import roc_auc_score
from sorting_signals import KINDS, NONE, TARGETP

from halo.evaluation.bootstrap import GroupBootstrap, estimate
from halo.files import read_json
from halo.predict.explanation import Explanation
from halo.predict.output import read_chunk_explanations
from halo.predict.regions import smoothed
from halo.predict.run import PAGE_RESIDUES, predict
from halo.predict.settings import PredictSettings
from halo.proteins.settings import RegionsSettings
from halo.regions.read import read_user_regions
from halo.regions.table import Region, Regions
from halo.tables.readers import read_records

# The labels of DeepLoc 2.0 that TargetP 2.0's kinds of signals lead to.
LABELS = {
    "signal peptide": "Extracellular",
    "mitochondrial transit peptide": "Mitochondrion",
    "chloroplast transit peptide": "Plastid",
    "thylakoid luminal transit peptide": "Plastid",
}
RESAMPLES = 1000
WAYS = ("attribution", "attention", "residue head")


@dataclass(frozen=True)
class Found:
    """What was found of one region: by ranking, the area below the ROC curve and the top share."""

    id: str
    kind: str
    chance: float
    area: dict[str, float]
    top: dict[str, float]


def compared(
    explanation: Explanation,
    predicted: Iterable[Mapping[str, Any]] | None,
    known: Iterable[Region],
    label_of: Mapping[str, str],
) -> list[Found]:
    """The regions of a protein that count, each kind with all its regions.

    `predicted` are the entries of ``predicted_regions``, None if the bundle predicts none.
    """
    found = []
    known = list(known)
    for kind in dict.fromkeys(region.kind for region in known):
        label = label_of.get(kind)
        inside = marked([region for region in known if region.kind == kind], explanation)
        if label not in explanation.labels or inside.all():
            continue
        values = explanation.attribution.values[list(explanation.labels).index(label)]
        scores = {
            "attribution": smoothed(values),
            "attention": smoothed(explanation.attribution.attention),
        }
        if predicted is not None:
            head = np.zeros(len(inside))
            for region in predicted:
                if region["kind"] == kind:
                    head[region["start"] - 1 : region["end"]] = region["confidence"]
            scores["residue head"] = head
        found.append(
            Found(
                explanation.id,
                kind,
                float(inside.mean()),
                {way: float(roc_auc_score(inside, each)) for way, each in scores.items()},
                {way: top_share(inside, each) for way, each in scores.items()},
            )
        )
    return found


def marked(regions: Iterable[Region], explanation: Explanation) -> np.ndarray:
    """Which residues are in one of the regions, bool [length]."""
    inside = np.zeros(len(explanation.sequence), dtype=bool)
    for region in regions:
        inside[region.start - 1 : region.end] = True
    return inside


def top_share(inside: np.ndarray, scores: np.ndarray) -> float:
    """Share of the k highest residues that are in the k residues `inside`.

    Residues with the same score are drawn at random: the result is the expected share.
    """
    count = int(inside.sum())
    limit = np.sort(scores)[-count]
    above, tied = scores > limit, scores == limit
    return float((inside[above].sum() + (count - above.sum()) * inside[tied].mean()) / count)


def measured(
    bundle: Path,
    proteins: Mapping[str, str],
    regions: Regions,
    label_of: Mapping[str, str],
    settings: PredictSettings,
) -> list[Found]:
    """Predict and explain `proteins`, sequences by id, and compare each with its regions."""
    return [
        found
        for some in portions(proteins)
        for found in _measured(bundle, some, regions, label_of, settings)
    ]


def portions(proteins: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Proteins with at most `PAGE_RESIDUES` at a time: no more are explained by one call."""
    some: dict[str, str] = {}
    used = 0
    for name, sequence in proteins.items():
        if some and used + len(sequence) > PAGE_RESIDUES:
            yield some
            some, used = {}, 0
        some[name] = sequence
        used += len(sequence)
    if some:
        yield some


def _measured(
    bundle: Path,
    proteins: Mapping[str, str],
    regions: Regions,
    label_of: Mapping[str, str],
    settings: PredictSettings,
) -> list[Found]:
    with TemporaryDirectory() as scratch:
        fasta, out = Path(scratch, "known.fasta"), Path(scratch, "out")
        fasta.write_text("".join(f">{name}\n{text}\n" for name, text in proteins.items()))
        predict(fasta, bundle, out, settings)
        records = {each["id"]: each for each in read_json(out / "predictions.json")["proteins"]}
        return [
            found
            for file in sorted(out.glob("chunks/*.json"))
            for each in read_chunk_explanations(file)
            for found in compared(
                each, records[each.id]["predicted_regions"], regions.named(each.id), label_of
            )
        ]


def summary(found: Iterable[Found], regions: Regions, asked: Collection[str]) -> dict[str, Any]:
    """Means over proteins with their intervals, by kind; `asked` are all ids."""
    content = {}
    rows = list(found)
    for kind in regions.kinds:
        own = [each for each in rows if each.kind == kind]
        known = sum(any(region.kind == kind for region in regions.named(name)) for name in asked)
        content[kind] = {"known": known, "counted": len(own)}
        if own:
            content[kind] |= {
                "chance": mean_of([each.chance for each in own]),
                **{
                    name: {
                        way: mean_of([getattr(each, name)[way] for each in own])
                        for way in own[0].area
                    }
                    for name in ("area", "top")
                },
            }
    return content


def mean_of(values: list[float]) -> dict[str, float | None]:
    """The mean with its interval over proteins."""
    bootstrap = GroupBootstrap(np.arange(len(values)), RESAMPLES, seed=1)
    columns = np.column_stack([values, np.ones(len(values))])
    total, count = bootstrap.sums(columns)
    return estimate(total / count)


def table_of(content: Mapping[str, Any]) -> str:
    """The summary in Markdown."""
    head = [f"{what}, {way}" for what in ("ROC area", "top k") for way in WAYS]
    lines = [
        f"| kind | known | counted | {' | '.join(head)} | top k, chance |",
        "|---" * (len(head) + 4) + "|",
    ]
    for kind, found in content.items():
        cells = [text_of(found.get(name, {}).get(way)) for name in ("area", "top") for way in WAYS]
        cells.append(text_of(found.get("chance")))
        lines.append(f"| {kind} | {found['known']} | {found['counted']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def text_of(found: Mapping[str, float | None] | None) -> str:
    """A value with its interval; a dash if there is none."""
    if found is None or found["value"] is None:
        return "–"
    if found["low"] is None:  # of a single protein
        return f"{found['value']:.2f}"
    return f"{found['value']:.2f} ({found['low']:.2f} to {found['high']:.2f})"


def of_targetp(partition: str) -> tuple[pd.DataFrame, Regions]:
    """Proteins of a partition of DeepLoc 2.0 that have a signal in TargetP 2.0's data."""
    signals = pd.read_csv(TARGETP).set_index("accession")
    signals = signals[signals["type"] != NONE]
    table = pd.read_csv(DEEPLOC, dtype={"Partition": str}).set_index("ACC")
    table = table[(table["Partition"] == partition) & table.index.isin(signals.index)]
    chosen = signals.loc[table.index]
    ends = chosen["cleavage_index"]
    fits = (ends > 0) & (ends <= table["Sequence"].str.len())
    of_protein = {
        name: (Region(1, int(end), KINDS[kind]),)
        for name, kind, end in zip(
            chosen.index[fits], chosen["type"][fits], ends[fits], strict=True
        )
    }
    proteins = pd.DataFrame({"id": table.index, "sequence": table["Sequence"].to_numpy()})
    return proteins, Regions(tuple(KINDS.values()), of_protein)


def sampled(regions: Regions, most: int | None) -> list[str]:
    """Ids of annotated proteins, at most `most` of each kind, drawn with a fixed seed."""
    chosen: dict[str, None] = {}
    order = np.random.default_rng(1).permutation(sorted(regions.of_protein))
    for kind in regions.kinds:
        own = [name for name in order if any(r.kind == kind for r in regions.named(name))]
        chosen |= dict.fromkeys(own[:most])
    return list(chosen)


def main() -> None:
    """Measure a bundle, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--partition", default="4", help="of DeepLoc 2.0 (default: 4)")
    parser.add_argument("--proteins", type=Path, help="table or FASTA with id and sequence")
    parser.add_argument("--id", default="id", help="their column of ids (default: id)")
    parser.add_argument("--sequence", default="sequence", help="their column of sequences")
    parser.add_argument("--regions", type=Path, help="table of their regions")
    parser.add_argument(
        "--label", action="append", default=[], metavar="KIND=LABEL", help="label of a kind"
    )
    parser.add_argument("--most", type=int, help="proteins of each kind; default: all")
    parser.add_argument("--structures", type=Path, default=SHARED / "afdb")
    parser.add_argument("--language-model", type=Path, help="where the bundle's is not published")
    parser.add_argument("--device", help="cpu or cuda")
    arguments = parser.parse_args()
    if arguments.proteins:
        records = read_records(arguments.proteins)
        columns = {arguments.id: "id", arguments.sequence: "sequence"}
        proteins = records.rename(columns=columns).assign(accession="")
        regions = read_user_regions(
            arguments.regions, RegionsSettings(str(arguments.regions)), proteins
        )
        met = trained_on(arguments.bundle, proteins["sequence"])
        known = "unknown how many" if met is None else f"{met:,}"
        print(f"in the training of the bundle: {known} of {len(proteins):,}", file=sys.stderr)
    else:
        proteins, regions = of_targetp(arguments.partition)
        require_unseen(arguments.bundle, proteins["sequence"].tolist())
    label_of = LABELS | dict(text.split("=", 1) for text in arguments.label)
    names = sampled(regions, arguments.most)
    sequences = proteins.set_index("id")["sequence"].loc[names].to_dict()
    settings = PredictSettings(
        structures=arguments.structures if arguments.structures.is_dir() else None,
        download=False,
        language_model=arguments.language_model,
        device=arguments.device,
        page=len(sequences),
    )
    found = measured(arguments.bundle, sequences, regions, label_of, settings)
    content = summary(found, regions, names)
    print(table_of(content))
    print(
        json.dumps({"name": "known_signals", "kinds": content, "proteins": [*map(asdict, found)]})
    )


if __name__ == "__main__":
    main()
