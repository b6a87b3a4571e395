"""YAML that people write: scalars, lines, and what cannot be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from sweeper import yamlfile
from sweeper.errors import StudyError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "study.yaml"


def _value(file: Path, text: str) -> Any:
    file.write_text(f"key: {text}\n", encoding="utf-8")
    return yamlfile.load(file)[0]["key"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-5", 1e-5), ("1E5", 1e5), ("1.", 1.0), (".5", 0.5), ("-2.5e+3", -2500.0),
        ("3", 3), ("-3", -3), ("010", 10), ("08", 8), ("+7", 7),
        ("true", True), ("True", True), ("FALSE", False),
        ("null", None), ("~", None), ("", None), ("Null", None),
        ("no", "no"), ("yes", "yes"), ("on", "on"), ("n", "n"), ("NO", "NO"),
        ("1_000", "1_000"), ("12:30:45", "12:30:45"), ("2020-01-01", "2020-01-01"),
        ("'1e-5'", "1e-5"), ("e5", "e5"), ("1e-5x", "1e-5x"), ("0x1F", "0x1F"),
        ("[no, 1e-3, tr]", ["no", 1e-3, "tr"]),
    ],
)  # fmt: skip
def test_scalars_of_yaml_1_2(file: Path, text: str, value: object) -> None:
    found = _value(file, text)
    assert found == value
    assert type(found) is type(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_that_python_writes_is_one(tmp_path_factory: Any, number: float) -> None:
    file = tmp_path_factory.getbasetemp() / "floats.yaml"
    found = _value(file, repr(number))
    assert found == number
    assert isinstance(found, float)


def test_keys_that_look_like_booleans_are_words(file: Path) -> None:
    file.write_text("no: 1\non: 2\n")
    assert yamlfile.load(file)[0] == {"no": 1, "on": 2}


def test_an_empty_file_is_an_empty_mapping(file: Path) -> None:
    for text in ("", "# a comment\n", "---\n"):
        file.write_text(text)
        assert yamlfile.load(file)[0] in ({}, None)


def test_a_byte_order_mark_is_no_part_of_the_first_key(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbfname: x\n")
    assert yamlfile.load(file)[0] == {"name": "x"}


def test_anchors_are_followed(file: Path) -> None:
    file.write_text("a: &x [1, 2]\nb: *x\n")
    assert yamlfile.load(file)[0] == {"a": [1, 2], "b": [1, 2]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: 1\nb: \xff\n", "must be UTF-8; byte 8 is not"),
        (b"a: 1\nb: [1, 2\nc: 3\n", r"study\.yaml:3: not valid YAML"),
        (b"a: 1\n\tb: 2\n", r"study\.yaml:2: not valid YAML"),
        (b"a: 1\nb: 2\na: 3\n", r"study\.yaml:3: the key 'a' stands twice"),
        (b"a:\n  x: 1\n  y: 2\n  x: 3\n", r"study\.yaml:4: the key 'x' stands twice"),
        (b"- {x: 1, x: 2}\n", r"study\.yaml:1: the key 'x' stands twice"),
        (b"a: 1\n---\nb: 2\n", "not valid YAML"),
        (b"a: !!python/object:os.system x\n", r"study\.yaml:1: not valid YAML"),
        (b"a: 1\n? [x, y]\n: 2\n", r"study\.yaml:2: a key must be a word"),
        (b"a: &x [*x]\n", "an alias inside itself|not valid YAML"),
        (b"a: *nowhere\n", r"study\.yaml:1: not valid YAML"),
        (b"a: \x00\n", "not valid YAML"),
        (b"[" * 3000, "nested too deeply|not valid YAML"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_line(
    file: Path, content: bytes, message: str
) -> None:
    file.write_bytes(content)
    with pytest.raises(StudyError, match=message):
        yamlfile.load(file)


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"There is no file .*none\.yaml"):
        yamlfile.load(tmp_path / "none.yaml")
    with pytest.raises(StudyError, match="cannot be read: Is a directory"):
        yamlfile.load(tmp_path)


@given(st.binary(max_size=60))
def test_no_file_makes_it_fall_over(tmp_path_factory: Any, content: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_bytes(content)
    try:
        yamlfile.load(file)
    except StudyError as error:
        assert "any.yaml" in str(error)


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    learning_rate: float = Field(1e-5, gt=0)
    names: list[str] = []


class _Whole(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    name: str
    part: _Part = _Part()
    parts: dict[str, _Part] = {}
    many: list[_Part | int] = []


def _refused(file: Path, text: str) -> list[str]:
    file.write_text(text)
    data, marks = yamlfile.load(file)
    with pytest.raises(StudyError) as caught:
        yamlfile.validate(_Whole, data, marks)
    return str(caught.value).replace(f"{file}", "F").splitlines()


def test_a_valid_file_is_its_model(file: Path) -> None:
    file.write_text("name: x\npart: {learning_rate: 1e-3}\nparts:\n  a: {names: [no]}\n")
    whole = yamlfile.validate(_Whole, *yamlfile.load(file))
    assert whole.part.learning_rate == 1e-3
    assert whole.parts["a"].names == ["no"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: x\nnmae: y\n", "F:2: unknown key 'nmae'. Did you mean 'name'?"),
        ("name: x\npart:\n  learning_rat: 1.0\n",
         "F:3: unknown key 'learning_rat'. Did you mean 'learning_rate'?"),
        ("name: x\nparts:\n  a: {}\n  b:\n    naems: []\n",
         "F:5: unknown key 'naems'. Did you mean 'names'?"),
        ("name: x\nmany:\n  - 3\n  - nams: []\n", "F:4: unknown key 'nams'. Did you mean 'names'"),
        ("part: {}\n", "F:1: the key 'name' is missing. Add it."),
        ("name: 3\n", "F:1: name: Input should be a valid string (it is 3)."),
        ("name: x\npart:\n  learning_rate: fast\n",
         "F:3: part.learning_rate: Input should be a valid number (it is 'fast')."),
        ("name: x\npart:\n  learning_rate: -1e-5\n",
         "F:3: part.learning_rate: Input should be greater than 0 (it is -1e-05)."),
        ("name: x\npart:\n  names:\n    - a\n    - 7\n",
         "F:5: part.names.1: Input should be a valid string (it is 7)."),
        ("- 1\n", "F:1: the document: this must be a mapping"),
    ],
)  # fmt: skip
def test_each_fault_has_its_line_and_the_nearest_key(file: Path, text: str, message: str) -> None:
    assert any(line.startswith(message) for line in _refused(file, text)), _refused(file, text)


def test_all_faults_are_said_at_once(file: Path) -> None:
    lines = _refused(file, "nmae: x\npart: {learning_rate: 0}\n")
    assert len(lines) == 3
    assert all(line.startswith("F:") for line in lines)


def test_an_empty_file_lacks_its_keys(file: Path) -> None:
    assert _refused(file, "") == ["F: the key 'name' is missing. Add it."]


def test_a_large_faulty_value_is_not_recited(file: Path) -> None:
    (line,) = _refused(file, f"name: [{', '.join('x' * 9 for _ in range(99))}]\n")
    assert len(line) < 120


def test_a_model_built_in_python_has_dotted_places() -> None:
    marks = yamlfile.Marks(None, None)
    with pytest.raises(StudyError, match=r"^part\.learning_rate: part\.learning_rate: Input"):
        yamlfile.validate(_Whole, {"name": "x", "part": {"learning_rate": 0.0}}, marks)
