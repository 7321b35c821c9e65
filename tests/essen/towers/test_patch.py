import pytest
import torch

from essen.config import PatchConfig
from essen.towers.patch import PatchTower
from essen.towers.tower import AttentionPool, MeanPool

pytestmark = pytest.mark.usefixtures("one_thread")


def test_deit_tiny_has_its_published_parameters() -> None:
    config = PatchConfig(kind="patch", patch=16, width=192, layers=12, heads=3, pool="class")
    with torch.device("meta"):
        tower = PatchTower(config, image_size=224)
    assert sum(parameter.numel() for parameter in tower.parameters()) == 5_524_416


@pytest.mark.parametrize("pool", ["mean", "attention", "class"])
def test_patches_become_tokens(pool: str) -> None:
    config = PatchConfig.model_validate({"kind": "patch", "patch": 8, "width": 32, "layers": 1, "pool": pool})
    tower = PatchTower(config, image_size=32)
    features = tower(torch.randn(2, 3, 32, 32))
    assert features.tokens.shape == (2, 16 + (pool == "class"), 32)
    assert features.pooled.shape == (2, 32)


@pytest.mark.parametrize("pool", [MeanPool(), AttentionPool(8)])
def test_pools_do_not_see_the_order_of_the_cells(pool: torch.nn.Module) -> None:
    torch.manual_seed(0)
    for parameter in pool.parameters():
        torch.nn.init.normal_(parameter)
    tokens = torch.randn(3, 9, 8)
    torch.testing.assert_close(pool(tokens[:, torch.randperm(9)]), pool(tokens))


def test_a_new_attention_pool_is_the_mean_and_then_learns() -> None:
    pool, tokens = AttentionPool(8), torch.randn(3, 9, 8)
    torch.testing.assert_close(pool(tokens), tokens.mean(1))
    pool(tokens).square().sum().backward()
    assert pool.query.grad is not None and pool.query.grad.abs().max() > 0


def test_a_frozen_tower_learns_in_its_pool_alone() -> None:
    config = PatchConfig(kind="patch", patch=8, width=32, layers=1, pool="attention", freeze=True)
    tower = PatchTower(config, image_size=32)
    assert [name for name, value in tower.named_parameters() if value.requires_grad] == ["pool.query"]
