"""What names of the outside world stand for: found once, kept, and found again when it changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers import SCRATCH, small_study

from sweeper.addressing import Resolved
from sweeper.errors import DataError, ModelError, StoreError
from sweeper.graph import Plan
from sweeper.needs import data_root
from sweeper.planning import plan
from sweeper.resolving import open_study, resolve, resolved_offline
from sweeper.store.files import StoreFiles
from sweeper.study import Study
from sweeper.tasks import hub, sources
from sweeper.tasks.card import shipped_cards
from sweeper.tasks.presence import source_of

SHA = "0123456789" * 4


@pytest.fixture(autouse=True)
def no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SWEEPER_DATA", raising=False)


def _snapshots(files: StoreFiles, name: str = "small") -> int:
    return len(files.names(f"studies/{name}"))


# -- snapshots ----------------------------------------------------------------------------------


def test_what_is_resolved_is_kept_once(files: StoreFiles) -> None:
    planned = plan(small_study())
    offline = resolved_offline(planned, files)
    assert not files.names("studies"), "what is only looked at is not kept"
    found = resolve(planned, files)
    assert offline == found
    assert set(found.sources) >= {"tagging/test/qab", "demo_text/train/qaa"}
    assert resolve(planned, files) == found
    assert resolved_offline(planned, files) == found
    assert _snapshots(files) == 1
    resolve(plan(small_study(seeds=[0, 1, 2])), files)
    assert _snapshots(files) == 2


def test_a_study_is_planned_again_from_the_store(files: StoreFiles) -> None:
    planned = plan(small_study())
    found = resolve(planned, files)
    again, resolved = open_study(files)
    assert list(again.jobs) == list(planned.jobs)
    assert again.jobs == planned.jobs
    assert resolved == found


def test_a_study_is_planned_again_whatever_else_it_names(files: StoreFiles) -> None:
    common = {"search": {"learning_rate": [1e-4, 1e-3]}}
    study = small_study(
        spaces={"common": common, "tagging": {"extends": "common"}},
        task_limits={"copa": {"train": 10}},
        train_languages={"udpos": ["en"]},
    )
    resolve(plan(study), files)
    again, _ = open_study(files, "small")
    assert {*again.jobs} == {*plan(study).jobs}


def test_a_study_is_named_where_there_are_several(files: StoreFiles) -> None:
    with pytest.raises(StoreError, match="has 0 studies"):
        open_study(files)
    for name in ("one", "two"):
        resolve(plan(small_study(name=name)), files)
    with pytest.raises(StoreError, match=r"has 2 studies; name one.*one, two"):
        open_study(files)
    with pytest.raises(StoreError, match="no study 'twoo'. Did you mean 'two'"):
        open_study(files, "twoo")
    assert open_study(files, "two")[0].study.name == "two"


def test_own_cards_are_kept_with_the_study(tmp_path: Path, files: StoreFiles) -> None:
    """The store alone is enough, when the user's folder of cards is long gone."""
    cards = tmp_path / "cards"
    cards.mkdir()
    shipped = Path(__file__).parent.parent / "sweeper/tasks/cards/topic.yaml"
    (cards / "mine.yaml").write_text(shipped.read_text().replace("name: topic", "name: mine"))
    study = small_study(tasks_path=str(cards), targets={"topic": None, "mine": {}})
    planned = plan(study)
    resolve(planned, files)
    (cards / "mine.yaml").unlink()
    assert open_study(files)[0].jobs == planned.jobs


def test_a_damaged_snapshot_is_named(files: StoreFiles) -> None:
    resolve(plan(small_study()), files)
    files.local("studies/small/000000.json").write_text("{")
    with pytest.raises(StoreError, match=r"000000\.json is damaged"):
        open_study(files)


# -- data ---------------------------------------------------------------------------------------


def _conll(root: Path, name: str, text: str = "Haus\tB-LOC\n\nda\tO\n\n") -> None:
    (root / "panx").mkdir(parents=True, exist_ok=True)
    (root / f"panx/{name}.tsv").write_text(text)


def _panx(root: Path, **changes: Any) -> Study:
    said = {
        "name": "panx", "data": str(root), "intermediates": {}, "seeds": [0],
        "targets": {"panx": {"languages": ["de", "fr"]}}, "spaces": {},
    }  # fmt: skip
    return small_study(**{**said, **changes})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("train-en", "dev-en", "test-de", "test-fr"):
        _conll(tmp_path / "data", name)
    return tmp_path / "data"


def _resolutions(planned: Plan, files: StoreFiles) -> dict[str, Any]:
    return resolve(planned, files).sources


def test_local_files_are_read_once(
    root: Path, files: StoreFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = plan(_panx(root))
    before = _resolutions(planned, files)
    asked: list[str] = []
    true = sources.resolve

    def counted(card: Any, split: str, codes: Any, **where: Any) -> Any:
        asked.extend(f"{card.name}/{split}/{code}" for code in codes)
        return true(card, split, codes, **where)

    monkeypatch.setattr(sources, "resolve", counted)
    assert _resolutions(planned, files) == before and asked == []
    _conll(root, "test-fr", "maison\tO\n\n")
    after = _resolutions(planned, files)
    assert asked == ["panx/test/fr"]
    changed = {key for key in before if before[key] != after[key]}
    assert changed == {"panx/test/fr"}


def test_a_touched_file_is_still_the_same(root: Path, files: StoreFiles) -> None:
    planned = plan(_panx(root))
    before = _resolutions(planned, files)
    file = root / "panx/test-de.tsv"
    file.write_text(file.read_text())
    after = _resolutions(planned, files)
    for key in before:
        assert sources.identity(before[key]) == sources.identity(after[key])


def test_a_missing_file_is_said(root: Path, files: StoreFiles) -> None:
    (root / "panx/test-fr.tsv").unlink()
    with pytest.raises(DataError, match=r"'panx'.*'test'.*'fr'.*test-fr\.tsv.*SWEEPER_DATA"):
        resolve(plan(_panx(root)), files)
    assert _snapshots(files, "panx") == 0


def test_where_the_data_is(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert data_root(small_study()) is None
    monkeypatch.setenv("SWEEPER_DATA", str(root))
    assert data_root(small_study()) == root
    assert data_root(small_study(data="hub")) is None, "a study's word counts more"
    file = tmp_path / "deep/s.yaml"
    file.parent.mkdir()
    file.write_text("name: x\nbase: {model: m}\ntargets: {xnli: }\ndata: ../data\n")
    assert data_root(Study.load(file)) == root, "relative to the study's file"


def test_where_a_task_is_read_from(root: Path) -> None:
    cards = shipped_cards()
    assert source_of(cards["topic"], root) == source_of(cards["topic"], None) == "synthetic"
    assert source_of(cards["panx"], root) == "local"
    assert source_of(cards["panx"], None) == "hub"


def test_a_folder_may_have_some_tasks_only(tmp_path: Path) -> None:
    """BUCC is not on the hub: its files do not take the other tasks' from there."""
    cards = shipped_cards()
    (tmp_path / "bucc2018").mkdir()
    for name in ("de", "en", "gold"):
        (tmp_path / f"bucc2018/de-en.test.{name}").touch()
    assert source_of(cards["bucc2018"], tmp_path) == "local"
    assert source_of(cards["bucc2018"], None) == "local", "so that what is missing is named"
    assert source_of(cards["xnli"], tmp_path) == "hub"
    (tmp_path / "xnli").mkdir()
    (tmp_path / "xnli/dev-de.tsv").touch()
    assert source_of(cards["xnli"], tmp_path) == "local"


def test_every_task_without_files_is_named_before_the_hub_is_asked(
    files: StoreFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """XTREME without a data folder: BUCC and CCGbank are nowhere else."""
    monkeypatch.delenv("SWEEPER_DATA", raising=False)

    def no_hub(*_: object) -> None:
        raise AssertionError("the hub was asked")

    monkeypatch.setattr(hub, "look_up", no_hub)
    monkeypatch.setattr("sweeper.resolving._resolve_hub", no_hub)
    with pytest.raises(DataError) as refused:
        resolve(plan(Study.load("xtreme")), files)
    first, second, last = str(refused.value).splitlines()
    assert "'bucc2018' is read from files, and no data folder is given" in first
    assert "'ccg'" in second and "CCGbank (LDC2005T13) needs a licence" in second
    assert "`--without bucc2018 --without ccg`" in last


def test_the_hub_is_asked_once(files: StoreFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def look_up(dataset: str, revision: str | None) -> str:
        asked.append(dataset)
        return SHA

    monkeypatch.setattr(hub, "look_up", look_up)
    planned = plan(_panx(Path("unused"), data="hub"))
    found = resolve(planned, files)
    panx = found.sources["panx/test/de"]["parts"]["xtreme"]
    assert (panx["revision"], panx["config"]) == (SHA, "PAN-X.de")
    count = len(asked)
    assert resolve(planned, files) == found and len(asked) == count


def test_a_move_from_the_hub_to_files_is_seen(
    root: Path, files: StoreFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "look_up", lambda *_: SHA)
    resolve(plan(_panx(root, data="hub")), files)
    local = plan(_panx(root))
    assert resolve(local, files).sources["panx/test/de"]["source"] == "local"


# -- the base model -----------------------------------------------------------------------------


def _model(folder: Path, weights: str = "w") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text("{}")
    (folder / "tokenizer.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"\x02" + bytes(7) + b"{}" + weights.encode())
    return folder


def _base(planned: Plan, files: StoreFiles) -> dict[str, Any]:
    found = resolve(planned, files).base
    assert found
    return found


def _with(model: str, **more: Any) -> Plan:
    return plan(small_study(base={"model": model, **more}))


def test_a_scratch_base_is_nothing_to_resolve(files: StoreFiles) -> None:
    assert resolve(plan(small_study(base={"scratch": SCRATCH})), files).base is None


def test_a_folder_is_its_content(tmp_path: Path, files: StoreFiles) -> None:
    folder = _model(tmp_path / "model")
    first = _base(_with(str(folder)), files)
    assert first["ref"] == {"folder": str(folder)}
    assert _base(_with(str(folder)), files) == first
    copy = _base(_with(str(_model(tmp_path / "copy"))), files)
    assert (copy["weights"], copy["tokenizer"]) == (first["weights"], first["tokenizer"])
    _model(folder, "other")
    offline = resolved_offline(_with(str(folder)), files)
    second = _base(_with(str(folder)), files)
    assert offline and offline.base == second
    assert second["weights"] != first["weights"]
    assert second["tokenizer"] == first["tokenizer"]


def test_a_changed_config_is_another_model(tmp_path: Path, files: StoreFiles) -> None:
    folder = _model(tmp_path / "model")
    first = _base(_with(str(folder)), files)
    (folder / "config.json").write_text('{"layers": 3}')
    assert _base(_with(str(folder)), files)["weights"] != first["weights"]


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_folder_that_lacks_a_file(tmp_path: Path, files: StoreFiles, name: str) -> None:
    folder = _model(tmp_path / "model")
    (folder / name).unlink()
    with pytest.raises(ModelError, match="lacks some. Save it with save_pretrained"):
        resolve(_with(str(folder)), files)


def test_a_folder_that_is_not_there_names_the_line(tmp_path: Path, files: StoreFiles) -> None:
    file = tmp_path / "s.yaml"
    file.write_text("name: x\nbase:\n  model: ./modle\ntargets:\n  demo_retrieval:\n")
    with pytest.raises(ModelError, match="is no folder. Mend the path") as caught:
        resolve(plan(Study.load(file)), files)
    assert f"{file}:3: " in str(caught.value)
    assert f"{tmp_path / 'modle'} " in str(caught.value)


class _Hub:
    """Stands in for the hub; counts how often it is asked."""

    asked: list[tuple[str, str | None]]

    def __init__(self, monkeypatch: pytest.MonkeyPatch, error: Exception | None = None) -> None:
        self.asked = []
        hub = self

        class Api:
            def model_info(self, name: str, revision: str | None = None) -> Any:
                hub.asked.append((name, revision))
                if error:
                    raise error
                return type("Info", (), {"sha": f"{revision or SHA}"})()

        monkeypatch.setattr("huggingface_hub.HfApi", Api)


def test_a_hub_model_is_a_commit_asked_for_once(
    files: StoreFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = _Hub(monkeypatch)
    found = _base(_with("some/model"), files)
    assert found["ref"] == {"hub": "some/model", "revision": SHA}
    assert _base(_with("some/model"), files) == found
    assert resolved_offline(_with("some/model"), files) is not None
    assert hub.asked == [("some/model", None)]


def test_another_revision_is_asked_for(files: StoreFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = _Hub(monkeypatch)
    pinned = _with("some/model", revision="abc")
    assert _base(pinned, files)["ref"]["revision"] == "abc"
    assert resolved_offline(_with("some/model"), files) is None
    assert _base(_with("some/model"), files)["ref"]["revision"] == SHA, "no longer pinned"
    assert _base(pinned, files)["ref"]["revision"] == "abc"
    assert len(hub.asked) == 3


def test_a_folder_that_took_a_hub_models_name_and_went(
    tmp_path: Path, files: StoreFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    _Hub(monkeypatch)
    monkeypatch.chdir(tmp_path)
    folder = _model(tmp_path / "some/model")
    assert _base(_with("some/model"), files)["ref"] == {"folder": str(folder)}
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    assert _base(_with("some/model"), files)["ref"]["hub"] == "some/model"


def test_a_hub_that_does_not_know_or_answer(
    files: StoreFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    _Hub(monkeypatch, OSError("no network"))
    with pytest.raises(ModelError, match=r"could not be asked for 'some/model' \(OSError\)"):
        resolve(_with("some/model"), files)


def test_a_scratch_study_forgets_the_model_it_had(tmp_path: Path, files: StoreFiles) -> None:
    resolve(_with(str(_model(tmp_path / "model"))), files)
    planned = plan(small_study())
    known = resolved_offline(planned, files)
    assert known is None or known.base is None
    assert resolve(planned, files).base is None


def test_resolutions_are_plain_data(root: Path, tmp_path: Path, files: StoreFiles) -> None:
    study = _panx(root, base={"model": str(_model(tmp_path / "model"))})
    found = resolve(plan(study), files)
    again = Resolved(**json.loads(json.dumps(vars(found))))
    assert again == found


def test_a_task_without_local_files_comes_from_the_hub(root: Path) -> None:
    card = shipped_cards()["panx"]
    sources = card.sources.copy()
    assert source_of(card, root) == "local"
    assert source_of(card, None) == "hub"
    sources.pop("local", None)
    assert source_of(card.model_copy(update={"sources": sources}), root) == "hub"


def test_a_task_without_a_source_that_fits_is_said(files: StoreFiles, root: Path) -> None:
    cards = shipped_cards()
    hub = {"hub": cards["xnli"].sources["hub"].model_copy(update={"splits": {}})}
    card = cards["panx"].model_copy(update={"sources": hub})
    planned = plan(_panx(root), cards={**cards, "panx": card})
    with pytest.raises(DataError, match="'panx' has no hub data for its split"):
        resolve(planned, files)
