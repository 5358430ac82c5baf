
/*
 * Writes a track that follows the source: it is cut at the boundaries of the
 * source's segments, and its parts end where those of the source's video do,
 * so that players switch between renditions without a seam (HLS-46).  What it
 * is made of comes later than the source, so that all this is known by then.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_live_writer.h"
#include "ngx_live_upkeep.h"
#include "ngx_live_crash.h"


static ngx_int_t ngx_live_follow_segment(ngx_live_writer_t *w, int64_t dts,
    ngx_uint_t key);
static void ngx_live_follow_fill(ngx_live_writer_t *w, uint64_t msn,
    int64_t dts);
static ngx_int_t ngx_live_follow_full(ngx_live_writer_t *w, int64_t next);
static int64_t ngx_live_follow_part_end(ngx_live_writer_t *w);
static ngx_int_t ngx_live_follow_cut(ngx_live_writer_t *w, int64_t end);
static void ngx_live_follow_drop(ngx_live_writer_t *w);


ngx_int_t
ngx_live_follow_init(ngx_live_publication_t *pub, ngx_live_writer_t *w,
    ngx_live_track_sh_t *t, ngx_uint_t index)
{
    w->pub = pub;
    w->media = t->info.media;
    w->info = t->info;
    w->follows = 1;
    w->stage = ngx_alloc(NGX_LIVE_STAGE, pub->log);

    if (w->stage == NULL) {
        return NGX_ERROR;
    }

    w->sh = t;
    w->index = index;

    return NGX_OK;
}


void
ngx_live_follow_begin(ngx_live_writer_t *w)
{
    w->nboundaries = 0;
    w->nends = 0;
    w->end = 0;
    w->shown = 0;

    live_track_clock_init(&w->clock, &w->info, w->sh->fps);

    (void) ngx_live_track_trim(w->pub->zone, w->sh);
    w->sh->range = ngx_live_zone_range(w->pub->zone);
    ngx_live_writer_attach(w, w->sh, w->index);
}


void
ngx_live_follow_boundary(ngx_live_writer_t *w, ngx_live_boundary_t *b)
{
    /* so far behind the source, it goes on behind a gap */

    if (w->open && w->nboundaries == NGX_LIVE_BOUNDARIES) {
        (void) ngx_live_follow_gap(w, w->boundaries[0].us);
    }

    if (w->nboundaries == NGX_LIVE_BOUNDARIES) {
        ngx_memmove(w->boundaries, w->boundaries + 1,
                    --w->nboundaries * sizeof(ngx_live_boundary_t));
    }

    w->boundaries[w->nboundaries++] = *b;
}


ngx_int_t
ngx_live_follow_part(ngx_live_writer_t *w, int64_t us)
{
    if (w->nends == NGX_LIVE_ENDS) {
        ngx_live_follow_drop(w);
    }

    w->ends[w->nends++] = us;

    /* it may have had all of it before the source knew where it ends */

    if (w->media != LIVE_MEDIA_VIDEO || w->nsamples == 0
        || w->pub->st->part_target == 0
        || !live_track_clock_steady(&w->clock)
        || !ngx_live_follow_full(w, w->end))
    {
        return NGX_OK;
    }

    if (ngx_live_follow_cut(w, ngx_live_follow_part_end(w)) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_live_writer_flush(w);
}


static void
ngx_live_follow_drop(ngx_live_writer_t *w)
{
    ngx_memmove(w->ends, w->ends + 1, --w->nends * sizeof(int64_t));
}


ngx_int_t
ngx_live_follow_config(ngx_live_writer_t *w, const live_codec_info_t *info,
    const u_char *config, size_t len)
{
    u_char  *copy;

    if (w->config_len == len && w->config && !w->changed
        && ngx_memcmp(w->config, config, len) == 0)
    {
        return NGX_OK;
    }

    copy = ngx_alloc(len, w->pub->log);
    if (copy == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(copy, config, len);
    ngx_free(w->next_config);

    w->next_config = copy;
    w->next_len = len;
    w->next_info = *info;
    w->configured = 1;
    w->changed = 1;

    return NGX_OK;
}


ngx_int_t
ngx_live_follow_packet(ngx_live_writer_t *w, const live_sample_t *s,
    const u_char *data)
{
    int64_t    dts, least, ignored;
    ngx_int_t  rc;

    dts = s->dts;

    (void) live_track_clock_map(&w->clock,
                                live_ticks_to_us(dts, w->info.timescale),
                                &ignored);

    rc = ngx_live_follow_segment(w, dts, s->flags & LIVE_SAMPLE_KEY);

    if (rc != NGX_OK) {
        return rc;
    }

    /* its segment is a gap by now */

    if (w->media == LIVE_MEDIA_VIDEO && w->nsamples == 0 && w->seg.parts == 0
        && (dts < w->seg.start || !(s->flags & LIVE_SAMPLE_KEY)))
    {
        return NGX_DECLINED;
    }

    if (w->nsamples && ngx_live_follow_full(w, dts)
        && ngx_live_follow_cut(w, dts) != NGX_OK)
    {
        return NGX_ERROR;
    }

    least = w->nsamples ? w->samples[w->nsamples - 1].dts + 1 : w->end;

    w->frame = *s;
    w->frame.offset = w->pos;

    if (dts < least) {
        w->frame.cts -= (int32_t) (least - dts);
        w->frame.dts = least;
    }

    if (ngx_live_writer_append(w, (u_char *) data, s->size) != NGX_OK
        || ngx_live_writer_sample(w) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_live_crash_point("follow");

    /* without haste, what follows tells what this one lasts (DASH-66) */

    if (w->media == LIVE_MEDIA_VIDEO && w->pub->st->part_target == 0) {
        return NGX_OK;
    }

    /* the source has told where its part ends: the next packet need not come,
     * but where frames are irregular nobody knows what this one lasts */

    if (w->media == LIVE_MEDIA_VIDEO && w->nends
        && !live_track_clock_steady(&w->clock))
    {
        return w->nsamples < w->capacity ? NGX_OK
                                         : ngx_live_follow_cut(w, w->end);
    }

    if (ngx_live_follow_full(w, w->end)) {
        return ngx_live_follow_cut(w, ngx_live_follow_part_end(w));
    }

    return NGX_OK;
}


/*
 * Where the part ends that has all its samples.  What the last of them lasts
 * is an estimate, where frames are irregular a poor one; the source knows.
 * Only a rung of fewer frames may have none where a part of the source ends,
 * but it has one where a segment does.
 */

static int64_t
ngx_live_follow_part_end(ngx_live_writer_t *w)
{
    int64_t             end, frame, other;
    ngx_live_writer_t  *source;

    source = &w->pub->writers[LIVE_MEDIA_VIDEO];

    if (w->media != LIVE_MEDIA_VIDEO || w->nends == 0) {
        return w->end;
    }

    end = live_us_to_ticks(w->ends[0], w->info.timescale);
    frame = live_track_clock_duration(&w->clock);
    other = live_track_clock_duration(&source->clock);

    if (end <= w->samples[w->nsamples - 1].dts || end > w->end + frame) {
        return w->end;
    }

    if ((w->nboundaries && w->boundaries[0].us == w->ends[0])
        || frame < other + other / 2)
    {
        return end;
    }

    return w->end;
}


/* Takes the boundaries that the track has reached; video begins segments with
 * key frames only. */

static ngx_int_t
ngx_live_follow_segment(ngx_live_writer_t *w, int64_t dts, ngx_uint_t key)
{
    int64_t     us;
    ngx_uint_t  due;

    us = live_ticks_to_us(dts, w->info.timescale);

    for (due = 0; due < w->nboundaries; due++) {
        if (us < w->boundaries[due].us) {
            break;
        }
    }

    if (!w->open && due > 1) {

        /* it begins with the last of them */

        w->nboundaries -= due - 1;
        ngx_memmove(w->boundaries, w->boundaries + due - 1,
                    w->nboundaries * sizeof(ngx_live_boundary_t));
        due = 1;
    }

    if (due == 0 || (w->media == LIVE_MEDIA_VIDEO && !key)) {
        return w->open ? NGX_OK : NGX_DECLINED;
    }

    if (!w->open) {
        ngx_live_follow_fill(w, w->boundaries[0].msn, dts);
    }

    return ngx_live_cut_queued(w, us, dts);
}


/* Its list goes on where it had been interrupted. */

static void
ngx_live_follow_fill(ngx_live_writer_t *w, uint64_t msn, int64_t dts)
{
    int64_t                 end;
    uint64_t                head;
    ngx_live_track_sh_t    *t;
    ngx_live_segment_sh_t  *seg;

    t = w->sh;
    head = t->segments.head;

    while (t->segments.head > t->segments.tail && t->segments.head < msn) {
        ngx_live_publish_gap(w->pub->st, t);
        (void) ngx_live_upkeep_track(w->pub->zone, w->pub->st, t);
    }

    if (t->segments.head == head) {
        return;
    }

    /* sound begins with its first frame behind the boundary (HLS-21) */

    seg = ngx_live_slot(&t->segments, ngx_live_segment_sh_t,
                        t->segments.head - 1);
    end = seg->start + seg->duration;

    if (seg->timescale == w->info.timescale && dts > end
        && dts - end < 2 * (int64_t) live_track_clock_duration(&w->clock))
    {
        seg->duration = dts - seg->start;
    }
}


/* 1 when the part ends where the next sample is. */

static ngx_int_t
ngx_live_follow_full(ngx_live_writer_t *w, int64_t next)
{
    uint32_t  ms;
    int64_t   first, end, frame, near, most;

    first = w->samples[0].dts;
    frame = live_track_clock_duration(&w->clock);
    near = (w->media == LIVE_MEDIA_VIDEO) ? frame / 4 : 0;
    end = INT64_MAX;

    while (w->nends) {
        end = live_us_to_ticks(w->ends[0], w->info.timescale);

        if (end > first + near) {
            break;
        }

        ngx_live_follow_drop(w);
        end = INT64_MAX;
    }

    if (next >= end - near) {
        return 1;
    }

    if (w->nsamples >= w->capacity) {
        return 1;
    }

    /* the source has not told yet, it will with its next frame */

    if (w->media == LIVE_MEDIA_VIDEO && w->nends == 0) {
        return 0;
    }

    ms = ngx_max(w->pub->st->part, w->pub->st->part_target);
    most = (int64_t) ms * w->info.timescale / 1000;

    /* parts of the source keep to that */

    if (w->media == LIVE_MEDIA_VIDEO && end - first <= most) {
        return 0;
    }

    return next + frame - first > most;
}


static ngx_int_t
ngx_live_follow_cut(ngx_live_writer_t *w, int64_t end)
{
    if (ngx_live_writer_part(w, w->nsamples, end) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_live_writer_begin_part(w);
}


ngx_int_t
ngx_live_follow_gap(ngx_live_writer_t *w, int64_t us)
{
    while (w->nboundaries && us >= w->boundaries[0].us) {

        if (ngx_live_cut_queued(w, w->boundaries[0].us,
                                live_us_to_ticks(w->boundaries[0].us,
                                                 w->info.timescale))
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


void
ngx_live_follow_end(ngx_live_writer_t *w, int64_t end_us)
{
    if (w->open) {

        if (end_us == 0) {
            end_us = live_ticks_to_us(w->end, w->info.timescale);

        } else {

            /* what never came */

            (void) ngx_live_follow_gap(w, end_us);
        }

        (void) ngx_live_cut_interrupt(w, end_us);
    }

    (void) ngx_live_track_trim(w->pub->zone, w->sh);
}


void
ngx_live_follow_clear(ngx_live_writer_t *w)
{
    ngx_live_follow_end(w, 0);
    ngx_live_track_retire(w->pub->zone, w->sh, w->sh->segments.head);
    (void) ngx_live_track_trim(w->pub->zone, w->sh);
}


void
ngx_live_follow_free(ngx_live_writer_t *w, ngx_uint_t owned)
{
    if (!owned && w->sh && w->base) {
        ngx_live_publish_release(w);
    }

    ngx_free(w->config);
    ngx_free(w->next_config);
    ngx_free(w->stage);
    free(w->samples);
    free(w->arrived);
}
