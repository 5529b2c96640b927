#!/usr/bin/env bash
# Starts a training job on some ranks of this machine or of a host file.
#
#   ./launch/run.sh [--restart N] RANKS train DATASET --output RUN [options]
#   MPI_OPTIONS="--hostfile hosts" ./launch/run.sh --restart 5 32 train DATASET --output RUN
#
# With --restart a job that failed starts again from its newest checkpoint, N times at most, after
# 5, 10, 20 … and never more than 300 seconds; INVERSE_RESTART_PAUSE says the first pause. Wrong usage
# (64) and bad data (65) fail once and for all. A job that is asked to stop (SIGTERM, SIGINT, SIGUSR1
# to this script) writes a checkpoint and is not started again: it ends with 75.
#
# INVERSE names the program when it is not the one that was built here.
set -euo pipefail
usage() {
  echo "usage: $0 [--restart N] RANKS train DATASET --output RUN [options]" >&2
  exit 64
}
restarts=0
if [ "${1:-}" = --restart ]; then
  [[ "${2:-}" =~ ^[0-9]+$ ]] || usage
  restarts=$2
  shift 2
fi
[ $# -ge 2 ] && [[ $1 =~ ^[0-9]+$ ]] || usage
[ "$restarts" -eq 0 ] || [ "$2" = train ] || usage
here=$(cd "$(dirname "$0")/.." && pwd)
. "$here/launch/setup.sh"
inverse=${INVERSE:-$(swift build -c release --package-path "$here" --show-bin-path)/inverse}
[ -x "$inverse" ] || fail "not built yet: run swift build -c release --product inverse"
ranks=$1
shift
[ "$restarts" -eq 0 ] || [[ " $* " == *" --resume "* ]] || set -- "$@" --resume

job=""
is_stopping=""
# mpirun that gets SIGTERM kills its ranks; SIGUSR1 it passes on, and they end with a checkpoint.
stop() {
  is_stopping=1
  [ -z "$job" ] || kill -USR1 "$job" 2>/dev/null || true
}
trap stop TERM INT USR1

# Runs the job once and sets status.
start() {
  # shellcheck disable=SC2086
  mpirun -n "$ranks" ${MPI_OPTIONS:-} "$inverse" "$@" &
  job=$!
  # A trap ends a wait early; the job's own code comes with a later one.
  while true; do
    status=0
    wait "$job" || status=$?
    kill -0 "$job" 2>/dev/null || break
  done
  job=""
}

pause=${INVERSE_RESTART_PAUSE:-5}
for ((attempt = 1; ; attempt++)); do
  start "$@"
  case $status in 0 | 64 | 65) exit "$status" ;; esac
  [ -z "$is_stopping" ] && [ "$restarts" -gt 0 ] || exit "$status"
  if [ "$attempt" -gt "$restarts" ]; then
    echo "inverse: error: the job failed $attempt times, the last time with code $status (above): giving up" >&2
    exit "$status"
  fi
  echo "inverse: the job ended with code $status; restart $attempt of $restarts in $pause s" >&2
  # In the background, so that a request to stop need not wait for it.
  sleep "$pause" &
  wait $! || true
  [ -z "$is_stopping" ] || exit 75
  pause=$((pause * 2 < 300 ? pause * 2 : 300))
done
