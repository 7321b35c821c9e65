"""Existing WebDataset shards, read in place: regular members only; nothing is extracted, unpickled or run.

What becomes of what a shard can hold:

- Members with one key are one sample, wherever in the shard they lie. A key ends at the first dot after the last slash;
  an extension's case does not count. The same key in another shard is another sample.
- A member whose key and extension came before starts the sample anew; that one is not taken: ``duplicate_key``.
- A link, device, pipe or sparse file, or a name that leads out of the archive, refuses its sample: ``unsafe_member``.
  So does a pickle (`PICKLES`), unless the source ignores its extension: ``pickle_member``. Neither is read.
- Of several pictures in a sample the first of the source's extensions is taken; the others are ``second_picture``.
- A picture in a hidden file is ``hidden_member``. A sample without a picture is ``missing_file``; where a name with
  further dots is the cause (``a.v2.jpg``), each such picture is ``dotted_name``.
- A shard that is truncated, damaged, or not what its index says is an error, before any row of it.
"""

import json
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from pipeline import files
from pipeline.acquire.admission import Found, Span, admitted
from pipeline.acquire.engines import webdataset_shards
from pipeline.acquire.engines.fields import LONGEST_TEXT, caption_rows, facts, pick, texts
from pipeline.acquire.engines.tar_index import Member, read_index
from pipeline.acquire.engines.webdataset_shards import Shard
from pipeline.acquire.lists import is_missing
from pipeline.acquire.options import AcquireOptions
from pipeline.acquire.raw import RawRow
from pipeline.acquire.sources import Facts, WebdatasetSource
from pipeline.acquire.text import decode_text
from pipeline.config import nearest
from pipeline.errors import ConfigError, DataError
from pipeline.sample import one_line

if TYPE_CHECKING:
    from pipeline.acquire.card import Card

PICKLES = frozenset({"pyd", "pkl", "pickle", "pth", "pt", "npy"})
COMPRESSIONS = frozenset({"gz", "bz2", "xz", "zst"})


@dataclass(slots=True)
class Sample:
    """The members of one key.

    Attributes:
        key: the path up to the first dot of its last part.
        members: by extension, in lower case.
        reason, message: why it is not taken; empty if it is.
    """

    key: str
    members: dict[str, Member] = field(default_factory=dict)
    reason: str = ""
    message: str = ""


def rows(card: "Card", source: WebdatasetSource, options: AcquireOptions, parts: Path) -> Iterator[RawRow]:
    """Yield the rows of every shard, in order: a row for each caption of a sample, or the reason why it is not taken.

    Raises:
        ConfigError: a shard is missing, or no sample has a column.
        DataError: a shard cannot be fetched, is truncated or damaged, or is not what is known of it.
    """
    shards = webdataset_shards.shards(card, source, parts / "shards")
    yield from read_shards(card, source, options, shards)


def read_shards(
    card: "Card", source: WebdatasetSource, options: AcquireOptions, shards: Iterable[Shard]
) -> Iterator[RawRow]:
    """Yield the rows of shards on this machine, as `rows` does."""
    found = islice(_found(card, source, shards), options.limit)
    yield from admitted(found, max_pixels=source.max_pixels, workers=options.workers, screen=options.screen)


def params(card: "Card", source: WebdatasetSource, options: AcquireOptions) -> dict[str, Any]:
    """Return what decides the outcome besides the card: the hash of every local shard.

    What a remote shard holds is known only from its sha256 in the card.

    Raises:
        ConfigError: a local shard is missing.
    """
    shards = webdataset_shards.local(card, source)
    return {"shards": {shard.label: files.sha256_file(shard.path) for shard in shards}}


def availability(card: "Card", source: WebdatasetSource) -> str:
    """Return why the shards cannot be had from here, empty if they can."""
    return webdataset_shards.availability(card, source)


def group(members: Iterable[Member], images: Iterable[str], ignored: Iterable[str]) -> list[Sample]:
    """Return the samples of a shard, in the order of their first members.

    Args:
        images: extensions of pictures.
        ignored: extensions that are passed over.
    """
    pictures, passed_over = frozenset(images), frozenset(ignored)
    samples: list[Sample] = []
    latest: dict[str, Sample] = {}
    for member in members:
        key, extension = split_name(member.name)
        if not key:
            if member.fault or _last_suffix(member.name) in pictures:
                samples.append(_without_key(member))
            continue
        if extension in passed_over and not member.fault:
            continue
        sample = latest.get(key)
        if sample is None or extension in sample.members:
            again = ("duplicate_key", f"{one_line(member.name)} came before") if sample is not None else ("", "")
            sample = latest[key] = Sample(key, {}, *again)
            samples.append(sample)
        sample.members[extension] = member
        _judge(sample, member, extension)
    return samples


def split_name(name: str) -> tuple[str, str]:
    """Return key and extension of a member's name, both empty for a hidden file or one without an extension."""
    folder, slash, base = name.rpartition("/")
    stem, _, extension = base.partition(".")
    return (folder + slash + stem, extension.lower()) if stem and extension else ("", "")


def _without_key(member: Member) -> Sample:
    if member.fault:
        return Sample(member.name, {}, "unsafe_member", f"{one_line(member.name)} is {member.fault}")
    return Sample(member.name, {}, "hidden_member", "the name of the file begins with a dot")


def _judge(sample: Sample, member: Member, extension: str) -> None:
    """Refuse a sample for what one of its members is."""
    suffixes = [part for part in extension.split(".") if part not in COMPRESSIONS]
    if member.fault:
        sample.reason, sample.message = "unsafe_member", f"{one_line(member.name)} is {member.fault}"
    elif suffixes and suffixes[-1] in PICKLES and not sample.reason:
        sample.reason, sample.message = "pickle_member", f"{one_line(member.name)} can hold a program; it was not read"


def _found(card: "Card", source: WebdatasetSource, shards: Iterable[Shard]) -> Iterator[Found]:
    """Yield the rows of every shard before their pictures are admitted."""
    for number, shard in enumerate(shards):
        samples = group(read_index(shard.path), source.images, source.ignore)
        _check_count(shard, samples)
        if number == 0:
            _check_columns(shard, source, samples)
        with shard.path.open("rb") as file:
            for sample in samples:
                yield from _sample_rows(card, source, shard, file, sample)


def _check_count(shard: Shard, samples: list[Sample]) -> None:
    count = sum(sample.reason != "hidden_member" for sample in samples)
    if shard.samples is not None and count != shard.samples:
        raise DataError(f"shard {shard.label} holds {count:,} samples and not {shard.samples:,}; obtain it again")


def _check_columns(shard: Shard, source: WebdatasetSource, samples: list[Sample]) -> None:
    """Raise unless a sample of the shard has a member for the captions, and one for every other column."""
    usable = [sample for sample in samples if not sample.reason]
    present = sorted({extension for sample in usable for extension in sample.members})
    columns = source.columns
    wanted = [columns.caption, *((place,) for name in Facts.model_fields if (place := getattr(columns, name)))]
    for places in wanted:
        if present and not any(find_place(present, place)[0] for place in places):
            raise ConfigError(
                f"shard {shard.label} has no member .{' or .'.join(places)}{nearest(places[0], present)}; "
                f"it has {', '.join(present)}"
            )


def _sample_rows(
    card: "Card", source: WebdatasetSource, shard: Shard, file: IO[bytes], sample: Sample
) -> Iterator[Found]:
    """Yield a row for every caption of a sample, or for the reason why it is not taken."""
    name = f"webdataset:{card.name}/{shard.label}/{sample.key}"
    pictures = [extension for extension in source.images if extension in sample.members]
    if sample.reason:
        yield _failed(card, name, sample.reason, sample.message)
    elif not pictures:
        yield from _without_picture(card, source, name, sample)
    else:
        picture = sample.members[pictures[0]]
        if picture.size > source.max_bytes:
            yield _failed(card, name, "too_large", f"{picture.size:,} bytes")
        else:
            yield from _captioned(card, source, name, file, sample, Span(shard.path, picture.offset, picture.size))
        for extension in pictures[1:]:
            found = _failed(card, f"{name}.{extension}", "second_picture", f"{pictures[0]} was taken")
            yield Found(replace(found.row, status="excluded"))


def _without_picture(card: "Card", source: WebdatasetSource, name: str, sample: Sample) -> Iterator[Found]:
    dotted = [extension for extension in sample.members if _last_suffix(extension) in source.images]
    for extension in dotted:
        yield _failed(card, f"{name}.{extension}", "dotted_name", f"its extension is {extension}, as dots end a key")
    if not dotted:
        yield _failed(card, name, "missing_file", f"no picture among {', '.join(sample.members)}")


def _captioned(
    card: "Card", source: WebdatasetSource, name: str, file: IO[bytes], sample: Sample, picture: Span
) -> Iterator[Found]:
    """Yield a row for every caption of a picture, with the values that its sample has for it."""
    columns, read = source.columns, _Texts(file, sample.members)
    try:
        found = (texts(read.at(place)) for place in columns.caption)
        captions = next((these for these in found if not all(map(is_missing, these))), [])
        fields, sha256 = facts(columns, read.at)
    except _UnreadableError as error:
        yield _failed(card, name, error.reason, str(error))
        return
    for row in caption_rows(card, name, captions, fields, said_by="shard"):
        yield Found(row, picture, sha256)


class _UnreadableError(Exception):
    """A text member that cannot be read; `reason` is the row's."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class _Texts:
    """The texts and JSON values of one sample, each read once."""

    def __init__(self, file: IO[bytes], members: Mapping[str, Member]) -> None:
        self._file, self._members = file, members
        self._json: dict[str, Any] = {}

    def at(self, place: str) -> Any:
        """Return what lies at a place, None where there is nothing.

        Raises:
            _UnreadableError: it is too long, or no JSON.
        """
        extension, key = find_place(self._members, place)
        if not extension or not key:
            return self._text(extension) if extension else None
        if extension not in self._json:
            try:
                self._json[extension] = json.loads(self._text(extension))
            except (ValueError, RecursionError) as error:
                raise _UnreadableError("bad_json", f"{extension}: {' '.join(str(error).split())}") from None
        return pick(self._json[extension], key)

    def _text(self, extension: str) -> str:
        member = self._members[extension]
        if member.size > LONGEST_TEXT:
            raise _UnreadableError("too_large", f"{extension} has {member.size:,} bytes")
        self._file.seek(member.offset)
        return decode_text(self._file.read(member.size)).text


def find_place(extensions: Container[str], place: str) -> tuple[str, str]:
    """Split a place into the extension of a member and a key in it; both are empty where there is no such member."""
    if place in extensions:
        return place, ""
    parts = place.split(".")
    for end in range(len(parts) - 1, 0, -1):
        extension = ".".join(parts[:end])
        if extension in extensions and parts[end - 1] == "json":
            return extension, ".".join(parts[end:])
    return "", ""


def _last_suffix(name: str) -> str:
    return name.rpartition(".")[2].lower()


def _failed(card: "Card", name: str, reason: str, message: str) -> Found:
    row = next(caption_rows(card, name, [], {}, said_by=""))
    return Found(replace(row, status="failed_to_resize", reason=reason, error_message=one_line(message)))
