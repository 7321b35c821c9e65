"""A list of URLs with captions: checked, fetched by img2dataset, admitted, one row for each line of the list."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import files
from pipeline.acquire import hashes
from pipeline.acquire.admission import Found, admitted
from pipeline.acquire.engines.url_list_rows import columns_of, credits_of, rows_of_line, table_path
from pipeline.acquire.fetched import fetched, reachable
from pipeline.acquire.hash_lists import screened
from pipeline.acquire.img2dataset import environment
from pipeline.acquire.img2dataset.fetch import fetch
from pipeline.acquire.img2dataset.gateway import Origin
from pipeline.acquire.img2dataset.mirror import Mirror
from pipeline.acquire.img2dataset.parts import Fetched
from pipeline.acquire.lists import check_columns, read_list
from pipeline.acquire.net.client import Client
from pipeline.acquire.options import AcquireOptions
from pipeline.acquire.raw import SUCCESS, RawRow, raw_tables
from pipeline.acquire.sources import UrlListSource
from pipeline.addresses import is_url
from pipeline.errors import ConfigError, DataError
from pipeline.tables import read_columns

if TYPE_CHECKING:
    from pipeline.acquire.card import Card

# What of a `NetConfig` decides how long answers take and how often they are asked for; the rest decides the answers.
TIMES = ("deadline", "connect_timeout", "delay", "max_delay", "backoff", "max_wait", "rest")
PACE = {*TIMES, "per_host", "attempts", "failures", "name_failures"}


def rows(card: "Card", source: UrlListSource, options: AcquireOptions, parts: Path) -> Iterator[RawRow]:
    """Yield a row for every line of the list, in its order.

    Args:
        parts: folder that keeps what was fetched; a later call goes on from there.

    Raises:
        ConfigError: the list, one of its columns, the attribution table or img2dataset's environment is missing.
    """
    path = find_list(card, source, options)
    lines = list(islice(read_list(path), options.limit))
    credit = credits_of(source.attribution, path.parent) if source.attribution else {}
    translated = credits_of(source.translators, path.parent, whole=True) if source.translators else {}
    wanted = columns_of(card, source)
    hashed = source.sha256 is not None and (source.sha256.of == "published" or options.mirror is not None)
    hash_column = source.sha256.column if source.sha256 and hashed else ""
    check_columns(path, lines, [column for column in (*wanted, hash_column) if column])

    names = _names(source, lines) if options.mirror is not None else {}
    entries = [
        (row, line.get(hash_column, "").strip().lower())
        for line in lines
        for row in rows_of_line(card, source, line, credit, translated)
    ]
    del lines
    yield from pictured(entries, card, source, options, parts, names=names)


def pictured(
    entries: Sequence[tuple[RawRow, str]],
    card: "Card",
    source: UrlListSource,
    options: AcquireOptions,
    parts: Path,
    *,
    names: Mapping[str, str] | None = None,
) -> Iterator[RawRow]:
    """Yield rows with the pictures of their URLs, or the reasons why they have none, in the order in which they came.

    Args:
        entries: rows, each with the sha256 that its picture must have, empty where nothing is known. A row with a
            reason stays as it is, and its URL is not asked for.
        names: paths of files below the mirror by URL, where they are not the URLs' own.
    """
    pending = list(dict.fromkeys(row.url for row, _ in entries if not row.reason))
    origin, state = _origin(source, options, names or {})
    first = _locked(card, source, options)
    origin = screened(origin, options.screen.hash_lists)
    batches = fetch(pending, source, parts, origin=origin, state=state)
    found = _arrivals(entries, batches, first)
    yield from admitted(found, max_pixels=source.max_pixels, workers=options.workers, screen=options.screen)


def remember(card: "Card", options: AcquireOptions, raw: Path) -> None:
    """Lock the hashes of an acquisition that has succeeded, for the next one to compare with; see `hashes`.

    Nothing is locked without a ledger, nor for a mirror, whose copies are not what the hosts publish.

    Args:
        raw: the folder of its shards.
    """
    if options.ledger is None or options.mirror is not None:
        return
    found: dict[str, str] = {}
    for table in raw_tables(raw):
        columns = read_columns(table, ["url", "status", "original_sha256"])
        found |= {url: sha256 for url, status, sha256 in zip(*columns.values(), strict=True) if status == SUCCESS}
    hashes.lock(options.ledger, card.name, found)


def params(card: "Card", source: UrlListSource, options: AcquireOptions) -> dict[str, Any]:
    """Return what decides the outcome besides the card: the list's content, the credits, the tools, mirror or not.

    Raises:
        ConfigError: the list or the attribution table is missing.
    """
    path = find_list(card, source, options)
    found: dict[str, Any] = {"list": files.sha256_file(path), "mirrored": options.mirror is not None}
    if source.attribution:
        found["attribution"] = files.sha256_file(table_path(source.attribution, path.parent))
    if source.translators:
        found["translators"] = files.sha256_file(table_path(source.translators, path.parent))
    return {**found, "tools": {"img2dataset": environment.VERSION}}


def availability(card: "Card", source: UrlListSource) -> str:
    """Return why the corpus cannot be had from here now, empty if it can. The hosts are not asked."""
    if not environment.is_ready(environment.environment_dir()):
        return "needs `essen setup`"
    if is_url(source.list):
        return reachable(source.list, allow_private=source.net.allow_private_hosts)
    return "" if (card.path.parent / source.list).is_file() else "needs --mirror or a list"


def find_list(card: "Card", source: UrlListSource, options: AcquireOptions) -> Path:
    """Return the list's path: the one that is given, otherwise the card's, below the mirror or beside the card.

    One at an address is fetched, with the tables beside it.

    Raises:
        ConfigError: it is not there.
        DataError: it has not the sha256 of the card, or cannot be fetched.
    """
    if is_url(named := str(options.list or source.list)):
        return _fetched_list(source, named)
    path = Path(options.list or (options.mirror or card.path.parent) / source.list)
    if path.is_file():
        if source.list_sha256 and files.sha256_file(path) != source.list_sha256:
            raise DataError(f"{path} has not the sha256 of the data card; obtain it again, or correct the card")
        return path
    if options.list is None and options.mirror is None:
        raise ConfigError(
            f"where is the list {source.list}? It is not beside {card.path.name}. Give the folder that holds it and "
            "its pictures (--mirror DIR), or the path of the list alone to fetch from the original addresses (list: "
            "PATH in the recipe)"
        )
    raise ConfigError(f"there is no list {path}; give the folder that holds {source.list} as the mirror, or its path")


def _fetched_list(source: UrlListSource, url: str) -> Path:
    folder, _, name = url.rpartition("/")
    private = source.net.allow_private_hosts
    for table in (source.attribution, source.translators):
        if table:
            fetched(folder, table.file, allow_private=private)
    return fetched(folder, name, sha256=source.list_sha256, allow_private=private)


def _origin(
    source: UrlListSource, options: AcquireOptions, names: Mapping[str, str]
) -> tuple[Callable[[], Origin], Callable[[str], str]]:
    """Return what makes the origin of bodies, and the state of each URL under which they are kept."""
    if options.mirror is not None:
        mirror = Mirror(options.mirror, names, max_bytes=source.net.max_bytes)
        return lambda: mirror, mirror.state
    state = files.digest(source.net.model_dump(mode="json", exclude=PACE))
    return lambda: Client(source.net), lambda _: state


def _locked(card: "Card", source: UrlListSource, options: AcquireOptions) -> dict[str, str]:
    if options.ledger is None or options.mirror is not None or source.on_changed == "accept":
        return {}
    return hashes.locked(options.ledger, card.name)


def _arrivals(
    entries: Iterable[tuple[RawRow, str]], batches: Iterator[Mapping[str, Fetched]], first: Mapping[str, str]
) -> Iterator[Found]:
    """Yield the rows as their pictures arrive."""
    found: dict[str, Fetched] = {}
    for row, sha256 in entries:
        while not row.reason and row.url not in found:
            found |= next(batches)
        yield Found(row) if row.reason else _arrived(row, found[row.url], sha256, first.get(row.url, ""))


def _arrived(row: RawRow, answer: Fetched, listed: str, first: str) -> Found:
    """Return a row with where its picture lies, or with the reason why there is none or it is not to be used.

    Args:
        listed: sha256 that the list gives, empty if none.
        first: sha256 that the URL had when it was first fetched, empty if that is not known.
    """
    row = replace(row, opt_out=answer.opt_out, original_sha256=answer.sha256)
    if answer.span is None:
        return Found(replace(row, status="failed_to_download", reason=answer.reason, error_message=answer.message))
    if answer.sha256 != (listed or first or answer.sha256):
        reason, message = (
            ("hash_mismatch", "not the listed sha256")
            if listed
            else ("changed_since_first_use", f"its sha256 was {first}; on_changed: accept takes the new one")
        )
        return Found(replace(row, status="failed_to_download", reason=reason, error_message=message))
    return Found(row, answer.span)


def _names(source: UrlListSource, lines: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return the paths of the mirror's files by URL, as the list has them.

    Raises:
        ConfigError: a URL has two.
    """
    found: dict[str, str] = {}
    if not source.columns.file:
        return found
    for line in lines:
        url, file = line.get(source.columns.url, "").strip(), line.get(source.columns.file, "")
        if found.setdefault(url, file) != file:
            raise ConfigError(f"the list has two files for {url}: {found[url]} and {file}; a mirror has one")
    return found
