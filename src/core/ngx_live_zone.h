
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


#define NGX_LIVE_LAYOUT         1       /* of all shared structures */

#define NGX_LIVE_MAX_WORKERS    128     /* of old and new cycles together */
#define NGX_LIVE_MAX_TRACKS     12      /* of one stream */
#define NGX_LIVE_BUCKETS        1024    /* of the table of streams */
#define NGX_LIVE_MAX_NAME       128
#define NGX_LIVE_MAX_APP        64
#define NGX_LIVE_MAX_INITS      8       /* init segments kept of a track */
#define NGX_LIVE_MAX_CONFIG     4096    /* bytes of a codec record */
#define NGX_LIVE_MAX_HELD       64      /* retired ranges that are pinned */
#define NGX_LIVE_MAX_DOCS       32      /* rendered texts of a stream */

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
    uint64_t                dsn;            /* discontinuities up to it */
    uint64_t                published;      /* Unix time, ms */
    uint64_t                unlisted;       /* the same; 0 while listed */
} ngx_live_segment_sh_t;


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


typedef struct {
    char                    name[32];       /* of the rendition */
    live_codec_info_t       info;
    double                  fps;

    ngx_live_ring_sh_t      segments;       /* numbered by MSN */
    ngx_live_ring_sh_t      parts;
    ngx_live_ring_sh_t      samples;

    ngx_live_init_sh_t      inits[NGX_LIVE_MAX_INITS];
    uint32_t                init;           /* number of the newest */

    uint64_t                listed;         /* first MSN of the playlist */
    uint64_t                bandwidth;      /* bit/s, the highest segment */
    uint64_t                average;        /* bit/s, as announced */
    uint64_t                bits;           /* of all segments ... */
    uint64_t                ticks;          /* ... and their durations */

    uint64_t                range;          /* where its writer appends */
    uint64_t                bytes;          /* of the zone's budget */
    ngx_live_range_sh_t     held[NGX_LIVE_MAX_HELD];
    uint32_t                nheld;

    ngx_live_pin_sh_t       pins[NGX_LIVE_MAX_WORKERS];
} ngx_live_track_sh_t;


/*
 * A rendered text in two buffers that are written in turn: buffer version & 1
 * is valid.  A reader that finds another version after copying tries again.
 */
typedef struct {
    u_char                 *data;           /* plain, then gzipped */
    uint32_t                size;
    uint32_t                len;
    uint32_t                gzip_len;
    uint32_t                etag;           /* crc32 of the plain text */
    uint64_t                modified;       /* Unix time, s */
} ngx_live_text_sh_t;


typedef struct {
    uint64_t                version;        /* 0: never rendered */
    ngx_live_text_sh_t      text[2];
} ngx_live_doc_sh_t;


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
    uint64_t                bytes_in;       /* of the publication */

    /* settings of its application, as of its creation */
    uint64_t                window;         /* ms */
    uint64_t                resume;         /* ms */
    uint32_t                target_duration;        /* s */
    uint32_t                part;           /* ms */
    uint32_t                segment;        /* ms */

    uint64_t                msn;            /* of the next boundary */
    uint64_t                dsn;

    uint32_t                ntracks;
    ngx_live_track_sh_t     tracks[NGX_LIVE_MAX_TRACKS];
    ngx_live_doc_sh_t       docs[NGX_LIVE_MAX_DOCS];
};


/* docs: the multivariant playlist, then a media playlist for each track */
#define NGX_LIVE_DOC_MULTIVARIANT   0
#define ngx_live_doc_media(track)   (1 + (track))


typedef struct {
    ngx_pid_t               pid;            /* 0: free */
} ngx_live_worker_sh_t;


typedef struct {
    uint32_t                layout;
    uint32_t                nstreams;
    uint64_t                budget;         /* bytes of media */
    uint64_t                used;
    uint64_t                next_id;
    uint64_t                next_range;
    ngx_live_stream_sh_t   *free;
    ngx_live_stream_sh_t   *buckets[NGX_LIVE_BUCKETS];
    ngx_live_worker_sh_t    workers[NGX_LIVE_MAX_WORKERS];
} ngx_live_zone_sh_t;


struct ngx_live_zone_s {
    ngx_live_zone_sh_t     *sh;
    ngx_slab_pool_t        *shpool;
    ngx_shm_zone_t         *shm_zone;
    size_t                  size;           /* as configured */
    int                     fd;             /* the memfd */
    ngx_uint_t              slot;           /* of this worker */
    ngx_file_t              file;           /* for buffers that read fd */
};


/* Declares the shared zone; size is all memory, media and index. */
ngx_int_t ngx_live_zone_add(ngx_conf_t *cf, ngx_live_zone_t *zone);

/* Claims a slot for this worker.  NGX_ERROR: all are taken. */
ngx_int_t ngx_live_zone_init_process(ngx_live_zone_t *zone, ngx_log_t *log);

/* Gives back the slot and the streams of this worker. */
void ngx_live_zone_exit_process(ngx_live_zone_t *zone);

/* Frees the slots of workers that died; any worker, about once a second. */
void ngx_live_zone_reap(ngx_live_zone_t *zone);

ngx_uint_t ngx_live_worker_alive(ngx_pid_t pid);

/* Milliseconds since 1970, of the event loop's clock. */
uint64_t ngx_live_now(void);


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

/* A new stream in no state, owned by this worker; the lock is held.  NULL:
 * the index has no room. */
ngx_live_stream_sh_t *ngx_live_stream_create_locked(ngx_live_zone_t *zone,
    ngx_live_app_conf_t *app, ngx_str_t *name);

/*
 * Adds a track; owner only.  Its rings have room for what the settings of the
 * stream can make.  NULL: no room in the index, or too many tracks.
 */
ngx_live_track_sh_t *ngx_live_track_create(ngx_live_zone_t *zone,
    ngx_live_stream_sh_t *st, const char *name);

/* Gives all memory of a stream back; owner only.  NGX_AGAIN: some of it is
 * still being sent, call again later. */
ngx_int_t ngx_live_stream_free(ngx_live_zone_t *zone,
    ngx_live_stream_sh_t *st);


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

ngx_live_track_sh_t *ngx_live_track_find(ngx_live_stream_sh_t *st,
    ngx_str_t *name);

/* Adds an init segment, its number is t->init then; owner only. */
ngx_int_t ngx_live_init_add(ngx_live_zone_t *zone, ngx_live_track_sh_t *t,
    u_char *data, size_t len);

/* Copies an init segment into memory of pool. */
ngx_int_t ngx_live_read_init(ngx_live_stream_sh_t *st, uint64_t id,
    ngx_live_track_sh_t *t, uint32_t number, ngx_pool_t *pool,
    ngx_str_t *data);

typedef struct {
    ngx_str_t               body;
    uint64_t                modified;       /* Unix time, s */
    uint32_t                etag;
    unsigned                gzip:1;
} ngx_live_text_t;

/* Copies a rendered text, gzipped if asked for, into memory of pool. */
ngx_int_t ngx_live_read_text(ngx_live_stream_sh_t *st, uint64_t id,
    ngx_uint_t doc, ngx_uint_t gzip, ngx_pool_t *pool, ngx_live_text_t *text);

/* Publishes the next version of a text; owner only.  NGX_ERROR: no room, the
 * version before stays. */
ngx_int_t ngx_live_write_text(ngx_live_zone_t *zone, ngx_live_doc_sh_t *doc,
    ngx_str_t *plain, ngx_str_t *gzipped);


/*
 * Takes bytes of the budget for a track.  NGX_ERROR: the zone is full.
 */
ngx_int_t ngx_live_zone_reserve(ngx_live_zone_t *zone,
    ngx_live_track_sh_t *t, size_t bytes);

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
 */
void ngx_live_track_trim(ngx_live_zone_t *zone, ngx_live_track_sh_t *t);

/* Makes the oldest segments up to before msn unavailable and gives their
 * memory back.  Owner only. */
void ngx_live_track_retire(ngx_live_zone_t *zone, ngx_live_track_sh_t *t,
    uint64_t msn);

/* Tries again for what was held. */
void ngx_live_track_release(ngx_live_zone_t *zone, ngx_live_track_sh_t *t);


#endif /* _NGX_LIVE_ZONE_H_INCLUDED_ */
