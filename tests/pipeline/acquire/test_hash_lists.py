"""Hash lists: a picture that stands on one is refused before it is decoded or stored, and only its hash stays."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from real_pictures import picture

from pipeline import files
from pipeline.acquire import admission
from pipeline.acquire.acquire import acquire, source_params
from pipeline.acquire.card import Card, load_card
from pipeline.acquire.hash_lists import LISTED, is_listed, read_hashes, screened
from pipeline.acquire.img2dataset.gateway import Gateway
from pipeline.acquire.img2dataset.mirror import Mirror
from pipeline.acquire.options import AcquireOptions, HashList, Screen
from pipeline.acquire.raw import raw_tables, read_raw
from pipeline.errors import ConfigError, SafetyError
from pipeline.tables import read_columns

PLANTED = range(10)
CARD = """---
name: pictures
title: Pictures
licence: MIT
attribution: Nobody
child_directed: true
redistributable: true
source: {engine: folder, path: pictures}
---
"""


@pytest.fixture
def card(tmp_path: Path) -> Card:
    """30 pictures with captions; the first ten are to be refused."""
    (tmp_path / "pictures").mkdir()
    for number in range(30):
        (tmp_path / f"pictures/{number:02d}.png").write_bytes(picture(number))
        (tmp_path / f"pictures/{number:02d}.txt").write_text(f"secret caption {number}")
    (tmp_path / "pictures.md").write_text(CARD)
    return load_card(tmp_path / "pictures.md")


def hash_list(path: Path, kind: str) -> HashList:
    lines = [hashlib.new(kind, picture(number)).hexdigest() for number in PLANTED]
    path.write_text("# refused\n\n" + "".join(f"{line.upper()}  name {n}.png\n" for n, line in enumerate(lines)))
    return HashList(path=path, kind=kind)


@pytest.mark.parametrize("kind", ["md5", "sha256"])
@pytest.mark.parametrize("workers", [1, 2])
def test_ten_of_ten_are_refused_before_they_are_decoded(
    card: Card, tmp_path: Path, kind: str, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[bytes] = []
    real = admission.admit

    def seen(data: bytes, **values: Any) -> Any:
        decoded.append(data)
        return real(data, **values)

    monkeypatch.setattr(admission, "admit", seen)
    screen = Screen(hash_lists=(hash_list(tmp_path / "list.txt", kind),))
    counts = acquire(card, AcquireOptions(workers=workers, screen=screen), tmp_path / "run")
    assert counts == {"in": 30, "kept": 20, "dropped": {LISTED: 10}}
    planted = {picture(number) for number in PLANTED}
    assert planted.isdisjoint(decoded) and (workers > 1 or len(decoded) == 20)
    assert planted.isdisjoint(image for _, image in read_raw(tmp_path / "run/raw/pictures"))
    written = [path.read_bytes() for path in files.files_below(tmp_path / "run")]
    assert not any(data in content for data in planted for content in written)
    (table,) = raw_tables(tmp_path / "run/raw/pictures")
    rows = read_columns(table)
    for number in PLANTED:
        assert (rows["status"][number], rows["reason"][number]) == ("excluded", LISTED)
        assert rows["original_sha256"][number] == files.sha256_bytes(picture(number))
        assert not any(rows[name][number] for name in ("caption", "url", "group", "sha256", "ext"))


def test_in_a_corpus_for_children_the_run_ends_with_code_6(card: Card, tmp_path: Path) -> None:
    screen = Screen(hash_lists=(hash_list(tmp_path / "list.txt", "md5"),), stop=True)
    with pytest.raises(SafetyError) as stop:
        acquire(card, AcquireOptions(workers=1, screen=screen), tmp_path / "run")
    assert stop.value.exit_code == 6
    assert str(stop.value) == (
        "pictures: 10 pictures stand on the lists of select.safety.hash_lists (sha256 "
        f"{files.sha256_bytes(picture(0))}); none was decoded or stored; to leave them out, set select.safety.on_hit: "
        "drop"
    )
    assert not (tmp_path / "run/raw/pictures").exists()


def test_what_a_host_sends_is_not_handed_on(card: Card, tmp_path: Path) -> None:
    lists = (hash_list(tmp_path / "list.txt", "sha256"),)
    origin = screened(lambda: Mirror(tmp_path / "pictures", {}, max_bytes=10**6), lists)
    urls = [f"http://host.example/{number:02d}.png" for number in (3, 25)]
    from urllib.request import urlopen

    with Gateway(urls, origin, requests=2) as gateway:
        with urlopen(gateway.target(1), timeout=20) as answer:
            assert answer.read() == picture(25)
        with pytest.raises(OSError, match="502"):
            urlopen(gateway.target(0), timeout=20)
        record = gateway.record(0)
    assert record is not None
    assert (record.reason, record.message, record.size) == (LISTED, f"sha256 {files.sha256_bytes(picture(3))}", 0)


def test_the_content_of_a_list_decides_and_not_its_place(card: Card, tmp_path: Path) -> None:
    one, two = (hash_list(tmp_path / name, "md5") for name in ("one.txt", "two.txt"))
    other = tmp_path / "other.txt"
    other.write_text("0" * 32)
    params = [
        source_params(card, AcquireOptions(screen=Screen(hash_lists=(entry,))))
        for entry in (one, two, HashList(path=other, kind="md5"))
    ]
    assert params[0] == params[1] != params[2]
    assert "hash_lists" not in source_params(card, AcquireOptions())


def test_lists_of_other_forms(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("\ufeff" + "ab" * 16 + ",2020\n  " + "CD" * 16 + "  # why\n")
    assert read_hashes(path, "md5") == {"ab" * 16, "cd" * 16}
    assert not is_listed(b"", [HashList(path=path, kind="md5")])
    with pytest.raises(ConfigError, match=rf"{path}, line 1: 'abab.*' is no sha256 of 64 digits in hex"):
        read_hashes(path, "sha256")
    with pytest.raises(ConfigError, match=r"the hash list .*gone.txt cannot be read"):
        read_hashes(tmp_path / "gone.txt", "md5")


def test_faces_are_blurred_before_anything_is_stored(
    card: Card, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_faces.py").write_text(
        "def find(rgb):\n    return [(10, 10, 30, 30)] if rgb[0, 0, 0] > 127 else []\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    options = AcquireOptions(workers=1, screen=Screen(blur="my_faces:find"))
    acquire(card, options, tmp_path / "run")
    import io

    import numpy as np

    found = {row["caption"]: (row, image) for row, image in read_raw(tmp_path / "run/raw/pictures")}
    blurred = 0
    for number in range(30):
        row, image = found[f"secret caption {number}"]
        with Image.open(io.BytesIO(picture(number))) as before, Image.open(io.BytesIO(image)) as after:
            old, new = (np.asarray(p.convert("RGB")).astype(int) for p in (before, after))
        assert row["sha256"] == files.sha256_bytes(image)
        if old[0, 0, 0] > 127:
            blurred += 1
            assert row["error_message"] == "1 faces blurred"
            assert row["original_sha256"] == files.sha256_bytes(picture(number)) != row["sha256"]
            inner, outer = new[10:30, 10:30], old[10:30, 10:30]
            assert np.abs(np.diff(inner, axis=0)).mean() < np.abs(np.diff(outer, axis=0)).mean()
            changed = np.abs(new - old).max(axis=2) > 0
            assert not changed[:6].any() and not changed[34:].any() and not changed[:, :6].any()
        else:
            assert image == picture(number)
    assert 0 < blurred < 30
