"""Pictures a second of a URL list and of bare img2dataset, side by side, from one server on the loopback.

    python benchmarks/url_list.py                    # 3,000 pictures of 16 KB, the median of three rounds
    python benchmarks/url_list.py --images 20000 --rounds 1     # whether memory stays flat

Both are timed as a person would start them, from the interpreter's start to its end. Ours is acquisition as a whole:
fetched, judged, admitted and written as raw shards. Bare img2dataset runs with its own defaults: 256 threads in one
process, pictures resized to 256 and encoded as JPEG. Memory is that of all processes, sampled four times a second.
"""

import argparse
import asyncio
import contextlib
import csv
import io
import json
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.acquire.img2dataset.environment import ensure_environment

ROOT = Path(__file__).resolve().parent.parent
SIZE = 16_000
DISTINCT = 32
SAMPLES_A_SECOND = 4
LONG_RUN = 10_000  # of a shorter one too much is start and end
Sample = tuple[float, int, int]  # seconds, bytes of all processes, bytes of the largest

CARD = """---
name: bench
title: Pictures of a benchmark
licence: CC0-1.0
attribution: Nobody
child_directed: false
redistributable: true
source: {engine: url_list, list: list.csv, net: {allow_private_hosts: true, per_host: 32}}
---
"""
OURS = """
import sys
from pathlib import Path
from pipeline.acquire.acquire import acquire
from pipeline.acquire.card import load_card
from pipeline.acquire.options import AcquireOptions
if __name__ == "__main__":
    folder = Path(sys.argv[1])
    counts = acquire(load_card(folder / "bench.md"), AcquireOptions(workers=2), folder / "ours")
    assert counts["kept"] == int(sys.argv[2]), counts
"""
BARE = """
import sys
from img2dataset import download
if __name__ == "__main__":
    download(url_list=f"{sys.argv[1]}/urls.txt", output_folder=f"{sys.argv[1]}/bare", output_format="webdataset")
"""


def pictures() -> list[bytes]:
    """Return a few pictures of about `SIZE` bytes."""
    found = []
    for seed in range(DISTINCT):
        coarse = np.random.default_rng(seed).integers(0, 256, (60, 80, 3), dtype=np.uint8)
        picture = Image.fromarray(coarse).resize((320, 240), Image.Resampling.BICUBIC)
        for quality in range(40, 96):
            out = io.BytesIO()
            picture.save(out, "JPEG", quality=quality)
            if out.tell() >= SIZE:
                break
        found.append(out.getvalue())
    return found


def serve(pipe: Connection) -> None:
    """Serve picture N under /N.jpg, all different by a comment, until the process is ended."""
    from aiohttp import web

    bodies = pictures()

    async def answer(request: web.BaseRequest) -> web.Response:
        number = request.path.removeprefix("/").removesuffix(".jpg")
        if not number.isdecimal():
            return web.Response(status=404)
        body, comment = bodies[int(number) % DISTINCT], number.encode()
        marker = b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
        return web.Response(body=body[:2] + marker + body[2:], content_type="image/jpeg")

    async def listen() -> None:
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(web.Server(answer, access_log=None), "127.0.0.1", 0, backlog=1_024)
        pipe.send(listener.sockets[0].getsockname()[1])
        await asyncio.Event().wait()

    asyncio.run(listen())


@contextlib.contextmanager
def server() -> Iterator[str]:
    """Run the server in a process of its own; give its address."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.kill()
        process.join()


def tree(root: int) -> dict[int, int]:
    """Return the resident bytes of a process and of those below it."""
    parents, sizes = {}, {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            pid = int(entry.name)
            parents[pid], sizes[pid] = int(fields[1]), int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
    found = {root}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return {pid: sizes[pid] for pid in found if pid in sizes}


def run(command: list[str], folder: Path) -> tuple[float, float, list[Sample]]:
    """Run a program; return its seconds, those of the processor, and samples of memory."""
    before, started, samples = processor_seconds(), time.monotonic(), []
    environment = {**os.environ, "NO_ALBUMENTATIONS_UPDATE": "1", "PYTHONPATH": str(ROOT)}
    with (
        (folder / "log.txt").open("wb") as log,
        subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT) as process,
    ):
        while process.poll() is None:
            sizes = tree(process.pid)
            samples.append((time.monotonic() - started, sum(sizes.values()), max(sizes.values(), default=0)))
            time.sleep(1 / SAMPLES_A_SECOND)
    seconds = time.monotonic() - started
    if process.returncode:
        raise SystemExit((folder / "log.txt").read_text())
    return seconds, processor_seconds() - before, samples


def processor_seconds() -> float:
    """Return the processor's seconds of the children that have ended, and of theirs."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def slope(samples: list[Sample], images: int) -> float:
    """Return by how many bytes an image the memory of all processes grows in the middle half of a run."""
    middle = samples[len(samples) // 4 : -len(samples) // 4]
    seconds, sizes = np.array([sample[0] for sample in middle]), np.array([sample[1] for sample in middle])
    return float(np.polyfit(seconds, sizes, 1)[0]) * samples[-1][0] / images


def report(images: int, seconds: float, processor: float, samples: list[Sample]) -> str:
    """Return a line about one run."""
    everything, largest = (max(sample[place] for sample in samples) / 2**20 for place in (1, 2))
    growth = f", growth {slope(samples, images) / 1024:.2f} KiB an image" if images >= LONG_RUN else ""
    return (
        f"{seconds:6.1f} s {images / seconds:5.0f} images/s, processor {processor:5.1f} s, peak of all processes "
        f"{everything:5.0f} MiB, of one {largest:5.0f} MiB{growth}"
    )


def prepare(folder: Path, urls: list[str]) -> None:
    """Write the lists of both, and our card."""
    (folder / "urls.txt").write_text("\n".join(urls) + "\n")
    (folder / "bench.md").write_text(CARD)
    with (folder / "list.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("url", "caption"), *((url, f"picture {n}") for n, url in enumerate(urls))])


def timed(name: str, urls: list[str]) -> float:
    """Fetch pictures with one of the two, print a line about it, and return its seconds."""
    with tempfile.TemporaryDirectory() as name_of_folder:
        folder = Path(name_of_folder)
        prepare(folder, urls)
        script = folder / f"{name}.py"
        script.write_text(OURS if name == "ours" else BARE)
        python = sys.executable if name == "ours" else str(ensure_environment())
        seconds, processor, samples = run([python, str(script), str(folder), str(len(urls))], folder)
        if name == "bare":
            done = [json.loads(file.read_text())["successes"] for file in folder.glob("bare/*_stats.json")]
            assert sum(done) == len(urls), done
    print(f"{name:5} {report(len(urls), seconds, processor, samples)}", flush=True)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=3_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    results: dict[str, list[float]] = {"ours": [], "bare": []}
    with server() as address:
        urls = [f"{address}/{number}.jpg" for number in range(options.images)]
        for _ in range(options.rounds):
            for name, runs in results.items():
                runs.append(timed(name, urls))
    ours, bare = (statistics.median(len(urls) / seconds for seconds in runs) for runs in results.values())
    ratio = statistics.median(b / o for o, b in zip(*results.values(), strict=True))
    print(f"median: ours {ours:.0f} images/s, bare {bare:.0f} images/s, ours over bare {ratio:.2f}")


if __name__ == "__main__":
    main()
