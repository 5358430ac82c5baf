# The cases of low latency: players that follow one stream, or each its own.
# Sourced by run.sh.

PLAYERS=${BENCH_PLAYERS:-1 100 500 1000 5000}
SHARED_PLAYERS="1000 5000"      # with two workers, who share the load's core
AUDIO_PLAYERS=1000
HINT_PLAYERS=1000               # who ask for hinted parts
HALF_PLAYERS=5000               # with parts of half a second
LL_STREAMS=${BENCH_LL_STREAMS:-500}
PARKED=5000
LL_WARM=2

if [ -n "${BENCH_QUICK:-}" ]; then
    LL_WINDOW=${BENCH_WINDOW:-4}
else
    LL_WINDOW=${BENCH_WINDOW:-6}
fi


# ---- one stream, many players

bench_ll() {
    local run n

    ll_start 1 "$SERVER_CORE"
    ll_parked

    for run in $(seq "$RUNS"); do
        ll_idle

        for n in $PLAYERS; do
            ll_turn "$run" parts "$n" 1
            [ "$n" = 1 ] || ll_turn "$run" poll "$n" 1
        done

        ll_turn "$run" hints "$HINT_PLAYERS" 1
        ll_limit "$run" 1
        ll_turn "$run" halves "$HALF_PLAYERS" 1
        ll_turn "$run" audio "$AUDIO_PLAYERS" 1
    done

    ll_stop
    ll_start 2 "$SERVER_CORE,$LOAD_CORE"

    for run in $(seq "$RUNS"); do
        ll_idle

        for n in $SHARED_PLAYERS; do
            ll_turn "$run" parts "$n" 2
        done

        ll_turn "$run" hints "$HINT_PLAYERS" 2
        ll_limit "$run" 2
    done

    ll_stop
}


# WORKERS CORES
ll_start() {
    local app

    start_server low_latency "$1" "$2" < <(conf_low_latency)

    for app in parts poll parked; do
        LOAD_NAME=$app start_load 1 "rtmp://127.0.0.1:$RTMP_PORT/$app/s" -s -v
    done

    LOAD_NAME=audio start_load 1 "rtmp://127.0.0.1:$RTMP_PORT/audio/s" -s

    # until the first segment of 8 s is over
    sleep 10
}


ll_stop() {
    local app

    for app in parts poll parked audio; do
        LOAD_NAME=$app stop_load 1
    done

    stop_server low_latency
}


# us that the workers have run, all threads
ll_cpu() {
    local pid

    for pid in $WORKER_low_latency; do
        cat "/proc/$pid/task/"*/schedstat
    done | awk '{ sum += $1 } END { printf "%.0f\n", sum / 1000 }'
}


# What the publishers cost, which is no player's: IDLE, us a second.
ll_idle() {
    local began before

    began=$(date +%s%N)
    before=$(ll_cpu)
    sleep 3
    IDLE=$(awk -v cpu=$(($(ll_cpu) - before)) \
               -v ns=$(($(date +%s%N) - began)) \
               'BEGIN { printf "%.3f", cpu * 1e9 / ns }')
}


# OPTIONS; PLAYERS_PID follows the stream and has settled
ll_players() {
    rm -f "$SCRATCH/players.json" "$SCRATCH/players.log"

    taskset -c "$LOAD_CORE" "$BUILD/hls_load" "$@" \
        > "$SCRATCH/players.json" 2> "$SCRATCH/players.log" &
    PLAYERS_PID=$!
    PIDS+=("$PLAYERS_PID")

    wait_ready "$PLAYERS_PID" "$SCRATCH/players.log" 40 \
        || die "players did not get on: $(cat "$SCRATCH/players.log")"
}


ll_players_end() {
    kill -TERM "$PLAYERS_PID" 2> /dev/null || true
    wait "$PLAYERS_PID" || true
    forget_pid "$PLAYERS_PID"

    [ -s "$SCRATCH/players.json" ] || die "players: no figures"
    say "$(cat "$SCRATCH/players.json")"
    head -n 3 "$SCRATCH/players.log" | grep -v '^ready' >&2 || true
}


# RUN KIND VIEWERS WORKERS
ll_turn() {
    local root=http://127.0.0.1:$HTTP_PORT options=(-n "$3")

    case $2 in
        parts)
            options+=(-l 300 "$root/parts/s0/source/playlist.m3u8") ;;
        hints)
            options+=(-H -l 300 "$root/parts/s0/source/playlist.m3u8") ;;
        halves)
            options+=(-l 750 "$root/audio/s0/source/playlist.m3u8") ;;
        audio)
            options+=(-l 750 "$root/audio/s0/source/playlist.m3u8"
                      "$root/audio/s0/audio/playlist.m3u8") ;;
        poll)
            options+=(-P $((SEGMENT * 500)) -l $((SEGMENT * 1500))
                      "$root/poll/s0/source/playlist.m3u8") ;;
    esac

    ll_players "${options[@]}"
    sleep "$LL_WARM"
    ll_window "ll_$2_$3_$4" "$1" "$3"
}


# CASE RUN VIEWERS: the figures of players that are there
ll_window() {
    local key value before after began spent

    kill -USR1 "$PLAYERS_PID"
    began=$(date +%s%N)
    before=$(ll_cpu)
    sleep "$LL_WINDOW"
    after=$(ll_cpu)
    spent=$(($(date +%s%N) - began))
    ll_players_end

    [ "$(json parts players)" != 0 ] || die "$1: no part was fetched"

    record "$1" "$2" cpu \
        "$(awk -v us=$((after - before)) -v ns="$spent" -v idle="$IDLE" \
               -v n="$3" \
               'BEGIN { printf "%.4f", (us * 1e9 / ns - idle) / n / 1000 }')"
    record "$1" "$2" core \
        "$(awk -v us=$((after - before)) -v ns="$spent" \
               'BEGIN { printf "%.1f", us * 1e5 / ns }')"

    for key in delay_p50 delay_p99 delay_max last_p50 last_p99 playlist_p99 \
               stalls missed errors requests load_percent; do
        value=$(json "$key" players)
        [ -z "$value" ] || record "$1" "$2" "$key" "$value"
    done
}


# RUN WORKERS: what this nginx takes to send a file of a part's size from tmpfs
# to as many clients that ask for it at once, which is the least that any part
# could take.
ll_limit() {
    local key

    mkdir -p "$SCRATCH/limit"
    head -c $(($(material_rate) / 5)) /dev/urandom > "$SCRATCH/limit/part.m4s"

    taskset -c "$LOAD_CORE" "$BUILD/burst" -n "$HINT_PLAYERS" -r 25 -i 200 \
        127.0.0.1 "$HTTP_PORT" /limit/part.m4s > "$SCRATCH/burst.json" \
        || die "a burst failed"

    for key in delay_p50 delay_p99 delay_max; do
        record "ll_limit_$2" "$1" "$key" "$(json "$key" burst)"
    done

    rm -r "$SCRATCH/limit"
}


# What requests that wait take: KiB each, of the workers and of the kernel.
# Only at the beginning, as freed memory stays with a process.
ll_parked() {
    local rss slab

    rss=$(ll_rss)
    slab=$(ll_slab)
    ll_players -p -n "$PARKED" \
        "http://127.0.0.1:$HTTP_PORT/parked/s0/source/playlist.m3u8"
    sleep 1

    record ll_parked 1 worker \
        "$(awk -v k=$(($(ll_rss) - rss)) -v n="$PARKED" \
               'BEGIN { printf "%.2f", k / n }')"
    record ll_parked 1 kernel \
        "$(awk -v k=$(($(ll_slab) - slab)) -v n="$PARKED" \
               'BEGIN { printf "%.2f", k / n }')"
    ll_players_end
    [ "$(json errors players)" = 0 ] || die "parked requests failed"
}


ll_rss() {
    # shellcheck disable=SC2086
    pss_kib $WORKER_low_latency
}


# The slabs of the whole machine, so of both ends, and what sockets buffer.
ll_slab() {
    awk '/^Slab:/ { sum += $2 }
         /^TCP:/  { sum += $11 * 4 }
         END      { print sum }' /proc/meminfo /proc/net/sockstat
}


# ---- many streams, a player each

bench_ll_streams() {
    local run n=$LL_STREAMS

    start_server low_latency 1 "$SERVER_CORE" < <(conf_low_latency)
    start_load "$n" "rtmp://127.0.0.1:$RTMP_PORT/parts/s" -s -v

    # until media is freed again, which costs time as well
    sleep 20

    for run in $(seq "$RUNS"); do
        ll_idle
        record ll_streams "$run" ingest "$(awk -v us="$IDLE" -v n="$n" \
            'BEGIN { printf "%.4f", us / n / 1000 }')"

        ll_players -n "$n" -s "$n" -l 300 \
            "http://127.0.0.1:$HTTP_PORT/parts/s%u/source/playlist.m3u8"
        sleep "$LL_WARM"
        ll_window ll_streams "$run" "$n"
    done

    stop_load "$n"
    stop_server low_latency
}


# ---- the report

ll_text() {
    echo
    echo "### Low latency"

    case " $CASES " in *" ll "*) ll_goals; ll_one_stream ;; esac
    case " $CASES " in *" ll-streams "*) ll_many_streams ;; esac
}


# Figures of others were measured once, on another machine.
ll_goals() {
    echo
    echo "| case | this module | goal | met | others |"
    echo "| --- | --- | --- | --- | --- |"

    ll_goal "500 players, parts of 200 ms, CPU ms per player-second" 3 \
        ll_parts_500_1 cpu "<= 0.7" \
        "Kaltura media-framework 1.49, and 2.14 with 100"
    ll_goal "500 players, stalls" 0 ll_parts_500_1 stalls "<= 0" \
        "Kaltura media-framework: 956 in 36 s"
    ll_goal "1 player, newest frame at the last byte, ms, median" 1 \
        ll_parts_1_1 delay_p50 "<= 252" "Kaltura media-framework 252"
    ll_goal "1,000 players, the same, ms, 99th percentile" 1 \
        ll_parts_1000_1 delay_p99 "<= 20" "-"
    ll_goal "1,000 players that ask for hinted parts, the same" 1 \
        "ll_hints_${HINT_PLAYERS}_1" delay_p99 "<= 20" "-"
    ll_goal "the same, two workers" 1 \
        "ll_hints_${HINT_PLAYERS}_2" delay_p99 "<= 20" "-"
    ll_limits 1 "one worker"
    ll_limits 2 "two workers"
    ll_goal "1,000 players, stalls" 0 ll_parts_1000_1 stalls "<= 0" "-"
    ll_goal "500 players polling, CPU ms per player-second" 3 \
        ll_poll_500_1 cpu "" \
        "nginx, static files 0.149; SRS's own server 0.66"
}


# WORKERS TEXT: beside what they take at the least
ll_limits() {
    local key

    for key in p50 p99; do
        ll_goal "1,000 requests for a file of that size at once, $2, ms, $key" \
            1 "ll_limit_$1" "delay_$key" "" "what nginx itself takes"
    done
}


# TITLE DIGITS CASE SIDE GOAL OTHERS
ll_goal() {
    local figure met=-

    figure=$(values "$3" "$4" | spread "$2")
    [ "$figure" != - ] || return 0

    [ -z "$5" ] || met=$(echo "${figure%% *} $5" | awk '
        { print $1 <= $3 ? "yes" : "no" }')

    echo "| $1 | $figure | ${5:--} | $met | $6 |"
}


ll_one_stream() {
    local n

    ll_head

    for n in $PLAYERS; do
        ll_row "$n" "blocking reload, parts of 200 ms" 1 "ll_parts_${n}_1"
    done

    for n in $SHARED_PLAYERS; do
        ll_row "$n" "the same, parts of 200 ms" 2 "ll_parts_${n}_2"
    done

    for n in 1 2; do
        ll_row "$HINT_PLAYERS" "the same, hinted parts asked for ahead" "$n" \
            "ll_hints_${HINT_PLAYERS}_$n"
    done

    ll_row "$HALF_PLAYERS" "blocking reload, parts of 500 ms" 1 \
        "ll_halves_${HALF_PLAYERS}_1"
    ll_row "$AUDIO_PLAYERS" "the same, and audio beside it" 1 \
        "ll_audio_${AUDIO_PLAYERS}_1"

    for n in $PLAYERS; do
        ll_row "$n" "polling each second, segments of 2 s" 1 "ll_poll_${n}_1"
    done

    echo
    echo "A request that waits, one of $PARKED:" \
         "$(values ll_parked worker | spread 1 | sed 's/ .*//') KiB of the" \
         "worker; with both ends of its connection" \
         "$(values ll_parked kernel | spread 1 | sed 's/ .*//') KiB of the" \
         "kernel."
}


ll_many_streams() {
    ll_head
    ll_row "$LL_STREAMS" "one on each of $LL_STREAMS streams" 1 ll_streams
    echo
    echo "Receiving these streams costs" \
         "$(values ll_streams ingest | spread 3) CPU ms per stream-second," \
         "which is not in the row above."
}


ll_head() {
    echo
    echo "| players | that do | workers | CPU ms per player-second" \
         "| core, % | delay p50, ms | p99 | max | to the last player p50 | p99" \
         "| playlist p99 | stalls | missed | errors | load's core, % |"
    echo "| ---: | --- | ---: | --- | ---: | ---: | --- | ---: | ---: | ---: |" \
         "---: | ---: | ---: | ---: | ---: |"
}


# PLAYERS WHAT WORKERS CASE
ll_row() {
    local cpu=-

    [ -n "$(values "$4" core)" ] || return 0

    # of one player it is lost in the noise of the publishers
    [ "$1" -lt 100 ] || cpu=$(values "$4" cpu | spread 3)

    echo "| $1 | $2 | $3 | $cpu | $(ll_median "$4" core 0)" \
         "| $(ll_median "$4" delay_p50 1)" \
         "| $(values "$4" delay_p99 | spread 1)" \
         "| $(values "$4" delay_max | sort -g | tail -n 1 | ll_round)" \
         "| $(ll_median "$4" last_p50 1) | $(ll_median "$4" last_p99 1)" \
         "| $(ll_median "$4" playlist_p99 1)" \
         "| $(ll_sum "$4" stalls) | $(ll_sum "$4" missed)" \
         "| $(ll_sum "$4" errors) | $(ll_median "$4" load_percent 0) |"
}


ll_median() {
    values "$1" "$2" | spread "$3" | sed 's/ .*//'
}


ll_sum() {
    values "$1" "$2" | awk '{ sum += $1 } END { print sum + 0 }'
}


ll_round() {
    awk '{ printf "%.1f\n", $1 }'
}
