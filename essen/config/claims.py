"""What a study claims, declared before it is run."""

from typing import Literal, Self

from pydantic import Field, model_validator

from essen.config.base import Config

SEVERAL = ("alike", "rising")


class ClaimConfig(Config):
    """One claim about the arms of a study; `essen.evaluate.claims` says when it holds."""

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="by which it is quoted")
    says: str = Field(default="", description="the claim in words")
    kind: Literal["superior", "not_worse", "equivalent", "ratio", "alike", "rising"] = Field(
        default="superior",
        description="arm − against lies above the margin, above −margin, or within ±margin; arm / against lies beyond "
        "the margin; all of several arms lie within the margin of each other; scores rise from arm to arm",
    )
    arm: str = Field(default="", description="of which something is claimed")
    against: str | float = Field(default="", description="the arm, or the number, that it is compared with")
    arms: tuple[str, ...] = Field(default=(), description="alike and rising: the arms, in order")
    score: str = Field(default="primary", description="name of the score that it is about")
    budget: str = Field(default="", description="name of the budget at which it is claimed; empty: the first")
    margin: float | None = Field(
        default=None, ge=0, description="by how much; null: 0 for superior, 1 for ratio, and else 0.02, two points"
    )
    direction: Literal["higher", "lower"] = Field(default="higher", description="which scores are better")
    aim: float | None = Field(
        default=None, gt=0, description="ratio: the estimate itself, too, must be as good as this"
    )
    every_seed: bool = Field(default=False, description="superior: it must hold in every single seed, too")
    negligible: float = Field(
        default=0.02, ge=0, description="superior: a difference that is shown to be smaller than this refutes it"
    )

    @model_validator(mode="after")
    def _names_its_arms(self) -> Self:
        several = self.kind in SEVERAL
        if several and (len(self.arms) < (3 if self.kind == "rising" else 2) or self.arm or self.against != ""):
            raise ValueError(f"claim {self.id}: {self.kind} takes arms, several of them, and neither arm nor against")
        if not several and (not self.arm or self.against == "" or self.arms):
            raise ValueError(f"claim {self.id}: {self.kind} takes arm and against")
        if self.aim is not None and self.kind != "ratio":
            raise ValueError(f"claim {self.id}: aim belongs to ratio")
        if self.every_seed and self.kind != "superior":
            raise ValueError(f"claim {self.id}: every_seed belongs to superior")
        if self.kind == "ratio" and self.margin == 0:
            raise ValueError(f"claim {self.id}: the margin of a ratio is above 0")
        return self

    @property
    def limit(self) -> float:
        """The margin, given or usual."""
        if self.margin is not None:
            return self.margin
        return {"superior": 0.0, "ratio": 1.0}.get(self.kind, 0.02)

    @property
    def named(self) -> tuple[str, ...]:
        """The arms that it names."""
        return self.arms or (self.arm, *([self.against] if isinstance(self.against, str) else []))
