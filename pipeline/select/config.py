"""The rules of a selection."""

from typing import Literal, Self

from pydantic import Field, model_validator

from pipeline.config import Config

FAMILIES = ("samples", "image", "caption", "lexicon")


class Rule(Config):
    """A sample stays if a signal lies in a range or a set; otherwise it is dropped with the rule's reason."""

    column: str = Field(description="<signals file>.<column>, for example image.entropy")
    reason: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="the word that the funnel shows")
    min: float | None = Field(default=None, description="smallest value that stays")
    max: float | None = Field(default=None, description="largest value that stays")
    allowed: tuple[str, ...] | None = Field(default=None, description="the only values that stay")
    refused: tuple[str, ...] = Field(default=(), description="values that do not stay")
    corpora: tuple[str, ...] = Field(default=(), description="corpora that the rule is for; empty: all")
    missing: Literal["keep", "drop"] = Field(default="keep", description="what becomes of a sample without the signal")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.column.partition(".")[0] not in FAMILIES or not self.column.partition(".")[2]:
            raise ValueError(f"{self.column!r} is not <signals file>.<column> with a file of {', '.join(FAMILIES)}")
        if self.min is None and self.max is None and self.allowed is None and not self.refused:
            raise ValueError(f"the rule {self.reason} says nothing; give min, max, allowed or refused")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"the rule {self.reason} keeps nothing: min {self.min:g} is above max {self.max:g}")
        return self


PRESETS: dict[str, tuple[Rule, ...]] = {
    "none": (),
    # Drawings and book pages: something to see, something to read, words that exist, not a page of prose.
    "child-directed": (
        Rule(column="image.width", min=32, reason="small_picture", missing="drop"),
        Rule(column="image.height", min=32, reason="small_picture", missing="drop"),
        Rule(column="image.aspect", max=4, reason="extreme_aspect"),
        Rule(column="image.entropy", min=0.2, reason="low_information"),
        Rule(column="caption.tokens", min=1, reason="no_words"),
        Rule(column="caption.tokens", max=80, reason="long_caption"),
        Rule(column="lexicon.coverage", min=0.5, reason="unknown_words"),
    ),
}


class SafetyConfig(Config):
    """What becomes of captions with words that have no place in a corpus for children."""

    on_hit: Literal["stop", "drop", "off"] = Field(default="stop", description="stop ends the run with code 6")
    headings: tuple[str, ...] = Field(default=(), description="headings of the word list that count; empty: all")
    allow: tuple[str, ...] = Field(default=(), description="captions that may stay all the same")


class DuplicateConfig(Config):
    """When two pictures are one.

    Embeddings alone would merge drawings that differ in the one detail that matters (the hands of a clock, the tongue
    of a dog), perceptual hashes those of one outline in several colours (a red and a brown heart). So near-duplicates
    agree in both, and no place of the two pictures differs by much.
    """

    cosine: float = Field(default=0.96, gt=0, le=1, description="least similarity of the embeddings")
    hamming: int = Field(default=4, ge=0, le=64, description="most bits in which the perceptual hashes differ")
    difference: float = Field(
        default=0.16, ge=0, le=1, description="most that any cell of the 16 × 16 thumbnails differs in any colour"
    )
    floor: float = Field(default=0.9, gt=0, le=1, description="pairs from this similarity on are stored")
    blank_entropy: float = Field(default=0.5, ge=0, description="pictures below this entropy merge only if identical")

    @model_validator(mode="after")
    def _floor_is_below(self) -> Self:
        if self.floor > self.cosine:
            raise ValueError(f"floor ({self.floor:g}) must not be above cosine ({self.cosine:g})")
        return self


class SplitConfig(Config):
    """Who trains and who is asked."""

    validation: float = Field(default=0.05, ge=0, lt=1, description="share of the groups")
    test: float = Field(default=0.1, ge=0, lt=1, description="share of the groups")
    held_out: str = Field(default="", description="never trains; what it shows of known names is the set test_style")
    test_sets: dict[str, str] = Field(default={}, description="name of the test set by corpus [test_names]")
    seed: int = Field(default=0, ge=0, description="another seed is another split")

    @model_validator(mode="after")
    def _leaves_something(self) -> Self:
        if self.validation + self.test >= 1:
            raise ValueError("validation and test leave nothing to train on")
        return self


class SelectConfig(Config):
    """Filters, safety, duplicates and split, in this order."""

    preset: Literal["none", "child-directed"] = Field(default="child-directed", description="rules that come first")
    filters: tuple[Rule, ...] = Field(default=(), description="further rules; the first that a sample breaks names why")
    safety: SafetyConfig = SafetyConfig()
    duplicates: DuplicateConfig = DuplicateConfig()
    split: SplitConfig = SplitConfig()
