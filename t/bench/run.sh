#!/usr/bin/env bash
#
# The bench: what the module costs beside nginx-rtmp and beside nginx serving
# static files.  Figures are CPU time of the server's worker, from /proc, over
# a window after a warm-up, never wall time; the sides take turns in one run.
#
#   BENCH_QUICK=1      short windows
#   BENCH_RUNS=3       turns of each side
#   BENCH_CASES="..."  some of: ingest segment playlist ll ll-streams ladder
#                      (docs stay as they are)
#   BENCH_STREAMS="50 200"
#   BENCH_PLAYERS="1 100 500 1000 5000"
#   TEST_LIVE_SO=FILE  the module, if not build/ngx_live_module.so

set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

. "$ROOT/t/bench/lib.sh"
. "$ROOT/t/bench/conf.sh"
. "$ROOT/t/bench/ll.sh"
. "$ROOT/t/bench/ladder.sh"
. "$ROOT/t/bench/table.sh"

SO=${TEST_LIVE_SO:-${BUILD_DIR:-$ROOT/build}/ngx_live_module.so}
SO=$(realpath -m "$SO")
RUNS=${BENCH_RUNS:-3}
ALL_CASES="ingest segment playlist ll ll-streams ladder"
CASES=${BENCH_CASES:-$ALL_CASES}
STREAMS=${BENCH_STREAMS:-50 200}
SEGMENT=2
best=cached

if [ -n "${BENCH_QUICK:-}" ]; then
    WINDOW=${BENCH_WINDOW:-10} KEEP=${BENCH_KEEP:-6}
    WARM=6
else
    WINDOW=${BENCH_WINDOW:-20} KEEP=${BENCH_KEEP:-20}
    WARM=10
fi


main() {
    local name

    [ "$RUNS" -ge 3 ] || die "at least 3 runs make a median"
    install_packages
    check_module
    make_material
    make_scratch

    RESULTS=$BUILD/results.txt
    : > "$RESULTS"
    say "results go to $RESULTS"

    for name in $CASES; do
        "bench_${name//-/_}"
    done

    write_report
}


check_module() {
    [ -e "$SO" ] || die "$SO is missing: run ./build.sh first"
}


# ---- ingest: CPU and memory of one publisher

bench_ingest() {
    local n run side

    for n in $STREAMS; do
        for run in $(seq "$RUNS"); do
            for side in rtmp_hls rtmp_receive live; do
                ingest_turn "$n" "$run" "$side"
            done
        done
    done
}


# A turn in which the load could not keep its time says little: once more.
ingest_turn() {
    local attempt

    for attempt in 1 2 3; do
        ingest_side "$@"
        [ -n "$LATE" ] || return 0
        say "attempt $attempt was disturbed: $LATE"
    done

    die "the machine is too busy to measure"
}


ingest_side() {
    local n=$1 run=$2 side=$3 idle before after began spent seen kib held

    start_server "$side" < <("conf_$side")
    idle=$(server_kib "$side")
    start_load "$n" "rtmp://127.0.0.1:$RTMP_PORT/live/s"

    [ "$side" != live ] || start_polling "$n"

    sleep "$WARM"
    [ "$side" != live ] || wait_until_freed

    seen=$(probe_streams "$side" "$n")
    began=$(date +%s%3N)
    before=$(worker_ms "$side")
    sleep "$WINDOW"
    after=$(worker_ms "$side")
    spent=$(($(date +%s%3N) - began))

    check_streams "$side" "$n" "$seen"
    kib=$((($(server_kib "$side") - idle) / n))
    held=0

    if [ "$side" = live ]; then
        stop_polling
        held=$(seconds_held)
    fi

    stop_load "$n"
    stop_server "$side"

    [ -z "$LATE" ] || return 0

    [ "$side" = rtmp_receive ] || record_memory "$n" "$run" "$side" "$kib"
    [ "$side" != live ] || record_held "$n" "$run" "$held"

    record "ingest$n" "$run" "$side" \
        "$(awk -v ms=$((after - before)) -v n="$n" -v s="$spent" \
               'BEGIN { printf "%.4f", ms * 1000 / n / s }')"
}


worker_ms() {
    local pid=WORKER_$1

    # shellcheck disable=SC2086
    cpu_ms ${!pid}
}


playlist_url() {
    case $1 in
        rtmp_hls) echo "file://$SCRATCH/rtmp_hls/hls/s$2.m3u8" ;;
        live) echo "http://127.0.0.1:$HTTP_PORT/live/s$2/playlist.m3u8" ;;
    esac
}


sampled_streams() {
    printf '%d\n' 0 $(($1 / 4)) $(($1 / 2)) $(($1 * 3 / 4)) $(($1 - 1)) \
        | sort -nu
}


# "STREAM PLAYLISTS SUM_OF_LAST_NUMBERS BYTES_PER_SECOND" of some streams
probe_streams() {
    local i url last

    [ "$1" != rtmp_receive ] || return 0

    for i in $(sampled_streams "$2"); do
        for url in $(all_media_playlists "$(playlist_url "$1" "$i")"); do
            last=$(segments "$url" | tail -n 1)
            [ -n "$last" ] || continue
            # shellcheck disable=SC2086
            set -- "$1" "$2" $last
            echo "$i $3 $4 $(url_size "$5")"
        done | awk -v i="$i" '{ k++; n += $2; rate += $4 / $3 }
                              END { print i, k + 0, n + 0, rate + 0 }'
    done
}


# A figure counts only if all that was published was packaged meanwhile: the
# playlists went on as time did, and the segments hold the bytes.
check_streams() {
    [ "$1" != rtmp_receive ] || return 0

    { echo "$3"; probe_streams "$1" "$2"; } | awk -v rate="$(material_rate)" \
        -v least=$((WINDOW / SEGMENT - 1)) '
        !($1 in number) { number[$1] = $3; next }
        {
            seen++
            if ($2 == 0 || ($3 - number[$1]) / $2 < least || $4 < 0.8 * rate)
                bad = 1
        }
        END { exit bad || seen == 0 }' \
        || die "$1: nothing or too little was packaged; before: $3;" \
               "after: $(probe_streams "$1" "$2")"
}


# ---- memory

server_kib() {
    local master=MASTER_$1 worker=WORKER_$1 files=0

    [ "$1" != rtmp_hls ] || files=$(du -sk "$SCRATCH/rtmp_hls/hls" | cut -f1)

    echo $(($(pss_kib "${!master}" "${!worker}") \
            + $(memfd_kib "${!worker}") + files))
}


record_memory() {
    record "memory$1" "$2" "$3" "$4"
}


record_held() {
    record "memory$1" "$2" held "$3"
    record "memory$1" "$2" bound \
        "$(awk -v r="$(material_rate)" -v s="$3" \
               'BEGIN { printf "%.0f", 1.1 * r * s / 1024 + 512 }')"
}


# Notes every segment that some streams ever list, at the cost of two playlist
# requests a second, so that it can be asked later which are still there.
start_polling() {
    local i streams

    streams=$(sampled_streams "$1" | head -n 4)
    rm -f "$SCRATCH"/seen.* "$SCRATCH"/media.*

    (
        while :; do
            for i in $streams; do
                poll_stream "$i" || true
                sleep 0.5
            done
        done
    ) &
    POLL=$!
    PIDS+=("$POLL")
}


poll_stream() {
    [ -s "$SCRATCH/media.$1" ] \
        || media_playlist "$(playlist_url live "$1")" > "$SCRATCH/media.$1"

    segments "$(cat "$SCRATCH/media.$1")" >> "$SCRATCH/seen.$1"
}


# The warm-up ends when media has begun to be freed, which costs time as well,
# in all of the streams, whose starts lie 2 s apart at most.
wait_until_freed() {
    local i url

    for i in $(seq $((KEEP * 4 + 60))); do
        url=$(sort -k1,1n "$SCRATCH/seen.0" | head -n 1 | sed 's/.* //')

        if ! curl -sfI --max-time 5 -o /dev/null "$url"; then
            sleep 4
            return
        fi

        sleep 1
    done

    die "media is never freed: $url is still there"
}


stop_polling() {
    kill "$POLL" 2> /dev/null || true
    wait "$POLL" 2> /dev/null || true
    forget_pid "$POLL"
}


# How many seconds of media a stream holds: from the oldest segment that can be
# fetched to the newest, and half of one that is being written.
seconds_held() {
    local file

    for file in "$SCRATCH"/seen.*; do
        poll_stream "${file##*.}"
        held_by_stream "$file"
    done | awk -v open="$SEGMENT" '
        { sum += $1 }
        END { printf "%.2f", (NR ? sum / NR : 0) + open / 2 }'
}


# What is gone is older than what is there, so halving finds the border.
held_by_stream() {
    local low=0 high middle all

    mapfile -t all < <(sort -u -k1,1n "$1")
    high=${#all[@]}

    while [ "$low" -lt "$high" ]; do
        middle=$(((low + high) / 2))

        if curl -sfI --max-time 5 -o /dev/null "${all[$middle]##* }"; then
            high=$middle
        else
            low=$((middle + 1))
        fi
    done

    [ "$low" -lt "${#all[@]}" ] || die "no segment can be fetched"

    printf '%s\n' "${all[@]:$low}" | awk '{ sum += $2 } END { print sum }'
}


# ---- delivery of one segment

bench_segment() {
    local run url file=$SCRATCH/files/segment.m4s

    mkdir -p "$SCRATCH/files"
    rm -f "$SCRATCH/files/playlist.m3u8"
    start_server live < <(conf_live)
    start_load 1 "rtmp://127.0.0.1:$RTMP_PORT/long/s"
    sleep 14

    url=$(media_playlist "http://127.0.0.1:$HTTP_PORT/long/s0/playlist.m3u8")
    url=$(segments "$url" | sed -n '2s/.* //p')
    [ -n "$url" ] || die "no segment to deliver"
    curl -sf -o "$file" "$url"
    SEGMENT_BYTES=$(stat -c %s "$file")
    start_server static < <(conf_static)

    for run in $(seq "$RUNS"); do
        segment_side "$run" live live "$url"
        segment_side "$run" file static \
            "http://127.0.0.1:$STATIC_PORT/file/segment.m4s"
    done

    curl -sf "$url" | cmp - "$file" || die "the segment changed"
    stop_server static
    stop_load 1
    stop_server live
}


segment_side() {
    local pid=WORKER_$3 figures

    figures=$(http_load "${!pid}" "$WINDOW" "$4")
    record segment "$1" "$2" "$(echo "$figures" | cut -d' ' -f2)"
}


# ---- delivery of a media playlist

bench_playlist() {
    local run url root=http://127.0.0.1:$STATIC_PORT

    mkdir -p "$SCRATCH/files"
    start_server live < <(conf_live)
    start_load 1 "rtmp://127.0.0.1:$RTMP_PORT/live/s"

    # until the playlist has its full length
    sleep $((KEEP + SEGMENT * 3))

    url=$(media_playlist "$(playlist_url live 0)")
    curl -sf -o "$SCRATCH/files/playlist.m3u8" "$url"
    gzip -9 -k "$SCRATCH/files/playlist.m3u8"
    PLAYLIST_BYTES=$(stat -c %s "$SCRATCH/files/playlist.m3u8")
    GZIP_BYTES=$(stat -c %s "$SCRATCH/files/playlist.m3u8.gz")

    start_server static < <(conf_static)
    check_gzip "$url"
    check_gzip "$root/cached/playlist.m3u8"

    for run in $(seq "$RUNS"); do
        playlist_side "$run" live live "$url"
        playlist_side "$run" cached static "$root/cached/playlist.m3u8"
        playlist_side "$run" cached_copy static \
            "$root/cached_copy/playlist.m3u8"
        playlist_side "$run" return static "$root/return"
    done

    best=$(cheaper_cache)

    for run in $(seq "$RUNS"); do
        playlist_side "$run" live_gzip live "$url" \
            -H "Accept-Encoding: gzip"
        playlist_side "$run" gzip_static static "$root/$best/playlist.m3u8" \
            -H "Accept-Encoding: gzip"
    done

    stop_server static
    stop_load 1
    stop_server live
}


# open_file_cache with sendfile or without: the better one is the peer
cheaper_cache() {
    local with without

    with=$(values playlist cached | spread 3)
    without=$(values playlist cached_copy | spread 3)

    awk -v a="${with%% *}" -v b="${without%% *}" \
        'BEGIN { print a <= b ? "cached" : "cached_copy" }'
}


check_gzip() {
    curl -sf -D - -o /dev/null -H "Accept-Encoding: gzip" "$1" \
        | grep -qi '^content-encoding: gzip' || die "$1 is not gzipped"
}


playlist_side() {
    local run=$1 side=$2 pid=WORKER_$3 figures

    figures=$(http_load "${!pid}" "$WINDOW" "${@:4}")
    record playlist "$run" "$side" "$(echo "$figures" | cut -d' ' -f1)"
}


[ "${BASH_SOURCE[0]}" != "$0" ] || main "$@"
