
/* The state of all streams: for scripts, and as a page for operators. */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_live_status.h"
#include "ngx_http_live_sse.h"
#include "ngx_http_live_page.h"


/* where the settings go, a value of JavaScript */
#define NGX_HTTP_LIVE_STATUS_CONFIG    "/*CONFIG*/{}"

/* ms between two states that a page gets */
#define NGX_HTTP_LIVE_STATUS_INTERVAL  1000


typedef enum {
    ngx_http_live_status_unset = 0,
    ngx_http_live_status_as_page,
    ngx_http_live_status_as_json,
    ngx_http_live_status_as_xml
} ngx_http_live_status_form_e;


typedef struct {
    ngx_http_live_status_form_e  form;
    ngx_str_t                    api;       /* URI before a stream's name */
    ngx_str_t                    play;
} ngx_http_live_status_loc_conf_t;


static ngx_int_t ngx_http_live_status_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_live_status_text(ngx_http_request_t *r,
    ngx_http_live_status_form_e form);
static ngx_int_t ngx_http_live_status_tell(ngx_http_live_out_t *out,
    void *data);
static ngx_int_t ngx_http_live_status_page(ngx_http_request_t *r,
    ngx_http_live_status_loc_conf_t *slcf);
static void ngx_http_live_status_long(ngx_http_live_out_t *out,
    const char *text, size_t len);
static void *ngx_http_live_status_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_live_status(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


static ngx_command_t  ngx_http_live_status_commands[] = {

    { ngx_string("live_status"),
      NGX_HTTP_LOC_CONF|NGX_CONF_ANY,
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
    ngx_http_live_status_loc_conf_t  *slcf;

    rc = ngx_http_live_out_begin(r);
    if (rc != NGX_OK || r->method == NGX_HTTP_OPTIONS) {
        return rc;
    }

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_live_status_module);

    if (slcf->form != ngx_http_live_status_as_page) {
        return ngx_http_live_status_text(r, slcf->form);
    }

    if (r->args.len == 6 && ngx_memcmp(r->args.data, "events", 6) == 0) {
        return ngx_http_live_sse(r, NGX_HTTP_LIVE_STATUS_INTERVAL,
                                 ngx_http_live_status_tell, NULL);
    }

    return ngx_http_live_status_page(r, slcf);
}


static ngx_int_t
ngx_http_live_status_text(ngx_http_request_t *r,
    ngx_http_live_status_form_e form)
{
    ngx_int_t                rc;
    ngx_http_live_status_t  *status;

    status = ngx_palloc(r->pool, sizeof(ngx_http_live_status_t));
    if (status == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    status->pool = r->pool;
    status->line = "\n";

    ngx_http_live_out_init(&status->out, r->pool);
    ngx_live_stat_zone(ngx_live_zone(), &status->zone);

    rc = (form == ngx_http_live_status_as_xml)
         ? ngx_http_live_status_xml(status)
         : ngx_http_live_status_json(status);

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_live_out_send(r, &status->out,
                                  form == ngx_http_live_status_as_xml
                                  ? &ngx_http_live_status_xml_type
                                  : &ngx_http_live_status_json_type);
}


/* The state as an event; its lines begin as events want them. */

static ngx_int_t
ngx_http_live_status_tell(ngx_http_live_out_t *out, void *data)
{
    ngx_http_live_status_t  *status;

    status = ngx_palloc(out->pool, sizeof(ngx_http_live_status_t));
    if (status == NULL) {
        return NGX_ERROR;
    }

    /* from here on "last" is of a buffer's link, and may be copied */

    ngx_http_live_out(out, "data: ");

    if (out->failed) {
        return NGX_ERROR;
    }

    status->pool = out->pool;
    status->line = "\ndata: ";
    status->out = *out;

    ngx_live_stat_zone(ngx_live_zone(), &status->zone);

    if (ngx_http_live_status_json(status) != NGX_OK) {
        return NGX_ERROR;
    }

    *out = status->out;

    /* the JSON ends with a line feed */
    ngx_http_live_out(out, "\n");

    return NGX_OK;
}


static ngx_int_t
ngx_http_live_status_page(ngx_http_request_t *r,
    ngx_http_live_status_loc_conf_t *slcf)
{
    const char           *at, *rest;
    ngx_http_live_out_t   out;
    static ngx_str_t      type = ngx_string("text/html; charset=utf-8");
    static ngx_str_t      policy = ngx_string("default-src 'none'; "
                              "script-src 'unsafe-inline'; "
                              "style-src 'unsafe-inline'; img-src * data:; "
                              "connect-src *; media-src blob:; "
                              "frame-ancestors 'self'");

    at = ngx_strstr(ngx_http_live_page, NGX_HTTP_LIVE_STATUS_CONFIG);

    if (at == NULL
        || ngx_http_live_header(r, "Content-Security-Policy", &policy)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rest = at + sizeof(NGX_HTTP_LIVE_STATUS_CONFIG) - 1;

    ngx_http_live_out_init(&out, r->pool);

    ngx_http_live_status_long(&out, ngx_http_live_page,
                              at - ngx_http_live_page);
    ngx_http_live_out(&out, "{\"api\":\"");
    ngx_http_live_out_json(&out, &slcf->api);
    ngx_http_live_out(&out, "\",\"play\":\"");
    ngx_http_live_out_json(&out, &slcf->play);
    ngx_http_live_out(&out, "\"}");
    ngx_http_live_status_long(&out, rest, ngx_strlen(rest));

    return ngx_http_live_out_send(r, &out, &type);
}


static void
ngx_http_live_status_long(ngx_http_live_out_t *out, const char *text,
    size_t len)
{
    size_t  size;

    for ( /* void */ ; len; text += size, len -= size) {
        size = ngx_min(len, NGX_HTTP_LIVE_OUT_MOST);
        ngx_http_live_out(out, "%*s", size, text);
    }
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
    ngx_uint_t                 i;
    ngx_http_core_loc_conf_t  *clcf;

    if (slcf->form) {
        return "is duplicate";
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strcmp(value[i].data, "json") == 0 && slcf->form == 0) {
            slcf->form = ngx_http_live_status_as_json;
            continue;
        }

        if (ngx_strcmp(value[i].data, "xml") == 0 && slcf->form == 0) {
            slcf->form = ngx_http_live_status_as_xml;
            continue;
        }

        if (ngx_strncmp(value[i].data, "api=", 4) == 0) {
            slcf->api.data = value[i].data + 4;
            slcf->api.len = value[i].len - 4;
            continue;
        }

        if (ngx_strncmp(value[i].data, "play=", 5) == 0) {
            slcf->play.data = value[i].data + 5;
            slcf->play.len = value[i].len - 5;
            continue;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\" of \"live_status\", "
                           "there are: json xml api= play=", &value[i]);
        return NGX_CONF_ERROR;
    }

    if (slcf->form == 0) {
        slcf->form = ngx_http_live_status_as_page;

    } else if (slcf->api.len || slcf->play.len) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"api\" and \"play\" of \"live_status\" are for "
                           "the page, without json or xml");
        return NGX_CONF_ERROR;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_live_status_handler;

    return ngx_live_add_reference(cf, NULL) == NGX_OK ? NGX_CONF_OK
                                                      : NGX_CONF_ERROR;
}
