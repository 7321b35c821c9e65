"""Who reads the captions of a language: a spaCy model where one is installed, otherwise rules that only find words.

| parser | when | what it finds |
| --- | --- | --- |
| a model's package, ``fr_core_news_sm`` | it is named in the recipe, or installed for the language | everything |
| ``blank:fr`` | spaCy knows how the language writes words, and nothing more | words, sentences |
| ``blank:xx`` | spaCy does not know the language, or lacks a library for it (ja, ko, th, vi) | words, sentences |

In scripts that set no spaces between words, ``blank:xx`` takes letters with their marks for words
(`pipeline.sample.spaced`). What needs a tagger is null where there is none, and the run says so: nothing is read with
another language's model.
"""

import functools
import importlib.util
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution, entry_points, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import files
from pipeline.errors import ConfigError
from pipeline.measure.language import UNDECIDED, base_language

if TYPE_CHECKING:
    from spacy.language import Language

SPACY = "spacy>=3.8,<3.9"
BLANK = "blank:"
ANY_LANGUAGE = f"{BLANK}xx"
TOKENIZERS = ("sudachipy", "pythainlp", "pyvi", "natto-py")  # libraries that spaCy's ja, th, vi and ko need


def parser_of(lang: str, models: Mapping[str, str], default: str) -> str:
    """Return the name of what reads the captions of a language, see the table of this module.

    Args:
        lang: of the captions; ``und`` is read by the default model.
        models: packages of spaCy models by language, as the recipe names them.
        default: package of the model for English.

    Raises:
        ConfigError: the default model is not installed.
    """
    base = base_language(lang)
    if base in models:
        return models[base]
    if base in (UNDECIDED, language_read_by(default)):
        return default
    installed = next((name for name in _installed() if name.partition("_")[0] == base), "")
    return installed or _blank(base)


def load_parser(name: str) -> "Language":
    """Return what a name of `parser_of` stands for.

    Raises:
        ConfigError: a model or spaCy is not installed, or they do not fit each other.
    """
    if not name.startswith(BLANK):
        return load_model(name)
    import spacy

    nlp = spacy.blank(name.removeprefix(BLANK))
    nlp.add_pipe("sentencizer")
    return nlp


def language_read_by(model: str) -> str:
    """Return the language of an installed model.

    Raises:
        ConfigError: it is not installed.
    """
    return model_identity(model)["name"].partition("_")[0]


def parsers_identity(models: Mapping[str, str], default: str) -> dict[str, Any]:
    """Return what decides how captions are read: the models' identities, and what else is installed.

    Raises:
        ConfigError: a model that is asked for is not installed.
    """
    beside = {name: version(name) for name in _installed() if name not in (default, *models.values())}
    beside |= {name: found for name in TOKENIZERS if (found := version_of(name))}
    named = {lang: model_identity(name) for lang, name in sorted(models.items())}
    return model_identity(default) | ({"named": named} if named else {}) | ({"beside": beside} if beside else {})


def version_of(library: str) -> str:
    """Return the version of an installed library, empty if there is none."""
    try:
        return version(library)
    except PackageNotFoundError:
        return ""


def _installed() -> tuple[str, ...]:
    """Return the packages of spaCy models on this machine, sorted."""
    return tuple(sorted({entry.name for entry in entry_points(group="spacy_models")}))


@functools.cache
def _blank(base: str) -> str:
    """Return the blank pipeline of a language, or that of any where spaCy cannot make it."""
    import spacy

    try:
        return f"{BLANK}{spacy.blank(base).lang}"
    except ImportError:  # the language, or a library that its tokenizer needs
        return ANY_LANGUAGE


def load_model(name: str) -> "Language":
    """Load a spaCy model that is installed as a package, without its entity recogniser.

    Raises:
        ConfigError: it or spaCy is not installed, or they do not fit each other.
    """
    _check_installed(name)
    package = importlib.import_module(name)
    nlp: Language = package.load(exclude=["ner"])
    _multiply_with_numpy(nlp)
    return nlp


def _check_installed(name: str) -> None:
    """Raise unless spaCy and a model are there and fit each other; what is installed says so without being loaded.

    Raises:
        ConfigError: with the command that helps.
    """
    try:
        spacy = version("spacy")
    except PackageNotFoundError:
        raise ConfigError(f"spaCy is not installed; install it with: pip install '{SPACY}'") from None
    try:
        model = distribution(name)
    except PackageNotFoundError:
        if importlib.util.find_spec(name) is not None:  # a folder on the path, which tells nothing of itself
            return
        raise ConfigError(
            f"the spaCy model {name} is not installed; install it with: pip install {name.replace('_', '-')}"
        ) from None
    from packaging.requirements import Requirement

    for wanted in map(Requirement, model.requires or ()):
        if wanted.name == "spacy" and not wanted.specifier.contains(spacy, prereleases=True):
            raise ConfigError(
                f"the spaCy model {name} {model.version} needs spacy{wanted.specifier}, and {spacy} is installed; "
                f"install it with: pip install 'spacy{wanted.specifier}'"
            )


def _multiply_with_numpy(nlp: "Language") -> None:
    """Let a model's layers multiply matrices through NumPy, whose library knows this machine's vector instructions."""
    from thinc.api import NumpyOps

    class NumpyGemm(NumpyOps):
        def gemm(self, x: Any, y: Any, out: Any = None, trans1: bool = False, trans2: bool = False) -> Any:
            import numpy as np

            return np.matmul(x.T if trans1 else x, y.T if trans2 else y, out=out)

    ops = NumpyGemm()
    for _, component in nlp.pipeline:
        model = getattr(component, "model", None)
        for node in model.walk() if model is not None else ():
            node.ops = ops


@functools.cache  # every step of a run asks for it when its key is made, and loading the model takes a second
def model_identity(name: str) -> dict[str, str]:
    """Return name, version and hash of an installed model, which are part of what captions are measured with.

    Raises:
        ConfigError: it is not installed.
    """
    nlp = load_model(name)
    folder = Path(nlp.path) if nlp.path else Path()
    listing = {file.relative_to(folder).as_posix(): files.sha256_file(file) for file in files.files_below(folder)}
    return {
        "name": f"{nlp.meta['lang']}_{nlp.meta['name']}",
        "version": nlp.meta["version"],
        "sha256": files.digest(listing),
        "spacy": version("spacy"),
    }
