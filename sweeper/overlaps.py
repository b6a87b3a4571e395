"""What a score shares with the training or the selection behind it."""

from __future__ import annotations

from sweeper.graph import Job, Plan


def overlap(plan: Plan, job: Job, unit: str) -> str:
    """What a unit of a score job shares, in words; empty if nothing.

    Same data as the training task: an intermediate of the row is the target's training task, so
    the row is extra epochs and no transfer. Selected on: the winner was picked on this split.
    Oracle: the study allows a selection that sees test data or target languages.
    """
    found = []
    target = plan.targets[job.target]
    row = plan.study.intermediates.get(job.intermediate)
    tasks = {task for stage in row.stages for task in stage.tasks} if row else set()
    if target.training_task in tasks:
        found.append("same data as the training task")
    split, code = job.declared["units"][unit]
    at = target.selection
    if at and (at.task, at.split, at.language) == (job.target, split, code):
        found.append("selected on")
    if at and (at.split == "test" or at.language not in plan.trained_languages(job.target)):
        found.append(f"oracle: selected on {plan.selection_of(job.target)}")
    return "; ".join(found)
