#!/usr/bin/env bash
# Runs what can be run under a sanitizer, in a build of its own, and ends with exit code 1 when
# that reports anything.
#
#   ./launch/sanitize.sh address     # tests of one process, then jobs of one and of two ranks
#   ./launch/sanitize.sh thread      # tests, whose ranks are threads of one process
#   ./launch/sanitize.sh memcheck    # valgrind: jobs of one and of two ranks
#
# A build takes several minutes and stays in .build/sanitize-…, or below
# INVERSE_SANITIZE_DIRECTORY. What is suppressed or left out, and why, is in Tests/Sanitizers.
set -euo pipefail
cd "$(dirname "$0")/.."
. launch/setup.sh

kind=${1:-}
case $kind in
  address | thread | memcheck) ;;
  *) fail "name one of address, thread, memcheck" ;;
esac
work=${INVERSE_SANITIZE_DIRECTORY:-.build}/sanitize-$kind
rules=$PWD/Tests/Sanitizers
mkdir -p "$work"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# lld, because gold prints a warning for each of its entries.
options=(-c release --scratch-path "$work" --sanitize "$kind" -Xlinker -fuse-ld=lld)
# Swift 6.3 writes a cast that LLVM's verifier refuses when an element of an
# UnsafeMutableBufferPointer is changed in place; it stands for the same bits.
[ "$kind" != thread ] || options+=(-Xswiftc -Xfrontend -Xswiftc -disable-llvm-verify)

# Builds a product with a sanitizer.
build() {
  swift build --product "$1" "${options[@]}" >"$work/build.log" 2>&1 ||
    { grep -E "error:" "$work/build.log" >&2; fail "the build failed, see $work/build.log"; }
}

# Runs a command; a report of a sanitizer is a failure, whatever the command makes of it.
checked() {
  local log=$scratch/log
  if ! "$@" >"$log" 2>&1; then
    tail -n 60 "$log" >&2
    fail "failed under $kind: $*"
  fi
  if grep -E "ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|ERROR SUMMARY: [1-9]" \
    "$log" >&2; then
    fail "$kind reports an error: $*"
  fi
  grep -E "Test run with" "$log" || true
}

# Lines of a file of rules without comments, joined to one regular expression.
pattern() { grep -v '^#' "$rules/$1" | paste -s -d '|' -; }

run_tests() {
  build inversePackageTests
  checked swift test --skip-build "${options[@]}" --filter "$(pattern suites)" \
    --skip "$(pattern skipped)"
}

# A feed, a dataset, and for each family of models a run that is stopped, resumed on the other
# number of ranks and evaluated; "$@" is what starts the program.
run_jobs() {
  checked "$@" synthesize "$scratch/feed" --users 60 --items 40 --interactions 1000 \
    --label-fraction 0.4
  checked "$@" prepare "$scratch/data" --train "$scratch/feed/train.tsv" --sequences \
    --valid "$scratch/feed/valid.tsv" --test "$scratch/feed/test.tsv" --shards 4
  local family run
  for family in gmf mlp ngcf pinsage sasrec; do
    run=$scratch/$family
    local options="--backbone $family --factors 8 --batch 128 --keep 1"
    [ "$family" != sasrec ] || options="$options --method negatives --batch 16"
    checked "$@" train "$scratch/data" --output "$run" $options --epochs 1
    checked mpirun -n 2 "$@" train "$scratch/data" --output "$run" $options --epochs 2 --resume
    checked mpirun -n 2 "$@" evaluate "$run" --protocol full
    checked "$@" evaluate "$run" --protocol sampled --candidates 10
    echo "$kind: $family is clean on 1 and on 2 ranks"
  done
}

# The sanitizers report themselves; Swift's own report of a trap would come in their way.
export SWIFT_BACKTRACE=enable=no
case $kind in
  address)
    # Swift's runtime and Open MPI keep what they make once for the whole process: no leak.
    export ASAN_OPTIONS=detect_leaks=0
    run_tests
    build inverse
    run_jobs "$work/release/inverse"
    ;;
  thread)
    export TSAN_OPTIONS="suppressions=$rules/thread.supp"
    run_tests
    ;;
  memcheck)
    command -v valgrind >/dev/null 2>&1 || fail "no valgrind; please install it"
    swift build -c release --product inverse
    # Valgrind stumbles over the debugging information of Swift.
    strip -g -o "$work/inverse" "$(swift build -c release --show-bin-path)/inverse"
    run_jobs valgrind --quiet --error-exitcode=99 --num-callers=30 \
      --suppressions="$rules/memcheck.supp" "$work/inverse"
    ;;
esac
echo "$kind: clean"
