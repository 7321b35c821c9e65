"""What has no place in a corpus for children: a hit ends the run, or drops the sample, as the card or the recipe says.

Words decide on captions, a person's own hash lists and classifiers on pictures. Only the words come with the
project: networks that look for adult content were trained on photographs and are blind to drawings.

Whatever is found, no more than uid and sha256 is said of it, and nothing of the picture is written anywhere.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.acquire.hash_lists import identity
from pipeline.errors import ConfigError, SafetyError
from pipeline.measure.caption import words_of
from pipeline.plugins import plugin_identity
from pipeline.select.plugins import classified, listed
from pipeline.select.real_children import CorpusFacts, Sample, real_child_drops
from pipeline.select.safety_config import SafetyConfig
from pipeline.select.verdict import SAFETY, Drop
from pipeline.tables import read_columns

WORD_LIST = Path(__file__).with_name("unsafe_words.yaml")
Phrase = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Heading:
    """One heading of the word list: phrases that count, and phrases in which they do not."""

    words: frozenset[Phrase]
    harmless: tuple[Phrase, ...]


@cache
def word_list() -> Mapping[str, Heading]:
    """Return the word list that comes with the project, by heading."""
    import yaml

    parsed = yaml.safe_load(WORD_LIST.read_text(encoding="utf-8"))
    return {
        name: Heading(
            words=frozenset(tuple(words_of(word)) for word in entry["words"]),
            harmless=tuple(tuple(words_of(phrase)) for phrase in entry["except"]),
        )
        for name, entry in parsed.items()
    }


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
    drops = {} if config.on_hit == "off" else _unsafe(config, samples)
    stopped = [
        sample
        for sample in samples
        if sample.uid in drops and config.stops(facts.get(sample.corpus, CorpusFacts()).child_directed)
    ]
    if stopped:
        raise SafetyError(_stop(stopped, drops))
    left = [sample for sample in samples if sample.uid not in drops]
    return drops | real_child_drops(config.real_children, left, facts)


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
    }


def read_samples(run: Path) -> list[Sample]:
    """Return what safety asks of the samples of a run, in the catalogue's order."""
    names = ["uid", "corpus", "image_sha256", "caption", "raw_shard", "raw_offset", "raw_size"]
    catalogue = read_columns(run / "signals/samples.parquet", names)
    lemmas = read_columns(run / "signals/caption.parquet", ["nouns", "verbs"])
    return [
        Sample(uid, corpus, image, caption, (run / shard, offset, size), (*(nouns or ()), *(verbs or ())))
        for uid, corpus, image, caption, shard, offset, size, nouns, verbs in zip(
            *catalogue.values(), *lemmas.values(), strict=True
        )
    ]


def unsafe_images(run: Path) -> frozenset[str]:
    """Return the image hashes that safety has dropped under any caption: pictures that nothing may show."""
    verdicts = read_columns(run / "selection/verdicts.parquet", ["uid", "step"])
    images = dict(zip(*read_columns(run / "signals/samples.parquet", ["uid", "image_sha256"]).values(), strict=True))
    return frozenset(images[uid] for uid, step in zip(*verdicts.values(), strict=True) if step == SAFETY)


def _unsafe(config: SafetyConfig, samples: Sequence[Sample]) -> dict[str, Drop]:
    """Return the samples with unsafe words, and all of unsafe pictures."""
    unknown = sorted(set(config.headings) - word_list().keys())
    if unknown:
        raise ConfigError(f"select.safety.headings: no heading {unknown[0]}; there are {', '.join(word_list())}")
    allowed = {caption.casefold() for caption in config.allow}
    headings = config.headings or tuple(word_list())
    drops = {}
    for sample in samples:
        heading = (
            "" if sample.caption.casefold() in allowed else unsafe_heading(sample.caption, sample.lemmas, headings)
        )
        if heading:
            drops[sample.uid] = Drop(SAFETY, f"unsafe_{heading}")
    lists = [entry for entry in config.hash_lists if entry.kind == "pdq"]
    if lists:
        hits = listed(lists, _places(samples, drops))
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


def unsafe_heading(caption: str, lemmas: Sequence[str], headings: Sequence[str]) -> str:
    """Return the first heading that a caption falls under, or nothing."""
    words = words_of(caption)
    for name in headings:
        heading = word_list()[name]
        rest = words
        for phrase in heading.harmless:
            rest = _without(rest, phrase)
        taken_out = Counter(words) - Counter(rest)
        found = _phrases(rest, 4) | {(lemma,) for lemma in lemmas if lemma not in taken_out}
        if found & heading.words:
            return name
    return ""


def _phrases(words: Sequence[str], longest: int) -> set[Phrase]:
    return {
        tuple(words[start : start + length])
        for length in range(1, longest + 1)
        for start in range(len(words) - length + 1)
    }


def _without(words: Sequence[str], phrase: Phrase) -> list[str]:
    """Return the words with every occurrence of a phrase taken out."""
    rest, place = [], 0
    while place < len(words):
        if tuple(words[place : place + len(phrase)]) == phrase:
            place += len(phrase)
        else:
            rest.append(words[place])
            place += 1
    return rest
