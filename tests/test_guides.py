"""Every guide does what it says: its files are written, its commands and programs run, in the order of the page.

A file's name stands behind the language of its block. Models and trainings are made small; else all is as on the page.
"""

import re
import runpy
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer
import yaml
from PIL import Image, ImageDraw

from flows.cli import app, main
from flows.recipe import Recipe
from pipeline.acquire.card import load_card

GUIDES = Path(__file__).resolve().parent.parent / "docs/guides"
BLOCK = re.compile(r"^```(\w+)(?: ([^\n]+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TINY: dict[str, Any] = {
    "stage": {"image_size": 32},
    "model": {
        "image_size": 32,
        "embedding_size": 32,
        "vision": {"widths": [16, 32, 32], "blocks": [1, 1, 1]},
        "text": {"width": 32, "layers": 1},
        "fusion": {"width": 32},
    },
    "train": {"steps": 4, "batch_size": 8, "warmup_steps": 1, "checkpoint_every": 2},
    "evaluate": {"resamples": 100},
    "report": {"grid": 4, "pairs": 2, "fits": 2, "neighbours": 2},
}
SWAHILI = {
    "red": "mwekundu",
    "green": "wa kijani",
    "blue": "wa buluu",
    "orange": "wa machungwa",
    "purple": "wa zambarau",
    "black": "mweusi",
    "circle": "mduara",
    "square": "mraba",
    "cross": "msalaba mkubwa",
    "line": "mstari mkubwa",
}
COLOURS = ("red", "green", "blue", "orange", "purple", "black")


class Block(NamedTuple):
    """A fenced block: its language, what stands behind it, and its lines."""

    language: str
    about: str
    text: str


def blocks(guide: str) -> list[Block]:
    return [Block(*groups) for groups in BLOCK.findall((GUIDES / f"{guide}.md").read_text(encoding="utf-8"))]


def follow(guide: str, folder: Path) -> None:
    """Do in a folder, which is the current one, what a guide says."""
    for language, about, text in blocks(guide):
        if language == "sh":
            expected = int(about.removeprefix("fails=")) if about else 0
            for line in text.splitlines():
                assert (line, essen(line)) == (line, expected)
        elif language == "python":
            (folder / "program.py").write_text(text, encoding="utf-8")
            runpy.run_path("program.py")
        elif about:
            path = folder / about
            path.parent.mkdir(exist_ok=True)
            path.write_text(small(text) if language == "yaml" and "corpora:" in text else text, encoding="utf-8")


def essen(line: str) -> int:
    """Run a line of a guide in this process, without Prefect's server, and return its exit code."""
    program, *arguments = shlex.split(line, comments=True)
    assert program == "essen"
    if arguments[0] in ("run", "evaluate") and "--on" not in arguments:
        arguments += ["--engine", "local"]
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(ended.value.code or 0)


def small(recipe: str) -> str:
    """Return a recipe with a model and a training that take no time."""
    return yaml.safe_dump(merged(yaml.safe_load(recipe), TINY))


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    below = {
        key: merged(base[key], value) if isinstance(value, dict) and isinstance(base.get(key), dict) else value
        for key, value in over.items()
    }
    return base | below


def draw_shapes(folder: Path) -> None:
    """Write 24 coloured shapes with captions, as a folder of one's own, and again with captions in Swahili."""
    for name, words in (("pictures", {}), ("picha", SWAHILI)):
        draw_corpus(folder / name, words)


def draw_corpus(pictures: Path, words: dict[str, str]) -> None:
    """Write the shapes; their captions in the words of another language, where there are any."""
    pictures.mkdir()
    lines = ["file_name,caption,group\n"]
    for colour in COLOURS:
        for shape in ("circle", "square", "cross", "line"):
            picture = Image.new("RGB", (96, 72), "white")
            pen = ImageDraw.Draw(picture)
            if shape in ("circle", "square"):
                (pen.ellipse if shape == "circle" else pen.rectangle)((18, 12, 66, 60), fill=colour)
            else:
                pen.line((18, 12, 66, 60), fill=colour, width=9)
            if shape == "cross":
                pen.line((18, 60, 66, 12), fill=colour, width=9)
            picture.save(pictures / f"{colour}-{shape}.png")
            caption = f"{words[shape]} {words[colour]}" if words else f"a {colour} {shape}"
            lines.append(f"{colour}-{shape}.png,{caption},{colour} {shape}\n")
    (pictures / "metadata.csv").write_text("".join(lines))


def draw_recording(folder: Path) -> None:
    """Write a frame each half second: a ball that crosses a room."""
    frames = folder / "recordings/S1"
    frames.mkdir(parents=True)
    for number in range(20):
        picture = Image.new("RGB", (96, 72), (170 + number, 160, 150 - 2 * number))
        pen = ImageDraw.Draw(picture)
        pen.rectangle((4 * number, 10, 4 * number + 20, 30), fill=(40, 60 + 9 * number, 90))
        pen.ellipse((70 - 3 * number, 30, 90 - 3 * number, 50), fill="red")
        picture.save(frames / f"{number / 2:.1f}.jpg")


CONTINUING = ("robot", "reading-the-evidence", "babylm")  # from where own-corpus ends
ALONE = {"frames-of-a-day": draw_recording, "own-lexicon-or-language": draw_shapes}


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where the guide to a corpus of one's own has been followed up to the report."""
    folder = tmp_path_factory.mktemp("guides")
    draw_shapes(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        follow("own-corpus", folder)
    return folder


@pytest.mark.slow
def test_own_corpus(finished: Path) -> None:
    assert (finished / "runs/mine/reports/report.html").stat().st_size > 100_000
    assert Image.open(finished / "found.png").width > 300
    assert (finished / "published/README.md").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("guide", CONTINUING)
def test_guides_that_go_on_from_there(
    guide: str, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(finished, tmp_path / "folder")
    if guide == "babylm":  # the same corpus: its first steps are done
        shutil.copytree(folder / "runs/mine", folder / "runs/babylm")
    monkeypatch.chdir(folder)
    follow(guide, folder)


@pytest.mark.slow
@pytest.mark.parametrize(("guide", "draw"), ALONE.items())
def test_guides_of_their_own(
    guide: str, draw: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    draw(tmp_path)
    shapes = next(block for block in blocks("own-corpus") if block.about == "shapes.md")
    (tmp_path / shapes.about).write_text(shapes.text)
    follow(guide, tmp_path)


def test_there_is_a_test_for_every_guide() -> None:
    assert {path.stem for path in GUIDES.glob("*.md")} == {"own-corpus", *CONTINUING, *ALONE}


@pytest.mark.parametrize("guide", sorted(path.stem for path in GUIDES.glob("*.md")))
def test_files_and_commands_are_valid(guide: str, tmp_path: Path) -> None:
    group = typer.main.get_command(app)
    context = group.make_context("essen", [], resilient_parsing=True)
    for language, about, text in blocks(guide):
        if language == "yaml" and "corpora:" in text:
            Recipe.model_validate(yaml.safe_load(text))
        elif language == "markdown":
            (tmp_path / about).write_text(text)
            load_card(tmp_path / about)
        elif language == "sh":
            for line in text.splitlines():
                name, *arguments = shlex.split(line, comments=True)[1:]
                command = group.get_command(context, name)
                assert command is not None, f"there is no command {name}"
                command.make_context(name, arguments)


@pytest.mark.parametrize("guide", sorted(path.stem for path in GUIDES.glob("*.md")))
def test_links_lead_somewhere(guide: str) -> None:
    text = (GUIDES / f"{guide}.md").read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert (GUIDES / target).is_file(), target
