"""The README's table of clients is the one that the tests make."""

import ast
from pathlib import Path

from matrix import CLIENTS, MARKS, in_readme, markdown


def test_the_table_of_the_readme_is_that_of_the_tests() -> None:
    assert in_readme() == markdown(), f"between {MARKS[0].strip()} and {MARKS[1]} belongs:\n{markdown()}"


def test_every_row_has_a_test_that_tells_its_outcome() -> None:
    telling = {
        node.name
        for path in Path(__file__).parent.glob("test_*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and "tell" in [argument.arg for argument in node.args.args]
    }
    assert {row.test.partition("[")[0] for row in CLIENTS if row.is_run} == telling
