"""Local file formats: from bytes to records, each with the place where it stands."""

from __future__ import annotations

from sweeper.tasks.formats.base import Parser, Record, fault, lines, load_json, picked
from sweeper.tasks.formats.conllu import parse_conllu
from sweeper.tasks.formats.tables import parse_csv, parse_jsonl, parse_parquet, parse_tsv
from sweeper.tasks.formats.texts import (
    parse_conll,
    parse_lines,
    parse_numbered_tags,
    parse_parallel,
)

__all__ = [
    "PARSERS",
    "TOGETHER",
    "WITH_COLUMNS",
    "Parser",
    "Record",
    "fault",
    "lines",
    "load_json",
    "picked",
]

PARSERS: dict[str, Parser] = {
    "tsv": parse_tsv,
    "csv": parse_csv,
    "jsonl": parse_jsonl,
    "parquet": parse_parquet,
    "conll": parse_conll,
    "conllu": parse_conllu,
    "lines": parse_lines,
    "numbered_tags": parse_numbered_tags,
    "parallel": parse_parallel,
}

WITH_COLUMNS = frozenset({"tsv", "csv", "jsonl", "parquet"})
"""Formats for which a card must name the columns."""

TOGETHER = {"parallel": 2, "numbered_tags": 2, "bucc": 3}
"""Formats that read several files at once, and how many; others read one after the other."""
