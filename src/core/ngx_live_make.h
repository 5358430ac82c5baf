
/*
 * Makes what does not exist yet, in the thread pool: MPEG-TS segments and
 * thumbnails.  Any worker makes; the result is in the zone, and those who wait
 * for the stream are woken.  Event loop only.
 */

#ifndef _NGX_LIVE_MAKE_H_INCLUDED_
#define _NGX_LIVE_MAKE_H_INCLUDED_


#include <ngx_thread_pool.h>
#include "ngx_live_zone.h"


/*
 * Sees to it that a segment in MPEG-TS is made, once for all who ask, in
 * whatever worker.  NGX_OK: it is there.  NGX_AGAIN: it is being made, wait
 * for the stream.  NGX_DECLINED: there is no such segment, or none of it can
 * be made.  NGX_BUSY: too much is being made, or the zone has no room.
 */
ngx_int_t ngx_live_make_ts(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st,
    uint64_t id, uint64_t msn);

/*
 * The same for a picture of the latest key frame, of a width (0: as it is);
 * *doc is the text that it is in.  One that is older than two seconds is made
 * anew.
 */
ngx_int_t ngx_live_make_thumbnail(ngx_live_zone_t *zone,
    ngx_live_stream_sh_t *st, uint64_t id, uint32_t width, ngx_uint_t *doc);

/* At the end of live{}: nginx's default pool where none was named. */
ngx_int_t ngx_live_make_init_conf(ngx_conf_t *cf, void **confs);

/* The thread pool of live{}. */
ngx_thread_pool_t *ngx_live_make_pool(void);

/* A worker with live{} begins, and ends: before it gives its slot back. */
void ngx_live_make_init_process(void);
void ngx_live_make_exit_process(void);


extern ngx_module_t  ngx_live_make_module;


#endif /* _NGX_LIVE_MAKE_H_INCLUDED_ */
