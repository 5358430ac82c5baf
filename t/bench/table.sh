# The report: markdown, printed and put into docs/performance.md.

write_report() {
    local doc=$ROOT/docs/performance.md report=$BUILD/report.md

    report_text > "$report"
    cat "$report"

    if [ "$CASES" != "$ALL_CASES" ]; then
        say "not all cases were run: $doc is left as it is"
        return
    fi

    put_report "$doc" "$report"
    say "$doc is up to date"
}


# DOC REPORT: what stands between the markers is replaced
put_report() {
    grep -q '^<!-- bench:begin -->$' "$1" && grep -q '^<!-- bench:end -->$' \
        "$1" || die "$1 has no bench markers"

    awk -v report="$2" '
        /^<!-- bench:end -->$/ { skip = 0 }
        !skip                  { print }
        /^<!-- bench:begin -->$/ {
            print ""
            while ((getline line < report) > 0) print line
            print ""
            skip = 1
        }' "$1" > "$2.doc"
    cat "$2.doc" > "$1"
    rm -f "$2.doc"
}


report_text() {
    machine_text

    case " $CASES " in
        *" ingest "*|*" segment "*|*" playlist "*) cost_text ;;
    esac

    case " $CASES " in *" ll"*) ll_text ;; esac
    case " $CASES " in *" ladder "*) ladder_text ;; esac
}


cost_text() {
    local n

    echo
    echo "| case | unit | this module | compared with | its figure" \
         "| ratio | goal | met |"
    echo "| --- | --- | --- | --- | --- | --- | --- | --- |"

    case " $CASES " in *" ingest "*)
        for n in $STREAMS; do
            ingest_rows "$n"
        done ;;
    esac

    case " $CASES " in *" segment "*) segment_rows ;; esac
    case " $CASES " in *" playlist "*) playlist_rows ;; esac

    echo
    echo "Medians of $RUNS runs, with (least..most); a ratio is taken between" \
         "the two sides of each run."
    notes_text
}


machine_text() {
    local model

    model=$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1)

    echo "$(date -u +%Y-%m-%d), $(nproc) cores${model:+ ($model)}," \
         "$(awk '/^MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' \
                /proc/meminfo)," \
         "$(uname -sr)," \
         "$("$NGINX" -v 2>&1 | sed 's/.*: //')," \
         "libnginx-mod-rtmp $(package_version libnginx-mod-rtmp)," \
         "windows of $WINDOW s${BENCH_QUICK:+ (short version)}."
}


package_version() {
    dpkg-query -W -f '${Version}' "$1" 2> /dev/null || echo unknown
}


ingest_rows() {
    local c=ingest$1 m=memory$1

    row "ingest with HLS, $1 publishers" "CPU ms per stream-second" 3 \
        "$c" live rtmp_hls "nginx-rtmp, HLS on tmpfs" "<= 0.5"
    row "ingest with HLS, $1 publishers" "CPU ms per stream-second" 3 \
        "$c" live rtmp_receive "nginx-rtmp, receive only" "<= 1.3"
    row "memory, $1 publishers" "KiB per stream" 0 \
        "$m" live bound "1.1 x bitrate x seconds held + 512 KiB" "<= 1.0"
    row "memory, $1 publishers" "KiB per stream" 0 \
        "$m" live rtmp_hls "nginx-rtmp with its files" ""
}


segment_rows() {
    row "segment delivery" "bytes per CPU-second" 0 \
        segment live file "nginx, file on tmpfs, sendfile" ">= 1.0"
}


playlist_rows() {
    row "media playlist" "CPU us per request" 2 \
        playlist live "$best" "nginx, file, open_file_cache" "<= 1.0"
    row "media playlist" "CPU us per request" 2 \
        playlist live return "nginx, return 200 (the floor)" ""
    row "media playlist, gzip" "CPU us per request" 2 \
        playlist live_gzip gzip_static \
        "nginx, gzip_static, open_file_cache" "<= 1.0"
}


# TITLE UNIT DIGITS CASE OURS PEER PEER_NAME GOAL
row() {
    local ratio met=""

    ratio=$(ratios "$4" "$5" "$6" | spread 3)

    [ -z "$8" ] || [ "$ratio" = - ] || met=$(echo "${ratio%% *} $8" | awk '
        { ok = $2 == "<=" ? $1 <= $3 : $1 >= $3; print ok ? "yes" : "no" }')

    echo "| $1 | $2 | $(values "$4" "$5" | spread "$3") | $7" \
         "| $(values "$4" "$6" | spread "$3") | $ratio | ${8:--} | ${met:--} |"
}


notes_text() {
    case " $CASES " in *" ingest "*)
        echo "Each publisher sends $(material_rate | awk \
            '{ printf "%.2f", $1 * 8 / 1e6 }') Mbit/s; seconds held:" \
            "$(for n in $STREAMS; do
                   echo "$(values "memory$n" held | spread 1) with $n"
               done | paste -sd, | sed 's/,/, /g')." ;;
    esac

    case " $CASES " in *" segment "*)
        echo "The segment has ${SEGMENT_BYTES:-?} bytes." ;;
    esac

    case " $CASES " in *" playlist "*)
        echo "The playlist has ${PLAYLIST_BYTES:-?} bytes," \
             "${GZIP_BYTES:-?} gzipped. open_file_cache with sendfile:" \
             "$(values playlist cached | spread 2) us, without:" \
             "$(values playlist cached_copy | spread 2) us; the cheaper one" \
             "is in the table." ;;
    esac
}
