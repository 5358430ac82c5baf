
/*
 * Ends parts and segments of a track before the newest of its samples, which
 * are moved to the next ones.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_live_writer.h"


static ngx_int_t ngx_live_writer_carry(ngx_live_writer_t *w, uint32_t n,
    ngx_live_boundary_t *b);
static void ngx_live_writer_rewind(ngx_live_writer_t *w, uint32_t n);
static void ngx_live_writer_moved(ngx_live_writer_t *w, uint32_t n,
    uint64_t delta, ngx_live_boundary_t *b);


ngx_int_t
ngx_live_writer_split(ngx_live_writer_t *w, uint32_t n,
    ngx_live_boundary_t *b)
{
    return ngx_live_writer_carry(w, n, b);
}


ngx_int_t
ngx_live_writer_cut(ngx_live_writer_t *w, uint32_t n)
{
    if (n == w->nsamples && !w->arriving) {

        if (ngx_live_writer_part(w, n, w->end) != NGX_OK) {
            return NGX_ERROR;
        }

        return ngx_live_writer_begin_part(w);
    }

    return ngx_live_writer_carry(w, n, NULL);
}


/* Back to the end of the first n samples, which the segment has. */

static void
ngx_live_writer_rewind(ngx_live_writer_t *w, uint32_t n)
{
    live_sample_t          *last;
    ngx_live_ring_sh_t     *ring;
    ngx_live_segment_sh_t  *seg;

    ring = &w->sh->segments;

    if (n) {
        last = &w->samples[n - 1];
        w->end = last->dts + last->duration;

    } else if (w->seg.parts == 0 && w->nsamples) {

        w->end = w->seg.start;

        if (ring->head > ring->tail
            && !(w->seg.flags & LIVE_SEGMENT_DISCONTINUITY))
        {
            seg = ngx_live_slot(ring, ngx_live_segment_sh_t, ring->head - 1);

            if (seg->timescale == w->seg.timescale) {
                w->end = seg->start + seg->duration;
            }
        }
    }
}


/*
 * Ends the part, with b also the segment, with n samples; what is behind them
 * in the log goes behind the next header.
 */

static ngx_int_t
ngx_live_writer_carry(ngx_live_writer_t *w, uint32_t n,
    ngx_live_boundary_t *b)
{
    size_t     len;
    u_char    *buf;
    int64_t    end;
    ssize_t    size;
    uint32_t   moved;
    uint64_t   from, delta;
    ngx_int_t  rc;

    if (ngx_live_writer_flush(w) != NGX_OK) {
        return NGX_ERROR;
    }

    moved = w->nsamples - n;
    from = moved ? w->samples[n].offset : w->frame.offset;
    end = moved ? w->samples[n].dts : w->frame.dts;
    len = w->pos - from;

    if (b && w->media == LIVE_MEDIA_AUDIO) {

        ngx_live_writer_rewind(w, n);
        end = ngx_live_cut_joint(w, b, end);

        if (moved) {
            w->samples[n].dts = end;
        }
    }

    buf = ngx_alloc(ngx_max(len, 1), w->pub->log);
    if (buf == NULL) {
        return NGX_ERROR;
    }

    rc = NGX_ERROR;

    size = pread(w->pub->zone->fd, buf, len, from);

    if (size != (ssize_t) len) {
        goto done;
    }

    if (b) {
        if (ngx_live_writer_close(w, n, end) != NGX_OK) {
            goto done;
        }

        /* pages behind the end of a segment would never be freed */

        w->pos = n ? from : w->seg.parts ? w->part : w->seg.offset;

        if (ngx_live_writer_open(w, b) != NGX_OK) {
            goto done;
        }

    } else {
        if (ngx_live_writer_part(w, n, end) != NGX_OK) {
            goto done;
        }

        w->pos = from;

        if (ngx_live_writer_begin_part(w) != NGX_OK) {
            goto done;
        }
    }

    delta = w->pos - from;

    if (ngx_live_writer_append(w, buf, len) != NGX_OK
        || ngx_live_writer_flush(w) != NGX_OK)
    {
        goto done;
    }

    ngx_live_writer_moved(w, moved, delta, b);

    w->frame.offset += delta;
    rc = NGX_OK;

done:

    ngx_free(buf);

    return rc;
}


/* The part begins with samples that were moved by delta. */

static void
ngx_live_writer_moved(ngx_live_writer_t *w, uint32_t n, uint64_t delta,
    ngx_live_boundary_t *b)
{
    uint32_t        i;
    live_sample_t  *first, *last;

    w->nsamples = n;

    if (n == 0) {
        return;
    }

    for (i = 0; i < n; i++) {
        w->samples[i].offset += delta;
    }

    first = &w->samples[0];
    last = &w->samples[n - 1];

    /* the part before may have been clipped */

    if (first->dts > w->end) {

        if (w->media == LIVE_MEDIA_VIDEO) {
            first->cts += (int32_t) (first->dts - w->end);
        }

        first->dts = w->end;
    }

    w->end = last->dts + last->duration;

    if (b) {
        w->seg.start = first->dts;
        w->seg.flags |= LIVE_SEGMENT_INDEPENDENT;
    }
}
