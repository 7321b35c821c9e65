"""From a recipe to its steps: which plain function runs on what, and what decides its key. No logic of its own."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from flows.interrupt import Interruption
from flows.recipe import CorpusEntry, Recipe
from pipeline import files
from pipeline.parts import Spread, here
from pipeline.select.safety_config import SafetyConfig
from pipeline.workspace import Counts, Step, Workspace

if TYPE_CHECKING:
    from pipeline.acquire.card import Card

CURATE = ("acquire", "measure", "embed", "align", "select", "index", "order", "stage", "card")
TRAIN = ("train", "evaluate", "report")
PHASES = CURATE + TRAIN
OWN_TOWERS = ("convolutional", "patch", "own")


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a run is given besides its recipe, none of which changes its outcome.

    Attributes:
        run: the run directory.
        folder: the recipe's folder, from which the paths in it start.
        mirror: folder that a loopback server offers in place of the original hosts, or None.
        stages: folder of staged shards that are trained on in place of the run's own, none of whose steps are done.
        progress: called with the steps done, their number and some values, during long work.
        interruption: tells training that it is to stop at the next batch.
        spread: does what a step has to do for each of many pictures or captions.
    """

    run: Path
    folder: Path
    mirror: Path | None = None
    stages: Path | None = None
    progress: Callable[[int, int, dict[str, float]], None] = lambda *_: None
    interruption: Interruption = field(default_factory=Interruption)
    spread: Spread = here


def phase_of(step: str) -> str:
    """Return the phase that a step belongs to: ``acquire-noto`` is part of ``acquire``."""
    return step.partition("-")[0]


def plan(recipe: Recipe, around: Surroundings) -> list[Step]:
    """Return the steps of a whole run in an order in which each finds what it reads."""
    if around.stages is not None:
        return training(recipe, around)
    return [*curation(recipe, around), *training(recipe, around), report_step(recipe, around)]


def curation(recipe: Recipe, around: Surroundings) -> list[Step]:
    """Return the steps from the corpora to the staged shards and their card."""
    return [*(_acquire(entry, recipe.select.safety, around) for entry in recipe.corpora), *preparation(recipe, around)]


def preparation(recipe: Recipe, around: Surroundings) -> list[Step]:
    """Return the steps from raw shards, however they came there, to the staged shards and their card."""
    cards = [entry.load_card(around.folder) for entry in recipe.corpora]
    return [
        *_signals(recipe, around, cards),
        *_selection(recipe, around, cards),
        _order(recipe, around),
        *_shards(recipe, around, cards),
    ]


def _signals(recipe: Recipe, around: Surroundings, cards: "list[Card]") -> list[Step]:
    """Return the steps that look at every picture and caption, and decide nothing."""
    from pipeline.measure.align import align
    from pipeline.measure.measure import SIGNALS, embed, embed_sources, measure, measure_sources

    run = around.run
    raw = {card.name: run / "raw" / card.name for card in cards}
    own = {name: around.folder / path for name, path in recipe.measure.own_lexicons.items()}
    measuring = recipe.measure.model_copy(update={"own_lexicons": own})
    return [
        Step(
            name="measure",
            function=lambda out: measure(measuring, raw, run, out, spread=around.spread),
            outputs=tuple(f"signals/{name}" for name in SIGNALS),
            inputs=_sources(cards),
            params=_params(recipe.measure, tools=measure_sources(measuring), corpora=list(raw)),
            version=2,
        ),
        Step(
            name="embed",
            function=lambda out: embed(recipe.embed, run, out, spread=around.spread),
            outputs=(f"embeddings/{recipe.embed.image_folder}", f"embeddings/{recipe.embed.text_folder}"),
            inputs=("measure",),
            params=_params(recipe.embed, tools=embed_sources(recipe.embed)),
        ),
        Step(
            name="align",
            function=lambda out: align(recipe.align, recipe.embed, run, out),
            outputs=("signals/alignment.parquet",),
            inputs=("measure", "embed"),
            params=_params(recipe.align, encoders=[recipe.embed.encoder, recipe.embed.text_encoder]),
            version=2,
        ),
    ]


def _selection(recipe: Recipe, around: Surroundings, cards: "list[Card]") -> list[Step]:
    """Return the steps that decide what stays, and make it searchable."""
    from pipeline.index.store import build_index
    from pipeline.select.pictured import content_digest
    from pipeline.select.real_children import CorpusFacts
    from pipeline.select.safety import safety_sources
    from pipeline.select.select import select

    run, encoder = around.run, recipe.embed.image_folder
    corpora = [card.name for card in cards]
    facts = {
        card.name: CorpusFacts(card.child_directed, card.imagery, english_groups=card.source.engine == "icon_names")
        for card in cards
    }
    safety = recipe.select.safety.at(around.folder)
    contamination = recipe.select.contamination.at(around.folder)
    selecting = recipe.select.model_copy(update={"safety": safety, "contamination": contamination})
    return [
        Step(
            name="select",
            function=lambda out: select(selecting, corpora, encoder, run, out, facts=facts),
            outputs=("selection",),
            inputs=(*_sources(cards), "measure", "embed", "align"),
            params=_params(
                recipe.select,
                corpora=corpora,
                encoder=encoder,
                tools=safety_sources(safety),
                facts={name: asdict(fact) for name, fact in facts.items()},
                evaluation={entry.name: content_digest(entry.path) for entry in contamination.sets},
            ),
            version=3,
        ),
        Step(
            name="index",
            function=lambda out: build_index(recipe.index, recipe.embed, run, out),
            outputs=("index",),
            inputs=("measure", "embed", "select"),
            params=_params(recipe.index, encoders=[recipe.embed.encoder, recipe.embed.text_encoder]),
            version=3,
        ),
    ]


def _order(recipe: Recipe, around: Surroundings) -> Step:
    from pipeline.curriculum.order import order
    from pipeline.curriculum.pairs import order_sources

    ordering = recipe.curriculum.at(around.folder)
    return Step(
        name="order",
        function=lambda out: order(ordering, around.run, out),
        outputs=("curriculum",),
        inputs=("measure", "align", "select"),
        params=_params(recipe.curriculum, sources=order_sources(ordering)),
        version=2,
    )


def _shards(recipe: Recipe, around: Surroundings, cards: "list[Card]") -> list[Step]:
    """Return the steps that write the staged shards and describe them."""
    from pipeline.cards.config import CardConfig
    from pipeline.cards.datacard import write_cards
    from pipeline.shards.stage import stage

    run = around.run
    closed = [card.name for card in cards if not card.redistributable]
    described = CardConfig(name=recipe.name, description=recipe.description, **recipe.card.model_dump())
    return [
        Step(
            name="stage",
            function=lambda out: stage(recipe.stage, run, out, closed=closed),
            outputs=("stages",),
            inputs=(*_sources(cards), "measure", "select", "order"),
            params=_params(recipe.stage, closed=closed),
            version=3,
        ),
        Step(
            name="card",
            function=lambda out: write_cards(described, run, out, sources=cards),
            outputs=("card",),
            inputs=(*_sources(cards), "measure", "select", "order", "stage"),
            params=_params(described, cards=[card.model_dump(mode="json", exclude={"path"}) for card in cards]),
            version=2,
        ),
    ]


def training(
    recipe: Recipe, around: Surroundings, *, stages_of: Path | None = None, asked: Path | None = None
) -> list[Step]:
    """Return the steps from staged shards to a trained and evaluated model.

    Args:
        stages_of: a run whose stages are read in place of this run's own.
        asked: a run whose held-out sets are scored and examined, where those are not the same stages'.
    """
    from importlib.metadata import version

    from essen.evaluate.evaluate import evaluate
    from pipeline.shards.read import read_manifest

    run = around.run
    # The untrained control is the very model before its first step.
    scoring = recipe.evaluate.model_copy(update={"initial_seed": recipe.train.seed})
    stages = around.stages or (stages_of or run) / "stages"
    model = run / "models" / recipe.model.name
    tools = {"torch": version("torch")}
    elsewhere = {}
    if around.stages is not None:
        elsewhere = {"stages": read_manifest(around.stages)["sha256"]}
    elif stages_of is not None:
        elsewhere = {"stages": _digest_of(stages_of)}
    own = () if elsewhere else ("stage",)
    questions = stages if asked is None else asked / "stages"
    others_asked = {} if questions == stages else {"asked": _digest_of(questions.parent)}
    return [
        Step(
            name="train",
            function=lambda out: _train(recipe, around, stages, questions, out),
            outputs=(f"models/{recipe.model.name}",),
            inputs=own,
            params=_params(
                recipe.model,
                train=recipe.train.model_dump(mode="json"),
                tools=tools | _weights_read(recipe, around.folder),
                **elsewhere,
                **(others_asked if recipe.train.stopping.patience else {}),
            ),
            resumable=True,
        ),
        Step(
            name="evaluate",
            function=lambda out: evaluate(scoring, questions, model, out),
            outputs=("reports/evaluation.json",),
            inputs=(*own, "train"),
            params=_params(scoring, tools=tools, **elsewhere, **others_asked),
            version=2,
        ),
    ]


def _weights_read(recipe: Recipe, folder: Path) -> dict[str, str]:
    """Return the sha256 of the other models' weights that a training reads, by what it reads them for."""
    learning = recipe.train.at(folder)
    others = {"reference": learning.sampling.learnability.reference, "teacher": learning.teacher}
    towers = {"vision": recipe.model.vision, "text": recipe.model.text}
    others |= {part: tower.weights for part, tower in towers.items() if tower.kind in OWN_TOWERS}
    return {
        name: files.sha256_file(weights)
        for name, other in others.items()
        if other and (weights := Path(other, "model.safetensors")).is_file()
    }


def _train(recipe: Recipe, around: Surroundings, stages: Path, questions: Path, out: Path) -> Counts:
    """Train; where the person asks for the end, at the next batch."""
    from essen.errors import StopRequested
    from essen.train import train

    with around.interruption.deferred():
        try:
            return train(
                recipe.model,
                recipe.train.at(around.folder),
                stages,
                out,
                should_stop=around.interruption.requested,
                report=lambda step, values: around.progress(step, recipe.train.steps, values),
                events=around.run / "tensorboard" / recipe.model.name,
                examined=questions,
            )
        except StopRequested:
            around.interruption.leave()


def report_step(recipe: Recipe, around: Surroundings) -> Step:
    """Return the step that writes the report of a whole run."""
    from pipeline.report.calibration import FILE
    from pipeline.report.report import report

    calibration = around.run / FILE  # written by a command of its own, not by a step
    return Step(
        name="report",
        function=lambda out: report(recipe.report, around.run, out),
        outputs=("reports/report.html",),
        inputs=("measure", "align", "select", "index", "order", "stage", "card", "train", "evaluate"),
        params=_params(
            recipe.report,
            recipe=files.digest(recipe.model_dump(mode="json", exclude={"publish"})),
            calibration=files.sha256_file(calibration) if calibration.is_file() else "",
        ),
        version=4,
    )


def _acquire(entry: CorpusEntry, safety: SafetyConfig, around: Surroundings) -> Step:
    from pipeline.acquire.acquire import acquire, source_params

    card = entry.load_card(around.folder)
    ledger = around.run.parent / "ledger"
    screen = safety.at(around.folder).screen(child_directed=card.child_directed, imagery=card.imagery)
    options = entry.options(around.folder, around.mirror, ledger).model_copy(update={"screen": screen})
    return Step(
        name=f"acquire-{card.name}",
        function=lambda out: acquire(card, options, out, ledger=ledger),
        outputs=(f"raw/{card.name}",),
        params=source_params(card, options),
        resumable=True,
    )


def _sources(cards: "list[Card]") -> tuple[str, ...]:
    """Return the names of the steps that acquire some corpora."""
    return tuple(f"acquire-{card.name}" for card in cards)


def _digest_of(run: Path) -> str:
    """Return the digest of the stages of another run."""
    record = Workspace(run).record("stage")
    return files.digest(record["outputs"] if record else None)


def _params(config: BaseModel, **further: Any) -> dict[str, Any]:
    return {"config": config.model_dump(mode="json"), **further}
