"""What was decided about a sample."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Drop:
    """A sample that does not stay.

    Attributes:
        step: ``filter``, ``safety`` or ``duplicates``.
        reason: one word of the funnel.
        partner: uid of the kept sample that stands for it, where it is a duplicate.
        score: cosine of the two pictures, where it is a duplicate.
    """

    step: str
    reason: str
    partner: str = ""
    score: float | None = None
