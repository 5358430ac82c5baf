#!/bin/bash

# t/obs/run.sh HOME SERVER KEY CLIP [X264-SETTINGS]: OBS Studio without a
# screen, streams the clip to an RTMP server until it is sent SIGTERM; with
# SIGINT it says good-bye to the server first.
#
# HOME is made anew.  Without X264-SETTINGS the encoder is as OBS comes, with
# a key frame every 250 frames.  HOME/obs.log has what OBS says.

set -u

home=$1 server=$2 key=$3 clip=$4 x264=${5:-}
here=$(dirname "$0")
xvfb='' session=''


main() {
    rm -rf "$home"
    mkdir -p "$home/run" "$home/.local/share"
    chmod 700 "$home/run"
    bash "$here/profile.sh" "$home" "$server" "$key" "$clip" "$x264"

    trap 'stop TERM' TERM
    trap 'stop INT' INT
    start_display || return 1
    start_obs

    # a signal ends the first wait early
    wait "$session"
    wait "$session"

    kill "$xvfb"
    wait "$xvfb"
}


# Programs get sessions of their own: whoever ends this script's group must
# not take the display away from OBS before it has said good-bye.
start_display() {
    local fifo=$home/display number

    mkfifo "$fifo"
    setsid Xvfb -displayfd 3 -screen 0 1024x768x24 -nolisten tcp \
        3>"$fifo" >"$home/xvfb.log" 2>&1 &
    xvfb=$!
    read -r number <"$fifo" || return 1
    export DISPLAY=:$number
}


start_obs() {
    export HOME=$home XDG_CONFIG_HOME=$home/.config
    export XDG_RUNTIME_DIR=$home/run
    export LIBGL_ALWAYS_SOFTWARE=1 GALLIUM_DRIVER=llvmpipe QT_QPA_PLATFORM=xcb

    # nothing beyond this machine is looked up
    export http_proxy=http://127.0.0.1:9 https_proxy=http://127.0.0.1:9
    export no_proxy=127.0.0.1

    # shellcheck disable=SC2016
    setsid dbus-run-session -- bash -c \
        'echo $$ >"$HOME/obs.pid"; exec obs "$@"' obs \
        --multi --minimize-to-tray --disable-updater \
        --disable-missing-files-check --profile Test --collection Test \
        --scene Scene --startstreaming >"$home/obs.log" 2>&1 &
    session=$!
}


stop() {
    kill -"$1" "$(cat "$home/obs.pid")"
}


main
