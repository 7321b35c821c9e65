"""A study's results as Markdown and as a figure, from ``results.json`` alone.

What a results file holds stands in `flows.study.results`. Recalls are shown in per cent and their differences in
points; other scores as they are.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.errors import ConfigError

FORMAT = "essen-study/1"
CONTROLS = ("chance", "untrained", "shuffled")
PERCENT = ("recall", "measure", "probe")
SKILL = {"before": "before training", "after": "after training", "change": "after training − before"}


def read_results(path: Path) -> dict[str, Any]:
    """Read a results file.

    Raises:
        ConfigError: there is none, or it is none.
    """
    if not path.is_file():
        raise ConfigError(f"{path} does not exist; run the study first")
    try:
        results = files.read_json(path)
    except ValueError:
        results = None
    if not isinstance(results, dict) or results.get("format") != FORMAT:
        raise ConfigError(f"{path} holds no results of a study (format {FORMAT}); run the study again")
    return results


def study_lines(results: Mapping[str, Any]) -> list[str]:
    """Return a study's results as lines of Markdown: the question, a table of the arms, one of the claims."""
    study = results["study"]
    budgets = in_order(results, "budget")
    lines = [f"**{study['name']}**: {study['question']}", "", _about(results), ""]
    for budget in budgets:
        lines += [*([f"At budget {budget}:", ""] if len(budgets) > 1 else []), *_arms(results, budget), ""]
    if results["claims"]:
        lines += _claims(results)
    return lines


def _about(results: Mapping[str, Any]) -> str:
    study, code = results["study"], results["code"]
    commit = f", commit {code['commit'][:12]}" if code["commit"] else ""
    seeds = f"{len(study['seeds'])} seed{'s' * (len(study['seeds']) != 1)}"
    return f"Primary score: {score_name(study['score'])}; {seeds}; version {code['version']}{commit}."


def in_order(results: Mapping[str, Any], what: str) -> list[str]:
    """Return the arms or budgets as the study declares them; a file's keys are sorted, its cells are not."""
    return list(dict.fromkeys(cell[what] for cell in results["cells"]))


def score_name(score: Mapping[str, Any]) -> str:
    """Return a score in words."""
    kind = score.get("kind", "recall")
    if kind == "recall":
        way = score.get("direction", "text_to_image").replace("text_to_image", "text → picture")
        way = way.replace("image_to_text", "picture → text").replace("mean", "mean of both directions")
        row = ", reranked by the fusion" if score.get("row") == "reranked" else ""
        return f"R@{score.get('k', 1)} on {score['set']}, {way}{row}, per cent"
    if kind == "measure":
        return f"{score['measure']} on {score['set']}, per cent"
    if kind == "probe":
        return f"vision tower, probed for categories on {score['set']}, {SKILL[score.get('of', 'change')]}, per cent"
    if kind == "logged":
        return f"{score['key']} in training"
    if kind == "reached":
        target = score["target"]
        aim = (
            f"the last validation recall of {target}"
            if isinstance(target, str)
            else f"a validation recall of {target:g}"
        )
        return f"{'FLOPs' if score.get('cost') == 'flops' else 'examples'} to {aim}"
    return str(score["of"]).replace("_", " ")


def _arms(results: Mapping[str, Any], budget: str) -> list[str]:
    """Return the table of the arms at a budget: their scores, differences, budgets and controls."""
    study = results["study"]
    scale = score_scale(study["score"])
    arms = in_order(results, "arm")
    with_controls = any("controls" in cell for cell in results["cells"])
    head = ["arm", "mean", "by seed", f"− {arms[0]} [95 %]", "steps", "seen", "different", "TFLOPs", "seconds"]
    head += [f"{name}" for name in CONTROLS] if with_controls else []
    rows = []
    for arm in arms:
        cells = [cell for cell in results["cells"] if (cell["arm"], cell["budget"]) == (arm, budget)]
        values = [cell["scores"]["primary"]["value"] for cell in cells]
        marks = ["≥ " * cell["scores"]["primary"]["censored"] for cell in cells]
        spent = cells[0]["spent"]
        row = [
            arm,
            _number(_mean(values), scale),
            " ".join(mark + _number(value, scale) for mark, value in zip(marks, values, strict=True)),
            "" if arm == arms[0] else _difference(results, arm, budget, scale),
            f"{spent['steps']:,}",
            f"{spent['seen']:,}",
            "?" if spent["unique"] is None else f"{round(_mean([cell['spent']['unique'] for cell in cells])):,}",
            f"{_mean([cell['spent']['flops']['total'] for cell in cells]) / 1e12:.3g}",
            f"{_mean([cell['seconds']['train'] for cell in cells]):.0f}",
        ]
        if with_controls:
            row += [_number(_mean([cell["controls"][name] for cell in cells]), scale) for name in CONTROLS]
        rows.append(row)
    return _table(head, rows, right=range(1, len(head)))


def _difference(results: Mapping[str, Any], arm: str, budget: str, scale: float) -> str:
    found = next(entry for entry in results["differences"] if (entry["arm"], entry["budget"]) == (arm, budget))
    return f"{_signed(found['mean'], scale)} {_interval(found['interval'], scale)}"


def _claims(results: Mapping[str, Any]) -> list[str]:
    """Return the table of the claims."""
    scores = {"primary": results["study"]["score"], **results["study"].get("scores", {})}
    head = ["claim", "compares", "score", "asked", "found [95 %]", "p (Holm)", "verdict"]
    rows = []
    for claim in results["claims"]:
        score = scores[claim.get("score", "primary")]
        ratio = claim["kind"] == "ratio"
        scale = 1.0 if ratio else score_scale(score)
        estimate = _ratio(claim) if ratio else _signed(claim["estimate"], scale)
        rows.append(
            [
                claim["id"],
                _compared(claim),
                score_name(score),
                _asked(claim, scale),
                estimate if ratio else f"{estimate} {_interval(claim['interval'], scale)}",
                "–" if claim["p_holm"] is None else f"{claim['p_holm']:.3g}",
                claim["verdict"],
            ]
        )
    return _table(head, rows, right=(4, 5))


def _compared(claim: Mapping[str, Any]) -> str:
    at = f" at {claim['budget']}" if claim.get("budget") else ""
    if claim["kind"] in ("alike", "rising"):
        return (" ≈ " if claim["kind"] == "alike" else " < ").join(claim["arms"]) + at
    return f"{claim['arm']} {'/' if claim['kind'] == 'ratio' else '−'} {claim['against']}{at}"


def _asked(claim: Mapping[str, Any], scale: float) -> str:
    lower, margin = claim.get("direction") == "lower", claim["margin"]
    if claim["kind"] == "ratio":
        aim = claim.get("aim")
        return f"{'<' if lower else '>'} {margin:g}" + (f", estimate {'≤' if lower else '≥'} {aim:g}" if aim else "")
    limit = _number(margin, scale)
    if claim["kind"] == "superior":
        return (f"< −{limit}" if lower and margin else f"{'<' if lower else '>'} {limit}") + (
            ", every seed" if claim.get("every_seed") else ""
        )
    if claim["kind"] == "not_worse":
        return f"< +{limit}" if lower else f"> −{limit}"
    if claim["kind"] == "rising":
        return "falls" if lower else "rises"
    return f"within ±{limit}"


def _ratio(claim: Mapping[str, Any]) -> str:
    low, high = claim["interval"] or (None, None)
    above, below = claim["censored"]
    text = f"{'≥ ' * bool(above and not below)}{'≤ ' * bool(below and not above)}{claim['estimate']:.2f}"
    if claim["interval"] is not None:
        text += f" [{'0' if low is None else f'{low:.2f}'}, {'∞' if high is None else f'{high:.2f}'}]"
    return text + (f", censored {above} and {below} of {claim['n']}" if above or below else "")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int]) -> list[str]:
    """Return a table whose columns of numbers, by their places, stand at the right."""
    marks = ["---:" if place in right else "---" for place in range(len(head))]
    return [f"| {' | '.join(cells)} |" for cells in (head, marks, *rows)]


def score_scale(score: Mapping[str, Any]) -> float:
    """Return what a score is multiplied with to be shown."""
    return 100.0 if score.get("kind", "recall") in PERCENT else 1.0


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _number(value: float, scale: float) -> str:
    return f"{scale * value:.1f}" if scale > 1 else f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


def _signed(value: float, scale: float) -> str:
    return ("+" if value >= 0 else "−") + _number(abs(value), scale)


def _interval(found: Sequence[float] | None, scale: float) -> str:
    return "(one seed)" if found is None else f"[{_signed(found[0], scale)}, {_signed(found[1], scale)}]"
