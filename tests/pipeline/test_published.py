"""Staged shards in a bucket of an S3-compatible server: read as if they lay here, never taken for whole in vain."""

import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from pipeline import files
from pipeline.delivery import Bucket, Item, deliver
from pipeline.errors import ConfigError, DataError, PipelineError
from pipeline.publish import open_destination
from pipeline.published import fetch_stages, verify_published
from pipeline.remote import Store
from pipeline.shards.read import ShardReader, open_stages
from pipeline.shards.verify import verify_stages


def items_of(stages: Path) -> list[Item]:
    found = sorted(files.files_below(stages), key=lambda path: path.name == "manifest.json")
    return [Item(path.relative_to(stages).as_posix(), path, files.sha256_file(path)) for path in found]


@pytest.fixture
def stages(small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ESSEN_CACHE", str(tmp_path / "cache"))
    return small_run / "stages"


@pytest.fixture
def url(stages: Path, bucket: str) -> str:
    """Where the stages have been published."""
    deliver(items_of(stages), Bucket(Store(f"{bucket}/some/stages")))
    return f"{bucket}/some/stages"


def overwrite(url: str, name: str, data: bytes, folder: Path) -> None:
    (folder / "changed").write_bytes(data)
    Store(url).put(name, folder / "changed")


def test_published_stages_are_read_like_those_beside_us(
    url: str, stages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert verify_published(url) == []
    with pytest.raises(ConfigError, match="shards for 99 readers"):
        verify_published(url, readers=99)
    folder = fetch_stages(url)
    assert folder.is_relative_to(tmp_path / "cache/stages") and verify_stages(folder) == []
    for there, here in zip(open_stages(folder).stages, open_stages(stages).stages, strict=True):
        fetched, own = ShardReader(there), ShardReader(here)
        assert [fetched.read(row) for row in range(len(there))] == [own.read(row) for row in range(len(here))]
    asked = []
    fetch = Store.fetch
    monkeypatch.setattr(Store, "fetch", lambda self, name, *a, **k: asked.append(name) or fetch(self, name, *a, **k))
    assert fetch_stages(url + "/") == folder
    assert asked == ["manifest.json"]


def test_a_damaged_object_is_named(url: str, stages: Path, tmp_path: Path) -> None:
    name = "1-one/00000.tar"
    data = (stages / name).read_bytes()
    changed = {data[:-1]: "bytes", data[:600] + b"x" + data[601:]: "sha256 is not", data + b"\0": "bytes"}
    for damaged, words in changed.items():
        overwrite(url, name, damaged, tmp_path)
        with pytest.raises(DataError, match=rf"{name} .*{words}.*publish it again") as caught:
            fetch_stages(url)
        assert caught.value.exit_code == 3
    problems = verify_published(url)
    assert problems == [f"{url}/{name} has {len(data) + 1} bytes instead of {len(data)}"]
    overwrite(url, name, data, tmp_path)
    assert verify_stages(fetch_stages(url)) == []


def test_missing_and_foreign_objects_are_named(url: str, tmp_path: Path) -> None:
    Store(url).remove("1-one/00000.tar")
    overwrite(url, "2-two/thesis.txt", b"mine", tmp_path)
    assert verify_published(url) == [
        f"{url}/1-one/00000.tar is missing",
        f"{url}/2-two/thesis.txt is not named by the manifest",
    ]
    with pytest.raises(DataError, match=r"00000\.tar is missing"):
        fetch_stages(url)
    overwrite(url, "manifest.json", b"{", tmp_path)
    assert verify_published(url) == [f"{url}/manifest.json is damaged: not a JSON text; stage again"]


def test_an_upload_that_was_cut_off_goes_on_with_what_is_missing(
    stages: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    items, url = items_of(stages), f"{bucket}/cut"
    put, uploaded = Store.put, []

    def failing(self: Store, name: str, source: Path) -> None:
        if len(uploaded) == 5:
            with self._faults_named():
                raise ConnectionResetError(104, "Connection reset by peer")
        put(self, name, source)
        uploaded.append(name)

    monkeypatch.setattr(Store, "put", failing)
    with pytest.raises(ConfigError, match="Connection reset by peer; check"):
        deliver(items, Bucket(Store(url)))
    names = Store(url).names()
    assert len(names) == 5 and "manifest.json" not in names
    with pytest.raises(DataError, match=r"holds no manifest\.json"):
        fetch_stages(url)
    monkeypatch.setattr(Store, "put", lambda *given: uploaded.append(given[1]) or put(*given))
    before = len(uploaded)
    deliver(items, Bucket(Store(url)))
    assert sorted(uploaded[before:]) == sorted({item.name for item in items} - names | {"publishing.json"})
    assert uploaded[-1] == "manifest.json"
    assert verify_published(url) == []


def test_an_object_that_arrives_damaged_is_noticed(
    stages: Path, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = Store.put

    def damaging(self: Store, name: str, source: Path) -> None:
        data = bytearray(source.read_bytes())
        data[-1] ^= name.endswith(".tar")
        (tmp_path / Path(name).name).write_bytes(data)
        put(self, name, tmp_path / Path(name).name)

    monkeypatch.setattr(Store, "put", damaging)
    with pytest.raises(DataError, match=r"\.tar was damaged on its way"):
        deliver(items_of(stages), Bucket(Store(f"{bucket}/damaged")))
    assert "manifest.json" not in Store(f"{bucket}/damaged").names()


def test_what_a_store_refuses_is_one_line(
    bucket: str, s3_endpoint: str, stages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(url: str, words: str) -> None:
        tried: list[Callable[[], object]] = [
            lambda: deliver(items_of(stages), Bucket(Store(url))),
            lambda: verify_published(url),
            lambda: fetch_stages(url),
        ]
        for attempt in tried:
            with pytest.raises(PipelineError, match=words) as caught:
                attempt()
            assert "\n" not in str(caught.value) and "a/secret" not in str(caught.value)
            assert caught.value.exit_code in (2, 3)

    refused("s3://no-bucket-of-ours/a", r"there is no such bucket or folder|holds no manifest\.json")
    authorise(s3_endpoint, after=0)
    try:
        refused(f"{bucket}/a", "Access Key Id you provided does not exist|Forbidden")
    finally:
        authorise(s3_endpoint, after=1_000_000_000)
    with monkeypatch.context() as without:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            without.delenv(name)
        refused(f"{bucket}/a", "Unable to locate credentials")
        with pytest.raises(ConfigError, match="Unable to locate credentials"):
            open_destination(f"{bucket}/a", stages.parent)  # asked before anything is made for it
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    refused(f"{bucket}/a", "Could not connect to the endpoint")


def authorise(endpoint: str, *, after: int) -> None:
    """Let the server check who asks, after some requests."""
    asked = urllib.request.Request(
        f"{endpoint}/moto-api/reset-auth", str(after).encode(), {"Content-Type": "text/plain"}, method="POST"
    )
    urllib.request.urlopen(asked).close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address(stages: Path) -> Iterator[str]:
    """Of a web server that has the stages."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=stages))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_stages_on_a_web_server_are_fetched_and_verified(stages: Path, address: str) -> None:
    folder = fetch_stages(address)
    assert {p.name for p in files.files_below(folder)} == {p.name for p in files.files_below(stages)}
    assert verify_published(address) == []
    with pytest.raises(DataError, match=r"manifest\.json cannot be fetched: status 404"):
        fetch_stages(f"{address}/1-one")
