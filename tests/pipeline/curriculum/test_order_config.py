from pathlib import Path

import pytest
from pydantic import ValidationError

from pipeline.curriculum.config import CurriculumConfig


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"stages": ()}, "at least one name"),
        ({"stages": ("a", "a")}, "each once"),
        ({"stages": ("../a", "b")}, "cannot name a folder"),
        ({"difficulty": {"caption.tokens": 0}}, "a weight that is not 0"),
        ({"difficulty": {"tokens": 1}}, "'tokens' is not <signals file>.<column>"),
        ({"difficulty": "captions"}, "families are developmental, caption, image, pair, reference, learnability"),
        ({"difficulty": "mine.loss"}, "'mine.loss' is not <signals file>.<column>"),
        ({"own_signals": {"caption": "a.parquet"}}, "choose another name"),
        ({"stages": ("a", "b"), "fractions": (0.5,)}, "give 2 positive numbers"),
        ({"stages": ("a", "b"), "fractions": (0.5, 0.6)}, "add up to 1.1"),
        ({"stages": ("a", "b"), "by": "value"}, "give 1 values to cut 2 stages"),
        ({"stages": ("a", "b", "c"), "by": "value", "edges": (3, 1)}, "rising"),
        ({"by": "corpus", "corpora": {"first": ("a",)}}, "give corpora for each of the stages first, second, third"),
        ({"stages": ("a", "b"), "by": "corpus", "corpora": {"a": ["x"], "b": ["x"]}}, "a corpus stands in two stages"),
        ({"replay": 1}, "less than 1"),
        ({"missing": "drop"}, "'middle' or 'hardest'"),
        ({"stage": ("a",)}, "Extra inputs"),
    ],
)
def test_configurations_that_cannot_work_are_refused(values: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        CurriculumConfig.model_validate(values)


@pytest.mark.parametrize(
    "line",
    [
        {"difficulty": "image"},
        {"difficulty": "lexicon.zipf_mean"},
        {"difficulty": {"caption.tokens": 2, "alignment.score": -1, "image.clutter": 0}},
        {"by": "vocabulary"},
        {"by": "corpus"},
        {"within": "interleaved"},
        {"pool": "cumulative"},
        {"missing": "hardest"},
    ],
)
def test_one_line_switches_the_curriculum(line: dict[str, object]) -> None:
    config = CurriculumConfig.model_validate(line)
    assert config != CurriculumConfig()
    assert all(config.weights.values())


def test_paths_of_own_signals_start_from_the_recipe() -> None:
    config = CurriculumConfig(difficulty="mine.loss", own_signals={"mine": Path("a.parquet")})
    assert config.weights == {"mine.loss": 1}
    assert config.at(Path("/recipes")).own_signals == {"mine": Path("/recipes/a.parquet")}
