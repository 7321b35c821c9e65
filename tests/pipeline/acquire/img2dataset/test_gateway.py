"""The gateway: each URL fetched once by the client, handed on as it arrived, and recorded."""

import hashlib
import socket
import time
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from urllib.error import HTTPError

import pytest
from acquire_helpers import Page

from pipeline.acquire.img2dataset import gateway as module
from pipeline.acquire.img2dataset.gateway import Gateway
from pipeline.acquire.net.client import Answer, Client
from pipeline.acquire.net.config import NetConfig

NET = NetConfig(allow_private_hosts=True, robots=False, per_host=32, attempts=1, deadline=2)


def get(gateway, number):
    try:
        with urllib.request.urlopen(gateway.target(number), timeout=20) as answer:
            return answer.status, answer.read()
    except HTTPError as error:
        return error.code, b""


def wait_for(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def open_for(urls, requests=8):
    return Gateway(urls, lambda: Client(NET), requests=requests)


def test_it_hands_on_what_arrived_and_records_what_did_not(site):
    body = b"any bytes \x00"
    site.pages |= {
        "/a.jpg": Page(body),
        "/empty.jpg": Page(b""),
        "/noai.jpg": Page(body, headers={"X-Robots-Tag": "noai"}),
    }
    urls = [f"{site.address}/{name}" for name in ("a.jpg", "empty.jpg", "noai.jpg", "none.jpg")]
    with open_for([*urls, "file:///etc/passwd"]) as gateway:
        assert [get(gateway, n) for n in range(5)] == [(200, body), (200, b""), (502, b""), (502, b""), (502, b"")]
        found = [gateway.record(n) for n in range(5)]
        assert [record.reason for record in found[2:]] == ["opt_out", "http_404", "scheme_not_allowed"]
        assert (found[0].sha256, found[0].size, found[0].final_url) == (hashlib.sha256(body).hexdigest(), 11, urls[0])
        assert found[1].sha256 == hashlib.sha256(b"").hexdigest()
        assert "noai" in found[2].opt_out
        assert [record.opt_out for record in found[:2]] == ["", ""]
        assert (gateway.handed_over, gateway.waiting) == (5, 0)
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", int(gateway.address.split(":")[1])), timeout=5)


def test_a_url_is_fetched_once_whether_ahead_or_on_demand(site):
    site.pages |= {f"/{n}.jpg": Page(b"x", delay=0.02) for n in range(60)}
    with open_for([f"{site.address}/{n}.jpg" for n in range(60)]) as gateway, ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda n: get(gateway, n), reversed(range(60))))
    assert answers == [(200, b"x")] * 60
    assert Counter(site.asked[f"/{n}.jpg"] for n in range(60)) == {1: 60}


def test_a_body_that_was_handed_over_is_fetched_anew_and_a_failure_is_not(site):
    site.pages["/a.jpg"] = Page(b"x")
    with open_for([f"{site.address}/a.jpg", f"{site.address}/none.jpg"]) as gateway:
        assert [get(gateway, n)[0] for n in (0, 0, 1, 1)] == [200, 200, 502, 502]
    assert (site.asked["/a.jpg"], site.asked["/none.jpg"]) == (2, 1)


def test_nobody_gets_anything_without_the_token_or_beyond_the_list(site):
    site.pages["/a.jpg"] = Page(b"x")
    with open_for([f"{site.address}/a.jpg"]) as gateway:
        base = f"http://{gateway.address}"
        token = gateway.target(0).split("/")[3]
        for path in ("/", "/0", "/wrong/0", f"/{token}", f"/{token}/1", f"/{token}/-1", f"/{token}/x", f"/{token}é/0"):
            with pytest.raises(HTTPError, match="404"):
                urllib.request.urlopen(urllib.request.Request(base + urllib.request.quote(path)), timeout=5)
        assert get(gateway, 0) == (200, b"x")


def test_bodies_that_wait_are_bounded(site, monkeypatch):
    monkeypatch.setattr(module, "AHEAD_BYTES", 5_000)
    site.pages |= {f"/{n}.jpg": Page(bytes(1_000)) for n in range(40)}
    with open_for([f"{site.address}/{n}.jpg" for n in range(40)], requests=2) as gateway:
        wait_for(lambda: sum(site.asked.values()) >= 6)
        time.sleep(0.3)
        assert sum(count for path, count in site.asked.items() if path.endswith("jpg")) <= 8
        assert get(gateway, 39) == (200, bytes(1_000))  # what is asked for does not wait for room
        assert [get(gateway, n)[0] for n in range(39)] == [200] * 39


class Faulty:
    """An origin with a bug."""

    async def __aenter__(self):
        return self

    async def __aexit__(self, *exception):
        pass

    async def get(self, url: str) -> Answer:
        raise ZeroDivisionError(url)


def test_a_fault_of_our_own_is_raised_where_the_records_are_read():
    gateway = Gateway(["https://a.example/1"], Faulty, requests=1)
    with gateway, pytest.raises(ZeroDivisionError, match=r"a\.example/1"):
        wait_for(lambda: gateway.record(0))


def test_it_closes_at_once_while_hosts_keep_it_waiting(site):
    site.pages |= {f"/{n}.jpg": Page(b"x", drips=True) for n in range(4)}
    with open_for([f"{site.address}/{n}.jpg" for n in range(4)]):
        wait_for(lambda: sum(site.asked.values()) >= 4)
        started = time.monotonic()
    assert time.monotonic() - started < 2
