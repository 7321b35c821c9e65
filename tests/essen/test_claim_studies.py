"""The paper's three claims can each be run by one study file: the arms are matched, build, and train."""

import pytest
import torch
import torch.nn.functional as F
import yaml
from torch import Tensor

from essen.config import ModelConfig
from essen.counts import Cost, count_model
from essen.model import Essen, build_model
from flows.recipe import RECIPES, Recipe, find_recipe, load_recipe
from flows.study import load_study

pytestmark = pytest.mark.usefixtures("one_thread")
STUDIES = ("towers", "stem", "fusion")


def arms_of(name: str) -> dict[str, Recipe]:
    study = load_study(RECIPES / "studies" / f"{name}.yaml")
    return {
        arm: load_recipe(find_recipe(study.recipe), [f"{key}={yaml.safe_dump(value)}" for key, value in values.items()])
        for arm, values in study.arms.items()
    }


def counts(config: ModelConfig) -> dict[str, Cost]:
    return count_model(config, vocab_size=4000, pieces=16)


def total(config: ModelConfig) -> int:
    return sum(cost.parameters for cost in counts(config).values())


def test_one_tower_has_as_many_parameters_as_two() -> None:
    arms = arms_of("towers")
    assert arms["one_tower"].model.towers == "one"
    one, two = (total(arms[name].model) for name in ("one_tower", "two_towers"))
    assert abs(one - two) / two < 0.02


def test_convolutions_and_patches_have_as_many_parameters_and_tokens() -> None:
    arms = arms_of("stem")
    patches, convolutions = (arms[name].model for name in ("patches", "convolutions"))
    vision = [counts(config)["vision"].parameters for config in (patches, convolutions)]
    assert abs(vision[0] - vision[1]) / vision[1] < 0.05
    strides = {config.vision.stride for config in (patches, convolutions)}  # type: ignore[union-attr]
    assert strides == {16} and patches.image_size == convolutions.image_size


def test_the_shapes_of_the_fusion_differ_by_more_than_eight_times() -> None:
    layers = {arm: counts(recipe.model)["fusion"].parameters for arm, recipe in arms_of("fusion").items()}
    norms = {arm: 4 * recipe.model.fusion.width for arm, recipe in arms_of("fusion").items()}  # type: ignore[union-attr]
    sizes = {arm: layers[arm] - norms[arm] for arm in layers}
    assert (sizes["1x32"], sizes["1x64"], sizes["6x64"]) == (29_696, 116_736, 700_416)
    assert max(sizes.values()) / min(sizes.values()) > 8


@pytest.mark.parametrize("name", STUDIES)
def test_every_arm_learns_from_a_step_and_no_parameter_is_left_out(name: str) -> None:
    for arm, recipe in arms_of(name).items():
        model = build_model(recipe.model, vocab_size=300, seed=0)
        optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
        before = training_loss(model)
        before.backward()
        assert all(parameter.grad is not None for parameter in model.parameters()), arm
        optimiser.step()
        assert training_loss(model) < before, arm


def training_loss(model: Essen) -> Tensor:
    """Return all three kinds of objective on four pairs, the same at every call."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.rand(4, 3, 64, 64, generator=generator)
    ids = torch.randint(3, 300, (4, 5), generator=generator)
    images, texts = model.encode_images(pixels), model.encode_texts(ids, torch.ones(4, 5, dtype=torch.bool))
    cosines = model.logit_scale.exp() * images.embedding @ texts.embedding.T
    return (
        F.cross_entropy(cosines, torch.arange(4))
        + F.binary_cross_entropy_with_logits(model.match(images, texts), torch.tensor([1.0, 1, 0, 0]))
        + F.cross_entropy(model.predict_words(images, texts).flatten(0, 1), ids.flatten())
    )
