"""What a person wants to read when a model has been exported."""

from pathlib import Path
from typing import Any


def export_lines(record: dict[str, Any], target: Path) -> list[str]:
    """Return a record of `essen.export.export` as lines: files, differences, and what int8 saves and costs."""
    lines = [f"{target}: {len(record['files'])} files"]
    for name in (name for name in ("transformers", "onnx") if name in record):
        lines += [f"  {name}: at most {max(record[name]['difference'].values()):.1e} from the model"]
    if "checkpoints" in record:
        lines.append(f"  checkpoints by words seen: {', '.join(record['checkpoints'])}")
    if "onnx" in record:
        int8 = record["onnx"]["int8"]
        lines.append(f"  int8: {int8['bytes'] / 1e6:.2f} MB of {record['onnx']['bytes'] / 1e6:.2f} MB")
        lines += [_loss_line(row) for row in int8["recall"]]
    return lines


def _loss_line(row: dict[str, Any]) -> str:
    interval = "" if row["interval"] is None else " [{:+.2f}, {:+.2f}]".format(*(100 * end for end in row["interval"]))
    way = f"{row['set']}, {row['direction'].replace('_', ' ')}, {row['scorer']}"
    values = f"{100 * row['value']:.2f} → {100 * row['quantised']:.2f}"
    return f"  int8 R@1, {way}: {values} ({100 * row['difference']:+.2f}{interval})"
