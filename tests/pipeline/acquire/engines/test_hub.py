"""Data sets in the forms of the Hugging Face hub: each gives the same rows, streamed or not; nothing is lost or run."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from acquire_helpers import encoded, hashes_below, noise, rows_of, tar_of

from pipeline.acquire.acquire import acquire, source_params
from pipeline.acquire.engines.hub import availability
from pipeline.acquire.options import AcquireOptions
from pipeline.errors import ConfigError, DataError
from pipeline.tables import write_table

KINDS = ("PNG", "JPEG", "WEBP", "GIF")
PICTURES = [encoded(noise(number), KINDS[number % 4]) for number in range(10)]
WORDS = [[f"picture {number}", f"number {number}"] for number in range(10)]


def content(rows: list[dict]) -> list[tuple[str, str, str]]:
    return [(row["original_sha256"], row["caption"], row["reason"]) for row in rows]


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """One data set in every form."""
    import datasets

    folder = tmp_path_factory.mktemp("sets")
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "caption": datasets.List(datasets.Value("string")),
            "label": datasets.ClassLabel(names=["cat", "dog"]),
            "info": {"licence": datasets.Value("string"), "who": datasets.Value("string")},
            "notes": datasets.List({"raw": datasets.Value("string")}),
        }
    )
    records = [
        {
            "image": {"bytes": picture, "path": None},
            "caption": words,
            "label": number % 2,
            "info": {"licence": "cc-by", "who": f"painter {number}"},
            "notes": [{"raw": f"note {number}"}],
        }
        for number, (picture, words) in enumerate(zip(PICTURES, WORDS, strict=True))
    ]
    table = datasets.Dataset.from_list(records, features=features)
    for name, part in (("train", table), ("test", table.select(range(3)))):
        (folder / "parquet").mkdir(exist_ok=True)
        part.to_parquet(folder / "parquet" / f"{name}.parquet")
    table.save_to_disk(folder / "saved")
    datasets.DatasetDict(train=table, test=table.select(range(3))).save_to_disk(folder / "dictionary")
    plain = [{"bytes": picture, "path": None} for picture in PICTURES]
    write_table(folder / "struct.parquet", {"image": plain, "caption": WORDS})
    write_table(folder / "binary.parquet", {"image": PICTURES, "caption": WORDS})
    (folder / "images" / "deep").mkdir(parents=True)
    lines = []
    for number, picture in enumerate(PICTURES):
        name = f"deep/{number}.{KINDS[number % 4].lower()}"
        (folder / "images" / name).write_bytes(picture)
        lines.append(json.dumps({"file_name": name, "caption": WORDS[number]}) + "\n")
    (folder / "images" / "metadata.jsonl").write_text("".join(lines))
    (folder / "tars").mkdir()
    for shard in range(2):
        members = []
        for number in range(5 * shard, 5 * shard + 5):
            record = json.dumps({"caption": WORDS[number]}).encode()
            members += [(f"{number:02d}.{KINDS[number % 4].lower()}", PICTURES[number]), (f"{number:02d}.json", record)]
        (folder / "tars" / f"{shard}.tar").write_bytes(tar_of(*members))
    return folder


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


RUN = """
import json, sys
from pathlib import Path
from pipeline.acquire.acquire import acquire
from pipeline.acquire.card import load_card
from pipeline.acquire.engines.hub import availability
from pipeline.acquire.options import AcquireOptions
from pipeline.errors import PipelineError
import socket
asked = []
connect = socket.socket.connect
def watched(self, address):
    asked.append(str(address))
    return connect(self, address)
socket.socket.connect = watched
for path in sys.argv[2:]:
    card = load_card(Path(path))
    found = {"available": availability(card, card.source)}
    try:
        found["counts"] = acquire(card, AcquireOptions(workers=1), Path(sys.argv[1]))
    except PipelineError as error:
        found["error"] = str(error)
    print(json.dumps(found | {"asked": asked}))
"""


def in_a_process(cards: list, out: Path, **environment: str) -> list[dict]:
    """Acquire cards in a process of their own, as the hub's client reads its settings when it is imported."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(out), *(str(card.path) for card in cards)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stderr == ""
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_local_data_set_asks_nobody_and_litters_nothing(sets, write_card, tmp_path):
    cards = [
        write_card(f"{{engine: hub, path: {sets / 'parquet'}, streaming: {streaming}}}", name=f"streaming-{streaming}")
        for streaming in ("false", "true")
    ]
    found = in_a_process(cards, tmp_path / "run", HF_HOME=str(tmp_path / "home"), ESSEN_CACHE=str(tmp_path / "cache"))
    assert found == [{"available": "", "counts": {"in": 20, "kept": 20, "dropped": {}}, "asked": []}] * 2
    assert not (tmp_path / "cache").exists()
    assert not [file for file in (tmp_path / "home").rglob("*") if file.is_file()]


COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_the_hub_cannot_be_reached(write_card, tmp_path):
    card = write_card(f"{{engine: hub, path: someone/something, revision: {COMMIT}}}")
    homes = {"HF_HOME": str(tmp_path / "home"), "ESSEN_CACHE": str(tmp_path / "cache")}
    (found,) = in_a_process([card], tmp_path / "run", HF_ENDPOINT="http://127.0.0.1:9", **homes)
    assert found["available"] == "no network"
    assert (
        "data set someone/something at 0123456789ab is not in the cache, and http://127.0.0.1:9 is not"
        in found["error"]
    )
    (found,) = in_a_process([card], tmp_path / "run", HF_HUB_OFFLINE="1", HF_ENDPOINT="http://127.0.0.1:9", **homes)
    assert found["asked"] == []
    assert found["available"] == "not in the cache, and HF_HUB_OFFLINE is set"
    assert "HF_HUB_OFFLINE is set; unset it once to fetch it" in found["error"]


@pytest.fixture
def loopback_hub(sets):
    """The part of the hub's protocol that its client needs to read one data set at one commit, on the loopback."""
    folder, asked = sets / "hub", Counter()
    for name in ("parquet", "tars", "images"):
        if not (folder / name).exists():
            shutil.copytree(sets / name, folder / name)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self):
            self.do_GET()

        def do_POST(self):
            size = int(self.headers["Content-Length"])
            body = self.rfile.read(size)
            names = json.loads(body)["paths"] if body.startswith(b"{") else parse_qs(body.decode())["paths"]
            asked[urlsplit(self.path).path] += 1
            name = self.path.split("/")[4]
            self.answer_json([entry(folder / name, path) for path in names if (folder / name / path).exists()])

        def do_GET(self):
            path = unquote(urlsplit(self.path).path)
            asked[path] += 1
            parts = path.strip("/").split("/")
            if parts[:2] == ["api", "datasets"] and COMMIT in parts:
                root, kind, below = folder / parts[3], parts[4], "/".join(parts[6:])
                files = sorted(file for file in root.rglob("*") if file.is_file())
                if kind == "revision":
                    siblings = [{"rfilename": str(f.relative_to(root)), "size": f.stat().st_size} for f in files]
                    self.answer_json({"id": "/".join(parts[2:4]), "sha": COMMIT, "siblings": siblings})
                elif not (root / below).is_dir():
                    self.answer(b"", 404, **{"X-Error-Code": "EntryNotFound"})
                else:
                    whole = "recursive=True" in self.path or "recursive=true" in self.path
                    found = sorted((root / below).rglob("*") if whole else (root / below).iterdir())
                    self.answer_json([entry(root, str(f.relative_to(root))) for f in found])
            elif parts[0] == "datasets" and parts[3:5] == ["resolve", COMMIT]:
                file = folder / parts[2] / "/".join(parts[5:])
                if file.is_file():
                    self.answer(file.read_bytes(), ETag=f'"{hash_of(file)}"', **{"X-Repo-Commit": COMMIT})
                else:
                    self.answer(b"", 404, **{"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
            else:
                self.answer(b"hub", 200 if path == "/" else 404)

        def answer_json(self, value):
            self.answer(json.dumps(value).encode(), **{"Content-Type": "application/json"})

        def answer(self, body, status=200, **headers):
            first, last = 0, len(body)
            if (wanted := self.headers.get("Range")) and status == 200:
                first, last = (int(n) if n else None for n in wanted.removeprefix("bytes=").split("-"))
                last = len(body) if last is None else last + 1
                status, headers = 206, headers | {"Content-Range": f"bytes {first}-{last - 1}/{len(body)}"}
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(body[first:last])))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body[first:last])

        log_message = lambda *_: None  # noqa: E731

    def hash_of(file):
        return hashlib.sha256(file.read_bytes()).hexdigest()

    def entry(root, name):
        file = root / name
        if file.is_dir():
            return {"type": "directory", "oid": "0" * 40, "size": 0, "path": name}
        return {"type": "file", "oid": hash_of(file)[:40], "size": file.stat().st_size, "path": name}

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_commit_of_the_hub_is_fetched_once_and_read_from_the_cache(loopback_hub, write_card, tmp_path):
    address, asked = loopback_hub
    homes = {"HF_HOME": str(tmp_path / "home"), "ESSEN_CACHE": str(tmp_path / "cache"), "HF_ENDPOINT": address}
    columns = {"tars": ", columns: {caption: json.caption}"}
    cards = {
        (name, streaming): write_card(
            f"{{engine: hub, path: someone/{name}, revision: {COMMIT}, streaming: {streaming}{columns.get(name, '')}}}",
            name=f"{name}-{streaming}",
        )
        for name in ("parquet", "tars", "images")
        for streaming in ("false", "true")
    }
    done = in_a_process(list(cards.values()), tmp_path / "run", **homes)
    assert [found.get("counts") for found in done] == [{"in": 20, "kept": 20, "dropped": {}}] * 6, (done, asked)
    for name in ("parquet", "tars", "images"):
        kept, streamed = (rows_of(tmp_path / "run" / "raw" / f"{name}-{s}") for s in ("false", "true"))
        assert content(kept) == content(streamed)
    local = [card for (_, streaming), card in cards.items() if streaming == "false"]
    asked.clear()
    offline = in_a_process(local, tmp_path / "again", HF_HUB_OFFLINE="1", **homes)
    assert [(found["available"], found.get("counts", {}).get("kept")) for found in offline] == [("", 20)] * 3
    assert not asked
    kept = next((tmp_path / "home").rglob("snapshots/*/train.parquet"))
    kept.unlink()
    (found, *_) = in_a_process(local[:1], tmp_path / "less", HF_HUB_OFFLINE="1", **homes)
    assert "is not whole in the cache" in found["error"]
