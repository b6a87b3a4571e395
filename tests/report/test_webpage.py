"""The report in a real browser: what stands on the page is what the exports say."""

from __future__ import annotations

import csv
import io
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from analysis.world import World, study

from report.matrices import MARKUP
from sweeper import Store
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


def head(row: dict[str, str]) -> str:
    """What stands above a column of the page: a trained language in brackets."""
    if not row["language"]:
        return row["target"]
    return row["language"] if row["zero_shot"] == "True" else f"({row['language']})"


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
                (row["intermediate"], head(row)): row["value"]
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


def place_in_map(page: Any, across: float, down: float) -> tuple[float, float]:
    """A place of the matrix in the window, by shares of its width and height."""
    page.locator("#matrix-figure").scroll_into_view_if_needed()
    box = page.locator("#matrix-figure .nsewdrag").bounding_box()
    return box["x"] + across * box["width"], box["y"] + down * box["height"]


def pointed_at(page: Any, place: tuple[float, float]) -> Any:
    """The hover box of a place of the matrix."""
    x, y = place
    page.mouse.move(x - 3, y)
    page.mouse.move(x, y)
    return page.wait_for_selector("#matrix-figure .hoverlayer .hovertext")


@needs_browser
def test_what_lacks_is_marked_and_told(page: Any) -> None:
    said = page.inner_text("header")
    assert "Incomplete: 42 of 50 jobs done; 3 of 6 cells incomplete: 1 blocked, 2 partial" in said
    assert "1 job failed" in said
    page.select_option("#value", "score")
    marks = page.locator("#matrix-figure .annotation text.annotation-text").all_text_contents()
    texts = page.locator("#matrix-table td").all_text_contents()
    assert marks and marks == [text for text in texts if not text[0].isdigit()]
    assert "train/more/seed=1" in page.inner_text("#failures")
    assert "(2/3)" in " ".join(texts)


@needs_browser
def test_markup_in_names_stays_text(
    browser: Any, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A study's names are plain words; the page does not rest on that."""

    def renamed(made: TransferMatrix) -> TransferMatrix:
        name = {"more": MARKUP}
        cells = {(name.get(row, row), column): one for (row, column), one in made.cells.items()}
        return replace(made, rows=tuple(name.get(row, row) for row in made.rows), cells=cells)

    styles = figures.styles
    matrices = Answers.matrices
    monkeypatch.setattr(Answers, "matrices", lambda answers: {
        place: renamed(made) for place, made in matrices(answers).items()
    })  # fmt: skip
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
    place = place_in_map(page, 0.25, 0.75)
    box = pointed_at(page, place)
    assert box.text_content().startswith(f"{MARKUP} on tagging")
    page.mouse.click(*place)
    assert page.inner_text("#cell").startswith(f"{MARKUP} on tagging\n")
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
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "matrix-figure"
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#cell").startswith("none on tagging qaa\nscore: 91.0 ± 0.6 percent")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#cell").splitlines() == [
        "supersense on tagging qab",
        "score: 61.5 ± 1.5 percent (f1)",
        "state: partial; seeds: 0 1 (of 3)",
        "examples: 100; languages: qab",
        "chosen, seed 0: learning_rate 0.003, epoch 3",
        "chosen, seed 1: learning_rate 0.003, epoch 3",
    ]


@needs_browser
def test_a_cell_is_told_to_the_pointer_and_kept_by_a_click(page: Any) -> None:
    place = place_in_map(page, 0.75, 0.25)
    hover = pointed_at(page, place)
    lines = ["supersense on demo_retrieval", "gain over none: +7.0 ± 0.6 points (accuracy)"]
    told = " ".join(hover.text_content().split())
    assert "".join(lines).replace(" ", "") in told.replace(" ", "")
    page.mouse.click(*place)
    kept = page.inner_text("#cell").splitlines()
    assert kept[:2] == lines
    assert kept[2] == "95 % interval: 4.52 to 9.48, over seeds"
    page.mouse.click(*place_in_map(page, 0.75, 0.75))
    assert page.inner_text("#cell").splitlines()[:2] == [
        "more on demo_retrieval",
        "gain over none: blocked (accuracy)",
    ]


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
    short = page.locator(".findings").bounding_box()
    assert short["x"] + short["width"] <= 390, "what it says in short is seen without scrolling"
    ink, paper = page.evaluate(
        """() => [getComputedStyle(document.querySelector("#matrix-figure .xtick text")).fill,
                  getComputedStyle(document.body).backgroundColor]"""
    )
    dark = [sum(map(int, re.findall(r"\d+", colour)[:3])) < 384 for colour in (ink, paper)]
    assert dark == ([True, False] if scheme == "light" else [False, True])
    page.close()


@needs_browser
def test_a_link_leads_to_its_section_though_figures_above_it_are_drawn_later(page: Any) -> None:
    page.set_viewport_size({"width": 1280, "height": 900})
    page.click("nav a:text-is('Downloads')")
    page.wait_for_selector("#cost-figure .plot-container")
    top, below = page.evaluate(
        """() => [document.getElementById("downloads").getBoundingClientRect().top,
                  document.documentElement.scrollHeight - scrollY - innerHeight]"""
    )
    assert abs(top) < 2 or (top > 0 and below < 2), "at the top, or as near as the page's end is"


@needs_browser
def test_paper_has_every_figure_in_dark_ink_and_as_wide_as_it_is(
    browser: Any, page_file: Path
) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="dark")
    page.goto(page_file.as_uri())
    page.wait_for_selector("#matrix-figure .plot-container")
    ink = "getComputedStyle(document.querySelector('#matrix-figure .xtick text')).fill"
    wide = """[...document.querySelectorAll(".figure .main-svg")]
        .map((one) => one.getBoundingClientRect().width)"""
    on_screen = page.evaluate(ink)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    drawn = page.locator(".figure:has(.plot-container)")
    assert drawn.evaluate_all("all => all.map(one => one.id)") == [
        f"{name}-figure" for name in ("matrix", "languages", "curves", "flow", "timeline", "cost")
    ]
    assert max(page.evaluate(wide)) <= 700
    assert page.evaluate(ink) != on_screen
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.emulate_media(media="print")
    assert not page.locator("#downloads").is_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(ink) == on_screen
    assert max(page.evaluate(wide)) > 700
    page.close()


@needs_browser
def test_a_finger_that_begins_on_a_figure_scrolls_the_page(browser: Any, page_file: Path) -> None:
    phone = browser.new_context(
        viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True
    )
    page = phone.new_page()
    page.goto(page_file.as_uri())
    page.locator("#languages-figure").evaluate("one => one.scrollIntoView({block: 'center'})")
    page.wait_for_selector("#languages-figure .nsewdrag")
    place = page.locator("#languages-figure .nsewdrag").bounding_box()
    x, y, before = place["x"] + 80, place["y"] + 150, page.evaluate("scrollY")
    finger = phone.new_cdp_session(page)

    def touch(what: str, *points: dict[str, float]) -> None:
        finger.send("Input.dispatchTouchEvent", {"type": what, "touchPoints": list(points)})

    touch("touchStart", {"x": x, "y": y})
    for step in range(1, 9):
        touch("touchMove", {"x": x, "y": y - 15 * step})
    touch("touchEnd")
    page.wait_for_function(f"scrollY > {before + 20}")
    phone.close()


@needs_browser
def test_a_study_of_which_nothing_is_done_yet(browser: Any, tmp_path: Path) -> None:
    World(tmp_path / "store", study()).run(leave=lambda key: True)
    write(Store(tmp_path / "store").view(), tmp_path / "page.html")
    page = browser.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    marks = page.locator("#matrix-figure .annotation")
    assert marks.all_text_contents() == ["not run"] * 4
    boxes = [marks.nth(number).bounding_box() for number in range(4)]
    assert len({(round(box["x"]), round(box["y"])) for box in boxes}) == 4
    names = page.locator("#matrix-figure .ytick text").all_text_contents()
    assert names == ["supersense", "more"]
    for name in ("languages", "curves", "timeline", "cost"):
        page.locator(f"#{name}-figure").evaluate("one => one.parentElement.scrollIntoView()")
        page.wait_for_selector(f"#{name}-none")
        assert not page.locator(f"#{name}-figure").is_visible()
    assert not page.locator("#curves-choice").is_visible()
    page.close()


@needs_browser
def test_a_page_that_reads_itself_again_keeps_what_was_chosen(
    browser: Any, store: Path, tmp_path: Path
) -> None:
    write(Store(store).view(), tmp_path / "live.html", refresh=600.0)
    page = browser.new_page()
    page.goto((tmp_path / "live.html").as_uri())
    page.select_option("#value", "score")
    page.select_option("#languages-choice", "demo_retrieval")
    for place in (700, 100_000):  # the latter is the end, below figures that are not drawn yet
        page.evaluate(f"scrollTo(0, {place})")
        before = page.evaluate("scrollY")
        page.reload()
        page.wait_for_function(f"scrollY === {before}")
    assert page.input_value("#value") == "score"
    assert page.inner_text("#heading").startswith("Zero-shot scores")
    assert page.input_value("#languages-choice") == "demo_retrieval"
    page.close()
