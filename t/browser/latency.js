/*
 * What a viewer gets, apart from which player it comes through: stalls,
 * frames, and the time from clock.c's pen to the screen.  window.liveReport()
 * gives the account, see report().
 */

"use strict";

(function () {

const COLUMNS = 16;             /* the code of clock.c */
const ROWS = 3;
const STRIP = 0.25;             /* its share of the height */

const SETTLING = 5000;          /* ms after the start that are not counted: the
                                 * pages of a test start at once, and browsers
                                 * that start leave an encoder on the same
                                 * machine without a CPU */
const INTERVAL = 250;           /* ms between samples of the player's figures */
const READ_EACH = 3;            /* frames; to read one costs as much as many
                                 * to decode */


class Watch {

    constructor() {
        this.errors = [];       /* texts; every one, fatal or not */
        this.startedAt = null;  /* ms, first "playing" */
        this.waitingSince = null;
        this.stalls = [];       /* ms each, once settled */
        this.early = 0;         /* stalls before that */
        this.seeks = 0;
        this.glass = [];        /* ms from pen to screen, of each frame read */
        this.unread = 0;        /* frames whose code is not one */
        this.presented = 0;
        this.lastFrameAt = null;
        this.longestGap = 0;    /* ms between two frames */
        this.own = [];          /* the player's latency, ms */
        this.rates = [];        /* playback rates */
        this.sizes = [];        /* of pictures, each time another one begins */
        this.levels = [];       /* renditions, as the player tells of them */
        this.offsets = {};      /* by height: ms from presentation to pen */
        this.ranges = 0;        /* the most that were buffered */
        this.lastMediaTime = null;
        this.start = null;      /* quality when settled */
        this.latency = () => null;
        this.details = () => null;

        this.canvas = document.getElementById("code");
        this.context = this.canvas.getContext("2d",
                                              { willReadFrequently: true });
        this.context.imageSmoothingEnabled = false;

        setInterval(() => this.sample(), INTERVAL);
    }

    /* Players may put an element of their own in place of the page's. */
    attach(video) {
        this.video = video;

        video.addEventListener("playing", () => this.onPlaying());
        video.addEventListener("waiting", () => this.onWaiting());
        video.addEventListener("timeupdate", () => this.onProgress());
        video.addEventListener("seeking", () => {
            this.seeks += this.settled();
        });
        video.addEventListener("error", () => {
            this.error("video: " + (video.error && video.error.message));
        });

        this.requestFrame();
    }

    error(text) {
        this.errors.push(text + " at " + this.now().toFixed(1) + " s");
    }

    /* A rendition that the player has switched to. */
    level(height) {
        this.levels.push({ at: this.now(), height: height });
    }

    /* s since the start */
    now() {
        return this.startedAt === null
               ? 0 : (performance.now() - this.startedAt) / 1000;
    }

    settled() {
        return this.startedAt !== null
               && performance.now() - this.startedAt > SETTLING;
    }

    onPlaying() {
        if (this.startedAt === null) {
            this.startedAt = performance.now();
        }

        this.endWaiting();
    }

    onWaiting() {
        if (this.startedAt === null) {
            return;
        }

        this.waitingAt = this.video.currentTime;
        this.waitingSince = performance.now();
        this.waitingCounts = this.settled();
    }

    onProgress() {
        if (this.video.currentTime > this.waitingAt) {
            this.endWaiting();
        }
    }

    endWaiting() {
        if (this.waitingSince === null) {
            return;
        }

        if (this.waitingCounts) {
            this.stalls.push(Math.round(performance.now()
                                        - this.waitingSince));
        } else {
            this.early++;
        }

        this.waitingSince = null;
    }

    requestFrame() {
        this.video.requestVideoFrameCallback((now, metadata) => {
            this.onFrame(metadata);
            this.requestFrame();
        });
    }

    onFrame(metadata) {
        const now = performance.now();
        const shown = Math.max(now, metadata.expectedDisplayTime);

        this.presented++;
        this.onSize(metadata, shown);

        if (this.settled()) {
            if (this.presented % READ_EACH === 0) {
                this.take(Date.now() + (shown - now), metadata);
            }

            if (this.lastFrameAt !== null) {
                this.longestGap = Math.max(this.longestGap,
                                           shown - this.lastFrameAt);
            }

            this.lastFrameAt = shown;
        }
    }

    /* A switch: what is between its two pictures, on the screen and in the
     * stream, in ms. */
    onSize(metadata, shown) {
        const last = this.sizes.at(-1);

        if (!last || last.height !== metadata.height) {
            this.sizes.push({
                at: this.now(),
                settled: this.settled(),
                height: metadata.height,
                gap: last ? Math.round(shown - this.shownAt) : 0,
                step: last ? Math.round((metadata.mediaTime
                                         - this.lastMediaTime) * 1000) : 0
            });
        }

        this.shownAt = shown;
        this.lastMediaTime = metadata.mediaTime;
    }

    /* at: when it is shown, Unix time in ms */
    take(at, metadata) {
        const drawn = this.read(at);

        if (drawn === null) {
            this.unread++;
        } else {
            this.glass.push(at - drawn);
            (this.offsets[metadata.height] ??= [])
                .push(drawn - metadata.mediaTime * 1000);
        }
    }

    /* Unix time, ms, in the picture; null without a code. */
    read(at) {
        const { width, height } = this.canvas;
        const cell = { x: width / COLUMNS, y: height / ROWS };
        const video = this.video;

        this.context.drawImage(video, 0, 0, video.videoWidth,
                               video.videoHeight * STRIP, 0, 0, width, height);

        const data = this.context.getImageData(0, 0, width, height).data;
        const bytes = [0, 0, 0, 0, 0, 0];

        for (let i = 0; i < COLUMNS * ROWS; i++) {
            const x = Math.floor((i % COLUMNS + 0.5) * cell.x);
            const y = Math.floor((Math.floor(i / COLUMNS) + 0.5) * cell.y);

            if (data[(y * width + x) * 4 + 1] > 127) {
                bytes[i >> 3] |= 0x80 >> (i & 7);
            }
        }

        let sum = 0x5a;
        let ms = 0;

        for (let i = 0; i < 5; i++) {
            sum = (sum * 31 + bytes[i]) & 0xff;
            ms = ms * 256 + bytes[i];
        }

        if (sum !== bytes[5]) {
            return null;
        }

        /* the code has the lower 40 bits */
        const period = 2 ** 40;

        return ms + Math.round((at - ms) / period) * period;
    }

    sample() {
        if (!this.video || !this.settled()) {
            return;
        }

        if (!this.start) {
            this.start = this.quality();
        }

        const seconds = attempt(this.latency);

        if (typeof seconds === "number" && isFinite(seconds)) {
            this.own.push(seconds * 1000);
        }

        this.rates.push(this.video.playbackRate);
        this.ranges = Math.max(this.ranges, this.video.buffered.length);
    }

    quality() {
        const quality = this.video.getVideoPlaybackQuality();

        return {
            at: performance.now(),
            currentTime: this.video.currentTime,
            total: quality.totalVideoFrames,
            dropped: quality.droppedVideoFrames,
            corrupted: quality.corruptedVideoFrames,
            audioBytes: this.video.webkitAudioDecodedByteCount
        };
    }

    report() {
        const end = this.video ? this.quality() : {};
        const start = this.start;

        const now = this.waitingSince !== null && this.waitingCounts
                    ? [Math.round(performance.now() - this.waitingSince)] : [];
        const stalls = this.stalls.concat(now);

        return {
            started: this.startedAt !== null,
            position: end.currentTime,
            errors: this.errors,
            stalls: stalls.length,
            stalledMs: stalls.reduce((sum, ms) => sum + ms, 0),
            earlyStalls: this.early,
            seeks: this.seeks,

            /* since it settled, s and frames */
            seconds: start ? (end.at - start.at) / 1000 : 0,
            played: start ? end.currentTime - start.currentTime : 0,
            frames: start ? end.total - start.total : 0,
            dropped: start ? end.dropped - start.dropped : 0,
            corrupted: start ? end.corrupted - start.corrupted : 0,
            audioBytes: start ? end.audioBytes - start.audioBytes : 0,
            width: this.video ? this.video.videoWidth : 0,
            height: this.video ? this.video.videoHeight : 0,

            /* ms */
            own: spread(this.own),
            glass: spread(this.glass),
            read: this.glass.length,
            unread: this.unread,
            longestGap: Math.round(this.longestGap),
            rate: spread(this.rates, 1000),

            sizes: this.sizes,
            levels: this.levels,
            offsets: Object.fromEntries(
                Object.entries(this.offsets)
                      .map(([height, ms]) => [height, spread(ms)])),
            ranges: this.ranges,
            now: this.now(),
            details: attempt(this.details)
        };
    }
}


/* Some players throw when asked before they play. */
function attempt(ask) {
    try {
        return ask();

    } catch (error) {
        return null;
    }
}


/* Of rounded values. */
function spread(values, digits = 1) {
    const sorted = [...values].sort((a, b) => a - b);

    const at = (share) => {
        const value = sorted[Math.min(sorted.length - 1,
                                      Math.floor(sorted.length * share))];

        return Math.round(value * digits) / digits;
    };

    if (sorted.length === 0) {
        return null;
    }

    return { min: at(0), p50: at(0.5), p95: at(0.95), max: at(1) };
}


const watch = new Watch();

window.liveWatch = watch;
window.liveReport = () => watch.report();

}());
