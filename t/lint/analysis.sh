#!/usr/bin/env bash
#
# cppcheck and clang-tidy over src, as TAP.

set -uo pipefail

build=${BUILD_DIR:-build}
pure="src/base src/proto src/media src/manifest"
glue="src/core src/ingest src/transcode src/http"
root=$PWD
count=0
failed=0


result() {
    local rc=$1 name=$2 output=$3

    count=$((count + 1))

    if ((rc == 0)); then
        echo "ok $count - $name"
        return
    fi

    echo "not ok $count - $name"
    echo "$output" | sed 's/^/# /'
    failed=1
}


sources() {
    find "$@" -name '*.c' 2>/dev/null | sort
}


includes() {
    local folder

    for folder in $pure $glue; do
        [[ ! -d $folder ]] || echo "-I$root/$folder"
    done
}


check_cppcheck() {
    local output

    # nginx's macros are not known to it: the checks of values need none
    # shellcheck disable=SC2046
    output=$(cppcheck --quiet --std=c11 --language=c --inline-suppr \
                 --enable=warning,performance,portability \
                 --suppress=missingInclude --suppress=unknownMacro \
                 --suppress=missingIncludeSystem --error-exitcode=1 \
                 -j 2 $(includes) src 2>&1)
    result $? "cppcheck" "$output"
}


# tidy NAME DIR FLAGS FOLDER...: FLAGS are relative to DIR.
tidy() {
    local name=$1 dir=$2 flags=$3 output

    shift 3

    # shellcheck disable=SC2016
    output=$(sources "$@" | sed "s|^|$root/|" \
             | (cd "$dir" && xargs -r -P 2 -n 2 sh -c '
                    header_filter=$1/src/.*; config=$1/.clang-tidy; flags=$2
                    shift 2
                    for file in "$@"; do
                        clang-tidy --quiet --config-file="$config" \
                            --header-filter="$header_filter" "$file" \
                            -- -std=gnu11 $flags
                    done' sh "$root" "$flags") 2>&1 \
             | grep -E ': (error|warning): |^Error')
    [[ -z $output ]]
    result $? "clang-tidy, $name" "${output//"$root/"/}"
}


check_tidy_glue() {
    local makefile=$build/nginx/objs/Makefile incs

    if [[ ! -f $makefile ]]; then
        result 1 "clang-tidy, nginx code" "no $makefile: run ./build.sh"
        return
    fi

    # what nginx's configure found, relative to its folder
    incs=$(sed -n '/^ALL_INCS/,/[^\\]$/p' "$makefile" \
           | tr -d '\\\n' | sed 's/^ALL_INCS *= *//')

    # shellcheck disable=SC2086
    tidy "nginx code" "$build/nginx" "$incs" $glue
}


check_cppcheck
# shellcheck disable=SC2046,SC2086
tidy "pure code" . "$(includes | tr '\n' ' ')" $pure
check_tidy_glue

echo "1..$count"
exit $failed
