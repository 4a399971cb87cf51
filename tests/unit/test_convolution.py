"""The convolution in blocks against PyTorch's."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import conv1d

from halo.network.convolution import convolve

DTYPES = {torch.float64: 1e-12, torch.float32: 1e-4}


def direct(x, weight, bias):
    return conv1d(x.transpose(1, 2), weight, bias, padding=weight.shape[2] // 2).transpose(1, 2)


@given(
    batch=st.integers(1, 3),
    length=st.integers(1, 100),
    channels=st.integers(1, 5),
    out_channels=st.integers(1, 5),
    kernel=st.integers(0, 15).map(lambda half: 2 * half + 1),
    dtype=st.sampled_from(list(DTYPES)),
)
def test_the_convolution_and_its_gradients_are_those_of_conv1d(
    batch, length, channels, out_channels, kernel, dtype
):
    generator = torch.Generator().manual_seed(length)
    shapes = (batch, length, channels), (out_channels, channels, kernel), (out_channels,)
    inputs = [torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes]
    factor = torch.randn((batch, length, out_channels), generator=generator, dtype=dtype)
    results = []
    for function in (convolve, direct):
        leaves = [tensor.clone().requires_grad_() for tensor in inputs]
        result = function(*leaves)
        results.append([result, *torch.autograd.grad((result * factor).sum(), leaves)])
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, atol=DTYPES[dtype] * 10, rtol=DTYPES[dtype])


def test_a_first_call_without_gradients_does_not_prevent_them_later():
    x, weight, bias = torch.randn(1, 30, 2), torch.randn(3, 2, 11), torch.randn(3)
    with torch.inference_mode():
        expected = convolve(x, weight, bias)
    found = convolve(x, weight.requires_grad_(), bias)
    torch.testing.assert_close(found.detach(), expected)
    found.sum().backward()
    assert weight.grad is not None


def test_mixed_precision_is_left_to_conv1d():
    """The transforms would lose accuracy in bfloat16."""
    x, weight, bias = torch.randn(2, 50, 8), torch.randn(8, 8, 9), torch.randn(8)
    with torch.autocast("cpu", torch.bfloat16):
        found = convolve(x, weight, bias)
        expected = direct(x, weight, None) + bias
    assert torch.equal(found, expected)
