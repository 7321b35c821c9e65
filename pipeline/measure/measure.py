"""The steps of measuring: signals of every sample, and vectors of every picture and of every caption."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.errors import DataError
from pipeline.measure import caption, image, personal
from pipeline.measure.caption import write_caption_signals
from pipeline.measure.catalogue import unique_images, write_catalogue
from pipeline.measure.config import EmbedConfig, MeasureConfig
from pipeline.measure.embed import EfficientNetLite0, Encoder, embed_images, encoder_identity
from pipeline.measure.image import write_image_signals
from pipeline.measure.language import language_identity
from pipeline.measure.lexicon import lexicon_identity, write_lexicon_signals
from pipeline.measure.open_clip_encoder import OpenClip, is_open_clip, open_clip_identity
from pipeline.measure.parsers import parsers_identity
from pipeline.measure.text_encoder import MiniLM, embed_captions, text_encoder_identity
from pipeline.memory import kept_memory
from pipeline.parts import Spread, here
from pipeline.tables import read_columns
from pipeline.workspace import Counts

SIGNALS = (
    "samples.parquet",
    "rejected.parquet",
    "catalogue.json",
    "personal.parquet",
    "image.parquet",
    "caption.parquet",
    "lexicon.parquet",
    "sources.json",
)

log = logging.getLogger(__name__)


def measure(config: MeasureConfig, raw: Mapping[str, Path], run: Path, out: Path, *, spread: Spread = here) -> Counts:
    """Write ``signals/``: the catalogue of samples, and what pictures, captions and word lists say of each.

    Args:
        raw: folder of raw shards by corpus, in the recipe's order.
        run: the run directory, where ``raw/`` lies.
        out: the directory below which ``signals/`` is written.
        spread: does pictures and captions; it does not change a byte.

    Raises:
        ConfigError: the spaCy model is missing.
        DataError: the corpora hold no sample.
    """
    folder = out / "signals"
    samples = folder / "samples.parquet"
    counts = write_catalogue(raw, samples, max_characters=config.max_characters, personal=config.personal)
    if counts["kept"] == 0:
        raise DataError(f"empty corpus: none of {counts['in']} rows is a picture with a caption {counts['dropped']}")
    files.write_json(folder / "catalogue.json", counts)
    images = unique_images(out, run)
    undecodable = write_image_signals(
        samples,
        images,
        folder / "image.parquet",
        workers=config.workers,
        text_plugin=config.text_plugin,
        spread=spread,
    )
    languages = write_caption_signals(
        samples, folder / "caption.parquet", model=config.spacy_model, models=config.spacy_models, spread=spread
    )
    unlisted = write_lexicon_signals(
        samples, folder / "lexicon.parquet", names=config.lexicons, own=config.own_lexicons
    )
    files.write_json(folder / "sources.json", measure_sources(config))
    say_what_is_missing(languages, unlisted)
    return {
        **counts,
        "pictures": len(images),
        "undecodable_pictures": undecodable,
        "captions_without_parse": sum(entry["samples"] for entry in languages.values() if entry["without"]),
        "captions_without_frequency": sum(languages[lang]["samples"] for lang in unlisted),
        "languages": {lang: {**entry, "frequency": unlisted.get(lang, "")} for lang, entry in languages.items()},
    }


def measure_sources(config: MeasureConfig) -> dict[str, Any]:
    """Return versions and hashes of what measures: part of the step's key, and of its output.

    Raises:
        ConfigError: the spaCy model is missing.
    """
    from importlib.metadata import version

    return {
        "personal": {"version": personal.VERSION, "phonenumbers": version("phonenumbers")},
        "caption": {"version": caption.VERSION, **parsers_identity(config.spacy_models, config.spacy_model)},
        "language": language_identity(),
        "lexicon": lexicon_identity(config.lexicons, config.own_lexicons),
        "image": {"version": image.VERSION, **{name: version(name) for name in ("pillow", "scipy", "numpy")}},
    }


def say_what_is_missing(languages: Mapping[str, Mapping[str, Any]], unlisted: Mapping[str, str]) -> None:
    """Log a line for each language that has no tagger here, and for each without frequencies of words."""
    for lang, entry in languages.items():
        if entry["without"]:
            log.warning(
                "%s: no tagger reads its %s captions (%s); null for them: %s; name a spaCy model for it in "
                "measure.spacy_models, or go without",
                lang,
                f"{entry['samples']:,}",
                entry["parser"],
                ", ".join(f"caption.{name}" for name in entry["without"]),
            )
    for lang, why in unlisted.items():
        log.warning("%s: %s; null for it: lexicon.zipf_mean and zipf_min; caption.rarity counts in the run", lang, why)


@kept_memory()
def embed(config: EmbedConfig, run: Path, out: Path, *, spread: Spread = here) -> Counts:
    """Write ``embeddings/``: a vector for every distinct picture and for every distinct caption of the catalogue.

    Args:
        spread: does pictures and captions; it does not change a byte.

    Raises:
        ConfigError: an encoder's weights are not installed.
    """
    images = unique_images(run, run)
    captions = sorted(set(read_columns(run / "signals/samples.parquet", ["caption"])["caption"]))
    picture_encoder = image_encoder(config)
    folder = out / "embeddings" / config.image_folder
    parts = out / "parts"
    rows = embed_images(
        picture_encoder, images, folder, batch_size=config.batch_size, spread=spread, parts=parts / "pictures"
    )
    own = picture_encoder if isinstance(picture_encoder, OpenClip) and is_open_clip(config.text_encoder) else None
    words = own or MiniLM(config.batch_size)
    target = out / "embeddings" / config.text_folder
    texts = embed_captions(words, captions, target, spread=spread, parts=parts / "captions")
    return {"pictures": len(images), "vectors": rows, "captions": texts}


def image_encoder(config: EmbedConfig) -> Encoder:
    """Return the encoder of pictures, its weights loaded.

    Raises:
        ConfigError: they cannot be had.
    """
    if is_open_clip(config.encoder):
        return OpenClip(config.encoder, config.batch_size)
    return EfficientNetLite0(config.image_size)


def embed_sources(config: EmbedConfig) -> dict[str, Any]:
    """Return versions and hashes of what embeds: part of the step's key.

    Raises:
        ConfigError: an encoder's weights are not installed.
    """
    if is_open_clip(config.encoder):
        picture = open_clip_identity(config.encoder)
    else:
        picture = encoder_identity(config.encoder, config.image_size)
    own = is_open_clip(config.text_encoder)
    return {"image": picture, "text": picture if own else text_encoder_identity(config.text_encoder)}
