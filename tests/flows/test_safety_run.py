"""An unsafe picture in a corpus for children: the run ends, and nowhere but in its raw shard is anything of it."""

import base64
import io
import re
import tarfile
from pathlib import Path

import numpy as np
import pytest
from own_folder import essen, write_own_folder
from PIL import Image

from pipeline import files
from pipeline.report.config import ReportConfig
from pipeline.report.report import report
from pipeline.tables import read_columns

RECIPE = """name: mine
corpora:
  - card: shapes.md
select:
  preset: none
  safety: {classifiers: [{plugin: "magenta_content:scores", threshold: 0.5, reason: adult_content}]}
  split: {validation: 0.1, test: 0.1}
stage: {image_size: 32}
"""
PLUGIN = """def scores(pictures):
    return [float(((p[..., 0] > 200) & (p[..., 1] < 60) & (p[..., 2] > 200)).mean()) for p in pictures]
"""


def unsafe_picture() -> bytes:
    noise = np.random.default_rng(0).integers(0, 40, (96, 96, 3), dtype=np.uint8)
    noise[..., 0] += 215
    noise[..., 2] += 215
    out = io.BytesIO()
    Image.fromarray(noise).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a picture that a classifier of one's own knows, under two harmless captions."""
    further = [{"file_name": "unsafe.png", "caption": f"quiet words {n}", "group": f"q{n}"} for n in range(2)]
    folder = write_own_folder(tmp_path, RECIPE, further)
    (folder / "pictures/unsafe.png").write_bytes(unsafe_picture())
    (folder / "magenta_content.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(folder)
    return folder


def holds_any_of(content: bytes, data: bytes, size: int = 24) -> bool:
    """Tell whether any stretch of some bytes stands in others."""
    return any(data[start : start + size] in content for start in range(0, len(data) - size, size))


def is_magenta(image: Image.Image) -> bool:
    levels = np.asarray(image.convert("RGB")).astype(int)
    return bool(((levels[..., 0] > 190) & (levels[..., 1] < 90) & (levels[..., 2] > 190)).mean() > 0.001)


def pictures_in(content: bytes) -> list[Image.Image]:
    """Return every picture that a page or an archive holds."""
    found = [base64.b64decode(data) for data in re.findall(rb"data:image/\w+;base64,([A-Za-z0-9+/=]+)", content)]
    if content[257:262] == b"ustar":
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            members = [tar.extractfile(member) for member in tar if member.name.endswith(("jpg", "png"))]
            found += [member.read() for member in members if member is not None]
    if content.startswith((b"\x89PNG", b"\xff\xd8")):
        found.append(content)
    return [Image.open(io.BytesIO(data)) for data in found]


def test_the_run_ends_with_code_6_and_nothing_of_the_picture_is_written_or_shown(
    own: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run, unsafe = own / "run", unsafe_picture()
    assert essen("run", own / "mine.yaml", "--run", run, "--engine", "local", "--until", "card") == 6
    shown = capfd.readouterr()
    last = shown.err.strip().splitlines()[-1]
    sha256 = files.sha256_bytes(unsafe)
    assert re.fullmatch(
        r"essen: 2 samples do not belong in a corpus for children: 2 of shapes \(2 unsafe_adult_content\); the first "
        rf"is uid [0-9a-f]{{32}} with the picture {sha256}; to leave them out, set select.safety.on_hit: drop",
        last,
    )
    assert "quiet words" not in shown.out + shown.err
    assert not (run / "selection").exists() and not (run / "stages").exists()
    written = [path for path in files.files_below(run) if path.relative_to(run).parts[0] != "raw"]
    assert len(written) > 5
    assert not any(holds_any_of(path.read_bytes(), unsafe) for path in written)
    assert holds_any_of((run / "raw/shapes/00000.tar").read_bytes(), unsafe)


def test_where_it_is_dropped_no_page_sheet_or_shard_shows_it(own: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run, unsafe = own / "run", unsafe_picture()
    drop = ("--set", "select.safety.on_hit=drop")
    assert essen("run", own / "mine.yaml", "--run", run, "--engine", "local", "--until", "card", *drop) == 0
    assert essen("search", run, "a red circle", "-k", "40", "--sheet", own / "words.png") == 0
    assert essen("search", run, "--image", own / "pictures/unsafe.png", "-k", "40", "--sheet", own / "image.png") == 0
    assert "quiet words" not in capfd.readouterr().out
    report(ReportConfig(), run, run)
    verdicts = read_columns(run / "selection/verdicts.parquet")
    dropped = [row for row, reason in enumerate(verdicts["reason"]) if reason == "unsafe_adult_content"]
    assert [verdicts["step"][row] for row in dropped] == ["safety", "safety"]
    outputs = [path for path in files.files_below(run) if path.relative_to(run).parts[0] != "raw"]
    looked_at = 0
    for path in [*outputs, own / "words.png", own / "image.png"]:
        content = path.read_bytes()
        assert not holds_any_of(content, unsafe), path
        shown = pictures_in(content)
        looked_at += len(shown)
        assert not any(is_magenta(image) for image in shown), path
    assert looked_at > 60
    assert is_magenta(Image.open(io.BytesIO(unsafe)))
