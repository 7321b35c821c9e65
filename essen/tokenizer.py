"""Word pieces learned from the training captions (library `tokenizers`)."""

from collections.abc import Iterable, Sequence
from pathlib import Path

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
        # The trainer gives the special tokens the first numbers, in this order.
        self.pad_id, self.unknown_id, self.mask_id = self.special_ids = tuple(range(len(SPECIAL)))
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
        """Return ids and mask as `encode` does, and (B, L) int64: the number of the word of each piece, or -1."""
        encodings = self._backend.encode_batch(list(captions), add_special_tokens=False)
        length = max((min(len(encoding.ids), max_length) for encoding in encodings), default=1) or 1
        ids = torch.full((len(encodings), length), self.pad_id)
        words = torch.full((len(encodings), length), -1)
        for row, encoding in enumerate(encodings):
            pieces = encoding.ids[:length] or [self.unknown_id]
            ids[row, : len(pieces)] = torch.tensor(pieces)
            words[row, : len(pieces)] = torch.tensor(encoding.word_ids[:length] or [0])
        return ids, words >= 0, words

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
    if [backend.token_to_id(token) for token in SPECIAL] != list(range(len(SPECIAL))):
        raise EssenError(f"{path} does not begin with {', '.join(SPECIAL)}; it was not written by this project")
    return CaptionTokenizer(backend)


def save_tokenizer(tokenizer: CaptionTokenizer, path: Path) -> None:
    """Write a ``tokenizer.json`` atomically."""
    files.write_bytes(path, tokenizer.to_json().encode())
