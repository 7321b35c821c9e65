"""Many URLs fetched by img2dataset, part by part: a watched subprocess that is judged by the files it leaves.

A part is a run of URLs, named by the digest of their text. It is fetched into a folder of its own attempt; if table
and archive are whole and agree, the folder is renamed to the part's name. So a part is either there, whole, or it is
not; a call that was killed goes on with the parts that are missing.
"""

import contextlib
import os
import shutil
import tarfile
import tempfile
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline import files
from pipeline.acquire.admission import Span
from pipeline.acquire.img2dataset_env import environment_python
from pipeline.acquire.process import Ended, last_line, run_watched
from pipeline.acquire.sources import UrlListSource
from pipeline.acquire.urls import fetchable
from pipeline.tables import read_columns, write_table

CHILD = Path(__file__).with_name("fetch_child.py")
ATTEMPTS = 2
PIECES = 8
MOST_STANDSTILLS = 40
START_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Fetched:
    """Where the bytes of a URL lie (offset and length in bytes in a tar), or why there are none."""

    tar: Path | None = None
    offset: int = 0
    size: int = 0
    reason: str = ""
    message: str = ""

    @property
    def span(self) -> Span | None:
        """Where the bytes lie, None where none arrived."""
        return Span(self.tar, self.offset, self.size) if self.tar is not None else None


def fetch(urls: Sequence[str], source: UrlListSource, parts: Path, *, mirror: str = "") -> dict[str, Fetched]:
    """Fetch distinct URLs; what an earlier call fetched into `parts` is not fetched again.

    A part that stands still is split and fetched in pieces, so that an answer without end costs its own row alone.

    Args:
        mirror: address that takes the place of scheme and host; empty to fetch from the hosts themselves.

    Raises:
        ConfigError: img2dataset's environment is missing.
    """
    parts.mkdir(parents=True, exist_ok=True)
    for unfinished in parts.glob("try-*"):
        shutil.rmtree(unfinished, ignore_errors=True)
    found: dict[str, Fetched] = {}
    waiting = deque(_split(urls, source.urls_per_part))
    standstills = 0
    while waiting:
        part = waiting.popleft()
        result = _fetch_part(part, source, parts, mirror)
        if isinstance(result, dict):
            found |= result
            continue
        standstills += 1
        if len(part) > 1 and standstills <= MOST_STANDSTILLS:
            waiting.extendleft(reversed(_split(part, -(-len(part) // PIECES))))
        else:
            found |= dict.fromkeys(part, result)
    return found


def forget_failures(parts: Path) -> None:
    """Remove the parts in which a URL failed, so that the next call fetches them again."""
    for table in parts.glob("*/00000.parquet"):
        if set(read_columns(table, ["status"])["status"]) != {"success"}:
            files.remove(table.parent)


def _split(urls: Sequence[str], size: int) -> list[Sequence[str]]:
    return [urls[start : start + size] for start in range(0, len(urls), size)]


def _fetch_part(urls: Sequence[str], source: UrlListSource, parts: Path, mirror: str) -> dict[str, Fetched] | Fetched:
    """Return what became of each URL of a part, or a failure to give to all of them if it stood still."""
    folder = parts / files.digest({"mirrored": bool(mirror), "urls": list(urls)})[:32]
    if folder.is_dir():
        return dict(_contents(folder, urls))
    message = ""
    for _ in range(ATTEMPTS):
        with tempfile.TemporaryDirectory(dir=parts, prefix="try-", ignore_cleanup_errors=True) as name:
            attempt = Path(name)
            ended = _run(urls, source, attempt, mirror)
            if not (fault := _fault(attempt / "out", urls)):
                _keep(attempt / "out", folder)
                return dict(_contents(folder, urls))
            message = f"{fault}; img2dataset ended with {ended.stopped or ended.code}: {last_line(attempt / 'log.txt')}"
            if ended.stopped and (attempt / "heartbeat").exists():
                return Fetched(reason="no_end", message=message)
    return dict.fromkeys(urls, Fetched(reason="fetcher_failed", message=message))


def _keep(fetched: Path, folder: Path) -> None:
    """Give a part that is whole its name."""
    for file in files.files_below(fetched):
        files.sync_file(file)
    fetched.replace(folder)
    files.sync_directory(folder.parent)


def _run(urls: Sequence[str], source: UrlListSource, folder: Path, mirror: str) -> Ended:
    """Let img2dataset fetch the URLs into a folder."""
    python = environment_python()
    write_table(
        folder / "urls.parquet", {"url": [fetchable(url, mirror) for url in urls], "row": list(range(len(urls)))}
    )
    arguments = {
        "url_list": str(folder / "urls.parquet"),
        "input_format": "parquet",
        "output_folder": str(folder / "out"),
        "output_format": "webdataset",
        "disable_all_reencoding": True,  # the original bytes; admission decides what has to change
        "resize_mode": "no",
        "extract_exif": False,
        "save_additional_columns": ["row"],
        "number_sample_per_shard": max(2, len(urls)),
        "processes_count": 1,
        "thread_count": source.threads,
        "timeout": source.timeout,
        "retries": source.retries,
        "compute_hash": "sha256",
        "user_agent_token": "essen",
        "enable_wandb": False,
    }
    files.write_json(folder / "arguments.json", arguments)
    heartbeat = folder / "heartbeat"
    waves = -(-len(urls) // source.threads)
    return run_watched(
        [str(python), "-I", str(CHILD), str(folder / "arguments.json")],
        log=folder / "log.txt",
        cwd=folder,
        deadline=START_SECONDS + source.patience + waves * source.timeout * (source.retries + 1) * 2,
        environment=_environment(source, heartbeat, mirror),
        progress=lambda: _progress(folder),
        patience=lambda: source.patience if heartbeat.exists() else START_SECONDS,
    )


def _environment(source: UrlListSource, heartbeat: Path, mirror: str) -> Mapping[str, str]:
    """Return the variables of the subprocess: ours, without reports to anybody, and its rules on addresses."""
    allowed = mirror.removeprefix("http://") or ("any" if source.allow_private_hosts else "")
    environment = os.environ | {
        "NO_ALBUMENTATIONS_UPDATE": "1",
        "WANDB_MODE": "disabled",
        "WANDB_DISABLED": "true",
        "DO_NOT_TRACK": "1",
        "RES_OPTIONS": "timeout:3 attempts:2",  # the resolver knows no other deadline
        "ESSEN_FETCH_ALLOWED": allowed,
        "ESSEN_FETCH_HEARTBEAT": str(heartbeat),
    }
    if mirror:
        environment |= {"no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1"}
    return environment


def _progress(folder: Path) -> object:
    """Return what changes as long as requests are made or files grow."""
    found = []
    for file in (folder / "heartbeat", *folder.glob("out/*")):
        with contextlib.suppress(FileNotFoundError):
            found.append((file.name, file.stat().st_size, file.stat().st_mtime_ns))
    return sorted(found)


def _fault(folder: Path, urls: Sequence[str]) -> str:
    """Return what is wrong with the files that img2dataset left, empty if they are whole and agree."""
    import pyarrow as pa

    table, archive = folder / "00000.parquet", folder / "00000.tar"
    if not table.is_file() or not archive.is_file():
        return "it left no table and archive"
    try:
        rows = read_columns(table, ["row", "key", "status", "sha256"])
        if sorted(rows["row"]) != list(range(len(urls))):
            return f"its table has {len(rows['row'])} of {len(urls)} rows"
        with tarfile.open(archive) as tar:
            for key, status, sha256 in zip(rows["key"], rows["status"], rows["sha256"], strict=True):
                if status == "success":
                    member = tar.extractfile(f"{key}.jpg")
                    if member is None or files.sha256_bytes(member.read()) != sha256:
                        return f"the bytes of {key} are not those of its table"
    except (pa.ArrowException, tarfile.TarError, OSError, KeyError) as error:
        return f"its files cannot be read ({error})"
    return ""


def _contents(folder: Path, urls: Sequence[str]) -> Iterator[tuple[str, Fetched]]:
    """Yield what became of each URL of a finished part."""
    rows = read_columns(folder / "00000.parquet", ["row", "key", "status", "error_message"])
    with tarfile.open(folder / "00000.tar") as tar:
        members = {member.name: member for member in tar.getmembers() if member.isreg()}
    for row, key, status, message in zip(*rows.values(), strict=True):
        if status == "success":
            member = members[f"{key}.jpg"]
            yield urls[row], Fetched(folder / "00000.tar", member.offset_data, member.size)
        else:
            yield urls[row], Fetched(reason=failure_reason(message or ""), message=(message or "")[:300])


def failure_reason(message: str) -> str:
    """Return the reason that img2dataset's message of a failed download stands for, as one word."""
    words = (
        ("X-Robots-Tag", "opt_out"),
        ("private address", "private_address"),
        ("timed out", "timeout"),
        ("CERTIFICATE_VERIFY_FAILED", "tls"),
        ("Name or service not known", "unknown_host"),
        ("Temporary failure in name resolution", "unknown_host"),
        ("No address associated", "unknown_host"),
        ("Connection refused", "no_connection"),
        ("Network is unreachable", "no_connection"),
        ("No route to host", "no_connection"),
        ("Connection reset", "incomplete"),
        ("IncompleteRead", "incomplete"),
        ("closed connection without response", "incomplete"),
    )
    if message.startswith("HTTP Error "):
        return f"http_{message.removeprefix('HTTP Error ')[:3]}"
    return next((reason for part, reason in words if part in message), "failed_to_download")
