"""What the user writes: a study, as YAML or as these models built in Python."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    PrivateAttr,
    field_validator,
    model_validator,
)

from sweeper import yamlfile
from sweeper.errors import StudyError, suggest
from sweeper.spaces import Positive, Space, Strict, Training, extended
from sweeper.yamlfile import Name

Seed = Annotated[int, Field(ge=0, lt=2**32)]


def _differ(names: tuple[str, ...]) -> tuple[str, ...]:
    twice = [name for place, name in enumerate(names) if name in names[:place]]
    if twice:
        raise ValueError(f"each may stand here once only, and {twice[0]!r} stands twice")
    return names


Languages = Annotated[tuple[str, ...], Field(min_length=1, strict=False), AfterValidator(_differ)]
Splits = Annotated[tuple[Name, ...], Field(min_length=1, strict=False), AfterValidator(_differ)]

CHECKPOINTS = ("last", "averaged")
"""What a study can ask for beside the epoch that dev selects."""

Checkpoints = Annotated[
    tuple[Literal["last", "averaged"], ...], Field(strict=False), AfterValidator(_differ)
]

CONTROL = "none"
"""The row without intermediate training: always there, the control of every gain."""


class Scratch(Strict):
    """An XLM-R of this size, its tokenizer trained on ``text`` and its weights by masked LM."""

    text: Name = Field(description="The masked-LM task whose train split is learnt from.")
    vocabulary: int = Field(ge=100, description="Entries of the BPE vocabulary.")
    layers: Positive
    hidden: Positive
    heads: Positive
    feed_forward: Positive
    max_length: int = Field(128, ge=8, description="Longest input, in subwords.")
    seed: Seed = 0
    training: Training = Training()

    @model_validator(mode="after")
    def _heads_divide_hidden(self) -> Scratch:
        if self.hidden % self.heads:
            raise ValueError(f"hidden ({self.hidden}) must be a multiple of heads ({self.heads})")
        return self


class Base(Strict):
    """The pretrained encoder: a hub id or a folder (``model``), or one made ``scratch``."""

    model: str | None = None
    revision: str | None = Field(None, description="A commit of the hub model; default: newest.")
    scratch: Scratch | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Base:
        if (self.model is None) == (self.scratch is None):
            raise ValueError("give exactly one of `model` (hub id or folder) and `scratch`")
        return self


class Selection(Strict):
    """Where a search's winner (trial and epoch) is picked: by default English dev."""

    task: Name | None = Field(None, description="Default: the target itself.")
    split: Name = "dev"
    language: str = "en"


class Stage(Strict):
    """One training of an intermediate: a task, or several mixed, a task per optimizer step."""

    tasks: tuple[Name, ...] = Field(min_length=1, strict=False)
    sampler: Literal["proportional", "uniform", "temperature"] = "proportional"
    temperature: float | None = Field(None, gt=0)
    training: Training = Training()
    space: Space | None = Field(
        None, description="Look for the stage's settings on the task's own dev; one task only."
    )
    selection: Selection | None = Field(
        None, description="With `space`: where its winner is picked; default: the task's dev."
    )

    @model_validator(mode="after")
    def _space_is_one_tasks(self) -> Stage:
        if self.space is None:
            if self.selection:
                raise ValueError("`selection` goes with `space`: a stage keeps its last epoch")
            return self
        if len(self.tasks) > 1:
            raise ValueError(
                "a `space` is searched on the task's own dev, and a mixture has several tasks: "
                "search each task in a row of its own, then fix the mixture's `training`"
            )
        if not self.space.search:
            raise ValueError("the `space` of a stage has a `search`; what is fixed is `training`")
        for name in ("extends", "tune_rows", "tune_seeds"):
            if name in self.space.model_fields_set:
                raise ValueError(f"`{name}` is for `spaces` of targets; drop it here")
        return self

    @model_validator(mode="after")
    def _temperature_belongs_to_its_sampler(self) -> Stage:
        if (self.temperature is not None) != (self.sampler == "temperature"):
            raise ValueError("`temperature` goes with `sampler: temperature`, and only with it")
        if len(set(self.tasks)) != len(self.tasks):
            raise ValueError("a task stands twice in one stage")
        return self


class Intermediate(Strict):
    """A row of the matrix: stages trained one after another before the target."""

    stages: tuple[Stage, ...] = Field(min_length=1, strict=False)

    @property
    def composition(self) -> str:
        """What it trains on: "a + b > c" is a mixture of a and b, and then c."""
        return " > ".join(" + ".join(stage.tasks) for stage in self.stages)


class Representation(Strict):
    """How a retrieval target turns a sentence into a vector."""

    layer: float = Field(14 / 24, ge=0, le=1, description="Hidden layer as a fraction of depth.")
    pooling: Literal["mean", "cls"] = "mean"


class Target(Strict):
    """A column of the matrix. What is not said comes from the task's card."""

    training_task: Name | None = None
    languages: Languages | None = None
    splits: Splits = ("test",)
    selection: Selection | None = None
    representation: Representation = Representation()
    max_length: int | None = Field(None, ge=8, description="Retrieval: subwords per sentence.")


class Limits(Strict):
    """The first N examples of a split (per language), for quick looks; None: all of them."""

    train: Positive | None = None
    dev: Positive | None = None
    test: Positive | None = None


class Study(Strict):
    """A whole study: rows (intermediates), columns (targets), seeds, spaces, the base model."""

    name: Name
    description: str = ""
    base: Base
    data: str | None = Field(
        None,
        description="'hub', or the folder of the local files; default: the folder in the "
        "environment variable SWEEPER_DATA, else the hub.",
    )
    tasks_path: str | None = Field(None, description="A folder of the user's own task cards.")
    intermediates: dict[Name, Intermediate] = Field(default_factory=dict)
    targets: dict[Name, Target] = Field(min_length=1)
    seeds: tuple[Seed, ...] = Field((0,), min_length=1, strict=False)
    training: Training = Training()
    spaces: dict[Name, Space] = Field(default_factory=dict)
    train_languages: dict[Name, Languages] = Field(
        default_factory=dict,
        description="Per task, the languages to train on; default: all of its train split.",
    )
    oracle: bool = Field(
        False, description="Allow selection on test splits and target languages; scores say so."
    )
    checkpoints: Checkpoints = Field(
        (),
        description="What of each winner is kept and scored beside the epoch that dev selects: "
        "`last`, its last epoch; `averaged`, the mean of its weights after every epoch.",
    )
    keep_going: bool = Field(
        False, description="Leave rows out that break a rule, and count them, in place of failing."
    )
    limits: Limits = Limits()
    task_limits: dict[Name, Limits] = Field(default_factory=dict)

    _marks: yamlfile.Marks = PrivateAttr(default_factory=lambda: yamlfile.Marks(None, None))

    @field_validator("intermediates", mode="before")
    @classmethod
    def _short_rows(cls, value: Any) -> Any:
        """``mnli:`` means one stage on the task of that name; one stage needs no `stages`."""
        if not isinstance(value, dict):
            return value
        return {name: _row(name, row) for name, row in value.items()}

    @field_validator("targets", mode="before")
    @classmethod
    def _short_columns(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {name: {} if column is None else column for name, column in value.items()}

    @field_validator("spaces", mode="before")
    @classmethod
    def _whole_spaces(cls, value: Any) -> Any:
        return extended(value)

    @field_validator("seeds")
    @classmethod
    def _seeds_differ(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) != len(seeds):
            raise ValueError(f"seeds must differ, but they are {list(seeds)}")
        return seeds

    @field_validator("intermediates")
    @classmethod
    def _control_is_not_said(cls, rows: dict[str, Intermediate]) -> dict[str, Intermediate]:
        if CONTROL in rows:
            raise ValueError(f"the row {CONTROL!r} is always there; take it out of intermediates")
        return rows

    @classmethod
    def load(cls, path: str | Path) -> Study:
        """Read a study from a YAML file, or a shipped one by its name (``demo``).

        Raises:
            StudyError: with file, line and the nearest known key for each fault.
        """
        file = find_study(path)
        data, marks = yamlfile.load(file)
        study = yamlfile.validate(cls, data, marks)
        study._marks = marks
        return study

    def where(self, *location: str | int) -> str:
        """The file and line of a part of this study, for messages."""
        return self._marks.where(location)

    @property
    def folder(self) -> Path:
        """What relative paths in the study are relative to: its file's folder, else here."""
        return self._marks.path.parent if self._marks.path else Path()

    def unlimited(self) -> Study:
        """This study with every example of every split, under a name of its own."""
        name = f"{self.name}-no-limits"
        return self.model_copy(update={"name": name, "limits": Limits(), "task_limits": {}})

    def with_tasks(self, folder: Path) -> Study:
        """This study with another folder of the user's own cards (relative to where we are)."""
        return self.model_copy(update={"tasks_path": str(folder.expanduser().absolute())})

    def space(self, training_task: str) -> Space:
        """The search space of a training task; without one, a single trial of the defaults."""
        return self.spaces.get(training_task, Space())

    @property
    def extended_spaces(self) -> set[str]:
        """The names of the spaces that others extend: these need be no training task's."""
        return {space.extends for space in self.spaces.values() if space.extends}

    def limit(self, task: str, split: str) -> int | None:
        """How many examples of a split are used: the task's own limit, else the study's."""
        own = self.task_limits.get(task, Limits())
        name = split if split in Limits.model_fields else "test"
        limits = own if name in own.model_fields_set else self.limits
        value: int | None = getattr(limits, name)
        return value


def _row(name: str, row: Any) -> Any:
    if row is None:
        return {"stages": [{"tasks": [name]}]}
    if isinstance(row, dict) and "stages" not in row:
        return {"stages": [{"tasks": [name], **row}]}
    return row


def shipped_folder(kind: str) -> Path:
    """Where shipped files lie: inside the installed package, or at the top of a checkout."""
    inside = Path(__file__).parent / kind
    return inside if inside.is_dir() else Path(__file__).parent.parent / kind


def find_study(name: str | Path) -> Path:
    """The file of a study: a path, or the name of a shipped one."""
    path = Path(name)
    if path.suffix in {".yaml", ".yml"} or path.is_file():
        if not path.is_file():
            raise StudyError(f"There is no study file {path}. Give the path of an existing file.")
        return path
    folder = shipped_folder("search_spaces")
    shipped = {file.stem: file for file in sorted(folder.glob("*.yaml"))}
    if str(name) not in shipped:
        raise StudyError(
            f"A study is a YAML file or the name of a shipped one; {str(name)!r} is neither."
            + suggest(str(name), shipped)
        )
    return shipped[str(name)]


def schema() -> str:
    """The JSON schema of a study file, for editors, with the short forms that YAML may use."""
    said = Study.model_json_schema()
    one_stage = {**said["$defs"]["Stage"], "required": []}
    rows = [{"$ref": "#/$defs/Intermediate"}, one_stage, {"type": "null"}]
    columns = [{"$ref": "#/$defs/Target"}, {"type": "null"}]
    for part, forms in (("intermediates", rows), ("targets", columns)):
        for free in said["properties"][part]["patternProperties"]:
            said["properties"][part]["patternProperties"][free] = {"anyOf": forms}
    return json.dumps(said, indent=2, sort_keys=True) + "\n"
