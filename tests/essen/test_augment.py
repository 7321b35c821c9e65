import pytest
import torch

from essen.augment import augment
from essen.config import AugmentConfig

STILL = AugmentConfig(scale=0, aspect=0, rotate=0, shear=0, translate=0, contrast=0, brightness=0, grey=0, erase=0)


def pictures(batch: int = 6, size: int = 16) -> torch.Tensor:
    shape = (batch, 3, size, size)
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_nothing_to_change_gives_the_picture_back() -> None:
    torch.testing.assert_close(augment(pictures(), STILL, generator()), pictures() / 255, atol=1e-5, rtol=0)


def test_a_generator_decides_all() -> None:
    config = AugmentConfig(erase=0.5, mirror=True)
    one, same, other = (augment(pictures(), config, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, same) and not torch.equal(one, other)
    assert one.min() >= 0 and one.max() <= 1


def test_white_paper_stays_white_under_geometry_and_contrast() -> None:
    white = torch.full((8, 3, 16, 16), 255, dtype=torch.uint8)
    config = AugmentConfig(brightness=0)
    torch.testing.assert_close(augment(white, config, generator()), torch.ones(8, 3, 16, 16), atol=1e-5, rtol=0)


def test_mirroring_is_off_unless_asked_for() -> None:
    mirrored = augment(pictures(64), STILL.model_copy(update={"mirror": True}), generator())
    plain = pictures(64) / 255
    flipped = [torch.allclose(a, b.flip(2), atol=1e-4) for a, b in zip(mirrored, plain, strict=True)]
    same = [torch.allclose(a, b, atol=1e-4) for a, b in zip(mirrored, plain, strict=True)]
    assert sum(flipped) + sum(same) == 64 and 16 < sum(flipped) < 48


@pytest.mark.parametrize(("field", "value"), [("scale", 0.3), ("rotate", 20.0), ("shear", 0.3), ("translate", 0.2)])
def test_each_part_of_the_geometry_moves_something(field: str, value: float) -> None:
    moved = augment(pictures(), STILL.model_copy(update={field: value}), generator())
    assert (moved - pictures() / 255).abs().mean() > 0.01


def test_erasing_fills_a_rectangle_with_one_colour() -> None:
    black = torch.zeros(200, 3, 32, 32, dtype=torch.uint8)
    erased = augment(black, STILL.model_copy(update={"erase": 0.5}), generator())
    changed = (erased > 0).any(1).flatten(1)
    assert 60 < changed.any(1).sum() < 120
    for picture in erased[changed.any(1)][:10]:
        assert len(torch.unique(picture.flatten(1), dim=1).T) == 2


def test_grey_pictures_have_equal_channels() -> None:
    grey = augment(pictures(), STILL.model_copy(update={"grey": 1.0}), generator())
    torch.testing.assert_close(grey[:, 0], grey[:, 2])


@pytest.mark.parametrize("world", [2, 4])
def test_ranks_change_their_pictures_as_one_process_does(world: int) -> None:
    config = AugmentConfig(erase=0.5, mirror=True)
    whole = augment(pictures(12), config, generator())
    own = 12 // world
    parts = [
        augment(pictures(12)[rank * own : (rank + 1) * own], config, generator(), rank=rank, world=world)
        for rank in range(world)
    ]
    torch.testing.assert_close(torch.cat(parts), whole, atol=1e-6, rtol=0)
