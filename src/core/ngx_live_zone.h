
/*
 * The media zone: an index in an nginx shared zone and the bytes of all
 * media in one sparse memfd (docs/architecture.md).
 *
 * A stream is written by the worker that owns it and read by all.  Nothing
 * that readers use is protected by a lock: records are filled first and then
 * published by storing a counter, so that a writer that dies at any point
 * leaves either the old or the new state.  Readers copy a record and check
 * afterwards, by the counter and by the stream's id, that it was still valid;
 * stream structures are never given back to the slab pool, so that the id is
 * always an id.
 */

#ifndef _NGX_LIVE_ZONE_H_INCLUDED_
#define _NGX_LIVE_ZONE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_live.h"
#include "live_types.h"
#include "live_state.h"
#include "live_m3u8.h"
#include "ngx_live_stat_zone.h"


#define NGX_LIVE_LAYOUT         12      /* of all shared structures */

#define NGX_LIVE_MAX_WORKERS    128     /* of old and new cycles together */
#define NGX_LIVE_MAX_TRACKS     14      /* of one stream */
#define NGX_LIVE_BUCKETS        1024    /* of the table of streams */
#define NGX_LIVE_MAX_NAME       128
#define NGX_LIVE_MAX_APP        64
#define NGX_LIVE_MAX_INITS      8       /* init segments kept of a track */
#define NGX_LIVE_MAX_CONFIG     4096    /* bytes of a codec record */
#define NGX_LIVE_MAX_HELD       64      /* retired ranges that are pinned */
#define NGX_LIVE_MAX_DOCS       21      /* rendered texts of a stream */
#define NGX_LIVE_MAX_THUMBS     4       /* widths of thumbnails kept */
#define NGX_LIVE_MAX_PERIODS    32      /* of DASH, in the window */
#define NGX_LIVE_CHANGED        4096    /* bits, hashed ids of streams */
#define NGX_LIVE_ADDRESS        8       /* bytes that tell clients apart */

#define NGX_LIVE_RANGE_BITS     36      /* a track's virtual range */
#define NGX_LIVE_RANGE          ((off_t) 1 << NGX_LIVE_RANGE_BITS)
#define NGX_LIVE_MAX_RANGES     ((uint64_t) 1 << (62 - NGX_LIVE_RANGE_BITS))
#define NGX_LIVE_PAGE           4096
#define NGX_LIVE_EXTENT         (64 * 1024)     /* unit of accounting */

#define NGX_LIVE_MIN_ZONE       (8 * 1024 * 1024)


#define ngx_live_load(p)        __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define ngx_live_store(p, v)    __atomic_store_n(p, v, __ATOMIC_RELEASE)
#define ngx_live_fence()        __atomic_thread_fence(__ATOMIC_SEQ_CST)


typedef enum {
    NGX_LIVE_STREAM_FREE = 0,   /* on the free list */
    NGX_LIVE_STREAM_LIVE,       /* has a publisher */
    NGX_LIVE_STREAM_AWAY,       /* the publisher may come back */
    NGX_LIVE_STREAM_ENDED       /* ENDLIST; kept while players may ask */
} ngx_live_state_e;


/* ngx_live_segment_sh_t.flags: LIVE_SEGMENT_* of live_m3u8.h */

typedef struct {
    uint64_t                offset;
    uint32_t                size;
    uint32_t                flags;
    int64_t                 start;          /* ticks */
    int64_t                 duration;       /* ticks */
    uint64_t                part;           /* its first part */
    uint32_t                parts;
    uint32_t                init;           /* number of its init segment */
    uint32_t                timescale;      /* of its ticks */
    uint32_t                rest;           /* ticks at its end without media,
                                             * behind which time is broken */
    uint64_t                dsn;            /* discontinuities up to it */
    uint64_t                published;      /* Unix time, ms */
    uint64_t                unlisted;       /* the same; 0 while listed */
    ngx_pid_t               maker;          /* MPEG-TS: who makes it now */
    int64_t                 shift;          /* of its date, see live_drift.h */
} ngx_live_segment_sh_t;


/*
 * flags: LIVE_SEGMENT_INDEPENDENT, LIVE_SEGMENT_GAP.  A gap has no bytes: it
 * stands for time within a sample that is longer than the part target.
 */
typedef struct {
    uint64_t                offset;
    uint64_t                msn;
    int64_t                 start;          /* ticks */
    uint32_t                size;
    uint32_t                duration;       /* ticks */
    uint32_t                index;          /* within its segment */
    uint32_t                flags;
} ngx_live_part_sh_t;


/*
 * A ring of records numbered from 0 or 1 on without end.  Valid are those
 * from tail to before head; the writer alone moves both.
 */
typedef struct {
    uint64_t                head;
    uint64_t                tail;
    uint64_t                mask;
    void                   *slots;
} ngx_live_ring_sh_t;


typedef struct {
    uint32_t                number;         /* from 1; 0: unused */
    uint32_t                len;
    u_char                 *data;
    live_codec_info_t       info;           /* owner only */
    double                  fps;
} ngx_live_init_sh_t;


/* What a worker still sends of a track: bytes from lo to before hi. */
typedef struct {
    uint64_t                lo;
    uint64_t                hi;             /* 0: nothing */
} ngx_live_pin_sh_t;


typedef struct {
    uint64_t                offset;
    uint64_t                len;
} ngx_live_range_sh_t;


typedef enum {
    NGX_LIVE_TRACK_ON = 0,      /* it is written */
    NGX_LIVE_TRACK_DORMANT,     /* nobody has asked for it: no media */
    NGX_LIVE_TRACK_OFF          /* it was left out: playlists forget it */
} ngx_live_mode_e;


typedef struct {
    char                    name[32];       /* of the rendition */

    uint32_t                rung;           /* made here, of the source */
    uint32_t                hidden;         /* no playlist names it */
    uint32_t                alone;          /* audio that is a variant */
    uint32_t                audio;          /* of video: its track + 1, or 0 */
    uint32_t                mode;           /* ngx_live_mode_e */
    uint64_t                wanted;         /* Unix ms, by any worker */
    uint64_t                paused;         /* Unix ms of shedding it, or 0 */

    live_codec_info_t       info;
    double                  fps;

    ngx_live_ring_sh_t      segments;       /* numbered by MSN */
    ngx_live_ring_sh_t      parts;
    ngx_live_ring_sh_t      samples;

    /* the segment that is being written, valid while open_msn is not 0: what
     * completes it when its writer dies */
    ngx_live_segment_sh_t   open;
    uint64_t                open_msn;
    uint32_t                ends;           /* with its last part, likely */

    ngx_live_init_sh_t      inits[NGX_LIVE_MAX_INITS];
    uint32_t                init;           /* number of the newest */

    uint64_t                listed;         /* first MSN of the playlist */
    uint64_t                bandwidth;      /* bit/s, the highest segment */
    uint64_t                average;        /* bit/s, as announced */
    uint64_t                bits;           /* of all segments ... */
    uint64_t                ticks;          /* ... and their durations */

    /* before this one the memory of segments was given back: less than the
     * tail where a writer has died between */
    uint64_t                retired;

    uint64_t                range;          /* where its writer appends */
    uint64_t                bytes;          /* of the zone's budget */
    ngx_live_range_sh_t     held[NGX_LIVE_MAX_HELD];
    uint32_t                nheld;

    ngx_live_pin_sh_t       pins[NGX_LIVE_MAX_WORKERS];

    ngx_live_track_stat_t   stat;
} ngx_live_track_sh_t;


/* What a media playlist lists (HLS-59). */
typedef struct {
    uint64_t                msn;            /* behind its last segment: L+1 */
    uint32_t                parts;          /* of msn, 0: none */
    uint32_t                last_parts;     /* of msn - 1 */
    uint32_t                ended;
    uint32_t                hint;           /* more comes, it says */
    uint32_t                part_target;    /* ms; 0: no low latency */
} ngx_live_edge_t;


/*
 * A rendered text in two buffers that are written in turn: buffer version & 1
 * is valid.  A reader that finds another version after copying tries again.
 */
typedef struct {
    u_char                 *data;
    uint32_t                size;
    uint32_t                len;
    uint32_t                etag;           /* crc32 of the text */
    uint64_t                modified;       /* Unix time, s */
    ngx_live_edge_t         edge;
    live_m3u8_delta_t       delta;
} ngx_live_text_sh_t;


typedef struct {
    uint64_t                version;        /* 0: never rendered */
    ngx_live_text_sh_t      text[2];
} ngx_live_doc_sh_t;


/* A thumbnail of one width; its bytes are a text. */
typedef struct {
    uint32_t                width;          /* 0: not in use */
    uint32_t                failed;         /* the last try, nothing is there */
    ngx_pid_t               maker;          /* who makes it now, or 0 */
    uint64_t                source;         /* where its key frame is */
    uint64_t                made;           /* Unix ms, also of a failure */
    uint64_t                used;           /* Unix ms */
} ngx_live_thumb_sh_t;


/* A period of the DASH manifest (DASH-30). */
typedef struct {
    uint64_t                id;
    uint64_t                msn;            /* its first segment */
    int64_t                 start_us;
    int64_t                 grid_us;        /* 0: a timeline */
    uint32_t                tracks;         /* bits of those it has */
    uint32_t                shown;          /* bits of those it was listed of */
    uint64_t                limit;          /* listed up to before this MSN */
    int64_t                 shift;          /* of its first segment */
} ngx_live_period_sh_t;


/* A publisher that stands by. */
typedef struct {
    uint64_t                number;         /* 0: there is none */
    uint64_t                count;          /* ever, gives the numbers */
    uint64_t                heard;          /* Unix ms of the last data */
    uint64_t                moves;          /* as in the stream */
    uint32_t                client;
    ngx_pid_t               pid;            /* its worker */
} ngx_live_standby_sh_t;


typedef struct ngx_live_stream_sh_s  ngx_live_stream_sh_t;

struct ngx_live_stream_sh_s {
    uint64_t                id;             /* 0: not in use; never reused */
    ngx_live_stream_sh_t   *next;           /* of its bucket, or free */

    uint32_t                state;          /* ngx_live_state_e */
    uint32_t                hash;
    u_char                  name[NGX_LIVE_MAX_NAME];
    u_char                  app[NGX_LIVE_MAX_APP];
    uint32_t                name_len;
    uint32_t                app_len;

    char                    epoch[20];      /* token in URLs, NUL-terminated */
    uint64_t                anchor;         /* Unix ms of timeline 0 */
    uint64_t                created;        /* Unix ms */

    ngx_pid_t               owner;          /* the worker that writes, or 0 */
    uint64_t                publication;    /* counts publishers */
    uint64_t                heard;          /* Unix ms of the last data */
    uint64_t                deadline;       /* Unix ms of the next state */
    uint64_t                started;        /* Unix ms of the publication */

    /* what it began with: 1 and 0, or what "state_path" had kept */
    uint64_t                first_msn;
    uint64_t                first_dsn;
    uint32_t                anchored;       /* its anchor was kept as well */

    uint64_t                bytes_in;       /* of the publication */
    u_char                  address[NGX_LIVE_ADDRESS];  /* its publisher's */
    uint32_t                address_len;
    uint32_t                transcoded;     /* counts for max_transcodes */
    uint32_t                client;         /* of the publisher, a hash */

    /* of what was created by the control API, see ngx_live_registry.h */
    uint32_t                options;        /* NGX_LIVE_NO_* */
    uint32_t                slate;          /* is its publisher, while LIVE */
    uint64_t                ends;           /* the publication that is to end */

    uint32_t                cycle;          /* it was looked up in, see below */
    uint32_t                removed;        /* which has no such application */

    /* until then, Unix ms, that client may go on from another connection */
    uint64_t                moves;

    /* who goes on when the publisher fails; with the zone's lock, but heard */
    ngx_live_standby_sh_t   standby;

    /* settings of its application, as of its creation */
    uint64_t                window;         /* ms */
    uint64_t                resume;         /* ms */
    uint32_t                target_duration;        /* s */
    uint32_t                part;           /* ms, no CMAF chunk is longer */
    uint32_t                part_target;    /* ms, announced; 0: no LL */
    uint32_t                part_aligned;   /* those of audio with video's */
    uint32_t                segment;        /* ms */

    uint64_t                msn;            /* of the next boundary */
    uint64_t                dsn;
    int64_t                 shift;          /* of the newest segment's date */

    /* for those who wait, see ngx_live_notify.h: bits by worker slot */
    uint64_t                waiting[NGX_LIVE_MAX_WORKERS / 64];

    uint32_t                expect;         /* tracks that are announced */
    uint32_t                closing;        /* without a publisher, LIVE */
    uint32_t                dirty;          /* docs to render; owner only */
    uint32_t                mpd_tracks;     /* bits of those that it lists */
    uint64_t                mpd_published;  /* Unix ms, of its version */
    uint64_t                mpd_closing;    /* Unix ms; ended, not static */

    ngx_live_period_sh_t    periods[NGX_LIVE_MAX_PERIODS];
    uint64_t                nperiods;       /* ever, the last is open */
    uint64_t                judged;         /* MSN that is next to begin one */

    /* the transcoder, for those who watch it */
    uint32_t                shed;           /* level, 0: nothing is left out */
    uint32_t                lag;            /* ms behind the source */
    uint64_t                queued;         /* bytes of its queues */
    uint64_t                skipped;        /* frames left out, ever */

    ngx_live_stream_stat_t  stat;
    ngx_live_request_stat_t requests;
    ngx_live_viewers_sh_t   viewers;

    /*
     * Muxed MPEG-TS, made on demand by any worker: segments of the same
     * numbers in a log of its own; one that is not made yet has no bytes.
     * What is not of the owner changes with the zone's lock held.
     */
    ngx_live_track_sh_t     ts;
    uint64_t                ts_pos;         /* where the next one goes */

    ngx_live_thumb_sh_t     thumbs[NGX_LIVE_MAX_THUMBS];

    uint32_t                ntracks;
    ngx_live_track_sh_t     tracks[NGX_LIVE_MAX_TRACKS];
    ngx_live_doc_sh_t       docs[NGX_LIVE_MAX_DOCS];
};


/* docs: the multivariant playlist, then a media playlist for each track */
#define NGX_LIVE_DOC_MULTIVARIANT   0
#define ngx_live_doc_media(track)   (1 + (track))
#define NGX_LIVE_DOC_MPD            (1 + NGX_LIVE_MAX_TRACKS)
#define NGX_LIVE_DOC_TS             (NGX_LIVE_DOC_MPD + 1)
#define ngx_live_doc_thumb(n)       (NGX_LIVE_DOC_TS + 1 + (n))


typedef struct ngx_live_entry_sh_s  ngx_live_entry_sh_t;


typedef struct {
    ngx_pid_t               pid;            /* 0: free */
    uint32_t                signaled;       /* its eventfd was written */
    uint64_t                changed[NGX_LIVE_CHANGED / 64];
    ngx_live_worker_stat_t  stat;
} ngx_live_worker_sh_t;


typedef struct {
    uint32_t                layout;
    uint32_t                nstreams;
    uint64_t                budget;         /* bytes of media */
    uint64_t                used;
    uint64_t                next_id;
    uint64_t                next_range;
    uint32_t                cycle;          /* counts configurations */
    uint32_t                abandoned;      /* the last one has no live{} */
    uint32_t                quit;           /* the one whose workers end */
    ngx_live_stream_sh_t   *free;
    ngx_live_stream_sh_t   *moving;         /* from one list to another */

    /* what a worker that died has counted and not taken, see
     * ngx_live_zone_audit() */
    uint32_t                suspect;
    uint64_t                surplus;
    uint64_t                audited;        /* Unix ms */

    ngx_live_total_stat_t   stat;

    ngx_live_stream_sh_t   *buckets[NGX_LIVE_BUCKETS];
    ngx_live_entry_sh_t    *entries[NGX_LIVE_BUCKETS];
    uint32_t                nentries;
    uint32_t                nsources;       /* of them, that are pulled */
    ngx_live_worker_sh_t    workers[NGX_LIVE_MAX_WORKERS];
} ngx_live_zone_sh_t;


struct ngx_live_zone_s {
    ngx_live_zone_sh_t     *sh;
    ngx_slab_pool_t        *shpool;
    ngx_shm_zone_t         *shm_zone;
    size_t                  size;           /* as configured */
    int                     fd;             /* the memfd */
    ngx_uint_t              slot;           /* of this worker */
    uint32_t                cycle;          /* of this configuration */
    ngx_file_t              file;           /* for buffers that read fd */
    int                     events[NGX_LIVE_MAX_WORKERS];   /* eventfds */

    ngx_pool_t             *pool;           /* of the cycle */
    ngx_str_t               state_path;     /* NUL-terminated; empty: off */
    ngx_fd_t                state_fd;
    uint32_t                boot;           /* tells boots of the machine */
};


/* Declares the shared zone; size is all memory, media and index. */
ngx_int_t ngx_live_zone_add(ngx_conf_t *cf, ngx_live_zone_t *zone);

/*
 * Master, when a configuration has come into effect: workers of earlier ones
 * find that theirs is not the last.
 */
void ngx_live_zone_commit(ngx_live_zone_t *zone);

/*
 * Master: the configuration in effect has no live{}.  Its workers of before
 * end their publications; what the master holds is closed.
 */
void ngx_live_zone_abandon(ngx_live_zone_t *zone, ngx_log_t *log);

/* Claims a slot for this worker.  NGX_ERROR: all are taken. */
ngx_int_t ngx_live_zone_init_process(ngx_live_zone_t *zone, ngx_log_t *log);

/* Gives back the slot and the streams of this worker. */
void ngx_live_zone_exit_process(ngx_live_zone_t *zone);

/* How many have one and are there. */
ngx_uint_t ngx_live_zone_workers(ngx_live_zone_t *zone);

/* Frees the slots of workers that died; any worker, about once a second. */
void ngx_live_zone_reap(ngx_live_zone_t *zone);

ngx_uint_t ngx_live_worker_alive(ngx_pid_t pid);

/* Milliseconds since 1970, of the event loop's clock. */
uint64_t ngx_live_now(void);

/* ms since then, of the same clock; 0 where it was set back before it. */
uint64_t ngx_live_since(uint64_t ms);


/*
 * The stream of that name, NULL when there is none.  epoch (may be NULL) asks
 * for the timeline of that token; without it an ended stream is found only
 * when no other has its name.  Takes the zone's lock for the time of the
 * search; the result is valid as long as its id does not change from *id.
 */
ngx_live_stream_sh_t *ngx_live_stream_find(ngx_live_zone_t *zone,
    ngx_str_t *app, ngx_str_t *name, ngx_str_t *epoch, uint64_t *id);

/* The same with the lock held. */
ngx_live_stream_sh_t *ngx_live_stream_find_locked(ngx_live_zone_t *zone,
    ngx_str_t *app, ngx_str_t *name, ngx_str_t *epoch);

/* Tells its bucket. */
uint32_t ngx_live_stream_hash(ngx_str_t *app, ngx_str_t *name);

/* A new stream in no state, owned by this worker, with what was kept of it
 * (ngx_live_state_load()); the lock is held.  NULL: the index has no room. */
ngx_live_stream_sh_t *ngx_live_stream_create_locked(ngx_live_zone_t *zone,
    ngx_live_app_conf_t *app, ngx_str_t *name, live_state_t *kept);

/*
 * The settings of a publication that goes on with a timeline: the length of
 * segments as far as the target duration that players were promised (HLS-8)
 * and the rings allow; the lock is held.  0: not all of them apply.
 */
ngx_uint_t ngx_live_stream_settle_locked(ngx_live_stream_sh_t *st,
    ngx_live_app_conf_t *app);

/*
 * Adds a track; owner only.  Its rings have room for what the settings of the
 * stream can make.  NULL: no room in the index, or too many tracks.
 */
ngx_live_track_sh_t *ngx_live_track_create(ngx_live_zone_t *zone,
    ngx_live_stream_sh_t *st, const char *name);

/* Puts a stream in order that a worker had on its way from one list to another
 * when it died; the lock is held. */
void ngx_live_stream_settle(ngx_live_zone_t *zone);

/* Gives all memory of a stream back; owner only.  NGX_AGAIN: some of it is
 * still being sent, call again later. */
ngx_int_t ngx_live_stream_free(ngx_live_zone_t *zone,
    ngx_live_stream_sh_t *st);


/* Slots for n records of size bytes at least.  NGX_ERROR: no room. */
ngx_int_t ngx_live_ring_create(ngx_live_zone_t *zone,
    ngx_live_ring_sh_t *ring, uint64_t n, size_t size);

/* The record of that number for the writer to fill. */
#define ngx_live_slot(ring, type, n)                                          \
    ((type *) (ring)->slots + ((n) & (ring)->mask))


/*
 * Readers.  Each copies what it found and returns NGX_OK, or NGX_DECLINED
 * when there is no such thing (any more).  id is the stream's id at the time
 * of its search.
 */
ngx_int_t ngx_live_read_segment(ngx_live_stream_sh_t *st, uint64_t id,
    ngx_live_track_sh_t *t, uint64_t msn, ngx_live_segment_sh_t *seg);

/*
 * A part of a segment, complete or not.  NGX_DECLINED: there is none, see
 * ngx_live_read_edge() for whether it may come.
 */
ngx_int_t ngx_live_read_part(ngx_live_stream_sh_t *st, uint64_t id,
    ngx_live_track_sh_t *t, uint64_t msn, uint32_t index,
    ngx_live_part_sh_t *part);

/*
 * What is published of a segment: offset and size.  NGX_OK: all of it;
 * NGX_AGAIN: it grows, size may be 0; NGX_DECLINED: it has left, or is not
 * begun yet.
 */
ngx_int_t ngx_live_read_growing(ngx_live_stream_sh_t *st, uint64_t id,
    ngx_live_track_sh_t *t, uint64_t msn, ngx_live_segment_sh_t *seg);

/*
 * The live edge of a track: *tail is the oldest segment that is there, *msn
 * the one that is being made, or comes next, with *parts of it published.
 */
ngx_int_t ngx_live_read_edge(ngx_live_stream_sh_t *st, uint64_t id,
    ngx_live_track_sh_t *t, uint64_t *tail, uint64_t *msn, uint32_t *parts);

ngx_live_track_sh_t *ngx_live_track_find(ngx_live_stream_sh_t *st,
    ngx_str_t *name);

/*
 * 1 when playlists may name the track: it was not left out, and is not hidden,
 * or is audio that a rendition plays with which is not.  Any worker.
 */
ngx_uint_t ngx_live_track_shown(ngx_live_stream_sh_t *st,
    ngx_live_track_sh_t *t);

/*
 * Somebody asked for a track: its owner makes the rung, and the audio that
 * it plays with, while it is wanted.  Does nothing for others; any worker, as
 * often as it likes.
 */
void ngx_live_track_want(ngx_live_stream_sh_t *st, ngx_live_track_sh_t *t);

/* Adds an init segment, its number is t->init then; owner only. */
ngx_int_t ngx_live_init_add(ngx_live_zone_t *zone, ngx_live_track_sh_t *t,
    u_char *data, size_t len);

/* Copies an init segment into memory of pool. */
ngx_int_t ngx_live_read_init(ngx_live_stream_sh_t *st, uint64_t id,
    ngx_live_track_sh_t *t, uint32_t number, ngx_pool_t *pool,
    ngx_str_t *data);

/*
 * Publishes the next version of a text; owner, or maker, only.  edge and delta
 * may be NULL.  NGX_DECLINED: it is what the version before says, which stays.
 * NGX_ERROR: no room, the version before stays.
 */
ngx_int_t ngx_live_write_text(ngx_live_zone_t *zone, ngx_live_doc_sh_t *doc,
    ngx_str_t *text, ngx_live_edge_t *edge, live_m3u8_delta_t *delta);


/*
 * Takes bytes of the budget for a track.  NGX_ERROR: the zone is full.
 */
ngx_int_t ngx_live_zone_reserve(ngx_live_zone_t *zone,
    ngx_live_track_sh_t *t, size_t bytes);

/*
 * After the death of a worker, what is counted as taken is compared with what
 * tracks have, until both agree: it may have died between the two.  The lock
 * is held; about once a second, any worker.
 */
void ngx_live_zone_audit(ngx_live_zone_t *zone);

/* 0 to 100: how much of the budget is taken. */
ngx_uint_t ngx_live_zone_percent(ngx_live_zone_t *zone);

/* A range of the file that was never used before. */
off_t ngx_live_zone_range(ngx_live_zone_t *zone);

/*
 * Gives the memory of a range of a track back, as far as no worker sends
 * from it; the rest is held and freed by a later ngx_live_track_release().
 * offset and len are multiples of NGX_LIVE_PAGE.  Owner only.
 */
void ngx_live_track_punch(ngx_live_zone_t *zone, ngx_live_track_sh_t *t,
    uint64_t offset, uint64_t len);

/*
 * Gives back all memory of the track's range behind its last segment: what a
 * writer had reserved or not yet published when it ended.  Owner only.
 * NGX_ERROR: it failed and is in the log, nothing has changed.
 */
ngx_int_t ngx_live_track_trim(ngx_live_zone_t *zone, ngx_live_track_sh_t *t);

/* Makes the oldest segments up to before msn unavailable and gives their
 * memory back.  Owner only. */
void ngx_live_track_retire(ngx_live_zone_t *zone, ngx_live_track_sh_t *t,
    uint64_t msn);

/*
 * Keeps the list of segments that can be had as MPEG-TS in step with those
 * that all tracks have completed; owner only.
 */
void ngx_live_ts_advance(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st);

/* ngx_live_track_retire() for what was made; owner only. */
void ngx_live_ts_retire(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st,
    uint64_t msn);

/* The track that decides where segments end, also when it is hidden: the first
 * one of the source with video, else its first one.  NULL: there is none. */
ngx_live_track_sh_t *ngx_live_stream_lead(ngx_live_stream_sh_t *st);

/* Tries again for what was held. */
void ngx_live_track_release(ngx_live_zone_t *zone, ngx_live_track_sh_t *t);


#endif /* _NGX_LIVE_ZONE_H_INCLUDED_ */
