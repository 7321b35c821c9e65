"""Our archives against those of the standard library, byte by byte."""

import hashlib
import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.tar import add_member, member_header, member_offsets, new_tar, read_span

NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), min_size=1, max_size=120)


def by_tarfile(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    try:
        return info.tobuf(tarfile.USTAR_FORMAT, "utf-8")
    except ValueError:
        return info.tobuf(tarfile.PAX_FORMAT, "utf-8")


@given(name=NAMES | st.text("ab/é", min_size=90, max_size=300), size=st.integers(0, 2**40))
@example(name="a" * 100, size=8**11 - 1)
@example(name="a" * 101, size=0)
@example(name="a", size=8**11)
@example(name="d" * 100 + "/" + "f" * 100, size=7)
def test_headers_are_those_of_tarfile(name: str, size: int) -> None:
    assert member_header(name, size) == by_tarfile(name, size)


@given(contents=st.lists(st.binary(max_size=1500), max_size=30))
def test_archives_are_those_of_tarfile(tmp_path_factory: pytest.TempPathFactory, contents: list[bytes]) -> None:
    folder = tmp_path_factory.mktemp("tar")
    members = [(f"{number:05d}.bin", data) for number, data in enumerate(contents)]
    with tarfile.open(folder / "theirs.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    with new_tar(folder / "ours.tar") as ours:
        offsets = [add_member(ours, name, data) for name, data in members]
    data = (folder / "ours.tar").read_bytes()
    assert data == (folder / "theirs.tar").read_bytes()
    assert ours.size == len(data)
    assert ours.sha256.hexdigest() == hashlib.sha256(data).hexdigest()
    assert ours.md5.hexdigest() == hashlib.md5(data, usedforsecurity=False).hexdigest()
    assert [data[offset : offset + len(body)] for offset, (_, body) in zip(offsets, members, strict=True)] == contents


def test_long_names_are_read_back(tmp_path: Path) -> None:
    names = ["a" * 100, "a" * 101, "d" * 100 + "/" + "f" * 100, "é" * 150, "x" * 5000]
    with new_tar(tmp_path / "t.tar") as tar:
        offsets = [tar.add((name, name.encode())) for name in names]
    found = member_offsets(tmp_path / "t.tar")
    assert list(found) == names
    assert [offset for offset, _ in found.values()] == offsets
    assert [read_span(tmp_path / "t.tar", *place).decode() for place in found.values()] == names


def test_an_archive_that_was_not_finished_does_not_look_whole(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), new_tar(tmp_path / "t.tar") as tar:
        tar.add(("a", b"x"))
        raise RuntimeError
    assert (tmp_path / "t.tar").stat().st_size % tarfile.RECORDSIZE
