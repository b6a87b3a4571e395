"""Tokens and keys reach neither the store nor what is logged, printed or exported."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from real_work import Run, small
from typer.testing import CliRunner

import sweeper.cli
from sweeper.engine.deaths import Death
from sweeper.engine.environment import TUNE_PASSES_ON, hidden, passed_on, runtime_env
from sweeper.engine.hooks import PlanSearcher
from sweeper.engine.worker import Worker
from sweeper.errors import DataError, ModelError, StudyError
from sweeper.jobs import JobSpec, Progress
from sweeper.redaction import redacted
from sweeper.store.files import StoreFiles
from sweeper.training import work as worker
from sweeper.tuning.searches import Searches

SECRETS = {
    "HF_TOKEN": "hf_ThisIsTheTokenOfTheHub",
    "RAY_AUTH_TOKEN": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "WANDB_API_KEY": "c0ffee00c0ffee00c0ffee00",
}
LEAK = (
    "401 for url: https://me:{HF_TOKEN}@hub.org/x?token={HF_TOKEN}&k={WANDB_API_KEY} "
    "(Authorization: Bearer {RAY_AUTH_TOKEN}; {AWS_ACCESS_KEY_ID}:{AWS_SECRET_ACCESS_KEY})"
).format(**SECRETS)
SAFE = "401 for url: https://***@hub.org/x?token=***&k=*** (Authorization: Bearer ***; ***:***)"


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)


def leaks(text: str) -> list[str]:
    return [name for name, value in SECRETS.items() if value in text]


def texts(store: Path) -> Iterator[tuple[Path, str]]:
    """All that a store holds, tables unpacked: file and text."""
    for path in store.rglob("*"):
        if path.suffix == ".parquet":
            yield path, str(pq.read_table(path).to_pylist())
        elif path.is_file():
            yield path, path.read_bytes().decode("utf-8", errors="replace")


def answers(store: Path) -> str:
    """What the commands print and export of a store."""
    folder, said = str(store), ""
    log = next(iter(Run(small(), store).progress.plan.jobs))
    for command in (
        ["status", "--store", folder],
        ["status", "--store", folder, "--where"],
        ["export", "trials", "--store", folder],
        ["export", "trials", "--store", folder, "--format", "markdown"],
        ["export", "scores", "--store", folder],
        ["matrix", "--store", folder],
        ["logs", log, "--store", folder],
        ["store", "verify", "--store", folder, "--json"],
    ):
        ran = CliRunner().invoke(sweeper.cli.app, command)
        assert ran.exit_code == 0, (command, ran.output)
        said += ran.output
    return said


def raise_with_cause(error: Exception) -> None:
    try:
        raise ConnectionError(LEAK)
    except ConnectionError as cause:
        raise error from cause


def test_errors_of_every_class_at_every_job_keep_their_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every job fails once, with what it knows in its message and in its traceback."""
    store = tmp_path / "store"
    errors = cycle([OSError(LEAK), DataError(LEAK), RuntimeError(LEAK), ModelError(LEAK)])
    failed: set[str] = set()
    handler = worker.handler

    def failing(kind: str) -> Any:
        def handle(spec: JobSpec, *more: Any) -> Any:
            yield Progress("load")
            if spec.key not in failed:
                failed.add(spec.key)
                raise_with_cause(next(errors))
            return (yield from handler(kind)(spec, *more))

        return handle

    monkeypatch.setattr(worker, "handler", failing)
    said = []
    for _ in range(20):  # what is not tried again at once is tried by the next run
        run = Run(small(), store).go()
        said += run.said("retry") + run.said("failed")
        assert not leaks(repr(run.events) + repr(run.progress.failures))
        if not run.progress.failures:
            break
    assert failed == set(run.progress.plan.jobs) and not run.progress.left
    assert len(said) >= len(failed) and all(SAFE in one for one in said)

    kept = dict(texts(store))
    assert [path for path, text in kept.items() if leaks(text)] == []
    for folder, count in (("failures", 1), ("logs", 2), ("tables/trials", 1)):
        told = sum(
            text.count("k=***") for path, text in kept.items() if f"/{folder}/" in str(path)
        )
        assert told >= count * len(failed), f"{folder} says what was wrong all the same"
    said_of = answers(store)
    assert not leaks(said_of) and SAFE in said_of


def test_what_fails_in_the_driver_keeps_its_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = tmp_path / "store"
    monkeypatch.setattr(Searches, "ask", lambda *_: raise_with_cause(StudyError(LEAK)))
    run = Run(small(), store).go()
    assert any(SAFE in message for message in run.said("failed"))
    assert not leaks(repr(run.events) + repr(run.progress.failures))

    # A worker that dies without a word, of which Ray says why.
    died = Run(small(seeds=[1]), store)
    spec = died.dispatcher.next("t")
    assert isinstance(spec, JobSpec)
    died.dispatcher.died("t", Death(LEAK))
    died.dispatcher.ended("t", None)
    assert SAFE in died.said("retry")[0]

    # A fault of the engine itself stops the sweep, with the reason in the store for the workers.
    monkeypatch.setattr(died.dispatcher, "next", lambda _: raise_with_cause(RuntimeError(LEAK)))
    with caplog.at_level(logging.ERROR):
        PlanSearcher(died.dispatcher, str(store), {}).suggest("t2")
    assert SAFE in died.dispatcher.stopping and SAFE in caplog.text
    assert not leaks(caplog.text)
    assert SAFE in StoreFiles(store).read(died.dispatcher.driver.stop_marker)["why"]
    assert [path for path, text in texts(store) if leaks(text)] == []


def test_a_secret_that_is_hidden_from_ray_is_known_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    with hidden(TUNE_PASSES_ON):
        assert "AWS_SECRET_ACCESS_KEY" not in os.environ
        assert redacted(LEAK) == SAFE
    assert os.environ["AWS_SECRET_ACCESS_KEY"] == SECRETS["AWS_SECRET_ACCESS_KEY"]


def test_the_command_line_prints_no_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sweeper.cli, "app", lambda: raise_with_cause(DataError(LEAK)))
    with pytest.raises(SystemExit):
        sweeper.cli.main()
    assert capsys.readouterr().err == f"error: {SAFE}\n"


def test_a_calm_sweep_keeps_no_secret(tmp_path: Path) -> None:
    store = tmp_path / "store"
    assert not Run(small(), store).go().progress.left
    assert [path for path, text in texts(store) if leaks(text)] == []
    assert not leaks(answers(store))


def test_the_token_of_the_hub_stands_in_no_environment_that_ray_logs() -> None:
    assert not leaks(str(runtime_env()))


def test_a_worker_is_given_what_it_needs_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = passed_on(StoreFiles(tmp_path / "store", create=True))
    assert given == {"HF_TOKEN": SECRETS["HF_TOKEN"]}  # the keys of AWS are a bucket's
    for name in given:
        monkeypatch.delenv(name)
    for name in ("CUDA_VISIBLE_DEVICES", "RAYON_NUM_THREADS"):
        monkeypatch.setenv(name, "")  # which the worker sets
    made = Worker.__new__(Worker)
    made.setup({"threads": 1, "hold": True, "beat": 1.0}, environment=given)
    assert {name: os.environ[name] for name in given} == given
