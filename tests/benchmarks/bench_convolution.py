"""Compare a training step of light attention with convolutions in blocks and with PyTorch's.

Forward and backward of 8,192 residues of random embeddings on one thread of a CPU, at the widths of
the offline language model, of ESM-2 8M and of ESM-2 650M. The two alternate; the fastest of each
counts. The last line is one JSON object.
"""

import json
import time
from pathlib import Path

import pytest
import torch

import halo.network.convolution as convolution
from halo.network.baselines import LightAttention
from halo.network.batch import Batch, Data
from halo.network.model import NetworkSettings

WIDTHS = {192: 10, 320: 6, 1280: 2}  # and how often
LENGTH, PROTEINS = 328, 25


def step(net: LightAttention, batch: Batch) -> float:
    """Seconds of a forward and a backward pass."""
    began = time.perf_counter()
    net(batch).logits.sum().backward()
    return time.perf_counter() - began


def main() -> None:
    """Print the residues per second at each width."""
    torch.set_num_threads(1)
    rows = []
    for width, repeats in WIDTHS.items():
        torch.manual_seed(1)
        proteins = [Data(LENGTH, embedding=torch.randn(LENGTH, width)) for _ in range(PROTEINS)]
        batch = Batch.from_data_list(proteins)
        for name in ("edge_index", "edge_attr", "edge_contact", "coordinates"):
            batch[name] = torch.empty(0)  # not used
        net = LightAttention(width, 10, NetworkSettings()).train()
        batch = net.prepare(batch)
        times: dict[str, list[float]] = {"blocks": [], "conv1d": []}
        for number in range(repeats + 1):
            for name, taken in times.items():
                with pytest.MonkeyPatch.context() as patch:
                    if name == "conv1d":
                        patch.setattr(convolution, "_by_blocks", convolution._direct)
                    seconds = step(net, batch)
                if number:  # the first step also allocates
                    taken.append(seconds)
        rates = {name: LENGTH * PROTEINS / min(taken) for name, taken in times.items()}
        rows.append({"width": width, **rates, "ratio": rates["blocks"] / rates["conv1d"]})
        print(
            f"{width:5} dimensions: {rates['blocks']:8,.0f} residues/s, "
            f"conv1d {rates['conv1d']:8,.0f}, ratio {rows[-1]['ratio']:.2f}",
            flush=True,
        )
    print(json.dumps({"name": Path(__file__).stem, "rows": rows}))


if __name__ == "__main__":
    main()
