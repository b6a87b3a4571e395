"""The report in a real browser: what stands on the page is what the exports say."""

from __future__ import annotations

import base64
import csv
import gzip
import io
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from analysis.world import World, study

from sweeper import Store
from sweeper.analysis.averaging import transfer
from sweeper.analysis.kept import Answers
from sweeper.analysis.matrix import TransferMatrix
from sweeper.report.export import export
from sweeper.report.webpage import figures
from sweeper.report.webpage.page import write

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

needs_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium here: install the system's package chromium"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as started:
        quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        opened = started.chromium.launch(executable_path=CHROMIUM, args=quiet)
        yield opened
        opened.close()


LEFT, FAILED = (
    ("score/supersense>tagging/seed=2", "score/more>demo_retrieval"),
    "train/more/seed=1",
)
MARKUP = "<script>document.title = 'caught'</script><b>bold</b>"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep that is not complete: two cells lack scores, one training failed."""
    folder = tmp_path_factory.mktemp("page") / "store"
    made = World(folder, study(description=MARKUP))
    made.run(leave=lambda key: key.startswith(LEFT), fail={FAILED})
    return folder


@pytest.fixture(scope="module")
def page_file(store: Path) -> Path:
    path = store.parent / "report.html"
    write(Store(store).view(), path)
    return path


@pytest.fixture
def page(browser: Any, page_file: Path) -> Iterator[Any]:
    """The page opened without a network; any error of its script fails the test."""
    opened = browser.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on(
        "request", lambda r: r.url.startswith(("file:", "data:", "blob:")) or errors.append(r.url)
    )
    opened.goto(page_file.as_uri())
    opened.wait_for_selector("#matrix-figure .plot-container")
    yield opened
    opened.close()
    assert errors == []


def table_of(page: Any) -> dict[tuple[str, str], str]:
    """(row, column) -> the full number of the table below the heat map."""
    return {
        (row, column): value
        for row, column, value in page.evaluate(
            """() => {
                const heads = document.querySelectorAll("#matrix-table thead th");
                return [...document.querySelectorAll("#matrix-table tbody tr")].flatMap((row) =>
                  [...row.querySelectorAll("td")].map((cell, i) =>
                    [row.cells[0].textContent, heads[i + 1].textContent, cell.dataset.value]));
            }"""
        )
    }


@needs_browser
@pytest.mark.parametrize("value", ["score", "gain"])
def test_the_matrix_is_that_of_the_export_cell_for_cell(
    page: Any, store: Path, value: str
) -> None:
    page.select_option("#value", value)
    for by in ("task", "language"):
        page.select_option("#by", by)
        rows = list(csv.DictReader(io.StringIO(
            export(Store(store).transfer(value, by), "csv").decode())))  # fmt: skip
        targets = list(dict.fromkeys(row["target"] for row in rows))
        for target in targets if by == "language" else [""]:
            if target:
                page.select_option("#target", target)
            wanted = {
                (row["intermediate"], row["language"] or row["target"]): row["value"]
                for row in rows
                if target in ("", row["target"])
            }
            found = table_of(page)
            assert found.keys() == wanted.keys() and wanted
            for place, number in wanted.items():
                assert (float(number) if number else None) == (
                    float(found[place]) if found[place] else None
                )
            drawn = page.evaluate(
                "document.getElementById('matrix-figure').data[0].z.flat().length"
            )
            assert drawn == len(wanted)


@needs_browser
def test_what_lacks_is_marked_and_told(page: Any) -> None:
    said = page.inner_text("header")
    assert "Incomplete" in said and "1 failed" in said and "cell" in said
    page.select_option("#value", "score")
    marks = page.locator("#matrix-figure .annotation text.annotation-text").all_text_contents()
    texts = page.locator("#matrix-table td").all_text_contents()
    assert marks and marks == [text for text in texts if not text[0].isdigit()]
    assert FAILED in page.inner_text("#failures")
    assert "(2/3)" in " ".join(texts)


@needs_browser
def test_markup_in_names_stays_text(
    browser: Any, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A study's names are plain words; the page does not rest on that."""

    def renamed(answers: Answers, value: str, by: str) -> TransferMatrix:
        made = transfer(answers.view, value, by)
        name = {"more": MARKUP}
        cells = {(name.get(row, row), column): one for (row, column), one in made.cells.items()}
        return replace(made, rows=tuple(name.get(row, row) for row in made.rows), cells=cells)

    styles = figures.styles
    monkeypatch.setattr(Answers, "matrix", renamed)
    monkeypatch.setattr(figures, "styles", lambda rows: styles([*rows, MARKUP]))
    write(Store(store).view(), tmp_path / "page.html")
    assert MARKUP not in (tmp_path / "page.html").read_text()
    page = browser.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    page.wait_for_selector("#matrix-figure .ytick text")
    assert page.title() != "caught"
    assert page.inner_text(".lead") == MARKUP
    assert MARKUP in page.locator("#matrix-table tbody th").all_text_contents()
    assert MARKUP in page.locator("#matrix-figure .ytick text").all_text_contents()
    page.close()


@needs_browser
def test_it_is_used_by_keyboard(page: Any) -> None:
    page.focus("#value")
    assert page.inner_text("#heading").startswith("Gain over none")
    page.keyboard.press("ArrowDown")
    assert page.inner_text("#heading").startswith("Zero-shot scores")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "by"
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.value") == "language"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "target"


@needs_browser
def test_the_tables_can_be_downloaded(page: Any, store: Path, tmp_path: Path) -> None:
    for value in ("score", "gain"):
        name = f"matrix_{value}_by_language.csv"
        with page.expect_download() as waiting:
            page.click(f"#files button:text-is('{name}')")
        waiting.value.save_as(tmp_path / name)
        assert (tmp_path / name).read_bytes() == export(
            Store(store).transfer(value, "language"), "csv"
        )
    names = page.locator("#files button").all_inner_texts()
    assert {"scores.csv", "trials.csv"} <= set(names)


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_figure_is_drawn_on_a_phone_and_in_the_dark(
    browser: Any, page_file: Path, scheme: str
) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 800}, color_scheme=scheme)
    page.goto(page_file.as_uri())
    for name in ("matrix", "languages", "curves", "flow", "timeline", "cost"):
        page.locator(f"#{name}-figure").scroll_into_view_if_needed()
        page.wait_for_selector(f"#{name}-figure .plot-container")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    ink, paper = page.evaluate(
        """() => [getComputedStyle(document.querySelector("#matrix-figure .xtick text")).fill,
                  getComputedStyle(document.body).backgroundColor]"""
    )
    dark = [sum(map(int, re.findall(r"\d+", colour)[:3])) < 384 for colour in (ink, paper)]
    assert dark == ([True, False] if scheme == "light" else [False, True])
    page.close()


# ---- without a browser ------------------------------------------------------------------------


def part(text: str, name: str) -> Any:
    """The JSON in one script element of the page."""
    found = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', text, re.S)
    assert found
    return json.loads(found[1])


def test_nothing_of_it_comes_from_elsewhere(page_file: Path) -> None:
    text = page_file.read_text()
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=.(https?:)?//", text)
    assert MARKUP not in text, "names are escaped, in the data too"


def test_the_scores_are_in_the_downloads(page_file: Path, store: Path) -> None:
    packed = part(page_file.read_text(), "file-data")["scores.csv"]
    rows = list(csv.DictReader(io.StringIO(gzip.decompress(base64.b64decode(packed)).decode())))
    wanted = Store(store).scores()
    assert [float(row["value"]) for row in rows] == wanted["value"].tolist()
    assert [row["language"] for row in rows] == wanted["language"].tolist()


def test_figures_of_the_sweep(page_file: Path) -> None:
    drawn = part(page_file.read_text(), "data")
    (sankey,) = drawn["flow"][""]["data"]
    names = sankey["node"]["label"]
    links = {
        (names[a], names[b])
        for a, b in zip(sankey["link"]["source"], sankey["link"]["target"], strict=True)
    }
    assert ("base model", "train supersense") in links
    assert ("train supersense", "search tagging") in links
    assert ("search tagging", "score tagging") in links
    assert ("train supersense", "score demo_retrieval") in links
    by_kind = {trace["name"]: len(trace["x"]) for trace in drawn["timeline"][""]["data"]}
    assert by_kind["tune"] and by_kind["failed"] == 1
    lines = [t for t in drawn["curves"]["tagging"]["data"] if t["mode"] == "lines"]
    assert lines[0]["x"] == [1e-3, 3e-3]


def test_a_page_of_a_running_sweep_reads_itself_again(store: Path, tmp_path: Path) -> None:
    write(Store(store).view(), tmp_path / "live.html", live=True)
    assert '<meta http-equiv="refresh"' in (tmp_path / "live.html").read_text()
    write(Store(store).view(), tmp_path / "live.html")
    assert '<meta http-equiv="refresh"' not in (tmp_path / "live.html").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["live.html"]
