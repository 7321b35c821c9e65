"""Rows 10, 11 and 17: waits and further attempts, turns at one host, and hosts and names that fail."""

import asyncio
import itertools
import statistics
from email.utils import formatdate

import pytest
from net_helpers import LOOPBACK, MANNERED, PICTURE, FakeClock, Names, Page, get, get_all

from pipeline.acquire.net.politeness import Breaker, retry_after

PATIENT = LOOPBACK.model_copy(update={"backoff": 1})


def in_turn(*pages):
    """Answer with one page after the other, the last one for good."""
    left = itertools.chain(pages, itertools.repeat(pages[-1]))

    async def handler(request, writer):
        return await next(left)(request, writer)

    return handler


def failing(status, **headers):
    return Page(b"", status, [(name.replace("_", "-"), value) for name, value in headers.items()])


def test_a_retry_after_is_waited_for(server):
    clock = FakeClock()
    date = formatdate(clock.wall() + 20, usegmt=True)
    server.pages |= {
        "/429": in_turn(failing(429, Retry_After="7"), Page()),
        "/503": in_turn(failing(503, Retry_After=date), Page()),
    }
    answer = get(server.url("/429"), PATIENT, clock=clock)
    assert (answer.body, answer.requests) == (PICTURE, 2)
    assert sum(clock.waits) == 7
    answer = get(server.url("/503"), PATIENT, clock=clock)
    assert (answer.body, answer.requests) == (PICTURE, 2)
    assert 12 <= sum(clock.waits) - 7 <= 20


def test_a_long_retry_after_leaves_the_row_and_the_host_for_later(server):
    server.pages["/429"] = failing(429, Retry_After="3600")
    clock = FakeClock()
    first, second = get_all([server.url("/429"), server.url()], PATIENT, clock=clock, at_once=False)
    assert (first.reason, first.status, first.requests, first.retryable) == ("http_429", 429, 1, True)
    assert (second.reason, second.requests, second.retryable) == ("host_down", 0, True)
    assert "30 s" in second.message
    assert not clock.waits
    assert len(server.requests) == 1


def test_a_pause_holds_for_the_whole_host(server):
    server.pages["/429"] = in_turn(failing(429, Retry_After="5"), Page())
    clock = FakeClock()
    answers = get_all(
        [server.url("/429"), *[server.url()] * 3], PATIENT.model_copy(update={"per_host": 1}), clock=clock
    )
    assert [answer.body for answer in answers] == [PICTURE] * 4
    assert clock.time >= 1_000_005


@pytest.mark.parametrize(("status", "requests", "later"), [
    (500, 3, True), (502, 3, True), (503, 3, True), (429, 3, True), (408, 3, True),
    (404, 1, False), (410, 1, False), (401, 1, False), (403, 1, False), (451, 1, False),
])  # fmt: skip
def test_only_what_may_pass_is_asked_again(status, requests, later, server):
    server.pages["/x"] = failing(status)
    clock = FakeClock()
    answer = get(server.url("/x"), PATIENT, clock=clock)
    assert (answer.reason, answer.requests, answer.retryable) == (f"http_{status}", requests, later)
    assert server.asked("/x") == requests
    assert len(clock.waits) == requests - 1


def test_waits_double_with_a_jitter_that_the_url_decides(server):
    config = PATIENT.model_copy(update={"attempts": 5, "max_wait": 100})
    waits = []
    for path in ("/x", "/x", "/y"):
        server.pages[path] = failing(500)
        clock = FakeClock()
        assert get(server.url(path, "a.example"), config, names=Names(), clock=clock).requests == 5
        waits.append(clock.waits)
    # The port changes from run to run, the two equal URLs do not differ.
    assert waits[0] == waits[1] != waits[2]
    for number, wait in enumerate(waits[0]):
        assert 0.5 * 2**number <= wait <= 1.5 * 2**number


@pytest.mark.parametrize(("value", "seconds"), [
    ("0", 0), ("120", 120), (" 5 ", 5), ("", 0), ("-3", 0), ("soon", 0), ("1.5", 0), ("9" * 400, 999999999),
    ("Fri, 31 Dec 1999 23:59:59 GMT", 0), ("Fri, 99 Dec 1999", 0), ("²", 0),
])  # fmt: skip
def test_a_retry_after_that_makes_no_sense_is_none(value, seconds):
    assert retry_after(value, FakeClock()) == seconds


def test_256_urls_of_one_host_are_at_most_four_at_a_time(server):
    server.pages |= {f"/{n}": Page(delay=0.004) for n in range(256)}
    answers = get_all([server.url(f"/{n}") for n in range(256)], MANNERED)
    assert all(answer.body == PICTURE for answer in answers)
    assert server.most <= 4
    assert server.connections <= 8


def test_starts_at_one_host_keep_the_delay(server):
    delay = 0.05
    server.pages |= {f"/{n}": Page() for n in range(40)}
    get_all([server.url(f"/{n}") for n in range(40)], LOOPBACK.model_copy(update={"delay": delay}))
    starts = [request.at for request in server.requests]
    gaps = [later - earlier for earlier, later in itertools.pairwise(starts)]
    assert statistics.median(gaps) == pytest.approx(delay, rel=0.1)
    assert starts[-1] - starts[0] >= 39 * delay * 0.9


def test_a_crawl_delay_raises_the_delay_up_to_a_limit(server):
    server.pages["/robots.txt"] = Page(b"User-agent: *\nCrawl-delay: 10")
    for limit, expected in ((30, 10), (3, 3)):
        clock = FakeClock()
        get_all([server.url()] * 5, MANNERED.model_copy(update={"max_delay": limit, "opt_outs": False}), clock=clock)
        # robots.txt itself starts before its delay is known; the first of the five follows it at once
        assert sum(clock.waits) == 4 * expected


def test_hosts_do_not_wait_for_each_other(server):
    async def slow(request, writer):
        await asyncio.sleep(0.3)
        return await Page()(request, writer)

    server.pages |= {f"h{n}.example/a.png": slow for n in range(20)}
    answers = get_all([server.url(host=f"h{n}.example") for n in range(20)], LOOPBACK, names=Names())
    assert server.most == 20
    assert all(answer.body == PICTURE for answer in answers)


def test_a_dead_host_is_soon_left_alone_and_tried_after_a_rest(server):
    config = LOOPBACK.model_copy(update={"failures": 5, "rest": 60})
    names = Names({"dead.example": []})
    clock = FakeClock()
    urls = [server.url(f"/{n}", "dead.example") for n in range(20)]
    answers = get_all(urls, config, names=names, clock=clock, at_once=False)
    assert {answer.reason for answer in answers[:2]} == {"unknown_host"}
    assert {answer.reason for answer in answers[2:]} == {"host_down"}
    assert sum(answer.requests for answer in answers) == len(names.asked) == 5
    assert all(answer.retryable for answer in answers)


def test_a_breaker_lets_one_trial_through_after_its_rest():
    clock = FakeClock()
    breaker = Breaker(2, 60, clock)
    breaker.record(failed=True)
    assert not breaker.is_open()
    breaker.record(failed=True)
    assert breaker.is_open()
    clock.time += 61
    assert [breaker.is_open(), breaker.is_open()] == [False, True]
    breaker.record(failed=False)
    assert not breaker.is_open()


def test_rows_of_names_that_do_not_resolve_stay_retryable_and_the_others_arrive(server):
    """An NXDOMAIN storm: 60 % of the rows; the second run has the name service back."""
    hosts = [f"h{number}.example" for number in range(200)]
    dead = {host: [] for number, host in enumerate(hosts) if number % 5 < 3}
    server.pages |= {f"{host}/a.png": Page() for host in hosts}
    urls = [server.url(host=host) for host in hosts]
    first = get_all(urls, MANNERED, names=Names(dead), at_once=False)
    assert sum(answer.body is not None for answer in first) == 80
    failed = [answer for answer in first if answer.reason]
    assert {answer.reason for answer in failed} == {"unknown_host"}
    assert all(answer.retryable and answer.body is None for answer in failed)
    again = get_all([answer.url for answer in failed], MANNERED, names=Names())
    assert all(answer.body == PICTURE for answer in again)


def test_without_a_name_service_few_names_are_looked_up(server):
    config = MANNERED.model_copy(update={"name_failures": 20, "attempts": 2})
    hosts = [f"h{number}.example" for number in range(500)]
    names = Names({host: [] for host in hosts})
    answers = get_all([server.url(host=host) for host in hosts], config, names=names, clock=FakeClock(), at_once=False)
    assert {answer.reason for answer in answers[:20]} == {"unknown_host"}
    assert {answer.reason for answer in answers[20:]} == {"host_down"}
    assert len(names.asked) == 39
    assert all(answer.retryable for answer in answers)


def test_a_closed_port_fails_as_no_connection(server):
    assert get("http://127.0.0.1:9/a.png").reason == "no_connection"
