"""Opt-outs from machine learning in headers, pages and files: pure functions that name the signal they find.

They are read leniently, to the advantage of who opts out: letter case, spaces and quotes do not matter, and a value
that is malformed elsewhere still counts where it is clear.

X-Robots-Tag and ``<meta name="robots">`` opt out with ``noai``, ``noimageai`` and ``noml``; with ``noindex``,
``noimageindex`` and ``none``, since who must not be indexed does not ask to be a training example; and with an
``unavailable_after`` that lies in the past. Directives that name an agent count if they name one of ours or ``*``.
``nosnippet``, ``noarchive``, ``nofollow`` and ``notranslate`` speak of search results and do not.

Content-Usage is the header of the IETF's AI preferences (draft-ietf-aipref-attach, draft-ietf-aipref-vocab):
``train-ai=n`` opts out, as does ``bots=n`` of earlier drafts unless ``train-ai=y`` stands beside it.
Content-Signal is its widespread relative with ``ai-train=no``. TDM-Reservation, ``tdmrep.json`` and
``<meta name="tdm-reservation">`` are W3C's TDM Reservation Protocol (final report, 2024).
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from html.parser import HTMLParser
from typing import TYPE_CHECKING

from pipeline.acquire.net.config import Signal

if TYPE_CHECKING:
    from multidict import MultiMapping

AGENTS = ("essen", "img2dataset")
REFUSALS = frozenset({"noai", "noimageai", "noml", "noindex", "noimageindex", "none"})
VALUED = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})
WEEKDAY = re.compile(r"\b(mon|tues?|wed(nes)?|thu(rs)?|fri|sat(ur)?|sun)(day)?,", re.IGNORECASE)
DIRECTIVE = re.compile(r"\s*([\w*.-]+)\s*:(.*)", re.DOTALL)
PAGE_BYTES = 65_536


def in_headers(headers: "MultiMapping[str]", now: float) -> Iterator[tuple[Signal, str]]:
    """Yield the kind and the words of every opt-out among the headers of an answer."""
    for directive in dict.fromkeys(x_robots_tag(headers.getall("X-Robots-Tag", ()), now)):
        yield "X-Robots-Tag", f"X-Robots-Tag: {directive}"
    if stated := content_usage(headers.getall("Content-Usage", ())):
        yield "Content-Usage", f"Content-Usage: {stated}"
    if stated := content_signal(headers.getall("Content-Signal", ())):
        yield "Content-Usage", f"Content-Signal: {stated}"
    if tdm_reservation(headers.getall("TDM-Reservation", ())) == "1":
        yield "TDM-Reservation", "TDM-Reservation: 1"


def x_robots_tag(values: Iterable[str], now: float) -> Iterator[str]:
    """Yield the directives of X-Robots-Tag headers that opt out.

    Args:
        values: one string for each header line.
        now: seconds since 1970, for ``unavailable_after``.
    """
    for value in values:
        yield from _refusals(value, now)


def content_usage(values: Iterable[str]) -> str:
    """Return the preference of Content-Usage headers (or rules) against training, empty if there is none."""
    stated = _dictionary(values)
    if stated.get("train-ai") == "n":
        return "train-ai=n"
    return "bots=n" if stated.get("bots") == "n" and "train-ai" not in stated else ""


def content_signal(values: Iterable[str]) -> str:
    """Return the Content-Signal against training, empty if there is none."""
    return "ai-train=no" if _dictionary(values).get("ai-train") == "no" else ""


def tdm_reservation(values: Sequence[str]) -> str:
    """Return ``1`` if a TDM-Reservation header reserves, ``0`` if one says that nothing is reserved, else empty."""
    stated = {value.strip().strip('"') for value in values}
    return next((value for value in ("1", "0") if value in stated), "")


def page(body: bytes, now: float) -> str:
    """Return the opt-out in the meta elements of an HTML page (its first 64 KiB), empty if there is none."""
    reader = _MetaReader()
    reader.feed(body[:PAGE_BYTES].decode("utf-8", "replace"))
    for name, content in reader.found:
        if name in ("robots", *AGENTS) and (directive := next(x_robots_tag([content], now), "")):
            return f"meta {name}: {directive}"
        if name == "tdm-reservation" and tdm_reservation([content]) == "1":
            return "meta tdm-reservation: 1"
    return ""


def unavailable(date: str, now: float) -> bool:
    """Tell whether a date, in the forms of RFC 822, RFC 850 or ISO 8601, has passed; no date has not."""
    forms = ((datetime.fromisoformat, ""), (parsedate_to_datetime, ""), (parsedate_to_datetime, " 00:00:00"))
    for parse, time in forms:
        try:
            moment = parse(date.strip() + time)
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() <= now
    return False


def _refusals(value: str, now: float) -> Iterator[str]:
    """Yield the directives of one header line that opt out; an agent's name holds for the rest of its line."""
    ours = True
    for part in WEEKDAY.sub("", value).split(","):
        text = part
        while match := DIRECTIVE.fullmatch(text):
            name, rest = match[1].lower(), match[2]
            if name in VALUED:
                if ours and name == "unavailable_after" and unavailable(rest, now):
                    yield name
                text = ""
            else:
                ours, text = name in (*AGENTS, "*"), rest
        words = [word.strip().lower() for word in re.split(r"[\s;]+", text)]
        yield from (word for word in words if ours and word in REFUSALS)


def _dictionary(values: Iterable[str]) -> Mapping[str, str]:
    """Return keys and values of a structured dictionary (RFC 9651), without parameters; the stricter of two counts."""
    found: dict[str, str] = {}
    for item in ",".join(values).split(","):
        key, _, value = item.partition(";")[0].partition("=")
        key, value = key.strip().lower(), value.strip().strip('"').lower()
        value = {"?0": "n", "?1": "y"}.get(value, value)
        if found.get(key) not in ("n", "no"):
            found[key] = value
    return found


class _MetaReader(HTMLParser):
    """Collects names and contents of meta elements."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "meta":
            values = dict(attrs)
            self.found.append(((values.get("name") or "").strip().lower(), values.get("content") or ""))
