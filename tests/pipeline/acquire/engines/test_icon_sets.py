"""Many icon sets in one package: which are used, how a sample is credited, and an even share of each under a limit."""

import io
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from acquire_helpers import hashes_below, integrity, npm_package, rows_of
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline.acquire.acquire import acquire, source_params
from pipeline.acquire.card import Card
from pipeline.acquire.engines.icon_sets import credit, spread
from pipeline.acquire.options import AcquireOptions
from pipeline.acquire.raw import read_raw
from pipeline.acquire.reach import reach
from pipeline.errors import ConfigError

CORNER = '<path d="M0 0h8v8H0z" fill="#f00"/>'  # at the upper left
BALL = '<circle cx="8" cy="8" r="6"/>'
LICENCE = "MIT AND CC0-1.0"


def icon_set(prefix: str, icons: dict[str, str], licence: str, **author: str) -> dict[str, Any]:
    info = {
        "name": prefix.title(),
        "author": author,
        "license": {"spdx": licence, "url": f"https://{prefix}.org/licence"},
    }
    entries: dict[str, dict[str, Any]] = {name: {"body": body} for name, body in icons.items()}
    return {"prefix": prefix, "info": info, "icons": entries, "width": 16, "height": 16}


@pytest.fixture
def sets_card(icon_card: Callable[..., Card]) -> Callable[..., Card]:
    """Put a package of icon sets where downloads are kept, and return a card that names it."""

    def make(*sets: dict[str, Any], options: str = "") -> Card:
        content: dict[str, object] = {"package.json": {"name": "sets"}, "collections.json": {}}
        content |= {f"json/{each['prefix']}.json": each for each in sets}
        options = f", licences: [MIT, CC0-1.0]{options}"
        return icon_card(npm_package(content), name="sets", options=options, engine="icon_sets", licence=LICENCE)

    return make


ROUND = icon_set("round", {"ball": BALL, "home-alt": CORNER}, "MIT", name="Ann", url="https://ann.org")
SOLD = icon_set("sold", {"ball": BALL}, "CC-BY-NC-4.0", name="Bob")
OPEN = icon_set("open", {"home": CORNER, "old": BALL, "broken": "<path"}, "CC0-1.0")
OPEN["icons"]["old"]["hidden"] = True


def test_only_sets_under_the_cards_licences_are_used_and_the_others_are_counted(sets_card, tmp_path):
    counts = acquire(sets_card(ROUND, SOLD, OPEN), AcquireOptions(), tmp_path)
    assert counts == {"in": 6, "kept": 3, "dropped": {"hidden": 1, "licence": 1, "not_drawable": 1}}
    refused = [row["url"] for row in rows_of(tmp_path / "raw/sets") if row["reason"] == "licence"]
    assert refused == ["iconify:sold/ball"]


def test_a_sample_has_name_set_licence_and_credit(sets_card, tmp_path):
    acquire(sets_card(ROUND, SOLD, OPEN), AcquireOptions(), tmp_path)
    found = {row["url"]: row for row in rows_of(tmp_path / "raw/sets")}
    wanted = {
        "caption": "home alt",
        "group": "home alt",
        "category": "round",
        "licence": "MIT",
        "attribution": "Round by Ann (https://ann.org), MIT",
        "lang": "en",
        "width": 64,
    }
    assert {key: found["iconify:round/home-alt"][key] for key in wanted} == wanted
    assert found["iconify:open/home"]["attribution"] == "Open (https://open.org/licence), CC0-1.0"
    assert found["iconify:sold/ball"]["licence"] == "CC-BY-NC-4.0"
    assert credit({"name": "Bare"}) == "Bare, "


def test_a_limit_takes_an_even_share_of_every_set_and_always_the_same(sets_card, tmp_path):
    sets = [icon_set(name, {f"{name}-{n}": BALL for n in range(size)}, "MIT") for name, size in (("a", 60), ("b", 30))]
    card = sets_card(*sets)
    for place in ("once", "again"):
        assert acquire(card, AcquireOptions(limit=30, workers=1), tmp_path / place)["in"] == 30
    once, again = (rows_of(tmp_path / place / "raw/sets") for place in ("once", "again"))
    assert once == again
    assert Counter(row["category"] for row in once) == {"a": 20, "b": 10}
    assert acquire(card, AcquireOptions(limit=1_000, workers=1), tmp_path / "all")["in"] == 90


@given(total=st.integers(1, 500), limit=st.integers(1, 600))
def test_as_many_as_asked_for_and_none_twice(total, limit):
    taken = list(spread(iter(range(total)), total, limit))
    assert len(taken) == min(total, limit)
    assert taken == sorted(set(taken))
    gaps = {after - before for before, after in pairwise(taken)}
    assert not gaps or max(gaps) - min(gaps) <= 1


def test_icons_also_come_turned(sets_card, tmp_path):
    counts = acquire(sets_card(ROUND, options=", turns: 3, size: 16"), AcquireOptions(), tmp_path)
    assert counts == {"in": 6, "kept": 6, "dropped": {}}
    corner = {row["url"]: data for row, data in read_raw(tmp_path / "raw/sets") if "home" in row["url"]}
    assert list(corner) == [f"iconify:round/home-alt{turn}" for turn in ("", "?rotate=90deg", "?rotate=180deg")]
    red = []
    for data in corner.values():
        picture = Image.open(io.BytesIO(data)).convert("RGB")
        red.append([place for place in ((4, 4), (12, 4), (12, 12), (4, 12)) if picture.getpixel(place) == (255, 0, 0)])
    assert red == [[(4, 4)], [(12, 4)], [(12, 12)]]  # clockwise


def test_the_number_of_workers_changes_no_byte(sets_card, tmp_path):
    card = sets_card(ROUND, SOLD, OPEN)
    for workers in (1, 2):
        acquire(card, AcquireOptions(workers=workers), tmp_path / str(workers))
    assert hashes_below(tmp_path / "1/raw") == hashes_below(tmp_path / "2/raw")


def test_the_source_decides_the_key(sets_card):
    plain, turned = sets_card(ROUND), sets_card(ROUND, options=", turns: 2")
    assert source_params(plain, AcquireOptions()) != source_params(turned, AcquireOptions())
    assert reach([plain]) == [""]


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ((), r"test-sets-1\.0\.0\.tgz holds no icon sets: it needs json/<prefix>\.json"),
        (({"prefix": "odd", "icons": {}},), r"package/json/odd\.json is no icon set: it needs icons and info"),
    ],
)
def test_a_package_that_holds_something_else_is_refused(sets_card, tmp_path, sets, message):
    with pytest.raises(ConfigError, match=message):
        acquire(sets_card(*sets), AcquireOptions(), tmp_path)


def test_a_damaged_package_is_refused(sets_card, tmp_path, monkeypatch):
    card = sets_card(ROUND)
    archive = tmp_path / "cache/npm/test-sets-1.0.0.tgz"
    damaged = archive.read_bytes()[:-40]
    archive.write_bytes(damaged)
    named = card.source.model_copy(update={"integrity": integrity(damaged)})
    with pytest.raises(ConfigError, match=r"test-sets-1\.0\.0\.tgz: package/json.* cannot be read"):
        acquire(card.model_copy(update={"source": named}), AcquireOptions(), tmp_path)
