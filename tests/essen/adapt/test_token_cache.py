"""Kept tokens: what a tower would say again, said from memory."""

from pathlib import Path
from typing import Any

import numpy as np
import pydantic
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from trainings import Killed, killer, logged, outcome

from essen.adapt.cache import KeptTokens
from essen.config import ModelConfig, TrainConfig
from essen.errors import EssenError, StopRequested
from essen.train import train

pytestmark = pytest.mark.usefixtures("one_thread")
WIDTH = 3


@settings(deadline=None, max_examples=60)
@given(
    lengths=st.lists(st.integers(1, 5), min_size=1, max_size=90),
    room=st.integers(0, 4000),
    half=st.booleans(),
    data=st.data(),
)
def test_tokens_are_those_of_the_tower_whatever_fits(lengths: list[int], room: int, half: bool, data: Any) -> None:
    sizes = np.array(lengths)
    asked = np.array(data.draw(st.lists(st.integers(0, len(sizes) - 1), min_size=1, max_size=12)))
    computed: list[int] = []

    def encode(rows: np.ndarray) -> torch.Tensor:
        computed.extend(rows.tolist())
        places = torch.arange(int(sizes[rows].max()))
        return (torch.from_numpy(rows)[:, None, None] * 8 + places[None, :, None] + torch.arange(WIDTH) / 4).float()

    kept = KeptTokens(encode, sizes, room, half=half)
    assert kept.bytes <= room
    computed.clear()
    found, expected = kept(asked), encode(asked)
    computed = computed[: -len(asked)]
    assert found.shape == expected.shape and found.dtype == torch.float32
    real = torch.arange(expected.shape[1]) < torch.from_numpy(sizes[asked])[:, None]
    assert torch.equal(found[real], expected[real]) and found.isfinite().all()
    size = WIDTH * (2 if half else 4)
    fits = np.cumsum(sizes) * size <= room
    assert computed == [row for row in asked.tolist() if not fits[row]]


def test_what_does_not_fit_into_float16_is_one_line() -> None:
    with pytest.raises(EssenError, match="half to false"):
        KeptTokens(lambda rows: torch.full((len(rows), 1, WIDTH), 1e6), np.array([1, 1]), 1000, half=True)


@pytest.fixture(scope="module")
def still_pictures(tiny_training: TrainConfig) -> dict[str, Any]:
    return {**tiny_training.model_dump(), "steps": 10, "log_every": 1, "precision": "fp32", "augment": "none"}


def trained(
    model: ModelConfig, adapt: str, training: dict[str, Any], stages: Path, out: Path, **cache: Any
) -> list[float]:
    """Train, and return the losses."""
    config = ModelConfig.model_validate(
        {**model.model_dump(), "adapt": {"kind": adapt, "heads": 2} if adapt == "deep" else {"kind": adapt}}
    )
    train(config, TrainConfig.model_validate({**training, "cache": cache}), stages, out)
    return [line["loss"] for line in logged(out)]


@pytest.mark.parametrize(
    ("adapt", "cache", "tolerance"),
    [
        ("projections", {"towers": "both"}, 1e-4),
        ("projections", {"towers": "both", "half": True}, 5e-3),
        ("projections", {"towers": "text"}, 1e-4),
        ("locked", {"towers": "vision"}, 1e-4),
        ("deep", {"towers": "both"}, 1e-4),
    ],
)
def test_the_losses_are_those_without_it(
    adapt: str,
    cache: dict[str, Any],
    tolerance: float,
    small_stages: Path,
    tiny_model: ModelConfig,
    still_pictures: dict[str, Any],
    tmp_path: Path,
) -> None:
    computed = trained(tiny_model, adapt, still_pictures, small_stages, tmp_path / "computed", towers="none")
    kept = trained(tiny_model, adapt, still_pictures, small_stages, tmp_path / "kept", **cache)
    assert len(kept) == 10 and kept == pytest.approx(computed, abs=tolerance)


def test_micro_batches_read_it_too(
    small_stages: Path, tiny_model: ModelConfig, still_pictures: dict[str, Any], tmp_path: Path
) -> None:
    whole = trained(tiny_model, "projections", still_pictures, small_stages, tmp_path / "whole", towers="both")
    parts = {**still_pictures, "micro_batch": 5}
    assert trained(tiny_model, "projections", parts, small_stages, tmp_path / "parts", towers="both") == pytest.approx(
        whole, abs=1e-4
    )


def test_killed_it_ends_in_the_same_bytes(
    small_stages: Path, tiny_model: ModelConfig, still_pictures: dict[str, Any], tmp_path: Path
) -> None:
    model = ModelConfig.model_validate({**tiny_model.model_dump(), "adapt": {"kind": "projections"}})
    training = TrainConfig.model_validate({**still_pictures, "cache": {"towers": "both"}})
    train(model, training, small_stages, tmp_path / "straight")
    with pytest.raises(Killed):
        train(model, training, small_stages, tmp_path / "killed", report=killer(7))
    train(model, training, small_stages, tmp_path / "killed")
    assert outcome(tmp_path / "killed") == outcome(tmp_path / "straight")


def test_a_request_to_stop_is_heard_before_the_first_step(
    small_stages: Path, tiny_model: ModelConfig, still_pictures: dict[str, Any], tmp_path: Path
) -> None:
    model = ModelConfig.model_validate({**tiny_model.model_dump(), "adapt": {"kind": "projections"}})
    training = TrainConfig.model_validate({**still_pictures, "cache": {"towers": "both"}})
    with pytest.raises(StopRequested, match="after step 0"):
        train(model, training, small_stages, tmp_path, should_stop=lambda: True)
    assert not (tmp_path / "training").exists()  # nothing to go on from, and nothing half written


@pytest.mark.parametrize(
    ("adapt", "towers", "learning"),
    [("full", "both", "vision and text"), ("locked", "both", "text"), ("adapters", "vision", "vision")],
)
def test_a_tower_that_learns_is_not_kept(
    adapt: str,
    towers: str,
    learning: str,
    small_stages: Path,
    tiny_model: ModelConfig,
    still_pictures: dict[str, Any],
    tmp_path: Path,
) -> None:
    with pytest.raises(EssenError, match=f"the {learning} tower learns"):
        trained(tiny_model, adapt, still_pictures, small_stages, tmp_path, towers=towers)


def test_pictures_that_change_are_not_kept() -> None:
    with pytest.raises(pydantic.ValidationError, match=r"set augment to none, or cache\.towers to text"):
        TrainConfig.model_validate({"cache": {"towers": "vision"}})
    assert TrainConfig.model_validate({"cache": {"towers": "text"}}).augment.scale > 0
