
/* Counts requests at their end, when it is known what has become of them. */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_live_play.h"
#include "ngx_live_stat.h"


static ngx_int_t ngx_http_live_count_handler(ngx_http_request_t *r);
static uint64_t ngx_http_live_viewer(ngx_http_request_t *r,
    ngx_http_live_ctx_t *ctx);


/* by ngx_http_live_kind_e */
static ngx_str_t  ngx_http_live_kind_names[] = {
    ngx_string("multivariant"),
    ngx_string("playlist"),
    ngx_string("manifest"),
    ngx_string("ts_playlist"),
    ngx_string("init"),
    ngx_string("segment"),
    ngx_string("part"),
    ngx_string("ts_segment"),
    ngx_string("thumbnail"),
    ngx_string("time"),
    ngx_string("unknown")
};


/* the zone has room for them */
_Static_assert(NGX_HTTP_LIVE_KINDS <= NGX_LIVE_STAT_OBJECTS, "kinds");
_Static_assert(NGX_HTTP_LIVE_CACHE_CLASSES <= NGX_LIVE_STAT_CLASSES,
               "classes");


ngx_str_t *
ngx_http_live_kind_name(ngx_http_live_kind_e kind)
{
    return &ngx_http_live_kind_names[kind];
}


ngx_int_t
ngx_http_live_count_init(ngx_conf_t *cf)
{
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_LOG_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_live_count_handler;

    return NGX_OK;
}


static ngx_int_t
ngx_http_live_count_handler(ngx_http_request_t *r)
{
    ngx_http_live_ctx_t      *ctx;
    ngx_live_stat_request_t   req;

    /* subrequests are part of another response */

    if (r != r->main) {
        return NGX_OK;
    }

    ctx = ngx_http_live_asked(r);
    if (ctx == NULL) {
        return NGX_OK;
    }

    req.object = ctx->uri.kind;
    req.cache = ctx->answered;
    req.sent = r->connection->sent;
    req.blocked = ctx->was_parked;
    req.blocked_ms = ctx->held;
    req.viewer = ngx_http_live_viewer(r, ctx);

    ngx_live_stat_request(ngx_live_zone(), ctx->st, ctx->st ? ctx->id : 0,
                          &req);

    return NGX_OK;
}


/*
 * Who asks for a playlist that players ask for again and again: the session
 * that the player names, else its address and what it calls itself.  0: it is
 * no such request.
 */

static uint64_t
ngx_http_live_viewer(ngx_http_request_t *r, ngx_http_live_ctx_t *ctx)
{
    uint64_t          id;
    ngx_str_t         sid, *agent;
    u_char            buf[NGX_HTTP_LIVE_MAX_SID];
    ngx_connection_t  *c;

    if (ctx->uri.kind != ngx_http_live_media
        && ctx->uri.kind != ngx_http_live_ts_media
        && ctx->uri.kind != ngx_http_live_manifest)
    {
        return 0;
    }

    /* nor is one that was refused, whatever an error_page has made of that */

    if (r->headers_out.status >= NGX_HTTP_BAD_REQUEST
        || ngx_http_get_module_ctx(r, ngx_http_live_play_module) == NULL)
    {
        return 0;
    }

    sid.data = buf;

    if (ngx_http_live_cmcd_sid(r, &sid) == NGX_OK) {
        return live_viewers_id(1, sid.data, sid.len);
    }

    /* the address without its port */

    c = r->connection;
    id = live_viewers_id(2, c->addr_text.data, c->addr_text.len);

    if (r->headers_in.user_agent) {
        agent = &r->headers_in.user_agent->value;
        id = live_viewers_id(id, agent->data, agent->len);
    }

    return id;
}
