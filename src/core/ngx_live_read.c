
/*
 * What readers see of streams.  Each copies a record and then makes sure that
 * it was still valid, without a lock.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_live_zone.h"


/* the least between two notes that a track is wanted, ms */
#define NGX_LIVE_READ_WANT  500


static ngx_uint_t ngx_live_track_played(ngx_live_stream_sh_t *st,
    ngx_live_track_sh_t *t);
static void ngx_live_track_note(ngx_live_track_sh_t *t);


ngx_live_track_sh_t *
ngx_live_track_find(ngx_live_stream_sh_t *st, ngx_str_t *name)
{
    ngx_uint_t            i, n;
    ngx_live_track_sh_t  *t;

    n = ngx_min(ngx_live_load(&st->ntracks), NGX_LIVE_MAX_TRACKS);

    for (i = 0; i < n; i++) {
        t = &st->tracks[i];

        if (name->len < sizeof(t->name)
            && ngx_strncmp(t->name, name->data, name->len) == 0
            && t->name[name->len] == '\0')
        {
            return t;
        }
    }

    return NULL;
}


ngx_uint_t
ngx_live_track_shown(ngx_live_stream_sh_t *st, ngx_live_track_sh_t *t)
{
    if (ngx_live_load(&t->mode) == NGX_LIVE_TRACK_OFF) {
        return 0;
    }

    return !ngx_live_load(&t->hidden) || ngx_live_track_played(st, t);
}


/* The audio of a source that is hidden, passed on with the rungs. */

static ngx_uint_t
ngx_live_track_played(ngx_live_stream_sh_t *st, ngx_live_track_sh_t *t)
{
    ngx_uint_t            i, n;
    ngx_live_track_sh_t  *v;

    n = ngx_min(ngx_live_load(&st->ntracks), NGX_LIVE_MAX_TRACKS);

    for (i = 0; i < n; i++) {
        v = &st->tracks[i];

        if (v->info.media == LIVE_MEDIA_VIDEO
            && ngx_live_load(&v->audio) == (uint32_t) (t - st->tracks) + 1
            && !ngx_live_load(&v->hidden)
            && ngx_live_load(&v->mode) != NGX_LIVE_TRACK_OFF)
        {
            return 1;
        }
    }

    return 0;
}


void
ngx_live_track_want(ngx_live_stream_sh_t *st, ngx_live_track_sh_t *t)
{
    uint32_t  audio;

    ngx_live_track_note(t);

    audio = ngx_live_load(&t->audio);

    if (audio && audio <= NGX_LIVE_MAX_TRACKS) {
        ngx_live_track_note(&st->tracks[audio - 1]);
    }
}


/* Seldom, so that the memory stays in the caches of those who read it. */

static void
ngx_live_track_note(ngx_live_track_sh_t *t)
{
    uint64_t  now;

    if (!ngx_live_load(&t->rung)) {
        return;
    }

    now = ngx_live_now();

    /* also when the clock was set back */

    if (now - ngx_live_load(&t->wanted) > NGX_LIVE_READ_WANT) {
        ngx_live_store(&t->wanted, now);
    }
}


ngx_int_t
ngx_live_read_segment(ngx_live_stream_sh_t *st, uint64_t id,
    ngx_live_track_sh_t *t, uint64_t msn, ngx_live_segment_sh_t *seg)
{
    uint64_t                mask;
    ngx_live_segment_sh_t  *slots;

    if (msn >= ngx_live_load(&t->segments.head)
        || msn < ngx_live_load(&t->segments.tail))
    {
        return NGX_DECLINED;
    }

    slots = ngx_live_load(&t->segments.slots);
    mask = ngx_live_load(&t->segments.mask);

    /* they are a ring while the stream is; its memory stays readable */

    if (ngx_live_load(&st->id) != id) {
        return NGX_DECLINED;
    }

    *seg = slots[msn & mask];

    ngx_live_fence();

    if (msn < ngx_live_load(&t->segments.tail)
        || ngx_live_load(&st->id) != id)
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


ngx_int_t
ngx_live_read_part(ngx_live_stream_sh_t *st, uint64_t id,
    ngx_live_track_sh_t *t, uint64_t msn, uint32_t index,
    ngx_live_part_sh_t *part)
{
    uint64_t                n, head, mask, before;
    ngx_uint_t              tries;
    ngx_live_part_sh_t     *slots;
    ngx_live_segment_sh_t   seg;

    for (tries = 0; tries < 8; tries++) {

        before = ngx_live_load(&t->segments.head);

        if (ngx_live_read_segment(st, id, t, msn, &seg) == NGX_OK) {

            if (index >= seg.parts) {
                return NGX_DECLINED;
            }

            n = seg.part + index;

        } else {

            /* of the segment that is being made: back from the newest one */

            head = ngx_live_load(&t->parts.head);
            slots = ngx_live_load(&t->parts.slots);
            mask = ngx_live_load(&t->parts.mask);

            if (ngx_live_load(&st->id) != id
                || head == ngx_live_load(&t->parts.tail))
            {
                return NGX_DECLINED;
            }

            *part = slots[(head - 1) & mask];

            if (part->msn != msn || part->index < index) {

                if (before == ngx_live_load(&t->segments.head)
                    && head == ngx_live_load(&t->parts.head))
                {
                    return NGX_DECLINED;
                }

                continue;
            }

            n = head - 1 - (part->index - index);
        }

        slots = ngx_live_load(&t->parts.slots);
        mask = ngx_live_load(&t->parts.mask);

        if (ngx_live_load(&st->id) != id) {
            return NGX_DECLINED;
        }

        *part = slots[n & mask];

        ngx_live_fence();

        if (ngx_live_load(&st->id) != id
            || n < ngx_live_load(&t->parts.tail))
        {
            return NGX_DECLINED;
        }

        if (part->msn == msn && part->index == index) {
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


ngx_int_t
ngx_live_read_growing(ngx_live_stream_sh_t *st, uint64_t id,
    ngx_live_track_sh_t *t, uint64_t msn, ngx_live_segment_sh_t *seg)
{
    uint64_t            tail, edge;
    uint32_t            parts;
    ngx_uint_t          tries;
    ngx_live_part_sh_t  first, last;

    for (tries = 0; tries < 8; tries++) {

        if (ngx_live_read_segment(st, id, t, msn, seg) == NGX_OK) {
            return NGX_OK;
        }

        if (ngx_live_read_edge(st, id, t, &tail, &edge, &parts) != NGX_OK) {
            return NGX_DECLINED;
        }

        if (msn < edge && msn >= tail) {
            continue;
        }

        if (msn != edge) {
            return NGX_DECLINED;
        }

        ngx_memzero(seg, sizeof(ngx_live_segment_sh_t));

        if (parts == 0) {
            return NGX_AGAIN;
        }

        if (ngx_live_read_part(st, id, t, msn, 0, &first) == NGX_OK
            && ngx_live_read_part(st, id, t, msn, parts - 1, &last)
               == NGX_OK)
        {
            seg->offset = first.offset;
            seg->size = last.offset + last.size - first.offset;
            seg->start = first.start;
            seg->parts = parts;

            return NGX_AGAIN;
        }
    }

    return NGX_DECLINED;
}


ngx_int_t
ngx_live_read_edge(ngx_live_stream_sh_t *st, uint64_t id,
    ngx_live_track_sh_t *t, uint64_t *tail, uint64_t *msn, uint32_t *parts)
{
    uint64_t             head, mask;
    ngx_live_part_sh_t  *slots, part;

    *tail = ngx_live_load(&t->segments.tail);
    *msn = ngx_live_load(&t->segments.head);
    *parts = 0;

    head = ngx_live_load(&t->parts.head);
    slots = ngx_live_load(&t->parts.slots);
    mask = ngx_live_load(&t->parts.mask);

    if (ngx_live_load(&st->id) != id) {
        return NGX_DECLINED;
    }

    if (head == ngx_live_load(&t->parts.tail)) {
        return NGX_OK;
    }

    part = slots[(head - 1) & mask];

    ngx_live_fence();

    if (ngx_live_load(&st->id) != id) {
        return NGX_DECLINED;
    }

    /* a writer seldom is a whole ring ahead of its reader */

    if (part.msn >= *msn && ngx_live_load(&t->parts.tail) < head) {
        *msn = part.msn;
        *parts = part.index + 1;
    }

    return NGX_OK;
}


ngx_int_t
ngx_live_read_init(ngx_live_stream_sh_t *st, uint64_t id,
    ngx_live_track_sh_t *t, uint32_t number, ngx_pool_t *pool,
    ngx_str_t *data)
{
    ngx_live_init_sh_t  *init, copy;

    init = &t->inits[number % NGX_LIVE_MAX_INITS];

    if (number == 0 || ngx_live_load(&init->number) != number) {
        return NGX_DECLINED;
    }

    copy = *init;

    ngx_live_fence();

    if (ngx_live_load(&init->number) != number
        || ngx_live_load(&st->id) != id)
    {
        return NGX_DECLINED;
    }

    data->len = copy.len;
    data->data = ngx_pnalloc(pool, copy.len);
    if (data->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(data->data, copy.data, copy.len);

    ngx_live_fence();

    if (ngx_live_load(&init->number) != number
        || ngx_live_load(&st->id) != id)
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}
