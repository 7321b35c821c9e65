"""A trained model as a folder, and in the forms that others load: Transformers and ONNX."""

from essen.export.folder import FORMAT, load_model, save_model, weights_bytes

__all__ = ["FORMAT", "load_model", "save_model", "weights_bytes"]
