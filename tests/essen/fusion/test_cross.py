import pytest
import torch

from essen.config import FusionConfig
from essen.fusion.cross import CrossFusion, CrossLayer


@pytest.mark.parametrize("width", [32, 64, 256])
def test_a_cross_layer_has_28h2_32h_parameters(width: int) -> None:
    layer = CrossLayer(width, heads=4)
    assert sum(parameter.numel() for parameter in layer.parameters()) == 28 * width**2 + 32 * width


def test_six_layers_at_width_256_are_eleven_million() -> None:
    fusion = CrossFusion(FusionConfig(width=256, layers=6))
    assert sum(parameter.numel() for parameter in fusion.layers.parameters()) == 11_059_200


def test_padding_changes_nothing() -> None:
    torch.manual_seed(0)
    fusion = CrossFusion(FusionConfig(width=32, layers=2, heads=4)).eval()
    text, image = torch.randn(3, 5, 32), torch.randn(3, 7, 32)
    mask = torch.ones(3, 5, dtype=torch.bool)
    long = torch.cat([text, torch.randn(3, 4, 32) * 100], 1)
    long_mask = torch.cat([mask, torch.zeros(3, 4, dtype=torch.bool)], 1)
    short_fused, long_fused = fusion(text, image, mask), fusion(long, image, long_mask)
    torch.testing.assert_close(long_fused.image, short_fused.image, atol=1e-5, rtol=0)
    torch.testing.assert_close(long_fused.text[:, :5], short_fused.text, atol=1e-5, rtol=0)


def test_both_directions_share_one_cross_attention_and_read_the_streams_as_they_came_in() -> None:
    torch.manual_seed(0)
    layer = CrossLayer(32, heads=4).eval()
    layer.image_self.load_state_dict(layer.text_self.state_dict())
    layer.image_feed_forward.load_state_dict(layer.text_feed_forward.state_dict())
    first, second, mask = torch.randn(2, 6, 32), torch.randn(2, 6, 32), torch.ones(2, 6, dtype=torch.bool)
    one, other = layer(first, second, mask), layer(second, first, mask)
    torch.testing.assert_close(one.text, other.image)
    torch.testing.assert_close(one.image, other.text)


def test_each_stream_hears_of_the_other() -> None:
    torch.manual_seed(0)
    fusion = CrossFusion(FusionConfig(width=32, layers=1, heads=4)).eval()
    text, image, mask = torch.randn(1, 3, 32), torch.randn(1, 4, 32), torch.ones(1, 3, dtype=torch.bool)
    before, after = fusion(text, image, mask), fusion(text, torch.randn(1, 4, 32), mask)
    assert (before.text - after.text).abs().max() > 1e-3
