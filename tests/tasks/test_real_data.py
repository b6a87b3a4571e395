"""The shipped cards on the real files, where these are on the machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sweeper.tasks import encoding, formats, kinds, readers, sources
from sweeper.tasks.card import fill, shipped_cards

CARDS = shipped_cards()
LOCAL = [
    "mnli", "xnli", "udpos", "panx", "tatoeba", "anli_plus", "qqp", "hellaswag", "cosmosqa",
    "commonsenseqa", "copa", "pawsx", "xquad", "mlqa", "tydiqa", "bucc2018", "xcopa", "lareqa",
    "squad_v2",
]  # fmt: skip


def there(data: Path, name: str, split: str) -> list[str]:
    """The languages whose files are there (some had to be left out of the data folder)."""
    source: Any = CARDS[name].source("local")
    codes = CARDS[name].splits[split].languages
    return [
        code
        for code in codes
        if source.patterns(split)
        and all(any(data.glob(fill(p, code))) for p in source.patterns(split))
    ]


@pytest.mark.parametrize("name", LOCAL)
def test_all_files_are_read(data: Path, name: str) -> None:
    card = CARDS[name]
    found_any = False
    for split in card.splits:
        codes = there(data, name, split)
        found_any |= bool(codes)
        limit = 20 if len(codes) > 5 else 300
        for code, found in sources.resolve(card, split, codes, source="local", root=data).items():
            rows = readers.read(card, split, code, found, data, limit)
            # A limit counts pairs of BUCC and questions of LAReQA, each with its other half.
            halves = 2 if card.kind in ("bitext_mining", "answer_retrieval") else 1
            assert 0 < len(rows) <= halves * limit
            assert set(kinds.get(card.kind).fields) <= set(rows[0]) | {"role", "partner"}
    assert found_any


def test_all_tatoeba_files_are_there(data: Path) -> None:
    card = CARDS["tatoeba"]
    assert there(data, "tatoeba", "test") == list(card.splits["test"].languages)
    for code, found in sources.resolve(
        card, "test", card.splits["test"].languages, source="local", root=data
    ).items():
        rows = readers.read(card, "test", code, found, data)
        assert len(rows) == card.splits["test"].rows_in(code)


@pytest.mark.parametrize(
    "name, split, code, rows",
    [
        ("xnli", "dev", "th", 2490),
        ("xnli", "test", "zh", 5010),
        ("mnli", "train", "en", 2344),  # of 392,702: the data folder has a part
        ("udpos", "test", "mr", 47),
        ("udpos", "dev", "en", 1000),
        ("panx", "dev", "yo", 100),
        ("panx", "train", "en", 20000),
        ("anli_plus", "dev", "en", 1000 + 1000 + 1198 + 3815 + 9842),
        ("qqp", "train", "en", 9917),
        ("squad_v2", "dev", "en", 6078),
        ("hellaswag", "train", "en", 4000),
        ("cosmosqa", "dev", "en", 2985),
        ("commonsenseqa", "train", "en", 9741),
        ("copa", "train", "en", 400),
        ("pawsx", "test", "zh", 2000),
        ("xquad", "test", "th", 1190),
        ("xquad", "test_r", "ro", 1190),
        ("mlqa", "dev", "en", 1148),
        ("tydiqa", "train", "en", 3696),
        ("tydiqa", "test", "te", 669),
        ("bucc2018", "dev", "zh", 8624 + 13589),
        ("xcopa", "test", "qu", 500),
        ("lareqa", "test", "th", 1190 + 852),
        ("udpos", "test_r", "lt", 55),
        ("panx", "dev_r", "qu", 100),
        ("tatoeba", "test_r", "az", 1000),
    ],
)
def test_row_counts(data: Path, name: str, split: str, code: str, rows: int) -> None:
    found = sources.resolve(CARDS[name], split, [code], source="local", root=data)[code]
    assert len(readers.read(CARDS[name], split, code, found, data)) == rows


@pytest.mark.parametrize(
    "code, treebank, sentences, alike",
    [
        ("it", "UD_Italian-ISDT", 400, 393),
        ("he", "UD_Hebrew-HTB", 387, 325),
        ("vi", "UD_Vietnamese-VTB", 17, 1),  # most others were cut into words anew
    ],
)
def test_treebanks_are_read_as_xtreme_reads_them(
    data: Path, code: str, treebank: str, sentences: int, alike: int
) -> None:
    """How many have the same words and tags as XTREME's own, of an older version of UD."""
    (path,) = data.glob(f"ud_conllu/{treebank}/*-test.conllu")
    member: Any = CARDS["udpos"].source("local")
    read = {"conllu": path, "conll": data / f"udpos/test-{code}.tsv"}
    ours, theirs = (
        {
            tuple(record.values["tokens"]): record.values["tags"]
            for record in formats.PARSERS[name]([file], member.parts["xtreme"], code)
        }
        for name, file in read.items()
    )
    same = ours.keys() & theirs.keys()
    assert len(same) == sentences
    assert sum(ours[words] == theirs[words] for words in same) == alike


@pytest.mark.parametrize(
    "name, split, code",
    [
        ("xnli", "dev", "ar"),
        ("udpos", "test", "th"),
        ("panx", "dev", "ja"),
        ("tatoeba", "test", "ka"),
    ],
)
def test_perfect_outputs_score_a_hundred(
    data: Path, small_xlm_r: Any, tmp_path: Path, name: str, split: str, code: str
) -> None:
    card = CARDS[name]
    found = sources.resolve(card, split, [code], source="local", root=data)[code]
    rows = readers.read(card, split, code, found, data, 500)
    encoding.prepare_unit(card, split, code, rows, small_xlm_r, 64, tmp_path)
    features, examples = encoding.open_unit(tmp_path)
    outputs: list[Any]
    if card.kind == "classification":
        outputs = features["label"].to_pylist()
    elif card.kind == "token_classification":
        outputs = [[m for m in marks if m >= 0] for marks in features["labels"].to_pylist()]
    else:
        place = {name: number for number, name in enumerate(examples["foreign"].to_pylist())}
        right = [place[gold] for gold in examples["gold"].to_pylist()]
        outputs = [value for number in right for value in (0, number)]
        # The order of the queries gives nothing away.
        assert sum(number == at for at, number in enumerate(right)) < 0.05 * len(right)
    kind = kinds.get(card.kind)
    got = kind.evaluate(card, examples, features, outputs)
    assert all(got.correct)
    if name != "udpos":  # whose F1 is lower even for perfect tags, since X is no span
        assert got.metrics[kind.metric] == 100.0


# ---- questions --------------------------------------------------------------------------------


def encoded(
    data: Path, tokenizer: Any, folder: Path, name: str, split: str, code: str, limit: int
) -> Any:
    card = CARDS[name]
    found = sources.resolve(card, split, [code], source="local", root=data)[code]
    rows = readers.read(card, split, code, found, data, limit)
    encoding.prepare_unit(card, split, code, rows, tokenizer, 384, folder)
    return encoding.open_unit(folder)


@pytest.mark.parametrize(
    "name, split, code",
    [("xquad", "test", code) for code in CARDS["xquad"].splits["test"].languages]
    + [("mlqa", "dev", code) for code in ("ar", "de", "vi", "zh")]
    + [("tydiqa", "test", code) for code in ("bn", "ko", "te")]
    + [("squad_v2", "dev", "en")],
)
def test_right_positions_give_right_answers(
    data: Path, small_xlm_r: Any, tmp_path: Path, name: str, split: str, code: str
) -> None:
    features, examples = encoded(data, small_xlm_r, tmp_path, name, split, code, 60)
    rows = features.to_pylist()
    outputs = [([row["start"]], [1.0], [row["end"]], [1.0], 0.0 if row["start"] else 9.0)
               for row in rows]  # fmt: skip
    kind = kinds.get("span_extraction")
    got = kind.evaluate(CARDS[name], examples, features, outputs)
    gold = examples["gold"].to_pylist()
    assert got.metrics["f1"] > 90.0
    for right, given in zip(gold, got.predicted, strict=True):
        assert right in given or not given


def test_training_answers_stand_in_their_window(
    data: Path, small_xlm_r: Any, tmp_path: Path
) -> None:
    features, examples = encoded(data, small_xlm_r, tmp_path, "tydiqa", "train", "en", 300)
    rows = features.to_pylist()
    assert {row["example"] for row in rows if row["start"]} == set(range(300))
    for row in rows[:100]:
        assert len(row["input_ids"]) <= 384
        if row["start"]:
            said = small_xlm_r.decode(row["input_ids"][row["start"] : row["end"] + 1])
            gold = examples["gold"][row["example"]].as_py()
            assert "".join(gold.split())[:3].lower() in "".join(said.split()).lower()


def test_sample_of_squad_without_xquad(data: Path) -> None:
    """The split leaves out the 78 paragraphs of XQuAD that half of SQuAD's dev set has."""
    whole = CARDS["squad_v2"]
    told = whole.model_dump(mode="json")
    told["splits"]["dev"]["without"] = "xquad"
    left = type(whole).model_validate_json(json.dumps(told))
    found = sources.resolve(whole, "dev", ["en"], source="local", root=data)["en"]
    every, kept = (readers.read(card, "dev", "en", found, data) for card in (whole, left))
    assert len({row["context"] for row in every}) - len({row["context"] for row in kept}) == 78


@pytest.mark.parametrize("code", ["en", "hi", "th", "zh"])
def test_answers_begin_in_their_sentence(data: Path, code: str) -> None:
    card = CARDS["lareqa"]
    found = sources.resolve(card, "test", [code], source="local", root=data)[code]
    rows = readers.read(card, "test", code, found, data)
    right = {key: row["text"] for row in rows if row["role"] == "candidate" for key in row["keys"]}
    told = json.loads((data / f"lareqa/xquad-r/{code}.json").read_text("utf-8"))
    paragraphs = [one for article in told["data"] for one in article["paragraphs"]]
    for paragraph in paragraphs:
        for question in paragraph["qas"]:
            begin = question["answers"][0]["answer_start"]
            sentence = right[question["id"]]
            # The sentence may stand in the text twice; one of them has the answer's first letter.
            places = [
                at for at in range(begin + 1) if paragraph["context"].startswith(sentence, at)
            ]
            assert any(at <= begin < at + len(sentence) for at in places)


def test_bucc_is_encoded(data: Path, small_xlm_r: Any, tmp_path: Path) -> None:
    features, examples = encoded(data, small_xlm_r, tmp_path, "bucc2018", "dev", "zh", 2000)
    assert features.num_rows == examples.num_rows <= 2 * 2000
    assert set(features["side"].to_pylist()) == {0, 1}
