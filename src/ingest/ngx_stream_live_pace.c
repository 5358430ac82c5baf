
/*
 * Most messages are audio of a few hundred bytes: a wake-up for each costs
 * more than all that is done with them.  The kernel is told to wait for some
 * milliseconds' worth of bytes; the end of a connection wakes at once.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_stream_live_rtmp.h"


/* media of so many ms may gather in the socket before it is read ... */
#define NGX_STREAM_LIVE_PACE     NGX_LIVE_PUBLISH_LAG    /* ms */
/* ... and less than that waits so many ms */
#define NGX_STREAM_LIVE_POLL      200
#define NGX_STREAM_LIVE_MAX_PACE  65536


static void ngx_stream_live_rtmp_lowat(ngx_stream_live_rtmp_ctx_t *ctx,
    int bytes);


void
ngx_stream_live_rtmp_pace(ngx_stream_live_rtmp_ctx_t *ctx)
{
    int                pace;
    off_t              received;
    ngx_msec_t         elapsed;

    received = ctx->session->received;
    elapsed = ngx_current_msec - ctx->paced;
    ctx->read = ngx_current_msec;

    /* the frame that a part waits for is taken as soon as it is there */

    ngx_stream_live_rtmp_lowat(ctx, ngx_live_publish_eager(ctx->pub)
                                    ? 1 : ctx->pace);

    if (ctx->paced == 0) {
        ctx->paced = ngx_current_msec;
        ctx->paced_bytes = received;
        return;
    }

    if (elapsed < 2000) {
        return;
    }

    pace = ngx_min((received - ctx->paced_bytes) * NGX_STREAM_LIVE_PACE
                   / (off_t) elapsed, NGX_STREAM_LIVE_MAX_PACE);
    pace = ngx_max(pace, 1);

    ctx->paced = ngx_current_msec;
    ctx->paced_bytes = received;

    if (ngx_abs(pace - ctx->pace) <= ctx->pace / 4) {
        return;
    }

    ctx->pace = pace;

    if (!ctx->poll.timer_set) {
        ngx_add_timer(&ctx->poll, NGX_STREAM_LIVE_POLL);
    }
}


/* Reads the last bytes before a pause: a command, or a frame's end. */

void
ngx_stream_live_rtmp_poll(ngx_event_t *ev)
{
    ngx_event_t                 *rev;
    ngx_connection_t            *c;
    ngx_stream_live_rtmp_ctx_t  *ctx;

    c = ev->data;
    rev = c->read;
    ctx = ngx_stream_get_module_ctx((ngx_stream_session_t *) c->data,
                                    ngx_stream_live_rtmp_module);

    if (ctx->pending && !ctx->closing) {

        ngx_stream_live_rtmp_claim(ctx);

        if (!ctx->pending) {
            /* what came meanwhile */
            (void) ngx_stream_live_rtmp_input(ctx, NULL, 0);
        }

        return;
    }

    if (ctx->pub == NULL || ctx->closing || ctx->pace <= 1) {
        return;
    }

    ngx_add_timer(ev, NGX_STREAM_LIVE_POLL);

    if (ngx_current_msec - ctx->read >= NGX_STREAM_LIVE_POLL) {
        rev->ready = 1;
#if (NGX_HAVE_FIONREAD || NGX_HAVE_EPOLLRDHUP)
        rev->available = -1;
#endif
        ngx_post_event(rev, &ngx_posted_events);
    }
}


void
ngx_stream_live_rtmp_unpace(ngx_stream_live_rtmp_ctx_t *ctx)
{
    ctx->paced = 0;
    ctx->pace = 1;

    ngx_stream_live_rtmp_lowat(ctx, 1);
}


static void
ngx_stream_live_rtmp_lowat(ngx_stream_live_rtmp_ctx_t *ctx, int bytes)
{
    ngx_connection_t  *c;

    bytes = ngx_max(bytes, 1);

    if (bytes == ngx_max(ctx->lowat, 1)) {
        return;
    }

    c = ctx->session->connection;
    ctx->lowat = bytes;

    if (setsockopt(c->fd, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof(int))
        == -1)
    {
        ngx_log_error(NGX_LOG_ALERT, c->log, ngx_socket_errno,
                      "setsockopt(SO_RCVLOWAT) failed");
    }
}
