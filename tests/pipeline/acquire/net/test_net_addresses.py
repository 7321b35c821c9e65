"""Rows 1 to 4, 15, 16 and 19: which addresses are asked, over which redirects, under which name."""

import datetime
import ssl
import sys
from collections import Counter

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st
from net_helpers import LOOPBACK, MANNERED, PICTURE, Names, Page, Server, get, get_all, redirect

from pipeline.acquire.net import transfer
from pipeline.acquire.net.address import is_public
from pipeline.acquire.net.client import NetConfig

OPENED: list[str] = []
WATCHED: set[str] = set()


def watch(event: str, arguments: tuple[object, ...]) -> None:
    """Note each opening of a watched file, by whatever means (an audit hook, which stays for good)."""
    if event == "open" and str(arguments[0]) in WATCHED:
        OPENED.append(str(arguments[0]))


sys.addaudithook(watch)


def test_twelve_urls_of_other_schemes_open_nothing(tmp_path, canary):
    file = tmp_path / "canary.png"
    file.write_bytes(PICTURE)
    WATCHED.add(str(file))
    urls = [
        f"file://{file}", f"FILE://{file}", f"file://localhost{file}", f"file:{file}", "data:image/png;base64,iVBORw0K",
        f"ftp://127.0.0.1:{canary.port}/a", f"gopher://127.0.0.1:{canary.port}/a", f"pipe:cat {file}",
        "javascript:alert(1)", f"ws://127.0.0.1:{canary.port}/a", f"unix://{file}", "jar:http://a.example!/a",
    ]  # fmt: skip
    answers = get_all(urls, LOOPBACK)
    assert [answer.reason for answer in answers] == ["scheme_not_allowed"] * 12
    assert all(answer.body is None and answer.requests == 0 and not answer.retryable for answer in answers)
    assert not OPENED
    assert canary.connections == 0


SPELLINGS = [
    "127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1", "017700000001", "0177.0.0.1", "0", "0.0.0.0",  # noqa: S104
    "127.0.0.1.", "localhost", "LOCALHOST", "localhost.", "a.localhost", "１２７.０.０.１", "①②⑦.0.0.1",
    "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "192.0.0.8", "224.0.0.1",
    "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::127.0.0.1]", "[fe80::1]", "[fc00::1]", "[2002:7f00:1::]",
    "[64:ff9b::7f00:1]",
]  # fmt: skip
NAMED = [
    "127.0.0.1", "10.1.2.3", "169.254.169.254", "100.127.255.255", "0.0.0.0", "::1", "fd00::1", "::ffff:127.0.0.1",  # noqa: S104
]  # fmt: skip


def test_forty_spellings_of_private_addresses_connect_to_nothing(canary):
    names = Names({f"n{number}.example": [address] for number, address in enumerate(NAMED)})
    hosts = [*SPELLINGS, *names.table]
    assert len(hosts) == 40
    answers = get_all([f"http://{host}:{canary.port}/a.png" for host in hosts], NetConfig(), names=names)
    assert Counter(answer.reason for answer in answers) == {"private_address": 40}
    assert not any(answer.retryable or answer.body for answer in answers)
    assert canary.connections == 0
    assert not any("\n" in answer.message for answer in answers)


@pytest.mark.parametrize("kept", [300, 0], ids=["kept names", "names asked anew"])
def test_a_name_that_changes_its_mind_never_leads_inside(kept, public, canary, monkeypatch):
    """DNS rebinding: each of 100 names is public at first, then 127.0.0.1, where a canary listens on the same port."""
    monkeypatch.setattr(transfer, "NAMES_KEPT_SECONDS", kept)
    asked: Counter[str] = Counter()

    async def resolve(host: str) -> list[str]:
        asked[host] += 1
        return [public.address] if asked[host] == 1 else [canary.address]

    with Server({"/a.png": Page()}, canary.address, public.port) as inside:
        public.pages["/a.png"] = Page(headers=[("Connection", "close")])
        urls = [public.url(host=f"h{number}.example") for number in range(100)]
        answers = get_all(urls + urls, NetConfig(backoff=0, attempts=1), names=resolve)
        assert inside.connections == 0
    assert {answer.reason for answer in answers} <= {"", "private_address"}
    if kept:
        assert all(answer.body == PICTURE for answer in answers)


def test_of_a_names_addresses_only_the_public_ones_are_used(public, canary):
    names = Names({"both.example": [canary.address, public.address, "::1"]})
    with Server({"/a.png": Page(b"inside")}, canary.address, public.port) as inside:
        answers = [get(public.url(host="both.example"), NetConfig(), names=names) for _ in range(5)]
        assert inside.connections == 0
    assert all(answer.body == PICTURE for answer in answers)


@given(st.ip_addresses(v=4))
def test_an_ipv6_address_is_as_public_as_the_ipv4_address_inside(ip):
    number = int(ip)
    for inside in (
        f"::ffff:{ip}",
        f"64:ff9b::{number >> 16:x}:{number & 0xFFFF:x}",
        f"2002:{number >> 16:x}:{number & 0xFFFF:x}::1",
    ):
        assert is_public(inside) == is_public(str(ip))


def tls(authority: trustme.CA, name: str, **options: object) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name, **options).configure_cert(context)
    return context


def test_every_hop_of_a_redirect_is_checked(public, canary, authority):
    here = f"http://site.example:{public.port}"
    chain = {f"/hop{n}": redirect(f"/hop{n + 1}") for n in range(1, 9)}
    with Server({"/back": redirect(f"{here}/a.png")}, public.address, tls=tls(authority, "site.example")) as secure:
        locations = {
            "/1": ("http://127.0.0.1:1/a", "private_address"),
            "/2": (f"http://inside.example:{canary.port}/a", "private_address"),
            "/3": (f"//[::ffff:127.0.0.1]:{canary.port}/a", "private_address"),
            "/4": ("file:///etc/passwd", "scheme_not_allowed"),
            "/5": ("data:image/png;base64,iVBORw0K", "scheme_not_allowed"),
            "/6": ("/6", "redirect_loop"),
            "/7": ("/hop1", "too_many_redirects"),
            "/8": (f"https://site.example:{secure.port}/back", "insecure_redirect"),
            "/9": ("http://[::1", "bad_redirect"),
            "/10": ("", "bad_redirect"),
        }
        public.pages |= {path: redirect(location) for path, (location, _) in locations.items()} | chain
        public.pages |= {"/11": redirect("/12"), "/12": redirect("/11")}
        names = Names({"inside.example": ["127.0.0.1"]}, public.address)
        answers = get_all([here + path for path in locations], NetConfig(), names=names)
        assert [answer.reason for answer in answers] == [reason for _, reason in locations.values()]
        assert all(answer.body is None and not answer.retryable for answer in answers)
        loop = get(f"{here}/11", NetConfig(), names=names)
        assert (loop.reason, loop.requests) == ("redirect_loop", 2)
    assert canary.connections == 0
    assert answers[6].requests == 6


def test_five_redirects_are_followed_and_a_move_to_https_too(public, authority):
    public.pages |= {f"/{n}": redirect(f"/{n + 1}", status=301 + n % 3) for n in range(4)}
    with Server({"/a.png": Page()}, public.address, tls=tls(authority, "site.example")) as secure:
        public.pages["/4"] = redirect(f"https://site.example:{secure.port}/a.png", status=308)
        answer = get(public.url("/0", "site.example"), NetConfig(), names=Names(default=public.address))
    assert (answer.body, answer.requests) == (PICTURE, 6)
    assert answer.final_url == f"https://site.example:{secure.port}/a.png"


def test_the_user_agent_names_the_project_and_a_url(server):
    get(server.url(), NetConfig(allow_private_hosts=True, contact="https://example.org/who"))
    agents = {request.headers["User-Agent"] for request in server.requests}
    assert {request.target for request in server.requests} == {"/robots.txt", "/.well-known/tdmrep.json", "/a.png"}
    assert agents == {"essen/0.1.0 (+https://example.org/who)"}
    assert NetConfig().user_agent.startswith("essen/0.1.0 (+https://")
    assert not any(word in NetConfig().user_agent for word in ("Mozilla", "Firefox", "Chrome", "Safari", "like"))
    for request in server.requests:
        assert request.headers["Accept-Encoding"] == "identity"
        assert not {"Cookie", "Referer", "Authorization"} & request.headers.keys()


def test_cookies_and_credentials_are_not_sent(server):
    server.pages["/a.png"] = Page(headers=[("Set-Cookie", "a=b; Path=/")])
    url = server.url().replace("http://", "http://user:word@")
    assert all(answer.body == PICTURE for answer in get_all([url, url], at_once=False))
    assert not any({"Cookie", "Authorization"} & request.headers.keys() for request in server.requests)


PAST = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


@pytest.mark.parametrize("case", ["expired", "self-signed", "other host", "unknown authority"])
def test_a_certificate_that_is_not_good_fails_the_row(case, authority, tmp_path):
    context = {
        "expired": lambda: tls(authority, "site.example", not_after=PAST + datetime.timedelta(1), not_before=PAST),
        "self-signed": lambda: self_signed(tmp_path),
        "other host": lambda: tls(authority, "other.example"),
        "unknown authority": lambda: tls(trustme.CA(), "site.example"),
    }[case]()
    with Server({"/a.png": Page()}, tls=context) as server:
        answer = get(server.url(host="site.example"), MANNERED, names=Names())
        assert (answer.reason, answer.body) == ("tls", None)
        assert "certificate" in answer.message.lower() and "\n" not in answer.message
        assert not server.requests
        excepted = MANNERED.model_copy(update={"insecure_hosts": ("Site.example",)})
        assert get(server.url(host="site.example"), excepted, names=Names()).body == PICTURE
        assert get(server.url(host="other.site.example"), excepted, names=Names()).reason == "tls"


def test_a_good_certificate_is_trusted(authority):
    with Server({"/a.png": Page()}, tls=tls(authority, "site.example")) as server:
        assert get(server.url(host="site.example"), MANNERED, names=Names()).body == PICTURE


def self_signed(folder):
    """Return a context whose certificate is its own authority."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "site.example")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(1))
        .not_valid_after(now + datetime.timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("site.example")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / "own.pem").write_bytes(
        certificate.public_bytes(pem) + key.private_bytes(pem, form, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "own.pem")
    return context


@pytest.mark.parametrize(
    ("host", "path", "sent_host", "sent"),
    [
        ("bücher.example", "/a.png", "xn--bcher-kva.example", "/a.png"),
        ("BÜCHER.example", "/a.png", "xn--bcher-kva.example", "/a.png"),
        ("straße.example", "/a.png", "xn--strae-oqa.example", "/a.png"),
        ("例え.example", "/絵.png", "xn--r8jz45g.example", "/%E7%B5%B5.png"),
        ("☃.example", "/a.png", "xn--n3h.example", "/a.png"),
        ("a.example", "/ein Bär.png", "a.example", "/ein%20B%C3%A4r.png"),
        ("a.example", "/ein%20B%C3%A4r.png", "a.example", "/ein%20B%C3%A4r.png"),
        ("a.example", "/100% wool.png", "a.example", "/100%25%20wool.png"),
        ("a.example", "/a.png?q=é&r=1 2%2F", "a.example", "/a.png?q=%C3%A9&r=1%202%2F"),
        ("a_b.example", '/a/../b/"<>|{}^`.png#part', "a_b.example", "/a/../b/%22%3C%3E%7C%7B%7D%5E%60.png"),
    ],
)
def test_names_and_paths_of_every_script_are_fetched(host, path, sent_host, sent, server):
    server.pages[sent_host + sent] = Page()
    answer = get(server.url(path, host), names=Names())
    assert (answer.body, answer.requests) == (PICTURE, 1)
    assert answer.url == server.url(path, host)
    assert [(request.host, request.target) for request in server.requests] == [(sent_host, sent)]


def test_a_redirect_with_raw_bytes_is_followed(server):
    server.pages |= {"/1": redirect("/b\xe4r 1.png"), "/b%E4r%201.png": Page()}
    assert get(server.url("/1")).body == PICTURE
