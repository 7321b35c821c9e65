"""What was said and when: transcripts as tables (CSV, TSV, JSON lines, Parquet) or subtitles (SRT, WebVTT).

Their words are cleaned of what transcribers write for other readers: the codes of CHAT
(https://talkbank.org/0info/manuals/CHAT.html) and the sounds in brackets of subtitles.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.acquire.lists import SUFFIXES as TABLES
from pipeline.acquire.lists import check_columns, read_list
from pipeline.acquire.sources import TranscriptColumns
from pipeline.errors import ConfigError
from pipeline.sample import normalise_caption

if TYPE_CHECKING:
    import webvtt

SUFFIXES = (*TABLES, ".srt", ".vtt")
CLOCK = re.compile(r"(?:(?P<hours>\d+):)?(?P<minutes>\d{1,2}):(?P<seconds>\d{1,2}(?:[.,]\d+)?)")
SPEAKER = re.compile(r"\*?([A-Z][A-Z0-9]{1,7}):\s+")

BULLET = re.compile("\x15[^\x15]*\x15")  # CHAT: where in the recording
TAG = re.compile(r"</?(?:v|c|i|b|u|font|lang|ruby|rt)\b[^<>]*>|<[\d:.]+>", re.I)  # of subtitles
TAKEN_BACK = re.compile(r"(?:<[^<>]*>|\S+)\s*\[/(?:/{0,2}|-|\?)\]")  # "the [/] the dog", "<a big> [//] a dog"
CODE = re.compile(r"\[[^\[\]]*\]")  # "[laughs]", "[= a comment]"
ASIDE = re.compile(r"(?<!\S)\([^()]*\)(?=[\s.,!?]|$)")  # "(sighs)", the pause "(.)"; not "(be)cause"
DROPPED = re.compile(r"(?:xxx?|yyy?|www)[.,!?]*|[&+].*|0[a-z].*", re.I)  # not understood, "&~um", "+...", "0is"
SUFFIX = re.compile(r"(?<=\w)@[\w:$]+")  # "woof@o"
SIGNS = re.compile(r"[<>()♪„‡]|(?:^|(?<=\n))\s*-\s+")
LOOSE = re.compile(r"\s+(?=[.,!?;:])")


@dataclass(frozen=True, slots=True)
class Utterance:
    """What somebody said: times in seconds from the recording's beginning, or None where they cannot be read."""

    start: float | None
    end: float | None
    text: str
    speaker: str = ""

    @property
    def window(self) -> tuple[float, float] | None:
        """Start and end, if they are times and in this order."""
        if self.start is None or self.end is None or not 0 <= self.start <= self.end < float("inf"):
            return None
        return self.start, self.end


def read_transcript(path: Path, columns: TranscriptColumns) -> list[Utterance]:
    """Return the utterances of a transcript, in its order, with their text as it stands there.

    Raises:
        ConfigError: the file is not readable as what its name says, or lacks a column.
    """
    return _read_subtitles(path) if path.suffix in (".srt", ".vtt") else _read_table(path, columns)


def seconds_of(time: str) -> float | None:
    """Return a time in seconds, given in seconds or as hours:minutes:seconds; None if it is neither."""
    time = time.strip()
    if match := CLOCK.fullmatch(time):
        return 3600 * int(match["hours"] or 0) + 60 * int(match["minutes"]) + float(match["seconds"].replace(",", "."))
    try:
        return float(time)
    except ValueError:
        return None


def cleaned_utterance(text: str) -> str:
    """Return the words that were said, empty if there are none.

    Left out are codes and comments in brackets, what the speaker took back at once, sounds (``&=laughs``, ``(sighs)``),
    what was not understood (``xxx``), not said (``0is``) or broken off (``+...``). Letters in brackets inside a word
    are kept: ``(be)cause``.
    """
    text = TAG.sub("", BULLET.sub(" ", text))
    text = ASIDE.sub(" ", CODE.sub(" ", TAKEN_BACK.sub(" ", text)))
    words = SIGNS.sub("", text).replace("_", " ").split()
    kept = " ".join(SUFFIX.sub("", word) for word in words if not DROPPED.fullmatch(word))
    kept = LOOSE.sub("", normalise_caption(kept))
    return kept if any(character.isalnum() for character in kept) else ""


def _read_table(path: Path, columns: TranscriptColumns) -> list[Utterance]:
    lines = read_list(path)
    check_columns(path, lines, [columns.start, columns.text])
    return [_utterance(line, columns) for line in lines]


def _utterance(line: Mapping[str, str], columns: TranscriptColumns) -> Utterance:
    start = seconds_of(line.get(columns.start, ""))
    end = line.get(columns.end, "").strip()
    return Utterance(
        start=start,
        end=seconds_of(end) if end else start,
        text=line.get(columns.text, ""),
        speaker=line.get(columns.speaker, "").strip(" *:"),
    )


def _read_subtitles(path: Path) -> list[Utterance]:
    """Return the cues of a subtitle file; one that the parser passes over is an error, not a gap."""
    import webvtt

    try:
        text = path.read_text(encoding="utf-8-sig")
        cues = (webvtt.from_srt if path.suffix == ".srt" else webvtt.read)(str(path)).captions if text.strip() else []
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not in UTF-8: {error.reason} at byte {error.start}") from None
    except (webvtt.errors.MalformedFileError, webvtt.errors.MalformedCaptionError) as error:
        raise ConfigError(f"{path} cannot be read as subtitles: {' '.join(str(error).split())}") from None
    arrows = sum("-->" in line for line in text.splitlines())
    if arrows != len(cues):
        raise ConfigError(f"{path} has {arrows} cues, but only {len(cues)} have times that can be read; correct it")
    return [_cue(cue) for cue in cues]


def _cue(cue: "webvtt.Caption") -> Utterance:
    text, speaker = cue.raw_text, cue.voice or ""
    if not speaker and (match := SPEAKER.match(text)):
        text, speaker = text[match.end() :], match[1]
    return Utterance(seconds_of(cue.start), seconds_of(cue.end), text, speaker.strip())
