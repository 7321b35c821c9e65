"""Word pieces learned from the training captions (library `tokenizers`)."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import tokenizers
import torch
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers
from torch import Tensor

from essen.errors import EssenError
from pipeline import files

PAD, UNKNOWN, MASK = "[PAD]", "[UNK]", "[MASK]"
SPECIAL = (PAD, UNKNOWN, MASK)


class CaptionTokenizer:
    """Captions to word pieces: NFC, lower case, split at white space and punctuation, then byte-level BPE.

    Bytes are the alphabet, so there is no text that it cannot write.

    Attributes:
        pad_id, mask_id: of the special tokens.
        special_ids: of all special tokens.
        vocab_size: number of word pieces, special ones included.
    """

    def __init__(self, backend: tokenizers.Tokenizer) -> None:
        self._backend = backend
        ids = [backend.token_to_id(token) for token in SPECIAL]
        self.pad_id, self.unknown_id, self.mask_id = ids
        self.special_ids = tuple(ids)
        self.vocab_size = backend.get_vocab_size()

    def encode(self, captions: Sequence[str], max_length: int) -> tuple[Tensor, Tensor]:
        """Return the captions as word pieces.

        Returns:
            ids (B, L) int64 and mask (B, L) bool, True where a token is real; L is that of the longest caption here,
            at most `max_length`. A caption without any piece is one unknown token, so no row is all padding.
        """
        ids, mask, _ = self.encode_words(captions, max_length)
        return ids, mask

    def encode_words(self, captions: Sequence[str], max_length: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return ids and mask as `encode` does, and (B, L) int64 numbers of the word that each piece is part of, or -1."""
        encodings = self._backend.encode_batch(list(captions), add_special_tokens=False)
        rows = [(e.ids[:max_length], e.word_ids[:max_length]) if e.ids else ([self.unknown_id], [0]) for e in encodings]
        length = max((len(row) for row, _ in rows), default=1)
        ids = np.full((len(rows), length), self.pad_id, dtype=np.int64)
        words = np.full((len(rows), length), -1, dtype=np.int64)
        for number, (row, word) in enumerate(rows):
            ids[number, : len(row)] = row
            words[number, : len(word)] = word
        words_ = torch.from_numpy(words)
        return torch.from_numpy(ids), words_ >= 0, words_

    def to_json(self) -> str:
        """Return the whole tokenizer as the text of a ``tokenizer.json``."""
        return self._backend.to_str(pretty=True)


def train_tokenizer(captions: Iterable[str], vocab_size: int) -> CaptionTokenizer:
    """Learn word pieces from captions; equal captions in any order give an equal tokenizer."""
    backend = tokenizers.Tokenizer(models.BPE())
    backend.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    backend.train_from_iterator(sorted(captions), trainer)
    return CaptionTokenizer(backend)


def load_tokenizer(path: Path) -> CaptionTokenizer:
    """Read a ``tokenizer.json``.

    Raises:
        EssenError: it is missing, damaged, or not one of ours.
    """
    if not path.is_file():
        raise EssenError(f"{path} is missing; name the folder of a trained model")
    try:
        backend = tokenizers.Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:  # noqa: BLE001 - the library raises the bare Exception
        raise EssenError(f"{path} is damaged ({error}); restore it or train again") from None
    if any(backend.token_to_id(token) is None for token in SPECIAL):
        raise EssenError(f"{path} lacks the special tokens {', '.join(SPECIAL)}; it was not written by this project")
    return CaptionTokenizer(backend)


def save_tokenizer(tokenizer: CaptionTokenizer, path: Path) -> None:
    """Write a ``tokenizer.json`` atomically."""
    files.write_bytes(path, tokenizer.to_json().encode())
