"""What each residue of a protein contributes to a label: integrated gradients."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from halo.device import within_memory
from halo.finetuning.head import AttentionHead
from halo.network.baselines import MeanEmbedding
from halo.network.batch import Batch, Data
from halo.network.features import MODALITIES

# Points of the path, which all models of a bundle share, and the fewest and most of one.
POINTS, FEWEST, MOST = 48, 6, 16
RESIDUES = 8192  # of the points that are computed together


@dataclass(frozen=True)
class Attribution:
    """What residues contribute to some labels.

    Attributes
    ----------
    values : float32 [n_labels, length], in units of the label's logit
    change : float64 [n_labels], logit of the protein minus that of the baseline: what the values
        of a label sum to, up to the error of the integration
    attention : float32 [length], of the pooling, the mean over its heads; sums to 1
    """

    values: np.ndarray
    change: np.ndarray
    attention: np.ndarray


def steps_of(models: int) -> int:
    """Points of the path that each of so many models is asked about."""
    return min(MOST, max(FEWEST, POINTS // models))


def mean_attribution(parts: Sequence[Attribution]) -> Attribution:
    """The mean over models."""
    return Attribution(
        np.mean([part.values for part in parts], axis=0, dtype=np.float32),
        np.mean([part.change for part in parts], axis=0),
        np.mean([part.attention for part in parts], axis=0, dtype=np.float32),
    )


def network_attribution(
    network: nn.Module,
    protein: Data,
    labels: Sequence[int],
    task: str,
    device: str,
    steps: int = MOST,
) -> Attribution:
    """Of any of `halo.network.classes`, from the node features of every modality.

    Edges stay what they are; what a structure says through them is in no residue's part.
    Where the GPU's memory runs out, the CPU does it.
    """

    def scores(points: Sequence[Tensor]) -> Tensor:
        count = len(points[0])
        batch = Batch.from_data_list([protein] * count).to(device)
        for name, point in zip(MODALITIES, points, strict=True):
            batch[name] = point.flatten(0, 1)
        return _told(network(batch).logits, task)

    def work() -> Attribution:
        inputs = [protein[name].float().to(device) for name in MODALITIES]
        values, change = integrated_gradients(
            scores, inputs, _unknown(network, inputs), labels, steps
        )
        with torch.inference_mode():
            attention = network(Batch.from_data_list([protein]).to(device)).attention
        return Attribution(values, change, attention.float().mean(dim=1).cpu().numpy())

    found = work() if device == "cpu" else within_memory(work)
    if found is not None:
        return found
    own = deepcopy(network).cpu()
    return network_attribution(own, protein, labels, task, "cpu", steps)


def head_attribution(
    head: AttentionHead,
    residues: np.ndarray,
    labels: Sequence[int],
    task: str,
    steps: int = MOST,
) -> Attribution:
    """Of the head of a fine-tuned language model, from its states float [length, dim].

    The baseline is the protein's average residue throughout: the head normalizes each state, and
    towards a state of zeros only its length would change, which it does not see.
    """
    states = torch.from_numpy(residues).float()

    def scores(points: Sequence[Tensor]) -> Tensor:
        there = torch.ones(points[0].shape[:2], dtype=torch.bool)
        return _told(head(points[0], there), task)

    average = [states.mean(dim=0).expand_as(states)]
    values, change = integrated_gradients(scores, [states], average, labels, steps)
    with torch.inference_mode():
        attention = head.score(head.norm(states)).softmax(dim=0).mean(dim=1)
    return Attribution(values, change, attention.numpy())


def integrated_gradients(
    scores: Callable[[Sequence[Tensor]], Tensor],
    inputs: Sequence[Tensor],
    baselines: Sequence[Tensor],
    labels: Sequence[int],
    steps: int = MOST,
) -> tuple[np.ndarray, np.ndarray]:
    r"""Integrated gradients (Sundararajan 2017, arXiv 1703.01365) of residues.

    .. math::
        a_i = \sum_d (x_{id} - \bar x_d) \int_0^1
        \frac{\partial z(\bar x + t (x - \bar x))}{\partial x_{id}} \, dt

    over the straight way from the baseline :math:`\bar x`, by a Gauss–Legendre sum. The parts of
    all residues sum to :math:`z(x) - z(\bar x)`.

    Parameters
    ----------
    scores : from points of the path, a tensor [n_points, length, dim] for each of `inputs`, to
        scores [n_points, n_labels]; points must not influence each other
    inputs, baselines : tensors [length, dim]
    labels : columns of the scores that are wanted
    steps : points of the path

    Returns
    -------
    parts float32 [n_labels, length], and the changes of the scores float64 [n_labels]
    """
    length = len(inputs[0])
    places, weights = np.polynomial.legendre.leggauss(steps)
    device = inputs[0].device
    places = torch.tensor((places + 1) / 2, dtype=torch.float32, device=device)[:, None, None]
    weights = torch.tensor(weights / 2, dtype=torch.float32, device=device)[:, None, None]
    at_once = max(1, RESIDUES // length)
    found = torch.zeros(len(labels), length, device=device)
    for some, weight in zip(places.split(at_once), weights.split(at_once), strict=True):
        points = [
            (base + some * (x - base)).requires_grad_()
            for x, base in zip(inputs, baselines, strict=True)
        ]
        told = scores(points)
        for row, label in enumerate(labels):
            slopes = torch.autograd.grad(
                told[:, label].sum(), points, retain_graph=row + 1 < len(labels), allow_unused=True
            )
            for x, base, slope in zip(inputs, baselines, slopes, strict=True):
                if slope is not None:
                    found[row] += ((weight * slope).sum(dim=0) * (x - base)).sum(dim=1)
    with torch.inference_mode():
        own = scores([x[None] for x in inputs])
        none = scores([base[None] for base in baselines])
    change = (own - none)[0, list(labels)].double()
    return found.cpu().numpy(), change.cpu().numpy()


def _unknown(network: nn.Module, inputs: Sequence[Tensor]) -> list[Tensor]:
    """A protein of the same length and graph of whose residues nothing is known.

    Its embedding is that of the average training residue, its amino acid the average one, far
    from both ends, and there is no structure. A network that normalizes a protein's mean embedding
    sees no length of it, so that nothing would lie between: its baseline is the protein's average
    residue.
    """
    baselines = [torch.zeros_like(x) for x in inputs]
    place = MODALITIES.index("embedding")
    if isinstance(network, MeanEmbedding):
        baselines[place] = inputs[place].mean(dim=0).expand_as(inputs[place])
    elif hasattr(network, "standardize"):
        baselines[place] = network.standardize.mean.expand_as(inputs[place])
    return baselines


def _told(logits: Tensor, task: str) -> Tensor:
    """Logits that mean something each: of a softmax, against the mean of all."""
    if task == "singlelabel":
        return logits - logits.mean(dim=1, keepdim=True)
    return logits
