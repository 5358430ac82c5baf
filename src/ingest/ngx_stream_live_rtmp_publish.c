
/* Publishing over RTMP: who may, and what becomes of those who did. */

#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_stream_live_auth.h"
#include "ngx_stream_live_hook.h"


static void ngx_stream_live_rtmp_publisher(ngx_stream_live_rtmp_ctx_t *ctx,
    const live_rtmp_publish_t *p);
static uint32_t ngx_stream_live_rtmp_client(ngx_stream_live_rtmp_ctx_t *ctx,
    const char *encoder);
static void ngx_stream_live_rtmp_removed(ngx_stream_live_rtmp_ctx_t *ctx);
static void ngx_stream_live_rtmp_ended(ngx_stream_live_rtmp_ctx_t *ctx);


int
ngx_stream_live_rtmp_publish(void *data, const live_rtmp_publish_t *p)
{
    ngx_stream_live_rtmp_ctx_t *ctx = data;

    ngx_str_t             app;
    const char           *name, *reason;
    ngx_live_app_conf_t  *acf;

    ctx->app = NULL;

    app.data = (u_char *) p->app;
    app.len = ngx_strlen(p->app);

    acf = ngx_live_application(&app);

    if (acf == NULL) {
        name = ngx_stream_live_auth_named() ? NULL : p->name;
        ngx_stream_live_rtmp_refuse(ctx, "NetStream.Publish.BadName", name,
                                    "unknown application");
        return LIVE_OK;
    }

    name = ngx_stream_live_auth_name(ngx_stream_live_auth_conf(acf), p->name,
                                     ctx->session->connection->log);

    if (name == p->name) {
        name = ngx_stream_live_created_name(acf, name);
    }

    if (!live_key_is_name(name, ngx_strlen(name))) {
        ngx_stream_live_rtmp_refuse(ctx, "NetStream.Publish.BadName", NULL,
                                    "a stream name has 1 to 128 of A-Z a-z "
                                    "0-9 . _ - and does not begin with a dot");
        return LIVE_OK;
    }

    ctx->renamed |= ctx->keyed && ngx_strcmp(ctx->name_buf, name) != 0;

    ctx->app = acf;
    ctx->conf.max_message = acf->max_message;
    ctx->name.data = ctx->name_buf;
    ctx->name.len = ngx_strlen(name);
    ngx_memcpy(ctx->name_buf, name, ctx->name.len + 1);

    reason = ngx_stream_live_auth(ctx, p, name != p->name);

    if (reason) {

        /* what is a key is not named, now or when the session ends */

        if (name == p->name && ngx_stream_live_auth_secret(ctx, name)) {
            ctx->name.len = 0;
            name = NULL;
        }

        ngx_stream_live_rtmp_refuse(ctx, "NetStream.Publish.Denied", name,
                                    reason);
        return LIVE_OK;
    }

    ngx_stream_live_rtmp_publisher(ctx, p);

    switch (ngx_stream_live_hook_open(ctx, p)) {

    case NGX_OK:
        ngx_stream_live_rtmp_claim(ctx);
        break;

    case NGX_AGAIN:
        break;

    default:
        ngx_stream_live_rtmp_refuse(ctx, "NetStream.Publish.Denied", name,
                                    "the callback cannot be asked");
    }

    return LIVE_OK;
}


static void
ngx_stream_live_rtmp_publisher(ngx_stream_live_rtmp_ctx_t *ctx,
    const live_rtmp_publish_t *p)
{
    ngx_live_publisher_t  *publisher;

    publisher = &ctx->publisher;

    publisher->app = ctx->app;
    publisher->name = ctx->name;
    publisher->sockaddr = ctx->session->connection->sockaddr;
    publisher->socklen = ctx->session->connection->socklen;
    publisher->socket = ctx->session->connection->fd;
    publisher->log = ctx->session->connection->log;
    publisher->lost = ngx_stream_live_rtmp_lost;
    publisher->data = ctx;
    publisher->client = ngx_stream_live_rtmp_client(ctx, p->flash_ver);
    publisher->asked = 0;
    publisher->max_bitrate = 0;
    publisher->left_out = 0;
}


/* The same encoder on the same host, whatever its port. */

static uint32_t
ngx_stream_live_rtmp_client(ngx_stream_live_rtmp_ctx_t *ctx,
    const char *encoder)
{
    size_t            len;
    uint32_t          crc;
    u_char            text[NGX_SOCKADDR_STRLEN];
    ngx_connection_t  *c;

    c = ctx->session->connection;

    len = ngx_sock_ntop(c->sockaddr, c->socklen, text, sizeof(text), 0);

    ngx_crc32_init(crc);
    ngx_crc32_update(&crc, text, len);
    ngx_crc32_update(&crc, (u_char *) encoder, ngx_strlen(encoder));
    ngx_crc32_final(crc);

    return crc;
}


void
ngx_stream_live_rtmp_claim(ngx_stream_live_rtmp_ctx_t *ctx)
{
    ngx_connection_t  *c;

    c = ctx->session->connection;
    ctx->pending = 0;

    switch (ngx_live_publish_open(&ctx->publisher, &ctx->pub)) {

    case NGX_LIVE_PUBLISH_AGAIN:
        ctx->pending = 1;
        ngx_add_timer(&ctx->poll, NGX_STREAM_LIVE_RETRY);
        return;

    case NGX_LIVE_PUBLISH_BUSY:
        ngx_stream_live_rtmp_refuse(ctx, "NetStream.Publish.BadName",
                                    (char *) ctx->name_buf,
                                    ctx->app->backup
                                    ? "the stream is being published already, "
                                      "and another publisher stands by"
                                    : "the stream is being published already");
        return;

    case NGX_LIVE_PUBLISH_FULL:
        ngx_stream_live_rtmp_refuse(ctx, "NetStream.Publish.Denied",
                                    (char *) ctx->name_buf,
                                    "the live zone is full");
        return;

    case NGX_LIVE_PUBLISH_LIMIT:
        ngx_stream_live_rtmp_refuse(ctx, "NetStream.Publish.Denied",
                                    (char *) ctx->name_buf,
                                    "there are as many publications as "
                                    "\"max_publications\" allows");
        return;

    case NGX_LIVE_PUBLISH_BANNED:
        ngx_stream_live_rtmp_refuse(ctx, "NetStream.Publish.Denied",
                                    (char *) ctx->name_buf,
                                    "the stream is stopped, or banned for "
                                    "now, by the control API");
        return;

    case NGX_LIVE_PUBLISH_WAITS:
        ngx_log_error(NGX_LOG_INFO, c->log, 0,
                      "publishing begins, the stream has a publisher and "
                      "this one waits");
        break;

    default:
        ngx_log_error(NGX_LOG_INFO, c->log, 0, "publishing begins");
        break;
    }

    ctx->state = "publishing";
    ctx->tags.nal_length_size = 0;

    live_rtmp_accept(ctx->rtmp);
    ngx_stream_live_hook_begun(ctx);

    /* to be called when the worker begins to shut down */
    c->idle = 1;

    if (ngx_exiting) {
        ngx_stream_live_rtmp_exiting(ctx);
    }
}


void
ngx_stream_live_rtmp_exiting(ngx_stream_live_rtmp_ctx_t *ctx)
{
    if (!live_rtmp_reconnect(ctx->rtmp, "the server restarts, come again")) {
        return;
    }

    ctx->moves = 1;
    ngx_live_publish_moves(ctx->pub);

    ngx_log_error(NGX_LOG_INFO, ctx->session->connection->log, 0,
                  "the worker shuts down, the publisher is asked to "
                  "reconnect");
}


/* Also called by the upkeep timer. */

void
ngx_stream_live_rtmp_lost(void *data)
{
    ngx_stream_live_rtmp_ctx_t *ctx = data;

    ngx_connection_t  *c;

    if (ctx->closing) {
        return;
    }

    c = ctx->session->connection;

    if (ngx_live_publish_removed(ctx->pub)) {
        ngx_stream_live_rtmp_removed(ctx);
        return;
    }

    if (ngx_live_publish_ended(ctx->pub)) {
        ngx_stream_live_rtmp_ended(ctx);
        return;
    }

    if (ctx->moves) {
        ctx->state = "moved";
        ngx_log_error(NGX_LOG_INFO, c->log, 0,
                      "the publisher has moved to another connection");

    } else if (ngx_live_publish_waits(ctx->pub)) {
        ctx->state = "replaced";
        ngx_log_error(NGX_LOG_WARN, c->log, 0,
                      "this publisher waits no longer: another one stands by");

    } else {
        ctx->state = "replaced";
        ngx_log_error(NGX_LOG_WARN, c->log, 0,
                      "the stream was taken over by another publisher");
    }

    ctx->closing = 1;

    live_rtmp_close(ctx->rtmp, "NetStream.Unpublish.Success",
                    "another publisher has taken the stream");

    ngx_post_event(c->write, &ngx_posted_events);
}


static void
ngx_stream_live_rtmp_removed(ngx_stream_live_rtmp_ctx_t *ctx)
{
    ngx_log_error(NGX_LOG_ERR, ctx->session->connection->log, 0,
                  "publishing ends: the new configuration has no application "
                  "\"%V\"", &ctx->app->name);

    ngx_stream_live_rtmp_end(ctx, "removed", "the application was removed");
}


void
ngx_stream_live_rtmp_end(ngx_stream_live_rtmp_ctx_t *ctx, const char *state,
    const char *reason)
{
    ctx->state = state;
    ctx->closing = 1;

    live_rtmp_close(ctx->rtmp, "NetStream.Publish.Denied", reason);

    ngx_post_event(ctx->session->connection->write, &ngx_posted_events);
}


static void
ngx_stream_live_rtmp_ended(ngx_stream_live_rtmp_ctx_t *ctx)
{
    ngx_connection_t  *c;

    c = ctx->session->connection;

    ngx_log_error(NGX_LOG_NOTICE, c->log, 0,
                  "publishing ends: the stream was ended by the control API");

    ctx->state = "ended";
    ctx->closing = 1;

    live_rtmp_close(ctx->rtmp, "NetStream.Unpublish.Success",
                    "the stream was ended");

    ngx_post_event(c->write, &ngx_posted_events);
}


void
ngx_stream_live_rtmp_refuse(ngx_stream_live_rtmp_ctx_t *ctx, const char *code,
    const char *name, const char *reason)
{
    /* names come from the peer: no byte of theirs goes to the log as it is */

    if (name && live_key_is_name(name, ngx_strlen(name))) {
        ngx_log_error(NGX_LOG_ERR, ctx->session->connection->log, 0,
                      "publishing \"%s\" refused: %s", name, reason);

    } else {
        ngx_log_error(NGX_LOG_ERR, ctx->session->connection->log, 0,
                      "publishing refused: %s", reason);
    }

    ctx->state = "refused";

    live_rtmp_refuse(ctx->rtmp, code, reason);
}


void
ngx_stream_live_rtmp_unpublish(void *data)
{
    ngx_stream_live_rtmp_ctx_t *ctx = data;

    if (ctx->pub == NULL) {
        return;
    }

    ngx_log_error(NGX_LOG_INFO, ctx->session->connection->log, 0,
                  "publishing ends");

    ctx->duration = ngx_live_since(ngx_live_publish_started(ctx->pub));
    ctx->state = "finished";
    ngx_stream_live_rtmp_unpace(ctx);

    ngx_live_publish_close(ctx->pub);
    ctx->pub = NULL;

    ngx_stream_live_hook_close(ctx);

    ngx_add_timer(ctx->session->connection->read,
                  ctx->limits->connect_timeout);
}
