"""From a recipe to its steps: which plain function runs on what, and what decides its key. No logic of its own."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from pydantic import BaseModel

from flows.interrupt import Interruption
from flows.recipe import CorpusEntry, Recipe
from pipeline.workspace import Counts, Step

CURATE = ("acquire", "measure", "embed", "select", "index", "order", "stage", "card")
TRAIN = ("train", "evaluate", "report")
PHASES = CURATE + TRAIN


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a run is given besides its recipe, none of which changes its outcome.

    Attributes:
        run: the run directory.
        mirror: folder that a loopback server offers in place of the original hosts, or None.
        progress: called with the steps done, their number and some values, during long work.
        interruption: tells training that it is to stop at the next batch.
    """

    run: Path
    mirror: Path | None = None
    progress: Callable[[int, int, dict[str, float]], None] = lambda *_: None
    interruption: Interruption = field(default_factory=Interruption)


def phase_of(step: str) -> str:
    """Return the phase that a step belongs to: ``acquire-noto`` is part of ``acquire``."""
    return step.partition("-")[0]


def plan(recipe: Recipe, around: Surroundings) -> list[Step]:
    """Return the steps of a whole run in an order in which each finds what it reads."""
    return [*curation(recipe, around), *training(recipe, around)]


def curation(recipe: Recipe, around: Surroundings) -> list[Step]:
    """Return the steps from the corpora to the staged shards and their card."""
    from pipeline.cards.datacard import write_cards
    from pipeline.curriculum.order import order
    from pipeline.index import build_index
    from pipeline.measure.measure import embed, embed_params, measure, measure_params
    from pipeline.select.select import select
    from pipeline.shards.stage import stage

    run = around.run
    acquired = [_acquire(entry, around) for entry in recipe.corpora]
    sources = tuple(step.name for step in acquired)
    raw = {entry.corpus: run / "raw" / entry.corpus for entry in recipe.corpora}
    return [
        *acquired,
        Step(
            name="measure",
            function=partial(_measure, recipe, raw),
            outputs=("signals",),
            inputs=sources,
            params=measure_params(recipe.measure),
        ),
    ]
