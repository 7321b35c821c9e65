"""Data sets of the Hugging Face hub at one commit: who is asked for what, on the loopback and without any network."""

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
from acquire_helpers import rows_of
from hub_helpers import content

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
