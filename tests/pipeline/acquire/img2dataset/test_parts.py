"""Parts: whole or not there, by img2dataset's own files and the gateway's records."""

import hashlib

import pytest

from pipeline.acquire.img2dataset.gateway import Record
from pipeline.acquire.img2dataset.parts import BrokenPartError, keep, known
from pipeline.tables import write_table
from pipeline.tar import add_member, new_tar

NUMBERS = range(10, 14)
URLS = [f"https://a.example/{number}" for number in NUMBERS]
STATES = dict.fromkeys(URLS, "state")
BODIES = [b"first", b"", None, None]


def record(body, *, retryable=False):
    if body is None:
        return Record("http_404", "status 404", "", retryable, 1, "", "", 0)
    return Record("", "", "", False, 1, "", hashlib.sha256(body).hexdigest(), len(body))


RECORDS = [record(body, retryable=number == 13) for number, body in zip(NUMBERS, BODIES, strict=True)]


@pytest.fixture
def shard(tmp_path):
    """A shard as img2dataset leaves it: rows and members in the order in which they came."""
    path = tmp_path / "try-1" / "00003.tar"
    path.parent.mkdir()
    order = (12, 10, 13, 11)
    with new_tar(path) as tar:
        for place, number in enumerate(order):
            if (body := BODIES[number - 10]) is not None:
                add_member(tar, f"0000{place}.jpg", body)
                add_member(tar, f"0000{place}.json", b"{}")
    status = ["failed_to_download" if BODIES[number - 10] is None else "success" for number in order]
    keys = [f"0000{place}" for place in range(4)]
    write_table(path.with_suffix(".parquet"), {"row": list(order), "key": keys, "status": status})
    return path


def test_a_whole_shard_becomes_a_part_and_is_found_again(shard, tmp_path):
    parts = tmp_path / "parts"
    parts.mkdir()
    found = keep(parts, shard, NUMBERS, STATES, RECORDS)
    assert [found[url].span.read() if found[url].span else None for url in URLS] == BODIES
    assert (found[URLS[2]].reason, found[URLS[2]].message) == ("http_404", "status 404")
    (part,) = parts.iterdir()
    assert sorted(file.name for file in part.iterdir()) == ["00000.parquet", "00000.tar", "answers.parquet"]

    again = known(parts, STATES)  # without the failure that may pass
    assert again == {url: found[url] for url in URLS[:3]}
    assert known(parts, {**STATES, URLS[0]: "another"}) == {url: found[url] for url in URLS[1:3]}
    assert known(parts, {"https://b.example": "state"}) == {}
    (part / "answers.parquet").write_bytes(b"damaged")
    assert known(parts, STATES) == {}
    assert not part.exists()


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("bytes", "the bytes of 00001 are not those that it was given"),
        ("status", "00001 ended as success, and not so at the gateway"),
        ("unknown", "ended as .*, and not so at the gateway"),
        ("rows", "its table has 4 of 5 rows"),
        ("archive", "its files cannot be read"),
        ("table", "its files cannot be read"),
    ],
)
def test_a_shard_that_is_not_whole_becomes_none(shard, tmp_path, fault, message):
    numbers, records = NUMBERS, list(RECORDS)
    if fault == "bytes":
        records[0] = record(b"other")
    elif fault == "status":
        records[0] = record(None)
    elif fault == "unknown":
        records = [None] * 4
    elif fault == "rows":
        numbers = range(10, 15)
    elif fault == "archive":
        shard.write_bytes(shard.read_bytes()[:700])
    else:
        shard.with_suffix(".parquet").unlink()
    (tmp_path / "parts").mkdir()
    with pytest.raises(BrokenPartError, match=message):
        keep(tmp_path / "parts", shard, numbers, STATES, records)
    assert not list((tmp_path / "parts").iterdir())
