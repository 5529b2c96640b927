#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test: all of them as they ship (release), then
# those without heavy arithmetic again with the checks of a debug build.
#
#   ./launch/test.sh [--long]
#
# With --long a campaign of faults follows, of about half an hour: jobs that are killed, stopped and
# hung 240 times at random, and in every phase; docs/reliability.md.
#
# Tests on real data look for it in the directory INVERSE_DATA; without it they are skipped.
set -euo pipefail
cd "$(dirname "$0")/.."
case "${1:-}" in
  "") is_long="" ;;
  --long) is_long=1 ;;
  *) echo "usage: $0 [--long]" >&2 && exit 64 ;;
esac
. launch/setup.sh

[ -n "${INVERSE_DATA:-}" ] || echo "INVERSE_DATA is not set: tests on real data are skipped"

swift build -c release --build-tests
swift test -c release --skip-build

# Overflow, exclusivity and precondition checks, and comparison of every collective over the ranks.
swift build --build-tests
swift test --skip-build --filter "^(StorageTests|FabricTests|InteractionsTests|CheckpointsTests|RandomnessTests)\."

if [ -n "$is_long" ]; then
  INVERSE_FAULTS=${INVERSE_FAULTS:-240} swift test -c release --skip-build \
    --filter "RankSuites/(CampaignTests|PhaseFaultTests)"
fi
