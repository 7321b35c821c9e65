"""WebDataset shards behind HTTP: fetched whole and once, from public addresses, or one line about why not."""

import json
import socket

import pytest
from acquire_helpers import Page, encoded, noise, rows_of, tar_of

from pipeline.acquire.acquire import acquire
from pipeline.acquire.engines.webdataset import availability
from pipeline.acquire.options import AcquireOptions
from pipeline.acquire.raw import read_raw
from pipeline.errors import DataError

JPEG = encoded(noise(1), "JPEG")
GOOD = ("good.jpg", JPEG), ("good.txt", b"a good one")


def test_shards_are_fetched_whole_once(site, write_card, tmp_path):
    site.pages |= {f"/{i}.tar": Page(tar_of((f"{i}.jpg", JPEG), (f"{i}.txt", b"picture %d" % i))) for i in range(2)}
    site.pages["/moved.tar"] = Page(status=302, headers={"Location": "/1.tar"})
    site.pages["/good.tar?token=secret"] = Page(tar_of(*GOOD))
    text = (
        f'shards: ["{site.address}/{{0,moved}}.tar", "{site.address}/good.tar?token=secret"], allow_private_hosts: true'
    )
    card = write_card(f"{{engine: webdataset, {text}}}")
    assert availability(card, card.source) == ""
    for _ in range(2):
        counts = acquire(card, AcquireOptions(workers=1), tmp_path / "run")
        assert counts == {"in": 3, "kept": 3, "dropped": {}}
    assert site.asked == {
        "/0.tar": 2,
        "/moved.tar": 1,
        "/1.tar": 1,
        "/good.tar?token=secret": 1,
    }  # once to see if it is there
    rows = rows_of(tmp_path / "run" / "raw" / "mine")
    assert [row["url"].rsplit("/", 2)[1:] for row in rows] == [["0.tar", "0"], ["moved.tar", "1"], ["good.tar", "good"]]
    assert "secret" not in json.dumps(rows)
    assert not list((tmp_path / "run").rglob("*.part"))


def test_what_a_server_can_do_wrong_is_one_line(site, write_card, tmp_path):
    whole = tar_of(*GOOD)
    site.pages |= {
        "/cut.tar": Page(whole[:-3], headers={"Content-Length": str(len(whole))}),
        "/short.tar": Page(whole[:600]),
        "/long.tar": Page(whole * 9),
        "/drip.tar": Page(whole[:512], drips=True),
        "/slow.tar": Page(whole, delay=3),
        "/broken.tar": Page(status=503),
        "/loop.tar": Page(status=301, headers={"Location": "/loop.tar"}),
        "/file.tar": Page(status=301, headers={"Location": "file:///etc/passwd"}),
        "/other.tar": Page(whole),
    }
    none = "0" * 64
    expected = {
        "cut": "cannot be fetched",
        "short": "truncated or damaged",
        "long": "more than 20,000 bytes",
        "drip": "no complete answer",
        "slow": "no complete answer",
        "broken": "status 503",
        "loop": "more than 5 redirects",
        "file": "scheme not allowed",
        "none": "status 404",
        "other": "has not the sha256",
    }
    for name, message in expected.items():
        card = write_card(
            f'{{engine: webdataset, shards: ["{site.address}/{name}.tar"], allow_private_hosts: true, retries: 0, '
            f"timeout: 0.5, deadline: 1, max_shard_bytes: 20000, sha256: {{other.tar: '{none}'}}}}",
            name=name,
        )
        with pytest.raises(DataError, match=message) as caught:
            acquire(card, AcquireOptions(workers=1), tmp_path / "run")
        assert "\n" not in str(caught.value)
        assert not list((tmp_path / "run").rglob("*.part"))
    card = write_card(
        f'{{engine: webdataset, shards: ["{site.address}/none.tar?token=secret"], allow_private_hosts: true}}'
    )
    with pytest.raises(DataError, match=r"/none\.tar cannot be fetched: status 404$"):
        acquire(card, AcquireOptions(workers=1), tmp_path / "run")
    card = write_card(f'{{engine: webdataset, shards: ["{site.address}/other.tar"]}}')
    with pytest.raises(DataError, match="private address"):
        acquire(card, AcquireOptions(), tmp_path / "run")
    assert "private" in availability(card, card.source)


def test_a_name_that_leads_to_a_private_address_is_not_connected_to(site, write_card, tmp_path, monkeypatch):
    real = socket.getaddrinfo

    def rebound(host, *arguments, **options):
        named = host == "shards.example" and not options.get("flags", 0) & socket.AI_NUMERICHOST
        return real("127.0.0.1" if named else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", rebound)
    port = site.address.rsplit(":", 1)[1]
    card = write_card(f'{{engine: webdataset, shards: ["http://shards.example:{port}/0.tar"], retries: 0}}')
    with pytest.raises(DataError, match=r"private address 127\.0\.0\.1"):
        acquire(card, AcquireOptions(), tmp_path / "run")
    assert not site.asked


def test_a_failure_that_passes_is_tried_again(site, write_card, tmp_path):
    whole = tar_of(*GOOD)

    class Flaky(dict):
        def get(self, path, default):
            return Page(status=503) if site.asked[path] < 2 else super().get(path, default)

    site.pages = Flaky({"/0.tar": Page(whole)})
    card = write_card(f'{{engine: webdataset, shards: ["{site.address}/0.tar"], allow_private_hosts: true}}')
    assert acquire(card, AcquireOptions(workers=1), tmp_path / "run")["kept"] == 1
    assert site.asked["/0.tar"] == 2
    assert [row["caption"] for row, _ in read_raw(tmp_path / "run" / "raw" / "mine")] == ["a good one"]
