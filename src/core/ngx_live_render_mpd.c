
/*
 * DASH: which segments make a period, and the manifest.
 *
 * With low latency a player must know where segments that do not exist yet
 * will be (DASH-40), so they are promised on a grid as long as the encoder's
 * key frames keep to one.  Where they leave it a period begins that lists what
 * there is (DASH-26, DASH-52), until they are regular again.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_live_render.h"
#include "ngx_live_crash.h"
#include "live_mpd.h"
#include "live_clock.h"


#define NGX_LIVE_PERIOD_REGULAR  8      /* segments that make a grid again */

/* segments of a grid that is no whole number of ticks: half a tick of 8 kHz
 * sound for each adds up to a quarter of a second */
#define NGX_LIVE_PERIOD_INEXACT  4000

/* us that the dates of segments may have moved within a period; less than
 * what live_drift.h corrects at once, so that the next one is right */
#define NGX_LIVE_PERIOD_SHIFT    40000


static ngx_live_track_sh_t *ngx_live_period_track(ngx_live_stream_sh_t *st,
    uint64_t *msn);
static void ngx_live_period_segment(ngx_live_stream_sh_t *st,
    ngx_live_track_sh_t *t, uint64_t msn);
static int64_t ngx_live_period_start(ngx_live_segment_sh_t *seg);
static int64_t ngx_live_period_duration(ngx_live_segment_sh_t *seg);
static void ngx_live_period_begin(ngx_live_stream_sh_t *st, uint64_t msn,
    ngx_live_segment_sh_t *seg, int64_t grid_us);
static ngx_uint_t ngx_live_period_exact(ngx_live_stream_sh_t *st,
    ngx_live_period_sh_t *p);
static ngx_uint_t ngx_live_period_off(ngx_live_period_sh_t *p, uint64_t msn,
    int64_t start, int64_t duration);
static uint32_t ngx_live_period_tracks(ngx_live_stream_sh_t *st,
    uint64_t msn);
static uint32_t ngx_live_period_rungs(ngx_live_stream_sh_t *st);
static ngx_uint_t ngx_live_period_regular(ngx_live_track_sh_t *t,
    uint64_t from, uint64_t msn);
static void ngx_live_mpd_init(live_mpd_t *mpd, ngx_live_stream_sh_t *st);
static void ngx_live_mpd_write(ngx_live_zone_t *zone,
    ngx_live_stream_sh_t *st, live_mpd_t *mpd);
static ngx_uint_t ngx_live_mpd_period(ngx_live_stream_sh_t *st, uint64_t n,
    live_mpd_period_t *p, live_mpd_track_t *tracks,
    live_m3u8_segment_t **segments, uint32_t *shown);
static void ngx_live_mpd_exact(ngx_live_track_sh_t *t, uint64_t msn,
    uint64_t n, live_m3u8_segment_t *segments);
static ngx_uint_t ngx_live_mpd_has(ngx_live_stream_sh_t *st,
    ngx_live_period_sh_t *sh, ngx_uint_t track);
static ngx_uint_t ngx_live_mpd_changed(ngx_live_doc_sh_t *doc,
    live_writer_t *w);
static uint64_t ngx_live_mpd_limit(ngx_live_stream_sh_t *st,
    ngx_live_period_sh_t *sh);


#define ngx_live_period(st, n)                                                \
    (&(st)->periods[(n) % NGX_LIVE_MAX_PERIODS])


void
ngx_live_period_advance(ngx_live_stream_sh_t *st)
{
    uint64_t              msn;
    ngx_live_track_sh_t  *t;

    for ( ;; ) {
        msn = st->judged;
        t = ngx_live_period_track(st, &msn);

        if (t == NULL) {
            return;
        }

        ngx_live_period_segment(st, t, msn);

        ngx_live_crash_point("period");

        st->judged = msn + 1;
    }
}


/*
 * The track that tells of segment *msn, or of the first one behind it that
 * there is: the one that leads, and of what was before its begin another one of
 * the source.  NULL: it is not complete there.
 */

static ngx_live_track_sh_t *
ngx_live_period_track(ngx_live_stream_sh_t *st, uint64_t *msn)
{
    uint64_t              first, next;
    ngx_uint_t            i;
    ngx_live_track_sh_t  *t, *lead, *found;

    lead = ngx_live_stream_lead(st);
    found = NULL;
    next = (uint64_t) -1;

    for (i = 0; i < st->ntracks; i++) {
        t = &st->tracks[i];
        first = t->segments.head > t->segments.tail ? t->segments.tail
                                                    : t->open_msn;

        if (t->rung || first == 0) {
            continue;
        }

        first = ngx_max(first, *msn);

        if (first < next || (first == next && t == lead)) {
            next = first;
            found = t;
        }
    }

    *msn = next;

    return (found && next < found->segments.head) ? found : NULL;
}


static void
ngx_live_period_segment(ngx_live_stream_sh_t *st, ngx_live_track_sh_t *t,
    uint64_t msn)
{
    int64_t                 start, duration, grid;
    uint32_t                tracks;
    ngx_live_period_sh_t   *p;
    ngx_live_segment_sh_t  *seg;

    seg = ngx_live_slot(&t->segments, ngx_live_segment_sh_t, msn);

    start = ngx_live_period_start(seg);
    duration = ngx_live_period_duration(seg);

    p = st->nperiods ? ngx_live_period(st, st->nperiods - 1) : NULL;
    tracks = ngx_live_period_tracks(st, msn);

    /* who began it has died then */

    if (p && p->msn == msn) {
        return;
    }

    if (p == NULL || (seg->flags & LIVE_SEGMENT_DISCONTINUITY)
        || ((p->tracks ^ tracks) & ~ngx_live_period_rungs(st)))
    {
        /* less than two parts is what an interruption has left */

        grid = duration >= (int64_t) st->part_target * 2000 ? duration : 0;

        ngx_live_period_begin(st, msn, seg, st->part_target ? grid : 0);
        return;
    }

    if (p->tracks != tracks
        || ngx_abs(seg->shift - p->shift) > NGX_LIVE_PERIOD_SHIFT)
    {
        /* rungs come and go, and dates move; the source goes on as it did */

        grid = ngx_live_period_off(p, msn, start, duration) ? 0 : p->grid_us;

        ngx_live_period_begin(st, msn, seg, grid);
        return;
    }

    if (st->part_target == 0) {
        return;
    }

    if (p->grid_us == 0) {

        if (msn - p->msn >= NGX_LIVE_PERIOD_REGULAR
            && ngx_live_period_regular(t, msn - NGX_LIVE_PERIOD_REGULAR + 1,
                                       msn))
        {
            ngx_live_period_begin(st, msn, seg, duration);
        }

        return;
    }

    if (ngx_live_period_off(p, msn, start, duration)) {
        ngx_live_period_begin(st, msn, seg, 0);

    } else if (msn - p->msn >= NGX_LIVE_PERIOD_INEXACT
               && !ngx_live_period_exact(st, p))
    {
        ngx_live_period_begin(st, msn, seg, p->grid_us);
    }
}


/* 1 where the grid is a whole number of ticks of all tracks. */

static ngx_uint_t
ngx_live_period_exact(ngx_live_stream_sh_t *st, ngx_live_period_sh_t *p)
{
    uint64_t    rest;
    ngx_uint_t  i;

    for (i = 0; i < st->ntracks; i++) {
        rest = (uint64_t) (p->grid_us % 1000000)
               * st->tracks[i].info.timescale;

        if ((p->tracks & (1u << i)) && rest % 1000000) {
            return 0;
        }
    }

    return 1;
}


/*
 * 1 when a segment has left the grid of its period.  One that is too short may
 * be the last one of a publication: it is the segment behind it that is off.
 */

static ngx_uint_t
ngx_live_period_off(ngx_live_period_sh_t *p, uint64_t msn, int64_t start,
    int64_t duration)
{
    int64_t  off;

    if (p->grid_us == 0) {
        return 0;
    }

    off = start - p->start_us - (int64_t) (msn - p->msn) * p->grid_us;

    return off < -p->grid_us / 4
           || off + ngx_max(duration - p->grid_us, 0) > p->grid_us / 4;
}


static int64_t
ngx_live_period_start(ngx_live_segment_sh_t *seg)
{
    return live_ticks_to_us(seg->start, seg->timescale);
}


static int64_t
ngx_live_period_duration(ngx_live_segment_sh_t *seg)
{
    return live_ticks_to_us(seg->start + seg->duration, seg->timescale)
           - ngx_live_period_start(seg);
}


static void
ngx_live_period_begin(ngx_live_stream_sh_t *st, uint64_t msn,
    ngx_live_segment_sh_t *seg, int64_t grid_us)
{
    ngx_live_period_sh_t  *p;

    p = ngx_live_period(st, st->nperiods);

    /* numbers of before a restart are not used again */

    p->id = st->first_msn + st->nperiods;
    p->msn = msn;
    p->start_us = ngx_live_period_start(seg);
    p->shift = seg->shift;
    p->grid_us = grid_us;
    p->tracks = ngx_live_period_tracks(st, msn);
    p->limit = 0;
    p->shown = 0;

    ngx_live_store(&st->nperiods, st->nperiods + 1);
}


/*
 * Those of the source, and the rungs that have this segment or are making it:
 * they may be some time behind.
 */

static uint32_t
ngx_live_period_tracks(ngx_live_stream_sh_t *st, uint64_t msn)
{
    uint32_t              bits;
    uint64_t              first;
    ngx_uint_t            i;
    ngx_live_track_sh_t  *t;

    bits = 0;

    for (i = 0; i < st->ntracks; i++) {
        t = &st->tracks[i];

        if (!ngx_live_render_playing(st, t)) {
            continue;
        }

        if (t->rung) {
            first = t->segments.head > t->segments.tail ? t->segments.tail
                                                        : t->open_msn;
            if (first == 0 || first > msn) {
                continue;
            }
        }

        bits |= (uint32_t) 1 << i;
    }

    return bits;
}


static uint32_t
ngx_live_period_rungs(ngx_live_stream_sh_t *st)
{
    uint32_t    bits;
    ngx_uint_t  i;

    bits = 0;

    for (i = 0; i < st->ntracks; i++) {
        bits |= (uint32_t) (st->tracks[i].rung != 0) << i;
    }

    return bits;
}


static ngx_uint_t
ngx_live_period_regular(ngx_live_track_sh_t *t, uint64_t from, uint64_t msn)
{
    int64_t                 least, most, duration;
    uint64_t                i;
    ngx_live_segment_sh_t  *seg;

    least = 0;
    most = 0;

    for (i = ngx_max(from, t->segments.tail); i <= msn; i++) {
        seg = ngx_live_slot(&t->segments, ngx_live_segment_sh_t, i);
        duration = ngx_live_period_duration(seg);

        least = least ? ngx_min(least, duration) : duration;
        most = ngx_max(most, duration);
    }

    return most - least <= most / 50;
}


void
ngx_live_render_mpd(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st)
{
    uint32_t              shown;
    uint64_t              n, listed;
    ngx_uint_t            i;
    live_mpd_t            mpd;
    live_mpd_track_t     *tracks;
    live_mpd_period_t     periods[NGX_LIVE_MAX_PERIODS];
    live_m3u8_segment_t  *next;

    if (ngx_live_stream_lead(st) == NULL || st->nperiods == 0) {
        return;
    }

    /* the tracks of a period are those of its first version (DASH-16) */

    if (st->docs[NGX_LIVE_DOC_MPD].version == 0 && st->ntracks < st->expect
        && ngx_live_now() - st->started < NGX_LIVE_RENDER_WAIT)
    {
        return;
    }

    listed = 0;
    shown = 0;

    for (i = 0; i < st->ntracks; i++) {
        listed += st->tracks[i].segments.head - st->tracks[i].listed;
    }

    tracks = ngx_alloc(NGX_LIVE_MAX_PERIODS * NGX_LIVE_MAX_TRACKS
                       * sizeof(live_mpd_track_t)
                       + listed * sizeof(live_m3u8_segment_t),
                       ngx_cycle->log);
    if (tracks == NULL) {
        return;
    }

    next = (live_m3u8_segment_t *)
           (tracks + NGX_LIVE_MAX_PERIODS * NGX_LIVE_MAX_TRACKS);

    ngx_live_mpd_init(&mpd, st);

    mpd.periods = periods;

    n = st->nperiods > NGX_LIVE_MAX_PERIODS
        ? st->nperiods - NGX_LIVE_MAX_PERIODS : 0;

    for ( /* void */ ; n < st->nperiods; n++) {
        mpd.nperiods += ngx_live_mpd_period(st, n, &periods[mpd.nperiods],
                                 tracks + mpd.nperiods * NGX_LIVE_MAX_TRACKS,
                                 &next, &shown);
    }

    if (mpd.nperiods) {
        ngx_live_mpd_write(zone, st, &mpd);
    }

    /* without any, the version before is out of date, and not served */
    ngx_live_store(&st->mpd_tracks, shown);

    ngx_free(tracks);
}


/* All but the periods. */

static void
ngx_live_mpd_init(live_mpd_t *mpd, ngx_live_stream_sh_t *st)
{
    ngx_live_track_sh_t    *lead;
    ngx_live_segment_sh_t  *seg;

    ngx_memzero(mpd, sizeof(live_mpd_t));

    mpd->epoch = st->epoch;
    mpd->anchor_ms = st->anchor;
    mpd->publish_ms = st->mpd_published;
    mpd->window_ms = st->window;
    mpd->segment_ms = st->segment;
    mpd->target_duration = st->target_duration;
    mpd->part_target = st->part_target;
    mpd->time = "time";

    if (st->state != NGX_LIVE_STREAM_ENDED) {
        return;
    }

    mpd->ended = !st->mpd_closing;
    mpd->closing = st->mpd_closing;

    lead = ngx_live_stream_lead(st);

    if (lead->segments.head > lead->segments.tail) {
        seg = ngx_live_slot(&lead->segments, ngx_live_segment_sh_t,
                            lead->segments.head - 1);

        mpd->end_us = ngx_live_period_start(seg)
                      + ngx_live_period_duration(seg);
    }
}


/* publishTime changes with the content and only then (DASH-9). */

static void
ngx_live_mpd_write(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st,
    live_mpd_t *mpd)
{
    size_t          size;
    u_char         *buf;
    live_writer_t   w;

    size = live_mpd_size(mpd);

    buf = ngx_alloc(size, ngx_cycle->log);
    if (buf == NULL) {
        return;
    }

    live_writer_init(&w, buf, size);

    if (live_mpd(&w, mpd) != LIVE_OK) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0,
                      "a manifest of %uD periods cannot be written",
                      mpd->nperiods);

    } else if (ngx_live_mpd_changed(&st->docs[NGX_LIVE_DOC_MPD], &w)) {

        st->mpd_published = ngx_max(ngx_live_now(), st->mpd_published + 1);
        mpd->publish_ms = st->mpd_published;

        live_writer_init(&w, buf, size);

        if (live_mpd(&w, mpd) == LIVE_OK) {
            (void) ngx_live_render_publish(zone, st, NGX_LIVE_DOC_MPD, &w,
                                           NULL, NULL);
        }
    }

    ngx_free(buf);
}


static ngx_uint_t
ngx_live_mpd_changed(ngx_live_doc_sh_t *doc, live_writer_t *w)
{
    ngx_live_text_sh_t  *text;

    text = &doc->text[doc->version & 1];

    return doc->version == 0 || text->len != live_writer_len(w)
           || ngx_memcmp(text->data, w->start, text->len) != 0;
}


/*
 * 0: nothing of it is listed any more, or not yet of all tracks.  *shown gets
 * the bits of those that are listed.
 */

static ngx_uint_t
ngx_live_mpd_period(ngx_live_stream_sh_t *st, uint64_t n,
    live_mpd_period_t *p, live_mpd_track_t *tracks,
    live_m3u8_segment_t **segments, uint32_t *shown)
{
    uint32_t               bits;
    uint64_t               from, to, limit, end;
    ngx_uint_t             i;
    live_mpd_track_t      *mt;
    ngx_live_init_sh_t    *init;
    ngx_live_track_sh_t   *t;
    ngx_live_period_sh_t  *sh;

    sh = ngx_live_period(st, n);
    limit = ngx_live_mpd_limit(st, sh);
    end = (uint64_t) -1;
    bits = 0;

    if (n + 1 < st->nperiods) {
        end = ngx_live_period(st, n + 1)->msn;
        limit = ngx_min(limit, end);
    }

    p->id = sh->id;
    p->msn = sh->msn;
    p->start_us = sh->start_us;
    p->shift = sh->shift;
    p->grid_us = sh->grid_us;
    p->tracks = tracks;
    p->ntracks = 0;

    for (i = 0; i < st->ntracks; i++) {
        t = &st->tracks[i];

        from = ngx_max(sh->msn, t->listed);
        to = ngx_min(limit, t->segments.head);

        /* it leaves the window as a whole (DASH-16) */

        if (!t->rung && t->listed >= end
            && (sh->shown & (uint32_t) 1 << i))
        {
            return 0;
        }

        if (from >= to || t->bandwidth == 0
            || !ngx_live_mpd_has(st, sh, i))
        {
            continue;
        }

        ngx_live_render_segments(t, from, to - from, *segments);
        ngx_live_mpd_exact(t, from, to - from, *segments);

        init = &t->inits[(*segments)->init % NGX_LIVE_MAX_INITS];

        mt = &tracks[p->ntracks++];
        mt->name = t->name;
        mt->info = (init->number == (*segments)->init) ? &init->info
                                                       : &t->info;
        mt->fps = (init->number == (*segments)->init) ? init->fps : t->fps;
        mt->bandwidth = t->bandwidth;
        mt->segments = *segments;
        mt->nsegments = to - from;

        *segments += to - from;
        bits |= (uint32_t) 1 << i;
    }

    sh->shown |= bits;
    *shown |= bits;

    return p->ntracks != 0;
}


/* Where a period ends, S@d is what there is of media (DASH-38); EXTINF is also
 * what had been announced of parts (HLS-52). */

static void
ngx_live_mpd_exact(ngx_live_track_sh_t *t, uint64_t msn, uint64_t n,
    live_m3u8_segment_t *segments)
{
    uint64_t  i;

    for (i = 0; i < n; i++) {
        segments[i].duration -= ngx_live_slot(&t->segments,
                                      ngx_live_segment_sh_t, msn + i)->rest;
    }
}


static ngx_uint_t
ngx_live_mpd_has(ngx_live_stream_sh_t *st, ngx_live_period_sh_t *sh,
    ngx_uint_t track)
{
    ngx_live_track_sh_t  *t;

    t = &st->tracks[track];

    if (!ngx_live_render_playing(st, t)) {
        return 0;
    }

    /* what comes late of the source is in it as well */

    return !t->rung || (sh->tracks & (uint32_t) 1 << track) != 0;
}


/*
 * What all tracks of a period have completed.  It never goes back, so that
 * what is listed stays it (DASH-25), also when a rung goes on that fell behind
 * while it was paused.
 */

static uint64_t
ngx_live_mpd_limit(ngx_live_stream_sh_t *st, ngx_live_period_sh_t *sh)
{
    uint64_t              limit;
    ngx_uint_t            i;
    ngx_live_track_sh_t  *t;

    limit = (uint64_t) -1;

    for (i = 0; i < st->ntracks; i++) {
        t = &st->tracks[i];

        if (t->paused || !ngx_live_mpd_has(st, sh, i)) {
            continue;
        }

        /* one that makes its first segment has an end as well */

        if (t->segments.head > t->segments.tail || t->open_msn) {
            limit = ngx_min(limit, t->segments.head);
        }
    }

    if (limit == (uint64_t) -1) {
        return limit;
    }

    sh->limit = ngx_max(sh->limit, limit);

    return sh->limit;
}
