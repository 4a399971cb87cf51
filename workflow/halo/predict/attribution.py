"""Attribution of labels to residues by integrated gradients."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from halo.device import within_memory
from halo.finetuning.head import AttentionHead
from halo.label_groups import LabelGroup
from halo.network.baselines import MeanEmbedding
from halo.network.batch import Batch, Data
from halo.network.features import MODALITIES
from halo.network.standardize import StandardizeEmbedding

# Integration points shared by all models of a bundle, and their limits for each model.
POINTS, FEWEST, MOST = 48, 6, 16
RESIDUES = 8192  # per batch of integration points


@dataclass(frozen=True)
class Attribution:
    """Contributions of residues to some labels.

    Attributes
    ----------
    values : float32 [n_labels, length], in logits
    change : float64 [n_labels], logit of the protein minus that of the baseline, to which the
        values of a label sum up to the integration error
    attention : float32 [length], pooling attention averaged over heads; sums to 1
    """

    values: np.ndarray
    change: np.ndarray
    attention: np.ndarray


def steps_of(models: int) -> int:
    """Number of integration points for each of `models` models."""
    return min(MOST, max(FEWEST, POINTS // models))


def mean_attribution(parts: Sequence[Attribution]) -> Attribution:
    """Mean attribution over models."""
    return Attribution(
        np.stack([part.values for part in parts]).mean(axis=0, dtype=np.float32),
        np.mean([part.change for part in parts], axis=0),
        np.stack([part.attention for part in parts]).mean(axis=0, dtype=np.float32),
    )


def network_attribution(
    network: nn.Module,
    protein: Data,
    labels: Sequence[int],
    groups: Sequence[LabelGroup],
    device: str,
    steps: int = MOST,
) -> Attribution:
    """Attribution of a network of `halo.network.classes` to the node features of all modalities.

    Edges are not changed; contributions through edges are not attributed to residues. If the GPU
    runs out of memory, the CPU is used.
    """

    def scores(points: Sequence[Tensor]) -> Tensor:
        count = len(points[0])
        batch = Batch.from_data_list([protein] * count).to(device)
        for name, point in zip(MODALITIES, points, strict=True):
            batch[name] = point.flatten(0, 1)
        return _centred(network(batch).logits, groups)

    def work() -> Attribution:
        inputs = [protein[name].float().to(device) for name in MODALITIES]
        values, change = integrated_gradients(
            scores, inputs, _baselines(network, inputs), labels, steps
        )
        with torch.inference_mode():
            attention = network(Batch.from_data_list([protein]).to(device)).attention
        return Attribution(values, change, attention.float().mean(dim=1).cpu().numpy())

    attribution = work() if device == "cpu" else within_memory(work)
    if attribution is not None:
        return attribution
    own = deepcopy(network).cpu()
    return network_attribution(own, protein, labels, groups, "cpu", steps)


def head_attribution(
    head: AttentionHead,
    residues: np.ndarray,
    labels: Sequence[int],
    groups: Sequence[LabelGroup],
    steps: int = MOST,
) -> Attribution:
    """Attribution of the head of a fine-tuned language model to its states, float [length, dim].

    In the baseline, every residue has the mean state of the protein. A baseline of zeros is not
    suitable: the head normalizes each state, so that scaling it down changes nothing.
    """
    states = torch.from_numpy(residues).float()

    def scores(points: Sequence[Tensor]) -> Tensor:
        there = torch.ones(points[0].shape[:2], dtype=torch.bool)
        return _centred(head(points[0], there), groups)

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
    r"""Integrated gradients of residues (Sundararajan 2017, arXiv 1703.01365).

    .. math::
        a_i = \sum_d (x_{id} - \bar x_d) \int_0^1
        \frac{\partial z(\bar x + t (x - \bar x))}{\partial x_{id}} \, dt

    along the straight line from the baseline :math:`\bar x`, by Gauss–Legendre quadrature. The
    values of all residues sum to :math:`z(x) - z(\bar x)`.

    Parameters
    ----------
    scores : function from points on the line, a tensor [n_points, length, dim] for each of
        `inputs`, to scores [n_points, n_labels]; points must not influence each other
    inputs, baselines : tensors [length, dim]
    labels : columns of the scores to explain
    steps : number of integration points

    Returns
    -------
    values float32 [n_labels, length], and the changes of the scores float64 [n_labels]
    """
    length = len(inputs[0])
    places, weights = np.polynomial.legendre.leggauss(steps)
    device = inputs[0].device
    at = torch.tensor((places + 1) / 2, dtype=torch.float32, device=device)[:, None, None]
    shares = torch.tensor(weights / 2, dtype=torch.float32, device=device)[:, None, None]
    at_once = max(1, RESIDUES // length)
    values = torch.zeros(len(labels), length, device=device)
    for some, weight in zip(at.split(at_once), shares.split(at_once), strict=True):
        points = [
            (base + some * (x - base)).requires_grad_()
            for x, base in zip(inputs, baselines, strict=True)
        ]
        scored = scores(points)
        for row, label in enumerate(labels):
            slopes = torch.autograd.grad(
                scored[:, label].sum(),
                points,
                retain_graph=row + 1 < len(labels),
                allow_unused=True,
            )
            for x, base, slope in zip(inputs, baselines, slopes, strict=True):
                if slope is not None:
                    values[row] += ((weight * slope).sum(dim=0) * (x - base)).sum(dim=1)
    with torch.inference_mode():
        own = scores([x[None] for x in inputs])
        none = scores([base[None] for base in baselines])
    change = (own - none)[0, list(labels)].double()
    return values.cpu().numpy(), change.cpu().numpy()


def _baselines(network: nn.Module, inputs: Sequence[Tensor]) -> list[Tensor]:
    """Baseline: a protein of the same length and graph with uninformative residues.

    Each residue has the mean embedding of training residues and average biochemistry far from the
    termini, and there is no structure. For a network that normalizes the mean embedding, scaling
    the embedding changes nothing; its baseline has the mean embedding of the protein. For one that
    does not standardize the embedding, such as `reference`, it is 0.
    """
    baselines = [torch.zeros_like(x) for x in inputs]
    place = MODALITIES.index("embedding")
    if isinstance(network, MeanEmbedding):
        baselines[place] = inputs[place].mean(dim=0).expand_as(inputs[place])
    elif isinstance(standardize := getattr(network, "standardize", None), StandardizeEmbedding):
        baselines[place] = standardize.mean.expand_as(inputs[place])
    return baselines


def _centred(logits: Tensor, groups: Sequence[LabelGroup]) -> Tensor:
    """Logits; those of a softmax relative to their mean, since only differences matter."""
    parts = [
        part - part.mean(dim=1, keepdim=True) if group.task == "singlelabel" else part
        for group in groups
        for part in (logits[:, group.columns],)
    ]
    return torch.cat(parts, dim=1)
