
/* Directives of live{} that name the callbacks of publishers. */

#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_stream_live_hook.h"


static void *ngx_stream_live_hook_create_app_conf(ngx_conf_t *cf);
static char *ngx_stream_live_hook_merge_app_conf(ngx_conf_t *cf, void *prev,
    void *conf);
static char *ngx_stream_live_hook_url(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


static ngx_live_core_bounds_t  ngx_stream_live_hook_interval_bounds = {
    ngx_live_core_bounds, 1000, 3600000, "1s to 1h"
};

static ngx_conf_enum_t  ngx_stream_live_hook_formats[] = {
    { ngx_string("form"), LIVE_HOOK_FORM },
    { ngx_string("json"), LIVE_HOOK_JSON },
    { ngx_null_string, 0 }
};


static ngx_command_t  ngx_stream_live_hook_commands[] = {

    { ngx_string("on_publish"),
      NGX_LIVE_MAIN_CONF|NGX_LIVE_APP_CONF|NGX_CONF_TAKE1,
      ngx_stream_live_hook_url,
      0,
      offsetof(ngx_stream_live_hook_conf_t, publish),
      NULL },

    { ngx_string("on_publish_done"),
      NGX_LIVE_MAIN_CONF|NGX_LIVE_APP_CONF|NGX_CONF_TAKE1,
      ngx_stream_live_hook_url,
      0,
      offsetof(ngx_stream_live_hook_conf_t, done),
      NULL },

    { ngx_string("on_update"),
      NGX_LIVE_MAIN_CONF|NGX_LIVE_APP_CONF|NGX_CONF_TAKE1,
      ngx_stream_live_hook_url,
      0,
      offsetof(ngx_stream_live_hook_conf_t, update),
      NULL },

    { ngx_string("callback_format"),
      NGX_LIVE_MAIN_CONF|NGX_LIVE_APP_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      0,
      offsetof(ngx_stream_live_hook_conf_t, format),
      &ngx_stream_live_hook_formats },

    { ngx_string("callback_interval"),
      NGX_LIVE_MAIN_CONF|NGX_LIVE_APP_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      0,
      offsetof(ngx_stream_live_hook_conf_t, interval),
      &ngx_stream_live_hook_interval_bounds },

      ngx_null_command
};


static ngx_live_module_t  ngx_stream_live_hook_module_ctx = {
    ngx_stream_live_hook_create_app_conf,
    ngx_stream_live_hook_merge_app_conf
};


ngx_module_t  ngx_stream_live_hook_module = {
    NGX_MODULE_V1,
    &ngx_stream_live_hook_module_ctx,      /* module context */
    ngx_stream_live_hook_commands,         /* module directives */
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
ngx_stream_live_hook_create_app_conf(ngx_conf_t *cf)
{
    ngx_stream_live_hook_conf_t  *conf;

    conf = ngx_palloc(cf->pool, sizeof(ngx_stream_live_hook_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    conf->publish = NGX_CONF_UNSET_PTR;
    conf->done = NGX_CONF_UNSET_PTR;
    conf->update = NGX_CONF_UNSET_PTR;
    conf->format = NGX_CONF_UNSET_UINT;
    conf->interval = NGX_CONF_UNSET_MSEC;

    return conf;
}


static char *
ngx_stream_live_hook_merge_app_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_stream_live_hook_conf_t *prev = parent;
    ngx_stream_live_hook_conf_t *conf = child;

    ngx_conf_merge_ptr_value(conf->publish, prev->publish, NULL);
    ngx_conf_merge_ptr_value(conf->done, prev->done, NULL);
    ngx_conf_merge_ptr_value(conf->update, prev->update, NULL);
    ngx_conf_merge_uint_value(conf->format, prev->format, LIVE_HOOK_FORM);
    ngx_conf_merge_msec_value(conf->interval, prev->interval, 30000);

    return NGX_CONF_OK;
}


ngx_stream_live_hook_conf_t *
ngx_stream_live_hook_conf(ngx_live_app_conf_t *app)
{
    return app->confs[ngx_stream_live_hook_module.ctx_index];
}


static char *
ngx_stream_live_hook_url(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                 *value;
    ngx_live_callback_url_t  **url;

    url = (ngx_live_callback_url_t **) ((char *) conf + cmd->offset);

    if (*url != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        *url = NULL;
        return NGX_CONF_OK;
    }

    *url = ngx_live_callback_url(cf, &value[1]);

    return *url ? NGX_CONF_OK : NGX_CONF_ERROR;
}
