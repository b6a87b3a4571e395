"""Training and loading tokenizers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sweeper.errors import DataError, ModelError
from sweeper.tasks import tokenizers


def test_a_trained_tokenizer_is_like_xlm_rs(tokenizer: Any) -> None:
    assert tokenizer.is_fast
    assert len(tokenizer) == 400
    ids = tokenizer.convert_tokens_to_ids(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    assert ids == [0, 1, 2, 3, 4]
    assert tokenizer.mask_token_id == 4 and tokenizer.pad_token_id == 1
    assert tokenizer.cls_token_id == 0 and tokenizer.sep_token_id == 2
    assert tokenizer.unk_token_id == 3
    single = tokenizer("beni")["input_ids"]
    pair = tokenizer("beni", "toto")["input_ids"]
    assert single[0] == 0 and single[-1] == 2
    assert pair == [*single, 2, *tokenizer("toto", add_special_tokens=False)["input_ids"], 2]
    assert tokenizer.num_special_tokens_to_add(True) == 4
    assert tokenizer.decode(single, skip_special_tokens=True) == "beni"
    assert set(tokenizer("beni", "toto")) == {"input_ids", "attention_mask"}
    assert tokenizer.special_tokens_map["mask_token"] == "<mask>"


def test_a_saved_copy_gives_the_same_ids(tokenizer: Any, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path)
    copy = tokenizers.load(tmp_path)
    texts = ["beni toto fudupa", "<mask> tula", "ﬁne 東京 x"]
    assert copy(texts)["input_ids"] == tokenizer(texts)["input_ids"]


def test_the_vocabulary_must_hold_the_alphabet(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"hold the alphabet .* it is 8"):
        tokenizers.train(iter(["abcdefghij"]), 8, tmp_path)
    with pytest.raises(DataError, match="there is none"):
        tokenizers.train(iter([]), 100, tmp_path)


def test_no_tokenizer_to_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match="no tokenizer to load") as caught:
        tokenizers.load(tmp_path / "none")
    assert "\n" not in str(caught.value)


def test_a_tokenizer_without_padding(tokenizer: Any, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path)
    told = json.loads((tmp_path / "tokenizer_config.json").read_text())
    del told["pad_token"]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(told))
    with pytest.raises(ModelError, match="must have a pad_token"):
        tokenizers.load(tmp_path)


TRAIN = """
import sys
from pathlib import Path
from sweeper.tasks import synthetic, tokenizers
rows = [row for code in ("qaa", "qac") for row in synthetic.rows("demo_text", "train", code)]
tokenizers.train((row["text"] for row in rows[:3000]), 400, Path(sys.argv[1]))
assert "torch" not in sys.modules
"""


def test_training_a_tokenizer_is_reproducible(tokenizer: Any, tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    for seed in ("1", "2"):
        subprocess.run(
            [sys.executable, "-c", TRAIN, str(tmp_path / seed)],
            cwd=root,
            env={**os.environ, "PYTHONHASHSEED": seed, "RAYON_NUM_THREADS": seed},
            check=True,
        )
    for name in ("tokenizer.json", "tokenizer_config.json"):
        one, two = ((tmp_path / seed / name).read_bytes() for seed in ("1", "2"))
        assert one == two
    assert (tmp_path / "1" / "tokenizer.json").read_text() == tokenizer.backend_tokenizer.to_str(
        pretty=True
    )
