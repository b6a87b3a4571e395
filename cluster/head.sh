#!/usr/bin/env bash
# Start a cluster's head. It runs no jobs: it keeps the books, and the driver of a sweep.
#
#   RAY_AUTH_TOKEN=... bash cluster/head.sh
#
# Further arguments go to `ray start`. SWEEPER_PORT is the port that the nodes reach (6379).
#
# The dashboard is there for `sweeper submit`, which needs its job server (and, here, the packages
# of the extra `submit`). It listens on this host alone, and like all of Ray asks for the token.
# What would need no token, the numbers for Prometheus, is off: -1 is no port.
set -euo pipefail
# shellcheck source=cluster/token.sh
. "$(dirname "$0")/token.sh"
export RAY_enable_metrics_collection=0 AUTOSCALER_METRIC_PORT=-1 DASHBOARD_METRIC_PORT=-1
ray=$(command -v ray)
PATH="$(dirname "$ray"):$PATH" # submitted sweeps run under the python3 beside it
export PATH
exec ray start --head --port="${SWEEPER_PORT:-6379}" --num-cpus=0 --num-gpus=0 \
    --dashboard-host=127.0.0.1 --disable-usage-stats "$@"
