
/*
 * A segment that is being made, as a response of unknown length: each part is
 * sent in one go when it is published, and the response ends with the segment
 * (DASH-48 to DASH-51).
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_live_play.h"
#include "ngx_http_live_push.h"


/* ms; a worker that shuts down ends what has no timer (invariant 8) */
#define NGX_HTTP_LIVE_GROW_TIMER  30000


struct ngx_http_live_grow_s {
    ngx_http_request_t        *request;
    ngx_live_wait_t            wait;
    ngx_event_t                event;       /* it was woken; its timer */

    /*
     * From the segment's begin: what was given to the filters may still be
     * unsent, and be read from the file later.
     */
    ngx_live_pin_t             pin;
    uint64_t                   pos;         /* behind what they were given */

    ngx_uint_t                 nopush;      /* to be allowed again */
};


static ngx_uint_t ngx_http_live_grow_can(ngx_http_request_t *r);
static ngx_http_live_grow_t *ngx_http_live_grow_create(ngx_http_request_t *r,
    ngx_http_live_ctx_t *ctx, ngx_live_track_sh_t *t,
    ngx_live_segment_sh_t *seg);
static ngx_int_t ngx_http_live_grow_start(ngx_http_request_t *r,
    ngx_http_live_ctx_t *ctx);
static ngx_int_t ngx_http_live_grow_send(ngx_http_live_grow_t *g);
static ngx_int_t ngx_http_live_grow_abort(ngx_http_live_grow_t *g);
static void ngx_http_live_grow_woken(ngx_live_wait_t *wait);
static void ngx_http_live_grow_handler(ngx_event_t *ev);
static void ngx_http_live_grow_stop(ngx_http_live_grow_t *g);
static void ngx_http_live_grow_cleanup(void *data);


ngx_int_t
ngx_http_live_grow(ngx_http_request_t *r, ngx_http_live_ctx_t *ctx,
    ngx_live_track_sh_t *t, ngx_live_segment_sh_t *seg)
{
    /* what a publisher leaves incomplete stays it */

    if (!ngx_http_live_is_live(ctx->st)) {
        return ngx_http_live_refuse(r, NGX_HTTP_NOT_FOUND,
                                    ngx_http_live_cache_early);
    }

    /* without headers it can still be refused */

    if (seg->size == 0 || !ngx_http_live_grow_can(r)) {
        return ngx_http_live_hold(ctx, NGX_HTTP_LIVE_HOLD, NGX_HTTP_NOT_FOUND,
                                  ngx_http_live_cache_early);
    }

    ctx->grow = ngx_http_live_grow_create(r, ctx, t, seg);
    if (ctx->grow == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ctx->grow->pin.node == NULL) {
        return ngx_http_live_refuse(r, NGX_HTTP_NOT_FOUND,
                                    ngx_http_live_cache_late);
    }

    if (ngx_http_live_media_headers(r, t, ngx_http_live_cache_segment)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_live_grow_start(r, ctx);
}


/* A range has a length, and so has a body of HTTP/1.0 that can be known to be
 * complete. */

static ngx_uint_t
ngx_http_live_grow_can(ngx_http_request_t *r)
{
    ngx_http_core_loc_conf_t  *clcf;

    if (r != r->main
        || r->method != NGX_HTTP_GET
        || r->headers_in.range
        || r->http_version < NGX_HTTP_VERSION_11)
    {
        return 0;
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    return r->http_version > NGX_HTTP_VERSION_11
           || clcf->chunked_transfer_encoding;
}


static ngx_http_live_grow_t *
ngx_http_live_grow_create(ngx_http_request_t *r, ngx_http_live_ctx_t *ctx,
    ngx_live_track_sh_t *t, ngx_live_segment_sh_t *seg)
{
    ngx_http_cleanup_t    *cln;
    ngx_http_live_grow_t  *g;

    cln = ngx_http_cleanup_add(r, sizeof(ngx_http_live_grow_t));
    if (cln == NULL) {
        return NULL;
    }

    g = cln->data;

    ngx_memzero(g, sizeof(ngx_http_live_grow_t));

    cln->handler = ngx_http_live_grow_cleanup;

    g->request = r;
    g->pos = seg->offset;

    g->wait.handler = ngx_http_live_grow_woken;
    g->wait.data = g;

    g->event.handler = ngx_http_live_grow_handler;
    g->event.data = g;
    g->event.log = r->connection->log;

    g->pin.st = ctx->st;
    g->pin.id = ctx->id;
    g->pin.track = t;
    g->pin.msn = ctx->uri.number;
    g->pin.handler = ngx_http_live_retired;
    g->pin.data = r;

    if (ngx_live_pin_range(ngx_live_zone(), &g->pin, seg->offset, seg->size)
        == NGX_ERROR)
    {
        return NULL;
    }

    return g;
}


static ngx_int_t
ngx_http_live_grow_start(ngx_http_request_t *r, ngx_http_live_ctx_t *ctx)
{
    ngx_int_t              rc;
    ngx_http_live_grow_t  *g;

    g = ctx->grow;

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = -1;

    rc = ngx_http_live_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    if (ngx_http_live_push_tcp(r, &g->nopush) != NGX_OK) {
        return NGX_ERROR;
    }

    g->wait.media = 1;

    ngx_live_wait(ngx_live_zone(), ctx->st, ctx->id, &g->wait);

    rc = ngx_http_live_grow_send(g);

    if (rc != NGX_DONE) {
        ngx_http_live_grow_stop(g);
        return rc;
    }

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_live_push_writer;

    ngx_add_timer(&g->event, NGX_HTTP_LIVE_GROW_TIMER);

    r->main->count++;

    return NGX_DONE;
}


/* NGX_DONE: there is more to come. */

static ngx_int_t
ngx_http_live_grow_send(ngx_http_live_grow_t *g)
{
    uint64_t                end;
    ngx_int_t               rc;
    ngx_buf_t              *b;
    ngx_uint_t              live, last;
    ngx_chain_t             out;
    ngx_live_pin_t         *pin;
    ngx_http_request_t     *r;
    ngx_live_segment_sh_t   seg;

    r = g->request;
    pin = &g->pin;

    /* a publisher that leaves, or a rung that stops, completes its segment
     * before that is seen */

    live = ngx_http_live_is_live(pin->st)
           && ngx_live_load(&pin->track->mode) == NGX_LIVE_TRACK_ON;

    rc = ngx_live_read_growing(pin->st, pin->id, pin->track, pin->msn, &seg);

    end = seg.offset + seg.size;
    last = (rc == NGX_OK);

    if (rc == NGX_DECLINED || (!last && !live) || end < g->pos) {
        return ngx_http_live_grow_abort(g);
    }

    if (!last && end == g->pos) {
        return NGX_DONE;
    }

    if (ngx_live_pin_range(ngx_live_zone(), pin, seg.offset, seg.size)
        != NGX_OK)
    {
        return ngx_http_live_grow_abort(g);
    }

    if (end > g->pos) {
        b = ngx_http_live_media_buf(r, g->pos, end);

    } else {
        b = ngx_calloc_buf(r->pool);
    }

    if (b == NULL) {
        return NGX_ERROR;
    }

    g->pos = end;

    b->flush = !last;
    b->last_buf = last;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    rc = ngx_http_output_filter(r, &out);

    if (rc == NGX_ERROR || last) {
        return rc;
    }

    return ngx_http_live_push_pending(r);
}


/* Not completed, so that no cache keeps what there is of it (HTTP-79). */

static ngx_int_t
ngx_http_live_grow_abort(ngx_http_live_grow_t *g)
{
    ngx_connection_t  *c;

    c = g->request->connection;

    ngx_log_error(NGX_LOG_INFO, c->log, 0,
                  "segment %uL was not completed while it was being sent",
                  g->pin.msn);

    c->error = 1;

    return NGX_ERROR;
}


static void
ngx_http_live_grow_woken(ngx_live_wait_t *wait)
{
    ngx_http_live_grow_t  *g;

    g = wait->data;

    ngx_post_event(&g->event, &ngx_posted_events);
}


static void
ngx_http_live_grow_handler(ngx_event_t *ev)
{
    ngx_int_t              rc;
    ngx_connection_t      *c;
    ngx_http_request_t    *r;
    ngx_http_live_grow_t  *g;

    g = ev->data;
    r = g->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    rc = ngx_http_live_grow_send(g);

    if (rc == NGX_DONE) {
        ngx_add_timer(ev, NGX_HTTP_LIVE_GROW_TIMER);
        return;
    }

    ngx_http_live_grow_stop(g);

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


/* Nothing more is added; what was given stays pinned until it is sent. */

static void
ngx_http_live_grow_stop(ngx_http_live_grow_t *g)
{
    ngx_live_wait_cancel(&g->wait);

    if (g->event.timer_set) {
        ngx_del_timer(&g->event);
    }

    if (g->event.posted) {
        ngx_delete_posted_event(&g->event);
    }

    ngx_http_live_push_end(g->request, &g->nopush);
}


static void
ngx_http_live_grow_cleanup(void *data)
{
    ngx_http_live_grow_t *g = data;

    ngx_http_live_grow_stop(g);
    ngx_live_unpin(ngx_live_zone(), &g->pin);
}
