/*
 * One stream in a <video>, through hls.js, or natively where the browser
 * knows HLS itself.
 *
 * Streams come and go.  Whatever ends a playback (a fatal error, the end of
 * the stream, a picture that stands still), this then asks for the playlists
 * until they are there and alive, and starts anew.
 */

"use strict";

(function () {

const RETRY_MIN = 1000;             /* ms */
const RETRY_MAX = 8000;
const FETCH_TIMEOUT = 10000;
const STALL_LIMIT = 8000;           /* then the playback is started anew */
const RATE_WINDOW = 10000;          /* over which received bytes are counted */
const KEPT_ERRORS = 100;

const HLS_CONFIG = {
    lowLatencyMode: true,
    backBufferLength: 30,
    maxLiveSyncPlaybackRate: 1.05
};


class Playback {

    constructor(video, base, onChange) {
        this.video = video;
        this.base = base;
        this.onChange = onChange;
        this.errors = [];
        this.fatal = [];
        this.stalls = 0;
        this.restarts = 0;
        this.received = [];
        this.set("idle", "");

        video.addEventListener("playing", () => this.onPlaying());
        video.addEventListener("waiting", () => this.onWaiting());
        video.addEventListener("error", () => this.onNativeError());
        video.addEventListener("ended", () => this.onEnded());
    }

    url() {
        return this.base + this.name + "/playlist.m3u8";
    }

    open(name) {
        this.close();
        this.name = name;
        this.start();
    }

    close() {
        clearTimeout(this.timer);
        this.stop();
        this.name = null;
        this.received = [];
        this.attempt = 0;
        this.mediaErrors = 0;
        this.stoodStill = false;
        this.set("idle", "");
    }

    start() {
        this.stop();
        this.started = false;
        this.firstNumber = -1;
        this.progressAt = Date.now();
        this.position = -1;
        this.set("connecting", "Connecting…");

        if (window.Hls && window.Hls.isSupported()) {
            this.startHls();

        } else if (this.video.canPlayType("application/vnd.apple.mpegurl")) {
            this.native = true;
            this.video.src = this.url();
            this.play();

        } else if (window.Hls) {
            this.set("error", "This browser plays neither Media Source "
                              + "Extensions nor HLS.");
        } else {
            this.set("error", "hls.js is missing: run “npm install” in the "
                              + "folder of this page.");
        }
    }

    startHls() {
        const Hls = window.Hls;
        const hls = new Hls(HLS_CONFIG);

        this.hls = hls;

        hls.on(Hls.Events.MANIFEST_PARSED, () => this.play());
        hls.on(Hls.Events.ERROR, (event, data) => this.onHlsError(data));
        hls.on(Hls.Events.LEVEL_LOADED, (event, data) => {
            this.onPlaylist(data.details);
        });
        hls.on(Hls.Events.FRAG_LOADED, (event, data) => {
            this.count((data.part || data.frag).stats.loaded);
        });

        hls.loadSource(this.url());
        hls.attachMedia(this.video);
    }

    stop() {
        if (this.hls) {
            this.hls.destroy();
            this.hls = null;
        }

        if (this.native) {
            this.native = false;
            this.video.removeAttribute("src");
            this.video.load();
        }
    }

    play() {
        const promise = this.video.play();

        this.blocked = false;

        if (promise) {
            promise.catch((error) => {
                this.blocked = error.name === "NotAllowedError";
                this.onChange();
            });
        }
    }

    toEdge() {
        const edge = this.edge();

        if (edge !== null) {
            this.video.currentTime = edge;
        }

        this.play();
    }

    /* Where a player that joins now would be. */
    edge() {
        const seekable = this.video.seekable;

        if (this.hls) {
            return this.hls.liveSyncPosition;
        }

        return seekable.length ? seekable.end(seekable.length - 1) : null;
    }

    onPlaying() {

        /* the rest of the buffer, while the next start is awaited */

        if (this.state === "waiting" || this.state === "idle") {
            return;
        }

        this.started = true;
        this.attempt = 0;
        this.stoodStill = false;
        this.set("playing", "");
    }

    onWaiting() {
        if (this.started && this.state === "playing" && !this.video.seeking
            && !this.video.ended)
        {
            this.stalls++;
            this.onChange();
        }
    }

    onEnded() {
        this.retry(this.name + " has ended. Waiting for it to come back…");
    }

    /* Numbers before the known window: the stream has begun a new life. */
    onPlaylist(details) {
        if (details.endSN < this.firstNumber) {
            this.record({ type: "page", details: "newLife" }, false);
            this.retry(this.name + " starts anew…");
            return;
        }

        if (details.fragments.length) {
            this.firstNumber = details.startSN;
        }
    }

    onNativeError() {
        const error = this.video.error;

        if (!this.native || !error) {
            return;
        }

        this.record({ type: "native", details: error.message || error.code },
                    true);
        this.retry("The stream cannot be played. Trying again…");
    }

    onHlsError(data) {
        const Hls = window.Hls;

        this.record(data, data.fatal);

        if (!data.fatal || !this.hls) {
            return;
        }

        if (data.type === Hls.ErrorTypes.MEDIA_ERROR
            && data.details !== "manifestIncompatibleCodecsError"
            && this.mediaErrors++ < 2)
        {
            this.hls.recoverMediaError();
            return;
        }

        this.mediaErrors = 0;
        this.retry(this.explain(data));
    }

    explain(data) {
        const code = data.response ? data.response.code : 0;

        switch (data.details) {

        case "manifestIncompatibleCodecsError":
        case "bufferAddCodecError":
            return "This browser cannot decode the stream’s codecs.";

        case "manifestLoadError":
        case "manifestLoadTimeOut":
            return this.explainStatus(code);
        }

        if (data.type === "networkError") {
            return "The connection to the stream was lost. Trying again…";
        }

        return "The stream cannot be played (" + data.details
               + "). Trying again…";
    }

    explainStatus(code) {
        if (code === 404 || code === 410) {
            return this.name + " is not live. Waiting for it…";
        }

        if (code === 401 || code === 403) {
            return "The server refuses access to " + this.name
                   + " (" + code + ").";
        }

        if (code >= 500) {
            return "The server has a problem (" + code + "). Trying again…";
        }

        return "The server does not answer. Trying again…";
    }

    record(data, fatal) {
        const entry = {
            at: new Date().toISOString(),
            type: data.type,
            details: data.details,
            code: data.response ? data.response.code : undefined,
            reason: data.reason || (data.error && data.error.message)
        };

        for (const list of fatal ? [this.errors, this.fatal] : [this.errors]) {
            list.push(entry);

            if (list.length > KEPT_ERRORS) {
                list.shift();
            }
        }

        this.onChange();
    }

    /* What is buffered may go on; start() is what clears it. */
    retry(message) {
        const delay = Math.min(RETRY_MIN * 2 ** this.attempt++, RETRY_MAX);

        if (this.hls) {
            this.hls.stopLoad();
        }

        this.set("waiting", message);

        clearTimeout(this.timer);
        this.timer = setTimeout(() => this.probe(), delay);
    }

    async probe() {
        const name = this.name;
        const answer = await this.ask();

        if (this.name !== name || this.state !== "waiting") {
            return;
        }

        if (answer.alive) {
            this.restarts++;
            this.start();
            return;
        }

        /* a stream may be back at any moment: no longer pause than this */
        this.attempt = Math.min(this.attempt, 1);
        this.retry(answer.message);
    }

    /* Asks the playlists whether there is something new to play. */
    async ask() {
        const ended = this.name + " has ended. Waiting for it to come back…";

        try {
            let url = new URL(this.url(), location.href).href;
            let response = await Playback.get(url);

            if (!response.ok) {
                return { message: this.explainStatus(response.status) };
            }

            let text = await response.text();
            const variant = /^#EXT-X-STREAM-INF:.*\n([^#\s].*)$/m.exec(text);

            if (variant) {
                url = new URL(variant[1].trim(), response.url).href;
                response = await Playback.get(url);

                if (!response.ok) {
                    return { message: this.explainStatus(response.status) };
                }

                text = await response.text();
            }

            if (/^#EXT-X-ENDLIST/m.test(text)) {
                return { message: ended };
            }

            if (!/^#EXTINF:/m.test(text)) {
                return { message: this.name + " is about to start…" };
            }

            if (this.isStale(text)) {
                return { message: this.name + " has stopped sending. "
                                  + "Waiting for it…" };
            }

            return { alive: true };

        } catch (error) {
            return { message: this.explainStatus(0) };
        }
    }

    /*
     * After a standstill: a playlist that does not change would only play
     * its last segments once more, so a new start waits for a new text.
     */
    isStale(text) {
        if (!this.stoodStill) {
            return false;
        }

        const changed = this.lastText !== null && this.lastText !== text;

        this.lastText = text;

        return !changed;
    }

    /* Called regularly. */
    watch() {
        const video = this.video;
        const now = Date.now();

        if (video.currentTime !== this.position || video.paused
            || this.state !== "playing")
        {
            this.position = video.currentTime;
            this.progressAt = now;
            return;
        }

        if (now - this.progressAt > STALL_LIMIT) {
            this.stoodStill = true;
            this.lastText = null;
            this.record({ type: "page", details: "standstill" }, false);
            this.retry("The picture stands still. Waiting for "
                       + this.name + "…");
        }
    }

    count(bytes) {
        this.received.push({ at: Date.now(), bytes: bytes });
    }

    /* Bits per second of media received lately; null when unknown. */
    rate() {
        const since = Date.now() - RATE_WINDOW;

        this.received = this.received.filter((entry) => entry.at > since);

        if (!this.hls || this.received.length === 0) {
            return null;
        }

        return this.received.reduce((sum, entry) => sum + entry.bytes, 0)
               * 8000 / RATE_WINDOW;
    }

    buffer() {
        const now = this.video.currentTime;
        const ranges = this.video.buffered;

        for (let i = 0; i < ranges.length; i++) {
            if (ranges.start(i) <= now + 0.1 && now < ranges.end(i)) {
                return ranges.end(i) - now;
            }
        }

        return 0;
    }

    /* Seconds behind the live edge; null when unknown. */
    latency() {
        const video = this.video;

        if (this.hls) {
            return this.state === "playing" ? this.hls.latency : null;
        }

        if (this.native && video.getStartDate) {
            const ms = Date.now() - video.getStartDate().getTime();

            return isNaN(ms) ? null : ms / 1000 - video.currentTime;
        }

        return null;
    }

    level() {
        const hls = this.hls;

        return hls && hls.levels ? hls.levels[hls.currentLevel] : null;
    }

    frames() {
        const video = this.video;

        return video.getVideoPlaybackQuality
               ? video.getVideoPlaybackQuality()
               : { totalVideoFrames: 0, droppedVideoFrames: 0 };
    }

    report() {
        const frames = this.frames();

        return {
            stream: this.name,
            state: this.state,
            currentTime: this.video.currentTime,
            totalFrames: frames.totalVideoFrames,
            droppedFrames: frames.droppedVideoFrames,
            width: this.video.videoWidth,
            height: this.video.videoHeight,
            latency: this.latency(),
            buffer: this.buffer(),
            rate: this.rate(),
            stalls: this.stalls,
            restarts: this.restarts,
            errors: this.errors.slice(),
            fatal: this.fatal.slice()
        };
    }

    set(state, message) {
        this.state = state;
        this.message = message;
        this.onChange();
    }

    static get(url) {
        return fetch(url, {
            cache: "no-store",
            signal: AbortSignal.timeout ? AbortSignal.timeout(FETCH_TIMEOUT)
                                        : undefined
        });
    }
}


window.Playback = Playback;

}());
