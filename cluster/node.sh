#!/usr/bin/env bash
# Add this host, with all its GPUs and cores, to the cluster of a head.
#
#   RAY_AUTH_TOKEN=... bash cluster/node.sh HEAD:6379
#
# Further arguments go to `ray start`.
set -euo pipefail
: "${RAY_AUTH_TOKEN:?the token that the head was started with}"
head=${1:?the head\'s address, such as 10.0.0.1:6379}
shift
export RAY_AUTH_TOKEN RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0 RAY_enable_metrics_collection=0
exec ray start --address="$head" --disable-usage-stats "$@"
