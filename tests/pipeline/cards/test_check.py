"""Cards are checked without a network: what is missing, empty or in nobody's words is named."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_datacard import Corpus

from pipeline.cards.check import check_cards, check_model_card, licence_fault
from pipeline.cards.config import CardConfig
from pipeline.cards.datacard import write_cards
from pipeline.files import files_below, read_json, write_json


@pytest.fixture(scope="module")
def whole(small_run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[str]]:
    """The cards of a run, and the names of the files beside them."""
    out = tmp_path_factory.mktemp("cards")
    sources = [Corpus(name, homepage="") for name in ("shapes", "lines")]
    write_cards(CardConfig(name="small"), small_run, out, sources=sources)
    return out / "card", {path.relative_to(small_run).as_posix() for path in files_below(small_run / "stages")}


@pytest.fixture
def card(whole: tuple[Path, set[str]], tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole[0], tmp_path / "card"))


def replaced(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(card: Path) -> None:
        text = (card / name).read_text()
        assert old in text
        (card / name).write_text(text.replace(old, new, 1))

    return change


def described(**values: Any) -> Callable[[Path], None]:
    return lambda card: write_json(card / "croissant.json", {**read_json(card / "croissant.json"), **values})


def test_a_card_that_was_written_has_no_fault(whole: tuple[Path, set[str]]) -> None:
    assert check_cards(*whole) == []


def test_comments_of_code_are_no_sections(whole: tuple[Path, set[str]], card: Path) -> None:
    code = "```sh\n# one\n# two\n```\n\n## Outer\n\n### Inner\n\ntext\n\n## Citation"
    replaced("README.md", "## Citation", code)(card)
    assert check_cards(card, whole[1]) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (replaced("README.md", "language:\n- en", "language:\n- english"), "'english' is no language tag"),
        (replaced("README.md", "language:\n- en", "language: []"), "language is missing or empty"),
        (replaced("README.md", "- mit", "- mitt"), "hubs know no licence 'mitt'"),
        (replaced("README.md", "pretty_name: small", "pretty_name: ''"), "pretty_name is missing or empty"),
        (replaced("README.md", "stages/1-one/*.tar", "stages/9-one/*.tar"), "configs name stages/9-one/*.tar"),
        (replaced("README.md", "### Exposure", "### Other"), "has no section Exposure"),
        (replaced("README.md", "## Citation", "## Extra\n\n## Citation"), "the section Extra is empty"),
        (replaced("README.md", "## Citation", "[More Information Needed]\n\n## Citation"), "[More Information Needed]"),
        (replaced("ATTRIBUTION.csv", ",MIT,", ",MIT AND (CC0-1.0,"), "is no SPDX expression"),
        (replaced("ATTRIBUTION.csv", ",CC-BY-4.0,", ",CC-BY-4.01,"), "'CC-BY-4.01' is no SPDX identifier"),
        (described(**{"rai:dataBiases": []}), "rai:dataBiases is missing or empty"),
        (described(creator=[{"@type": "sc:Organization", "name": ""}]), "creator[0].name is empty"),
        (lambda card: (card / "croissant.json").write_text("{"), "is no JSON text"),
        (lambda card: (card / "ATTRIBUTION.csv").unlink(), "ATTRIBUTION.csv is missing"),
    ],
)
def test_a_fault_is_one_line_that_names_it(
    whole: tuple[Path, set[str]], card: Path, change: Callable[[Path], None], words: str
) -> None:
    change(card)
    problems = check_cards(card, whole[1])
    assert len(problems) == 1 and words in problems[0] and "\n" not in problems[0], problems


@pytest.mark.parametrize(
    "expression",
    [
        "MIT",
        "cc-by-4.0",
        "CC-BY-4.0 AND LicenseRef-mine",
        "MIT OR GPL-2.0-only",
        "GPL-2.0-only WITH Bison-exception-2.2",
    ],
)
def test_expressions_of_spdx_have_no_fault(expression: str) -> None:
    assert licence_fault(expression) == ""


@pytest.mark.parametrize("expression", ["", "see website", "CC-BY", "(MIT", "AND"])
def test_other_words_are_no_licence(expression: str) -> None:
    assert licence_fault(expression)


def test_a_model_without_licence_or_with_gaps_is_named(tmp_path: Path) -> None:
    head = "---\nlanguage:\n- en\nlibrary_name: transformers\npipeline_tag: x\ntags:\n- a\n---\n"
    titles = ("Model", "Use", "Training data", "Scores", "Limits", "Licence")
    sections = "".join(f"## {title}\n\ntext\n\n" for title in titles)
    (tmp_path / "README.md").write_text(head + sections.replace("text", "[More Information Needed]", 1))
    problems = check_model_card(tmp_path)
    assert [problem.partition(": ")[2] or problem[-25:] for problem in problems] == [
        "license is missing or empty",
        "[More Information Needed]",
    ]
    assert check_model_card(tmp_path / "nowhere") == [f"{tmp_path / 'nowhere/README.md'} is missing"]
