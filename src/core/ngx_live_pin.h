
/*
 * Pins: what this worker is sending from the media file must stay there
 * (invariant 4).  A pin keeps the bytes of a segment until it is dropped; a
 * segment that was retired meanwhile is reported to the pin's owner within
 * about a second, who ends the response.  So a slow reader gets the right
 * bytes or a closed connection, and a worker that is stopped keeps just what
 * it was sending.  Event loop only.
 */

#ifndef _NGX_LIVE_PIN_H_INCLUDED_
#define _NGX_LIVE_PIN_H_INCLUDED_


#include "ngx_live_zone.h"


typedef struct ngx_live_pin_s  ngx_live_pin_t;

typedef void (*ngx_live_pin_handler_pt)(ngx_live_pin_t *pin);

struct ngx_live_pin_s {
    ngx_queue_t               queue;
    ngx_live_stream_sh_t     *st;
    ngx_live_track_sh_t      *track;
    uint64_t                  id;           /* of the stream */
    uint64_t                  msn;
    uint64_t                  lo;           /* first byte in the file */
    uint64_t                  hi;           /* behind the last one */

    /* the segment was retired: stop sending and drop the pin */
    ngx_live_pin_handler_pt   handler;
    void                     *data;
    ngx_rbtree_node_t        *node;         /* set while pinned */
};


/*
 * Pins what was found of a segment, seg or one of its parts: offset and size
 * of seg.  st, id, track and msn are set by the caller, who owns the memory
 * of pin until ngx_live_unpin().  A pin may be pinned again with a later range
 * of the same segment, which then takes the place of the former one; the
 * bytes before it must have left for good.  NGX_DECLINED: the segment was
 * retired meanwhile.  NGX_ERROR: no memory.
 */
ngx_int_t ngx_live_pin_range(ngx_live_zone_t *zone, ngx_live_pin_t *pin,
    uint64_t offset, uint64_t size);

/*
 * Finds a segment and pins it.  st, id, track and msn are set by the caller,
 * who owns the memory of pin until ngx_live_unpin().  NGX_DECLINED: there is
 * no such segment (any more).  NGX_ERROR: no memory.
 */
ngx_int_t ngx_live_pin(ngx_live_zone_t *zone, ngx_live_pin_t *pin,
    ngx_live_segment_sh_t *seg);

void ngx_live_unpin(ngx_live_zone_t *zone, ngx_live_pin_t *pin);

/* Calls the handlers of pins whose segment was retired; by the timer. */
void ngx_live_pin_check(void);

void ngx_live_pin_init(void);


#endif /* _NGX_LIVE_PIN_H_INCLUDED_ */
