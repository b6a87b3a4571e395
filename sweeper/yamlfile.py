"""YAML that people write: read with line numbers, checked against a model, errors at their line.

YAML 1.2's scalars: ``1e-5`` is a number, and ``no`` (Norwegian) is not a boolean.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

import yaml
from pydantic import BaseModel, StringConstraints, ValidationError

from sweeper.errors import StudyError, suggest

Model = TypeVar("Model", bound=BaseModel)
Location = Sequence[str | int]

LONGEST_NAME = 60
"""Characters: names become folders and columns."""

_NAME = r"^[a-z0-9][a-z0-9_.-]*$"
Name = Annotated[str, StringConstraints(pattern=_NAME, max_length=LONGEST_NAME)]
"""A name that people give: a study's, a row's, a task's, a split's. It is one part of a path."""

_MOST_SHOWN = 60  # characters of a faulty value in a message

_FLOAT = re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$|^[-+]?\.inf$|^\.nan$")
_INTEGER = re.compile(r"^[-+]?[0-9]+$")
_BOOLEAN = re.compile(r"^(true|True|TRUE|false|False|FALSE)$")
_NULL = re.compile(r"^(~|null|Null|NULL|)$")


# libyaml's parser where PyYAML was built with it: ten times as fast, the same documents.
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc]
    """A safe loader with YAML 1.2's core scalars in place of YAML 1.1's."""

    yaml_implicit_resolvers: ClassVar[dict[str, list[Any]]] = {}


def _construct_integer(loader: Any, node: yaml.Node) -> int:
    # YAML 1.1 reads 010 as eight, and stumbles over 08.
    return int(node.value)


_Loader.add_constructor("tag:yaml.org,2002:int", _construct_integer)
for _tag, _pattern, _first in (
    ("bool", _BOOLEAN, "tTfF"),
    ("int", _INTEGER, "-+0123456789"),
    ("float", _FLOAT, "-+0123456789."),
    ("null", _NULL, ["~", "n", "N", ""]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _pattern, list(_first))


class Marks:
    """Where each key of a document stands, so that an error can name its line."""

    def __init__(self, path: Path | None, root: yaml.Node | None) -> None:
        self.path = path
        self._root = root

    def line(self, location: Location) -> int | None:
        """The 1-based line of the deepest part of ``location`` that the document has."""
        node, line = self._root, None
        if node is not None:
            line = node.start_mark.line + 1
        for part in location:
            key, child = _child(node, part)
            if child is None:
                # A union's branch name stands in a pydantic location, not in the file.
                continue
            line = (key or child).start_mark.line + 1
            node = child
        return line

    def where(self, location: Location) -> str:
        """``file.yaml:12`` for messages, or the dotted place of a study built in Python."""
        dotted = ".".join(str(part) for part in location)
        if self.path is None:
            return dotted or "the study"
        line = self.line(location)
        return f"{self.path}:{line}" if line else str(self.path)


def _child(node: yaml.Node | None, part: str | int) -> tuple[yaml.Node | None, yaml.Node | None]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return key, value
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return None, node.value[part]
    return None, None


def load(path: Path) -> tuple[Any, Marks]:
    """A YAML file's data and its marks.

    Raises:
        StudyError: the file is missing, is not UTF-8 or YAML, or repeats a key.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise StudyError(f"There is no file {path}. Give the path of an existing file.") from None
    except UnicodeDecodeError as error:
        raise StudyError(f"{path} must be UTF-8; byte {error.start} is not. Re-save it.") from None
    except OSError as error:
        raise StudyError(f"{path} cannot be read: {error.strerror}.") from None
    try:
        return _parse(text, path)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}" if mark else str(path)
        problem = getattr(error, "problem", None) or str(error)
        raise StudyError(f"{place}: not valid YAML: {problem}. Mend that line.") from None
    except RecursionError:
        raise StudyError(f"{path}: nested too deeply, or an alias inside itself.") from None


def _parse(text: str, path: Path) -> tuple[Any, Marks]:
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return {}, Marks(path, None)
        _refuse_repeated_keys(node, path)
        return loader.construct_document(node), Marks(path, node)
    finally:
        loader.dispose()


def _refuse_repeated_keys(node: yaml.Node, path: Path) -> None:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise StudyError(
                    f"{path}:{key.start_mark.line + 1}: a key must be a word, not a list or a "
                    "mapping. Mend that line."
                )
            if key.value in seen:
                raise StudyError(
                    f"{path}:{key.start_mark.line + 1}: the key {key.value!r} stands twice "
                    "in one mapping. Keep one of them."
                )
            seen.add(key.value)
            _refuse_repeated_keys(value, path)
    elif isinstance(node, yaml.SequenceNode):
        for child in node.value:
            _refuse_repeated_keys(child, path)


def validate(model: type[Model], data: Any, marks: Marks) -> Model:
    """``data`` as ``model``; every fault in one `StudyError`, a line each, with file and line."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        sentences = [_sentence(model, item, marks) for item in _unique(error)]
        raise StudyError("\n".join(sentences)) from None


def _unique(error: ValidationError) -> list[Any]:
    """Each fault once: a list with a faulty item is not "too short" besides."""
    items = error.errors(include_url=False)
    seen: dict[tuple[Any, ...], Any] = {}
    for item in items:
        place = item["loc"]
        inner = any(o["loc"][: len(place)] == place and o["loc"] != place for o in items)
        if not (item["type"] == "too_short" and inner):
            seen.setdefault((place, item["msg"]), item)
    return list(seen.values())


_WORDS = {
    "tuple_type": "this must be a list",
    "dict_type": "this must be a mapping of keys to values",
    "model_type": "this must be a mapping of keys to values",
    "too_short": "this must have at least one entry",
}


def _sentence(model: type[BaseModel], item: Any, marks: Marks) -> str:
    # Branches of unions and wrapped validators stand in a location; people did not write them.
    location = [part for part in item["loc"] if not set("[(") & set(str(part))]
    place = marks.where(location)
    dotted = ".".join(str(part) for part in location) or "the document"
    if item["type"] == "extra_forbidden":
        known = _keys_at(model, location[:-1])
        return f"{place}: unknown key {location[-1]!r}.{suggest(str(location[-1]), known)}"
    if item["type"] == "missing":
        return f"{place}: the key {dotted!r} is missing. Add it."
    if item["type"] == "value_error":  # our own rules name the value themselves
        return f"{place}: {dotted}: {item['msg'].removeprefix('Value error, ').rstrip('.')}."
    message = _WORDS.get(item["type"]) or item["msg"].rstrip(".")
    if item.get("ctx", {}).get("pattern") == _NAME:
        message = (
            "a name is of lower-case letters, digits, `_`, `.` and `-`, and begins with one of "
        )
        message += "the first two"
    value = repr(item["input"])
    shown = f" (it is {value})" if len(value) <= _MOST_SHOWN else ""
    return f"{place}: {dotted}: {message}{shown}."


def _keys_at(model: type[BaseModel], location: Location) -> set[str]:
    """The keys that the models at ``location`` know: found in the JSON schema, unions included."""
    schema = model.model_json_schema()
    nodes = [schema]
    for part in location:
        below = [_step(schema, node, part) for node in _alternatives(schema, nodes)]
        found = [node for node in below if node is not None]
        nodes = found or nodes
    return {key for node in _alternatives(schema, nodes) for key in node.get("properties", {})}


def _alternatives(schema: dict[str, Any], nodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    flat: list[dict[str, Any]] = []
    for node in nodes:
        while "$ref" in node:
            node = schema["$defs"][node["$ref"].rsplit("/", 1)[-1]]
        branches = [*node.get("anyOf", []), *node.get("oneOf", []), *node.get("allOf", [])]
        flat += _alternatives(schema, branches) if branches else [node]
    return flat


def _step(schema: dict[str, Any], node: dict[str, Any], part: str | int) -> dict[str, Any] | None:
    if isinstance(part, int):
        below = [node.get("items")]
    elif part in node.get("properties", {}):
        below = [node["properties"][part]]
    else:
        # A mapping with free keys: pydantic writes constrained keys as a pattern.
        below = [*node.get("patternProperties", {}).values(), node.get("additionalProperties")]
    return next((child for child in below if isinstance(child, dict)), None)
