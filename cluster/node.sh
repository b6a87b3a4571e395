#!/usr/bin/env bash
# Add this host, with all its GPUs and cores, to the cluster of a head.
#
#   RAY_AUTH_TOKEN=... bash cluster/node.sh HEAD:6379
#
# Further arguments go to `ray start`.
set -euo pipefail
# shellcheck source=cluster/token.sh
. "$(dirname "$0")/token.sh"
head=${1:?the head\'s address, such as 10.0.0.1:6379}
shift
export RAY_enable_metrics_collection=0
exec ray start --address="$head" --disable-usage-stats "$@"
