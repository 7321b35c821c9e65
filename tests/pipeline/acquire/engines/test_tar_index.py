"""Tars that others have made: read whole or refused, whatever they hold."""

import contextlib
import tarfile
import time
from pathlib import Path
from tempfile import NamedTemporaryFile

import pytest
from acquire_helpers import tar_of
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.acquire.engines.tar_index import Member, read_index
from pipeline.errors import DataError

WHOLE = tar_of(("a.jpg", b"x" * 700), ("a.txt", b"one"), ("é" * 70 + ".jpg", b"y"), ("d/b.png", b"z" * 512))
END = -(-len(WHOLE.rstrip(b"\0")) // 512) * 512 + 1_024  # contents fill blocks; two blocks of zeros follow


def index(content: bytes) -> list[Member]:
    with NamedTemporaryFile(suffix=".tar") as file:
        file.write(content)
        file.flush()
        return list(read_index(Path(file.name)))


def resealed(content: bytearray) -> bytes:
    """Give every header the checksum that it should have."""
    for start in range(0, len(content) - 511, 512):
        if content[start + 257 : start + 262] == b"ustar":
            content[start + 148 : start + 156] = b" " * 8
            content[start + 148 : start + 156] = b"%06o\0 " % sum(content[start : start + 512])
    return bytes(content)


def test_members_are_found_where_they_lie():
    assert [(member.name, WHOLE[member.offset : member.offset + member.size]) for member in index(WHOLE)] == [
        ("a.jpg", b"x" * 700), ("a.txt", b"one"), ("é" * 70 + ".jpg", b"y"), ("d/b.png", b"z" * 512)
    ]  # fmt: skip


def test_every_cut_is_found():
    for cut in range(0, END, 7):
        with pytest.raises(DataError, match="is truncated or damaged"):
            index(WHOLE[:cut])
    assert len(index(WHOLE[:END])) == 4


def test_a_flipped_bit_in_a_header_is_found():
    for member in index(WHOLE):
        for bit in range(0, 512 * 8, 31):
            if bit // 8 in (154, 155):
                continue  # what ends the checksum's digits says nothing
            damaged = bytearray(WHOLE)
            damaged[member.offset - 512 + bit // 8] ^= 1 << bit % 8
            with pytest.raises(DataError, match="is truncated or damaged"):
                index(bytes(damaged))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (WHOLE + WHOLE, "something follows the end of the archive"),
        (b"", "truncated or damaged"),
        (b"x" * 2_000, "truncated or damaged"),
        (b"\x1f\x8b" + b"x" * 99, "is compressed with gzip"),
    ],
)
def test_what_is_no_plain_archive_is_an_error(content, message):
    with pytest.raises(DataError, match=message):
        index(content)


@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, END - 1), st.integers(0, 255)), max_size=6), st.booleans())
def test_whatever_a_tar_holds_it_is_read_or_refused(changes, seal):
    content = bytearray(WHOLE)
    for place, value in changes:
        content[place] = value
    with contextlib.suppress(DataError):
        members = index(resealed(content) if seal else bytes(content))
        assert all(m.size >= 0 and m.offset + m.size <= len(WHOLE) for m in members if not m.fault)


def test_a_header_without_end_takes_neither_memory_nor_time():
    bombs = []
    for size in (2**62, 40_000_000, 30_000):
        entry = tarfile.TarInfo("x")
        entry.type, entry.size = tarfile.XHDTYPE, size
        bombs.append(entry.tobuf(tarfile.GNU_FORMAT) + b"1" * 60_000)
    chain = tarfile.TarInfo("x")
    chain.type = tarfile.GNUTYPE_LONGNAME
    bombs.append(chain.tobuf(tarfile.GNU_FORMAT) * 5_000)
    begin = time.perf_counter()
    for bomb in bombs:
        with pytest.raises(DataError, match="truncated or damaged"):
            index(bomb + b"\0" * 10_240)
    assert time.perf_counter() - begin < 5
