"""Which parameters of a module learn: chosen by the type of the module that owns them, never by their name.

The kinds follow LilT (arXiv 2303.11866), whose smallest ones train the layer norms or the biases alone. Names differ
from backbone to backbone (a "norm" may be a query norm, a "bias" a table of positions); types do not.
"""

from collections.abc import Iterator

from torch import nn

NORMALISATION = (
    nn.LayerNorm,
    nn.GroupNorm,
    nn.RMSNorm,
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.SyncBatchNorm,
    nn.InstanceNorm1d,
    nn.InstanceNorm2d,
    nn.InstanceNorm3d,
)
CONVOLUTION = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
BIASED = (nn.Linear, nn.Bilinear, *CONVOLUTION, *NORMALISATION)


def normalisation_of(root: nn.Module) -> Iterator[nn.Parameter]:
    """Yield the scales and shifts of every normalisation layer."""
    for module in root.modules():
        if isinstance(module, NORMALISATION):
            yield from module.parameters(recurse=False)


def biases_of(root: nn.Module) -> Iterator[nn.Parameter]:
    """Yield the biases of linear, convolutional, attention and normalisation layers (BitFit)."""
    for module in root.modules():
        found: list[object] = []
        if isinstance(module, nn.MultiheadAttention):
            found = [module.in_proj_bias, module.bias_k, module.bias_v]
        elif isinstance(module, BIASED):
            found = [getattr(module, "bias", None)]  # RMSNorm has none
        yield from (bias for bias in found if isinstance(bias, nn.Parameter))


def linear_maps_of(root: nn.Module) -> Iterator[str]:
    """Yield the names of the linear maps and of the convolutions without groups."""
    for name, module in root.named_modules():
        if isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and module.groups == 1):
            yield name
