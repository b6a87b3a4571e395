"""Every kind of damage is found, told, withdrawn by a repair, and made again by the next run."""

from __future__ import annotations

import errno
import io
import json
import re
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from damaged import DATA, SCORE, STAGE, TRIALS, WINNER, commit_of, cut, flip, job_of
from helpers import put, unrelated
from real_work import Run, small
from typer.testing import CliRunner

from sweeper import Store
from sweeper.engine.judging import LIMITS
from sweeper.errors import UnreachableError
from sweeper.report import bytebar as bytebar_module
from sweeper.report.bytebar import bytebar
from sweeper.report.terminal import console
from sweeper.report.verify import consequences
from sweeper.store import tables
from sweeper.store.commits import Commits
from sweeper.store.drivers import Driver
from sweeper.store.files import StoreFiles
from sweeper.store.folder import file_digest
from sweeper.store.leftovers import DEAD, PRUNED, UNMARKED
from sweeper.store.markers import Commit, withdraw
from sweeper.store.schema import TABLES
from sweeper.store.verify import Verified, repair, verify

A = unrelated("a")


class Broken:
    """A store that a test damages."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files = StoreFiles(root)

    def commit(self, key: str) -> Commit:
        """The commit of a job."""
        return commit_of(self.root, key)

    def key(self, key: str) -> str:
        """A job's key, that of the winner found out."""
        return job_of(self.root, key)

    def marker(self, key: str) -> Path:
        return self.root / "commits" / self.commit(key).name

    def file(self, key: str, name: str) -> Path:
        """A file that a job's commit names, by the end of its name or by its table."""
        (found,) = [
            one for one in self.commit(key).files if one.endswith(name) or f"/{name}/" in one
        ]
        return self.root / found

    def said(self, key: str, change: Callable[[dict[str, Any]], Any]) -> None:
        """Change what a marker says."""
        path = self.marker(key)
        data = json.loads(path.read_text())
        change(data)
        path.write_text(json.dumps(data))

    def rewrite(self, key: str, table: str, change: Callable[[list[dict[str, Any]]], Any]) -> None:
        """Change the rows of a table, with a marker that fits them."""
        path = self.file(key, table)
        rows = pq.read_table(path).to_pylist()
        change(rows)
        pq.write_table(pa.Table.from_pylist(rows, schema=TABLES[table]), path)
        said = {"size": path.stat().st_size, "sha256": file_digest(path)}
        name = path.relative_to(self.files.address).as_posix()
        self.said(key, lambda data: data["files"].update({name: said}))

    def verify(self) -> Verified:
        return verify(self.files)


@pytest.fixture
def broken(store: Path) -> Broken:
    return Broken(store)


def test_a_whole_store_is_whole(broken: Broken) -> None:
    seen: list[tuple[int, int]] = []
    found = verify(broken.files, lambda done, total: seen.append((done, total)))
    assert (found.faults, found.leftovers) == ([], [])
    jobs = len(broken.files.names("commits"))
    assert found.counts["markers"] == jobs
    assert (found.counts["asks"], found.counts["dropped"]) == (4, 2)
    scored = len(Store(broken.root).scores(metric="all"))
    examples = len(Store(broken.root).examples())
    assert found.counts["rows"] == jobs + scored + examples
    assert seen[-1] == (found.counts["bytes"], found.counts["bytes"])
    assert found.seconds > 0


def drop_prepared(b: Broken) -> None:
    shutil.rmtree(b.root / b.commit(DATA).folder)


def names(file: str) -> Callable[[Broken], None]:
    """Let the marker of the score name one more file."""

    def damage(b: Broken) -> None:
        name = file.format(attempt=b.commit(SCORE).folder)
        b.said(SCORE, lambda said: said["files"].update({name: {"size": 0, "sha256": ""}}))

    return damage


def no_scores(b: Broken) -> None:
    kept = {name: said for name, said in b.commit(SCORE).files.items() if "scores" not in name}
    b.said(SCORE, lambda said: said.update(files=kept))


def row(key: str, table: str, **changes: Any) -> Callable[[Broken], None]:
    """Change the first row of a table."""
    return lambda b: b.rewrite(key, table, lambda rows: rows[0].update(changes))


Damage = tuple[str, Callable[[Broken], Any], str, str, bool]
DAMAGE: list[Damage] = [
    # What is done, what is said of it, whose commit is withdrawn, and whether that is made again.
    ("flipped weights of a stage", lambda b: flip(b.file(STAGE, "model.safetensors")),
     "content has changed", STAGE, False),
    ("flipped weights of a winner", lambda b: flip(b.file(WINNER, "model.safetensors")),
     "content has changed", WINNER, True),
    ("cut prepared data", lambda b: cut(b.file(DATA, "qab/features.arrow")),
     r"it has \d+ bytes of \d+", DATA, False),
    ("prepared data is gone", drop_prepared, "it is not there", DATA, False),
    ("cut table", lambda b: cut(b.file(SCORE, "scores")), r"bytes of \d+", SCORE, True),
    ("flipped table", lambda b: flip(b.file(SCORE, "examples")), "content", SCORE, True),
    ("table is gone", lambda b: b.file(WINNER, "trials").unlink(), "not there", WINNER, True),
    ("half a marker", lambda b: cut(b.marker(SCORE)), "is no JSON", SCORE, True),
    ("an empty marker", lambda b: b.marker(WINNER).write_text(""), "JSON", WINNER, True),
    ("a marker without files", lambda b: b.said(SCORE, lambda said: said.pop("files")),
     "not the keys of a marker", SCORE, True),
    ("a marker of another", lambda b: b.said(SCORE, lambda said: said.update(address=A)),
     "it says that it is", SCORE, True),
    ("a file of another attempt", names("{attempt}/../x"), "no file of its attempt", SCORE, True),
    ("a file outside", names("../../etc/passwd"), "no file of its attempt", SCORE, True),
    ("units of another", lambda b: b.said(SCORE, lambda said: said["units"].update({"x": A})),
     "its units are not those of its address", SCORE, True),
    ("a trial of another attempt", row(WINNER, "trials", attempt="x"),
     "its row is of another attempt: attempt is 'x'", WINNER, True),
    ("two trials", lambda b: b.rewrite(WINNER, "trials", lambda rows: rows.append(rows[0])),
     "it has 2 rows", WINNER, True),
    ("another outcome", row(WINNER, "trials", status="failed"),
     "status is 'failed'", WINNER, True),
    ("parents that are no JSON", row(WINNER, "trials", parents="["), "Expecting", WINNER, True),
    ("a score of another", row(SCORE, "scores", address=A), "another attempt", SCORE, True),
    ("a score of another unit", row(SCORE, "scores", unit=A),
     "its units are not those of its marker", SCORE, True),
    ("another n", row(SCORE, "scores", n=7),
     r"it has 12 examples of test/qaa, its scores say \[7", SCORE, True),
    ("an example too few", lambda b: b.rewrite(SCORE, "examples", lambda rows: rows.pop()),
     r"it has 11 examples of test/qab, its scores say \[12\]", SCORE, True),
    ("an example of another", row(SCORE, "examples", attempt="x"), "another", SCORE, True),
    ("no scores", no_scores, "it names no scores", SCORE, True),
]  # fmt: skip


@pytest.mark.parametrize(
    ("damage", "said", "lost", "again"),
    [one[1:] for one in DAMAGE],
    ids=[one[0] for one in DAMAGE],
)
def test_damage_is_found_withdrawn_and_made_again(
    broken: Broken, damage: Callable[[Broken], Any], said: str, lost: str, again: bool
) -> None:
    lost, name = broken.key(lost), broken.commit(lost).name
    before = Store(broken.root).scores(metric="all")
    kept = {path: path.read_bytes() for path in broken.root.rglob("*") if path.is_file()}
    damage(broken)
    damaged = {path: path.read_bytes() for path in kept if path.is_file()}

    found = broken.verify()
    assert set(found.withdrawing) == {name}
    assert any(re.search(said, fault.problem) for fault in found.faults), found.faults
    told = consequences(broken.files, found)
    assert told == ({"small": [lost]} if again else {})

    assert repair(broken.files, found) == 1
    assert all(path.read_bytes() == data for path, data in damaged.items()), "nothing is rewritten"
    assert broken.verify().faults == []
    assert Run(small(), broken.root).go().ran == ([lost] if again else [])
    assert broken.verify().faults == []
    same = ["value", "n", "language", "metric", "intermediate"]
    assert Store(broken.root).scores(metric="all")[same].equals(before[same])


# -- references ---------------------------------------------------------------------------------


def test_a_lost_parent_is_told_and_its_children_stay(broken: Broken) -> None:
    address = broken.commit(STAGE).address
    broken.marker(STAGE).unlink()
    found = broken.verify()
    assert {fault.job for fault in found.faults} == set(TRIALS)
    problem = f"its parent {STAGE} ({address}) has no marker"
    assert {fault.problem for fault in found.faults} == {problem}
    assert set(found.withdrawing) == {f"{address}.0"}
    assert found.rests_on == {f"{address}.0": 3}
    repair(broken.files, found)
    assert broken.verify().faults == []
    assert Run(small(), broken.root).go().ran == []
    # And where it is needed it is made again, as the next generation.
    withdraw(broken.files, broken.commit(TRIALS[0]).name, "for this test")
    assert STAGE in Run(small(), broken.root).go().ran
    assert broken.commit(STAGE).generation == 1
    assert broken.verify().faults == []


def test_a_score_of_an_attempt_that_nobody_knows_is_made_again(broken: Broken) -> None:
    trial, score = broken.key(WINNER), broken.commit(SCORE).name
    address = broken.commit(WINNER).address
    broken.marker(WINNER).unlink()
    found = broken.verify()
    assert set(found.withdrawing) == {f"{address}.0", score}
    assert any("no marker names the attempt that made its checkpoint" in fault.problem
               for fault in found.faults)  # fmt: skip
    assert consequences(broken.files, found) == {"small": [trial, SCORE]}
    repair(broken.files, found)
    assert Run(small(), broken.root).go().ran == [trial, SCORE]
    assert broken.verify().faults == []


def test_a_lost_marker_that_nothing_refers_to_is_told_with_its_job(broken: Broken) -> None:
    address, folder = broken.commit(SCORE).address, broken.commit(SCORE).folder
    marker = broken.marker(SCORE)
    marker.unlink()
    found = broken.verify()
    assert found.faults == [], "a person may delete one, and a worker die before it writes one"
    assert {(one.what, one.job, one.address) for one in found.leftovers} == {
        (UNMARKED, SCORE, address)
    }
    assert folder in {one.name for one in found.leftovers}
    assert consequences(broken.files, found) == {"small": [SCORE]}
    code, said = run(broken.root)
    assert code == 0 and f"names: {UNMARKED} {SCORE}: attempts/" in " ".join(said.split())
    assert f"The next run of small does 1 job again:\n  {SCORE}\n" in said
    assert Run(small(), broken.root).go().ran == [SCORE]
    assert {one.what for one in broken.verify().leftovers} == {DEAD}, "another one is the outcome"


def test_the_attempt_of_a_damaged_marker_did_not_die(broken: Broken) -> None:
    cut(broken.marker(SCORE))
    found = broken.verify()
    assert {(one.what, one.job) for one in found.leftovers} == {(UNMARKED, SCORE)}
    assert consequences(broken.files, found) == {"small": [SCORE]}


def test_attempts_at_pruned_trials_are_called_so(broken: Broken) -> None:
    for attempt, error in (("1-a", "pruned"), ("1-b", "infrastructure")):
        table = tables.write(broken.files, "trials", f"{A}-{attempt}", [{"job": TRIALS[0]}]).name
        said = {"job": TRIALS[0], "error": error, "message": "m", "table": table}
        broken.files.create(f"failures/{A}/{attempt}.json", said)
        broken.files.create(f"attempts/{A}/{attempt}/job.json", {})
    found = {one.name: (one.what, one.job) for one in broken.verify().leftovers}
    assert found == {
        f"attempts/{A}/1-a": (PRUNED, TRIALS[0]), f"attempts/{A}/1-b": (DEAD, TRIALS[0]),
    }  # fmt: skip


def test_a_withdrawn_parent_is_no_fault_of_its_children(broken: Broken) -> None:
    withdraw(broken.files, broken.commit(STAGE).name, "for this test")
    assert broken.verify().faults == []


def change(path: Path, **said: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **said}))


@pytest.mark.parametrize(
    ("damage", "faults"),
    [
        (Path.unlink, [r"no ask of trial 1 of surface>topic/seed=0"]),
        (cut, ["is no JSON", "no ask of trial 1"]),
        (lambda path: change(path, number=0), ["it is the ask of trial 0", "no ask of trial 1"]),
        (lambda path: change(path, parameters={"learning_rate": 5.0}), ["no ask of trial 1"]),
        (lambda path: change(path, parameters=[1]), ["it has no parameters", "no ask of trial 1"]),
    ],
)
def test_asks_and_outcomes_agree(
    broken: Broken, damage: Callable[[Path], None], faults: list[str]
) -> None:
    asks = {path: json.loads(path.read_text()) for path in broken.root.glob("asks/*/1.json")}
    (ask,) = [path for path, said in asks.items() if said["search"] == "surface>topic/seed=0"]
    damage(ask)
    found = broken.verify()
    assert len(found.faults) == len(faults)
    for fault, said in zip(found.faults, faults, strict=True):
        assert re.search(said, fault.problem)
        assert fault.remedy and not fault.withdraws, "no repair can bring it back"


def test_the_record_of_an_early_stop_is_read(broken: Broken) -> None:
    name = f"pruned/{'a' * 32}/{'b' * 32}.json"
    broken.files.create(name, {"job": TRIALS[0], "values": [1.0], "why": "worse"})
    assert broken.verify().faults == []
    change(broken.root / name, values=1.0)
    (fault,) = broken.verify().faults
    assert (fault.name, fault.problem, fault.withdraws) == (name, "it has no values", "")


def test_a_drop_of_nothing_would_hide_the_next_commit(broken: Broken) -> None:
    """Its marker was deleted and the drop left behind."""
    (loser,) = [
        name for name in broken.files.names("dropped")
        if broken.commit(TRIALS[0]).name == name or broken.commit(TRIALS[1]).name == name
    ]  # fmt: skip
    broken.files.remove(f"commits/{loser}")
    found = broken.verify()
    (fault,) = found.faults
    assert (fault.name, fault.withdraws) == (f"dropped/{loser}", loser)
    repair(broken.files, found)
    run = Run(small(), broken.root).go()
    assert len(run.ran) == 1 and run.specs[0].generation == 1
    assert broken.verify().faults == []


def strange(folder: str) -> Callable[[Broken], None]:
    def damage(b: Broken) -> None:
        (b.root / folder).mkdir(exist_ok=True)
        (b.root / folder / "notes.txt").write_text("hello")

    return damage


def failure(b: Broken) -> None:
    data = {"job": "j", "message": "m", "error": "bug", "table": f"tables/trials/{A}-1.parquet"}
    b.files.create(f"failures/{A}/1.json", data)


@pytest.mark.parametrize(
    ("damage", "name", "problem"),
    [
        (strange("commits"), "commits/notes.txt", "no marker's name"),
        (strange("withdrawn"), "withdrawn/notes.txt", "no marker's name"),
        (lambda b: cut(b.root / "studies/small/000000.json"), "studies/small", "is no JSON"),
        (lambda b: change(b.root / "studies/small/000000.json", cards=1), "studies/", "no cards"),
        (failure, f"failures/{A}/1.json", "which is not there"),
        (lambda b: b.files.create(f"failed/{A}/1.json", {}), f"failed/{A}", "it has no job"),
    ],
)
def test_what_no_repair_mends_says_what_a_person_can_do(
    broken: Broken, damage: Callable[[Broken], Any], name: str, problem: str
) -> None:
    damage(broken)
    found = broken.verify()
    (fault,) = found.faults
    assert fault.name.startswith(name) and problem in fault.problem
    assert fault.remedy and not found.withdrawing


@pytest.mark.parametrize("name", ["model.safetensors", "trials"])
def test_what_cannot_be_read_now_is_not_given_up(
    broken: Broken, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A disk or a network that fails says nothing of what the files hold."""
    lost, reading = str(broken.file(WINNER, name)), StoreFiles.reading

    def failing(files: StoreFiles, relative: str) -> Any:
        if files.where(relative) == lost:
            raise OSError(errno.EIO, "Input/output error")
        return reading(files, relative)

    monkeypatch.setattr(StoreFiles, "reading", failing)
    found = broken.verify()
    (fault,) = found.faults
    assert "Input/output error" in fault.problem and "verify again" in fault.remedy
    assert repair(broken.files, found) == 0
    # A worker that meets it tries again, and withdraws nothing.
    withdraw(broken.files, broken.commit(SCORE).name, "for this test")
    run = Run(small(), broken.root).go()
    if name == "trials":  # which no job reads
        assert run.ran == [SCORE]
    else:
        assert run.ran == [SCORE] * LIMITS["infrastructure"]
        assert "Input/output error" in run.said("failed")[0]
    assert len(broken.files.names("withdrawn")) == 1
    monkeypatch.undo()
    assert broken.verify().faults == []


def test_what_failed_for_a_moment_is_not_given_up(
    broken: Broken, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bucket may be back when one looks again: nothing is known to be damaged."""
    name, contents = broken.commit(SCORE).table("scores"), StoreFiles.contents

    def away(files: StoreFiles, relatives: Iterable[str]) -> Iterable[bytes | None]:
        asked = list(relatives)
        if name in asked:
            raise UnreachableError("S3 failed 4 times in a row")
        return contents(files, asked)

    monkeypatch.setattr(StoreFiles, "contents", away)
    found = broken.verify()
    (fault,) = found.faults
    assert "4 times in a row" in fault.problem and "verify again" in fault.remedy
    assert repair(broken.files, found) == 0


# -- a store in use, and what lies about ---------------------------------------------------------


def test_what_is_dropped_while_we_look_is_no_damage(broken: Broken) -> None:
    commits = Commits(broken.files)
    address = broken.commit(WINNER).address

    def driver(done: int, total: int) -> None:
        if not commits.by_address[address].dropped:
            commits.drop(address)

    assert verify(broken.files, driver).faults == []
    assert commits.by_address[address].dropped


def test_older_generations_are_not_held_against_their_files(broken: Broken) -> None:
    shutil.rmtree(broken.root / broken.commit(DATA).folder)
    withdraw(broken.files, broken.commit(SCORE).name, "for this test")
    assert Run(small(), broken.root).go().ran == [DATA, SCORE]
    assert broken.verify().faults == []


def test_leftovers_are_listed_and_stay(broken: Broken) -> None:
    done, attempt = broken.commit(STAGE).address, broken.commit(STAGE).folder
    left = {
        f"attempts/{A}/dead/job.json": f"attempts/{A}/dead",
        f"attempts/{A}/dead/checkpoint/model.safetensors": f"attempts/{A}/dead",
        f"{attempt}/checkpoint/extra.bin": f"{attempt}/checkpoint/extra.bin",
        f"tables/scores/{A}-dead.parquet": f"tables/scores/{A}-dead.parquet",
        "commits/.draft-1": "commits/.draft-1",
        f"resume/{done}/slot-a.safetensors": f"resume/{done}",
    }
    for name in [*left, f"resume/{A}/slot-a.safetensors", "logs/x/y.log", "stops/x.json"]:
        path = broken.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("12345")
    found = broken.verify()
    assert found.faults == []
    assert {one.name: (one.files, one.bytes) for one in found.leftovers} == {
        name: (2, 10) if name.endswith("dead") else (1, 5) for name in set(left.values())
    }
    repair(broken.files, found)
    assert all((broken.root / name).exists() for name in left)


@pytest.mark.parametrize("ended", [False, True])
def test_the_attempts_of_living_drivers_are_no_leftovers(broken: Broken, ended: bool) -> None:
    driver = Driver(broken.files, "small")
    driver.running = {"train/x": {"attempt": "0-at-work"}}
    driver.beat()
    if ended:
        driver.end()
    broken.files.create(f"attempts/{A}/0-at-work/job.json", {})
    broken.files.create(f"attempts/{A}/0-dead/job.json", {})
    found = {one.name for one in broken.verify().leftovers}
    dead = {f"attempts/{A}/0-dead"}
    assert found == (dead | {f"attempts/{A}/0-at-work"} if ended else dead)


def test_half_a_heartbeat_is_in_nobodys_way(broken: Broken) -> None:
    put(broken.files, "drivers/x.json", '{"driver": "x", "runn')
    assert broken.verify().faults == []


def test_progress_is_told_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 100, 2))
    monkeypatch.setattr(bytebar_module.time, "monotonic", lambda: next(clock))
    stream = io.StringIO()
    with bytebar(console(stream), "read") as listener:
        for done in range(1, 8):
            listener(done * 1000, 7000)
    assert stream.getvalue() == (
        "3.0 kB of 7.0 kB read; 8 s left\n6.0 kB of 7.0 kB read; 2 s left\n"
    )


def test_a_table_of_examples_is_read_in_pieces(broken: Broken) -> None:
    """A table larger than one batch is counted whole."""
    count = 200_000
    broken.rewrite(SCORE, "examples", lambda rows: rows.extend(
        [next(row for row in rows if row["language"] == "qaa")] * (count - 12)))  # fmt: skip
    (fault,) = broken.verify().faults
    assert f"it has {count} examples of test/qaa, its scores say [12]" in fault.problem


def test_a_store_in_a_bucket_is_verified_and_repaired(broken: Broken, address: str) -> None:
    """The same store, copied file by file."""
    files = StoreFiles(address, create=True)
    for path in broken.root.rglob("*"):
        name = path.relative_to(broken.root).as_posix()
        if path.is_file() and not name.startswith(("logs/", "store.json")):
            put(files, name, path.read_bytes())
    whole = verify(files)
    assert (whole.faults, whole.leftovers) == ([], [])
    assert whole.counts == broken.verify().counts
    trial, marker = broken.key(WINNER), broken.commit(WINNER).name
    weights = broken.file(WINNER, "model.safetensors")
    flip(weights)
    put(files, weights.relative_to(broken.root).as_posix(), weights.read_bytes())
    put(files, f"commits/{broken.commit(SCORE).name}", "{")
    found = verify(files)
    assert set(found.withdrawing) == {marker, broken.commit(SCORE).name}
    repair(files, found)
    assert verify(files).faults == []
    # What a worker meets in a bucket is withdrawn and made again as well.
    prepared = broken.commit(DATA)
    put(files, f"{prepared.folder}/qab/features.arrow", b"x")
    run = Run(small(), address).go()
    assert run.ran == [trial, SCORE, DATA, SCORE]
    assert sorted(files.names("withdrawn")) == sorted([*found.withdrawing, prepared.name])
    assert verify(files).faults == []


# -- the command ---------------------------------------------------------------------------------


def run(store: Path, *options: str) -> tuple[int, str]:
    """The command's exit code and standard output."""
    from sweeper.cli import app

    found = CliRunner().invoke(app, ["store", "verify", "--store", str(store), *options])
    return found.exit_code, found.stdout


def test_the_command_says_what_is_damaged_what_it_means_and_what_a_repair_does(
    broken: Broken,
) -> None:
    assert run(broken.root)[0] == 0
    path, trial = broken.file(WINNER, "model.safetensors"), broken.key(WINNER)
    flip(path)
    code, said = run(broken.root)
    assert code == 1
    name = path.relative_to(broken.files.address).as_posix()
    assert f"{trial}: {name}: its content has changed" in said
    assert "1 commit that was made from its checkpoint stays" in said
    assert "--repair makes 1 commit count as not there; it deletes nothing" in said
    assert f"The next run of small does 1 job again:\n  {trial}\n" in said
    assert broken.files.names("withdrawn") == []

    code, said = run(broken.root, "--repair")
    assert code == 0 and "1 commit no longer counted" in said
    assert run(broken.root)[0] == 0


def test_the_command_fails_while_something_is_not_mended(broken: Broken) -> None:
    flip(broken.file(WINNER, "model.safetensors"))
    (broken.root / "commits/notes.txt").write_text("hello")
    code, said = run(broken.root, "--repair")
    assert code == 1
    assert "1 fault that no repair mends" in said
    assert "commits/notes.txt: it bears no marker's name. Move it away" in said
    assert "What the next run does again cannot be told: commits/notes.txt" in said


def test_all_findings_as_json(broken: Broken) -> None:
    flip(broken.file(WINNER, "model.safetensors"))
    code, said = run(broken.root, "--json")
    told = json.loads(said)
    assert code == 1
    assert told["withdrawing"].keys() == {broken.commit(WINNER).name}
    assert told["done_again"] == {"small": [broken.key(WINNER)]}
    assert told["faults"][0]["problem"] == "its content has changed"
    assert told["counts"]["markers"] == 14 and told["leftovers"] == [] and told["repaired"] == 0
    code, said = run(broken.root, "--json", "--repair")
    assert (code, json.loads(said)["repaired"]) == (0, 1)


def test_a_second_attempt_that_scored_otherwise_is_told(broken: Broken) -> None:
    commit = broken.commit(SCORE)
    name = f"{commit.address}-second.parquet"
    for table in ("scores", "trials"):
        path = broken.file(SCORE, table)
        rows = [{**row, "attempt": "second"} for row in pq.read_table(path).to_pylist()]
        schema = TABLES[table]
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), path.with_name(name))
    assert broken.verify().disagreeing == []
    path = broken.file(SCORE, "scores").with_name(name)
    rows = pq.read_table(path).to_pylist()
    rows[0]["value"] += 1e-12
    pq.write_table(pa.Table.from_pylist(rows, schema=TABLES["scores"]), path)
    found = broken.verify()
    (one,) = found.disagreeing
    assert (one.job, one.kept, one.other) == (SCORE, commit.attempt, "second")
    (said,) = one.differences
    assert said.other - said.kept == pytest.approx(1e-12, rel=0.1)
    assert found.faults == []
    code, told = run(broken.root)
    assert code == 0 and "1 attempt that does not count scored otherwise" in " ".join(told.split())
    assert f"{SCORE}: {said.what} {said.kept} by {commit.attempt}, which counts" in told
    # One that died before its last table was no whole attempt.
    broken.file(SCORE, "trials").with_name(name).unlink()
    assert broken.verify().disagreeing == []
