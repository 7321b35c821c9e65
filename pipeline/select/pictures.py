"""What decides whether two pictures are one, and which of them stays."""

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import DataError
from pipeline.licences import CLASSES, licence_class
from pipeline.measure.caption import words_of
from pipeline.measure.catalogue import unique_images
from pipeline.measure.embed import read_embeddings
from pipeline.measure.structure import read_structure
from pipeline.measure.vectors import check_vectors, gathered
from pipeline.select.colours import PlacedColours
from pipeline.select.config import DuplicateConfig
from pipeline.tables import read_columns

if TYPE_CHECKING:
    import numpy as np

SIGNALS = (
    "uid",
    "pixel_sha256",
    "phash",
    "entropy",
    "width",
    "height",
    "brightness",
    "colourfulness",
    "edge_density",
)
OUTLINE_COLOURFULNESS, OUTLINE_BRIGHTNESS = 10, 0.75  # of lines on white paper: less colourful, and brighter
LICENCES = {name: rank for rank, (name, _) in enumerate(CLASSES)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What is known of a picture, whatever the number of its captions.

    Attributes:
        sha256: of the bytes.
        pixel_sha256: of the decoded pixels and their size.
        phash: the bits of the perceptual hash.
        entropy: of the grey levels, in bits.
        pixels: width times height.
        edge_density: share of pixels on an edge.
        outline: it is lines on white paper.
        licence: SPDX expression.
        captions: the captions that it stands under.
    """

    sha256: str
    pixel_sha256: str
    phash: int
    entropy: float
    pixels: int
    edge_density: float = 1.0
    outline: bool = False
    licence: str = ""
    captions: tuple[str, ...] = ()

    def is_named(self, words: int) -> bool:
        """Tell whether it has captions, and none of more than `words` words: the names of what is drawn."""
        return bool(self.captions) and all(len(words_of(caption)) <= words for caption in self.captions)


@dataclass(frozen=True, slots=True)
class Gallery:
    """N pictures, the one to keep first, with what they are compared by.

    Attributes:
        pictures: N of them.
        vectors: (N, D) embeddings, float32.
        structures: (N, 513), float32.
        colours: those of the cells of each picture, by image hash; see `pipeline.select.colours`.
        folder: where there is room for copies of many vectors; None stands for that of temporary files.
    """

    pictures: Sequence[Picture]
    vectors: "np.ndarray"
    structures: "np.ndarray"
    colours: MutableMapping[str, bytes]
    folder: Path | None = None


def picture_of(image: str, signals: Mapping[str, Any], licence: str = "", captions: Sequence[str] = ()) -> Picture:
    """Return the picture with some signals, by name, of `pipeline.measure.image`."""
    paper = signals["colourfulness"] < OUTLINE_COLOURFULNESS and signals["brightness"] > OUTLINE_BRIGHTNESS
    return Picture(
        sha256=image,
        pixel_sha256=signals["pixel_sha256"],
        phash=int(signals["phash"], 16),
        entropy=signals["entropy"],
        pixels=signals["width"] * signals["height"],
        edge_density=signals["edge_density"],
        outline=paper,
        licence=licence,
        captions=tuple(captions),
    )


def gallery(
    config: DuplicateConfig,
    pictures: Sequence[Picture],
    rows: Mapping[str, int],
    vectors: "np.ndarray",
    structures: "np.ndarray",
    colours: MutableMapping[str, bytes],
    folder: Path | None = None,
) -> Gallery:
    """Return pictures in the order of `leader_order` with what they are compared by.

    Args:
        rows: row among the vectors by image hash.
        vectors, structures: (M, D) and (M, 513).
        colours: by image hash.
        folder: of the gallery.

    Raises:
        DataError: a vector is not finite or not of unit length.
    """
    import numpy as np

    ordered = leader_order(config, pictures)
    chosen = np.array([rows[picture.sha256] for picture in ordered], dtype=np.int64)
    own = [gathered(each, chosen, folder) for each in (vectors, structures)]
    for each in own:
        check_vectors(each, [picture.sha256 for picture in ordered])
    return Gallery(ordered, own[0], own[1], colours, folder)


def leader_order(config: DuplicateConfig, pictures: Sequence[Picture]) -> list[Picture]:
    """Return the pictures in the order in which they may stay: as the policy says, then by hash."""

    def key(picture: Picture) -> tuple[Any, ...]:
        values = {
            "pixels": -picture.pixels,
            "licence": LICENCES[licence_class(picture.licence)],
            "caption": -max((len(words_of(caption)) for caption in picture.captions), default=0),
        }
        return (*(values[name] for name in config.keep), picture.sha256)

    return sorted(pictures, key=key)


def read_gallery(
    config: DuplicateConfig, catalogue: Mapping[str, Sequence[Any]], remaining: set[str], run: Path, embeddings: Path
) -> Gallery:
    """Return the distinct pictures of the remaining samples; those that could not be decoded are not among them.

    Args:
        catalogue: columns of ``signals/samples.parquet``.
        remaining: uids.
        run: the run directory, for its signals and raw shards.
        embeddings: the folder of the encoder's vectors.

    Raises:
        DataError: a picture has no vector, or one that is not finite or not of unit length.
    """
    signals = read_columns(run / "signals/image.parquet", SIGNALS)
    names = ("uid", "image_sha256", "licence", "caption")
    seen: dict[str, list[tuple[int, str, str]]] = {}
    for row, (uid, image, licence, caption) in enumerate(zip(*(catalogue[name] for name in names), strict=True)):
        if uid in remaining and signals["pixel_sha256"][row] is not None:
            seen.setdefault(image, []).append((row, licence, caption))
    pictures = []
    for image, samples in seen.items():
        own = {name: signals[name][samples[0][0]] for name in SIGNALS}
        licence = min((licence for _, licence, _ in samples), key=lambda text: (LICENCES[licence_class(text)], text))
        pictures.append(picture_of(image, own, licence, sorted({caption for _, _, caption in samples})))
    known, vectors = read_embeddings(embeddings)
    rows = {name: row for row, name in enumerate(known)}
    missing = [picture.sha256 for picture in pictures if picture.sha256 not in rows]
    if missing:
        raise DataError(f"{embeddings} has no vector for {len(missing)} pictures; remove it and run again")
    structures, colours = read_structure(embeddings, len(known)), PlacedColours(unique_images(run, run))
    return gallery(config, pictures, rows, vectors, structures, colours, embeddings)
