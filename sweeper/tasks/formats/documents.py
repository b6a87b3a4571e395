"""JSON documents of questions about texts: SQuAD's format, and XQuAD-R's that adds sentences.

Such files have no useful lines: faults name the question by its number in the file, from 1, and
by its id.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeper.errors import DataError
from sweeper.tasks.formats.base import Record, load_json

if TYPE_CHECKING:
    from sweeper.tasks.card import LocalSource


def parse_squad(paths: Sequence[Path], source: LocalSource, language: str) -> Iterator[Record]:
    """SQuAD's JSON, v1.1 or v2.0: ``id``, ``question``, ``context``, ``answers`` per question."""
    path = paths[0]
    number = 0
    for paragraph in _paragraphs(path):
        context = _get(path, number, paragraph, "context", str)
        for question in _get(path, number, paragraph, "qas", list):
            number += 1
            impossible = isinstance(question, Mapping) and question.get("is_impossible", False)
            name = str(_get(path, number, question, "id", (str, int)))
            values = {
                "id": name,
                "question": _get(path, number, question, "question", str),
                "context": context,
                # The plausible answers of a question without answer are none.
                "answers": [] if impossible else _get(path, number, question, "answers", list),
            }
            yield Record(f"{path}, question", number, values, name=name)


def parse_xquad_r(paths: Sequence[Path], source: LocalSource, language: str) -> Iterator[Record]:
    """XQuAD-R's JSON: questions, and every sentence of every text as a candidate answer.

    The right answer of a question is the sentence in which its answer begins. Both are named as in
    XTREME's utils_lareqa.py (google-research/xtreme 838c13b): ``<id>_<language>``, and
    ``<language>_<paragraph, from 1>_<sentence, from 0>``; a question is right for the candidates
    of all languages that answer the question of its id.
    """
    path = paths[0]
    number = 0
    for place, paragraph in enumerate(_paragraphs(path), 1):
        breaks = _get(path, number, paragraph, "sentence_breaks", list)
        sentences = _get(path, number, paragraph, "sentences", list)
        if len(breaks) != len(sentences):
            raise _fault(
                path, number + 1,
                f"a text must have as many sentences as sentence breaks; before this question it "
                f"has {len(sentences)} and {len(breaks)}",
            )  # fmt: skip
        answered: dict[int, list[str]] = {}
        for question in _get(path, number, paragraph, "qas", list):
            number += 1
            name = str(_get(path, number, question, "id", (str, int)))
            answers = _get(path, number, question, "answers", list)
            if not answers:
                raise _fault(path, number, "a question must have an answer")
            begin = _get(path, number, answers[0], "answer_start", int)
            answered.setdefault(_sentence_of(path, number, begin, breaks), []).append(name)
            text = _get(path, number, question, "question", str)
            values = {"id": f"{name}_{language}", "text": text, "key": name, "role": "question"}
            yield Record(f"{path}, question", number, values, name=name)
        for index, sentence in enumerate(sentences):
            values = {
                "id": f"{language}_{place}_{index}",
                "text": sentence,
                "answers": answered.get(index, []),
                "role": "candidate",
            }
            yield Record(f"{path}, up to question", number, values)


def _sentence_of(path: Path, number: int, begin: int, breaks: Sequence[Any]) -> int:
    for index, (first, end) in enumerate(breaks):
        if first <= begin < end:  # without space between them, one ends where the next begins
            return index
    raise _fault(path, number, f"an answer must begin in a sentence; {begin} is in none")


def _paragraphs(path: Path) -> Iterator[Any]:
    document = load_json(path)
    for article in _get(path, 0, document, "data", list):
        yield from _get(path, 0, article, "paragraphs", list)


def _get(path: Path, number: int, found: Any, key: str, kind: Any) -> Any:
    if not isinstance(found, Mapping) or not isinstance(found.get(key), kind):
        names = [one.__name__ for one in kind] if isinstance(kind, tuple) else [kind.__name__]
        broken = f"{key!r} must be there and be of the type {' or '.join(names)}"
        raise _fault(path, number, broken, found.get("id") if isinstance(found, Mapping) else None)
    return found[key]


def _fault(path: Path, number: int, broken: str, name: object = None) -> DataError:
    """The error for a question, by its number and perhaps its id; of number 0 for the file."""
    place = f"{path}, question:{number}" if number else f"{path}"
    named = "" if name is None else f" (id {str(name)!r})"
    return DataError(f"{place}{named}: {broken}. Get the file again.")
