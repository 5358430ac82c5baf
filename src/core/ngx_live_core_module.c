
/* The settings of applications. */

#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_live.h"
#include "ngx_live_zone.h"
#include "ngx_live_core_rung.h"
#include "ngx_live_core_limit.h"
#include "ngx_live_slate.h"


#define NGX_LIVE_MAX_THREADS  16            /* of a decoder */


char *ngx_live_application_block(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

static void *ngx_live_core_create_app_conf(ngx_conf_t *cf);
static void ngx_live_core_merge_lengths(ngx_live_app_conf_t *conf,
    ngx_live_app_conf_t *prev);
static char *ngx_live_core_merge_app_conf(ngx_conf_t *cf, void *prev,
    void *conf);
static char *ngx_live_core_state_path(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_live_core_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_live_core_part(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_live_core_window(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_live_core_segment(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_live_core_max_message(ngx_conf_t *cf, void *post,
    void *data);
static char *ngx_live_core_transcode_idle(ngx_conf_t *cf, void *post,
    void *data);
static char *ngx_live_core_transcode_threads(ngx_conf_t *cf, void *post,
    void *data);


static ngx_conf_post_t  ngx_live_core_max_message_post = {
    ngx_live_core_max_message
};

static ngx_conf_post_t  ngx_live_core_transcode_idle_post = {
    ngx_live_core_transcode_idle
};

static ngx_conf_post_t  ngx_live_core_transcode_threads_post = {
    ngx_live_core_transcode_threads
};

static ngx_conf_enum_t  ngx_live_core_conflict[] = {
    { ngx_string("refuse"), NGX_LIVE_CONFLICT_REFUSE },
    { ngx_string("takeover"), NGX_LIVE_CONFLICT_TAKEOVER },
    { ngx_string("stalled"), NGX_LIVE_CONFLICT_STALLED },
    { ngx_null_string, 0 }
};

static ngx_conf_enum_t  ngx_live_core_transcode[] = {
    { ngx_string("on_demand"), NGX_LIVE_TRANSCODE_ON_DEMAND },
    { ngx_string("always"), NGX_LIVE_TRANSCODE_ALWAYS },
    { ngx_null_string, 0 }
};


/* "part on": what it is by default, once the segment is known */
#define NGX_LIVE_CORE_ON  (NGX_CONF_UNSET_MSEC - 1)


static ngx_command_t  ngx_live_core_commands[] = {

    { ngx_string("zone"),
      NGX_LIVE_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_live_core_zone,
      0,
      0,
      NULL },

    { ngx_string("state_path"),
      NGX_LIVE_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_live_core_state_path,
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
      ngx_live_core_part,
      0,
      0,
      NULL },

    { ngx_string("window"),
      NGX_LIVE_MAIN_CONF|NGX_LIVE_APP_CONF|NGX_CONF_TAKE1,
      ngx_live_core_window,
      0,
      0,
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

    { ngx_string("publish_conflict"),
      NGX_LIVE_MAIN_CONF|NGX_LIVE_APP_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      0,
      offsetof(ngx_live_app_conf_t, publish_conflict),
      &ngx_live_core_conflict },

    { ngx_string("backup"),
      NGX_LIVE_MAIN_CONF|NGX_LIVE_APP_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      0,
      offsetof(ngx_live_app_conf_t, backup),
      NULL },

    { ngx_string("max_message"),
      NGX_LIVE_MAIN_CONF|NGX_LIVE_APP_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_size_slot,
      0,
      offsetof(ngx_live_app_conf_t, max_message),
      &ngx_live_core_max_message_post },

    { ngx_string("slate"),
      NGX_LIVE_MAIN_CONF|NGX_LIVE_APP_CONF|NGX_CONF_TAKE1,
      ngx_live_slate_file,
      0,
      offsetof(ngx_live_app_conf_t, slate),
      NULL },

    { ngx_string("rendition"),
      NGX_LIVE_MAIN_CONF|NGX_LIVE_APP_CONF|NGX_CONF_1MORE,
      ngx_live_core_rendition,
      0,
      0,
      NULL },

    { ngx_string("transcode"),
      NGX_LIVE_MAIN_CONF|NGX_LIVE_APP_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      0,
      offsetof(ngx_live_app_conf_t, transcode),
      &ngx_live_core_transcode },

    { ngx_string("transcode_idle"),
      NGX_LIVE_MAIN_CONF|NGX_LIVE_APP_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      0,
      offsetof(ngx_live_app_conf_t, transcode_idle),
      &ngx_live_core_transcode_idle_post },

    { ngx_string("transcode_threads"),
      NGX_LIVE_MAIN_CONF|NGX_LIVE_APP_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      0,
      offsetof(ngx_live_app_conf_t, transcode_threads),
      &ngx_live_core_transcode_threads_post },

    { ngx_string("max_publications"),
      NGX_LIVE_MAIN_CONF|NGX_LIVE_APP_CONF|NGX_CONF_TAKE12,
      ngx_live_core_max_publications,
      0,
      0,
      NULL },

    { ngx_string("max_bitrate"),
      NGX_LIVE_MAIN_CONF|NGX_LIVE_APP_CONF|NGX_CONF_TAKE12,
      ngx_live_core_max_bitrate,
      0,
      0,
      NULL },

    { ngx_string("max_gop"),
      NGX_LIVE_MAIN_CONF|NGX_LIVE_APP_CONF|NGX_CONF_TAKE1,
      ngx_live_core_max_gop,
      0,
      0,
      NULL },

    { ngx_string("max_transcodes"),
      NGX_LIVE_MAIN_CONF|NGX_LIVE_APP_CONF|NGX_CONF_TAKE12,
      ngx_live_core_max_transcodes,
      0,
      0,
      NULL },

      ngx_null_command
};


static ngx_live_module_t  ngx_live_core_module_ctx = {
    ngx_live_core_create_app_conf,
    ngx_live_core_merge_app_conf
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
     *     acf->slate = { 0, NULL };
     *     acf->copy = 0;
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
    acf->publish_conflict = NGX_CONF_UNSET_UINT;
    acf->backup = NGX_CONF_UNSET;
    acf->max_message = NGX_CONF_UNSET_SIZE;
    acf->renditions = NGX_CONF_UNSET_PTR;
    acf->transcode = NGX_CONF_UNSET_UINT;
    acf->transcode_idle = NGX_CONF_UNSET_MSEC;
    acf->transcode_threads = NGX_CONF_UNSET_UINT;

    ngx_live_core_limit_create(acf);

    return acf;
}


static void
ngx_live_core_merge_lengths(ngx_live_app_conf_t *conf,
    ngx_live_app_conf_t *prev)
{
    /* a maximum belongs to the "segment" that it was written with */
    if (conf->segment == NGX_CONF_UNSET_MSEC) {
        conf->segment_max = prev->segment_max;
    }

    ngx_conf_merge_msec_value(conf->segment, prev->segment, 4000);
    ngx_conf_merge_msec_value(conf->part, prev->part, NGX_LIVE_CORE_ON);

    if (conf->part == NGX_LIVE_CORE_ON) {
        conf->part = ngx_min(500, conf->segment / 2);
    }

    /* a number of segments belongs to the "segment" that it comes to */

    if (conf->window == NGX_CONF_UNSET_MSEC) {
        conf->window_segments = prev->window_segments;
    }

    ngx_conf_merge_msec_value(conf->window, prev->window, 60000);

    if (conf->window_segments) {
        conf->window = conf->window_segments * conf->segment;
    }
}


static char *
ngx_live_core_merge_app_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_live_app_conf_t *prev = parent;
    ngx_live_app_conf_t *conf = child;

    ngx_live_core_merge_lengths(conf, prev);

    ngx_conf_merge_msec_value(conf->resume, prev->resume, 60000);
    ngx_conf_merge_msec_value(conf->publish_timeout, prev->publish_timeout,
                              10000);
    ngx_conf_merge_msec_value(conf->publish_stall, prev->publish_stall, 2000);
    ngx_conf_merge_uint_value(conf->publish_conflict, prev->publish_conflict,
                              NGX_LIVE_CONFLICT_STALLED);
    ngx_conf_merge_value(conf->backup, prev->backup, 0);
    ngx_conf_merge_size_value(conf->max_message, prev->max_message,
                              16 * 1024 * 1024);
    ngx_conf_merge_ptr_value(conf->renditions, prev->renditions, NULL);
    ngx_conf_merge_uint_value(conf->transcode, prev->transcode,
                              NGX_LIVE_TRANSCODE_ON_DEMAND);
    ngx_conf_merge_msec_value(conf->transcode_idle, prev->transcode_idle,
                              30000);
    ngx_conf_merge_uint_value(conf->transcode_threads,
                              prev->transcode_threads, 1);

    ngx_live_core_limit_merge(conf, prev);

    ngx_live_slate_merge(&conf->slate, &prev->slate);

    conf->copy = ngx_live_core_copy(conf->renditions);

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

    if (conf->backup && conf->publish_conflict == NGX_LIVE_CONFLICT_TAKEOVER)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"backup\" of application \"%V\" is of no use "
                           "with \"publish_conflict takeover\", nobody would "
                           "ever stand by", &conf->name);
        return NGX_CONF_ERROR;
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
ngx_live_core_state_path(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t        *value, path;
    ngx_live_conf_t  *lcf;

    lcf = (ngx_live_conf_t *) ngx_get_conf(cf->cycle->conf_ctx,
                                           ngx_live_module);

    if (lcf->zone->state_path.len) {
        return "is duplicate";
    }

    value = cf->args->elts;
    path = value[1];

    while (path.len > 1 && path.data[path.len - 1] == '/') {
        path.data[--path.len] = '\0';
    }

    if (path.len == 0) {
        return "has an empty path";
    }

    if (ngx_conf_full_name(cf->cycle, &path, 0) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    lcf->zone->state_path = path;

    return NGX_CONF_OK;
}


static char *
ngx_live_core_part(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_live_app_conf_t *acf = conf;

    ngx_int_t   ms;
    ngx_str_t  *value;

    if (acf->part != NGX_CONF_UNSET_MSEC) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "on") == 0) {
        acf->part = NGX_LIVE_CORE_ON;
        return NGX_CONF_OK;
    }

    ms = ngx_strcmp(value[1].data, "off") == 0 ? 0
                                               : ngx_parse_time(&value[1], 0);
    if (ms == NGX_ERROR) {
        return "invalid value";
    }

    acf->part = ms;

    return NGX_CONF_OK;
}


static char *
ngx_live_core_window(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_live_app_conf_t *acf = conf;

    ngx_int_t   n;
    ngx_str_t  *value;

    if (acf->window != NGX_CONF_UNSET_MSEC) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strncmp(value[1].data, "segments=", 9) == 0) {
        n = ngx_atoi(value[1].data + 9, value[1].len - 9);

        if (n == NGX_ERROR || n < 3 || n > 10000) {
            return "invalid value: 3 to 10000 segments";
        }

        /* as long as they are, once the segment is known */

        acf->window_segments = n;
        acf->window = 0;

        return NGX_CONF_OK;
    }

    n = ngx_parse_time(&value[1], 0);
    if (n == NGX_ERROR) {
        return "invalid value";
    }

    acf->window = n;

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


static char *
ngx_live_core_transcode_idle(ngx_conf_t *cf, void *post, void *data)
{
    ngx_msec_t *ms = data;

    if (*ms < 1000 || *ms > 60 * 60 * 1000) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"transcode_idle\" must be 1s to 1h");
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_live_core_transcode_threads(ngx_conf_t *cf, void *post, void *data)
{
    ngx_int_t *n = data;

    if (*n < 1 || *n > NGX_LIVE_MAX_THREADS) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"transcode_threads\" must be 1 to %d",
                           NGX_LIVE_MAX_THREADS);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}
