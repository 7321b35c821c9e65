"""The two steps of measuring: signals of every sample, and vectors of every picture."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.errors import DataError
from pipeline.measure.caption import model_identity, write_caption_signals
from pipeline.measure.catalogue import unique_images, write_catalogue
from pipeline.measure.config import EmbedConfig, MeasureConfig
from pipeline.measure.embed import EfficientNetLite0, embed_images, encoder_identity
from pipeline.measure.image import VERSION, write_image_signals
from pipeline.measure.lexicon import lexicon_identity, write_lexicon_signals
from pipeline.workspace import Counts


def measure(config: MeasureConfig, raw: Mapping[str, Path], run: Path, out: Path) -> Counts:
    """Write ``signals/``: the catalogue of samples, and what pictures, captions and word lists say of each.

    Args:
        raw: folder of raw shards by corpus, in the recipe's order.
        run: the run directory, where ``raw/`` lies.
        out: the directory below which ``signals/`` is written.

    Raises:
        ConfigError: the spaCy model is missing.
        DataError: the corpora hold no sample.
    """
    folder = out / "signals"
    samples = folder / "samples.parquet"
    counts = write_catalogue(raw, samples, max_characters=config.max_characters)
    if counts["kept"] == 0:
        raise DataError(f"empty corpus: none of {counts['in']} rows is a picture with a caption {counts['dropped']}")
    files.write_json(folder / "catalogue.json", counts)
    images = unique_images(out, run)
    undecodable = write_image_signals(samples, images, folder / "image.parquet", workers=config.workers)
    unread = write_caption_signals(samples, folder / "caption.parquet", model=config.spacy_model)
    unlisted = write_lexicon_signals(samples, folder / "lexicon.parquet")
    files.write_json(folder / "sources.json", measure_sources(config))
    return {
        **counts,
        "pictures": len(images),
        "undecodable_pictures": undecodable,
        "captions_without_parse": unread,
        "captions_without_frequency": unlisted,
    }


def measure_sources(config: MeasureConfig) -> dict[str, Any]:
    """Return versions and hashes of what measures: part of the step's key, and of its output.

    Raises:
        ConfigError: the spaCy model is missing.
    """
    from importlib.metadata import version

    return {
        "caption": model_identity(config.spacy_model),
        "lexicon": lexicon_identity(),
        "image": {"version": VERSION, **{name: version(name) for name in ("pillow", "imagehash", "numpy")}},
    }


def embed(config: EmbedConfig, run: Path, out: Path) -> Counts:
    """Write ``embeddings/<encoder>/`` for every distinct picture of ``signals/samples.parquet``.

    Raises:
        ConfigError: the encoder's weights are not installed.
    """
    encoder = EfficientNetLite0(config.image_size)
    images = unique_images(run, run)
    rows = embed_images(encoder, images, out / "embeddings" / encoder.name, batch_size=config.batch_size)
    return {"pictures": len(images), "vectors": rows}


def embed_sources(config: EmbedConfig) -> dict[str, Any]:
    """Return versions and hashes of what embeds: part of the step's key.

    Raises:
        ConfigError: the encoder's weights are not installed.
    """
    return encoder_identity(config.encoder, config.image_size)
