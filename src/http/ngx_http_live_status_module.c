
/* The state of all streams, for scripts. */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_live_status.h"


typedef enum {
    ngx_http_live_status_unset = 0,
    ngx_http_live_status_as_json,
    ngx_http_live_status_as_xml
} ngx_http_live_status_form_e;


typedef struct {
    ngx_http_live_status_form_e  form;
} ngx_http_live_status_loc_conf_t;


static ngx_int_t ngx_http_live_status_handler(ngx_http_request_t *r);
static void *ngx_http_live_status_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_live_status(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


static ngx_command_t  ngx_http_live_status_commands[] = {

    { ngx_string("live_status"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE1,
      ngx_http_live_status,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_live_status_module_ctx = {
    NULL,                                  /* preconfiguration */
    NULL,                                  /* postconfiguration */

    NULL,                                  /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_live_status_create_loc_conf,  /* create location configuration */
    NULL                                   /* merge location configuration */
};


ngx_module_t  ngx_http_live_status_module = {
    NGX_MODULE_V1,
    &ngx_http_live_status_module_ctx,      /* module context */
    ngx_http_live_status_commands,         /* module directives */
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


static ngx_str_t  ngx_http_live_status_json_type =
                                            ngx_string("application/json");
static ngx_str_t  ngx_http_live_status_xml_type = ngx_string("text/xml");


static ngx_int_t
ngx_http_live_status_handler(ngx_http_request_t *r)
{
    ngx_int_t                         rc;
    ngx_http_live_status_t           *status;
    ngx_http_live_status_loc_conf_t  *slcf;

    rc = ngx_http_live_out_begin(r);
    if (rc != NGX_OK || r->method == NGX_HTTP_OPTIONS) {
        return rc;
    }

    status = ngx_palloc(r->pool, sizeof(ngx_http_live_status_t));
    if (status == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    status->request = r;

    ngx_http_live_out_init(&status->out, r->pool);
    ngx_live_stat_zone(ngx_live_zone(), &status->zone);

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_live_status_module);

    rc = (slcf->form == ngx_http_live_status_as_xml)
         ? ngx_http_live_status_xml(status)
         : ngx_http_live_status_json(status);

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_live_out_send(r, &status->out,
                                  slcf->form == ngx_http_live_status_as_xml
                                  ? &ngx_http_live_status_xml_type
                                  : &ngx_http_live_status_json_type);
}


static void *
ngx_http_live_status_create_loc_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_http_live_status_loc_conf_t));
}


static char *
ngx_http_live_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_live_status_loc_conf_t *slcf = conf;

    ngx_str_t                 *value;
    ngx_http_core_loc_conf_t  *clcf;

    if (slcf->form) {
        return "is duplicate";
    }

    value = cf->args->elts;
    slcf->form = ngx_http_live_status_as_json;

    if (cf->args->nelts == 2) {

        if (ngx_strcmp(value[1].data, "xml") == 0) {
            slcf->form = ngx_http_live_status_as_xml;

        } else if (ngx_strcmp(value[1].data, "json") != 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "unknown form \"%V\" of \"live_status\", there "
                               "are: json xml", &value[1]);
            return NGX_CONF_ERROR;
        }
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_live_status_handler;

    return ngx_live_add_reference(cf, NULL) == NGX_OK ? NGX_CONF_OK
                                                      : NGX_CONF_ERROR;
}
