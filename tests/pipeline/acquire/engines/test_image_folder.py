"""A person's own folder: captions from a metadata file or from text files."""

import json

import pytest
from acquire_helpers import encoded, noise

from pipeline.acquire.acquire import acquire, source_params
from pipeline.acquire.options import AcquireOptions
from pipeline.acquire.raw import raw_tables, read_raw
from pipeline.errors import ConfigError, DataError
from pipeline.tables import read_columns, write_table

JPEG, PNG = encoded(noise(1), "JPEG"), encoded(noise(2, mode="RGBA"), "PNG")
LINES = [
    {"file_name": "b.jpg", "caption": "a red ball", "group": "toys", "licence": "CC-BY-4.0", "attribution": "Ann"},
    {"file_name": "sub/a.png", "caption": "a dog", "lang": "de"},
    {"file_name": "none.jpg", "caption": "a cat"},
    {"file_name": "b.jpg", "caption": ""},
    {"file_name": "../outside.jpg", "caption": "outside"},
    {"file_name": "page.jpg", "caption": "a page"},
]


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    (folder / "sub").mkdir(parents=True)
    (folder / "b.jpg").write_bytes(JPEG)
    (folder / "sub" / "a.png").write_bytes(PNG)
    (folder / "page.jpg").write_bytes(b"<html>not found</html>")
    (tmp_path / "outside.jpg").write_bytes(JPEG)
    return folder


def write_metadata(folder, kind):
    columns = ["file_name", "caption", "group", "licence", "attribution", "lang"]
    values = [[line.get(column) for column in columns] for line in LINES]
    if kind == "parquet":
        write_table(folder / "metadata.parquet", dict(zip(columns, zip(*values, strict=True), strict=True)))
    elif kind == "jsonl":
        (folder / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in LINES))
    else:
        rows = [columns, *values]
        (folder / "metadata.csv").write_text(
            "".join(",".join(v or "" for v in row) + "\n" for row in rows), "utf-8-sig"
        )


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_every_line_of_the_metadata_is_a_row(pictures, write_card, tmp_path, kind):
    write_metadata(pictures, kind)
    card = write_card("{engine: folder, path: pictures, min_success_rate: 0.2}")
    counts = acquire(card, AcquireOptions(), tmp_path / "run")
    reasons = {"empty_caption": 1, "missing_file": 1, "not_an_image": 1, "outside_folder": 1}
    assert counts == {"in": 6, "kept": 2, "dropped": reasons}
    (ball, ball_image), (dog, dog_image) = read_raw(tmp_path / "run" / "raw" / "mine")
    assert (ball["caption"], ball["group"], ball["licence"], ball["attribution"], ball["lang"], ball["ext"]) == (
        "a red ball", "toys", "CC-BY-4.0", "Ann", "en", "jpg",
    )  # fmt: skip
    assert ball_image == JPEG
    assert (dog["caption"], dog["group"], dog["licence"], dog["attribution"], dog["lang"], dog["ext"]) == (
        "a dog", "sub/a.png", "CC0-1.0", "Me", "de", "png",
    )  # fmt: skip
    assert dog_image != PNG
    assert dog["error_message"] == "transparency on white"
    assert str(tmp_path) not in str(read_columns(raw_tables(tmp_path / "run" / "raw" / "mine")[0]))


def test_text_files_beside_the_pictures_are_captions(pictures, write_card, tmp_path):
    (pictures / "b.txt").write_text("  a red\nball ")
    (pictures / "page.jpg").unlink()
    counts = acquire(write_card("{engine: folder, path: pictures}"), AcquireOptions(), tmp_path / "run")
    assert counts == {"in": 2, "kept": 1, "dropped": {"empty_caption": 1}}
    ((row, image),) = read_raw(tmp_path / "run" / "raw" / "mine")
    assert (row["caption"], row["url"], image) == ("a red ball", "folder:mine/b.jpg", JPEG)


def test_parameters_follow_the_files_and_not_the_place(pictures, write_card):
    card = write_card("{engine: folder, path: pictures}")
    before = source_params(card, AcquireOptions())
    assert before == source_params(card, AcquireOptions(workers=1))
    (pictures / "b.txt").write_text("a ball")
    assert source_params(card, AcquireOptions()) != before


def test_too_few_successes_leave_nothing_behind(pictures, write_card, tmp_path):
    write_metadata(pictures, "csv")
    card = write_card("{engine: folder, path: pictures, min_success_rate: 0.9}")
    with pytest.raises(
        DataError, match=r"mine: 2 of 5 rows succeeded, less than the minimum of 90% \(.*missing_file 1"
    ):
        acquire(card, AcquireOptions(), tmp_path / "run")
    assert not (tmp_path / "run" / "raw" / "mine").exists()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{engine: folder, path: nowhere}", "there is no folder"),
        ("{engine: folder, path: pictures, metadata: none.csv}", "there is no list"),
        ("{engine: folder, path: pictures, metadata: bad.csv}", "has no column file_name; did you mean filename?"),
        ("{engine: folder, path: pictures, metadata: wide.csv}", "a row has more values than there are columns"),
        ("{engine: folder, path: pictures, metadata: bad.jsonl}", "cannot be read"),
        ("{engine: folder, path: pictures, metadata: bad.parquet}", "cannot be read"),
        ("{engine: folder, path: pictures, metadata: b.jpg}", "its name must end in .csv, .tsv, .jsonl, .parquet"),
        ("{engine: folder, path: pictures/empty}", "holds neither metadata.csv nor pictures"),
    ],
)
def test_what_a_person_can_get_wrong_is_one_line(pictures, write_card, tmp_path, source, message):
    (pictures / "empty").mkdir()
    (pictures / "bad.csv").write_text("filename,caption\na.jpg,x\n")
    (pictures / "wide.csv").write_text("file_name,caption\na.jpg,one,two\n")
    (pictures / "bad.jsonl").write_text('{"file_name": \n')
    (pictures / "bad.parquet").write_bytes(b"PAR1")
    with pytest.raises(ConfigError, match=message.replace("?", r"\?")) as caught:
        acquire(write_card(source), AcquireOptions(), tmp_path / "run")
    assert "\n" not in str(caught.value)
