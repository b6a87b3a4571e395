"""Ray's own words on vanished workers, as ray 2.60 wrote them, and what we make of them."""

from __future__ import annotations

import pytest

from sweeper.engine.deaths import Death, death_of

HEADING = "Failure # 1 (occurred at 2026-11-20_16-52-53)\n"
DIED = (
    "The actor died unexpectedly before finishing this task.\n\tclass_name: Worker\n"
    "\tactor_id: 577b5421df6e9f60a86a4b4501000000\n\tpid: 17356\n\tip: 192.0.2.2\n"
)
KILLED = (
    "The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker "
    "exit detail: Worker unexpectedly exits with a connection error code 2. End of file. Some "
    "common causes include: (1) the process was killed by the OOM killer due to high memory usage."
)
TERMINATED = (
    "The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker "
    "exit detail: Worker exits unexpectedly. Worker exits with an exit code 1. The process "
    "receives a SIGTERM."
)
NODE = "The actor died because its node has died. Node Id: c4b783d84fe2edd36fecc56f837a77bb\n"
CREATED = (
    "The actor died because of an error raised in its creation task, "
    "\x1b[36mray::Worker.__init__()\x1b[39m (pid=14491, ip=192.0.2.2)\n"
    '  File "worker.py", line 12, in setup\n    import torch\n'
    "ModuleNotFoundError: No module named 'torch'\n"
)
MEMORY = (
    "Task was killed due to the node running low on memory.\nMemory on the node (IP: 192.0.2.2) "
    "was 30.2GB / 31.0GB (0.97), which exceeds the memory usage threshold of 0.95.\nTo adjust "
    "the kill threshold, set the environment variable `RAY_memory_usage_threshold`.\n"
)
AWAY = (
    "The actor 09cacd02 is unavailable: The actor is temporarily unavailable: RpcError: RPC "
    "error: Socket closed rpc_code: 14. The task may or may not have been executed on the actor."
)


@pytest.mark.parametrize(
    ("text", "death"),
    [
        (DIED + KILLED, Death("killed, or out of memory")),
        ("", Death("killed, or out of memory")),
        (DIED + TERMINATED, Death("SIGTERM", preempted=True)),
        (
            f"{DIED}{NODE}\tthe actor's node was terminated expectedly: received SIGTERM\n",
            Death("its node was terminated expectedly: received SIGTERM", preempted=True),
        ),
        (
            f"{DIED}{NODE}\tthe actor's node was preempted: spot\n",
            Death("its node was preempted: spot", preempted=True),
        ),
        (DIED + NODE, Death("its host was taken away", preempted=True)),
        (CREATED, Death("it could not be started: ModuleNotFoundError: No module named 'torch'")),
        (MEMORY, Death("its host ran low on memory, and Ray ended it")),
        (AWAY, Death(AWAY)),
        ("ray::Worker.train()\nValueError: boom", Death("ValueError: boom")),
    ],
)
def test_a_death_is_told_in_a_sentence(text: str, death: Death) -> None:
    assert death_of(HEADING + text) == death


def test_a_preempted_host_needs_no_words() -> None:
    """Ray marks the error, and leaves its text empty."""
    text = "Failure # 0 (occurred at 2026-11-20_17-04-11)\n" + DIED
    assert death_of(text, preempted=True) == Death("its host was taken away", preempted=True)
