"""Which stage a pair belongs to, and what every assignment must fulfil."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipeline.config import nearest
from pipeline.curriculum.config import CurriculumConfig
from pipeline.curriculum.difficulty import Difficulty, normalised_rank
from pipeline.curriculum.lemmas import read_content
from pipeline.curriculum.pairs import Pairs, numbers, require_values
from pipeline.curriculum.vocabulary import by_vocabulary
from pipeline.errors import ConfigError, DataError

if TYPE_CHECKING:
    import numpy as np

WAY_OUT = {
    "quantile": "change curriculum.fractions",
    "value": "change curriculum.edges",
    "corpus": "change curriculum.corpora",
    "vocabulary": "raise curriculum.vocabulary.new_words or seed_words",
}


@dataclass(frozen=True, kw_only=True)
class Cut:
    """Stages and what they were cut by.

    Attributes:
        stages: (N,) from 1.
        value: (N,) what was looked at: normalised rank, column, or number of new words; empty for corpora.
        limits: for each stage what it admits: ``above`` and ``up_to``, ``corpora``, or ``new_words``.
        facts: further numbers for the summary.
        missing: pairs without a value, by column.
    """

    stages: "np.ndarray"
    limits: list[dict[str, Any]]
    value: "np.ndarray | None" = None
    facts: dict[str, Any] = field(default_factory=dict)
    missing: dict[str, int] = field(default_factory=dict)


def cut(config: CurriculumConfig, pairs: Pairs, difficulty: Difficulty) -> Cut:
    """Return the stages by the configured rule.

    Raises:
        ConfigError: it names a column or a corpus that does not exist.
        DataError: a corpus stands in no stage, or there are fewer corpora than stages.
    """
    import numpy as np

    if config.by == "value":
        values = numbers(pairs, [config.column])[config.column]
        require_values(pairs, "curriculum.column", config.column, values)
        lacking = {config.column: int(np.isnan(values).sum())}
        limits = between([None, *config.edges, None])
        return Cut(stages=by_value(values, config.edges), limits=limits, value=values, missing=lacking)
    if config.by == "corpus":
        corpora = np.asarray(pairs.column("corpus").to_pylist())
        groups = _named_corpora(config, pairs) or corpora_by_difficulty(corpora, difficulty.value, config.stages)
        stages = by_corpus(corpora, [groups[name] for name in config.stages])
        return Cut(stages=stages, limits=[{"corpora": list(groups[name])} for name in config.stages])
    if config.by == "vocabulary":
        rule = config.vocabulary.model_dump()
        found = by_vocabulary(read_content(pairs), len(pairs), config.shares, **rule)
        limits = [{"new_words": rule["new_words"]} for _ in config.stages[:-1]] + [{"new_words": None}]
        return Cut(stages=found.stages, limits=limits, value=found.new.astype(float), facts=found.facts)
    ranks = normalised_rank(difficulty.value)
    upper = np.cumsum(config.shares)[:-1]
    limits = between([None, *(float(edge) for edge in upper), None])
    return Cut(stages=by_quantile(difficulty.value, config.shares), limits=limits, value=ranks)


def between(edges: Sequence[float | None]) -> list[dict[str, Any]]:
    """Return what each stage admits, above one edge and up to the next; None is no bound."""
    return [{"above": low, "up_to": high} for low, high in itertools.pairwise(edges)]


def by_quantile(difficulty: "np.ndarray", fractions: Sequence[float]) -> "np.ndarray":
    """Return each pair's stage, from 1: the share of easier pairs decides.

    Pairs of equal difficulty are never cut apart, so a stage can be a little larger or smaller than its fraction.

    Args:
        difficulty: (N,) without NaN.
        fractions: one a stage, adding up to 1.
    """
    import numpy as np

    upper = np.cumsum(fractions)[:-1]
    return np.searchsorted(upper, normalised_rank(difficulty), side="left") + 1


def by_value(values: "np.ndarray", edges: Sequence[float]) -> "np.ndarray":
    """Return each pair's stage, from 1: stage k holds the values up to and including edge k, the last one the rest.

    Args:
        values: (N,); NaN goes to the last stage.
        edges: rising.
    """
    import numpy as np

    return np.searchsorted(np.asarray(edges, dtype=np.float64), values, side="left") + 1


def by_corpus(corpora: "np.ndarray", groups: Sequence[Sequence[str]]) -> "np.ndarray":
    """Return each pair's stage, from 1: the one whose group has its corpus.

    Raises:
        DataError: a corpus is in no group.
    """
    import numpy as np

    names, codes = np.unique(corpora, return_inverse=True)
    stage_of = {corpus: stage for stage, group in enumerate(groups, start=1) for corpus in group}
    for name in names:
        if name not in stage_of:
            raise DataError(f"corpus {name} stands in no stage; add it to curriculum.corpora")
    return np.array([stage_of[name] for name in names])[codes]


def corpora_by_difficulty(
    corpora: "np.ndarray", difficulty: "np.ndarray", stages: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """Return corpora for each stage: sorted by median difficulty, neighbours joined to as many groups as stages.

    A group ends where the share of the pairs before its end comes nearest to even; none is empty.

    Raises:
        DataError: there are fewer corpora than stages.
    """
    import numpy as np

    names, codes, counts = np.unique(corpora, return_inverse=True, return_counts=True)
    if len(names) < len(stages):
        raise DataError(
            f"{len(stages)} stages by corpus need as many corpora, and {len(names)} have training samples; take fewer "
            "stages or another curriculum.by"
        )
    medians = [float(np.median(difficulty[codes == code])) for code in range(len(names))]
    ranked = sorted(range(len(names)), key=lambda code: (medians[code], names[code]))
    ends = np.cumsum(counts[ranked]) / len(corpora)
    groups, start = {}, 0
    for number, name in enumerate(stages, start=1):
        last = len(ranked) - (len(stages) - number)  # leaves a corpus for each stage to come
        ways = range(start + 1, last + 1) if number < len(stages) else [len(ranked)]
        end = min(ways, key=lambda place: abs(ends[place - 1] - number / len(stages)))
        groups[name] = tuple(str(names[code]) for code in ranked[start:end])
        start = end
    return groups


def check_stages(stages: "np.ndarray", difficulty: "np.ndarray", config: CurriculumConfig) -> list[str]:
    """Hold the contract: every stage has pairs, and the stages' median difficulties do not fall.

    Returns:
        The stages that are easier than the one before; none unless ``monotone`` is ``report``.

    Raises:
        DataError: naming the stage and the way out.
    """
    import numpy as np

    easier: list[str] = []
    before = None
    for number, name in enumerate(config.stages, start=1):
        members = difficulty[stages == number]
        if not len(members):
            raise DataError(f"stage {number} ({name}) is empty; {WAY_OUT[config.by]} or take fewer stages")
        median = float(np.median(members))
        if before is not None and median < before:
            easier.append(name)
            if config.monotone == "refuse":
                raise DataError(
                    f"stage {number} ({name}) is easier than the stage before it (median difficulty {median:.3f} after "
                    f"{before:.3f}); cut by what agrees with curriculum.difficulty, or set curriculum.monotone: report"
                )
        before = median
    return easier


def _named_corpora(config: CurriculumConfig, pairs: Pairs) -> Mapping[str, Sequence[str]]:
    for corpus in (name for group in config.corpora.values() for name in group):
        if corpus not in pairs.corpora:
            raise ConfigError(
                f"curriculum.corpora: this run has no corpus {corpus}{nearest(corpus, sorted(pairs.corpora))}"
            )
    return config.corpora
