"""The shards of a WebDataset source: found or fetched, and held against what is known of them."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from pipeline import files
from pipeline.acquire.engines.shard_specs import expand, local_shards, shard_labels
from pipeline.acquire.fetched import reachable
from pipeline.acquire.net.download import download
from pipeline.acquire.sources import WebdatasetSource
from pipeline.addresses import is_remote, is_web
from pipeline.errors import ConfigError, DataError
from pipeline.remote import Store, fetch_file

if TYPE_CHECKING:
    from pipeline.acquire.card import Card

INDEX_KIND = "wids-shard-index-v1"
INDEX = "index.json"
SIZES = "sizes.json"


@dataclass(frozen=True, slots=True)
class Shard:
    """A tar on this machine.

    Attributes:
        path: where it lies.
        label: its name in the corpus, the same wherever it lies.
        sha256, md5: in hex, empty where nothing is known.
        size: in bytes, None where nothing is known.
        samples: how many it holds, None where nothing is known.
    """

    path: Path
    label: str
    sha256: str = ""
    md5: str = ""
    size: int | None = None
    samples: int | None = None


def local(card: "Card", source: WebdatasetSource) -> list[Shard]:
    """Return the local shards of a source, in order, with what their index and ``sizes.json`` say.

    Raises:
        ConfigError: a shard is missing, or an index cannot be read.
    """
    paths = local_shards((spec for spec in source.shards if not is_remote(spec)), card.path.parent)
    return described(paths, source, card.path.parent)


def described(paths: list[Path], source: WebdatasetSource, folder: Path) -> list[Shard]:
    """Return shards with what the card, an index or ``sizes.json`` beside them say of them.

    Raises:
        ConfigError: an index or ``sizes.json`` cannot be read.
    """
    known = {parent: _known(parent, source, folder) for parent in dict.fromkeys(path.parent for path in paths)}
    return [
        Shard(path, label, **{**known[path.parent].get(path.name, {}), **_pinned(source, path.name)})
        for path, label in zip(paths, shard_labels(paths), strict=True)
    ]


def shards(card: "Card", source: WebdatasetSource, parts: Path) -> Iterator[Shard]:
    """Yield every shard of a source, in order, fetched when its turn comes and then checked.

    Args:
        parts: folder in which fetched shards stay.

    Raises:
        ConfigError: a local shard is missing.
        DataError: a shard cannot be fetched, or is not what is known of it.
    """
    found = local(card, source)
    for shard in found:
        check(shard)
        yield shard
    for url in remote(source):
        shard = _fetched(url, source, parts)
        check(shard)
        yield shard


def remote(source: WebdatasetSource) -> list[str]:
    """Return the addresses of the shards that are fetched, in order, each once."""
    return list(dict.fromkeys(url for spec in source.shards if is_remote(spec) for url in expand(spec)))


def check(shard: Shard) -> None:
    """Hold a shard against what is known of its bytes.

    Raises:
        DataError: it has another size or hash.
    """
    size = shard.path.stat().st_size
    if shard.size is not None and size != shard.size:
        raise DataError(f"shard {shard.label} has {size:,} bytes, its index says {shard.size:,}; obtain it again")
    if shard.sha256 and files.sha256_file(shard.path) != shard.sha256.lower():
        raise DataError(f"shard {shard.label} has not the sha256 of the data card; obtain it again")
    if shard.md5:
        with shard.path.open("rb") as file:
            found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        if found != shard.md5.lower():
            raise DataError(f"shard {shard.label} has not the md5 of its index; obtain it again")


def availability(card: "Card", source: WebdatasetSource) -> str:
    """Return why the shards cannot be had from here, empty if they can; the first remote one stands for all."""
    try:
        local_shards((spec for spec in source.shards if not is_remote(spec)), card.path.parent)
    except ConfigError as error:
        return str(error).split(";")[0]
    return next((reachable(url, allow_private=source.allow_private_hosts) for url in remote(source)), "")


def _fetched(url: str, source: WebdatasetSource, parts: Path) -> Shard:
    """Return a remote shard, fetched unless an earlier call has done so."""
    parsed = urlsplit(url)
    label = urlunsplit((parsed.scheme, parsed.netloc.rpartition("@")[2], parsed.path, "", ""))
    pinned = _pinned(source, Path(parsed.path).name)
    path = parts / f"{files.sha256_bytes(url.encode())[:16]}.tar"
    if pinned and path.is_file() and files.sha256_file(path) != pinned["sha256"].lower():
        path.unlink()
    if not path.is_file():
        _fetch(url, source, path, pinned.get("sha256", "").lower())
    return Shard(path, label, **pinned)


def _fetch(url: str, source: WebdatasetSource, path: Path, sha256: str) -> None:
    if not is_web(url):
        remedy = "if that is right, correct sha256 or max_shard_bytes in the data card"
        fetch_file(Store(url), "", path, sha256=sha256, limit=source.max_shard_bytes, remedy=remedy)
        return
    download(
        url,
        path,
        max_bytes=source.max_shard_bytes,
        silence=source.timeout,
        deadline=source.deadline,
        attempts=source.retries + 1,
        allow_private=source.allow_private_hosts,
        remedy="raise max_shard_bytes if that is right",
    )


def _pinned(source: WebdatasetSource, name: str) -> dict[str, Any]:
    return {"sha256": source.sha256[name]} if name in source.sha256 else {}


def _known(parent: Path, source: WebdatasetSource, folder: Path) -> dict[str, dict[str, Any]]:
    """Return what an index and ``sizes.json`` say of the shards in a folder, by file name."""
    found: dict[str, dict[str, Any]] = {}
    sizes = _json_object(parent / SIZES) if (parent / SIZES).is_file() else {}
    for name, count in sizes.items():
        found[name] = {"samples": _number(count, parent / SIZES)}
    index = folder / source.index if source.index else parent / INDEX
    if source.index or index.is_file():
        content = _json_object(index)
        if content.get("__kind__") == INDEX_KIND:
            for name, values in _shard_list(content, index):
                found[name] = {**found.get(name, {}), **values}
        elif source.index:
            raise ConfigError(f"{index} is no shard index: its __kind__ is not {INDEX_KIND}")
    return found


def _shard_list(content: Mapping[str, Any], index: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield name, md5, size and count of every shard of a wids index."""
    entries = content.get("shardlist")
    if not isinstance(entries, list) or not all(isinstance(e, dict) and isinstance(e.get("url"), str) for e in entries):
        raise ConfigError(f"{index} is no shard index: shardlist is a list of objects with a url")
    for entry in entries:
        values: dict[str, Any] = {}
        if entry.get("md5sum"):
            values["md5"] = str(entry["md5sum"])
        for name, key in (("samples", "nsamples"), ("size", "filesize")):
            if entry.get(key) is not None:
                values[name] = _number(entry[key], index)
        yield urlsplit(entry["url"]).path.rsplit("/", 1)[-1], values


def _json_object(path: Path) -> dict[str, Any]:
    try:
        content = files.read_json(path)
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path} cannot be read: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{path} is no JSON object")
    return content


def _number(value: Any, path: Path) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(f"{path}: {value!r} is no number of samples or bytes")
    return value
