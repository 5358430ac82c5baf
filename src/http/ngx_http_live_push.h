
/*
 * Responses that go on: what is added to them is sent at once, and a client
 * that takes nothing is waited for as nginx does.  Event loop only.
 */

#ifndef _NGX_HTTP_LIVE_PUSH_H_INCLUDED_
#define _NGX_HTTP_LIVE_PUSH_H_INCLUDED_


#include "ngx_http_live.h"


/*
 * Behind the header: sees to it that nothing waits in the socket for more.
 * *nopush, 0 before, is for ngx_http_live_push_end(), which undoes it.
 */
ngx_int_t ngx_http_live_push_tcp(ngx_http_request_t *r, ngx_uint_t *nopush);
void ngx_http_live_push_end(ngx_http_request_t *r, ngx_uint_t *nopush);

/* After something was added: NGX_DONE, or NGX_ERROR. */
ngx_int_t ngx_http_live_push_pending(ngx_http_request_t *r);

/* The request's write event handler; ends it where the client is gone. */
void ngx_http_live_push_writer(ngx_http_request_t *r);


#endif /* _NGX_HTTP_LIVE_PUSH_H_INCLUDED_ */
