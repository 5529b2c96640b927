#!/usr/bin/env bash
# Starts a training job on some ranks of this machine or of a host file.
#
#   ./launch/run.sh RANKS train DATASET --output RUN [options]
#   MPI_OPTIONS="--hostfile hosts" ./launch/run.sh 32 train DATASET --output RUN --resume
set -euo pipefail
[ $# -ge 2 ] || { echo "usage: $0 RANKS train DATASET --output RUN [options]" >&2; exit 64; }
here=$(cd "$(dirname "$0")/.." && pwd)
. "$here/launch/setup.sh"
inverse=$(swift build -c release --package-path "$here" --show-bin-path)/inverse
[ -x "$inverse" ] || fail "not built yet: run swift build -c release --product inverse"
ranks=$1
shift
# mpirun that gets SIGTERM kills its ranks; SIGUSR1 it passes on, and they end with a checkpoint.
# shellcheck disable=SC2086
mpirun -n "$ranks" ${MPI_OPTIONS:-} "$inverse" "$@" &
job=$!
trap 'kill -USR1 "$job"' TERM INT
status=0
wait "$job" || status=$?
# A trap ends the first wait early; the job's own code comes with the second.
if kill -0 "$job" 2>/dev/null; then
  status=0
  wait "$job" || status=$?
fi
exit "$status"
