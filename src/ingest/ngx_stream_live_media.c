
/* What the messages of an RTMP session carry goes to its publication. */

#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_stream_live_rtmp.h"


static void ngx_stream_live_rtmp_fail(void *data, const char *text);
static void ngx_stream_live_rtmp_codec(void *data, const char *text);


void
ngx_stream_live_rtmp_tags(ngx_stream_live_rtmp_ctx_t *ctx)
{
    ngx_live_tags_t   *tags;
    ngx_connection_t  *c;

    tags = &ctx->tags;
    c = ctx->session->connection;

    tags->log = c->log;
    tags->pool = c->pool;
    tags->fail = ngx_stream_live_rtmp_fail;
    tags->refuse = ngx_stream_live_rtmp_codec;
    tags->data = ctx;
}


int
ngx_stream_live_rtmp_media(void *data, const live_rtmp_message_t *m,
    const uint8_t *buf, size_t len)
{
    ngx_stream_live_rtmp_ctx_t *ctx = data;

    if (ctx->pub == NULL || ctx->closing) {
        return LIVE_OK;
    }

    ctx->tags.pub = ctx->pub;

    return ngx_live_tags_media(&ctx->tags, m, buf, len);
}


static void
ngx_stream_live_rtmp_fail(void *data, const char *text)
{
    ngx_stream_live_rtmp_ctx_t *ctx = data;

    live_rtmp_fail(ctx->rtmp, "%s", text);
}


/* Goes to the log and to the peer, who sees why. */

static void
ngx_stream_live_rtmp_codec(void *data, const char *text)
{
    ngx_stream_live_rtmp_ctx_t *ctx = data;

    ngx_log_error(NGX_LOG_ERR, ctx->session->connection->log, 0,
                  "publishing refused: %s", text);

    ctx->closing = 1;
    ctx->state = "refused";

    live_rtmp_close(ctx->rtmp, "NetStream.Publish.Rejected", text);
}


void
ngx_stream_live_rtmp_abort(void *data, const live_rtmp_message_t *m)
{
    ngx_stream_live_rtmp_ctx_t *ctx = data;

    ctx->tags.pub = ctx->pub;

    ngx_live_tags_abort(&ctx->tags, m);
}


void
ngx_stream_live_rtmp_metadata(void *data, const live_rtmp_metadata_t *md)
{
    ngx_stream_live_rtmp_ctx_t *ctx = data;

    if (ctx->pub == NULL) {
        return;
    }

    ngx_live_publish_metadata(ctx->pub, md->framerate,
                              (uint32_t) ngx_min(md->audio_kbps * 1000,
                                                 4e9),
                              md->has_audio && !md->has_video);

    if (md->encoder[0]) {
        ngx_log_error(NGX_LOG_INFO, ctx->session->connection->log, 0,
                      "the encoder is \"%s\"", md->encoder);
    }
}
