#!/usr/bin/env bash
# What a pod does before it goes: SIGTERM to its `ray start --block`, whatever the shell above it
# does with signals (the newest of the two, if the shell is still there). Ray drains the host, and
# the workers save and leave.
set -euo pipefail
node=$(pgrep -nf 'ray start .*--block') || exit 0
kill -TERM "$node"
while kill -0 "$node" 2>/dev/null; do sleep 1; done
