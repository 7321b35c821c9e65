"""Which stage a sample belongs to, and what every assignment must fulfil."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.curriculum.config import CurriculumConfig
from pipeline.curriculum.difficulty import normalised_rank
from pipeline.errors import DataError

if TYPE_CHECKING:
    import numpy as np


def by_quantile(difficulty: "np.ndarray", fractions: Sequence[float]) -> "np.ndarray":
    """Return each sample's stage, from 1: the share of easier samples decides.

    Samples of equal difficulty are never cut apart, so a stage can be a little larger or smaller than its fraction.

    Args:
        difficulty: (N,) without NaN.
        fractions: one a stage, adding up to 1.
    """
    import numpy as np

    upper = np.cumsum(fractions)[:-1]
    return np.searchsorted(upper, normalised_rank(difficulty), side="left") + 1


def by_value(values: "np.ndarray", edges: Sequence[float]) -> "np.ndarray":
    """Return each sample's stage, from 1: stage k holds the values up to and including edge k, the last one the rest.

    Args:
        values: (N,); NaN goes to the last stage.
        edges: rising.
    """
    import numpy as np

    return np.searchsorted(np.asarray(edges, dtype=np.float64), values, side="left") + 1


def check_stages(stages: "np.ndarray", difficulty: "np.ndarray", config: CurriculumConfig) -> None:
    """Raise unless every stage has samples and the stages' median difficulties do not fall.

    Raises:
        DataError: naming the stage and the way out.
    """
    import numpy as np

    cut = "curriculum.fractions" if config.by == "quantile" else "curriculum.edges"
    before = None
    for number, name in enumerate(config.stages, start=1):
        members = difficulty[stages == number]
        if not len(members):
            raise DataError(f"stage {number} ({name}) is empty; change {cut} or take fewer stages")
        median = float(np.median(members))
        if before is not None and median < before:
            raise DataError(
                f"stage {number} ({name}) is easier than the stage before it (median difficulty {median:.3f} after "
                f"{before:.3f}); cut by a column that agrees with curriculum.difficulty"
            )
        before = median
