"""Backbones of timm as vision towers: their feature map becomes the tokens."""

import pickle
from collections.abc import Sequence
from typing import Any

import safetensors
import timm
import torch
from timm.models import _efficientnet_blocks as efficientnet
from timm.models import load_state_dict
from timm.models.convnext import ConvNeXtBlock
from timm.models.regnet import Bottleneck as RegNetBlock
from timm.models.resnet import BasicBlock, Bottleneck
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from essen.config import BackboneConfig
from essen.errors import EssenError
from essen.towers.tower import Place, Tower, TowerFeatures, build_pool
from essen.towers.weights import find_weights, weights_file

CONVOLUTIONAL_BLOCKS = (
    efficientnet.ConvBnAct,
    efficientnet.DepthwiseSeparableConv,
    efficientnet.InvertedResidual,
    efficientnet.UniversalInvertedResidual,
    efficientnet.CondConvResidual,
    efficientnet.EdgeResidual,
    BasicBlock,
    Bottleneck,
    RegNetBlock,
    ConvNeXtBlock,
)


class BackboneTower(Tower):
    """A backbone without its head, a pool over the cells, a norm.

    The width is that of the map which the backbone really returns, and `normalise` uses the means and deviations that
    it was made for. A class token, where there is one, is no cell and is left out. What a few backbones (MobileNetV3)
    compute only after their own pooling is not used, though it counts among the parameters.
    """

    pixel_mean: Tensor
    pixel_deviation: Tensor

    def __init__(self, config: BackboneConfig, image_size: int, *, pretrained: bool = True) -> None:
        """Build the backbone.

        Raises:
            EssenError: timm does not know it, it returns no feature map, or its weights cannot be had or do not fit.
        """
        super().__init__()
        self.trunk = build_backbone(config.backbone, image_size)
        about, wanted = self.trunk.pretrained_cfg, config.backbone.partition(".")[0]
        if about["architecture"] != wanted:
            raise EssenError(f"model.vision.backbone: timm gives {about['architecture']} for {wanted}; name that one")
        if pretrained and config.weights:
            load_backbone(self.trunk, config.backbone, config.weights)
        self._channels_last = getattr(self.trunk, "output_fmt", "NCHW") == "NHWC"
        self._image_size = image_size
        self._prefix = getattr(self.trunk, "num_prefix_tokens", 0)
        try:
            self.cells, self.width = self._probe(image_size)
        except (RuntimeError, ValueError, AttributeError, AssertionError) as error:
            reason = " ".join(str(error).split())[:120]
            raise EssenError(
                f"model.vision.backbone: {config.backbone} of timm makes no feature map of {image_size} pixels "
                f"({reason}); choose another, or another image_size"
            ) from None
        self.norm = nn.LayerNorm(self.width)
        self.pool = build_pool(config.pool, self.width)
        self.register_buffer("pixel_mean", torch.tensor(about["mean"]).view(3, 1, 1), persistent=False)
        self.register_buffer("pixel_deviation", torch.tensor(about["std"]).view(3, 1, 1), persistent=False)
        if config.freeze:
            self.freeze(self.trunk)

    def body(self) -> tuple[nn.Module | nn.Parameter, ...]:
        """Return the backbone."""
        return (self.trunk,)

    def places(self) -> list[Place]:
        """Return the places of adapters: behind each block of convolutions, before both norms of a transformer block.

        Raises:
            EssenError: the backbone has blocks of neither kind.
        """
        blocks = [module for module in self.trunk.modules() if isinstance(module, CONVOLUTIONAL_BLOCKS)]
        widths = self._widths_behind(blocks)
        found: list[Place] = []
        for owner in self.trunk.modules():
            for name, module in owner.named_children():
                if isinstance(module, CONVOLUTIONAL_BLOCKS):
                    found.append(Place(owner, name, widths[module], axis=1))
                elif isinstance(module, Block):
                    found += [Place(module, norm, self.width, before=True) for norm in ("norm1", "norm2")]
        if not found:
            raise EssenError(
                f"model.adapt: no place for adapters is known in {self.trunk.pretrained_cfg['architecture']}; choose "
                "an EfficientNet, ResNet, RegNet, ConvNeXt or ViT, or another kind, such as lora or normalisation"
            )
        return found

    @torch.no_grad()
    def _widths_behind(self, blocks: Sequence[nn.Module]) -> dict[nn.Module, int]:
        """Return the channels of the maps that some blocks return, as a pass in evaluation mode shows them."""
        widths: dict[nn.Module, int] = {}

        def note(block: nn.Module, _: Any, output: Tensor) -> None:
            widths[block] = output.shape[1]

        hooks = [block.register_forward_hook(note) for block in blocks]
        training, size = self.trunk.training, self._image_size
        self.trunk.eval()
        self.trunk.forward_features(torch.zeros(1, 3, size, size, device=self.pixel_mean.device))
        self.trunk.train(training)
        for hook in hooks:
            hook.remove()
        return widths

    def normalise(self, pixels: Tensor) -> Tensor:
        """Return pictures of 0..1 centred and scaled as the backbone was made for."""
        return (pixels - self.pixel_mean) / self.pixel_deviation

    def forward(self, pixels: Tensor) -> TowerFeatures:
        """Return the features of pictures.

        Args:
            pixels: (B, 3, size, size), normalised.
        """
        return self.finish(self.encode(pixels))

    def encode(self, pixels: Tensor) -> Tensor:
        """Return the tokens; see `forward`."""
        return self._tokens(pixels.contiguous(memory_format=torch.channels_last))

    def finish(self, tokens: Tensor, mask: Tensor | None = None) -> TowerFeatures:
        """Return the features: what was added, the pool, its norm."""
        for layer in self.added:
            tokens = layer(tokens, mask)
        return TowerFeatures(pooled=self.norm(self.pool(tokens.float())), tokens=tokens)

    def _tokens(self, pixels: Tensor) -> Tensor:
        features: Tensor = self.trunk.forward_features(pixels)
        if features.ndim == 3:
            return features[:, self._prefix :]
        return features.flatten(1, 2) if self._channels_last else features.flatten(2).transpose(1, 2)

    @torch.no_grad()
    def _probe(self, image_size: int) -> tuple[int, int]:
        """Return the number and the width of the tokens, as the backbone gives them in evaluation mode."""
        self.trunk.eval()
        cells, width = self._tokens(torch.zeros(1, 3, image_size, image_size)).shape[1:]
        self.trunk.train()
        return cells, width


def build_backbone(name: str, image_size: int) -> Any:
    """Return a backbone of timm, a module with random weights and no head.

    Raises:
        EssenError: timm does not know it.
    """
    try:
        about = timm.get_pretrained_cfg(name)
        sized: dict[str, Any] = {"img_size": image_size} if about and about.fixed_input_size else {}
        trunk = timm.create_model(name, pretrained=False, num_classes=0, global_pool="", **sized)
    except (RuntimeError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())[:120]
        raise EssenError(f"model.vision.backbone: timm cannot build {name} ({reason})") from None
    return trunk


def load_backbone(trunk: nn.Module, name: str, weights: str) -> None:
    """Fill a backbone with pretrained weights; a head that it does not have is left out.

    Tensors go by their names. Where not one name is known, as in files of other libraries, they go by position, if all
    their shapes fit.

    Raises:
        EssenError: the weights cannot be had, or are of another backbone.
    """
    path, own = weights_file(find_weights(weights)), trunk.state_dict()
    try:
        found = load_state_dict(str(path))
    except (OSError, RuntimeError, pickle.UnpicklingError, safetensors.SafetensorError) as error:
        raise EssenError(f"{path} cannot be read ({' '.join(str(error).split())[:120]}); fetch it again") from None
    if not found.keys() & own.keys():
        found = dict(zip(own, found.values(), strict=False))
    wrong = [key for key, tensor in own.items() if key not in found or found[key].shape != tensor.shape]
    if wrong:
        raise EssenError(f"{path} does not hold the weights of {name}: {len(wrong)} tensors misfit, first {wrong[0]}")
    trunk.load_state_dict({key: found[key] for key in own})
