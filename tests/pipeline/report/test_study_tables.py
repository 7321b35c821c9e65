"""A study's tables and figure come from its results alone; numbers are those of the file, in the right units."""

from pathlib import Path
from typing import Any

import pytest

from pipeline import files
from pipeline.errors import ConfigError
from pipeline.report.studies import FORMAT, read_results, score_name, study_lines
from pipeline.report.study_figures import draw_study


def cell(arm: str, seed: int, value: float, *, censored: bool = False) -> dict[str, Any]:
    return {
        "arm": arm,
        "budget": "all",
        "seed": seed,
        "scores": {"primary": {"value": value, "censored": False}, "examples": {"value": 640, "censored": censored}},
        "controls": {"chance": 0.01, "untrained": 0.02, "shuffled": 0.015},
        "spent": {"steps": 20, "seen": 1280, "unique": 400, "flops": {"total": 5 * 10**11}},
        "seconds": {"train": 12.4},
        "curve": [{"step": s, "examples": 64 * s, "flops": s, "recall": value * s / 20} for s in (10, 20)],
    }


@pytest.fixture
def results() -> dict[str, Any]:
    return {
        "format": FORMAT,
        "study": {
            "name": "small",
            "question": "Does it help?",
            "score": {"set": "test_style"},
            "scores": {"examples": {"kind": "reached", "target": "base"}},
            "arms": {"base": {}, "more": {"train.steps": 20}},
            "seeds": [0, 1],
        },
        "code": {"version": "0.1.0", "commit": "0123456789abcdef"},
        "cells": [
            cell("base", 0, 0.3),
            cell("base", 1, 0.32),
            cell("more", 0, 0.4),
            cell("more", 1, 0.44, censored=True),
        ],
        "differences": [
            {"arm": "more", "against": "base", "budget": "all", "n": 2, "mean": 0.11, "interval": [-0.017, 0.237]}
        ],
        "claims": [
            {
                "id": "A",
                "kind": "superior",
                "arm": "more",
                "against": "base",
                "margin": 0.0,
                "n": 2,
                "estimate": 0.11,
                "interval": [-0.017, 0.237],
                "p": 0.06,
                "p_holm": 0.12,
                "verdict": "undecided",
            },
            {
                "id": "B",
                "kind": "ratio",
                "arm": "more",
                "against": "base",
                "score": "examples",
                "direction": "lower",
                "margin": 1.0,
                "aim": 0.8,
                "n": 2,
                "estimate": 1.0,
                "interval": [1.0, None],
                "censored": [1, 0],
                "p": 1.0,
                "p_holm": 1.0,
                "verdict": "does not hold here",
            },
        ],
    }


def test_the_tables_say_what_the_file_says(results: dict[str, Any], tmp_path: Path) -> None:
    files.write_json(tmp_path / "results.json", results)
    text = "\n".join(study_lines(read_results(tmp_path / "results.json")))
    assert "commit 0123456789ab." in text and "2 seeds" in text
    assert "| base | 31.0 | 30.0 32.0 |  | 20 | 1,280 | 400 | 0.5 | 12 | 1.0 | 2.0 | 1.5 |" in text
    assert "| more | 42.0 | 40.0 44.0 | +11.0 [−1.7, +23.7] |" in text
    assert (
        "| A | more − base | R@1 on test_style, text → picture, per cent | > 0.0 | +11.0 [−1.7, +23.7] | 0.12 |" in text
    )
    assert "< 1, estimate ≤ 0.8 | ≥ 1.00 [1.00, ∞], censored 1 and 0 of 2 | 1 | does not hold here |" in text
    widths = {line.count("|") for line in text.splitlines() if line.startswith("|")}
    assert widths == {13, 8}


def test_a_study_of_one_seed_says_so(results: dict[str, Any]) -> None:
    results["differences"][0]["interval"] = None
    assert any("(one seed)" in line for line in study_lines(results))


@pytest.mark.parametrize(
    ("score", "said"),
    [
        ({"set": "a", "row": "reranked", "k": 5}, "R@5 on a, text → picture, reranked by the fusion, per cent"),
        ({"kind": "logged", "key": "shares.clean"}, "shares.clean in training"),
        ({"kind": "reached", "target": 0.5, "cost": "flops"}, "FLOPs to a validation recall of 0.5"),
        ({"kind": "cost", "of": "forward_flops"}, "forward flops"),
    ],
)
def test_scores_have_names(score: dict[str, Any], said: str) -> None:
    assert score_name(score) == said


@pytest.mark.parametrize("name", ["study.svg", "study.png"])
def test_the_same_results_draw_the_same_figure(results: dict[str, Any], tmp_path: Path, name: str) -> None:
    for folder in ("a", "b"):
        draw_study(results, tmp_path / folder / name)
    first = (tmp_path / "a" / name).read_bytes()
    assert first == (tmp_path / "b" / name).read_bytes() and len(first) > 5000
    if name.endswith("svg"):
        assert b"examples seen" in first and b"more" in first


def test_another_kind_of_file_is_refused(results: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\.svg or \.png"):
        draw_study(results, tmp_path / "study.pdf")


def test_the_baseline_comes_first_whatever_a_file_does_to_the_keys(results: dict[str, Any], tmp_path: Path) -> None:
    for cell in results["cells"]:
        cell["arm"] = {"base": "zero", "more": "any"}[cell["arm"]]
    results["differences"][0] |= {"arm": "any", "against": "zero"}
    results["study"]["arms"] = {"zero": {}, "any": {"train.steps": 20}}
    results["claims"] = []
    files.write_json(tmp_path / "results.json", results)
    rows = [line for line in study_lines(read_results(tmp_path / "results.json")) if line.startswith("| ")]
    assert "− zero [95 %]" in rows[0] and rows[2].startswith("| zero |") and rows[3].startswith("| any |")
