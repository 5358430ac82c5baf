
#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_live_pin.h"


/* All pins of this worker on one track; what the zone sees is their span. */
typedef struct {
    ngx_rbtree_node_t         node;         /* key: address of the track */
    ngx_queue_t               pins;
    ngx_live_track_sh_t      *track;
} ngx_live_pin_track_t;


static ngx_live_pin_track_t *ngx_live_pin_track(ngx_live_track_sh_t *track);
static void ngx_live_pin_span(ngx_live_zone_t *zone,
    ngx_live_pin_track_t *pt);


/* of this worker; threads never see it */
static ngx_rbtree_t       ngx_live_pin_tree;
static ngx_rbtree_node_t  ngx_live_pin_sentinel;


void
ngx_live_pin_init(void)
{
    ngx_rbtree_init(&ngx_live_pin_tree, &ngx_live_pin_sentinel,
                    ngx_rbtree_insert_value);
}


ngx_int_t
ngx_live_pin(ngx_live_zone_t *zone, ngx_live_pin_t *pin,
    ngx_live_segment_sh_t *seg)
{
    ngx_int_t  rc;

    pin->node = NULL;

    if (ngx_live_read_segment(pin->st, pin->id, pin->track, pin->msn, seg)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    rc = ngx_live_pin_range(zone, pin, seg->offset, seg->size);

    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_live_read_segment(pin->st, pin->id, pin->track, pin->msn, seg)
        != NGX_OK)
    {
        ngx_live_unpin(zone, pin);
        return NGX_DECLINED;
    }

    return NGX_OK;
}


ngx_int_t
ngx_live_pin_range(ngx_live_zone_t *zone, ngx_live_pin_t *pin,
    uint64_t offset, uint64_t size)
{
    ngx_live_pin_track_t  *pt;

    pt = (ngx_live_pin_track_t *) pin->node;

    if (pt == NULL) {
        pt = ngx_live_pin_track(pin->track);
        if (pt == NULL) {
            return NGX_ERROR;
        }

        pin->node = &pt->node;
        ngx_queue_insert_tail(&pt->pins, &pin->queue);
    }

    pin->lo = offset;
    pin->hi = offset + size;

    ngx_live_pin_span(zone, pt);

    /*
     * Either the writer sees the pin before it frees the segment, or the
     * segment is seen to be retired here.
     */
    ngx_live_fence();

    if (pin->msn < ngx_live_load(&pin->track->segments.tail)
        || ngx_live_load(&pin->st->id) != pin->id)
    {
        ngx_live_unpin(zone, pin);
        return NGX_DECLINED;
    }

    return NGX_OK;
}


void
ngx_live_unpin(ngx_live_zone_t *zone, ngx_live_pin_t *pin)
{
    ngx_live_pin_track_t  *pt;

    if (pin->node == NULL) {
        return;
    }

    pt = (ngx_live_pin_track_t *) pin->node;
    pin->node = NULL;

    ngx_queue_remove(&pin->queue);

    ngx_live_pin_span(zone, pt);

    if (ngx_queue_empty(&pt->pins)) {
        ngx_rbtree_delete(&ngx_live_pin_tree, &pt->node);
        ngx_free(pt);
    }
}


static ngx_live_pin_track_t *
ngx_live_pin_track(ngx_live_track_sh_t *track)
{
    ngx_rbtree_key_t       key;
    ngx_rbtree_node_t     *node;
    ngx_live_pin_track_t  *pt;

    key = (ngx_rbtree_key_t) (uintptr_t) track;
    node = ngx_live_pin_tree.root;

    while (node != &ngx_live_pin_sentinel) {

        if (key == node->key) {
            return (ngx_live_pin_track_t *) node;
        }

        node = (key < node->key) ? node->left : node->right;
    }

    pt = ngx_alloc(sizeof(ngx_live_pin_track_t), ngx_cycle->log);
    if (pt == NULL) {
        return NULL;
    }

    pt->node.key = key;
    pt->track = track;
    ngx_queue_init(&pt->pins);

    ngx_rbtree_insert(&ngx_live_pin_tree, &pt->node);

    return pt;
}


/*
 * Every state on the way covers all pins of before and after the change that
 * the caller still relies on: widening is fenced by ngx_live_pin(), and what
 * shrinks is not needed any more.
 */

static void
ngx_live_pin_span(ngx_live_zone_t *zone, ngx_live_pin_track_t *pt)
{
    uint64_t            lo, hi;
    ngx_queue_t        *q;
    ngx_live_pin_t     *pin;
    ngx_live_pin_sh_t  *sh;

    lo = (uint64_t) -1;
    hi = 0;

    for (q = ngx_queue_head(&pt->pins);
         q != ngx_queue_sentinel(&pt->pins);
         q = ngx_queue_next(q))
    {
        pin = ngx_queue_data(q, ngx_live_pin_t, queue);

        lo = ngx_min(lo, pin->lo);
        hi = ngx_max(hi, pin->hi);
    }

    sh = &pt->track->pins[zone->slot];

    if (sh->lo != lo) {
        ngx_live_store(&sh->lo, lo);
    }

    if (sh->hi != hi) {
        ngx_live_store(&sh->hi, hi);
    }
}


void
ngx_live_pin_check(void)
{
    uint64_t               tail;
    ngx_queue_t           *q, *next;
    ngx_live_pin_t        *pin;
    ngx_rbtree_node_t     *node, *following;
    ngx_live_pin_track_t  *pt;

    if (ngx_live_pin_tree.root == &ngx_live_pin_sentinel) {
        return;
    }

    node = ngx_rbtree_min(ngx_live_pin_tree.root, &ngx_live_pin_sentinel);

    for ( /* void */ ; node; node = following) {

        /* handlers only post events, so that no node goes away here */

        following = ngx_rbtree_next(&ngx_live_pin_tree, node);
        pt = (ngx_live_pin_track_t *) node;
        tail = ngx_live_load(&pt->track->segments.tail);

        for (q = ngx_queue_head(&pt->pins);
             q != ngx_queue_sentinel(&pt->pins);
             q = next)
        {
            next = ngx_queue_next(q);
            pin = ngx_queue_data(q, ngx_live_pin_t, queue);

            if (pin->msn < tail || ngx_live_load(&pin->st->id) != pin->id) {
                pin->handler(pin);
            }
        }
    }
}
