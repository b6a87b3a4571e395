"""What a study may not say: unknown names, roles that do not fit, selection on what is tested."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NoReturn

from sweeper.errors import StudyError, suggest
from sweeper.study import Selection, Study, Target
from sweeper.tasks import kinds
from sweeper.tasks.card import Card

Where = tuple[str | int, ...]


class Checks:
    """Looks names up in the cards; every refusal is a `StudyError` with the study's line."""

    def __init__(self, study: Study, cards: Mapping[str, Card]) -> None:
        self.study = study
        self.cards = cards

    def card(self, name: str, *where: str | int) -> Card:
        """The card of a task that the study names."""
        if name not in self.cards:
            self._refuse(where, f"unknown task {name!r}.{suggest(name, self.cards)}")
        return self.cards[name]

    def languages(
        self, task: str, split: str, where: Where, wanted: Iterable[str] | None = None
    ) -> tuple[str, ...]:
        """The languages of a task's split, or those wanted of them."""
        card = self.cards[task]
        if split not in card.splits:
            self._refuse(where, f"{task} has no split {split!r}.{suggest(split, card.splits)}")
        there = card.splits[split].languages
        for code in wanted or ():
            if code not in there:
                self._refuse(
                    where,
                    f"the {split} split of {task} has no language {code!r}."
                    f"{suggest(code, there, most=50)}",
                )
        return tuple(wanted) if wanted else there

    def training_languages(self, task: str, where: Where) -> tuple[str, ...]:
        """The languages that a task is trained on: the study's choice, or all of the split."""
        said = self.study.train_languages.get(task)
        return self.languages(task, "train", ("train_languages", task) if said else where, said)

    def trained(self, task: str, where: Where) -> None:
        """Refuse to train on a task that there is not, has no train split, or trains nothing."""
        card = self.card(task, *where)
        if not kinds.get(card.kind).needs_training:
            self._refuse(
                where,
                f"{task} is a {card.kind} task, which has no head to train: it is a target only. "
                "Take it out, or name another task.",
            )
        self.training_languages(task, where)

    def targets(self) -> dict[str, Target]:
        """Every target with what its card says where the study is silent."""
        found = {name: self._completed(name, given) for name, given in self.study.targets.items()}
        for part in ("task_limits", "train_languages"):
            for name in getattr(self.study, part):
                self.card(name, part, name)
        trained = {target.training_task for target in found.values()}
        for name in self.study.spaces:
            if name in self.study.extended_spaces - trained:
                continue
            self.card(name, "spaces", name)
            self._check_space(name, found)
        return found

    def _check_space(self, name: str, targets: Mapping[str, Target]) -> None:
        """A space that no target is trained in would be read by nobody."""
        trained = {target.training_task for target in targets.values()}
        if name in trained:
            self._check_pruning(name)
            return
        task = targets[name].training_task if name in targets else None
        if name in targets:
            said = f"is trained on {task}: name it {task}" if task else "is not trained"
        else:
            said = "is no target's training task: take it out, or name one that is"
        self._refuse(("spaces", name), f"a space belongs to a training task, and {name} {said}.")

    def _check_pruning(self, name: str) -> None:
        """A trial whose last epoch is over has ended: nothing is left to stop."""
        space = self.study.space(name)
        training = self.study.training.updated(space.training)
        if space.pruning and training.steps is None and space.pruning.grace >= training.epochs:
            self._refuse(
                ("spaces", name, "pruning", "grace"),
                f"pruning would stop nothing: trials have {training.epochs} epochs, and "
                f"{space.pruning.grace} of them are their grace. Lower `grace` or raise `epochs`.",
            )

    def _completed(self, name: str, target: Target) -> Target:
        where = ("targets", name)
        card = self.card(name, *where)
        if not kinds.get(card.kind).needs_training:
            for field in ("training_task", "selection"):
                if getattr(target, field) is not None:
                    self._refuse(
                        (*where, field),
                        f"{name} is a {card.kind} task, which has no head to train, and so no "
                        f"winner to pick. Drop {field}: rows train the encoder.",
                    )
            self._check_scored(name, target)
            return target
        trained = target.training_task or card.training_task
        if trained is None:
            self._refuse(
                where,
                f"{name} is a {card.kind} task and must be trained before it is scored. Add "
                "`training_task:`.",
            )
        for field in ("representation", "max_length"):
            if field in target.model_fields_set:
                self._refuse(
                    (*where, field),
                    f"{field} is for retrieval, and {name} is trained. Drop it.",
                )
        self.trained(trained, (*where, "training_task"))
        self._check_same_head(trained, card, (*where, "training_task"))
        selection = self._selection(name, target, card, trained)
        self._check_scored(name, target)
        return target.model_copy(update={"training_task": trained, "selection": selection})

    def _check_scored(self, name: str, target: Target) -> None:
        for split in target.splits:
            self.languages(name, split, ("targets", name, "languages"), target.languages)

    def _selection(self, name: str, target: Target, card: Card, trained: str) -> Selection:
        where = ("targets", name, "selection")
        own = card.selection
        said = target.selection
        if said is None and own is not None:
            said = Selection.model_validate(own.model_dump())
        if said is None:
            self._refuse(
                where[:2],
                f"{name} is trained, so it needs a selection split to pick its winner by. Add "
                "`selection: {split: dev, language: en}`.",
            )
        chosen = self.card(said.task or name, *where)
        self.languages(chosen.name, said.split, where, (said.language,))
        self._check_same_head(chosen.name, card, where)
        known = self.training_languages(trained, where)
        honest = said.language in known and said.split != "test"
        if not honest and not self.study.oracle:
            self._refuse(
                where,
                "a zero-shot target selects on a split other than test, in a language that it is "
                f"trained on ({', '.join(known)}); {said.split}/{said.language} is none. Mend it, "
                "or say `oracle: true` in the study: every score then says so.",
            )
        return said.model_copy(update={"task": chosen.name})

    def stage_selection(self, task: str, at: Selection, where: Where) -> None:
        """Refuse a split by which a stage's own search cannot, or may not, pick its winner."""
        assert at.task
        chosen = self.card(at.task, *where)
        self.languages(chosen.name, at.split, where, (at.language,))
        self._check_same_head(chosen.name, self.card(task, *where), where)
        if at.split in ("train", "test"):
            self._refuse(
                where,
                "the `space` of a stage picks by a split that is neither trained on nor tested; "
                f"{at.split} is none. Name another `selection`.",
            )

    def _check_same_head(self, other: str, card: Card, where: Where) -> None:
        """One head is trained, selected and scored: kind and labels must be the same."""
        that = self.cards[other]
        if (that.kind, that.labels) != (card.kind, card.labels):
            self._refuse(
                where,
                f"{card.name} and {other} share a head, so their kind and labels must be the "
                f"same; they are {card.kind} {list(card.labels)} and {that.kind} "
                f"{list(that.labels)}. Name a task that fits.",
            )

    def _refuse(self, where: Where, message: str) -> NoReturn:
        raise StudyError(f"{self.study.where(*where)}: {message}")
