"""Checkouts of git repositories: one commit, its texts without its pictures, and a clear word where there is none."""

import shutil
from pathlib import Path

import pytest
from git_helpers import git, publish

from pipeline.acquire.packages.checkouts import cached_checkout, list_files, obtain_checkout
from pipeline.acquire.sources import Repository
from pipeline.errors import ConfigError

PATTERNS = ("/*/*.md",)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """A repository of two commits, of which the first is wanted; it serves what GitHub serves."""
    if shutil.which("git") is None:
        pytest.skip("there is no git")
    monkeypatch.setenv("ESSEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("GIT_DIR", raising=False)
    folder = tmp_path / "upstream"
    (folder / "en").mkdir(parents=True)
    (folder / "medium/0001").mkdir(parents=True)
    (folder / "en/0001_été.md").write_text("first")
    (folder / "medium/0001/01.jpg").write_bytes(b"picture" * 1000)
    commit = publish(folder)
    (folder / "en/0001_été.md").write_text("second")
    publish(folder)
    return Repository(url=folder.as_uri(), commit=commit, published="https://example.org/")


def test_one_commit_is_fetched_without_the_pictures(repository: Repository) -> None:
    checkout = obtain_checkout("texts", repository, PATTERNS)
    assert checkout == cached_checkout("texts", repository)
    assert [path.name for path in checkout.iterdir() if path.name != ".git"] == ["en"]
    assert (checkout / "en/0001_été.md").read_text() == "first"
    missing = git(checkout, "rev-list", "--objects", "--missing=print", "HEAD")
    assert f"?{git(checkout, 'rev-parse', 'HEAD:medium/0001/01.jpg')}" in missing.splitlines()
    assert git(checkout, "rev-list", "--count", "HEAD") == "1"


def test_files_are_known_by_the_same_hash_in_a_clone_and_in_a_folder(repository: Repository, tmp_path: Path) -> None:
    checkout = obtain_checkout("texts", repository, PATTERNS)
    whole = Path(repository.url.removeprefix("file://"))
    folder = shutil.copytree(whole, tmp_path / "unpacked", ignore=shutil.ignore_patterns(".git"))
    listed = list_files(checkout, "medium/*/*.jpg")
    assert list(listed) == ["medium/0001/01.jpg"]
    assert list_files(folder, "medium/*/*.jpg") == listed
    assert list(list_files(checkout, "en/*.md")) == ["en/0001_été.md"]
    assert list_files(checkout, "*.jpg") == list_files(folder, "*.jpg") == {}


def test_a_checkout_in_the_cache_needs_neither_network_nor_git(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    obtain_checkout("texts", repository, PATTERNS)
    shutil.rmtree(repository.url.removeprefix("file://"))
    monkeypatch.setenv("PATH", "")
    assert (obtain_checkout("texts", repository, PATTERNS) / "en").is_dir()


def test_what_git_cannot_fetch_is_one_clear_line(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = repository.model_copy(update={"commit": "0" * 40})
    with pytest.raises(ConfigError, match=rf"has no commit {'0' * 40}; check the card$"):
        obtain_checkout("texts", unknown, PATTERNS)
    closed = repository.model_copy(update={"url": "https://127.0.0.1:9/a/b"})
    with pytest.raises(
        ConfigError, match=r"git cannot reach https://127\.0\.0\.1:9/a/b; connect to the network, or put"
    ):
        obtain_checkout("texts", closed, PATTERNS)
    absent = repository.model_copy(update={"url": repository.url + "-gone"})
    with pytest.raises(ConfigError, match="git cannot fetch file://"):
        obtain_checkout("texts", absent, PATTERNS)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ConfigError, match=r"there is no git to fetch .*; install it, or put a checkout into "):
        obtain_checkout("texts", repository, PATTERNS)
    cache = cached_checkout("texts", repository).parent
    assert list(cache.iterdir()) == []  # nothing half-fetched is left
