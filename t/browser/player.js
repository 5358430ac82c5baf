/*
 * hls.js with its defaults on ?url=, and an account of all that happens:
 * window.liveReport().
 */

"use strict";

(function () {

const video = document.getElementById("video");
const url = new URLSearchParams(location.search).get("url");
const hls = new Hls();

const seen = {
    errors: [],             /* every ERROR event, fatal or not */
    stalls: 0,              /* "waiting" once it plays */
    seeks: 0,
    attached: 0,
    fragments: 0,
    bytes: 0,
    levelUpdates: 0,
    discontinuities: [],    /* numbers that fragments were loaded of */
    started: false
};


hls.on(Hls.Events.ERROR, (event, data) => {
    seen.errors.push([data.fatal ? "fatal" : "error", data.type, data.details,
                      data.response ? data.response.code : "",
                      data.frag ? data.frag.relurl : ""].join(" ").trim());
});

hls.on(Hls.Events.MEDIA_ATTACHED, () => { seen.attached++; });
hls.on(Hls.Events.MANIFEST_PARSED, () => { video.play(); });
hls.on(Hls.Events.LEVEL_UPDATED, () => { seen.levelUpdates++; });

hls.on(Hls.Events.FRAG_LOADED, (event, data) => {
    const frag = data.frag;

    if (frag.sn === "initSegment") {
        return;
    }

    seen.fragments++;
    seen.bytes += frag.stats.loaded;

    if (!seen.discontinuities.includes(frag.cc)) {
        seen.discontinuities.push(frag.cc);
    }
});

video.addEventListener("playing", () => { seen.started = true; });
video.addEventListener("seeking", () => { seen.seeks += seen.started; });
video.addEventListener("waiting", () => { seen.stalls += seen.started; });
video.addEventListener("error", () => {
    seen.errors.push("fatal video " + video.error.message);
});


window.liveReport = () => {
    const quality = video.getVideoPlaybackQuality();
    const ranges = video.buffered;
    const end = ranges.length ? ranges.end(ranges.length - 1) : 0;

    return Object.assign({
        currentTime: video.currentTime,
        paused: video.paused,
        width: video.videoWidth,
        height: video.videoHeight,
        totalVideoFrames: quality.totalVideoFrames,
        droppedVideoFrames: quality.droppedVideoFrames,
        audioBytes: video.webkitAudioDecodedByteCount,
        buffered: ranges.length,
        bufferAhead: end - video.currentTime,
        latency: hls.latency,
        playingDate: hls.playingDate ? hls.playingDate.getTime() : null
    }, seen);
};

hls.loadSource(url);
hls.attachMedia(video);

}());
