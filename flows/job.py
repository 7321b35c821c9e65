"""What a run is asked to do, small enough to be a task's argument: paths and words, never data."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from flows.console import Reporter
from flows.interrupt import Interruption
from flows.plan import Surroundings, phase_of, plan
from flows.recipe import Recipe, find_recipe, load_recipe, recipe_text
from pipeline import files
from pipeline.acquire.tombstones import read_tombstones
from pipeline.config import Config
from pipeline.parts import Spread, here
from pipeline.takedown import bury, describe, finish
from pipeline.workspace import Outcome, Step, Workspace

# One process has one terminal and one set of signal handlers.
REPORTER = Reporter()
INTERRUPTION = Interruption()
ORIGIN = ".job.json"  # where the recipe's paths start: state of this machine, as the lock is


class Job(Config):
    """A recipe, where it runs, and how far."""

    recipe: Path
    run: Path
    mirror: Path | None = Field(
        default=None, description="folder served on the loopback in place of the original hosts"
    )
    stages: Path | None = Field(
        default=None, description="folder of staged shards that are trained on in place of the run's own"
    )
    overrides: tuple[str, ...] = Field(default=(), description="recipe keys set by hand, as key.subkey=value")
    until: str = Field(default="report", description="the last phase to do")
    folder: Path | None = Field(
        default=None, description="from which the recipe's paths start; by default the folder that it lies in"
    )

    def load(self) -> Recipe:
        """Return the validated recipe."""
        return load_recipe(self.recipe, self.overrides)

    def surroundings(self, spread: Spread = here) -> Surroundings:
        """Return what the steps are given besides the recipe; `spread` does what they do many times."""
        return Surroundings(
            run=self.run,
            folder=self.folder or self.recipe.parent,
            mirror=self.mirror,
            stages=self.stages,
            progress=REPORTER.progress,
            interruption=INTERRUPTION,
            spread=spread,
        )

    def steps(self, phases: tuple[str, ...], spread: Spread = here) -> list[Step]:
        """Return the steps of some phases, in order, no further than the last phase asked for."""
        steps = plan(self.load(), self.surroundings(spread))
        last = max(index for index, step in enumerate(steps) if phase_of(step.name) == self.until)
        return [step for step in steps[: last + 1] if phase_of(step.name) in phases]

    def ledgers(self) -> tuple[Path, ...]:
        """Return the folders that outlive this run: that of all runs beside it, and those that the recipe names."""
        around = self.surroundings()
        named = [around.folder / entry.ledger for entry in self.load().corpora if entry.ledger]
        return (self.run.parent / "ledger", *named)

    def begin(self) -> None:
        """Write the resolved recipe into the run directory, and remove what was taken down since it was last used."""
        files.write_bytes(self.run / "recipe.yaml", recipe_text(self.load()).encode())
        origin = {"folder": str(self.surroundings().folder)}
        if not (self.run / ORIGIN).is_file() or files.read_json(self.run / ORIGIN) != origin:
            files.write_json(self.run / ORIGIN, origin)
        burial = bury(self.run, read_tombstones(*self.ledgers()))
        if burial is not None:
            REPORTER.note(describe(burial))
            finish(self.run)


def make_job(recipe: str, run: Path | None, mirror: Path | None, overrides: Sequence[str], until: str) -> Job:
    """Return the job that a person asks for, all paths made absolute.

    Args:
        recipe: a file, or the name of one that comes with the project.
        run: the run directory; by default ``runs/<name of the recipe>``.
        mirror, overrides, until: see `Job`.

    Raises:
        ConfigError: there is no such recipe, or it is not valid.
    """
    path = find_recipe(recipe)
    directory = Path("runs") / load_recipe(path, overrides).name if run is None else run
    return Job(
        recipe=path.absolute(),
        run=directory.absolute(),
        mirror=mirror.absolute() if mirror else None,
        overrides=tuple(overrides),
        until=until,
    )


def do_step(step: Step, run: Path) -> Outcome:
    """Do one step of a run, or find it done, and say so."""
    with INTERRUPTION.handled():
        outcome = Workspace(run).run(step)
    REPORTER.step(step.name, outcome)
    return outcome
