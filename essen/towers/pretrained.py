"""Text encoders of transformers as text towers."""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PreTrainedConfig
from transformers.models.bert.modeling_bert import BertOutput, BertSelfOutput
from transformers.models.electra.modeling_electra import ElectraOutput, ElectraSelfOutput
from transformers.models.roberta.modeling_roberta import RobertaOutput, RobertaSelfOutput

from essen.config import PretrainedTextConfig
from essen.errors import EssenError
from essen.towers.tower import Place, Tower, TowerFeatures
from essen.towers.transformer import masked_mean
from essen.towers.weights import find_weights

# What a configuration says of its own file and the library, not of the architecture.
INCIDENTAL = {"transformers_version", "architectures", "dtype", "_name_or_path", "use_cache", "is_decoder"}


# The ends of both branches of a block: a linear map and a dropout, then the sum with what went by, and a norm.
BRANCH_ENDS = (BertSelfOutput, BertOutput, ElectraSelfOutput, ElectraOutput, RobertaSelfOutput, RobertaOutput)


class PretrainedTextTower(Tower):
    """An encoder of transformers: words embedded once, padding masked, pooled by the mean of the real tokens.

    Attributes:
        architecture: all that is needed to build the encoder again without its weights.
    """

    def __init__(self, config: PretrainedTextConfig, vocab_size: int, *, pretrained: bool = True) -> None:
        """Build the encoder.

        Args:
            config: its weights or architecture.
            vocab_size: word pieces of the tokenizer that it is used with.
            pretrained: load the weights; otherwise they are random.

        Raises:
            EssenError: weights cannot be had, are of another architecture, or know fewer word pieces.
        """
        super().__init__()
        about = _architecture(config)
        self.encoder = _load(config.weights, about) if pretrained and config.weights else _random(about)
        self.architecture = {key: value for key, value in about.to_diff_dict().items() if key not in INCIDENTAL}
        self.width = self.encoder.config.hidden_size
        known = self.encoder.get_input_embeddings().num_embeddings
        if vocab_size > known:
            raise EssenError(f"model.text: the encoder knows {known} word pieces, its tokenizer has {vocab_size}")
        longest = getattr(about, "max_position_embeddings", config.max_length)
        if config.max_length > longest:
            raise EssenError(f"model.text.max_length ({config.max_length}) is above the encoder's {longest} positions")
        if config.freeze:
            self.freeze(self.encoder)

    def body(self) -> tuple[nn.Module | nn.Parameter, ...]:
        """Return the encoder."""
        return (self.encoder,)

    def places(self) -> list[Place]:
        """Return the two places of each block: behind a branch's dropout, before it is added (LilT's BERT).

        Raises:
            EssenError: the encoder is of another family than BERT, ELECTRA and RoBERTa.
        """
        found = [
            Place(module, "dropout", self.width) for module in self.encoder.modules() if isinstance(module, BRANCH_ENDS)
        ]
        if not found:
            raise EssenError(
                f"model.adapt: no place for adapters is known in {self.encoder.config.model_type}; choose BERT, "
                "ELECTRA or RoBERTa, or another kind, such as lora or normalisation"
            )
        return found

    def forward(self, ids: Tensor, mask: Tensor) -> TowerFeatures:
        """Return the features of captions.

        Args:
            ids: (B, L) int64, L at most `max_length`.
            mask: (B, L) bool, True where a token is real.
        """
        return self.finish(self.encode(ids, mask), mask)

    def encode(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Return the encoder's tokens; see `forward`."""
        tokens: Tensor = self.encoder(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        return tokens

    def finish(self, tokens: Tensor, mask: Tensor | None = None) -> TowerFeatures:
        """Return the features: what was added, the mean of the real tokens."""
        assert mask is not None, "captions differ in length"
        for layer in self.added:
            tokens = layer(tokens, mask)
        return TowerFeatures(pooled=masked_mean(tokens.float(), mask), tokens=tokens)


def _architecture(config: PretrainedTextConfig) -> PreTrainedConfig:
    """Return transformers' configuration of the encoder, as given or as the weights' folder says."""
    try:
        if config.architecture:
            about = AutoConfig.for_model(**config.architecture)
        else:
            about = AutoConfig.from_pretrained(find_weights(config.weights))
    except (OSError, ValueError, TypeError) as error:
        raise EssenError(f"model.text: transformers cannot build it ({_brief(error)})") from None
    if about.is_encoder_decoder or not hasattr(about, "hidden_size"):
        raise EssenError(f"model.text: {about.model_type} is no encoder; choose one, such as electra or bert")
    return about


def _random(about: PreTrainedConfig) -> Any:
    return _without_pooler(AutoModel.from_config(about, attn_implementation="eager"))


def _load(weights: str, about: PreTrainedConfig) -> Any:
    """Return the encoder with its weights.

    The attention is written out (``eager``): on a processor it is at least as fast as the fused one for captions.
    """
    folder = find_weights(weights)
    try:
        with _quiet():
            stored = AutoConfig.from_pretrained(folder)
            _check_same(stored, about, weights)
            encoder, report = AutoModel.from_pretrained(
                folder, config=about, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
            )
    except (OSError, ValueError, RuntimeError) as error:
        raise EssenError(f"{weights}: transformers cannot load it ({_brief(error)})") from None
    missing = sorted(key for key in report["missing_keys"] if key.partition(".")[0] != "pooler")
    if missing:
        raise EssenError(f"{weights} lacks {len(missing)} tensors of the {about.model_type}, first {missing[0]}")
    return _without_pooler(encoder)


def _check_same(stored: PreTrainedConfig, about: PreTrainedConfig, weights: str) -> None:
    """Raise where the weights are of another architecture than the configuration says."""
    for key in ("model_type", "hidden_size", "num_hidden_layers"):
        there, wanted = getattr(stored, key, None), getattr(about, key, None)
        if there != wanted:
            raise EssenError(f"{weights} is of another architecture: {key} is {there}, model.text says {wanted}")


def _without_pooler(encoder: Any) -> Any:
    """Return the encoder without BERT's pooler, which nothing here reads, so it would never learn."""
    if getattr(encoder, "pooler", None) is not None:
        encoder.pooler = None
    return encoder


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library's progress bars and reports off the screen: what matters is raised."""
    log = transformers.utils.logging
    verbosity, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(verbosity)
        if bars:
            log.enable_progress_bar()


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:120]
