
/*
 * Inside of live_play: what the files that serve one request share.  Event
 * loop only.
 */

#ifndef _NGX_HTTP_LIVE_PLAY_H_INCLUDED_
#define _NGX_HTTP_LIVE_PLAY_H_INCLUDED_


#include "ngx_http_live.h"
#include "ngx_live_notify.h"
#include "ngx_live_pin.h"
#include "ngx_live_limit.h"
#include "ngx_live_core_limit.h"


/* The longest hold, ms: players give up at 10 s (HLS-61). */
#define NGX_HTTP_LIVE_HOLD  8000

/* What ngx_http_live_hold() returns, unlike anything of nginx. */
#define NGX_HTTP_LIVE_HELD  -16


typedef enum {
    ngx_http_live_multivariant = 0,
    ngx_http_live_media,
    ngx_http_live_manifest,
    ngx_http_live_ts_media,
    ngx_http_live_init,
    ngx_http_live_segment,
    ngx_http_live_part,
    ngx_http_live_ts_segment,
    ngx_http_live_thumbnail,
    ngx_http_live_time,
    ngx_http_live_unknown_kind,             /* no URI of ours */

    NGX_HTTP_LIVE_KINDS
} ngx_http_live_kind_e;


/* What live_cache_control names. */
typedef enum {
    ngx_http_live_cache_multivariant = 0,
    ngx_http_live_cache_playlist,
    ngx_http_live_cache_blocking,
    ngx_http_live_cache_ended,
    ngx_http_live_cache_manifest,
    ngx_http_live_cache_init,
    ngx_http_live_cache_segment,
    ngx_http_live_cache_part,
    ngx_http_live_cache_thumbnail,
    ngx_http_live_cache_time,
    ngx_http_live_cache_early,
    ngx_http_live_cache_late,
    ngx_http_live_cache_error,

    NGX_HTTP_LIVE_CACHE_CLASSES
} ngx_http_live_cache_e;


typedef struct {
    ngx_http_complex_value_t  *application;
    ngx_str_t                  prefix;      /* of URIs, by its location */
    ngx_flag_t                 enable;
    ngx_str_t                  file;        /* of live_play, for messages */
    ngx_uint_t                 line;

    ngx_uint_t                 max_parked;  /* of a worker; 0: any number */
    ngx_uint_t                 max_parked_address;

    /* by class; without data: as it is by default; empty: no header */
    ngx_str_t                  cache[NGX_HTTP_LIVE_CACHE_CLASSES];
} ngx_http_live_play_loc_conf_t;


/* What a URI asks for. */
typedef struct {
    ngx_http_live_kind_e       kind;
    ngx_str_t                  application;
    ngx_str_t                  stream;
    ngx_str_t                  rendition;
    ngx_str_t                  epoch;
    uint64_t                   number;      /* MSN, or of an init segment */
    uint32_t                   part;
} ngx_http_live_uri_t;


typedef struct {
    uint64_t                   value;
    unsigned                   set:1;
    unsigned                   bad:1;       /* malformed, or given twice */
} ngx_http_live_arg_t;


/* What a query string asks for; other parameters are ignored. */
typedef struct {
    ngx_http_live_arg_t        msn;         /* _HLS_msn */
    ngx_http_live_arg_t        part;        /* _HLS_part */
    ngx_http_live_arg_t        skip;        /* _HLS_skip: 1 for YES and v2 */
    ngx_http_live_arg_t        width;       /* w */
} ngx_http_live_query_t;


typedef struct ngx_http_live_ctx_s     ngx_http_live_ctx_t;
typedef struct ngx_http_live_grow_s    ngx_http_live_grow_t;
typedef struct ngx_http_live_holder_s  ngx_http_live_holder_t;

/*
 * Answers, or refuses; it looks up all that it needs.  NGX_HTTP_LIVE_HELD: not
 * yet.  NGX_DONE: the response goes on by itself and has counted its reference
 * to the request.  Else what a content handler returns.
 */
typedef ngx_int_t (*ngx_http_live_serve_pt)(ngx_http_request_t *r,
    ngx_http_live_ctx_t *ctx);

struct ngx_http_live_ctx_s {
    ngx_http_request_t        *request;
    ngx_http_live_serve_pt     serve;
    ngx_http_live_uri_t        uri;
    ngx_http_live_query_t      query;

    ngx_live_stream_sh_t      *st;
    uint64_t                   id;          /* of st when it was found */

    /* how long it may be held, and what it gets then */
    ngx_msec_t                 limit;
    ngx_int_t                  status;
    ngx_http_live_cache_e      cache;
    ngx_http_live_cache_e      answered;    /* class of the response */

    ngx_live_wait_t            wait;
    ngx_event_t                event;       /* its timer, and posted */
    ngx_msec_t                 began;
    ngx_msec_t                 held;        /* ms, in the end */

    ngx_http_live_grow_t      *grow;
    ngx_http_live_holder_t    *holder;      /* counts it by address, or NULL */

    unsigned                   parked:1;
    unsigned                   was_parked:1;
};


/*
 * Reads a URI, of which the parts point into it.  NGX_DECLINED: nothing has
 * such a name.
 */
ngx_int_t ngx_http_live_uri(ngx_http_request_t *r,
    ngx_http_live_play_loc_conf_t *llcf, ngx_http_live_uri_t *uri);

/* Reads a query string; what is wrong with it is noted (HLS-57). */
void ngx_http_live_query(ngx_str_t *args, ngx_http_live_query_t *query);

/*
 * Whether a media playlist has what its query asks for (HLS-59, HLS-60).
 * NGX_AGAIN: not yet; NGX_HTTP_BAD_REQUEST: it never will.
 */
ngx_int_t ngx_http_live_query_ready(ngx_http_live_query_t *query,
    ngx_live_edge_t *edge);

/* The stream has a publisher. */
#define ngx_http_live_is_live(st)                                             \
    (ngx_live_load(&(st)->state) == NGX_LIVE_STREAM_LIVE)

/*
 * Cache-Control of a class: as configured, else its default; age (s) is that
 * of the classes whose age depends on the stream.
 */
ngx_int_t ngx_http_live_cache(ngx_http_request_t *r,
    ngx_http_live_cache_e cache, ngx_uint_t age);

/* The name of a class. */
ngx_str_t *ngx_http_live_cache_name(ngx_http_live_cache_e cache);

/* The name of a kind, as statistics and logs call it. */
ngx_str_t *ngx_http_live_kind_name(ngx_http_live_kind_e kind);

/* The longest session id of CMCD that is taken, bytes. */
#define NGX_HTTP_LIVE_MAX_SID  128

/*
 * The session of CMCD (CTA-5004) that a player names in its query or in a
 * header: copied to sid->data, which has NGX_HTTP_LIVE_MAX_SID bytes.
 * NGX_DECLINED: none.
 */
ngx_int_t ngx_http_live_cmcd_sid(ngx_http_request_t *r, ngx_str_t *sid);

/*
 * What a main request has asked live_play for, also where an error_page has led
 * it elsewhere, for which nginx takes the contexts of modules away; NULL:
 * nothing.
 */
ngx_http_live_ctx_t *ngx_http_live_asked(ngx_http_request_t *r);

/* $live_ variables; preconfiguration. */
ngx_int_t ngx_http_live_add_variables(ngx_conf_t *cf);

/* Counts requests when they are logged; postconfiguration. */
ngx_int_t ngx_http_live_count_init(ngx_conf_t *cf);

char *ngx_http_live_cache_set(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* An error with all headers that it needs; returns the status. */
ngx_int_t ngx_http_live_refuse(ngx_http_request_t *r, ngx_int_t status,
    ngx_http_live_cache_e cache);

/* Says for how long to wait, ms, and what then; NGX_HTTP_LIVE_HELD. */
ngx_int_t ngx_http_live_hold(ngx_http_live_ctx_t *ctx, ngx_msec_t limit,
    ngx_int_t status, ngx_http_live_cache_e cache);

/*
 * Serves, or parks the request until it can be served, its limit is over, or
 * its client has gone.  For the content handler to return.
 */
ngx_int_t ngx_http_live_answer(ngx_http_request_t *r,
    ngx_http_live_ctx_t *ctx);

/*
 * Counts a request that is going to be held.  NGX_BUSY: live_max_parked does
 * not allow it.  NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_live_limit_take(ngx_http_request_t *r,
    ngx_http_live_ctx_t *ctx);

/* It is held no more; once for each NGX_OK of the above. */
void ngx_http_live_limit_give(ngx_http_live_ctx_t *ctx);

/* The kinds of things that are served, by ngx_http_live_serve_pt. */
ngx_int_t ngx_http_live_serve_text(ngx_http_request_t *r,
    ngx_http_live_ctx_t *ctx);
ngx_int_t ngx_http_live_serve_thumbnail(ngx_http_request_t *r,
    ngx_http_live_ctx_t *ctx);
ngx_int_t ngx_http_live_serve_init(ngx_http_request_t *r,
    ngx_http_live_ctx_t *ctx);
ngx_int_t ngx_http_live_serve_segment(ngx_http_request_t *r,
    ngx_http_live_ctx_t *ctx);
ngx_int_t ngx_http_live_serve_part(ngx_http_request_t *r,
    ngx_http_live_ctx_t *ctx);
ngx_int_t ngx_http_live_serve_ts(ngx_http_request_t *r,
    ngx_http_live_ctx_t *ctx);

/* The clock service of low-latency DASH (DASH-47); needs no stream. */
ngx_int_t ngx_http_live_serve_time(ngx_http_request_t *r);

/* The rendition that is asked for, which is noted (ngx_live_track_want()).
 * NULL: playlists do not name it. */
ngx_live_track_sh_t *ngx_http_live_rendition(ngx_http_live_ctx_t *ctx);

/* Content-Type, Cache-Control and CORS of media that never change. */
ngx_int_t ngx_http_live_media_headers(ngx_http_request_t *r,
    ngx_live_track_sh_t *t, ngx_http_live_cache_e cache);

/* A buffer of bytes of the media file, lo to before hi; for HTTP it is sent by
 * sendfile where the connection can.  NULL: no memory. */
ngx_buf_t *ngx_http_live_media_buf(ngx_http_request_t *r, off_t lo, off_t hi);

/*
 * A segment that is being made: sends what there is of it, and each part when
 * it appears, to clients that can take a body of unknown length; others are
 * held until it is complete (DASH-49, HTTP-11).  seg is what is published.
 */
ngx_int_t ngx_http_live_grow(ngx_http_request_t *r, ngx_http_live_ctx_t *ctx,
    ngx_live_track_sh_t *t, ngx_live_segment_sh_t *seg);

/*
 * Handler of pins, whose data is the request: the response cannot be
 * completed.  The connection, or the stream of HTTP/2, ends abnormally, so
 * that no cache keeps a part of it (HTTP-79).
 */
void ngx_http_live_retired(ngx_live_pin_t *pin);


#endif /* _NGX_HTTP_LIVE_PLAY_H_INCLUDED_ */
