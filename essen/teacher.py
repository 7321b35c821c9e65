"""A trained model that teaches another one: read, and held against the student before the first step."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from essen.batches import TrainingData
from essen.config import FusionConfig, MutualConfig, NoFusionConfig, ShallowConfig, TrainConfig
from essen.errors import EssenError
from essen.export import load_model
from essen.model import Essen
from essen.objectives.attention import QueryKey, TowerAttention, last_attention
from essen.objectives.distillation import Distiller
from pipeline import files

WITHOUT = "or set train.distillation.attention: 0"


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """A trained model in evaluation mode, without gradients.

    Attributes:
        model: the model.
        captions: ids and mask (captions, L) of all training captions in its own word pieces; None where these are the
            student's, and as many of a caption.
        weights_sha256: of its weights.
    """

    model: Essen
    captions: tuple[Tensor, Tensor] | None
    weights_sha256: str


class QueryKeys(nn.Module):
    """The queries and keys of those towers that have none to learn; part of the training, not of the model."""

    def __init__(self, image: QueryKey | None, text: QueryKey | None) -> None:
        super().__init__()
        self.image, self.text = image, text


def read_teacher(folder: str, data: TrainingData, max_length: int) -> Teacher | None:
    """Read a model that is to teach.

    Args:
        folder: of the model; empty: nobody teaches.
        data: what is trained on.
        max_length: word pieces of a caption that the student reads.

    Raises:
        EssenError: the folder holds no sound model.
    """
    if not folder:
        return None
    model, tokenizer = load_model(Path(folder))
    model = model.requires_grad_(False).to(memory_format=torch.channels_last)
    longest = model.config.text.max_length
    alike = tokenizer.to_json() == data.tokenizer.to_json() and longest >= max_length
    return Teacher(
        model=model,
        captions=None if alike else tokenizer.encode(data.different_captions, longest),
        weights_sha256=files.sha256_file(Path(folder, "model.safetensors")),
    )


def build_query_keys(config: TrainConfig, student: Essen, teacher: Teacher | None) -> QueryKeys | None:
    """Return what the student's towers lack to learn the teacher's attention; None where they lack nothing.

    Its weights depend on the seed alone. Queries and keys of one size for both towers: that of the tower with attention
    of its own, or else of the teacher's.

    Raises:
        EssenError: the student cannot learn what it is to learn from this teacher.
    """
    if isinstance(config.distillation, MutualConfig) and isinstance(
        student.config.fusion, NoFusionConfig | ShallowConfig
    ):
        raise EssenError(
            f"train.distillation of kind mutual: model.fusion of kind {student.config.fusion.kind} fuses no tokens, so "
            "it knows no more than the towers; choose another fusion, or a teacher"
        )
    if teacher is None or config.distillation is None or not config.distillation.attention:
        return None
    heads, size = _check_attention(student, teacher)
    last = {"image": last_attention(student.vision), "text": last_attention(student.text)}
    if all(last.values()):
        return None
    widths = {"image": student.vision.width, "text": student.text.width}
    if student.config.towers == "two" and not isinstance(student.config.fusion, NoFusionConfig):
        widths = dict.fromkeys(widths, student.config.fusion.width)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        missing = {
            name: None if block is not None else QueryKey(widths[name], heads, size) for name, block in last.items()
        }
    return QueryKeys(**missing)


def build_distiller(
    config: TrainConfig, student: Essen, teacher: Teacher | None, query_keys: QueryKeys | None
) -> Distiller | None:
    """Return who teaches what; None where nobody does."""
    if config.distillation is None:
        return None
    watched: dict[str, TowerAttention] = {}
    if config.distillation.attention:
        for name, tower in (("image", student.vision), ("text", student.text)):
            projection = getattr(query_keys, name, None)
            watched[name] = TowerAttention(None if projection else last_attention(tower), projection)
    return Distiller(
        config=config.distillation,
        teacher=teacher.model if teacher else None,
        captions=teacher.captions if teacher else None,
        **watched,
        first=round(config.distillation.start * config.steps),
    )


def _check_attention(student: Essen, teacher: Teacher) -> tuple[int, int]:
    """Return the number and size of the heads that the student's queries and keys are to have.

    Raises:
        EssenError: they cannot be compared with the teacher's.
    """
    fusion = teacher.model.config.fusion
    if not isinstance(fusion, FusionConfig):
        raise EssenError(
            f"train.distillation.teacher: its fusion of kind {fusion.kind} has no attention between words and cells; "
            f"name a model with lxmert, meter or concat, {WITHOUT}"
        )
    if student.config.towers == "one":
        raise EssenError(f"train.distillation.attention: a student of one tower has no two to learn it; {WITHOUT[3:]}")
    if teacher.captions is not None:
        raise EssenError(
            "train.distillation.attention: teacher and student read captions in different word pieces; train both on "
            f"the same stages with the same text.vocab_size and text.max_length, {WITHOUT}"
        )
    cells = [_cells(model) for model in (teacher.model, student)]
    if cells[0] != cells[1]:
        raise EssenError(
            f"train.distillation.attention: the teacher has {cells[0]} cells of a picture, the student {cells[1]}; "
            f"give their vision towers and image_size the same number, {WITHOUT}"
        )
    found = {}
    for name, tower in (("vision", student.vision), ("text", student.text)):
        if (last := last_attention(tower)) is None:
            continue
        if last.heads != fusion.heads:
            raise EssenError(
                f"train.distillation.attention: the teacher's fusion has {fusion.heads} heads, the last block of the "
                f"student's model.{name} has {last.heads}; give them equally many, {WITHOUT}"
            )
        found[name] = tower.width // fusion.heads
    if len(set(found.values())) > 1:
        raise EssenError(
            "train.distillation.attention: queries of words and keys of cells need one size, the student's heads are "
            f"{found['vision']} wide in vision and {found['text']} in text; give both towers the same width, {WITHOUT}"
        )
    return fusion.heads, next(iter(found.values()), fusion.width // fusion.heads)


@torch.no_grad()
def _cells(model: Essen) -> int:
    """Return with how many tokens a model sees a picture, a class token among them."""
    training, size = model.training, model.config.image_size
    tokens = model.eval().encode_images(torch.zeros(1, 3, size, size)).tokens
    model.train(training)
    return tokens.shape[1]
