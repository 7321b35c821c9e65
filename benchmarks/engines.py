"""What Prefect costs: the same small run through both engines in turn, as the difference of wall times.

    python benchmarks/engines.py [RECIPE] [--rounds 3]

The number of steps decides the cost, not their size, so a small recipe tells what the demo pays.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TINY = Path(__file__).parent.parent / "tests" / "recipes" / "tiny.yaml"


def seconds(recipe: str, engine: str) -> float:
    """Return the wall time of a whole run in a fresh directory."""
    essen = str(Path(sys.executable).with_name("essen"))
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        command = [essen, "run", recipe, "--run", f"{folder}/run", "--engine", engine]
        subprocess.run(command, check=True, capture_output=True)
        return time.monotonic() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", nargs="?", default=str(TINY))
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    seconds(options.recipe, "local")  # fills the download cache
    pairs = [(seconds(options.recipe, "local"), seconds(options.recipe, "prefect")) for _ in range(options.rounds)]
    for local, prefect in pairs:
        print(f"local {local:6.1f} s   prefect {prefect:6.1f} s   difference {prefect - local:5.1f} s")
    print(f"median difference {statistics.median(prefect - local for local, prefect in pairs):.1f} s")


if __name__ == "__main__":
    main()
