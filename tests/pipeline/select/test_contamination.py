"""Fifty samples of evaluation sets, planted in every way that they can come back, and none of them trained on."""

import io
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from real_pictures import corpus, encoded, row

from pipeline import files
from pipeline.acquire.raw import RawRow
from pipeline.errors import ConfigError
from pipeline.measure.config import EmbedConfig, MeasureConfig
from pipeline.measure.measure import embed, measure
from pipeline.select.config import ContaminationConfig, EvaluationSet, SafetyConfig, SelectConfig
from pipeline.select.pictured import read_items
from pipeline.select.select import select
from pipeline.shards.picture import decode_rgb
from pipeline.tables import read_columns

ENCODER = "efficientnet-lite0"
PLANTED = 50


def scene(seed: int) -> bytes:
    """A drawing with forms and colours of its own."""
    rng = np.random.default_rng([9, seed])
    image = Image.new("RGB", (120, 120), tuple(rng.integers(120, 256, 3).tolist()))
    pen = ImageDraw.Draw(image)
    for _ in range(9):
        x, y, width, height = (int(value) for value in rng.integers((0, 0, 15, 15), (90, 90, 60, 60)))
        shape = pen.ellipse if rng.random() < 0.5 else pen.rectangle
        shape((x, y, x + width, y + height), fill=tuple(rng.integers(0, 256, 3).tolist()), outline="black")
    return encoded(image)


def again(data: bytes, kind: int) -> bytes:
    """The same picture as it may come back: bytes, pixels, compressed, smaller, or cut."""
    image, out = decode_rgb(data), io.BytesIO()
    if kind == 0:
        return data
    if kind == 1:
        image.save(out, "PNG", compress_level=0)
    elif kind == 2:
        image.save(out, "JPEG", quality=60)
    elif kind == 3:
        image.resize((80, 80), Image.Resampling.BICUBIC).save(out, "PNG")
    else:
        image.crop((5, 4, 116, 115)).save(out, "PNG")
    return out.getvalue()


def sentence(seed: int) -> str:
    return f"The story number {seed} tells of a bird and of {seed + 3} children."


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty samples of its own, and fifty that the evaluation sets hold, five by picture to each by caption."""
    run = tmp_path_factory.mktemp("contaminated") / "run"
    rows: list[RawRow] = [
        row(f"A thing of its own, namely {n}.", scene(1_000 + n), group=f"own {n}") for n in range(60)
    ]
    for n in range(PLANTED):
        by_caption = n % 6 == 5
        image = scene(2_000 + n) if by_caption else again(scene(n), n % 6)
        caption = sentence(n).upper().replace(".", " !") if by_caption else f"Planted under other words, {n}."
        rows.append(row(caption, image, ext="jpg" if n % 6 == 2 else "png", group=f"planted {n}"))
    raw = {"books": corpus(run, "books", rows)}
    measure(MeasureConfig(workers=1), raw, run, run)
    embed(EmbedConfig(image_size=64), run, run)
    return run


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> tuple[EvaluationSet, ...]:
    """The fifty, in three forms: a folder of pictures with captions, raw shards, and trials."""
    base = tmp_path_factory.mktemp("sets")
    for n in range(20):
        files.write_bytes(base / f"folder/{n // 8}/{n}.png", scene(n))
        files.write_bytes(base / f"folder/{n // 8}/{n}.txt", sentence(n).encode())
    files.write_bytes(base / "folder/notes.txt", b"not a caption of anything")
    files.write_bytes(base / "folder/damaged.png", scene(0)[:100])
    corpus(base, "shards", [row(sentence(n), scene(n)) for n in range(20, 40)])
    trials = []
    for n in range(40, PLANTED):
        files.write_bytes(base / f"pictures/{n}.png", scene(n))
        trials.append({"images": [f"pictures/{n}.png"], "caption": sentence(n), "answer": True})
    trials.append({"captions": ["A sentence without any picture."]})
    files.write_bytes(base / "trials.jsonl", "\n".join(json.dumps(trial) for trial in trials).encode() + b"\n\n")
    return (
        EvaluationSet(name="folder", path=base / "folder"),
        EvaluationSet(name="shards", path=base / "raw/shards"),
        EvaluationSet(name="trials", path=base / "trials.jsonl"),
    )


def config(*sets: EvaluationSet) -> SelectConfig:
    return SelectConfig(
        preset="none", safety=SafetyConfig(on_hit="off"), contamination=ContaminationConfig(sets=tuple(sets))
    )


def test_fifty_of_fifty_are_not_trained_on_and_nothing_else_goes(
    run: Path, sets: tuple[EvaluationSet, ...], tmp_path: Path
) -> None:
    select(config(*sets), ("books",), ENCODER, run, tmp_path)
    folder = tmp_path / "selection"
    captions = dict(zip(*read_columns(run / "signals/samples.parquet", ["uid", "caption"]).values(), strict=True))
    verdicts = read_columns(folder / "verdicts.parquet")
    reasons = {
        captions[uid]: reason for uid, step, reason in zip(verdicts["uid"], verdicts["step"], verdicts["reason"],
                                                           strict=True) if step == "contamination"
    }  # fmt: skip
    assert len(reasons) == PLANTED
    assert not any(caption.startswith("A thing of its own") for caption in reasons)
    assert Counter(reasons.values()) == {
        "evaluated_in_folder": 20, "evaluated_in_shards": 20, "evaluated_in_trials": 10
    }  # fmt: skip
    report = files.read_json(folder / "contamination.json")
    assert report["dropped"] == PLANTED
    assert [entry["dropped"] for entry in report["sets"]] == [20, 20, 10]
    assert [entry["pictures"] for entry in report["sets"]] == [20, 20, 10]
    assert [entry["unreadable"] for entry in report["sets"]] == [1, 0, 0]
    hits = Counter()
    for entry in report["sets"]:
        hits.update(entry["hits"])
    planted = Counter(n % 6 for n in range(PLANTED))
    assert hits["bytes"] == planted[0] and hits["caption"] == planted[5]
    assert hits["pixels"] == planted[0] + planted[1]
    assert hits["lines"] >= planted[0] + planted[1] + planted[2]
    named = read_columns(folder / "contamination.parquet")
    assert {captions[uid] for uid in named["uid"]} == set(reasons)
    funnel = {step["step"]: step for step in files.read_json(folder / "funnel.json")["steps"]}
    assert sum(funnel["contamination"]["dropped"].values()) == PLANTED


def test_captions_that_are_names_may_be_shared_and_captions_may_be_left_alone(
    run: Path, sets: tuple[EvaluationSet, ...], tmp_path: Path
) -> None:
    by_picture = [each.model_copy(update={"captions": False}) for each in sets]
    counts = select(config(*by_picture), ("books",), ENCODER, run, tmp_path)
    assert counts["kept"] == 60 + sum(n % 6 == 5 for n in range(PLANTED))
    long = ContaminationConfig(sets=sets, caption_words=40)
    counts = select(config().model_copy(update={"contamination": long}), ("books",), ENCODER, run, tmp_path)
    assert counts["kept"] == 60 + sum(n % 6 == 5 for n in range(PLANTED))


def test_without_sets_nothing_is_looked_for(run: Path, tmp_path: Path) -> None:
    counts = select(config(), ("books",), ENCODER, run, tmp_path)
    assert not (tmp_path / "selection/contamination.json").exists()
    assert "contamination" not in str(counts)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("[1]", "line 1: a trial must be an object"),
        ("{", "line 1: "),
        ('{"image": 3}', "line 1: image must be text"),
        ('{"image": "gone.png"}', r"line 1: there is no picture .*gone\.png"),
    ],
)
def test_trials_that_are_none_are_named(line: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "trials.jsonl").write_text(line)
    with pytest.raises(ConfigError, match=complaint):
        list(read_items(tmp_path / "trials.jsonl"))


def test_a_set_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"neither a folder of pictures or shards nor a .jsonl file"):
        list(read_items(tmp_path / "gone"))


def test_staged_shards_are_read_with_their_captions(small_run: Path) -> None:
    items = list(read_items(small_run / "stages"))
    index = [uid for path in sorted((small_run / "stages").rglob("index.parquet")) for uid in read_columns(path)["uid"]]
    assert len(items) == len(index) and all(item.image and len(item.captions) == 1 for item in items)
