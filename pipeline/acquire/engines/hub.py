"""Data sets that `datasets` reads: of the Hugging Face hub at one commit, or on this machine.

A local path is a folder of data files (parquet, arrow, JSON, CSV, an image folder), one such file, or what
``save_to_disk`` wrote. A data set of the hub is fetched into the hub's cache and then read like a local folder; with
``streaming`` nothing is kept. WebDataset tars are read by the engine webdataset, as `datasets` loses every
picture whose extension is not that of the first ones.

Pictures are taken as they are stored, undecoded. A picture that is stored as a path is read only inside the data set;
one that is stored as an address is not fetched here: ``remote_picture``. No code of a data set is run.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from tarfile import TarError
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

from pipeline import files
from pipeline.acquire.admission import Found, Span, admitted
from pipeline.acquire.engines import hub_files, webdataset
from pipeline.acquire.engines.fields import caption_rows, facts, pick, texts
from pipeline.acquire.engines.hub_split import BATCH, Opened, find_local, open_split
from pipeline.acquire.engines.places import beside_card, content_hashes, file_fault
from pipeline.acquire.engines.webdataset_shards import described
from pipeline.acquire.lists import check_columns
from pipeline.acquire.options import AcquireOptions
from pipeline.acquire.raw import RawRow
from pipeline.acquire.sources import HubSource, WebdatasetColumns, WebdatasetSource
from pipeline.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset, IterableDataset

    from pipeline.acquire.card import Card


def rows(card: "Card", source: HubSource, options: AcquireOptions, parts: Path) -> Iterator[RawRow]:
    """Yield a row for every caption of every row of the split, in its order.

    Raises:
        ConfigError: the data set, its configuration, split or a column is missing, or it is of no form that is read.
        DataError: a file of it is damaged.
    """
    opened = open_split(card, source, parts)
    if opened.table is None:
        yield from _tar_rows(card, source, options, opened)
        return
    found = islice(_found(card, source, opened, opened.table), options.limit)
    yield from admitted(found, max_pixels=source.max_pixels, workers=options.workers, screen=options.screen)


def params(card: "Card", source: HubSource, options: AcquireOptions) -> dict[str, Any]:
    """Return what decides the outcome besides the card: the local files' hashes; on the hub, the commit is in the card.

    Raises:
        ConfigError: the local path is missing.
    """
    tools = {"datasets": version("datasets"), "pyarrow": version("pyarrow")}
    if source.revision:
        return {"tools": tools}
    place = find_local(card, source)
    return {"files": files.digest(content_hashes([place], place)), "tools": tools}


def availability(card: "Card", source: HubSource) -> str:
    """Return why the data set cannot be had from here, empty if it can."""
    if not source.revision:
        place = beside_card(card, source.path)
        return "" if place.exists() else f"{place} is missing"
    from huggingface_hub import constants

    if not source.streaming and hub_files.cached_snapshot(source.path, source.revision, source.files) is not None:
        return ""
    if constants.HF_HUB_OFFLINE:
        return "not in the cache, and HF_HUB_OFFLINE is set"
    return "" if hub_files.is_hub_reachable(seconds=3) else "no network"


def _tar_rows(card: "Card", source: HubSource, options: AcquireOptions, opened: Opened) -> Iterator[RawRow]:
    """Yield the rows of WebDataset tars; a column is the extension of a member, or a key of a JSON member."""
    columns = source.columns.model_dump(exclude={"image", "caption"})
    model = WebdatasetSource(
        shards=tuple(path.name for path in opened.shards),
        columns=WebdatasetColumns(caption=(source.columns.caption,), **columns),
        max_pixels=source.max_pixels,
        max_bytes=source.max_bytes,
    )
    if source.columns.image not in ("image", *model.images):
        model = model.model_copy(update={"images": (source.columns.image,)})
    shards = described(list(opened.shards), model, Path())
    yield from webdataset.read_shards(card, model, options, shards)


def _found(card: "Card", source: HubSource, opened: Opened, table: "Dataset | IterableDataset") -> Iterator[Found]:
    """Yield the rows of a table before their pictures are admitted."""
    number = 0
    label = f"{source.path}@{source.revision}" if source.revision else card.name
    where = "/".join(filter(None, (f"hub:{label}", source.config, source.split)))
    try:
        for batch in table.with_format("arrow").iter(batch_size=BATCH):
            for record in _records(batch, table, source):
                yield from _record_rows(card, source, opened, f"{where}/{number}", record)
                number += 1
    except hub_files.library_errors() as error:
        raise DataError(f"{where} cannot be read after row {number}: {hub_files.error_line(error)}") from None


def _records(batch: "pa.Table", table: "Dataset | IterableDataset", source: HubSource) -> list[dict[str, Any]]:
    """Return a batch's rows, undecoded, with the columns that are wanted; classes by their names.

    Raises:
        ConfigError: a column is missing.
    """
    from datasets import ClassLabel

    places = [place for place in source.columns.model_dump().values() if place]
    roots = {place: place if place in batch.column_names else place.partition(".")[0] for place in places}
    check_columns(Path(source.path), [dict.fromkeys(batch.column_names, "")], roots.values())
    records = batch.select(list(dict.fromkeys(roots.values()))).to_pylist()
    for name, feature in (table.features or {}).items():
        if isinstance(feature, ClassLabel) and name in roots.values():
            for record in records:
                number = record[name]
                record[name] = None if number is None or number < 0 else feature.int2str(number)
    return records


def _record_rows(
    card: "Card", source: HubSource, opened: Opened, name: str, record: Mapping[str, Any]
) -> Iterator[Found]:
    columns = source.columns
    captions = texts(pick(record, columns.caption))
    fields, sha256 = facts(columns, partial(pick, record))
    picture, reason, message = _picture(pick(record, columns.image), opened, source.max_bytes)
    for row in caption_rows(card, name, captions, fields, said_by="data set"):
        if reason and not row.reason:
            row = replace(row, status="failed_to_download", reason=reason, error_message=message)
        yield Found(row, picture, sha256)


def _picture(value: Any, opened: Opened, max_bytes: int) -> tuple[bytes | Span | None, str, str]:
    """Return a stored picture, or the reason and the message why there is none.

    Args:
        value: bytes, a path, or a mapping of ``bytes`` and ``path``, of which one may be None.
    """
    if isinstance(value, Mapping):
        data = value.get("bytes")
        value = value.get("path") if data is None else data
    if isinstance(value, bytes):
        return (None, "too_large", f"{len(value):,} bytes") if len(value) > max_bytes else (value, "", "")
    if value is None:
        return None, "missing_file", "there is no picture"
    if not isinstance(value, str):
        return None, "not_an_image", f"a picture is no {type(value).__name__}"
    if value.startswith(("http://", "https://")):
        return None, "remote_picture", "an address is not fetched here: make a list for the engine url_list"
    if opened.remote or "://" in value:
        return _read_inside(value, opened, max_bytes)
    file = opened.roots[0] / value
    faults = [file_fault(file, root, max_bytes) for root in opened.roots]
    reason, message = next((fault for fault in faults if fault[0] != "outside_folder"), faults[0])
    return None if reason else Span(file), reason, message


def _read_inside(place: str, opened: Opened, max_bytes: int) -> tuple[bytes | None, str, str]:
    """Read a picture below the data set's address, or in an archive of the data set."""
    import fsspec

    member, chained, container = place.rpartition("::")
    inside = container.startswith(opened.remote) if opened.remote else _is_own(Path(container), opened.roots)
    if not inside or "::" in member or (chained and not member.startswith(("zip://", "tar://"))):
        return None, "outside_folder", "it lies outside the data set"
    try:
        with fsspec.open(place, "rb") as file:
            data = file.read(max_bytes + 1)
    except (KeyError, BadZipFile, TarError) as error:
        return None, "missing_file", hub_files.error_line(error)
    except hub_files.library_errors() as error:
        return None, "missing_file", hub_files.error_line(error)
    return (None, "too_large", f"more than {max_bytes:,} bytes") if len(data) > max_bytes else (data, "", "")


def _is_own(file: Path, roots: Iterable[Path]) -> bool:
    resolved = file.resolve()
    return any(resolved.is_relative_to(root.resolve()) for root in roots)
