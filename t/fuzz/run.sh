#!/usr/bin/env bash
#
# t/fuzz/run.sh t/fuzz/fuzz_NAME.c: runs one fuzz target for FUZZ_SECONDS on
# its corpus t/fuzz/corpus/NAME, as one TAP test.  What it finds stays in
# build/fuzz: crash-* to look at, corpus/NAME to choose new seeds from.

set -uo pipefail

name=$(basename "$1" .c)
build=${BUILD_DIR:-build}
seconds=${FUZZ_SECONDS:-10}
target=$build/fuzz/$name
seeds=t/fuzz/corpus/${name#fuzz_}
found=$build/fuzz/corpus/${name#fuzz_}
log=$build/fuzz/$name.log

echo "1..1"

if [[ ! -x $target ]]; then
    echo "not ok 1 - $name is built"
    exit 1
fi

mkdir -p "$found"
corpora=("$found")

if [[ -d $seeds ]]; then
    corpora+=("$seeds")
fi

if timeout -k 10 $((seconds + 120)) "$target" \
       -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
       -print_final_stats=1 -artifact_prefix="$build/fuzz/" \
       "${corpora[@]}" > "$log" 2>&1
then
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    echo "ok 1 - $name, $seconds s, ${runs:-0} inputs"
else
    echo "not ok 1 - $name"
    tail -n 60 "$log" | sed 's/^/# /'
    exit 1
fi
