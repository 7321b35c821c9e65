"""What the model answered: some captions with the pictures it gave, some pictures with the captions it gave."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.report.config import ReportConfig
from pipeline.report.pictures import blank, data_uri, held_out_pictures

if TYPE_CHECKING:
    from pipeline.shards.read import Stages

NAMES = {"validation": "validation", "test_names": "held-out names", "test_style": "held-out style"}


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A caption, or a picture with its caption; what is not known is empty. Questions are `correct` too."""

    picture: str = ""
    caption: str = ""
    lang: str = ""
    correct: bool = False


@dataclass(frozen=True, kw_only=True)
class Query:
    """A question with the model's first answers.

    Attributes:
        asked: a caption or a picture.
        rank: of the first correct answer.
        answer: the first correct answer, wherever it stands.
        answers: what the model gave first.
    """

    asked: Shown
    rank: int
    answer: Shown
    answers: list[Shown]

    @property
    def hidden(self) -> bool:
        """Whether the correct answer is not among those shown."""
        return not any(answer.correct for answer in self.answers)


@dataclass(frozen=True, kw_only=True)
class AnsweredSet:
    """The queries of a held-out set: those by words, answered with pictures, and those by pictures."""

    name: str
    by_text: list[Query]
    by_picture: list[Query]


def set_name(split: str) -> str:
    """Return a split's name as people say it."""
    return NAMES.get(split, split.replace("_", " "))


def read_answers(
    config: ReportConfig, evaluation: dict[str, Any], stages: "Stages", unsafe: frozenset[str]
) -> list[AnsweredSet]:
    """Return the queries that the evaluation has recorded.

    Args:
        config: size of the pictures.
        evaluation: the record of `essen.evaluate.evaluate`.
        stages: whose evaluation sets were scored.
        unsafe: hashes of pictures that may not be shown; an empty one stands for them.
    """
    places = held_out_pictures(stages, unsafe)
    columns = [part.table.select(["uid", "caption", "lang"]).to_pydict() for part in stages.evaluation.values()]
    said = {uid: caption for own in columns for uid, caption in zip(own["uid"], own["caption"], strict=True)}
    lang = {caption: lang for own in columns for caption, lang in zip(own["caption"], own["lang"], strict=True)}

    def shown(item: dict[str, Any]) -> Shown:
        correct = item.get("correct", True)
        if "uid" not in item:
            return Shown(caption=item["caption"], lang=lang.get(item["caption"], ""), correct=correct)
        place, caption = places.get(item["uid"]), said.get(item["uid"], "")
        if place is None:
            return Shown(picture=blank(config.thumbnail), correct=correct)
        picture = data_uri(place[0].read(place[1]), config.thumbnail)
        return Shown(picture=picture, caption=caption, lang=lang.get(caption, ""), correct=correct)

    def queries(entry: dict[str, Any], direction: str) -> list[Query]:
        return [
            Query(
                asked=shown({key: example[key] for key in ("uid", "caption") if key in example}),
                rank=example["rank"],
                answer=shown(example["answer"]),
                answers=[shown(result) for result in example["results"]],
            )
            for example in entry["examples"]
            if example["direction"] == direction
        ]

    return [
        AnsweredSet(
            name=set_name(entry["name"]),
            by_text=queries(entry, "text_to_image"),
            by_picture=queries(entry, "image_to_text"),
        )
        for entry in evaluation["sets"]
        if entry["examples"]
    ]
