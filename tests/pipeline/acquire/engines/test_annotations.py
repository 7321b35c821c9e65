"""Captions of a folder in the forms of well-known data sets: every caption is a row, with its picture or a reason."""

import json

import pytest
from acquire_helpers import encoded, hashes_below, noise, rows_of

from pipeline.acquire.acquire import acquire, source_params
from pipeline.acquire.engines.folder import availability
from pipeline.acquire.options import AcquireOptions
from pipeline.errors import ConfigError

PICTURES = {name: encoded(noise(number), "JPEG") for number, name in enumerate(["1.jpg", "2.jpg", "000000000003.jpg"])}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "set" / "pictures").mkdir(parents=True)
    for name, data in PICTURES.items():
        (tmp_path / "set" / "pictures" / name).write_bytes(data)
    return tmp_path / "set"


@pytest.fixture
def read(folder, write_card, tmp_path):
    def run(options: str = "", extra: str = "", **acquire_options) -> list[dict]:
        source = f"{{engine: folder, path: set, pictures: pictures, min_success_rate: 0{options}}}"
        card = write_card(source, extra=extra)
        acquire(card, AcquireOptions(**({"workers": 1} | acquire_options)), tmp_path / "run")
        return rows_of(tmp_path / "run" / "raw" / "mine")

    return run


def outcome(rows: list[dict]) -> list[tuple[str, str]]:
    return [(row["group"], row["reason"] or row["caption"]) for row in rows]


COCO = {
    "images": [
        {"id": 1, "file_name": "1.jpg", "license": 1, "coco_url": "http://images.example/1.jpg"},
        {"id": 2, "file_name": "2.jpg", "license": 7},
        {"id": 3, "file_name": "000000000003.jpg", "license": 4},
        {"id": 4, "file_name": "gone.jpg"},
        {"id": 5, "file_name": "2.jpg"},
        {"id": 6, "file_name": "../outside.jpg"},
        {"id": 7, "file_name": "link.jpg"},
    ],
    "annotations": [
        {"id": 10, "image_id": 2, "caption": "a dog"},
        {"id": 11, "image_id": 1, "caption": "a cat "},
        {"id": 12, "image_id": 2, "caption": "a brown dog"},
        {"id": 13, "image_id": 4, "caption": "gone"},
        {"id": 14, "image_id": 99, "caption": "nowhere"},
        {"id": 15, "image_id": 3, "caption": "a bird"},
        {"id": 16, "image_id": 3, "caption": ""},
        {"id": 17, "image_id": 6, "caption": "outside"},
        {"id": 18, "image_id": 7, "caption": "linked"},
    ],
    "licenses": [
        {"id": 1, "name": "Attribution-NonCommercial License", "url": "http://creativecommons.org/licenses/by-nc/2.0/"},
        {"id": 4, "name": "Attribution License", "url": "http://creativecommons.org/licenses/by/2.0/"},
        {"id": 7, "name": "No known copyright restrictions", "url": "http://flickr.com/commons/usage/"},
    ],
}


def test_coco(read, folder, tmp_path):
    (folder / "captions_val.json").write_text(json.dumps(COCO))
    (tmp_path / "outside.jpg").write_bytes(PICTURES["1.jpg"])
    (folder / "pictures" / "link.jpg").symlink_to(tmp_path / "outside.jpg")
    rows = read()
    assert outcome(rows) == [
        ("2.jpg", "a dog"),
        ("1.jpg", "a cat"),
        ("2.jpg", "a brown dog"),
        ("gone.jpg", "missing_file"),
        ("folder:mine/", "missing_file"),
        ("000000000003.jpg", "a bird"),
        ("000000000003.jpg", "empty_caption"),
        ("../outside.jpg", "outside_folder"),
        ("link.jpg", "outside_folder"),
        ("2.jpg", "empty_caption"),
    ]
    assert len(rows) == len(COCO["annotations"]) + 1  # the image that nobody described
    assert rows[4]["error_message"] == "the file lists no image 99"
    assert [row["licence"] for row in rows[:4]] == ["NOASSERTION", "CC-BY-NC-2.0", "NOASSERTION", "CC0-1.0"]
    assert rows[5]["licence"] == "CC-BY-2.0"
    assert (rows[1]["url"], rows[0]["url"]) == ("http://images.example/1.jpg", "folder:mine/2.jpg")
    words = '"No known copyright restrictions": LicenseRef-flickr, "http://creativecommons.org/licenses/by/2.0/": X-1'
    rows = read(extra=f"licences: {{{words}}}\n")
    assert [rows[0]["licence"], rows[5]["licence"]] == ["LicenseRef-flickr", "X-1"]


FLICKR = {
    "results.csv": [
        "image_name| comment_number| comment", "1.jpg| 0| Two men | talk .", "1.jpg| 1| A, b .", "2.jpg| 4   A dog .",
        "gone.jpg| 0| Gone .", "nothing at all",
    ],
    "results_20130124.token": [
        "1.jpg#0\tTwo men | talk .", "1.jpg#1\tA, b .", "2.jpg#4\tA dog .", "gone.jpg#0\tGone .", "nothing at all"
    ],
    "captions.txt": [
        "image,caption", "1.jpg,Two men | talk .", '1.jpg,"A, b ."', "2.jpg,A dog .", "gone.jpg,Gone .",
        "2.jpg,too,many",
    ],
    "flickr_annotations_30k.csv": [
        "raw,sentids,split,filename,img_id", '"[""Two men | talk ."", ""A, b .""]","[0, 1]",train,1.jpg,0',
        '"[""A dog .""]","[2]",test,2.jpg,1', '"[""Gone .""]","[3]",test,gone.jpg,2', '"[1]","[4]",test,2.jpg,3,more',
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", FLICKR)
def test_flickr30k(read, folder, name):
    (folder / name).write_text("\n".join(FLICKR[name]) + "\n")
    rows = read()
    assert [(row["group"], row["reason"] or row["caption"]) for row in rows][:4] == [
        ("1.jpg", "Two men | talk ."),
        ("1.jpg", "A, b ."),
        ("2.jpg", "A dog ."),
        ("gone.jpg", "missing_file"),
    ]
    assert [row["reason"] for row in rows][4:] == ["bad_line"]


NARRATIVES = [
    {
        "dataset_id": "x",
        "image_id": "1",
        "annotator_id": 3,
        "caption": "In this image there is a cat.",
        "traces": [[{"x": 0.1}]],
    },
    {"dataset_id": "x", "image_id": "3", "annotator_id": 4, "caption": "A bird.", "timed_caption": []},
    {"dataset_id": "x", "image_id": 2, "annotator_id": 5, "caption": "A dog."},
    {"dataset_id": "x", "image_id": "2", "annotator_id": 6, "caption": "A dog again."},
    {"dataset_id": "x", "image_id": "gone", "annotator_id": 6, "caption": "Gone."},
    {"dataset_id": "x", "image_id": "../../secret", "annotator_id": 6, "caption": "Outside."},
]


def test_localized_narratives(read, folder):
    for part in range(2):
        lines = "".join(json.dumps(line) + "\n" for line in NARRATIVES[3 * part : 3 * part + 3])
        (folder / f"x_localized_narratives-{part:05d}-of-00002.jsonl").write_text(lines)
    assert outcome(read()) == [
        ("1", "In this image there is a cat."),
        ("3", "A bird."),
        ("2", "A dog."),
        ("2", "A dog again."),
        ("gone", "missing_file"),
        ("../../secret", "outside_folder"),
    ]


def test_the_form_goes_by_names_unless_the_card_says(read, folder):
    (folder / "captions_val.json").write_text(json.dumps(COCO))
    (folder / "results.csv").write_text("\n".join(FLICKR["results.csv"]))
    (folder / "mine.json").write_text(
        json.dumps({"images": COCO["images"][:1], "annotations": COCO["annotations"][1:2]})
    )
    with pytest.raises(ConfigError, match=r"several files of captions \(captions_val.json, results.csv\)"):
        read()
    assert len(read(", metadata: mine.json")) == 1
    assert len(read(", metadata: results.csv")) == 5
    assert len(read(", format: flickr30k")) == 5
    (folder / "pictures" / "1.txt").write_text("one")
    assert outcome(read(", format: sidecar")) == [
        ("000000000003.jpg", "empty_caption"), ("1.jpg", "one"), ("2.jpg", "empty_caption")
    ]  # fmt: skip
    (folder / "metadata.csv").write_text("file_name,text,url\n2.jpg,two,http://pictures.example/2\n")
    (row,) = read()
    assert (row["caption"], row["url"]) == ("two", "http://pictures.example/2")
    with pytest.raises(ConfigError, match=r"has no file of captions \(\*localized_narratives"):
        read(", format: localized_narratives")
    (folder / "metadata.csv").unlink()
    (folder / "captions_train.json").write_text(json.dumps(COCO))
    (folder / "results.csv").unlink()
    with pytest.raises(ConfigError, match="several files of captions"):
        read()
    assert len(read(', metadata: "captions_*.json"')) == 20


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("captions.json", b"[]", "is no file of COCO captions"),
        ("captions.json", b'{"images": [', "cannot be read"),
        ("captions.json", b'{"images": [1], "annotations": []}', "images is no list of objects"),
        ("captions.txt", b"a,b\n1.jpg,x\n", "is no list of Flickr30k"),
        ("x_captions.jsonl", b'{"image_id": "1", "caption": "a"}\n{"image_id"', "cannot be read"),
        ("x_captions.jsonl", b'{"image_id": "1"}\n', "line 1 has no image_id and caption"),
    ],
)
def test_a_file_that_is_none_is_one_line(read, folder, name, content, message):
    (folder / name).write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        read()
    assert "\n" not in str(caught.value)


def test_pictures_that_cannot_be_read_have_a_reason(read, folder, tmp_path):
    import os

    secret = tmp_path / "secret.jpg"
    secret.write_bytes(PICTURES["1.jpg"])
    pictures = folder / "pictures"
    (pictures / "link.jpg").symlink_to(secret)
    (pictures / "inner.jpg").symlink_to("1.jpg")
    (pictures / "loop.jpg").symlink_to("loop.jpg")
    (pictures / "folder.jpg").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.jpg").write_bytes(PICTURES["2.jpg"])
    (pictures / "way").symlink_to(tmp_path / "out")
    os.mkfifo(pictures / "pipe.jpg")
    (pictures / "big.jpg").write_bytes(b"\0" * 30_000)
    expected = {
        "link.jpg": "outside_folder", "inner.jpg": "", "loop.jpg": "missing_file", "folder.jpg": "missing_file",
        "way/a.jpg": "outside_folder", "pipe.jpg": "missing_file", "big.jpg": "too_large", "a\0b.jpg": "missing_file",
        "x" * 300 + ".jpg": "missing_file", "/etc/passwd": "outside_folder", "..": "outside_folder", "": "missing_file",
        "sub/../1.jpg": "outside_folder", "\ud800.jpg": "missing_file",
    }  # fmt: skip
    lines = [json.dumps({"file_name": name, "caption": "x"}) + "\n" for name in expected]
    (folder / "metadata.jsonl").write_text("".join(lines))
    assert [row["reason"] for row in read(", max_bytes: 20000")] == list(expected.values())


def test_text_files_that_cannot_be_captions_have_a_reason(read, folder, tmp_path):
    (tmp_path / "secret.txt").write_text("a secret")
    (folder / "pictures" / "1.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "pictures" / "2.txt").write_bytes(b"caf\x81")
    (folder / "pictures" / "000000000003.txt").write_text("a bird")
    assert [row["reason"] or row["caption"] for row in read()] == ["a bird", "outside_folder", "bad_encoding"]


def test_order_limit_workers_and_parameters(read, folder, write_card, tmp_path):
    (folder / "captions_val.json").write_text(json.dumps(COCO))
    rows = read()
    first = hashes_below(tmp_path / "run")
    assert read(workers=2) == rows
    assert hashes_below(tmp_path / "run") == first
    assert outcome(read(limit=4)) == outcome(rows)[:4]
    card = write_card("{engine: folder, path: set, pictures: pictures}")
    before = source_params(card, AcquireOptions())
    assert source_params(card, AcquireOptions(workers=1)) == before
    (folder / "captions_val.json").write_text(json.dumps(COCO | {"annotations": COCO["annotations"][::-1]}))
    changed = source_params(card, AcquireOptions())
    assert changed != before
    (folder / "pictures" / "1.jpg").write_bytes(PICTURES["2.jpg"])
    assert source_params(card, AcquireOptions()) != changed
    assert availability(card, card.source) == ""
