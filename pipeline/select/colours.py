"""The mean colours of a picture's 16 × 16 cells, by which copies are told from look-alikes; held in memory alone.

They are a small copy that anybody could look at, so no file holds them: a picture that safety drops would live on in
it. They are made where two pictures are compared, which is after safety.
"""

from collections.abc import Mapping
from pathlib import Path

from pipeline.measure.image import cell_colours
from pipeline.shards.picture import decode_rgb
from pipeline.tar import read_span

Place = tuple[Path, int, int]  # tar, offset and size in bytes


class PlacedColours(dict[str, bytes]):
    """Colours by image hash, of pictures in raw shards; each is made when it is first asked for."""

    def __init__(self, places: Mapping[str, Place]) -> None:
        """Take the place of every picture that may be asked for; each of them can be decoded."""
        super().__init__()
        self._places = places

    def __missing__(self, image: str) -> bytes:
        """Return the colours of a picture that nobody has asked for yet."""
        colours = self[image] = cell_colours(decode_rgb(read_span(*self._places[image])))
        return colours
