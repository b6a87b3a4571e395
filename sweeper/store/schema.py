"""The tables' columns: one Arrow schema each, additive only, always given to the reader."""

from __future__ import annotations

import pyarrow as pa

_TEXT, _REAL, _WHOLE, _TIME = pa.string(), pa.float64(), pa.int64(), pa.float64()

# What names a job stands in every table, so that each can be read alone.
_JOB = [
    ("job", _TEXT),
    ("address", _TEXT),
    ("attempt", _TEXT),
    ("study", _TEXT),
    ("intermediate", _TEXT),
    ("target", _TEXT),
    ("seed", _WHOLE),
]

TRIALS = pa.schema(
    [
        *_JOB,
        ("kind", _TEXT),  # prepare, train, tune, score
        ("trial", _WHOLE),
        ("status", _TEXT),  # done, pruned, diverged, failed
        ("message", _TEXT),
        ("parameters", _TEXT),  # JSON: the training settings
        ("selections", _TEXT),  # JSON: selection split -> best epoch, value (percent), loss (nats)
        ("kept", _TEXT),  # JSON: last, averaged -> epoch or epochs, values on selection splits
        ("curve", _TEXT),  # JSON: per epoch the training loss and the selection values
        ("loss", _REAL),  # last training loss, nats
        ("steps", _WHOLE),
        ("examples", _WHOLE),  # examples seen
        ("micro_batch", _WHOLE),  # examples on the device at once; null: the whole batch
        ("released", _TIME),  # when its inputs were all there; times are seconds since 1970, UTC
        ("started", _TIME),
        ("first_batch", _TIME),
        ("committed", _TIME),
        ("seconds_setup", _REAL),
        ("seconds_data", _REAL),
        ("seconds_compute", _REAL),
        ("seconds_evaluate", _REAL),
        ("seconds_score", _REAL),
        ("seconds_save", _REAL),
        ("peak_memory", _WHOLE),  # bytes: of the GPU where there is one, else of the process
        ("worker", _TEXT),  # host:process
        ("device", _TEXT),
        ("parents", _TEXT),  # JSON: addresses of the jobs it was made from
        ("made_from", _TEXT),  # JSON: unit -> what its address is the digest of
        ("versions", _TEXT),  # JSON: libraries
    ]
)

SCORES = pa.schema(
    [
        *_JOB,
        ("unit", _TEXT),  # the address of this (checkpoint, split, language)
        ("split", _TEXT),
        ("language", _TEXT),
        ("metric", _TEXT),
        ("value", _REAL),  # percent
        ("n", _WHOLE),  # examples
        ("main", pa.bool_()),  # the metric that the matrix shows
        ("zero_shot", pa.bool_()),  # the language was not trained on by the target's training
        ("overlap", _TEXT),  # what this score shares with its training or selection; "" if nothing
        ("checkpoint", _TEXT),
        ("weights", _TEXT),  # selected, last, averaged; null, of before there was this: selected
        ("representation", _TEXT),  # JSON, retrieval only
        ("parameters", _TEXT),  # JSON: what was searched, as the winner has it; its epoch; stages
    ]
)

EXAMPLES = pa.schema(
    [
        *_JOB,
        ("unit", _TEXT),
        ("split", _TEXT),
        ("language", _TEXT),
        ("id", _TEXT),
        ("gold", _TEXT),
        ("predicted", _TEXT),
        ("correct", pa.bool_()),
        ("score", _REAL),
        ("ranking", pa.list_(_TEXT)),  # ids of candidates, best first; answer retrieval only
    ]
)

TABLES: dict[str, pa.Schema] = {"trials": TRIALS, "scores": SCORES, "examples": EXAMPLES}
