"""Daemons that this process starts: apart from its signals, and missed when they are gone."""

from __future__ import annotations

import os
import subprocess
import sys

GROUPS = """
import os, subprocess, sys
from sweeper.engine.daemons import apart

before = os.getpgrp()
with apart():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
print(before, os.getpgrp(), os.getpgid(child.pid), os.getpid())
child.communicate(b"\\n")
"""

MISSED = """
import socket, sys, threading
from sweeper.engine import daemons

daemons.LOOK_SECONDS = 0.01
server = socket.create_server(("127.0.0.1", 0))
with daemons.missed("127.0.0.1:%d" % server.getsockname()[1]):
    if sys.argv[1] == "ends":
        server.close()
        threading.Event().wait()
print("went on")
"""


def run(script: str, *arguments: str, leads: bool = False) -> subprocess.CompletedProcess:
    """Run a script, as a process of this group or as the leader of its own."""
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        start_new_session=leads,
        timeout=60,
        check=False,
    )


def test_daemons_are_in_a_group_that_no_signal_to_ours_reaches() -> None:
    before, after, child, own = map(int, run(GROUPS).stdout.split())
    assert before == after == os.getpgrp()
    assert child == own != before


def test_the_leader_of_a_group_stays_in_it() -> None:
    before, after, child, own = map(int, run(GROUPS, leads=True).stdout.split())
    assert before == after == child == own


def test_a_process_whose_daemons_ended_ends_with_a_sentence() -> None:
    ran = run(MISSED, "ends")
    assert ran.returncode == 1
    assert ran.stderr.strip().startswith("error: Ray's own processes were ended")
    assert "start the same run again" in ran.stderr


def test_while_they_listen_nothing_happens() -> None:
    ran = run(MISSED, "stays")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "went on\n", "")
