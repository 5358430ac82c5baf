
/*
 * A text of any length that is made for one request: a chain of buffers that
 * are filled one after the other.  Event loop only.
 */

#ifndef _NGX_HTTP_LIVE_OUT_H_INCLUDED_
#define _NGX_HTTP_LIVE_OUT_H_INCLUDED_


#include "ngx_http_live.h"


/* What one call may add at most, bytes. */
#define NGX_HTTP_LIVE_OUT_MOST  1024


typedef struct {
    ngx_pool_t       *pool;
    ngx_chain_t      *first;
    ngx_chain_t     **last;
    ngx_buf_t        *buf;
    off_t             size;
    ngx_uint_t        failed;       /* no memory: what follows is lost */
} ngx_http_live_out_t;


void ngx_http_live_out_init(ngx_http_live_out_t *out, ngx_pool_t *pool);

/* As ngx_sprintf(); more than NGX_HTTP_LIVE_OUT_MOST is cut off. */
void ngx_http_live_out(ngx_http_live_out_t *out, const char *fmt, ...);

/* Texts as the content of a string of JSON, where what is not UTF-8 becomes
 * U+FFFD, or of an element of XML, where it is left out, as are controls. */
void ngx_http_live_out_json(ngx_http_live_out_t *out, ngx_str_t *text);
void ngx_http_live_out_xml(ngx_http_live_out_t *out, ngx_str_t *text);

/* value / unit, which is 8, 1, or a power of ten, as a decimal number. */
void ngx_http_live_out_decimal(ngx_http_live_out_t *out, uint64_t value,
    uint64_t unit);

/* Sends it all, not to be stored by caches; for the content handler. */
ngx_int_t ngx_http_live_out_send(ngx_http_request_t *r,
    ngx_http_live_out_t *out, ngx_str_t *type);

/*
 * What requests of statistics have in common: NGX_OK for a GET or HEAD, whose
 * body is discarded; else what the content handler returns.
 */
ngx_int_t ngx_http_live_out_begin(ngx_http_request_t *r);


#endif /* _NGX_HTTP_LIVE_OUT_H_INCLUDED_ */
