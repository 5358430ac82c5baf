
/*
 * Media: init segments, segments, parts, and segments in MPEG-TS.  What was
 * published never changes; it is pinned while it is sent (invariant 4).
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_live_play.h"
#include "ngx_live_make.h"


static ngx_int_t ngx_http_live_missing(ngx_http_request_t *r,
    ngx_http_live_ctx_t *ctx, ngx_live_track_sh_t *t);
static ngx_uint_t ngx_http_live_is_due(ngx_http_live_ctx_t *ctx,
    ngx_live_track_sh_t *t);
static ngx_uint_t ngx_http_live_is_announced(ngx_http_live_ctx_t *ctx);
static ngx_int_t ngx_http_live_send_segment(ngx_http_request_t *r,
    ngx_http_live_ctx_t *ctx, ngx_live_track_sh_t *t,
    ngx_live_segment_sh_t *seg);
static ngx_int_t ngx_http_live_missing_part(ngx_http_request_t *r,
    ngx_http_live_ctx_t *ctx, ngx_live_track_sh_t *t);
static ngx_int_t ngx_http_live_send_range(ngx_http_request_t *r,
    ngx_http_live_ctx_t *ctx, ngx_live_track_sh_t *t,
    ngx_live_segment_sh_t *seg);
static ngx_int_t ngx_http_live_media_etag(ngx_http_request_t *r,
    ngx_http_live_uri_t *uri);
static void ngx_http_live_unpin(void *data);


static ngx_str_t  ngx_http_live_video_type = ngx_string("video/mp4");
static ngx_str_t  ngx_http_live_audio_type = ngx_string("audio/mp4");
static ngx_str_t  ngx_http_live_ts_type = ngx_string("video/mp2t");


/* nobody waits for a track that does not run, under a number that it may never
 * have: its playlist says with which it begins */
#define ngx_http_live_is_made(t)                                              \
    (ngx_live_load(&(t)->mode) == NGX_LIVE_TRACK_ON)


/* Media that is not there: it may come (HTTP-13), or has gone (HTTP-14). */

#define ngx_http_live_early(r)                                                \
    ngx_http_live_refuse(r, NGX_HTTP_NOT_FOUND, ngx_http_live_cache_early)

#define ngx_http_live_late(r)                                                 \
    ngx_http_live_refuse(r, NGX_HTTP_NOT_FOUND, ngx_http_live_cache_late)

#define ngx_http_live_unknown(r)                                              \
    ngx_http_live_refuse(r, NGX_HTTP_NOT_FOUND, ngx_http_live_cache_error)


ngx_live_track_sh_t *
ngx_http_live_rendition(ngx_http_live_ctx_t *ctx)
{
    ngx_live_track_sh_t  *t;

    t = ngx_live_track_find(ctx->st, &ctx->uri.rendition);

    if (t == NULL || !ngx_live_track_shown(ctx->st, t)) {
        return NULL;
    }

    ngx_live_track_want(ctx->st, t);

    return t;
}


ngx_int_t
ngx_http_live_serve_init(ngx_http_request_t *r, ngx_http_live_ctx_t *ctx)
{
    ngx_int_t             rc;
    ngx_str_t             data;
    ngx_live_track_sh_t  *t;

    t = ngx_http_live_rendition(ctx);

    if (t == NULL) {
        return ngx_http_live_unknown(r);
    }

    if (ctx->uri.number > ngx_live_load(&t->init)) {
        return ngx_http_live_early(r);
    }

    rc = ngx_live_read_init(ctx->st, ctx->id, t, ctx->uri.number, r->pool,
                            &data);

    if (rc == NGX_DECLINED) {
        return ngx_http_live_late(r);
    }

    r->headers_out.last_modified_time = ctx->st->created / 1000;

    if (rc != NGX_OK
        || ngx_http_live_media_headers(r, t, ngx_http_live_cache_init)
           != NGX_OK
        || ngx_http_live_media_etag(r, &ctx->uri) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_live_send(r, &data);
}


ngx_int_t
ngx_http_live_serve_segment(ngx_http_request_t *r, ngx_http_live_ctx_t *ctx)
{
    ngx_int_t               rc;
    ngx_live_track_sh_t    *t;
    ngx_live_segment_sh_t   seg;

    t = ngx_http_live_rendition(ctx);

    if (t == NULL) {
        return ngx_http_live_unknown(r);
    }

    rc = ngx_live_read_growing(ctx->st, ctx->id, t, ctx->uri.number, &seg);

    if (rc == NGX_AGAIN && !ngx_http_live_is_made(t)) {
        rc = NGX_DECLINED;
    }

    if (rc == NGX_AGAIN) {

        /* players built on FFmpeg ask for it without looking whether it is
         * listed, and for the one behind it when they are refused */

        if (ctx->st->part_target == 0) {
            return ngx_http_live_is_live(ctx->st)
                   ? ngx_http_live_hold(ctx, NGX_HTTP_LIVE_HOLD,
                                        NGX_HTTP_NOT_FOUND,
                                        ngx_http_live_cache_early)
                   : ngx_http_live_early(r);
        }

        return ngx_http_live_grow(r, ctx, t, &seg);
    }

    if (rc != NGX_OK) {
        return ngx_http_live_missing(r, ctx, t);
    }

    return ngx_http_live_send_segment(r, ctx, t, &seg);
}


static ngx_int_t
ngx_http_live_missing(ngx_http_request_t *r, ngx_http_live_ctx_t *ctx,
    ngx_live_track_sh_t *t)
{
    uint64_t               tail, msn;
    uint32_t               parts;
    ngx_live_stream_sh_t  *st;

    st = ctx->st;

    if (ngx_live_read_edge(st, ctx->id, t, &tail, &msn, &parts) != NGX_OK) {
        return ngx_http_live_unknown(r);
    }

    if (ctx->uri.number < tail) {
        return ngx_http_live_late(r);
    }

    /* the next one, when it is about to begin (DASH-49) */

    if (st->part_target
        && ngx_http_live_is_live(st)
        && ngx_http_live_is_made(t)
        && ((ctx->uri.number <= msn + 1
             && (ctx->uri.number <= msn
                 || 2 * (uint64_t) parts * st->part_target >= st->segment))
            || ngx_http_live_is_due(ctx, t)
            || ngx_http_live_is_announced(ctx)))
    {
        return ngx_http_live_hold(ctx, NGX_HTTP_LIVE_HOLD, NGX_HTTP_NOT_FOUND,
                                  ngx_http_live_cache_early);
    }

    return ngx_http_live_early(r);
}


/*
 * A rung is behind its source, and sound that was lost behind its picture,
 * whose segments players may count (DASH-3).
 */

static ngx_uint_t
ngx_http_live_is_due(ngx_http_live_ctx_t *ctx, ngx_live_track_sh_t *t)
{
    uint64_t              tail, msn;
    uint32_t              parts;
    ngx_live_track_sh_t  *lead;

    lead = ngx_live_stream_lead(ctx->st);

    return lead && lead != t
           && ngx_live_read_edge(ctx->st, ctx->id, lead, &tail, &msn, &parts)
              == NGX_OK
           && ctx->uri.number < msn + (parts != 0);
}


/*
 * By the clock it has begun, and players of a grid ask for it: a publisher that
 * is late has not sent it yet (DASH-3).
 */

static ngx_uint_t
ngx_http_live_is_announced(ngx_http_live_ctx_t *ctx)
{
    int64_t                us;
    uint64_t               n;
    ngx_live_period_sh_t   p;
    ngx_live_stream_sh_t  *st;

    st = ctx->st;
    n = ngx_live_load(&st->nperiods);

    if (n == 0) {
        return 0;
    }

    p = st->periods[(n - 1) % NGX_LIVE_MAX_PERIODS];
    us = (int64_t) (ngx_live_now() - st->anchor) * 1000 - p.start_us - p.shift;

    ngx_live_fence();

    return ngx_live_load(&st->id) == ctx->id
           && ngx_live_load(&st->nperiods) == n
           && p.grid_us && us >= 0
           && ctx->uri.number <= p.msn + (uint64_t) (us / p.grid_us);
}


static ngx_int_t
ngx_http_live_send_segment(ngx_http_request_t *r, ngx_http_live_ctx_t *ctx,
    ngx_live_track_sh_t *t, ngx_live_segment_sh_t *seg)
{
    if (seg->flags & LIVE_SEGMENT_GAP) {
        return ngx_http_live_late(r);
    }

    r->headers_out.last_modified_time = seg->published / 1000;

    return ngx_http_live_send_range(r, ctx, t, seg);
}


ngx_int_t
ngx_http_live_serve_part(ngx_http_request_t *r, ngx_http_live_ctx_t *ctx)
{
    ngx_live_part_sh_t      part;
    ngx_live_track_sh_t    *t;
    ngx_live_segment_sh_t   seg;

    t = ngx_http_live_rendition(ctx);

    /* without low latency, no playlist names a part */

    if (t == NULL || ctx->st->part_target == 0) {
        return ngx_http_live_unknown(r);
    }

    if (ngx_live_read_part(ctx->st, ctx->id, t, ctx->uri.number,
                           ctx->uri.part, &part)
        != NGX_OK)
    {
        return ngx_http_live_missing_part(r, ctx, t);
    }

    if (part.flags & LIVE_SEGMENT_GAP) {
        return ngx_http_live_late(r);
    }

    seg.offset = part.offset;
    seg.size = part.size;

    return ngx_http_live_send_range(r, ctx, t, &seg);
}


/* The one that is hinted, or about to be, is worth waiting for (HLS-65). */

static ngx_int_t
ngx_http_live_missing_part(ngx_http_request_t *r, ngx_http_live_ctx_t *ctx,
    ngx_live_track_sh_t *t)
{
    uint64_t               tail, msn, number;
    uint32_t               parts;
    ngx_live_stream_sh_t  *st;

    st = ctx->st;
    number = ctx->uri.number;

    if (ngx_live_read_edge(st, ctx->id, t, &tail, &msn, &parts) != NGX_OK) {
        return ngx_http_live_unknown(r);
    }

    /* a segment that is complete gets no more parts */

    if (number < tail || number < msn) {
        return ngx_http_live_late(r);
    }

    if (ngx_http_live_is_live(st)
        && ngx_http_live_is_made(t)
        && ((number == msn && ctx->uri.part <= parts + 1)
            || (number == msn + 1 && ctx->uri.part == 0)))
    {
        return ngx_http_live_hold(ctx, NGX_HTTP_LIVE_HOLD, NGX_HTTP_NOT_FOUND,
                                  ngx_http_live_cache_early);
    }

    return ngx_http_live_early(r);
}


ngx_int_t
ngx_http_live_serve_ts(ngx_http_request_t *r, ngx_http_live_ctx_t *ctx)
{
    uint64_t                tail, msn;
    uint32_t                parts;
    ngx_live_stream_sh_t   *st;
    ngx_live_segment_sh_t   seg;

    st = ctx->st;

    switch (ngx_live_make_ts(ngx_live_zone(), st, ctx->id, ctx->uri.number)) {

    case NGX_OK:

        if (ngx_live_read_segment(st, ctx->id, &st->ts, ctx->uri.number, &seg)
            != NGX_OK)
        {
            return ngx_http_live_late(r);
        }

        return ngx_http_live_send_segment(r, ctx, &st->ts, &seg);

    case NGX_AGAIN:
        return ngx_http_live_hold(ctx, NGX_HTTP_LIVE_HOLD,
                                  NGX_HTTP_SERVICE_UNAVAILABLE,
                                  ngx_http_live_cache_error);

    case NGX_BUSY:
        return ngx_http_live_refuse(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                    ngx_http_live_cache_error);

    case NGX_DECLINED:

        if (st->ntracks == 0
            || ngx_live_read_edge(st, ctx->id, &st->tracks[0], &tail, &msn,
                                  &parts)
               != NGX_OK)
        {
            return ngx_http_live_unknown(r);
        }

        return (ctx->uri.number < msn) ? ngx_http_live_late(r)
                                       : ngx_http_live_early(r);

    default:
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
}


static ngx_int_t
ngx_http_live_send_range(ngx_http_request_t *r, ngx_http_live_ctx_t *ctx,
    ngx_live_track_sh_t *t, ngx_live_segment_sh_t *seg)
{
    ngx_int_t            rc;
    ngx_chain_t          out;
    ngx_live_pin_t      *pin;
    ngx_http_cleanup_t  *cln;

    cln = ngx_http_cleanup_add(r, sizeof(ngx_live_pin_t));
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    pin = cln->data;

    ngx_memzero(pin, sizeof(ngx_live_pin_t));

    pin->st = ctx->st;
    pin->id = ctx->id;
    pin->track = t;
    pin->msn = ctx->uri.number;
    pin->handler = ngx_http_live_retired;
    pin->data = r;

    rc = ngx_live_pin_range(ngx_live_zone(), pin, seg->offset, seg->size);

    if (rc == NGX_DECLINED) {
        r->headers_out.last_modified_time = -1;
        return ngx_http_live_late(r);
    }

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln->handler = ngx_http_live_unpin;

    if (ngx_http_live_media_headers(r, t, ctx->uri.kind == ngx_http_live_part
                                          ? ngx_http_live_cache_part
                                          : ngx_http_live_cache_segment)
        != NGX_OK
        || ngx_http_live_media_etag(r, &ctx->uri) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = seg->size;

    rc = ngx_http_live_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    out.buf = ngx_http_live_media_buf(r, seg->offset,
                                      seg->offset + seg->size);
    if (out.buf == NULL) {
        return NGX_ERROR;
    }

    out.buf->last_buf = (r == r->main) ? 1 : 0;
    out.buf->last_in_chain = 1;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


ngx_int_t
ngx_http_live_media_headers(ngx_http_request_t *r, ngx_live_track_sh_t *t,
    ngx_http_live_cache_e cache)
{
    ngx_str_t            *type;
    ngx_http_live_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_live_play_module);

    if (ctx->uri.kind == ngx_http_live_ts_segment) {
        type = &ngx_http_live_ts_type;

    } else if (t->info.media == LIVE_MEDIA_VIDEO) {
        type = &ngx_http_live_video_type;

    } else {
        type = &ngx_http_live_audio_type;
    }

    r->headers_out.content_type = *type;
    r->headers_out.content_type_len = type->len;

    if (ngx_http_live_cache(r, cache, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_live_cors(r);
}


/* Names never come back, so that they say it all (invariant 3). */

static ngx_int_t
ngx_http_live_media_etag(ngx_http_request_t *r, ngx_http_live_uri_t *uri)
{
    u_char     *p;
    ngx_str_t   etag;

    etag.data = ngx_pnalloc(r->pool, uri->epoch.len + 2 * NGX_INT64_LEN + 16);
    if (etag.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_sprintf(etag.data, "\"%V-%s%uL", &uri->epoch,
                    uri->kind == ngx_http_live_init ? "i" : "", uri->number);

    if (uri->kind == ngx_http_live_part) {
        p = ngx_sprintf(p, ".%uD", uri->part);
    }

    if (uri->kind == ngx_http_live_ts_segment) {
        p = ngx_sprintf(p, ".ts");
    }

    *p++ = '"';
    etag.len = p - etag.data;

    r->allow_ranges = 1;

    return ngx_http_live_etag(r, &etag);
}


ngx_buf_t *
ngx_http_live_media_buf(ngx_http_request_t *r, off_t lo, off_t hi)
{
    ngx_buf_t  *b;

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NULL;
    }

    b->file = ngx_palloc(r->pool, sizeof(ngx_file_t));
    if (b->file == NULL) {
        return NULL;
    }

    *b->file = ngx_live_zone()->file;
    b->file->log = r->connection->log;

    b->in_file = 1;
    b->file_pos = lo;
    b->file_last = hi;

#if (nginx_version >= 1025000 && (NGX_QUIC || NGX_COMPAT))

    /* there is no file to be sent over QUIC */

    if (r->connection->quic) {
        return b;
    }

#endif

    /* also where the site has "sendfile off" */

    if (ngx_io.flags & NGX_IO_SENDFILE) {
        r->connection->sendfile = 1;
    }

    return b;
}


void
ngx_http_live_retired(ngx_live_pin_t *pin)
{
    ngx_event_t         *wev;
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = pin->data;
    c = r->connection;

    if (c->error) {
        return;
    }

    ngx_log_error(NGX_LOG_INFO, c->log, 0,
                  "segment %uL left the zone while it was being sent, "
                  "the client is too slow", pin->msn);

    c->error = 1;

    wev = c->write;
    wev->delayed = 0;

    ngx_post_event(wev, &ngx_posted_events);
}


static void
ngx_http_live_unpin(void *data)
{
    ngx_live_unpin(ngx_live_zone(), data);
}
