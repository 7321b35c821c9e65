"""What a study file holds, and what is wrong with it before anything runs."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Field, Tag, ValidationError, model_validator

from essen.config import ClaimConfig
from essen.config.base import by_kind
from pipeline.config import Config, explain, nearest
from pipeline.errors import ConfigError

PRIMARY = "primary"
DATA = ("measure", "embed", "align", "select", "index", "curriculum", "stage")
MODEL = ("model", "train", "evaluate")


class RecallScore(Config):
    """Recall on a held-out set, from ``reports/evaluation.json``."""

    kind: Literal["recall"] = "recall"
    set: str = Field(description="evaluation set, for example test_style")
    direction: Literal["text_to_image", "image_to_text", "mean"] = Field(
        default="text_to_image", description="who asks; mean: of both"
    )
    row: Literal["trained", "reranked"] = Field(default="trained", description="by the towers, or by the fusion")
    k: Literal[1, 5, 10] = Field(default=1, description="recall at k")


class MeasureScore(Config):
    """Any other measure of ``essen evaluate MODEL --on``."""

    kind: Literal["measure"]
    on: str = Field(default="", description="what it is scored on, from the study's file; empty: the staged shards")
    set: str = Field(description="name of the set")
    measure: str = Field(description="name of the measure")
    scorer: str = Field(default="towers", description="towers, fusion, head or probe")


class ProbeScore(Config):
    """What the vision tower knows by itself: accuracy of a linear probe that tells the category of held-out pictures.

    It is asked of the tower's pooled vectors, as training found them and as it left them; see `essen.evaluate.skill`.
    """

    kind: Literal["probe"]
    set: str = Field(description="evaluation set, for example test_style")
    of: Literal["change", "before", "after"] = Field(
        default="change", description="the accuracy after training less that before, or one of the two"
    )


class LoggedScore(Config):
    """The mean of a number that training logs, after a share of the steps."""

    kind: Literal["logged"]
    key: str = Field(description="of a line of metrics.jsonl, for example shares.mismatched")
    start: float = Field(default=0.0, ge=0, lt=1, description="share of the steps that do not count")


class ReachedScore(Config):
    """What it takes to reach a validation recall for the first time; runs that never do are censored."""

    kind: Literal["reached"]
    target: str | float = Field(description="an arm, whose last recall of the same seed is to be reached, or a number")
    cost: Literal["examples", "flops"] = Field(default="examples", description="what is counted")


class CostScore(Config):
    """What a run has cost, as the budgets in its results say."""

    kind: Literal["cost"]
    of: Literal["steps", "seen", "unique", "forward_flops", "total_flops", "seconds"]


AnyScore = Annotated[
    Annotated[RecallScore, Tag("recall")]
    | Annotated[MeasureScore, Tag("measure")]
    | Annotated[ProbeScore, Tag("probe")]
    | Annotated[LoggedScore, Tag("logged")]
    | Annotated[ReachedScore, Tag("reached")]
    | Annotated[CostScore, Tag("cost")],
    by_kind("recall", "measure", "probe", "logged", "reached", "cost"),
]


class World(Config):
    """A corpus of the synthetic world, see `pipeline.acquire.worlds`."""

    pairs: int = Field(ge=1, description="pictures with their captions")
    seed: int = Field(default=0, ge=0, description="of all that is drawn")
    mismatched: float = Field(default=0.0, ge=0, le=1, description="share with the caption of another picture")
    easy: float = Field(default=0.0, ge=0, le=1, description="share with one object alone")
    duplicates: float = Field(default=0.0, ge=0, le=1, description="share of pictures that are there already, moved")


class Curve(Config):
    """The learning curve: validation recall every so many steps."""

    every: int = Field(default=50, ge=1, description="steps between two examinations")
    split: str = Field(default="validation", description="held-out set, never one that is scored")


class Study(Config):
    """What a study file holds."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", description="names the folder below runs/studies")
    question: str = Field(description="what it is to decide, in one sentence")
    recipe: str = Field(description="name of a recipe, or a path relative to the study's file")
    worlds: dict[str, World] = Field(
        default={},
        description="corpora of the synthetic world, made first; a recipe names their cards as NAME/card.md",
    )
    score: AnyScore = Field(description="the primary score, named before anything is run")
    scores: dict[str, AnyScore] = Field(default={}, description="further scores by name, for claims")
    curve: Curve | None = Field(default=None, description="null: no learning curve")
    common: dict[str, Any] = Field(default={}, description="recipe keys of all arms")
    arms: dict[str, dict[str, Any]] = Field(
        min_length=1,
        description="recipe keys by arm; the first arm is the baseline; {arm: NAME} stands for that arm's model",
    )
    budgets: dict[str, dict[str, Any]] = Field(
        default={"all": {}}, min_length=1, description="recipe keys by budget; every arm is run at each"
    )
    seeds: tuple[int, ...] = Field(min_length=1)
    claims: tuple[ClaimConfig, ...] = Field(default=(), description="declared first, judged together")

    @property
    def all_scores(self) -> dict[str, AnyScore]:
        """All scores by name, the primary one first."""
        return {PRIMARY: self.score, **self.scores}

    @property
    def baseline(self) -> str:
        """The first arm."""
        return next(iter(self.arms))

    def overrides(self, arm: str, budget: str) -> dict[str, Any]:
        """Return the recipe keys of an arm at a budget; what is said later holds: common, arm, budget."""
        return {**self.common, **self.arms[arm], **self.budgets[budget]}

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        for claim in self.claims:
            where = f"claims.{claim.id}"
            for arm in claim.named:
                _known(arm, self.arms, f"{where}: there is no arm")
            _known(claim.score, self.all_scores, f"{where}: there is no score")
            _known(claim.budget or next(iter(self.budgets)), self.budgets, f"{where}: there is no budget")
            if isinstance(self.all_scores[claim.score], ReachedScore) and claim.kind != "ratio":
                raise ValueError(f"{where}: {claim.score} may be censored; only a claim of kind ratio can rest on it")
        if len({claim.id for claim in self.claims}) < len(self.claims):
            raise ValueError("claims: an id stands twice")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds: a seed stands twice; equal runs are no further evidence")
        for name, score in self.all_scores.items():
            if isinstance(score, ReachedScore):
                if self.curve is None:
                    raise ValueError(f"scores.{name}: what is reached is read from the learning curve; give curve")
                if isinstance(score.target, str):
                    _known(score.target, self.arms, f"scores.{name}.target: there is no arm")
        return self

    @model_validator(mode="after")
    def _keys_can_change(self) -> Self:
        parts = {"common": self.common}
        parts |= {f"arms.{name}": values for name, values in self.arms.items()}
        parts |= {f"budgets.{name}": values for name, values in self.budgets.items()}
        for place, values in parts.items():
            for key in values:
                if key.partition(".")[0] not in (*DATA, *MODEL):
                    raise ValueError(f"{place}.{key}: a study changes keys of {', '.join((*DATA, *MODEL))} only")
                if key in ("train.seed", "train.threads") or key.startswith("train.stopping"):
                    raise ValueError(f"{place}.{key}: the study itself sets seeds, threads and the learning curve")
            for name in arms_in(values):
                _known(name, self.arms, f"{place}: there is no arm")
        return self


def arms_in(value: Any) -> list[str]:
    """Return the arms whose models some overrides name, as ``{arm: NAME}``."""
    if isinstance(value, dict):
        if value.keys() == {"arm"}:
            return [str(value["arm"])]
        return [name for entry in value.values() for name in arms_in(entry)]
    if isinstance(value, list | tuple):
        return [name for entry in value for name in arms_in(entry)]
    return []


def load_study(path: Path) -> Study:
    """Read and validate a study file.

    Raises:
        ConfigError: one line that names the key.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read as YAML: {' '.join(str(error).split())}") from None
    try:
        study = Study.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{path}: {_complaint(error)}") from None
    for names in (study.arms, study.budgets):
        for name in names:
            if not name.replace("_", "a").replace(".", "a").isalnum():
                raise ConfigError(f"{path}: {name!r} cannot name an arm or a budget; use letters, digits, _ and .")
    in_order(study, path)
    return study


def in_order(study: Study, path: Path) -> list[list[str]]:
    """Return the arms in rounds, each arm in a later one than those whose models it uses.

    Raises:
        ConfigError: arms use each other's models.
    """
    needed = {arm: set(arms_in([study.overrides(arm, budget) for budget in study.budgets])) for arm in study.arms}
    rounds: list[list[str]] = []
    while waiting := [arm for arm in study.arms if not any(arm in done for done in rounds)]:
        ready = [arm for arm in waiting if not needed[arm] & set(waiting)]
        if not ready:
            raise ConfigError(
                f"{path}: arms.{waiting[0]}: its model and that of {', '.join(waiting[1:]) or 'itself'} "
                "would need each other"
            )
        rounds.append(ready)
    return rounds


def _known(name: str, names: dict[str, Any], complaint: str) -> None:
    if name not in names:
        raise ValueError(f"{complaint} {name}{nearest(name, list(names))}")


def _complaint(error: ValidationError) -> str:
    """Return the complaint in one line; those of whole studies are sentences of their own."""
    first = error.errors(include_url=False)[0]
    if first["type"] == "value_error" and not first["loc"]:
        return first["msg"].removeprefix("Value error, ")
    return explain(error, Study)
