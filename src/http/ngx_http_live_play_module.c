
/*
 * Serves streams: playlists and manifests as they were rendered, and media by
 * sendfile from the media zone.  Any worker serves any stream.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_live_play.h"
#include "ngx_live_registry.h"


static ngx_int_t ngx_http_live_play_handler(ngx_http_request_t *r);
static ngx_http_live_ctx_t *ngx_http_live_create_ctx(ngx_http_request_t *r);
static void ngx_http_live_keep_ctx(void *data);
static ngx_uint_t ngx_http_live_play_offers(ngx_live_stream_sh_t *st,
    ngx_http_live_kind_e kind);
static void *ngx_http_live_play_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_live_play_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
static char *ngx_http_live_play(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_live_max_parked(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


static ngx_command_t  ngx_http_live_play_commands[] = {

    { ngx_string("live_play"),
      NGX_HTTP_LOC_CONF|NGX_HTTP_LIF_CONF|NGX_CONF_TAKE1,
      ngx_http_live_play,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("live_cache_control"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF
                        |NGX_HTTP_LIF_CONF|NGX_CONF_TAKE2,
      ngx_http_live_cache_set,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("live_max_parked"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF
                        |NGX_CONF_TAKE12,
      ngx_http_live_max_parked,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_live_play_module_ctx = {
    ngx_http_live_add_variables,           /* preconfiguration */
    ngx_http_live_count_init,              /* postconfiguration */

    NULL,                                  /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_live_play_create_loc_conf,    /* create location configuration */
    ngx_http_live_play_merge_loc_conf      /* merge location configuration */
};


ngx_module_t  ngx_http_live_play_module = {
    NGX_MODULE_V1,
    &ngx_http_live_play_module_ctx,        /* module context */
    ngx_http_live_play_commands,           /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


/* by kind; ngx_http_live_time needs no stream */
static ngx_http_live_serve_pt  ngx_http_live_play_kinds[] = {
    ngx_http_live_serve_text,
    ngx_http_live_serve_text,
    ngx_http_live_serve_text,
    ngx_http_live_serve_text,
    ngx_http_live_serve_init,
    ngx_http_live_serve_segment,
    ngx_http_live_serve_part,
    ngx_http_live_serve_ts,
    ngx_http_live_serve_thumbnail,
    NULL,
    NULL
};


static ngx_int_t
ngx_http_live_play_handler(ngx_http_request_t *r)
{
    ngx_int_t                       rc;
    ngx_http_live_ctx_t            *ctx;
    ngx_http_live_uri_t            *uri;
    ngx_http_live_play_loc_conf_t  *llcf;

    if (r->method == NGX_HTTP_OPTIONS) {
        return ngx_http_live_preflight(r);
    }

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return ngx_http_live_refuse(r, NGX_HTTP_NOT_ALLOWED,
                                    ngx_http_live_cache_error);
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    llcf = ngx_http_get_module_loc_conf(r, ngx_http_live_play_module);

    ctx = ngx_http_live_create_ctx(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    uri = &ctx->uri;

    rc = ngx_http_live_uri(r, llcf, uri);

    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (rc != NGX_OK) {
        uri->kind = ngx_http_live_unknown_kind;
        return ngx_http_live_refuse(r, NGX_HTTP_NOT_FOUND,
                                    ngx_http_live_cache_error);
    }

    if (uri->kind == ngx_http_live_time) {
        return ngx_http_live_serve_time(r);
    }

    ctx->request = r;
    ctx->serve = ngx_http_live_play_kinds[uri->kind];
    ctx->st = ngx_live_stream_find(ngx_live_zone(), &uri->application,
                                   &uri->stream,
                                   uri->epoch.len ? &uri->epoch : NULL,
                                   &ctx->id);
    if (ctx->st == NULL || !ngx_http_live_play_offers(ctx->st, uri->kind)) {
        return ngx_http_live_refuse(r, NGX_HTTP_NOT_FOUND,
                                    ngx_http_live_cache_error);
    }

    ngx_http_live_query(&r->args, &ctx->query);

    return ngx_http_live_answer(r, ctx);
}


static ngx_http_live_ctx_t *
ngx_http_live_create_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t   *cln;
    ngx_http_live_ctx_t  *ctx;

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_live_ctx_t));
    if (ctx == NULL) {
        return NULL;
    }

    /* subrequests have the same pool */

    if (r == r->main) {
        cln = ngx_pool_cleanup_add(r->pool, 0);
        if (cln == NULL) {
            return NULL;
        }

        cln->handler = ngx_http_live_keep_ctx;
        cln->data = ctx;
    }

    ngx_http_set_ctx(r, ctx, ngx_http_live_play_module);

    return ctx;
}


/* Nothing is to be done: ngx_http_live_asked() knows the context by it. */

static void
ngx_http_live_keep_ctx(void *data)
{
}


ngx_http_live_ctx_t *
ngx_http_live_asked(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t   *cln;
    ngx_http_live_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_live_play_module);

    if (ctx || !r->internal) {
        return ctx;
    }

    for (cln = r->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_http_live_keep_ctx) {
            return cln->data;
        }
    }

    return NULL;
}


/* Streams of the control API may be without HLS or DASH. */

static ngx_uint_t
ngx_http_live_play_offers(ngx_live_stream_sh_t *st, ngx_http_live_kind_e kind)
{
    switch (kind) {

    case ngx_http_live_multivariant:
    case ngx_http_live_media:
    case ngx_http_live_ts_media:
    case ngx_http_live_ts_segment:
        return !(st->options & NGX_LIVE_NO_HLS);

    case ngx_http_live_manifest:
        return !(st->options & NGX_LIVE_NO_DASH);

    default:
        return 1;
    }
}


static void *
ngx_http_live_play_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_live_play_loc_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_live_play_loc_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     conf->application = NULL;
     *     conf->prefix = { 0, NULL };
     *     conf->cache[] = { 0, NULL };
     */

    conf->enable = NGX_CONF_UNSET;
    conf->max_parked = NGX_CONF_UNSET_UINT;
    conf->max_parked_address = NGX_CONF_UNSET_UINT;

    return conf;
}


static char *
ngx_http_live_play_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_live_play_loc_conf_t *prev = parent;
    ngx_http_live_play_loc_conf_t *conf = child;

    ngx_uint_t                 i;
    ngx_http_core_loc_conf_t  *clcf;

    for (i = 0; i < NGX_HTTP_LIVE_CACHE_CLASSES; i++) {

        if (conf->cache[i].data == NULL) {
            conf->cache[i] = prev->cache[i];
        }
    }

    ngx_conf_merge_uint_value(conf->max_parked, prev->max_parked, 32768);
    ngx_conf_merge_uint_value(conf->max_parked_address,
                              prev->max_parked_address, 0);

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (conf->enable == NGX_CONF_UNSET) {

        /* nested locations go on serving, unless they do something else */

        if (prev->enable == 1 && clcf->handler == NULL) {
            conf->application = prev->application;
            conf->prefix = prev->prefix;
            conf->enable = 1;
            clcf->handler = ngx_http_live_play_handler;
        }

        return NGX_CONF_OK;
    }

    if (conf->enable == 1 && conf->prefix.data == NULL) {

        /* the URIs of a regular expression or an "if" begin as around it */

        if (prev->prefix.data == NULL) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "\"live_play\" in a location without a prefix needs "
                          "an enclosing one with \"live_play\" and a prefix "
                          "in %V:%ui", &conf->file, conf->line);
            return NGX_CONF_ERROR;
        }

        conf->prefix = prev->prefix;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_live_play(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_live_play_loc_conf_t *llcf = conf;

    ngx_str_t                         *value;
    ngx_http_core_loc_conf_t          *clcf;
    ngx_http_compile_complex_value_t   ccv;

    if (llcf->enable != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        llcf->enable = 0;
        return NGX_CONF_OK;
    }

    llcf->enable = 1;
    llcf->file = cf->conf_file->file.name;
    llcf->line = cf->conf_file->line;

    llcf->application = ngx_palloc(cf->pool,
                                   sizeof(ngx_http_complex_value_t));
    if (llcf->application == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = &value[1];
    ccv.complex_value = llcf->application;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (ngx_live_add_reference(cf, llcf->application->lengths ? NULL
                                                              : &value[1])
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    clcf->handler = ngx_http_live_play_handler;

#if (NGX_PCRE)
    if (clcf->regex) {
        return NGX_CONF_OK;
    }
#endif

    if (!clcf->noname && !clcf->named) {
        llcf->prefix = clcf->name;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_live_max_parked(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_live_play_loc_conf_t *llcf = conf;

    return ngx_live_core_two(cf, &llcf->max_parked, "per_address=",
                             &llcf->max_parked_address);
}
