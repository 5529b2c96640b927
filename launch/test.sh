#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test: all of them as they ship (release), then
# those without heavy arithmetic again with the checks of a debug build.
#
#   ./launch/test.sh
#
# Tests on real data look for it in the directory INVERSE_DATA; without it they are skipped.
set -euo pipefail
cd "$(dirname "$0")/.."
. launch/setup.sh

[ -n "${INVERSE_DATA:-}" ] || echo "INVERSE_DATA is not set: tests on real data are skipped"

swift build -c release --build-tests
swift test -c release --skip-build

# Overflow, exclusivity and precondition checks, and comparison of every collective over the ranks.
swift build --build-tests
swift test --skip-build --filter "^(StorageTests|FabricTests|InteractionsTests|CheckpointsTests|RandomnessTests)\."
