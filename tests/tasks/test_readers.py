"""Reading local files: what comes out, and what is said of a bad file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sweeper.errors import DataError
from sweeper.tasks import readers, sources
from sweeper.tasks.card import Card, shipped_cards

from .conftest import Reader, card

PAIRS = {"format": "jsonl", "columns": {"text": "a", "pair": "b", "label": "gold"}}


def test_tsv(read: Reader) -> None:
    rows = read(card(), 'He said "so.\tyes\n\nx\u2028y\tno\r\n')
    assert rows == [
        {"id": "0", "text": 'He said "so.', "label": "yes"},
        {"id": "1", "text": "x\u2028y", "label": "no"},
    ]


def test_a_byte_order_mark_is_no_text(read: Reader) -> None:
    assert read(card(), b"\xef\xbb\xbfa\tyes\n")[0]["text"] == "a"


def test_tsv_with_header_and_ids(read: Reader) -> None:
    task = card(local={"columns": {"id": "n", "text": "t", "label": "l"}})
    assert read(task, "l\tt\tn\nyes\ta\tr1\n") == [{"id": "r1", "text": "a", "label": "yes"}]


def test_csv(read: Reader) -> None:
    task = card(local={"format": "csv", "columns": {"text": "t", "label": "l"}})
    rows = read(task, 't,l\n"a ""b"", c\nd",yes\ne,no\n')
    assert [row["text"] for row in rows] == ['a "b", c\nd', "e"]


def test_jsonl_maps_and_drops_labels_and_keeps_row_numbers(read: Reader) -> None:
    local = {**PAIRS, "labels": {"1": "yes", "0": "no"}, "drop_labels": ["-1"]}
    text = (
        '{"a": "x", "b": "y", "gold": 1}\n'
        '{"a": "u", "b": "v", "gold": -1}\n'
        '{"a": "p", "b": "q", "gold": "0"}\n'
    )
    rows = read(card(local=local), text)
    assert [(row["id"], row["pair"], row["label"]) for row in rows] == [
        ("0", "y", "yes"),
        ("2", "q", "no"),
    ]
    assert read(card(local=local), text, limit=1) == rows[:1]


def test_a_language_column_selects(read: Reader) -> None:
    columns = {"text": "t", "label": "l", "language": "lang"}
    task = card(local={"columns": columns, "files": {"test": "all.tsv"}})
    text = "lang\tt\tl\nen\ta\tyes\nde\tb\tno\nde\tc\tyes\n"
    assert [row["text"] for row in read(task, text)] == ["b", "c"]
    assert [row["text"] for row in read(task, text, language="en")] == ["a"]


@pytest.mark.parametrize("code", ["xx", "", "de ", "deu"])
def test_a_row_in_no_language_of_the_table_is_a_fault(read: Reader, code: str) -> None:
    columns = {"text": "t", "label": "l", "language": "lang"}
    task = card(local={"columns": columns, "files": {"test": "all.tsv"}})
    text = f"lang\tt\tl\nde\tb\tno\n{code}\tc\tyes\nfi\td\tyes\n"
    with pytest.raises(DataError) as caught:
        read(task, text)
    said = f"all.tsv:3: the field 'language' must be a code of the language table, it is {code!r}"
    assert said in str(caught.value)


def test_conll(read: Reader) -> None:
    rows = read(card("token_classification"), "\nde:Haus\tB-X\n#\tO\n\n\nein\tO\n")
    assert rows == [
        {"id": "0", "tokens": ["de:Haus", "#"], "tags": ["B-X", "O"]},
        {"id": "1", "tokens": ["ein"], "tags": ["O"]},
    ]


def test_only_the_files_own_language_is_a_prefix(read: Reader) -> None:
    task = card("token_classification", local={"language_prefix": True})
    rows = read(task, "de:Haus\tB-X\nen:Haus\tO\nhttp:x\tO\nde:\tO\n:\tO\n")
    assert rows[0]["tokens"] == ["Haus", "en:Haus", "http:x", "de:", ":"]


def test_lines_and_parallel(read: Reader) -> None:
    assert [r["text"] for r in read(card("masked_lm"), "a b\n\n \nc\n")] == ["a b", "c"]
    rows = read(card("sentence_retrieval"), "eins\nzwei\n", "one\ntwo")
    assert rows[1] == {"id": "1", "text": "zwei", "pair": "two"}


def test_limit_is_of_rows_not_of_faults_behind_it(read: Reader) -> None:
    assert len(read(card(), "a\tyes\nb\tno\nbroken\n", limit=2)) == 2


TOKENS = card("token_classification")
RETRIEVAL = card("sentence_retrieval")
CSV = card(local={"format": "csv"})
JSONL = card(local=PAIRS)
HEADER = card(local={"columns": {"text": "t", "label": "l"}})
MAPPED = card(local={"labels": {"y": "yes", "n": "no"}})
IDS = card(local={"columns": {"id": 2, "text": 0, "label": 1}})


@pytest.mark.parametrize(
    "task, content, line, says",
    [
        (card(), "a\tyes\nb\n", 2, "column 1 (the field 'label')"),
        (card(), "a\tyes\nb\tmaybe\n", 2, "it is 'maybe'"),
        (card(), "a\tyes\nb\tyess\n", 2, "Did you mean 'yes'?"),
        (card(), b"a\tyes\nb\xff\tno\n", 2, "must be UTF-8, its byte 1 is 0xff"),
        (card(), b"a\tyes\nb\xc3", 2, "must be UTF-8"),
        (card(), "", None, "at least one row"),
        (card(), "\n\n", None, "at least one row"),
        (MAPPED, "a\tx\n", 1, "those in the card's `labels:`, it is 'x'"),
        (IDS, "a\tyes\t1\nb\tno\t1\n", None, "or leave the `id` column out of the card"),
        (HEADER, "t\tlabel\na\tyes\n", 1, "the column 'l'"),
        (HEADER, "t\tl\na\tyes\nb\n", 3, "2 columns like the header, it has 1"),
        (HEADER, "t\tl\n", None, "at least one row"),
        (CSV, 'a,yes\n"b,no\n', 2, "valid CSV"),
        (CSV, 'a,yes\n"b"x,no\n', 2, "valid CSV"),
        (JSONL, '{"a": "x", "b": "y", "gold": "yes"}\n{"a": "x"', 2, "is cut off"),
        (JSONL, "{]\n", 1, "must be a JSON object"),
        (JSONL, "[1]\n", 1, "it is a list"),
        (JSONL, '{"a": "x", "gold": "yes"}\n', 1, "the key 'b'"),
        (JSONL, '{"a": 3, "b": "y", "gold": "yes"}\n', 1, "'text' must be a text, it is 3"),
        (JSONL, '{"a": "x", "b": "y", "gold": null}\n', 1, "it is None"),
        (TOKENS, "a\tO\nb\n\n", 2, "a token and a tag"),
        (TOKENS, "a\tO\n\tO\n\n", 2, "a token and a tag"),
        (TOKENS, "a O\n", 1, "with a tab between"),
        (TOKENS, "a\tO\n\nb\tO\nc\tB-Y\n", 4, "it is 'B-Y'"),
    ],
)
def test_bad_files(
    read: Reader, tmp_path: Path, task: Card, content: str | bytes, line: int | None, says: str
) -> None:
    with pytest.raises(DataError) as caught:
        read(task, content)
    message = str(caught.value)
    assert says in message
    assert str(tmp_path / "de") + (f":{line}:" if line else "") in message
    assert message.endswith(".") and "\n" not in message


@pytest.mark.parametrize(
    "foreign, english, longer",
    [("a\nb\nc\n", "a\n", "test-de.txt:2"), ("a\n", "a\nb\nc\n", "test-en.txt:2")],
)
def test_parallel_files_of_unequal_length(
    read: Reader, foreign: str, english: str, longer: str
) -> None:
    with pytest.raises(DataError, match="equally many lines; this one has 3") as caught:
        read(RETRIEVAL, foreign, english)
    assert longer in str(caught.value)


def test_no_row_of_the_language(read: Reader) -> None:
    columns = {"text": 0, "label": 1, "language": 2}
    with pytest.raises(DataError, match="there is none"):
        read(card(local={"columns": columns}), "a\tyes\ten\n")


def test_conll_columns_are_positions(read: Reader) -> None:
    task = card("token_classification", local={"columns": {"tokens": "form", "tags": "upos"}})
    with pytest.raises(DataError, match="positions from 0; the card says 'form'"):
        read(task, "a\tO\n")


# ---- resolving --------------------------------------------------------------------------------


def resolved(tmp_path: Path, text: str = "a\tyes\n") -> tuple[Card, Path, dict[str, Any]]:
    (tmp_path / "de").write_text(text)
    task = card()
    return (
        task,
        tmp_path / "de",
        sources.resolve(task, "test", ["de"], source="local", root=tmp_path)["de"],
    )


def test_the_identity_is_the_content_and_the_language(tmp_path: Path) -> None:
    _, path, first = resolved(tmp_path)
    assert first["files"][0]["path"] == "de"
    path.touch()
    (tmp_path / "elsewhere").mkdir()
    _, _, moved = resolved(tmp_path / "elsewhere")
    assert sources.identity(moved) == sources.identity(first)
    assert set(sources.identity(first)) == {"source", "language", "sha256"}
    _, _, other = resolved(tmp_path, "b\tyes\n")
    assert sources.identity(other) != sources.identity(first)


def test_fresh(tmp_path: Path) -> None:
    import os

    _, path, found = resolved(tmp_path)
    assert sources.fresh(found, tmp_path)
    assert not sources.fresh(found, None)
    os.utime(path, ns=(1, 1))
    assert not sources.fresh(found, tmp_path)
    path.unlink()
    assert not sources.fresh(found, tmp_path)


def test_matches_follows_the_card(tmp_path: Path) -> None:
    task, _, found = resolved(tmp_path)
    assert sources.matches(found, task, "test", "de")
    assert not sources.matches(found, task, "test", "en")
    assert not sources.matches(found, card(local={"files": {"test": "x"}}), "test", "de")
    demo = shipped_cards()["topic"]
    made = sources.resolve(demo, "test", ["qaa"], source="synthetic", root=None)["qaa"]
    assert sources.matches(made, demo, "test", "qaa")
    assert not sources.matches({**made, "version": 0}, demo, "test", "qaa")


def test_a_touched_or_copied_file_is_read_a_changed_one_is_not(tmp_path: Path) -> None:
    import os

    task, path, found = resolved(tmp_path)
    os.utime(path, ns=(1, 1))
    assert readers.read(task, "test", "de", found, tmp_path)
    path.write_text("b\tyes\n")
    with pytest.raises(DataError, match="must not change while a study runs"):
        readers.read(task, "test", "de", found, tmp_path)
    path.unlink()
    with pytest.raises(DataError, match="is gone"):
        readers.read(task, "test", "de", found, tmp_path)


def test_a_missing_file_is_named_with_all_that_is_needed_to_find_it(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        sources.resolve(shipped_cards()["xnli"], "test", ["sw"], source="local", root=tmp_path)
    for part in ("'xnli'", "'test'", "'sw'", str(tmp_path / "xnli/test-sw.tsv"), "SWEEPER_DATA"):
        assert part in str(caught.value)


def test_no_data_folder() -> None:
    with pytest.raises(DataError, match="Set SWEEPER_DATA"):
        sources.resolve(card(), "test", ["de"], source="local", root=None)


def test_a_split_without_files(tmp_path: Path) -> None:
    task = card(splits={"test": {"languages": ["de"]}, "dev": {"languages": ["de"]}})
    with pytest.raises(DataError, match="no local data for its split 'dev'"):
        sources.resolve(task, "dev", ["de"], source="local", root=tmp_path)


def test_synthetic_rows() -> None:
    task = shipped_cards()["tagging"]
    found = sources.resolve(task, "test", ["qaa", "qad"], source="synthetic", root=None)
    assert sources.identity(found["qaa"]) != sources.identity(found["qad"])
    assert sources.fresh(found["qad"], None)
    rows = readers.read(task, "test", "qad", found["qad"], None, 5)
    assert [row["id"] for row in rows] == [f"test-{n}" for n in range(5)]
    with pytest.raises(DataError, match="generator version 0"):
        readers.read(task, "test", "qad", {**found["qad"], "version": 0}, None)


# ---- keep going -------------------------------------------------------------------------------


def test_broken_rows_can_be_left_out_and_told(tmp_path: Path) -> None:
    columns = {"id": "i", "text": "t", "label": "l"}
    task = card(local={"format": "jsonl", "columns": columns})
    lines = [
        b'{"i": 1, "t": "a", "l": "yes"}',
        b'{"i": 2, "t": "\xff", "l": "yes"}',
        b'{"i": 3, "t": "c"}',
        b'{"i": 4, "t": "d", "l": "maybe"}',
        b'{"i": 1, "t": "e", "l": "no"}',
        b'{"i": 6, "t": 6, "l": "no"}',
        b"[7]",
        b'{"i": 8, "t": "h", "l": "no"}',
        b'{"i": 9,',
    ]
    (tmp_path / "de").write_bytes(b"\n".join(lines))
    found = sources.resolve(task, "test", ["de"], source="local", root=tmp_path)["de"]
    skipped: list[str] = []
    rows = readers.read(task, "test", "de", found, tmp_path, skipped=skipped)
    assert [row["id"] for row in rows] == ["1", "8"]
    rules = ["UTF-8", "the key 'l'", "one of the labels", "unique", "a text", "object", "cut off"]
    numbers = [2, 3, 4, 5, 6, 7, 9]
    assert len(skipped) == len(rules)
    for said, rule, number in zip(skipped, rules, numbers, strict=True):
        assert said.startswith(f"{tmp_path / 'de'}:{number}:") and rule in said
    with pytest.raises(DataError, match="UTF-8"):
        readers.read(task, "test", "de", found, tmp_path)


def test_short_rows_of_tables_can_be_left_out(tmp_path: Path) -> None:
    task = card(local={"format": "csv", "columns": {"text": "t", "label": "l"}})
    (tmp_path / "de").write_text("t,l\na,yes\nb\nc,no\n")
    found = sources.resolve(task, "test", ["de"], source="local", root=tmp_path)["de"]
    skipped: list[str] = []
    rows = readers.read(task, "test", "de", found, tmp_path, skipped=skipped)
    assert [row["text"] for row in rows] == ["a", "c"] and len(skipped) == 1
