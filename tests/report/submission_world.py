"""A store of XTREME's targets on small made files, with real metrics of made-up outputs."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from analysis.world import Score, World
from rich.console import Console

from sweeper.graph import Job
from sweeper.inputs import Inputs
from sweeper.report.scores import print_scores
from sweeper.report.submitted import FolderScores
from sweeper.study import Study
from sweeper.tasks import encoding, kinds, readers, tokenizers
from sweeper.tasks.card import shipped_cards
from sweeper.tasks.kinds.base import Evaluation, Unit

TEXT = "the cat a dog an owl saw heard of from, river. tree (house) 12 1999 der die das Baum"
WORDS = TEXT.split()
NLI = ["entailment", "neutral", "contradiction"]
ENTITIES = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-ORG"]
PARTS = ["NOUN", "VERB", "DET", "PUNCT", "X", "CCONJ", "SCONJ"]

TARGETS: dict[str, Any] = {
    "xnli": {"languages": ["en", "de"]},
    "pawsx": {"languages": ["de", "fr"]},
    "panx": {"languages": ["de"]},
    "udpos": {"languages": ["fi", "th"]},
    "xquad": {"languages": ["de", "zh"]},
    "mlqa": {"languages": ["de", "zh"]},
    "tydiqa": {"languages": ["fi"]},
    "bucc2018": {"languages": ["de"], "splits": ["dev", "test"]},
    "tatoeba": {"languages": ["de", "fi"]},
    "xcopa": {"languages": ["et"]},
    "lareqa": {"languages": ["de", "zh"]},
    "mewsli_x": {"languages": ["de", "uk"], "splits": ["dev", "test"]},
}


def study(root: Path, **changes: Any) -> Study:
    said = {
        "name": "made",
        "base": {
            "scratch": {
                "text": "demo_text", "vocabulary": 200, "layers": 1, "hidden": 8, "heads": 1,
                "feed_forward": 8,
            }
        },
        "data": str(root),
        "intermediates": {"mnli": None},
        "targets": TARGETS,
        "seeds": [0, 1],
        "training": {"max_length": 48},
    }  # fmt: skip
    return Study.model_validate({**said, **changes})


def write_data(root: Path) -> None:
    """The files of `TARGETS`, of their training tasks and selection splits."""
    chance = random.Random(0)

    def text(least: int = 4) -> str:
        return " ".join(chance.choices(WORDS, k=chance.randint(least, 9)))

    def put(name: str, content: str) -> None:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")

    def pairs(name: str, labels: list[str], count: int = 11) -> None:
        rows = ((text(), text(), chance.choice(labels)) for _ in range(count))
        put(name, "".join("\t".join(row) + "\n" for row in rows))

    def tagged(name: str, tags: list[str], count: int = 7) -> None:
        sentences = ("".join(f"{word}\t{chance.choice(tags)}\n" for word in text().split())
                     for _ in range(count))  # fmt: skip
        put(name, "\n".join(sentences))

    def questions(name: str, count: int = 9) -> None:
        asked = []
        for number in range(count):
            context = " ".join(text() for _ in range(8))
            words = context.split(" ")
            first = chance.randrange(len(words) - 3)
            start = len(" ".join([*words[:first], ""]))
            answer = " ".join(words[first : first + chance.randint(1, 3)])
            said = {"id": f"q{number}", "question": text(),
                    "answers": [{"text": answer, "answer_start": start}]}  # fmt: skip
            asked.append({"context": context, "qas": [said]})
        put(name, json.dumps({"data": [{"paragraphs": asked}]}))

    nli = {"sentence1": "a", "sentence2": "b", "gold_label": "neutral"}
    put("mnli/multinli_1.0/multinli_1.0_train.jsonl", json.dumps(nli) + "\n")
    for name in ("dev-en", "test-en", "test-de"):
        pairs(f"xnli/{name}.tsv", NLI)
    for name in ("train-en", "dev-en", "test-de", "test-fr"):
        pairs(f"pawsx/{name}.tsv", ["0", "1"])
    for name in ("train-en", "dev-en", "test-de"):
        tagged(f"panx/{name}.tsv", ENTITIES)
    for name in ("train-en", "dev-en", "test-fi", "test-th"):
        tagged(f"udpos/{name}.tsv", PARTS)
    for name in (
        "squad/v1.1/train-v1.1", "squad/v1.1/dev-v1.1", "xquad/xquad.de", "xquad/xquad.zh",
        "mlqa/MLQA_V1/dev/dev-context-en-question-en",
        "mlqa/MLQA_V1/test/test-context-de-question-de",
        "mlqa/MLQA_V1/test/test-context-zh-question-zh",
        "tydiqa/tydiqa-goldp-v1.1-train/tydiqa.goldp.en.train",
        "tydiqa/tydiqa-goldp-v1.1-dev/tydiqa.goldp.fi.dev",
    ):  # fmt: skip
        questions(f"{name}.json")
    for split in ("dev", "test"):
        for code in ("de", "en"):
            rows = [f"{code}-{n:03}\t{split} {n} {text()}\n" for n in range(30)]
            rows += [f"{code}-{90 + n:03}\tsaid twice\n" for n in range(2)]
            put(f"bucc2018/de-en.{split}.{code}", "".join(rows))
        gold = "".join(f"de-{n:03}\ten-{29 - n:03}\n" for n in range(0, 30, 3))
        put(f"bucc2018/de-en.{split}.gold", gold + "de-090\ten-091\n")
    for iso in ("deu", "fin"):
        for side in (iso, "eng"):
            put(f"tatoeba/v1/tatoeba.{iso}-eng.{side}",
                "".join(f"{text()} {n}\n" for n in range(13)))  # fmt: skip
    for name in ("copa_en/train.en", "copa_en/val.en", "data/et/test.et"):
        rows = [{"idx": n, "premise": text(), "choice1": text(), "choice2": text(),
                 "question": chance.choice(["cause", "effect"]), "label": chance.randint(0, 1)}
                for n in range(10)]  # fmt: skip
        put(f"xcopa/{name}.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    for code in shipped_cards()["lareqa"].splits["test"].languages:
        put(f"lareqa/xquad-r/{code}.json", json.dumps({"data": xquad_r(text)}))
    entities(put, text)
    for split in ("dev", "test"):
        mentions(put, split, text)


def xquad_r(text: Callable[[], str]) -> list[dict[str, Any]]:
    """Two paragraphs of three sentences, with a question about each sentence but the last."""
    made = []
    for paragraph in range(2):
        sentences = [f"{text()}." for _ in range(3)]
        breaks, begin = [], 0
        for sentence in sentences:  # without space between them, as in Chinese
            breaks.append([begin, begin + len(sentence)])
            begin += len(sentence)
        qas = [
            {"id": f"q{paragraph}{n}", "question": text(),
             "answers": [{"text": sentences[n][:3], "answer_start": breaks[n][0]}]}
            for n in range(2)
        ]  # fmt: skip
        made.append({
            "context": "".join(sentences), "sentences": sentences, "sentence_breaks": breaks,
            "qas": qas,
        })  # fmt: skip
    return [{"paragraphs": made}]


def entities(put: Callable[[str, str], None], text: Callable[[], str]) -> None:
    """Mewsli-X's candidates: one entity in each language, and 20 more in German."""
    codes = [*shipped_cards()["mewsli_x"].splits["candidates"].languages, *["de"] * 20]
    rows = [
        {"entity_id": f"Q{n}", "title": text(), "description": text(),
         "description_language": code, "description_url": "", "sentence_spans": []}
        for n, code in enumerate(codes)
    ]  # fmt: skip
    put("mewsli_x/candidate_set_entities.jsonl", "".join(json.dumps(r) + "\n" for r in rows))


def mentions(put: Callable[[str, str], None], split: str, text: Callable[[], str]) -> None:
    """Mewsli-X's articles: one in each language, of which every second word is a mention."""
    rows = []
    for code in shipped_cards()["mewsli_x"].splits[split].languages:
        words, found, begin = text().split(), [], 0
        for number, word in enumerate(words):
            if number % 2 == 0:
                span = {"start": begin, "end": begin + len(word), "text": word}
                found.append({"example_id": f"{split}-{code}-{number}", "mention_span": span,
                              "entity_id": f"Q{number * 7}"})  # fmt: skip
            begin += len(word) + 1
        context = {"document_title": "", "document_url": "", "document_id": f"{split}{code}",
                   "language": code, "text": " ".join(words),
                   "sentence_spans": [{"start": 0, "end": begin - 1}]}  # fmt: skip
        rows.append({"context": context, "mentions": found})
    put(f"mewsli_x/wikinews_mentions-{split}.jsonl", "".join(json.dumps(r) + "\n" for r in rows))


class Predicted(World):
    """A world whose scores are those that the kinds give to drawn outputs."""

    def __init__(self, root: Path, of: Study, prepared: Path) -> None:
        super().__init__(root, of)
        self.prepared = prepared
        tokenizers.train(iter(WORDS * 20), 200, prepared / "tokenizer")
        self.tokenizer = tokenizers.load(prepared / "tokenizer")
        self._made: dict[str, dict[str, tuple[Any, Evaluation]]] = {}

    def evaluated(self, job: Job) -> dict[str, tuple[Any, Evaluation]]:
        """Unit -> the prepared examples, and what the kind says of drawn outputs."""
        if job.key not in self._made:
            card = self.plan.cards[job.target]
            chance = random.Random(job.key)
            places = {**job.declared["units"], **job.declared["companions"]}
            units = {name: self._unit(job.target, *place) for name, place in places.items()}
            _predict(card, units, chance)
            scored = kinds.get(card.kind).evaluate_units(card, units)
            self._made[job.key] = {n: (unit.examples, scored[n]) for n, unit in units.items()}
        return self._made[job.key]

    def _unit(self, task: str, split: str, code: str) -> Unit:
        card = self.plan.cards[task]
        folder = self.prepared / task / split / code
        if not folder.is_dir():
            found = self.progress.addressing.resolved.sources[f"{task}/{split}/{code}"]
            root = Path(str(self.study.data))
            limit = self._limit(task, split)
            skipped: list[str] | None = [] if self.study.keep_going else None
            rows = readers.read(card, split, code, found, root, limit, skipped)
            encoding.prepare_unit(card, split, code, rows, self.tokenizer, 48, folder)
        features, examples = encoding.open_unit(folder)
        return Unit(split, code, examples, features, [])

    def _limit(self, task: str, split: str) -> int | None:
        """The limit that the job has which prepares a split."""
        asked = Inputs(self.progress.addressing)
        found = {
            asked.of(job.key, {})["limit"]
            for job in self.plan.jobs.values()
            if (job.declared.get("task"), job.declared.get("split")) == (task, split)
        }
        (limit,) = found
        return limit

    def _scores(self, job: Job, name: str, unit: str, score: Score) -> list[dict[str, Any]]:
        split, language = job.declared["units"][name]
        examples, found = self.evaluated(job)[name]
        main = Inputs(self.progress.addressing).of(job.key, {name: unit})["columns"]["main"]
        place = {
            "intermediate": job.intermediate, "target": job.target, "seed": job.seed,
            "unit": unit, "split": split, "language": language, "n": examples.num_rows,
            "checkpoint": f"attempts/{job.key}",
        }  # fmt: skip
        return [
            {**place, "metric": metric, "value": value, "main": metric == main}
            for metric, value in found.metrics.items()
        ]

    def _examples(self, job: Job, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        kept = ("intermediate", "target", "seed", "unit", "split", "language")
        made = []
        for row in (row for row in rows if row["main"]):
            examples, found = self.evaluated(job)[f"{row['split']}/{row['language']}"]
            ids, gold = examples["id"].to_pylist(), examples["gold"].to_pylist()
            ranking = found.ranking or [None] * len(ids)
            columns = zip(
                ids, gold, found.predicted, found.correct, found.score, ranking, strict=True
            )
            names = ("id", "gold", "predicted", "correct", "score", "ranking")
            place = {name: row[name] for name in kept}
            made += [{**place, **dict(zip(names, one, strict=True))} for one in columns
                     if one[3] is not None]  # fmt: skip
        return made


def _predict(card: Any, units: dict[str, Unit], chance: random.Random) -> None:
    """Drawn outputs for every unit."""
    sides = [side for u in units.values() if "side" in u.features.column_names
             for side in u.features["side"].to_pylist()]  # fmt: skip
    for name, unit in units.items():
        drawn = _outputs(card, unit.features.to_pylist(), chance, sum(sides))
        units[name] = unit._replace(outputs=drawn)


def _outputs(card: Any, rows: list[dict[str, Any]], chance: random.Random, pool: int) -> list[Any]:
    labels = range(len(card.labels))
    if card.kind == "classification":
        return [chance.choice(labels) for _ in rows]
    if card.kind == "multiple_choice":
        return [chance.random() for _ in rows]
    if card.kind == "token_classification":
        return [[chance.choice(labels) for tag in row["labels"] if tag != -100] for row in rows]
    if card.kind == "sentence_retrieval":
        return [chance.randrange(len(rows) // 2) for _ in rows]
    if card.kind == "answer_retrieval":
        return [None if row["side"] else chance.sample(range(pool), min(pool, 25))
                for row in rows]  # fmt: skip
    if card.kind == "bitext_mining":
        english = list(range(sum(row["side"] == 1 for row in rows)))
        chance.shuffle(english)
        right = [29 - n for n in range(30)]
        mined = [right[n] if n < 30 and chance.random() < 0.6 else english[n]
                 for n in range(len(rows) - len(english))]  # fmt: skip
        margins = [(other, chance.random() + (n < 30 and right[n] == other))
                   for n, other in enumerate(mined)]  # fmt: skip
        return [*margins, *([None] * len(english))]
    found = []
    for row in rows:
        last = len(row["input_ids"]) - 2
        starts = [chance.randint(row["offset"], last) for _ in range(4)]
        ends = [min(last, start + chance.randint(0, 3)) for start in starts]
        logits = sorted((chance.random() for _ in range(4)), reverse=True)
        found.append((starts, logits, ends, logits, 0.0))
    return found


def printed(scored: FolderScores) -> str:
    """What a person sees of the scores of a folder."""
    out = Console(file=io.StringIO(), width=1000)
    print_scores(out, scored)
    return out.file.getvalue()  # type: ignore[attr-defined,no-any-return]
