"""A trained model in other forms: what ``essen export MODEL --to DIR`` does."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError
from pipeline.workspace import disk_faults_named


def export_model(
    model: Path, target: Path, formats: Sequence[str] = (), licence: str = "", *, table: bool = False
) -> dict[str, Any]:
    """Write a model's other forms and return the record; see `essen.export.export`.

    Args:
        model: folder of a trained model.
        target: folder to write.
        formats: of `essen.export.export.FORMATS`; empty: Transformers and ONNX.
        licence: of the weights.
        table: measure size and latency of each form, and return them under ``forms``; they are not written.

    Raises:
        ConfigError: a table is asked for without ONNX.
    """
    from essen.export import load_model
    from essen.export.export import USUAL
    from essen.export.export import export_model as write

    wanted = tuple(formats) or USUAL
    if table and "onnx" not in wanted:
        raise ConfigError("--table compares with ONNX: add --format onnx")
    with disk_faults_named(target):
        record = write(model, target, wanted, licence=licence)
    if table:
        from essen.export.latency import measure_forms

        forms = measure_forms(load_model(model)[0], target / "model.safetensors", target / "onnx")
        record["forms"] = [asdict(form) for form in forms]
    return record


def export_lines(record: dict[str, Any], target: Path) -> list[str]:
    """Return what a person wants to read when a model has been exported."""
    lines = [f"{target}: {len(record['files'])} files"]
    for name in (name for name in ("transformers", "onnx") if name in record):
        lines += [f"  {name}: at most {max(record[name]['difference'].values()):.1e} from the model"]
    if "onnx" in record:
        int8 = record["onnx"]["int8"]
        lines.append(f"  int8: {int8['bytes'] / 1e6:.2f} MB of {record['onnx']['bytes'] / 1e6:.2f} MB")
        lines += [_loss_line(row) for row in int8["recall"]]
    if "forms" in record:
        from essen.export.latency import Form, form_lines
        from essen.overview import Latency

        forms = [Form(**{**form, "latency": Latency(**form["latency"])}) for form in record["forms"]]
        lines += form_lines(forms)
    return lines


def _loss_line(row: dict[str, Any]) -> str:
    interval = "" if row["interval"] is None else " [{:+.2f}, {:+.2f}]".format(*(100 * end for end in row["interval"]))
    way = f"{row['set']}, {row['direction'].replace('_', ' ')}, {row['scorer']}"
    values = f"{100 * row['value']:.2f} → {100 * row['quantised']:.2f}"
    return f"  int8 R@1, {way}: {values} ({100 * row['difference']:+.2f}{interval})"
