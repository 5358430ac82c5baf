
#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_live_core_limit.h"


#define NGX_LIVE_LIMIT_MAX  1000000
#define NGX_LIVE_RATE_MAX   10000000000     /* bit/s */


static ngx_int_t ngx_live_core_number(u_char *p, size_t len, ngx_uint_t *n);
static ngx_int_t ngx_live_core_rate(ngx_str_t *value, uint64_t *rate);
static char *ngx_live_core_invalid(ngx_conf_t *cf, ngx_str_t *value,
    const char *what);


char *
ngx_live_core_bounds(ngx_conf_t *cf, void *post, void *data)
{
    ngx_live_core_bounds_t *bounds = post;
    ngx_uint_t *n = data;

    ngx_str_t  *value;

    if (*n >= bounds->low && *n <= bounds->high) {
        return NGX_CONF_OK;
    }

    value = cf->args->elts;

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%V\" must be %s", &value[0],
                       bounds->text);

    return NGX_CONF_ERROR;
}


char *
ngx_live_core_two(ngx_conf_t *cf, ngx_uint_t *number, const char *parameter,
    ngx_uint_t *second)
{
    size_t      len;
    ngx_str_t  *value;

    if (*number != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;
    *second = 0;

    if (ngx_live_core_number(value[1].data, value[1].len, number) != NGX_OK) {
        return ngx_live_core_invalid(cf, &value[1],
                                     "a number from 1 to 1000000, or \"off\"");
    }

    if (cf->args->nelts == 2) {
        return NGX_CONF_OK;
    }

    len = ngx_strlen(parameter);

    if (value[2].len < len || ngx_strncmp(value[2].data, parameter, len) != 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\" of \"%V\"", &value[2],
                           &value[0]);
        return NGX_CONF_ERROR;
    }

    if (ngx_live_core_number(value[2].data + len, value[2].len - len, second)
        != NGX_OK)
    {
        return ngx_live_core_invalid(cf, &value[2],
                                     "a number from 1 to 1000000, or \"off\"");
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_live_core_number(u_char *p, size_t len, ngx_uint_t *n)
{
    ngx_int_t  v;

    if (len == 3 && ngx_strncmp(p, "off", 3) == 0) {
        *n = 0;
        return NGX_OK;
    }

    v = ngx_atoi(p, len);

    if (v < 1 || v > NGX_LIVE_LIMIT_MAX) {
        return NGX_ERROR;
    }

    *n = v;

    return NGX_OK;
}


static char *
ngx_live_core_invalid(ngx_conf_t *cf, ngx_str_t *value, const char *what)
{
    ngx_str_t  *args;

    args = cf->args->elts;

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid value \"%V\" of \"%V\", it must be %s",
                       value, &args[0], what);

    return NGX_CONF_ERROR;
}


char *
ngx_live_core_max_publications(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_live_app_conf_t *acf = conf;

    return ngx_live_core_two(cf, &acf->max_publications, "per_address=",
                             &acf->max_per_address);
}


char *
ngx_live_core_max_transcodes(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_live_app_conf_t *acf = conf;

    return ngx_live_core_two(cf, &acf->max_transcodes, "per_worker=",
                             &acf->max_transcodes_worker);
}


char *
ngx_live_core_max_bitrate(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_live_app_conf_t *acf = conf;

    ngx_int_t   ms;
    ngx_str_t  *value, s;

    if (acf->max_bitrate != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;
    acf->max_bitrate_window = 0;

    if (ngx_live_core_rate(&value[1], &acf->max_bitrate) != NGX_OK) {
        return ngx_live_core_invalid(cf, &value[1], "a rate in bit/s from 1k "
                                     "to 10000m, or \"off\"");
    }

    if (cf->args->nelts == 2) {
        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value[2].data, "window=", 7) != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\" of \"%V\"", &value[2],
                           &value[0]);
        return NGX_CONF_ERROR;
    }

    s.data = value[2].data + 7;
    s.len = value[2].len - 7;

    ms = ngx_parse_time(&s, 0);

    if (ms == NGX_ERROR || ms < 1000 || ms > 600000) {
        return ngx_live_core_invalid(cf, &value[2], "1s to 10m");
    }

    acf->max_bitrate_window = ms;

    return NGX_CONF_OK;
}


/* Thousands and millions of bits, as elsewhere in the ladder. */

static ngx_int_t
ngx_live_core_rate(ngx_str_t *value, uint64_t *rate)
{
    size_t     len;
    uint64_t   scale;
    ngx_int_t  n;

    if (value->len == 3 && ngx_strncmp(value->data, "off", 3) == 0) {
        *rate = 0;
        return NGX_OK;
    }

    len = value->len;
    scale = 1;

    if (len) {
        switch (value->data[len - 1] | 0x20) {

        case 'k':
            scale = 1000;
            len--;
            break;

        case 'm':
            scale = 1000000;
            len--;
            break;
        }
    }

    n = ngx_atoi(value->data, len);

    if (n < 1 || (uint64_t) n > NGX_LIVE_RATE_MAX / scale
        || n * scale < 1000)
    {
        return NGX_ERROR;
    }

    *rate = n * scale;

    return NGX_OK;
}


char *
ngx_live_core_max_gop(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_live_app_conf_t *acf = conf;

    ngx_int_t   ms;
    ngx_str_t  *value;

    if (acf->max_gop != NGX_CONF_UNSET_MSEC) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        acf->max_gop = 0;
        return NGX_CONF_OK;
    }

    ms = ngx_parse_time(&value[1], 0);

    if (ms == NGX_ERROR || ms < 100 || ms > 600000) {
        return ngx_live_core_invalid(cf, &value[1],
                                     "100ms to 10m, or \"off\"");
    }

    acf->max_gop = ms;

    return NGX_CONF_OK;
}


void
ngx_live_core_limit_create(ngx_live_app_conf_t *conf)
{
    conf->max_publications = NGX_CONF_UNSET_UINT;
    conf->max_per_address = NGX_CONF_UNSET_UINT;
    conf->max_bitrate = NGX_CONF_UNSET_UINT;
    conf->max_bitrate_window = NGX_CONF_UNSET_MSEC;
    conf->max_gop = NGX_CONF_UNSET_MSEC;
    conf->max_transcodes = NGX_CONF_UNSET_UINT;
    conf->max_transcodes_worker = NGX_CONF_UNSET_UINT;
}


/* A parameter that is not written is not inherited: its default is in force
 * where the directive stands. */

void
ngx_live_core_limit_merge(ngx_live_app_conf_t *conf,
    ngx_live_app_conf_t *prev)
{
    ngx_conf_merge_uint_value(conf->max_publications, prev->max_publications,
                              0);
    ngx_conf_merge_uint_value(conf->max_per_address, prev->max_per_address,
                              0);
    ngx_conf_merge_uint_value(conf->max_bitrate, prev->max_bitrate,
                              200 * 1000000);
    ngx_conf_merge_msec_value(conf->max_bitrate_window,
                              prev->max_bitrate_window, 0);
    ngx_conf_merge_msec_value(conf->max_gop, prev->max_gop, 0);
    ngx_conf_merge_uint_value(conf->max_transcodes, prev->max_transcodes, 0);
    ngx_conf_merge_uint_value(conf->max_transcodes_worker,
                              prev->max_transcodes_worker, 0);

    if (conf->max_bitrate_window == 0) {
        conf->max_bitrate_window = 10000;
    }
}
