"""How hosts are asked: the part of a recipe or card that says so. Imports nothing heavy."""

from importlib.metadata import PackageNotFoundError, version
from typing import Literal

from pydantic import Field

from pipeline.config import Config

Signal = Literal["X-Robots-Tag", "Content-Usage", "TDM-Reservation", "meta"]
CONTACT = "https://essen.readthedocs.io/crawler"


class NetConfig(Config):
    """Limits, manners and exceptions of `pipeline.acquire.net.client.Client`."""

    deadline: float = Field(
        default=30, gt=0, description="seconds for one request with all its redirects; waits for politeness not counted"
    )
    connect_timeout: float = Field(default=10, gt=0, description="seconds for opening one connection")
    max_bytes: int = Field(default=20_000_000, gt=0, description="longer bodies are refused, decoded or not")
    max_redirects: int = Field(default=5, ge=0, description="a longer chain of redirects fails the row")
    per_host: int = Field(default=4, ge=1, description="simultaneous requests to one host")
    delay: float = Field(
        default=0, ge=0, description="seconds between the starts of two requests to one host; Crawl-delay raises it"
    )
    max_delay: float = Field(default=30, ge=0, description="a longer Crawl-delay counts as this many seconds")
    attempts: int = Field(default=3, ge=1, description="requests for a URL whose failure may pass")
    backoff: float = Field(
        default=1, ge=0, description="seconds before the second attempt; doubled for each further one"
    )
    max_wait: float = Field(
        default=30,
        ge=0,
        description="longest Retry-After that is waited for; a longer one leaves the row for a later run",
    )
    failures: int = Field(default=5, ge=1, description="a host that fails so often in a row is left alone for a while")
    name_failures: int = Field(
        default=50, ge=1, description="names in a row that do not resolve before no name is looked up for a while"
    )
    rest: float = Field(default=60, gt=0, description="seconds for which a failing host or name service is left alone")
    robots: bool = Field(default=True, description="fetch and obey robots.txt, with its rules on the use of content")
    opt_outs: bool = Field(default=True, description="obey opt-outs from machine learning; they are recorded anyhow")
    ignore: tuple[Signal, ...] = Field(default=(), description="opt-outs that are recorded and not obeyed")
    insecure_hosts: tuple[str, ...] = Field(default=(), description="hosts whose certificate is not checked")
    allow_private_hosts: bool = Field(default=False, description="connect to private and loopback addresses")
    contact: str = Field(default=CONTACT, min_length=1, description="URL in the User-Agent: who asks, and why")

    def obeys(self, signal: Signal) -> bool:
        """Tell whether an opt-out of this kind keeps a picture out."""
        return self.opt_outs and signal not in self.ignore

    @property
    def user_agent(self) -> str:
        """The User-Agent header: the project, its version and a URL."""
        return f"essen/{_version()} (+{self.contact})"


def _version() -> str:
    try:
        return version("essen")
    except PackageNotFoundError:
        return "0"
