"""Photographs of real children: kept out as far as the card, the caption or a plug-in can tell.

Not guaranteed: a photograph stays where the card calls a corpus drawings, where the estimate takes it for a drawing,
and where neither a face plug-in nor the caption speaks of a child. Faces are missed by every detector: a plug-in lowers
the number of photographs that stay, it does not make a corpus free of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.acquire.card import Imagery
from pipeline.acquire.pictures.blur import faces_of
from pipeline.errors import ConfigError
from pipeline.measure.caption import words_of
from pipeline.measure.language import base_language
from pipeline.plugins import load_plugin
from pipeline.select.photographs import photo_probability
from pipeline.select.plugins import decoded
from pipeline.select.safety_config import RealChildrenConfig
from pipeline.select.verdict import SAFETY, Drop
from pipeline.select.word_lists import Heading, says

if TYPE_CHECKING:
    from PIL import Image

CARE: tuple[Imagery, ...] = ("drawings", "mixed", "photographs")
# Nouns, as words or lemmas, of captions that speak of a child.
CHILD_WORDS = Heading(
    frozenset((word,) for word in (
        "child", "kid", "boy", "girl", "baby", "toddler", "infant", "newborn", "preschooler", "schoolchild",
        "schoolboy", "schoolgirl", "youngster", "teenager", "son", "daughter", "grandchild", "grandson",
        "granddaughter", "niece", "nephew", "pupil",
        "children", "kids", "boys", "girls", "babies", "toddlers", "infants", "schoolchildren", "teenagers", "sons",
        "daughters", "grandchildren", "pupils",
    ))
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class CorpusFacts:
    """What the card of a corpus says that safety depends on.

    Attributes:
        child_directed: whether it was made for children.
        imagery: what its pictures are.
        english_groups: whether groups are the pictures' English names, in whatever language the captions are.
    """

    child_directed: bool = False
    imagery: Imagery = "mixed"
    english_groups: bool = False


@dataclass(frozen=True, slots=True)
class Sample:
    """What safety asks of a sample; `place` is tar, offset and size of its picture, `lemmas` those of its caption."""

    uid: str
    corpus: str
    image: str
    caption: str
    place: tuple[Path, int, int]
    lemmas: tuple[str, ...]
    lang: str
    group: str


def real_child_drops(
    config: RealChildrenConfig,
    samples: Sequence[Sample],
    facts: Mapping[str, CorpusFacts],
    words: Mapping[str, Heading],
) -> dict[str, Drop]:
    """Return the samples that are left out by the policy: ``real_child`` or ``photograph``, with all their captions.

    Args:
        config: the policy.
        samples: to look at.
        facts: what the cards say, by corpus.
        words: for a child, by language; English ones where a language has none.

    Raises:
        ConfigError: a plug-in cannot be used.
    """
    if config.policy in ("allow", "blur"):
        return {}
    imagery = _imagery(samples, facts)
    places = dict(sorted((sample.image, sample.place) for sample in samples if imagery[sample.image] != "drawings"))
    if config.policy == "illustrated_only":
        known = {image for image in places if imagery[image] == "photographs"}
        unsure = {image: place for image, place in places.items() if image not in known}
        out = known | {image for image, picture in decoded(unsure) if is_photograph(config, picture)}
        return {sample.uid: Drop(SAFETY, "photograph") for sample in samples if sample.image in out}
    named = {
        sample.image
        for sample in samples
        if says(words_of(sample.caption), sample.lemmas, words.get(base_language(sample.lang), CHILD_WORDS))
    }
    asked = places if config.faces else {image: place for image, place in places.items() if image in named}
    out = {
        image
        for image, picture in decoded(asked)
        if (imagery[image] == "photographs" or is_photograph(config, picture))
        and (image in named or any(_is_child(config, face) for face in _faces(config, picture)))
    }
    return {sample.uid: Drop(SAFETY, "real_child") for sample in samples if sample.image in out}


def _imagery(samples: Sequence[Sample], facts: Mapping[str, CorpusFacts]) -> dict[str, Imagery]:
    """Return of each picture what the cards say; where several corpora have it, what asks for more care."""
    found: dict[str, Imagery] = {}
    for sample in samples:
        said = facts.get(sample.corpus, CorpusFacts()).imagery
        found[sample.image] = max(said, found.get(sample.image, said), key=CARE.index)
    return found


def is_photograph(config: RealChildrenConfig, picture: "Image.Image") -> bool:
    """Tell by the photo plug-in, or else by the estimate, whether an RGB picture is a photograph.

    Raises:
        ConfigError: the plug-in cannot be used.
    """
    if not config.photographs:
        return photo_probability(picture) >= config.photo_threshold
    import numpy as np

    probability = float(load_plugin(config.photographs)(np.asarray(picture)))
    if not 0 <= probability <= 1:
        raise ConfigError(f"the plug-in {config.photographs} returned {probability}, which is no probability")
    return probability >= config.photo_threshold


def _faces(config: RealChildrenConfig, picture: "Image.Image") -> Iterator[tuple[float, ...]]:
    yield from faces_of(config.faces, picture) if config.faces else ()


def _is_child(config: RealChildrenConfig, face: tuple[float, ...]) -> bool:
    """Tell whether a face is a child's; one of unknown age is."""
    return len(face) == 4 or face[4] >= config.child_threshold
