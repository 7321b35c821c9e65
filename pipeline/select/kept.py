"""The pairs that stay, ``selection/kept.parquet``: all that ordering and staging need to know of them.

Most are pairs as they were acquired. A caption whose own picture was dropped as a duplicate lives on with the picture
that stayed: a pair of its own, credited to both. Its caption was measured under one uid and its picture under another,
so every pair names both: ``caption_uid`` finds signals of the caption, ``picture_uid`` those of the picture.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.errors import DataError
from pipeline.licences import both_apply
from pipeline.tables import read_table

if TYPE_CHECKING:
    import pyarrow as pa

Catalogue = Mapping[str, Sequence[Any]]  # columns of signals/samples.parquet
FILE = "selection/kept.parquet"
OF_PICTURE = frozenset({"image_sha256", "corpus", "category", "url", "ext", "raw_shard", "raw_offset", "raw_size"})


class Pair(NamedTuple):
    """A pair that stays: its uid, and the rows of the catalogue where its caption and its picture were measured."""

    uid: str
    caption_row: int
    picture_row: int


def kept_columns(catalogue: Catalogue, pairs: Sequence[Pair]) -> dict[str, list[Any]]:
    """Return the columns of the catalogue for some pairs, with ``caption_uid`` and ``picture_uid`` after them."""
    rows = {
        name: [pair.picture_row if name in OF_PICTURE else pair.caption_row for pair in pairs] for name in catalogue
    }
    columns = {name: [catalogue[name][row] for row in rows[name]] for name in catalogue}
    columns["uid"] = [pair.uid for pair in pairs]
    for place, pair in enumerate(pairs):
        if pair.caption_row != pair.picture_row:
            licences, credits = (
                [catalogue[name][row] for row in (pair.picture_row, pair.caption_row)]
                for name in ("licence", "attribution")
            )
            columns["licence"][place] = both_apply(*licences)
            columns["attribution"][place] = _credit(*credits)
    columns["caption_uid"] = [catalogue["uid"][pair.caption_row] for pair in pairs]
    columns["picture_uid"] = [catalogue["uid"][pair.picture_row] for pair in pairs]
    return columns


def read_kept(run: Path, columns: Sequence[str] | None = None) -> "pa.Table":
    """Return the pairs that stay, sorted by uid: the columns of `kept_columns`, ``component`` and ``split``, or some.

    Raises:
        DataError: the run has not selected yet.
    """
    path = run / FILE
    if not path.is_file():
        raise DataError(f"{path} is missing; run select first")
    return read_table(path, columns)


def _credit(picture: str, caption: str) -> str:
    """Return one credit for a picture and a caption that comes from elsewhere."""
    if not caption or caption == picture:
        return picture
    return f"{picture}; caption: {caption}" if picture else f"caption: {caption}"
