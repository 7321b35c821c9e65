import torch
from hypothesis import given
from hypothesis import strategies as st

from essen.model import ImageFeatures, TextFeatures
from essen.objectives.contrastive import same_pairs
from essen.objectives.matching import draw_negatives, matching_loss

PAIRS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=16)


def features(batch: int) -> tuple[ImageFeatures, TextFeatures]:
    unit = torch.nn.functional.normalize(torch.randn(2, batch, 8), dim=-1)
    mask = torch.ones(batch, 3, dtype=torch.bool)
    return ImageFeatures(unit[0], torch.randn(batch, 4, 6)), TextFeatures(unit[1], torch.randn(batch, 3, 6), mask)


@given(PAIRS, st.integers(0, 1000), st.sampled_from([0.0, 1.0, 1e4, float("nan"), float("inf")]))
def test_a_negative_never_shares_picture_or_caption(pairs: list[tuple[int, int]], seed: int, sharpness: float) -> None:
    ids = torch.tensor(pairs)
    same = same_pairs(ids[:, 0], ids[:, 1])
    similarity = torch.randn(len(pairs), len(pairs), generator=torch.Generator().manual_seed(seed)) * sharpness
    drawn = draw_negatives(similarity, same, torch.Generator().manual_seed(seed))
    assert drawn.found.tolist() == (~same).any(1).tolist()
    for row, column in enumerate(drawn.columns.tolist()):
        if drawn.found[row]:
            assert pairs[row][0] != pairs[column][0] and pairs[row][1] != pairs[column][1]


def test_the_hardest_is_drawn_most_often() -> None:
    similarity = torch.tensor([[9.0, 0.0, 3.0, 0.0]]).expand(1000, 4)
    same = torch.tensor([[True, False, False, False]]).expand(1000, 4)
    columns = draw_negatives(similarity, same, torch.Generator().manual_seed(0)).columns
    assert (columns == 2).float().mean() > 0.85 and (columns == 0).sum() == 0


@given(PAIRS)
def test_true_pairs_come_first_and_every_negative_is_counted(pairs: list[tuple[int, int]]) -> None:
    ids = torch.tensor(pairs)
    images, texts = features(len(pairs))
    same = same_pairs(ids[:, 0], ids[:, 1])
    seen: list[tuple[ImageFeatures, TextFeatures]] = []

    def match(some_images: ImageFeatures, some_texts: TextFeatures) -> torch.Tensor:
        seen.append((some_images, some_texts))
        return (some_images.embedding * some_texts.embedding).sum(-1)

    rows = torch.arange(len(pairs))
    matching = matching_loss(match, images, texts, torch.tensor(2.0), same, rows, torch.Generator().manual_seed(0))
    assert matching.loss.isfinite()
    if not seen:
        assert matching.loss == 0 and matching.accuracy is None and matching.skipped == 2 * len(pairs)
        return
    (used_images, used_texts), count = seen[0], len(pairs)
    torch.testing.assert_close(used_images.embedding[:count], images.embedding)
    torch.testing.assert_close(used_texts.embedding[:count], texts.embedding)
    assert len(used_images.embedding) - count + matching.skipped == 2 * count


def test_a_batch_of_one_has_no_matching_term() -> None:
    images, texts = features(1)
    same = torch.ones(1, 1, dtype=torch.bool)
    generator = torch.Generator().manual_seed(0)
    matching = matching_loss(
        lambda *_: torch.zeros(1), images, texts, torch.tensor(2.0), same, torch.tensor([0]), generator
    )
    assert matching == (0, None, 2)
