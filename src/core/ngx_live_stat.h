
/*
 * Statistics: how they are counted, and the snapshot that all that show them
 * are made of.  Any worker knows the figures of all streams; those of requests
 * are behind by up to a second where other workers have served them.  Event
 * loop only.
 */

#ifndef _NGX_LIVE_STAT_H_INCLUDED_
#define _NGX_LIVE_STAT_H_INCLUDED_


#include "ngx_live_publish.h"


/* A request that was served, or refused. */
typedef struct {
    ngx_uint_t              object;         /* < NGX_LIVE_STAT_OBJECTS */
    ngx_uint_t              cache;          /* < NGX_LIVE_STAT_CLASSES */
    off_t                   sent;           /* bytes */
    ngx_msec_t              blocked_ms;
    uint64_t                viewer;         /* who is watching; 0: not said */
    unsigned                blocked:1;      /* it was held */
} ngx_live_stat_request_t;


/* A track at one moment. */
typedef struct {
    u_char                  name[32];       /* NUL-terminated */
    live_codec_info_t       info;
    uint64_t                running;        /* media is made of it */
    uint64_t                rung;           /* it is made here */
    uint64_t                shown;          /* playlists name it */
    uint64_t                paused;         /* it is left out for a while */
    uint64_t                mhz;            /* as announced, 0: unknown */
    uint64_t                memory;         /* bytes of the zone */
    uint64_t                bandwidth;      /* bit/s, as playlists say */
    uint64_t                msn;            /* the newest segment */
    ngx_live_track_stat_t   stat;
} ngx_live_stat_track_t;


/* A stream at one moment; one with a slate is AWAY. */
typedef struct {
    uint64_t                id;
    ngx_live_state_e        state;
    ngx_str_t               app;            /* in what follows */
    ngx_str_t               name;
    u_char                  app_data[NGX_LIVE_MAX_APP];
    u_char                  name_data[NGX_LIVE_MAX_NAME];
    u_char                  epoch[20];      /* NUL-terminated */

    uint64_t                live;           /* 1: it has a publisher */
    uint64_t                slate;          /* 1: it is away, a slate plays */
    uint64_t                standby;        /* 1: another one stands by */
    uint64_t                publication;    /* number of its publisher */
    uint64_t                created;        /* Unix ms */
    uint64_t                uptime;         /* ms of the publication, or 0 */
    uint64_t                idle;           /* ms since data came */
    uint64_t                bytes_in;       /* of the publication */
    uint64_t                segment;        /* ms, as configured */
    uint64_t                part_target;    /* ms; 0: no low latency */
    uint64_t                target_duration;        /* ms */
    uint64_t                memory;         /* bytes of the zone */
    uint64_t                rungs;          /* that are made now */
    uint64_t                dropped;        /* frames */

    uint64_t                shed;           /* level of the transcoder */
    uint64_t                lag;            /* ms */
    uint64_t                queued;         /* bytes */
    uint64_t                skipped;        /* frames */

    ngx_live_stream_stat_t  stat;
    ngx_live_request_stat_t requests;

    ngx_uint_t              ntracks;
    ngx_live_stat_track_t   tracks[NGX_LIVE_MAX_TRACKS];
} ngx_live_stat_stream_t;


/* All streams, and the zone. */
typedef struct {
    uint64_t                uptime;         /* ms */
    uint64_t                streams;        /* of any state */
    uint64_t                live;           /* those with a publisher */
    uint64_t                rungs;          /* that are made now */
    uint64_t                omitted;        /* for who shows some of them */
    uint64_t                workers;
    uint64_t                busy;           /* of a core, in 0.01 % */
    uint64_t                held;           /* requests */
    uint64_t                memory;         /* bytes, the zone's included */
    uint64_t                media;          /* bytes in use */
    uint64_t                media_free;
    uint64_t                index;          /* bytes in use */
    uint64_t                index_free;
    ngx_live_total_stat_t   total;
} ngx_live_stat_zone_t;


/* A stream of a list, which may be another one by the time it is read. */
typedef struct {
    ngx_live_stream_sh_t   *st;
    uint64_t                id;
    ngx_uint_t              ended;
} ngx_live_stat_ref_t;


/* us, upper bounds of the counts of a histogram. */
extern const uint64_t  ngx_live_stat_bounds[NGX_LIVE_STAT_BOUNDS];


/*
 * --- reading, any worker ---
 *
 * The streams of an application, of all where it is NULL: one for each name,
 * as a player would find it; those that have not ended first, then the older
 * ones, so that a list that is cut off keeps its members.  NULL: no memory.
 */
ngx_array_t *ngx_live_stat_list(ngx_live_zone_t *zone, ngx_str_t *app,
    ngx_pool_t *pool);

/* Copies the figures of a stream.  NGX_DECLINED: it is not there any more. */
ngx_int_t ngx_live_stat_stream(ngx_live_stat_ref_t *ref,
    ngx_live_stat_stream_t *s);

/* Figures of the zone and of all streams; takes the zone's lock. */
void ngx_live_stat_zone(ngx_live_zone_t *zone, ngx_live_stat_zone_t *z);


/*
 * --- counting ---
 *
 * A request is over; st may be NULL, for one of no stream.  Memory of this
 * worker alone is written, but where it serves more than some hundred streams
 * at a time.
 */
void ngx_live_stat_request(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st,
    uint64_t id, ngx_live_stat_request_t *req);

/* Adds what was gathered of requests to the zone. */
void ngx_live_stat_flush(ngx_live_zone_t *zone);

/* When a worker begins, and once a second: the above, and what it costs
 * itself. */
void ngx_live_stat_worker(ngx_live_zone_t *zone);

/* Once a second, owner: rates of a stream and of its tracks. */
void ngx_live_stat_upkeep(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st);

/* A request of this worker is held, or no more. */
void ngx_live_stat_held(ngx_live_zone_t *zone, ngx_int_t n);

/* Unix time, us: exact, not that of the event loop. */
uint64_t ngx_live_stat_now(void);

/* The text of a track's playlist has all its parts; owner. */
void ngx_live_stat_available(ngx_live_track_sh_t *t);

/* A callback has ended; status is that of HTTP, 0: it was not answered. */
void ngx_live_stat_callback(ngx_live_zone_t *zone, ngx_uint_t status);

/* Bytes of media were given back before their time. */
void ngx_live_stat_evicted(ngx_live_zone_t *zone, uint64_t bytes);


#endif /* _NGX_LIVE_STAT_H_INCLUDED_ */
