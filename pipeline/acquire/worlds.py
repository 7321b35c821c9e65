"""A small world of known quality: two drawn objects and how they lie, told in a sentence.

Every picture is 32 × 32 pixels, white, with two of 48 objects (2 sizes, 6 colours, 4 shapes), one left of or above the
other; its caption is "a small red circle left of a big blue square" or, the other way round, "a big blue square right
of a small red circle". A scene has one wording, so that two pictures have the same caption if they show the same scene,
and only then. Words alone are soon learnt; which object lies where is what has to be understood.

Studies need data of which they know what it is worth, so a share of the pairs may be worth less:

- ``mismatched``: the caption is that of another scene.
- ``easy``: one object without a relation, "a small red circle", of which there are 48 in all.
- ``duplicates``: a picture that is there already, moved by up to a pixel, with its caption.

The rest is ``clean``. The category of a sample says which it is; its group is its caption, so that a split never shows
in training a sentence that it asks for.
"""

import io
import json
from dataclasses import dataclass
from itertools import permutations, product
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from pipeline import files
from pipeline.errors import ConfigError

SIDE, SCALE = 32, 8  # pixels of a picture, and how many times larger it is drawn
RADII = {"small": 3.0, "big": 6.0}
COLOURS = {
    "red": (214, 39, 40),
    "green": (44, 160, 44),
    "blue": (31, 119, 180),
    "yellow": (240, 200, 20),
    "purple": (148, 80, 200),
    "black": (20, 20, 20),
}
SHAPES = ("circle", "square", "triangle", "cross")
RELATIONS = {"left of": "right of", "above": "below"}  # each with the same seen from the other object
CLEAN, MISMATCHED, EASY, DUPLICATE = "clean", "mismatched", "easy", "duplicate"
CARD = """---
name: {name}
title: Two shapes and how they lie
licence: CC0-1.0
attribution: Drawn by rule
language: en
child_directed: false
imagery: drawings
redistributable: true
size: {size}
source: {{engine: folder, path: pictures}}
---
A made-up world, drawn with seed {seed}: {kinds}.
"""


@dataclass(frozen=True)
class Thing:
    """An object: `size`, `colour` and `shape` by name."""

    size: str
    colour: str
    shape: str

    def __str__(self) -> str:
        return f"a {self.size} {self.colour} {self.shape}"


@dataclass(frozen=True)
class Scene:
    """Two objects, the first of which lies left of or above the second; or one object alone."""

    first: Thing
    second: Thing | None = None
    relation: str = ""

    @property
    def caption(self) -> str:
        """The sentence; the object that it begins with is the one of the smaller hash, which is as good as chance."""
        if self.second is None:
            return str(self.first)
        forth = f"{self.first} {self.relation} {self.second}"
        back = f"{self.second} {RELATIONS[self.relation]} {self.first}"
        return min(forth, back, key=lambda text: files.sha256_bytes(text.encode()))


@dataclass(frozen=True)
class Pair:
    """A picture and its caption: `scene` drawn with its objects at `places` (x, y), in pixels; `kind` as above."""

    scene: Scene
    places: tuple[tuple[float, float], ...]
    caption: str
    kind: str


THINGS = tuple(Thing(*names) for names in product(RADII, COLOURS, SHAPES))
SCENES = tuple(Scene(*things, relation) for things in permutations(THINGS, 2) for relation in RELATIONS)


def make_world(
    folder: Path, *, seed: int, pairs: int, mismatched: float = 0.0, easy: float = 0.0, duplicates: float = 0.0
) -> dict[str, int]:
    """Write a corpus: ``pictures``, with their captions in it, and the card that a recipe names, ``card.md``.

    A corpus that is there already is left as it is. The same arguments give the same bytes.

    Args:
        folder: its name is that of the corpus.
        seed: of all that is drawn.
        pairs: pictures with their captions; scenes repeat only after each has been shown.
        mismatched, easy, duplicates: shares of the pairs.

    Returns:
        The number of pairs of each kind that there is.

    Raises:
        ConfigError: the shares are none, or another corpus is there.
    """
    numbers = _numbers(pairs, {MISMATCHED: mismatched, EASY: easy, DUPLICATE: duplicates})
    kinds = ", ".join(f"{number} {kind}" for kind, number in numbers.items())
    text = CARD.format(name=folder.name, size=f"{pairs} pictures of {SIDE} pixels", seed=seed, kinds=kinds)
    card, pictures = folder / "card.md", folder / "pictures"
    if card.exists():
        if card.read_text(encoding="utf-8") != text:
            raise ConfigError(f"{card} is the card of another world; give another folder, or delete this one")
        return numbers
    files.remove(pictures)
    pictures.mkdir(parents=True)
    lines = []
    for row, pair in enumerate(_drawn(np.random.default_rng(seed), numbers)):
        (pictures / f"{row:05}.png").write_bytes(picture(pair))
        line = {"file_name": f"{row:05}.png", "caption": pair.caption, "group": pair.caption, "category": pair.kind}
        lines.append(json.dumps(line) + "\n")
    files.write_bytes(pictures / "metadata.jsonl", "".join(lines).encode())
    files.write_bytes(card, text.encode())  # last: a world with a card is whole
    return numbers


def picture(pair: Pair) -> bytes:
    """Return the PNG of a pair: drawn large and made small, so that its edges are smooth."""
    image = Image.new("RGB", (SIDE * SCALE, SIDE * SCALE), "white")
    pen = ImageDraw.Draw(image)
    things = (pair.scene.first, pair.scene.second)
    for thing, (x, y) in zip(things, pair.places, strict=False):
        assert thing is not None  # there are as many places as objects
        _draw(pen, thing, SCALE * x, SCALE * y)
    out = io.BytesIO()
    image.resize((SIDE, SIDE), Image.Resampling.BOX).save(out, "PNG")
    return out.getvalue()


def _numbers(pairs: int, shares: dict[str, float]) -> dict[str, int]:
    """Return how many pairs there are of each kind, without those of which there is none."""
    for kind, share in shares.items():
        if not 0 <= share <= 1:
            raise ConfigError(f"a world cannot be {kind} by {share:g}; give a share from 0 to 1")
    numbers = {kind: round(share * pairs) for kind, share in shares.items()}
    numbers = {CLEAN: pairs - sum(numbers.values()), **numbers}
    if numbers[CLEAN] < 0 or numbers[DUPLICATE] >= pairs:
        raise ConfigError(f"a world of {pairs} pairs needs shares that add up to 1 at most, and something to duplicate")
    return {kind: number for kind, number in numbers.items() if number}


def _drawn(rng: np.random.Generator, numbers: dict[str, int]) -> list[Pair]:
    """Return the pairs of every kind, mixed."""
    originals: list[Pair] = []
    order = np.resize(rng.permutation(len(SCENES)), numbers.get(CLEAN, 0) + numbers.get(MISMATCHED, 0))
    for row, number in enumerate(order):
        scene, kind = SCENES[number], CLEAN if row < numbers.get(CLEAN, 0) else MISMATCHED
        told = scene
        if kind == MISMATCHED:
            told = SCENES[(number + rng.integers(1, len(SCENES))) % len(SCENES)]
        originals.append(Pair(scene, _places(rng, scene), told.caption, kind))
    for number in np.resize(rng.permutation(len(THINGS)), numbers.get(EASY, 0)):
        scene = Scene(THINGS[number])
        originals.append(Pair(scene, _places(rng, scene), scene.caption, EASY))
    copied = np.resize(rng.permutation(len(originals)), numbers.get(DUPLICATE, 0))
    copies = [_moved(rng, originals[row]) for row in copied]
    every = originals + copies
    return [every[row] for row in rng.permutation(len(every))]


def _places(rng: np.random.Generator, scene: Scene) -> tuple[tuple[float, float], ...]:
    """Return the middle of each object: all of it in the picture, a pixel between two, and their relation plain."""
    radii = [RADII[thing.size] for thing in (scene.first, scene.second) if thing is not None]
    if len(radii) == 1:
        x, y = rng.uniform(1 + radii[0], SIDE - 1 - radii[0], size=2)
        return ((x, y),)
    spare = SIDE - 3 - 2 * sum(radii)  # a pixel at either border and between them
    before, between = np.sort(rng.uniform(0, spare, size=2))
    along = (1 + before + radii[0], 2 + between + 2 * radii[0] + radii[1])
    low, high = 1 + max(radii), SIDE - 1 - max(radii)
    middle = rng.uniform(low, high)
    across = np.clip(middle + rng.uniform(-2, 2, size=2), low, high)
    if scene.relation == "left of":
        return ((along[0], across[0]), (along[1], across[1]))
    return ((across[0], along[0]), (across[1], along[1]))


def _moved(rng: np.random.Generator, pair: Pair) -> Pair:
    x, y = rng.uniform(0.25, 1, size=2) * rng.choice((-1, 1), size=2)
    return Pair(pair.scene, tuple((a + x, b + y) for a, b in pair.places), pair.caption, DUPLICATE)


def _draw(pen: ImageDraw.ImageDraw, thing: Thing, x: float, y: float) -> None:
    colour, radius = COLOURS[thing.colour], SCALE * RADII[thing.size]
    left, top, right, bottom = x - radius, y - radius, x + radius, y + radius
    if thing.shape == "circle":
        pen.ellipse((left, top, right, bottom), fill=colour)
    elif thing.shape == "square":
        pen.rectangle((left, top, right, bottom), fill=colour)
    elif thing.shape == "triangle":
        pen.polygon(((x, top), (left, bottom), (right, bottom)), fill=colour)
    else:
        arm = radius / 3
        pen.rectangle((left, y - arm, right, y + arm), fill=colour)
        pen.rectangle((x - arm, top, x + arm, bottom), fill=colour)
