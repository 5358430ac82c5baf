// Many players at one cache, in one process.
//
//     node cdn-players.js '{"cache": PORT, "origin": PORT, "path": "/live/a",
//                           "players": 200, "seconds": 8, "mode": "ll"}'
//
// Each player loads the multivariant playlist, then follows the media
// playlists of the first variant and of its audio, over kept connections:
//
//     ll      blocking reloads, each new part, and the hinted one in advance
//     plain   a poll a second, each new segment
//
// One more player follows the same playlists at the origin itself: what it
// sees says when something was published and which bytes are right.
//
//     same    not a player: all get "url" at once
//
// Prints one JSON object; "errors" counts each thing that may not happen.

'use strict';

const crypto = require('crypto');
const net = require('net');

const option = JSON.parse(process.argv[2]);
const ll = option.mode === 'll';
const end = Date.now() + option.seconds * 1000;

const published = new Map();    // "rendition msn.part" -> when
const bytes = new Map();        // URL path -> Buffer, from the origin
const edges = {};               // rendition -> [[when, edge]], ascending
const pools = new Map();         // player -> its idle connections
const errors = {};
const received = [];            // [what, key, when]
const stale = [];               // ms that a plain playlist was behind
const count = { playlists: 0, media: 0, bytes: 0 };
let over = false;

// How long a player takes to reach the edge, in ms: not counted as latency.
const SETTLE = 2000;

// How many playlists it gets at the least, on a machine that is busy.
const ROUNDS = ll ? 6 : 3;


const ages = { with: 0, max: 0 };


function error(what) {
    errors[what] = (errors[what] || 0) + 1;
}


function sleep(ms) {
    return new Promise(done => setTimeout(done, ms));
}


// What the query of real players looks like: nothing of it may cost the
// origin a request (HTTP-60).
function noise(path, id) {
    const extra = `CMCD=sid%3D%22${id}%22%2Cbl%3D${id * 100}&token=t${id}`;

    if (!option.noise || id < 0) {
        return path;
    }

    return path.includes('?') ? path.replace('?', `?${extra}&`)
                              : `${path}?${extra}`;
}


// A response as an object, status 0 when there was none.  Each player keeps
// its connections and opens another one while all of them are busy.
async function get(path, id) {
    const sent = Date.now();

    // a kept one may be closed at the other end just now: once more then
    for (;;) {
        const c = idle(id);
        const kept = c.used;
        const r = await exchange(c, path, id);

        if (r.keep) {
            pools.get(id).push(c);
        } else {
            c.socket.destroy();
        }

        if (r.status || !kept || r.late) {
            return { ...r, sent, when: Date.now() };
        }
    }
}


function idle(id) {
    if (!pools.has(id)) {
        pools.set(id, []);
    }

    const kept = pools.get(id);

    while (kept.length) {
        const c = kept.pop();

        if (!c.closed) {
            return c;
        }
    }

    return connect(id < 0 ? option.origin : option.cache);
}


// Longer than any hold: then it was lost.
function exchange(c, path, id) {
    return new Promise((done) => {
        const timer = setTimeout(() => c.done({ status: 0, late: true }),
                                 20000);

        c.done = (r) => {
            c.done = null;
            clearTimeout(timer);
            done(r);
        };

        c.used = true;
        c.socket.write(`GET ${noise(path, id)} HTTP/1.1\r\n`
                       + `Host: 127.0.0.1\r\n\r\n`);
    });
}


function connect(port) {
    const c = { socket: net.connect(port, '127.0.0.1'), input: [], size: 0,
                head: null, used: false, closed: false };
    const lost = () => {
        c.closed = true;

        if (c.done) {
            c.done({ status: 0 });
        }
    };

    c.socket.setNoDelay(true);
    c.socket.on('data', data => input(c, data));
    c.socket.on('error', lost);
    c.socket.on('close', lost);

    return c;
}


function input(c, data) {
    c.input.push(data);
    c.size += data.length;

    if (!c.head) {
        c.head = head(c);

        if (!c.head) {
            return;
        }
    }

    const { length, chunked } = c.head;

    if (length !== undefined && c.size >= length) {
        answer(c, Buffer.concat(c.input));

    } else if (chunked && ends(c)) {
        answer(c, dechunk(Buffer.concat(c.input)));
    }
}


function head(c) {
    const all = Buffer.concat(c.input);
    const at = all.indexOf('\r\n\r\n');

    if (at < 0) {
        return null;
    }

    const text = all.latin1Slice(0, at).toLowerCase();
    const field = (name) => {
        const m = new RegExp(`\r\n${name}: *([^\r]*)`).exec(text);

        return m ? m[1] : undefined;
    };

    c.input = [all.subarray(at + 4)];
    c.size = all.length - at - 4;

    const length = field('content-length');

    return { status: +text.substr(9, 3), age: field('age'),
             control: field('cache-control'), first: Date.now(),
             length: length === undefined ? undefined : +length,
             chunked: field('transfer-encoding') === 'chunked',
             keep: field('connection') !== 'close' };
}


function ends(c) {
    return Buffer.concat(c.input.slice(-2)).subarray(-5).toString()
           === '0\r\n\r\n';
}


function dechunk(all) {
    const out = [];

    for (let at = 0; ;) {
        const line = all.indexOf('\r\n', at);
        const size = parseInt(all.latin1Slice(at, line), 16);

        if (!size) {
            return Buffer.concat(out);
        }

        out.push(all.subarray(line + 2, line + 2 + size));
        at = line + size + 4;
    }
}


function answer(c, body) {
    const { status, age, control, first, keep } = c.head;

    c.input = [];
    c.size = 0;
    c.head = null;

    if (c.done) {
        c.done({ status, age, control, first, keep, body });
    }
}


// --- playlists ---------------------------------------------------------------

function parse(text) {
    const p = { segments: [], parts: [], duration: {} };
    let msn = 0, index = 0, duration = 0;

    for (const line of text.split('\n')) {
        let m;

        if ((m = /^#EXT-X-MEDIA-SEQUENCE:(\d+)/.exec(line))) {
            msn = +m[1];

        } else if ((m = /^#EXT-X-MAP:URI="([^"]+)"/.exec(line))) {
            p.map = m[1];

        } else if (line.startsWith('#EXT-X-PART:')) {
            m = /DURATION=([\d.]+)/.exec(line);
            p.parts.push({ msn, index: index++, duration: +m[1],
                           uri: /URI="([^"]+)"/.exec(line)[1],
                           gap: line.includes('GAP=YES') });

        } else if ((m = /^#EXT-X-PRELOAD-HINT:.*URI="([^"]+)"/.exec(line))) {
            p.hint = hinted(m[1]);

        } else if ((m = /^#EXTINF:([\d.]+)/.exec(line))) {
            duration = +m[1];

        } else if (line && line[0] !== '#') {
            p.segments.push({ msn: msn++, uri: line, duration });
            index = 0;
        }
    }

    // the next to ask for: a part of the open segment, or the next one's first
    p.msn = msn;
    p.part = index;

    return p;
}


// Of a hint only the name says which part it is.
function hinted(uri) {
    const m = /-(\d+)\.(\d+)\.m4s$/.exec(uri);

    return m ? { uri, msn: +m[1], index: +m[2] } : null;
}


// The newest of it as one number.
function edge(p) {
    return p.msn * 1000 + p.part;
}


function key(rendition, p) {
    return `${rendition} ${edge(p)}`;
}


// --- the player at the origin ------------------------------------------------

// The bytes that the origin has.
function learn(path) {
    if (!bytes.has(path)) {
        bytes.set(path, null);
        get(path, -1).then((r) => {
            bytes.set(path, r.status === 200 ? r.body : null);
        });
    }
}


async function observe(rendition) {
    const base = `${option.path}/${rendition}`;
    const seen = edges[rendition] = [];
    let query = '';

    while (!over) {
        const r = await get(`${base}/playlist.m3u8${query}`, -1);

        if (r.status !== 200) {
            error(`origin: playlist ${r.status}`);
            await sleep(100);
            continue;
        }

        const p = parse(r.body.toString());

        if (!seen.length || edge(p) > seen[seen.length - 1][1]) {
            seen.push([r.when, edge(p)]);
            published.set(key(rendition, p), r.when);
        }

        for (const media of ll ? p.parts : p.segments) {
            if (!media.gap) {
                learn(`${base}/${media.uri}`);
            }
        }

        if (ll) {
            query = `?_HLS_msn=${p.msn}&_HLS_part=${p.part}`;
        } else {
            await sleep(20);
        }
    }
}


// --- a player ----------------------------------------------------------------

async function fetchMedia(me, path, id, what) {
    me.pending++;

    const r = await get(path, id);

    me.pending--;

    if (r.status !== 200) {
        error(`${what} ${r.status}`);
        return;
    }

    me.bodies.push([path, r.body]);
    count.media++;
    count.bytes += r.body.length;
    note(r);

    return r;
}


function note(r) {
    if (r.age !== undefined) {
        ages.with++;
        ages.max = Math.max(ages.max, +r.age);
    }
}


// Bytes are compared with those of the origin as soon as both are there.
function compare(me, last) {
    me.bodies = me.bodies.filter(([path, body]) => {
        const right = bytes.get(path);

        if (!right) {
            learn(path);

            if (last) {
                error('not compared');
            }

            return !last;
        }

        if (!right.equals(body)) {
            error('other bytes');
        }

        return false;
    });
}


// A part that was hinted is asked for before it is there.
function wanted(p, me) {
    const list = ll ? p.parts : p.segments;

    if (!me.started) {
        me.started = true;
        list.slice(0, -1).forEach(media => me.asked.add(media.uri));
    }

    return list.filter(media => !me.asked.has(media.uri));
}


function parts(p, rendition, base, me, id) {
    for (const media of wanted(p, me)) {
        me.asked.add(media.uri);

        if (media.gap) {
            me.got.push([media.msn, media.index]);
            continue;
        }

        fetchMedia(me, `${base}/${media.uri}`, id, 'media').then((r) => {
            if (r) {
                arrived(me, rendition, media, r.when);
            }
        });
    }

    if (ll && p.hint && !me.asked.has(p.hint.uri)) {
        me.asked.add(p.hint.uri);
        fetchMedia(me, `${base}/${p.hint.uri}`, id, 'hint').then((r) => {
            if (r) {
                arrived(me, rendition, p.hint, r.when);
            }
        });
    }
}


function arrived(me, rendition, media, when) {
    if (ll && when > me.settled) {
        received.push(['part', `${rendition} ${media.msn * 1000
                                               + media.index + 1}`, when]);
    }

    me.got.push([media.msn, media.index || 0]);
}


async function follow(rendition, id) {
    const base = `${option.path}/${rendition}`;
    const me = { asked: new Set(), bodies: [], got: [], edge: 0,
                 pending: 0, settled: Date.now() + SETTLE };
    let query = '', least = 0;

    for (let round = 0; Date.now() < end || round < ROUNDS; round++) {
        const r = await get(`${base}/playlist.m3u8${query}`, id);

        if (r.status !== 200) {
            error(`playlist ${r.status}`);
            await sleep(100);
            continue;
        }

        const p = parse(r.body.toString());

        count.playlists++;
        note(r);

        if (edge(p) < me.edge) {
            error('a playlist went back');
        }

        if (edge(p) <= least) {
            error('older than asked for');
        }

        me.edge = edge(p);
    
        if (p.map && !me.asked.has(p.map)) {
            me.asked.add(p.map);
            fetchMedia(me, `${base}/${p.map}`, id, 'init');
        }

        if (!query) {
            stale.push([rendition, r.sent, edge(p)]);
        } else if (r.sent > me.settled) {
            received.push(['playlist', key(rendition, p), r.when]);
        }

        parts(p, rendition, base, me, id);
        compare(me);

        if (ll) {
            query = `?_HLS_msn=${p.msn}&_HLS_part=${p.part}`;
            least = edge(p);
        } else {
            await sleep(1000);
        }
    }

    // what is still under way, and the origin's bytes of it
    for (const limit = Date.now() + 15000; Date.now() < limit; ) {
        compare(me);

        if (!me.pending && !me.bodies.length) {
            break;
        }

        await sleep(50);
    }

    compare(me, true);
    whole(me);
}


// No part is missing between the first and the last one.
function whole(me) {
    const seen = me.got.sort((a, b) => a[0] - b[0] || a[1] - b[1]);

    for (let i = 1; i < seen.length; i++) {
        const [a, b] = [seen[i - 1], seen[i]];

        if (!(a[0] === b[0] && b[1] === a[1] + 1)
            && !(b[0] === a[0] + 1 && b[1] === 0))
        {
            error('a part is missing');
        }
    }

    if (!seen.length) {
        error('a player without media');
    }
}


async function player(id) {
    // as people come: over a second
    await sleep(1000 * id / option.players);

    const r = await get(`${option.path}/playlist.m3u8`, id);

    if (r.status !== 200) {
        error(`multivariant ${r.status}`);
        return;
    }

    await Promise.all(renditions(r.body.toString())
                      .map(rendition => follow(rendition, id)));
}


function renditions(text) {
    const video = /^([^#\s]+)\/playlist\.m3u8/m.exec(text);
    const audio = /^#EXT-X-MEDIA:.*URI="([^"]+)\/playlist\.m3u8"/m.exec(text);

    return [video, audio].filter(m => m).map(m => m[1]);
}


// --- figures -----------------------------------------------------------------

function spread(list) {
    const sorted = list.filter(x => x >= 0).sort((a, b) => a - b);
    const at = share => sorted[Math.floor(share * (sorted.length - 1))];

    return { n: sorted.length, p50: at(0.5), p95: at(0.95), max: at(1) };
}


// ms from when the origin had it until a player had it.
function latency(what) {
    return spread(received.filter(r => r[0] === what).map(([, k, when]) => {
        const then = published.get(k);

        return then === undefined ? undefined : Math.max(0, when - then);
    }));
}


// ms since the origin had a newer one than this when it was asked for.
function staleness() {
    return spread(stale.map(([rendition, sent, have]) => {
        const newer = edges[rendition].find(([, e]) => e > have);

        return newer ? Math.max(0, sent - newer[0]) : 0;
    }));
}


// Everybody wants the same, at the same moment.
async function same() {
    const all = await Promise.all(Array.from({ length: option.players },
                                             (_, id) => get(option.url, id)));
    const status = {}, bodies = {};

    for (const r of all) {
        status[r.status] = (status[r.status] || 0) + 1;

        if (r.status) {
            const sum = crypto.createHash('md5').update(r.body).digest('hex');

            bodies[sum] = (bodies[sum] || 0) + 1;
        }
    }

    return { status, bodies, length: (all[0].body || '').length,
             control: all[0].control,
             first: spread(all.map(r => r.first - r.sent)),
             last: spread(all.map(r => r.when - r.sent)) };
}


async function load() {
    const r = await get(`${option.path}/playlist.m3u8`, -1);

    if (r.status !== 200) {
        throw new Error(`no stream: ${r.status}`);
    }

    const observers = renditions(r.body.toString()).map(observe);
    const began = Date.now();

    await Promise.all(Array.from({ length: option.players },
                                 (_, id) => player(id)));
    over = true;
    await Promise.all(observers);

    return { errors, ...count, ages, elapsed: (Date.now() - began) / 1000,
             playlist: latency('playlist'), part: latency('part'),
             stale: staleness() };
}


async function main() {
    const result = await (option.mode === 'same' ? same() : load());

    console.log(JSON.stringify(result));
    process.exit(0);
}


main().catch((e) => {
    console.error(e);
    process.exit(1);
});
