"""Characters as tokens, the split, batches by seed and step."""

import pytest
import torch

from handbook.errors import TextUnavailable
from handbook.train.characters import Characters, Corpus, batch_at, windows


def test_there_and_back() -> None:
    tokenizer = Characters("hello, world\n")
    assert tokenizer.symbols == "\n ,dehlorw"
    assert tokenizer.encode("old") == [7, 6, 3]
    assert tokenizer.decode(tokenizer.encode("red hood")) == "red hood"
    with pytest.raises(ValueError, match="'!', 'x'"):
        tokenizer.encode("x!")


def test_the_end_is_held_out() -> None:
    text = "ab" * 450 + "c" * 100
    corpus = Corpus.of(text, 8)
    assert corpus.tokenizer.decode(corpus.train.tolist()) == "ab" * 450
    assert corpus.tokenizer.decode(corpus.held_out.tolist()) == "c" * 100


@pytest.mark.parametrize("length", [8, 32, 128])
def test_the_shortest_text_suffices_and_a_shorter_one_is_said(length: int) -> None:
    need = round((length + 1) / 0.1) + 1
    corpus = Corpus.of("a" * need, length)
    assert list(windows(corpus.held_out, 4, length))
    assert batch_at(corpus.train, 0, 0, 2, length)[0].shape == (2, length)
    with pytest.raises(TextUnavailable, match=f"need at least {need}"):
        Corpus.of("a" * (need - 1), length)


def test_batches_hang_on_seed_and_step_alone() -> None:
    ids = torch.arange(1000)
    torch.manual_seed(1)
    first = batch_at(ids, 3, 7, 4, 10)
    torch.manual_seed(2)
    batch_at(ids, 3, 6, 4, 10)
    again = batch_at(ids, 3, 7, 4, 10)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    for seed, step in ((3, 8), (4, 7), (7, 3)):
        assert not torch.equal(batch_at(ids, seed, step, 4, 10)[0], first[0])


def test_targets_come_next() -> None:
    inputs, targets = batch_at(torch.arange(100), 0, 0, 32, 10)
    assert torch.equal(targets, inputs + 1)
    assert torch.equal(inputs[:, 1:], inputs[:, :-1] + 1)


def test_every_place_can_be_drawn() -> None:
    starts = {int(s) for step in range(200) for s in batch_at(torch.arange(12), 0, step, 4, 8)[0][:, 0]}
    assert starts == {0, 1, 2, 3}, "the last window ends with the last token as a target"


def test_windows_read_everything_once() -> None:
    pairs = list(windows(torch.arange(101), 3, 10))
    assert torch.equal(torch.cat([inputs.flatten() for inputs, _ in pairs]), torch.arange(100))
    assert torch.equal(torch.cat([targets.flatten() for _, targets in pairs]), torch.arange(1, 101))
    assert [len(inputs) for inputs, _ in pairs] == [3, 3, 3, 1]
