"""ONNX: a file for each tower and one for the fusion, in float32 and with int8 weights.

========== ================================================================ =========================================
file       inputs                                                           outputs
========== ================================================================ =========================================
``image``  ``pixel_values`` (batch, 3, S, S) float32 of 0..1                ``image_embeds`` (batch, E) of unit length,
                                                                            ``image_tokens`` (batch, cells, h)
``text``   ``input_ids``, ``attention_mask`` (batch, length) int64          ``text_embeds`` (batch, E) of unit length,
                                                                            ``text_tokens`` (batch, length, h)
``fusion`` ``image_tokens``, ``text_tokens``, ``attention_mask``            ``match_logits`` (batch,)
========== ================================================================ =========================================

A batch may have any size and a caption any length up to the model's. A dual encoder has no fusion file: its logit is
the cosine times the ``logit_scale`` of its record.
"""

import contextlib
import importlib.util
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from essen.errors import EssenError
from essen.model import Essen, ImageFeatures, TextFeatures
from pipeline import files

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET = 20  # the first with GELU as one operator
PARTS = ("image", "text", "fusion")
MULTIPLIED = ("MatMul", "Gemm", "Gather")  # what is quantised dynamically


class Graph(NamedTuple):
    """A part of the model on its way to a file: what it takes and gives, by name, and which axes may change."""

    module: nn.Module
    inputs: dict[str, Tensor]
    outputs: tuple[str, ...]
    axes: tuple[dict[int, Any], ...]


class ImagePart(nn.Module):
    """The image tower with its projections."""

    def __init__(self, model: Essen) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixel_values: Tensor) -> tuple[Tensor, Tensor]:
        """Return embeddings and tokens."""
        features = self.model.encode_images(pixel_values)
        return features.embedding, features.tokens


class TextPart(nn.Module):
    """The text tower with its projections."""

    def __init__(self, model: Essen) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return embeddings and tokens."""
        features = self.model.encode_texts(input_ids, attention_mask.bool())
        return features.embedding, features.tokens


class FusionPart(nn.Module):
    """The fusion with its head."""

    def __init__(self, model: Essen) -> None:
        super().__init__()
        self.model = model

    def forward(self, image_tokens: Tensor, text_tokens: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the logits of pairs."""
        unused = image_tokens.new_zeros(1, 1)  # the fusion reads tokens alone
        images = ImageFeatures(unused, image_tokens)
        return self.model.match(images, TextFeatures(unused, text_tokens, attention_mask.bool()))


def require_onnx() -> None:
    """Raise where the libraries of the extra are not installed.

    Raises:
        EssenError: one is missing.
    """
    missing = [name for name in ("onnx", "onnxruntime", "onnxscript") if importlib.util.find_spec(name) is None]
    if missing:
        raise EssenError(f"ONNX needs {', '.join(missing)}: install essen[export]")


def write_onnx(model: Essen, folder: Path) -> list[Path]:
    """Write a model's parts as ``image.onnx``, ``text.onnx`` and, where tokens are fused, ``fusion.onnx``.

    Equal models give equal bytes: what the exporter notes about its own run is left out.

    Args:
        model: in evaluation mode, float32.
        folder: where the files go.

    Raises:
        EssenError: a library is missing, or a part has an operation that ONNX has not.
    """
    require_onnx()
    paths = []
    for name, graph in _graphs(model).items():
        paths.append(folder / f"{name}.onnx")
        files.write_bytes(paths[-1], _exported(name, graph).SerializeToString(deterministic=True))
    return paths


def quantise(source: Path, target: Path) -> None:
    """Write an ONNX file with int8 weights, about a quarter as large.

    Matrix products and word embeddings are quantised dynamically: weights by output channel, activations as they come,
    both unsigned, which no processor's instructions saturate. The weights of convolutions are stored as int8 and a
    scale a channel, and multiplied out when the file is opened: ONNX Runtime's integer convolutions take several times
    as long as those in float32.

    Raises:
        EssenError: a library is missing.
    """
    require_onnx()
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as scratch, _quiet():
        part = Path(scratch) / target.name
        quantize_dynamic(
            source,
            part,
            op_types_to_quantize=list(MULTIPLIED),
            weight_type=QuantType.QUInt8,
            per_channel=True,
        )
        proto = onnx.load(part)
    _store_convolutions(proto)
    _clean(proto)
    onnx.checker.check_model(proto)
    files.write_bytes(target, proto.SerializeToString(deterministic=True))


def _store_convolutions(proto: "ModelProto") -> None:
    """Replace the weights of convolutions by int8 ones times a scale for each output channel."""
    from onnx import TensorProto, helper, numpy_helper

    graph = proto.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    used = dict.fromkeys(node.input[1] for node in graph.node if node.op_type == "Conv" and node.input[1] in weights)
    nodes = []
    for name in used:
        weight = numpy_helper.to_array(weights[name])
        largest = np.abs(weight).reshape(len(weight), -1).max(axis=1)
        scale = np.where(largest > 0, largest / 127, 1).astype(np.float32).reshape(-1, *[1] * (weight.ndim - 1))
        steps = np.round(weight / scale).astype(np.int8)
        graph.initializer.remove(weights[name])
        graph.initializer.append(numpy_helper.from_array(steps, f"{name}_int8"))
        graph.initializer.append(numpy_helper.from_array(scale, f"{name}_scale"))
        nodes.append(helper.make_node("Cast", [f"{name}_int8"], [f"{name}_float"], to=TensorProto.FLOAT))
        nodes.append(helper.make_node("Mul", [f"{name}_float", f"{name}_scale"], [name]))
    nodes += graph.node
    del graph.node[:]
    graph.node.extend(nodes)


def _graphs(model: Essen) -> dict[str, Graph]:
    from torch.export import Dim

    batch, length = Dim("batch", min=1), Dim("length", min=1, max=model.config.text.max_length)
    size = model.config.image_size
    generator = torch.Generator().manual_seed(0)
    pixels = torch.rand(2, 3, size, size, generator=generator)
    ids = torch.ones(2, min(5, model.config.text.max_length), dtype=torch.int64)
    graphs = {
        "image": Graph(ImagePart(model), {"pixel_values": pixels}, ("image_embeds", "image_tokens"), ({0: batch},)),
        "text": Graph(
            TextPart(model),
            {"input_ids": ids, "attention_mask": ids.clone()},
            ("text_embeds", "text_tokens"),
            ({0: batch, 1: length}, {0: batch, 1: length}),
        ),
    }
    if model.fusion is not None:
        with torch.inference_mode():
            image_tokens = model.encode_images(pixels).tokens.clone()
            text_tokens = model.encode_texts(ids, ids.bool()).tokens.clone()
        tokens = {"image_tokens": image_tokens, "text_tokens": text_tokens, "attention_mask": ids}
        axes = ({0: batch}, {0: batch, 1: length}, {0: batch, 1: length})
        graphs["fusion"] = Graph(FusionPart(model), tokens, ("match_logits",), axes)
    return graphs


def _exported(name: str, graph: Graph) -> "ModelProto":
    import onnx

    try:
        with _quiet():
            program = torch.onnx.export(
                graph.module.eval(),
                tuple(graph.inputs.values()),
                dynamo=True,
                dynamic_shapes=graph.axes,
                input_names=list(graph.inputs),
                output_names=list(graph.outputs),
                opset_version=OPSET,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        reason = " ".join(str(error).split())[:200]
        raise EssenError(f"the {name} part cannot be written as ONNX ({reason}); choose another tower") from None
    assert program is not None  # it is for the exporter that is used here
    proto = program.model_proto
    _clean(proto)
    onnx.checker.check_model(proto)
    for value, axes in zip(proto.graph.input, graph.axes, strict=True):
        if fixed := [axis for axis in axes if not value.type.tensor_type.shape.dim[axis].dim_param]:
            raise EssenError(f"the {name} part fixes axis {fixed[0]} of {value.name} in ONNX; choose another tower")
    return proto


def _clean(proto: "ModelProto") -> None:
    """Drop what the exporter notes about its own run: modules, stack traces, paths."""
    proto.producer_name, proto.producer_version, proto.doc_string = "essen", "", ""
    graph = proto.graph
    for part in (proto, graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""
    for function in proto.functions:
        del function.metadata_props[:]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's progress and advice off the screen: what matters is raised or measured."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
