"""How long the commands that a person waits for take to start.

    python -m benchmarks.startup

Wanted: ``sweeper --help`` below 0.3 s and ``sweeper plan demo`` below 1 s. Printed: the median
of ten whole processes, and beside it that of an empty Python process on the same machine.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "sweeper --help": ["-m", "sweeper", "--help"],
    "sweeper plan demo": ["-m", "sweeper", "plan", "demo"],
}


def main() -> None:
    """Command line."""
    for name, words in COMMANDS.items():
        spent = []
        for _ in range(10):
            began = time.perf_counter()
            subprocess.run([sys.executable, *words], check=True, capture_output=True)
            spent.append(time.perf_counter() - began)
        print(f"{name:<20} {statistics.median(spent):.2f} s (up to {max(spent):.2f} s)")


if __name__ == "__main__":
    main()
