"""What the report's page is made of: its data, its figures, and how it is written."""

from __future__ import annotations

import base64
import csv
import gzip
import io
import itertools
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from analysis.world import Dev, World, study

from report.matrices import MARKUP, column, done, matrix, unfinished
from sweeper import Store, failures
from sweeper.errors import StoreError
from sweeper.graph import Job
from sweeper.jobs import JobSpec
from sweeper.report.webpage import figures, sweeps
from sweeper.report.webpage import page as page_module
from sweeper.report.webpage.heatmap import heat_map, roomy
from sweeper.report.webpage.page import follow, write
from sweeper.report.webpage.summary import NO_STAR, STARS, UNTESTED, certainty, findings
from sweeper.report.webpage.sweeps import timeline
from sweeper.store.drivers import Driver
from sweeper.store.files import StoreFiles

MEDIAN = {"rule": "median", "startup": 1}


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
    line = drawn["timeline"][""]["data"]
    by_kind = {trace["name"]: len(trace["x"]) for trace in line}
    assert by_kind["tune"] and by_kind["failed"] == 1
    # Jobs of a second, a tenth of a second apart.
    assert {worker for trace in line for worker in trace["y"]} == {"worker 1: 91 % busy"}
    assert (
        "Of the time in which a job was ready for it, a worker worked 91 %."
        in (drawn["said"]["timeline"])
    )
    lines = [t for t in drawn["curves"]["tagging"]["data"] if t["mode"] == "lines"]
    assert lines[0]["x"] == [1e-3, 3e-3]


def test_who_waited_for_whom(store: Path) -> None:
    view = Store(store).view()
    rows: Any = view.trials().to_dict("records")
    chain = timeline(rows, view.plan).chain
    assert chain[0].after == "" and chain[0].job == "prepare/tokenizer"
    assert [one.after for one in chain[1:]] == [one.job for one in chain[:-1]]
    assert chain[-1].job == max(rows, key=lambda row: row["committed"])["job"]
    assert all(one.seconds == pytest.approx(1.0) for one in chain)


def test_a_running_sweep_is_followed_to_its_end(store: Path, tmp_path: Path) -> None:
    shutil.copytree(store, tmp_path / "store")
    driver, page = Driver(StoreFiles(tmp_path / "store"), "tiny"), tmp_path / "page.html"
    times = itertools.chain([0.0, 1.0, 10.0, 14.0], itertools.repeat(14.0))
    waited, seen = list[float](), list[dict[str, Any]]()

    def wait(seconds: float) -> None:
        waited.append(seconds)
        assert 'http-equiv="refresh"' in page.read_text()
        seen.append(part(page.read_text(), "data")["matrix"]["gain|task"])
        if len(waited) == 2:
            driver.end()

    driver.beat()
    follow(Store(tmp_path / "store").view(), page, wait, lambda: next(times))
    # Writing took 1 s and 4 s, and is to take a fifth of the time at most.
    assert waited[:2] == [10.0, 20.0]
    assert seen[0]["texts"][0][1] == "+7.0 ± 0.6 [+4.5, +9.5]**"
    assert 'http-equiv="refresh"' not in page.read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"store", "page.html"}


def test_a_study_of_the_control_alone(tmp_path: Path) -> None:
    World(tmp_path / "store", study(intermediates={})).run()
    write(Store(tmp_path / "store").view(), tmp_path / "page.html")
    drawn = part((tmp_path / "page.html").read_text(), "data")
    assert {name.split("|")[0] for name in drawn["matrix"]} == {"score"}
    assert drawn["matrix"]["score|task"]["values"] == [[46.0, 20.0]]


class Diverging(World):
    """The second trial of every search of `more` diverges."""

    def _trial(self, job: Job, address: str, attempt: str, status: str = "done") -> dict[str, Any]:
        made = super()._trial(job, address, attempt, status)
        lost = {"status": "diverged", "parameters": json.dumps({"learning_rate": 3e-3})}
        return made | (lost if self._diverges(job) else {})

    def _outcome(self, job: Job, dev: Dev) -> dict[str, Any]:
        made = super()._outcome(job, dev)
        return made | ({"status": "diverged", "selections": {}} if self._diverges(job) else {})

    def _diverges(self, job: Job) -> bool:
        return job.kind == "tune" and job.trial == 1 and job.intermediate == "more"


def test_trials_that_diverged_are_counted_below_the_curves(tmp_path: Path) -> None:
    Diverging(tmp_path / "store", study()).run()
    write(Store(tmp_path / "store").view(), tmp_path / "page.html")
    curves = part((tmp_path / "page.html").read_text(), "data")["curves"]["tagging"]
    assert curves["said"] == "Without a mark: 3 diverged at 0.003."
    marks = {t["name"]: t["x"] for t in curves["data"] if t["mode"] == "markers"}
    assert marks["more"] == [1e-3] * 3 and sorted(marks["none"]) == [1e-3] * 3 + [3e-3] * 3


def test_a_trial_whose_worker_died_as_it_was_pruned_is_counted_once(tmp_path: Path) -> None:
    """The driver wrote the rows of its attempts, which do not say what it was trained with."""
    space = {**study().spaces["tagging"].model_dump(exclude_unset=True), "pruning": MEDIAN}
    world = World(tmp_path / "store", study(spaces={"tagging": space}))
    key = "tune/more>tagging/seed=0/trial=1"
    world.run(leave=lambda one: one == key)
    search = world.plan.searches["more>tagging/seed=0"]
    world.progress.asked(search, 1, world.drawn(search, 1))
    world.progress.prune(key, [20.0], "too low")
    units = world.progress.missing(key)
    for attempt in ("0001-a", "0002-b"):
        spec = JobSpec(key, "tune", units["all"], attempt, "tiny", units, {}, "more", "tagging")
        failures.record(world.files, spec, "pruned", "too low")
    write(Store(tmp_path / "store").view(), tmp_path / "page.html")
    curves = part((tmp_path / "page.html").read_text(), "data")["curves"]["tagging"]
    assert curves["said"] == "Without a mark: 1 pruned at 0.003."


def test_values_in_nats_have_a_scale_of_their_own() -> None:
    made = matrix(
        value="score",
        columns=(
            column("xnli", "de", "sw"),
            column("mlm", "fi", unit="nats", higher_is_better=False),
        ),
        cells={("better", "xnli"): done(50.0), ("better", "mlm"): done(2.5)},
        rows=("better",),
    )
    percent, nats = heat_map(made, {})["data"]
    assert (percent["z"], percent["reversescale"]) == ([[50.0]], False)
    assert (nats["z"], nats["reversescale"], nats["columns"]) == ([[2.5]], True, [1])
    assert nats["colorbar"]["title"]["text"] == "nats (less is better)"


@pytest.mark.parametrize(("languages", "inside"), [(8, "+2.0<br>[+1.0, +3.0]"), (9, "+2.0")])
def test_intervals_stand_in_the_cells_where_there_is_room(languages: int, inside: str) -> None:
    parts = tuple(column("xnli", f"l{n}", group=f"l{n}") for n in range(languages))
    cell = done(2.0, interval=(1.0, 3.0), covers="seeds and examples")
    made = matrix(
        by="language",
        rows=("better",),
        columns=parts,
        cells={("better", part.name): cell for part in parts},
    )
    (trace,) = heat_map(made, {})["data"]
    assert trace["text"] == [[inside] * languages]
    assert roomy(made) == ("[" in inside), "what the heading says of intervals goes by this"


def test_last_and_averaged_checkpoints_stand_below_the_curves(tmp_path: Path) -> None:
    world = World(tmp_path / "store", study(checkpoints=["last", "averaged"]))
    world.beside = lambda weights, row, seed: -0.5 if weights == "last" else 2.0
    world.run()
    write(Store(tmp_path / "store").view(), tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    rows = re.findall(r"<td>(last|averaged)</td><td class=.number.>(.*?)</td><td>(.*?)</td>", text)
    assert rows == [
        ("last", "-0.50 [-0.50, -0.50]", "rows: 3, seeds: 3"),
        ("averaged", "+2.00 [+2.00, +2.00]", "rows: 3, seeds: 3"),
    ]


def test_one_test_is_not_called_many(page_file: Path) -> None:
    notes = " ".join(part(page_file.read_text(), "data")["notes"]["gain|task"])
    assert "corrected by Holm for the only test of this matrix" in notes
    by_language = " ".join(part(page_file.read_text(), "data")["notes"]["score|language"])
    assert (
        "Holm" not in by_language and "tagging: f1 (percent) on test, qaa qab qac" in by_language
    )


def test_in_short() -> None:
    xnli, panx = findings(matrix())
    assert xnli.helps and xnli.hurts and panx.helps is None and panx.hurts is None
    assert (xnli.helps[0], xnli.helps[1].value, xnli.helps[1].stars) == ("better", "+2.0", "**")
    assert (xnli.hurts[0], xnli.hurts[1].spread) == ("worse", "[-3.2, -1.0]")
    assert findings(unfinished(2, 3)) == []
    marks = " † and ‡: see 'How to read it' below the matrix."
    assert certainty(matrix()) == STARS + marks
    assert certainty(matrix(family=0)) == UNTESTED + marks
    chance = {
        key: replace(cell, p_holm=0.2, overlap=(), collapsed=())
        for key, cell in matrix().cells.items()
    }
    assert certainty(matrix(cells=chance)) == NO_STAR


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2)."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


def test_contrasts_are_enough() -> None:
    """Text 4.5 to 1, marks and bars 3 to 1: WCAG 2, level AA."""
    for value in ("gain", "score"):
        (trace,) = heat_map(matrix(value=value), {})["data"]
        for _, colour in trace["colorscale"]:
            assert contrast(colour, trace["textfont"]["color"]) >= 4.5
    css = (Path(page_module.__file__).parent / "page.css").read_text()
    light, dark = (
        dict(re.findall(r"--(\w+): (#\w{6})", part)) for part in css.split("@media")[:2]
    )
    marks = [look["color"] for look in figures.styles([f"row{n}" for n in range(7)]).values()]
    for mode in (light, dark):
        for name in ("ink", "soft", "link", "good", "open"):
            assert contrast(mode[name], mode["paper"]) >= 4.5
        assert contrast(mode["ink"], mode["line"]) >= 4.5, "a cell without a value"
        for colour in [*marks, *sweeps.KINDS.values()]:
            assert contrast(colour, mode["paper"]) >= 3


def test_a_file_that_cannot_be_written_is_said(store: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="could not be written: .*`--output`"):
        write(Store(store).view(), tmp_path / "file" / "page.html")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError, match="could not be written"):
        write(Store(store).view(), tmp_path / "folder")
    assert {path.name for path in tmp_path.iterdir()} == {"file", "folder"}
