"""Which URLs are fetched, and in which form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.acquire.net.urls import fault, fetchable, is_private, redirected


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "data:image/png;base64,AAAA",
        "ftp://a.example/b",
        "gopher://a.example",
        "javascript:1",
        "pipe:cat",
    ],
)
def test_only_http_is_fetched(url):
    assert fault(url, allow_private=True) == "scheme_not_allowed"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/etc/passwd",
        "no url",
        "http://",
        "http://[::1",
        "http://a:99999/",
        "//a.example/b",
        "http://a..b/",
        "http://a%00.b/",
        f"http://{'a' * 64}.b/",
        "http://a/\ud800",
    ],
)
def test_what_is_no_url_is_said_so(url):
    assert fault(url, allow_private=True) == "bad_url"


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0x7f.1", "017700000001", "0177.0.0.1", "0", "0.0.0.0",  # noqa: S104
        "localhost", "LOCALHOST", "localhost.", "a.localhost", "printer.local", "metadata.google.internal",
        "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "224.0.0.1", "255.255.255.255",
        "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:10.0.0.1]", "[fe80::1]", "[fc00::1]", "[ff02::1]", "127.0.0.1.",
    ],
)  # fmt: skip
def test_private_addresses_are_refused_in_every_spelling(host):
    assert fault(f"http://{host}/a.jpg", allow_private=False) == "private_address"
    assert fault(f"http://{host}:8080/a.jpg", allow_private=False) == "private_address"
    assert fault(f"http://user@{host}/a.jpg", allow_private=False) == "private_address"
    assert fault(f"http://{host}/a.jpg", allow_private=True) == ""


@pytest.mark.parametrize(
    "host", ["example.org", "8.8.8.8", "[2001:4860:4860::8888]", "bücher.example", "localhost.example.org"]
)
def test_public_hosts_are_not(host):
    assert fault(f"https://{host}/a.jpg", allow_private=False) == ""
    assert not is_private(host.strip("[]"))


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("http://a.example/b c/ü.jpg?q=é", "http://a.example/b%20c/%C3%BC.jpg?q=%C3%A9"),
        ("http://a.example/b%20c.jpg", "http://a.example/b%20c.jpg"),
        ("http://a.example/100%.jpg?a=%zz", "http://a.example/100%25.jpg?a=%25zz"),
        ("HTTP://User:Word@A.Example", "http://a.example/"),
        ("https://bücher.example:8443/a", "https://xn--bcher-kva.example:8443/a"),
        ("http://[2001:db8::1]:80/a#part", "http://[2001:db8::1]:80/a"),
    ],
)
def test_a_url_goes_out_in_ascii(url, sent):
    assert fetchable(url) == sent
    assert fetchable(fetchable(url)) == sent


@pytest.mark.parametrize(
    ("location", "target", "reason"),
    [
        ("/c d", "https://a.example/c%20d", ""),
        ("c", "https://a.example/b/c", ""),
        ("//ü.example?q", "https://xn--tda.example/?q", ""),
        ("http://b.example/", "http://b.example/", "insecure_redirect"),
        ("#part", "https://a.example/b/", "redirect_loop"),
        ("", "", "bad_redirect"),
        ("http://[", "", "bad_redirect"),
        ("mailto:a@b", "", "scheme_not_allowed"),
        ("//10.0.0.1", "", "private_address"),
    ],
)
def test_a_redirect_leads_to_a_checked_url_or_nowhere(location, target, reason):
    here = "https://a.example/b/"
    assert redirected(here, location, {here}, allow_private=False) == (target, reason)


@given(st.text(max_size=40))
def test_any_text_is_judged_without_an_error(text):
    assert fault(text, allow_private=False) in {"", "bad_url", "scheme_not_allowed", "private_address"}
    assert fault(f"http://{text}/a", allow_private=False) in {"", "bad_url", "private_address"}


@given(st.text(max_size=30))
def test_what_is_fetched_is_ascii_without_spaces(path):
    url = f"http://a.example/{path}"
    if not fault(url, allow_private=False):
        sent = fetchable(url)
        assert sent.isascii()
        assert not any(c.isspace() for c in sent)
