"""Every command of the README is one that the program understands, and every example in it is valid."""

import re
import shlex
from pathlib import Path

import pytest
import typer
import yaml
from pydantic import TypeAdapter

from flows.cli import app
from flows.recipe import Recipe
from pipeline.acquire.card import load_card
from pipeline.acquire.sources import AnySource

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = sorted({line.split("#")[0].strip() for line in TEXT.splitlines() if line.startswith("    essen ")})


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, flags=re.DOTALL)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_understood(command: str) -> None:
    name, *arguments = shlex.split(command)[1:]
    group = typer.main.get_command(app)
    found = group.get_command(group.make_context("essen", [], resilient_parsing=True), name)
    assert found is not None, f"there is no command {name}"
    found.make_context(name, arguments)


def test_the_two_commands_stand_at_the_top() -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    head = TEXT.splitlines()[:10]
    for target in ("demo", "test"):
        assert target in targets
        assert any(line.startswith(f"    make {target}") for line in head)


def test_the_examples_are_valid(tmp_path: Path) -> None:
    card = tmp_path / "shapes.md"
    card.write_text(blocks("markdown")[0], encoding="utf-8")
    assert load_card(card).name == "shapes"
    examples = [yaml.safe_load(block) for block in blocks("yaml")]
    recipes = [Recipe.model_validate({"name": "mine", **example}) for example in examples if "corpora" in example]
    assert recipes[0].corpora[0].card == "shapes.md"
    sources = [TypeAdapter(AnySource).validate_python(example["source"]) for example in examples if "source" in example]
    engines = {"folder", "hub", "webdataset", "url_list", "tuxpaint", "openclipart", "frames"}
    assert engines <= {source.engine for source in sources}
    parts = [example for example in examples if not {"corpora", "source"} & example.keys()]
    recipes += [Recipe.model_validate({"name": "mine", "corpora": [{"card": "noto"}], **part}) for part in parts]
    assert len(recipes) + len(sources) == len(examples)


def test_the_files_that_it_names_exist() -> None:
    for name in re.findall(r"(?<![\w/])((?:flows|docs|benchmarks|data_cards)/[\w./-]+\.\w+)", TEXT):
        assert (ROOT / name).is_file(), name
    for picture in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", TEXT):
        assert (ROOT / picture).is_file(), picture
