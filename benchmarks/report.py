"""The report of a store of ten thousand jobs: its size, and how long it takes to write and open.

    python -m benchmarks.report

The store is that of the study of `benchmarks.world`, filled without training; the page is opened
in Chromium (Debian's package `chromium`) until the matrix is drawn, five times, each in a new
context of one browser.

Wanted: below 15 MB, and open in under 2 s, with 100,000 scores. Measured on two idle cores (39
seeds, 10,133 jobs; the store compacted by `sweeper store compact`, which took 80 s)::

    59,820 scores: 10.1 MB, written in 2.7 s
    open in 1.10 s (median of 5; 1.03 to 1.15)

More seeds add to the table of scores alone: 0.3 MB of it were these.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from benchmarks.restart import make
from sweeper import Store
from sweeper.report.webpage.page import write

_OPENINGS = 5


def opened(page: Path) -> list[float]:
    """Seconds from the navigation until the matrix is drawn, of several openings."""
    found = []
    with sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        for _ in range(_OPENINGS):
            context = browser.new_context()
            tab = context.new_page()
            began = time.perf_counter()
            tab.goto(page.as_uri())
            tab.wait_for_selector("#matrix-figure .plot-container")
            found.append(time.perf_counter() - began)
            context.close()
        browser.close()
    return found


def main() -> None:
    """Make the store, write its report, open it; print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=39, help="of the study; 39: 10,133 jobs")
    parser.add_argument("--folder", type=Path, help="keep the store here, and use it if it is")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "store").exists():
        make(folder, given.seeds)
    page = folder / "report.html"
    view = Store(folder / "store").view()
    scores = len(view.scores())
    began = time.perf_counter()
    write(view, page)
    spent = time.perf_counter() - began
    seconds = opened(page)
    print(f"{scores:,} scores: {page.stat().st_size / 1e6:.1f} MB, written in {spent:.1f} s")
    print(
        f"open in {statistics.median(seconds):.2f} s (median of {_OPENINGS}; "
        f"{min(seconds):.2f} to {max(seconds):.2f})"
    )


if __name__ == "__main__":
    main()
