"""The content words of pairs, as numbers: which lemmas stand in which caption."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.curriculum.pairs import Pairs

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

CONTENT = ("nouns", "verbs", "adjectives")


@dataclass(frozen=True, kw_only=True)
class Lemmas:
    """Lemmas of N captions, each once a caption.

    Attributes:
        names: (L,) the lemmas, sorted.
        rows: (M,) the caption of every occurrence, rising.
        codes: (M,) the lemma of every occurrence, as its place in `names`.
        unread: captions that no tagger has read; their words count as they stand.
    """

    names: "np.ndarray"
    rows: "np.ndarray"
    codes: "np.ndarray"
    unread: int = 0

    def of(self, row: int) -> list[str]:
        """Return the lemmas of one caption, sorted."""
        import numpy as np

        first, last = np.searchsorted(self.rows, [row, row + 1])
        return [str(name) for name in self.names[self.codes[first:last]]]


def read_nouns(pairs: Pairs) -> Lemmas:
    """Return the nouns of every pair."""
    return _lemmas([pairs.signals("caption", ["nouns"]).column("nouns")])


def read_content(pairs: Pairs) -> Lemmas:
    """Return nouns, verbs and adjectives of every pair; of captions that were not read, all words."""
    import numpy as np
    import pyarrow as pa

    from pipeline.measure.caption import words_of

    columns = pairs.signals("caption", CONTENT).columns
    unread = np.logical_and.reduce([column.is_null().to_numpy() for column in columns])
    words: list[list[str] | None] = [None] * len(pairs)
    for row in np.flatnonzero(unread):
        words[row] = words_of(pairs.column("caption")[int(row)].as_py())
    return _lemmas([*columns, pa.chunked_array([pa.array(words, pa.list_(pa.string()))])], unread=int(unread.sum()))


def _lemmas(columns: "list[pa.ChunkedArray]", unread: int = 0) -> Lemmas:
    """Join list columns into distinct (row, lemma) pairs."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    lists = [column.combine_chunks() for column in columns]
    rows = np.concatenate([pc.list_parent_indices(array).to_numpy() for array in lists])
    coded = pa.chunked_array([pc.list_flatten(array) for array in lists], pa.string()).combine_chunks()
    coded = coded.dictionary_encode()
    names, given = np.asarray(coded.dictionary.to_pylist(), dtype=object), coded.indices.to_numpy()
    order = np.argsort(names, kind="stable")
    rank = np.empty(len(names), dtype=np.int64)
    rank[order] = np.arange(len(names))
    both = distinct(rows.astype(np.int64) * max(1, len(names)) + rank[given])
    found, codes = np.divmod(both, max(1, len(names)))
    return Lemmas(names=names[order], rows=found, codes=codes, unread=unread)


def distinct(values: "np.ndarray") -> "np.ndarray":
    """Return the different ones of some integers, rising; a sort of millions is faster than NumPy's hash table."""
    import numpy as np

    ranked = np.sort(values)
    return ranked[np.r_[True, ranked[1:] != ranked[:-1]]] if len(ranked) else ranked
