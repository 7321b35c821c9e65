"""Files at addresses: only whole ones come out."""

import hashlib
import tempfile
import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import remote
from pipeline.errors import DataError
from pipeline.remote import Store, fetch_file


@pytest.fixture
def store() -> Store:
    return Store(f"memory://{uuid.uuid4().hex}/folder")


def test_a_store_lists_writes_reads_and_removes(store: Store, tmp_path: Path) -> None:
    assert store.names() == set() and store.size("a") is None and store.sha256("a") == ""
    (tmp_path / "file").write_bytes(b"content")
    store.put("a", tmp_path / "file")
    store.put("b/c", tmp_path / "file")
    assert store.names() == {"a", "b/c"}
    assert store.size("b/c") == 7 and store.size("b") is None
    assert store.sha256("a") == hashlib.sha256(b"content").hexdigest()
    store.remove("a")
    store.remove("a")
    assert store.names() == {"b/c"}
    with pytest.raises(DataError, match="a is missing"):
        store.fetch("a", tmp_path / "part", limit=9)


@given(
    content=st.binary(max_size=60),
    begun=st.one_of(st.none(), st.binary(max_size=80), st.integers(0, 60)),
    block=st.integers(1, 20),
)
def test_what_broke_off_goes_on_and_ends_in_the_same_bytes(
    content: bytes, begun: bytes | int | None, block: int
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(remote, "BLOCK", block)
        target, source = Path(folder, "file"), Store(f"memory://{uuid.uuid4().hex}")
        Path(folder, "source").write_bytes(content)
        source.put("name", Path(folder, "source"))
        if begun is not None:
            Path(folder, "file.part").write_bytes(content[:begun] if isinstance(begun, int) else begun)
        fetch_file(source, "name", target, sha256=hashlib.sha256(content).hexdigest(), size=len(content))
        assert target.read_bytes() == content
        assert not Path(folder, "file.part").exists()


def test_only_what_is_missing_is_asked_for(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = bytes(range(256)) * 40
    (tmp_path / "source").write_bytes(content)
    store.put("name", tmp_path / "source")
    (tmp_path / "file.part").write_bytes(content[:10_000])
    asked = []
    blocks = Store.blocks
    monkeypatch.setattr(Store, "blocks", lambda self, *place: asked.append(place) or blocks(self, *place))
    fetch_file(store, "name", tmp_path / "file", sha256=hashlib.sha256(content).hexdigest(), size=len(content))
    assert asked == [("name", 10_000, 10_240)]
    # Of unknown content a beginning may be that of an older file.
    (tmp_path / "other.part").write_bytes(b"something else")
    fetch_file(store, "name", tmp_path / "other")
    assert (tmp_path / "other").read_bytes() == content


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: content[:-1], "it has 9 bytes and not 10"),
        (lambda content: content + b"x", "has 11 bytes, more than 10"),
        (lambda content: content[:-1] + b"x", "its sha256 is not"),
        (lambda _: b"", "it has 0 bytes and not 10"),
    ],
)
def test_a_damaged_file_is_one_line_and_leaves_nothing(store: Store, tmp_path: Path, change, words: str) -> None:
    (tmp_path / "source").write_bytes(change(b"0123456789"))
    store.put("name", tmp_path / "source")
    for _ in range(2):
        with pytest.raises(DataError, match=words) as caught:
            fetch_file(store, "name", tmp_path / "file", sha256=hashlib.sha256(b"0123456789").hexdigest(), size=10)
        assert caught.value.exit_code == 3 and "\n" not in str(caught.value) and "/name" in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]
