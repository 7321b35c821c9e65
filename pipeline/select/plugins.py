"""Pictures looked at by a person's own functions and hash lists, in order, from where acquisition put them."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.acquire.hash_lists import read_hashes
from pipeline.acquire.options import HashList
from pipeline.errors import ConfigError
from pipeline.plugins import load_plugin
from pipeline.select.safety_config import Classifier
from pipeline.shards.picture import PictureError, decode_rgb
from pipeline.tar import read_span

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

Place = tuple[Path, int, int]  # tar, offset and size in bytes


def decoded(places: Mapping[str, Place]) -> "Iterator[tuple[str, Image.Image]]":
    """Yield every picture that can be decoded, in RGB, with its name, in order."""
    for name, place in places.items():
        try:
            picture = decode_rgb(read_span(*place))
        except PictureError:
            continue
        yield name, picture


def classified(classifier: Classifier, places: Mapping[str, Place]) -> dict[str, float]:
    """Return the pictures that a classifier's threshold is reached by, with their scores.

    Raises:
        ConfigError: there is no such plug-in, or it does not return a score from 0 to 1 for each picture.
    """
    import numpy as np

    function, pictures = load_plugin(classifier.plugin), decoded(places)
    hits: dict[str, float] = {}
    while batch := list(itertools.islice(pictures, classifier.batch_size)):
        returned = function([np.asarray(picture) for _, picture in batch])
        scores = np.asarray(returned, dtype=np.float64)
        if scores.shape != (len(batch),) or not ((scores >= 0) & (scores <= 1)).all():
            raise ConfigError(
                f"the plug-in {classifier.plugin} was given {len(batch)} pictures and did not return as many scores "
                "from 0 to 1"
            )
        hits |= {
            name: float(score) for (name, _), score in zip(batch, scores, strict=True) if score >= classifier.threshold
        }
    return hits


def listed(lists: Sequence[HashList], places: Mapping[str, Place]) -> dict[str, int]:
    """Return the pictures whose PDQ hash stands on a list, with the bits in which it differs from the nearest.

    Raises:
        ConfigError: pdqhash is not installed, or a list cannot be read.
    """
    import numpy as np

    try:
        import pdqhash
    except ImportError:
        raise ConfigError("lists of kind pdq need pdqhash: pip install 'essen[pdq]'") from None
    tables = [(entry, _table(read_hashes(entry.path, entry.kind))) for entry in lists]
    found: dict[str, int] = {}
    for name, picture in decoded(places):
        bits, quality = pdqhash.compute(np.asarray(picture))
        for entry, table in tables:
            distance = _nearest(table, bits)
            if quality >= entry.quality and distance <= entry.radius:
                found[name] = min(distance, found.get(name, distance))
    return found


def _table(hashes: Iterable[str]) -> "np.ndarray":
    """Return hashes as (N, 4) uint64."""
    import numpy as np

    return np.frombuffer(bytes.fromhex("".join(sorted(hashes))), dtype=np.uint64).reshape(-1, 4)


def _nearest(table: "np.ndarray", bits: "np.ndarray") -> int:
    """Return the least number of bits in which a hash differs from those of a table; 256 where that is empty."""
    import numpy as np

    own = np.packbits(np.asarray(bits, dtype=np.uint8)).view(np.uint64)
    return int(np.bitwise_count(table ^ own).sum(axis=1).min(initial=256))
