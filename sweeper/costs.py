"""What jobs cost, in training examples: an estimate that orders the work and predicts its time.

One forward and backward pass of an example is 1. What a job takes in seconds is for
`sweeper.workload` to say.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sweeper.graph import Plan
from sweeper.spaces import Training

_EXAMPLES_UNKNOWN = 10_000
_EVALUATION = 1 / 3  # a forward pass beside a forward, a backward and a step
_PREPARING = 1 / 100


class Costs:
    """The costs of a plan's jobs, by what the cards say of rows and the study of limits."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._counts: dict[tuple[str, str], int] = {}

    def preparing(self, task: str, split: str, languages: Collection[str]) -> float:
        """To tokenise a split in some languages."""
        return self._examples(task, split) * len(languages) * _PREPARING

    def training(self, tasks: Iterable[str], training: Training) -> float:
        """To train on some tasks."""
        if training.steps:
            return float(training.steps * training.batch)
        languages = self.plan.training_languages
        pools = [self._examples(task, "train") * len(languages(task)) for task in tasks]
        return float(sum(min(n, training.examples or n) for n in pools) * training.epochs)

    def evaluating(self, splits: Iterable[tuple[str, str]], times: int = 1) -> float:
        """To run a model over a language of each of some (task, split), so many times."""
        return sum(self._examples(task, split) for task, split in splits) * times * _EVALUATION

    def _examples(self, task: str, split: str) -> int:
        """Examples per language of a split: the card's count, cut by the study's limit."""
        if (task, split) not in self._counts:
            found = self.plan.cards[task].splits[split]
            counts = [found.rows_in(code) or _EXAMPLES_UNKNOWN for code in found.languages]
            known = sum(counts) // len(counts)
            self._counts[task, split] = min(known, self.plan.limit(task, split) or known)
        return self._counts[task, split]
