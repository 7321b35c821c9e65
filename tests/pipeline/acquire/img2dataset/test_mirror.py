"""The mirror: files under the paths of their URLs, and nothing outside its folder."""

import asyncio
import os

import pytest

from pipeline.acquire.img2dataset.mirror import Mirror
from pipeline.errors import ConfigError

HOST = "https://a.example"


@pytest.fixture
def folder(tmp_path):
    inside = tmp_path / "mirror"
    (inside / "images").mkdir(parents=True)
    (inside / "images" / "a b.jpg").write_bytes(b"picture")
    (tmp_path / "secret.txt").write_text("secret")
    (inside / "link.txt").symlink_to(tmp_path / "secret.txt")
    (inside / "circle.txt").symlink_to(inside / "circle.txt")
    return inside


def get(folder, url, names=None, max_bytes=100):
    async def ask():
        async with Mirror(folder, names or {}, max_bytes=max_bytes) as mirror:
            return await mirror.get(url)

    return asyncio.run(ask())


def test_a_url_has_the_file_that_the_list_names_or_else_that_of_its_path(folder):
    names = {f"{HOST}/x/1.jpg?size=2": "images/a b.jpg"}
    assert get(folder, f"{HOST}/x/1.jpg?size=2", names).body == b"picture"
    assert get(folder, f"{HOST}/images/a%20b.jpg", names).body == b"picture"
    assert get(folder, f"{HOST}/images/a b.jpg?v=3").body == b"picture"
    answer = get(folder, f"{HOST}/x/1.jpg", names)
    assert (answer.body, answer.reason, answer.retryable) == (None, "missing_file", False)


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt", "/%2e%2e/secret.txt", "/images/../../secret.txt", "/link.txt", "/circle.txt", "/", "/images",
        "/%00", "//etc/passwd", "/" + "a" * 300,
    ],
)  # fmt: skip
def test_nothing_outside_the_folder_is_read(folder, path):
    assert get(folder, HOST + path).reason == "missing_file"


@pytest.mark.parametrize("file", ["../secret.txt", "/etc/passwd", "link.txt", "images"])
def test_a_name_in_the_list_does_not_lead_out_of_the_folder_either(folder, file):
    assert get(folder, f"{HOST}/a.jpg", {f"{HOST}/a.jpg": file}).reason == "missing_file"


def test_a_file_that_is_too_long_is_not_read(folder):
    answer = get(folder, f"{HOST}/images/a%20b.jpg", max_bytes=6)
    assert (answer.body, answer.reason, answer.message) == (None, "too_large", "7 bytes, 6 allowed")


def test_the_state_of_a_url_follows_its_file(folder):
    mirror, url = Mirror(folder, {}, max_bytes=100), f"{HOST}/images/a%20b.jpg"
    before, absent = mirror.state(url), mirror.state(f"{HOST}/none.jpg")
    assert before == mirror.state(url) != absent
    os.utime(folder / "images" / "a b.jpg", ns=(0, 0))
    assert mirror.state(url) != before


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"there is no mirror folder .*nowhere"):
        Mirror(tmp_path / "nowhere", {}, max_bytes=100)
