#!/usr/bin/env bash
# Fuzzes the readers of files that nobody vouches for, one target after the other, with libFuzzer
# and AddressSanitizer, and prints a line for each. Exit code 1 when something was found.
#
#   ./Tests/Fuzz/run.sh                          # every target, 600 seconds each
#   ./Tests/Fuzz/run.sh --seconds 60 yaml log    # some
#   ./Tests/Fuzz/run.sh --input FILE yaml        # one input again, such as a finding
#
# Targets: log lists yaml dataset checkpoint safetensors. Findings and corpora stay in .build/fuzz.
# An input that was found goes into Tests/Fuzz/Findings/TARGET-…, and a test of it into the suite.
set -euo pipefail
cd "$(dirname "$0")/../.."
. launch/setup.sh

seconds=600 input="" targets=""
while [ $# -gt 0 ]; do
  case "$1" in
    --seconds) seconds=$2; shift 2 ;;
    --input) input=$2; shift 2 ;;
    log | lists | yaml | dataset | checkpoint | safetensors) targets="$targets $1"; shift ;;
    *) fail "unknown argument $1; targets are log lists yaml dataset checkpoint safetensors" ;;
  esac
done
targets=${targets:-log lists yaml dataset checkpoint safetensors}

work=${INVERSE_FUZZ_DIRECTORY:-.build/fuzz}
mkdir -p "$work"
export INVERSE_FUZZ=1
# Coverage counters and AddressSanitizer in all of the program. Of several -sanitize= the Swift
# compiler heeds the last, so both are in one; --sanitize is for C and for the linker, which is lld
# because gold prints a warning for each entry of the sanitizer.
swift build -c release --product Fuzz --scratch-path "$work/build" --sanitize address \
  --sanitize fuzzer -Xswiftc -sanitize=address,fuzzer -Xswiftc -enable-testing \
  -Xlinker -fuse-ld=lld >"$work/build.log" 2>&1 ||
  { grep -E "error:" "$work/build.log" >&2; fail "the build failed, see $work/build.log"; }
fuzz=$(cd "$work/build/release" && pwd)/Fuzz
# Without counters in Swift's code the fuzzer would grope in the dark and not say so.
nm "$work/build/release/Fuzz.build/TensorTarget.swift.o" |
  grep __sanitizer_cov_8bit_counters_init >/dev/null || fail "the build has no coverage counters"

# The fuzzer reports a trap itself. Swift keeps process-wide caches, which are no leaks.
export SWIFT_BACKTRACE=enable=no ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=0

if [ -n "$input" ]; then
  INVERSE_FUZZ_TARGET=${targets# } exec "$fuzz" "$input"
fi

status=0
for target in $targets; do
  corpus=$work/corpus/$target findings=$work/findings/$target log=$work/$target.log
  mkdir -p "$corpus" "$findings"
  export INVERSE_FUZZ_TARGET=$target
  cp -n Tests/Fuzz/Seeds/"$target"/* Tests/Fuzz/Findings/"$target"-* "$corpus" 2>/dev/null || true
  INVERSE_FUZZ_SEEDS=$corpus "$fuzz" >/dev/null 2>&1
  case $target in
    log | lists) words=text ;;
    yaml) words=yaml ;;
    *) words=json ;;
  esac
  began=$(date +%s)
  # fork=1 goes on after a finding, in a new process.
  nice -n 10 "$fuzz" "$corpus" -fork=1 -ignore_crashes=1 -ignore_timeouts=1 -ignore_ooms=1 \
    -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -malloc_limit_mb=1024 \
    -max_len=16384 -dict=Tests/Fuzz/Words/$words.dict -artifact_prefix="$findings/" \
    >"$log" 2>&1 || true
  runs=$(sed -n 's/^#\([0-9]*\): cov.*/\1/p' "$log" | tail -n 1)
  coverage=$(sed -n 's/^#[0-9]*: cov: \([0-9]*\).*/\1/p' "$log" | tail -n 1)
  found=$(find "$findings" -type f | wc -l)
  echo "$target: ${runs:-0} runs, $(($(date +%s) - began)) s, corpus $(ls "$corpus" | wc -l)," \
    "coverage ${coverage:-0} edges, findings $found"
  [ "$found" -eq 0 ] || status=1
done
exit $status
