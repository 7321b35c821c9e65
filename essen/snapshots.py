"""The model as it was after a number of words: learning is compared by what was read, not by steps.

A word is a white-space token of a caption as staged, and counts every time that it comes. Folders are named as BabyLM
names its checkpoints (``chck_1M``); a model's folder holds them below ``checkpoints/``, each a model of its own.
"""

from pathlib import Path

from essen.config import ModelConfig, TrainConfig
from essen.export import save_model
from essen.model import Essen
from essen.tokenizer import CaptionTokenizer
from pipeline import files

CHECKPOINTS = "checkpoints"
MILLION = 1_000_000
# https://babylm.github.io: every million words up to ten, every ten up to a hundred, every hundred up to a thousand.
BABYLM = tuple(MILLION * number * unit for unit in (1, 10, 100) for number in range(1 if unit == 1 else 2, 11))


def word_marks(config: TrainConfig) -> tuple[int, ...]:
    """Return the numbers of words after which the model is kept, rising."""
    return BABYLM if config.snapshots_at_words == "babylm" else config.snapshots_at_words


def snapshot_name(words: int) -> str:
    """Return the name of a model after a number of words: ``chck_3M``, ``chck_250K`` or ``chck_1234``."""
    for unit, letter in ((MILLION, "M"), (1_000, "K")):
        if words % unit == 0:
            return f"chck_{words // unit}{letter}"
    return f"chck_{words}"


def _words_of(name: str) -> int:
    number = name.removeprefix("chck_")
    units = {"M": MILLION, "K": 1_000}
    return int(number[:-1]) * units[number[-1]] if number[-1] in units else int(number)


def keep_snapshots(
    model: Essen, tokenizer: CaptionTokenizer, config: ModelConfig, folder: Path, marks: tuple[int, ...]
) -> None:
    """Write the model once for every number of words that the last step has reached.

    Args:
        model: the weights that are worth something now.
        tokenizer: of the model.
        config: of the model.
        folder: below which ``chck_…`` is written; where a training goes on from before, it writes the same again.
        marks: the numbers.
    """
    for words in marks:
        save_model(model, tokenizer, config, folder / snapshot_name(words))


def snapshots_of(folder: Path) -> list[Path]:
    """Return the folders of the models that training has kept in a model's folder, by rising number of words."""
    found = (folder / CHECKPOINTS).glob("chck_*")
    return sorted(found, key=lambda path: _words_of(path.name))


def copy_snapshots(folder: Path, target: Path, marks: tuple[int, ...]) -> None:
    """Copy what `keep_snapshots` has written for some numbers of words into a model's folder."""
    for name in map(snapshot_name, marks):
        for path in files.files_below(folder / name):
            files.write_bytes(target / CHECKPOINTS / name / path.name, path.read_bytes())
