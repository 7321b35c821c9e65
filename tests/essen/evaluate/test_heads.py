"""Heads on features whose meaning is known: what can be learnt is learnt, and the controls show from which side."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from essen.config import HeadConfig
from essen.evaluate.heads import HeadTask, build_head, earned, head_measure, soften, task_sides

CONFIG = HeadConfig(epochs=25, batch_size=32, learning_rate=6e-3, patience=5)
SIGNS = np.random.default_rng(0).choice([-1.0, 1.0], size=(240, 2))  # of text and picture of each trial


def pair_features(texts: np.ndarray, images: np.ndarray) -> torch.Tensor:
    """Both signs and their product, and noise; the last rows are the empty caption and the grey picture."""
    text, image = (np.append(SIGNS[:, column], 0.0)[rows] for column, rows in ((0, texts), (1, images)))
    noise = np.random.default_rng([3]).normal(size=(len(texts), 5))
    return torch.from_numpy(np.column_stack([text, image, text * image, noise])).float()


def task(labels: np.ndarray, passes: int = 1, several: bool = False, tested: tuple[int, ...] = (0, 1)) -> HeadTask:
    rows = np.arange(len(SIGNS))
    return HeadTask(
        texts=rows,
        images=np.stack([rows, rows[::-1]][:passes], axis=1),
        targets=np.stack([~labels, labels], axis=1).astype(float),
        groups=[f"g{row // 2}" for row in rows],
        side=rows // 2 % 2,
        tested=tested,
        several=several,
        empty=len(SIGNS),
        grey=len(SIGNS),
    )


@pytest.mark.parametrize("several", [False, True])
def test_what_needs_both_sides_is_learnt_and_not_by_one_alone(several: bool) -> None:
    measure = head_measure(task(SIGNS.prod(axis=1) > 0, several=several), pair_features, CONFIG, [0])
    share = {name: values.mean() for name, values in measure.values.items()}
    assert share["model"] > 0.95
    assert all(share[name] < 0.65 for name in ("no_picture", "no_text", "shuffled_pictures", "shuffled_captions"))
    assert (len(measure.values["model"]), measure.gallery) == (240, 2)


def test_a_text_that_gives_the_answer_away_shows_in_its_control() -> None:
    measure = head_measure(task(SIGNS[:, 0] > 0), pair_features, CONFIG, [0])
    share = {name: values.mean() for name, values in measure.values.items()}
    assert min(share["model"], share["no_picture"]) > 0.95
    assert share["no_text"] < 0.65


def test_two_pictures_are_two_passes() -> None:
    labels = SIGNS[:, 1] * SIGNS[::-1, 1] > 0  # both pictures have one sign: no pass knows that by itself
    measure = head_measure(task(labels, passes=2), pair_features, CONFIG, [0])
    assert measure.values["model"].mean() > 0.8 > 0.65 > measure.values["no_picture"].mean()
    assert [tuple(layer.weight.shape) for layer in build_head(16, 2, 2, 0.0) if hasattr(layer, "in_features")] == [
        (8, 16),
        (2, 8),
    ]


def test_with_a_split_only_the_test_part_is_answered() -> None:
    side, tested = task_sides(["a", "b", "c"], ["train", "test", "train"], [0])
    assert side.tolist() == [0, 1, 0] and tested == (1,)
    measure = head_measure(task(SIGNS[:, 0] > 0, tested=(1,)), pair_features, CONFIG, [0])
    assert len(measure.values["model"]) == len(measure.groups) == 120


def test_a_seed_gives_the_same_answers_and_leaves_the_random_state_alone() -> None:
    before = torch.random.get_rng_state()
    few = CONFIG.model_copy(update={"epochs": 3})
    labels = np.random.default_rng(5).random(240) > 0.5
    first, again, other = (head_measure(task(labels), pair_features, few, seed) for seed in ([1], [1], [2]))
    assert torch.equal(before, torch.random.get_rng_state())
    assert (first.values["model"] == again.values["model"]).all()
    assert (first.values["model"] != other.values["model"]).any()
    assert first.values["model"].mean() == pytest.approx(0.5, abs=0.12)


def test_a_tie_earns_the_smallest_score() -> None:
    logits = np.array([[1, 1, 0], [0, 2, 1]], np.float32)
    assert earned(logits, np.array([[1.0, 0.3, 0.0], [0.0, 0.6, 1.0]])).tolist() == [0.3, 0.6]


def test_it_ends_when_the_held_out_loss_no_longer_falls(monkeypatch: pytest.MonkeyPatch) -> None:
    from essen.evaluate.heads import train_head

    steps: list[int] = []
    real: Callable[..., object] = torch.optim.AdamW.step
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda self: (steps.append(1), real(self)))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        noise = torch.randn(64, 8), torch.nn.functional.one_hot(torch.randint(0, 2, (64,)), 2).float()
        config = HeadConfig(epochs=500, patience=3, batch_size=64, learning_rate=0.01)
        train_head(build_head(8, 1, 2, 0.0), noise, (torch.randn(64, 8), noise[1].flip(0)), config, several=False)
    assert 3 <= len(steps) < 60


def _one_sided(column: int, knows: bool) -> Callable[[np.ndarray, np.ndarray], torch.Tensor]:
    """Features of a teacher: the sign of one side, or nothing."""

    def features(texts: np.ndarray, images: np.ndarray) -> torch.Tensor:
        sign = np.append(SIGNS[:, column], 0.0)[(texts, images)[column]]
        noise = np.random.default_rng([4]).normal(size=(len(texts), 2))
        return torch.from_numpy(np.column_stack([sign * knows, sign * knows, noise * (not knows)])).float()

    return features


@pytest.mark.parametrize("several", [False, True])
def test_a_head_learns_its_teachers_answers_and_no_other(several: bool) -> None:
    labels = SIGNS.prod(axis=1) > 0
    # This teacher sees the text alone, so it cannot know; the student, which could, learns no more from it.
    blind = head_measure(task(labels, several=several), pair_features, CONFIG, [0], _one_sided(0, knows=True))
    able = head_measure(task(labels, several=several), pair_features, CONFIG, [0], pair_features)
    assert blind.values["model"].mean() < 0.8 < 0.95 < able.values["model"].mean()
    assert all(able.values[name].mean() < 0.65 for name in ("no_picture", "no_text"))


def test_without_a_share_of_soft_labels_a_teacher_changes_nothing() -> None:
    labels = SIGNS.prod(axis=1) > 0
    hard = CONFIG.model_copy(update={"soft_labels": 0.0, "epochs": 3})
    taught = head_measure(task(labels), pair_features, hard, [0], _one_sided(1, knows=False))
    alone = head_measure(task(labels), pair_features, hard, [0])
    assert all(np.array_equal(taught.values[name], alone.values[name]) for name in alone.values)


def test_soft_labels_are_shares_between_the_teachers_answers_and_the_true_ones() -> None:
    labels, logits = torch.tensor([[1.0, 0.0]]), np.array([[0.0, np.log(3)]], np.float32)
    torch.testing.assert_close(soften(labels, logits, 1.0, several=False), torch.tensor([[0.25, 0.75]]))
    torch.testing.assert_close(soften(labels, logits, 0.5, several=True), torch.tensor([[0.75, 0.375]]))
    torch.testing.assert_close(soften(labels, logits, 0.0, several=True), labels)
