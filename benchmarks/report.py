"""The report of a store of 100,000 scores: its size, and how long it takes to write and open.

    python -m benchmarks.report --folder /tmp/report

The store is that of the study of `benchmarks.world`, filled without training and compacted as
`sweeper store compact` does it; it is made if it is not in the folder. The page is opened in
Chromium (Debian's package `chromium`) until the matrix is drawn, five times, each in a new context
of one browser.

Wanted: below 15 MB, and open in under 2 s, with 100,000 scores.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from unittest import mock

from playwright.sync_api import sync_playwright

from benchmarks.restart import make
from sweeper import Store
from sweeper.analysis.kept import keep
from sweeper.report.webpage.page import write
from sweeper.store.compacting import compact
from sweeper.store.files import StoreFiles

SEEDS = 66
"""Of the study: 17,126 jobs."""

_OPENINGS = 5


def make_store(folder: Path, seeds: int) -> None:
    """A study file, and a compacted store in which all but the last jobs are committed."""
    with mock.patch("os.fsync"):  # nobody pulls the plug of a benchmark
        make(folder, seeds)
        compact(StoreFiles(folder / "store"))
        keep(StoreFiles(folder / "store"))


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
    parser.add_argument("--seeds", type=int, default=SEEDS, help="of the study: 259 jobs each")
    parser.add_argument("--folder", type=Path, help="keep the store here, and use it if it is")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "store").exists():
        make_store(folder, given.seeds)
    page = folder / "report.html"
    view = Store(folder / "store").view()
    scores = len(view.scores())
    began = time.perf_counter()
    write(view, page)
    spent = time.perf_counter() - began
    seconds = opened(page)
    size = page.stat().st_size / 1e6
    print(f"{len(view.plan.jobs):,} jobs, {scores:,} scores: {size:.1f} MB")
    print(f"written in {spent:.1f} s")
    print(
        f"open in {statistics.median(seconds):.2f} s (median of {_OPENINGS}; "
        f"{min(seconds):.2f} to {max(seconds):.2f})"
    )


if __name__ == "__main__":
    main()
