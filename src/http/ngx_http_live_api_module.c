
/* Lists streams as JSON, for player pages and scripts. */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_live.h"


/* bytes that one stream takes in the list, its names escaped */
#define NGX_HTTP_LIVE_API_ENTRY  1024


typedef struct {
    ngx_http_complex_value_t  *application;
} ngx_http_live_api_loc_conf_t;


static ngx_int_t ngx_http_live_api_handler(ngx_http_request_t *r);
static u_char *ngx_http_live_api_stream(u_char *p, u_char *last,
    ngx_live_stream_sh_t *st);
static u_char *ngx_http_live_api_track(u_char *p, u_char *last,
    ngx_live_track_sh_t *t);
static void *ngx_http_live_api_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_live_api(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


static ngx_command_t  ngx_http_live_api_commands[] = {

    { ngx_string("live_api"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_live_api,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_live_api_module_ctx = {
    NULL,                                  /* preconfiguration */
    NULL,                                  /* postconfiguration */

    NULL,                                  /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_live_api_create_loc_conf,     /* create location configuration */
    NULL                                   /* merge location configuration */
};


ngx_module_t  ngx_http_live_api_module = {
    NGX_MODULE_V1,
    &ngx_http_live_api_module_ctx,         /* module context */
    ngx_http_live_api_commands,            /* module directives */
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


static ngx_str_t  ngx_http_live_api_type = ngx_string("application/json");


static ngx_int_t
ngx_http_live_api_handler(ngx_http_request_t *r)
{
    u_char                        *p, *last;
    size_t                         size;
    ngx_int_t                      rc;
    ngx_str_t                      app, body;
    ngx_uint_t                     i, n;
    ngx_live_zone_t               *zone;
    ngx_live_stream_sh_t          *st;
    ngx_http_live_api_loc_conf_t  *alcf;
    static ngx_str_t               none = ngx_string("no-store");

    if (r->method == NGX_HTTP_OPTIONS) {
        return ngx_http_live_preflight(r);
    }

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return ngx_http_live_error(r, NGX_HTTP_NOT_ALLOWED);
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    alcf = ngx_http_get_module_loc_conf(r, ngx_http_live_api_module);
    zone = ngx_live_zone();

    if (ngx_http_complex_value(r, alcf->application, &app) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* some more than there are now: others may begin meanwhile */

    size = (zone->sh->nstreams + 16) * NGX_HTTP_LIVE_API_ENTRY;

    body.data = ngx_pnalloc(r->pool, size);
    if (body.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    last = body.data + size - 4;
    p = ngx_cpymem(body.data, "{\"streams\":[", 12);
    n = 0;

    ngx_shmtx_lock(&zone->shpool->mutex);

    for (i = 0; i < NGX_LIVE_BUCKETS; i++) {
        for (st = zone->sh->buckets[i]; st; st = st->next) {

            if (st->state == NGX_LIVE_STREAM_FREE
                || st->app_len != app.len
                || ngx_memcmp(st->app, app.data, app.len) != 0
                || last - p < NGX_HTTP_LIVE_API_ENTRY)
            {
                continue;
            }

            if (n++) {
                *p++ = ',';
            }

            p = ngx_http_live_api_stream(p, last, st);
        }
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    p = ngx_cpymem(p, "]}\n", 3);
    body.len = p - body.data;

    if (ngx_http_live_cors(r) != NGX_OK
        || ngx_http_live_cache_control(r, &none) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.content_type = ngx_http_live_api_type;
    r->headers_out.content_type_len = ngx_http_live_api_type.len;

    return ngx_http_live_send(r, &body);
}


static u_char *
ngx_http_live_api_stream(u_char *p, u_char *last, ngx_live_stream_sh_t *st)
{
    uint64_t             ms, bits;
    ngx_uint_t           i;
    static const char   *states[] = { "free", "live", "away", "ended" };

    ms = (st->state == NGX_LIVE_STREAM_LIVE) ? ngx_live_now() - st->started
                                             : 0;

    p = ngx_cpymem(p, "{\"application\":\"", 16);
    p = (u_char *) ngx_escape_json(p, st->app, st->app_len);

    /* the characters of a stream's name need no escaping */

    p = ngx_slprintf(p, last, "\",\"name\":\"%*s\",\"state\":\"%s\","
                     "\"duration\":%uL.%03uL",
                     (size_t) st->name_len, st->name, states[st->state & 3],
                     ms / 1000, ms % 1000);

    bits = ms ? st->bytes_in * 8000 / ms : 0;

    p = ngx_slprintf(p, last, ",\"bitrate\":%uL", bits);

    for (i = 0; i < st->ntracks; i++) {
        if (!st->tracks[i].rung) {
            p = ngx_http_live_api_track(p, last, &st->tracks[i]);
        }
    }

    return ngx_slprintf(p, last, "}");
}


static u_char *
ngx_http_live_api_track(u_char *p, u_char *last, ngx_live_track_sh_t *t)
{
    if (t->info.media == LIVE_MEDIA_AUDIO) {
        return ngx_slprintf(p, last, ",\"audio\":{\"codec\":\"%s\","
                            "\"sample_rate\":%uD,\"channels\":%uD}",
                            t->info.codecs, t->info.sample_rate,
                            t->info.channels);
    }

    return ngx_slprintf(p, last, ",\"video\":{\"codec\":\"%s\","
                        "\"width\":%uD,\"height\":%uD,\"fps\":%.3f}",
                        t->info.codecs, t->info.width, t->info.height,
                        t->fps);
}


static void *
ngx_http_live_api_create_loc_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_http_live_api_loc_conf_t));
}


static char *
ngx_http_live_api(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_live_api_loc_conf_t *alcf = conf;

    ngx_str_t                         *value;
    ngx_http_core_loc_conf_t          *clcf;
    ngx_http_compile_complex_value_t   ccv;

    if (alcf->application) {
        return "is duplicate";
    }

    value = cf->args->elts;

    alcf->application = ngx_palloc(cf->pool,
                                   sizeof(ngx_http_complex_value_t));
    if (alcf->application == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = &value[1];
    ccv.complex_value = alcf->application;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_live_api_handler;

    if (ngx_live_add_reference(cf, alcf->application->lengths ? NULL
                                                              : &value[1])
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}
