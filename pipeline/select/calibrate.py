"""Which threshold finds which copy: known transforms are planted, labelled pairs are used, and every tier is judged.

Pictures are copied in known ways, and the copies looked for among all of the pictures. Recall is the share of copies
found with their original; precision the share of true ones among all the pairs that were found. Where people have
labelled copies, these are looked for, too, and the consecutive pages of stories, which look alike and are not the same,
say how often two pictures are taken for one.
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
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
from pipeline.select.duplicates import Scores, close_pairs, reasons, score_pairs, tiers
from pipeline.select.neighbours import cosines_of
from pipeline.select.pictured import Item, Measured, measure_items, read_items
from pipeline.select.pictures import Gallery
from pipeline.select.safety import unsafe_images
from pipeline.select.transforms import TRANSFORMS
from pipeline.shards.picture import PictureError, decode_rgb
from pipeline.tables import read_columns
from pipeline.tar import read_span

if TYPE_CHECKING:
    import numpy as np

# What is swept for each tier, the rest of the rule as it is.
SWEEPS: Mapping[str, tuple[str, tuple[float, ...]]] = {
    "perceptual": ("hamming", tuple(range(0, 33, 2))),
    "semantic": ("cosine", (*(round(0.8 + 0.02 * step, 2) for step in range(10)), 0.99)),
    "lines": ("same_lines", (*(round(0.5 + 0.05 * step, 2) for step in range(10)), 0.99)),
    "redrawn": ("weakest", tuple(round(0.1 * step, 1) for step in range(10))),
}
PREVIEW = 112  # longer side, in pixels
SHOWN = 12  # pairs on either side of the threshold


class CalibrationConfig(Config):
    """What is planted, and the rule that is judged."""

    pictures: int = Field(default=200, ge=2, description="how many pictures are copied")
    transforms: tuple[str, ...] = Field(default=tuple(TRANSFORMS), description="in which ways")
    seed: int = Field(default=0, ge=0, description="another seed copies other pictures")
    rule: DuplicateConfig = DuplicateConfig()


@dataclass(frozen=True, slots=True)
class Trial:
    """Pairs of pictures with what is known of them.

    Attributes:
        name: transform or relation.
        gallery: the pictures.
        scores: of the pairs that a run would compare.
        true: (P,) booleans: a copy and its original.
        known: number of copies, those included that no pair holds.
        previews: a small picture for people, encoded, by image hash.
    """

    name: str
    gallery: Gallery
    scores: Scores
    true: "np.ndarray"
    known: int
    previews: Mapping[str, bytes]


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
        trials += _planted(config, _sample(config, _found(run, pictures)), encoder)
    consecutive = None
    if truth is not None:
        labelled, consecutive = _labelled(config.rule, truth, encoder)
        trials += labelled
    if not trials:
        raise ConfigError("there is nothing to calibrate on; name a run, a folder of pictures or labelled pairs")
    result = _judge(config, trials, consecutive)
    files.write_json(out / "calibration.json", result)
    write_curves(result, out / "calibration.png")
    write_sheet(_around(config.rule, [*trials, *([consecutive] if consecutive else [])]), out / "calibration-pairs.png")
    return result


def summary(result: Mapping[str, Any]) -> list[str]:
    """Return the lines that a command prints: recall and precision of every copy by tier, at the rule's thresholds."""
    names = ["exact", *SWEEPS, "combined"]
    lines = [f"{'recall % / precision %':24}" + "".join(f"{name:>14}" for name in names)]
    for row in result["copies"]:
        cells = []
        for name in names:
            precision = row["tiers"][name]["precision"]
            shown = "   –" if precision is None else f"{100 * precision:4.0f}"
            cells.append(f"{100 * row['tiers'][name]['recall']:7.1f} /{shown} ")
        lines.append(f"{row['name']:24}" + "".join(f"{cell:>14}" for cell in cells))
    if result["consecutive"]:
        merged = result["consecutive"]["merged"]
        rates = "".join(f"{100 * merged[name]:13.2f} " for name in names)
        lines.append(f"{'merged story pages, %':24}{rates}")
    return lines


def _found(run: Path | None, pictures: Path | None) -> list[Item]:
    if run is not None:
        if not (run / "selection/split.parquet").is_file():
            raise ConfigError(
                f"{run} has selected nothing yet; run its recipe that far (essen run RECIPE --until select)"
            )
        # What safety dropped is not copied either: the copies are shown.
        kept = set(read_columns(run / "selection/split.parquet", ["uid"])["uid"])
        catalogue = read_columns(run / "signals/samples.parquet", ["uid", "image_sha256"])
        shown = {image for uid, image in zip(*catalogue.values(), strict=True) if uid in kept} - unsafe_images(run)
        return [Item(name, read_span(*place)) for name, place in unique_images(run, run).items() if name in shown]
    return [item for item in read_items(pictures or Path()) if item.image is not None]


def _sample(config: CalibrationConfig, items: Sequence[Item]) -> list[Item]:
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


def _planted(config: CalibrationConfig, items: Sequence[Item], encoder: Encoder) -> list[Trial]:
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
        trials.append(_trial(config.rule, name, originals, measured, original, twins, shown))
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
    own = Gallery(measured.pictures, measured.vectors, measured.structures)
    scores = close_pairs(rule, own)
    merged = (reasons(rule, scores) != "").nonzero()[0]
    pairs = {(int(scores.first[place]), int(scores.second[place])) for place in merged}
    return pairs | {(b, a) for a, b in pairs}


def _trial(
    rule: DuplicateConfig,
    name: str,
    originals: Measured,
    copies: Measured,
    original: Mapping[str, int],
    twins: set[tuple[int, int]],
    previews: Mapping[str, bytes],
) -> Trial:
    import numpy as np

    count = len(originals.pictures)
    both = _joined(originals, copies)
    rows = crossing(rule, both, count)
    source = {count + place: original[picture.sha256] for place, picture in enumerate(copies.pictures)}
    judged = [row for row in rows.tolist() if (row[0], source[row[1]]) not in twins]
    scores = score_pairs(rule, both, np.array(judged, dtype=np.int64).reshape(-1, 2))
    true = np.array([source[second] == first for first, second in judged], dtype=bool)
    return Trial(name, both, scores, true, len(copies.pictures), previews)


def _joined(first: Measured, second: Measured) -> Gallery:
    import numpy as np

    return Gallery(
        [*first.pictures, *second.pictures],
        np.concatenate([first.vectors, second.vectors]),
        np.concatenate([first.structures, second.structures]),
    )


def _labelled(rule: DuplicateConfig, folder: Path, encoder: Encoder) -> tuple[list[Trial], Trial]:
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
        trials.append(_only_true(_trial(rule, f"labelled {relation}", originals, measured, truth, set(), shown)))
    return trials, _consecutive(rule, pages, page_row, originals, previews)


def _consecutive(
    rule: DuplicateConfig,
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
    pairs = np.array(sorted(pair for pair in follow if pair[0] != pair[1]), dtype=np.int64).reshape(-1, 2)
    own = Gallery(originals.pictures, originals.vectors, originals.structures)
    near = (cosines_of(own.vectors[pairs[:, 0]], own.vectors[pairs[:, 1]]) >= rule.floor) | (
        cosines_of(own.structures[pairs[:, 0]], own.structures[pairs[:, 1]]) >= rule.line_floor
    )
    scores = score_pairs(rule, own, pairs[near])
    return Trial("consecutive pages", own, scores, np.zeros(int(near.sum()), dtype=bool), len(pairs), previews)


def _only_true(trial: Trial) -> Trial:
    kept = Scores(**{each.name: getattr(trial.scores, each.name)[trial.true] for each in fields(Scores)})
    return Trial(trial.name, trial.gallery, kept, trial.true[trial.true], trial.known, trial.previews)


def _judge(config: CalibrationConfig, trials: Sequence[Trial], consecutive: Trial | None) -> dict[str, Any]:
    curves = {}
    for tier, (field, thresholds) in SWEEPS.items():
        rules = [config.rule.model_copy(update={field: threshold}) for threshold in thresholds]
        curves[tier] = {
            "field": field,
            "chosen": getattr(config.rule, field),
            "thresholds": list(thresholds),
            "copies": {trial.name: [_found_by(rule, trial)[tier] for rule in rules] for trial in trials},
            "merged": [_merged_by(rule, consecutive)[tier] for rule in rules] if consecutive else [],
        }
    return {
        "pictures": config.pictures,
        "rule": config.rule.model_dump(mode="json"),
        "copies": [
            {"name": trial.name, "known": trial.known, "tiers": _found_by(config.rule, trial)} for trial in trials
        ],
        "consecutive": {"pairs": consecutive.known, "merged": _merged_by(config.rule, consecutive)}
        if consecutive
        else None,
        "curves": curves,
    }


def _by_tier(rule: DuplicateConfig, trial: Trial) -> "dict[str, np.ndarray]":
    return {**tiers(rule, trial.scores), "combined": reasons(rule, trial.scores) != ""}


def _found_by(rule: DuplicateConfig, trial: Trial) -> dict[str, dict[str, float | None]]:
    """Return recall and precision by tier; no precision where nothing was found, or only true pairs are known."""
    result: dict[str, dict[str, float | None]] = {}
    for tier, found in _by_tier(rule, trial).items():
        right, all_found = int((found & trial.true).sum()), int(found.sum())
        known = not trial.name.startswith("labelled")
        result[tier] = {
            "recall": round(right / trial.known, 4),
            "precision": round(right / all_found, 4) if all_found and known else None,
        }
    return result


def _merged_by(rule: DuplicateConfig, trial: Trial) -> dict[str, float]:
    return {tier: round(int(found.sum()) / max(1, trial.known), 6) for tier, found in _by_tier(rule, trial).items()}


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
