
/*
 * The control API: streams as JSON, and what may be done with them.  Any
 * worker answers for all of them.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_live_api.h"


/* bytes of a request's body */
#define NGX_HTTP_LIVE_API_BODY  16384


static ngx_int_t ngx_http_live_api_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_live_api_uri(ngx_http_request_t *r,
    ngx_http_live_api_ctx_t *ctx);
static ngx_int_t ngx_http_live_api_read(ngx_http_request_t *r,
    ngx_http_live_api_ctx_t *ctx);
static ngx_int_t ngx_http_live_api_write(ngx_http_request_t *r,
    ngx_http_live_api_ctx_t *ctx);
static ngx_uint_t ngx_http_live_api_action(ngx_http_live_api_ctx_t *ctx,
    const char *name);
static ngx_uint_t ngx_http_live_api_foreign(ngx_http_request_t *r);
static void ngx_http_live_api_body(ngx_http_request_t *r);
static ngx_int_t ngx_http_live_api_bytes(ngx_http_request_t *r,
    u_char *body, size_t *len);
static ngx_int_t ngx_http_live_api_not_allowed(ngx_http_request_t *r,
    const char *methods);
static void *ngx_http_live_api_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_live_api(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_int_t ngx_http_live_api_time(ngx_str_t *value, size_t skip,
    ngx_uint_t *s);
static ngx_http_complex_value_t *ngx_http_live_api_value(ngx_conf_t *cf,
    ngx_str_t *text);


static ngx_command_t  ngx_http_live_api_commands[] = {

    { ngx_string("live_api"),
      NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
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
    ngx_int_t                 rc;
    ngx_http_live_api_ctx_t  *ctx;

    if (r->method == NGX_HTTP_OPTIONS) {
        return ngx_http_live_preflight(r);
    }

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_live_api_ctx_t));
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_set_ctx(r, ctx, ngx_http_live_api_module);

    ctx->conf = ngx_http_get_module_loc_conf(r, ngx_http_live_api_module);

    if (ngx_http_complex_value(r, ctx->conf->application, &ctx->application)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD) || ctx->conf->read_only) {

        rc = ngx_http_discard_request_body(r);
        if (rc != NGX_OK) {
            return rc;
        }

        return ngx_http_live_api_read(r, ctx);
    }

    if (r->headers_in.content_length_n > NGX_HTTP_LIVE_API_BODY) {
        return ngx_http_live_api_error(r, NGX_HTTP_REQUEST_ENTITY_TOO_LARGE,
                                       "the body is too large");
    }

    rc = ngx_http_read_client_request_body(r, ngx_http_live_api_body);

    return rc >= NGX_HTTP_SPECIAL_RESPONSE ? rc : NGX_DONE;
}


/*
 * What follows the location: "", "/", "/STREAM" or "/STREAM/ACTION".
 * NGX_DECLINED: anything else.
 */

static ngx_int_t
ngx_http_live_api_uri(ngx_http_request_t *r, ngx_http_live_api_ctx_t *ctx)
{
    u_char  *p, *last, *slash;

    if (ctx->conf->prefix.len == 0) {
        return NGX_OK;
    }

    p = r->uri.data + ngx_min(ctx->conf->prefix.len, r->uri.len);
    last = r->uri.data + r->uri.len;

    if (p < last && *p == '/') {
        p++;

    } else if (p < last && ctx->conf->prefix.data[ctx->conf->prefix.len - 1]
                           != '/')
    {
        return NGX_DECLINED;
    }

    if (p == last) {
        return NGX_OK;
    }

    slash = ngx_strlchr(p, last, '/');

    ctx->stream.data = p;
    ctx->stream.len = (slash ? slash : last) - p;

    if (slash) {
        ctx->action.data = slash + 1;
        ctx->action.len = last - ctx->action.data;
    }

    return ngx_http_live_api_name(ctx->stream.data, ctx->stream.len)
           ? NGX_OK : NGX_DECLINED;
}


static ngx_int_t
ngx_http_live_api_read(ngx_http_request_t *r, ngx_http_live_api_ctx_t *ctx)
{
    if (ngx_http_live_api_uri(r, ctx) != NGX_OK) {
        return ngx_http_live_api_error(r, NGX_HTTP_NOT_FOUND,
                                       "there is no such resource");
    }

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return ngx_http_live_api_not_allowed(r, "GET, HEAD, OPTIONS");
    }

    if (ctx->stream.len == 0) {
        return ngx_http_live_api_list(r, ctx);
    }

    if (ctx->action.len == 0) {
        return ngx_http_live_api_show(r, ctx);
    }

    if (ngx_http_live_api_action(ctx, "viewers")) {
        return ngx_http_live_api_viewers(r, ctx);
    }

    if (ngx_http_live_api_action(ctx, "events")) {
        return ngx_http_live_api_events(r, ctx);
    }

    if (ngx_http_live_api_action(ctx, "heartbeat")
        || ngx_http_live_api_action(ctx, "key")
        || ngx_http_live_api_action(ctx, "start")
        || ngx_http_live_api_action(ctx, "stop"))
    {
        return ngx_http_live_api_not_allowed(r, "POST, OPTIONS");
    }

    return ngx_http_live_api_error(r, NGX_HTTP_NOT_FOUND,
                                   "there is no such resource");
}


static ngx_uint_t
ngx_http_live_api_action(ngx_http_live_api_ctx_t *ctx, const char *name)
{
    return ctx->action.len == ngx_strlen(name)
           && ngx_memcmp(ctx->action.data, name, ctx->action.len) == 0;
}


/* The body was read, or there is none. */

static void
ngx_http_live_api_body(ngx_http_request_t *r)
{
    ngx_http_live_api_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_live_api_module);

    ngx_http_finalize_request(r, ngx_http_live_api_write(r, ctx));
}


static ngx_int_t
ngx_http_live_api_write(ngx_http_request_t *r, ngx_http_live_api_ctx_t *ctx)
{
    size_t   len;
    u_char   body[NGX_HTTP_LIVE_API_BODY];

    if (ngx_http_live_api_uri(r, ctx) != NGX_OK) {
        return ngx_http_live_api_error(r, NGX_HTTP_NOT_FOUND,
                                       "there is no such resource");
    }

    if (ngx_http_live_api_foreign(r)) {
        return ngx_http_live_api_error(r, NGX_HTTP_FORBIDDEN,
                                       "pages of other origins may not "
                                       "change anything");
    }

    if (ctx->stream.len == 0) {

        if (r->method != NGX_HTTP_POST) {
            return ngx_http_live_api_not_allowed(r,
                                                 "GET, HEAD, POST, OPTIONS");
        }

        if (ngx_http_live_api_bytes(r, body, &len) != NGX_OK) {
            return ngx_http_live_api_error(r,
                                           NGX_HTTP_REQUEST_ENTITY_TOO_LARGE,
                                           "the body is too large");
        }

        return ngx_http_live_api_create(r, ctx, body, len);
    }

    if (ctx->action.len == 0) {

        if (r->method != NGX_HTTP_DELETE) {
            return ngx_http_live_api_not_allowed(r,
                                                "GET, HEAD, DELETE, OPTIONS");
        }

        return ngx_http_live_api_delete(r, ctx);
    }

    if (r->method != NGX_HTTP_POST) {
        return ngx_http_live_api_not_allowed(r, "POST, OPTIONS");
    }

    if (ngx_http_live_api_action(ctx, "heartbeat")) {
        return ngx_http_live_api_heartbeat(r, ctx);
    }

    if (ngx_http_live_api_action(ctx, "key")) {
        return ngx_http_live_api_rotate(r, ctx);
    }

    if (ngx_http_live_api_action(ctx, "start")) {
        return ngx_http_live_api_stop(r, ctx, 0);
    }

    if (ngx_http_live_api_action(ctx, "stop")) {
        return ngx_http_live_api_stop(r, ctx, 1);
    }

    return ngx_http_live_api_error(r, NGX_HTTP_NOT_FOUND,
                                   "there is no such resource");
}


/*
 * Browsers send some requests of any page without asking, and with the
 * credentials that they have for here; they say whose page it is.
 */

static ngx_uint_t
ngx_http_live_api_foreign(ngx_http_request_t *r)
{
    u_char           *host;
    size_t            len;
    ngx_uint_t        i;
    ngx_str_t        *own;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    if (r->headers_in.host == NULL) {
        return 0;
    }

    own = &r->headers_in.host->value;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].key.len != 6
                || ngx_strncasecmp(h[i].key.data, (u_char *) "origin", 6) != 0)
            {
                continue;
            }

            host = ngx_strlcasestrn(h[i].value.data,
                                    h[i].value.data + h[i].value.len,
                                    (u_char *) "://", 2);
            host = host ? host + 3 : h[i].value.data;
            len = h[i].value.data + h[i].value.len - host;

            if (len != own->len
                || ngx_strncasecmp(host, own->data, len) != 0)
            {
                return 1;
            }
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_live_api_bytes(ngx_http_request_t *r, u_char *body, size_t *len)
{
    size_t        size;
    ngx_chain_t  *cl;

    *len = 0;

    if (r->request_body == NULL) {
        return NGX_OK;
    }

    if (r->request_body->temp_file) {
        return NGX_ERROR;
    }

    for (cl = r->request_body->bufs; cl; cl = cl->next) {
        size = cl->buf->last - cl->buf->pos;

        if (size > NGX_HTTP_LIVE_API_BODY - *len) {
            return NGX_ERROR;
        }

        /* the last one may be none */

        if (size) {
            ngx_memcpy(body + *len, cl->buf->pos, size);
            *len += size;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_live_api_not_allowed(ngx_http_request_t *r, const char *methods)
{
    ngx_str_t  allow;

    allow.data = (u_char *) methods;
    allow.len = ngx_strlen(methods);

    if (ngx_http_live_header(r, "Allow", &allow) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_live_api_error(r, NGX_HTTP_NOT_ALLOWED,
                                   "the method is not allowed here");
}


ngx_int_t
ngx_http_live_api_error(ngx_http_request_t *r, ngx_uint_t status,
    const char *text)
{
    return ngx_http_live_api_send(r, status,
                                  json_pack("{s:s}", "error", text));
}


ngx_int_t
ngx_http_live_api_send(ngx_http_request_t *r, ngx_uint_t status,
    json_t *json)
{
    size_t            size;
    ngx_str_t         body;
    static ngx_str_t  none = ngx_string("no-store");

    if (json == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    size = json_dumpb(json, NULL, 0, JSON_COMPACT|JSON_REAL_PRECISION(9));

    body.data = ngx_pnalloc(r->pool, size + 1);

    if (body.data) {
        body.len = json_dumpb(json, (char *) body.data, size,
                              JSON_COMPACT|JSON_REAL_PRECISION(9));
        body.data[body.len++] = '\n';
    }

    json_decref(json);

    if (body.data == NULL
        || ngx_http_live_cors(r) != NGX_OK
        || ngx_http_live_cache_control(r, &none) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.content_type = ngx_http_live_api_type;
    r->headers_out.content_type_len = ngx_http_live_api_type.len;

    return ngx_http_live_send_status(r, status, &body);
}


ngx_int_t
ngx_http_live_api_nothing(ngx_http_request_t *r)
{
    ngx_str_t         none;
    static ngx_str_t  store = ngx_string("no-store");

    if (ngx_http_live_cors(r) != NGX_OK
        || ngx_http_live_cache_control(r, &store) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_str_null(&none);

    r->header_only = 1;

    return ngx_http_live_send_status(r, NGX_HTTP_NO_CONTENT, &none);
}


static void *
ngx_http_live_api_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_live_api_loc_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_live_api_loc_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    conf->stale = 600;
    conf->cleanup = 1;

    return conf;
}


/* Of a parameter, behind its name. */

static ngx_int_t
ngx_http_live_api_time(ngx_str_t *value, size_t skip, ngx_uint_t *s)
{
    ngx_int_t  n;
    ngx_str_t  text;

    text.data = value->data + skip;
    text.len = value->len - skip;

    n = ngx_parse_time(&text, 1);

    if (n == NGX_ERROR || n < 1 || n > 86400) {
        return NGX_ERROR;
    }

    *s = n;

    return NGX_OK;
}


static char *
ngx_http_live_api(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_live_api_loc_conf_t *alcf = conf;

    ngx_str_t                  *value, url;
    ngx_uint_t                  i;
    ngx_http_core_loc_conf_t   *clcf;
    ngx_http_complex_value_t  **field;

    if (alcf->application) {
        return "is duplicate";
    }

    value = cf->args->elts;

    alcf->application = ngx_http_live_api_value(cf, &value[1]);
    if (alcf->application == NULL) {
        return NGX_CONF_ERROR;
    }

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strcmp(value[i].data, "read") == 0) {
            alcf->read_only = 1;
            continue;
        }

        if (ngx_strncmp(value[i].data, "stale=", 6) == 0) {

            if (ngx_http_live_api_time(&value[i], 6, &alcf->stale)
                != NGX_OK)
            {
                return "invalid \"stale\": 1s to 1d";
            }

            continue;
        }

        if (ngx_strncmp(value[i].data, "cleanup=", 8) == 0) {

            if (ngx_http_live_api_time(&value[i], 8, &alcf->cleanup)
                != NGX_OK)
            {
                return "invalid \"cleanup\": 1s to 1d";
            }

            continue;
        }

        url = value[i];

        if (ngx_strncmp(url.data, "publish=", 8) == 0) {
            field = &alcf->publish;
            url.data += 8;
            url.len -= 8;

        } else if (ngx_strncmp(url.data, "play=", 5) == 0) {
            field = &alcf->play;
            url.data += 5;
            url.len -= 5;

        } else {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\"", &value[i]);
            return NGX_CONF_ERROR;
        }

        *field = ngx_http_live_api_value(cf, &url);
        if (*field == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_live_api_handler;

    if (!clcf->noname && !clcf->named
#if (NGX_PCRE)
        && clcf->regex == NULL
#endif
       )
    {
        alcf->prefix = clcf->name;
    }

    if (ngx_live_add_reference(cf, alcf->application->lengths ? NULL
                                                              : &value[1])
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_http_complex_value_t *
ngx_http_live_api_value(ngx_conf_t *cf, ngx_str_t *text)
{
    ngx_http_complex_value_t          *value;
    ngx_http_compile_complex_value_t   ccv;

    value = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (value == NULL) {
        return NULL;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = text;
    ccv.complex_value = value;

    return ngx_http_compile_complex_value(&ccv) == NGX_OK ? value : NULL;
}
