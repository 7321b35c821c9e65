"""The curriculum as the page shows it: what makes a pair hard, what each stage holds and shows, how the words grow."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.curriculum.explain import WITHIN, Explanation, explain_all
from pipeline.curriculum.order import FOLDER
from pipeline.report import figures
from pipeline.report.order_figures import Span, growth
from pipeline.report.stages import StageSection
from pipeline.workspace import Workspace

WIDE, NARROW = (1040, 300), (350, 260)  # pixels


@dataclass(frozen=True, kw_only=True)
class Part:
    """A signal's part in the difficulty: its share of the weight, which values are hard, and how many are missing."""

    column: str
    share: float
    hard: str
    missing: int


@dataclass(frozen=True, kw_only=True)
class Exposure:
    """What a stage is new with, what it draws from, and what one pass through it shows.

    Attributes:
        stage, name: of the stage.
        admits: the rule in words by which a pair belongs to it.
        samples, words: its own.
        share: of its own words among those of all stages.
        budget: of its own words in the budget of words; None where there is none.
        pool_samples, pool_words: from which it draws.
        pass_samples, pass_words: shown by one pass.
        again: share of the samples of a pass that earlier stages have shown.
    """

    stage: int
    name: str
    admits: str
    samples: int
    words: int
    share: float
    budget: float | None
    pool_samples: int
    pool_words: int
    pass_samples: int
    pass_words: int
    again: float


@dataclass(frozen=True, kw_only=True)
class Curriculum:
    """An order, described.

    Attributes:
        samples, words: of all stages.
        difficulty: name of the family or column; "weights of its own" where the recipe gives weights.
        parts: what difficulty is made of, heaviest first.
        absent: columns of the family that the run has not measured.
        missing_rule: what becomes of a pair without a value.
        within: how pairs follow each other inside a stage.
        exposure: of every stage, in order.
        pool, replay, budget: as declared.
        easier: stages that are easier than the one before.
        changed_stage: pairs that stand in another stage than in the order before; None where there was none.
        wide, narrow: growth of the vocabulary as ``<svg>`` for a screen and for a telephone.
    """

    samples: int
    words: int
    difficulty: str
    parts: list[Part]
    absent: list[str]
    missing_rule: str
    within: str
    exposure: list[Exposure]
    pool: str
    replay: float
    budget: int | None
    easier: list[str]
    changed_stage: int | None
    wide: str
    narrow: str


def read_curriculum(run: Path) -> Curriculum | None:
    """Return the curriculum of a run, or None where nothing has been ordered."""
    path = run / FOLDER / "summary.json"
    if not path.is_file():
        return None
    summary = files.read_json(path)
    config, declared = summary["config"], summary["exposure"]
    record = Workspace(run).record("order")
    chosen = config["difficulty"]
    spans = stage_spans(summary)
    points = [(point["samples"], point["vocabulary"]) for point in summary["growth"]]
    wide, narrow = (
        figures.svg(f"growth-{size[0]}", "Different words by samples met", size, growth(spans, points, size[0]))
        for size in (WIDE, NARROW)
    )
    return Curriculum(
        samples=declared["samples"],
        words=declared["words"],
        difficulty=chosen if isinstance(chosen, str) else "weights of its own",
        parts=_parts(summary),
        absent=summary["absent"],
        missing_rule=summary["missing_rule"],
        within=WITHIN[config["within"]],
        exposure=[_exposure(summary, number) for number in range(len(summary["stages"]))],
        pool=declared["pool"],
        replay=declared["replay"],
        budget=declared["word_budget"],
        easier=summary["easier_than_before"],
        changed_stage=record["counts"].get("changed_stage") if record else None,
        wide=wide,
        narrow=narrow,
    )


def read_explanations(run: Path, stages: list[StageSection]) -> dict[str, Explanation]:
    """Return why the samples that the page shows stand where they stand, by uid; none where nothing is ordered."""
    uids = [tile.uid for stage in stages for tile in stage.tiles]
    if not (run / FOLDER / "summary.json").is_file() or not uids:
        return {}
    return dict(zip(uids, explain_all(run, uids), strict=True))


def stage_spans(summary: Mapping[str, Any]) -> list[Span]:
    """Return the places of the stages of a curriculum's summary, in order."""
    spans, start = [], 0
    for entry in summary["stages"]:
        spans.append(Span(stage=entry["stage"], name=entry["name"], start=start, end=start + entry["samples"]))
        start += entry["samples"]
    return spans


def _parts(summary: Mapping[str, Any]) -> list[Part]:
    weights = summary["weights"]
    return [
        Part(
            column=column,
            share=abs(weights[column]),
            hard="low" if weights[column] < 0 else "high",
            missing=summary["missing"].get(column, 0),
        )
        for column in sorted(weights, key=lambda column: (-abs(weights[column]), column))
    ]


def _exposure(summary: Mapping[str, Any], number: int) -> Exposure:
    declared = summary["exposure"]
    entry, budget = declared["stages"][number], declared["word_budget"]
    shown_again = entry["pass_samples"] - entry["samples"]
    return Exposure(
        admits=_admits(summary["config"], summary["stages"][number]["cut"]),
        share=entry["words"] / max(1, declared["words"]),
        budget=entry["words"] / budget if budget else None,
        again=shown_again / entry["pass_samples"],
        **entry,
    )


def _admits(config: Mapping[str, Any], limits: Mapping[str, Any]) -> str:
    """Return in words what puts a pair into a stage."""
    by = config["by"]
    if by == "corpus":
        return f"of {', '.join(limits['corpora'])}"
    if by == "vocabulary":
        most = limits["new_words"]
        return "what is left" if most is None else f"at most {most} new words"
    low, high = limits["above"], limits["up_to"]
    if by == "quantile":
        return f"{100 * (low or 0):.3g} to {100 * (1 if high is None else high):.3g} % by difficulty"
    bounds = ([] if low is None else [f"above {low:g}"]) + ([] if high is None else [f"up to {high:g}"])
    return f"{config['column']} {' and '.join(bounds) or 'of any value'}"
