
/*
 * Counters that the media zone has.  Those of tracks and publications are
 * written by the owner of the stream alone, without a lock, and read by any
 * worker; those of requests are gathered in each worker and added once a
 * second, see ngx_live_stat.h.
 */

#ifndef _NGX_LIVE_STAT_ZONE_H_INCLUDED_
#define _NGX_LIVE_STAT_ZONE_H_INCLUDED_


#include <stdint.h>
#include "live_viewers.h"


#define NGX_LIVE_STAT_BOUNDS    12      /* of histograms */
#define NGX_LIVE_STAT_SECONDS   10      /* of sliding rates */
#define NGX_LIVE_STAT_OBJECTS   12      /* kinds of URLs, at most */
#define NGX_LIVE_STAT_CLASSES   16      /* of Cache-Control, at most */
#define NGX_LIVE_STAT_PEER      48      /* a textual address, no port */


/* Counts by upper bound (ngx_live_stat_bounds), the last one has none. */
typedef struct {
    uint64_t                count[NGX_LIVE_STAT_BOUNDS + 1];
    uint64_t                sum;            /* us */
} ngx_live_histogram_t;


/* What was counted in each of the last seconds, and what follows of it. */
typedef struct {
    uint64_t                at;             /* ms, monotonic; 0: never */
    uint64_t                bytes;          /* counted then */
    uint64_t                frames;
    uint32_t                slot;
    uint32_t                ms[NGX_LIVE_STAT_SECONDS];
    uint32_t                octets[NGX_LIVE_STAT_SECONDS];
    uint32_t                units[NGX_LIVE_STAT_SECONDS];

    uint64_t                rate;           /* bit/s, of the last second */
    uint64_t                rate10;         /* bit/s, of all of them */
    uint64_t                mhz;            /* frames in 1000 s, the same */
} ngx_live_rate_t;


/* Of a track, since it was made; owner only. */
typedef struct {
    uint64_t                frames;
    uint64_t                keys;
    uint64_t                octets;         /* of samples */
    uint64_t                parts;
    uint64_t                segments;
    uint64_t                gaps;           /* segments without media */

    /* us; intervals between key frames of video */
    uint64_t                key;
    uint64_t                key_max;
    int64_t                 key_at;         /* of the timeline */
    uint64_t                keyed;          /* key_at is set */

    uint64_t                segment;        /* us, the last one */
    uint64_t                segment_max;
    uint64_t                part;
    uint64_t                part_max;

    uint64_t                late;           /* us, the last part */
    uint64_t                arrived;        /* Unix us, its last sample */
    uint64_t                pending;        /* no playlist has the last part */

    ngx_live_histogram_t    lateness;
    ngx_live_histogram_t    available;
    ngx_live_rate_t         rate;
} ngx_live_track_stat_t;


/* Of a stream; owner only. */
typedef struct {
    uint64_t                received;       /* bytes, of all publications */
    uint64_t                counted;        /* of those, in the zone's total */
    uint64_t                publications;
    uint64_t                dropped[2];     /* frames, by live_media_e */
    uint64_t                discontinuities;
    uint64_t                rtt;            /* us; 0: not known */
    uint64_t                rtt_var;
    ngx_live_rate_t         in;
    ngx_live_rate_t         out;
    uint64_t                viewers;
    char                    peer[NGX_LIVE_STAT_PEER];
} ngx_live_stream_stat_t;


/* Of requests; with the zone's lock. */
typedef struct {
    uint64_t                sent;           /* bytes, headers included */
    uint64_t                blocked;
    uint64_t                blocked_ms;
    uint64_t                objects[NGX_LIVE_STAT_OBJECTS];
    uint64_t                classes[NGX_LIVE_STAT_CLASSES];
} ngx_live_request_stat_t;


/*
 * Who has asked for playlists, in two windows that take turns.  Workers add
 * to the newer one with the zone's lock; the owner turns them, and counts.
 */
typedef struct {
    uint64_t                turned;         /* ms, monotonic; 0: never */
    uint64_t                now;            /* the newer one: & 1 */
    live_viewers_t          windows[2];
} ngx_live_viewers_sh_t;


/* Of a worker, by itself. */
typedef struct {
    uint64_t                cpu;            /* us, of all its threads */
    uint64_t                busy;           /* of a core, in 0.01 % */
    uint64_t                memory;         /* bytes that it alone has */
    uint64_t                held;           /* requests, now */
} ngx_live_worker_stat_t;


/* Of all; by atomic operations, or with the zone's lock. */
typedef struct {
    uint64_t                started;        /* Unix ms, of the zone */
    uint64_t                received;       /* bytes */
    uint64_t                publications;
    uint64_t                evicted;        /* bytes, before their time */
    uint64_t                callbacks;      /* that were answered by 2xx, 3xx */
    uint64_t                callbacks_refused;      /* by another status */
    uint64_t                callbacks_failed;       /* not answered */
    ngx_live_request_stat_t requests;       /* also of no stream */
} ngx_live_total_stat_t;


#endif /* _NGX_LIVE_STAT_ZONE_H_INCLUDED_ */
