
/*
 * Callbacks of publishers: a site's own server is asked whether one may
 * publish, is told how it goes on, and when it has ended.  Shared by the files
 * of the module only; event loop only.
 */

#ifndef _NGX_STREAM_LIVE_HOOK_H_INCLUDED_
#define _NGX_STREAM_LIVE_HOOK_H_INCLUDED_


#include "ngx_stream_live_rtmp.h"
#include "ngx_live_callback.h"
#include "live_hook.h"


/* Settings of an application. */
typedef struct {
    ngx_live_callback_url_t       *publish;     /* each of these or NULL */
    ngx_live_callback_url_t       *done;
    ngx_live_callback_url_t       *update;
    ngx_uint_t                     format;      /* live_hook_format_e */
    ngx_msec_t                     interval;
} ngx_stream_live_hook_conf_t;


/*
 * A publisher has the right key and a valid name.  NGX_OK: nobody is to be
 * asked.  NGX_AGAIN: the answer comes later, and goes on with the publish.
 * NGX_ERROR: nobody can be asked.
 */
ngx_int_t ngx_stream_live_hook_open(ngx_stream_live_rtmp_ctx_t *ctx,
    const live_rtmp_publish_t *p);

/* It was accepted. */
void ngx_stream_live_hook_begun(ngx_stream_live_rtmp_ctx_t *ctx);

/* It is over, or was never allowed; may be called again. */
void ngx_stream_live_hook_close(ngx_stream_live_rtmp_ctx_t *ctx);

/* Of an application; ngx_stream_live_hook_module.c. */
ngx_stream_live_hook_conf_t *ngx_stream_live_hook_conf(
    ngx_live_app_conf_t *app);


extern ngx_module_t  ngx_stream_live_hook_module;


#endif /* _NGX_STREAM_LIVE_HOOK_H_INCLUDED_ */
