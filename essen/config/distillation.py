"""What a model learns from a model beside its data: from a trained teacher, or from its own fusion."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, Tag, model_validator

from essen.config.base import Config, by_kind

Labels = Literal["matching", "list", "contrast"]


class TeacherConfig(Config):
    """A trained model teaches: its scores as soft labels, and where its fusion looks (DiDE, arXiv 2112.08723).

    It sees the pixels that the student sees, at the steps and for the pairs of the fusion objectives (``fusion_every``
    and ``fusion_batch`` of the objectives).
    """

    kind: Literal["teacher"] = "teacher"
    teacher: str = Field(min_length=1, description="folder of the trained model that teaches")
    soft_labels: float = Field(default=1.0, ge=0, description="weight of its scores as soft labels; 0: none")
    labels: Literal["matching", "list", "contrast"] = Field(
        default="matching",
        description="which scores: matching of true pairs and their hard negatives, for the student's matching; "
        "matching of a picture with a list of captions, for the student's cosines; cosines of the whole batch, for the "
        "student's",
    )
    temperature: float = Field(default=1.0, gt=0, description="divides the logits of both before the softmax")
    candidates: int = Field(
        default=4,
        ge=1,
        description="list: wrong captions of a picture beside the true one, those the student likes best",
    )
    start: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="share of the steps that go by before it begins; lists hold towers back that know nothing yet",
    )
    attention: float = Field(
        default=1.0,
        ge=0,
        description="weight of the attention between words and cells: what the last queries and keys of the student's "
        "towers would look at, against what those of the teacher's last fusion layer do; 0: none",
    )
    target: Literal["teacher", "random"] = Field(
        default="teacher", description="attention to be learnt; random: the control, drawn anew for each pair"
    )

    @model_validator(mode="after")
    def _something_is_taught(self) -> Self:
        if not self.soft_labels and not self.attention:
            raise ValueError("distillation: give soft_labels or attention a weight, or leave the teacher out")
        return self


class MutualConfig(Config):
    """The model's own fusion teaches its towers to rank captions, and learns from their mistakes (LoopITR).

    The towers' cosines choose the negatives of matching (``hardness``), as they do without it; the matching logits of
    a picture with some captions are soft labels for its cosines, with no gradient to the fusion (arXiv 2203.05465).
    """

    kind: Literal["mutual"]
    soft_labels: float = Field(default=0.2, gt=0, description="weight of its scores as soft labels")
    temperature: float = Field(default=1.0, gt=0, description="divides the logits of both before the softmax")
    candidates: int = Field(
        default=4, ge=1, description="wrong captions of a picture beside the true one, those with the largest cosine"
    )
    start: float = Field(
        default=0.5,
        ge=0,
        lt=1,
        description="share of the steps that go by before it begins: at first neither side knows anything",
    )

    labels: ClassVar[Labels] = "list"
    attention: ClassVar[float] = 0.0
    target: ClassVar[Literal["teacher", "random"]] = "teacher"


AnyDistillation = Annotated[
    Annotated[TeacherConfig, Tag("teacher")] | Annotated[MutualConfig, Tag("mutual")], by_kind("teacher", "mutual")
]
