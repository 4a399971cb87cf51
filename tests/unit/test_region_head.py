"""The residue head: sees the sides of a residue's neighbours, and no other protein."""

import torch
from torch.nn.functional import conv1d

from halo.network.loss import region_loss
from halo.network.region_head import KERNEL, RegionHead


def test_it_equals_a_convolution_of_each_protein_alone():
    torch.manual_seed(0)
    head = RegionHead(8, 3).eval()
    lengths = [5, 1, 40, 17]
    proteins = [torch.randn(length, 8) for length in lengths]
    batch = torch.repeat_interleave(torch.arange(4), torch.tensor(lengths))
    together = head(torch.cat(proteins), batch, 4).split(lengths)
    for h, found in zip(proteins, together, strict=True):
        convolution = head.convolution
        alone = conv1d(h.T[None], convolution.weight, convolution.bias, padding=KERNEL // 2)[0].T
        torch.testing.assert_close(found, head.classifier(alone))


def test_it_tells_before_from_after():
    torch.manual_seed(0)
    head = RegionHead(4, 1)
    h = torch.randn(9, 4)
    batch = torch.zeros(9, dtype=torch.int64)
    assert not torch.allclose(head(h, batch, 1)[4], head(h.flip(0), batch, 1)[4])


def test_the_loss_is_the_mean_over_known_residues():
    logits = torch.tensor([[2.0, 0.0], [0.0, 0.0], [9.0, -9.0]])
    found = region_loss(logits, torch.tensor([0, 1, -1]))
    by_hand = (torch.log1p(torch.exp(torch.tensor(-2.0))) + torch.log(torch.tensor(2.0))) / 2
    torch.testing.assert_close(found, by_hand)
    assert region_loss(logits, torch.full((3,), -1)) == 0
