#!/bin/bash
# compare_builds.sh BUILD_A BUILD_B [FIRST [COUNT]] - the same seeds must leave the same traces in
# two builds (another compiler, other optimisation, sanitizers).
set -euo pipefail

if [ $# -lt 2 ]; then
    echo "usage: $0 BUILD_A BUILD_B [FIRST [COUNT]]" >&2
    exit 2
fi
first=${3:-1}
count=${4:-10}
for build in "$1" "$2"; do
    if [ ! -x "$build/bin/sim_overlay" ]; then
        echo "$0: $build/bin/sim_overlay is not there; build the target sim_overlay first" >&2
        exit 2
    fi
done

a=$(mktemp)
b=$(mktemp)
trap 'rm -f "$a" "$b"' EXIT
"$1/bin/sim_overlay" --hashes "$first" "$count" >"$a" &
job=$!
"$2/bin/sim_overlay" --hashes "$first" "$count" >"$b"
wait "$job"
if ! diff "$a" "$b"; then
    echo "FAILED: $1 and $2 leave different traces" >&2
    exit 1
fi
echo "$count seeds leave the same traces in $1 and $2:"
cut -c 1-40 "$a"
