
/*
 * Requests that come a moment early.  One is parked in its worker, with
 * nothing but its own memory, until its stream changes; then it is served
 * afresh, as if it had come now.  A client that goes away frees its place at
 * once (HTTP-72).
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_live_play.h"


static ngx_int_t ngx_http_live_park(ngx_http_request_t *r,
    ngx_http_live_ctx_t *ctx);
static ngx_int_t ngx_http_live_try(ngx_http_live_ctx_t *ctx);
static void ngx_http_live_woken(ngx_live_wait_t *wait);
static void ngx_http_live_wait_handler(ngx_event_t *ev);
static void ngx_http_live_unpark(void *data);


ngx_int_t
ngx_http_live_hold(ngx_http_live_ctx_t *ctx, ngx_msec_t limit,
    ngx_int_t status, ngx_http_live_cache_e cache)
{
    ctx->limit = limit;
    ctx->status = status;
    ctx->cache = cache;

    return NGX_HTTP_LIVE_HELD;
}


ngx_int_t
ngx_http_live_answer(ngx_http_request_t *r, ngx_http_live_ctx_t *ctx)
{
    ngx_int_t            rc;
    ngx_http_cleanup_t  *cln;

    rc = ngx_http_live_try(ctx);

    if (rc != NGX_HTTP_LIVE_HELD) {
        return rc;
    }

    /* what includes it would wait as well, and cannot know for what */

    if (r != r->main) {
        return ngx_http_live_refuse(r, ctx->status, ctx->cache);
    }

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln->handler = ngx_http_live_unpark;
    cln->data = ctx;

    ctx->wait.handler = ngx_http_live_woken;
    ctx->wait.data = ctx;
    ctx->wait.media = (ctx->serve != ngx_http_live_serve_text);

    ngx_live_wait(ngx_live_zone(), ctx->st, ctx->id, &ctx->wait);

    /* what came before that does not wake it */

    rc = ngx_http_live_try(ctx);

    if (rc != NGX_HTTP_LIVE_HELD) {
        ngx_live_wait_cancel(&ctx->wait);
        return rc;
    }

    return ngx_http_live_park(r, ctx);
}


static ngx_int_t
ngx_http_live_park(ngx_http_request_t *r, ngx_http_live_ctx_t *ctx)
{
    ngx_int_t     rc;
    ngx_event_t  *rev;

    rc = ngx_http_live_limit_take(r, ctx);

    if (rc != NGX_OK) {
        ngx_live_wait_cancel(&ctx->wait);

        return rc == NGX_BUSY
               ? ngx_http_live_refuse(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                      ngx_http_live_cache_error)
               : NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rev = r->connection->read;

    if (rev->ready) {
        ngx_post_event(rev, &ngx_posted_events);

    } else if (ngx_handle_read_event(rev, 0) != NGX_OK) {
        ngx_http_live_limit_give(ctx);
        ngx_live_wait_cancel(&ctx->wait);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    ctx->event.handler = ngx_http_live_wait_handler;
    ctx->event.data = ctx;
    ctx->event.log = r->connection->log;

    ctx->began = ngx_current_msec;
    ctx->parked = 1;
    ctx->was_parked = 1;

    ngx_add_timer(&ctx->event, ctx->limit);

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "live request is held for up to %M ms", ctx->limit);

    r->main->count++;

    return NGX_DONE;
}


static ngx_int_t
ngx_http_live_try(ngx_http_live_ctx_t *ctx)
{
    if (ngx_live_load(&ctx->st->id) != ctx->id) {
        return ngx_http_live_refuse(ctx->request, NGX_HTTP_NOT_FOUND,
                                    ngx_http_live_cache_error);
    }

    return ctx->serve(ctx->request, ctx);
}


/* The end of a request may end others, which this call does not allow. */

static void
ngx_http_live_woken(ngx_live_wait_t *wait)
{
    ngx_http_live_ctx_t  *ctx;

    ctx = wait->data;

    if (ctx->parked) {
        ngx_post_event(&ctx->event, &ngx_posted_events);
    }
}


static void
ngx_http_live_wait_handler(ngx_event_t *ev)
{
    ngx_int_t             rc;
    ngx_connection_t     *c;
    ngx_http_request_t   *r;
    ngx_http_live_ctx_t  *ctx;

    ctx = ev->data;
    r = ctx->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    /* so that what is logged now knows it */
    ctx->held = ngx_current_msec - ctx->began;

    rc = ngx_http_live_try(ctx);

    if (rc == NGX_HTTP_LIVE_HELD) {

        if (!ev->timedout) {
            return;
        }

        rc = ngx_http_live_refuse(r, ctx->status, ctx->cache);
    }

    ngx_http_live_unpark(ctx);

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, c->log, 0,
                   "live request was held for %M ms, rc:%i", ctx->held, rc);

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


static void
ngx_http_live_unpark(void *data)
{
    ngx_http_live_ctx_t *ctx = data;

    ngx_live_wait_cancel(&ctx->wait);

    if (!ctx->parked) {
        return;
    }

    ctx->parked = 0;
    ngx_http_live_limit_give(ctx);

    ctx->held = ngx_current_msec - ctx->began;

    if (ctx->event.timer_set) {
        ngx_del_timer(&ctx->event);
    }

    if (ctx->event.posted) {
        ngx_delete_posted_event(&ctx->event);
    }
}
