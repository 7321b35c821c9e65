"""The table of costs: slopes and outlook of known growth, and the whole command over a small package of icon sets."""

import base64
import hashlib
import importlib.util
import io
import json
import math
import sys
import tarfile
from pathlib import Path
from types import ModuleType

import pytest
from programs import BENCHMARKS, run


@pytest.fixture(scope="module")
def scale() -> ModuleType:
    spec = importlib.util.spec_from_file_location("scale", BENCHMARKS / "scale.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["scale"] = module
    spec.loader.exec_module(module)
    return module


def costs(scale: ModuleType, size: int) -> list[object]:
    """Made up: acquisition in proportion, selection quadratic in time, and 1 GiB more for each 1,000 rows."""
    even = scale.Cost(step="acquire", seconds=1, processor=size / 100, own=0.5, resident=1, written=size / 10)
    steep = scale.Cost(
        step="select", seconds=1, processor=(size / 1000) ** 2, own=size / 1000, resident=2, written=size / 10
    )
    return [even, steep]


def test_slopes_are_the_exponents_of_growth(scale: ModuleType) -> None:
    both = {size: costs(scale, size) for size in (1_000, 2_000, 4_000)}
    found = scale.slopes(both, lambda cost: cost.processor)
    assert found == {"acquire": pytest.approx(1), "select": pytest.approx(2)}
    assert scale.slopes({1_000: costs(scale, 1_000)}, lambda cost: cost.processor) == {}


def test_the_outlook_divides_what_can_be_divided_and_names_what_hurts_first(scale: ModuleType) -> None:
    both = {size: costs(scale, size) for size in (1_000, 2_000)}
    acquire, select = scale.forecast(both, 200_000, 10)
    assert (acquire.workers, select.workers) == (10, 1)
    assert acquire.seconds == pytest.approx(200)  # 20 seconds for 2,000, a hundred times, among ten
    assert select.seconds == pytest.approx(40_000)  # 4 seconds, and a hundred times the rows
    assert (acquire.memory, select.memory) == (pytest.approx(0.5), pytest.approx(200))
    assert math.isinf(acquire.at_memory)
    assert select.at_memory == pytest.approx(4_000)
    text = scale.outlook(both, 200_000, 10)
    assert "`select` is the first step to need more than 4 GiB, at about 4,000 rows" in text
    assert "| select | 1 | 11.1 | 200.0 | 4,000 |" in text


def test_tables_have_a_row_for_each_step_and_lie_between_their_marks(scale: ModuleType, tmp_path: Path) -> None:
    facts = {"rows": 1, "samples": 9, "kept": 8, "repeated": 4, "found": 3}
    both = {size: costs(scale, size) for size in (1_000, 2_000)}
    text = scale.tables(both, dict.fromkeys(both, facts))
    assert "| step | 1,000 | 2,000 | slope |" in text
    assert "| select | 1.0 | 4.0 | 2.00 |" in text
    assert "| recall | 0.7500 | 0.7500 |" in text
    page = tmp_path / "scale.md"
    page.write_text("Before\n<!-- measured -->\nold\n<!-- /measured -->\nAfter\n")
    for _ in range(2):
        scale.put(page, {"measured": text})
    assert page.read_text() == f"Before\n<!-- measured -->\n\n{text}\n<!-- /measured -->\nAfter\n"
    with pytest.raises(SystemExit, match=r"needs the lines <!-- outlook -->"):
        scale.put(page, {"outlook": ""})


def drawing(number: int, shift: int) -> str:
    box = f'<path d="M{number % 13} {shift + number % 7}h{3 + number % 11}v{2 + number % 5}H{number % 9}z"/>'
    return box + f'<circle cx="{number % 16}" cy="9" r="{1 + number % 4}"/>'


def archive_of(sets: int, icons: int) -> bytes:
    """An npm package of icon sets; every set draws its last icon as it draws its first."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for number in range(sets):
            bodies = [drawing(n, number) for n in range(icons - 1)]
            entries = {f"{WORDS[n % len(WORDS)]}-{n}": {"body": body} for n, body in enumerate([*bodies, bodies[0]])}
            info = {"name": f"Set {number}", "license": {"spdx": "MIT"}, "author": {"name": "Ann"}}
            data = json.dumps({"prefix": f"s{number}", "info": info, "icons": entries}).encode()
            member = tarfile.TarInfo(f"package/json/s{number}.json")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


WORDS = ("ball", "house", "tree", "dog", "boat", "clock", "apple", "hat", "fish", "key", "star", "leaf")
CARD = """---
name: icons
title: Small
licence: MIT
attribution: Ann, MIT
language: en
child_directed: false
redistributable: true
source:
  engine: icon_sets
  package: "@test/sets"
  version: 1.0.0
  integrity: {integrity}
  licences: [MIT]
  size: 64
---
Small.
"""


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_the_command_measures_every_step_and_finds_the_repeated_drawings(tmp_path: Path) -> None:
    archive = archive_of(3, 50)
    (tmp_path / "cache/npm").mkdir(parents=True)
    (tmp_path / "cache/npm/test-sets-1.0.0.tgz").write_bytes(archive)
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(archive).digest()).decode()
    (tmp_path / "small.md").write_text(CARD.format(integrity=integrity))
    page = tmp_path / "scale.md"
    page.write_text("<!-- measured -->\n<!-- /measured -->\n")
    arguments = ("--folder", str(tmp_path / "runs"), "--card", str(tmp_path / "small.md"), "--markdown", str(page))
    sizes = ("--icons", "150", "--sizes", "300")  # every icon comes turned, too
    done = run("scale.py", *arguments, *sizes, ESSEN_CACHE=str(tmp_path / "cache"))
    assert done.returncode == 0, done.stderr
    stored = json.loads((tmp_path / "runs/300.json").read_text())
    steps = ["acquire", "measure", "embed", "align", "select", "index", "order", "stage"]
    assert [cost["step"] for cost in stored["costs"]] == steps
    assert all(cost["processor"] > 0 and cost["own"] > 0.05 and cost["written"] > 0 for cost in stored["costs"])
    assert stored["facts"] | {"kept": 0} == {"rows": 300, "samples": 300, "kept": 0, "repeated": 3, "found": 3}
    assert "| recall | 1.0000 |" in page.read_text()
