"""What decides an order. Each of the keys `difficulty`, `by`, `within` and `pool` switches it alone, by one line."""

import re
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from pipeline.config import Config
from pipeline.curriculum.families import DERIVED, FAMILIES

SIGNAL_FILES = ("caption", "lexicon", "image", "alignment")


class VocabularyConfig(Config):
    """Stages by vocabulary growth: a stage is open to pairs whose words the stages before it have taught, but a few."""

    seed_words: int = Field(default=100, ge=0, description="most frequent content words, known from the beginning")
    new_words: int = Field(default=1, ge=0, description="most content words of a pair that no earlier stage has")


class OntologyConfig(Config):
    """The tree of nouns."""

    hypernyms: Literal["categories", "wordnet"] = Field(
        default="categories", description="what stands above nouns: the corpora's categories, or WordNet (fetched once)"
    )
    min_noun_count: int = Field(default=5, ge=1, description="samples that a noun of the tree needs")
    levels: int = Field(default=3, ge=1, description="wordnet: most levels between the root and a noun")
    max_share: float = Field(
        default=0.5, gt=0, le=1, description="wordnet: no level for what holds more of the samples, such as entity"
    )


class CurriculumConfig(Config):
    """Difficulty, stages, the order within a stage, exposure, and the seed of all that is drawn."""

    difficulty: str | dict[str, float] = Field(
        default="developmental",
        description=f"a family ({', '.join(FAMILIES)}), one <signals file>.<column>, or weights by column: "
        "negative where a high value is easy",
    )
    missing: Literal["middle", "hardest"] = Field(
        default="middle", description="rank of a pair that has no value; no pair is ever dropped"
    )
    own_signals: dict[str, Path] = Field(
        default={},
        description="your own numbers by name, from the recipe: a parquet with uid and columns of numbers, such as the "
        "loss of a model, then known as <name>.<column>; families use reference.loss, learner.loss and margin.margin",
    )
    stages: tuple[str, ...] = Field(default=("first", "second", "third"), description="names, from easy to hard")
    by: Literal["quantile", "value", "corpus", "vocabulary"] = Field(
        default="quantile", description="cut by shares of the samples, by a column, by corpora or by known words"
    )
    fractions: tuple[float, ...] = Field(
        default=(), description="quantile and vocabulary: share of the samples a stage; empty for equal shares"
    )
    column: str = Field(default="caption.tokens", description="by value: the column that is cut")
    edges: tuple[float, ...] = Field(default=(), description="by value: highest value of each stage but the last")
    corpora: dict[str, tuple[str, ...]] = Field(
        default={}, description="by corpus: those of each stage; empty: corpora by their median difficulty"
    )
    vocabulary: VocabularyConfig = VocabularyConfig()
    monotone: Literal["refuse", "report"] = Field(
        default="refuse", description="what becomes of stages whose median difficulty falls"
    )
    pool: Literal["disjoint", "cumulative"] = Field(
        default="disjoint", description="what a stage offers: its own pairs, or those of the stages before it too"
    )
    replay: float = Field(
        default=0.25, ge=0, lt=1, description="disjoint: share of what is seen that comes from the stages before"
    )
    word_budget: int | None = Field(
        default=None, ge=1, description="most words of all training captions, each sample once, as BabyLM counts"
    )
    within: Literal["easy_to_hard", "random", "concept_blocked", "interleaved", "group"] = Field(
        default="easy_to_hard",
        description="order inside a stage; concepts are head nouns, group tells stories page by page",
    )
    frequency: str = Field(default="lexicon.zipf_mean", description="column that the frequency-matched control keeps")
    frequency_bins: int = Field(default=10, ge=1, description="bins of that control, of equal size")
    ontology: OntologyConfig = OntologyConfig()
    seed: int = Field(default=0, ge=0, description="of the random orders and controls")

    def at(self, folder: Path) -> "CurriculumConfig":
        """Return the configuration with the paths of one's own signals starting from a folder."""
        return self.model_copy(update={"own_signals": {n: folder / path for n, path in self.own_signals.items()}})

    @property
    def weights(self) -> dict[str, float]:
        """The weight of each column, those of a family as declared, without zeros."""
        if isinstance(self.difficulty, str):
            return dict(FAMILIES.get(self.difficulty, {self.difficulty: 1.0}))
        return {column: weight for column, weight in self.difficulty.items() if weight}

    @property
    def shares(self) -> tuple[float, ...]:
        """The share of the samples of each stage."""
        return self.fractions or (1 / len(self.stages),) * len(self.stages)

    @model_validator(mode="after")
    def _stages_fit(self) -> Self:
        if not self.stages or len(set(self.stages)) != len(self.stages):
            raise ValueError("stages: give at least one name, each once")
        for name in self.stages:
            if re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,39}", name) is None:
                raise ValueError(f"stages: {name!r} cannot name a folder; use lower-case letters, digits, - and _")
        if self.fractions and (len(self.fractions) != len(self.stages) or min(self.fractions) <= 0):
            raise ValueError(f"fractions: give {len(self.stages)} positive numbers, one a stage")
        if self.fractions and abs(sum(self.fractions) - 1) > 1e-6:
            raise ValueError(f"fractions: they add up to {sum(self.fractions):g}, not to 1")
        if self.by == "value" and len(self.edges) != len(self.stages) - 1:
            raise ValueError(f"edges: give {len(self.stages) - 1} values to cut {len(self.stages)} stages")
        if list(self.edges) != sorted(set(self.edges)):
            raise ValueError("edges: give rising values")
        if self.by == "corpus" and self.corpora and set(self.corpora) != set(self.stages):
            raise ValueError(f"corpora: give corpora for each of the stages {', '.join(self.stages)}, and no other")
        named = [corpus for members in self.corpora.values() for corpus in members]
        if len(named) != len(set(named)):
            raise ValueError("corpora: a corpus stands in two stages")
        return self

    @model_validator(mode="after")
    def _columns_exist(self) -> Self:
        if not self.weights:
            raise ValueError("difficulty: give at least one column a weight that is not 0")
        for name in self.own_signals:
            if name in (*SIGNAL_FILES, "derived") or not name or "." in name:
                raise ValueError(f"own_signals: {name!r} cannot name signals of your own; choose another name")
        family = isinstance(self.difficulty, str) and self.difficulty in FAMILIES
        known = (*SIGNAL_FILES, *self.own_signals)
        for column in (*(() if family else self.weights), self.column, self.frequency):
            file, _, name = column.partition(".")
            if column not in DERIVED and (file not in known or not name):
                families = f"; families are {', '.join(FAMILIES)}" if "." not in column else ""
                raise ValueError(
                    f"{column!r} is not <signals file>.<column> with a file of {', '.join(known)}{families}"
                )
        return self
