"""Predict the regions of held-out proteins after the training of a network."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from halo.files import write_table
from halo.fold_parts import TRAIN, FoldParts
from halo.model_description import RegionKinds
from halo.proteins.table import Proteins
from halo.regions.decode import count_transitions, decode
from halo.regions.table import COLUMNS, FILE, Regions
from halo.training.loop import region_probabilities


def predict_regions(
    network: Any,
    dataset: Any,
    proteins: Proteins,
    parts: FoldParts,
    regions: Regions,
    settings: Any,
    folder: Path,
) -> RegionKinds:
    """Write ``regions.csv`` of the held-out proteins that are annotated.

    Its columns are id, start, end, kind and confidence, the mean probability of the kind over the
    region. How kinds follow each other is counted in the training proteins.

    Returns
    -------
    Kinds and transitions, with which regions of other proteins are predicted
    """
    annotated = np.array([name in regions.of_protein for name in proteins.ids])
    train = parts.rows(TRAIN)
    transitions = count_transitions(
        (dataset.regions[row] for row in train[annotated[train]]), len(regions.kinds)
    )
    rows = parts.held_out[annotated[parts.held_out]].tolist()
    lengths = proteins.table["length"].to_numpy()
    found = []
    for row, probabilities in region_probabilities(network, dataset, lengths, rows, settings):
        for region in decode(probabilities, regions.kinds, transitions):
            found.append({"id": proteins.ids[row], **asdict(region)})
    write_predicted(folder, found)
    return RegionKinds(
        kinds=list(regions.kinds),
        first=transitions.first.tolist(),
        next=transitions.next.tolist(),
    )


def write_predicted(folder: Path, found: Sequence[dict[str, Any]]) -> None:
    """Write the predicted regions of a model, which may be none."""
    table = pd.DataFrame(found, columns=[*COLUMNS, "confidence"])
    write_table(Path(folder) / FILE, table.round({"confidence": 4}))
