"""The mirror: files under the paths of their URLs, and nothing outside its folder."""

import http.client
import threading
import urllib.request
from urllib.error import HTTPError
from urllib.parse import urlsplit

import pytest

from pipeline.acquire.mirror import mirror, route
from pipeline.errors import ConfigError


@pytest.fixture
def folder(tmp_path):
    inside = tmp_path / "mirror"
    (inside / "images").mkdir(parents=True)
    (inside / "images" / "a b.jpg").write_bytes(b"picture")
    (tmp_path / "secret.txt").write_text("secret")
    (inside / "link.txt").symlink_to(tmp_path / "secret.txt")
    return inside


def get(address, path):
    """Ask for a path as it is; a client library would tidy it up."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=10)
    connection.putrequest("GET", path, skip_host=False)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def test_files_are_served_under_their_urls_paths(folder):
    with mirror(folder, {"/x/1.jpg?size=2": "images/a b.jpg"}) as address:
        assert get(address, "/x/1.jpg?size=2") == (200, b"picture")
        assert get(address, "/x/1.jpg")[0] == 404
        assert get(address, "/images/a%20b.jpg")[0] == 404


def test_without_routes_the_path_is_the_files(folder):
    with mirror(folder, {}) as address:
        answer = urllib.request.urlopen(f"{address}/images/a%20b.jpg", timeout=10)
        assert (answer.read(), answer.headers["Content-Length"], answer.headers.get_content_type()) == (
            b"picture",
            "7",
            "image/jpeg",
        )
        head = urllib.request.urlopen(urllib.request.Request(f"{address}/images/a%20b.jpg", method="HEAD"), timeout=10)
        assert (head.read(), head.headers["Content-Length"]) == (b"", "7")
        with pytest.raises(HTTPError, match="404"):
            urllib.request.urlopen(f"{address}/images/none.jpg", timeout=10)


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/images/../../secret.txt",
        "/link.txt",
        "/",
        "/images",
        "/%00",
        "//etc/passwd",
    ],
)
def test_nothing_outside_the_folder_is_served(folder, path):
    with mirror(folder, {}) as address:
        assert get(address, path)[0] == 404


@pytest.mark.parametrize("file", ["../secret.txt", "/etc/passwd", "link.txt", "", "images"])
def test_a_route_does_not_lead_out_of_the_folder_either(folder, file):
    with mirror(folder, {"/a.jpg": file}) as address:
        assert get(address, "/a.jpg")[0] == 404


def test_it_is_on_the_loopback_interface_and_ends_with_its_context(folder):
    before = threading.active_count()
    with mirror(folder, {}) as address:
        assert urlsplit(address).hostname == "127.0.0.1"
    with pytest.raises(ConnectionRefusedError):
        get(address, "/images/a%20b.jpg")
    assert threading.active_count() <= before + 1


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"there is no mirror folder .*nowhere"), mirror(tmp_path / "nowhere", {}):
        pass


def test_the_route_of_a_url_is_its_path_and_query():
    assert route("https://a.example/b/c.jpg?d=e#f") == "/b/c.jpg?d=e"
    assert route("https://a.example") == "/"
