"""Duplicates by a greedy leader: every dropped picture has a kept partner that is as close as the rule demands.

Pictures are walked once in an order that depends on them alone (a policy, then the hash). One stays unless a picture
that stayed is its duplicate; then it goes, and the closest of these is its partner. So no two pictures that stay are
duplicates, none goes without a partner that stays, and the outcome does not depend on the input's order. Both are
checked at every run. Several captions of one picture are several samples of one picture, never duplicates.

A rule looks at the scores of a pair alone, so a pair that is stored can be judged again by another rule.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.errors import DataError
from pipeline.measure.vectors import gathered
from pipeline.select import overlay
from pipeline.select.config import DuplicateConfig
from pipeline.select.neighbours import cosines_of, pairs_at_or_above
from pipeline.select.pictures import Gallery, Picture

if TYPE_CHECKING:
    import numpy as np

CHUNK = 4_096  # pairs at a time, for memory only
DECIMALS = 6  # of a difference
LOOKED_AT = 0.5  # least agreement of lines, where they agree worst, of pairs whose colours are compared
NAMED_FLOOR = 0.8  # lines of named pictures that agree less are not stored: they are never one by their lines
PIXELS, NEAR, REDRAWN = "duplicate_pixels", "near_duplicate", "same_drawing"


@dataclass(frozen=True, slots=True)
class Scores:
    """P pairs of pictures that are close, sorted by rows, each column an array of length P.

    Attributes:
        first, second: rows of a gallery, `first` < `second`.
        cosine: of the embeddings.
        hamming: number of bits in which the perceptual hashes differ.
        difference: the largest difference between the mean colours, in any cell and colour; 0 to 1, and 1 where the
            lines agree so little that nobody looked.
        lines: agreement of the lines where they agree worst, as the pictures lie.
        agreement, weakest: of the lines in all and where they agree worst, under the best window.
        same_pixels: the decoded pictures are equal.
        blank: one of them holds nearly nothing.
        simple: one of them has few edges.
        outlined: one of them, and one only, is lines on white paper.
        named: at least one stands under names alone.
    """

    first: "np.ndarray"
    second: "np.ndarray"
    cosine: "np.ndarray"
    hamming: "np.ndarray"
    difference: "np.ndarray"
    lines: "np.ndarray"
    agreement: "np.ndarray"
    weakest: "np.ndarray"
    same_pixels: "np.ndarray"
    blank: "np.ndarray"
    simple: "np.ndarray"
    outlined: "np.ndarray"
    named: "np.ndarray"


@dataclass(frozen=True, slots=True)
class Partner:
    """Why a picture goes: the row of the one that stays, their cosine, and the reason."""

    row: int
    cosine: float
    reason: str


def close_pairs(config: DuplicateConfig, gallery: Gallery) -> Scores:
    """Return the scores of all pairs with equal pixels, a cosine from a floor on, or lines from a floor on."""
    import numpy as np

    named = _named(config, gallery.pictures)
    every, told = np.arange(len(named)), np.flatnonzero(~named)
    near = []
    for vectors, floor, lower in (
        (gallery.vectors, config.floor, min(config.cut_floor, config.floor)),
        (gallery.structures, max(config.line_floor, NAMED_FLOOR), config.line_floor),
    ):
        # Pictures with names alone would give by far the most pairs below their floor, and none of them counts.
        for rows, least in ((every, floor), (told, lower)) if named.any() else ((every, lower),):
            found = pairs_at_or_above(vectors if rows is every else gathered(vectors, rows, gallery.folder), least)
            near.append(rows[np.stack([found.first, found.second], axis=1)])
    rows = np.concatenate([_equal_pixels(gallery.pictures), *near])
    return score_pairs(config, gallery, np.unique(rows, axis=0))


def score_pairs(config: DuplicateConfig, gallery: Gallery, rows: "np.ndarray") -> Scores:
    """Return the scores of some pairs, given as (P, 2) rows of a gallery.

    Lines are laid over each other only where the rule would look at it; other pictures are compared as they lie.
    """
    import numpy as np

    first, second = rows.reshape(-1, 2).astype(np.int64).T
    pictures = gallery.pictures
    hashes = np.array([picture.phash for picture in pictures], dtype=np.uint64)
    names = _named(config, pictures)
    named = names[first] | names[second]
    cosine = _cosines(gallery, first, second)
    _, pixels = np.unique([picture.pixel_sha256 for picture in pictures], return_inverse=True)
    entropy = np.array([picture.entropy for picture in pictures])
    edges = np.array([picture.edge_density for picture in pictures])
    outline = np.array([picture.outline for picture in pictures], dtype=bool)
    blank = np.minimum(entropy[first], entropy[second]) < config.blank_entropy
    simple = np.minimum(edges[first], edges[second]) < config.detail
    outlined = outline[first] != outline[second]
    still = overlay.in_place(gallery.structures, gallery.structures, first, second)
    difference = _differences(gallery, first, second, still.weakest >= min(LOOKED_AT, config.lines))
    wanted = ~(named | blank | simple) & (outlined | (cosine >= config.kinship)) & (still.weakest < config.lines)
    moved = _moved(config, gallery, still, first, second, wanted & config.redrawn)
    return Scores(
        first=first,
        second=second,
        cosine=cosine,
        hamming=np.bitwise_count(hashes[first] ^ hashes[second]).astype(np.int64),
        difference=difference,
        lines=still.weakest,
        agreement=moved.agreement,
        weakest=moved.weakest,
        same_pixels=pixels[first] == pixels[second],
        blank=blank,
        simple=simple,
        outlined=outlined,
        named=named,
    )


def _named(config: DuplicateConfig, pictures: Sequence[Picture]) -> "np.ndarray":
    """Return which of the pictures stand under names alone."""
    import numpy as np

    return np.array([picture.is_named(config.name_words) for picture in pictures], dtype=bool)


def _moved(
    config: DuplicateConfig,
    gallery: Gallery,
    still: overlay.Alignment,
    first: "np.ndarray",
    second: "np.ndarray",
    wanted: "np.ndarray",
) -> overlay.Alignment:
    """Return the alignments under the best window for the wanted pairs, and as they lie for the others."""
    structures, rows = gallery.structures, wanted.nonzero()[0]
    best = overlay.aligned(structures, structures, first[rows], second[rows], mirrored=config.mirrored)
    moved = overlay.Alignment(still.agreement.copy(), still.weakest.copy())
    moved.agreement[rows], moved.weakest[rows] = best
    return moved


def _equal_pixels(pictures: Sequence[Picture]) -> "np.ndarray":
    """Return the (P, 2) rows of pictures with equal pixels."""
    import numpy as np

    groups: dict[str, list[int]] = {}
    for row, picture in enumerate(pictures):
        groups.setdefault(picture.pixel_sha256, []).append(row)
    pairs = [(a, b) for rows in groups.values() for place, a in enumerate(rows) for b in rows[place + 1 :]]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def _cosines(gallery: Gallery, first: "np.ndarray", second: "np.ndarray") -> "np.ndarray":
    import numpy as np

    chunks = [slice(start, start + CHUNK) for start in range(0, len(first), CHUNK)]
    parts = [cosines_of(gallery.vectors[first[chunk]], gallery.vectors[second[chunk]]) for chunk in chunks]
    return np.concatenate([np.empty(0), *parts])


def _differences(gallery: Gallery, first: "np.ndarray", second: "np.ndarray", looked_at: "np.ndarray") -> "np.ndarray":
    """Return the largest differences of the colours of some pairs; 1 for those that are not looked at."""
    import numpy as np

    differences, places = np.ones(len(first)), looked_at.nonzero()[0]
    rows = np.unique([first[places], second[places]])
    colours = {row: np.frombuffer(gallery.colours[gallery.pictures[row].sha256], np.uint8) for row in rows.tolist()}
    for place, a, b in zip(places.tolist(), first[places].tolist(), second[places].tolist(), strict=True):
        differences[place] = np.abs(colours[a].astype(np.int16) - colours[b]).max() / 255
    return np.round(differences, DECIMALS)


def tiers(config: DuplicateConfig, scores: Scores) -> "dict[str, np.ndarray]":
    """Return, for every tier by itself, which pairs it calls one picture: (P,) booleans by the tier's name."""
    seen = ~scores.blank
    alike = seen & (scores.difference <= config.difference) & (scores.lines >= config.lines)
    found = {
        "exact": scores.same_pixels,
        "perceptual": alike & (scores.hamming <= config.hamming),
        "semantic": alike & (scores.cosine >= config.cosine),
        "lines": alike & (scores.lines >= config.same_lines),
    }
    painted = (
        (scores.agreement >= config.agreement)
        & (scores.weakest >= config.weakest)
        & (scores.cosine >= config.kinship)
        & ~scores.outlined
    )
    outlined = (
        (scores.agreement >= config.outline_agreement) & (scores.weakest >= config.outline_weakest) & scores.outlined
    )
    redrawn = seen & ~scores.named & ~scores.simple & (painted | outlined)
    return {**found, "redrawn": redrawn & config.redrawn}


def reasons(config: DuplicateConfig, scores: Scores) -> "np.ndarray":
    """Return the (P,) reasons for which pairs are one picture, as Python's strings; empty where they are two."""
    import numpy as np

    found = tiers(config, scores)
    near = found["perceptual"] | found["semantic"] | found["lines"]
    numbers = np.select(
        [found["exact"], near, found["redrawn"]], [np.int8(1), np.int8(2), np.int8(3)], default=np.int8(0)
    )
    return np.array(["", PIXELS, NEAR, REDRAWN], dtype=object)[numbers]


def greedy_leader(count: int, scores: Scores, reason: "np.ndarray") -> dict[int, Partner]:
    """Walk the pictures in their order and return the partner of every one that goes, by row.

    Args:
        count: of pictures, in the order of `leader_order`.
        scores: the pairs.
        reason: of each pair, from `reasons`.

    Raises:
        DataError: the guarantee does not hold.
    """
    order = {PIXELS: 0, NEAR: 1, REDRAWN: 2}
    neighbours: dict[int, list[Partner]] = {}
    duplicates: list[tuple[int, int]] = []
    for place in reason.nonzero()[0].tolist():
        first, second = int(scores.first[place]), int(scores.second[place])
        partner = Partner(first, float(scores.cosine[place]), str(reason[place]))
        neighbours.setdefault(second, []).append(partner)
        duplicates.append((first, second))
    dropped: dict[int, Partner] = {}
    for row in range(count):
        kept = [partner for partner in neighbours.get(row, ()) if partner.row not in dropped]
        if kept:
            dropped[row] = min(kept, key=lambda partner: (order[partner.reason], -partner.cosine, partner.row))
    check_guarantee(dropped, duplicates)
    return dropped


def check_guarantee(dropped: Mapping[int, Partner], duplicates: Iterable[tuple[int, int]]) -> None:
    """Raise unless every picture that goes has a partner that stays, and no two that stay are duplicates.

    Args:
        dropped: the partner by row.
        duplicates: rows of the pairs that are one picture by the rule, the smaller first.

    Raises:
        DataError: with the number of violations.
    """
    known = set(duplicates)
    orphans = [
        row
        for row, partner in dropped.items()
        if partner.row in dropped or (min(row, partner.row), max(row, partner.row)) not in known
    ]
    if orphans:
        raise DataError(f"{len(orphans)} duplicates were dropped without a partner that stays")
    left = [pair for pair in known if pair[0] not in dropped and pair[1] not in dropped]
    if left:
        raise DataError(f"{len(left)} pairs of duplicates stayed together")
