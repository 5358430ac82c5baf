
/*
 * Query strings: the delivery directives of low-latency HLS (RFC 8216bis,
 * 6.2.5; HLS-57 to HLS-60), and the width of a thumbnail.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_http_live_play.h"


/* longer than any name or value that means something */
#define NGX_HTTP_LIVE_MAX_ARG  32

#define NGX_HTTP_LIVE_MAX_NUMBER  ((uint64_t) 1 << 53)


static void ngx_http_live_query_param(u_char *p, u_char *last,
    ngx_http_live_query_t *query);
static ngx_int_t ngx_http_live_query_decode(u_char *p, u_char *last,
    u_char *buf, ngx_str_t *text);
static ngx_int_t ngx_http_live_query_number(ngx_str_t *text,
    uint64_t *value);
static ngx_uint_t ngx_http_live_query_is(ngx_str_t *text, const char *s);


void
ngx_http_live_query(ngx_str_t *args, ngx_http_live_query_t *query)
{
    u_char  *p, *end, *last;

    ngx_memzero(query, sizeof(ngx_http_live_query_t));

    last = args->data + args->len;

    for (p = args->data; p < last; p = end + 1) {

        end = ngx_strlchr(p, last, '&');
        if (end == NULL) {
            end = last;
        }

        ngx_http_live_query_param(p, end, query);
    }
}


static void
ngx_http_live_query_param(u_char *p, u_char *last,
    ngx_http_live_query_t *query)
{
    u_char               *eq, buf[NGX_HTTP_LIVE_MAX_ARG];
    ngx_int_t             rc;
    ngx_str_t             text;
    ngx_http_live_arg_t  *arg;

    eq = ngx_strlchr(p, last, '=');

    if (ngx_http_live_query_decode(p, eq ? eq : last, buf, &text) != NGX_OK) {
        return;
    }

    if (ngx_http_live_query_is(&text, "_HLS_msn")) {
        arg = &query->msn;

    } else if (ngx_http_live_query_is(&text, "_HLS_part")) {
        arg = &query->part;

    } else if (ngx_http_live_query_is(&text, "_HLS_skip")) {
        arg = &query->skip;

    } else if (ngx_http_live_query_is(&text, "w")) {
        arg = &query->width;

    } else {
        return;
    }

    if (arg->set) {
        arg->bad = 1;
    }

    arg->set = 1;

    rc = eq ? ngx_http_live_query_decode(eq + 1, last, buf, &text)
            : NGX_DECLINED;

    if (arg == &query->skip) {
        arg->value = (rc == NGX_OK
                      && (ngx_http_live_query_is(&text, "YES")
                          || ngx_http_live_query_is(&text, "v2")));
        return;
    }

    if (rc != NGX_OK
        || ngx_http_live_query_number(&text, &arg->value) != NGX_OK)
    {
        arg->bad = 1;
    }
}


/* NGX_DECLINED: malformed, or longer than anything that is looked for. */

static ngx_int_t
ngx_http_live_query_decode(u_char *p, u_char *last, u_char *buf,
    ngx_str_t *text)
{
    ngx_int_t  byte;

    text->data = buf;
    text->len = 0;

    for ( /* void */ ; p < last; p++) {

        if (text->len == NGX_HTTP_LIVE_MAX_ARG) {
            return NGX_DECLINED;
        }

        if (*p != '%') {
            buf[text->len++] = *p;
            continue;
        }

        byte = (last - p > 2) ? ngx_hextoi(p + 1, 2) : NGX_ERROR;

        if (byte == NGX_ERROR) {
            return NGX_DECLINED;
        }

        buf[text->len++] = (u_char) byte;
        p += 2;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_live_query_number(ngx_str_t *text, uint64_t *value)
{
    u_char      c;
    ngx_uint_t  i;

    *value = 0;

    if (text->len == 0) {
        return NGX_DECLINED;
    }

    for (i = 0; i < text->len; i++) {
        c = text->data[i];

        if (c < '0' || c > '9') {
            return NGX_DECLINED;
        }

        *value = *value * 10 + (c - '0');

        if (*value > NGX_HTTP_LIVE_MAX_NUMBER) {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_live_query_is(ngx_str_t *text, const char *s)
{
    return text->len == ngx_strlen(s)
           && ngx_memcmp(text->data, s, text->len) == 0;
}


/*
 * In terms of the specification, L is edge->msn - 1, P is edge->parts - 1, and
 * n(L) is edge->last_parts.
 */

ngx_int_t
ngx_http_live_query_ready(ngx_http_live_query_t *query,
    ngx_live_edge_t *edge)
{
    uint64_t  msn, part, limit;

    if (query->msn.bad || query->part.bad || query->skip.bad
        || (query->part.set && !query->msn.set))
    {
        return NGX_HTTP_BAD_REQUEST;
    }

    if (!query->msn.set) {
        return NGX_OK;
    }

    msn = query->msn.value;
    part = query->part.value;

    if (msn > edge->msn + 1) {
        return NGX_HTTP_BAD_REQUEST;
    }

    if (!query->part.set) {
        return (msn < edge->msn) ? NGX_OK : NGX_AGAIN;
    }

    if (msn + 1 < edge->msn) {
        return NGX_OK;
    }

    /* HLS-60: three seconds of parts, or three parts */

    limit = (edge->part_target < 1000)
            ? (3000 + edge->part_target - 1) / edge->part_target : 3;

    if (msn + 1 == edge->msn) {

        if (part < edge->last_parts) {
            return NGX_OK;
        }

        if (part > edge->last_parts + limit) {
            return NGX_HTTP_BAD_REQUEST;
        }

        /* it means the first part of the next segment */

        return edge->parts ? NGX_OK : NGX_AGAIN;
    }

    if (msn == edge->msn) {

        if (part < edge->parts) {
            return NGX_OK;
        }

        return (part >= edge->parts + limit) ? NGX_HTTP_BAD_REQUEST
                                             : NGX_AGAIN;
    }

    return (part > limit) ? NGX_HTTP_BAD_REQUEST : NGX_AGAIN;
}
