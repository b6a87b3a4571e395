"""Every format of a matrix that is not finished: what each cell's state and marks become."""

from __future__ import annotations

import dataclasses
import io
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import openpyxl
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from report.matrices import column, done, lacking, matrix, unfinished
from sweeper.analysis.matrix import TransferMatrix
from sweeper.errors import StoreError
from sweeper.report import figures
from sweeper.report.cells import shown
from sweeper.report.export import export
from sweeper.report.figures import figure
from sweeper.report.values import readable, rounded

GOLDEN = Path(__file__).parent / "golden"
STATES = ["running", "failed", "blocked", "not run"]


@pytest.mark.parametrize(
    ("format", "ending"), [("csv", "csv"), ("json", "json"), ("markdown", "md"), ("latex", "tex")]
)
def test_texts_are_the_golden_ones(format: str, ending: str) -> None:
    golden = GOLDEN / f"states.{ending}"
    assert export(matrix(), format).decode() == golden.read_text(encoding="utf-8")


def test_parquet_is_the_long_table() -> None:
    found = pd.read_parquet(io.BytesIO(export(matrix(), "parquet")))
    pd.testing.assert_frame_equal(found, matrix().to_frame(), check_dtype=False)


# ---- XLSX -------------------------------------------------------------------------------------


def opened(content: bytes) -> Any:
    return openpyxl.load_workbook(io.BytesIO(content))


def test_a_workbook_has_numbers_with_their_marks_and_states() -> None:
    book = opened(export(matrix(), "xlsx"))
    sheet = book["matrix"]
    assert [cell.value for cell in sheet[3]] == ["intermediate", "xnli", "panx_r", "udpos"]
    assert [[cell.value for cell in row] for row in sheet["A4:D7"]] == [
        ["better", 2, 0, "no data"],
        ["worse", -2, "running", "no data"],
        ["part", 1.5, "failed", "no data"],
        ["gone", "blocked", "not run", "no data"],
    ]
    assert sheet["B4"].number_format.split(";")[0] == '+0.0"** [+1.0, +3.0] †"'
    assert sheet["B5"].number_format.split(";")[1] == '-0.0" [-3.2, -1.0] ‡"'
    assert sheet["B6"].number_format.split(";")[0] == '+0.0" ± 0.2 (2/3 seeds)"'
    assert sheet["B4"].font.b and not sheet["B5"].font.b
    hatched = {c.coordinate for row in sheet["B4:D7"] for c in row if c.fill.patternType}
    assert hatched == {"B6", "B7", "C5", "C6", "C7", "D4", "D5", "D6", "D7"}
    notes = [cell.value for cell in sheet["A"][8:]]
    assert "Incomplete: 5 of 12 cells (1 blocked, 1 failed, 1 not run, 1 partial, 1 running)." in (
        notes
    )
    cells = book["cells"]
    assert cells.max_row == 13 and cells["A1"].value == "study"


def test_a_workbook_by_language_has_targets_above() -> None:
    columns = (column("xnli", "de", group="de"), column("xnli", "sw", group="sw"))
    cells = {("better", c.name): done(1.0) for c in columns}
    sheet = opened(export(matrix(by="language", rows=("better",), columns=columns, cells=cells),
                          "xlsx"))["matrix"]  # fmt: skip
    assert [[c.value for c in row] for row in sheet["A3:C4"]] == [
        [None, "xnli", "xnli"], ["intermediate", "de", "sw"],
    ]  # fmt: skip
    assert sheet.freeze_panes == "B5"


def test_texts_in_a_workbook_are_never_formulas() -> None:
    frame = pd.DataFrame({"predicted": ["=1+1", "#N/A", "a\x00b", "", None], "n": [1.5] * 5})
    sheet = opened(export(frame, "xlsx"))["rows"]
    assert [cell.value for cell in sheet["A"][1:]] == ["=1+1", "#N/A", "a\ufffdb", None, None]
    assert {cell.data_type for cell in sheet["A"][1:4]} == {"s"}
    assert [cell.value for cell in sheet["B"][1:]] == [1.5] * 5
    ranked = pd.DataFrame({"ranking": [["c2", "c1"], None]})
    assert opened(export(ranked, "xlsx"))["rows"]["A2"].value == '["c2", "c1"]'


def test_what_a_workbook_cannot_hold_is_refused() -> None:
    with pytest.raises(StoreError, match="holds 32,767 characters; a text here has 40,000"):
        export(pd.DataFrame({"a": ["x" * 40_000]}), "xlsx")
    with pytest.raises(StoreError, match="1,048,576 rows, one of them the header"):
        export(pd.DataFrame({"a": range(1_048_576)}), "xlsx")


# ---- figures ----------------------------------------------------------------------------------


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Figure]]:
    """The figures that were drawn, as matplotlib has them."""
    made: list[Figure] = []

    def draw(*given: Any) -> Figure:
        made.append(original(*given))
        return made[-1]

    original = figures.draw
    monkeypatch.setattr(figures, "draw", draw)
    yield made


def fills(of: Figure, panel: int = 0) -> dict[tuple[int, int], Rectangle]:
    """Column and row -> the rectangle that fills a cell of a panel."""
    found = {}
    for patch in of.axes[panel].patches:
        assert isinstance(patch, Rectangle)
        if patch.get_width() == 1 and patch.get_fill():
            found[int(patch.get_x()), int(patch.get_y())] = patch
    return found


def test_zero_is_white_and_the_scale_is_even(drawn: list[Figure]) -> None:
    columns = tuple(column(name, "de") for name in "abc")
    values = {("row", "a"): done(4.0), ("row", "b"): done(0.0), ("row", "c"): done(-1.0)}
    figure(matrix(rows=("row",), columns=columns, cells=values), "svg")
    gain, zero, loss = (fills(drawn[0])[place, 0].get_facecolor()[:3] for place in range(3))
    assert min(zero) > 0.96
    assert gain[2] > gain[0] + 0.3 and loss[0] > loss[2] + 0.1  # blue and red
    # The darkest tenths of the map are not used; a loss of 1 is a quarter of the way to the end.
    ends = mpl.colormaps["RdBu"]([0.9, 0.5 - 0.4 / 4])
    assert gain == pytest.approx(ends[0][:3], abs=0.01)
    assert loss == pytest.approx(ends[1][:3], abs=0.01)


def test_cells_that_lack_something_are_marked(drawn: list[Figure]) -> None:
    svg = figure(matrix(), "svg").decode()
    hatched = {place for place, patch in fills(drawn[0]).items() if patch.get_hatch()}
    assert hatched == {(1, 1), (1, 2), (0, 3), (1, 3), *((2, row) for row in range(4))}
    dashed = [patch for patch in drawn[0].axes[0].patches if patch.get_linestyle() != "solid"]
    bordered = [(int(p.get_x()), int(p.get_y())) for p in dashed if isinstance(p, Rectangle)]
    assert bordered == [(0, 2)]
    texts = re.findall(r"<text[^>]*>([^<]+)</text>", svg)
    assert {state: texts.count(state) for state in STATES} == dict.fromkeys(STATES, 1)
    assert texts.count("no data") == 4
    for said in ("+2.0**†", "[+1.0, +3.0]", "\N{MINUS SIGN}2.0‡", "± 0.2 (2/3)", "no value",
                 "not all of its seeds", "gain over none, points"):  # fmt: skip
        assert said in texts, said
    assert "chosen: trial and epoch" in svg  # in the metadata


def test_the_same_matrix_is_the_same_file() -> None:
    for format in figures.FORMATS:
        assert figure(matrix(), format) == figure(matrix(), format)
    assert figure(matrix(), "pdf").startswith(b"%PDF")


def test_a_figure_keeps_to_its_width(drawn: list[Figure]) -> None:
    codes = [f"l{number:02}" for number in range(40)]
    columns = tuple(column("panx", code, group=code) for code in codes)
    rows = ("mnli", "a_row_with_quite_a_long_name_that_is_broken")
    cells = {(row, c.name): done(1.0) for row in rows for c in columns}
    wide = matrix(by="language", rows=rows, columns=columns, cells=cells)
    for width in (3.5, 7.0, 100.0):
        content = figure(wide, "png", width)
        image = Image.open(io.BytesIO(content))
        assert image.width / 200 <= width + 0.01
        panels = [axes for axes in drawn[-1].axes if not axes.get_xlabel()]
        heads = [t.get_text() for axes in panels for t in axes.texts if t.get_text() in codes]
        assert heads == codes
    assert len(panels) == 1 and len(drawn[0].axes) > 4
    renderer, inside = FigureCanvasAgg(drawn[0]).get_renderer(), drawn[0].get_window_extent()
    for axes in drawn[0].axes:
        for text in axes.texts:
            box = text.get_window_extent(renderer)
            assert inside.x0 <= box.x0 and box.x1 <= inside.x1, text.get_text()


def test_a_tall_figure_has_fewer_dots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "MOST", 1000)
    tall = Image.open(io.BytesIO(figure(unfinished(40, 1), "png")))
    assert 990 < tall.height <= 1000


def test_nothing_done_yet_is_a_figure_without_a_scale(drawn: list[Figure]) -> None:
    figure(unfinished(1, 3), "png")
    assert len(fills(drawn[0])) == 3
    assert not any(axes.get_xlabel() for axes in drawn[0].axes)


def test_units_have_scales_of_their_own(drawn: list[Figure]) -> None:
    columns = (column("xnli", "de"), column("mlm", "de", unit="nats", higher_is_better=False))
    cells = {("a", "xnli"): done(50.0), ("a", "mlm"): done(2.0),
             ("b", "xnli"): done(60.0), ("b", "mlm"): done(1.0)}  # fmt: skip
    figure(matrix(value="score", rows=("a", "b"), columns=columns, cells=cells), "png")
    labels = [axes.get_xlabel() for axes in drawn[0].axes if axes.get_xlabel()]
    assert labels == ["percent", "nats (less is better)"]
    better, worse = (sum(fills(drawn[0], 1)[0, row].get_facecolor()[:3]) for row in (1, 0))
    assert better < worse  # darker


def test_many_columns_have_no_intervals(drawn: list[Figure]) -> None:
    columns = tuple(column("xnli", code, group=code) for code in ("de", "sw"))
    cells = {("a", c.name): done(1.0, interval=(0.25, 1.75)) for c in columns}
    svg = figure(matrix(by="language", rows=("a",), columns=columns, cells=cells), "svg").decode()
    texts = re.findall(r"<text[^>]*>([^<]+)</text>", svg)
    assert texts.count("+1.0") == 2 and not [text for text in texts if "[" in text]
    assert not [text for text in texts if "interval" in text.lower()]


def test_what_rounds_to_zero_is_zero_without_a_sign() -> None:
    made = matrix()
    cell = done(-0.04, interval=(-0.04, 0.04), covers="seeds and examples")
    made = dataclasses.replace(made, cells={**made.cells, ("better", "xnli"): cell})
    found = shown(made, "better", made.columns[0])
    assert (found.value, found.interval) == ("0.0", "[0.0, 0.0]")
    scores = dataclasses.replace(made, value="score")
    assert shown(scores, "better", made.columns[0]).value == "0.0"
    assert (readable(-0.00001), readable(-0.5), rounded(2.04, 1, signed=True)) == (
        "0", "-0.5", "+2.0",
    )  # fmt: skip


def test_trained_languages_are_in_brackets() -> None:
    columns = (column("xnli", "en", group="en", zero_shot=False), column("xnli", "de", group="de"))
    cells = {("a", c.name): lacking("running") for c in columns}
    of: TransferMatrix = matrix(by="language", rows=("a",), columns=columns, cells=cells)
    svg = figure(of, "svg").decode()
    assert ">(en)<" in svg and ">de<" in svg and "In brackets: the target is trained in" in svg


def test_what_cannot_be_drawn_is_said() -> None:
    with pytest.raises(StoreError, match="Known: pdf, png, svg"):
        figure(matrix(), "gif")
    for width in (1.0, math.nan):
        with pytest.raises(StoreError, match="3 to 100 inches wide"):
            figure(matrix(), "png", width)
    with pytest.raises(StoreError, match="nothing to draw"):
        figure(matrix(rows=(), cells={}), "png")
