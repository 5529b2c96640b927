# Sourced by the recipes: finds the program, and runs one training on $RANKS ranks (default 2).
#
#   NAME DATA OUTPUT      DATA: see data/README.md; OUTPUT: where datasets and runs go
set -euo pipefail
[ $# -eq 2 ] || { echo "usage: $0 DATA OUTPUT" >&2; exit 64; }
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
. "$here/launch/setup.sh"
swift build -c release --package-path "$here" --product inverse >&2
inverse=$(swift build -c release --package-path "$here" --show-bin-path)/inverse
data=$1
output=$2
ranks=${RANKS:-2}
mkdir -p "$output"

# Trains DATASET into RUN with the options that follow; a run that is finished is left alone.
train() {
  local dataset=$1 run=$2
  shift 2
  mpirun -n "$ranks" "$inverse" train "$output/$dataset" --output "$output/$run" --resume "$@" \
    >"$output/$run.txt"
}

# Prepares DATASET with the options that follow, once.
prepare() {
  local dataset=$1
  shift
  [ -d "$output/$dataset" ] || "$inverse" prepare "$@" "$output/$dataset"
}

# One line of a table: NAME, then the figures FIGURE … of the JSON on standard input.
row() {
  local name=$1
  shift
  python3 -c 'import json, sys
found = json.load(sys.stdin)
def find(value, key):
    if isinstance(value, dict):
        if key in value: return value[key]
        for inner in value.values():
            hit = find(inner, key)
            if hit is not None: return hit
    return None
print(f"{sys.argv[1]:24}" + "".join(f"  {key} {find(found, key):.4f}" for key in sys.argv[2:]))' \
    "$name" "$@"
}
