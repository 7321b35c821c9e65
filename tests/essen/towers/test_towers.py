import pytest
import torch

from essen.config import TextConfig, VisionConfig
from essen.towers.text import TextTower
from essen.towers.transformer import TransformerLayer, masked_mean
from essen.towers.vision import VisionTower


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("width", [16, 64, 256])
def test_a_transformer_layer_has_12h2_13h_parameters(width: int) -> None:
    assert count(TransformerLayer(width, heads=2)) == 12 * width**2 + 13 * width


def test_the_text_tower_has_the_parameters_of_its_closed_form() -> None:
    config = TextConfig(max_length=20, width=32, layers=3, heads=4)
    expected = 500 * 32 + 20 * 32 + 3 * (12 * 32**2 + 13 * 32) + 2 * 32
    assert count(TextTower(config, vocab_size=500)) == expected


def test_the_convolutional_tower_has_the_parameters_of_its_closed_form() -> None:
    config = VisionConfig(stem=2, widths=(8, 16), blocks=(1, 1))
    stem = (9 * 3 * 4 + 2 * 4) + (9 * 4 * 8 + 2 * 8)
    first = 2 * 9 * 8 * 8 + 4 * 8
    second = 9 * 8 * 16 + 9 * 16 * 16 + 4 * 16 + (8 * 16 + 2 * 16)
    assert count(VisionTower(config, image_size=32)) == stem + first + second + 2 * 16


def test_padding_changes_nothing_on_the_real_tokens() -> None:
    torch.manual_seed(0)
    tower = TextTower(TextConfig(max_length=16, width=32, layers=2, heads=4), vocab_size=300).eval()
    ids = torch.randint(3, 300, (5, 6))
    mask = torch.ones(5, 6, dtype=torch.bool)
    mask[2, 4:] = False
    padded_ids = torch.cat([ids, torch.randint(0, 300, (5, 4))], 1)
    padded_mask = torch.cat([mask, torch.zeros(5, 4, dtype=torch.bool)], 1)
    short, long = tower(ids, mask), tower(padded_ids, padded_mask)
    torch.testing.assert_close(long.pooled, short.pooled, atol=1e-6, rtol=0)
    torch.testing.assert_close(long.tokens[:, :6][mask], short.tokens[mask], atol=1e-6, rtol=0)


def test_a_caption_does_not_depend_on_its_neighbours() -> None:
    torch.manual_seed(0)
    tower = TextTower(TextConfig(max_length=16, width=32, layers=2, heads=4), vocab_size=300).eval()
    ids, mask = torch.randint(3, 300, (6, 5)), torch.ones(6, 5, dtype=torch.bool)
    alone = tower(ids[2:3], mask[2:3]).pooled
    torch.testing.assert_close(tower(ids, mask).pooled[2:3], alone, atol=1e-6, rtol=0)


def test_the_order_of_the_words_matters() -> None:
    torch.manual_seed(0)
    tower = TextTower(TextConfig(max_length=16, width=32, layers=2, heads=4), vocab_size=300).eval()
    ids, mask = torch.tensor([[5, 6, 7]]), torch.ones(1, 3, dtype=torch.bool)
    assert (tower(ids, mask).pooled - tower(ids.flip(1), mask).pooled).abs().max() > 1e-4


def test_pooling_does_not_see_the_order_of_the_cells() -> None:
    tokens, mask = torch.randn(3, 9, 4), torch.ones(3, 9, dtype=torch.bool)
    torch.testing.assert_close(masked_mean(tokens[:, torch.randperm(9)], mask), masked_mean(tokens, mask))


@pytest.mark.parametrize("layers", [0, 2])
def test_the_feature_map_becomes_tokens(layers: int) -> None:
    tower = VisionTower(VisionConfig(widths=(8, 16), blocks=(1, 2), layers=layers, heads=2), image_size=32).eval()
    features = tower(torch.randn(2, 3, 32, 32))
    assert features.tokens.shape == (2, tower.cells, 16) == (2, 16, 16)
    assert features.pooled.shape == (2, 16)
