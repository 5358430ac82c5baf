/*
 * dash.html#STREAM: the stream's MPD in dash.js, which takes the latency to
 * aim at from the MPD.  A stream that ends or is not there is asked for again.
 */

"use strict";

(function () {

const RETRY = 3000;                 /* ms */
const TICK = 500;

const video = document.getElementById("video");
const base = document.querySelector('meta[name="live-base"]').content;
const seen = { errors: [], stalls: 0 };

let name = "";
let player = null;
let timer = null;


function show(id, text) {
    document.getElementById(id).textContent = text;
}


function open() {
    clearTimeout(timer);

    if (player) {
        player.destroy();
        player = null;
    }

    name = decodeURIComponent(location.hash.slice(1));
    show("name", name || "No stream chosen");
    document.getElementById("hls").href = "./" + location.hash;

    if (!name) {
        show("message", "The address names no stream: dash.html#NAME");
        return;
    }

    if (!window.dashjs) {
        show("message", "dash.js is missing: run “npm install” in the folder "
                        + "of this page.");
        return;
    }

    show("message", "Connecting…");

    player = window.dashjs.MediaPlayer().create();
    player.initialize();

    player.on("error", (event) => {
        seen.errors.push(String(event.error && event.error.message
                                || event.error));
        retry("The stream cannot be played. Trying again…");
    });

    player.attachView(video);
    player.setAutoPlay(true);
    player.attachSource(base + encodeURIComponent(name) + "/manifest.mpd");
}


function retry(message) {
    show("message", message);
    clearTimeout(timer);
    timer = setTimeout(open, RETRY);
}


function figures() {
    if (!player || video.readyState < video.HAVE_CURRENT_DATA) {
        return null;
    }

    return {
        latency: player.getCurrentLiveLatency(),
        target: player.getTargetLiveDelay(),
        buffer: player.getBufferLength("video"),
        rate: video.playbackRate
    };
}


function draw() {
    const now = figures();

    for (const key of ["latency", "target", "buffer"]) {
        show("s-" + key, now && isFinite(now[key]) ? now[key].toFixed(1) + " s"
                                                   : "–");
    }

    show("s-rate", now ? now.rate.toFixed(2) : "–");
}


video.addEventListener("playing", () => show("message", "Playing"));
video.addEventListener("waiting", () => { seen.stalls += !video.seeking; });
video.addEventListener("ended", () => {
    retry(name + " has ended. Waiting for it to come back…");
});

window.addEventListener("hashchange", open);

window.liveReport = () => Object.assign({
    currentTime: video.currentTime,
    totalFrames: video.getVideoPlaybackQuality().totalVideoFrames
}, seen, figures());

setInterval(draw, TICK);
open();

}());
