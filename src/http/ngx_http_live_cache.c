
/*
 * Cache-Control by class of response: what a URL names decides for how long,
 * and not the location that serves it (HTTP-24).
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_live_play.h"


#define NGX_HTTP_LIVE_YEAR  "public, max-age=31536000, immutable"


typedef struct {
    ngx_str_t                  name;
    ngx_str_t                  value;       /* empty: depends on the stream */
} ngx_http_live_cache_class_t;


static ngx_http_live_cache_class_t  ngx_http_live_cache_classes[] = {
    { ngx_string("multivariant"), ngx_null_string },
    { ngx_string("playlist"),     ngx_null_string },
    { ngx_string("blocking"),     ngx_null_string },
    { ngx_string("ended"),        ngx_null_string },
    { ngx_string("manifest"),     ngx_string("public, max-age=1") },
    { ngx_string("init"),         ngx_string(NGX_HTTP_LIVE_YEAR) },
    { ngx_string("segment"),      ngx_string(NGX_HTTP_LIVE_YEAR) },
    { ngx_string("part"),         ngx_string(NGX_HTTP_LIVE_YEAR) },
    { ngx_string("thumbnail"),    ngx_string("public, max-age=2") },
    { ngx_string("time"),         ngx_string("no-store") },
    { ngx_string("early"),        ngx_string("public, max-age=1") },
    { ngx_string("late"),         ngx_string("public, max-age=10") },
    { ngx_string("error"),        ngx_string("public, max-age=1") }
};


ngx_int_t
ngx_http_live_cache(ngx_http_request_t *r, ngx_http_live_cache_e cache,
    ngx_uint_t age)
{
    ngx_str_t                      *value, text;
    ngx_http_live_ctx_t            *ctx;
    ngx_http_live_play_loc_conf_t  *llcf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_live_play_module);

    if (ctx) {
        ctx->answered = cache;
    }

    llcf = ngx_http_get_module_loc_conf(r, ngx_http_live_play_module);
    value = &llcf->cache[cache];

    if (value->data) {
        return ngx_http_live_cache_control(r, value->len ? value : NULL);
    }

    value = &ngx_http_live_cache_classes[cache].value;

    if (value->len) {
        return ngx_http_live_cache_control(r, value);
    }

    text.data = ngx_pnalloc(r->pool, sizeof("public, max-age=")
                                     + NGX_INT_T_LEN);
    if (text.data == NULL) {
        return NGX_ERROR;
    }

    text.len = ngx_sprintf(text.data, "public, max-age=%ui", age) - text.data;

    return ngx_http_live_cache_control(r, &text);
}


ngx_str_t *
ngx_http_live_cache_name(ngx_http_live_cache_e cache)
{
    return &ngx_http_live_cache_classes[cache].name;
}


char *
ngx_http_live_cache_set(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_live_play_loc_conf_t *llcf = conf;

    u_char      *p, names[NGX_HTTP_LIVE_CACHE_CLASSES * 16];
    ngx_str_t   *value, *name;
    ngx_uint_t   i;

    value = cf->args->elts;
    p = names;

    for (i = 0; i < NGX_HTTP_LIVE_CACHE_CLASSES; i++) {
        name = &ngx_http_live_cache_classes[i].name;

        if (value[1].len != name->len
            || ngx_strncmp(value[1].data, name->data, name->len) != 0)
        {
            p = ngx_sprintf(p, " %V", name);
            continue;
        }

        if (llcf->cache[i].data) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate \"live_cache_control %V\"", name);
            return NGX_CONF_ERROR;
        }

        llcf->cache[i] = value[2];

        if (ngx_strcmp(value[2].data, "off") == 0) {
            llcf->cache[i].len = 0;
        }

        return NGX_CONF_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "unknown class \"%V\" of \"live_cache_control\", "
                       "there are:%*s", &value[1], (size_t) (p - names),
                       names);

    return NGX_CONF_ERROR;
}
