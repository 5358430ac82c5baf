
/* Directives of live{} that say how a site's own server is asked. */

#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_live_callback.h"
#include "ngx_live_core_limit.h"

#include <curl/curl.h>


static void *ngx_live_callback_create_app_conf(ngx_conf_t *cf);
static char *ngx_live_callback_merge_app_conf(ngx_conf_t *cf, void *prev,
    void *conf);
static char *ngx_live_callback_ca(ngx_conf_t *cf, void *post, void *data);
static char *ngx_live_callback_secret(ngx_conf_t *cf, void *post, void *data);
static ngx_int_t ngx_live_callback_shown(ngx_conf_t *cf,
    ngx_live_callback_url_t *url);


static ngx_live_core_bounds_t  ngx_live_callback_timeout_bounds = {
    ngx_live_core_bounds, 100, 60000, "100ms to 60s"
};

static ngx_conf_post_t  ngx_live_callback_ca_post = {
    ngx_live_callback_ca
};

static ngx_conf_post_t  ngx_live_callback_secret_post = {
    ngx_live_callback_secret
};


static ngx_command_t  ngx_live_callback_commands[] = {

    { ngx_string("callback_timeout"),
      NGX_LIVE_MAIN_CONF|NGX_LIVE_APP_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      0,
      offsetof(ngx_live_callback_conf_t, timeout),
      &ngx_live_callback_timeout_bounds },

    { ngx_string("callback_verify"),
      NGX_LIVE_MAIN_CONF|NGX_LIVE_APP_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      0,
      offsetof(ngx_live_callback_conf_t, verify),
      NULL },

    { ngx_string("callback_ca"),
      NGX_LIVE_MAIN_CONF|NGX_LIVE_APP_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      0,
      offsetof(ngx_live_callback_conf_t, ca),
      &ngx_live_callback_ca_post },

    { ngx_string("callback_secret"),
      NGX_LIVE_MAIN_CONF|NGX_LIVE_APP_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      0,
      offsetof(ngx_live_callback_conf_t, secret),
      &ngx_live_callback_secret_post },

      ngx_null_command
};


static ngx_live_module_t  ngx_live_callback_module_ctx = {
    ngx_live_callback_create_app_conf,
    ngx_live_callback_merge_app_conf
};


ngx_module_t  ngx_live_callback_module = {
    NGX_MODULE_V1,
    &ngx_live_callback_module_ctx,         /* module context */
    ngx_live_callback_commands,            /* module directives */
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
ngx_live_callback_create_app_conf(ngx_conf_t *cf)
{
    ngx_live_callback_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_live_callback_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     conf->ca = { 0, NULL };
     *     conf->secret = { 0, NULL };
     */

    conf->timeout = NGX_CONF_UNSET_MSEC;
    conf->verify = NGX_CONF_UNSET;

    return conf;
}


static char *
ngx_live_callback_merge_app_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_live_callback_conf_t *prev = parent;
    ngx_live_callback_conf_t *conf = child;

    ngx_conf_merge_msec_value(conf->timeout, prev->timeout, 5000);
    ngx_conf_merge_value(conf->verify, prev->verify, 1);
    ngx_conf_merge_str_value(conf->ca, prev->ca, "");
    ngx_conf_merge_str_value(conf->secret, prev->secret, "");

    return NGX_CONF_OK;
}


ngx_live_callback_conf_t *
ngx_live_callback_conf(ngx_live_app_conf_t *app)
{
    return app->confs[ngx_live_callback_module.ctx_index];
}


/* A file that is not there would be found by the first publisher. */

static char *
ngx_live_callback_ca(ngx_conf_t *cf, void *post, void *data)
{
    ngx_str_t *path = data;

    ngx_file_info_t  info;

    if (path->len == 0) {
        return "has an empty path";
    }

    if (ngx_conf_full_name(cf->cycle, path, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (ngx_file_info(path->data, &info) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_file_info_n " \"%V\" failed", path);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_live_callback_secret(ngx_conf_t *cf, void *post, void *data)
{
    ngx_str_t *secret = data;

    return secret->len ? NGX_CONF_OK : "is empty";
}


ngx_live_callback_url_t *
ngx_live_callback_url(ngx_conf_t *cf, ngx_str_t *value)
{
    ngx_live_callback_url_t  *url;

    if (ngx_strncasecmp(value->data, (u_char *) "http://", 7) != 0
        && ngx_strncasecmp(value->data, (u_char *) "https://", 8) != 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "a callback's URL begins with \"http://\" or "
                           "\"https://\"");
        return NULL;
    }

    url = ngx_pcalloc(cf->pool, sizeof(ngx_live_callback_url_t));
    if (url == NULL) {
        return NULL;
    }

    url->url = *value;

    return ngx_live_callback_shown(cf, url) == NGX_OK ? url : NULL;
}


/* The log names a server, and not what lets one in. */

static ngx_int_t
ngx_live_callback_shown(ngx_conf_t *cf, ngx_live_callback_url_t *url)
{
    char       *text;
    CURLU      *u;
    CURLUcode   rc;

    text = NULL;

    u = curl_url();
    if (u == NULL) {
        return NGX_ERROR;
    }

    rc = curl_url_set(u, CURLUPART_URL, (char *) url->url.data, 0);

    if (rc == CURLUE_OK) {
        (void) curl_url_set(u, CURLUPART_USER, NULL, 0);
        (void) curl_url_set(u, CURLUPART_PASSWORD, NULL, 0);
        (void) curl_url_set(u, CURLUPART_QUERY, NULL, 0);
        (void) curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0);

        rc = curl_url_get(u, CURLUPART_URL, &text, 0);
    }

    curl_url_cleanup(u);

    if (rc != CURLUE_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "a callback's URL is not valid");
        return NGX_ERROR;
    }

    url->shown.len = ngx_strlen(text);
    url->shown.data = ngx_pnalloc(cf->pool, url->shown.len + 1);

    if (url->shown.data) {
        ngx_memcpy(url->shown.data, text, url->shown.len + 1);
    }

    curl_free(text);

    return url->shown.data ? NGX_OK : NGX_ERROR;
}
