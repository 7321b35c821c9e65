"""npm's own client against a small registry on the loopback interface, and the cache that makes it needed once."""

import json
import os
from pathlib import Path

import pytest
from acquire_helpers import Page, icon_package, integrity

from pipeline.acquire.packages.npm import npm_command, npm_pack, obtain, read_json_member
from pipeline.errors import ConfigError

ARCHIVE = icon_package({"dot": {"body": "<path/>"}})


@pytest.fixture
def registry(site, monkeypatch, tmp_path):
    """A registry that has @test/icons@1.0.0 and nothing else; npm and our cache keep everything in tmp_path."""
    dist = {"tarball": f"{site.address}/icons.tgz", "integrity": integrity(ARCHIVE)}
    version = {"name": "@test/icons", "version": "1.0.0", "dist": dist}
    packument = {"name": "@test/icons", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}
    site.pages["/@test%2ficons"] = Page(json.dumps(packument).encode(), headers={"Content-Type": "application/json"})
    site.pages["/icons.tgz"] = Page(ARCHIVE)
    monkeypatch.setenv("npm_config_registry", site.address)
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm"))
    monkeypatch.setenv("ESSEN_CACHE", str(tmp_path / "cache"))
    return site


def test_a_package_is_downloaded_checked_and_found_again_without_a_network(registry, monkeypatch):
    archive = obtain("@test/icons", "1.0.0", integrity(ARCHIVE))
    assert archive.read_bytes() == ARCHIVE
    assert read_json_member(archive, "package/icons.json")["prefix"] == "test"
    assert read_json_member(archive, "package/nothing.json") is None
    asked = registry.asked.total()
    assert asked >= 2
    monkeypatch.setenv("PATH", "")
    assert obtain("@test/icons", "1.0.0", integrity(ARCHIVE)) == archive
    assert registry.asked.total() == asked
    assert [path.name for path in archive.parent.iterdir()] == [archive.name]


def test_a_damaged_archive_in_the_cache_is_fetched_again(registry):
    archive = obtain("@test/icons", "1.0.0", integrity(ARCHIVE))
    archive.write_bytes(ARCHIVE[:-5])
    assert obtain("@test/icons", "1.0.0", integrity(ARCHIVE)).read_bytes() == ARCHIVE


def test_another_hash_than_the_cards_is_refused(registry, tmp_path):
    with pytest.raises(ConfigError, match=r"@test/icons@1\.0\.0 has the hash sha512-.* where the card says sha512-"):
        obtain("@test/icons", "1.0.0", integrity(b"another"))
    assert not list((tmp_path / "cache" / "npm").iterdir())


def test_an_unknown_package_or_version_is_named(registry, tmp_path):
    with pytest.raises(ConfigError, match=r"the npm registry has no @test/nothing@1\.0\.0"):
        npm_pack("@test/nothing", "1.0.0", integrity(ARCHIVE), tmp_path)
    with pytest.raises(ConfigError, match=r"the npm registry has no @test/icons@9\.9\.9"):
        npm_pack("@test/icons", "9.9.9", integrity(ARCHIVE), tmp_path)


def test_no_network_is_one_line_with_the_way_out(monkeypatch, tmp_path):
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9")
    with pytest.raises(
        ConfigError, match=r"npm cannot reach its registry to fetch @test/icons@1\.0\.0; connect"
    ) as caught:
        npm_pack("@test/icons", "1.0.0", integrity(ARCHIVE), tmp_path)
    assert "\n" not in str(caught.value)


def test_npm_comes_from_the_python_package_where_there_is_none_on_the_path(registry, monkeypatch):
    monkeypatch.setenv("PATH", os.devnull)
    node, client = npm_command()
    assert Path(node).name == "node"
    assert Path(client).is_file()
    assert obtain("@test/icons", "1.0.0", integrity(ARCHIVE)).read_bytes() == ARCHIVE
