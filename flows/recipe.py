"""A recipe: one YAML file that says which corpora, which rules, which order, which model, which budget.

Every key has a default, so a minimal recipe is a name and its corpora. Unknown keys are refused with the nearest match.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import pydantic
import yaml
from pydantic import Field

from essen.config import EvaluateConfig, ModelConfig, TrainConfig
from flows.runner import RunnerConfig
from pipeline.acquire.card import Card, load_card
from pipeline.acquire.options import AcquireOptions, CorpusOptions
from pipeline.addresses import is_url
from pipeline.cards.config import CardWords, PublishConfig
from pipeline.config import Config, explain
from pipeline.curriculum.config import CurriculumConfig
from pipeline.errors import ConfigError
from pipeline.index.config import IndexConfig
from pipeline.measure.config import AlignConfig, EmbedConfig, MeasureConfig
from pipeline.report.config import ReportConfig
from pipeline.select.config import SelectConfig
from pipeline.shards.config import StageConfig

RECIPES = Path(__file__).parent / "recipes"
Values = TypeVar("Values", bound=pydantic.BaseModel)


class CorpusEntry(CorpusOptions):
    """A corpus of the recipe: its data card, and how much of it."""

    card: str = Field(description="name of a card in data_cards/, or a path to one's own, from the recipe's folder")

    def load_card(self, folder: Path) -> Card:
        """Return the corpus's card; a path is relative to `folder`."""
        return load_card(folder / self.card if self.card.endswith(".md") else self.card)

    def options(self, folder: Path, mirror: Path | None, ledger: Path) -> AcquireOptions:
        """Return what acquisition needs to know: paths from `folder`; mirror and ledger as given, unless named."""
        return AcquireOptions(
            mirror=folder / self.mirror if self.mirror else mirror,
            list=folder / self.list if self.list and not is_url(str(self.list)) else self.list,
            workers=self.workers,
            limit=self.limit,
            languages=self.languages,
            min_success_rate=self.min_success_rate,
            ledger=folder / self.ledger if self.ledger else ledger,
        )


class Recipe(Config):
    """All that decides the outcome of a run."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", description="names the run directory")
    description: str = ""
    corpora: tuple[CorpusEntry, ...] = Field(min_length=1)
    measure: MeasureConfig = MeasureConfig()
    embed: EmbedConfig = EmbedConfig()
    align: AlignConfig = AlignConfig()
    select: SelectConfig = SelectConfig()
    index: IndexConfig = IndexConfig()
    curriculum: CurriculumConfig = CurriculumConfig()
    stage: StageConfig = StageConfig()
    card: CardWords = CardWords()
    publish: PublishConfig = PublishConfig()
    model: ModelConfig = ModelConfig()
    train: TrainConfig = TrainConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    report: ReportConfig = ReportConfig()
    # Where and not what: no digest and no run directory holds it.
    runner: RunnerConfig = Field(default=RunnerConfig(), exclude=True, description="where the tasks of the flow run")


def find_recipe(name: str) -> Path:
    """Return the path of a recipe given as a file or as the name of one that comes with the project.

    Raises:
        ConfigError: there is no such recipe.
    """
    for path in (Path(name), RECIPES / f"{name}.yaml"):
        if path.is_file():
            return path
    bundled = sorted(path.stem for path in RECIPES.glob("*.yaml"))
    raise ConfigError(f"no recipe {name}; give a file, or one of: {', '.join(bundled)}")


def recipe_of(run: Path) -> Path:
    """Return the path of the recipe that a run directory holds.

    Raises:
        ConfigError: the directory is no run.
    """
    path = run / "recipe.yaml"
    if not path.is_file():
        raise ConfigError(f"{run} is no run directory: it has no recipe.yaml")
    return path


def load_recipe(path: Path, overrides: Iterable[str] = ()) -> Recipe:
    """Read and validate a recipe.

    Args:
        path: the YAML file.
        overrides: ``a.b=value`` with the value in YAML, applied in order.

    Raises:
        ConfigError: one line that names the key and, for an unknown one, the nearest match.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: a recipe is a mapping of keys to values; see flows/recipes for examples")
    recipe = with_overrides(Recipe, values, overrides, origin=f"{path}:")
    names = [entry.card for entry in recipe.corpora]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ConfigError(f"{path}: corpora: {repeated[0]} is listed twice; list each card once")
    try:
        recipe.model.check_cache(recipe.train.cache)
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None
    return recipe


def recipe_text(recipe: Recipe) -> str:
    """Return the fully resolved recipe as YAML, every default written out."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def with_overrides(kind: type[Values], values: dict[str, Any], overrides: Iterable[str], *, origin: str) -> Values:
    """Return a validated configuration.

    Args:
        kind: of the configuration.
        values: what it is made from; changed by the overrides.
        overrides: ``a.b=value`` with the value in YAML, applied in order.
        origin: what a message begins with.

    Raises:
        ConfigError: one line that names the key and, for an unknown one, the nearest match.
    """
    for override in overrides:
        _override(values, override)
    try:
        return kind.model_validate(values)
    except pydantic.ValidationError as error:
        raise ConfigError(f"{origin} {explain(error, kind)}") from None


def _override(values: dict[str, Any], override: str) -> None:
    """Set the key of ``a.b=value`` in nested mappings, the value being YAML.

    Raises:
        ConfigError: it is not of that form.
    """
    keys, equals, text = override.partition("=")
    if not equals or not keys:
        raise ConfigError(f"--set {override}: write it as key.subkey=value")
    *path, last = keys.split(".")
    target = values
    for key in path:
        target = target.setdefault(key, {})
        if not isinstance(target, dict):
            raise ConfigError(f"--set {override}: {key} is not a mapping")
    try:
        target[last] = yaml.safe_load(text)
    except yaml.YAMLError:
        raise ConfigError(f"--set {override}: the value is not YAML") from None
