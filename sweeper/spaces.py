"""Training settings, and the spaces in which searches look for the best of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from sweeper.errors import suggest
from sweeper.yamlfile import Name

Positive = Annotated[int, Field(gt=0)]

STARTUP, FACTOR = 5, 3
"""Defaults of a median's and a halving's pruning."""


class Strict(BaseModel):
    """No unknown keys, no silent conversions, no changes after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Training(Strict):
    """The settings of one training; a stage or a space states what differs from the study's."""

    learning_rate: float = Field(1e-5, gt=0, description="Peak learning rate of AdamW.")
    batch: Positive = Field(32, description="Examples per optimizer step.")
    epochs: Positive = Field(3, description="Passes over the training data.")
    steps: Positive | None = Field(None, description="Optimizer steps; overrides `epochs`.")
    warmup: float = Field(0.1, ge=0, lt=1, description="Share of the steps that warm up linearly.")
    weight_decay: float = Field(0.01, ge=0, description="Not applied to biases and LayerNorm.")
    dropout: float | None = Field(None, ge=0, lt=1, description="None: the model's own.")
    frozen_layers: int | None = Field(
        None, ge=0, description="Embeddings and so many of the lowest layers stay as they are."
    )
    clip: float = Field(1.0, gt=0, description="Largest gradient norm.")
    max_length: int = Field(128, ge=8, description="Subwords per input, special tokens included.")
    group_by_length: bool = Field(True, description="Batch like lengths, inside shuffled pools.")
    examples: Positive | None = Field(
        None,
        description="Train on so many, drawn anew per seed; a target's are those of all rows.",
    )
    mask_probability: float = Field(0.15, gt=0, lt=1, description="Masked LM: share of tokens.")

    def updated(self, other: Training) -> Training:
        """These settings with the ones that ``other`` states."""
        return self.model_copy(update={k: getattr(other, k) for k in other.model_fields_set})


class Range(Strict):
    """A continuous or integer interval of a search space."""

    low: float = Field(strict=False)
    high: float = Field(strict=False)
    log: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if not self.low < self.high:
            raise ValueError(f"low < high must hold, but low={self.low} and high={self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"low > 0 must hold for `log: true`, but low={self.low}")
        return self


class Pruning(Strict):
    """When a trial is stopped early, for its value on the selection splits after an epoch."""

    rule: Literal["median", "halving"]
    within: Literal["search", "training_task"] = Field(
        "search", description="Which trials are compared: of a search, or of all rows and seeds."
    )
    grace: Positive = Field(1, description="Epochs that every trial is given.")
    startup: Positive | None = Field(
        None, description="Median: trials that must have finished before; default 5."
    )
    factor: int | None = Field(
        None, ge=2, description="Halving: one in so many goes on at a rung; default 3."
    )

    @model_validator(mode="after")
    def _settings_belong_to_their_rule(self) -> Pruning:
        for name, rule in (("startup", "median"), ("factor", "halving")):
            if getattr(self, name) is not None and self.rule != rule:
                raise ValueError(f"`{name}` goes with `rule: {rule}`, and only with it")
        return self


LATER: dict[str, Any] = {"frozen_layers": None}
"""Settings that came when there were stores: addresses have them only where they say otherwise."""

Choice = float | int | bool | None


class Space(Strict):
    """A training task's hyperparameters: what is fixed, and what its searches look through."""

    extends: Name | None = Field(
        None, description="Another space of the study; what this one says goes before it."
    )
    training: Training = Training()
    search: dict[str, tuple[Choice, ...] | Range] = Field(default_factory=dict)
    sampler: Literal["grid", "random", "tpe"] = "grid"
    trials: Positive | None = Field(None, description="Default: every point of the grid.")
    tune_rows: Literal["each", "none"] = Field(
        "each", description="Which rows have a search; the others take over what won on `none`."
    )
    tune_seeds: Literal["each", "first"] = Field(
        "each", description="Which seeds have a search; the others take over what won there."
    )
    warm_start: Positive | None = Field(
        None, description="So many first trials are the best ones of other searches that ended."
    )
    pruning: Pruning | None = Field(None, description="Default: every trial runs to its end.")

    @field_validator("search", mode="before")
    @classmethod
    def _lists_are_choices(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        # A mapping is a range: tried as one here, its faults are not told as those of a list too.
        return {
            k: Range.model_validate(v)
            if isinstance(v, dict)
            else (tuple(v) if isinstance(v, list) else v)
            for k, v in value.items()
        }

    @model_validator(mode="after")
    def _searchable(self) -> Space:
        for field, values in self.search.items():
            if field not in Training.model_fields:
                raise ValueError(
                    f"a space searches training settings; {field!r} is none."
                    + suggest(field, Training.model_fields)
                )
            if field == "max_length":
                raise ValueError(
                    "max_length is not searched, since the data is cut to it once, before the "
                    "trials; set it under `training`"
                )
            if isinstance(values, Range):
                if self.sampler == "grid":
                    raise ValueError(
                        f"a grid needs a list of values for {field!r}, not a range: list them, "
                        "or use `sampler: tpe` or `random`"
                    )
                for end in (values.low, values.high):
                    _check_choice(field, end if is_real(field) or end % 1 else int(end))
                continue
            if not values or len(set(values)) != len(values):
                raise ValueError(f"the values of {field!r} must be there and differ: {values}")
            for value in values:
                _check_choice(field, value)
        if self.sampler != "grid" and self.trials is None:
            raise ValueError(f"`sampler: {self.sampler}` needs `trials`, the size of its budget")
        if self.warm_start and self.sampler == "grid":
            raise ValueError(
                "`warm_start` is for `sampler: random` and `tpe`: a grid's points are all tried "
                "in any case; drop it, or name a sampler"
            )
        if self.warm_start and self.trials and self.warm_start > self.trials:
            raise ValueError(
                f"`warm_start` is some of the trials, and {self.warm_start} are more than all "
                f"{self.trials}: lower it"
            )
        for name in ("tune_rows", "tune_seeds"):
            if getattr(self, name) != "each" and not self.search:
                raise ValueError(
                    f"`{name}: {getattr(self, name)}` reuses what a search found, and nothing is "
                    "searched: add `search`, or drop it"
                )
        return self

    @model_validator(mode="after")
    def _comparable(self) -> Space:
        """Pruning compares trials after the same epoch, if there is one to compare with."""
        lengths = [name for name in ("epochs", "steps", "examples") if name in self.search]
        if self.pruning and lengths:
            raise ValueError(
                f"`pruning` compares trials after the same epoch, and {lengths[0]!r} is searched: "
                "after it they are at different shares of their training; fix it under `training`"
            )
        if self.pruning and self.pruning.within == "search":
            needed = (self.pruning.startup or STARTUP) if self.pruning.rule == "median" else 1
            if self.budget <= needed:
                raise ValueError(
                    f"`pruning` would stop nothing: it needs {needed} other trials of a search "
                    f"first, and one has {self.budget}: raise `trials`, lower `startup` (median), "
                    "or say `within: training_task`"
                )
        return self

    @property
    def grid(self) -> list[dict[str, Choice]]:
        """Every point of the grid, first field slowest; one empty point without `search`."""
        points: list[dict[str, Choice]] = [{}]
        for field, values in self.search.items():
            assert not isinstance(values, Range)
            points = [{**point, field: value} for point in points for value in values]
        return points

    @property
    def budget(self) -> int:
        """How many trials each search has."""
        if self.sampler == "grid":
            return min(self.trials or len(self.grid), len(self.grid))
        assert self.trials is not None
        return self.trials


def is_real(field: str) -> bool:
    """Whether a training setting is a real number (some may be None as well)."""
    annotation = Training.model_fields[field].annotation
    return float in (annotation, *get_args(annotation))


def _check_choice(field: str, value: Choice) -> None:
    try:
        Training.model_validate({field: value})
    except ValidationError as error:
        raise ValueError(f"{value!r} is no {field}: {error.errors()[0]['msg']}") from None


def extended(spaces: Any) -> Any:
    """Spaces as they were written, each with what it extends.

    Key by key, the settings of ``training`` and ``search`` one by one; what a space fixes is not
    searched for being searched in the one that it extends.

    Raises:
        ValueError: a space extends one that there is not, or itself.
    """
    if not isinstance(spaces, dict):
        return spaces
    raw = {
        name: space.model_dump(exclude_unset=True) if isinstance(space, Space) else space
        for name, space in spaces.items()
    }
    return {name: _extended(raw, name, ()) for name in raw}


def _extended(raw: dict[Any, Any], name: Any, above: tuple[Any, ...]) -> Any:
    own = raw[name]
    other = own.get("extends") if isinstance(own, dict) else None
    if not isinstance(other, str):
        return own
    if other not in raw:
        raise ValueError(f"{name} extends a space that there is not.{suggest(other, raw)}")
    if other in (*above, name):
        raise ValueError(f"{name} extends itself ({' > '.join((*above, name, other))}): drop one")
    base = _extended(raw, other, (*above, name))
    parts = [one.get(part) or {} for one in (base, own) for part in ("training", "search")]
    if not (isinstance(base, dict) and all(isinstance(part, dict) for part in parts)):
        return own
    fixed, searched, own_fixed, own_searched = parts
    # What is fixed and searched by a space itself is searched, as without `extends`.
    kept = {k: v for k, v in searched.items() if k not in own_fixed or k in own_searched}
    found = {**base, **own, "training": fixed | own_fixed, "search": kept | own_searched}
    return {key: value for key, value in found.items() if value != {}}
