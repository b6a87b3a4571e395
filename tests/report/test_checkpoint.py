from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from analysis.world import World, study
from huggingface_hub import ModelCard, constants
from transformers import AutoModelForTokenClassification, AutoTokenizer

import sweeper
from report.checkpoints import Trained, write_model
from sweeper import Store
from sweeper.errors import DamageError, StoreError
from sweeper.report.checkpoint import export_checkpoint, push_to_hub

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    of = study(task_limits={"tagging": {"test": 100}})
    return Store(Trained(tmp_path_factory.mktemp("store") / "tiny", of).run().files.address)


def test_the_folder_is_the_model_that_was_scored(store: Store, tmp_path: Path) -> None:
    found = export_checkpoint(store.view(), "tagging", tmp_path / "out")
    assert (found.intermediate, found.seed) == ("supersense", 1)
    texts = AutoTokenizer.from_pretrained(tmp_path / "out")(["an owl"], return_tensors="pt")
    outputs = [
        AutoModelForTokenClassification.from_pretrained(place)(**texts).logits
        for place in (found.path, tmp_path / "out")
    ]
    assert torch.equal(*outputs)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]  # no draft is left


def test_the_model_card_is_the_golden_one(store: Store, tmp_path: Path) -> None:
    export_checkpoint(store.view(), "tagging", tmp_path / "out", intermediate="more")
    said = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    said = re.sub(r"\b[0-9a-f]{32}\b", "ADDRESS", said)
    said = said.replace(f"sweeper {sweeper.__version__}", "sweeper VERSION")
    assert said == (GOLDEN / "model_card.md").read_text(encoding="utf-8")
    card = ModelCard.load(tmp_path / "out" / "README.md")
    assert card.data.language == ["qaa", "qab", "qac", "qad", "qae"]
    assert [result.metric_value for result in card.data.eval_results] == [90.0, 50.0, 40.0]


def test_a_retrieval_target_has_an_encoder(store: Store, tmp_path: Path) -> None:
    export_checkpoint(store.view(), "demo_retrieval", tmp_path / "out", intermediate="supersense")
    said = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "model = AutoModel.from_pretrained(place)" in said
    assert "vectors at 58% of the depth with mean pooling" in said
    assert "pipeline_tag: feature-extraction" in said
    assert "# Sentence retrieval (demo), after supersense" in said


def test_what_is_not_scored_yet_is_said(tmp_path: Path) -> None:
    world = Trained(tmp_path / "s").run(leave=lambda key: key.startswith("score/"))
    export_checkpoint(Store(world.files.address).view(), "tagging", tmp_path / "out")
    said = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "Not scored yet when this was exported." in said and "model-index" not in said


def test_a_folder_with_files_is_left_alone(store: Store, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(StoreError, match="has something in it"):
        export_checkpoint(store.view(), "tagging", tmp_path)
    with pytest.raises(StoreError, match="has something in it"):
        export_checkpoint(store.view(), "tagging", tmp_path / "mine")
    (tmp_path / "empty").mkdir()
    export_checkpoint(store.view(), "tagging", tmp_path / "empty")
    assert (tmp_path / "empty" / "model.safetensors").is_file()


def test_a_damaged_checkpoint_is_not_exported(tmp_path: Path) -> None:
    world = Trained(tmp_path / "s").run()
    store = Store(world.files.address)
    weights = Path(store.best("tagging").path) / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(DamageError, match="its content has changed"):
        export_checkpoint(store.view(), "tagging", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_store_in_a_bucket_gives_the_same_folder(address: str, tmp_path: Path) -> None:
    of = study(
        targets={"tagging": {"languages": ["qab"]}},
        intermediates={"more": {"tasks": ["tagging"]}},
        seeds=[0],
    )
    world = Trained(address, of).run()
    found = export_checkpoint(Store(address).view(), "tagging", tmp_path / "out")
    assert found.address.startswith("s3://")
    kept = Path(found.path)
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        assert (tmp_path / "out" / name).read_bytes() == (kept / name).read_bytes(), name
    commit = world.progress.addressing.commit("tune/more>tagging/seed=0/trial=1")
    assert commit is not None
    world.files.delete(f"{commit.folder}/epoch=3/tokenizer.json")
    with pytest.raises(DamageError, match=r"tokenizer\.json.* damaged: it is not there"):
        export_checkpoint(Store(address).view(), "tagging", tmp_path / "again")


def test_a_marker_without_a_checkpoint_is_said(tmp_path: Path) -> None:
    world = World(tmp_path / "s").run()  # its jobs leave nothing
    with pytest.raises(StoreError, match=r"names no checkpoint in attempts/.*/epoch=3/"):
        export_checkpoint(Store(world.files.address).view(), "tagging", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_the_base_as_it_is_is_nothing_to_export(tmp_path: Path) -> None:
    write_model(tmp_path / "base", 0)
    of = study(base={"model": str(tmp_path / "base")})
    view = Store(Trained(tmp_path / "s", of).run().files.address).view()
    with pytest.raises(StoreError, match="the base model as it is: .*/base"):
        export_checkpoint(view, "demo_retrieval", tmp_path / "out")
    export_checkpoint(view, "tagging", tmp_path / "out", intermediate="none")
    said = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "1. A model given as a folder, base." in said
    assert "without intermediate training" in said
    assert str(tmp_path) not in said  # where things lie is nobody's business


# ---- the hub ----------------------------------------------------------------------------------


class Hub(BaseHTTPRequestHandler):
    """As much of the hub as one upload asks for; ``server.made`` has what it was given."""

    server: Any

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.made["token"] = self.headers["Authorization"]
        if self.server.refuse:
            self._answer(403, {"error": f"{self.headers['Authorization']} may not write"})
        elif self.path == "/api/repos/create":
            self.server.made["repository"] = json.loads(body)
            self._answer(200, {"url": f"{self.server.address}/me/tagger"})
        elif self.path == "/api/validate-yaml":
            self._answer(200, {"errors": [], "warnings": []})
        elif self.path == "/api/models/me/tagger/preupload/main":
            names = [file["path"] for file in json.loads(body)["files"]]
            files = [
                {"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in names
            ]
            self._answer(200, {"files": files})
        elif self.path == "/api/models/me/tagger/commit/main":
            lines = [json.loads(line)["value"] for line in body.splitlines()]
            self.server.made["files"] = {
                line["path"]: base64.b64decode(line["content"]) for line in lines if "path" in line
            }
            url = f"{self.server.address}/me/tagger/commit/0123"
            self._answer(200, {"commitUrl": url, "commitOid": "0123"})
        else:
            self._answer(404, {"error": self.path})

    def do_GET(self) -> None:
        known = {"id": "me/tagger", "siblings": [], "sha": "0123"}
        self._answer(*((404, {"error": "none"}) if self.server.refuse else (200, known)))

    def _answer(self, status: int, said: dict[str, Any]) -> None:
        content = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if "error" in said:
            self.send_header("X-Error-Message", said["error"])
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a test prints nothing."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.made, server.refuse = {}, False
    server.address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", server.address)
    monkeypatch.setenv("HF_TOKEN", "hf_" + "s" * 30)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_checkpoint_is_pushed_as_one_commit(store: Store, tmp_path: Path, hub: Any) -> None:
    export_checkpoint(store.view(), "tagging", tmp_path / "out")
    url = push_to_hub(tmp_path / "out", "me/tagger")
    assert url == f"{hub.address}/me/tagger/commit/0123"
    assert hub.made["repository"]["visibility"] == "private"
    assert hub.made["token"] == f"Bearer hf_{'s' * 30}"
    assert hub.made["files"] == {
        path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()
    }
    push_to_hub(tmp_path / "out", "me/tagger", public=True)
    assert hub.made["repository"]["visibility"] == "public"


def test_a_refusal_is_told_without_the_token(store: Store, tmp_path: Path, hub: Any) -> None:
    hub.refuse = True
    with pytest.raises(StoreError, match="could not be pushed to 'me/tagger': .*403") as error:
        push_to_hub(tmp_path, "me/tagger")
    assert "may not write" in str(error.value) and "sss" not in str(error.value)
