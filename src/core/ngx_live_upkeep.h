
/*
 * Once a second in every worker: ends pins of retired segments, looks after
 * the streams that this worker owns, and takes over those whose worker is
 * gone.
 */

#ifndef _NGX_LIVE_UPKEEP_H_INCLUDED_
#define _NGX_LIVE_UPKEEP_H_INCLUDED_


#include "ngx_live_zone.h"


ngx_int_t ngx_live_upkeep_init(ngx_live_zone_t *zone, ngx_cycle_t *cycle);

/*
 * Moves segments out of the playlist and out of the zone as the window, the
 * retention and the zone's memory ask for; owner only.  Returns 1 when the
 * list of segments has changed.
 */
ngx_uint_t ngx_live_upkeep_track(ngx_live_zone_t *zone,
    ngx_live_stream_sh_t *st, ngx_live_track_sh_t *t);


#endif /* _NGX_LIVE_UPKEEP_H_INCLUDED_ */
