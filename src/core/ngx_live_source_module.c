
/* Directives of what streams are pulled from. */

#include <ngx_config.h>
#include <ngx_core.h>
#include <libavformat/avformat.h>
#include "live_url.h"
#include "ngx_live_source.h"


/* what those that are named are made of; none of them opens a file */
#define NGX_LIVE_SOURCE_BELOW  "tcp,udp,rtp,srtp,tls,crypto"


typedef struct {
    ngx_array_t            *names;          /* of ngx_str_t; or unset */
    u_char                 *protocols;      /* of libav, but for files */
} ngx_live_source_conf_t;


static char *ngx_live_source_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_uint_t ngx_live_source_known(ngx_str_t *name);
static void *ngx_live_source_create_app_conf(ngx_conf_t *cf);
static char *ngx_live_source_merge_app_conf(ngx_conf_t *cf, void *parent,
    void *child);
static ngx_int_t ngx_live_source_default(ngx_conf_t *cf,
    ngx_live_source_conf_t *conf);
static u_char *ngx_live_source_list(ngx_conf_t *cf, ngx_array_t *names);


static ngx_command_t  ngx_live_source_commands[] = {

    { ngx_string("pull_protocols"),
      NGX_LIVE_MAIN_CONF|NGX_LIVE_APP_CONF|NGX_CONF_1MORE,
      ngx_live_source_directive,
      0,
      0,
      NULL },

      ngx_null_command
};


static ngx_live_module_t  ngx_live_source_module_ctx = {
    ngx_live_source_create_app_conf,
    ngx_live_source_merge_app_conf
};


ngx_module_t  ngx_live_source_module = {
    NGX_MODULE_V1,
    &ngx_live_source_module_ctx,             /* module context */
    ngx_live_source_commands,                /* module directives */
    NGX_LIVE_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


/* what comes from the network, and from nowhere else */
static ngx_str_t  ngx_live_source_defaults[] = {
    ngx_string("rtmp"), ngx_string("rtmps"), ngx_string("rtsp"),
    ngx_string("rtsps"), ngx_string("srt"), ngx_string("http"),
    ngx_string("https"), ngx_null_string
};


static char *
ngx_live_source_directive(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_live_source_conf_t *pcf = conf;

    ngx_str_t   *value, *name;
    ngx_uint_t   i;

    if (pcf->names != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    pcf->names = ngx_array_create(cf->pool, cf->args->nelts,
                                  sizeof(ngx_str_t));
    if (pcf->names == NULL) {
        return NGX_CONF_ERROR;
    }

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        return NGX_CONF_OK;
    }

    for (i = 1; i < cf->args->nelts; i++) {

        if (!ngx_live_source_known(&value[i])) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "libavformat has no protocol \"%V\" that can "
                               "be read", &value[i]);
            return NGX_CONF_ERROR;
        }

        name = ngx_array_push(pcf->names);
        if (name == NULL) {
            return NGX_CONF_ERROR;
        }

        *name = value[i];
    }

    pcf->protocols = ngx_live_source_list(cf, pcf->names);

    return pcf->protocols ? NGX_CONF_OK : NGX_CONF_ERROR;
}


/* RTSP is a format to libavformat, and no protocol. */

static ngx_uint_t
ngx_live_source_known(ngx_str_t *name)
{
    void        *opaque;
    const char  *known;

    if (ngx_strcmp(name->data, "rtsp") == 0
        || ngx_strcmp(name->data, "rtsps") == 0)
    {
        return 1;
    }

    if (name->len >= LIVE_URL_SCHEME) {
        return 0;
    }

    opaque = NULL;

    while ((known = avio_enum_protocols(&opaque, 0)) != NULL) {
        if (ngx_strcmp(name->data, known) == 0) {
            return 1;
        }
    }

    return 0;
}


static void *
ngx_live_source_create_app_conf(ngx_conf_t *cf)
{
    ngx_live_source_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_live_source_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    conf->names = NGX_CONF_UNSET_PTR;

    return conf;
}


static char *
ngx_live_source_merge_app_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_live_source_conf_t *prev = parent;
    ngx_live_source_conf_t *conf = child;

    if (prev->names == NGX_CONF_UNSET_PTR
        && ngx_live_source_default(cf, prev) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (conf->names == NGX_CONF_UNSET_PTR) {
        *conf = *prev;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_live_source_default(ngx_conf_t *cf, ngx_live_source_conf_t *conf)
{
    ngx_str_t  *name, *value;

    conf->names = ngx_array_create(cf->pool, 8, sizeof(ngx_str_t));
    if (conf->names == NULL) {
        return NGX_ERROR;
    }

    for (value = ngx_live_source_defaults; value->len; value++) {
        name = ngx_array_push(conf->names);
        if (name == NULL) {
            return NGX_ERROR;
        }

        *name = *value;
    }

    conf->protocols = ngx_live_source_list(cf, conf->names);

    return conf->protocols ? NGX_OK : NGX_ERROR;
}


static u_char *
ngx_live_source_list(ngx_conf_t *cf, ngx_array_t *names)
{
    size_t       len;
    u_char      *list, *p;
    ngx_str_t   *name;
    ngx_uint_t   i;

    len = sizeof(NGX_LIVE_SOURCE_BELOW);
    name = names->elts;

    for (i = 0; i < names->nelts; i++) {
        len += name[i].len + 1;
    }

    list = ngx_pnalloc(cf->pool, len);
    if (list == NULL) {
        return NULL;
    }

    p = ngx_cpymem(list, NGX_LIVE_SOURCE_BELOW,
                   sizeof(NGX_LIVE_SOURCE_BELOW) - 1);

    for (i = 0; i < names->nelts; i++) {
        if (ngx_strcmp(name[i].data, "file") != 0) {
            p = ngx_sprintf(p, ",%V", &name[i]);
        }
    }

    *p = '\0';

    return list;
}


const char *
ngx_live_source_protocols(ngx_live_app_conf_t *app, const char *scheme)
{
    ngx_str_t             *name;
    ngx_uint_t             i;
    ngx_live_source_conf_t  *conf;

    conf = app->confs[ngx_live_source_module.ctx_index];
    name = conf->names->elts;

    for (i = 0; i < conf->names->nelts; i++) {

        if (ngx_strcmp(name[i].data, scheme) != 0) {
            continue;
        }

        /* what a server sends does not lead to files, or what is in a file
         * to servers */

        return ngx_strcmp(scheme, "file") == 0 ? "file,crypto"
                                               : (char *) conf->protocols;
    }

    return NULL;
}


const char *
ngx_live_source_check(ngx_live_app_conf_t *app, const char *url, char *shown,
    size_t size)
{
    char  scheme[LIVE_URL_SCHEME];

    if (live_url_read(url, scheme, shown, size) != LIVE_OK) {
        return "is no URL as \"rtmp://host/live/name\"";
    }

    if (ngx_live_source_protocols(app, scheme) == NULL) {
        return "has a protocol that \"pull_protocols\" does not allow";
    }

    return NULL;
}
