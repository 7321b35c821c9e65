"""What the forms of a model cost on this processor, and what int8 costs in R@1.

    python benchmarks/export.py MODEL [--rounds 50] [--to DIR]

Writes the model's ONNX files (to a scratch folder, or where told) and times PyTorch in float32 and bf16 and ONNX in
float32 and int8: one picture, one caption of 16 word pieces, and the match of the two, on one thread. Every round times
all forms; the figures are medians. Where the model lies in a run, R@1 is measured on the run's held-out sets.
"""

import argparse
import tempfile
from pathlib import Path

from essen.export import load_model
from essen.export.export import export_model
from essen.export.latency import form_lines, measure_forms


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--to", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        target = options.to or Path(scratch) / "exported"
        record = export_model(options.model, target, ["onnx"])
        forms = measure_forms(
            load_model(options.model)[0], target / "model.safetensors", target / "onnx", options.rounds
        )
    print("\n".join(form_lines(forms)), flush=True)
    onnx = record["onnx"]
    print(f"\nlargest differences: float32 {onnx['difference']}, int8 {onnx['int8']['difference']}")
    for row in onnx["int8"]["recall"]:
        place = f"{row['set']} {row['direction']} {row['scorer']}"
        change = f"{100 * row['value']:.2f} → {100 * row['quantised']:.2f}, {100 * row['difference']:+.2f}"
        interval = "" if row["interval"] is None else " [{:+.2f}, {:+.2f}]".format(*(100 * e for e in row["interval"]))
        print(f"{place:<40} R@1 {change}{interval}")


if __name__ == "__main__":
    main()
