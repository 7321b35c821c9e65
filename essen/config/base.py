"""What every configuration has: immutable values, unknown keys are refused."""

from pydantic import BaseModel, ConfigDict, Discriminator


class Config(BaseModel):
    """Base of the configurations here; equal to the one of the data side, which knows nothing of the model."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def by_kind(usual: str, *others: str) -> Discriminator:
    """Return what tells the members of a union apart: their `kind`, which need not be written where it is the usual."""
    return Discriminator(
        lambda value: value.get("kind", usual) if isinstance(value, dict) else getattr(value, "kind", None),
        custom_error_type="union_tag_unknown",
        custom_error_message=f"kind must be one of {', '.join((usual, *others))}",
    )
