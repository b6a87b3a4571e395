"""The demo's world: the same everywhere, nothing leaks, and distances mean what they say."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeper.errors import DataError
from sweeper.tasks import synthetic
from sweeper.tasks.invented import LANGUAGES, lexicon
from sweeper.tasks.synthetic import rows

TARGET = {"train": LANGUAGES[:1], "dev": LANGUAGES[:1], "test": LANGUAGES}
INTERMEDIATE = {"train": LANGUAGES[:1], "dev": LANGUAGES[:1]}
WORLD = {
    "demo_text": {"train": LANGUAGES},
    "supersense": INTERMEDIATE,
    "surface": INTERMEDIATE,
    "tagging": TARGET,
    "topic": TARGET,
    "demo_retrieval": {"test": LANGUAGES[1:]},
}
SIZES = {
    ("demo_text", "train"): 6000,
    ("supersense", "train"): 2000,
    ("supersense", "dev"): 300,
    ("surface", "train"): 2000,
    ("surface", "dev"): 300,
    ("tagging", "train"): 400,
    ("tagging", "dev"): 200,
    ("tagging", "test"): 200,
    ("topic", "train"): 600,
    ("topic", "dev"): 200,
    ("topic", "test"): 200,
    ("demo_retrieval", "test"): 300,
}
EVERY = [
    (g, s, code) for g, splits in WORLD.items() for s, codes in splits.items() for code in codes
]
PARTICLES = [f"particle.{i}" for i in range(6)]


def words(row: dict) -> tuple[str, ...]:
    return tuple(row["tokens"] if "tokens" in row else row["text"].split())


def checksum() -> str:
    """Of every row of every split in every language."""
    total = hashlib.sha256()
    for place in EVERY:
        total.update(json.dumps([place, rows(*place)]).encode())
    return total.hexdigest()


def test_rows_are_those_of_the_generator_version():
    # This fails when any row changes: raise GENERATOR_VERSION, then write the new checksum.
    assert (synthetic.GENERATOR_VERSION, checksum()) == (
        1,
        "33a92a709128e031150c0cf5c38e00d0614ab239ff9a4ec7902a92db26b9dd8e",
    )


def test_another_process_makes_the_same_rows():
    code = (
        "import json; from sweeper.tasks.synthetic import rows;"
        "print(json.dumps(rows('tagging', 'test', 'qae')))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "77"}
    said = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert json.loads(said.stdout) == rows("tagging", "test", "qae")


@pytest.mark.parametrize(("generator", "split", "code"), EVERY)
def test_rows_have_their_fields(generator, split, code):
    fields = {
        "demo_text": {"id", "text"},
        "supersense": {"id", "tokens", "tags"},
        "tagging": {"id", "tokens", "tags"},
        "surface": {"id", "text", "label"},
        "topic": {"id", "text", "label"},
        "demo_retrieval": {"id", "text", "pair"},
    }
    labels = {
        "supersense": synthetic.SUPERSENSE_LABELS,
        "tagging": synthetic.TAGGING_LABELS,
        "surface": synthetic.SURFACE_LABELS,
        "topic": synthetic.TOPIC_LABELS,
    }
    found = rows(generator, split, code)
    assert len(found) == SIZES[generator, split] == len({row["id"] for row in found})
    assert all(set(row) == fields[generator] for row in found)
    assert len({words(row) for row in found}) == len(found)
    if generator in labels:
        used = {tag for row in found for tag in row.get("tags", [row.get("label")])}
        assert used == set(labels[generator])


@pytest.mark.parametrize("task", ["supersense", "tagging"])
def test_every_token_has_a_tag(task):
    assert all(len(row["tokens"]) == len(row["tags"]) for row in rows(task, "train", "qaa"))


def test_no_two_splits_share_a_sentence():
    meaningless = {lexicon("qaa")[particle] for particle in PARTICLES}
    said = {}
    for generator, split, code in EVERY:
        key = "pair" if generator == "demo_retrieval" else None
        if code not in ("qaa", "qab") or (code == "qab" and key is None):
            continue
        texts = [row[key].split() if key else words(row) for row in rows(generator, split, code)]
        # without particles: nor do they share what is said
        said[generator, split] = {tuple(w for w in t if w not in meaningless) for t in texts}
    assert len(said) == len(SIZES)
    assert not [pair for pair in combinations(said, 2) if said[pair[0]] & said[pair[1]]]


def test_the_label_sets_of_supersense_and_tagging_share_only_o():
    assert set(synthetic.SUPERSENSE_LABELS) & set(synthetic.TAGGING_LABELS) == {"O"}


def test_tagging_is_coarser_than_supersense():
    fine, coarse = (
        {
            word: tag
            for row in rows(task, "train", "qaa")
            for word, tag in zip(row["tokens"], row["tags"], strict=True)
        }
        for task in ("supersense", "tagging")
    )
    partition = {(fine[word], coarse[word]) for word in fine.keys() & coarse.keys()}
    assert len(partition) == len(synthetic.SUPERSENSE_LABELS)  # no fine class is split


@pytest.mark.parametrize("code", LANGUAGES)
def test_a_lexicon_is_one_to_one(code):
    assert len(set(lexicon(code).values())) == len(lexicon(code)) == 236


def test_a_farther_language_keeps_fewer_words():
    source = lexicon("qaa")
    kept = [sum(lexicon(code)[c] == source[c] for c in source) for code in LANGUAGES]
    assert all(near > far for near, far in pairwise(kept))


@pytest.mark.parametrize("code", LANGUAGES[1:])
def test_every_language_spells_the_particles_its_own_way(code):
    assert not {lexicon(code)[p] for p in PARTICLES} & {lexicon("qaa")[p] for p in PARTICLES}


def test_surface_is_about_the_number_of_words_and_balanced():
    found = rows("surface", "train", "qaa")
    assert all(row["label"] == ("even", "odd")[len(words(row)) % 2] for row in found)
    assert max(Counter(row["label"] for row in found).values()) < 0.55 * len(found)


def test_tests_are_parallel():
    tests = {code: rows("topic", "test", code) for code in LANGUAGES}
    assert len({tuple((row["id"], row["label"]) for row in test) for test in tests.values()}) == 1
    tagged = [rows("tagging", "test", code) for code in LANGUAGES]
    for same in zip(*tagged, strict=True):
        assert len({tuple(sorted(t for t in row["tags"] if t != "O")) for row in same}) == 1


def test_pairs_are_the_source_and_the_same_for_every_language():
    pairs = [
        [row["pair"] for row in rows("demo_retrieval", "test", code)] for code in LANGUAGES[1:]
    ]
    assert all(pair == pairs[0] for pair in pairs)
    assert len(set(pairs[0])) == 300
    assert set(" ".join(pairs[0]).split()) <= set(lexicon("qaa").values())


@pytest.mark.parametrize("code", LANGUAGES)
def test_only_the_farthest_language_puts_the_verb_last(code):
    spelled = {word: concept for concept, word in lexicon(code).items()}
    topics = set(synthetic.TOPIC_LABELS)
    last = 0
    for row in rows("topic", "test", code):
        content = [spelled[w] for w in words(row) if spelled[w] not in PARTICLES]
        last += content[-1].split(".")[0] in topics
    assert last == (200 if code == "qae" else 0)


def test_text_is_not_parallel():
    first = {code: rows("demo_text", "train", code)[0]["text"] for code in LANGUAGES}
    assert len(set(first.values())) == len(LANGUAGES)


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(DataError, match=r"no synthetic generator 'taging'.*mean 'tagging'"):
        rows("taging", "test", "qaa")
    with pytest.raises(DataError, match=r"'surface' has no split 'test'\. .*Known: dev, train"):
        rows("surface", "test", "qaa")
    with pytest.raises(DataError, match=r"no train split in 'qab'\..*Known: qaa"):
        rows("tagging", "train", "qab")


@given(st.text(), st.text(), st.text())
def test_any_other_name_is_a_data_error(generator, split, code):
    if (generator, split, code) not in EVERY:
        with pytest.raises(DataError):
            rows(generator, split, code)


@given(
    st.sampled_from(sorted(WORLD)),
    st.sampled_from(["train", "dev", "test"]),
    st.sampled_from(LANGUAGES),
)
def test_what_is_not_on_the_table_is_a_data_error(generator, split, code):
    if (generator, split, code) not in EVERY:
        with pytest.raises(DataError):
            rows(generator, split, code)
