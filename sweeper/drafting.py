"""The jobs of a plan in the making: each once, prepare jobs with all that is asked of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from sweeper.costs import Costs
from sweeper.errors import StudyError
from sweeper.graph import TOKENIZER, Job, Plan


class Jobs:
    """Adds jobs to a plan; `finish` puts them in order."""

    def __init__(self, plan: Plan, costs: Costs) -> None:
        self._plan = plan
        self._costs = costs
        self._languages: dict[tuple[str, str, int], set[str]] = {}

    def add(self, job: Job) -> None:
        """Add a job, unless it is there; every job reads the tokenizer where that is made."""
        if self._plan.study.base.scratch and job.key != TOKENIZER:
            job = replace(job, needs=(*job.needs, TOKENIZER))
        self._plan.jobs.setdefault(job.key, job)

    def prepare(
        self, task: str, split: str, length: int, languages: Iterable[str] | None = None
    ) -> str:
        """The key of the job that tokenises a split; its languages are collected till the end.

        Without ``languages``: those that the task is trained on.
        """
        there = languages or self._plan.training_languages(task)
        self._languages.setdefault((task, split, length), set()).update(there)
        key = _key(task, split, length)
        if key not in self._plan.jobs:
            declared = {"do": "data", "task": task, "split": split, "length": length}
            self.add(Job(key, "prepare", (), declared, 0.0))
        return key

    def finish(self) -> None:
        """Give each prepare job all the languages that were asked of it, and its cost.

        Raises:
            StudyError: a split is cut to a length that the base model does not take.
        """
        study, jobs = self._plan.study, self._plan.jobs
        scratch = study.base.scratch
        for (task, split, length), languages in self._languages.items():
            if scratch and length > scratch.max_length:
                raise StudyError(
                    f"{study.where('base', 'scratch')}: {task} is cut to {length} subwords, and "
                    f"the base model takes {scratch.max_length}. Lower that max_length, or raise "
                    "the base's."
                )
            job = jobs[_key(task, split, length)]
            declared = {**job.declared, "languages": tuple(sorted(languages))}
            cost = self._costs.preparing(task, split, languages)
            jobs[job.key] = replace(job, declared=declared, cost=cost)
        # A prepare job can be asked for first by a job that stands before it: parents first.
        self._plan.jobs = {job.key: job for job in _parents_first(jobs)}


def _key(task: str, split: str, length: int) -> str:
    return f"prepare/{task}/{split}/{length}"


def _parents_first(jobs: Mapping[str, Job]) -> Iterator[Job]:
    done: set[str] = set()

    def visit(key: str) -> Iterator[Job]:
        if key not in done:
            done.add(key)
            for need in jobs[key].needs:
                yield from visit(need)
            yield jobs[key]

    for key in jobs:
        yield from visit(key)
