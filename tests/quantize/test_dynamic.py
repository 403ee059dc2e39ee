"""Eight bits by blocks: the codebook and the codes are bitsandbytes', the fast look-up is the plain one."""

import pytest
import torch

from handbook.quantize.dynamic import BLOCK, codebook, dequantize, nearest, nearest_plain, quantize


def numbers(signed: bool, size: int = 3 * BLOCK + 17, seed: int = 0) -> torch.Tensor:
    """Of very different sizes, as moments are."""
    drawn = torch.randn(size, generator=torch.Generator().manual_seed(seed)) ** 5
    return drawn if signed else drawn.abs()


@pytest.fixture(scope="module")
def peer():
    """bitsandbytes, imported once."""
    return pytest.importorskip("bitsandbytes.functional")


@pytest.mark.parametrize("signed", [True, False])
def test_the_codebook_is_that_of_bitsandbytes(signed: bool, peer) -> None:
    assert torch.equal(codebook(signed), peer.create_dynamic_map(signed))


def test_half_of_the_codes_are_in_the_highest_decade() -> None:
    assert ((codebook(False) > 0.1).sum().item(), (codebook(False) == 0).sum().item()) == (129, 1)
    assert (codebook(True).abs() > 0.1).sum().item() == 129


@pytest.mark.parametrize("signed", [True, False])
def test_the_fast_codes_are_the_plain_ones(signed: bool) -> None:
    """Also right at, just below and just above every border between two codes."""
    values = codebook(signed)
    borders = (values[:-1] + values[1:]) / 2
    around = [borders, values, borders.nextafter(torch.tensor(-2.0)), borders.nextafter(torch.tensor(2.0))]
    drawn = numbers(signed)
    hard = torch.cat([*around, drawn / drawn.abs().max(), torch.tensor([0.0, -0.0, 1.0, 1e-40])])
    assert torch.equal(nearest(hard, signed), nearest_plain(hard, signed))
    least = (hard[:, None] - values).abs().min(1).values
    off = (hard - values[nearest_plain(hard, signed).long()]).abs()
    assert torch.allclose(off, least, rtol=1e-6, atol=1e-7), "equal but for the rounding of the borders"


@pytest.mark.parametrize("signed", [True, False])
def test_scales_and_numbers_read_back_are_those_of_bitsandbytes(signed: bool, peer) -> None:
    ours = quantize(numbers(signed), signed)
    _, state = peer.quantize_blockwise(numbers(signed), codebook(signed), blocksize=BLOCK)
    assert torch.equal(ours.scales, state.absmax)
    theirs = peer.dequantize_blockwise(ours.codes, absmax=ours.scales, code=codebook(signed), blocksize=BLOCK)
    assert torch.equal(dequantize(ours), theirs)


@pytest.mark.parametrize("signed", [True, False])
def test_codes_are_those_of_bitsandbytes_but_for_the_steps_of_its_table(signed: bool, peer) -> None:
    """On a processor it looks codes up in 65,536 equal steps of [-1, 1]: 1.53e-5 to either side of a number
    count as one. Farther than that from a border the codes are the same; where they differ ours is nearer."""
    given = numbers(signed, 64 * BLOCK)
    ours = quantize(given, signed)
    found, _ = peer.quantize_blockwise(given, codebook(signed), blocksize=BLOCK)
    values = codebook(signed)
    normed = (given.view(-1, BLOCK) / ours.scales[:, None]).flatten()
    nearest_border = (normed[:, None] - (values[:-1] + values[1:]) / 2).abs().min(1).values
    apart = ours.codes != found
    assert not apart[nearest_border > 1.6e-5].any()
    assert apart.any()
    assert ((normed - values[ours.codes.long()]).abs() <= (normed - values[found.long()]).abs()).all()


@pytest.mark.parametrize("size", [1, BLOCK - 1, BLOCK, BLOCK + 1])
def test_a_number_comes_back_to_within_half_a_step(size: int) -> None:
    """In the highest decade a step is 0.9 / 64 of the block's scale; -1 has no code and is 0.0070 off."""
    given = numbers(True, size)
    coded = quantize(given, True)
    assert coded.codes.shape == given.shape
    scale = coded.scales.repeat_interleave(BLOCK)[:size]
    assert ((dequantize(coded) - given).abs() <= 0.00705 * scale).all()


def test_zeros_stay_zeros_and_blocks_do_not_see_each_other() -> None:
    given = torch.cat([torch.zeros(BLOCK), torch.full((BLOCK,), 1e-30), torch.full((BLOCK,), 1e30)])
    back = dequantize(quantize(given, True))
    assert torch.equal(back, given)
