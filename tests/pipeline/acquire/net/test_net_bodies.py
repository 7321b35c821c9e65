"""Rows 5 to 9: bodies that drip, stall, never end, swell, or end too early."""

import asyncio
import gzip
import json
import subprocess
import sys
import time
import zlib

import numpy as np
import pytest
from net_helpers import LOOPBACK, PICTURE, Page, cut_off, drip, get, get_all, redirect

HEAD = "HTTP/1.1 200 OK\nContent-Type: image/png\n"
ONCE = LOOPBACK.model_copy(update={"attempts": 1})
MEBI = 1 << 20


def within(seconds):
    return ONCE.model_copy(update={"deadline": seconds})


def test_a_dripping_body_ends_with_the_deadline(server):
    server.pages["/drip"] = drip(HEAD + "Content-Length: 160\n\n", b"0123456789", 16, 0.5)
    start = time.monotonic()
    answer = get(server.url("/drip"), within(2))
    assert time.monotonic() - start <= 2.5
    assert (answer.reason, answer.body, answer.retryable) == ("timeout", None, True)


def test_a_stall_anywhere_ends_with_the_deadline(server):
    async def silent(request, writer):
        await asyncio.sleep(60)
        return False

    server.pages |= {
        "/before": silent,
        "/in-head": drip(HEAD, b"X-A: b\r\n", 60, 0.2),
        "/after": drip(HEAD + "Content-Length: 9\n\n", b"", 1, 60),
        "/between": drip(HEAD + "Transfer-Encoding: chunked\n\n5\nabcde\n", b"", 1, 60),
        **{f"/{n}": Page(b"", 302, [("Location", f"/{n + 1}")], delay=0.3) for n in range(5)},
    }
    paths = ["/before", "/in-head", "/after", "/between", "/0"]
    start = time.monotonic()
    answers = get_all([server.url(path) for path in paths], within(1).model_copy(update={"per_host": 5}))
    assert time.monotonic() - start <= 1.5
    assert {answer.reason for answer in answers} == {"timeout"}
    assert {answer.message for answer in answers} == {"no complete answer within 1 s"}


def test_the_deadline_holds_for_names_that_are_not_answered(server):
    async def never(host):
        await asyncio.sleep(60)
        return [host]

    start = time.monotonic()
    assert get(server.url(host="a.example"), within(0.5), names=never).reason == "timeout"
    quick = within(5).model_copy(update={"connect_timeout": 0.2})
    assert get(server.url(host="a.example"), quick, names=never).reason == "unknown_host"
    assert time.monotonic() - start < 1.5


MEASURED = r"""
import asyncio, json, re, sys
from pathlib import Path
from aiohttp import StreamReader
from pipeline.acquire.net.client import Client, NetConfig

taken = 0
read = StreamReader.read

async def counted(self, n=-1):
    global taken
    chunk = await read(self, n)
    taken += len(chunk)
    return chunk

StreamReader.read = counted

async def main():
    global taken
    peak = lambda: int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024
    async with Client(NetConfig(allow_private_hosts=True, attempts=1, robots=False, opt_outs=False)) as client:
        await client.get(sys.argv[1])
        found = []
        for url in sys.argv[2:]:
            taken, before = 0, peak()
            answer = await client.get(url)
            found.append([answer.reason, taken, peak() - before, answer.body is None])
        print(json.dumps(found))

asyncio.run(main())
"""


def measured(server, *paths):
    """Fetch paths in a process of its own; reason, bytes read, growth of its memory in MiB, no body, for each."""
    command = [sys.executable, "-c", MEASURED, *map(server.url, ("/a.png", *paths))]
    return json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)


def test_a_stream_of_300_mb_is_left_at_20_mb(server):
    block = bytes(MEBI)
    chunk = b"100000\r\n" + block + b"\r\n"
    server.pages |= {
        "/chunked": drip(HEAD + "Transfer-Encoding: chunked\n\n", chunk, 300, 0),
        "/until-close": drip("HTTP/1.0 200 OK\n\n", block, 300, 0),
        "/announced": drip(HEAD + f"Content-Length: {300 * MEBI}\n\n", block, 300, 0),
    }
    found = measured(server, *server.pages.keys() - {"/a.png"}, "/announced")
    for reason, taken, grown, nothing in found:
        assert (reason, nothing) == ("too_large", True)
        assert taken <= 20_000_000 + 65_536
        assert 0 <= grown <= 60
    assert found[-1][1] == 0


def test_a_body_of_exactly_the_limit_is_whole_and_one_byte_more_is_not(server):
    limit = 200_000
    config = ONCE.model_copy(update={"max_bytes": limit})
    for size, reason in ((limit, ""), (limit + 1, "too_large")):
        body = b"x" * size
        server.pages |= {
            "/length": Page(body),
            "/chunked": cut_off(HEAD + "Transfer-Encoding: chunked\n\n", b"%x\r\n%b\r\n0\r\n\r\n" % (size, body)),
            "/gzip": Page(gzip.compress(body), headers=[("Content-Encoding", "gzip")]),
        }
        for path in ("/length", "/chunked", "/gzip"):
            answer = get(server.url(path), config)
            assert (answer.reason, answer.body) == (reason, body if not reason else None)
            assert not answer.retryable


def test_a_length_that_lies_gives_no_more_than_it_says(server):
    server.pages["/lie"] = drip(HEAD + "Content-Length: 1000\n\n", bytes(MEBI), 20, 0)
    answers = get_all([server.url("/lie"), server.url()], at_once=False)
    assert (answers[0].reason, len(answers[0].body or b"")) in {("", 1000), ("bad_answer", 0), ("incomplete", 0)}
    assert answers[1].body == PICTURE
    server.pages["/nonsense"] = cut_off(HEAD + "Content-Length: many\n\n", b"abc")
    assert get(server.url("/nonsense")).reason == "bad_answer"


def test_a_bomb_of_10_gb_in_10_mb_is_defused(server):
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    block = packer.compress(bytes(10 * MEBI)) + packer.flush(zlib.Z_FULL_FLUSH)
    start = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"
    bomb = start + block * 1000
    assert len(bomb) < 11 * MEBI
    headers = [("Content-Type", "image/png")]
    server.pages |= {
        "/gzip": Page(bomb, headers=[*headers, ("Content-Encoding", "gzip")]),
        "/deflate": Page(b"\x78\xda" + block * 1000, headers=[*headers, ("Content-Encoding", "Deflate")]),
        "/br": Page(bomb, headers=[*headers, ("Content-Encoding", "br")]),
        "/twice": Page(bomb, headers=[*headers, ("Content-Encoding", "gzip, gzip")]),
    }
    found = measured(server, "/gzip", "/deflate", "/br", "/twice")
    assert [reason for reason, *_ in found] == ["too_large", "too_large", "content_encoding", "content_encoding"]
    assert all(grown <= 60 and nothing for _, _, grown, nothing in found)


@pytest.mark.parametrize(("name", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_a_compressed_picture_arrives_as_it_was(name, pack, server):
    body = bytes(range(256)) * 100
    headers = [("Content-Encoding", name)]
    server.pages |= {"/whole": Page(pack(body), headers=headers), "/cut": Page(pack(body)[:-9], headers=headers)}
    server.pages["/wrong"] = Page(body, headers=headers)
    assert get(server.url("/whole")).body == body
    assert get(server.url("/cut")).reason == "incomplete"
    assert get(server.url("/wrong")).reason == "incomplete"


def test_a_body_that_ends_early_is_tried_again_and_never_kept(server):
    server.pages |= {
        "/short": cut_off(HEAD + "Content-Length: 1000\n\n", bytes(500)),
        "/chunk-cut": cut_off(HEAD + "Transfer-Encoding: chunked\n\n", b"100\r\n" + bytes(100)),
        "/no-last-chunk": cut_off(HEAD + "Transfer-Encoding: chunked\n\n", b"5\r\nabcde\r\n"),
        "/reset": cut_off(HEAD + "Content-Length: 1000\n\n", bytes(500), reset=True),
        "/nothing": cut_off(""),
        "/half-a-head": cut_off("HTTP/1.1 200 OK\nContent-"),
    }
    paths = [path for path in server.pages if path != "/a.png"]
    for path in paths:
        answer = get(server.url(path))
        assert (answer.reason, answer.body, answer.retryable) == ("incomplete", None, True), path
        assert answer.requests == server.asked(path) == 3
        assert "\n" not in answer.message and answer.message


def test_a_body_that_is_whole_at_the_third_attempt_is_kept(server):
    short = cut_off(HEAD + "Content-Length: 1000\n\n", bytes(500))

    async def third(request, writer):
        return await (Page() if server.asked("/third") == 3 else short)(request, writer)

    server.pages |= {"/third": third, "/to-third": redirect("/third")}
    answer = get(server.url("/third"))
    assert (answer.body, answer.requests, answer.reason, answer.message) == (PICTURE, 3, "", "")


@pytest.mark.parametrize(
    "answer",
    ["no http at all\n\n", "HTTP/1.1 200 OK\nA\n\n", "HTTP/1.1 999999 OK\n\n", "HTTP/1.1 200 OK\n" + "a: b\n" * 9999],
)
def test_what_is_no_http_fails_the_row_alone(answer, server):
    server.pages["/bad"] = cut_off(answer + "\n")
    found = get_all([server.url("/bad"), server.url()], at_once=False)
    assert (found[0].reason, found[0].body) == ("bad_answer", None)
    assert found[1].body == PICTURE


def test_ranges_and_empty_answers_are_no_pictures(server):
    server.pages |= {"/206": Page(status=206), "/204": Page(b"", 204), "/304": Page(b"", 304), "/empty": Page(b"")}
    assert [get(server.url(f"/{status}")).reason for status in (206, 204, 304)] == ["http_206", "http_204", "http_304"]
    assert get(server.url("/empty")).body == b""


def test_answers_of_noise_raise_nothing(server):
    """Answers with bytes changed, left out or doubled at random places: each fails by itself or arrives."""
    chance = np.random.default_rng(0)
    whole = (
        b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"
        b"X-Robots-Tag: all\r\nLocation: /a.png\r\n\r\n1c\r\n" + gzip.compress(b"picture", mtime=0) + b"\r\n0\r\n\r\n"
    )

    def noisy():
        answer = bytearray(whole)
        for _ in range(chance.integers(1, 6)):
            place = int(chance.integers(len(answer)))
            answer[place : place + int(chance.integers(3))] = chance.bytes(int(chance.integers(3)))
        return bytes(answer)

    def send(answer):
        async def handler(request, writer):
            writer.write(answer)
            return False

        return handler

    server.pages |= {f"/{number}": send(noisy()) for number in range(400)}
    config = within(2).model_copy(update={"failures": 10_000})
    answers = get_all([server.url(f"/{number}") for number in range(400)], config)
    assert all((answer.body is None) == bool(answer.reason) for answer in answers)
    assert {"", "bad_answer", "incomplete"} <= {answer.reason for answer in answers}
    assert all(answer.message.isprintable() for answer in answers)
