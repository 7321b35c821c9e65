"""Servers of pictures, and a loopback address that stands for a public one."""

import ipaddress
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from net_helpers import Page, Server

from pipeline.acquire.net import transfer

PUBLIC = "127.0.0.2"


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """The one certificate authority that the clients of these tests trust."""
    return trustme.CA()


@pytest.fixture(autouse=True)
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))


@pytest.fixture
def server() -> Iterator[Server]:
    with Server({"/a.png": Page()}) as found:
        yield found


@pytest.fixture
def canary() -> Iterator[Server]:
    """A server that nobody may reach."""
    with Server() as found:
        yield found


@pytest.fixture
def public(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server on 127.0.0.2, which counts as public here; all other rules are the real ones."""
    real = transfer.is_public
    monkeypatch.setattr(transfer, "is_public", lambda address: address == PUBLIC or real(address))
    assert not real(PUBLIC) and ipaddress.ip_address(PUBLIC).is_loopback
    with Server({"/a.png": Page()}, PUBLIC) as found:
        yield found
