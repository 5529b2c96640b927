#!/usr/bin/env bash
# Builds inverse and its benchmarks, runs them, prints tables, and saves benchmarks.json and
# pictures. See README.md beside this file.
#
#   ./Benchmarks/run.sh [--quick] [--peers] [--data DIR] [--output DIR] [suite ...]
#
# --quick    fewer sizes and repetitions: about two minutes instead of thirty
# --peers    measure PyTorch and LIBMF in turn with inverse (installed on first use)
# --data     a directory with ml-1m/train.tsv, valid.tsv, test.tsv; default: $INVERSE_DATA, else a
#            simulated log of the same size
# --output   where results go; default: runs/benchmarks
# suites     memory preparation training phases scaling order machine kernels evaluation tables
#            peers; default: all
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
output=runs/benchmarks
data=${INVERSE_DATA:-}
arguments=()
peers=""
while [ $# -gt 0 ]; do
  case "$1" in
    --peers) peers=yes ;;
    --output | --data)
      [ $# -ge 2 ] || { echo "run.sh: $1 needs a directory" >&2; exit 64; }
      if [ "$1" = --output ]; then output=$2; else data=$2; fi
      shift ;;
    *) arguments+=("$1") ;;
  esac
  shift
done
# Paths are meant from where this was called.
case "$output" in /*) ;; *) output=$PWD/$output ;; esac
case "$data" in /* | "") ;; *) data=$PWD/$data ;; esac

cd "$root"
. launch/setup.sh
# With a core of its own per rank Open MPI waits actively; see launch/setup.sh for the rest.
echo "building inverse and the benchmarks"
swift build -c release --product inverse >&2
swift build -c release --package-path Benchmarks --product bench >&2
inverse=$(swift build -c release --show-bin-path)/inverse
bench=$(swift build -c release --package-path Benchmarks --show-bin-path)/bench

options=(--inverse "$inverse" --source "$root" --output "$output")
if [ -n "$data" ]; then options+=(--data "$data"); fi
if [ -n "$peers" ]; then
  Benchmarks/peers/setup.sh >&2
  if [ -x Benchmarks/.peers/venv/bin/python ]; then
    options+=(--python "$root/Benchmarks/.peers/venv/bin/python")
  fi
  if [ -x Benchmarks/.peers/libmf/mf-train ]; then
    options+=(--libmf "$root/Benchmarks/.peers/libmf/mf-train")
  fi
fi
exec "$bench" run "${options[@]}" ${arguments[@]+"${arguments[@]}"}
