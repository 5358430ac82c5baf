
/*
 * "state_path": with which numbers streams go on after a restart of nginx, or
 * of the machine (live_state.h), in one file that all workers write.
 */

#ifndef _NGX_LIVE_STATE_H_INCLUDED_
#define _NGX_LIVE_STATE_H_INCLUDED_


#include "ngx_live.h"
#include "ngx_live_zone.h"


/*
 * Opens DIR/live.state, made when it is not there; the directory as well.
 * Master; the file is closed with the cycle's pool.  NGX_ERROR: logged, nginx
 * must not start with it.
 */
ngx_int_t ngx_live_state_open(ngx_live_zone_t *zone, ngx_pool_t *pool,
    ngx_log_t *log);

/*
 * What was kept for a name, as a new stream goes on with it; count is 0 where
 * there is nothing, or no "state_path".  It reads a file: not with the zone's
 * lock held.
 */
void ngx_live_state_load(ngx_live_zone_t *zone, ngx_live_app_conf_t *app,
    ngx_str_t *name, live_state_t *kept);

/*
 * Keeps the numbers of a stream; its owner, with each segment that begins.
 * Errors are logged once a minute: the stream goes on.
 */
void ngx_live_state_save(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st);


#endif /* _NGX_LIVE_STATE_H_INCLUDED_ */
