"""Existing WebDataset shards: what each kind of member becomes, and what is never done with one."""

import contextlib
import hashlib
import io
import json
import os
import subprocess
import tarfile
import time
from collections import Counter
from pathlib import Path

import pytest
from acquire_helpers import encoded, hashes_below, noise, rows_of, tar_of
from hypothesis import given
from hypothesis import strategies as st

from pipeline.acquire.acquire import acquire, source_params
from pipeline.acquire.engines.shard_specs import MOST_SHARDS, check_spec, expand
from pipeline.acquire.engines.webdataset import availability
from pipeline.acquire.options import AcquireOptions
from pipeline.acquire.raw import raw_tables
from pipeline.errors import ConfigError, DataError

JPEG, PNG, WEBP = encoded(noise(1), "JPEG"), encoded(noise(2), "PNG"), encoded(noise(3), "WEBP", lossless=True)


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry


@pytest.fixture
def read(tmp_path, write_card):
    """Write shards, acquire them and return the rows."""

    def run(shards: dict[str, bytes], options: str = "", **acquire_options) -> list[dict]:
        for name, content in shards.items():
            (tmp_path / "shards" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "shards" / name).write_bytes(content)
        card = write_card(f'{{engine: webdataset, shards: ["shards/*.tar"], min_success_rate: 0{options}}}')
        acquire(card, AcquireOptions(**({"workers": 1} | acquire_options)), tmp_path / "run")
        return rows_of(tmp_path / "run" / "raw" / "mine")

    return run


def outcome(rows: list[dict]) -> list[tuple[str, str]]:
    return [(row["url"].removeprefix("webdataset:mine/"), row["reason"] or row["caption"]) for row in rows]


GOOD = ("good.jpg", JPEG), ("good.txt", b"a good one")
OK = ("0.tar/good", "a good one")
LATIN = b"caf\xe9.jpg".decode("utf-8", "surrogateescape")

TARS = {
    "adjacent": ([("a.jpg", JPEG), ("a.jpg", PNG), ("a.txt", b"one")], ["empty_caption", "duplicate_key"]),
    "adjacent words": ([("a.jpg", JPEG), ("a.txt", b"one"), ("a.txt", b"two")], ["one", "duplicate_key"]),
    "far": ([("a.jpg", JPEG), ("a.txt", b"one"), *GOOD, ("a.jpg", PNG), ("a.txt", b"two")],
            ["one", "a good one", "duplicate_key"]),
    "interleaved": ([("a.jpg", JPEG), ("b.jpg", PNG), ("a.txt", b"one"), ("b.txt", b"two")], ["one", "two"]),
    "words first": ([("a.txt", b"one"), ("a.jpg", JPEG)], ["one"]),
    "dotted": ([("img.v1.2.jpg", JPEG), ("img.v2.jpg", PNG), ("img.txt", b"one")], ["dotted_name", "dotted_name"]),
    "upper case": ([("A.JPG", JPEG), ("A.TXT", b"one"), ("a.jpg", PNG), ("a.txt", b"two")], ["one", "two"]),
    "one name in two cases": ([("a.jpg", JPEG), ("a.JPG", PNG), ("a.txt", b"one")], ["empty_caption", "duplicate_key"]),
    "hidden": ([("._a.jpg", JPEG), ("d/.b.jpg", JPEG), ("a.jpg", JPEG), ("a.txt", b"one")],
               ["hidden_member", "hidden_member", "one"]),
    "non-ascii": ([("é.jpg", JPEG), ("é.txt", b"one"), ("e\u0301.jpg", PNG), ("e\u0301.txt", "zwölf".encode())],
                  ["one", "zwölf"]),
    "no utf-8": ([(LATIN, JPEG), (LATIN.replace("jpg", "txt"), b"one")], ["one"]),
    "no picture": ([("a.txt", b"one"), ("a.json", b"{}")], ["missing_file"]),
    "no words": ([("a.jpg", JPEG), ("b.jpg", PNG), ("b.txt", b" \n")], ["empty_caption", "empty_caption"]),
    "two pictures": ([("a.png", PNG), ("a.jpg", JPEG), ("a.txt", b"one"), ("a.seg.png", PNG)],
                     ["one", "second_picture"]),
    "no text": ([("a.jpg", JPEG), ("a.txt", b"caf\xe9")], ["café"]),
    "no json": ([("a.jpg", JPEG), ("a.json", b"{"), ("b.jpg", PNG), ("b.json", b"[" * 99_999)],
                ["bad_json", "bad_json"]),
    "not a picture": ([("a.jpg", b"<html>"), ("a.txt", b"one")], ["not_an_image"]),
}  # fmt: skip


@pytest.mark.parametrize("name", TARS)
def test_every_picture_has_a_row_and_every_row_a_reason(read, name):
    members, expected = TARS[name]
    rows = read({"0.tar": tar_of(*members, *GOOD) if "good.jpg" not in dict(members) else tar_of(*members)})
    if "good.jpg" not in dict(members):
        expected = [*expected, "a good one"]
    assert [reason for _, reason in outcome(rows)] == expected
    assert all(row["status"] == "success" or row["reason"] for row in rows)


def test_a_key_in_another_shard_is_another_sample(read):
    rows = read(
        {"0.tar": tar_of(("a.jpg", JPEG), ("a.txt", b"one")), "1.tar": tar_of(("a.jpg", PNG), ("a.txt", b"two"))}
    )
    assert outcome(rows) == [("0.tar/a", "one"), ("1.tar/a", "two")]
    assert rows[0]["group"] != rows[1]["group"]


def test_pictures_of_mixed_kinds_all_arrive(read):
    pictures = [(kind, encoded(noise(i), kind)) for i, kind in enumerate(["PNG", "JPEG", "WEBP", "GIF"] * 4)]
    members = [
        member
        for i, (kind, data) in enumerate(pictures)
        for member in ((f"{i:02d}.{kind.lower()}", data), (f"{i:02d}.txt", f"picture {i}".encode()))
    ]
    rows = read({"0.tar": tar_of(*members)})
    assert [row["status"] for row in rows] == ["success"] * 16
    assert Counter(row["ext"] for row in rows) == {"png": 4, "jpg": 4, "webp": 4, "gif": 4}
    assert all(
        row["original_sha256"] == hashlib.sha256(data).hexdigest()
        for row, (_, data) in zip(rows, pictures, strict=True)
    )


def sparse() -> bytes:
    """GNU's old form of a file with holes: one stretch of 512 bytes at 1,024 of 2,048."""
    entry = tarfile.TarInfo("a.jpg")
    entry.type, entry.size = tarfile.GNUTYPE_SPARSE, 512
    head = bytearray(entry.tobuf(tarfile.GNU_FORMAT))
    head[386:410] = b"%011o\0%011o\0" % (1024, 512)
    head[483:495] = b"%011o\0" % 2048
    head[148:156] = b"        "
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head) + JPEG[:512].ljust(512, b"\0")


UNSAFE = {
    "..": [("../../escape.jpg", JPEG), ("../../escape.txt", b"x")],
    "inner ..": [("a/../../escape.jpg", JPEG)],
    "absolute": [("/var/escape.jpg", JPEG)],
    "symbolic link": [special("a.jpg", tarfile.SYMTYPE, "/etc/passwd"), ("a.txt", b"x")],
    "hard link": [special("a.jpg", tarfile.LNKTYPE, "good.jpg"), ("a.txt", b"x")],
    "link for words": [("a.jpg", JPEG), special("a.txt", tarfile.SYMTYPE, "/etc/passwd")],
    "named pipe": [special("a.jpg", tarfile.FIFOTYPE)],
    "character device": [special("a.jpg", tarfile.CHRTYPE)],
    "block device": [special("a.jpg", tarfile.BLKTYPE)],
    "link without a key": [special("folder", tarfile.SYMTYPE, "/")],
    "unknown kind": [special("a.jpg", b"Z")],
    "sparse": None,
}


@pytest.mark.parametrize("name", UNSAFE)
def test_what_is_no_ordinary_file_is_refused_and_nothing_is_written(read, tmp_path, name):
    content = sparse() + tar_of(*GOOD) if UNSAFE[name] is None else tar_of(*UNSAFE[name], *GOOD)
    outside = [tmp_path / "escape.jpg", tmp_path.parent / "escape.jpg", Path("/var/escape.jpg")]
    rows = read({"0.tar": content})
    assert [reason for _, reason in outcome(rows)] == ["unsafe_member", "a good one"]
    assert rows[0]["error_message"]
    assert not any(path.exists() for path in outside)
    assert {path.name for path in tmp_path.iterdir()} == {"shards", "run", "mine.md"}
    written = {file.name for file in (tmp_path / "run").rglob("*") if file.is_file()}
    assert written == {"00000.tar", "00000.parquet", "00000_stats.json"}


class Canary:
    """Its pickle makes a folder when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self):
        return (os.mkdir, (self.path,))


def test_pickles_are_refused_and_never_read(read, tmp_path):
    import pickle

    import numpy as np
    import torch

    canary = Canary(tmp_path / "canary")
    array, weights = io.BytesIO(), io.BytesIO()
    np.save(array, np.array([canary], dtype=object), allow_pickle=True)
    torch.save(canary, weights)
    payload = pickle.dumps(canary)
    kinds = {"pyd": payload, "pkl": payload, "pickle": payload, "pth": weights.getvalue(), "pt": weights.getvalue(),
             "npy": array.getvalue(), "PKL": payload, "emb.npy": array.getvalue(), "pkl.gz": payload}  # fmt: skip
    members = [
        member
        for number, (kind, data) in enumerate(kinds.items())
        for member in ((f"{number}.jpg", JPEG), (f"{number}.txt", b"x"), (f"{number}.{kind}", data))
    ]
    rows = read(
        {"0.tar": tar_of(*members, *GOOD, ("pt.jpg", JPEG), ("pt.pt.txt", b"o gato"))},
        ", columns: {caption: [txt, pt.txt]}",
    )
    assert [reason for _, reason in outcome(rows)] == ["pickle_member"] * len(kinds) + ["a good one", "o gato"]
    assert not (tmp_path / "canary").exists()
    pickle.loads(payload)  # noqa: S301 - the canary does sing where it is unpickled
    assert (tmp_path / "canary").exists()


def test_a_pickle_that_the_card_ignores_costs_no_sample(read):
    rows = read({"0.tar": tar_of(("a.jpg", JPEG), ("a.txt", b"one"), ("a.npy", b"\x93NUMPY"))}, ", ignore: [npy]")
    assert outcome(rows) == [("0.tar/a", "one")]


SPECS = [
    "pipe:touch {canary}", " pipe:touch {canary}", "PIPE:touch {canary}", "shards/0.tar::pipe:touch {canary}",
    "{{0..99999999999999999999999}}.tar",
    "::pipe:touch {canary}", "-", "file:{canary}", "{{0..999999999}}.tar",
    "http://127.0.0.1/{{0..99999}}{{0..99999}}.tar",
    "{{a,b}}" * 40 + ".tar", "nothing://bucket/0.tar", "s3://bucket/*.tar", "file:///{canary}",
    "simplecache::s3://bucket/0.tar", "shards/0.tar\npipe:touch {canary}", "",
]  # fmt: skip


@pytest.mark.parametrize("spec", SPECS)
def test_a_shard_that_is_a_command_is_refused_at_once(write_card, tmp_path, monkeypatch, spec):
    started = []
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **_: started.append(a))
    monkeypatch.setattr(os, "system", lambda *a: started.append(a))
    monkeypatch.setenv("GOPEN_REWRITE", f"shards/=pipe:touch {tmp_path / 'canary'} ")
    source = json.dumps({"engine": "webdataset", "shards": [spec.format(canary=tmp_path / "canary")]})
    begin = time.process_time()
    with pytest.raises(ConfigError, match=r"source\.shards") as caught:
        write_card(source)
    assert time.process_time() - begin < 0.1
    assert "\n" not in str(caught.value)
    assert not started
    assert not (tmp_path / "canary").exists()


def test_a_rewriting_environment_changes_nothing(read, tmp_path, monkeypatch):
    monkeypatch.setenv("GOPEN_REWRITE", f"{tmp_path}=pipe:touch {tmp_path / 'canary'} ")
    assert outcome(read({"0.tar": tar_of(*GOOD)})) == [OK]
    assert not (tmp_path / "canary").exists()


def test_names_are_expanded_in_order(write_card, tmp_path):
    for name in ("b/01.tar", "b/00.tar", "a.tar", "c [x]/q.tar"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(tar_of((f"{name[0]}.jpg", JPEG), (f"{name[0]}.txt", name.encode())))
    card = write_card('{engine: webdataset, shards: ["b/{00..01}.tar", "?.tar", "b/*.tar", "c [[]x]/*.tar"]}')
    acquire(card, AcquireOptions(), tmp_path / "run")
    rows = rows_of(tmp_path / "run" / "raw" / "mine")
    assert [row["caption"] for row in rows] == ["b/00.tar", "b/01.tar", "a.tar", "c [x]/q.tar"]
    assert rows[0]["url"] == "webdataset:mine/b/00.tar/b"
    assert len(expand("{0000..9999}.tar")) == MOST_SHARDS
    assert availability(card, card.source) == ""
    missing = write_card('{engine: webdataset, shards: ["b/{00..02}.tar"]}', name="missing")
    assert "there is no shard" in availability(missing, missing.source)
    with pytest.raises(ConfigError, match=r"there is no shard .*b/02\.tar"):
        acquire(missing, AcquireOptions(), tmp_path / "run")


@given(st.text(alphabet="pipe:{}.,0123456789-/*?[]ab\\ ", max_size=40))
def test_any_name_is_a_short_list_or_refused(spec):
    with contextlib.suppress(ValueError):
        assert len(expand(check_spec(spec))) <= MOST_SHARDS


WHOLE = tar_of(("a.jpg", JPEG), ("a.txt", b"one"), ("é" * 70 + ".jpg", PNG), ("d/b.png", PNG), ("d/b.txt", b"two"))


def test_a_truncated_shard_is_an_error_that_names_it(read, tmp_path):
    end = -(-len(WHOLE.rstrip(b"\0")) // 512) * 512 + 1_024  # contents are padded to blocks, then two blocks of zeros
    cuts = [*range(0, end, 37), end - 1]
    for cut in cuts:
        with pytest.raises(DataError, match=r"0\.tar is truncated or damaged"):
            read({"0.tar": WHOLE[:cut]})
        assert not (tmp_path / "run" / "raw" / "mine").exists() or not list(
            raw_tables(tmp_path / "run" / "raw" / "mine")
        )
    assert len(cuts) > 200
    assert len(read({"0.tar": WHOLE[:end]})) == 3


def test_a_damaged_shard_is_an_error_that_names_it(read):
    damaged = bytearray(WHOLE)
    damaged[WHOLE.index(b"a.txt") + 1] ^= 4
    with pytest.raises(DataError, match=r"0\.tar is truncated or damaged"):
        read({"0.tar": bytes(damaged)})


def test_hashes_and_counts_are_held_against_the_shards(read, write_card, tmp_path):
    digest, md5 = hashlib.sha256(WHOLE).hexdigest(), hashlib.md5(WHOLE, usedforsecurity=False).hexdigest()
    assert len(read({"0.tar": WHOLE}, f", sha256: {{0.tar: {digest}}}")) == 3
    with pytest.raises(DataError, match=r"shard 0\.tar has not the sha256 of the data card"):
        read({"0.tar": WHOLE}, ", sha256: {0.tar: '" + "0" * 64 + "'}")
    known = tmp_path / "shards" / "sizes.json"
    known.write_text('{"0.tar": 3}')
    assert len(read({})) == 3
    known.write_text('{"0.tar": 4}')
    with pytest.raises(DataError, match=r"shard 0\.tar holds 3 samples and not 4"):
        read({})
    known.write_text('{"0.tar": "4"}')
    with pytest.raises(ConfigError, match="is no number of samples"):
        read({})
    known.unlink()
    index = tmp_path / "shards" / "index.json"
    entry = {"url": "0.tar", "md5sum": md5, "nsamples": 3, "filesize": len(WHOLE)}
    for change, message in (
        ({}, ""),
        ({"md5sum": "0" * 32}, r"has not the md5 of its index"),
        ({"filesize": 7}, r"has 10,240 bytes, its index says 7"),
        ({"nsamples": 2}, r"holds 3 samples and not 2"),
    ):
        index.write_text(json.dumps({"__kind__": "wids-shard-index-v1", "shardlist": [entry | change]}))
        with pytest.raises(DataError, match=message) if message else contextlib.nullcontext():
            read({})


def test_captions_and_credits_come_from_where_the_card_says(read):
    values = {
        "caption": ["a red ball", "a toy"],
        "info": {"licence": "cc-by", "source": "http://pictures.example/1", "who": "Ann \ud800", "group": "toys"},
        "sha": hashlib.sha256(JPEG).hexdigest().upper(),
    }
    wrong = values | {"caption": "another", "sha": "0" * 64}
    columns = (
        ", columns: {caption: [json.caption], url: json.info.source, licence: json.info.licence, "
        "attribution: json.info.who, group: json.info.group, sha256: json.sha}"
    )
    shard = tar_of(
        ("a.jpg", JPEG), ("a.json", json.dumps(values).encode()), ("b.jpg", PNG), ("b.json", json.dumps(wrong).encode())
    )
    rows = read({"0.tar": shard}, columns)
    assert [(row["caption"], row["reason"]) for row in rows] == [
        ("a red ball", ""), ("a toy", ""), ("another", "hash_mismatch")
    ]  # fmt: skip
    assert {row["url"] for row in rows} == {"http://pictures.example/1"}
    assert {(row["licence"], row["licence_source"], row["group"]) for row in rows} == {("cc-by", "shard", "toys")}
    assert rows[0]["attribution"] == "Ann \\ud800"
    with pytest.raises(
        ConfigError, match=r"shard 0\.tar has no member \.jso\.caption; did you mean json\?; it has jpg, json"
    ):
        read({"0.tar": shard}, ", columns: {caption: [jso.caption]}")


def test_img2datasets_own_shards_are_read(read):
    """Its empty .txt for a missing caption is none, and its json is not needed."""
    record = {"url": "http://x.example/1.jpg", "caption": None, "key": "000000000", "status": "success"}
    shard = tar_of(
        ("000000000.jpg", JPEG), ("000000000.json", json.dumps(record).encode()), ("000000000.txt", b""),
        ("000000001.jpg", PNG), ("000000001.json", json.dumps(record | {"caption": "two"}).encode()),
        ("000000001.txt", b"two"),
    )  # fmt: skip
    rows = read({"00000.tar": shard}, ", columns: {url: json.url}")
    assert [(row["url"], row["reason"]) for row in rows] == [
        ("http://x.example/1.jpg", "empty_caption"),
        ("http://x.example/1.jpg", ""),
    ]


def test_too_large_members_are_not_read(read):
    big = tar_of(
        ("a.jpg", JPEG),
        ("a.txt", b"x" * 1_048_577),
        ("b.jpg", encoded(noise(5, size=(99, 99)), "PNG")),
        ("b.txt", b"b"),
    )
    rows = read({"0.tar": big, "1.tar": tar_of(*GOOD)}, f", max_bytes: {len(JPEG)}")
    assert [row["reason"] for row in rows] == ["too_large", "too_large", ""]


def test_order_limit_and_workers(read, tmp_path, write_card):
    shards = {
        f"{s}.tar": tar_of(
            *(m for i in range(9) for m in ((f"{i}.jpg", encoded(noise(9 * s + i), "JPEG")), (f"{i}.txt", b"x %d" % i)))
        )
        for s in range(3)
    }
    rows = read(shards)
    bytes_of = hashes_below(tmp_path / "run")
    assert len(rows) == 27
    assert read({}, workers=2) == rows
    assert hashes_below(tmp_path / "run") == bytes_of
    limited = read({}, limit=11)
    assert [row["url"] for row in limited] == [row["url"] for row in rows[:11]]
    card = write_card('{engine: webdataset, shards: ["shards/*.tar"]}')
    before = source_params(card, AcquireOptions())
    (tmp_path / "shards" / "2.tar").write_bytes(shards["1.tar"])
    assert source_params(card, AcquireOptions()) != before


def test_the_projects_own_raw_shards_come_back(read, tmp_path):
    rows = read({"0.tar": WHOLE})
    (tmp_path / "shards" / "0.tar").unlink()
    again = read(
        {"1.tar": (tmp_path / "run" / "raw" / "mine" / "00000.tar").read_bytes()}, ", columns: {group: json.group}"
    )
    kept = [row for row in rows if row["status"] == "success"]
    assert [(row["sha256"], row["caption"], row["group"]) for row in again] == [
        (row["sha256"], row["caption"], row["group"]) for row in kept
    ]
