"""Universal Dependencies' CoNLL-U."""

from __future__ import annotations

import pytest

from sweeper.errors import DataError
from sweeper.tasks.card import Card

from .conftest import Reader, card


def word(name: str, form: str, tag: str = "_", head: str = "_", enhanced: str = "_") -> str:
    return "\t".join([name, form, "_", tag, "_", "_", head, "_", enhanced, "_"]) + "\n"


UD = ["NOUN", "VERB", "ADP", "DET", "PRON", "AUX", "CCONJ", "SCONJ", "X"]


def ud_card() -> Card:
    splits = {"test": {"languages": ["de", "he", "it"]}}
    return card("token_classification", labels=UD, local={"format": "conllu"}, splits=splits)


def test_fused_forms_are_one_token(read: Reader) -> None:
    text = (
        "# sent_id = 1\n"
        + word("1", "pane", "NOUN", "0")
        + word("2-3", "del")
        + word("2", "di", "ADP", "4")
        + word("3", "il", "DET", "4")
        + word("4", "for\u200cno", "NOUN", "1")
        + word("4.1", "understood", "VERB", "1")
        + word("5-6", "darlo")
        + word("5", "dar", "VERB", "1")
        + word("6", "lo", "PRON", "5")
        + word("7", "?", "_", "1")
    )
    (row,) = read(ud_card(), text)
    assert row["tokens"] == ["pane", "del", "forno", "darlo", "?"]
    # Words of one height are ranked: an adposition goes before a determiner.
    assert row["tags"] == ["NOUN", "ADP", "NOUN", "VERB", "X"]


def test_spaces_within_a_word_are_deleted(read: Reader) -> None:
    (row,) = read(ud_card(), word("1", "hải quân", "NOUN", "0"))
    assert row["tokens"] == ["hảiquân"]


@pytest.mark.parametrize(
    "language, tags, wanted",
    [
        ("he", ("SCONJ", "CCONJ"), "CCONJ"),
        ("he", ("AUX", "PRON"), "PRON"),
        ("it", ("AUX", "PRON"), "AUX"),  # of the language's own order
        ("it", ("SCONJ", "PRON"), "PRON"),  # which does not have SCONJ
    ],
)
def test_which_of_two_equally_high_words_gives_its_tag(
    read: Reader, language: str, tags: tuple[str, str], wanted: str
) -> None:
    one, other = (word(str(n), "w", tag, "3") for n, tag in enumerate(tags, 1))
    text = word("1-2", "ww") + one + other + word("3", "w", "VERB", "0")
    (row,) = read(ud_card(), text, language=language)
    assert row["tags"] == [wanted, "VERB"]


def test_enhanced_dependencies_count(read: Reader) -> None:
    """The pronoun depends on the last verb, too, and so on all that this one depends on."""
    text = (
        word("1-2", "I'm")
        + word("1", "I", "PRON", "3", "3:nsubj|4:nsubj|4.1:nsubj")
        + word("2", "'m", "AUX", "3", "3:aux")
        + word("3", "told", "VERB", "0", "0:root")
        + word("4", "leave", "VERB", "3", "3:xcomp|5:ref")
        + word("5", "which", "PRON", "4", "4:obj")  # a circle, which may be
    )
    (row,) = read(ud_card(), text)
    assert row["tags"] == ["AUX", "VERB", "VERB", "PRON"]


def test_withheld_sentences_are_left_out(read: Reader) -> None:
    withheld = word("1", "_", "NOUN", "0") + word("2", "_", "NOUN", "1") + "\n"
    kept = word("1", "Brot", "NOUN", "0")
    assert [row["tokens"] for row in read(ud_card(), withheld + kept)] == [["Brot"]]


@pytest.mark.parametrize(
    "text, says",
    [
        ("1\tBrot\tNOUN\n", r"de:1: a word must have 10 columns, this has 3"),
        (word("1", "Brot", "NOUN", "x"), r"de:1: .*must be numbers, they are '1' and 'x'"),
        (word("2", "Brot", "NOUN", "0"), r"de:1: the words .* numbered from 1; 2 follows 0"),
        (word("1-2", "am") + word("1", "an", "ADP", "0"), r"de:1: a fused form ends at word 2"),
        (word("1", "Brot", "NUON", "0"), r"de:1: a label must be one of .* it is 'NUON'"),
    ],
)
def test_bad_conllu(read: Reader, text: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        read(ud_card(), text)
