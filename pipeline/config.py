"""The base of every configuration: immutable, and unknown keys are refused."""

from pydantic import BaseModel, ConfigDict


class Config(BaseModel):
    """Validated at the border (recipes, cards, command line); a plain value inside."""

    model_config = ConfigDict(frozen=True, extra="forbid")
