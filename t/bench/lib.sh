# Mechanics of the bench: packages, servers, load, accounting, statistics.
# Sourced by run.sh; everything started here is ended by its pid.

SERVER_CORE=${BENCH_SERVER_CORE:-0}
LOAD_CORE=${BENCH_LOAD_CORE:-1}
RTMP_PORT=${BENCH_RTMP_PORT:-19350}
HTTP_PORT=${BENCH_HTTP_PORT:-18080}
STATIC_PORT=${BENCH_STATIC_PORT:-18081}

# never exported: nginx takes a variable of this name for inherited sockets
unset NGINX
NGINX=${BENCH_NGINX:-$(PATH=$PATH:/usr/sbin command -v nginx || echo nginx)}
BUILD=${BUILD_DIR:-$ROOT/build}/bench
FLV=$BUILD/720p30.flv
TICKS=$(getconf CLK_TCK)
PIDS=()


die() {
    echo "bench: $*" >&2
    exit 1
}


say() {
    echo "# $*" >&2
}


# ---- set-up

install_packages() {
    local want=() policy=/usr/sbin/policy-rc.d made=

    command -v "$NGINX" > /dev/null || want+=(nginx)
    [ -e "$(modules_dir)/ngx_rtmp_module.so" ] || want+=(libnginx-mod-rtmp)
    [ -e "$(modules_dir)/ngx_stream_module.so" ] || want+=(libnginx-mod-stream)
    command -v ffmpeg > /dev/null || want+=(ffmpeg)
    command -v wrk > /dev/null || want+=(wrk)
    command -v curl > /dev/null || want+=(curl)
    command -v cc > /dev/null || want+=(gcc libc6-dev)

    [ ${#want[@]} -gt 0 ] || return 0
    [ "$(id -u)" = 0 ] || die "missing packages: ${want[*]}"

    say "installing ${want[*]}"

    # a package of a server must not start it here
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' > $policy
        chmod 755 $policy
        made=1
    fi

    DEBIAN_FRONTEND=noninteractive apt-get -qq update > /dev/null || true
    DEBIAN_FRONTEND=noninteractive apt-get -qq install -y \
        --no-install-recommends "${want[@]}" > /dev/null 2>&1 \
        || { [ -z "$made" ] || rm -f $policy; die "cannot install ${want[*]}"; }

    [ -z "$made" ] || rm -f $policy
    NGINX=$(PATH=$PATH:/usr/sbin command -v nginx)
}


modules_dir() {
    local dir

    dir=$("$NGINX" -V 2>&1 | sed -n 's/.*--modules-path=\([^ ]*\).*/\1/p') \
        || true
    echo "${dir:-/usr/lib/nginx/modules}"
}


make_programs() {
    mkdir -p "$BUILD"

    cc -std=c17 -O2 -Wall -Wextra -Werror -o "$BUILD/rtmp_load" \
        "$ROOT"/t/bench/rtmp_load*.c
    cc -std=c17 -O2 -Wall -Wextra -Werror -o "$BUILD/hls_load" \
        "$ROOT"/t/bench/hls_load*.c
    cc -std=c17 -O2 -Wall -Wextra -Werror -o "$BUILD/burst" \
        "$ROOT"/t/bench/burst.c
}


make_material() {
    make_programs

    [ -s "$FLV" ] && return

    say "encoding 60 s of 720p30 (once)"

    ffmpeg -v error -y \
        -f lavfi -i testsrc2=size=1280x720:rate=30 \
        -f lavfi -i sine=frequency=440:sample_rate=48000 -t 60 \
        -vf noise=alls=20:allf=t,format=yuv420p -c:v libx264 \
        -preset veryfast -profile:v high -b:v 2500k -minrate 2500k \
        -maxrate 2500k -bufsize 2500k -bf 0 -g 60 -keyint_min 60 \
        -sc_threshold 0 -c:a aac -b:a 128k -ac 2 \
        -flvflags no_duration_filesize "$FLV.part.flv"
    mv "$FLV.part.flv" "$FLV"
}


make_scratch() {
    [ "$(stat -f -c %T /dev/shm)" = tmpfs ] || die "/dev/shm is not a tmpfs"
    [ "$(nproc)" -ge 2 ] || die "two cores are needed"

    SCRATCH=$(mktemp -d /dev/shm/live_bench.XXXXXX)
    chmod 755 "$SCRATCH"
    trap clean_up EXIT
    trap 'exit 130' INT TERM
}


clean_up() {
    local pid

    for pid in ${PIDS[@]+"${PIDS[@]}"}; do
        kill -TERM "$pid" 2> /dev/null || true
    done

    wait 2> /dev/null || true
    rm -rf "$SCRATCH"
}


forget_pid() {
    local pid kept=()

    for pid in ${PIDS[@]+"${PIDS[@]}"}; do
        [ "$pid" = "$1" ] || kept+=("$pid")
    done

    PIDS=(${kept[@]+"${kept[@]}"})
}


# ---- servers: each has a directory of its own in $SCRATCH

# NAME [WORKERS [CORES]], configuration on stdin; sets MASTER_NAME and
# WORKER_NAME, which has the pids of all of them
start_server() {
    local name=$1 count=${2:-1} cores=${3:-$SERVER_CORE} dir=$SCRATCH/$1
    local master worker i

    mkdir -p "$dir/tmp"

    {
        [ "$(id -u)" != 0 ] || echo "user root;"
        echo "daemon off; worker_processes $count; pid $dir/pid;"
        echo "worker_rlimit_nofile 16384; error_log $dir/error.log error;"
        echo "events { worker_connections 14000; multi_accept on; }"
        cat
    } > "$dir/body"

    # load_module has to come first
    { grep '^load_module' "$dir/body" || true
      grep -v '^load_module' "$dir/body"; } > "$dir/nginx.conf"

    taskset -c "$cores" "$NGINX" -p "$dir/" -c "$dir/nginx.conf" \
        -e "$dir/error.log" &
    master=$!
    PIDS+=("$master")

    for i in $(seq 50); do
        worker=$(workers_of "$master")
        [ "$(wc -w <<< "$worker")" -ne "$count" ] || break
        kill -0 "$master" 2> /dev/null || break
        sleep 0.1
    done

    [ "$(wc -w <<< "$worker")" -eq "$count" ] \
        || die "$name did not start: $(tail -n 3 "$dir/error.log")"

    printf -v "MASTER_$name" %s "$master"
    printf -v "WORKER_$name" %s "$worker"
    sleep 0.3
}


# others than workers: nginx-rtmp has a cache manager, which removes old files
workers_of() {
    local child found=()

    for child in $(cat "/proc/$1/task/$1/children" 2> /dev/null); do
        if grep -aq 'nginx: worker' "/proc/$child/cmdline" 2> /dev/null; then
            found+=("$child")
        fi
    done

    echo "${found[@]}"
}


stop_server() {
    local master=MASTER_$1

    kill -TERM "${!master}" 2> /dev/null || true
    wait "${!master}" 2> /dev/null || true
    forget_pid "${!master}"

    if grep -q '\[\(alert\|emerg\|crit\)\]' "$SCRATCH/$1/error.log"; then
        grep '\[\(alert\|emerg\|crit\)\]' "$SCRATCH/$1/error.log" \
            | head -n 5 >&2
        die "$1 logged an alert"
    fi

    rm -rf "${SCRATCH:?}/$1"
}


http_temp_paths() {
    local dir=$SCRATCH/$1/tmp

    echo "access_log off; client_body_temp_path $dir/body;"
    echo "proxy_temp_path $dir/proxy; fastcgi_temp_path $dir/fastcgi;"
    echo "uwsgi_temp_path $dir/uwsgi; scgi_temp_path $dir/scgi;"
    echo "sendfile on; keepalive_requests 1000000000;"
    echo "types { application/vnd.apple.mpegurl m3u8; video/mp4 mp4 m4s; }"
}


# ---- accounting

# CPU time of processes in ms: utime + stime, all their threads
cpu_ms() {
    local pid

    for pid in "$@"; do
        sed 's/.*) //' "/proc/$pid/stat"
    done | awk -v ticks="$TICKS" '
        { sum += $12 + $13 }
        END { printf "%d\n", sum * 1000 / ticks }'
}


# A server's own memory in KiB: Pss of master and workers, but only of what can
# grow (heap, anonymous and nginx's shared zones).  Programs and libraries do
# not, and their Pss depends on who else has them mapped just now; the blocks
# of the memfd are counted once, by memfd_kib.
pss_kib() {
    local pid

    for pid in "$@"; do
        cat "/proc/$pid/smaps" 2> /dev/null
    done | awk '
        /^[0-9a-f]+-[0-9a-f]+ / { skip = $6 ~ /^\// && $6 != "/dev/zero" }
        /^Pss:/ && !skip        { sum += $2 }
        END                     { printf "%d\n", sum }'
}


# Memory behind the memfds that a process holds, in KiB, each counted once.
memfd_kib() {
    local fd

    for fd in /proc/"$1"/fd/*; do
        case $(readlink "$fd" 2> /dev/null) in
            /memfd:*) stat -L -c '%i %b' "$fd" ;;
        esac
    done | sort -u | awk '{ sum += $2 } END { printf "%d\n", sum / 2 }'
}


# ---- RTMP load

# PUBLISHERS URL_PREFIX [OPTIONS]; returns when all of them publish.  There may
# be several loads of different LOAD_NAME.
start_load() {
    local name=${LOAD_NAME:-load}

    rm -f "$SCRATCH/$name.json" "$SCRATCH/$name.log"

    taskset -c "$LOAD_CORE" "$BUILD/rtmp_load" -n "$1" -f "$FLV" "${@:3}" \
        "$2" > "$SCRATCH/$name.json" 2> "$SCRATCH/$name.log" &
    printf -v "LOAD_$name" %s "$!"
    PIDS+=("$!")

    wait_ready "$!" "$SCRATCH/$name.log" 15 \
        || die "$2: not every publisher was let in:" \
               "$(head -n 3 "$SCRATCH/$name.log")"
}


# PID LOG SECONDS: until the load says so
wait_ready() {
    local i

    for i in $(seq $(($3 * 10))); do
        if grep -q '^ready' "$2"; then
            return 0
        fi

        kill -0 "$1" 2> /dev/null || return 1
        sleep 0.1
    done

    return 1
}


# Ends the load; refuses a run in which publishers were lost, and sets LATE if
# more than 2% of the messages left 100 ms or more after their time.
stop_load() {
    local n=$1 name=${LOAD_NAME:-load} pid seconds bytes rate

    LATE=
    pid=LOAD_$name
    kill -TERM "${!pid}" 2> /dev/null || true
    wait "${!pid}" || true
    forget_pid "${!pid}"

    [ "$(json errors)" = 0 ] && [ "$(json publishing)" = "$n" ] \
        || die "publishers were lost: $(cat "$SCRATCH/$name.json" \
                                            "$SCRATCH/$name.log")"

    if [ $(($(json late) * 50)) -gt "$(json messages)" ]; then
        LATE=$(cat "$SCRATCH/$name.json")
        return
    fi

    seconds=$(json seconds)
    bytes=$(json payload)
    rate=$(json stream_bytes_per_second)

    # the starts are spread over 2 s
    awk -v b="$bytes" -v s="$seconds" -v r="$rate" -v n="$n" \
        'BEGIN { exit !(b > 0.95 * r * n * (s - 1.5)) }' \
        || die "the server took less than was sent:" \
               "$(cat "$SCRATCH/$name.json")"
}


# KEY [LOAD]
json() {
    sed -n "s/.*\"$1\": \([0-9.]*\).*/\1/p" "$SCRATCH/${2:-${LOAD_NAME:-load}}.json"
}


# bytes of media that a publisher sends a second, no container counted
material_rate() {
    "$BUILD/rtmp_load" -i -f "$FLV"
}


# ---- HTTP load

# WORKER_PID SECONDS URL [wrk arguments]; prints
# "CPU_US_PER_REQUEST BYTES_PER_CPU_SECOND REQUESTS"
http_load() {
    local pid=$1 seconds=$2 url=$3 before after totals

    shift 3
    before=$(cpu_ms "$pid")
    totals=$(taskset -c "$LOAD_CORE" wrk -t1 -c100 -d"${seconds}s" \
                 --timeout 10s -s "$ROOT/t/bench/report.lua" "$@" "$url" \
             | sed -n 's/^TOTALS //p')
    after=$(cpu_ms "$pid")

    echo "$totals" | awk -v ms=$((after - before)) '
        NF != 3 || $3 != 0 || $1 == 0 || ms == 0 { exit 1 }
        { printf "%.3f %.0f %d\n", ms * 1000 / $1, $2 * 1000 / ms, $1 }' \
        || die "$url: wrk saw errors ($totals)"
}


# ---- HLS

# URL of a playlist -> URL of its first video media playlist
media_playlist() {
    local body uri

    body=$(curl -sf --max-time 5 "$1") || return 1

    case $body in
        *'#EXT-X-STREAM-INF'*)
            uri=$(echo "$body" | tr -d '\r' \
                  | awk '/^#EXT-X-STREAM-INF/ { hit = 1; next }
                         hit && /^[^#]/ { print; exit }')
            resolve "$1" "$uri"
            ;;

        *) echo "$1" ;;
    esac
}


# URL of a playlist -> URLs of all its media playlists, audio included
all_media_playlists() {
    local body uri

    body=$(curl -sf --max-time 5 "$1") || return 1

    case $body in
        *'#EXT-X-STREAM-INF'*)
            echo "$body" | tr -d '\r' | awk '
                /^#EXT-X-MEDIA:/ && match($0, /[:,]URI="[^"]*"/) {
                    print substr($0, RSTART + 6, RLENGTH - 7) }
                /^[^#]/ { print }' | sort -u \
                | while read -r uri; do resolve "$1" "$uri"; done
            ;;

        *) echo "$1" ;;
    esac
}


resolve() {
    case $2 in
        http*) echo "$2" ;;
        /*) echo "$1" | sed "s#^\(http://[^/]*\).*#\1$2#" ;;
        *) echo "${1%/*}/$2" ;;
    esac
}


# URL of a media playlist -> "NUMBER DURATION URL" of each segment
segments() {
    curl -sf --max-time 5 "$1" | tr -d '\r' | awk '
        /^#EXT-X-MEDIA-SEQUENCE:/ { split($0, part, ":"); n = part[2] }
        /^#EXTINF:/               { split(substr($0, 9), part, ",") }
        /^[^#]/                   { print n++, part[1], $0 }' \
        | while read -r n duration uri; do
              echo "$n $duration $(resolve "$1" "$uri")"
          done
}


url_size() {
    curl -sf --max-time 5 -o /dev/null -w '%{size_download}' "$1"
}


# ---- statistics: results are lines "CASE RUN SIDE VALUE"

record() {
    echo "$1 $2 $3 $4" >> "$RESULTS"
    say "$1 run $2 $3: $4"
}


# CASE SIDE -> one value a run
values() {
    awk -v c="$1" -v s="$2" '$1 == c && $3 == s { print $4 }' "$RESULTS"
}


# CASE SIDE_A SIDE_B -> A/B, one a run, of sides measured one after the other
ratios() {
    awk -v c="$1" -v a="$2" -v b="$3" '
        $1 == c && $3 == a { x[$2] = $4 }
        $1 == c && $3 == b { y[$2] = $4 }
        END { for (r in x) if (y[r] > 0) printf "%.6f\n", x[r] / y[r] }' \
        "$RESULTS"
}


# numbers on stdin -> "MEDIAN (MIN..MAX)" with DIGITS after the point
spread() {
    sort -g | awk -v d="$1" '
        { v[NR] = $1 }
        END {
            if (NR == 0) { print "-"; exit }
            m = NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2
            printf "%.*f (%.*f..%.*f)\n", d, m, d, v[1], d, v[NR]
        }'
}
