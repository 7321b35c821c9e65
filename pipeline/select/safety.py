"""What has no place in a corpus for children: a hit ends the run, or drops the sample, as the card or the recipe says.

Words decide on captions, a person's own hash lists and classifiers on pictures. Only the words come with the
project: networks that look for adult content were trained on photographs and are blind to drawings.

Whatever is found, no more than uid and sha256 is said of it, and nothing of the picture is written anywhere.
"""

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.acquire.hash_lists import identity
from pipeline.errors import ConfigError, SafetyError
from pipeline.measure.caption import words_of
from pipeline.measure.language import READ_AS_ENGLISH, base_language
from pipeline.plugins import plugin_identity
from pipeline.select.plugins import classified, listed
from pipeline.select.real_children import CorpusFacts, Sample, real_child_drops
from pipeline.select.safety_config import SafetyConfig
from pipeline.select.verdict import SAFETY, Drop
from pipeline.select.word_lists import Heading, read_word_list, says, word_list
from pipeline.tables import read_columns

CHILDREN = "children"  # heading of a person's own list with the words for a child, which are not unsafe

log = logging.getLogger(__name__)


def safety_drops(
    config: SafetyConfig, run: Path, remaining: Iterable[str], corpora: Mapping[str, CorpusFacts] | None = None
) -> dict[str, Drop]:
    """Look at the captions and pictures of the samples that remain.

    Args:
        run: the run directory, for its signals and raw shards.
        corpora: what the cards say, by corpus; one that is not here is not made for children, and may hold photographs.

    Returns:
        The drops by uid: ``unsafe_<heading>`` for words, ``unsafe_listed`` for hash lists, ``unsafe_<reason>`` for
        classifiers, then those of `real_child_drops`. A picture that is a hit goes with all its captions.

    Raises:
        ConfigError: the recipe names a heading that the list does not have, or a plug-in or list cannot be used.
        SafetyError: there are hits in a corpus where that ends the run.
    """
    facts = corpora or {}
    wanted = set(remaining)
    samples = [sample for sample in read_samples(run) if sample.uid in wanted]
    lists = {lang: read_word_list(path) for lang, path in config.word_lists.items()}
    drops = {} if config.on_hit == "off" else _unsafe(config, samples, lists, facts)
    stopped = [
        sample
        for sample in samples
        if sample.uid in drops and config.stops(facts.get(sample.corpus, CorpusFacts()).child_directed)
    ]
    if stopped:
        raise SafetyError(_stop(stopped, drops))
    left = [sample for sample in samples if sample.uid not in drops]
    children = {lang: own[CHILDREN] for lang, own in lists.items() if CHILDREN in own}
    return drops | real_child_drops(config.real_children, left, facts, children)


def safety_sources(config: SafetyConfig) -> dict[str, Any]:
    """Return what decides besides the configuration: the code of the plug-ins, the hashes of the lists.

    Raises:
        ConfigError: a plug-in or a list cannot be used.
    """
    children = config.real_children
    plugins = [*(entry.plugin for entry in config.classifiers), children.faces, children.photographs]
    return {
        "plugins": [plugin_identity(name) for name in plugins if name],
        "hash_lists": identity(config.hash_lists),
        **({"word_lists": _digests(config.word_lists)} if config.word_lists else {}),
    }


def _digests(lists: Mapping[str, Path]) -> dict[str, str]:
    for path in lists.values():
        read_word_list(path)
    return {lang: files.sha256_file(path) for lang, path in sorted(lists.items())}


def _say_what_is_held_to_english(samples: Iterable[Sample], lists: Mapping[str, Mapping[str, Heading]]) -> None:
    """Log a line for each language whose captions no list was made for."""
    counts = Counter(base_language(sample.lang) for sample in samples)
    for lang in sorted(counts.keys() - lists.keys() - READ_AS_ENGLISH):
        log.warning(
            "%s: %s captions are held to an English list of unsafe words, which knows few of theirs; name a list in "
            "select.safety.word_lists",
            lang,
            f"{counts[lang]:,}",
        )


def read_samples(run: Path) -> list[Sample]:
    """Return what safety asks of the samples of a run, in the catalogue's order."""
    names = ["uid", "corpus", "image_sha256", "caption", "raw_shard", "raw_offset", "raw_size", "lang", "group"]
    catalogue = read_columns(run / "signals/samples.parquet", names)
    lemmas = read_columns(run / "signals/caption.parquet", ["nouns", "verbs"])
    return [
        Sample(uid, corpus, image, caption, (run / shard, offset, size), (*(nouns or ()), *(verbs or ())), lang, group)
        for uid, corpus, image, caption, shard, offset, size, lang, group, nouns, verbs in zip(
            *catalogue.values(), *lemmas.values(), strict=True
        )
    ]


def unsafe_images(run: Path) -> frozenset[str]:
    """Return the image hashes that safety has dropped under any caption: pictures that nothing may show."""
    verdicts = read_columns(run / "selection/verdicts.parquet", ["uid", "step"])
    images = dict(zip(*read_columns(run / "signals/samples.parquet", ["uid", "image_sha256"]).values(), strict=True))
    return frozenset(images[uid] for uid, step in zip(*verdicts.values(), strict=True) if step == SAFETY)


def _unsafe(
    config: SafetyConfig,
    samples: Sequence[Sample],
    lists: Mapping[str, Mapping[str, Heading]],
    facts: Mapping[str, CorpusFacts],
) -> dict[str, Drop]:
    """Return the samples with unsafe words, by the list of their language, and all of unsafe pictures.

    A picture with an English name is held to the English list by that, too, whatever it is called in a caption.
    """
    known = list(dict.fromkeys(name for words in (word_list(), *lists.values()) for name in words if name != CHILDREN))
    unknown = sorted(set(config.headings) - set(known))
    if unknown:
        raise ConfigError(f"select.safety.headings: no heading {unknown[0]}; there are {', '.join(known)}")
    _say_what_is_held_to_english(samples, lists)
    allowed = {caption.casefold() for caption in config.allow}
    headings = config.headings or tuple(known)
    drops = {}
    for sample in samples:
        if sample.caption.casefold() in allowed:
            continue
        listing = lists.get(base_language(sample.lang), word_list())
        heading = unsafe_heading(sample.caption, sample.lemmas, headings, listing)
        named = facts.get(sample.corpus, CorpusFacts()).english_groups and sample.group.casefold() not in allowed
        if named and not heading:
            heading = unsafe_heading(sample.group, (), headings, word_list())
        if heading:
            drops[sample.uid] = Drop(SAFETY, f"unsafe_{heading}")
    hashes = [entry for entry in config.hash_lists if entry.kind == "pdq"]
    if hashes:
        hits = listed(hashes, _places(samples, drops))
        drops |= {s.uid: Drop(SAFETY, "unsafe_listed") for s in samples if s.image in hits and s.uid not in drops}
    for classifier in config.classifiers:
        scores = classified(classifier, _places(samples, drops))
        drops |= {
            s.uid: Drop(SAFETY, f"unsafe_{classifier.reason}", score=scores[s.image])
            for s in samples
            if s.image in scores and s.uid not in drops
        }
    return drops


def _places(samples: Iterable[Sample], drops: Collection[str]) -> dict[str, tuple[Path, int, int]]:
    """Return where the pictures of the samples lie that nothing has dropped yet, by image hash, sorted."""
    return dict(sorted((sample.image, sample.place) for sample in samples if sample.uid not in drops))


def _stop(samples: Sequence[Sample], drops: Mapping[str, Drop]) -> str:
    """Return the one line that a run ends with: how many, where, why; of the samples hashes alone."""
    places = Counter(sample.corpus for sample in samples)
    reasons = Counter(drops[sample.uid].reason for sample in samples)
    where = ", ".join(f"{number} of {corpus}" for corpus, number in sorted(places.items()))
    why = ", ".join(f"{number} {reason}" for reason, number in sorted(reasons.items()))
    first = min(samples, key=lambda sample: sample.uid)
    return (
        f"{len(samples)} samples do not belong in a corpus for children: {where} ({why}); the first is uid {first.uid} "
        f"with the picture {first.image}; to leave them out, set select.safety.on_hit: drop"
    )


def unsafe_heading(
    caption: str, lemmas: Collection[str], headings: Sequence[str], listing: Mapping[str, Heading]
) -> str:
    """Return the first of the headings of a list that a caption falls under, or nothing."""
    words = words_of(caption)
    return next((name for name in headings if name in listing and says(words, lemmas, listing[name])), "")
