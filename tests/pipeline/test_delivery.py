"""What a reader finds at a destination at any moment while others publish there and are killed."""

import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import files
from pipeline.delivery import Bucket, Destination, Folder, Item, deliver
from pipeline.errors import ConfigError, DataError
from pipeline.remote import Store
from pipeline.shards.layout import FORMAT
from pipeline.shards.read import parse_manifest

NAMES = ("a.tar", "b.tar", "one/c.tar", "one/d.tar", "README.md")
Content = dict[str, bytes]
publications = st.lists(
    st.tuples(st.dictionaries(st.sampled_from(NAMES), st.binary(max_size=3), min_size=1), st.integers(0, 14)),
    min_size=1,
    max_size=4,
)


class _KilledError(BaseException):
    pass


class Watched:
    """A destination that is looked at after every change, and whose user is killed before or after one of them."""

    connections = 1

    def __init__(self, inner: Destination, kill_at: int | None = None) -> None:
        self.inner, self.left = inner, kill_at
        self.names, self.read, self.has = inner.names, inner.read, inner.has
        self.uploaded: list[str] = []

    def __str__(self) -> str:
        return str(self.inner)

    def put(self, item: Item) -> None:
        self._change(lambda: self.inner.put(item))
        self.uploaded.append(item.name)

    def remove(self, name: str) -> None:
        self._change(lambda: self.inner.remove(name))

    def _change(self, change: Callable[[], None]) -> None:
        for act in (lambda: None, change):
            if self.left == 0:
                raise _KilledError
            if self.left is not None:
                self.left -= 1
            act()
        check_whole(self.inner)


def check_whole(target: Destination) -> None:
    """Whatever a manifest names is there with the content that it names."""
    if "manifest.json" in (present := target.names()):
        for entry in parse_manifest(target.read("manifest.json"), "manifest.json")["files"]:
            assert entry["file"] in present
            assert files.sha256_bytes(target.read(entry["file"])) == entry["sha256"]


def items_of(content: Content, folder: Path) -> list[Item]:
    """Write files with a manifest of them, and return them as they are published."""
    items = []
    for name, data in content.items():
        files.write_bytes(folder / name, data)
        items.append(Item(name, folder / name, files.sha256_bytes(data)))
    entries = [{"file": i.name, "sha256": i.sha256, "bytes": i.source.stat().st_size} for i in items]
    manifest = {"format": FORMAT, "stages": [], "evaluation": [], "files": entries}
    files.write_json(folder / "manifest.json", {**manifest, "sha256": files.digest(manifest)})
    path = folder / "manifest.json"
    return [*items, Item("manifest.json", path, files.sha256_file(path))]


def content_of(target: Destination) -> Content:
    return {name: target.read(name) for name in target.names()}


def new_target(kind: str, folder: Path) -> Destination:
    return Folder(folder / "target") if kind == "folder" else Bucket(Store(f"memory://{uuid.uuid4().hex}/shards"))


@pytest.mark.parametrize("kind", ["folder", "store"])
@settings(max_examples=20)
@given(published=publications)
def test_a_manifest_never_names_what_is_not_there_whoever_is_killed(
    kind: str, published: list[tuple[Content, int]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        target = new_target(kind, Path(folder))
        for number, (content, kill_at) in enumerate(published):
            items = items_of(content, Path(folder, str(number)))
            try:
                deliver(items, Watched(target, kill_at))
            except _KilledError:
                check_whole(target)
        deliver(items, Watched(target))
        assert content_of(target) == {item.name: item.source.read_bytes() for item in items}


@pytest.mark.parametrize("kind", ["folder", "store"])
def test_a_repeated_call_brings_only_what_is_missing_or_different(kind: str, tmp_path: Path) -> None:
    items = items_of({"a.tar": b"1", "b.tar": b"2", "one/c.tar": b"3", "one/d.tar": b"4"}, tmp_path / "new")
    target = new_target(kind, tmp_path)
    with pytest.raises(_KilledError):
        deliver(items, Watched(target, 6))  # the note and two files
    assert target.names() == {"a.tar", "b.tar", "publishing.json"}
    again = Watched(target)
    deliver(items, again)
    assert again.uploaded == ["publishing.json", "one/c.tar", "one/d.tar", "manifest.json"]
    third = Watched(target)
    deliver(items, third)
    assert third.uploaded == []
    items[0].source.write_bytes(b"x")
    target.put(Item("a.tar", items[0].source, files.sha256_bytes(b"x")))  # damaged there
    items[0].source.write_bytes(b"1")
    deliver(items, target)
    assert content_of(target) == {item.name: item.source.read_bytes() for item in items}


@pytest.mark.parametrize("kind", ["folder", "store"])
def test_what_is_not_ours_or_damaged_is_refused(kind: str, tmp_path: Path) -> None:
    target = new_target(kind, tmp_path)
    first, second = (items_of({name: b"1"}, tmp_path / name[0]) for name in ("a.tar", "b.tar"))
    foreign = tmp_path / "thesis.txt"
    foreign.write_text("mine")
    target.put(Item("thesis.txt", foreign, files.sha256_file(foreign)))
    with pytest.raises(ConfigError, match=r"holds thesis\.txt, which is no part"):
        deliver(first, target)
    assert target.names() == {"thesis.txt"}
    target.remove("thesis.txt")
    first[0].source.write_bytes(b"2")
    with pytest.raises(DataError, match="is damaged: its sha256 is not the one in the manifest"):
        deliver(first, target)
    assert "a.tar" not in target.names() and "manifest.json" not in target.names()
    deliver(second, target)  # knows by the note what the other one may have left
    assert set(content_of(target)) == {"b.tar", "manifest.json"}
