"""Obtain a corpus as its card says, and write it as raw shards."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from pipeline import files
from pipeline.acquire.admission import settled
from pipeline.acquire.card import Card
from pipeline.acquire.engines import (
    folder,
    frames,
    hub,
    icon_names,
    icon_sets,
    iconify,
    openclipart,
    picturebooks,
    tuxpaint,
    url_list,
    webdataset,
)
from pipeline.acquire.hash_lists import LISTED, identity, without_listed
from pipeline.acquire.options import AcquireOptions, Screen
from pipeline.acquire.pictures.admit import VERSION as ADMISSION
from pipeline.acquire.pictures.blur import blurred
from pipeline.acquire.raw import SUCCESS, RawRow, write_raw
from pipeline.acquire.sources import AnySource
from pipeline.acquire.tombstones import read_tombstones
from pipeline.errors import ConfigError, DataError, SafetyError
from pipeline.plugins import plugin_identity
from pipeline.workspace import Counts


class Engine(Protocol):
    """What the module of an engine offers. `source` is the card's own, of the engine's model."""

    def rows(self, card: Card, source: Any, options: AcquireOptions, parts: Path) -> Iterator[RawRow]:
        """Yield a row for every input, in an order that depends on the inputs alone.

        Args:
            parts: folder of the engine's own, which an interrupted call finds again.
        """

    def params(self, card: Card, source: Any, options: AcquireOptions) -> dict[str, Any]:
        """Return what decides the outcome besides the card: digests of inputs, and ``tools`` with their versions."""

    def availability(self, card: Card, source: Any) -> str:
        """Return why the corpus cannot be had from here now, in a few words; the empty text if it can.

        It takes three seconds at most and downloads nothing large.
        """


ENGINES: Mapping[str, Engine] = {
    "folder": folder,
    "frames": frames,
    "hub": hub,
    "icon_names": icon_names,
    "icon_sets": icon_sets,
    "iconify": iconify,
    "openclipart": openclipart,
    "picturebooks": picturebooks,
    "tuxpaint": tuxpaint,
    "url_list": url_list,
    "webdataset": webdataset,
}


@dataclass
class Tally:
    """Counts rows as they pass: those wanted (not excluded), those that succeeded, and an example of each failure."""

    wanted: int = 0
    succeeded: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def watch(self, rows: Iterable[RawRow]) -> Iterator[RawRow]:
        """Yield the rows as they are."""
        for row in rows:
            self.wanted += row.status != "excluded"
            self.succeeded += row.status == SUCCESS
            if row.status != SUCCESS:
                self.reasons[row.reason] += 1
                self.examples.setdefault(row.reason, row.error_message)
            yield row

    def __str__(self) -> str:
        counts = ", ".join(f"{reason} {count}" for reason, count in self.reasons.most_common()) or "it has no rows"
        example = next((self.examples[reason] for reason, _ in self.reasons.most_common(1)), "")
        return f"{counts}; for example: {example}" if example else counts


def acquire(
    card: Card, options: AcquireOptions, out: Path, *, name: str | None = None, ledger: Path | None = None
) -> Counts:
    """Write the card's corpus to ``out/raw/<name>``, and return its counts.

    A URL list keeps what it has fetched in ``out/parts``, so an interrupted call goes on when it is made again.

    Rows for which there is a tombstone are written as excluded, with nothing of them left but that.

    Args:
        name: of the corpus in the run; the card's own by default.
        ledger: whose tombstones count besides those of the options' own ledger.

    Raises:
        ConfigError: the card, the options or the environment cannot work.
        DataError: nothing succeeded, or less than the minimal success rate; nothing is left in ``out/raw/<name>``.
        SafetyError: a picture of the screen's lists, where that ends the run; nothing is left of the corpus.
    """
    name = name or card.name
    target = out / "raw" / name
    files.remove(target)
    tally = Tally()
    found = ENGINES[card.source.engine].rows(card, source_of(card, options), options, out / "parts" / name)
    rows = blurred(
        without_listed(settled(found, animated=card.source.animated), options.screen.hash_lists), options.screen.blur
    )
    tombstones = read_tombstones(options.ledger, ledger)
    counts = write_raw(tally.watch(tombstones.applied(rows)), target)
    try:
        _check_safety(card, options.screen, tally)
        _check_yield(card, options, tally)
    except (DataError, SafetyError):
        files.remove(target)
        raise
    if card.source.engine in ("url_list", "picturebooks"):
        url_list.remember(card, options, target)
    return counts


def source_of(card: Card, options: AcquireOptions) -> AnySource:
    """Return the card's source, with captions in the languages that the options ask for.

    Raises:
        ConfigError: it has captions in one language.
    """
    if not options.languages:
        return card.source
    if "languages" not in type(card.source).model_fields:
        raise ConfigError(f"{card.name} has captions in {card.language} alone; take its languages out of corpora")
    return card.source.model_copy(update={"languages": options.languages})


def source_params(card: Card, options: AcquireOptions) -> dict[str, Any]:
    """Return what decides the outcome: the card's source, the list's content, the versions of the tools.

    Where the mirror or the list lies is not part of it.

    Raises:
        ConfigError: the list or the folder is missing.
    """
    front = card.model_dump(mode="json", include={"name", "licence", "licences", "attribution", "language"})
    source = source_of(card, options)
    found = ENGINES[source.engine].params(card, source, options)
    return {
        "card": front,
        "source": source.model_dump(mode="json"),
        "limit": options.limit,
        "admission": ADMISSION,
        **found,
        **_screen_params(options.screen),
        "tools": {"ftfy": version("ftfy"), "pillow": version("pillow"), **found.get("tools", {})},
    }


def _screen_params(screen: Screen) -> dict[str, Any]:
    """Return what of the screen decides the outcome; nothing where there is none."""
    found: dict[str, Any] = {"hash_lists": identity(screen.hash_lists)} if screen.hash_lists else {}
    return found | ({"blur": plugin_identity(screen.blur)} if screen.blur else {})


def _check_safety(card: Card, screen: Screen, tally: Tally) -> None:
    """Raise if a picture stood on a list and that ends the run."""
    if tally.reasons[LISTED] and screen.stop:
        raise SafetyError(
            f"{card.name}: {tally.reasons[LISTED]} pictures stand on the lists of select.safety.hash_lists "
            f"({tally.examples[LISTED]}); none was decoded or stored; to leave them out, set select.safety.on_hit: drop"
        )


def _check_yield(card: Card, options: AcquireOptions, tally: Tally) -> None:
    """Raise unless enough of the rows that were wanted succeeded."""
    if tally.succeeded == 0:
        raise DataError(f"empty corpus: no row of {card.name} succeeded ({tally})")
    minimum = card.source.min_success_rate if options.min_success_rate is None else options.min_success_rate
    if tally.succeeded < minimum * tally.wanted:
        raise DataError(
            f"{card.name}: {tally.succeeded} of {tally.wanted} rows succeeded, less than the minimum of {minimum:.0%} "
            f"({tally}); run again to retry what failed, or lower min_success_rate"
        )
