"""Obtain a corpus as its card says, and write it as raw shards."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.acquire import folder, iconify, url_list
from pipeline.acquire.card import Card, load_card
from pipeline.acquire.options import AcquireOptions
from pipeline.acquire.raw import SUCCESS, RawRow, write_raw
from pipeline.acquire.sources import FolderSource, IconifySource, UrlListSource
from pipeline.errors import DataError
from pipeline.workspace import Counts


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


def acquire(card: Card, options: AcquireOptions, out: Path, *, name: str | None = None) -> Counts:
    """Write the card's corpus to ``out/raw/<name>``, and return its counts.

    A URL list keeps what it has fetched in ``out/parts``, so an interrupted call goes on when it is made again.

    Args:
        name: of the corpus in the run; the card's own by default.

    Raises:
        ConfigError: the card, the options or the environment cannot work.
        DataError: nothing succeeded, or less than the minimal success rate; nothing is left in ``out/raw/<name>``.
    """
    name = name or card.name
    target = out / "raw" / name
    files.remove(target)
    tally = Tally()
    counts = write_raw(tally.watch(_rows(card, options, out / "parts" / name)), target)
    try:
        _check_yield(card, options, tally)
    except DataError:
        files.remove(target)
        url_list.forget_failures(out / "parts" / name)
        raise
    return counts


def source_params(card: Card, options: AcquireOptions) -> dict[str, Any]:
    """Return what decides the outcome: the card's source, the list's content, the versions of the tools.

    Where the mirror or the list lies is not part of it.

    Raises:
        ConfigError: the list or the folder is missing.
    """
    front = card.model_dump(mode="json", include={"name", "licence", "licences", "attribution", "language"})
    params: dict[str, Any] = {"card": front, "source": card.source.model_dump(mode="json"), "limit": options.limit}
    params["tools"] = {"pillow": version("pillow")}
    if isinstance(card.source, IconifySource):
        params["tools"]["resvg_py"] = version("resvg_py")
        if card.source.spelling:
            params["spelling"] = load_card(card.source.spelling).source.model_dump(mode="json")
            params["tools"]["wordfreq"] = version("wordfreq")
    elif isinstance(card.source, UrlListSource):
        params |= url_list.params(card.source, mirror=options.mirror, list_path=options.list)
    else:
        params |= folder.params(card, card.source)
    return params


def _rows(card: Card, options: AcquireOptions, parts: Path) -> Iterator[RawRow]:
    source = card.source
    if isinstance(source, IconifySource):
        return iconify.rows(card, source, workers=options.workers, limit=options.limit)
    if isinstance(source, FolderSource):
        return folder.rows(card, source, workers=options.workers, limit=options.limit)
    return url_list.rows(
        card,
        source,
        parts,
        mirror=options.mirror,
        list_path=options.list,
        workers=options.workers,
        limit=options.limit,
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
