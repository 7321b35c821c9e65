"""What decides an order."""

import re
from typing import Literal, Self

from pydantic import Field, model_validator

from pipeline.config import Config

FAMILIES = ("caption", "lexicon", "image")

# Share of each signal in the developmental composite: short before long, common before rare, single objects before
# scenes. Word frequency and the length of utterances are among what predicts when a word is learnt (Braginsky et al.
# 2019, doi:10.1162/opmi_a_00026); clutter stands for how hard it is to tell what is meant. The shares are declared, not
# fitted. A negative one says that a high value is easy.
DEVELOPMENTAL = {
    "caption.tokens": 0.35,
    "caption.parse_depth": 0.15,
    "lexicon.zipf_min": -0.30,
    "image.edge_density": 0.10,
    "image.entropy": 0.10,
}


class CurriculumConfig(Config):
    """Difficulty, stages, the order within a stage, and the seed of all that is drawn."""

    difficulty: dict[str, float] = Field(
        DEVELOPMENTAL, description="<signals file>.<column> → weight; negative where a high value is easy"
    )
    stages: tuple[str, ...] = Field(("first", "second", "third"), description="names, from easy to hard")
    by: Literal["quantile", "value"] = Field("quantile", description="cut by shares of the samples or by a column")
    fractions: tuple[float, ...] = Field((), description="share of the samples a stage; empty for equal shares")
    column: str = Field("caption.tokens", description="by value: the column that is cut")
    edges: tuple[float, ...] = Field((), description="by value: highest value of each stage but the last")
    within: Literal["easy_to_hard", "random"] = Field("easy_to_hard", description="order inside a stage")
    frequency: str = Field("lexicon.zipf_mean", description="column that the frequency-matched control keeps")
    frequency_bins: int = Field(10, ge=1, description="bins of that control, of equal size")
    min_noun_count: int = Field(5, ge=1, description="samples that a noun of the ontology needs")
    seed: int = Field(0, ge=0, description="of the random orders and controls")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.stages or len(set(self.stages)) != len(self.stages):
            raise ValueError("stages: give at least one name, each once")
        for name in self.stages:
            if re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,39}", name) is None:
                raise ValueError(f"stages: {name!r} cannot name a folder; use lower-case letters, digits, - and _")
        if not self.difficulty or not any(self.difficulty.values()):
            raise ValueError("difficulty: give at least one column a weight that is not 0")
        for column in (*self.difficulty, self.column, self.frequency):
            if column.partition(".")[0] not in FAMILIES or not column.partition(".")[2]:
                raise ValueError(f"{column!r} is not <signals file>.<column> with a file of {', '.join(FAMILIES)}")
        if self.fractions and (len(self.fractions) != len(self.stages) or min(self.fractions) <= 0):
            raise ValueError(f"fractions: give {len(self.stages)} positive numbers, one a stage")
        if self.fractions and abs(sum(self.fractions) - 1) > 1e-6:
            raise ValueError(f"fractions: they add up to {sum(self.fractions):g}, not to 1")
        if self.by == "value" and len(self.edges) != len(self.stages) - 1:
            raise ValueError(f"edges: give {len(self.stages) - 1} values to cut {len(self.stages)} stages")
        if list(self.edges) != sorted(set(self.edges)):
            raise ValueError("edges: give rising values")
        return self
