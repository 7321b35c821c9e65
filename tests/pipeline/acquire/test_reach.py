"""Whether a corpus can be had from here: quick, in a few words."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from acquire_helpers import icon_package

from pipeline.acquire.card import Card
from pipeline.acquire.reach import reach


@pytest.fixture
def no_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("npm_config_registry", "NPM_CONFIG_REGISTRY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")


def test_a_folder_is_there_or_not(write_card: Callable[..., Card], tmp_path: Path) -> None:
    card = write_card("{engine: folder, path: pictures}")
    assert reach([card]) == [f"folder {tmp_path / 'pictures'} is missing"]
    (tmp_path / "pictures").mkdir()
    assert reach([card]) == [""]


@pytest.mark.usefixtures("no_registry")
def test_an_icon_set_is_in_the_cache_or_needs_its_registry(
    icon_card: Callable[..., Card], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = icon_card(icon_package({"a": {"body": "<path/>"}}))
    assert reach([card]) == [""]
    cached = next((tmp_path / "cache/npm").iterdir())
    cached.write_bytes(b"something else")
    started = time.monotonic()
    assert reach([card])[0] in ("no network", "the npm registry does not answer")  # the latter on a busy machine
    assert time.monotonic() - started < 5


@pytest.mark.usefixtures("npm_registry")
def test_a_package_that_the_registry_has_can_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.acquire.card import load_card
    from pipeline.acquire.packages.npm import npm_availability

    monkeypatch.setenv("ESSEN_CACHE", str(tmp_path))
    source = load_card("fxemoji").source
    assert source.engine == "iconify"
    assert npm_availability(source.package, source.version, source.integrity) == ""
    assert npm_availability(source.package, source.version, "sha512-other") == "the registry has another"
    assert npm_availability(source.package, "999.0.0", source.integrity) == "the npm registry does not have it"
    assert list(tmp_path.iterdir()) == []
