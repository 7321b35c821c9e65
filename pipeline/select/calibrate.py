"""Which threshold finds which copy: known transforms are planted, labelled pairs are used, and every tier is judged.

Pictures are copied in known ways, and the copies looked for among all of the pictures. Recall is the share of copies
found with their original; precision the share of true ones among all the pairs that were found. Where people have
labelled copies, these are looked for, too, and the consecutive pages of stories, which look alike and are not the same,
say how often two pictures are taken for one. Thresholds are chosen on one half of it and judged on the other, see
`pipeline.select.judgement`.
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from pipeline import files
from pipeline.config import Config
from pipeline.errors import ConfigError
from pipeline.measure.catalogue import unique_images
from pipeline.measure.embed import EfficientNetLite0, Encoder
from pipeline.select.calibration_figures import Neighbour, write_curves, write_sheet
from pipeline.select.config import DuplicateConfig
from pipeline.select.contamination import crossing
from pipeline.select.duplicates import close_pairs, reasons, score_pairs
from pipeline.select.judgement import LABELLED, Trial, halves, is_reported, judge
from pipeline.select.kept import FILE as KEPT
from pipeline.select.kept import read_kept
from pipeline.select.neighbours import cosines_of
from pipeline.select.pictured import Item, Measured, joined, measure_items, read_items
from pipeline.select.safety import unsafe_images
from pipeline.select.transforms import TRANSFORMS
from pipeline.shards.picture import PictureError, decode_rgb
from pipeline.tar import read_span

if TYPE_CHECKING:
    pass

PREVIEW = 112  # longer side, in pixels
SHOWN = 12  # pairs on either side of the threshold


class CalibrationConfig(Config):
    """What is planted, and the rule that is judged."""

    pictures: int = Field(default=200, ge=2, description="how many pictures are copied")
    transforms: tuple[str, ...] = Field(default=tuple(TRANSFORMS), description="in which ways")
    seed: int = Field(default=0, ge=0, description="another seed copies other pictures")
    tolerance: float = Field(
        default=0.002, ge=0, le=1, description="largest share of wrong merges that suggested thresholds may make"
    )
    rule: DuplicateConfig = DuplicateConfig()


def calibrate(
    config: CalibrationConfig,
    out: Path,
    *,
    run: Path | None = None,
    pictures: Path | None = None,
    truth: Path | None = None,
    encoder: Encoder | None = None,
) -> dict[str, Any]:
    """Write ``calibration.json``, ``calibration.png`` (curves) and ``calibration-pairs.png`` (pairs at the threshold).

    Args:
        out: the folder that they go to.
        run: a run of whose kept pictures some are copied; or
        pictures: a folder of pictures or shards; with neither, only the labelled pairs are looked at.
        truth: a folder with ``pairs.csv`` (``image``, ``dup_of``, ``relation``), and ``picturebooks`` beside it.
        encoder: of the pictures; by default EfficientNet-Lite0 at 128 pixels.

    Returns:
        What ``calibration.json`` holds.

    Raises:
        ConfigError: there is nothing to copy or to look at, or no transform of a name.
    """
    unknown = sorted(set(config.transforms) - set(TRANSFORMS))
    if unknown:
        raise ConfigError(f"there is no transform {unknown[0]}; there are {', '.join(TRANSFORMS)}")
    encoder = encoder or EfficientNetLite0()
    trials: list[Trial] = []
    if run is not None or pictures is not None:
        trials += planted(config, sample(config, found(run, pictures)), encoder)
    consecutive = None
    if truth is not None:
        labelled, consecutive = _labelled(config, truth, encoder)
        trials += labelled
    if not trials:
        raise ConfigError("there is nothing to calibrate on; name a run, a folder of pictures or labelled pairs")
    result = {
        "pictures": config.pictures,
        "rule": config.rule.model_dump(mode="json"),
        **judge(config.rule, trials, consecutive, config.tolerance),
    }
    files.write_json(out / "calibration.json", result)
    write_curves(result, out / "calibration.png")
    shown = [trial.half(reported=False) for trial in (*trials, *([consecutive] if consecutive else []))]
    write_sheet(_around(config.rule, shown), out / "calibration-pairs.png")
    return result


def found(run: Path | None, pictures: Path | None) -> list[Item]:
    """Return the pictures that a run kept, none of them unsafe, or those of a folder.

    Raises:
        ConfigError: the run has selected nothing yet.
    """
    if run is not None:
        if not (run / KEPT).is_file():
            raise ConfigError(
                f"{run} has selected nothing yet; run its recipe that far (essen run RECIPE --until select)"
            )
        # What safety dropped is not copied either: the copies are shown.
        shown = set(read_kept(run, ["image_sha256"]).column(0).to_pylist()) - unsafe_images(run)
        return [Item(name, read_span(*place)) for name, place in unique_images(run, run).items() if name in shown]
    return [item for item in read_items(pictures or Path()) if item.image is not None]


def sample(config: CalibrationConfig, items: Sequence[Item]) -> list[Item]:
    """Return some of the pictures that can be decoded, chosen by the seed."""
    import numpy as np

    chosen: list[Item] = []
    for place in np.random.default_rng(config.seed).permutation(len(items)).tolist():
        try:
            decode_rgb(items[place].image or b"")
        except PictureError:
            continue
        chosen.append(items[place])
        if len(chosen) == config.pictures:
            break
    if len(chosen) < 2:
        raise ConfigError("there are fewer than two pictures to copy")
    return chosen


def planted(config: CalibrationConfig, items: Sequence[Item], encoder: Encoder) -> list[Trial]:
    """Return a trial for every transform: the originals, their copies, and the pairs among them."""
    import numpy as np

    originals, previews = measure_items(items, encoder), _previews(items)
    row = {picture.sha256: place for place, picture in enumerate(originals.pictures)}
    data = {files.sha256_bytes(item.image): item.image for item in items if item.image}
    twins = _twins(config.rule, originals)
    trials = []
    for number, name in enumerate(config.transforms):
        generator = np.random.default_rng([config.seed, number])
        copies: list[Item] = []
        original: dict[str, int] = {}
        for picture in originals.pictures:
            copy = _png(TRANSFORMS[name](decode_rgb(data[picture.sha256]), generator))
            copies.append(Item(name, copy))
            original.setdefault(files.sha256_bytes(copy), row[picture.sha256])
        measured = measure_items(copies, encoder)
        shown = {**previews, **_previews(copies)}
        trials.append(_trial(config, name, originals, measured, original, twins, shown))
    return trials


def _previews(items: Iterable[Item]) -> dict[str, bytes]:
    """Return small JPEGs by image hash."""
    small = {}
    for item in items:
        if item.image:
            picture = decode_rgb(item.image)
            picture.thumbnail((PREVIEW, PREVIEW))
            out = io.BytesIO()
            picture.save(out, "JPEG", quality=85)
            small[files.sha256_bytes(item.image)] = out.getvalue()
    return small


def _png(picture: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def _twins(rule: DuplicateConfig, measured: Measured) -> set[tuple[int, int]]:
    """Return the rows of originals that are one picture by the rule, either way round: no fault if found."""
    scores = close_pairs(rule, measured.gallery())
    merged = (reasons(rule, scores) != "").nonzero()[0]
    pairs = {(int(scores.first[place]), int(scores.second[place])) for place in merged}
    return pairs | {(b, a) for a, b in pairs}


def _trial(
    config: CalibrationConfig,
    name: str,
    originals: Measured,
    copies: Measured,
    original: Mapping[str, int],
    twins: set[tuple[int, int]],
    previews: Mapping[str, bytes],
) -> Trial:
    import numpy as np

    rule, count = config.rule, len(originals.pictures)
    both = joined(originals, copies)
    rows = crossing(rule, both, count)
    source = {count + place: original[picture.sha256] for place, picture in enumerate(copies.pictures)}
    reported = {row: is_reported(config.seed, originals.pictures[of].sha256) for row, of in source.items()}
    judged = [row for row in rows.tolist() if (row[0], source[row[1]]) not in twins]
    scores = score_pairs(rule, both, np.array(judged, dtype=np.int64).reshape(-1, 2))
    true = np.array([source[second] == first for first, second in judged], dtype=bool)
    half = np.array([reported[second] for _, second in judged], dtype=bool)
    return Trial(name, both, scores, true, half, halves(list(reported.values())), previews)


def _labelled(config: CalibrationConfig, folder: Path, encoder: Encoder) -> tuple[list[Trial], Trial]:
    """Return a trial for every relation of the labelled pairs, and one of the consecutive pages, none of them true."""
    if not (folder / "pairs.csv").is_file():
        raise ConfigError(f"{folder} has no pairs.csv with image, dup_of and relation")
    books = folder.parent / "picturebooks"
    with (folder / "pairs.csv").open(encoding="utf-8", newline="") as file:
        labels = list(csv.DictReader(file))
    with (books / "pages.jsonl").open(encoding="utf-8") as file:
        pages = [json.loads(line) for line in file]
    items = [Item(name, (books / name).read_bytes()) for name in sorted({page["image"] for page in pages})]
    originals, previews = measure_items(items, encoder), _previews(items)
    row = {picture.sha256: place for place, picture in enumerate(originals.pictures)}
    page_row = {page["id"]: row[page["sha256"]] for page in pages if page["sha256"] in row}
    trials = []
    for relation in sorted({label["relation"] for label in labels}):
        chosen = [label for label in labels if label["relation"] == relation]
        copies = [Item(each["id"], (folder / each["image"]).read_bytes()) for each in chosen]
        measured, shown = measure_items(copies, encoder), {**previews, **_previews(copies)}
        truth = {each["sha256"]: page_row[each["dup_of"]] for each in chosen}
        # Other pages may rightly show the same picture, which nobody has labelled: only the pages' own pairs are wrong.
        trial = _trial(config, f"{LABELLED}{relation}", originals, measured, truth, set(), shown)
        trials.append(trial.only(trial.true))
    return trials, _consecutive(config, pages, page_row, originals, previews)


def _consecutive(
    config: CalibrationConfig,
    pages: Sequence[Mapping[str, Any]],
    rows: Mapping[str, int],
    originals: Measured,
    previews: Mapping[str, bytes],
) -> Trial:
    """Return the pairs of different pictures that follow each other in a story; none is a copy of the other."""
    import numpy as np

    follow = {
        (min(rows[a["id"]], rows[b["id"]]), max(rows[a["id"]], rows[b["id"]]))
        for a, b in pairwise(pages)
        if (a["source"], a["story"]) == (b["source"], b["story"]) and a["id"] in rows and b["id"] in rows
    }
    rule, own = config.rule, originals.gallery()
    pairs = np.array(sorted(pair for pair in follow if pair[0] != pair[1]), dtype=np.int64).reshape(-1, 2)
    near = (cosines_of(own.vectors[pairs[:, 0]], own.vectors[pairs[:, 1]]) >= rule.cut_floor) | (
        cosines_of(own.structures[pairs[:, 0]], own.structures[pairs[:, 1]]) >= rule.line_floor
    )
    scores = score_pairs(rule, own, pairs[near])
    half = [is_reported(config.seed, own.pictures[first].sha256) for first, _ in pairs.tolist()]
    reported = np.array(half, dtype=bool)[near]
    true = np.zeros(len(reported), dtype=bool)
    return Trial("consecutive pages", own, scores, true, reported, halves(half), previews)


def _around(rule: DuplicateConfig, trials: Sequence[Trial]) -> list[Neighbour]:
    """Return the pairs whose lines agree, where they agree worst, nearly as much as the threshold asks; best first."""
    found: dict[tuple[str, str], Neighbour] = {}
    for trial in trials:
        merged = reasons(rule, trial.scores) != ""
        shown = (trial.scores.agreement >= rule.outline_agreement).nonzero()[0].tolist()
        for place in shown:
            a, b = (trial.gallery.pictures[int(rows[place])] for rows in (trial.scores.first, trial.scores.second))
            value = float(trial.scores.weakest[place])
            found[a.sha256, b.sha256] = Neighbour(
                value,
                trial.previews[a.sha256],
                trial.previews[b.sha256],
                trial.name,
                bool(merged[place]),
                bool(trial.true[place]),
            )
    ordered = sorted(found.values(), key=lambda pair: -pair.value)
    above = [pair for pair in ordered if pair.value >= rule.weakest][-SHOWN:]
    return above + [pair for pair in ordered if pair.value < rule.weakest][:SHOWN]
