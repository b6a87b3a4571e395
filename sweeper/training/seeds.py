"""Where randomness comes from: every draw is a pure function of a job's seed and a place in it.

Nothing keeps a generator's state, so a run that resumes at a step draws what it would have drawn.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

# One number per purpose, so that no two draws of a job share a stream.
INIT, DRAW, ORDER, SAMPLER, MASK, STEP, EVALUATION = range(7)


def generator(rng: int, purpose: int, *place: int) -> np.random.Generator:
    """A NumPy generator that depends on ``(rng, purpose, place)`` only."""
    return np.random.default_rng([rng, purpose, *place])


def seed(rng: int, purpose: int, *place: int) -> int:
    """A 63-bit seed that depends on ``(rng, purpose, place)`` only."""
    state = np.random.SeedSequence([rng, purpose, *place]).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))


def number(name: str) -> int:
    """A stable number for a name, to be used as a place."""
    return zlib.crc32(name.encode())


def seed_torch(value: int, where: torch.device) -> None:
    """Seed the default generator of the CPU and, if ``where`` is one, of the GPU.

    `torch.manual_seed` asks every backend in turn, which costs more than a small model's layer.
    """
    torch.default_generator.manual_seed(value)
    if where.type == "cuda":
        torch.cuda.manual_seed(value)


@contextmanager
def seeded(value: int) -> Iterator[None]:
    """Inside, the CPU's default generator starts from ``value``; outside, it is as before."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(value)
        yield
