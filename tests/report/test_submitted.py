"""Scoring folders of predictions in XTREME's layout, whoever made them."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import pytest

from report.submission_world import TARGETS, printed
from sweeper.errors import DataError
from sweeper.report.layout import MANIFEST, raw_labels
from sweeper.report.scores import csv_of
from sweeper.report.submitted import FolderScores, score_folder
from sweeper.tasks.card import shipped_cards
from sweeper.tasks.metrics.aggregate import XTREME

CARDS = shipped_cards()


def score(folder: Path, data: Path) -> FolderScores:
    return score_folder(folder, CARDS, data)


def test_xtremes_own_driver_writes_retrieval_in_brackets(copy: Path, data: Path) -> None:
    file = copy / "tatoeba" / "test-de.tsv"
    before = score(copy, data).rows()
    file.write_text("".join(f"[{line}]\n" for line in file.read_text().split()))
    assert score(copy, data).rows() == before


def test_retrieval_is_in_the_order_of_the_english_text(tmp_path: Path) -> None:
    root, folder = tmp_path / "data" / "tatoeba" / "v1", tmp_path / "out" / "tatoeba"
    root.mkdir(parents=True)
    folder.mkdir(parents=True)
    (root / "tatoeba.deu-eng.deu").write_text("Birne\nKirsche\nApfel\n")
    (root / "tatoeba.deu-eng.eng").write_text("pear\ncherry\napple\n")
    for lines, right in (("2\n1\n0\n", 3), ("0\n1\n2\n", 1), ("2\n0\n1\n", 1)):
        (folder / "test-de.tsv").write_text(lines)  # of apple, cherry, pear
        (one,) = score(tmp_path / "out", tmp_path / "data").files
        assert one.metrics["accuracy"] == pytest.approx(100 * right / 3)


def test_choices_are_read_as_the_data_have_them(copy: Path, data: Path) -> None:
    """evaluate.py reads XCOPA's data and its predictions by one function."""
    shutil.copy(data / "xcopa/data/et/test.et.jsonl", copy / "xcopa" / "test-et.jsonl")
    (one,) = (f for f in score(copy, data).files if f.task == "xcopa")
    assert one.metrics == {"accuracy": 100.0} and one.n == 10


def test_a_question_without_an_answer_scores_0(copy: Path, data: Path) -> None:
    file = copy / "tydiqa" / "test-fi.json"
    file.write_text(json.dumps({"q0": "", "unknown": "x"}))
    (one,) = (f for f in score(copy, data).files if f.task == "tydiqa")
    assert one.metrics["exact_match"] == 0.0 and one.n == 9
    assert one.notes == (
        "8 of 9 questions have no answer, and score 0",
        "answers to no question of the data, which do not count: 1",
    )


def test_pairs_of_unknown_ids_count_as_wrong_and_are_told(copy: Path, data: Path) -> None:
    file = copy / "bucc2018" / "test-de.tsv"
    file.write_text("de-000\ten-029\nde-000\ten-1\nx\ten-029\n")
    (one,) = (f for f in score(copy, data).files if (f.task, f.split) == ("bucc2018", "test"))
    assert one.metrics["precision"] == pytest.approx(100 / 3)
    assert one.notes == (
        "2 of 3 pairs have an id that the data lack (the first: de-000 en-1), and count as wrong",
    )
    file.write_text("")
    (one,) = (f for f in score(copy, data).files if (f.task, f.split) == ("bucc2018", "test"))
    assert one.metrics["f1"] == 0.0 and one.notes == ("no pair at all",)


def test_what_is_told_of_a_file_is_printed_and_written(copy: Path, data: Path) -> None:
    (copy / "xquad" / "test-de.json").write_text('{"q1": "x"}')
    scored = score(copy, data)
    note = "8 of 9 questions have no answer, and score 0"
    assert f"- xquad/test/de: {note}.\n" in printed(scored)
    written = {
        (row["task"], row["language"]): row["notes"]
        for row in csv.DictReader(csv_of(scored).decode().splitlines())
    }
    assert written["xquad", "de"] == note and not written["xquad", "zh"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("xnli/test-de.tsv", "neutral\n", "as many lines as the data, 11; it has 1"),
        ("xnli/test-de.tsv", "neutrl\n" + "neutral\n" * 10, "test-de.tsv:1: .*mean 'neutral'"),
        ("panx/test-de.tsv", "O\n\n" * 7, "panx/test-de.tsv:1: a sentence must have a tag per"),
        ("panx/test-de.tsv", "O\n", "as many sentences as the data, 7; it has 1"),
        ("tatoeba/test-de.tsv", "99\n" * 13, "from 0 to 12; it is '99'"),
        ("xnli/test-de.tsv", "neutral\tx\n" * 11, "test-de.tsv:1: .*alone; it has 2 columns"),
        ("udpos/test-fi.tsv", "ja\tCCONJ\n", "test-fi.tsv:1: .* a tag of udpos alone; it has 2"),
        ("udpos/test-fi.tsv", "X\nFOO\n", "test-fi.tsv:2: .* a tag of udpos, it is 'FOO'"),
        ("bucc2018/test-de.tsv", "de-001 en-001\n", "test-de.tsv:1: .*a tab between them"),
        ("bucc2018/test-de.tsv", "de-001\ten-001\t1.1\n", "test-de.tsv:1: .*nothing else"),
        ("bucc2018/test-de.tsv", "en-001\tde-001\n", "none of the 1 does, .* foreign one first"),
        ("xquad/test-de.json", "{", "xquad/test-de.json:1: the file must be a JSON object"),
        ("xquad/test-de.json", "[]", "it is a list"),
        ("xquad/test-de.json", "{}", "answers by question id; it has none"),
        ("xquad/test-de.json", '{"no": "x"}', "none of the 1 ids is one of xquad's"),
        ("xquad/test-de.json", '{"q1": 3}', "that of 'q1' is none"),
        ("xquad/german.json", "{}", "is named <split>-<language>.json, such as test-de.json"),
        ("xcopa/test-et.jsonl", '{"label": 0}\n1\n' + "{}\n" * 8, "jsonl:2: .*NUMBER.*it is '1'"),
        ("xcopa/test-et.jsonl", '{"label": "0"}\n' * 10, 'jsonl:1: .* one of 0, 1, it is "0"'),
        ("xcopa/test-et.jsonl", '{"label": 2}\n' * 10, "jsonl:1: .* one of 0, 1, it is 2"),
        ("xcopa/test-de.tsv", "0\n" * 10, "xcopa is named <split>-<language>.jsonl"),
        ("xnli/test-de.json", "{}", "xnli is named <split>-<language>.tsv"),
        ("xquad/test-fi.json", "{}", "xquad has no test/fi"),
        ("xnil/test-de.tsv", "", "'xnil' is none. Did you mean 'xnli'"),
        ("mnli/dev-de.tsv", "", "mnli has no dev/de"),
        ("mnli/train.txt", "", "is named <split>-<language>.tsv"),
        ("xnli-test-de.tsv", "", "lies in a folder named after its task"),
        (
            "text_lines/test-de.tsv",
            "",
            "text_lines: the layout has no files for tasks of the kind",
        ),
    ],
)
def test_what_does_not_fit_is_named_and_the_others_are_scored(
    copy: Path, data: Path, name: str, content: str, said: str
) -> None:
    whole = score(copy, data)
    assert not whole.left_out
    (copy / name).parent.mkdir(exist_ok=True)
    (copy / name).write_text(content)
    found = score(copy, data)
    (left,) = found.left_out
    assert left.files in [(name,), (name.split("/")[0],)]
    assert re.search(said, left.reason)
    assert found.files == [one for one in whole.files if one.file != name]


def test_data_that_are_not_there_are_told_once_per_task(
    copy: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", no_network)
    shutil.copytree(data / "xnli", tmp_path / "some" / "xnli")
    (tmp_path / "some" / "xnli" / "test-de.tsv").unlink()
    found = score(copy, tmp_path / "some")
    assert [(one.task, one.language) for one in found.files] == [("xnli", "en")]
    told = {left.files[0].split("/")[0]: left for left in found.left_out}
    assert len(told) == len(found.left_out) == len(TARGETS)
    assert "needs a file for its split 'test' in the language 'de'" in told["xnli"].reason
    assert told["mewslix"].files == tuple(
        f"mewslix/{split}-{code}.json" for split in ("dev", "test") for code in ("de", "uk")
    )
    assert "cannot be looked up" in told["pawsx"].reason and len(told["pawsx"].files) == 2
    hub = {left.files[0]: left.reason for left in score_folder(copy, CARDS, None).left_out}
    assert hub["bucc2018/dev-de.tsv"].startswith("The task 'bucc2018' is read from files")
    said = printed(found)
    assert "- not scored: pawsx/test-de.tsv, pawsx/test-fr.tsv: The split 'test' of" in said
    assert said.count("not scored") == len(TARGETS)


def no_network(*_: object, **__: object) -> None:
    raise OSError("no route")


def test_a_broken_manifest_stops(copy: Path, data: Path) -> None:
    (copy / MANIFEST).write_text("{}")
    with pytest.raises(DataError, match="not as `sweeper export predictions` writes it"):
        score(copy, data)


def test_a_mark_at_the_beginning_of_a_file_is_no_part_of_it(copy: Path, data: Path) -> None:
    whole = score(copy, data).rows()
    for path in [*copy.rglob("*/*.tsv"), *copy.rglob("*/*.json")]:
        path.write_text(path.read_text(), encoding="utf-8-sig")
    assert score(copy, data).rows() == whole


def test_folders_without_predictions(tmp_path: Path, data: Path) -> None:
    with pytest.raises(DataError, match="has no predictions"):
        score(tmp_path, data)
    with pytest.raises(DataError, match="no folder of predictions"):
        score(tmp_path / "no", data)


def test_labels_go_back_to_what_the_files_have() -> None:
    assert raw_labels(CARDS["pawsx"]) == {"different": "0", "paraphrase": "1"}
    assert raw_labels(CARDS["xnli"]) == {}


def test_averages_need_every_language(exported: Path, data: Path) -> None:
    found = score_folder(exported, CARDS, data).averages(XTREME)
    assert found.values == {} and found.lacking["tydiqa"][0] == "en"
