"""What every step from acquisition to staged shards costs as samples get more: seconds, memory, bytes, and the slopes.

    python benchmarks/scale.py --folder SCRATCH                              10,000 and 100,000 icons
    python benchmarks/scale.py --folder SCRATCH --sizes 390629 1000000       and these; what was measured is kept
    python benchmarks/scale.py --folder SCRATCH --markdown docs/scale.md     writes the tables between their marks

A size is a number of rows of the card's package; beyond its icons every icon also comes turned. Each step runs in a
process of its own. Seconds of processor are those of the step and all its children, and say more than wall time on a
machine that does other work. Memory is the most that all of them held together, looked at five times a second: *own*
is what cannot be taken from them; *resident* counts mapped files too, and what processes share as often as they share
it. A slope is the exponent of growth between the two largest sizes: 1 is in proportion, 2 is quadratic. Run directories
of SCRATCH can be removed once a size is measured.
"""

import argparse
import json
import math
import multiprocessing
import resource
import shutil
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from flows.job import Job
from flows.plan import CURATE, curation, phase_of
from flows.recipe import find_recipe
from pipeline import files
from pipeline.acquire.card import load_card
from pipeline.acquire.engines.icon_sets import icon_sets
from pipeline.acquire.packages.npm import obtain
from pipeline.acquire.raw import raw_tables
from pipeline.acquire.sources import IconSetsSource
from pipeline.select.kept import read_kept
from pipeline.tables import read_columns
from pipeline.workspace import Step, Workspace

GIB, MIB = 2**30, 2**20
PERIOD = 0.2  # seconds between two looks at the memory
ICONS = 390_629
GOAL, WORKERS = 100_000_000, 64  # of the outlook: rows, and processors
MEMORY, DAY = 4.0, 86_400.0  # GiB that a step may take, and seconds of processor
DIVISIBLE = ("acquire", "measure", "embed", "stage")  # what they do to a sample does not depend on the other ones


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a step took: seconds of wall time and of processor, GiB at the peak, MiB written."""

    step: str
    seconds: float
    processor: float
    own: float
    resident: float
    written: float


Costs = Mapping[int, Sequence[Cost]]  # by number of rows


def steps_of(job: Job) -> dict[str, Step]:
    """Return the steps from acquisition to staged shards, by name."""
    steps = curation(job.load(), job.surroundings())
    return {step.name: step for step in steps if CURATE.index(phase_of(step.name)) <= CURATE.index(job.until)}


def do_step(job: Job, name: str, answer: Path) -> None:
    """Do one step of a run in this process, and write its seconds of wall time and of processor."""
    step = steps_of(job)[name]
    started, before = time.monotonic(), processor()
    Workspace(job.run).run(step)
    files.write_json(answer, {"seconds": time.monotonic() - started, "processor": processor() - before})


def processor() -> float:
    """Return the seconds of processor of this process and of all that it started and that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def watch(pid: int, over: threading.Event) -> dict[str, float]:
    """Return the most GiB that a process and all that it started held together, until told that it is over."""
    most = {"own": 0.0, "resident": 0.0}
    while not over.wait(PERIOD):
        now = {"own": 0, "resident": 0}
        try:
            process = psutil.Process(pid)
            for each in (process, *process.children(recursive=True)):
                memory = each.memory_info()
                now["resident"] += memory.rss
                now["own"] += memory.rss - memory.shared
        except psutil.NoSuchProcess:
            continue
        most = {kind: max(most[kind], now[kind] / GIB) for kind in most}
    return most


def measured(job: Job, name: str, answer: Path) -> Cost:
    """Do one step in a process of its own.

    Raises:
        SystemExit: the step failed; it has said why.
    """
    process = multiprocessing.get_context("spawn").Process(target=do_step, args=(job, name, answer))
    process.start()
    assert process.pid is not None
    over, most = threading.Event(), dict[str, float]()
    pid = process.pid
    watcher = threading.Thread(target=lambda: most.update(watch(pid, over)))
    watcher.start()
    process.join()
    over.set()
    watcher.join()
    if process.exitcode:
        raise SystemExit(f"step {name} of {job.run} failed (exit code {process.exitcode})")
    record = Workspace(job.run).record(name)
    assert record is not None
    written = sum(entry["bytes"] for entry in record["outputs"].values()) / MIB
    return Cost(step=phase_of(name), written=written, **files.read_json(answer), **most)


def job_of(size: int, recipe: Path, card: Path, folder: Path, icons: int) -> Job:
    """Return a run of so many rows of the card's package, each icon turned as often as it takes."""
    turns = -(-size // icons)
    own = folder / f"{size}.md"
    files.write_bytes(
        own, card.read_text(encoding="utf-8").replace("\n  size:", f"\n  turns: {turns}\n  size:").encode()
    )
    corpora = f"corpora=[{{card: {own.resolve()}, limit: {size}}}]"
    return Job(recipe=recipe, run=folder / f"run-{size}", overrides=(corpora,), until="stage")


def run_size(job: Job, folder: Path, size: int) -> list[Cost]:
    """Do or go on with a run; return the costs of its steps, those measured before as they were."""
    kept = folder / f"{size}.json"
    costs = [Cost(**each) for each in files.read_json(kept)["costs"]] if kept.is_file() else []
    steps = list(steps_of(job))[len(costs) :]
    if steps:
        job.begin()
    for name in steps:
        # What was finished or begun without being measured would seem to cost nothing.
        Workspace(job.run).record_path(name).unlink(missing_ok=True)
        shutil.rmtree(job.run / ".part", ignore_errors=True)
        costs.append(measured(job, name, folder / f"{size}-step.json"))
        print(f"{size:>9,} {line(costs[-1])}", flush=True)
        files.write_json(kept, {"costs": [asdict(each) for each in costs]})
    (folder / f"{size}-step.json").unlink(missing_ok=True)
    return costs


def line(cost: Cost) -> str:
    return (
        f"{cost.step:<8} {cost.seconds:8.1f} s {cost.processor:8.1f} s of processor "
        f"{cost.own:6.2f} GiB own {cost.resident:6.2f} resident {cost.written:9.1f} MiB written"
    )


def facts_of(job: Job, source: IconSetsSource) -> dict[str, int]:
    """Return what came of a run: rows, samples, pictures, and how many repeated drawings were found to be repeated.

    A drawing is repeated where the package holds its body before, byte for byte, among the icons that became pictures.
    It is found if it stands as no picture of its own among those that stay.
    """
    bodies: dict[str, int] = {}
    for icons, _ in icon_sets(obtain(source.package, source.version, source.integrity)):
        bodies |= {f"iconify:{icons.prefix}/{name}": hash(icon.get("body", "")) for name, icon in icons.icons.items()}
    kept = set(read_kept(job.run, ["image_sha256"]).column("image_sha256").to_pylist())
    icons_of: dict[int, int] = defaultdict(int)
    stay: dict[int, set[str]] = defaultdict(set)
    rows = samples = 0
    for table in raw_tables(job.run / "raw" / "icons"):
        for url, sha256 in zip(*read_columns(table, ["url", "sha256"]).values(), strict=True):
            rows, samples = rows + 1, samples + bool(sha256)
            if sha256 and url in bodies:
                icons_of[bodies[url]] += 1
                stay[bodies[url]] |= {sha256} & kept
    repeated = sum(number - 1 for number in icons_of.values())
    left = sum(max(0, len(pictures) - 1) for pictures in stay.values())
    return {"rows": rows, "samples": samples, "kept": len(kept), "repeated": repeated, "found": repeated - left}


def slope(small: int, large: int, before: float, after: float) -> float:
    """Return the exponent p of after / before = (large / small) ** p; 0 where nothing was measured."""
    return math.log(after / before) / math.log(large / small) if before > 0 and after > 0 else 0.0


def slopes(costs: Costs, value: Callable[[Cost], float]) -> dict[str, float]:
    """Return the slope of each step between the two largest sizes; none for a single size."""
    if len(costs) < 2:
        return {}
    small, large = sorted(costs)[-2:]
    pairs = zip(costs[small], costs[large], strict=True)
    return {after.step: slope(small, large, value(before), value(after)) for before, after in pairs}


def table(costs: Costs, value: Callable[[Cost], float], form: str, total: Callable[[Sequence[float]], float]) -> str:
    """Return a Markdown table of one value: a row for each step, a column for each size, and the slope."""
    sizes, exponents = sorted(costs), slopes(costs, value)
    rows = [["step", *(f"{size:,}" for size in sizes), "slope"]]
    for place, cost in enumerate(costs[sizes[0]]):
        exponent = f"{exponents[cost.step]:.2f}" if exponents else ""
        rows.append([cost.step, *(format(value(costs[size][place]), form) for size in sizes), exponent])
    whole = [total([value(cost) for cost in costs[size]]) for size in sizes]
    last = f"{slope(sizes[-2], sizes[-1], whole[-2], whole[-1]):.2f}" if len(sizes) > 1 else ""
    rows.append(["**all**", *(format(each, form) for each in whole), last])
    return markdown(rows)


def markdown(rows: Sequence[Sequence[str]]) -> str:
    head, *body = ["| " + " | ".join(row) + " |" for row in rows]
    rule = "| --- |" + " ---: |" * (len(rows[0]) - 1)
    return "\n".join([head, rule, *body]) + "\n"


def tables(costs: Costs, facts: Mapping[int, Mapping[str, int]]) -> str:
    """Return all measurements as Markdown."""
    values: dict[str, tuple[Callable[[Cost], float], str, Callable[[Sequence[float]], float]]] = {
        "Seconds of processor": (lambda cost: cost.processor, ",.1f", sum),
        "Seconds of wall time": (lambda cost: cost.seconds, ",.1f", sum),
        "Peak memory, GiB, own": (lambda cost: cost.own, ".2f", max),
        "Peak memory, GiB, resident": (lambda cost: cost.resident, ".2f", max),
        "MiB written": (lambda cost: cost.written, ",.1f", sum),
    }
    parts = [f"**{name}**\n\n{table(costs, *how)}" for name, how in values.items()]
    found = [["", *(f"{size:,}" for size in sorted(facts))]]
    words = {"samples": "pictures acquired", "kept": "pictures kept", "repeated": "repeated drawings", "found": "found"}
    for name, meaning in words.items():
        found.append([meaning, *(f"{facts[size][name]:,}" for size in sorted(facts))])
    share = [f"{facts[size]['found'] / max(1, facts[size]['repeated']):.4f}" for size in sorted(facts)]
    return "\n".join([*parts, f"**Exact duplicates**\n\n{markdown([*found, ['recall', *share]])}"])


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """A step carried on to more rows.

    Attributes:
        workers: that can share it.
        seconds: of each worker's processor.
        memory: GiB of each worker.
        at_memory, at_day: rows at which one worker comes to `MEMORY` and to `DAY`; infinite where it never does.
    """

    step: str
    workers: int
    seconds: float
    memory: float
    at_memory: float
    at_day: float


def forecast(costs: Costs, goal: int, workers: int) -> list[Forecast]:
    """Carry each step on from the two largest sizes.

    Time grows by the slope, and at least in proportion: at small sizes the start of a step hides its growth. Memory
    grows by a straight line, as it has a part that does not grow. A step that can be divided gives each worker as many
    rows as the largest size had, as often as it takes: its time is in proportion, and its memory that of this size.
    """
    small, large = sorted(costs)[-2:]
    exponents = slopes(costs, lambda cost: cost.processor)
    found = []
    for before, after in zip(costs[small], costs[large], strict=True):
        divided = after.step in DIVISIBLE
        exponent, per_row = max(1.0, exponents[after.step]), max(0.0, after.own - before.own) / (large - small)
        whole = after.processor * (goal / large) ** (1.0 if divided else exponent)
        found.append(
            Forecast(
                step=after.step,
                workers=workers if divided else 1,
                seconds=whole / (workers if divided else 1),
                memory=after.own + (0.0 if divided else per_row * (goal - large)),
                at_memory=large + (MEMORY - after.own) / per_row if per_row > 0 else math.inf,
                at_day=large * (DAY / after.processor) ** (1 / exponent) if after.processor > 0 else math.inf,
            )
        )
    return found


def outlook(costs: Costs, goal: int = GOAL, workers: int = WORKERS) -> str:
    """Return what more rows will cost, as Markdown: which step hurts first, and a table for the goal."""
    found = forecast(costs, goal, workers)
    by_memory, by_time = min(found, key=lambda each: each.at_memory), min(found, key=lambda each: each.at_day)
    worst = max(found, key=lambda each: each.seconds)
    text = (
        f"On one processor `{by_memory.step}` is the first step to need more than {MEMORY:.0f} GiB, at about "
        f"{rounded(by_memory.at_memory)} rows, and `{by_time.step}` the first to take longer than a day, at about "
        f"{rounded(by_time.at_day)}. At {goal:,} rows on {workers} processors `{worst.step}` takes longest.\n"
    )
    rows = [["step", "workers", "hours of each", "GiB of each", f"{MEMORY:.0f} GiB at rows", "a day at rows"]]
    for each in found:
        hours, at = f"{each.seconds / 3600:,.1f}", (rounded(each.at_memory), rounded(each.at_day))
        rows.append([each.step, f"{each.workers}", hours, f"{each.memory:,.1f}", *at])
    return f"{text}\n{markdown(rows)}"


def rounded(size: float) -> str:
    """Return a size to two digits."""
    return "–" if math.isinf(size) or size > 1e12 else f"{float(f'{size:.2g}'):,.0f}"


def put(path: Path, blocks: Mapping[str, str]) -> None:
    """Write blocks between ``<!-- name -->`` and ``<!-- /name -->`` of a Markdown file.

    Raises:
        SystemExit: the file has no such marks.
    """
    text = path.read_text(encoding="utf-8")
    for name, block in blocks.items():
        before, begin, rest = text.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition(f"<!-- /{name} -->")
        if not begin or not end:
            raise SystemExit(f"{path} needs the lines <!-- {name} --> and <!-- /{name} -->")
        text = f"{before}{begin}\n{block}\n{end}{after}"
    path.write_text(text, encoding="utf-8")


def stored(folder: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield every size that was measured to its end, with what was stored of it."""
    for path in sorted(folder.glob("[0-9]*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        if path.stem.isdigit() and "facts" in content:
            yield int(path.stem), content


def main() -> None:
    """Measure sizes that were not measured yet, and print or write the tables of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where runs and measurements are kept")
    parser.add_argument("--sizes", type=int, nargs="*", default=[10_000, 100_000])
    parser.add_argument("--recipe", default="icons", help="whose settings are used; its corpora are replaced")
    parser.add_argument("--card", default="icons", help="of a package of icon sets")
    parser.add_argument("--icons", type=int, default=ICONS, help="in that package")
    parser.add_argument("--markdown", type=Path, help="the file to write the tables into")
    options = parser.parse_args()
    card = load_card(options.card)
    assert isinstance(card.source, IconSetsSource), "the card is of no package of icon sets"
    options.folder.mkdir(parents=True, exist_ok=True)
    done = dict(stored(options.folder))
    for size in options.sizes:
        if size not in done:
            job = job_of(size, find_recipe(options.recipe), card.path, options.folder, options.icons)
            costs = [asdict(each) for each in run_size(job, options.folder, size)]
            files.write_json(options.folder / f"{size}.json", {"costs": costs, "facts": facts_of(job, card.source)})
    done = dict(stored(options.folder))
    costs = {size: [Cost(**each) for each in content["costs"]] for size, content in sorted(done.items())}
    blocks = {"measured": tables(costs, {size: content["facts"] for size, content in done.items()})}
    blocks |= {"outlook": outlook(costs)} if len(costs) > 1 else {}
    print("\n".join(blocks.values()))
    if options.markdown:
        put(options.markdown, blocks)


if __name__ == "__main__":
    main()
