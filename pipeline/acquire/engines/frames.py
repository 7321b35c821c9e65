"""Recordings of everyday life as video frames with time-stamped utterances, the shape of SAYCam and BabyView.

Below the card's folder each recording has a folder of frames and a transcript: ``<recording>.<suffix>`` beside the
folder, or ``transcript.<suffix>`` in it (csv, tsv, jsonl, parquet, srt, vtt). When a frame was taken stands in a table
``frames.csv`` in the folder (columns ``file`` and ``timestamp``), or in its name, which then ends in

- ``seconds``: ``12.5.jpg``, ``frame_0012.500.jpg``;
- ``milliseconds``: ``frame_12500.jpg``;
- ``clock``: ``00-00-12.500.jpg`` (hours, minutes, seconds);
- ``number``: ``frame_00013.jpg``, counted from `first_number` on at `frames_per_second`.

Such recordings show people at home. They are used under an agreement and are never passed on: a card that calls them
redistributable is refused.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import files
from pipeline.acquire.admission import Found, Span, admitted
from pipeline.acquire.engines.places import beside_card, folder_availability
from pipeline.acquire.engines.transcripts import SUFFIXES, Utterance, cleaned_utterance, read_transcript, seconds_of
from pipeline.acquire.lists import SUFFIXES as TABLES
from pipeline.acquire.lists import check_columns, read_list
from pipeline.acquire.options import AcquireOptions
from pipeline.acquire.raw import EXTENSIONS, RawRow
from pipeline.acquire.sources import FramesSource
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.acquire.card import Card

PICTURES = frozenset({*(f".{extension}" for extension in EXTENSIONS.values()), ".jpeg"})
TRANSCRIPT, FRAMES = "transcript", "frames"
NUMBER = re.compile(r"\d+(?:\.\d+)?$")
INTEGER = re.compile(r"\d+$")
CLOCK = re.compile(r"(\d+)[-_:.](\d{2})[-_:.](\d{2}(?:\.\d+)?)$")


@dataclass(frozen=True, slots=True)
class Recording:
    """Its frames' paths below its folder and their times in seconds, in order of time, and its transcript if any."""

    name: str
    folder: Path
    frames: tuple[str, ...]
    times: tuple[float, ...]
    transcript: Path | None


def rows(card: "Card", source: FramesSource, options: AcquireOptions, parts: Path) -> Iterator[RawRow]:
    """Yield a row for every frame that is chosen for an utterance, by recording and in the transcript's order.

    An utterance without a frame is one row that says why, and so is a recording without a transcript.

    Raises:
        ConfigError: the folder is missing, a file cannot be read, or the card calls the corpus redistributable.
    """
    folder = find_folder(card, source)
    found = (entry for recording in recordings(folder, source) for entry in _entries(card, source, recording))
    entries = islice(found, options.limit)
    yield from admitted(entries, max_pixels=source.max_pixels, workers=options.workers, screen=options.screen)


def params(card: "Card", source: FramesSource, options: AcquireOptions) -> dict[str, Any]:
    """Return what decides the outcome besides the card: every file's name and hash.

    Raises:
        ConfigError: the folder is missing, or the card calls the corpus redistributable.
    """
    folder = find_folder(card, source)
    found = sorted(file for file in folder.rglob("*") if file.is_file())
    return {"files": files.digest({file.relative_to(folder).as_posix(): files.sha256_file(file) for file in found})}


def availability(card: "Card", source: FramesSource) -> str:
    """Return why the recordings cannot be had from here, empty if they can: the folder is there or it is not."""
    return folder_availability(beside_card(card, source.path))


def find_folder(card: "Card", source: FramesSource) -> Path:
    """Return the folder of the recordings; a relative one lies beside the card.

    Raises:
        ConfigError: it is not there, or the card calls the corpus redistributable.
    """
    if card.redistributable:
        raise ConfigError(
            f"data card {card.name}: recordings of people are not passed on; set redistributable: false (engine frames)"
        )
    folder = beside_card(card, source.path)
    if not folder.is_dir():
        raise ConfigError(f"data card {card.name}: there is no folder {folder}; set source.path to the recordings'")
    return folder


def recordings(folder: Path, source: FramesSource) -> Iterator[Recording]:
    """Yield the recordings of a folder, by name: its folders, and the transcripts beside them.

    Raises:
        ConfigError: there is none, one has two transcripts, or a frame has no time.
    """
    beside = [file for file in folder.iterdir() if file.suffix in SUFFIXES and file.is_file()]
    names = {entry.name for entry in folder.iterdir() if entry.is_dir()} | {file.stem for file in beside}
    if not names:
        raise ConfigError(f"{folder} holds no recordings: a folder of frames and a transcript for each")
    for name in sorted(names):
        own = folder / name
        inside = [own / f"{TRANSCRIPT}{suffix}" for suffix in SUFFIXES]
        found = sorted([file for file in beside if file.stem == name] + [file for file in inside if file.is_file()])
        if len(found) > 1:
            raise ConfigError(f"recording {name} has two transcripts, {found[0]} and {found[1]}; keep one")
        timed = sorted(_frames(own, source)) if own.is_dir() else []
        times, frames = zip(*timed, strict=True) if timed else ((), ())
        yield Recording(name, own, frames, times, found[0] if found else None)


def chosen(times: Sequence[float], start: float, end: float, source: FramesSource) -> list[int]:
    """Return which frames stand for an utterance, in order of time: positions in `times`, which ascend.

    Of n frames in the window, k are taken: ``even`` those in the middle of k equal parts, ``middle`` those next to
    the window's middle, the earlier of two that are equally near.
    """
    opens, closes = start - source.before, end + source.after
    inside = range(bisect_left(times, opens), bisect_right(times, closes))
    count, wanted = len(inside), source.frames_per_utterance
    if count <= wanted:
        return list(inside)
    if source.choose == "even":
        return [inside[(2 * part + 1) * count // (2 * wanted)] for part in range(wanted)]
    middle = (opens + closes) / 2
    return sorted(sorted(inside, key=lambda frame: (abs(times[frame] - middle), frame))[:wanted])


def _frames(folder: Path, source: FramesSource) -> Iterator[tuple[float, str]]:
    """Yield time in seconds and path of every frame of a recording.

    Raises:
        ConfigError: a time is missing or cannot be read.
    """
    for table in (folder / f"{FRAMES}{suffix}" for suffix in TABLES):
        if table.is_file():
            lines = read_list(table)
            check_columns(table, lines, ["file", "timestamp"])
            for line in lines:
                yield _time(seconds_of(line.get("timestamp", "")), table, line["file"]), line["file"]
            return
    for file in folder.rglob("*"):
        if file.suffix.lower() in PICTURES and file.is_file():
            name = file.relative_to(folder).as_posix()
            yield _time(_time_in_name(file.stem, source), folder, name), name


def _time(time: float | None, where: Path, name: str) -> float:
    if time is None or not 0 <= time < float("inf"):
        raise ConfigError(f"{where}: frame {name} has no time that can be read; see source.frame_times")
    return time


def _time_in_name(stem: str, source: FramesSource) -> float | None:
    """Return the time in seconds that a frame's name ends in, None if it ends in none."""
    if source.frame_times == "clock":
        clock = CLOCK.search(stem)
        return 3600 * int(clock[1]) + 60 * int(clock[2]) + float(clock[3]) if clock else None
    if source.frame_times == "seconds":
        number = NUMBER.search(stem)
        return float(number[0]) if number else None
    integer = INTEGER.search(stem)
    if integer is None:
        return None
    if source.frame_times == "milliseconds":
        return int(integer[0]) / 1000
    return (int(integer[0]) - source.first_number) / source.frames_per_second


def _entries(card: "Card", source: FramesSource, recording: Recording) -> Iterator[Found]:
    if recording.transcript is None:
        name = f"frames:{card.name}/{recording.name}"
        row = _row(card, recording, Utterance(None, None, ""), name)
        yield Found(replace(row, status="failed_to_download", reason="no_transcript"))
        return
    for utterance in read_transcript(recording.transcript, source.columns):
        yield from _said(card, source, recording, utterance)


def _said(card: "Card", source: FramesSource, recording: Recording, utterance: Utterance) -> Iterator[Found]:
    """Yield the rows of one utterance, with where their frames lie."""
    name = f"frames:{card.name}/{recording.name}"
    window = utterance.window
    moment = f"#t={window[0]:.3f},{window[1]:.3f}" if window else ""
    row = _row(card, recording, utterance, name + moment)
    speakers = {speaker.casefold() for speaker in source.speakers}
    if speakers and utterance.speaker.casefold() not in speakers:
        yield Found(replace(row, status="excluded", reason="speaker"))
    elif not row.caption:
        yield Found(replace(row, status="excluded", reason="empty_caption"))
    elif window is None:
        message = f"it is said from {utterance.start} to {utterance.end}"
        yield Found(replace(row, status="failed_to_download", reason="bad_time", error_message=message))
    elif not (found := chosen(recording.times, *window, source)):
        yield Found(replace(row, status="failed_to_download", reason="no_frame"))
    else:
        for frame in found:
            yield _frame(recording, recording.frames[frame], row, f"{name}/{recording.frames[frame]}{moment}")


def _frame(recording: Recording, file: str, row: RawRow, url: str) -> Found:
    path = recording.folder / file
    if Path(file).is_absolute() or ".." in Path(file).parts:
        return Found(replace(row, url=url, status="failed_to_download", reason="outside_folder"))
    return Found(replace(row, url=url), Span(path))


def _row(card: "Card", recording: Recording, utterance: Utterance, url: str) -> RawRow:
    return RawRow(
        url=url,
        caption=cleaned_utterance(utterance.text),
        group=recording.name,
        category=utterance.speaker,
        lang=card.language,
        licence=card.licence,
        licence_source="card",
        attribution=card.attribution,
    )
