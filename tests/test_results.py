"""docs/results.md says of every study what its results file says, to the letter."""

from pathlib import Path

import pytest

from pipeline.report.studies import read_results, study_lines

DOCS = Path(__file__).resolve().parent.parent / "docs"
STUDIES = sorted((DOCS / "studies").glob("*.json"))


def test_there_are_results() -> None:
    assert STUDIES


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_the_tables_are_those_of_the_results(path: Path) -> None:
    results = read_results(path)
    assert results["study"]["name"] == path.stem
    assert "\n".join(study_lines(results)).strip() in (DOCS / "results.md").read_text(encoding="utf-8")
