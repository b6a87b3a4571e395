#!/usr/bin/env bash
# Start a cluster's head. It runs no jobs: it keeps the books, and `sweeper run` is started here.
#
#   RAY_AUTH_TOKEN=... bash cluster/head.sh
#
# Further arguments go to `ray start`. SWEEPER_PORT is the port that the nodes reach (6379).
set -euo pipefail
# shellcheck source=cluster/token.sh
. "$(dirname "$0")/token.sh"
exec ray start --head --port="${SWEEPER_PORT:-6379}" --num-cpus=0 --num-gpus=0 \
    --include-dashboard=false --disable-usage-stats "$@"
