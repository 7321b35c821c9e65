"""The rules of a selection."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from pipeline.config import Config
from pipeline.measure.language import UNDECIDED
from pipeline.select.safety_config import SafetyConfig

FAMILIES = ("samples", "image", "caption", "lexicon", "alignment", "personal")
# A caption too short to be told is no caption in another language: no rule about these columns drops it.
LANGUAGES = ("samples.lang", "caption.detected_lang")


class Rule(Config):
    """A sample stays if a signal lies in a range, a set or a fraction; otherwise it is dropped with the rule's reason.

    A rule for some corpora stands in the place of those for all corpora with the same reason.
    """

    column: str = Field(description="<signals file>.<column>, for example image.entropy")
    reason: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="the word that the funnel shows")
    min: float | None = Field(default=None, description="smallest value that stays")
    max: float | None = Field(default=None, description="largest value that stays")
    top: float | None = Field(default=None, gt=0, lt=1, description="the share with the highest values that stays")
    bottom: float | None = Field(default=None, gt=0, lt=1, description="the share with the lowest values that stays")
    per: Literal["corpus", "all"] = Field(default="corpus", description="top or bottom of each corpus, or of all")
    allowed: tuple[str, ...] | None = Field(default=None, description="the only values that stay")
    refused: tuple[str, ...] = Field(default=(), description="values that do not stay")
    corpora: tuple[str, ...] = Field(default=(), description="corpora that the rule is for; empty: all")
    missing: Literal["keep", "drop"] = Field(default="keep", description="what becomes of a sample without the signal")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.column.partition(".")[0] not in FAMILIES or not self.column.partition(".")[2]:
            raise ValueError(f"{self.column!r} is not <signals file>.<column> with a file of {', '.join(FAMILIES)}")
        bounds = (self.min, self.max, self.allowed, self.refused or None)
        shares = (self.top, self.bottom)
        if all(bound is None for bound in (*bounds, *shares)):
            raise ValueError(f"the rule {self.reason} says nothing; give min, max, top, bottom, allowed or refused")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"the rule {self.reason} keeps nothing: min {self.min:g} is above max {self.max:g}")
        if any(share is not None for share in shares) and sum(bound is not None for bound in (*bounds, *shares)) > 1:
            raise ValueError(f"the rule {self.reason} gives a share and something else; make two rules of it")
        if self.column in LANGUAGES and (self.missing == "drop" or UNDECIDED in self.refused):
            raise ValueError(f"the rule {self.reason} would drop captions in no known language, which always stay")
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
    # "Basic filtering" of DataComp (Gadre et al., 2023; load_uids_with_basic_filter_helper in baselines/apply_filter.py
    # of its repository): English by fastText, more than 2 words and 5 characters, the shorter side at least 200 pixels,
    # the longer at most 3 times that. Here another identifier decides on the language, and not of fewer than 20
    # letters; words are counted without bare punctuation; and sides are those of the picture as acquired.
    "datacomp-basic": (
        Rule(column="caption.detected_lang", allowed=("en",), reason="other_language"),
        Rule(column="caption.tokens", min=3, reason="few_words"),
        Rule(column="caption.characters", min=6, reason="few_characters"),
        Rule(column="image.width", min=200, reason="small_picture", missing="drop"),
        Rule(column="image.height", min=200, reason="small_picture", missing="drop"),
        Rule(column="image.aspect", max=3, reason="extreme_aspect"),
    ),
}


class DuplicateConfig(Config):
    """When two pictures are one, and which of them stays.

    Embeddings alone would merge drawings that differ in the one detail that matters (the hands of a clock, the tongue
    of a dog), perceptual hashes those of one outline in several colours (a red and a brown heart). So one of the
    fingerprints must agree, and then the colours and the lines of every place.

    Pictures are one, too, if their lines agree under a window: a copy in other colours, in outlines, or cut
    differently. Not so those that only have names: one name drawn in several styles is several drawings, and a red
    heart is no brown one.
    """

    cosine: float = Field(default=0.96, gt=0, le=1, description="least similarity of the embeddings")
    hamming: int = Field(default=6, ge=0, le=64, description="most bits in which the perceptual hashes differ")
    same_lines: float = Field(
        default=0.95, ge=-1, le=1, description="least agreement of lines that is enough by itself"
    )
    lines: float = Field(default=0.85, ge=-1, le=1, description="least agreement of lines where they agree worst")
    difference: float = Field(
        default=0.12, ge=0, le=1, description="most that the mean of any of 16 × 16 cells differs in any colour"
    )
    blank_entropy: float = Field(default=0.5, ge=0, description="pictures below this entropy merge only if identical")
    redrawn: bool = Field(default=True, description="whether copies in other colours, in outlines or cut are found")
    agreement: float = Field(default=0.7, ge=-1, le=1, description="least agreement of a copy's lines in all")
    weakest: float = Field(default=0.6, ge=-1, le=1, description="least agreement of a copy's lines where it is worst")
    kinship: float = Field(default=0.6, ge=-1, le=1, description="least similarity of a copy's embedding")
    outline_agreement: float = Field(default=0.5, ge=-1, le=1, description="the same of an outline and a painting")
    outline_weakest: float = Field(default=0.2, ge=-1, le=1, description="the same of an outline and a painting")
    detail: float = Field(default=0.03, ge=0, le=1, description="least edge density: simple forms are alike by chance")
    name_words: int = Field(default=8, ge=0, description="captions of at most so many words are names")
    mirrored: bool = Field(default=False, description="whether copies in a mirror are found; captions name directions")
    floor: float = Field(default=0.8, gt=0, le=1, description="pairs from this similarity on are stored")
    cut_floor: float = Field(
        default=0.65, gt=0, le=1, description="the same where neither has names alone: one may be cut out of the other"
    )
    line_floor: float = Field(default=0.5, gt=0, le=1, description="and from this agreement of lines on, as they lie")
    keep: tuple[Literal["pixels", "licence", "caption"], ...] = Field(
        default=("pixels", "licence", "caption"),
        description="which copy stays: most pixels, freest licence, longest caption; then the smallest hash",
    )
    merge_captions: bool = Field(default=True, description="whether the picture that stays gets the others' captions")

    @model_validator(mode="after")
    def _floor_is_below(self) -> Self:
        if self.floor > self.cosine:
            raise ValueError(f"floor ({self.floor:g}) must not be above cosine ({self.cosine:g})")
        return self


class EvaluationSet(Config):
    """An evaluation set whose pictures and captions may not be trained on.

    The path is a folder of pictures (captions in .txt files beside them), raw or staged shards, or a .jsonl file of
    trials with `image` (or `images`) and `caption` (or `captions`).
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", description="as it stands in the report")
    path: Path = Field(description="folder of pictures or shards, or a .jsonl file of trials")
    captions: bool = Field(default=True, description="whether a caption that it holds may not be trained on either")


class ContaminationConfig(Config):
    """What is evaluated on elsewhere and must not be trained on."""

    sets: tuple[EvaluationSet, ...] = Field(default=(), description="evaluation sets to look for")
    caption_words: int = Field(default=3, ge=1, description="captions of fewer words are names that everybody uses")
    weakest: float = Field(
        default=0.5, ge=-1, le=1, description="least agreement of a copy's lines here: a leak costs more than a sample"
    )

    def at(self, folder: Path) -> "ContaminationConfig":
        """Return the configuration with the paths of its sets starting from a folder."""
        sets = tuple(entry.model_copy(update={"path": folder / entry.path}) for entry in self.sets)
        return self.model_copy(update={"sets": sets})


class SplitConfig(Config):
    """Who trains and who is asked."""

    validation: float = Field(default=0.05, ge=0, lt=1, description="share of the groups")
    test: float = Field(default=0.1, ge=0, lt=1, description="share of the groups")
    test_of: dict[str, Annotated[float, Field(ge=0, lt=1)]] = Field(
        default={},
        description="share of the groups, where it is another, by corpus or by CORPUS/CATEGORY; the largest of what a "
        "component holds",
    )
    held_out: str = Field(default="", description="never trains; what it shows of known names is the set test_style")
    test_sets: dict[str, str] = Field(
        default={}, description="name of the test set by corpus, or by CORPUS/CATEGORY [test_names]"
    )
    by_language: bool = Field(
        default=False, description="a test set for each language of captions, the style too, its code behind the name"
    )
    seed: int = Field(default=0, ge=0, description="another seed is another split")

    @model_validator(mode="after")
    def _leaves_something(self) -> Self:
        if self.validation + max([self.test, *self.test_of.values()]) >= 1:
            raise ValueError("validation and test leave nothing to train on")
        return self

    @field_validator("test_sets")
    @classmethod
    def _style_is_taken(cls, value: dict[str, str]) -> dict[str, str]:
        if taken := [name for name in value.values() if name.startswith("test_style")]:
            raise ValueError(f"{taken[0]}: names from test_style on are those of the held-out corpus; choose another")
        return value


class SelectConfig(Config):
    """Filters, safety, contamination, duplicates and split, in this order."""

    preset: Literal["none", "child-directed", "datacomp-basic"] = Field(
        default="child-directed", description="rules that come first"
    )
    filters: tuple[Rule, ...] = Field(default=(), description="further rules; the first that a sample breaks names why")
    safety: SafetyConfig = SafetyConfig()
    contamination: ContaminationConfig = ContaminationConfig()
    duplicates: DuplicateConfig = DuplicateConfig()
    split: SplitConfig = SplitConfig()
