import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import files
from pipeline.errors import ConfigError

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(values)
def test_json_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    path = tmp_path_factory.mktemp("json") / "value.json"
    files.write_json(path, value)
    assert files.read_json(path) == value
    assert path.read_text(encoding="utf-8") == files.pretty_json(value)
    assert [p.name for p in path.parent.iterdir()] == ["value.json"]


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.integers()))
def test_a_digest_depends_on_the_value_not_on_its_order(value: dict[str, int]) -> None:
    assert files.digest(value) == files.digest(dict(reversed(value.items())))


def test_numbers_that_json_does_not_have_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "x.json", float("nan"))
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep/er/file"
    files.write_bytes(path, b"old")
    (path.parent / "file.part").write_bytes(b"left by a crash, and longer than what comes")
    files.write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert files.files_below(tmp_path) == [path]
    assert files.sha256_file(path) == files.sha256_bytes(b"new") == hashlib.sha256(b"new").hexdigest()


def test_files_are_listed_by_name_and_links_refused(tmp_path: Path) -> None:
    for name in ("b/2", "b/10", "a", "b/c/1"):
        files.write_bytes(tmp_path / name, b"")
    assert [path.relative_to(tmp_path).as_posix() for path in files.files_below(tmp_path)] == [
        "a",
        "b/10",
        "b/2",
        "b/c/1",
    ]
    (tmp_path / "b/link").symlink_to("/etc/passwd")
    with pytest.raises(ConfigError, match="symbolic link"):
        files.files_below(tmp_path)


def test_removing_leaves_what_a_link_points_to(tmp_path: Path) -> None:
    files.write_bytes(tmp_path / "kept/file", b"x")
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    files.remove(tmp_path / "link")
    files.remove(tmp_path / "link")
    assert (tmp_path / "kept/file").read_bytes() == b"x"
    files.remove(tmp_path / "kept")
    assert list(tmp_path.iterdir()) == []
