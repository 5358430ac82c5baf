#!/usr/bin/env bash
#
# Builds, runs, tests and installs ngx_live_module; see "./build.sh help".

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=${BUILD_DIR:-$root/build}
nginx=${NGINX:-nginx}
unset NGINX                     # nginx itself takes it for inherited sockets
cc=${CC:-gcc}
jobs=$(nproc)

PATH=$PATH:/usr/sbin:/sbin

# Debian's packages, one list for each purpose.

BUILD_PACKAGES=(
    gcc libc6-dev make pkgconf
    libavfilter-dev libavformat-dev libavcodec-dev
    libswscale-dev libswresample-dev libavutil-dev
    libcurl4-openssl-dev libjansson-dev libssl-dev zlib1g-dev libpcre2-dev
)
NGINX_PACKAGES=(nginx nginx-dev libnginx-mod-stream)
RUN_PACKAGES=(ca-certificates curl ffmpeg fonts-dejavu-core)
NPM_PACKAGES=(nodejs npm)
TEST_PACKAGES=(
    perl python3 openssl procps strace
    clang libclang-rt-dev clang-tidy cppcheck universal-ctags

    # encoders and players that the tests drive
    obs-studio obs-plugins xvfb xauth libgl1-mesa-dri libgl1 dbus dbus-x11
    gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good
    gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-libav
    chromium fonts-liberation
    mpv rtmpdump vlc-bin vlc-plugin-base vlc-plugin-access-extra

    # caches in front
    varnish trafficserver

    # what streams are pulled from
    libnginx-mod-rtmp gir1.2-gst-rtsp-server-1.0 python3-gi

    # what reads metrics, the status as XML, and answers of live_api
    prometheus libxml2-utils libjson-validator-perl
)

DEBIAN_HEADERS=/usr/share/nginx/src

CC_OPT="-std=gnu11 -O2 -g -fstack-protector-strong -D_FORTIFY_SOURCE=2 \
-Wall -Wextra -Wformat-security -Wno-unused-parameter -Werror \
-ffile-prefix-map=$root=."

LD_OPT="-Wl,-z,relro -Wl,-z,now"

ASAN_CC_OPT="-std=gnu11 -O1 -g -fno-omit-frame-pointer -fsanitize=address \
-Wall -Wextra -Wno-unused-parameter -Werror -ffile-prefix-map=$root=."

ASAN_LD_OPT="-fsanitize=address,undefined"

TSAN_CC_OPT="-std=gnu11 -O1 -g -fno-omit-frame-pointer -Wall -Wextra \
-Wno-unused-parameter -Werror -ffile-prefix-map=$root=."

TSAN_LD_OPT="-fsanitize=thread"

# What nginx gets when we have to build one of our own.
OWN_NGINX_FLAGS=(
    --with-compat --with-threads --with-debug
    --with-http_ssl_module --with-http_v2_module --with-http_realip_module
    --with-http_auth_request_module --with-http_stub_status_module
    --with-stream --with-stream_ssl_module --with-stream_realip_module
)


main() {
    local command=${1:-build}

    shift || true

    case $command in
        build)              cmd_build ;;
        run)                cmd_run "$@" ;;
        test)               cmd_test "$@" ;;
        install)            cmd_install ;;
        fuzz)               cmd_fuzz "${1:-60}" ;;
        soak)               cmd_soak "${1:-30}" ;;
        bench)              cmd_bench "$@" ;;
        clean)              rm -rf "$build" ;;
        help|-h|--help)     usage ;;
        *)                  usage >&2; exit 2 ;;
    esac
}


usage() {
    cat <<'END'
./build.sh                  builds build/ngx_live_module.so
./build.sh run [--no-demo]  builds, starts nginx with examples/nginx.conf and
                            publishes a test pattern as stream "demo"
./build.sh run service      starts it with examples/service.conf, for which see
                            there what the environment says
./build.sh test [FILE...]   runs all tests, or those named: t/NAME.t,
                            t/unit/test_NAME.c, t/fuzz/fuzz_NAME.c, t/lint/NAME
./build.sh install          puts the .so where nginx loads modules from
./build.sh fuzz [SECONDS]   runs each fuzz target for that long (60)
./build.sh soak [MINUTES]   breaks things at random for so long (30), while
                            players read on and complain
./build.sh bench            runs the benchmarks of t/bench
./build.sh clean            removes build/

Environment:
  NGINX=PATH                the nginx to build for (default: nginx)
  NGINX_SRC=DIR             build against this nginx source tree; where its
                            version is not that of $NGINX, an nginx is built too
  CC=clang                  another compiler
  BUILD_DIR=DIR             instead of build/
  TEST_JOBS=N               test files at a time (2)

As root on Debian, packages that are missing are installed.
END
}


die() {
    echo "build.sh: $*" >&2
    exit 1
}


say() {
    echo "== $*"
}


# --- packages ---------------------------------------------------------------

installed() {
    dpkg-query -W -f='${db:Status-Status}\n' "$1" 2>/dev/null \
        | grep -qx installed
}


need() {
    local package missing=()

    command -v dpkg-query >/dev/null || return 0

    for package in "$@"; do
        installed "$package" || missing+=("$package")
    done

    ((${#missing[@]})) || return 0

    if ((EUID != 0)); then
        die "missing packages, as root: apt-get install ${missing[*]}"
    fi

    say "installing ${missing[*]}"
    apt_install "${missing[@]}" || die "apt-get could not install these"
}


# Installed services are not started: an nginx of ours must not take port 80.
apt_install() (
    policy=/usr/sbin/policy-rc.d

    if [[ ! -e $policy ]]; then
        trap 'rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' > "$policy"
        chmod 755 "$policy"
    fi

    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq update || true
    apt-get -qq -y --no-install-recommends install "$@" >/dev/null
)


# Debian's nginx where there is none; its headers where it is Debian's.
need_nginx() {
    if ! command -v "$nginx" >/dev/null; then
        [[ $nginx == nginx ]] || die "$nginx is not there"
        need "${NGINX_PACKAGES[@]}"

    elif [[ $nginx == nginx ]] && command -v dpkg-query >/dev/null \
         && installed nginx-common
    then
        need "${NGINX_PACKAGES[@]}"
    fi
}


need_npm() {
    command -v npm >/dev/null || need "${NPM_PACKAGES[@]}"
}


# npm_install DIR: the packages that DIR/package.json names.
npm_install() {
    local dir=$1 stamp

    [[ -f $dir/package.json ]] || return 0

    stamp=$dir/node_modules/.package-lock.json

    if [[ -f $stamp && ! $dir/package.json -nt $stamp ]]; then
        return 0
    fi

    need_npm
    say "npm packages of ${dir#"$root"/}"

    if [[ -f $dir/package-lock.json ]]; then
        (cd "$dir" && npm ci --no-audit --no-fund --loglevel=error)
    else
        (cd "$dir" && npm install --no-package-lock --no-audit --no-fund \
                          --loglevel=error)
    fi >&2 || die "npm could not install the packages of $dir"

    touch "$stamp"
}


# --- nginx ------------------------------------------------------------------

tree_version() {
    sed -n 's/^#define NGINX_VERSION  *"\(.*\)"$/\1/p' \
        "$1/src/core/nginx.h" 2>/dev/null
}


binary_version() {
    "$nginx" -v 2>&1 | sed -n 's|^nginx version: [^/]*/\([0-9.]*\).*|\1|p'
}


configure_arguments() {
    "$nginx" -V 2>&1 | sed -n 's/^configure arguments: //p'
}


# What nginx says of itself must allow for our module.
check_nginx() {
    local arguments option

    command -v "$nginx" >/dev/null \
        || die "no nginx: install one (Debian: apt-get install" \
               "${NGINX_PACKAGES[*]}), name it with NGINX=PATH," \
               "or give a source tree with NGINX_SRC=DIR"

    arguments=" $(configure_arguments) "

    for option in --with-compat --with-threads; do
        [[ $arguments == *" $option "* ]] \
            || die "$(command -v "$nginx") $(binary_version) was built" \
                   "without $option and cannot load this module: use an" \
                   "nginx that has it (Debian's and nginx.org's have), or" \
                   "give a source tree with NGINX_SRC=DIR"
    done
}


check_headers() {
    local have want

    have=$(tree_version "$DEBIAN_HEADERS") || true
    want=$(binary_version)

    if [[ -z $have ]]; then
        die "no headers for $(command -v "$nginx") $want: install Debian's" \
            "nginx-dev, or give the source tree of nginx $want with" \
            "NGINX_SRC=DIR"
    fi

    if [[ $have != "$want" ]]; then
        die "the headers in $DEBIAN_HEADERS are for nginx $have, but" \
            "$(command -v "$nginx") is $want: give the source tree of nginx" \
            "$want with NGINX_SRC=DIR"
    fi
}


check_source() {
    [[ -n $(tree_version "$1") && -f $1/auto/module ]] \
        || die "NGINX_SRC=$1 is not an nginx source tree"
}


stream_is_dynamic() {
    [[ " $(configure_arguments) " == *" --with-stream=dynamic "* ]]
}


# The flags that $nginx was configured with, less what only concerns other
# modules, other libraries or the linking of nginx itself: such code is not
# compiled here.  Of the compiler's options only those that can change what
# a header says are kept.
nginx_flags() {
    local flag word words

    while IFS= read -r flag; do
        case $flag in
            --with-cc-opt=*)
                words=
                for word in ${flag#*=}; do
                    case $word in
                        -D_FORTIFY_SOURCE=*) ;;
                        -D* | -U* | -I* | -m*) words+=" $word" ;;
                    esac
                done
                header_cc_opt=$words
                ;;

            --with-ld-opt=* | --with-cc=* | --with-cpp=*) ;;
            --builddir=* | --build=*) ;;
            --add-module=* | --add-dynamic-module=*) ;;
            --with-pcre=* | --with-zlib=* | --with-openssl=*) ;;
            --with-*perl* | --with-*xslt* | --with-*image_filter*) ;;
            --with-*geoip* | --with-google_perftools* | --with-libatomic*) ;;
            *=dynamic) ;;
            *) flags+=("$flag") ;;
        esac
    done < <(configure_arguments | xargs -n 1 printf '%s\n')
}


# --- building ---------------------------------------------------------------

# configure TREE SOURCE FLAG...: TREE becomes a set of links into SOURCE, so
# that nothing is written there.  Done again only when its outcome can differ.
configure() {
    local tree=$1 source=$2 entry stamp

    shift 2

    stamp=$({
        printf '%s\n' "$source" "$@"
        "$cc" --version
        (cd "$root" && ls src/*/*.[ch] \
             && cat config ngx_live_module.map src/*/page/*)
        cksum "$source/src/core/nginx.h" "$source/auto/modules"
        pkg-config --modversion libavfilter libavformat jansson libcrypto zlib
    } 2>&1 | cksum)

    if [[ -f $tree/objs/Makefile && -f $tree/stamp \
          && $(<"$tree/stamp") == "$stamp" ]]
    then
        return 0
    fi

    say "configuring nginx $(tree_version "$source") in ${tree#"$root"/}"

    mkdir -p "$tree"
    rm -f "$tree/stamp"

    for entry in "$source"/*; do
        case ${entry##*/} in
            objs | Makefile | debian | conf_flags) ;;
            *) ln -sfn "$entry" "$tree/${entry##*/}" ;;
        esac
    done

    [[ -e $tree/configure ]] || ln -sfn auto/configure "$tree/configure"

    # leaks of configure's own test programs do not matter
    if ! (cd "$tree" && ASAN_OPTIONS=detect_leaks=0 ./configure \
              --with-cc="$cc" "$@" --add-dynamic-module="$root") \
              > "$tree/configure.log" 2>&1
    then
        tail -n 15 "$tree/configure.log" >&2
        die "nginx's configure failed, see $tree/configure.log"
    fi

    echo "$stamp" > "$tree/stamp"
}


# compile TREE TARGET [VARIABLE=VALUE]
compile() {
    local tree=$1 target=$2

    shift 2

    make -C "$tree" -f objs/Makefile -j "$jobs" --no-print-directory -s \
        "$@" "objs/$target" || die "compiling $target failed"
}


# Replaced by a rename: a running nginx has the old file mapped.
place() {
    cmp -s "$1" "$2" && return 0

    cp "$1" "$2.new"
    mv -f "$2.new" "$2"
}


# The source to build against and how: sets source, flags, header_cc_opt and
# own_nginx.
choose_source() {
    flags=()
    header_cc_opt=
    own_nginx=

    if [[ -z ${NGINX_SRC:-} ]]; then
        need_nginx
        check_nginx
        check_headers

        source=$DEBIAN_HEADERS
        # shellcheck disable=SC1091
        . "$source/conf_flags"
        flags=("${NGX_CONF_FLAGS[@]}")
        return
    fi

    check_source "$NGINX_SRC"
    source=$(cd "$NGINX_SRC" && pwd)

    if command -v "$nginx" >/dev/null \
       && [[ $(binary_version) == "$(tree_version "$source")" ]]
    then
        check_nginx
        nginx_flags
    else
        flags=("${OWN_NGINX_FLAGS[@]}")
        own_nginx=yes
    fi
}


cmd_build() {
    local tree=$build/nginx source flags header_cc_opt own_nginx

    need "${BUILD_PACKAGES[@]}"
    command -v "$cc" >/dev/null || need "$cc"
    choose_source

    configure "$tree" "$source" "${flags[@]}" \
        --with-cc-opt="$CC_OPT$header_cc_opt -ffile-prefix-map=$tree/=" \
        --with-ld-opt="$LD_OPT"

    if [[ -n $own_nginx ]]; then
        compile "$tree" nginx
        nginx=$tree/objs/nginx
    fi

    compile "$tree" ngx_live_module.so
    place "$tree/objs/ngx_live_module.so" "$build/ngx_live_module.so"

    say "built ${build#"$root"/}/ngx_live_module.so for nginx" \
        "$(tree_version "$source")"
}


# The same with AddressSanitizer and, in our code, UBSan.  A source tree gives
# a whole nginx with it, whose pools then do not hide overruns; otherwise the
# runtime is preloaded into the installed nginx.
build_asan() {
    local tree=$build/asan source flags header_cc_opt own_nginx
    local cc=gcc target

    choose_source

    if [[ -n ${NGINX_SRC:-} ]]; then
        flags=("${OWN_NGINX_FLAGS[@]}")
        header_cc_opt=" -DNGX_DEBUG_PALLOC=1"
        own_nginx=yes
    fi

    configure "$tree" "$source" "${flags[@]}" \
        --with-cc-opt="$ASAN_CC_OPT$header_cc_opt" \
        --with-ld-opt="$ASAN_LD_OPT"

    if [[ -n $own_nginx ]]; then
        compile "$tree" nginx
        export TEST_ASAN_NGINX=$tree/objs/nginx
    fi

    compile "$tree" ngx_live_module.so CFLAGS="$(
        sed -n 's/^CFLAGS = *//p' "$tree/objs/Makefile"
    ) -fsanitize=undefined"

    place "$tree/objs/ngx_live_module.so" "$tree/ngx_live_module.so"
}


# With the points at which t/crash.t lets processes die.
build_crash() {
    local tree=$build/crash source flags header_cc_opt own_nginx

    choose_source

    configure "$tree" "$source" "${flags[@]}" \
        --with-cc-opt="$CC_OPT$header_cc_opt -DNGX_LIVE_CRASH_POINTS=1" \
        --with-ld-opt="$LD_OPT"

    compile "$tree" ngx_live_module.so
    place "$tree/objs/ngx_live_module.so" "$tree/ngx_live_module.so"
}


# True when one of these test files, or any of all, has the line "# TAG".
tagged() {
    local tag=$1

    shift
    (cd "$root" || exit
     (($#)) || set -- t/*.t
     grep -qsx "# $tag" "$@")
}


# The same with ThreadSanitizer, for t/threads.t and what has the line "# tsan";
# its runtime is preloaded.
build_tsan() {
    local tree=$build/tsan source flags header_cc_opt own_nginx
    local cc=gcc

    choose_source

    configure "$tree" "$source" "${flags[@]}" \
        --with-cc-opt="$TSAN_CC_OPT$header_cc_opt" \
        --with-ld-opt="$TSAN_LD_OPT"

    (cd "$tree" && "$cc" -fsanitize=thread -fPIC -O1 -g -Wall -Werror \
         -Isrc/core -Isrc/event -Isrc/os/unix -Iobjs \
         -c -o tasks.o "$root/t/tsan/tasks.c") || die "compiling tasks.c failed"

    # fences are not modelled; they are for other processes
    compile "$tree" ngx_live_module.so CFLAGS="$(
        sed -n 's/^CFLAGS = *//p' "$tree/objs/Makefile"
    ) -fsanitize=thread -Wno-tsan" \
        LINK="$cc -Wl,--wrap=ngx_thread_task_post $tree/tasks.o"

    place "$tree/objs/ngx_live_module.so" "$tree/ngx_live_module.so"
}


cmd_install() {
    local dir

    cmd_build

    dir=$(configure_arguments | xargs -n 1 printf '%s\n' \
          | sed -n 's/^--modules-path=//p')

    if [[ -z $dir ]]; then
        dir=$(configure_arguments | xargs -n 1 printf '%s\n' \
              | sed -n 's/^--prefix=//p')
        dir=${dir:-/usr/local/nginx}/modules
    fi

    mkdir -p "$dir" || die "cannot write to $dir"
    place "$build/ngx_live_module.so" "$dir/ngx_live_module.so" \
        || die "cannot write to $dir"

    echo
    echo "Installed $dir/ngx_live_module.so.  On top of nginx.conf:"
    echo

    if stream_is_dynamic; then
        echo "    load_module $dir/ngx_stream_module.so;"
    fi

    echo "    load_module $dir/ngx_live_module.so;"
    echo

    if stream_is_dynamic && [[ -d /etc/nginx/modules-enabled ]] \
       && grep -qs ngx_stream_module /etc/nginx/modules-enabled/*.conf
    then
        echo "(Here /etc/nginx/modules-enabled has the first already: leave it out.)"
    fi
}


# --- running ----------------------------------------------------------------

# Fills build/run, the prefix of the demo: what examples/nginx.conf names
# relative to it is there.
prepare_run() {
    local dir=$1 conf=$2 modules file

    mkdir -p "$dir/logs" "$dir/tmp" "$dir/modules"

    modules=$(configure_arguments | xargs -n 1 printf '%s\n' \
              | sed -n 's/^--modules-path=//p')

    ln -sfn "$build/ngx_live_module.so" "$dir/modules/ngx_live_module.so"
    ln -sfn "$modules/ngx_stream_module.so" "$dir/modules/ngx_stream_module.so"
    ln -sfn "$root/examples/player" "$dir/player"

    for file in "$build/nginx/conf/mime.types" /etc/nginx/mime.types; do
        [[ -e $file ]] && ln -sfn "$file" "$dir/mime.types"
    done

    fill_in < "$root/examples/$conf" > "$dir/nginx.conf"

    # a built-in stream module must not be loaded a second time
    stream_is_dynamic \
        || sed -i '/^load_module.*ngx_stream_module\.so;/d' "$dir/nginx.conf"
}


# What examples/service.conf has from the environment.
fill_in() {
    sed -e "s/\${SEGMENT_DURATION}/${SEGMENT_DURATION:-4}/" \
        -e "s/\${PLAYLIST_SIZE}/${PLAYLIST_SIZE:-10}/" \
        -e "s/\${LOW_LATENCY_HLS}/$(on_off "${LOW_LATENCY_HLS:-on}")/" \
        -e "s/\${STALE_THRESHOLD}/${STALE_THRESHOLD:-600}/" \
        -e "s/\${CLEANUP_INTERVAL}/${CLEANUP_INTERVAL:-60}/"
}


on_off() {
    case ${1,,} in
        true|yes|1) echo on ;;
        false|no|0) echo off ;;
        *)          echo "$1" ;;
    esac
}


listen_ports() {
    sed 's/#.*//' "$1" \
        | grep -oE '\blisten +[^;]+' \
        | grep -oE '(:|listen +)[0-9]+( |$)' \
        | grep -oE '[0-9]+' | sort -nu
}


port_is_open() {
    (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}


check_ports() {
    local port busy=()

    for port in $(listen_ports "$1"); do
        if port_is_open "$port"; then
            busy+=("$port")
        fi
    done

    ((${#busy[@]} == 0)) \
        || die "in use by another program: TCP port ${busy[*]};" \
               "end it, or change the listen lines of examples/$2"
}


# A moving picture with a clock, and a tone; encoded as OBS would.
publish_demo() {
    local url=$1 font picture

    font=/usr/share/fonts/truetype/dejavu/DejaVuSansMono-Bold.ttf
    picture="testsrc2=size=1280x720:rate=30"

    if [[ -f $font ]]; then
        picture+=",drawtext=fontfile=$font:fontsize=64:fontcolor=white"
        picture+=":box=1:boxcolor=black@0.6:boxborderw=16:x=(w-tw)/2:y=h-160"
        picture+=":text='%{localtime\\:%H\\\\\\:%M\\\\\\:%S}  %{pts\\:hms}'"
    fi

    exec ffmpeg -nostdin -hide_banner -loglevel warning \
        -re -f lavfi -i "$picture" \
        -re -f lavfi -i "sine=frequency=440:beep_factor=2:sample_rate=48000" \
        -pix_fmt yuv420p -c:v libx264 -preset veryfast -tune zerolatency \
        -profile:v high -b:v 2500k -maxrate 2500k -bufsize 2500k \
        -g 60 -keyint_min 60 -sc_threshold 0 \
        -c:a aac -b:a 128k -ac 2 \
        -f flv -flvflags no_duration_filesize "$url"
}


show_urls() {
    local host demo=$1 http rtmp

    host=$(hostname -I 2>/dev/null | cut -d ' ' -f 1) || true
    host=${host:-localhost}
    http=http://$host:8080
    rtmp=rtmp://$host/live

    if [[ $2 == service.conf ]]; then
        echo
        echo "  API           http://localhost:8083/streams, see docs/api.md"
        echo "  playlist      $http/streams/NAME/playlist.m3u8"
        echo "  for a CDN     http://$host:8084/NAME/playlist.m3u8"
        echo "  try           examples/client.py create cam"
        echo
        return
    fi

    echo
    echo "  player page   $http/"

    if [[ -n $demo ]]; then
        echo "  playlist      $http/live/demo/playlist.m3u8"
    else
        echo "  playlist      $http/live/STREAM_KEY/playlist.m3u8"
    fi

    echo
    echo "  OBS           Settings, Stream: Service \"Custom...\""
    echo "                Server      $rtmp"
    echo "                Stream key  any name of A-Z a-z 0-9 . _ -"
    echo
    echo "  On this machine localhost does as well.  Ctrl-C ends everything."
    echo
}


cmd_run() {
    local demo=yes dir=$build/run conf=nginx.conf

    case ${1:-} in
        "")         ;;
        --no-demo)  demo= ;;
        service)    demo='' dir=$build/service conf=service.conf ;;
        *)          die "run: unknown argument $1" ;;
    esac

    need "${RUN_PACKAGES[@]}"
    cmd_build
    npm_install "$root/examples/player"
    prepare_run "$dir" "$conf"
    check_ports "$dir/nginx.conf" "$conf"
    run_all "$dir" "$demo" "$conf"
}


# Starts nginx and the demo's encoder and stays until a signal comes or nginx
# is gone.
run_all() {
    local dir=$1 demo=$2 conf=$3 nginx_pid demo_pid='' stopping='' shown=''
    local globals="daemon off;"

    # a checkout below /root cannot be read by the workers' usual user
    if ((EUID == 0)) && ! grep -qE '^ *user ' "$dir/nginx.conf"; then
        globals+=" user root;"
    fi

    trap 'stopping=yes' INT TERM HUP

    # off the terminal's Ctrl-C, so that we end them in order
    set -m
    "$nginx" -p "$dir" -c "$dir/nginx.conf" -g "$globals" </dev/null &
    nginx_pid=$!
    set +m

    wait_for_port "$dir" "$nginx_pid"

    while [[ -z $stopping ]] && kill -0 "$nginx_pid" 2>/dev/null; do

        if [[ -n $demo ]] \
           && ! kill -0 "${demo_pid:-x}" 2>/dev/null
        then
            [[ -z $demo_pid ]] || say "the test pattern ended; once more"
            set -m
            publish_demo rtmp://127.0.0.1:1935/live/demo </dev/null &
            demo_pid=$!
            set +m
        fi

        if [[ -z $shown && -z $stopping ]]; then
            [[ -z $demo ]] || wait_for_playlist "$nginx_pid"
            [[ -n $stopping ]] || show_urls "$demo" "$conf"
            shown=yes
        fi

        sleep 1 &
        wait $! || true
    done

    [[ -z $demo_pid ]] || end_process "$demo_pid"

    if [[ -z $stopping ]]; then
        tail -n 5 "$dir/logs/error.log" >&2 || true
        die "nginx ended, see $dir/logs/error.log"
    fi

    echo
    say "stopping"
    end_process "$nginx_pid"
}


end_process() {
    local try

    kill -TERM "$1" 2>/dev/null || return 0

    for try in {1..50}; do
        kill -0 "$1" 2>/dev/null || return 0
        sleep 0.1
    done

    say "process $1 is still there after $((try / 10)) s: killed"
    kill -KILL "$1" 2>/dev/null || true
}


wait_for_port() {
    local dir=$1 pid=$2 port try

    for try in {1..100}; do
        port=$(listen_ports "$dir/nginx.conf" | tail -n 1)
        port_is_open "$port" && return 0
        kill -0 "$pid" 2>/dev/null || die "nginx did not start, see above" \
                                          "and $dir/logs/error.log"
        sleep 0.1
    done

    die "nginx opened no port in ${try} tenths of a second"
}


wait_for_playlist() {
    local try

    for try in {1..300}; do
        [[ -z $stopping ]] && kill -0 "$1" 2>/dev/null || return 0
        curl -sf -o /dev/null --max-time 2 \
            http://127.0.0.1:8080/live/demo/playlist.m3u8 && return 0
        sleep 0.1
    done

    echo "build.sh: no playlist after $((try / 10)) s, see" \
         "$build/run/logs/error.log" >&2
}


# --- testing ----------------------------------------------------------------

# Unit tests and fuzz targets; one that does not compile fails alone.
build_pure() {
    make -C "$root" -f t/pure.mk -j "$jobs" -k -s --no-print-directory \
        OUT="$build" "$@" || true
}


cmd_test() {
    trap '(($? == 0)) || echo "0 passed, 1 failed"' EXIT

    need "${RUN_PACKAGES[@]}" "${TEST_PACKAGES[@]}"
    npm_install "$root/examples/player"
    npm_install "$root/t/browser"

    cmd_build
    build_asan

    if tagged crash "$@"; then
        build_crash
    fi

    if tagged tsan "$@" || (($# == 0)) || [[ $* == *t/threads.t* ]]; then
        build_tsan
    fi

    if (($# == 0)) || [[ $* == *t/unit/* || $* == *t/lint/* ]]; then
        build_pure units
    fi

    if (($# == 0)) || [[ $* == *t/fuzz/* ]]; then
        build_pure fuzzers
    fi

    trap - EXIT

    cd "$root"
    export BUILD_DIR=$build
    export TEST_NGINX_BINARY
    TEST_NGINX_BINARY=$(command -v "$nginx")
    exec perl t/run "$@"
}


cmd_fuzz() {
    local target

    need "${BUILD_PACKAGES[@]}" clang libclang-rt-dev
    cmd_build
    build_pure fuzzers

    for target in "$root"/t/fuzz/fuzz_*.c; do
        [[ -f $target ]] || die "there is no fuzz target"
        (cd "$root" && BUILD_DIR=$build FUZZ_SECONDS=$1 \
             bash t/fuzz/run.sh "t/fuzz/${target##*/}")
    done
}


cmd_soak() {
    need "${RUN_PACKAGES[@]}" perl procps
    cmd_build

    if [[ ${TEST_ASAN:-} == 1 ]]; then
        build_asan
    fi

    cd "$root"
    export BUILD_DIR=$build
    export TEST_NGINX_BINARY
    TEST_NGINX_BINARY=$(command -v "$nginx")
    exec perl t/soak/soak.pl "$1"
}


cmd_bench() {
    [[ -x $root/t/bench/run.sh ]] || die "t/bench/run.sh is not there"

    need "${RUN_PACKAGES[@]}"
    cmd_build
    cd "$root"
    BUILD_DIR=$build BENCH_NGINX=$nginx exec t/bench/run.sh "$@"
}


main "$@"
