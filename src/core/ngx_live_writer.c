
#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_live_writer.h"
#include "ngx_live_render.h"
#include "ngx_live_stat.h"
#include "ngx_live_upkeep.h"
#include "ngx_live_crash.h"
#include "live_cmaf.h"


static ngx_int_t ngx_live_writer_reserve(ngx_live_writer_t *w, size_t len);
static void ngx_live_writer_join(ngx_live_writer_t *w, live_sample_t *s);
static ngx_uint_t ngx_live_writer_near(ngx_live_writer_t *w, int64_t dts);
static ngx_uint_t ngx_live_writer_evict(ngx_live_writer_t *w);
static void ngx_live_writer_clip(ngx_live_writer_t *w, live_sample_t *last);
static ngx_int_t ngx_live_writer_header(ngx_live_writer_t *w, uint32_t n);
static void ngx_live_writer_publish_part(ngx_live_writer_t *w, uint32_t n,
    uint64_t size);
static void ngx_live_writer_push_part(ngx_live_writer_t *w, uint64_t offset,
    uint64_t size, int64_t start, int64_t end);
static void ngx_live_writer_fill(ngx_live_writer_t *w, int64_t start,
    int64_t end, uint64_t offset);
static ngx_int_t ngx_live_writer_room(ngx_live_writer_t *w, uint32_t n);
static void ngx_live_writer_publish_samples(ngx_live_writer_t *w, uint32_t n);
static void ngx_live_writer_publish_segment(ngx_live_writer_t *w);
static ngx_uint_t ngx_live_writer_bandwidth(ngx_live_writer_t *w);


void
ngx_live_writer_attach(ngx_live_writer_t *w, ngx_live_track_sh_t *t,
    ngx_uint_t index)
{
    w->sh = t;
    w->index = index;
    w->base = t->range;
    w->pos = w->base;
    w->reserved = w->base;
}


ngx_int_t
ngx_live_writer_open(ngx_live_writer_t *w, ngx_live_boundary_t *b)
{
    ngx_live_publication_t  *pub = w->pub;

    if (w->sh->parts.head && b->msn < w->sh->segments.head) {

        /* a number that was used never comes back (invariant 3) */

        ngx_log_error(NGX_LOG_ALERT, pub->log, 0,
                      "segment %uL would be made anew", b->msn);
        return NGX_ERROR;
    }

    /*
     * A range is left long before it ends, so that no segment can cross it
     * into the range of another track.
     */
    if (w->pos - w->base > (uint64_t) NGX_LIVE_RANGE / 2) {
        w->base = ngx_live_zone_range(pub->zone);
        w->sh->range = w->base;
        w->pos = w->base;
        w->reserved = w->base;
    }

    ngx_memzero(&w->seg, sizeof(ngx_live_segment_sh_t));
    w->shown = 0;

    /* pages are freed whole: no two segments share one */
    w->pos = ngx_align(w->pos, NGX_LIVE_PAGE);

    if (w->sh->segments.head != b->msn) {

        /* a track that begins later than the stream */

        ngx_live_track_retire(pub->zone, w->sh, w->sh->segments.head);

        w->sh->segments.head = b->msn;
        w->sh->segments.tail = b->msn;
        w->sh->listed = b->msn;
        w->sh->retired = b->msn;
    }

    if (b->flags & LIVE_SEGMENT_DISCONTINUITY) {
        /* an interruption is no interval between key frames */
        w->sh->stat.keyed = 0;
    }

    w->at = *b;
    w->broken = 0;
    w->seg.offset = w->pos;
    w->seg.flags = b->flags;
    w->seg.dsn = b->dsn;
    w->seg.shift = b->shift;
    w->seg.init = w->sh->init;
    w->seg.part = w->sh->parts.head;
    w->seg.timescale = w->sh->info.timescale;
    w->seg.start = live_us_to_ticks(b->us, w->seg.timescale);
    w->open = 1;

    w->sh->ends = 0;
    w->sh->open = w->seg;
    ngx_live_crash_point("open");
    ngx_live_store(&w->sh->open_msn, b->msn);

    return ngx_live_writer_begin_part(w);
}


ngx_int_t
ngx_live_writer_begin_part(ngx_live_writer_t *w)
{
    uint32_t  n, ms, frame;

    frame = live_track_clock_duration(&w->clock);

    /*
     * Nothing is known of the rate yet, or frames come as they like, so that
     * the last distance says little: room for 60 a second.
     */
    if (frame < w->info.timescale / 300
        || (frame > w->info.timescale / 60
            && w->media == LIVE_MEDIA_VIDEO
            && !live_track_clock_steady(&w->clock)))
    {
        frame = w->info.timescale / 60;
    }

    ms = ngx_max(w->pub->st->part, w->pub->st->part_target);
    n = (uint64_t) ms * w->info.timescale / 1000 / frame + 2;

    /* what is moved here, and the frame that is arriving */

    if (ngx_live_writer_room(w, ngx_max(n, w->nsamples + 2)) != NGX_OK) {
        return NGX_ERROR;
    }

    w->capacity = n;
    w->room = live_cmaf_header_room(w->media, n);
    w->part = w->pos;
    w->pos += w->room;
    w->nsamples = 0;

    return ngx_live_writer_reserve(w, 0);
}


static ngx_int_t
ngx_live_writer_room(ngx_live_writer_t *w, uint32_t n)
{
    uint64_t       *arrived;
    live_sample_t  *samples;

    if (w->allocated >= n) {
        return NGX_OK;
    }

    samples = realloc(w->samples, n * sizeof(live_sample_t));
    if (samples == NULL) {
        return NGX_ERROR;
    }

    w->samples = samples;

    arrived = realloc(w->arrived, n * sizeof(uint64_t));
    if (arrived == NULL) {
        return NGX_ERROR;
    }

    w->arrived = arrived;
    w->allocated = n;

    return NGX_OK;
}


ngx_int_t
ngx_live_writer_append(ngx_live_writer_t *w, u_char *data, size_t len)
{
    if (len == 0) {
        return NGX_OK;
    }

    if ((w->niov == NGX_LIVE_IOVS || w->staged + len > NGX_LIVE_STAGE)
        && ngx_live_writer_flush(w) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_live_writer_reserve(w, len) != NGX_OK) {
        return NGX_ERROR;
    }

    if (w->niov == 0) {
        w->pending = w->pos;
    }

    w->pos += len;

    if (w->stage && len <= NGX_LIVE_STAGE) {

        /* one write for many small frames, at the latest with their part */

        ngx_memcpy(w->stage + w->staged, data, len);
        w->staged += len;

        w->iov[0].iov_base = w->stage;
        w->iov[0].iov_len = w->staged;
        w->niov = 1;

        return NGX_OK;
    }

    w->iov[w->niov].iov_base = data;
    w->iov[w->niov].iov_len = len;
    w->niov++;

    /* the caller's memory does not outlive the call when frames are staged */

    return w->stage ? ngx_live_writer_flush(w) : NGX_OK;
}


ngx_int_t
ngx_live_writer_flush(ngx_live_writer_t *w)
{
    size_t   size;
    ssize_t  n;

    if (w->niov == 0) {
        return NGX_OK;
    }

    size = w->pos - w->pending;

    do {
        n = pwritev(w->pub->zone->fd, w->iov, w->niov, w->pending);
    } while (n == -1 && ngx_errno == NGX_EINTR);

    w->niov = 0;
    w->staged = 0;

    ngx_live_crash_point("append");

    if (n == (ssize_t) size) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_CRIT, w->pub->log, n == -1 ? ngx_errno : 0,
                  "writing %uz bytes to the live zone failed: %z, publishing "
                  "ends: the machine has too little memory, make \"zone\" "
                  "smaller", size, n);

    return NGX_ERROR;
}


/* Takes budget for what the log holds and len bytes more. */

static ngx_int_t
ngx_live_writer_reserve(ngx_live_writer_t *w, size_t len)
{
    size_t  need;

    if (w->pos + len <= w->reserved) {
        return NGX_OK;
    }

    need = ngx_align(w->pos + len - w->reserved, NGX_LIVE_EXTENT);

    while (ngx_live_zone_reserve(w->pub->zone, w->sh, need) != NGX_OK) {

        if (!ngx_live_writer_evict(w)) {
            ngx_log_error(NGX_LOG_ERR, w->pub->log, 0,
                          "the live zone is full, publishing ends: make "
                          "\"zone\" larger or \"window\" shorter");
            return NGX_ERROR;
        }
    }

    w->reserved += need;

    return NGX_OK;
}


/* At the bound a publication pays with its own oldest segment. */

static ngx_uint_t
ngx_live_writer_evict(ngx_live_writer_t *w)
{
    ngx_uint_t             i;
    uint64_t               most, listed;
    ngx_live_track_sh_t   *t, *victim;
    ngx_live_stream_sh_t  *st;

    st = w->pub->st;
    victim = NULL;
    most = 1;

    for (i = 0; i < st->ntracks; i++) {
        t = &st->tracks[i];

        if (t->segments.head - t->segments.tail > 3 && t->bytes > most) {
            victim = t;
            most = t->bytes;
        }
    }

    if (victim == NULL) {
        return 0;
    }

    listed = victim->listed;

    ngx_live_stat_evicted(w->pub->zone,
                          ngx_live_slot(&victim->segments,
                                        ngx_live_segment_sh_t,
                                        victim->segments.tail)->size);

    ngx_live_track_retire(w->pub->zone, victim, victim->segments.tail + 1);

    /* what was made of it goes with it */
    ngx_live_ts_advance(w->pub->zone, st);

    /* a playlist names only what is there */

    if (victim->listed != listed) {
        ngx_live_render_now(w->pub->zone, st, NGX_LIVE_RENDER_ALL);
    }

    return 1;
}


ngx_int_t
ngx_live_writer_sample(ngx_live_writer_t *w)
{
    live_sample_t  *s;

    if (ngx_live_writer_room(w, w->nsamples + 1) != NGX_OK) {
        return NGX_ERROR;
    }

    s = &w->samples[w->nsamples];
    w->arrived[w->nsamples] = ngx_live_stat_now();

    /* less than was announced may have come */

    w->frame.size = w->pos - w->frame.offset;

    *s = w->frame;
    s->duration = live_track_clock_duration(&w->clock);

    if (w->nsamples == 0 && w->seg.parts == 0) {
        ngx_live_writer_join(w, s);
    }

    if (w->nsamples == 0 && s->dts > w->end
        && (w->seg.parts || ngx_live_writer_near(w, s->dts)))
    {
        /* the frame that had ended the part was dropped, or is late; the
         * times of decoding go on without a gap (CMAF-14) */

        if (w->media == LIVE_MEDIA_VIDEO) {
            s->cts += s->dts - w->end;
        }

        s->dts = w->end;
    }

    if (w->nsamples == 0 && w->seg.parts == 0) {
        w->seg.start = s->dts;

        /* pictures behind a recovery point may still need those before it
         * (HLS-23) */

        if ((s->flags & (LIVE_SAMPLE_KEY|LIVE_SAMPLE_OPEN))
            == LIVE_SAMPLE_KEY)
        {
            w->seg.flags |= LIVE_SEGMENT_INDEPENDENT;
        }
    }

    w->nsamples++;
    w->end = s->dts + s->duration;
    w->shown = ngx_max(w->shown, w->end + s->cts);

    return NGX_OK;
}


/*
 * Sound that begins later than its segment behind a discontinuity begins with
 * it all the same, as where it was lost (HLS-46).
 */

static void
ngx_live_writer_join(ngx_live_writer_t *w, live_sample_t *s)
{
    if (w->media == LIVE_MEDIA_AUDIO && !w->follows
        && (w->seg.flags & LIVE_SEGMENT_DISCONTINUITY)
        && s->dts - w->seg.start
           > (int64_t) live_track_clock_duration(&w->clock))
    {
        s->dts = ngx_max(w->seg.start, w->end);
    }
}


/*
 * 1 when a segment begins less than a frame behind the end of the last, or
 * where sound was lost across its begin.
 */

static ngx_uint_t
ngx_live_writer_near(ngx_live_writer_t *w, int64_t dts)
{
    if (w->end == 0 || (w->seg.flags & LIVE_SEGMENT_DISCONTINUITY)) {
        return 0;
    }

    if (w->media == LIVE_MEDIA_AUDIO && !w->follows) {
        return 1;
    }

    return w->pub->st->part_target
           && dts - w->end < (int64_t) live_track_clock_duration(&w->clock);
}


ngx_int_t
ngx_live_writer_part(ngx_live_writer_t *w, uint32_t n, int64_t end)
{
    int64_t         duration;
    uint32_t        i;
    uint64_t        size;
    live_sample_t  *last;

    if (n == 0) {
        w->pos = w->part;
        return NGX_OK;
    }

    /* what came was not always where the clock had expected it (CMAF-14) */

    for (i = 1; i < n; i++) {
        w->samples[i - 1].duration = w->samples[i].dts
                                     - w->samples[i - 1].dts;
    }

    last = &w->samples[n - 1];
    duration = end - last->dts;

    if (duration > 0 && duration < (int64_t) UINT32_MAX) {
        last->duration = duration;
    }

    w->end = last->dts + last->duration;
    ngx_live_writer_clip(w, last);

    size = last->offset + last->size - w->part;

    if (ngx_live_writer_flush(w) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_live_crash_point("payload");

    if (ngx_live_writer_header(w, n) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_live_crash_point("header");

    /* it may have been stopped for so long that another one writes now */

    if (!ngx_live_publish_owns(w->pub)) {
        return NGX_ERROR;
    }

    ngx_live_writer_publish_samples(w, n);

    ngx_live_crash_point("samples");

    ngx_live_stat_samples(w, n);
    ngx_live_writer_publish_part(w, n, size);

    w->seg.size = w->part + size - w->seg.offset;
    w->nsamples -= n;

    if (w->nsamples) {
        ngx_memmove(w->samples, w->samples + n,
                    w->nsamples * sizeof(live_sample_t));
        ngx_memmove(w->arrived, w->arrived + n,
                    w->nsamples * sizeof(uint64_t));
    }

    if (w->pub->tap && w->media == LIVE_MEDIA_VIDEO && !w->follows) {
        ngx_live_tap->part(w->pub->tap,
                           live_ticks_to_us(w->end, w->info.timescale));
    }

    return NGX_OK;
}


/*
 * Less than a frame too long is what coarse timestamps make: the next sample
 * is decoded as much earlier, and presented when it should be.
 */

static void
ngx_live_writer_clip(ngx_live_writer_t *w, live_sample_t *last)
{
    int64_t  excess;

    excess = w->end - w->samples[0].dts
             - (int64_t) w->pub->st->part_target * w->info.timescale / 1000;

    if (w->pub->st->part_target && excess > 0
        && excess < (int64_t) live_track_clock_duration(&w->clock)
        && excess < (int64_t) last->duration)
    {
        last->duration -= excess;
        w->end -= excess;
    }
}


static ngx_int_t
ngx_live_writer_header(ngx_live_writer_t *w, uint32_t n)
{
    u_char   buf[32 * 1024];
    ssize_t  size;

    if (w->room > sizeof(buf)
        || live_cmaf_write_header(buf, w->room, w->media, ++w->sequence,
                                  w->samples, n)
           != LIVE_OK)
    {
        ngx_log_error(NGX_LOG_ALERT, w->pub->log, 0,
                      "%uD samples do not fit a header of %uz bytes",
                      n, w->room);
        return NGX_ERROR;
    }

    size = pwrite(w->pub->zone->fd, buf, w->room, w->part);

    if (size != (ssize_t) w->room) {
        ngx_log_error(NGX_LOG_CRIT, w->pub->log, size == -1 ? ngx_errno : 0,
                      "writing a header to the live zone failed, publishing "
                      "ends: the machine has too little memory, make "
                      "\"zone\" smaller");
        return NGX_ERROR;
    }

    return NGX_OK;
}


/*
 * Announced is no more than the part target (HLS-50): the rest of a sample
 * that lasts longer is a gap, which has a number but no media.
 */

static void
ngx_live_writer_publish_part(ngx_live_writer_t *w, uint32_t n, uint64_t size)
{
    int64_t  start, end, most;

    start = w->samples[0].dts;
    end = w->end;

    if (w->pub->st->part_target) {
        most = (int64_t) w->pub->st->part_target * w->info.timescale / 1000;
        end = ngx_min(end, start + most);
    }

    ngx_live_writer_push_part(w, w->part, size, start, end);
    ngx_live_stat_part(w, end - start);

    if (w->samples[0].flags & LIVE_SAMPLE_KEY) {
        ngx_live_slot(&w->sh->parts, ngx_live_part_sh_t, w->sh->parts.head)
            ->flags = LIVE_SEGMENT_INDEPENDENT;
    }

    ngx_live_crash_point("part");

    ngx_live_store(&w->sh->parts.head, w->sh->parts.head + 1);

    ngx_live_crash_point("part-head");

    ngx_live_writer_fill(w, end, w->end, w->part + size);

    if (w->pub->st->part_target) {
        ngx_live_render_later(w->pub->zone, w->pub->st,
                              NGX_LIVE_RENDER_MEDIA);
    }
}


/* Gaps from start to end, behind the bytes that end at offset. */

static void
ngx_live_writer_fill(ngx_live_writer_t *w, int64_t start, int64_t end,
    uint64_t offset)
{
    int64_t  next, most;

    most = (int64_t) w->pub->st->part_target * w->info.timescale / 1000;

    if (most == 0) {
        return;
    }

    for ( /* void */ ; start < end; start = next) {
        next = ngx_min(end, start + most);

        ngx_live_writer_push_part(w, offset, 0, start, next);

        ngx_live_slot(&w->sh->parts, ngx_live_part_sh_t, w->sh->parts.head)
            ->flags = LIVE_SEGMENT_GAP;

        ngx_live_store(&w->sh->parts.head, w->sh->parts.head + 1);
    }
}


/* Fills the next record; the caller publishes it. */

static void
ngx_live_writer_push_part(ngx_live_writer_t *w, uint64_t offset,
    uint64_t size, int64_t start, int64_t end)
{
    ngx_live_part_sh_t  *part;
    ngx_live_ring_sh_t  *ring;

    ring = &w->sh->parts;

    while (ring->head - ring->tail > ring->mask) {

        if (w->sh->segments.tail < w->sh->segments.head) {
            ngx_live_track_retire(w->pub->zone, w->sh,
                                  w->sh->segments.tail + 1);
            continue;
        }

        ngx_live_store(&ring->tail, ring->tail + 1);
    }

    part = ngx_live_slot(ring, ngx_live_part_sh_t, ring->head);

    part->offset = offset;
    part->size = size;
    part->msn = w->at.msn;
    part->index = w->seg.parts++;
    part->start = start;
    part->duration = end - start;
    part->flags = 0;
}


static void
ngx_live_writer_publish_samples(ngx_live_writer_t *w, uint32_t n)
{
    uint32_t             i;
    ngx_live_ring_sh_t  *ring;

    ring = &w->sh->samples;

    for (i = 0; i < n; i++) {

        if (ring->head - ring->tail > ring->mask) {
            ngx_live_store(&ring->tail, ring->tail + 1);
        }

        *ngx_live_slot(ring, live_sample_t, ring->head) = w->samples[i];

        ngx_live_crash_point("sample");

        ngx_live_store(&ring->head, ring->head + 1);
    }
}


ngx_int_t
ngx_live_writer_close(ngx_live_writer_t *w, uint32_t n, int64_t end)
{
    ngx_live_part_sh_t  *last;

    if (ngx_live_writer_part(w, n, end) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_live_crash_point("close");

    if (!ngx_live_publish_owns(w->pub)) {
        return NGX_ERROR;
    }

    w->open = 0;

    if (w->seg.parts == 0) {

        /* nothing came: its time is named, its media is not (HLS-22) */

        w->seg.flags |= LIVE_SEGMENT_GAP;

        /* no sample makes less than a frame good here (HLS-21) */

        if (w->seg.start < w->end
            || (!(w->seg.flags & LIVE_SEGMENT_DISCONTINUITY)
                && w->seg.start - w->end
                   < (int64_t) live_track_clock_duration(&w->clock)))
        {
            w->seg.start = w->end;
        }

        w->seg.duration = end - w->seg.start;

        if (w->seg.duration <= 0) {
            w->seg.duration = 1;
        }

        w->end = ngx_max(w->end, w->seg.start + w->seg.duration);

    } else {

        /*
         * Samples that belong to the next segment do not count; what was
         * dropped behind the last part does (HLS-21).
         */

        last = ngx_live_slot(&w->sh->parts, ngx_live_part_sh_t,
                             w->sh->parts.head - 1);

        w->end = last->start + (int64_t) last->duration;

        /* less than a frame is made good by the next sample */

        if (end - w->end >= (int64_t) live_track_clock_duration(&w->clock)
            || w->pub->st->part_target == 0)
        {
            end = ngx_max(end, w->end);
            ngx_live_writer_fill(w, w->end, end,
                                 w->seg.offset + w->seg.size);
            w->seg.rest = w->broken ? end - w->end : 0;
            w->end = end;
        }

        w->seg.duration = w->end - w->seg.start;
    }

    ngx_live_writer_publish_segment(w);

    return NGX_OK;
}


static void
ngx_live_writer_publish_segment(ngx_live_writer_t *w)
{
    uint32_t                docs;
    ngx_live_ring_sh_t     *ring;
    ngx_live_stream_sh_t   *st;
    ngx_live_publication_t *pub;

    pub = w->pub;
    st = pub->st;
    ring = &w->sh->segments;

    w->seg.published = ngx_live_now();

    ngx_live_stat_segment(w);

    *ngx_live_slot(ring, ngx_live_segment_sh_t, ring->head) = w->seg;

    ngx_live_crash_point("segment");

    ngx_live_store(&ring->head, ring->head + 1);

    ngx_live_crash_point("segment-head");

    ngx_live_store(&w->sh->open_msn, 0);

    docs = NGX_LIVE_RENDER_MEDIA|NGX_LIVE_RENDER_TS|NGX_LIVE_RENDER_MPD;

    if (ngx_live_writer_bandwidth(w)) {
        docs |= NGX_LIVE_RENDER_MULTIVARIANT;
    }

    ngx_live_period_advance(st);

    (void) ngx_live_upkeep_track(pub->zone, st, w->sh);

    ngx_live_render_later(pub->zone, st, docs);
}


/*
 * The announced peak only grows, in steps with room to spare, and the average
 * follows from 10 % on, so that the multivariant playlist seldom changes
 * (HLS-35, HLS-36).
 */

static ngx_uint_t
ngx_live_writer_bandwidth(ngx_live_writer_t *w)
{
    uint64_t              rate, bits;
    ngx_uint_t            changed;
    ngx_live_track_sh_t  *t;

    t = w->sh;
    bits = (uint64_t) w->seg.size * 8;

    if (w->seg.flags & LIVE_SEGMENT_GAP) {
        return 0;
    }

    t->bits += bits;
    t->ticks += w->seg.duration;

    rate = (double) t->bits * t->info.timescale / t->ticks;
    changed = (rate > t->average + t->average / 10);

    /* short segments at a discontinuity say nothing about the rate */

    if (t->bandwidth
        && w->seg.duration * 1000
           < (int64_t) w->pub->st->segment / 2 * t->info.timescale)
    {
        return changed;
    }

    rate = bits * t->info.timescale / w->seg.duration;

    if (rate <= t->bandwidth) {
        return changed;
    }

    t->bandwidth = (rate + rate / 10 + 999) / 1000 * 1000;

    return 1;
}
