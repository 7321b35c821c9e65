"""Trials: pictures and texts with an answer, written down in a JSON file.

A manifest, format ``essen-trials/1``. Paths are relative to the manifest and lie below its folder; `group` names what
belongs together (a story, a session, a sentence) and is drawn as a whole by the bootstrap; without it each trial is by
itself::

    {"format": "essen-trials/1", "name": "vocabulary", "task": "choice", "trials": [
      {"id": "ball", "images": ["ball.png", "dog.png"], "texts": ["a ball"], "target": 0, "group": "toys",
       "shares": [0.9, 0.1]}]}

``choice``
    One text and n pictures, or one picture and n texts; `target` is the place of the right one. Visual vocabulary,
    grammar comprehension and looking-while-listening have this form. `shares`, if given, say how people chose, and sum
    to 1. Two pictures and two texts are an item of Winoground's form: `target` lists the picture of each text, by
    default [0, 1].
``truth``
    `images`, one `text`, `label` true or false: whether the text is true of each of these pictures.
``entailment``
    One picture, one `text`, `label` ``entailment``, ``neutral`` or ``contradiction``.
``answer``
    One picture, one `text` (the question), `label`: the answer, or a mapping from answers to scores from 0 to 1.
``reasoning``
    Two pictures, one `text`, `label` true or false of both together.

Trials of the last three may carry `split`, ``train`` or ``test``, all or none of them. Without it groups are dealt into
two halves, and a head that was trained on one answers the other.

A folder with NLVR's ``sentences.json`` is read as ``truth``; its group is the sentence.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

import pydantic
from pydantic import Field, model_validator

from essen.config import Config
from essen.errors import TrialsError
from pipeline import files

FORMAT = "essen-trials/1"
ENTAILMENT = ("entailment", "neutral", "contradiction")
Share = Annotated[float, Field(ge=0, le=1)]


class Trial(Config):
    """What every trial has."""

    id: str = Field(min_length=1, description="its name, used once")
    group: str | None = Field(default=None, description="unit of the bootstrap; null: the trial itself")
    images: tuple[str, ...] = Field(min_length=1, description="paths below the manifest's folder")

    @property
    def unit(self) -> str:
        """What the bootstrap draws."""
        return self.id if self.group is None else self.group

    @model_validator(mode="after")
    def _paths_stay_below(self) -> Self:
        for name in self.images:
            path = Path(name)
            if path.is_absolute() or ".." in path.parts or path == Path():
                raise ValueError(f"{name!r} is no path below the manifest's folder")
        return self


class ChoiceTrial(Trial):
    """One of several pictures or texts is right, or two pictures go with two texts."""

    texts: tuple[str, ...] = Field(min_length=1)
    target: int | tuple[int, int] | None = None
    shares: tuple[Share, ...] = Field(default=(), description="how people chose, summing to 1")

    @property
    def square(self) -> bool:
        """Whether this is an item of Winoground's form."""
        return len(self.images) == len(self.texts) == 2

    @property
    def options(self) -> int:
        """Number of things to choose from."""
        return max(len(self.images), len(self.texts))

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if self.square:
            if self.target not in (None, (0, 1), (1, 0)) or self.shares:
                raise ValueError("two pictures and two texts: target is [0, 1] or [1, 0], and there are no shares")
            return self
        if min(len(self.images), len(self.texts)) != 1 or self.options < 2:
            raise ValueError("give one text and several pictures, one picture and several texts, or two of each")
        if not isinstance(self.target, int) or not 0 <= self.target < self.options:
            raise ValueError(f"target is the place of the right one, from 0 to {self.options - 1}")
        if self.shares and (len(self.shares) != self.options or abs(sum(self.shares) - 1) > 0.01):
            raise ValueError("shares are one for each choice and sum to 1")
        return self


class TruthTrial(Trial):
    """A text that is true or false of each of some pictures."""

    text: str
    label: bool


class LabelledTrial(Trial):
    """Pictures and a text with an answer, for a head."""

    text: str
    label: bool | str | dict[str, Share]
    split: Literal["train", "test"] | None = None

    @property
    def answers(self) -> dict[str, float]:
        """Answers with their scores."""
        if isinstance(self.label, dict):
            return self.label
        return {str(self.label).lower() if isinstance(self.label, bool) else self.label: 1.0}


class _Manifest(Config):
    format: Literal["essen-trials/1"]
    name: str = Field(min_length=1)
    description: str = ""


class ChoiceManifest(_Manifest):
    """Forced choice."""

    task: Literal["choice"]
    trials: tuple[ChoiceTrial, ...] = Field(min_length=1)


class TruthManifest(_Manifest):
    """True or false."""

    task: Literal["truth"]
    trials: tuple[TruthTrial, ...] = Field(min_length=1)


class HeadManifest(_Manifest):
    """Tasks that need a head of their own."""

    task: Literal["entailment", "answer", "reasoning"]
    trials: tuple[LabelledTrial, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _labels_fit_the_task(self) -> Self:
        for trial in self.trials:
            pictures = 2 if self.task == "reasoning" else 1
            if len(trial.images) != pictures:
                raise ValueError(f"trial {trial.id}: {self.task} takes {pictures} picture{'s' * (pictures > 1)}")
            if isinstance(trial.label, bool) != (self.task == "reasoning"):
                raise ValueError(f"trial {trial.id}: {self.task} does not take the label {trial.label!r}")
            if self.task == "entailment" and trial.label not in ENTAILMENT:
                raise ValueError(f"trial {trial.id}: the label is one of {', '.join(ENTAILMENT)}")
        if len({trial.split is None for trial in self.trials}) > 1:
            raise ValueError("give every trial a split, or none")
        if {trial.split for trial in self.trials} in ({"train"}, {"test"}):
            raise ValueError("splits need trials of both train and test")
        units = {split: {trial.unit for trial in self.trials if trial.split == split} for split in ("train", "test")}
        if both := sorted(units["train"] & units["test"]):
            raise ValueError(f"the group {both[0]!r} stands in both splits")
        return self


Manifest = ChoiceManifest | TruthManifest | HeadManifest
_ANY: pydantic.TypeAdapter[Manifest] = pydantic.TypeAdapter(Annotated[Manifest, Field(discriminator="task")])


def read_manifest(path: Path) -> Manifest:
    """Read a manifest of trials.

    Raises:
        TrialsError: it is missing, damaged or not of the form that the module's text describes.
    """
    content = _read(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise TrialsError(f"{path} is not of the format {FORMAT}; see essen.evaluate.trials for its form")
    try:
        manifest = _ANY.validate_python(content, strict=False)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        more = f" and {error.error_count() - 1} more" if error.error_count() > 1 else ""
        raise TrialsError(f"{path}: {place}: {first['msg']}{more}; correct the manifest") from None
    names = [trial.id for trial in manifest.trials]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise TrialsError(f"{path}: the id {twice!r} stands twice; correct the manifest")
    return manifest


def read_nlvr(folder: Path) -> TruthManifest:
    """Read NLVR's sentences, each with the orders of its boxes (Suhr et al. 2017).

    Raises:
        TrialsError: ``sentences.json`` is missing, damaged or of another form.
    """
    path = folder / "sentences.json"
    try:
        trials = tuple(
            TruthTrial(
                id=entry["id"],
                group=" ".join(entry["sentence"].casefold().split()),
                images=entry["images"],
                text=entry["sentence"],
                label=entry["label"],
            )
            for entry in _read(path)
        )
        return TruthManifest(format=FORMAT, name=folder.name, task="truth", trials=trials)
    except (TypeError, KeyError, AttributeError, pydantic.ValidationError) as error:
        reason = " ".join(str(error).split())[:200]
        raise TrialsError(f"{path} is not NLVR's list of sentences ({reason})") from None


def _read(path: Path) -> Any:
    try:
        return files.read_json(path)
    except OSError as error:
        raise TrialsError(f"{path} cannot be read ({error.strerror}); name a manifest of trials") from None
    except ValueError:
        raise TrialsError(f"{path} is damaged: not a JSON text") from None
