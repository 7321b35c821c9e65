"""Addresses: which are used, and that no password of one is ever shown."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.addresses import check_url, is_remote, is_url, shown
from pipeline.errors import ConfigError
from pipeline.remote import Store

TEXT = st.text(st.characters(codec="ascii", categories=("L", "N"), include_characters="/+=-_"), min_size=3, max_size=30)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("file:///etc/passwd", "without file://"),
        ("data://text/plain,x", "is not remote"),
        ("simplecache::s3://bucket/a", "is no address"),
        ("zip://a.csv::s3://bucket/a.zip", "is not remote"),
        ("nothing://bucket/a", "no protocol that is known"),
        ("s3://bucket/a b", "is no address"),
        ("s3://key:se/cr/et@bucket/a", "leave the password out"),
        ("ftp://me:secret@host:21/a", "leave the password out"),
    ],
)
def test_an_address_that_is_not_used_is_refused_in_one_line(url: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        check_url(url)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value) and "cr/et" not in str(caught.value)


def test_paths_are_no_addresses_and_commands_no_remote_ones() -> None:
    assert not any(is_url(place) for place in ("a/b", "/a", "c:/a", "a:b", "pipe:touch a", "-"))
    assert all(is_remote(url) for url in ("s3://b/a", "gs://b/a", "http://h/a", "HTTPS://h/a", "memory://a"))
    assert not any(is_remote(url) for url in ("pipe://touch a", "file:///a", "s3://a::pipe://b", "reference://a", "a"))


@pytest.mark.parametrize(
    ("protocol", "module", "hint"), [("s3", "s3fs", r"pip install 'essen\[s3\]'"), ("gs", "gcsfs", "pip install gcsfs")]
)
def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, protocol: str, module: str, hint: str) -> None:
    used = sys.modules["fsspec.registry"]._registry  # type: ignore[attr-defined]
    monkeypatch.delitem(used, protocol, raising=False)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match=hint):
        Store(f"{protocol}://bucket/a")


@given(user=TEXT.filter(lambda text: "/" not in text), password=TEXT.filter(lambda text: not text[0].isdigit()))
def test_a_password_is_never_shown(user: str, password: str) -> None:
    url = f"sftp://{user}:{password}@host.example/folder/list.csv?sig={password}"
    assert shown(url) == "sftp://host.example/folder/list.csv"
    assert shown("abfs://container@account.example/a") == "abfs://container@account.example/a"
    assert shown("sftp://host:9000/a:b@c") == "sftp://host:9000/a:b@c"
