"""Rows 12 to 14: robots.txt, X-Robots-Tag, Content-Usage, TDM reservations and noml."""

import json
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from net_helpers import MANNERED, PICTURE, FakeClock, Names, Page, cut_off, get, get_all, redirect

from pipeline.acquire.net import optout
from pipeline.acquire.net.robots import is_reserved, read_robots, read_tdm_rules

ROBOTS_ONLY = MANNERED.model_copy(update={"opt_outs": False})


def robots(text, status=200):
    return Page(text.encode(), status)


FILLER = "# filler\n" * 58_000  # 522 kB
CASES = {
    "disallowed": (robots("User-agent: *\nDisallow: /pictures/"), "opt_out"),
    "longest match": (robots("User-agent: *\nDisallow: /\nAllow: /pictures/1"), ""),
    "our group": (robots("User-agent: *\nAllow: /\n\nUser-agent: other\nUser-agent: ESSEN\nDisallow: /"), "opt_out"),
    "not our group": (robots("User-agent: essen\nAllow: /\n\nUser-agent: *\nDisallow: /"), ""),
    "img2dataset's group": (robots("User-agent: essen\nAllow: /\n\nUser-agent: img2dataset\nDisallow: /"), "opt_out"),
    "wildcard and end": (robots("User-agent: *\nDisallow: /*.png$"), "opt_out"),
    "404": (robots("User-agent: *\nDisallow: /", 404), ""),
    "403": (robots("User-agent: *\nDisallow: /", 403), ""),
    "500": (robots("User-agent: *\nAllow: /", 500), "robots_unreachable"),
    "503 with a wish": (Page(b"", 503, [("Retry-After", "1")]), "robots_unreachable"),
    "1 MB, rule at its start": (robots("User-agent: *\nDisallow: /pictures\n" + FILLER * 2), "opt_out"),
    "1 MB, rule at its end": (robots(FILLER * 2 + "User-agent: *\nDisallow: /pictures\n"), ""),
    "redirect": (redirect("http://elsewhere.example:{port}/rules"), "opt_out"),
    "six redirects": (redirect("/r1"), ""),
    "redirect into nowhere": (redirect("file:///etc/passwd"), ""),
    "byte order mark": (robots("\ufeffUser-agent: *\nDisallow: /pictures"), "opt_out"),
}


@pytest.mark.parametrize("case", CASES)
def test_robots_txt_is_obeyed_and_fetched_once(case, server):
    page, reason = CASES[case]
    headers = [(name, value.format(port=server.port)) for name, value in page.headers]
    server.pages |= {
        "site.example/robots.txt": Page(page.body, page.status, headers),
        "elsewhere.example/rules": robots("User-agent: *\nDisallow: /pictures"),
        **{f"/r{n}": redirect(f"/r{n + 1}") for n in range(1, 7)},
        **{f"/pictures/1{n}.png": Page() for n in range(8)},
    }
    answers = get_all([server.url(f"/pictures/1{n}.png", "site.example") for n in range(8)], ROBOTS_ONLY, names=Names())
    assert {answer.reason for answer in answers} == {reason}
    assert {answer.opt_out for answer in answers} == {"robots.txt" if reason == "opt_out" else ""}
    assert {answer.retryable for answer in answers} == {reason == "robots_unreachable"}
    assert server.asked("/robots.txt") == 1
    assert sum(request.target.startswith("/pictures") for request in server.requests) == (0 if reason else 8)


def test_without_an_answer_robots_txt_forbids_all_for_a_while(server):
    server.pages["/robots.txt"] = cut_off("")
    clock = FakeClock()
    answers = get_all([server.url(), server.url()], ROBOTS_ONLY, clock=clock, at_once=False)
    assert {(answer.reason, answer.retryable, answer.requests) for answer in answers} == {
        ("robots_unreachable", True, 0)
    }
    assert server.asked("/robots.txt") == 3
    assert server.asked("/a.png") == 0


def test_robots_txt_is_asked_for_again_after_a_rest(server):
    import asyncio

    from pipeline.acquire.net.client import Client

    clock = FakeClock()

    async def run():
        async with Client(ROBOTS_ONLY, clock=clock) as client:
            server.pages["/robots.txt"] = robots("", 500)
            first = await client.get(server.url())
            server.pages["/robots.txt"] = robots("User-agent: *\nAllow: /")
            second = await client.get(server.url())
            clock.time += ROBOTS_ONLY.rest
            return first.reason, second.reason, (await client.get(server.url())).body

    assert asyncio.run(run()) == ("robots_unreachable", "robots_unreachable", PICTURE)


def test_each_hop_asks_the_robots_txt_of_its_own_host(server):
    server.pages |= {
        "a.example/1": redirect(server.url("/a.png", "b.example")),
        "b.example/robots.txt": robots("User-agent: *\nDisallow: /"),
    }
    answer = get(server.url("/1", "a.example"), ROBOTS_ONLY, names=Names())
    assert (answer.reason, answer.opt_out, answer.requests) == ("opt_out", "robots.txt", 1)
    assert "b.example" in answer.final_url
    assert server.asked("/a.png") == 0


def test_robots_txt_can_be_left_out(server):
    server.pages["/robots.txt"] = robots("User-agent: *\nDisallow: /")
    config = MANNERED.model_copy(update={"robots": False, "opt_outs": False})
    assert get(server.url(), config).body == PICTURE
    assert server.asked("/robots.txt") == 0


NOW = FakeClock().wall()
YESTERDAY, TOMORROW = formatdate(NOW - 86_400, usegmt=True), formatdate(NOW + 86_400, usegmt=True)
TAGS = [
    (["noai"], "noai"),
    (["NOAI"], "noai"),
    (["NoImageAI"], "noimageai"),
    (["noml"], "noml"),
    (["none"], "none"),
    (["noindex"], "noindex"),
    (["noimageindex"], "noimageindex"),
    (["index, noimageai"], "noimageai"),
    (["max-snippet:-1, noai"], "noai"),
    (["all", "noai"], "noai"),
    (["essen: noai"], "noai"),
    (["Essen: noindex, nofollow"], "noindex"),
    (["img2dataset: noai"], "noai"),
    (["*: noai"], "noai"),
    (["googlebot: all, essen: noai"], "noai"),
    (["noai, unavailable_after: 25 Jun 2010 15:00:00 PST"], "noai"),
    ([f"unavailable_after: {YESTERDAY}"], "unavailable_after"),
    (["unavailable_after: 1990-06-25"], "unavailable_after"),
    (["unavailable_after: Friday, 25-Jun-90 15:00:00 GMT, all"], "unavailable_after"),
    ([f"unavailable_after: {TOMORROW}"], ""),
    (["googlebot: noai"], ""),
    (["otherbot: noindex, nofollow"], ""),
    (["all"], ""),
    (["nofollow, noarchive, nosnippet, max-image-preview:none"], ""),
]


def test_24_sets_of_x_robots_tags_are_read_right(server):
    assert len(TAGS) == 24
    for number, (values, _) in enumerate(TAGS):
        server.pages[f"/{number}"] = Page(headers=[("X-Robots-Tag", value) for value in values])
    answers = get_all([server.url(f"/{n}") for n in range(24)], MANNERED, clock=FakeClock())
    for answer, (values, directive) in zip(answers, TAGS, strict=True):
        expected = ("opt_out", f"X-Robots-Tag: {directive}", None) if directive else ("", "", PICTURE)
        assert (answer.reason, answer.opt_out, answer.body) == expected, values
        assert not answer.retryable and answer.requests == 1


def test_a_tag_on_a_redirect_counts(server):
    server.pages["/1"] = redirect("/a.png", ("x-robots-tag", "noai"))
    answer = get(server.url("/1"), MANNERED)
    assert (answer.reason, answer.opt_out) == ("opt_out", "X-Robots-Tag: noai")
    assert server.asked("/a.png") == 0


def test_an_error_page_with_a_tag_is_an_error(server):
    server.pages["/gone"] = Page(b"", 404, [("X-Robots-Tag", "noindex")])
    answer = get(server.url("/gone"), MANNERED)
    assert (answer.reason, answer.opt_out) == ("http_404", "")


HTML = [("Content-Type", "text/html; charset=utf-8")]
RESERVED = json.dumps([{"location": "/free/*.png", "tdm-reservation": 0}, {"location": "/", "tdm-reservation": 1}])
SIGNALS = {
    "header": ({"/a": Page(headers=[("Content-Usage", "search=y, Train-AI=n;x=1")])}, "Content-Usage: train-ai=n"),
    "header of earlier drafts": ({"/a": Page(headers=[("Content-Usage", "bots=n")])}, "Content-Usage: bots=n"),
    "rule": (
        {"/robots.txt": robots("User-agent: *\nContent-Usage: train-ai=n\nAllow: /")},
        "robots.txt: Content-Usage",
    ),
    "rule for a path": (
        {"/robots.txt": robots("User-agent: *\nContent-Usage: / train-ai=y\nContent-Usage: /a train-ai=n")},
        "robots.txt: Content-Usage",
    ),
    "signal": (
        {"/robots.txt": robots("User-agent: *\nContent-Signal: search=yes,ai-train=no")},
        "robots.txt: Content-Usage",
    ),
    "noml": ({"/a": Page(headers=[("X-Robots-Tag", "noml")])}, "X-Robots-Tag: noml"),
    "noml in a page": ({"/a": Page(b'<html><META content="NoML" name=robots>', headers=HTML)}, "meta robots: noml"),
    "TDM header": ({"/a": Page(headers=[("tdm-reservation", "1")])}, "TDM-Reservation: 1"),
    "TDM file": ({"/.well-known/tdmrep.json": robots(RESERVED)}, "tdmrep.json"),
    "TDM in a page": (
        {"/a": Page(b'<meta name="tdm-reservation" content="1">', headers=HTML)},
        "meta tdm-reservation: 1",
    ),
    "no opt-out": ({"/a": Page(headers=[("Content-Usage", "train-ai=y, search=n"), ("TDM-Reservation", "0")])}, ""),
    "a header against the file": (
        {"/.well-known/tdmrep.json": robots(RESERVED), "/a": Page(headers=[("TDM-Reservation", "0")])},
        "",
    ),
}


@pytest.mark.parametrize("case", SIGNALS)
def test_signals_against_training_exclude_and_are_recorded(case, server):
    pages, signal = SIGNALS[case]
    server.pages |= {"/a": Page()} | pages
    answer = get(server.url("/a"), MANNERED)
    assert (answer.reason, answer.opt_out) == ("opt_out" if signal else "", signal)
    assert (answer.body is None) == bool(signal)
    # Ignored by configuration it is recorded all the same, if it comes without a request of its own.
    ignored = get(server.url("/a"), MANNERED.model_copy(update={"opt_outs": False}))
    assert ignored.body is not None and not ignored.reason
    assert ignored.opt_out == ("" if signal == "tdmrep.json" else signal)


@pytest.mark.parametrize("kind", ["X-Robots-Tag", "Content-Usage", "TDM-Reservation"])
def test_one_kind_of_signal_can_be_ignored(kind, server):
    server.pages["/a"] = Page(
        headers=[("X-Robots-Tag", "noai"), ("Content-Usage", "train-ai=n"), ("TDM-Reservation", "1")]
    )
    answer = get(server.url("/a"), MANNERED.model_copy(update={"ignore": (kind,)}))
    assert answer.reason == "opt_out" and kind not in answer.opt_out
    every = MANNERED.model_copy(update={"ignore": ("X-Robots-Tag", "Content-Usage", "TDM-Reservation")})
    answer = get(server.url("/a"), every)
    assert (answer.body, answer.opt_out) == (PICTURE, "X-Robots-Tag: noai")


def test_the_body_of_who_opts_out_is_not_read(server):
    server.pages["/a"] = cut_off("HTTP/1.1 200 OK\nX-Robots-Tag: noai\nContent-Length: 1000\n\n", b"part")
    assert get(server.url("/a"), MANNERED).opt_out == "X-Robots-Tag: noai"


def test_tdmrep_json_is_fetched_once_and_only_where_a_url_is_allowed(server):
    server.pages |= {"/.well-known/tdmrep.json": robots(RESERVED), "/free/1.png": Page()}
    answers = get_all([server.url(path) for path in ("/free/1.png", "/free/2.png", "/a.png")] * 5, MANNERED)
    assert {answer.reason for answer in answers[0::3]} == {""}
    assert {answer.reason for answer in answers[2::3]} == {"opt_out"}
    assert server.asked("/.well-known/tdmrep.json") == 1
    server.pages["/robots.txt"] = robots("User-agent: *\nDisallow: /")
    get(server.url(), MANNERED)
    assert server.asked("/.well-known/tdmrep.json") == 1


@pytest.mark.parametrize(
    "text", ["", "{}", "null", "[1, null, {}]", '[{"location": 3}]', "[" * 100_000, "\xff", '[{"location": "a\\nb"}]']
)
def test_a_malformed_tdmrep_json_reserves_nothing(text):
    assert not is_reserved(read_tdm_rules(text.encode("latin-1")), "http://a.example/a")


def test_the_first_rule_of_tdmrep_json_that_matches_counts():
    rules = read_tdm_rules(
        b'[{"location": "/a/*.jpg", "tdm-reservation": 0}, {"location": "/a/", "tdm-reservation": 1},'
        b' {"location": "/b$", "tdm-reservation": "1"}]'
    )
    found = {path: is_reserved(rules, f"http://x.example{path}") for path in ("/a/1.jpg", "/a/1.png", "/b", "/bc", "/")}
    assert found == {"/a/1.jpg": False, "/a/1.png": True, "/b": True, "/bc": False, "/": False}


def test_rules_on_use_have_the_precedence_of_rules_on_paths():
    rules = read_robots(
        b"User-Agent: *\nAllow: /\nDisallow: /never/\nContent-Usage: / train-ai=n\nContent-Usage: /ai-ok/ train-ai=y\n"
        b"Content-Usage: /both search=y, train-ai=y\ncontent-usage : /both train-ai=n # the stricter one\n\n"
        b"User-Agent: ExampleBot\nAllow: /\nContent-Usage: / train-ai=y\n"
    )
    paths = ("/test", "/ai-ok/test", "/both")
    assert {path: rules.reserves(f"http://a.example{path}") for path in paths} == dict(
        zip(paths, (True, False, True), strict=True)
    )
    assert not rules.allows("http://a.example/never/test")


@given(st.binary(max_size=300))
def test_any_file_and_header_is_read_without_an_error(content):
    text = content.decode("latin-1")
    rules = read_robots(b"User-agent: *\nContent-Usage: " + content)
    assert rules.allows("http://a.example/") in (True, False)
    assert rules.reserves("http://a.example/") in (True, False)
    read_tdm_rules(content)
    optout.page(b"<meta name=robots content=" + content, 0)
    list(optout.x_robots_tag([text, "unavailable_after:" + text], 0))
    optout.content_usage([text])


@given(
    st.sampled_from(sorted(optout.REFUSALS)),
    st.lists(st.sampled_from(["all", "nofollow", "max-snippet: 5", "x"])),
    st.data(),
)
def test_a_refusal_is_found_wherever_it_stands(word, others, data):
    values = data.draw(st.permutations([word, *others]))
    assert list(optout.x_robots_tag([", ".join(values)], 0)) == [word]
    assert list(optout.x_robots_tag(values, 0)) == [word]
    assert list(optout.x_robots_tag(["otherbot: " + ", ".join(values)], 0)) == []
