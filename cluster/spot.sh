#!/usr/bin/env bash
# A host that its cloud may take away: `node.sh`, and SIGTERM to it as soon as the cloud says so.
#
#   bash cluster/spot.sh aws HEAD:6379        (or gcp)
#
# Ray then drains the host: its workers save what they train and leave, and others go on with it.
# AWS gives two minutes, Google Cloud half of one. Further arguments go to `ray start`.
set -euo pipefail
cloud=${1:?aws or gcp}
shift

aws_takes_it() {
    local at=${AWS_EC2_METADATA_SERVICE_ENDPOINT:-http://169.254.169.254}/latest token
    token=$(curl -sf -m 2 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$at/api/token") &&
        curl -sf -m 2 -o /dev/null -H "X-aws-ec2-metadata-token: $token" \
            "$at/meta-data/spot/instance-action"
}
gcp_takes_it() {
    local at=http://${GCE_METADATA_HOST:-metadata.google.internal}/computeMetadata/v1/instance
    [[ $(curl -sf -m 2 -H 'Metadata-Flavor: Google' "$at/preempted") == TRUE ]]
}
case $cloud in
    aws) seconds=90 ;;
    gcp) seconds=20 ;;
    *)
        echo "The cloud is aws or gcp, not $cloud." >&2
        exit 1
        ;;
esac

export RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S=${RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S:-$seconds}
bash "$(dirname "$0")/node.sh" "$@" --block &
node=$!
trap 'kill -TERM "$node"' TERM INT
until "${cloud}_takes_it"; do
    kill -0 "$node" 2>/dev/null || break
    sleep 2
done
kill -TERM "$node" 2>/dev/null || true
wait "$node"
