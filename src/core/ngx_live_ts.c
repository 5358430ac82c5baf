
/* The list of segments that can be had as MPEG-TS. */

#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_live_zone.h"


static void ngx_live_ts_push(ngx_live_stream_sh_t *st,
    ngx_live_track_sh_t *lead);


ngx_live_track_sh_t *
ngx_live_stream_lead(ngx_live_stream_sh_t *st)
{
    ngx_uint_t            i;
    ngx_live_track_sh_t  *t, *lead;

    lead = NULL;

    for (i = 0; i < st->ntracks; i++) {
        t = &st->tracks[i];

        if (t->rung) {
            continue;
        }

        if (t->info.media == LIVE_MEDIA_VIDEO) {
            return t;
        }

        if (lead == NULL) {
            lead = t;
        }
    }

    return lead;
}


void
ngx_live_ts_advance(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st)
{
    uint64_t              head, tail, listed;
    ngx_uint_t            i;
    ngx_live_track_sh_t  *t, *ts, *lead;

    ts = &st->ts;
    lead = ngx_live_stream_lead(st);

    if (lead == NULL) {
        return;
    }

    head = lead->segments.head;
    tail = lead->segments.tail;
    listed = lead->listed;

    for (i = 0; i < st->ntracks; i++) {
        t = &st->tracks[i];

        /* it is of the source alone; a track that nothing has come of yet is
         * not waited for */

        if (t->rung
            || (t->segments.head == t->segments.tail && t->open_msn == 0))
        {
            continue;
        }

        head = ngx_min(head, t->segments.head);
        tail = ngx_max(tail, ngx_min(t->segments.tail,
                                     lead->segments.head));
        listed = ngx_max(listed, ngx_min(t->listed, lead->segments.head));
    }

    if (ts->segments.slots == NULL) {

        if (ngx_live_ring_create(zone, &ts->segments,
                                 lead->segments.mask + 1,
                                 sizeof(ngx_live_segment_sh_t))
            != NGX_OK)
        {
            return;
        }

        ts->segments.head = lead->segments.tail;
        ts->segments.tail = lead->segments.tail;
        ts->retired = lead->segments.tail;
        ts->range = ngx_live_zone_range(zone);
        st->ts_pos = ts->range;
    }

    if (tail > ts->segments.tail || ts->retired < ts->segments.tail) {
        ngx_live_ts_retire(zone, st, ngx_max(tail, ts->segments.tail));
    }

    while (ts->segments.head < head) {
        ngx_live_ts_push(st, lead);
    }

    ts->listed = ngx_min(ngx_max(listed, ts->segments.tail),
                         ts->segments.head);
}


static void
ngx_live_ts_push(ngx_live_stream_sh_t *st, ngx_live_track_sh_t *lead)
{
    ngx_live_ring_sh_t     *ring;
    ngx_live_segment_sh_t  *seg, *from;

    ring = &st->ts.segments;

    seg = ngx_live_slot(ring, ngx_live_segment_sh_t, ring->head);
    from = ngx_live_slot(&lead->segments, ngx_live_segment_sh_t, ring->head);

    *seg = *from;

    seg->offset = 0;
    seg->size = 0;
    seg->parts = 0;
    seg->maker = 0;

    ngx_live_store(&ring->head, ring->head + 1);
}


void
ngx_live_ts_retire(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st,
    uint64_t msn)
{
    uint64_t                i, first, last;
    ngx_live_track_sh_t    *ts;
    ngx_live_segment_sh_t  *seg;

    ts = &st->ts;

    if (ts->segments.slots == NULL) {
        return;
    }

    /* whoever makes one now finds, with the lock held, that it is gone */

    ngx_shmtx_lock(&zone->shpool->mutex);

    first = ngx_min(ts->retired, ts->segments.tail);
    last = ngx_min(msn, ts->segments.head);

    if (msn > ts->segments.head) {

        /* never listed: all tracks have moved on together */
        ngx_live_store(&ts->segments.head, msn);
    }

    ngx_live_store(&ts->segments.tail, msn);
    ngx_live_fence();

    for (i = first; i < last; i++) {
        seg = ngx_live_slot(&ts->segments, ngx_live_segment_sh_t, i);

        if (seg->size) {
            ngx_live_track_punch(zone, ts, seg->offset,
                                 ngx_align(seg->size, NGX_LIVE_PAGE));
            seg->size = 0;
        }
    }

    ts->retired = msn;

    ngx_live_track_release(zone, ts);

    ngx_shmtx_unlock(&zone->shpool->mutex);
}
