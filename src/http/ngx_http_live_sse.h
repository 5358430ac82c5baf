
/*
 * Server-sent events (WHATWG HTML, section 9.2): a response that a timer adds
 * to.  Whoever asks for one says what there is to tell.  Event loop only.
 */

#ifndef _NGX_HTTP_LIVE_SSE_H_INCLUDED_
#define _NGX_HTTP_LIVE_SSE_H_INCLUDED_


#include "ngx_http_live_out.h"


/*
 * Adds events to out, whole ones, or nothing.  NGX_OK, or NGX_DONE: this was
 * the last one.  NGX_ERROR: the response ends.
 */
typedef ngx_int_t (*ngx_http_live_sse_pt)(ngx_http_live_out_t *out,
    void *data);


/*
 * Begins the response, and calls tell each "interval" ms, but not while the
 * client has not taken what was sent before.  data lives as long as the
 * request.  For the content handler to return.
 */
ngx_int_t ngx_http_live_sse(ngx_http_request_t *r, ngx_msec_t interval,
    ngx_http_live_sse_pt tell, void *data);


#endif /* _NGX_HTTP_LIVE_SSE_H_INCLUDED_ */
