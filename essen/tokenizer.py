"""Word pieces (library `tokenizers`): learned from the training captions, or those of a pretrained text tower."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import tokenizers
import torch
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers
from torch import Tensor

from essen.config import PretrainedTextConfig, TextConfig
from essen.errors import EssenError
from essen.towers.weights import find_weights
from pipeline import files

PAD, UNKNOWN, MASK = "[PAD]", "[UNK]", "[MASK]"
SPECIAL = (PAD, UNKNOWN, MASK)
# How the special tokens are written: here and by BERT and ELECTRA, and by RoBERTa and its relatives.
WRITTEN = {PAD: (PAD, "<pad>"), UNKNOWN: (UNKNOWN, "<unk>"), MASK: (MASK, "<mask>")}


class CaptionTokenizer:
    """Captions to word pieces.

    Attributes:
        pad_id, unknown_id: of the special tokens.
        special_ids: of all special tokens.
        vocab_size: number of word pieces, special ones included.
    """

    def __init__(self, backend: tokenizers.Tokenizer) -> None:
        """Take over a tokenizer of the library, whose own padding and cutting are switched off.

        Raises:
            EssenError: it has no token for padding or for what it does not know.
        """
        backend.no_padding()
        backend.no_truncation()
        self._backend = backend
        pad, unknown, self._mask_id = (self._find(WRITTEN[role]) for role in SPECIAL)
        if pad is None or unknown is None:
            raise EssenError(f"this tokenizer has no token {PAD if pad is None else UNKNOWN}, nor one like it")
        self.pad_id, self.unknown_id = pad, unknown
        added = backend.get_added_tokens_decoder()
        self.special_ids = tuple(sorted(number for number, token in added.items() if token.special))
        self.vocab_size = backend.get_vocab_size()

    @property
    def mask_id(self) -> int:
        """Number of the token that stands for a hidden word.

        Raises:
            EssenError: there is none.
        """
        if self._mask_id is None:
            raise EssenError("this tokenizer has no mask token; switch masked words off (train.objectives.masked: 0)")
        return self._mask_id

    def _find(self, names: Sequence[str]) -> int | None:
        return next((found for name in names if (found := self._backend.token_to_id(name)) is not None), None)

    def encode(self, captions: Sequence[str], max_length: int) -> tuple[Tensor, Tensor]:
        """Return the captions as word pieces.

        Returns:
            ids (B, L) int64 and mask (B, L) bool, True where a token is real; L is that of the longest caption here,
            at most `max_length`. A caption without any word is one unknown token, so no row is all padding.
        """
        ids, mask, _ = self.encode_words(captions, max_length)
        return ids, mask

    def encode_words(self, captions: Sequence[str], max_length: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return ids and mask as `encode` does, and (B, L) int64: the number of the word of each piece.

        It is -1 for padding, and for tokens that the tokenizer puts around every caption.
        """
        self._backend.enable_truncation(max_length)
        encodings = self._backend.encode_batch(list(captions))
        self._backend.no_truncation()
        rows = [_pieces(encoding, self.unknown_id) for encoding in encodings]
        length = max((len(ids) for ids, _ in rows), default=1)
        ids = torch.full((len(rows), length), self.pad_id)
        words = torch.full((len(rows), length), -1)
        for row, (pieces, numbers) in enumerate(rows):
            ids[row, : len(pieces)] = torch.tensor(pieces)
            words[row, : len(pieces)] = torch.tensor(numbers)
        lengths = torch.tensor([len(pieces) for pieces, _ in rows], dtype=torch.int64)
        return ids, torch.arange(length) < lengths[:, None], words

    def to_json(self) -> str:
        """Return the whole tokenizer as the text of a ``tokenizer.json``."""
        return self._backend.to_str(pretty=True)


def _pieces(encoding: tokenizers.Encoding, unknown_id: int) -> tuple[list[int], list[int]]:
    """Return the pieces of a caption and the numbers of their words, which count from 0 without a gap."""
    if all(word is None for word in encoding.word_ids):
        return [unknown_id], [0]
    return encoding.ids, [-1 if word is None else word for word in encoding.word_ids]


def make_tokenizer(config: TextConfig | PretrainedTextConfig, captions: Iterable[str]) -> CaptionTokenizer:
    """Return the tokenizer of a text tower: that of its pretrained weights, or one that is learned from captions.

    Raises:
        EssenError: the weights come without one, or cannot be had.
    """
    if isinstance(config, TextConfig):
        if config.weights:
            return load_tokenizer(find_weights(config.weights) / "tokenizer.json")
        return train_tokenizer(captions, config.vocab_size)
    if not config.weights:
        return train_tokenizer(captions, config.architecture.get("vocab_size", TextConfig().vocab_size))
    folder = find_weights(config.weights)
    path = folder / "tokenizer.json"
    if path.is_file():
        return load_tokenizer(path)
    from transformers import AutoTokenizer

    try:
        return CaptionTokenizer(AutoTokenizer.from_pretrained(folder, use_fast=True).backend_tokenizer)
    except (OSError, ValueError, AttributeError) as error:
        reason = " ".join(str(error).split())[:120]
        raise EssenError(f"{folder} holds no tokenizer that can be read ({reason}); add its tokenizer.json") from None


def train_tokenizer(captions: Iterable[str], vocab_size: int) -> CaptionTokenizer:
    """Learn word pieces from captions; equal captions in any order give an equal tokenizer.

    NFC, lower case, split at white space and punctuation, then byte-level BPE: bytes are the alphabet, so there is no
    text that it cannot write.
    """
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
        EssenError: it is missing, damaged, or lacks a token that is needed.
    """
    if not path.is_file():
        raise EssenError(f"{path} is missing; name the folder of a trained model")
    try:
        backend = tokenizers.Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:  # noqa: BLE001 - the library raises the bare Exception
        raise EssenError(f"{path} is damaged ({error}); restore it or train again") from None
    try:
        return CaptionTokenizer(backend)
    except EssenError as error:
        raise EssenError(f"{path}: {error}") from None


def save_tokenizer(tokenizer: CaptionTokenizer, path: Path) -> None:
    """Write a ``tokenizer.json`` atomically."""
    files.write_bytes(path, tokenizer.to_json().encode())
