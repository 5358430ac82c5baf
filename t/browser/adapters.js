/*
 * latency.html?player=NAME&url=URL: the players with their low latency on, but
 * for video.js, and otherwise as they come, each with what it says of itself.
 */

"use strict";

(function () {

const parameters = new URLSearchParams(location.search);
const url = new URL(parameters.get("url"), location.href).href;
const watch = window.liveWatch;
const video = document.getElementById("video");


/*
 * Each loads "script", then runs start(), which tells of errors to the watch
 * and sets latency(): seconds, as the player itself has it.
 */
const PLAYERS = {

    hls: {
        script: "node_modules/hls.js/dist/hls.min.js",

        start() {
            const Hls = window.Hls;
            const delay = Number(parameters.get("delay"));
            const room = Number(parameters.get("room") || 0.3);
            const config = {
                lowLatencyMode: true,
                maxLiveSyncPlaybackRate: 1.1,
                debug: parameters.has("debug")
            };

            /* it plays faster only with a second in its buffer, and would
             * stay where a slow start has left it; where a stall has put the
             * first beyond the second it would seek at each update */
            if (delay) {
                config.liveSyncDuration = delay;
                config.liveMaxLatencyDuration = delay + room;
                config.liveSyncOnStallIncrease = 0;
            }

            /* s, half-lives of its estimate of the bandwidth: with those it
             * has it sees a line become slow when its buffer is empty */
            if (parameters.has("quick")) {
                config.abrEwmaFastLive = 1;
                config.abrEwmaSlowLive = 3;
            }

            const hls = new Hls(config);
            const seen = { parts: 0, fragments: 0, playlists: 0 };

            hls.on(Hls.Events.ERROR, (event, data) => {
                /* a stall that the watch tells of, or that is its start */
                if (!data.fatal && !watch.settled()
                    && data.details === Hls.ErrorDetails.BUFFER_STALLED_ERROR)
                {
                    seen.stalled = (seen.stalled || 0) + 1;
                    return;
                }

                watch.error([data.fatal ? "fatal" : "error", data.details,
                             data.response ? data.response.code : "",
                             data.reason || (data.error ? data.error.message
                                                        : "")]
                            .join(" ").trim());
            });

            hls.on(Hls.Events.MANIFEST_PARSED, () => video.play());
            hls.on(Hls.Events.LEVEL_LOADED, () => { seen.playlists++; });
            hls.on(Hls.Events.LEVEL_SWITCHED, (event, data) => {
                watch.level(hls.levels[data.level].height);
            });
            hls.on(Hls.Events.FRAG_LOADED, (event, data) => {
                seen[data.part ? "parts" : "fragments"]++;
            });

            watch.attach(video);
            watch.latency = () => hls.latency;
            watch.details = () => Object.assign({
                target: hls.targetLatency,
                byDate: Date.now() - hls.playingDate.getTime()
            }, seen);

            hls.loadSource(url);
            hls.attachMedia(video);
        }
    },

    dash: {
        script: "node_modules/dashjs/dist/modern/umd/dash.all.min.js",

        start() {
            const player = window.dashjs.MediaPlayer().create();
            const delay = parameters.get("delay");

            player.initialize();

            player.updateSettings({
                streaming: {
                    delay: delay ? { liveDelay: Number(delay) } : {},
                    liveCatchup: { enabled: true }
                }
            });

            player.on("error", (event) => {
                const error = event.error;

                watch.error(error && error.code
                            ? error.code + " " + error.message
                            : String(error));
            });

            player.on("qualityChangeRendered", (event) => {
                if (event.mediaType === "video") {
                    watch.level(event.newRepresentation.height);
                }
            });

            watch.attach(video);
            watch.latency = () => player.getCurrentLiveLatency();
            watch.details = () => ({ target: player.getTargetLiveDelay() });

            player.attachView(video);
            player.setAutoPlay(true);
            player.attachSource(url);
        }
    },

    shaka: {
        script: "node_modules/shaka-player/dist/shaka-player.compiled.js",

        async start() {
            const shaka = window.shaka;

            shaka.polyfill.installAll();

            const player = new shaka.Player();

            player.addEventListener("error", (event) => {
                watch.error(explain(event.detail));
            });

            /* without it 5.2.12 throws away what comes between the first part
             * of a segment and the next key frame, for most of those who join
             * when the window slides (its issue 10589) */
            player.configure({
                manifest: { hls: { sequenceMode: true } },
                streaming: { lowLatencyMode: true, liveSync: { enabled: true } }
            });

            watch.attach(video);

            /* null where it has lost the dates of an HLS playlist */
            watch.latency = () => {
                const latency = player.getStats().liveLatency;

                return Number.isFinite(latency)
                       ? latency
                       : player.seekRange().end - video.currentTime;
            };
            watch.details = () => ({
                dated: Number.isFinite(player.getStats().liveLatency),
                stalls: player.getStats().stallsDetected,
                bufferingTime: player.getStats().bufferingTime
            });

            try {
                await player.attach(video);
                await player.load(url);
                await video.play();

            } catch (error) {
                watch.error("load " + explain(error));
            }
        }
    },

    /*
     * Its engine, VHS 3.17, cannot do low latency, which is on by default:
     *
     * Where a playlist ends with a complete segment, updateMain() merges the
     * parts of the old preloadSegment into the new one, which has none, and
     * addLLHLSQueryDirectives() then counts a segment too few: it asks for the
     * part that it has, and gets the same playlist from the browser's cache
     * for as long as that may keep it.
     *
     * updateAppendInitSegmentStatus() takes each reload for another playlist,
     * so that each part that comes alone is appended behind the init segment
     * again; browsers then drop all frames up to the next key frame.
     */
    videojs: {
        script: "node_modules/video.js/dist/video.min.js",

        start() {
            const player = window.videojs(video, {
                autoplay: "muted",
                liveui: true,
                html5: { vhs: { overrideNative: true, llhls: false } }
            });

            player.on("error", () => {
                const error = player.error();

                watch.error(error.code + " " + error.message);
            });

            player.ready(() => {
                watch.attach(player.el().querySelector("video"));
            });

            const vhs = () => {
                return player.tech({ IWillNotUseThisInPlugins: true }).vhs;
            };

            /* seekable() ends the hold-back before what is listed */
            watch.latency = () => {
                const seekable = player.seekable();
                const holdBack = 3 * vhs().playlists.media().targetDuration;

                return seekable.end(seekable.length - 1) + holdBack
                       - player.currentTime();
            };

            watch.details = () => {
                const stats = vhs().stats;

                return {
                    behind: player.liveTracker.liveCurrentTime()
                            - player.currentTime(),
                    requests: stats.mediaRequests,
                    errored: stats.mediaRequestsErrored,
                    aborted: stats.mediaRequestsAborted,
                    timedout: stats.mediaRequestsTimedout
                };
            };

            player.src({
                src: url,
                type: /\.mpd(\?|$)/.test(url) ? "application/dash+xml"
                                              : "application/x-mpegURL"
            });
        }
    }
};


function explain(error) {
    return [error.severity === 2 ? "fatal" : "error", error.code,
            JSON.stringify(error.data || error.message || "").slice(0, 300)]
           .join(" ");
}


function load(path) {
    return new Promise((resolve, reject) => {
        const script = document.createElement("script");

        script.src = path;
        script.onload = resolve;
        script.onerror = () => reject(new Error(path + " is not there"));
        document.head.append(script);
    });
}


async function start() {
    const player = PLAYERS[parameters.get("player")];

    document.title = parameters.get("player");
    await load(player.script);
    await player.start();
}


start().catch((error) => watch.error("fatal " + (error.message || error)));

}());
