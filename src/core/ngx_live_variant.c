
#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_live_variant.h"
#include "live_rung.h"


/* of one worker and configuration */
#define NGX_LIVE_MAX_VARIANTS  256

/* renditions begin behind this bit */
#define NGX_LIVE_VARIANT_SOURCE  1


typedef struct {
    ngx_live_app_conf_t   conf;
    ngx_live_app_conf_t  *app;
    uint64_t              bits;         /* 0: all */
    ngx_uint_t            parts;
} ngx_live_variant_t;


static uint64_t ngx_live_variant_bits(ngx_live_app_conf_t *app,
    ngx_live_entry_sh_t *entry);
static ngx_int_t ngx_live_variant_init(ngx_live_variant_t *v);


static ngx_live_variant_t  *ngx_live_variants[NGX_LIVE_MAX_VARIANTS];
static ngx_uint_t           ngx_live_nvariants;


ngx_live_app_conf_t *
ngx_live_variant(ngx_live_app_conf_t *app, ngx_live_entry_sh_t *entry)
{
    uint64_t             bits;
    ngx_uint_t           i, parts;
    ngx_live_variant_t  *v;

    if (entry == NULL) {
        return app;
    }

    bits = ngx_live_variant_bits(app, entry);
    parts = !(entry->options & NGX_LIVE_NO_PARTS) || app->part == 0;

    if (bits == 0 && parts) {
        return app;
    }

    for (i = 0; i < ngx_live_nvariants; i++) {
        v = ngx_live_variants[i];

        if (v->app == app && v->bits == bits && v->parts == parts) {
            return &v->conf;
        }
    }

    if (i == NGX_LIVE_MAX_VARIANTS) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "created streams choose from renditions in more than "
                      "%d ways, this one gets all", NGX_LIVE_MAX_VARIANTS);
        return app;
    }

    v = ngx_pcalloc(ngx_cycle->pool, sizeof(ngx_live_variant_t));
    if (v == NULL) {
        return app;
    }

    v->conf = *app;
    v->app = app;
    v->bits = bits;
    v->parts = parts;

    if (ngx_live_variant_init(v) != NGX_OK) {
        return app;
    }

    ngx_live_variants[ngx_live_nvariants++] = v;

    return &v->conf;
}


static uint64_t
ngx_live_variant_bits(ngx_live_app_conf_t *app, ngx_live_entry_sh_t *entry)
{
    uint64_t    bits;
    ngx_str_t   name;
    ngx_uint_t  i;

    bits = 0;

    for (i = 0; i < entry->nqualities; i++) {
        name.data = (u_char *) entry->qualities[i];
        name.len = ngx_strlen(name.data);

        bits |= ngx_live_variant_bit(app, &name);
    }

    return bits;
}


uint64_t
ngx_live_variant_bit(ngx_live_app_conf_t *app, ngx_str_t *name)
{
    ngx_uint_t    i;
    live_rung_t  *rung;

    if (app->copy && name->len == 6
        && ngx_memcmp(name->data, "source", 6) == 0)
    {
        return NGX_LIVE_VARIANT_SOURCE;
    }

    rung = app->renditions ? app->renditions->elts : NULL;

    for (i = 0; rung && i < ngx_min(app->renditions->nelts, 62); i++) {

        if (!rung[i].copy
            && ngx_strlen(rung[i].name) == name->len
            && ngx_memcmp(rung[i].name, name->data, name->len) == 0)
        {
            return (uint64_t) 2 << i;
        }
    }

    return 0;
}


static ngx_int_t
ngx_live_variant_init(ngx_live_variant_t *v)
{
    ngx_uint_t            i;
    live_rung_t          *rung, *r;
    ngx_live_app_conf_t  *conf;

    conf = &v->conf;

    if (!v->parts) {
        conf->part = 0;
    }

    if (v->bits == 0 || v->app->renditions == NULL) {
        return NGX_OK;
    }

    conf->copy = (v->bits & NGX_LIVE_VARIANT_SOURCE) != 0;

    conf->renditions = ngx_array_create(ngx_cycle->pool,
                                        v->app->renditions->nelts,
                                        sizeof(live_rung_t));
    if (conf->renditions == NULL) {
        return NGX_ERROR;
    }

    rung = v->app->renditions->elts;

    for (i = 0; i < v->app->renditions->nelts; i++) {

        if (rung[i].copy ? !conf->copy : !(v->bits & (uint64_t) 2 << i)) {
            continue;
        }

        r = ngx_array_push(conf->renditions);
        if (r == NULL) {
            return NGX_ERROR;
        }

        *r = rung[i];
    }

    return NGX_OK;
}
