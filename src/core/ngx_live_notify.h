
/*
 * Waiting for a stream to change.  A request that must wait is parked in its
 * own worker; whoever publishes wakes the workers that wait for that stream,
 * through one eventfd per worker slot, which the master makes with the zone
 * and every worker inherits, also over a reload.  Event loop only.
 */

#ifndef _NGX_LIVE_NOTIFY_H_INCLUDED_
#define _NGX_LIVE_NOTIFY_H_INCLUDED_


#include "ngx_live_zone.h"


typedef struct ngx_live_wait_s  ngx_live_wait_t;

typedef void (*ngx_live_wait_handler_pt)(ngx_live_wait_t *wait);

struct ngx_live_wait_s {
    ngx_queue_t               queue;
    uint64_t                  id;           /* of the stream */
    ngx_uint_t                waiting;      /* 1 from wait to cancel */

    /* 1: called before those with 0, as who waits for media needs it sooner
     * than who waits for its name; set by the caller */
    ngx_uint_t                media;

    /*
     * Called from an event of its own after a change of the stream, its end
     * included; it looks everything up again.  It may cancel its own wait and
     * free the memory of it, but no other.
     */
    ngx_live_wait_handler_pt  handler;
    void                     *data;
};


/*
 * Waits until ngx_live_wait_cancel(), over any number of changes.  handler and
 * data are set by the caller, who owns the memory, and who must look once more
 * after this call whether what he waits for has come meanwhile.
 */
void ngx_live_wait(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st,
    uint64_t id, ngx_live_wait_t *wait);

/* Does nothing when it does not wait. */
void ngx_live_wait_cancel(ngx_live_wait_t *wait);

/* Wakes all that wait for the stream, in every worker; any worker may call it
 * after it has published something.  Handlers do not run inside the call. */
void ngx_live_notify(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st);

ngx_int_t ngx_live_notify_init_process(ngx_live_zone_t *zone,
    ngx_cycle_t *cycle);
void ngx_live_notify_exit_process(ngx_live_zone_t *zone);


#endif /* _NGX_LIVE_NOTIFY_H_INCLUDED_ */
