
/* The settings of applications. */

#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_live.h"
#include "ngx_live_zone.h"


char *ngx_live_application_block(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

static void *ngx_live_core_create_app_conf(ngx_conf_t *cf);
static char *ngx_live_core_merge_app_conf(ngx_conf_t *cf, void *prev,
    void *conf);
static char *ngx_live_core_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_live_core_segment(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_live_core_rendition(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_live_core_max_message(ngx_conf_t *cf, void *post,
    void *data);


static ngx_conf_post_t  ngx_live_core_max_message_post = {
    ngx_live_core_max_message
};


static ngx_command_t  ngx_live_core_commands[] = {

    { ngx_string("zone"),
      NGX_LIVE_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_live_core_zone,
      0,
      0,
      NULL },

    { ngx_string("application"),
      NGX_LIVE_MAIN_CONF|NGX_CONF_BLOCK|NGX_CONF_TAKE1,
      ngx_live_application_block,
      0,
      0,
      NULL },

    { ngx_string("segment"),
      NGX_LIVE_MAIN_CONF|NGX_LIVE_APP_CONF|NGX_CONF_TAKE12,
      ngx_live_core_segment,
      0,
      0,
      NULL },

    { ngx_string("part"),
      NGX_LIVE_MAIN_CONF|NGX_LIVE_APP_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      0,
      offsetof(ngx_live_app_conf_t, part),
      NULL },

    { ngx_string("window"),
      NGX_LIVE_MAIN_CONF|NGX_LIVE_APP_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      0,
      offsetof(ngx_live_app_conf_t, window),
      NULL },

    { ngx_string("resume"),
      NGX_LIVE_MAIN_CONF|NGX_LIVE_APP_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      0,
      offsetof(ngx_live_app_conf_t, resume),
      NULL },

    { ngx_string("publish_timeout"),
      NGX_LIVE_MAIN_CONF|NGX_LIVE_APP_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      0,
      offsetof(ngx_live_app_conf_t, publish_timeout),
      NULL },

    { ngx_string("publish_stall"),
      NGX_LIVE_MAIN_CONF|NGX_LIVE_APP_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      0,
      offsetof(ngx_live_app_conf_t, publish_stall),
      NULL },

    { ngx_string("max_message"),
      NGX_LIVE_MAIN_CONF|NGX_LIVE_APP_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_size_slot,
      0,
      offsetof(ngx_live_app_conf_t, max_message),
      &ngx_live_core_max_message_post },

    { ngx_string("rendition"),
      NGX_LIVE_MAIN_CONF|NGX_LIVE_APP_CONF|NGX_CONF_TAKE2,
      ngx_live_core_rendition,
      0,
      0,
      NULL },

      ngx_null_command
};


static ngx_live_module_t  ngx_live_core_module_ctx = {
    ngx_live_core_create_app_conf,
    ngx_live_core_merge_app_conf,
    NULL
};


ngx_module_t  ngx_live_core_module = {
    NGX_MODULE_V1,
    &ngx_live_core_module_ctx,             /* module context */
    ngx_live_core_commands,                /* module directives */
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


static void *
ngx_live_core_create_app_conf(ngx_conf_t *cf)
{
    ngx_live_app_conf_t  *acf;

    acf = ngx_pcalloc(cf->pool, sizeof(ngx_live_app_conf_t));
    if (acf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     acf->name = { 0, NULL };
     *     acf->file = NULL;
     *     acf->line = 0;
     */

    acf->segment = NGX_CONF_UNSET_MSEC;
    acf->segment_max = NGX_CONF_UNSET_MSEC;
    acf->part = NGX_CONF_UNSET_MSEC;
    acf->window = NGX_CONF_UNSET_MSEC;
    acf->resume = NGX_CONF_UNSET_MSEC;
    acf->publish_timeout = NGX_CONF_UNSET_MSEC;
    acf->publish_stall = NGX_CONF_UNSET_MSEC;
    acf->max_message = NGX_CONF_UNSET_SIZE;
    acf->renditions = NGX_CONF_UNSET_PTR;

    return acf;
}


static char *
ngx_live_core_merge_app_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_live_app_conf_t *prev = parent;
    ngx_live_app_conf_t *conf = child;

    /* a maximum belongs to the "segment" that it was written with */
    if (conf->segment == NGX_CONF_UNSET_MSEC) {
        conf->segment_max = prev->segment_max;
    }

    ngx_conf_merge_msec_value(conf->segment, prev->segment, 4000);
    ngx_conf_merge_msec_value(conf->part, prev->part,
                              ngx_min(500, conf->segment / 2));
    ngx_conf_merge_msec_value(conf->window, prev->window, 60000);
    ngx_conf_merge_msec_value(conf->resume, prev->resume, 60000);
    ngx_conf_merge_msec_value(conf->publish_timeout, prev->publish_timeout,
                              10000);
    ngx_conf_merge_msec_value(conf->publish_stall, prev->publish_stall, 2000);
    ngx_conf_merge_size_value(conf->max_message, prev->max_message,
                              16 * 1024 * 1024);
    ngx_conf_merge_ptr_value(conf->renditions, prev->renditions, NULL);

    /*
     * The target duration is announced before the encoder's key frames are
     * known and can never change (HLS-8).  10 s is what OBS sends unless told
     * otherwise: a key frame every 250 frames.
     */
    if (conf->segment_max == NGX_CONF_UNSET_MSEC || conf->segment_max == 0) {
        conf->segment_max = ngx_max(10000,
                                    (conf->segment * 5 / 4 + 999) / 1000
                                    * 1000);
    }

    if (conf->part
        && (conf->part < 100 || conf->part > conf->segment / 2))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"part\" of application \"%V\" is %Mms, it must "
                           "be 0, or 100ms to %Mms, half a segment",
                           &conf->name, conf->part, conf->segment / 2);
        return NGX_CONF_ERROR;
    }

    if (conf->window < 3 * conf->segment_max) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "\"window\" of application \"%V\" is %Mms, less "
                           "than three target durations of %Mms, some players "
                           "will stall: make it longer or set a smaller "
                           "\"max\" of \"segment\"", &conf->name,
                           conf->window, conf->segment_max);
    }

    if (conf->window < 3 * conf->segment) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"window\" of application \"%V\" is %Mms, less "
                           "than three segments of %Mms", &conf->name,
                           conf->window, conf->segment);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_live_core_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ssize_t           size;
    ngx_str_t        *value;
    ngx_live_conf_t  *lcf;

    lcf = (ngx_live_conf_t *) ngx_get_conf(cf->cycle->conf_ctx,
                                           ngx_live_module);

    if (lcf->zone->size) {
        return "is duplicate";
    }

    value = cf->args->elts;

    /* ngx_parse_size() knows no gigabytes, ngx_parse_offset() does */
    size = (ssize_t) ngx_parse_offset(&value[1]);

    if (size == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid zone size \"%V\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    if (size < NGX_LIVE_MIN_ZONE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "zone \"%V\" is too small, it needs 8m at least",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    lcf->zone->size = size;

    if (ngx_live_zone_add(cf, lcf->zone) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_live_core_segment(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_live_app_conf_t *acf = conf;

    ngx_int_t   ms;
    ngx_str_t  *value, s;

    if (acf->segment != NGX_CONF_UNSET_MSEC) {
        return "is duplicate";
    }

    value = cf->args->elts;

    ms = ngx_parse_time(&value[1], 0);

    if (ms == NGX_ERROR || ms < 500 || ms > 60000) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid segment duration \"%V\", it must be "
                           "500ms to 60s", &value[1]);
        return NGX_CONF_ERROR;
    }

    acf->segment = ms;
    acf->segment_max = 0;

    if (cf->args->nelts == 2) {
        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value[2].data, "max=", 4) != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\"", &value[2]);
        return NGX_CONF_ERROR;
    }

    s.data = value[2].data + 4;
    s.len = value[2].len - 4;

    ms = ngx_parse_time(&s, 0);

    if (ms == NGX_ERROR || ms % 1000 || ms < (ngx_int_t) acf->segment
        || ms > 120000)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid maximum \"%V\", it must be whole "
                           "seconds, from the segment duration to 120s",
                           &value[2]);
        return NGX_CONF_ERROR;
    }

    acf->segment_max = ms;

    return NGX_CONF_OK;
}


static char *
ngx_live_core_rendition(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_live_app_conf_t *acf = conf;

    ngx_str_t   *value, *name;
    ngx_uint_t   i;

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "source") != 0
        || ngx_strcmp(value[2].data, "copy") != 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "unknown rendition \"%V %V\", this version has "
                           "\"source copy\"", &value[1], &value[2]);
        return NGX_CONF_ERROR;
    }

    if (acf->renditions == NGX_CONF_UNSET_PTR) {
        acf->renditions = ngx_array_create(cf->pool, 4, sizeof(ngx_str_t));
        if (acf->renditions == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    name = acf->renditions->elts;

    for (i = 0; i < acf->renditions->nelts; i++) {
        if (name[i].len == value[1].len
            && ngx_memcmp(name[i].data, value[1].data, value[1].len) == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate rendition \"%V\"", &value[1]);
            return NGX_CONF_ERROR;
        }
    }

    name = ngx_array_push(acf->renditions);
    if (name == NULL) {
        return NGX_CONF_ERROR;
    }

    *name = value[1];

    return NGX_CONF_OK;
}


static char *
ngx_live_core_max_message(ngx_conf_t *cf, void *post, void *data)
{
    size_t *size = data;

    /* RTMP-28: the length field of a message has 24 bits */

    if (*size < 4096 || *size > 16 * 1024 * 1024) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"max_message\" must be 4k to 16m");
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}
