"""Search of a run: by words, by a picture or by one of its samples; best first, at most one sample a picture.

Words are compared with captions. A caption's score is half the cosine of the two texts by the text encoder, which
knows that a puppy is a dog, and half the TF-IDF cosine of their words, which knows that "hot dog" holds the word asked
for; so 1 is the very caption, and a name that no other caption has is found however rare it is. With an encoder that
sees pictures and words alike (open_clip), words can be compared with the pictures themselves.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import log, sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pipeline.errors import ConfigError
from pipeline.index.query import picture_vector, text_vector
from pipeline.index.store import Index, open_index
from pipeline.index.vectors import SIDES, nearest, vector_of
from pipeline.measure.caption import words_of

if TYPE_CHECKING:
    import numpy as np

WORDS = 0.5  # weight of the words themselves in the score of a caption
CANDIDATES = 8  # captions looked at for every picture that is asked for, as some captions are of one picture
FIELDS = ("uid", "image_sha256", "caption", "lang", "corpus", "licence", "url", "split")
Scores = dict[int, float]  # by row of pictures or of captions


@dataclass(frozen=True, slots=True)
class Hit:
    """A sample that was found; `score` is 1 for the same picture or the same words."""

    uid: str
    score: float
    image_sha256: str
    caption: str
    lang: str
    corpus: str
    licence: str
    url: str
    split: str


def search(
    run: Path,
    *,
    text: str | None = None,
    image: Path | None = None,
    uid: str | None = None,
    within: Literal["captions", "pictures"] = "captions",
    k: int = 12,
) -> list[Hit]:
    """Return the nearest kept samples, best first, at most one a picture.

    Args:
        text: words; see the module's text for how captions are ranked.
        image: a picture file; pictures are ranked by the cosine of their embeddings.
        uid: a kept sample; as `image`, without the sample's own picture.
        within: what words are compared with.
        k: how many at the most.

    Raises:
        ConfigError: there is no index, no such sample, the file is no picture, or not just one thing is asked for.
        DataError: the index is damaged, or is of other data or of another encoder.
    """
    if sum(asked is not None for asked in (text, image, uid)) != 1:
        raise ConfigError("look for one thing: words, a picture (--image FILE) or a sample (--uid UID)")
    if within == "pictures" and text is None:
        raise ConfigError("pictures are always compared with pictures; --within pictures goes with words")
    index = open_index(run)
    if uid is not None:
        return _best(index, "image", _neighbours_of(index, uid, k), k)
    if image is not None:
        vector = picture_vector(image, index.header["image"]["embeddings"]["encoder"])
        return _best(index, "image", dict(nearest(index.vectors("image"), vector, k)), k)
    assert text is not None
    if not text.strip():
        raise ConfigError("there are no words to look for")
    if within == "pictures":
        return _best(index, "image", _pictures_of_words(index, text, k), k)
    return _best(index, "text", _captions_of_words(index, text, k), k)


def alike(index: Index, uid: str, side: Literal["image", "text"], k: int) -> list[Hit]:
    """Return the samples nearest to a kept one by their pictures, or by their captions, best first.

    As `search` ranks them, but no encoder is needed: the vectors are those of the index. The sample's own picture, or
    own caption, is left out, and every picture, or every caption, found at most once.

    Raises:
        ConfigError: there is no such sample.
        DataError: the index is damaged.
    """
    if side == "image":
        return _best(index, "image", _neighbours_of(index, uid, k), k)
    own, caption = _place(index, uid, "text_row"), _place(index, uid, "caption")
    scores = _captions_near(index, caption, vector_of(index.vectors("text"), own), k + 1)
    others = {row: score for row, score in scores.items() if row != own}
    by_caption: dict[str, Hit] = {}
    for hit in _best(index, "text", others, len(index.samples["uid"])):
        by_caption.setdefault(hit.caption, hit)
    return list(by_caption.values())[:k]


def _place(index: Index, uid: str, column: str) -> Any:
    """Return what a column of the samples says of one."""
    if uid not in index.samples["uid"]:
        raise ConfigError(f"{index.folder.parent} has kept no sample {uid}")
    return index.samples[column][index.samples["uid"].index(uid)]


def _neighbours_of(index: Index, uid: str, k: int) -> Scores:
    own, vectors = _place(index, uid, "image_row"), index.vectors("image")
    return {row: score for row, score in nearest(vectors, vector_of(vectors, own), k + 1) if row != own}


def _pictures_of_words(index: Index, text: str, k: int) -> Scores:
    made_by = {side: index.header[side]["embeddings"]["encoder"] for side in SIDES}
    if made_by["image"]["encoder"] != made_by["text"]["encoder"]:
        raise ConfigError(
            "words and pictures of this run have encoders of their own; for --within pictures, embed both with one "
            "open_clip model (embed.encoder, embed.text_encoder)"
        )
    return dict(nearest(index.vectors("image"), text_vector(text, made_by["text"]), k))


def _captions_of_words(index: Index, text: str, k: int) -> Scores:
    vector = text_vector(text, index.header["text"]["embeddings"]["encoder"])
    return _captions_near(index, text, vector, k)


def _captions_near(index: Index, text: str, vector: "np.ndarray", k: int) -> Scores:
    """Return the scores of all captions that may be among the best.

    One that neither is among the nearest by meaning nor shares a word cannot be.
    """
    import numpy as np

    vectors = index.vectors("text")
    shared = word_scores(_captions(index), text)
    cosines = dict(nearest(vectors, vector, max(CANDIDATES * k, 64)))
    cosines |= {row: float(np.dot(vector_of(vectors, row), vector)) for row in shared if row not in cosines}
    return {row: WORDS * shared.get(row, 0.0) + (1 - WORDS) * cosine for row, cosine in cosines.items()}


def word_scores(captions: Sequence[str], text: str) -> dict[int, float]:
    """Return the TF-IDF cosine, 0 to 1, of every caption that shares a word with the text, by its place."""
    documents = [Counter(words_of(caption)) for caption in captions]
    frequency = Counter(word for document in documents for word in document)
    weight = {word: log(1 + len(documents) / number) for word, number in frequency.items()}
    rare = log(1 + len(documents))  # of a word that no caption has: as if one had it
    query = {word: count * weight.get(word, rare) for word, count in Counter(words_of(text)).items()}
    length = sqrt(sum(value**2 for value in query.values()))
    found = {}
    for place, document in enumerate(documents):
        shared = sum(value * document[word] * weight[word] for word, value in query.items() if word in document)
        if shared:
            norm = sqrt(sum((count * weight[word]) ** 2 for word, count in document.items()))
            found[place] = min(1.0, shared / (norm * length))
    return found


def _captions(index: Index) -> list[str]:
    """Return the distinct captions in the order of their rows."""
    by_row = dict(zip(index.samples["text_row"], index.samples["caption"], strict=True))
    return [by_row[row] for row in range(len(by_row))]


def _best(index: Index, side: str, scores: Scores, k: int) -> list[Hit]:
    """Return the k best pictures, each by its best sample; ties fall to the smaller uid.

    Args:
        side: whose rows the scores are of.
    """
    best: dict[int, tuple[float, int]] = {}
    for place, (picture, row) in enumerate(zip(index.samples["image_row"], index.samples[f"{side}_row"], strict=True)):
        if row in scores:
            best[picture] = max(best.get(picture, (-2.0, 0)), (scores[row], -place))
    chosen = sorted(best.values(), reverse=True)[:k]
    return [Hit(score=score, **{name: index.samples[name][-place] for name in FIELDS}) for score, place in chosen]
