import math
from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from essen.objectives.contrastive import (
    MAX_BIAS,
    SigmoidBias,
    contrastive_loss,
    image_contrast_loss,
    same_pairs,
    sigmoid_loss,
)

SCALE = torch.tensor(math.log(1 / 0.07))
BIAS = torch.tensor(-10.0)


@pytest.fixture(autouse=True)
def same_numbers() -> Iterator[None]:
    """The same random numbers whatever other tests have drawn before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def unit(*shape: int) -> torch.Tensor:
    return F.normalize(torch.randn(*shape), dim=-1)


@pytest.mark.parametrize("positive", [True, False])
def test_without_duplicates_it_is_the_plain_symmetric_cross_entropy(positive: bool) -> None:
    images, texts, labels = unit(6, 8), unit(6, 8), torch.arange(6)
    logits = images @ texts.T / 0.07
    expected = (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2
    loss = contrastive_loss(images, texts, SCALE, torch.eye(6, dtype=torch.bool), same_is_positive=positive)
    torch.testing.assert_close(loss, expected)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=12), st.booleans())
def test_any_duplicates_give_a_finite_loss_that_the_order_does_not_change(
    pairs: list[tuple[int, int]], positive: bool
) -> None:
    images, texts = unit(len(pairs), 8).requires_grad_(), unit(len(pairs), 8)
    ids = torch.tensor(pairs)
    same, order = same_pairs(ids[:, 0], ids[:, 1]), torch.randperm(len(pairs))
    loss = contrastive_loss(images, texts, SCALE, same, same_is_positive=positive)
    shuffled = contrastive_loss(images[order], texts[order], SCALE, same[order][:, order], same_is_positive=positive)
    loss.backward()
    assert loss.isfinite() and images.grad is not None and images.grad.isfinite().all()
    torch.testing.assert_close(shuffled, loss)


def test_left_out_duplicates_have_no_influence() -> None:
    images, texts = unit(4, 8), unit(4, 8)
    same = same_pairs(torch.arange(4), torch.tensor([0, 0, 1, 2]))
    moved = texts.clone()
    moved[1] = unit(8)
    row = [
        contrastive_loss(images, t, SCALE, same, same_is_positive=False)
        - contrastive_loss(images[1:], t[1:], SCALE, same[1:, 1:], same_is_positive=False) * 3 / 4
        for t in (texts, moved)
    ]
    # Row 0's own terms are what is left of the first, up to the terms of rows 2 and 3 that row 0 takes part in.
    assert all(value.isfinite() for value in row)
    alone = contrastive_loss(images[:2], texts[:2], SCALE, same[:2, :2], same_is_positive=False)
    assert alone == 0


def test_all_duplicates_as_positives_ask_for_even_shares() -> None:
    images = unit(1, 8).expand(5, 8)
    loss = contrastive_loss(images, images, SCALE, torch.ones(5, 5, dtype=torch.bool), same_is_positive=True)
    torch.testing.assert_close(loss, torch.tensor(math.log(5)))


def test_pictures_of_one_caption_attract_each_other() -> None:
    images = unit(6, 8).requires_grad_()
    captions = torch.tensor([0, 0, 1, 1, 1, 2])
    image_contrast_loss(images, captions, SCALE).backward()
    assert images.grad is not None
    nearer = F.normalize(images.detach() - 0.1 * images.grad, dim=-1)
    assert nearer[0] @ nearer[1] > images[0] @ images[1]


@pytest.mark.parametrize("captions", [[0], [0, 1, 2]])
def test_without_two_pictures_of_one_caption_there_is_no_image_contrast(captions: list[int]) -> None:
    images = unit(len(captions), 8).requires_grad_()
    loss = image_contrast_loss(images, torch.tensor(captions), SCALE)
    loss.backward()
    assert loss == 0 and images.grad is not None and (images.grad == 0).all()


def test_two_equal_captions_alone_are_a_finite_image_contrast() -> None:
    assert image_contrast_loss(unit(2, 8), torch.tensor([7, 7]), SCALE) == 0


def test_the_sigmoid_contrast_is_the_papers_algorithm() -> None:
    images, texts = unit(5, 8), unit(5, 8)
    labels = 2 * torch.eye(5) - 1
    expected = -F.logsigmoid(labels * (images @ texts.T / 0.07 - 10)).sum() / 5
    loss = sigmoid_loss(images, texts, SCALE, BIAS, torch.eye(5, dtype=torch.bool), same_is_positive=True)
    torch.testing.assert_close(loss, expected)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=12), st.booleans())
def test_the_sigmoid_contrast_is_finite_for_any_duplicates_and_blind_to_order(
    pairs: list[tuple[int, int]], positive: bool
) -> None:
    images, texts = unit(len(pairs), 8).requires_grad_(), unit(len(pairs), 8)
    ids = torch.tensor(pairs)
    same, order = same_pairs(ids[:, 0], ids[:, 1]), torch.randperm(len(pairs))
    loss = sigmoid_loss(images, texts, SCALE, BIAS, same, same_is_positive=positive)
    shuffled = sigmoid_loss(images[order], texts[order], SCALE, BIAS, same[order][:, order], same_is_positive=positive)
    loss.backward()
    assert loss.isfinite() and images.grad is not None and images.grad.isfinite().all()
    torch.testing.assert_close(shuffled, loss)


@pytest.mark.parametrize("kind", ["softmax", "sigmoid"])
def test_several_captions_of_one_picture_are_all_positives(kind: str) -> None:
    images = unit(1, 8).expand(3, 8)
    texts = unit(3, 8).requires_grad_()
    same = same_pairs(torch.tensor([0, 0, 1]), torch.tensor([0, 1, 2]))
    assert same.tolist() == [[True, True, False], [True, True, False], [False, False, True]]
    if kind == "sigmoid":
        sigmoid_loss(images, texts, SCALE, BIAS, same, same_is_positive=True).backward()
    else:
        contrastive_loss(images, texts, SCALE, same, same_is_positive=True).backward()
    assert texts.grad is not None
    nearer = -(texts.grad * images).sum(1)
    # Captions 0 and 1 are drawn to their picture; caption 2 has two of three pictures against it.
    assert nearer[0] > 0 and nearer[1] > 0 and nearer[2] < max(nearer[0], nearer[1])


def test_left_out_duplicates_have_no_influence_on_the_sigmoid_contrast() -> None:
    images, texts = unit(2, 8), unit(2, 8)
    same = torch.ones(2, 2, dtype=torch.bool)
    loss = sigmoid_loss(images, texts, SCALE, BIAS, same, same_is_positive=False)
    own = F.softplus(-((images * texts).sum(1) / 0.07 - 10)).mean()
    torch.testing.assert_close(loss, own)


def test_the_bias_is_learnt_and_clamped() -> None:
    bias = SigmoidBias()
    sigmoid_loss(unit(4, 8), unit(4, 8), SCALE, bias.value, torch.eye(4).bool(), same_is_positive=True).backward()
    assert bias.value.grad is not None and bias.value.grad != 0
    bias.value.data.fill_(-1e6)
    bias.clamp()
    assert bias.value.item() == -MAX_BIAS
