"""Study -> Plan: which jobs there are, what they need, and what cannot be planned."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import SCRATCH, SPACE, cards_like, small_study
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from sweeper.errors import StudyError
from sweeper.graph import BASE, TOKENIZER, Plan
from sweeper.knowncards import known_cards
from sweeper.planning import plan
from sweeper.report.tasklist import role
from sweeper.scope import Scope
from sweeper.sizes import checkpoint_bytes
from sweeper.study import Study, Target
from sweeper.tasks.card import shipped_cards

TRAINABLE = ["supersense", "surface", "tagging", "topic", "demo_text"]
_stage = st.fixed_dictionaries(
    {"tasks": st.lists(st.sampled_from(TRAINABLE), min_size=1, max_size=2, unique=True)},
    optional={"training": st.sampled_from([{"epochs": 1}, {"max_length": 32}])},
)
rows = st.dictionaries(
    st.sampled_from(["a", "b", "c"]),
    st.lists(_stage, min_size=1, max_size=3).map(lambda stages: {"stages": stages}),
)
targets = st.dictionaries(
    st.sampled_from(["tagging", "topic", "demo_retrieval"]), st.none(), min_size=1
)
seeds = st.lists(st.integers(0, 9), min_size=1, max_size=3, unique=True)


def _study(spaces: dict[str, Any], **said: Any) -> Study:
    """A space needs a target that is trained in it."""
    used = {task: space for task, space in spaces.items() if task in said["targets"]}
    return small_study(spaces=used, **said)


studies = st.builds(
    _study,
    intermediates=rows,
    targets=targets,
    seeds=seeds,
    base=st.sampled_from([{"scratch": SCRATCH}, {"model": "xlm-roberta-base"}]),
    spaces=st.sampled_from([{}, {"topic": SPACE}, {"tagging": SPACE, "topic": SPACE}]),
)


def _kinds(planned: Plan) -> dict[str, int]:
    found: dict[str, int] = {}
    for job in planned.jobs.values():
        found[job.kind] = found.get(job.kind, 0) + 1
    return found


@given(studies)
def test_every_plan_has_parents_first_and_no_idle_job(study: Study) -> None:
    planned = plan(study)
    before: set[str] = set()
    for key, job in planned.jobs.items():
        assert job.key == key
        assert set(job.needs) <= before, "a job stands before what it needs"
        assert len(set(job.needs)) == len(job.needs)
        assert job.cost > 0
        before.add(key)
    children = planned.children()
    for key, job in planned.jobs.items():
        assert children[key] or job.kind == "score", f"nothing needs {key}"


@given(studies)
def test_every_cell_has_a_score_and_every_search_its_budget(study: Study) -> None:
    planned = plan(study)
    assert planned.rows[0] == "none"
    assert len(planned.cells) == len(planned.rows) * len(planned.columns) * len(study.seeds)
    for cell in planned.cells:
        score = planned.jobs[cell.score]
        assert (score.intermediate, score.target, score.seed) == (
            cell.intermediate, cell.target, cell.seed
        )  # fmt: skip
    for search in planned.searches.values():
        assert len(search.trials) == study.space(search.training_task).budget
        assert [planned.jobs[key].trial for key in search.trials] == [*range(len(search.trials))]


@given(studies)
def test_paths_are_longest_at_their_beginning(study: Study) -> None:
    planned = plan(study)
    left = planned.remaining_paths()
    for key, job in planned.jobs.items():
        for need in job.needs:
            assert left[need] >= planned.jobs[need].cost + left[key]
        assert left[key] >= job.cost


@given(studies)
def test_rows_are_paired_by_seed(study: Study) -> None:
    """The same training task on the same seed has the same randomness in every row."""
    planned = plan(study)
    seen: dict[Any, Any] = {}
    for search in planned.searches.values():
        for key in search.trials:
            place = planned.jobs[key].declared["place"]
            at = (search.training_task, search.seed)
            assert seen.setdefault(at, place) == place
    assert len({repr(place) for place in seen.values()}) == len(seen), "seeds must differ"


@given(studies, st.permutations(["a", "b", "c"]))
def test_the_order_of_rows_changes_no_work(study: Study, order: list[str]) -> None:
    """Keys of shared stages may bear another row's name; how much is done is the same."""
    planned = plan(study)
    reordered = {name: study.intermediates[name] for name in order if name in study.intermediates}
    other = plan(study.model_copy(update={"intermediates": reordered}))
    assert _kinds(other) == _kinds(planned)
    assert set(other.searches) == set(planned.searches)


def test_the_small_study() -> None:
    planned = plan(small_study())
    assert _kinds(planned) == {"prepare": 8, "train": 1 + 2 * 2, "tune": 3 * 2 * 2, "score": 12}
    assert next(iter(planned.jobs)) == TOKENIZER
    trial = planned.jobs["tune/surface>tagging/seed=1/trial=1"]
    assert trial.needs == (
        "train/surface/seed=1", "prepare/tagging/train/48", "prepare/tagging/dev/48", TOKENIZER
    )  # fmt: skip
    stage = planned.jobs["train/surface/seed=1"]
    assert stage.needs == (BASE, "prepare/surface/train/48", TOKENIZER)
    score = planned.jobs["score/none>demo_retrieval/seed=0"]
    assert score.needs == (BASE, "prepare/demo_retrieval/test/48", TOKENIZER)


def test_what_is_kept_is_scored_beside_the_cells() -> None:
    """Of what is trained: a retrieval target has no epoch to select."""
    plain, planned = plan(small_study()), plan(small_study(checkpoints=["averaged", "last"]))
    assert planned.cells == plain.cells
    beside = {
        f"score/{row}>tagging/seed={seed}/checkpoint={weights}"
        for row in plain.rows for seed in (0, 1) for weights in ("last", "averaged")
    }  # fmt: skip
    assert planned.jobs.keys() - plain.jobs.keys() == beside == {c.score for c in planned.beside}
    for cell in planned.beside:
        score, selected = planned.jobs[cell.score], cell.score.rpartition("/")[0]
        assert (score.needs, score.cost) == (plain.jobs[selected].needs, plain.jobs[selected].cost)
    trial, stage = "tune/surface>tagging/seed=1/trial=1", "train/surface/seed=1"
    assert planned.jobs[trial].cost > plain.jobs[trial].cost, "the average is evaluated, too"
    assert planned.jobs[stage] == plain.jobs[stage]
    assert Scope(columns=["tagging"], rows=["none"], only=["*/seed=0*"]).ends(planned) == [
        "score/none>tagging/seed=0",
        "score/none>tagging/seed=0/checkpoint=averaged",
        "score/none>tagging/seed=0/checkpoint=last",
    ]


def test_a_pretrained_base_needs_no_job() -> None:
    planned = plan(small_study(base={"model": "xlm-roberta-base"}))
    assert TOKENIZER not in planned.jobs and BASE not in planned.jobs
    assert planned.jobs["tune/none>tagging/seed=0/trial=0"].needs == (
        "prepare/tagging/train/48", "prepare/tagging/dev/48"
    )  # fmt: skip


def test_rows_that_begin_alike_share_their_beginning() -> None:
    chain = {"stages": [{"tasks": ["supersense"]}, {"tasks": ["surface"]}]}
    other = {"stages": [{"tasks": ["supersense"]}, {"tasks": ["topic"]}]}
    said = {"one": chain, "two": other, "supersense": None, "three": chain}
    planned = plan(small_study(intermediates=said, seeds=[0]))
    trainings = [key for key in planned.jobs if key.startswith("train/") and key != BASE]
    assert sorted(trainings) == [
        "train/one/seed=0", "train/one/stage=0/seed=0", "train/two/seed=0"
    ]  # fmt: skip
    # Rows that are the same training are still columns of searches of their own.
    assert planned.jobs["tune/three>tagging/seed=0/trial=0"].needs[0] == "train/one/seed=0"


def test_the_same_task_later_in_a_chain_is_another_training() -> None:
    twice = {"stages": [{"tasks": ["surface"]}, {"tasks": ["surface"]}]}
    planned = plan(small_study(intermediates={"twice": twice}, seeds=[0]))
    first, last = (planned.jobs[f"train/twice{x}/seed=0"] for x in ("/stage=0", ""))
    assert last.needs[0] == first.key
    assert first.declared["place"] != last.declared["place"]


def test_a_split_is_prepared_once_with_all_languages_asked_of_it() -> None:
    said = {"tagging": {"languages": ["qab"], "splits": ["test"]}, "topic": None}
    planned = plan(small_study(targets=said))
    assert planned.jobs["prepare/tagging/test/48"].declared["languages"] == ("qab",)
    assert planned.jobs["prepare/topic/test/48"].declared["languages"] == (
        "qaa", "qab", "qac", "qad", "qae"
    )  # fmt: skip


def test_targets_of_one_training_task_share_its_search() -> None:
    cards = shipped_cards()
    twin = cards["tagging"].model_copy(update={"name": "twin"})
    planned = plan(small_study(targets={"tagging": None, "twin": None}), cards={
        **cards, "twin": twin
    })  # fmt: skip
    assert len(planned.searches) == 3 * 2
    search = planned.searches["none>tagging/seed=0"]
    assert search.selections == ("tagging/dev/qaa", "twin/dev/qaa")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"targets": {"taging": None}}, "targets.taging: unknown task 'taging'. Did you mean 'ta"),
        ({"intermediates": {"suface": None}}, "unknown task 'suface'. Did you mean 'surface'"),
        ({"targets": {"tagging": {"training_task": "topik"}}}, "'topik'. Did you mean 'topic'"),
        ({"targets": {"tagging": {"languages": ["qaf"]}}}, "no language 'qaf'. Did you mean"),
        ({"targets": {"tagging": {"languages": ["de"]}}},
         "the test split of tagging has no language 'de'"),
        ({"targets": {"tagging": {"splits": ["tset"]}}},
         "tagging has no split 'tset'. Did you mean 'test'"),
        ({"targets": {"tagging": {"selection": {"split": "deev"}}}}, "no split 'deev'. Did you"),
        ({"targets": {"tagging": {"selection": {"language": "qab"}}}},
         "the dev split of tagging has no language 'qab'"),
        ({"targets": {"supersense": None}}, "supersense is a token_classification task and must"),
        ({"targets": {"supersense": {"training_task": "supersense"}}}, "needs a selection split"),
        ({"intermediates": {"xquad": None}}, "intermediates.xquad: xquad has no split 'train'"),
        ({"intermediates": {"demo_retrieval": None}},
         "demo_retrieval is a sentence_retrieval task, which has no head to train"),
        ({"targets": {"tagging": {"training_task": "xquad"}}}, "xquad has no split 'train'"),
        ({"targets": {"demo_retrieval": {"training_task": "topic"}}}, "Drop training_task"),
        ({"targets": {"demo_retrieval": {"selection": {"split": "test"}}}}, "Drop selection"),
        ({"spaces": {"tagging": {}, "topics": {}}}, "spaces.topics: unknown task 'topics'"),
        ({"spaces": {"demo_retrieval": {}}}, "demo_retrieval is not trained"),
        ({"spaces": {"xnli": {}}, "targets": {"xnli": None}}, "xnli is trained on mnli: name it"),
        ({"task_limits": {"tagin": {}}}, "task_limits.tagin: unknown task 'tagin'"),
        ({"base": {"scratch": {**SCRATCH, "text": "topic"}}}, "made from a masked_lm task; topic"),
        ({"base": {"scratch": {**SCRATCH, "text": "text"}}}, "unknown task 'text'"),
        ({"training": {"max_length": 64}}, "is cut to 64 subwords, and the base model takes 48"),
    ],
)  # fmt: skip
def test_what_cannot_be_planned(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(StudyError) as caught:
        plan(small_study(**changes))
    assert message in str(caught.value)


def test_a_planning_error_names_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(
        "name: x\nbase: {model: m}\ntargets:\n  xnli:\n  panx:\n    languages: [en, xx]\n"
    )
    with pytest.raises(StudyError, match="'xx'") as caught:
        plan(Study.load(file))
    assert f"{file}:6: " in str(caught.value)


def test_a_retrieval_task_trains_nothing_even_with_a_train_split(tmp_path: Path) -> None:
    cards = shipped_cards()
    splits = {**cards["tatoeba"].splits, "train": cards["mnli"].splits["train"]}
    pairs = cards["tatoeba"].model_copy(update={"name": "pairs", "splits": splits})
    file = tmp_path / "s.yaml"
    rows = "intermediates:\n  mnli:\n  mixed: {tasks: [mnli, pairs]}\n"
    file.write_text(f"name: x\nbase: {{model: m}}\n{rows}targets:\n  xnli:\n")
    with pytest.raises(StudyError, match="pairs is a sentence_retrieval task, which") as caught:
        plan(Study.load(file), cards={**cards, "pairs": pairs})
    assert f"{file}:5: " in str(caught.value)
    file.write_text("name: x\nbase: {model: m}\ntargets:\n  pairs:\n    training_task: pairs\n")
    with pytest.raises(StudyError, match="has no head to train") as caught:
        plan(Study.load(file), cards={**cards, "pairs": pairs})
    assert f"{file}:5: " in str(caught.value)
    assert role(pairs) == "target"


def test_own_cards_join_the_shipped_ones(tmp_path: Path) -> None:
    (tmp_path / "cards").mkdir()
    source = Path(__file__).parent.parent / "sweeper/tasks/cards/topic.yaml"
    (tmp_path / "cards/mine.yaml").write_text(source.read_text().replace("topic", "mine"))
    file = tmp_path / "s.yaml"
    text = "name: x\nbase: {model: m}\ntasks_path: cards\ntargets:\n  mine:\n"
    file.write_text(text)
    assert "mine" in known_cards(Study.load(file))
    assert plan(Study.load(file)).columns == ["mine"]

    (tmp_path / "cards/mine.yaml").write_text(source.read_text())
    with pytest.raises(StudyError, match="'topic' is a shipped one. Rename yours"):
        plan(Study.load(file))
    file.write_text(text.replace("cards", "crads"))
    with pytest.raises(StudyError, match=r"s\.yaml:3: tasks_path must be a folder"):
        plan(Study.load(file))


def test_limits_make_jobs_cheaper() -> None:
    few = plan(small_study(limits={"train": 10}))
    many = plan(small_study())
    key = "train/surface/seed=0"
    assert few.jobs[key].cost < many.jobs[key].cost
    drawn = plan(small_study(training={"max_length": 48, "epochs": 2, "examples": 40}))
    assert drawn.jobs[key].cost == 80
    by_steps = plan(small_study(training={"max_length": 48, "steps": 7, "batch": 4}))
    assert by_steps.jobs[key].cost == 28


@pytest.mark.parametrize("layers", [1, 2])
def test_the_size_of_a_checkpoint_is_that_of_a_real_one(layers: int) -> None:
    transformers = pytest.importorskip("transformers")
    sizes = {**SCRATCH, "layers": layers, "hidden": 48, "heads": 4, "feed_forward": 96}
    config = transformers.XLMRobertaConfig(
        vocab_size=300,
        hidden_size=48,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=96,
        max_position_embeddings=48 + 2,
        type_vocab_size=1,
    )
    model = transformers.XLMRobertaModel(config, add_pooling_layer=False)
    said = checkpoint_bytes(small_study(base={"scratch": sizes}))
    assert said == 4 * sum(weight.numel() for weight in model.parameters())


def test_sizes_of_known_and_unknown_models(tmp_path: Path) -> None:
    assert checkpoint_bytes(small_study(base={"model": "xlm-roberta-base"})) == 4 * 278_000_000
    assert checkpoint_bytes(small_study(base={"model": "some/model"})) is None
    half = {"x": torch.zeros(5, 50, dtype=torch.bfloat16)}
    save_file(half, tmp_path / "a.safetensors")
    save_file({"y": torch.zeros(125)}, tmp_path / "b.safetensors")
    assert checkpoint_bytes(small_study(base={"model": str(tmp_path)})) == 1500


def test_ten_thousand_jobs_are_planned_fast() -> None:
    cards = cards_like("topic", 8)
    said = {
        "intermediates": {f"row{n}": {"tasks": ["surface"], "training": {"epochs": n + 1}}
                          for n in range(10)},
        "targets": {**{f"topic_{n}": None for n in range(8)}, "demo_retrieval": None},
        "spaces": {f"topic_{n}": {"search": {"learning_rate": [1e-4, 3e-4]}} for n in range(8)},
        "seeds": list(range(37)),
    }  # fmt: skip
    began = time.process_time()
    planned = plan(small_study(**said), cards=cards)
    assert len(planned.jobs) > 10_000
    assert time.process_time() - began < 3


def test_units_that_others_need_are_prepared_and_not_scored() -> None:
    """The threshold of BUCC's test is chosen on its dev; LAReQA pools all languages."""
    said = small_study(
        base={"model": "m"}, intermediates={},
        targets={"bucc2018": {"languages": ["de"]}, "lareqa": {"languages": ["de"]}}, seeds=[0],
    )  # fmt: skip
    planned = plan(said)
    bucc = planned.jobs["score/none>bucc2018/seed=0"]
    assert bucc.declared["units"] == {"test/de": ["test", "de"]}
    assert bucc.declared["companions"] == {"dev/de": ["dev", "de"]}
    assert planned.jobs["prepare/bucc2018/dev/48"].declared["languages"] == ("de",)
    assert "prepare/bucc2018/dev/48" in bucc.needs
    lareqa = planned.jobs["score/none>lareqa/seed=0"]
    assert len(lareqa.declared["companions"]) == 10
    assert len(planned.jobs["prepare/lareqa/test/48"].declared["languages"]) == 11
    both = said.model_copy(update={"targets": {"bucc2018": Target(splits=("dev", "test"))}})
    score = plan(both).jobs["score/none>bucc2018/seed=0"]
    assert len(score.declared["units"]) == 8 and score.declared["companions"] == {}
