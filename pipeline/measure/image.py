"""What can be seen of a picture without a model: size, information, light, colour, detail, and two fingerprints."""

import hashlib
import itertools
from collections import Counter
from collections.abc import Mapping
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.parts import Spread, here
from pipeline.plugins import load_plugin
from pipeline.shards.picture import PictureError, decode_rgb
from pipeline.tables import read_columns, write_table
from pipeline.tar import read_span

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

# Names and Arrow types of the signals; `image_sha256` is joined away.
SIGNALS = {
    "width": "int32",
    "height": "int32",
    "aspect": "float64",
    "entropy": "float64",
    "brightness": "float64",
    "colourfulness": "float64",
    "edge_density": "float64",
    "sharpness": "float64",
    "clutter": "float64",
    "regions": "int32",
    "grey": "bool",
    "text_share": "float64",
    "pixel_sha256": "string",
    "phash": "string",
}
ANALYSED_SIDE = 128  # signals of larger pictures are measured on a copy of this longer side, so that they compare
CELLS = 16  # a side, of those whose mean colours tell regions and duplicates apart
VERSION = 4  # raised when a signal gets another meaning or a new one is added
CHUNK = 32  # pictures handed to a process at once
EDGE = 25  # a step of more grey levels, a tenth of the range, is an edge
REGION_LEVELS, REGION_CELLS = 4, 2  # regions are counted on the cells in 4³ colours; a single cell is none
CROSS = ((0, 1, 0), (1, 1, 1), (0, 1, 0))  # cells touch at their sides
GREY_SPREAD = 12  # levels by which the channels of a grey pixel may differ: JPEG colours grey pictures slightly


def write_image_signals(
    samples: Path,
    images: Mapping[str, tuple[Path, int, int]],
    path: Path,
    *,
    workers: int,
    text_plugin: str = "",
    spread: Spread = here,
) -> int:
    """Measure every distinct picture once and write ``image.parquet``, one row a sample, sorted by uid.

    ``captions`` is the number of distinct captions under which the very same bytes stand: a logo, or the picture that a
    site shows where another is gone, stands under many.

    Args:
        samples: the catalogue.
        images: tar, offset and size by image hash.
        path: the parquet file to write.
        workers: processes; they do not change a byte.
        text_plugin: ``module:function`` that returns the share of (H, W, 3) uint8 pixels on which text stands, 0 to 1;
            empty: ``text_share`` is null.
        spread: does the pictures; it does not change a byte either.

    Returns:
        The number of pictures that could not be decoded; their signals are null.

    Raises:
        ConfigError: there is no such plug-in.
    """
    import pyarrow as pa

    catalogue = read_columns(samples, ["uid", "image_sha256", "caption"])
    if text_plugin:
        load_plugin(text_plugin)  # a wrong name is told here, and not by a worker
    places = list(images.values())
    chunks = [places[start : start + CHUNK] for start in range(0, len(places), CHUNK)]
    measure = partial(_measure_chunk, text_plugin)
    found = spread(measure, chunks, path.parents[1] / "parts/pictures", workers=workers, crashed=_crashed)
    measured = dict(zip(images, itertools.chain.from_iterable(found), strict=True))
    captions = Counter(image for image, _ in set(zip(catalogue["image_sha256"], catalogue["caption"], strict=True)))
    columns: dict[str, Any] = {
        "uid": catalogue["uid"],
        "captions": pa.array([captions[image] for image in catalogue["image_sha256"]], type=pa.int32()),
    }
    for name, kind in SIGNALS.items():
        values = [measured[image].get(name) for image in catalogue["image_sha256"]]
        columns[name] = pa.array(values, type=pa.type_for_alias(kind))
    write_table(path, pa.table(columns))
    return sum(not signals for signals in measured.values())


def _crashed(chunk: list[tuple[Path, int, int]]) -> list[dict[str, Any]]:
    return [{} for _ in chunk]


def _measure_chunk(text_plugin: str, chunk: list[tuple[Path, int, int]]) -> list[dict[str, Any]]:
    return [measure_picture(read_span(*place), text_plugin) for place in chunk]


def measure_picture(data: bytes, text_plugin: str = "") -> dict[str, Any]:
    """Return the signals of one encoded picture; none where it cannot be decoded.

    ``entropy`` is that of the grey levels in bits (0 to 8), ``brightness`` the mean grey level (0 to 1),
    ``colourfulness`` the measure of Hasler and Süsstrunk (2003), ``edge_density`` the share of pixels on an edge,
    ``sharpness`` the variance of the Laplacian of grey levels in 0..1, ``clutter`` the subband entropy in bits,
    ``regions`` the number of areas of one colour, ``grey`` whether there is no colour, ``text_share`` what the plug-in
    says, ``pixel_sha256`` the hash of size and RGB pixels, and ``phash`` the 64 bits of the perceptual hash in hex.
    """
    import numpy as np
    from PIL import Image

    try:
        picture = decode_rgb(data)
    except PictureError:
        return {}
    width, height = picture.size
    pixels = np.asarray(picture)
    small, rgb = picture, pixels
    if max(width, height) > ANALYSED_SIDE:
        small = picture.copy()
        small.thumbnail((ANALYSED_SIDE, ANALYSED_SIDE), Image.Resampling.BOX)
        rgb = np.asarray(small)
    grey = small.convert("L")
    levels = np.asarray(grey).astype(np.int16)
    histogram = np.array(grey.histogram())
    colourfulness, is_grey = _colour(rgb)
    return {
        "width": width,
        "height": height,
        "aspect": max(width, height) / min(width, height),
        "entropy": _entropy(histogram),
        "brightness": float(histogram @ np.arange(256) / levels.size / 255),
        "colourfulness": colourfulness,
        "edge_density": _edge_density(levels),
        "sharpness": _sharpness(levels),
        "clutter": _clutter(np.asarray(grey.reduce(2)).astype(np.int16)),
        "regions": _regions(np.frombuffer(cell_colours(picture), dtype=np.uint8).reshape(CELLS, CELLS, 3)),
        "grey": is_grey,
        "text_share": float(load_plugin(text_plugin)(pixels)) if text_plugin else None,
        "pixel_sha256": _pixel_hash(pixels),
        "phash": _perceptual_hash(grey),
    }


def cell_colours(picture: "Image.Image") -> bytes:
    """Return the 16 × 16 × 3 mean colours of an RGB picture's cells, row by row.

    A small copy that can be looked at, so it is no signal: no file may show a picture that is dropped for safety.
    """
    from PIL import Image

    return picture.resize((CELLS, CELLS), Image.Resampling.BOX).tobytes()


def _pixel_hash(pixels: "np.ndarray") -> str:
    """Return the hash of the size and the pixels of an (H, W, 3) uint8 picture."""
    digest = hashlib.sha256(f"{pixels.shape[1]}x{pixels.shape[0]}".encode())
    digest.update(pixels.data)
    return digest.hexdigest()


def _entropy(counts: "np.ndarray") -> float:
    """Return the entropy, in bits, of the counts of 256 grey levels."""
    import numpy as np

    shares = counts[counts > 0] / counts.sum()
    return float(abs((shares * np.log2(shares)).sum()))


def _colour(rgb: "np.ndarray") -> tuple[float, bool]:
    """Return the colourfulness of (H, W, 3) uint8 pixels, and whether they show no colour, but for one in a hundred.

    Colourfulness is the measure M3 of Hasler and Süsstrunk (2003); about 0 to 110.
    """
    import numpy as np

    red, green, blue = (rgb[..., channel].astype(np.int16) for channel in range(3))
    red_green, twice_yellow_blue = red - green, red + green - 2 * blue
    coloured = (abs(red_green) > GREY_SPREAD) | (abs(twice_yellow_blue) > 2 * GREY_SPREAD)
    first, second = _moments(red_green), _moments(twice_yellow_blue)
    deviation = np.hypot(first[1], second[1] / 2)
    colourfulness = float(deviation + 0.3 * np.hypot(first[0], second[0] / 2))
    return colourfulness, bool(np.count_nonzero(coloured) < 0.01 * coloured.size)


def _moments(values: "np.ndarray") -> tuple[float, float]:
    """Return mean and standard deviation of whole numbers, exactly but for the last division and the root."""
    import numpy as np

    flat = values.ravel().astype(np.float64)
    mean = float(flat.sum()) / flat.size
    return mean, float(np.sqrt(max(0.0, float(flat @ flat) / flat.size - mean * mean)))


def _edge_density(levels: "np.ndarray") -> float:
    """Return the share of pixels whose step to the right or down neighbour is an edge; `levels` is (H, W) int16."""
    import numpy as np

    if min(levels.shape) < 2:
        return 0.0
    inner = levels[:-1, :-1]
    edges = (abs(levels[:-1, 1:] - inner) > EDGE) | (abs(levels[1:, :-1] - inner) > EDGE)
    return float(np.count_nonzero(edges) / edges.size)


def _sharpness(levels: "np.ndarray") -> float:
    """Return the variance of the 4-neighbour Laplacian of (H, W) int16 grey levels, in units of the full range."""
    if min(levels.shape) < 3:
        return 0.0
    neighbours = levels[:-2, 1:-1] + levels[2:, 1:-1] + levels[1:-1, :-2] + levels[1:-1, 2:]
    return (_moments(neighbours - 4 * levels[1:-1, 1:-1])[1] / 255) ** 2


def _clutter(levels: "np.ndarray", octaves: int = 3) -> float:
    """Return the subband entropy of (H, W) int16 grey levels, in bits: what it takes to encode them band by band.

    The clutter measure of Rosenholtz, Li and Nakano (2007, section 3.3), of luminance alone and with the bands of Haar
    wavelets in place of steerable pyramids.
    """
    import numpy as np

    plane = levels
    bands: list[np.ndarray] = []
    for _ in range(octaves):
        if min(plane.shape) < 2:
            break
        height, width = (side // 2 * 2 for side in plane.shape)
        upper, lower = plane[:height:2, :width], plane[1:height:2, :width]
        both, apart = upper + lower, upper - lower
        bands += [both[:, ::2] - both[:, 1::2], apart[:, ::2] + apart[:, 1::2], apart[:, ::2] - apart[:, 1::2]]
        plane = (both[:, ::2] + both[:, 1::2]) >> 2
    if not bands:
        return 0.0
    sizes = tuple(band.size for band in bands)
    places = (np.concatenate(bands, axis=None) >> 2) + _first_bins(sizes)
    counts = np.bincount(places, minlength=256 * len(bands)).reshape(len(bands), 256)
    bits = np.log2(sizes) - _times_log2()[counts].sum(axis=1) / sizes
    return float(abs(bits.mean()))


@lru_cache(maxsize=64)
def _first_bins(sizes: tuple[int, ...]) -> "np.ndarray":
    """Return for each value of bands of these sizes where the bin of zero lies, 256 bins a band."""
    import numpy as np

    return np.repeat(np.arange(128, 256 * len(sizes), 256, dtype=np.int16), sizes)


@cache
def _times_log2() -> "np.ndarray":
    """Return n log₂ n for all counts that a band of an analysed picture can have."""
    import numpy as np

    counts = np.arange((ANALYSED_SIDE // 4) ** 2 + 1)
    return counts * np.log2(np.maximum(counts, 1))


def _regions(cells: "np.ndarray") -> int:
    """Return the number of connected areas of one colour, of at least two cells, of (S, S, 3) uint8 cells."""
    import numpy as np
    from scipy.ndimage import label

    coarse = cells // (256 // REGION_LEVELS)
    colour = (coarse[..., 0] * REGION_LEVELS + coarse[..., 1]) * REGION_LEVELS + coarse[..., 2]
    # Cells stand at even places; between two of them stands whether they are of one colour.
    linked = np.zeros((2 * len(colour) - 1, 2 * len(colour) - 1), dtype=bool)
    linked[::2, ::2] = True
    linked[::2, 1::2] = colour[:, :-1] == colour[:, 1:]
    linked[1::2, ::2] = colour[:-1] == colour[1:]
    labels, _ = label(linked, CROSS)
    return int(np.count_nonzero(np.bincount(labels[::2, ::2].ravel()) >= REGION_CELLS))


def _perceptual_hash(grey: "Image.Image") -> str:
    """Return the 64 bits, in hex, of which low frequencies of 32 × 32 grey levels are above their median.

    The very bits of ``imagehash.phash``, which takes three times as long.
    """
    import numpy as np
    from PIL import Image

    levels = np.asarray(grey.resize((32, 32), Image.Resampling.LANCZOS), dtype=np.float64)
    cosines = _cosines()
    low = cosines @ levels @ cosines.T
    ordered = np.sort(low, axis=None)
    middle = (ordered[31] + ordered[32]) / 2
    return np.packbits(low > middle).tobytes().hex()


@cache
def _cosines() -> "np.ndarray":
    """Return the first 8 rows of the (32, 32) matrix of the discrete cosine transform, type II."""
    import numpy as np
    from scipy.fft import dct

    return np.asarray(dct(np.eye(32), axis=0))[:8]
