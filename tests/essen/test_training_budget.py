"""What a training has cost: counted by hand, and against what else it might have cost."""

from pathlib import Path
from typing import Any

import pytest

from essen.budget import spent, spent_by
from essen.config import ModelConfig, NoFusionConfig, ObjectiveConfig, SamplingConfig, StoppingConfig, TrainConfig
from essen.counts import count_model
from essen.export import load_model
from essen.train import train
from pipeline import files

pytestmark = pytest.mark.usefixtures("one_thread")
COUNTS = {"steps": 10, "samples": 40, "seen": 80, "unique": 38}
TOWERS = ObjectiveConfig(matching=0, masked=0)


def flops(model: ModelConfig, counts: dict[str, Any] | None = None, **keys: Any) -> dict[str, int]:
    found = spent(model, TrainConfig(steps=10, batch_size=8, **keys), counts or COUNTS, vocab_size=300, pieces=4)
    return dict(found["flops"])


def test_towers_that_learn_cost_three_forward_passes(tiny_model: ModelConfig) -> None:
    parts = count_model(tiny_model, 300, 4)
    forward = 2 * sum(parts[name].macs for name in ("vision", "text", "projections"))
    assert flops(tiny_model, objectives=TOWERS) == {
        "training": 3 * 80 * forward,
        "scoring": 0,
        "total": 3 * 80 * forward,
    }
    micro = flops(tiny_model, objectives=TOWERS, micro_batch=4)
    assert micro["total"] == 4 * 80 * forward


def test_a_tower_that_stands_still_costs_one_and_a_kept_one_a_pass_over_the_pairs(tiny_model: ModelConfig) -> None:
    vision = 2 * count_model(tiny_model, 300, 4)["vision"].macs
    frozen = tiny_model.model_copy(update={"vision": tiny_model.vision.model_copy(update={"freeze": True})})
    full, held = flops(tiny_model, objectives=TOWERS), flops(frozen, objectives=TOWERS)
    assert full["total"] - held["total"] == 2 * 80 * vision
    kept = TrainConfig().cache.model_copy(update={"towers": "vision"})
    assert held["total"] - flops(frozen, objectives=TOWERS, cache=kept, augment="none")["total"] == (80 - 40) * vision


def test_fusion_counts_only_at_its_steps_and_scoring_with_the_sampler(tiny_model: ModelConfig) -> None:
    parts = count_model(tiny_model, 300, 4)
    fused = 2 * (parts["fusion"].macs + parts["heads"].macs)
    matching = flops(tiny_model, objectives=ObjectiveConfig(masked=0, fusion_every=5, fusion_batch=4))
    assert matching["total"] - flops(tiny_model, objectives=TOWERS)["total"] == 2 * 4 * 3 * 3 * fused
    scored = flops(tiny_model, {**COUNTS, "scored": 7}, objectives=TOWERS)
    assert scored["scoring"] == 7 * 2 * sum(parts[name].macs for name in ("vision", "text", "projections"))


def test_pairs_are_a_part_that_grows_and_the_curve_leaves_the_model_as_it_is(
    small_stages: Path, tiny_model: ModelConfig, tmp_path: Path
) -> None:
    model = tiny_model.model_copy(update={"fusion": NoFusionConfig(kind="none")})

    def trained(name: str, pairs: int | None, stopping: StoppingConfig) -> dict[str, Any]:
        config = TrainConfig(
            steps=6,
            batch_size=16,
            threads=1,
            objectives=TOWERS,
            sampling=SamplingConfig(kind="random", pairs=pairs),
            stopping=stopping,
        )
        counts = train(model, config, small_stages, tmp_path / name)
        folder = tmp_path / name / "models/tiny"
        spent = spent_by(model, config, counts, folder, small_stages)
        return {**counts, **spent, "sha256": files.sha256_file(folder / "model.safetensors")}

    never = StoppingConfig(patience=1000, every=2, split="test", keep="last")
    plain, examined = (trained(name, 24, stopping) for name, stopping in (("a", StoppingConfig()), ("b", never)))
    assert plain["samples"] == plain["unique"] == 24 and plain["seen"] == 96
    assert examined["sha256"] == plain["sha256"]
    everything = trained("c", None, StoppingConfig())
    assert everything["samples"] == 72 >= everything["unique"] > 24
    vocabulary = [load_model(tmp_path / name / "models/tiny")[1].vocab_size for name in ("a", "c")]
    assert vocabulary[0] <= vocabulary[1]


def test_keys_that_are_not_used_change_no_digest() -> None:
    assert "pairs" not in SamplingConfig().model_dump() and "keep" not in StoppingConfig().model_dump()
    assert SamplingConfig(pairs=8).model_dump()["pairs"] == 8
