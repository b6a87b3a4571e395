"""Small stores whose trained jobs leave checkpoints that load."""

from __future__ import annotations

from pathlib import Path

import torch
from analysis.world import World
from transformers import XLMRobertaConfig, XLMRobertaForTokenClassification

from sweeper.graph import Job
from sweeper.tasks import tokenizers


def write_model(folder: Path, seed: int) -> None:
    """A small random encoder with a head for three tags, and its tokenizer."""
    tokenizers.train(iter(["a cat saw an owl in a tree"] * 3), 60, folder)
    torch.manual_seed(seed)
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1}
    config = XLMRobertaConfig(
        vocab_size=60, num_attention_heads=1, max_position_embeddings=20, num_labels=3, **sizes
    )
    XLMRobertaForTokenClassification(config).save_pretrained(folder)


class Trained(World):
    """A store whose trained jobs leave checkpoints that load."""

    def _make(self, job: Job, folder: Path) -> None:
        if job.kind in ("tune", "train"):
            write_model(
                folder / ("epoch=3" if job.kind == "tune" else "checkpoint"), len(self.ran)
            )
