import torch
from hypothesis import given
from hypothesis import strategies as st

from essen.objectives.masked import IGNORE, mask_words, masked_word_loss

MASK, FIRST, VOCABULARY = 2, 3, 50


def layout(lengths: list[list[int]]) -> torch.Tensor:
    """Word numbers from the number of pieces of each word."""
    rows = [[word for word, pieces in enumerate(row) for _ in range(pieces)] for row in lengths]
    words = torch.full((len(rows), max(map(len, rows))), -1)
    for number, row in enumerate(rows):
        words[number, : len(row)] = torch.tensor(row)
    return words


@given(st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=6), min_size=1, max_size=8), st.integers(0, 10_000))
def test_whole_words_at_least_one_a_caption_and_nothing_else_changes(lengths: list[list[int]], seed: int) -> None:
    words = layout(lengths)
    ids = torch.randint(FIRST, VOCABULARY, words.shape).masked_fill(words < 0, 0)
    generator = torch.Generator().manual_seed(seed)
    masked, labels = mask_words(
        ids, words, share=0.15, mask_id=MASK, first_id=FIRST, vocab_size=VOCABULARY, generator=generator
    )
    hidden = labels != IGNORE
    assert hidden.any(1).all()
    assert not hidden[words < 0].any()
    assert (labels[hidden] == ids[hidden]).all()
    assert (masked[~hidden] == ids[~hidden]).all()
    for row in range(len(words)):
        for word in range(len(lengths[row])):
            pieces = words[row] == word
            assert hidden[row][pieces].all() or not hidden[row][pieces].any()
            fates = (masked[row][pieces] == MASK).tolist()
            assert all(fates) or not any(fates)


def test_the_shares_are_those_of_bert() -> None:
    words = torch.arange(20).expand(4000, 20)
    ids = torch.randint(FIRST, VOCABULARY, words.shape)
    generator = torch.Generator().manual_seed(0)
    masked, labels = mask_words(
        ids, words, share=0.15, mask_id=MASK, first_id=FIRST, vocab_size=VOCABULARY, generator=generator
    )
    hidden = labels != IGNORE
    assert abs(hidden.float().mean() - 0.15) < 0.01
    assert abs((masked[hidden] == MASK).float().mean() - 0.8) < 0.01
    # A random piece is the true one in one of 47 cases.
    assert abs((masked[hidden] == ids[hidden]).float().mean() - (0.1 + 0.1 / 47)) < 0.01


def test_the_loss_is_over_the_hidden_pieces_alone() -> None:
    logits, labels = torch.zeros(2, 3, VOCABULARY), torch.full((2, 3), IGNORE)
    labels[0, 1] = 7
    torch.testing.assert_close(masked_word_loss(logits, labels), torch.tensor(float(VOCABULARY)).log())
