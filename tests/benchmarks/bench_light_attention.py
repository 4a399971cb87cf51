"""Compare light attention on one thread of a CPU with its padded form.

A batch of 8,192 residues with random embeddings, and lengths drawn from the logarithmic normal
distribution of DeepLoc 2.0's proteins; cropped to 400 residues in the training step (forward and
backward), whole in the prediction. The other form has the same weights, `conv1d`, and a padded row
for each protein, as light attention is usually written. Both give the same logits. The two
alternate; the fastest of each counts. The last line is one JSON object.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from halo.network.baselines import LightAttention
from halo.network.batch import Batch, Data
from halo.network.model import NetworkSettings

WIDTHS = {192: 10, 320: 6, 1280: 2}  # of the offline model, ESM-2 8M and 650M; and how often
RESIDUES, CROP = 8192, 400
LOG_MEAN, LOG_DEVIATION = np.log(356), 0.9  # of the residues above 40
UNUSED = ("edge_index", "edge_attr", "edge_contact", "coordinates")


def made_batch(width: int, longest: int) -> Batch:
    """Proteins up to the budget of residues."""
    rng = np.random.default_rng(1)
    lengths: list[int] = []
    while sum(lengths) < RESIDUES:
        lengths.append(min(longest, 40 + int(rng.lognormal(LOG_MEAN, LOG_DEVIATION))))
    torch.manual_seed(1)
    proteins = [Data(length, embedding=torch.randn(length, width)) for length in lengths[:-1]]
    batch = Batch.from_data_list(proteins)
    for name in UNUSED:
        batch[name] = torch.empty(0)
    return batch


def padded(net: LightAttention, batch: Batch) -> Tensor:
    """Logits of the padded form."""
    parts = net.standardize(batch.embedding).split(batch.ptr.diff().tolist())
    channels = pad_sequence(list(parts), batch_first=True).transpose(1, 2)
    lengths = batch.ptr.diff()[:, None]
    beyond = (torch.arange(channels.shape[2]) >= lengths)[:, None]
    attention = torch.softmax(net.attend(channels).masked_fill(beyond, -torch.inf), dim=2)
    values = net.dropout(net.value(channels))
    highest = values.masked_fill(beyond, -torch.inf).amax(dim=2)
    return net.head(torch.cat([(attention * values).sum(dim=2), highest], dim=1))


def measured(net: LightAttention, batch: Batch, training: bool, repeats: int) -> dict[str, float]:
    """Residues per second of both forms."""
    net.train(training)
    ways: dict[str, Callable[[], Tensor]] = {
        "ours": lambda: net(batch).logits,
        "padded": lambda: padded(net, batch),
    }
    if not training:
        with torch.inference_mode():
            torch.testing.assert_close(ways["ours"](), ways["padded"](), atol=1e-4, rtol=1e-4)
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, logits in ways.items():
            began = time.perf_counter()
            with torch.inference_mode(not training):
                result = logits()
                if training:
                    result.sum().backward()
            times[name].append(time.perf_counter() - began)
    return {name: batch.num_nodes / min(taken) for name, taken in times.items()}


def main() -> None:
    """Print the residues per second at each width."""
    torch.set_num_threads(1)
    rows = []
    for width, repeats in WIDTHS.items():
        torch.manual_seed(1)
        net = LightAttention(width, 10, NetworkSettings())
        for training in (True, False):
            batch = net.prepare(made_batch(width, CROP if training else 10 * RESIDUES))
            rates = measured(net, batch, training, repeats + 1)
            ratio = rates["ours"] / rates["padded"]
            what = "training" if training else "prediction"
            rows.append({"width": width, "what": what, **rates, "ratio": ratio})
            print(
                f"{width:5} dimensions, {what:10}: {rates['ours']:8,.0f} residues/s, "
                f"padded {rates['padded']:8,.0f}, ratio {ratio:.1f}",
                flush=True,
            )
    print(json.dumps({"name": Path(__file__).stem, "rows": rows}))


if __name__ == "__main__":
    main()
