
/* Helpers that the HTTP modules share. */

#ifndef _NGX_HTTP_LIVE_H_INCLUDED_
#define _NGX_HTTP_LIVE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include "ngx_live.h"
#include "ngx_live_zone.h"


/* Adds a header; name and value are static or live as long as the request. */
ngx_int_t ngx_http_live_header(ngx_http_request_t *r, const char *name,
    ngx_str_t *value);

/* Cache-Control, which replaces that of this module before it; NULL: none. */
ngx_int_t ngx_http_live_cache_control(ngx_http_request_t *r,
    ngx_str_t *value);

/* CORS headers of every response, and what else each has (HTTP-33..37). */
ngx_int_t ngx_http_live_cors(ngx_http_request_t *r);

/* Answers a preflight request (HTTP-36). */
ngx_int_t ngx_http_live_preflight(ngx_http_request_t *r);

/* An error that may be cached for a second at most (HTTP-13..15). */
ngx_int_t ngx_http_live_error(ngx_http_request_t *r, ngx_int_t status);

ngx_int_t ngx_http_live_etag(ngx_http_request_t *r, ngx_str_t *value);

/* 1 when the client takes gzip. */
ngx_uint_t ngx_http_live_gzip_ok(ngx_http_request_t *r);

/* ngx_http_send_header(), whose errors may be cached for a second at most. */
ngx_int_t ngx_http_live_send_header(ngx_http_request_t *r);

/* Sends a body that is in memory of the request, with 200. */
ngx_int_t ngx_http_live_send(ngx_http_request_t *r, ngx_str_t *body);

/* The same with another status. */
ngx_int_t ngx_http_live_send_status(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *body);


extern ngx_module_t  ngx_http_live_play_module;


#endif /* _NGX_HTTP_LIVE_H_INCLUDED_ */
