// node readers.js DIR...: what independent readers make of the playlists,
// manifests and files below folders that t/lib/Test/Live/Crawl has filled.
// Prints a line for each complaint and one with the counts; exits with 1 when
// there is a complaint or nothing to read.

'use strict';

const fs = require('fs');
const path = require('path');

const HLS = require('hls-parser');
const { Parser } = require('m3u8-parser');
const MP4Box = require('mp4box');
const mpdParser = require('mpd-parser');

const counts = { playlists: 0, parts: 0, deltas: 0, manifests: 0, media: 0 };
let complaints = 0;


function complain(file, reader, what) {
    complaints++;
    console.log(`${file}: ${reader}: ${what}`);
}


function attempt(file, reader, work) {
    try {
        return work();
    } catch (error) {
        complain(file, reader, error.message || error);
        return null;
    }
}


// What a reader that knows nothing of us counts, against a plain count.
function same(file, reader, what, got, text, pattern) {
    const want = (text.match(pattern) || []).length;

    if (got !== want) {
        complain(file, reader, `${got} ${what}, there are ${want}`);
    }
}


// It takes three segments for three target durations, which they need not
// last; Test::Live::Check::HLS counts seconds (HLS-18).
function parseHls(text) {
    try {
        HLS.setOptions({ strictMode: true });
        return HLS.parse(text);

    } catch (error) {
        if (!/^Invalid Playlist : Remove EXT-X-PART/.test(error.message)) {
            throw error;
        }
    }

    HLS.setOptions({ strictMode: false, silent: true });

    return HLS.parse(text);
}


function playlist(file) {
    const text = fs.readFileSync(file, 'utf8');
    const delta = /^#EXT-X-SKIP:/m.test(text);

    counts.playlists++;
    counts.deltas += delta ? 1 : 0;

    attempt(file, 'hls-parser', () => {
        const p = parseHls(text);

        if (!p.isMasterPlaylist) {
            const parts = p.segments.reduce((n, s) => n + s.parts.length, 0);

            counts.parts += parts;
            same(file, 'hls-parser', 'segments',
                 p.segments.filter((s) => s.uri).length, text, /^#EXTINF/mg);
        }
    });

    attempt(file, 'm3u8-parser', () => {
        const parser = new Parser();
        const manifest = parser.manifest;

        parser.on('warn', (event) => complain(file, 'm3u8-parser',
                                              event.message));
        parser.push(text);
        parser.end();

        if (/^#EXTINF/m.test(text)) {
            const list = manifest.segments
                .concat(manifest.preloadSegment || []);

            same(file, 'm3u8-parser', 'segments', manifest.segments.length,
                 text, /^#EXTINF/mg);
            same(file, 'm3u8-parser', 'parts', list.reduce(
                (n, s) => n + (s.parts || []).length, 0),
                 text, /^#EXT-X-PART:/mg);
        }
    });
}


function manifest(file) {
    const text = fs.readFileSync(file, 'utf8');

    counts.manifests++;

    attempt(file, 'mpd-parser', () => {
        const p = mpdParser.parse(text, {
            manifestUri: 'http://localhost/manifest.mpd',
            eventHandler: (event) => complain(file, 'mpd-parser',
                                              event.message),
        });
        const audio = Object.keys(p.mediaGroups.AUDIO.audio || {}).length;

        if (p.playlists.length + audio < 1) {
            complain(file, 'mpd-parser', 'no representation');
        }

        for (const list of p.playlists) {
            if (/type="static"/.test(text) && !list.segments.length) {
                complain(file, 'mpd-parser', 'no segment');
            }
        }
    });
}


function bytesOf(file, start) {
    const data = fs.readFileSync(file);
    const bytes = data.buffer.slice(data.byteOffset,
                                    data.byteOffset + data.length);

    bytes.fileStart = start;

    return bytes;
}


// A segment or part with the init segment of its folder that it follows.
function media(folder, inits, name) {
    const file = path.join(folder, name);

    counts.media++;

    attempt(file, 'mp4box', () => {
        const box = MP4Box.createFile();
        const init = bytesOf(path.join(folder, inits[0]), 0);
        let ready = null;

        box.onReady = (info) => { ready = info; };
        box.onError = (error) => complain(file, 'mp4box', error);
        box.appendBuffer(init);
        box.appendBuffer(bytesOf(file, init.byteLength));
        box.flush();

        if (!ready || !ready.isFragmented || ready.tracks.length !== 1) {
            complain(file, 'mp4box', 'not one track in fragments');
        } else if (!box.getTrackSamplesInfo(ready.tracks[0].id).length) {
            complain(file, 'mp4box', 'no sample');
        }
    });
}


function walk(folder) {
    const names = fs.readdirSync(folder).sort();
    const inits = names.filter((name) => /^init-.*\.mp4$/.test(name));

    for (const name of names) {
        const file = path.join(folder, name);

        if (fs.statSync(file).isDirectory()) {
            walk(file);
        } else if (/\.m3u8$/.test(name)) {
            playlist(file);
        } else if (/\.mpd$/.test(name)) {
            manifest(file);
        } else if (/\.m4s$/.test(name)) {
            media(folder, inits, name);
        }
    }
}


process.argv.slice(2).forEach(walk);
console.log(JSON.stringify(counts));
process.exit(complaints || !counts.playlists || !counts.manifests
             || !counts.media ? 1 : 0);
