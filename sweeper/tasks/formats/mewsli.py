"""Mewsli-X's files, which hold all languages: articles with mentions, and entities.

Each line is a JSON object, of the article or the entity.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeper.errors import DataError
from sweeper.tasks.formats.base import Record, bad, fault, picked
from sweeper.tasks.formats.tables import parse_jsonl

if TYPE_CHECKING:
    from sweeper.tasks.card import LocalSource

ARTICLE = {
    "language": "context.language",
    "text": "context.text",
    "starts": "context.sentence_spans.start",
    "ends": "context.sentence_spans.end",
    "mentions": "mentions",
}
MENTION = {
    "id": "example_id",
    "key": "entity_id",
    "start": "mention_span.start",
    "end": "mention_span.end",
    "said": "mention_span.text",
}
ENTITY = {
    "id": "entity_id",
    "text": "description",
    "title": "title",
    "language": "description_language",
}

# Within a text the quotation marks would be escaped.
_LANGUAGE = re.compile(r'"description_language"\s*:\s*"([^"\\]*)"')


def parse_mentions(paths: Sequence[Path], source: LocalSource, language: str) -> Iterator[Record]:
    """The mentions in the articles of one language, a question each.

    The text of a question is the sentence around the mention, which stands in braces.
    """
    for found in parse_jsonl(paths, source.model_copy(update={"columns": ARTICLE}), language):
        article = _typed(paths[0], found, {"text": str, "starts": list, "mentions": list})
        if article.fault:
            yield article
        elif article.values["language"] == language:
            for mention in article.values["mentions"]:
                yield _question(paths[0], article, mention)


def _question(path: Path, article: Record, said: Any) -> Record:
    found = picked(said, MENTION, article.origin, article.line)
    mention = _typed(path, found, {"start": int, "end": int})
    if mention.fault:
        return mention
    try:
        text = _marked(path, article.line, article.values, mention.values)
    except DataError as error:
        return bad(path, article.line, error)
    values = {
        "id": mention.values["id"],
        "text": text,
        "key": mention.values["key"],
        "role": "question",
    }
    return Record(article.origin, article.line, values)


def _marked(path: Path, line: int, article: Mapping[str, Any], mention: Mapping[str, Any]) -> str:
    text, begin, end = article["text"], mention["start"], mention["end"]
    if text[begin:end] != mention["said"]:
        raise fault(
            path,
            line,
            f"a mention must stand in its text where it says; at {begin} there is "
            f"{text[begin:end][:80]!r}, not {mention['said']!r}",
            "Fill in the articles' text by the data set's own script",
        )
    sentences = zip(article["starts"], article["ends"], strict=True)
    first, last = next(((a, b) for a, b in sentences if a <= begin < b), (0, len(text)))
    last = max(last, end)
    return f"{text[first:begin]}{{ {mention['said']} }}{text[end:last]}".strip()


def _typed(path: Path, record: Record, types: Mapping[str, type]) -> Record:
    """The record, or that one of its values is of another type."""
    for field, wanted in types.items() if not record.fault else ():
        if not isinstance(record.values[field], wanted):
            column = {**ARTICLE, **MENTION}[field]
            broken = f"{column!r} must be of the type {wanted.__name__}"
            return bad(path, record.line, fault(path, record.line, broken, "Mend the line"))
    return record


def parse_entities(paths: Sequence[Path], source: LocalSource, language: str) -> Iterator[Record]:
    """The candidates whose description is in one language.

    A line of another one is passed over before it is parsed, which is most of the time: the file
    has 50 languages, and is read for each.
    """

    def wanted(line: str) -> bool:
        told = _LANGUAGE.search(line)
        return told is None or told[1] == language

    columns = source.model_copy(update={"columns": ENTITY})
    for entity in parse_jsonl(paths, columns, language, wanted):
        if entity.fault:
            yield entity
        elif entity.values["language"] == language:
            name = entity.values["id"]
            text = f"{entity.values['title']} : {entity.values['text']}"
            values = {"id": name, "text": text, "answers": [name], "role": "candidate"}
            yield Record(entity.origin, entity.line, values)
