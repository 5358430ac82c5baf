
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_live_play.h"


static ngx_table_elt_t *ngx_http_live_push(ngx_http_request_t *r,
    const char *name, ngx_str_t *value);
static ngx_table_elt_t *ngx_http_live_pushed(ngx_http_request_t *r,
    const char *name);


static ngx_table_elt_t *
ngx_http_live_push(ngx_http_request_t *r, const char *name, ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    /* an error_page may have led here from another error of ours */

    h = r->internal ? ngx_http_live_pushed(r, name) : NULL;

    if (h) {
        h->hash = 1;
        h->value = *value;
        return h;
    }

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NULL;
    }

    h->hash = 1;
    h->key.data = (u_char *) name;
    h->key.len = ngx_strlen(name);
    h->value = *value;

#if (nginx_version >= 1023000)
    h->next = NULL;
#endif

    return h;
}


static ngx_table_elt_t *
ngx_http_live_pushed(ngx_http_request_t *r, const char *name)
{
    size_t            len;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    len = ngx_strlen(name);

    for (part = &r->headers_out.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].key.len == len
                && ngx_strncasecmp(h[i].key.data, (u_char *) name, len) == 0)
            {
                return &h[i];
            }
        }
    }

    return NULL;
}


ngx_int_t
ngx_http_live_header(ngx_http_request_t *r, const char *name,
    ngx_str_t *value)
{
    return ngx_http_live_push(r, name, value) ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_http_live_cache_control(ngx_http_request_t *r, ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    /* known to nginx, so that "expires" replaces it and does not add one */

#if (nginx_version >= 1023000)

    if (value == NULL) {

        if (r->headers_out.cache_control) {
            r->headers_out.cache_control->hash = 0;
            r->headers_out.cache_control = NULL;
        }

        return NGX_OK;
    }

    if (r->headers_out.cache_control) {
        r->headers_out.cache_control->value = *value;
        return NGX_OK;
    }

    h = ngx_http_live_push(r, "Cache-Control", value);
    if (h == NULL) {
        return NGX_ERROR;
    }

    r->headers_out.cache_control = h;

#else
    ngx_table_elt_t  **ccp;

    ccp = r->headers_out.cache_control.elts;

    if (value == NULL) {

        if (ccp) {
            ccp[0]->hash = 0;
            r->headers_out.cache_control.elts = NULL;
        }

        return NGX_OK;
    }

    if (ccp) {
        ccp[0]->value = *value;
        return NGX_OK;
    }

    h = ngx_http_live_push(r, "Cache-Control", value);
    if (h == NULL
        || ngx_array_init(&r->headers_out.cache_control, r->pool, 1,
                          sizeof(ngx_table_elt_t *))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    ccp = ngx_array_push(&r->headers_out.cache_control);
    if (ccp == NULL) {
        return NGX_ERROR;
    }

    *ccp = h;
#endif

    return NGX_OK;
}


ngx_int_t
ngx_http_live_cors(ngx_http_request_t *r)
{
    static ngx_str_t  any = ngx_string("*");
    static ngx_str_t  nosniff = ngx_string("nosniff");
    static ngx_str_t  expose = ngx_string("Age, Date, ETag, Content-Length, "
                                          "Content-Range, Retry-After");

    if (ngx_http_live_header(r, "Access-Control-Allow-Origin", &any)
        != NGX_OK
        || ngx_http_live_header(r, "Timing-Allow-Origin", &any) != NGX_OK
        || ngx_http_live_header(r, "X-Content-Type-Options", &nosniff)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_live_header(r, "Access-Control-Expose-Headers", &expose);
}


ngx_int_t
ngx_http_live_preflight(ngx_http_request_t *r)
{
    ngx_int_t         rc;
    static ngx_str_t  methods = ngx_string("GET, HEAD, OPTIONS");
    static ngx_str_t  headers = ngx_string("Range, If-None-Match, "
                                    "If-Modified-Since, If-Range, "
                                    "CMCD-Request, CMCD-Object, CMCD-Status, "
                                    "CMCD-Session, Authorization, "
                                    "Content-Type");
    static ngx_str_t  age = ngx_string("86400");

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_http_live_cors(r) != NGX_OK
        || ngx_http_live_header(r, "Access-Control-Allow-Methods", &methods)
           != NGX_OK
        || ngx_http_live_header(r, "Access-Control-Allow-Headers", &headers)
           != NGX_OK
        || ngx_http_live_header(r, "Access-Control-Max-Age", &age) != NGX_OK
        || ngx_http_live_header(r, "Allow", &methods) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.status = NGX_HTTP_NO_CONTENT;
    r->header_only = 1;

    return ngx_http_send_header(r);
}


ngx_int_t
ngx_http_live_error(ngx_http_request_t *r, ngx_int_t status)
{
    return ngx_http_live_refuse(r, status, ngx_http_live_cache_error);
}


ngx_int_t
ngx_http_live_refuse(ngx_http_request_t *r, ngx_int_t status,
    ngx_http_live_cache_e cache)
{
    static ngx_str_t  second = ngx_string("1");
    static ngx_str_t  allow = ngx_string("GET, HEAD, OPTIONS");

    if (ngx_http_live_cors(r) != NGX_OK
        || ngx_http_live_cache(r, cache, 1) != NGX_OK
        || (status == NGX_HTTP_SERVICE_UNAVAILABLE
            && ngx_http_live_header(r, "Retry-After", &second) != NGX_OK)
        || (status == NGX_HTTP_NOT_ALLOWED
            && ngx_http_live_header(r, "Allow", &allow) != NGX_OK))
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return status;
}


ngx_int_t
ngx_http_live_etag(ngx_http_request_t *r, ngx_str_t *value)
{
    r->headers_out.etag = ngx_http_live_push(r, "ETag", value);

    return r->headers_out.etag ? NGX_OK : NGX_ERROR;
}


ngx_uint_t
ngx_http_live_gzip_ok(ngx_http_request_t *r)
{
#if (NGX_HTTP_GZIP)
    u_char           *p, *last;
    ngx_table_elt_t  *ae;

    ae = r->headers_in.accept_encoding;

    if (ae == NULL) {
        return 0;
    }

    last = ae->value.data + ae->value.len;

    p = ngx_strlcasestrn(ae->value.data, last, (u_char *) "gzip", 4 - 1);
    if (p == NULL) {
        return 0;
    }

    /* "gzip;q=0", with digits that are all 0, means no (RFC 9110, 12.5.3) */

    for (p += 4; p < last && (*p == ' ' || *p == ';'); p++) { /* void */ }

    if (p + 1 < last && (*p == 'q' || *p == 'Q') && p[1] == '=') {

        for (p += 2; p < last && (*p == '0' || *p == '.'); p++) {
            /* void */
        }

        return p < last && *p >= '1' && *p <= '9';
    }

    return 1;
#else
    return 0;
#endif
}


ngx_int_t
ngx_http_live_send_header(ngx_http_request_t *r)
{
    ngx_int_t  rc;

    rc = ngx_http_send_header(r);

    /* what is kept for long is the body, not that a range is none of it */

    if (rc == NGX_HTTP_RANGE_NOT_SATISFIABLE
        && ngx_http_live_cache(r, ngx_http_live_cache_error, 1) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return rc;
}


ngx_int_t
ngx_http_live_send(ngx_http_request_t *r, ngx_str_t *body)
{
    return ngx_http_live_send_status(r, NGX_HTTP_OK, body);
}


ngx_int_t
ngx_http_live_send_status(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *body)
{
    ngx_int_t     rc;
    ngx_buf_t    *b;
    ngx_chain_t   out;

    r->headers_out.status = status;
    r->headers_out.content_length_n = body->len;

    rc = ngx_http_live_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->pos = body->data;
    b->last = body->data + body->len;
    b->memory = body->len ? 1 : 0;
    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}
