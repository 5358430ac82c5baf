
/*
 * Who may publish: keys, in the configuration or in a file, and names that
 * were signed.  Shared by the files of the module only; event loop only.
 */

#ifndef _NGX_STREAM_LIVE_AUTH_H_INCLUDED_
#define _NGX_STREAM_LIVE_AUTH_H_INCLUDED_


#include "ngx_stream_live_rtmp.h"
#include "live_key.h"


#define NGX_STREAM_LIVE_MAX_PIECES  16


/* Of a value: text as it is, or a variable of stream{}. */
typedef struct {
    ngx_str_t                      text;        /* or the variable's name */
    ngx_uint_t                     hash;
    unsigned                       variable:1;
} ngx_stream_live_piece_t;


/* A file of keys, as it was when it was read last. */
typedef struct {
    ngx_str_t                      path;        /* with a NUL behind it */
    ngx_uint_t                     named;       /* keys stand for names */
    live_keys_t                   *keys;
    time_t                         checked;
    ngx_file_info_t                info;
} ngx_stream_live_keys_t;


typedef struct {
    ngx_array_t                   *pieces;      /* of ..._piece_t, or NULL */
    ngx_stream_live_keys_t        *file;        /* or NULL */
} ngx_stream_live_key_t;


/* Settings of an application. */
typedef struct {
    ngx_array_t                   *keys;        /* of ..._key_t, or NULL */
    ngx_array_t                   *secrets;     /* of ngx_str_t, or NULL */
    ngx_uint_t                     named;       /* names may be keys */
    ngx_uint_t                     variables;   /* of keys */
} ngx_stream_live_auth_conf_t;


/* ngx_stream_live_auth_module.c */

ngx_stream_live_auth_conf_t *ngx_stream_live_auth_conf(
    ngx_live_app_conf_t *app);

/* 1 when names are keys in any application: none is to be shown then. */
ngx_uint_t ngx_stream_live_auth_named(void);

/* ngx_stream_live_auth.c */

/*
 * The stream's name that a publisher means: what its key stands for, or the
 * name itself.  The result lives until the next call.
 */
const char *ngx_stream_live_auth_name(ngx_stream_live_auth_conf_t *conf,
    const char *name, ngx_log_t *log);

/*
 * NULL: keys and signature allow it.  Else why not, a static text.  ctx->app
 * and ctx->name are set; keyed: the name that was sent was a key.
 */
const char *ngx_stream_live_auth(ngx_stream_live_rtmp_ctx_t *ctx,
    const live_rtmp_publish_t *p, ngx_uint_t keyed);

/* 1 when what was sent as a name is a key, and goes into no log. */
ngx_uint_t ngx_stream_live_auth_secret(ngx_stream_live_rtmp_ctx_t *ctx,
    const char *name);

/* An argument that the publisher has sent: as live_query_find(). */
int ngx_stream_live_auth_argument(const live_rtmp_publish_t *p,
    const char *name, char *buf, size_t size);

/* ngx_stream_live_auth_created.c */

/*
 * The stream of the control API that a key stands for, or the name itself.
 * The result lives until the next call.
 */
const char *ngx_stream_live_created_name(ngx_live_app_conf_t *app,
    const char *name);

/*
 * NGX_OK: the stream was created, and the publisher has its key.
 * NGX_DECLINED: it was not, other keys count.  NGX_ERROR: see *reason.
 */
ngx_int_t ngx_stream_live_created(ngx_stream_live_rtmp_ctx_t *ctx,
    const live_rtmp_publish_t *p, const char **reason);

/* ngx_stream_live_auth_file.c */

/* Reads it while the configuration is read; an error is logged there. */
ngx_stream_live_keys_t *ngx_stream_live_keys_open(ngx_conf_t *cf,
    ngx_str_t *path, ngx_uint_t named);

/* What is in it now, as of a second ago at most; where it cannot be read, what
 * was in it last. */
live_keys_t *ngx_stream_live_keys(ngx_stream_live_keys_t *file,
    ngx_log_t *log);


extern ngx_module_t  ngx_stream_live_auth_module;


#endif /* _NGX_STREAM_LIVE_AUTH_H_INCLUDED_ */
