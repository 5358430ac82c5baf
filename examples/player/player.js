/*
 * The player page: the list of streams, and what playback.js plays with its
 * figures and messages.
 */

"use strict";

(function () {

const LIST_INTERVAL = 3000;         /* ms */
const TICK_INTERVAL = 500;
const EDGE_SLACK = 5;               /* s behind the target: offer "to live" */

const NAME = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$/;


function element(id) {
    return document.getElementById(id);
}


function meta(name, fallback) {
    const node = document.querySelector('meta[name="' + name + '"]');

    return node && node.content ? node.content : fallback;
}


function node(tag, text, className) {
    const made = document.createElement(tag);

    made.textContent = text;

    if (className) {
        made.className = className;
    }

    return made;
}


function bits(rate) {
    if (!rate) {
        return "–";
    }

    return rate < 1e6 ? Math.round(rate / 1e3) + " kbit/s"
                      : (rate / 1e6).toFixed(2) + " Mbit/s";
}


function seconds(value) {
    return value === null || !isFinite(value) ? "–" : value.toFixed(1) + " s";
}


function clock(value) {
    const total = Math.floor(value);
    const two = (n) => String(n).padStart(2, "0");

    return Math.floor(total / 3600) + ":" + two(Math.floor(total / 60) % 60)
           + ":" + two(total % 60);
}


function describe(stream) {
    const parts = [];
    const video = stream.video;
    const audio = stream.audio;

    if (video) {
        parts.push(video.width + "×" + video.height
                   + (video.fps ? " " + Math.round(video.fps * 100) / 100
                                  + " fps" : ""));
    }

    if (audio) {
        parts.push((video ? "" : "audio only, ")
                   + audio.sample_rate / 1000 + " kHz");
    }

    if (stream.bitrate) {
        parts.push(bits(stream.bitrate));
    }

    if (stream.duration) {
        parts.push(clock(stream.duration));
    }

    return parts.join(" · ");
}


/* The stream that the address names. */
function chosen() {
    const query = new URLSearchParams(location.search).get("stream");
    let name = query || "";

    try {
        name = decodeURIComponent(location.hash.slice(1)) || name;

    } catch (error) {
        /* a hash that is not well escaped names nothing */
    }

    return NAME.test(name) ? name : null;
}


const Playback = window.Playback;

const video = element("video");
const base = meta("live-base", "/live/");
const api = meta("live-api", "/streams");

let drawn = { streams: null, message: null };
let playback = null;


function follow() {
    const name = chosen();

    if (playback.name === name) {
        return;
    }

    if (name) {
        playback.open(name);

    } else {
        playback.close();
    }

    drawn.streams = null;
    draw();
}


async function list() {
    let streams = null;

    try {
        const response = await Playback.get(api);

        if (response.ok) {
            streams = (await response.json()).streams || [];
        }

    } catch (error) {
        /* the text below tells */
    }

    drawStreams(streams);

    /* nothing was asked for: take the first that is live */

    if (streams && !playback.name && !chosen()) {
        const first = streams.find((stream) => stream.state === "live");

        if (first) {
            history.replaceState(null, "", "#" + first.name);
            follow();
            drawStreams(streams);
        }
    }

    setTimeout(list, LIST_INTERVAL);
}


function drawStreams(streams) {
    const known = streams || [];
    const live = known.filter((stream) => stream.state === "live").length;

    element("summary").textContent = streams === null
        ? "The list of streams is not available."
        : live === 1 ? "1 stream is live" : live + " streams are live";

    const hint = element("hint");

    hint.hidden = known.length > 0;
    hint.textContent = "Publish one to rtmp://" + location.hostname + base
                       + "NAME and it appears here.";

    const text = JSON.stringify([known, playback.name]);

    if (text === drawn.streams) {
        return;
    }

    drawn.streams = text;

    const focused = document.activeElement;
    const focus = focused && focused.closest("#streams")
                  ? focused.getAttribute("href") : null;

    element("streams").replaceChildren(...known.map((stream) => {
        const item = document.createElement("li");
        const link = document.createElement("a");

        link.href = "#" + encodeURIComponent(stream.name);
        link.append(node("strong", stream.name),
                    node("span", describe(stream) || stream.state));

        if (stream.state === "live") {
            link.className = "live";
        }

        if (stream.name === playback.name) {
            link.setAttribute("aria-current", "true");
        }

        item.append(link);

        return item;
    }));

    if (focus) {
        const again = Array.from(element("streams").querySelectorAll("a"))
                      .find((link) => link.getAttribute("href") === focus);

        if (again) {
            again.focus();
        }
    }
}


function draw() {
    const state = element("state");
    const notice = element("notice");
    const link = element("link");
    const dash = element("dash");
    const playing = playback.state === "playing";

    element("name").textContent = playback.name || "No stream chosen";
    document.title = playback.name ? playback.name + " – Live" : "Live";

    state.textContent = playing ? "live" : playback.state;
    state.className = "badge " + playback.state;

    notice.hidden = !playback.message;
    notice.textContent = playback.message;

    element("unmute").hidden = !playing || !video.muted;
    element("start").hidden = !playback.blocked || !video.paused;

    link.hidden = !playback.name;
    dash.hidden = !playback.name;

    if (playback.name) {
        link.href = playback.url();
        dash.href = "dash.html#" + encodeURIComponent(playback.name);
    }

    drawLog();
}


function drawLog() {
    const last = playback.errors.slice(-20).reverse();
    const lines = last.map((entry) => [entry.at.slice(11, 19), entry.type,
                                       entry.details, entry.code,
                                       entry.reason]
                                      .filter(Boolean).join(" "));
    const text = lines.join("\n");

    if (text === drawn.message) {
        return;
    }

    drawn.message = text;
    element("log").replaceChildren(...lines.map((line) => node("li", line)));
}


function drawStats() {
    const frames = playback.frames();
    const level = playback.level();
    const hls = playback.hls;
    const latency = playback.latency();
    const set = (id, text) => {
        element(id).textContent = text;
    };

    set("s-latency", seconds(latency));
    set("s-buffer", playback.started ? seconds(playback.buffer()) : "–");
    set("s-size", video.videoWidth
                  ? video.videoWidth + "×" + video.videoHeight : "–");
    set("s-rate", bits(playback.rate()));
    set("s-level", level ? bits(level.bitrate) : "–");
    set("s-bandwidth", hls && playback.started
                       ? bits(hls.bandwidthEstimate) : "–");
    set("s-dropped", frames.totalVideoFrames
                     ? frames.droppedVideoFrames + " of "
                       + frames.totalVideoFrames : "–");
    set("s-stalls", String(playback.stalls));

    element("edge").hidden = !(hls && latency !== null
                               && playback.state === "playing"
                               && latency > hls.targetLatency + EDGE_SLACK);
}


playback = new Playback(video, base, () => {
    if (playback) {
        draw();
    }
});

element("unmute").addEventListener("click", () => {
    video.muted = false;
    video.volume = video.volume || 1;
    playback.play();
});

element("start").addEventListener("click", () => playback.play());
element("edge").addEventListener("click", () => playback.toEdge());

video.addEventListener("volumechange", draw);
video.addEventListener("play", draw);

window.addEventListener("hashchange", follow);
window.liveReport = () => playback.report();

setInterval(() => {
    playback.watch();
    drawStats();
}, TICK_INTERVAL);

follow();
list();

}());
