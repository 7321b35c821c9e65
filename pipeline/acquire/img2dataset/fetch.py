"""Many URLs fetched by img2dataset from the gateway, part by part: a watched program that is judged by its files.

img2dataset makes a shard of each part, all in one run, since it takes seconds to start. A shard whose table and archive
are whole and agree with the gateway's record of every URL becomes a part at once (`img2dataset.parts`), while the
next ones are still fetched. Where img2dataset dies or stands still, it is started again with what is left.

A list that was reversed or edited costs only its new URLs. Failures that may pass are forgotten between two calls; all
others are not asked for again.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from urllib.parse import urlsplit

from pipeline import files
from pipeline.acquire.img2dataset.environment import environment_python
from pipeline.acquire.img2dataset.gateway import Gateway, Origin
from pipeline.acquire.img2dataset.parts import BrokenPartError, Fetched, keep, known
from pipeline.acquire.process import POLL_SECONDS, Program, last_line, running
from pipeline.acquire.sources import UrlListSource
from pipeline.errors import ConfigError
from pipeline.tables import write_table

CHILD = Path(__file__).with_name("fetch_child.py")
ATTEMPTS = 3
THREADS = 16  # img2dataset holds twice as many pictures in memory, and only takes what the gateway has
START_SECONDS = 60.0
SECONDS_AT_THE_GATEWAY = 86_400  # every answer is bounded there


def fetch(
    urls: Sequence[str],
    source: UrlListSource,
    parts: Path,
    *,
    origin: Callable[[], Origin],
    state: Callable[[str], str],
) -> Iterator[dict[str, Fetched]]:
    """Yield what became of distinct URLs, part by part in their order, after what an earlier call knows already.

    Args:
        parts: folder that keeps what was fetched.
        origin: makes what answers for the URLs.
        state: a text for each URL; what was fetched under another one does not count.

    Raises:
        ConfigError: img2dataset's environment is missing, or img2dataset fails whatever it is given.
    """
    parts.mkdir(parents=True, exist_ok=True)
    for unfinished in parts.glob("try-*"):
        shutil.rmtree(unfinished, ignore_errors=True)
    states = {url: state(url) for url in urls}
    found = known(parts, states)
    yield found
    pending = [url for url in urls if url not in found]
    if pending:
        environment_python()
        size = source.urls_per_part
        pending = [url for start in range(0, len(pending), size) for url in _by_turns(pending[start : start + size])]
        with Gateway(pending, origin, requests=source.threads) as gateway:
            yield from _fetch_parts(_Job(pending, states, source, parts, gateway))


def _by_turns(urls: Iterable[str]) -> Iterator[str]:
    """Yield URLs so that their hosts take turns: the patience of one does not keep the others waiting."""
    queues: dict[str, list[str]] = {}
    for url in urls:
        queues.setdefault(urlsplit(url).netloc, []).append(url)
    yield from filter(None, chain.from_iterable(zip_longest(*queues.values())))


@dataclass(frozen=True, slots=True)
class _Job:
    urls: Sequence[str]
    states: Mapping[str, str]
    source: UrlListSource
    parts: Path
    gateway: Gateway

    def numbers(self, part: int) -> range:
        """The places of a part's URLs in the list."""
        size = self.source.urls_per_part
        return range(len(self.urls))[part * size : (part + 1) * size]

    @property
    def count(self) -> int:
        """How many parts there are."""
        return -(-len(self.urls) // self.source.urls_per_part)


def _fetch_parts(job: _Job) -> Iterator[dict[str, Fetched]]:
    """Run img2dataset on all parts, and again on what is left where it fails."""
    done = fruitless = 0
    while done < job.count:
        first = done
        with tempfile.TemporaryDirectory(dir=job.parts, prefix="try-", ignore_cleanup_errors=True) as name:
            attempt = Path(name)
            try:
                with _img2dataset(job, first, attempt) as program:
                    while done < job.count:
                        shard = attempt / "out" / f"{done - first:05d}.tar"
                        _wait(job, program, shard, len(job.numbers(done)))
                        yield _kept(job, shard, job.numbers(done))
                        done += 1
            except BrokenPartError as fault:
                fruitless = 0 if done > first else fruitless + 1
                if fruitless == ATTEMPTS:
                    raise _failure(job, done, f"{fault}; its last words: {last_line(attempt / 'log.txt')}") from None


def _img2dataset(job: _Job, first: int, folder: Path) -> AbstractContextManager[Program]:
    """Let img2dataset fetch the parts from `first` on into a folder."""
    numbers = range(job.numbers(first).start, len(job.urls))
    targets = [job.gateway.target(number) for number in numbers]
    write_table(folder / "urls.parquet", {"url": targets, "row": list(numbers)})
    arguments = {
        "url_list": str(folder / "urls.parquet"),
        "input_format": "parquet",
        "output_folder": str(folder / "out"),
        "output_format": "webdataset",
        "disable_all_reencoding": True,  # the original bytes; admission decides what has to change
        "resize_mode": "no",
        "extract_exif": False,
        "save_additional_columns": ["row"],
        "number_sample_per_shard": job.source.urls_per_part,
        "processes_count": 1,
        "thread_count": min(THREADS, job.source.threads),
        "timeout": SECONDS_AT_THE_GATEWAY,
        "retries": 0,
        "compute_hash": None,
        "enable_wandb": False,
    }
    files.write_json(folder / "arguments.json", arguments)
    (folder / "tmp").mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    ours = {
        "ESSEN_GATEWAY": job.gateway.address,
        "ESSEN_MEMORY": str(job.source.memory),
        "OPENBLAS_NUM_THREADS": "1",  # each thread's buffers count as data
        "TMPDIR": str(folder / "tmp"),
    }
    return running(
        [str(environment_python()), "-I", str(CHILD), str(folder / "arguments.json")],
        log=folder / "log.txt",
        cwd=folder,
        environment=kept | ours,
    )


def _kept(job: _Job, shard: Path, numbers: range) -> dict[str, Fetched]:
    """Make a part of a shard, and return what became of its URLs."""
    records = [job.gateway.record(number) for number in numbers]
    states = {job.urls[number]: job.states[job.urls[number]] for number in numbers}
    found = keep(job.parts, shard, numbers, states, records)
    for number in numbers:
        job.gateway.forget(number)
    return found


def _wait(job: _Job, program: Program, shard: Path, count: int) -> None:
    """Wait until img2dataset has finished a shard of so many URLs, which the file with its statistics says.

    Raises:
        BrokenPartError: it ended without it, stands still though nothing keeps it waiting, or takes longer than can be.
    """
    net = job.source.net
    slowest = net.attempts * (net.deadline + net.max_wait + net.max_delay)
    started = last_change = time.monotonic()
    seen: object = None
    while True:
        ended = program.ended()
        if shard.with_name(f"{shard.stem}_stats.json").is_file():
            return
        job.gateway.check()
        if ended is not None:
            raise BrokenPartError(f"img2dataset ended with {ended.code}")
        now = time.monotonic()
        sizes = [file.stat().st_size for file in sorted(shard.parent.glob("0*.*"))]
        patience = job.source.patience if sizes else START_SECONDS
        if job.gateway.waiting or seen != (job.gateway.handed_over, sizes):
            seen, last_change = (job.gateway.handed_over, sizes), now
        if now - last_change > patience:
            raise BrokenPartError(f"img2dataset stood still for {patience:.0f} seconds")
        if now - started > START_SECONDS + count * slowest:
            raise BrokenPartError(f"img2dataset took {now - started:.0f} seconds for {count} pictures")
        time.sleep(POLL_SECONDS)


def _failure(job: _Job, part: int, fault: str) -> ConfigError:
    """Return the error for a part that img2dataset cannot fetch whatever is tried."""
    records = [job.gateway.record(number) for number in job.numbers(part)]
    needed, free = sum(record.size for record in records if record), shutil.disk_usage(job.parts).free
    if free < 2 * needed:
        return ConfigError(
            f"{job.parts}: the next part needs about {2 * needed:,} bytes and {free:,} are free; free some and run the "
            "same command again, it goes on from there"
        )
    return ConfigError(
        f"{job.parts}: {fault}; run the same command again to go on, or `essen setup` to check img2dataset"
    )
