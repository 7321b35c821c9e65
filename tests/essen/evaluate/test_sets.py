"""Sets in the layouts in which they are found, and what an encoder that knows colours scores on them."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from essen.config import ScoreConfig
from essen.errors import TrialsError
from essen.evaluate.pictures import to_square
from essen.evaluate.score import score_encoder
from essen.evaluate.sets import LabelledPictures, class_name, read_sets

Paint = Callable[..., str]
NAMES = ["red", "green", "blue"]


def scores(record: dict[str, Any], number: int = 0) -> dict[tuple[str, str], dict[str, Any]]:
    return {(entry["measure"], entry["scorer"]): entry for entry in record["sets"][number]["scores"]}


def shard(path: Path, paint: Paint, samples: list[tuple[str, str, str, str]]) -> None:
    """Write a shard of (key, colour, extension, text)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for number, (key, colour, extension, text) in enumerate(samples):
            picture = (path.parent / paint(path.parent, colour, number)).read_bytes()
            for name, data in ((f"{key}.png", picture), (f"{key}.{extension}", text.encode())):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))


@pytest.fixture
def benchmark(tmp_path: Path, paint: Paint) -> Path:
    """CLIP_benchmark's layout: three colours, a training part, two shards to test on."""
    folder = tmp_path / "wds_colours"
    folder.mkdir()
    (folder / "classnames.txt").write_text("red\ngreen\nblue\n")
    (folder / "zeroshot_classification_templates.txt").write_text("a photo of a {c} thing.\n{c} paint\n")
    for split, shards in (("train", 1), ("test", 2)):
        for part in range(shards):
            rows = [(f"s{part}{k}", NAMES[k % 3], "cls", str(k % 3)) for k in range(9)]
            shard(folder / split / f"{part}.tar", paint, rows)
        (folder / split / "nshards.txt").write_text(f"{shards}")
    return folder


def test_clip_benchmarks_classification_layout_is_read_as_it_is(
    benchmark: Path, colours: Any, quick: ScoreConfig
) -> None:
    [labelled] = read_sets(benchmark)
    assert isinstance(labelled, LabelledPictures)
    assert (labelled.classes, labelled.templates) == (NAMES, ("a photo of a {c} thing.", "{c} paint"))
    assert labelled.train is not None and (labelled.train.sum(), len(labelled.tested)) == (9, 18)
    found = scores(score_encoder(colours, [benchmark], quick))
    for scorer in ("towers", "probe"):
        entry = found["top1", scorer]
        assert (entry["value"], entry["interval"], entry["n"], entry["gallery"]) == (1.0, [1.0, 1.0], 18, 3)
        assert entry["controls"]["shuffled_pictures"]["value"] < 0.8
        assert entry["controls"]["chance"]["value"] == pytest.approx(1 / 3)
        assert found["mean_per_class", scorer]["value"] == pytest.approx(1.0)
    assert found["top1", "towers"]["controls"]["no_picture"]["value"] <= 1 / 3


def test_damaged_shards_are_named(benchmark: Path, paint: Paint) -> None:
    shard(benchmark / "test/1.tar", paint, [("x", "red", "cls", "7")])
    with pytest.raises(TrialsError, match=r"1.tar x has the class '7' of 3"):
        read_sets(benchmark)
    shard(benchmark / "test/1.tar", paint, [("x", "red", "txt", "7")])
    with pytest.raises(TrialsError, match=r"sample x needs a picture and .cls"):
        read_sets(benchmark)
    (benchmark / "test/1.tar").write_bytes(b"no tar")
    with pytest.raises(TrialsError, match=r"1.tar cannot be read"):
        read_sets(benchmark)
    (benchmark / "test/nshards.txt").write_text("two")
    with pytest.raises(TrialsError, match="holds 'two', which is no number of shards"):
        read_sets(benchmark)
    shard(benchmark / "test/0.tar", paint, [("x", "red", "cls", "0")])
    (benchmark / "test/nshards.txt").write_text("1")
    (benchmark / "zeroshot_classification_templates.txt").write_text("a photo")
    with pytest.raises(TrialsError, match=r"'a photo' has no \{c\}"):
        read_sets(benchmark)


def test_a_retrieval_set_counts_every_caption_of_a_picture(
    tmp_path: Path, paint: Paint, colours: Any, quick: ScoreConfig
) -> None:
    # CLIP_benchmark #7, #48: three pictures with 2, 1 and 1 captions; "blue" stands at the red one as well.
    folder = tmp_path / "wds_captions"
    rows = [("a", "red", "red\nblue"), ("b", "blue", "blue."), ("c", "green", "white")]
    shard(folder / "test/0.tar", paint, [(key, colour, "txt", said) for key, colour, said in rows])
    (folder / "dataset_type.txt").write_text("retrieval")
    found = scores(score_encoder(colours, [folder], quick))
    # by text: red → a right; blue → b wrong; "blue." names no colour it knows, as white does, so all pictures tie
    text = found["text_to_image_R@1", "towers"]
    assert (text["n"], text["gallery"], text["value"]) == (4, 3, pytest.approx(1 / 4))
    # by picture: a has red first; b prefers "blue", which is a's; c prefers white, alike with "blue."
    image = found["image_to_text_R@1", "towers"]
    assert (image["n"], image["gallery"], image["value"]) == (3, 4, pytest.approx(1 / 3))
    # a picture with two captions finds one at random in 2 of 4, the others in 1 of 4
    assert image["controls"]["chance"]["value"] == pytest.approx((2 / 4 + 1 / 4 + 1 / 4) / 3)
    assert found["image_to_text_R@5", "towers"]["value"] == 1.0
    assert text["controls"]["no_picture"]["value"] == 0.0


def test_folders_and_lists_of_labelled_pictures(tmp_path: Path, paint: Paint, colours: Any, quick: ScoreConfig) -> None:
    for colour in NAMES:
        for number in range(6):
            paint(tmp_path / "pictures" / f"{colour}_thing", colour, number)
    found = score_encoder(colours, [tmp_path / "pictures"], quick)
    assert scores(found)["top1", "towers"]["value"] == scores(found)["top1", "probe"]["value"] == 1.0
    lines = [f"{c}_thing/{c}-{k}.png,{c},{n},{'warm' if c == 'red' else 'cold'},{n > 0:d},burst {k // 2}"
             for n, c in enumerate(NAMES) for k in range(6)]  # fmt: skip
    table = tmp_path / "pictures/index.csv"
    table.write_text("\n".join(["image,fine,fine_id,coarse,coarse_id,group", *lines]))
    record = score_encoder(colours, [table], quick)
    assert [entry["name"] for entry in record["sets"]] == ["index, fine", "index, coarse"]
    entry = scores(record)["top1", "towers"]
    assert (entry["value"], entry["unit"], entry["units"]) == (1.0, "group", 3)
    table.write_text("image,label\n../x.png,red\n")
    with pytest.raises(TrialsError, match="no path below"):
        read_sets(table)
    table.write_text("image,label\nx.png\n")
    with pytest.raises(TrialsError, match="line 2 has not as many columns"):
        read_sets(table)
    table.write_text("file,label\nx.png,red\n")
    with pytest.raises(TrialsError, match="columns image and label"):
        read_sets(table)


def test_names_of_classes_are_words() -> None:
    assert class_name("Royal-Gala_apple") == "Royal Gala apple"


def test_the_groceries_are_read_as_they_are(corpora: Path) -> None:
    fine, coarse = read_sets(corpora / "grocery")
    assert isinstance(fine, LabelledPictures) and isinstance(coarse, LabelledPictures)
    assert (len(fine.sources), len(fine.classes), len(coarse.classes)) == (516, 81, 43)
    assert np.bincount(coarse.labels).tolist() == [12] * 43
    assert "Royal Gala" in fine.classes


def test_what_is_nothing_to_score_on_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(TrialsError, match="nothing to score on"):
        read_sets(tmp_path / "empty")
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(TrialsError, match="nothing to score on"):
        read_sets(tmp_path / "notes.txt")


def test_a_picture_becomes_a_square_in_three_ways() -> None:
    wide = Image.new("RGB", (80, 20), "red")
    wide.paste("blue", (0, 0, 20, 20))
    whole, stretched, cut = (to_square(wide, 40, fit) for fit in ("letterbox", "stretch", "crop"))
    assert {square.shape for square in (whole, stretched, cut)} == {(40, 40, 3)}
    assert (whole[0] == 255).all() and whole[20, 2].tolist() == [0, 0, 255]
    assert stretched[0, 2].tolist() == [0, 0, 255] and stretched[0, 35].tolist() == [255, 0, 0]
    assert (cut == [255, 0, 0]).all()
