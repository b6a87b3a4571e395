"""What a plan costs: by the model alone, by what a store measured, on so many GPUs, for money."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from analysis.world import World, study
from helpers import progress_of
from test_cli import Capture, sweeper, write_study

from sweeper.disk import yet_to_do
from sweeper.errors import EngineError, StudyError
from sweeper.estimates import BETWEEN, COLD, Estimate, estimate
from sweeper.graph import Job, Plan
from sweeper.planning import plan
from sweeper.prices import CPU, SHIPPED, Prices
from sweeper.report.costs import check_budget
from sweeper.scheduling import DATA, TRAINING, list_schedule, longest_chain, lower_bound, on_cores
from sweeper.scope import Scope
from sweeper.study import Study
from sweeper.throughput import measured
from sweeper.workload import work_of

PRICES = Prices.load()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Measuring(World):
    """Every job takes `work` seconds that grow with its data, and `around` besides."""

    work, around, device = 3.0, 0.5, "cpu"

    def _trial(self, job: Job, address: str, attempt: str, status: str = "done") -> dict[str, Any]:
        row = super()._trial(job, address, attempt, status)
        row |= {"seconds_compute": self.work, "seconds_score": 0.0, "device": self.device}
        row["committed"] = row["started"] + self.work + self.around
        return {**row, "parameters": json.dumps(job.declared.get("training", {}))}

    def _training(self, job: Job, selections: dict[str, Any]) -> dict[str, Any]:
        row = super()._training(job, selections)
        settings = json.dumps(job.declared.get("training", {}))
        return {**row, "parameters": settings} if row else {}


def estimated(of: Study, slots: Sequence[int] = (), **options: Any) -> Estimate:
    options = {"gpu": None, "cores": 2, **options}
    found = estimate(plan(of), None, {}, PRICES, slots=slots, **options)
    assert found is not None
    return found


# ---- by the model alone -----------------------------------------------------------------------


def test_the_paper_s_study_is_estimated_from_names_alone() -> None:
    found = estimated(Study.load("xtreme"), [8, 16, 64], gpu="h100")
    few, more, many = found.schedules
    assert found.measured == 0 and found.factor == pytest.approx(3.5)
    assert few.wall > more.wall > many.wall >= found.chain_seconds
    assert few.held == pytest.approx(few.wall * 8 / 3600)
    assert few.cost == pytest.approx(few.held * 6.88)
    assert few.disk and many.disk and many.disk > few.disk  # more resume points at once
    assert found.chain[-1].startswith("score/multitask>")


def test_a_faster_device_takes_less() -> None:
    large = Study.load("xtreme")
    assert estimated(large, gpu="b200").hours < estimated(large, gpu="a100-40gb").hours


def test_work_is_counted_from_cards_limits_and_settings() -> None:
    planned = plan(
        Study.model_validate(
            {
                "name": "count",
                "base": {"model": "xlm-roberta-base"},
                "targets": {"xnli": {"languages": ["en", "de"]}},
                "training": {"epochs": 2, "batch": 10, "max_length": 20},
                "limits": {"train": 100, "dev": 30, "test": 50},
            }
        )
    )
    trial = work_of(planned, planned.jobs["tune/none>mnli/seed=0/trial=0"])
    # The card says 45 subwords, and the model is given 20 of them.
    assert (trial.steps, trial.trained, trial.passed, trial.length) == (20, 4000, 1200, 20)
    score = work_of(planned, planned.jobs["score/none>xnli/seed=0"])
    assert (score.steps, score.passed) == (0, 2 * 50 * 20)
    prepared = work_of(planned, planned.jobs["prepare/xnli/test/20"])
    assert prepared.tokenised == 2 * 50 * 20


def test_choices_are_sequences_of_their_own() -> None:
    planned = plan(
        Study.model_validate(
            {
                "name": "choices",
                "base": {"model": "xlm-roberta-base"},
                "intermediates": {"commonsenseqa": None},
                "targets": {"tatoeba": {"languages": ["de"]}},
                "training": {"epochs": 1},
            }
        )
    )
    work = work_of(planned, planned.jobs["train/commonsenseqa/seed=0"])
    assert work.trained == 9741 * 110 and work.length == 110 / 5


def test_nothing_is_estimated_for_a_model_of_unknown_size() -> None:
    of = study(base={"model": "some/model"}, intermediates={})
    assert estimate(plan(of), None, {}, PRICES, gpu=None, slots=(), cores=2) is None
    with pytest.raises(EngineError, match="size of its base model"):
        check_budget(None, 10.0, None)


# ---- from a store -----------------------------------------------------------------------------


def from_store(world: World, of: Study) -> Estimate:
    planned = plan(of)
    samples = measured(world.files, planned, PRICES)
    found = estimate(planned, None, samples, PRICES, gpu=None, slots=(), cores=2)
    assert found is not None
    return found


def test_what_was_measured_is_expected_again(tmp_path: Path) -> None:
    part = study(name="part", intermediates={"supersense": None}, seeds=[0])
    world = Measuring(tmp_path / "store", part).run()
    found = from_store(world, study(intermediates={"supersense": None}))
    assert found.name == CPU and found.measured == len(world.ran)
    assert list(found.seconds.values()) == pytest.approx([3.5] * len(found.seconds))
    assert found.factor == pytest.approx(1.2)
    assert found.hours == pytest.approx(len(found.seconds) * 3.5 / 3600)


def test_other_work_is_scaled_by_the_model(tmp_path: Path) -> None:
    world = Measuring(tmp_path / "store", study(seeds=[0], targets={"tagging": None})).run()
    longer = study(seeds=[0], targets={"tagging": None}, training={"epochs": 6})
    found = from_store(world, longer).seconds["tune/none>tagging/seed=0/trial=0"]
    # Twice the epochs, with the same time around them.
    assert found == pytest.approx(2 * 3 + 0.5, rel=0.05)


def test_another_encoder_says_nothing(tmp_path: Path) -> None:
    world = Measuring(tmp_path / "store", study(seeds=[0])).run()
    scratch = {**study().base.scratch.model_dump(), "hidden": 16}  # type: ignore[union-attr]
    found = from_store(world, study(base={"scratch": scratch}))
    assert found.measured == 0 and found.factor == pytest.approx(3.5)


def test_a_device_is_known_by_its_driver_s_name(tmp_path: Path) -> None:
    world = Measuring(tmp_path / "store", study(seeds=[0]))
    world.device = "NVIDIA A100-SXM4-80GB"
    found = from_store(world.run(), study())
    assert found.name == "a100-80gb" and found.measured and found.device.price == 3.43
    other = Measuring(tmp_path / "other", study(seeds=[0]))
    other.device = "Fabrikam Accelerator 9"
    found = from_store(other.run(), study())
    assert found.name == "Fabrikam Accelerator 9" and found.schedules[0].cost is None
    assert list(found.seconds.values()) == pytest.approx([3.5] * len(found.seconds))
    with pytest.raises(EngineError, match="price of Fabrikam Accelerator 9 is not known"):
        check_budget(found, None, 5.0)


# ---- schedules --------------------------------------------------------------------------------


def test_a_schedule_waits_for_what_a_job_needs_and_takes_the_urgent_first() -> None:
    jobs = [
        Job("data", "prepare", (), {}, 1.0),
        Job("a", "train", ("data",), {}, 1.0),
        Job("b", "train", ("data",), {}, 1.0),
        Job("c", "train", ("data",), {}, 1.0),
        Job("end", "score", ("a",), {}, 1.0),
    ]
    planned = Plan(study(), {}, {}, {job.key: job for job in jobs})
    spent = {"data": 1.0, "a": 2.0, "b": 2.0, "c": 2.0, "end": 4.0}
    urgent = {"data": 9.0, "a": 6.0, "b": 2.0, "c": 2.0, "end": 4.0}
    both = {TRAINING: 2, DATA: 1}
    assert longest_chain(planned, spent) == ["data", "a", "end"]
    # 1 data, then a and b, then the end and c beside it.
    assert list_schedule(planned, urgent, spent, both) == 7
    assert list_schedule(planned, {**urgent, "a": 1.0}, spent, both) == 9
    assert list_schedule(planned, urgent, spent, {TRAINING: 1}, on_cores) == 11
    assert lower_bound(planned, spent, both) == 7
    assert lower_bound(planned, spent, {TRAINING: 1, DATA: 1}) == 10
    # What is done takes no time, and nobody waits for it.
    assert list_schedule(planned, urgent, {"c": 2.0, "end": 4.0}, both) == 4


def test_a_wall_time_has_the_start_and_the_time_between_jobs(tmp_path: Path) -> None:
    part = study(
        intermediates={}, targets={"demo_retrieval": {"languages": ["qab"]}}, seeds=[0], spaces={}
    )
    found = from_store(Measuring(tmp_path / "store", part).run(), part)
    assert found.chain == ["prepare/tokenizer", *found.chain[1:]] and len(found.chain) == 4
    assert found.schedules[0].wall == pytest.approx(4 * (3.5 + BETWEEN) + COLD)


# ---- prices and budgets -----------------------------------------------------------------------


def test_prices_can_be_edited(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(SHIPPED.read_text().replace("price: 6.88", "price: 2"))
    assert Prices.load(mine).device("h100").price == 2
    mine.write_text("currency: EUR\ndevices:\n  h100:\n    name: H100\n")
    with pytest.raises(StudyError, match=r"mine.yaml:4: unknown key 'name'. Did you mean 'names'"):
        Prices.load(mine)


@pytest.mark.parametrize(
    ("driver", "name"),
    [
        ("NVIDIA L4", "l4"),
        ("NVIDIA L40S", "l40s"),
        ("NVIDIA L40", "NVIDIA L40"),
        ("NVIDIA A100 80GB PCIe", "a100-80gb"),
        ("NVIDIA H100 80GB HBM3 / 2", "h100"),
        ("NVIDIA GH200 480GB", "NVIDIA GH200 480GB"),
    ],
)
def test_the_table_s_name_of_a_driver_s_device(driver: str, name: str) -> None:
    assert PRICES.called(driver)[0] == name


def test_a_table_of_one_s_own_has_one_s_own_devices(folder: Path, capsys: Capture) -> None:
    file, mine = str(write_study(folder / "tiny.yaml")), folder / "mine.yaml"
    fields = "names: [X], teraflops: 9, bandwidth: 9, memory: 9, price: 1"
    mine.write_text(f"currency: EUR\ndevices:\n  mine: {{{fields}}}\n")
    assert sweeper("plan", file, "--prices", str(mine)) == 1
    assert "Name one with `--gpu`: mine." in capsys.readouterr().err
    assert sweeper("plan", file, "--prices", str(mine), "--gpu", "mine") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "at 1 EUR per GPU-hour (`--prices FILE` for yours)." in said
    mine.write_text(mine.read_text().replace("price: 1", "price: null"))
    words = ("--prices", str(mine), "--gpu", "mine")
    assert sweeper("plan", file, *words) == 0
    assert "The price of mine is not known: add it" in capsys.readouterr().out
    assert sweeper("plan", file, *words, "--max-cost", "1") == 1
    assert "is not known, so --max-cost cannot be held" in capsys.readouterr().err


def test_every_price_says_where_and_when_it_was_read() -> None:
    for name, device in PRICES.devices.items():
        assert device.price is None or name == CPU or (device.source and device.date), name


def test_plans_over_a_budget_are_refused(folder: Path, capsys: Capture) -> None:
    file = str(write_study(folder / "tiny.yaml"))
    assert sweeper("plan", file, "--gpu", "h100", "--max-gpu-hours", "100") == 0
    assert sweeper("plan", file, "--gpu", "h100", "--max-cost", "1e9") == 0
    capsys.readouterr()
    for words, said in {
        ("--max-gpu-hours", "1e-9"): "core-hours, over the budget of 1e-09. Take seeds",
        ("--gpu", "h100", "--max-gpu-hours", "1e-9"): "GPU-hours, over the budget of 1e-09.",
        ("--gpu", "h100", "--max-cost", "1e-9"): "USD on 8 h100, over the budget of 1e-09",
        ("--max-cost", "0"): "--max-cost must be above 0, it is 0.",
        ("--max-gpu-hours", "-1"): "--max-gpu-hours must be above 0, it is -1.",
        ("--gpu", "h10"): "has no GPU 'h10'. Did you mean 'h100'? Known: a100-40gb",
        ("--gpus", "8,x"): "`--gpus` takes numbers, such as 8,16,64; it has '8,x'.",
        ("--gpus", "0"): "`--gpus` takes numbers of at least 1",
        ("--prices", "no.yaml"): "There is no file no.yaml.",
    }.items():
        assert sweeper("plan", file, *words) == 1, words
        told = " ".join(capsys.readouterr().err.split())
        assert said in told, words
        assert "about 0.00 " not in told, "what is over a budget is told as more than nothing"


def test_a_plan_is_printed_and_told_as_data(folder: Path, capsys: Capture) -> None:
    file = str(write_study(folder / "tiny.yaml"))
    Measuring(Path("runs/tiny"), study(seeds=[0])).run()
    assert sweeper("plan", file, "--gpus", "1,4") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Estimate for cpu: " in said and "± 20 %" in said and "Longest chain: " in said
    assert sweeper("plan", file, "--gpus", "1,4", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["estimate"]["device"] == "cpu" and told["study"] == "tiny"
    assert [one["slots"] for one in told["estimate"]["schedules"]] == [1, 4]
    assert told["jobs"]["all"]["score"] == 18 and told["data"][0]["missing"] == []


def test_a_part_of_a_study_is_estimated_as_such(folder: Path, capsys: Capture) -> None:
    file = str(write_study(folder / "tiny.yaml"))

    def hours(*words: str) -> float:
        assert sweeper("plan", file, *words, "--json") == 0
        return float(json.loads(capsys.readouterr().out)["estimate"]["hours"])

    whole, part = hours(), hours("--rows", "none", "--columns", "demo_retrieval")
    assert 0 < part < 0.9 * whole  # both have the base model


def test_what_failed_outside_a_part_is_no_work_of_it(tmp_path: Path) -> None:
    world = World(tmp_path / "store").run(fail={"train/more/seed=1"})
    found = {}
    for row in ("supersense", "more"):
        ends = Scope(rows=[row]).ends(world.plan)
        progress = progress_of(world.plan, world.files, ends=ends)
        found[row] = yet_to_do(world.plan, progress, ends)
    assert found["supersense"] == set()
    below = {key for key in world.plan.jobs if "/more>" in key and "seed=1" in key}
    assert found["more"] == {"train/more/seed=1", *below}
