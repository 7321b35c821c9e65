"""Who trains and who is asked: whole groups, linked where they share a picture or a caption, and a check for leaks.

Groups become one component where they hold the same picture or the same words: the same name in two styles, the same
story in two versions, a page and its translations. A component goes where the hash of the seed and of its smallest
group says: to validation, test or training; one that chains several groups into more than the share that is asked for
trains. Of a held-out corpus, what falls to training becomes the set ``test_style``: known names in a style that has
never been seen.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pipeline.errors import ConfigError, DataError
from pipeline.measure.caption import words_of
from pipeline.select.config import SplitConfig

Value = TypeVar("Value", str, float)
TRAIN, VALIDATION, TEST, STYLE = "train", "validation", "test_names", "test_style"


@dataclass(frozen=True, slots=True)
class Member:
    """What a split knows of a sample."""

    uid: str
    corpus: str
    group: str
    caption: str
    image_sha256: str
    category: str = ""
    lang: str = ""


def components(members: Sequence[Member]) -> list[str]:
    """Return each sample's component, named by its smallest group."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    groups = sorted({member.group for member in members})
    nodes: dict[tuple[str, str], int] = {("group", group): row for row, group in enumerate(groups)}
    edges = []
    for member in members:
        own = nodes["group", member.group]
        links = (("picture", member.image_sha256), ("caption", same_words(member.caption)))
        edges += [(own, nodes.setdefault(link, len(nodes))) for link in links]
    rows, columns = zip(*edges, strict=True)
    graph = coo_matrix(([1] * len(edges), (rows, columns)), shape=(len(nodes), len(nodes)))
    _, labels = connected_components(graph, directed=False)
    first: dict[int, str] = {}
    for row, group in enumerate(groups):
        first.setdefault(labels[row], group)
    return [first[labels[nodes["group", member.group]]] for member in members]


def same_words(caption: str) -> str:
    """Return what two captions have in common that say the same: the words, without case and punctuation."""
    return " ".join(words_of(caption)) or caption.casefold()


def assign(config: SplitConfig, members: Sequence[Member], component: Sequence[str]) -> list[str]:
    """Return each sample's split.

    Of the held-out corpus, a component that no other corpus has is asked as unknown names, since nothing teaches them;
    and a picture that another corpus has, too, is of no style of its own and goes with its component.

    Raises:
        ConfigError: the held-out corpus is not there.
    """
    if config.held_out and config.held_out not in {member.corpus for member in members}:
        raise ConfigError(
            f"select.split.held_out: no sample of a corpus {config.held_out} is left; name one of corpora"
        )
    taught = {name for m, name in zip(members, component, strict=True) if m.corpus != config.held_out}
    shared = {member.image_sha256 for member in members if member.corpus != config.held_out}
    chained = _chained(config, members, component)
    splits = []
    shares = _test_shares(config, members, component)
    for member, name in zip(members, component, strict=True):
        split = TRAIN if name in chained else _drawn(config, name, shares[name])
        if split == TRAIN and name not in taught:
            split = TEST
        elif split == TRAIN and member.corpus == config.held_out and member.image_sha256 not in shared:
            split = STYLE
        splits.append(split if split in (TRAIN, VALIDATION) else _test_set(config, member, split))
    return splits


def _test_set(config: SplitConfig, member: Member, split: str) -> str:
    name = _by_kind(config.test_sets, member, TEST) if split == TEST else split
    return f"{name}_{member.lang}" if config.by_language else name


def _is_style(split: str) -> bool:
    return split == STYLE or split.startswith(f"{STYLE}_")


def _test_shares(config: SplitConfig, members: Sequence[Member], component: Sequence[str]) -> dict[str, float]:
    shares: dict[str, float] = {}
    for member, name in zip(members, component, strict=True):
        shares[name] = max(shares.get(name, 0.0), _by_kind(config.test_of, member, config.test))
    return shares


def _drawn(config: SplitConfig, component: str, test: float) -> str:
    place = _unit_interval(f"{config.seed}:{component}")
    if place < test:
        return TEST
    return VALIDATION if place < test + config.validation else TRAIN


def _by_kind(values: Mapping[str, Value], member: Member, usual: Value) -> Value:
    return values.get(f"{member.corpus}/{member.category}", values.get(member.corpus, usual))


def _chained(config: SplitConfig, members: Sequence[Member], component: Sequence[str]) -> set[str]:
    """Return the components of several groups with more samples than the larger of the shares that are asked."""
    samples = Counter(component)
    groups = Counter(name for name, _ in {(name, m.group) for m, name in zip(members, component, strict=True)})
    limit = max(config.test, config.validation) * len(members)
    return {name for name, number in samples.items() if number > limit and groups[name] > 1}


def _unit_interval(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


def check_leaks(
    members: Sequence[Member],
    component: Sequence[str],
    splits: Sequence[str],
    pixels: Mapping[str, str],
    near: Sequence[tuple[str, str]],
) -> None:
    """Raise if training and another split share a picture or a near-duplicate or, but for style, a group or a caption.

    Args:
        pixels: hash of the decoded pixels by image hash.
        near: pairs of image hashes that are duplicates by the rule.

    Raises:
        DataError: naming what is shared and by how many.
    """
    sides: dict[str, set[str]] = {}
    for member, split in zip(members, splits, strict=True):
        side = sides.setdefault(member.image_sha256, set())
        side.add("train" if split == TRAIN else "asked")
    both = {"train", "asked"}
    unknown = {split for split in splits if split != TRAIN and not _is_style(split)}
    words = [same_words(member.caption) for member in members]
    by_pixels: dict[str, set[str]] = {}
    for image, side in sides.items():
        by_pixels.setdefault(pixels.get(image, image), set()).update(side)
    crossing = [
        ("pictures", sum(side == both for side in sides.values())),
        ("pixels of pictures", sum(side == both for side in by_pixels.values())),
        ("near-duplicates", sum((sides.get(a, set()) | sides.get(b, set())) == both for a, b in near)),
        ("groups", len(_of(component, splits, {TRAIN}) & _of(component, splits, unknown))),
        ("captions", len(_of(words, splits, {TRAIN}) & _of(words, splits, unknown))),
    ]
    for what, number in crossing:
        if number:
            raise DataError(f"the split leaks: {number} {what} stand on both sides of training")


def _of(component: Sequence[str], splits: Sequence[str], wanted: set[str]) -> set[str]:
    return {name for name, split in zip(component, splits, strict=True) if split in wanted}
