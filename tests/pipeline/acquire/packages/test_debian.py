"""apt's own client against a small archive on this machine; packages read as a stream, whatever lies in them."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest
from acquire_helpers import CONTROL, debian_package

from pipeline.acquire.packages.debian import Member, debian_availability, members, obtain
from pipeline.acquire.sources import DebianPackage
from pipeline.errors import ConfigError

FILES = {"usr/share/tiny/a.txt": b"first", "usr/share/tiny/b/c.txt": b"second"}
PACKAGE = debian_package(FILES)


def spec(package: bytes = PACKAGE, **changes: str) -> DebianPackage:
    return DebianPackage(
        **{"name": "tiny", "version": "1:1.0-1", "sha256": hashlib.sha256(package).hexdigest(), **changes}
    )


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An archive that has the package tiny 1:1.0-1; apt keeps everything in tmp_path."""
    if shutil.which("apt-get") is None:
        pytest.skip("there is no apt-get here")
    home = tmp_path / "apt"
    for folder in ("pool", "state/lists/partial", "cache/archives/partial"):
        (home / folder).mkdir(parents=True)
    (home / "pool" / "tiny.deb").write_bytes(PACKAGE)
    index = f"Filename: ./tiny.deb\nSize: {len(PACKAGE)}\nSHA256: {hashlib.sha256(PACKAGE).hexdigest()}\n"
    (home / "pool" / "Packages").write_bytes(CONTROL + index.encode())
    (home / "sources.list").write_text(f"deb [trusted=yes] file:{home}/pool ./\n")
    settings = {
        "Dir::Etc::sourcelist": home / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::State": home / "state",
        "Dir::Cache": home / "cache",
        "APT::Sandbox::User": "root",
    }
    (home / "apt.conf").write_text("".join(f'{key} "{value}";\n' for key, value in settings.items()))
    monkeypatch.setenv("APT_CONFIG", str(home / "apt.conf"))
    monkeypatch.setenv("ESSEN_CACHE", str(tmp_path / "essen"))
    subprocess.run(["apt-get", "update"], check=True, capture_output=True)
    return home


def test_a_package_is_downloaded_checked_and_found_again_without_apt(archive, monkeypatch):
    assert debian_availability(spec()) == ""
    found = obtain(spec())
    assert found.name == "tiny_1%3a1.0-1_all.deb"
    assert found.read_bytes() == PACKAGE
    assert [path.name for path in found.parent.iterdir()] == [found.name]
    monkeypatch.setenv("PATH", "")
    assert obtain(spec()) == found
    assert debian_availability(spec()) == ""


def test_a_damaged_package_in_the_cache_is_fetched_again(archive):
    found = obtain(spec())
    found.write_bytes(PACKAGE[:-1])
    assert obtain(spec()).read_bytes() == PACKAGE


def test_another_hash_than_the_cards_is_refused(archive):
    with pytest.raises(ConfigError, match=r"tiny=1:1\.0-1 has the sha256 \w+ where the card says \w+; it is not used"):
        obtain(spec(b"another"))
    assert debian_availability(spec(b"another")) == "apt has another"
    assert not list((archive.parent / "essen" / "debian").iterdir())


def test_an_unknown_package_or_version_is_named(archive):
    with pytest.raises(ConfigError, match=r"apt has no nothing=1:1\.0-1; run `apt-get update`, or check the card's"):
        obtain(spec(name="nothing"))
    with pytest.raises(ConfigError, match="apt has no tiny=9; run"):
        obtain(spec(version="9"))
    assert debian_availability(spec(version="9")) == "apt does not have it"


def test_a_package_that_the_archive_has_lost_is_one_line(archive):
    (archive / "pool" / "tiny.deb").unlink()
    with pytest.raises(ConfigError, match=r"apt could not fetch tiny=1:1\.0-1: E: ") as caught:
        obtain(spec())
    assert "\n" not in str(caught.value)


def test_without_apt_the_way_out_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("ESSEN_CACHE", str(tmp_path / "essen"))
    with pytest.raises(
        ConfigError, match=r"there is no apt-get to fetch tiny=1:1\.0-1 with; .* put tiny_1%3a1\.0-1_all"
    ):
        obtain(spec())
    assert debian_availability(spec()) == "needs apt-get"


@pytest.mark.parametrize("compression", ["xz", "gz", "bz2"])
def test_files_and_links_are_read_and_nothing_else_is(tmp_path, compression):
    links = {
        "usr/share/tiny/b/near.txt": "c.txt",
        "usr/share/tiny/b/up.txt": "../a.txt",
        "usr/share/tiny/whole.txt": "/usr/share/tiny/a.txt",
        "usr/share/tiny/far.txt": "../../../../../../etc/passwd",
    }
    deb = tmp_path / "tiny.deb"
    deb.write_bytes(debian_package({**FILES, "usr/share/doc/x": b"no"}, links=links, compression=compression))
    before = sorted(tmp_path.rglob("*"))
    assert list(members(deb, lambda name: name.startswith("usr/share/tiny/"))) == [
        Member("usr/share/tiny/a.txt", b"first"),
        Member("usr/share/tiny/b/c.txt", b"second"),
        Member("usr/share/tiny/b/near.txt", link="usr/share/tiny/b/c.txt"),
        Member("usr/share/tiny/b/up.txt", link="usr/share/tiny/a.txt"),
        Member("usr/share/tiny/far.txt", link="etc/passwd"),
        Member("usr/share/tiny/whole.txt", link="usr/share/tiny/a.txt"),
    ]
    assert sorted(tmp_path.rglob("*")) == before


def test_a_package_made_by_dpkg_is_read(tmp_path):
    if shutil.which("dpkg-deb") is None:
        pytest.skip("there is no dpkg-deb here")
    for name, data in {**FILES, "DEBIAN/control": CONTROL}.items():
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name).write_bytes(data)
    (tmp_path / "tree/usr/share/tiny/hard.txt").hardlink_to(tmp_path / "tree/usr/share/tiny/a.txt")
    subprocess.run(["dpkg-deb", "-Zxz", "-b", tmp_path / "tree", tmp_path / "t.deb"], check=True, capture_output=True)
    found = {member.name: member for member in members(tmp_path / "t.deb", lambda name: name.endswith(".txt"))}
    assert {name: found[name].data for name in FILES} == FILES or found["usr/share/tiny/a.txt"].link
    assert sorted(found) == sorted([*FILES, "usr/share/tiny/hard.txt"])
    assert sum(bool(member.link) for member in found.values()) == 1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no ar archive"),
        (b"PK\x03\x04", "no ar archive"),
        (PACKAGE[:70], "no data.tar"),
        (PACKAGE[:-150], "cannot be read as a package"),
        (PACKAGE.replace(b"data.tar.xz ", b"data.tar.zst"), "zstd"),
        (debian_package({"../../evil.txt": b"x"}), "outside the package"),
    ],
    ids=["empty", "zip", "no data", "cut", "zstd", "outside"],
)
def test_what_is_no_sound_package_is_one_line(tmp_path, data, message):
    deb = tmp_path / "tiny.deb"
    deb.write_bytes(data)
    with pytest.raises(ConfigError, match=message):
        list(members(deb, bool))
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.deb"]
