"""A recipe is refused in one line that names the key, and resolves to the same text however often it is read."""

from pathlib import Path

import pytest
import yaml

from flows.recipe import RECIPES, Recipe, find_recipe, load_recipe, recipe_text
from pipeline.errors import ConfigError


def write(folder: Path, text: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return path


TINY = Path(__file__).resolve().parents[1] / "recipes" / "tiny.yaml"


@pytest.mark.parametrize("path", [*sorted(RECIPES.glob("*.yaml")), TINY], ids=lambda path: path.stem)
def test_every_bundled_recipe_loads_under_its_own_name(path: Path) -> None:
    assert load_recipe(path).name == path.stem


def test_five_lines_make_a_recipe(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, "name: mine\ncorpora:\n  - card: noto\n"))
    assert recipe.corpora[0].card == "noto"


def test_the_resolved_text_is_a_recipe_with_the_same_meaning(tmp_path: Path) -> None:
    recipe = load_recipe(find_recipe("first-words"))
    again = load_recipe(write(tmp_path, recipe_text(recipe)))
    assert again == recipe
    assert Recipe.model_validate(yaml.safe_load(recipe_text(again))) == recipe


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("name: a\ncorpra: []\n", ("corpra", "corpora")),
        ("name: a\ncorpora:\n  - card: noto\ntrain: {stepz: 3}\n", ("train.stepz", "steps")),
        ("name: a\ncorpora:\n  - {card: noto, limitt: 3}\n", ("corpora.0.limitt", "limit")),
        ("name: a\ncorpora: []\n", ("corpora",)),
        ("name: A b\ncorpora:\n  - card: noto\n", ("name",)),
        ("name: a\ncorpora:\n  - card: noto\ntrain: {steps: many}\n", ("train.steps", "many")),
        ("name: a\ncorpora:\n  - card: noto\n  - card: noto\n", ("noto", "twice")),
        (
            "name: a\ncorpora:\n  - card: noto\ntrain: {augment: none, cache: {towers: both}}\n",
            ("train.cache.towers (both)", "vision and text tower learns", "model.adapt.kind"),
        ),
        ("name: a\ncorpora:\n  - card: noto\ntrain: {cache: {towers: vision}}\n", ("set augment to none",)),
        ("name: a\ncorpora:\n  - card: noto\nmodel: {adapt: {kind: adaptors}}\n", ("model.adapt", "adapters")),
        ("- 1\n", ("mapping",)),
        ("name: [\n", ("YAML",)),
    ],
)
def test_mistakes_are_one_line_that_names_the_key(tmp_path: Path, text: str, wanted: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_recipe(write(tmp_path, text))
    message = str(caught.value)
    assert "\n" not in message
    assert caught.value.exit_code == 2
    for word in wanted:
        assert word in message


def test_overrides_reach_nested_keys_and_are_checked_alike(tmp_path: Path) -> None:
    path = write(tmp_path, "name: a\ncorpora:\n  - card: noto\n")
    assert load_recipe(path, ["train.steps=7"]).train.steps == 7
    with pytest.raises(ConfigError, match=r"train\.stepz.*steps"):
        load_recipe(path, ["train.stepz=7"])
    with pytest.raises(ConfigError, match=r"key\.subkey=value"):
        load_recipe(path, ["train.steps"])


def test_an_unknown_recipe_names_those_that_exist() -> None:
    with pytest.raises(ConfigError, match="first-words"):
        find_recipe("no-such-recipe")
