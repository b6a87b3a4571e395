"""Handing a sweep over: what travels, what a server is told, and what it may not know."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import ray
import typer.testing
from helpers import free_port, small_study

import sweeper.cli
from sweeper.engine import jobserver
from sweeper.engine.jobserver import JobServer, Submitted
from sweeper.engine.parcel import SECRETS, STUDY, pack, unpack
from sweeper.engine.submitting import submit, submitted
from sweeper.errors import EngineError
from sweeper.planning import plan
from sweeper.study import Study
from tests.end_to_end.conftest import TINY

STORE = "s3://bucket/runs"


class Server:
    """A stand-in for a cluster's job server: what it was handed, and jobs as it would tell."""

    address = "http://head"

    def __init__(self) -> None:
        self.handed: list[dict[str, Any]] = []
        self.states: list[str] = []

    def submit(self, name: str, arguments: Any, study: Any, secrets: Any, about: Any) -> str:
        self.handed.append({"arguments": arguments, "secrets": secrets, "about": about})
        self.states.append("RUNNING")
        return f"{name}-{len(self.handed)}"

    def jobs(self) -> list[Submitted]:
        return [
            Submitted(f"sweeper-small-{n + 1}", state, "", one["about"], float(n), None)
            for n, (one, state) in enumerate(zip(self.handed, self.states, strict=True))
        ][::-1]


@pytest.fixture
def server() -> Any:
    return Server()


def test_a_study_is_submitted_once_while_it_runs(server: Any) -> None:
    said: list[str] = []
    assert submit(server, small_study(), STORE, [], [], said.append) == "sweeper-small-1"
    assert submit(server, small_study(), STORE, [], [], said.append) == "sweeper-small-1"
    assert len(server.handed) == 1
    assert said[-1] == "sweeper-small-1 is at it already (RUNNING); nothing was submitted."
    # Until when it may go on is another moment each time that "2h" is said.
    assert submit(server, small_study(), STORE, [], ["--until=x"], said.append).endswith("-1")
    assert "goes on with no limits: `sweeper stop` it first" in said[-1]
    assert len(server.handed) == 1
    # Another store, another part, another version are other work.
    assert submit(server, small_study(), "/shared/other", [], [], said.append) == "sweeper-small-2"
    assert "another version" not in said[-1]
    # A folder of the cluster's is looked at there.
    assert "sweeper stop small --store /shared/other --address http://head" in said[-1]
    assert f"sweeper stop small --store {STORE}\n" in f"{said[0]}\n"
    submit(server, small_study(), STORE, ["--rows=none"], [], said.append)
    assert said[-2] == (
        "sweeper-small-1 runs another version of small; both share the store's work."
    )
    submit(server, small_study(seeds=[0]), STORE, [], [], said.append)
    assert len(server.handed) == 4
    # What has ended is submitted again.
    server.states[0] = "STOPPED"
    assert submit(server, small_study(), STORE, [], [], said.append) == "sweeper-small-5"
    assert [job.id for job in submitted(server, "small", STORE)] == [
        f"sweeper-small-{n}" for n in (5, 4, 3, 1)
    ]


def test_secrets_travel_and_are_told_to_nobody(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = {"HF_TOKEN": "hf_secret_of_hub", "AWS_SECRET_ACCESS_KEY": "secret_of_aws"}
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    said: list[str] = []
    submit(server, small_study(), STORE, [], [], said.append)
    (handed,) = server.handed
    assert secrets.items() <= handed["secrets"].items()
    assert not any(
        v in str([handed["arguments"], handed["about"], said]) for v in secrets.values()
    )
    submit(server, small_study(), "/shared/runs", [], [], said.append)
    assert "AWS_SECRET_ACCESS_KEY" not in server.handed[1]["secrets"]  # of no use to a folder


def test_a_parcel_is_the_same_study_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    (here / "of_mine").mkdir(parents=True)
    (here / "model").mkdir()
    there.mkdir()
    card = (Path(sweeper.cli.__file__).parents[1] / "tasks/cards/topic.yaml").read_text()
    (here / "of_mine" / "mine.yaml").write_text(card.replace("name: topic", "name: mine"))
    written = TINY.read_text().replace("  topic:\n  demo", "  topic:\n  mine:\n  demo")
    (here / "tiny.yaml").write_text(f"{written}\ntasks_path: of_mine\ndata: files\n")
    study = Study.load(here / "tiny.yaml")
    pack(there, study, {"HF_TOKEN": "hf_secret"}, "one")
    monkeypatch.chdir(tmp_path)  # relative names are those of the study's file
    (here / "of_mine" / "mine.yaml").unlink()
    arrived = Study.load(there / STUDY)
    assert {*plan(arrived).jobs} == {*plan(study.with_tasks(there / "cards")).jobs}
    assert arrived.seeds == study.seeds and arrived.spaces == study.spaces
    assert arrived.data == str(here / "files")  # the same path on every host

    assert (there / SECRETS).stat().st_mode & 0o777 == 0o600
    monkeypatch.delenv("HF_TOKEN", raising=False)
    unpack(there)
    assert os.environ["HF_TOKEN"] == "hf_secret" and not (there / SECRETS).exists()


def test_a_base_model_in_a_folder_is_named_absolutely(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "s.yaml").write_text(
        json.dumps({**json.loads(small_study().model_dump_json(exclude_unset=True)),
                    "base": {"model": "./model"}})
    )  # fmt: skip
    (tmp_path / "parcel").mkdir()
    pack(tmp_path / "parcel", Study.load(tmp_path / "s.yaml"), {}, "one")
    assert Study.load(tmp_path / "parcel" / STUDY).base.model == str(tmp_path / "model")


# ---- the server -------------------------------------------------------------------------------


class Other(http.server.BaseHTTPRequestHandler):
    """A web server that is no job server."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>")

    def log_message(self, *_: Any) -> None:
        pass


@contextlib.contextmanager
def serving(handler: type[Other]) -> Iterator[str]:
    """The address of a web server, for as long as the block lasts."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.shutdown()


def test_an_address_without_a_job_server_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "http://127.0.0.1:1")  # would count more to Ray
    with serving(Other) as other:
        for address in (f"http://127.0.0.1:{free_port()}", other):
            with pytest.raises(EngineError, match=r"tunnel.*needs the extra `submit`") as error:
                JobServer(address)
            assert address in str(error.value) and "\n" not in str(error.value)
            assert "127.0.0.1:1." not in str(error.value)


class Forgetful(Other):
    """A job server that knows no job: one that was started anew since."""

    def do_GET(self) -> None:
        version = {"version": "4", "ray_version": ray.__version__, "ray_commit": ray.__commit__}
        self.send_response(200 if self.path == "/api/version" else 404)
        self.end_headers()
        self.wfile.write(json.dumps(version).encode())


def test_a_job_that_the_server_does_not_know_is_told() -> None:
    with serving(Forgetful) as address:
        server = JobServer(address)
        for ask in (server.log, server.job, lambda name: server.follow(name, print)):
            with pytest.raises(EngineError, match="404"):
                ask("sweeper-small-1")


def test_ray_s_own_address_is_no_job_server_s() -> None:
    for address in ("10.0.0.1:6379", "auto", "ray://10.0.0.1:10001", ""):
        with pytest.raises(EngineError, match="begins with http://") as error:
            JobServer(address)
        assert repr(address) in str(error.value)


def test_what_ray_says_before_a_job_runs_is_not_what_the_job_says() -> None:
    text = "INFO: setting up.\nRunning entrypoint for job x: exec python3\nfirst\nsecond\n"
    assert jobserver._after_preamble(text) == "first\nsecond\n"
    assert jobserver._after_preamble("INFO: setting up.\n") is None


# ---- the command ------------------------------------------------------------------------------


def command(*words: str) -> typer.testing.Result:
    return typer.testing.CliRunner().invoke(sweeper.cli.app, list(words))


def test_a_store_that_means_another_place_there_is_refused(tmp_path: Path) -> None:
    for words in (("submit", str(TINY)), ("stop", "tiny", "--address", "http://127.0.0.1:1")):
        ran = command(*words, "--store", "runs/tiny")
        assert "Give the absolute path of a shared folder" in str(ran.exception)
    ran = command("submit", str(TINY))
    assert "'runs/tiny' is relative" in str(ran.exception) and "`--store`" in str(ran.exception)


def test_a_part_and_a_budget_go_along(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobserver, "JobServer", lambda address: server)
    part = ["--rows", "none,surface", "--columns", "topic"]
    budget = ["--max-gpus", "2", "--until", "2h", "--jobs-per-gpu", "1"]
    ran = command("submit", str(TINY), "--store", STORE, *part, *budget)
    assert ran.exit_code == 0, ran.output
    sent = server.handed[0]["arguments"]
    assert sent[:6] == ["run", STUDY, "--store", STORE, "--address", "auto"]
    assert sent[6:9] == ["--rows=none", "--rows=surface", "--columns=topic"]
    (until,) = (word.removeprefix("--until=") for word in sent if word.startswith("--until="))
    left = datetime.fromisoformat(until) - datetime.now(UTC)
    assert 7000 < left.total_seconds() <= 7200
    assert {"--max-gpus=2", "--jobs-per-gpu=1"} <= set(sent)
    ran = command("submit", str(TINY), "--store", STORE, "--rows", "surfaces")
    assert "surface" in str(ran.exception) and len(server.handed) == 1
