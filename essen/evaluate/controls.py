"""What would score as well without seeing or without understanding: the controls beside every score.

A task is a list of pairs of slots, a text slot and a picture slot, and a condition puts other content into the slots:

``model``
    the right content.
``no_picture``
    a plain grey picture in every picture slot: what the texts alone give away.
``shuffled_pictures``, ``shuffled_captions``
    the contents of one side's slots dealt anew among them: what is left when nothing belongs together.
"""

from dataclasses import dataclass

import numpy as np

from essen.evaluate.encoders import Encoder, Features, cosines
from essen.evaluate.retrieval import Floats, Ints

MODEL, CHANCE = "model", "chance"
NO_PICTURE, NO_TEXT = "no_picture", "no_text"
SHUFFLED_PICTURES, SHUFFLED_CAPTIONS = "shuffled_pictures", "shuffled_captions"
CONDITIONS = (MODEL, NO_PICTURE, SHUFFLED_PICTURES, SHUFFLED_CAPTIONS)
TOWERS, FUSION = "towers", "fusion"


@dataclass(frozen=True, slots=True)
class Slots:
    """P pairs of slots and what is in them.

    Attributes:
        texts: (S,) row of the unique captions in each text slot.
        images: (R,) row of the unique pictures in each picture slot.
        text: (P,) text slot of each pair.
        image: (P,) picture slot of each pair.
        grey: row of the plain grey picture.
    """

    texts: Ints
    images: Ints
    text: Ints
    image: Ints
    grey: int


def filled(slots: Slots, condition: str, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Return the rows of captions and pictures (P,) of every pair under a condition."""
    texts, images = slots.texts, slots.images
    if condition == NO_PICTURE:
        images = np.full_like(images, slots.grey)
    elif condition == SHUFFLED_PICTURES:
        images = rng.permutation(images)
    elif condition == SHUFFLED_CAPTIONS:
        texts = rng.permutation(texts)
    return texts[slots.text], images[slots.image]


def pair_scores(
    encoder: Encoder, texts: Features, images: Features, slots: Slots, seed: list[int]
) -> dict[str, dict[str, Floats]]:
    """Return the scores (P,) of all pairs, by scorer and condition; equal pairs are scored once.

    Args:
        encoder: the model.
        texts: features of the unique captions.
        images: features of the unique pictures and of the grey one.
        slots: the pairs.
        seed: of the shuffling.
    """
    scorers = {TOWERS: cosines} | ({FUSION: encoder.match} if encoder.fuses else {})
    scores: dict[str, dict[str, Floats]] = {name: {} for name in scorers}
    for number, condition in enumerate(CONDITIONS):
        rows = np.stack(filled(slots, condition, np.random.default_rng([*seed, number])))
        (text, image), place = np.unique(rows, axis=1, return_inverse=True)
        for name, scorer in scorers.items():
            scores[name][condition] = scorer(texts, images, text, image)[place.ravel()]
    return scores


def halves(groups: list[str], rng: np.random.Generator) -> Ints:
    """Return 0 or 1 for every item: whole groups dealt into two halves of as many groups, one more in the first."""
    names, unit = np.unique(np.asarray(groups), return_inverse=True)
    side = np.zeros(len(names), np.int64)
    side[rng.permutation(len(names))[(len(names) + 1) // 2 :]] = 1
    return side[unit]


def held_out_groups(groups: list[str], share: float, rng: np.random.Generator) -> Ints:
    """Return 1 for every item of a share of the groups, at least one and never all, else 0."""
    names, unit = np.unique(np.asarray(groups), return_inverse=True)
    number = min(max(1, round(share * len(names))), len(names) - 1)
    side = np.zeros(len(names), np.int64)
    side[rng.permutation(len(names))[:number]] = 1
    return side[unit]
