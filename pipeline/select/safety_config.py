"""What has no place in the corpus: words, pictures, and photographs of real children."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from pipeline.acquire.options import HashList, Screen
from pipeline.config import Config
from pipeline.measure.language import BaseLanguage

PLUGIN = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"


class Classifier(Config):
    """A person's own classifier of pictures.

    The function takes a list of (H, W, 3) uint8 arrays and returns as many scores from 0 to 1.
    """

    plugin: str = Field(pattern=PLUGIN, description="module:function")
    threshold: float = Field(default=0.5, ge=0, le=1, description="smallest score that is a hit")
    reason: str = Field(default="picture", pattern=r"^[a-z][a-z0-9_]*$", description="a hit's reason: unsafe_<reason>")
    batch_size: int = Field(default=32, ge=1, description="pictures at once")


class RealChildrenConfig(Config):
    """What becomes of photographs that show real children; drawings of children are no concern of it.

    - ``exclude``: photographs in which the face plug-in finds a child, or whose caption speaks of one, do not stay.
    - ``illustrated_only``: no photograph stays.
    - ``blur``: faces of all pictures but drawings are blurred when they are acquired, before anything is stored.
    - ``allow``: nothing is done.

    What is a photograph is known from the card (``imagery``); of mixed corpora the photo plug-in decides, otherwise
    the estimate of `pipeline.select.photographs`.
    """

    policy: Literal["exclude", "illustrated_only", "blur", "allow"] = Field(default="exclude", description="see above")
    faces: str = Field(
        default="",
        pattern=rf"^$|{PLUGIN}",
        description="module:function from (H, W, 3) uint8 to boxes (left, top, right, bottom[, is_child]); empty: none",
    )
    child_threshold: float = Field(default=0.5, ge=0, le=1, description="is_child from which a face is a child's")
    photographs: str = Field(
        default="",
        pattern=rf"^$|{PLUGIN}",
        description="module:function from (H, W, 3) uint8 to the probability of a photograph; empty: an estimate",
    )
    photo_threshold: float = Field(default=0.5, ge=0, le=1, description="probability from which it is a photograph")

    @model_validator(mode="after")
    def _can_blur(self) -> Self:
        if self.policy == "blur" and not self.faces:
            raise ValueError("blur needs faces: module:function, which finds them")
        return self


class SafetyConfig(Config):
    """What becomes of samples that have no place in a corpus for children.

    A hit ends the run with code 6 or drops the sample, with every caption of the picture where the picture is meant.
    """

    on_hit: Literal["by_card", "stop", "drop", "off"] = Field(
        default="by_card", description="by_card: stop in corpora made for children, drop in others"
    )
    headings: tuple[str, ...] = Field(default=(), description="headings of the word list that count; empty: all")
    word_lists: dict[BaseLanguage, Path] = Field(
        default={},
        description="your own word lists by language, from the recipe, in the form of "
        "pipeline/select/unsafe_words.yaml; a heading children has the words for a child; captions in other languages "
        "are held to the English list",
    )
    allow: tuple[str, ...] = Field(default=(), description="captions that may stay all the same")
    classifiers: tuple[Classifier, ...] = Field(default=(), description="your own classifiers of pictures")
    hash_lists: tuple[HashList, ...] = Field(default=(), description="your own lists of pictures, from the recipe")
    real_children: RealChildrenConfig = Field(default=RealChildrenConfig(), description="photographs of children")

    def at(self, folder: Path) -> "SafetyConfig":
        """Return the configuration with the paths of its lists starting from a folder."""
        lists = tuple(entry.model_copy(update={"path": folder / entry.path}) for entry in self.hash_lists)
        words = {lang: folder / path for lang, path in self.word_lists.items()}
        return self.model_copy(update={"hash_lists": lists, "word_lists": words})

    def stops(self, child_directed: bool) -> bool:
        """Tell whether a hit in such a corpus ends the run."""
        return self.on_hit == "stop" or (self.on_hit == "by_card" and child_directed)

    def screen(self, *, child_directed: bool, imagery: str) -> Screen:
        """Return what is done to the pictures of a corpus as they arrive."""
        lists = tuple(entry for entry in self.hash_lists if entry.kind != "pdq")
        blurs = self.real_children.policy == "blur" and imagery != "drawings"
        return Screen(
            hash_lists=() if self.on_hit == "off" else lists,
            stop=bool(lists) and self.stops(child_directed),
            blur=self.real_children.faces if blurs else "",
        )
