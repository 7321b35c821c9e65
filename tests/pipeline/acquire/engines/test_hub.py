"""Data sets in the forms of the Hugging Face hub: each gives the same rows, streamed or not; nothing is lost or run."""

import hashlib
import json
import os
import shutil

import pytest
from acquire_helpers import encoded, hashes_below, noise, rows_of, tar_of
from hub_helpers import PICTURES, WORDS, content

from pipeline.acquire.acquire import acquire, source_params
from pipeline.acquire.engines.hub import availability
from pipeline.acquire.options import AcquireOptions
from pipeline.errors import ConfigError, DataError
from pipeline.tables import write_table


@pytest.fixture
def read(sets, write_card, tmp_path):
    def run(path: str, options: str = "", **acquire_options) -> list[dict]:
        card = write_card(f"{{engine: hub, path: {sets / path}, min_success_rate: 0{options}}}")
        acquire(card, AcquireOptions(**({"workers": 1} | acquire_options)), tmp_path / "run")
        return rows_of(tmp_path / "run" / "raw" / "mine")

    return run


FORMS = {
    "parquet": "", "saved": "", "dictionary": "", "struct.parquet": "", "binary.parquet": "", "images": "",
    "tars": ", columns: {caption: json.caption}",
}  # fmt: skip


@pytest.mark.parametrize("streaming", ["false", "true"])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_rows(read, form, streaming):
    rows = read(form, f", streaming: {streaming}{FORMS[form]}")
    expected = [
        (hashlib.sha256(picture).hexdigest(), word, "")
        for picture, words in zip(PICTURES, WORDS, strict=True)
        for word in words
    ]
    assert content(rows) == expected
    assert len({row["group"] for row in rows}) == 10
    if form != "tars":
        assert [row["url"] for row in rows][::2] == [f"hub:mine/train/{number}" for number in range(10)]


@pytest.mark.parametrize("streaming", ["false", "true"])
def test_a_damaged_picture_costs_its_own_rows_only(sets, write_card, tmp_path, streaming):
    shutil.copytree(sets / "images", tmp_path / "images")
    (tmp_path / "images" / "deep" / "3.gif").write_bytes(b"GIF89a")
    (tmp_path / "images" / "deep" / "4.png").write_bytes(b"<html>")
    (tmp_path / "images" / "deep" / "5.jpeg").unlink()
    card = write_card(f"{{engine: hub, path: images, streaming: {streaming}}}")
    counts = acquire(card, AcquireOptions(workers=1), tmp_path / "run")
    assert counts == {"in": 20, "kept": 14, "dropped": {"missing_file": 2, "not_an_image": 2, "truncated": 2}}


def test_mixed_kinds_in_tars_lose_nothing_where_datasets_loses_half(tmp_path, write_card):
    import datasets

    (tmp_path / "tars").mkdir()
    members = []
    for number in range(16):
        kind = "png" if number < 8 else ("jpg", "webp")[number % 2]
        picture = encoded(noise(number), {"jpg": "JPEG"}.get(kind, kind.upper()))
        members += [(f"{number:02d}.{kind}", picture), (f"{number:02d}.txt", b"picture %d" % number)]
    (tmp_path / "tars" / "0.tar").write_bytes(tar_of(*members))
    plain = datasets.load_dataset(str(tmp_path / "tars"), split="train", cache_dir=str(tmp_path / "cache"))
    assert sum(value is not None for value in plain.with_format("arrow")[:]["png"].to_pylist()) == 8
    card = write_card("{engine: hub, path: tars, columns: {caption: txt}}")
    assert acquire(card, AcquireOptions(), tmp_path / "run") == {"in": 16, "kept": 16, "dropped": {}}


def test_columns_are_mapped(read):
    columns = (
        ", columns: {caption: notes.raw, group: label, category: label, licence: info.licence, attribution: info.who}"
    )
    rows = read("parquet", columns + ", split: test")
    assert [(r["caption"], r["group"], r["licence"], r["licence_source"], r["attribution"]) for r in rows] == [
        (f"note {n}", ("cat", "dog")[n % 2], "cc-by", "data set", f"painter {n}") for n in range(3)
    ]


@pytest.mark.parametrize(
    ("path", "options", "message"),
    [
        ("parquet", ", columns: {caption: captoin}", "has no column captoin; did you mean caption?"),
        ("parquet", ", columns: {image: img}", "has no column img"),
        ("parquet", ", split: tset", "has no split tset; did you mean test?; it has train, test"),
        ("dictionary", ", split: tset", "has no split tset; did you mean test?; it has train, test"),
        ("parquet", ", config: none", "BuilderConfig 'none' not found. Available: ['default']"),
        ("tars", ", columns: {caption: text}", "has no member .text"),
        ("nowhere", "", "a data set of the hub needs a revision"),
        ("images/metadata.jsonl.gz", "", "there is no"),
        ("images/deep/0.png", "", "a data set in one file ends in"),
    ],
)
def test_what_a_person_can_get_wrong_is_one_line(read, path, options, message):
    with pytest.raises(ConfigError) as caught:
        read(path, options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("streaming", ["false", "true"])
def test_pictures_elsewhere_are_not_read(write_card, tmp_path, streaming):
    import datasets
    import pyarrow as pa
    import pyarrow.parquet as pq

    secret = tmp_path / "secret.png"
    secret.write_bytes(PICTURES[0])
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "in.png").write_bytes(PICTURES[1])
    (tmp_path / "set" / "link.png").symlink_to(secret)
    paths = [str(secret), "../secret.png", "link.png", f"file://{secret}", f"zip://a::{secret}", "https://x.example/1.png",
             "none.png", "in.png", str(tmp_path / "set" / "in.png"), None]  # fmt: skip
    features = datasets.Features({"image": datasets.Image(decode=False), "caption": datasets.Value("string")})
    stored = [{"bytes": None, "path": path} for path in paths] + [{"bytes": b"x" * 3_000, "path": None}]
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    table = pa.table({"image": pa.array(stored, kind), "caption": [str(number) for number in range(len(stored))]})
    schema = table.schema.with_metadata({"huggingface": json.dumps({"info": {"features": features.to_dict()}})})
    pq.write_table(table.cast(schema), tmp_path / "set" / "train.parquet")
    (tmp_path / "set" / "README.md").write_text(
        "---\nconfigs:\n- config_name: default\n  data_files: train.parquet\n---\n"
    )
    card = write_card(f"{{engine: hub, path: set, streaming: {streaming}, max_bytes: 2000, min_success_rate: 0}}")
    acquire(card, AcquireOptions(workers=1), tmp_path / "run")
    assert [row["reason"] for row in rows_of(tmp_path / "run" / "raw" / "mine")] == [
        "outside_folder", "outside_folder", "outside_folder", "outside_folder", "outside_folder", "remote_picture",
        "missing_file", "", "", "missing_file", "too_large",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["https://x.example/1.parquet", "../other/1.parquet", "/etc/passwd"])
def test_a_description_that_names_files_elsewhere_is_refused(sets, write_card, tmp_path, name):
    (tmp_path / "set").mkdir()
    write_table(tmp_path / "set" / "train.parquet", {"image": PICTURES, "caption": WORDS})
    (tmp_path / "set" / "README.md").write_text(
        f"---\nconfigs:\n- config_name: a\n  data_files:\n  - {{split: train, path: [{name}]}}\n---\n"
    )
    with pytest.raises(ConfigError, match="names a file outside the data set"):
        acquire(write_card("{engine: hub, path: set}"), AcquireOptions(), tmp_path / "run")


def test_code_and_pickles_of_a_data_set_are_not_run(write_card, tmp_path):
    import pickle

    class Canary:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "canary"),))

    for name, files in {
        "script": {"script.py": b"import os\nos.mkdir('" + str(tmp_path / "canary").encode() + b"')\n"},
        "pickled": {"train.pkl": pickle.dumps(Canary())},
        "text": {"train.txt": b"a line\n"},
    }.items():
        (tmp_path / name).mkdir()
        for file, data in files.items():
            (tmp_path / name / file).write_bytes(data)
        with pytest.raises(ConfigError, match="data set") as caught:
            acquire(write_card(f"{{engine: hub, path: {name}}}"), AcquireOptions(), tmp_path / "run")
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "canary").exists()


def test_a_damaged_file_is_one_line(write_card, tmp_path):
    (tmp_path / "set").mkdir()
    write_table(tmp_path / "set" / "train.parquet", {"image": PICTURES, "caption": WORDS})
    whole = (tmp_path / "set" / "train.parquet").read_bytes()
    (tmp_path / "set" / "train.parquet").write_bytes(whole[: len(whole) // 2])
    for streaming in ("true", "false"):
        with pytest.raises((ConfigError, DataError)) as caught:
            acquire(
                write_card(f"{{engine: hub, path: set, streaming: {streaming}}}"), AcquireOptions(), tmp_path / "run"
            )
        assert "\n" not in str(caught.value)


def test_order_limit_workers_and_parameters(read, sets, write_card, tmp_path):
    rows = read("parquet")
    first = hashes_below(tmp_path / "run" / "raw")
    assert read("parquet", workers=2) == rows
    assert hashes_below(tmp_path / "run" / "raw") == first
    assert [(row["url"], row["caption"]) for row in read("parquet", limit=7)] == [
        (row["url"], row["caption"]) for row in rows[:7]
    ]
    (tmp_path / "a").mkdir()
    write_table(tmp_path / "a" / "train.parquet", {"image": PICTURES, "caption": WORDS})
    card = write_card("{engine: hub, path: a}")
    before = source_params(card, AcquireOptions())
    assert before == source_params(card, AcquireOptions(workers=1))
    assert {"datasets", "pyarrow"} <= before["tools"].keys()
    write_table(tmp_path / "a" / "train.parquet", {"image": PICTURES, "caption": WORDS[::-1]})
    assert source_params(card, AcquireOptions()) != before
    assert availability(card, card.source) == ""
    assert "is missing" in availability(
        write_card("{engine: hub, path: b}"), write_card("{engine: hub, path: b}").source
    )
