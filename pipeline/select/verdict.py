"""What was decided about a sample."""

from dataclasses import dataclass

SAFETY = "safety"  # the step whose pictures are never shown


@dataclass(frozen=True, slots=True)
class Drop:
    """A sample that does not stay.

    Attributes:
        step: ``filter``, ``safety``, ``contamination`` or ``duplicates``.
        reason: one word of the funnel.
        partner: uid of the kept sample that stands for it, where it is a duplicate.
        score: cosine of the two pictures, where it is a duplicate; the score of a classifier that found it unsafe.
    """

    step: str
    reason: str
    partner: str = ""
    score: float | None = None


def may_be_shown(step: str) -> bool:
    """Tell whether the picture of a sample that a step dropped may be shown.

    Where a picture has several captions, none of them may have been dropped for safety: ask `safety.unsafe_images`.
    """
    return step != SAFETY
