"""Why a pair stands where it stands in the order."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.curriculum.config import CurriculumConfig
from pipeline.curriculum.lemmas import read_content
from pipeline.curriculum.order import FOLDER
from pipeline.curriculum.pairs import read_pairs
from pipeline.curriculum.vocabulary import frequency_rank
from pipeline.errors import ConfigError
from pipeline.sample import one_line
from pipeline.select.kept import read_kept
from pipeline.tables import read_table

NEIGHBOURS = 3  # on each side
WITHIN = {
    "easy_to_hard": "easy to hard",
    "random": "drawn by the seed",
    "concept_blocked": "pairs of one head noun together",
    "interleaved": "head nouns in turn",
    "group": "one work after the other, from its first page to its last",
}


@dataclass(frozen=True, kw_only=True)
class Component:
    """A signal's part in a difficulty: `value` None where nothing was measured, `rank` from 0 easy to 1 hard."""

    column: str
    value: float | None
    rank: float
    weight: float


@dataclass(frozen=True, kw_only=True)
class Neighbour:
    """A pair that stands near: `rank` in the whole order, from 0."""

    rank: int
    uid: str
    stage: int
    difficulty: float
    caption: str


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Why a pair stands where it stands.

    Attributes:
        rank: in the whole order of `samples`, from 0.
        place: in its stage of `stage_samples`, from 0.
        components: of the difficulty, heaviest first; Σ |weight| · rank is the difficulty.
        cut: one sentence on what put it into its stage.
        new_words: stages by vocabulary: content words that no earlier stage has taught; None for other stages.
        within: how its stage is ordered.
        before: the neighbours before it, nearest last.
        after: those after it, nearest first.
    """

    uid: str
    caption: str
    corpus: str
    stage: int
    stage_name: str
    rank: int
    samples: int
    place: int
    stage_samples: int
    difficulty: float
    components: tuple[Component, ...]
    cut: str
    new_words: tuple[str, ...] | None
    within: str
    before: tuple[Neighbour, ...]
    after: tuple[Neighbour, ...]


def is_ordered(run: Path) -> bool:
    """Tell whether a run holds an order that can be explained."""
    return (run / FOLDER / "signals.parquet").is_file()


def explain(run: Path, uid: str) -> Explanation:
    """Return why a pair of the train split stands where it stands; reads the run's order as it is.

    Raises:
        ConfigError: the run has no order, or the uid is not in it.
    """
    return explain_all(run, [uid])[0]


def explain_all(run: Path, uids: Sequence[str]) -> list[Explanation]:
    """Return why each of some pairs stands where it stands; the run's files are read once. Raises as `explain`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    folder = run / FOLDER
    if not (folder / "order.parquet").is_file():
        raise ConfigError(f"{run} has no order; run order first")
    summary = files.read_json(folder / "summary.json")
    table, signals = _with_captions(run, read_table(folder / "order.parquet")), read_table(folder / "signals.parquet")
    wanted = pa.array(uids, pa.string())
    ranks = pc.index_in(wanted, value_set=table.column("uid").combine_chunks())
    for uid, rank in zip(uids, ranks.to_pylist(), strict=True):
        if rank is None:
            raise ConfigError(_not_there(run, uid))
    raw = signals.take(pc.index_in(wanted, value_set=signals.column("uid").combine_chunks())).to_pylist()
    rows = table.take(ranks).to_pylist()
    new = _new_words(run, summary["config"], table, rows)
    return [_explanation(summary, table, *each) for each in zip(rows, raw, new, strict=True)]


def _with_captions(run: Path, table: Any) -> Any:
    """Return an order with the caption and the corpus of every pair."""
    import pyarrow.compute as pc

    kept = read_kept(run, ["uid", "caption", "corpus"])
    places = pc.index_in(table.column("uid"), value_set=kept.column("uid").combine_chunks())
    for name in ("caption", "corpus"):
        table = table.append_column(name, kept.column(name).take(places))
    return table


def _explanation(
    summary: Mapping[str, Any],
    table: Any,
    row: Mapping[str, Any],
    raw: Mapping[str, Any],
    new_words: tuple[str, ...] | None,
) -> Explanation:
    entry = summary["stages"][row["stage"] - 1]
    rank = row["rank"]
    near = _neighbours(table, rank)
    return Explanation(
        uid=row["uid"],
        caption=row["caption"],
        corpus=row["corpus"],
        stage=row["stage"],
        stage_name=row["stage_name"],
        rank=rank,
        samples=len(table),
        place=rank - sum(earlier["samples"] for earlier in summary["stages"][: row["stage"] - 1]),
        stage_samples=entry["samples"],
        difficulty=row["difficulty"],
        components=_components(summary["weights"], raw, row),
        cut=_cut(summary, entry, raw["cut"], row["corpus"]),
        new_words=new_words,
        within=WITHIN[summary["config"]["within"]],
        before=tuple(neighbour for neighbour in near if neighbour.rank < rank),
        after=tuple(neighbour for neighbour in near if neighbour.rank > rank),
    )


def explanation_lines(found: Explanation) -> list[str]:
    """Return an explanation as lines of plain text."""
    lines = [
        f"{found.uid}  {one_line(found.caption)}  ({found.corpus})",
        f"place {found.rank + 1:,} of {found.samples:,}; stage {found.stage} ({found.stage_name}), place "
        f"{found.place + 1:,} of {found.stage_samples:,}",
        f"stage: {found.cut}",
        f"order inside the stage: {found.within}",
    ]
    if found.new_words is not None:
        lines.append(f"new words: {', '.join(found.new_words) or 'none'}")
    lines.append(f"difficulty {found.difficulty:.4f}, the sum of weight × rank (0 easiest, 1 hardest):")
    width = max(len(component.column) for component in found.components)
    for part in found.components:
        value = "missing" if part.value is None else f"{part.value:.4g}"
        easy = ", a high value is easy" if part.weight < 0 else ""
        share = abs(part.weight)
        lines.append(
            f"  {part.column:<{width}}  {value:>9}  {share:.2f} × {part.rank:.3f} = {share * part.rank:.4f}{easy}"
        )
    lines.append("around it:")
    here = Neighbour(
        rank=found.rank, uid=found.uid, stage=found.stage, difficulty=found.difficulty, caption=found.caption
    )
    for near in (*found.before, here, *found.after):
        mark = ">" if near is here else " "
        lines.append(
            f"{mark} {near.rank + 1:>7,}  {near.stage}  {near.difficulty:.4f}  {near.uid}  {one_line(near.caption)}"
        )
    return lines


def _components(weights: Mapping[str, float], raw: Mapping[str, Any], row: Mapping[str, Any]) -> tuple[Component, ...]:
    columns = sorted(weights, key=lambda column: (-abs(weights[column]), column))
    return tuple(
        Component(column=column, value=raw[column], rank=row[column], weight=weights[column]) for column in columns
    )


def _cut(summary: Mapping[str, Any], entry: Mapping[str, Any], value: float | None, corpus: str) -> str:
    """Return one sentence on what put a pair into its stage."""
    config, limits = summary["config"], entry["cut"]
    by = config["by"]
    if by == "corpus":
        return f"corpus {corpus} belongs to it, with {', '.join(limits['corpora'])}"
    if by == "vocabulary":
        most = limits["new_words"]
        rule = "takes what is left" if most is None else f"takes its share of the pairs with at most {most}"
        return f"content words that no earlier stage has taught: {value:.0f}; it {rule}"
    what = config["column"] if by == "value" else "the share of easier pairs"
    low = -math.inf if limits["above"] is None else limits["above"]
    high = math.inf if limits["up_to"] is None else limits["up_to"]
    if value is None:
        return f"{what} is missing, which belongs to the last stage"
    bounds = [f"above {low:g}"] if low > -math.inf else []
    bounds += [f"up to {high:g}"] if high < math.inf else []
    return f"{what} is {value:.4g}; it holds what is {' and '.join(bounds) or 'there'}"


def _neighbours(table: Any, rank: int) -> list[Neighbour]:
    start = max(0, rank - NEIGHBOURS)
    rows = table.slice(start, rank + NEIGHBOURS + 1 - start)
    return [Neighbour(**row) for row in rows.select(["uid", "stage", "rank", "difficulty", "caption"]).to_pylist()]


def _new_words(
    run: Path, config: dict[str, Any], table: Any, rows: Sequence[Mapping[str, Any]]
) -> list[tuple[str, ...] | None]:
    """Return for some rows of an order the content words that are neither seed words nor in an earlier stage."""
    if config["by"] != "vocabulary":
        return [None] * len(rows)
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    rule = CurriculumConfig.model_validate(config).vocabulary
    pairs = read_pairs(run, {})
    lemmas = read_content(pairs)
    places = pc.index_in(pairs.column("uid"), value_set=table.column("uid").combine_chunks())
    stages = table.column("stage").take(places).to_numpy()
    taught = {}
    for stage in {row["stage"] for row in rows}:
        known = frequency_rank(lemmas) < rule.seed_words
        known[np.unique(lemmas.codes[stages[lemmas.rows] < stage])] = True
        taught[stage] = set(lemmas.names[known].tolist())
    own = pc.index_in(pa.array([row["uid"] for row in rows]), value_set=pairs.column("uid")).to_pylist()
    words = [lemmas.of(place) for place in own]
    return [
        tuple(word for word in said if word not in taught[row["stage"]]) for row, said in zip(rows, words, strict=True)
    ]


def _not_there(run: Path, uid: str) -> str:
    """Return one line on a uid that is not in the order: where it went, if the run knows it."""
    import pyarrow.compute as pc

    kept = read_kept(run, ["uid", "split"]).filter(pc.field("uid") == uid)
    if kept.num_rows:
        return f"{uid} is not in the order: it belongs to the split {kept.column('split')[0].as_py()}"
    verdicts = run / "selection/verdicts.parquet"
    if verdicts.is_file():
        found = read_table(verdicts, ["uid", "reason"]).filter(pc.field("uid") == uid)
        if found.num_rows:
            return f"{uid} is not in the order: selection dropped it ({found.column('reason')[0].as_py()})"
    return f"{uid} is no sample of this run; uids stand in curriculum/order.parquet and in the report"
