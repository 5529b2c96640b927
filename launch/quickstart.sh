#!/usr/bin/env bash
# Builds inverse, simulates a feed whose truth is known, and compares four ways of using its
# unlabeled exposures: trained on two ranks each, evaluated on rows nobody trained on.
#
#   ./launch/quickstart.sh [directory]        default: runs/quickstart
set -euo pipefail
cd "$(dirname "$0")/.."
. launch/setup.sh

root=${1:-runs/quickstart}
ranks=2
echo "building (once; about two minutes on two cores)"
swift build -c release --product inverse
inverse=$(swift build -c release --show-bin-path)/inverse

rm -rf "$root"
mkdir -p "$root"
echo
"$inverse" synthesize "$root/feed" --preset quick --label-fraction 0.25
echo
"$inverse" prepare --train "$root/feed/train.tsv" --valid "$root/feed/valid.tsv" \
  --test "$root/feed/test.tsv" "$root/dataset"

# The same options for every method, chosen on the validation rows; see docs/results.md.
for method in bce negatives idl ig; do
  echo
  echo "$method, $ranks ranks"
  mpirun -n "$ranks" "$inverse" train "$root/dataset" --output "$root/$method" \
    --config "launch/recipes/quickstart.yaml" --method "$method" >"$root/$method.txt"
done

echo
printf '%-10s  %6s  %6s  %s\n' method AUC GAUC "annotation accuracy"
for method in bce negatives idl ig; do
  "$inverse" evaluate "$root/$method" --split test --truth "$root/feed/truth.tsv" |
    awk -v method="$method" '$1 == "test" { auc = $2; gauc = $3 }
      previous == "unlabeled" { accuracy = $2; majority = $3 }
      { previous = $1 }
      END { printf "%-10s  %6s  %6s  %s (majority label: %s)\n", method, auc, gauc, accuracy, majority }'
done
echo
echo "runs are in $root: result.json, metrics.jsonl, checkpoints/best/model.safetensors"
