
/*
 * Inside of live_api: what the files that answer one request share.  Event
 * loop only.  JSON is jansson's, in memory of its own until it is sent.
 */

#ifndef _NGX_HTTP_LIVE_API_H_INCLUDED_
#define _NGX_HTTP_LIVE_API_H_INCLUDED_


#include <jansson.h>
#include "ngx_http_live.h"
#include "ngx_live_source.h"
#include "live_key.h"


typedef struct {
    ngx_http_complex_value_t  *application;
    ngx_http_complex_value_t  *publish;     /* URL before the name, or NULL */
    ngx_http_complex_value_t  *play;        /* the same */
    ngx_str_t                  prefix;      /* of URIs, by its location */
    ngx_uint_t                 read_only;
    ngx_uint_t                 stale;       /* s */
    ngx_uint_t                 cleanup;     /* s */
} ngx_http_live_api_loc_conf_t;


/* A request, as its URI says. */
typedef struct {
    ngx_http_live_api_loc_conf_t  *conf;
    ngx_str_t                  application;
    ngx_str_t                  stream;      /* empty: all of them */
    ngx_str_t                  action;      /* of the stream, or empty */
} ngx_http_live_api_ctx_t;


/* Sends json, which is freed, also where that fails, and may be NULL: then
 * memory was short.  What a content handler returns. */
ngx_int_t ngx_http_live_api_send(ngx_http_request_t *r, ngx_uint_t status,
    json_t *json);

/* The same without a body, 204. */
ngx_int_t ngx_http_live_api_nothing(ngx_http_request_t *r);

/* An error as {"error":text}; text is static. */
ngx_int_t ngx_http_live_api_error(ngx_http_request_t *r, ngx_uint_t status,
    const char *text);

/* Answers what is read: all streams, or one. */
ngx_int_t ngx_http_live_api_list(ngx_http_request_t *r,
    ngx_http_live_api_ctx_t *ctx);
ngx_int_t ngx_http_live_api_show(ngx_http_request_t *r,
    ngx_http_live_api_ctx_t *ctx);
ngx_int_t ngx_http_live_api_viewers(ngx_http_request_t *r,
    ngx_http_live_api_ctx_t *ctx);
ngx_int_t ngx_http_live_api_events(ngx_http_request_t *r,
    ngx_http_live_api_ctx_t *ctx);

/* Answers what changes something; the body was read. */
ngx_int_t ngx_http_live_api_create(ngx_http_request_t *r,
    ngx_http_live_api_ctx_t *ctx, u_char *body, size_t len);
ngx_int_t ngx_http_live_api_delete(ngx_http_request_t *r,
    ngx_http_live_api_ctx_t *ctx);
ngx_int_t ngx_http_live_api_heartbeat(ngx_http_request_t *r,
    ngx_http_live_api_ctx_t *ctx);
ngx_int_t ngx_http_live_api_rotate(ngx_http_request_t *r,
    ngx_http_live_api_ctx_t *ctx);
ngx_int_t ngx_http_live_api_stop(ngx_http_request_t *r,
    ngx_http_live_api_ctx_t *ctx, ngx_uint_t stopped);

/*
 * Adds where the stream is published to json, with its key where entry is not
 * NULL, or where it is played; options are NGX_LIVE_NO_*.
 */
ngx_int_t ngx_http_live_api_publish_urls(ngx_http_request_t *r,
    ngx_http_live_api_ctx_t *ctx, json_t *json, ngx_str_t *name,
    ngx_live_entry_sh_t *entry);
ngx_int_t ngx_http_live_api_play_urls(ngx_http_request_t *r,
    ngx_http_live_api_ctx_t *ctx, json_t *json, ngx_str_t *name,
    ngx_uint_t options);

/* Adds to json what the stream is pulled from, and how that goes; NGX_DECLINED:
 * it is not. */
ngx_int_t ngx_http_live_api_source(ngx_http_live_api_ctx_t *ctx, json_t *json,
    ngx_str_t *name);

/* 1 for what may be a stream's name. */
#define ngx_http_live_api_name(name, len)                                     \
    live_key_is_name((char *) (name), len)


#endif /* _NGX_HTTP_LIVE_API_H_INCLUDED_ */
