"""Lists and raw shards at addresses: fetched, held against their hashes, and refused in one line."""

import hashlib
import uuid

import pytest
from acquire_helpers import Page, encoded, noise, rows_of, tar_of

from pipeline.acquire.acquire import acquire, source_params
from pipeline.acquire.engines.url_list import availability, find_list
from pipeline.acquire.engines.webdataset import availability as shards_availability
from pipeline.acquire.fetched import fetched
from pipeline.acquire.lists import read_list
from pipeline.acquire.options import AcquireOptions
from pipeline.errors import ConfigError, DataError
from pipeline.remote import Store

JPEG = encoded(noise(1), "JPEG")
LIST = b"url,caption,story\nhttps://pictures.example/1.jpg,a red ball,s1\n"
CREDITS = b"story,by\ns1,Ann\n"
TABLE = "attribution: {file: credits.csv, key: [story], match: story, template: By $by}, columns: {group: story}"


@pytest.fixture
def put(tmp_path, monkeypatch):
    """Put a file at an address."""
    monkeypatch.setenv("ESSEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("pipeline.acquire.engines.url_list.environment.is_ready", lambda _: True)

    def put(url: str, data: bytes) -> str:
        (tmp_path / "source").write_bytes(data)
        Store(url).put("", tmp_path / "source")
        return url

    return put


@pytest.fixture(params=["memory", "s3"])
def folder(request):
    """An address to put things at."""
    return f"memory://{uuid.uuid4().hex}/raw" if request.param == "memory" else request.getfixturevalue("bucket")


def test_a_list_is_fetched_with_the_tables_beside_it_and_its_hash_decides(put, folder, write_card):
    url = put(f"{folder}/lists/list.csv", LIST)
    put(f"{folder}/lists/credits.csv", CREDITS)
    card = write_card(f"{{engine: url_list, list: '{url}', {TABLE}}}")
    options = AcquireOptions()
    assert availability(card, card.source) == ""
    path = find_list(card, card.source, options)
    assert [row["caption"] for row in read_list(path)] == ["a red ball"]
    params = source_params(card, options)
    assert params["list"] == hashlib.sha256(LIST).hexdigest()
    assert params["attribution"] == hashlib.sha256(CREDITS).hexdigest()
    put(url, LIST.replace(b"red", b"blue"))
    assert source_params(card, options) == params  # one process sees one list
    fetched.cache_clear()
    assert source_params(card, options) != params
    # The recipe's list goes before the card's.
    other = put(f"{folder}/other/list.csv", LIST.replace(b"red", b"green"))
    put(f"{folder}/other/credits.csv", CREDITS)
    found = find_list(card, card.source, AcquireOptions(list=other))
    assert [row["caption"] for row in read_list(found)] == ["a green ball"]


def test_a_list_with_a_known_hash_is_that_list_and_nobody_is_asked_again(put, folder, write_card):
    url = put(f"{folder}/list.csv", LIST)
    pinned = f"{{engine: url_list, list: '{url}', list_sha256: '{hashlib.sha256(LIST).hexdigest()}'}}"
    card = write_card(pinned)
    path = find_list(card, card.source, AcquireOptions())
    Store(url).remove("")
    fetched.cache_clear()
    assert find_list(card, card.source, AcquireOptions()) == path
    path.unlink()
    fetched.cache_clear()
    assert "list.csv is missing" in availability(card, card.source)
    with pytest.raises(DataError, match=r"list\.csv is missing"):
        find_list(card, card.source, AcquireOptions())
    put(url, LIST.replace(b"red", b"raw"))
    with pytest.raises(DataError, match=r"list\.csv is damaged: its sha256 is not .*correct the data card"):
        find_list(card, card.source, AcquireOptions())


def test_a_list_beside_the_card_is_held_against_its_hash_too(write_card):
    card = write_card(f"{{engine: url_list, list: list.csv, list_sha256: '{hashlib.sha256(LIST).hexdigest()}'}}")
    (card.path.parent / "list.csv").write_bytes(LIST)
    assert find_list(card, card.source, AcquireOptions()).name == "list.csv"
    (card.path.parent / "list.csv").write_bytes(LIST + b"\n")
    with pytest.raises(DataError, match="has not the sha256 of the data card"):
        find_list(card, card.source, AcquireOptions())


def test_a_list_on_a_web_server_is_fetched_by_the_checked_client(put, site, write_card):
    site.pages["/list.csv"] = Page(LIST)
    card = write_card(f"{{engine: url_list, list: '{site.address}/list.csv'}}")
    with pytest.raises(DataError, match="private address"):
        find_list(card, card.source, AcquireOptions())
    assert not site.asked
    card = write_card(f"{{engine: url_list, list: '{site.address}/list.csv', net: {{allow_private_hosts: true}}}}")
    assert find_list(card, card.source, AcquireOptions()).read_bytes() == LIST
    card = write_card(f"{{engine: url_list, list: '{site.address}/none.csv', net: {{allow_private_hosts: true}}}}")
    with pytest.raises(DataError, match="status 404"):
        find_list(card, card.source, AcquireOptions())
    card = write_card(f"{{engine: url_list, list: '{site.address}/list.csv?sig=se/cret'}}")
    with pytest.raises(ConfigError, match=r"^http://[\d.:]+/list\.csv has a query"):
        find_list(card, card.source, AcquireOptions())


def test_tables_outside_the_lists_folder_are_refused(put, write_card):
    url = put(f"memory://{uuid.uuid4().hex}/list.csv", LIST)
    card = write_card(f"{{engine: url_list, list: '{url}', {TABLE.replace('credits.csv', '../../credits.csv')}}}")
    with pytest.raises(ConfigError, match="lies outside"):
        find_list(card, card.source, AcquireOptions())


def test_raw_shards_are_read_from_a_store(put, folder, write_card, tmp_path):
    tars = [tar_of((f"{n}.jpg", JPEG), (f"{n}.txt", b"picture %d" % n)) for n in range(3)]
    for number, tar in enumerate(tars):
        put(f"{folder}/{number}.tar", tar)
    hashes = ", ".join(f"{n}.tar: '{hashlib.sha256(tar).hexdigest()}'" for n, tar in enumerate(tars))
    card = write_card(f"{{engine: webdataset, shards: ['{folder}/{{0..2}}.tar'], sha256: {{{hashes}}}}}")
    assert shards_availability(card, card.source) == ""
    assert acquire(card, AcquireOptions(workers=1), tmp_path / "run")["kept"] == 3
    rows = rows_of(tmp_path / "run/raw/mine")
    assert [row["caption"] for row in rows] == ["picture 0", "picture 1", "picture 2"]
    assert rows[0]["url"] == f"webdataset:mine/{folder}/0.tar/0"


def test_a_raw_shard_that_is_not_what_it_should_be_is_one_line(put, write_card, tmp_path):
    folder = f"memory://{uuid.uuid4().hex}"
    tar = tar_of(("a.jpg", JPEG), ("a.txt", b"one"))
    put(f"{folder}/0.tar", tar)
    put(f"{folder}/cut.tar", tar[:700])
    for keys, words in {
        f"shards: ['{folder}/0.tar'], sha256: {{0.tar: '{'0' * 64}'}}": r"0\.tar is damaged: its sha256 is not 000",
        f"shards: ['{folder}/0.tar'], max_shard_bytes: 99": "more than 99; if that is right, correct .*max_shard_bytes",
        f"shards: ['{folder}/1.tar']": r"1\.tar is missing",
        f"shards: ['{folder}/cut.tar']": "truncated or damaged",
    }.items():
        card = write_card(f"{{engine: webdataset, {keys}}}")
        with pytest.raises(DataError, match=words) as caught:
            acquire(card, AcquireOptions(workers=1), tmp_path / "run")
        assert "\n" not in str(caught.value)
    card = write_card(f"{{engine: webdataset, shards: ['{folder}/1.tar']}}")
    assert "1.tar is missing" in shards_availability(card, card.source)
