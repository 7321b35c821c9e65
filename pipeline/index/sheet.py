"""A contact sheet: pictures in reading order, each with its score and its caption."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import files
from pipeline.errors import ConfigError
from pipeline.index.search import Hit
from pipeline.measure.catalogue import unique_images
from pipeline.select.safety import unsafe_images
from pipeline.shards.picture import decode_rgb, letterbox
from pipeline.tar import read_span

if TYPE_CHECKING:
    from PIL import ImageFont

TILE, GAP, SCORE = 144, 16, 40  # pixels: side of a picture, space between two, width of the score
SIZE, LINE, LINES = 11, 15, 2  # pixels of letters and lines, and lines of caption
FRAME, MUTED = "#dddddd", "#686d76"


def contact_sheet(run: Path, hits: Sequence[Hit], path: Path, *, columns: int = 6) -> None:
    """Write a PNG with the pictures of some hits in reading order, score, corpus and caption below each.

    The place of a picture that safety dropped under another caption stays empty.

    Raises:
        ConfigError: the file cannot be written there.
    """
    from PIL import Image, ImageDraw

    places = unique_images(run, run)
    unsafe = unsafe_images(run) if (run / "selection/verdicts.parquet").is_file() else frozenset()
    rows = max(1, -(-len(hits) // columns))
    across, down = TILE + GAP, TILE + GAP + (LINES + 1) * LINE
    sheet = Image.new("RGB", (min(max(len(hits), 1), columns) * across + GAP, rows * down + GAP), "white")
    pen = ImageDraw.Draw(sheet)
    bold, plain = _font("DejaVuSans-Bold.ttf"), _font("DejaVuSans.ttf")
    for number, hit in enumerate(hits):
        left, top = (number % columns) * across + GAP, (number // columns) * down + GAP
        if hit.image_sha256 not in unsafe:
            sheet.paste(letterbox(decode_rgb(read_span(*places[hit.image_sha256])), TILE), (left, top))
        pen.rectangle((left - 1, top - 1, left + TILE, top + TILE), outline=FRAME)
        pen.text((left, top + TILE + 4), f"{hit.score:.3f}", fill="black", font=bold)
        pen.text((left + SCORE, top + TILE + 4), _cut(hit.corpus, TILE - SCORE, plain), fill=MUTED, font=plain)
        for line, text in enumerate(_wrapped(hit.caption, plain)):
            pen.text((left, top + TILE + 4 + (line + 1) * LINE), text, fill="black", font=plain)
    out = io.BytesIO()
    sheet.save(out, "PNG")
    try:
        files.write_bytes(path, out.getvalue())
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; name another file with --sheet") from None


def _font(name: str) -> "ImageFont.FreeTypeFont":
    """Return a typeface that comes with Matplotlib and has the letters of many scripts."""
    from matplotlib import get_data_path
    from PIL import ImageFont

    return ImageFont.truetype(Path(get_data_path(), "fonts/ttf", name), SIZE)


def _wrapped(caption: str, font: "ImageFont.FreeTypeFont") -> list[str]:
    """Return the caption in at most `LINES` lines that fit below a picture."""
    lines = [""]
    for word in caption.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > TILE:
            lines.append(word)
        else:
            lines[-1] = longer
    kept = lines[:LINES]
    if len(lines) > LINES:
        kept[-1] = " ".join(lines[LINES - 1 :])
    return [_cut(line, TILE, font) for line in kept]


def _cut(text: str, width: int, font: "ImageFont.FreeTypeFont") -> str:
    """Return a text, with an ellipsis in place of what does not fit in some pixels."""
    if font.getlength(text) <= width:
        return text
    return next((cut for end in range(len(text), 0, -1) if font.getlength(cut := text[:end] + "…") <= width), "…")
