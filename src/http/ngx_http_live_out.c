
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_live_out.h"


#define NGX_HTTP_LIVE_OUT_BUFFER  (32 * 1024)


static ngx_int_t ngx_http_live_out_room(ngx_http_live_out_t *out);


void
ngx_http_live_out_init(ngx_http_live_out_t *out, ngx_pool_t *pool)
{
    ngx_memzero(out, sizeof(ngx_http_live_out_t));

    out->pool = pool;
    out->last = &out->first;
}


/* Room for what one call may add. */

static ngx_int_t
ngx_http_live_out_room(ngx_http_live_out_t *out)
{
    ngx_chain_t  *cl;

    if (out->buf
        && out->buf->end - out->buf->last >= NGX_HTTP_LIVE_OUT_MOST)
    {
        return NGX_OK;
    }

    cl = out->failed ? NULL : ngx_alloc_chain_link(out->pool);

    if (cl) {
        cl->buf = ngx_create_temp_buf(out->pool, NGX_HTTP_LIVE_OUT_BUFFER);
        cl->next = NULL;
    }

    if (cl == NULL || cl->buf == NULL) {
        out->failed = 1;
        return NGX_ERROR;
    }

    *out->last = cl;
    out->last = &cl->next;
    out->buf = cl->buf;

    return NGX_OK;
}


void
ngx_http_live_out(ngx_http_live_out_t *out, const char *fmt, ...)
{
    u_char   *p;
    va_list   args;

    if (ngx_http_live_out_room(out) != NGX_OK) {
        return;
    }

    p = out->buf->last;

    va_start(args, fmt);
    out->buf->last = ngx_vslprintf(p, p + NGX_HTTP_LIVE_OUT_MOST, fmt, args);
    va_end(args);

    out->size += out->buf->last - p;
}


void
ngx_http_live_out_json(ngx_http_live_out_t *out, ngx_str_t *text)
{
    u_char  *p, *end, *start, *last;

    p = text->data;
    end = p + text->len;

    while (p < end) {

        if (ngx_http_live_out_room(out) != NGX_OK) {
            return;
        }

        start = p;
        last = out->buf->last;

        if (*p == '<') {

            /* it may stand in a script, which "</script>" would end */

            p++;
            last = ngx_cpymem(last, "\\u003c", 6);

        } else if (*p < 0x80) {
            p++;
            last = (u_char *) ngx_escape_json(last, start, 1);

        } else if (ngx_utf8_decode(&p, end - p) > 0x10ffff) {
            p = start + 1;
            last = ngx_cpymem(last, "\\ufffd", 6);

        } else {
            last = ngx_cpymem(last, start, p - start);
        }

        out->size += last - out->buf->last;
        out->buf->last = last;
    }
}


void
ngx_http_live_out_xml(ngx_http_live_out_t *out, ngx_str_t *text)
{
    u_char  *p, *end, *start;

    p = text->data;
    end = p + text->len;

    while (p < end) {

        start = p;

        switch (*p) {

        case '<':
            ngx_http_live_out(out, "&lt;");
            p++;
            continue;

        case '>':
            ngx_http_live_out(out, "&gt;");
            p++;
            continue;

        case '&':
            ngx_http_live_out(out, "&amp;");
            p++;
            continue;

        case '"':
            ngx_http_live_out(out, "&quot;");
            p++;
            continue;
        }

        if (*p < 0x80) {
            p++;

            if (*start < 0x20 || *start == 0x7f) {
                continue;
            }

        } else if (ngx_utf8_decode(&p, end - p) > 0x10ffff) {
            p = start + 1;
            continue;
        }

        ngx_http_live_out(out, "%*s", (size_t) (p - start), start);
    }
}


void
ngx_http_live_out_decimal(ngx_http_live_out_t *out, uint64_t value,
    uint64_t unit)
{
    switch (unit) {

    case 1:
        ngx_http_live_out(out, "%uL", value);
        break;

    case 100:
        ngx_http_live_out(out, "%uL.%02uL", value / unit, value % unit);
        break;

    case 8:
        ngx_http_live_out(out, "%uL.%03uL", value / 8, value % 8 * 125);
        break;

    case 1000:
        ngx_http_live_out(out, "%uL.%03uL", value / unit, value % unit);
        break;

    default:
        ngx_http_live_out(out, "%uL.%06uL", value / 1000000,
                          value % 1000000);
    }
}


ngx_int_t
ngx_http_live_out_begin(ngx_http_request_t *r)
{
    if (r->method == NGX_HTTP_OPTIONS) {
        return ngx_http_live_preflight(r);
    }

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return ngx_http_live_error(r, NGX_HTTP_NOT_ALLOWED);
    }

    return ngx_http_discard_request_body(r);
}


ngx_int_t
ngx_http_live_out_send(ngx_http_request_t *r, ngx_http_live_out_t *out,
    ngx_str_t *type)
{
    ngx_int_t         rc;
    ngx_buf_t        *b;
    static ngx_str_t  none = ngx_string("no-store");

    if (out->failed || out->buf == NULL
        || ngx_http_live_cors(r) != NGX_OK
        || ngx_http_live_cache_control(r, &none) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_type = *type;
    r->headers_out.content_type_len = type->len;
    r->headers_out.content_length_n = out->size;

    rc = ngx_http_live_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    b = out->buf;
    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;

    return ngx_http_output_filter(r, out->first);
}
