#!/usr/bin/env bash
# Installs the peers that the benchmarks compare with, into a directory that git ignores:
# PyTorch into a virtual environment, LIBMF from its sources. Neither is needed for anything else.
#
#   ./Benchmarks/peers/setup.sh [directory]         default: Benchmarks/.peers
#
# TORCH_REQUIREMENT  what pip installs instead of torch, such as torch==2.5.1
# TORCH_INDEX        another package index, such as https://download.pytorch.org/whl/cpu, whose
#                    torch has no CUDA libraries and is much smaller
# LIBMF_SOURCE       a clone of LIBMF instead of the one on GitHub
set -euo pipefail
cd "$(dirname "$0")/../.."
root=${1:-Benchmarks/.peers}
mkdir -p "$root"

note() { echo "peers: $*" >&2; }

torch() {
  command -v python3 >/dev/null 2>&1 || { note "no python3: PyTorch left out"; return 0; }
  if ! "$root/venv/bin/python" -c "import torch, numpy" 2>/dev/null; then
    python3 -m venv "$root/venv" || { note "python3 has no venv: PyTorch left out"; return 0; }
    "$root/venv/bin/pip" install --quiet numpy || { note "pip failed: PyTorch left out"; return 0; }
    "$root/venv/bin/pip" install --quiet ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} \
      "${TORCH_REQUIREMENT:-torch}" || { note "pip failed: PyTorch left out"; return 0; }
  fi
  "$root/venv/bin/python" -c "import torch; print('PyTorch', torch.__version__)"
}

# The newest commit when this was written. Its own flags, with AVX in place of SSE where there is AVX.
libmf() {
  local source=${LIBMF_SOURCE:-https://github.com/cjlin1/libmf.git}
  local commit=1498368bc79f86b59376b39751b3a72757d0624e
  [ ! -x "$root/libmf/mf-train" ] || { echo "LIBMF: $root/libmf/mf-train"; return 0; }
  for tool in git make g++; do
    command -v "$tool" >/dev/null 2>&1 || { note "no $tool: LIBMF left out"; return 0; }
  done
  rm -rf "$root/libmf"
  git clone --quiet "$source" "$root/libmf" || { note "cannot clone $source: LIBMF left out"; return 0; }
  git -C "$root/libmf" checkout --quiet "$commit" || { note "no commit $commit: LIBMF left out"; return 0; }
  local flags="-DUSESSE -DUSEOMP"
  if grep -qw avx /proc/cpuinfo 2>/dev/null; then flags="-DUSEAVX -DUSEOMP"; fi
  make -C "$root/libmf" --silent mf-train DFLAG="$flags" ||
    { note "LIBMF does not build here: left out"; return 0; }
  echo "LIBMF: $root/libmf/mf-train, $flags"
}

torch
libmf
