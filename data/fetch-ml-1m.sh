#!/usr/bin/env bash
# Downloads MovieLens-1M from GroupLens and unpacks ratings.dat and its README, which holds the terms.
#
#   ./data/fetch-ml-1m.sh DIRECTORY [SHA256]
#
# Prints the SHA-256 of the archive. With SHA256 an archive that differs is refused.
set -euo pipefail

fail() {
  echo "fetch-ml-1m: error: $*" >&2
  exit 1
}

[ $# -ge 1 ] && [ $# -le 2 ] || { echo "usage: $0 DIRECTORY [SHA256]" >&2; exit 64; }
directory=$1
expected=$(printf '%s' "${2:-}" | tr 'A-F' 'a-f')
case "$expected" in *[!0-9a-f]*) fail "'$2' is no SHA-256: 64 hexadecimal digits" ;; esac
[ -z "$expected" ] || [ ${#expected} -eq 64 ] || fail "'$2' is no SHA-256: 64 hexadecimal digits"
url=https://files.grouplens.org/datasets/movielens/ml-1m.zip
for tool in curl unzip sha256sum; do
  command -v "$tool" >/dev/null 2>&1 || fail "please install $tool"
done
[ ! -e "$directory/ratings.dat" ] || fail "$directory/ratings.dat is there already"

mkdir -p "$directory"
archive=$directory/ml-1m.zip
curl --fail --location --show-error --silent --output "$archive.partial" "$url" ||
  fail "could not download $url"
actual=$(sha256sum "$archive.partial" | cut -d ' ' -f 1)
echo "sha256 $actual"
if [ -n "$expected" ] && [ "$actual" != "$expected" ]; then
  rm -f "$archive.partial"
  fail "the archive's SHA-256 is not $expected: nothing was unpacked"
fi
mv "$archive.partial" "$archive"
unzip -q -o -j "$archive" ml-1m/ratings.dat ml-1m/README -d "$directory"
echo "terms of use: $directory/README"
echo "next: inverse prepare --interactions $directory/ratings.dat --split 0.6,0.2,0.2 dataset"
