
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include "ngx_live_render.h"
#include "ngx_live_notify.h"
#include "ngx_live_stat.h"
#include "ngx_live_crash.h"
#include "live_clock.h"


#define NGX_LIVE_RENDER_MAX   1024      /* streams of one pass */


/* A media playlist on its way into the zone. */
typedef struct {
    live_m3u8_media_t         media;
    ngx_live_edge_t           edge;
    live_m3u8_segment_t       open;
    live_m3u8_report_t        reports[NGX_LIVE_MAX_TRACKS];
} ngx_live_playlist_t;


static void ngx_live_render_handler(ngx_event_t *ev);
static void ngx_live_render_media(ngx_live_zone_t *zone,
    ngx_live_stream_sh_t *st, ngx_uint_t track);
static void ngx_live_render_head(ngx_live_stream_sh_t *st,
    ngx_live_track_sh_t *t, ngx_live_playlist_t *p);
static void ngx_live_render_edge(ngx_live_stream_sh_t *st,
    ngx_live_track_sh_t *t, ngx_live_playlist_t *p);
static void ngx_live_render_reports(ngx_live_stream_sh_t *st,
    ngx_uint_t track, ngx_live_playlist_t *p);
static uint64_t ngx_live_render_first_part(ngx_live_stream_sh_t *st,
    ngx_live_track_sh_t *t);
static uint32_t ngx_live_render_open_parts(ngx_live_track_sh_t *t);
static void ngx_live_render_parts(ngx_live_track_sh_t *t, uint64_t first,
    uint64_t n, live_m3u8_part_t *parts);
static void ngx_live_render_ts(ngx_live_zone_t *zone,
    ngx_live_stream_sh_t *st);
static void ngx_live_render_multivariant(ngx_live_zone_t *zone,
    ngx_live_stream_sh_t *st);
static ngx_uint_t ngx_live_render_rendition(ngx_live_stream_sh_t *st,
    ngx_uint_t track, live_m3u8_rendition_t *r);
static ngx_uint_t ngx_live_render_named(ngx_live_stream_sh_t *st,
    ngx_uint_t track);
static const char *ngx_live_render_group(ngx_live_stream_sh_t *st,
    ngx_live_track_sh_t *t);
static void ngx_live_render_estimate(ngx_live_track_sh_t *t,
    live_m3u8_rendition_t *r);


/* debug logging of events reads a connection's fd behind data */
typedef struct {
    ngx_live_zone_t       *zone;
    void                  *dummy[2];
    ngx_socket_t           fd;
    ngx_uint_t             n;
    ngx_live_stream_sh_t  *streams[NGX_LIVE_RENDER_MAX];
} ngx_live_render_queue_t;


/* of this worker; threads never see it */
static ngx_event_t              ngx_live_render_event;
static ngx_live_render_queue_t  ngx_live_render_queue;


void
ngx_live_render_later(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st,
    uint32_t docs)
{
    ngx_live_render_queue_t  *rq;

    rq = &ngx_live_render_queue;

    if (st->dirty) {
        st->dirty |= docs;
        return;
    }

    if (rq->n == NGX_LIVE_RENDER_MAX) {
        ngx_live_render_now(zone, st, docs);
        return;
    }

    st->dirty = docs;
    rq->streams[rq->n++] = st;
    rq->zone = zone;
    rq->fd = (ngx_socket_t) -1;

    ngx_live_render_event.handler = ngx_live_render_handler;
    ngx_live_render_event.data = rq;
    ngx_live_render_event.log = ngx_cycle->log;

    ngx_post_event(&ngx_live_render_event, &ngx_posted_events);
}


static void
ngx_live_render_handler(ngx_event_t *ev)
{
    ngx_uint_t                i;
    ngx_live_stream_sh_t     *st;
    ngx_live_render_queue_t  *rq;

    rq = ev->data;

    for (i = 0; i < rq->n; i++) {
        st = rq->streams[i];

        /* another worker may have taken it meanwhile, or it is rendered */

        if (st->owner == ngx_pid && st->dirty) {
            ngx_live_render_now(rq->zone, st, 0);
        }
    }

    rq->n = 0;
}


void
ngx_live_render_now(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st,
    uint32_t docs)
{
    uint32_t            dirty;
    ngx_uint_t          i, first;
    ngx_live_doc_sh_t  *doc;

    dirty = st->dirty | docs;
    st->dirty = 0;

    first = 0;

    for (i = 0; i < st->ntracks; i++) {
        doc = &st->docs[ngx_live_doc_media(i)];

        if ((dirty & (1 << ngx_live_doc_media(i)))
            && ngx_live_render_playing(st, &st->tracks[i]))
        {
            first |= (doc->version == 0);
            ngx_live_render_media(zone, st, i);
            ngx_live_crash_point("render");
        }
    }

    if ((dirty & NGX_LIVE_RENDER_MULTIVARIANT) || first
        || st->docs[NGX_LIVE_DOC_MULTIVARIANT].version == 0)
    {
        ngx_live_render_multivariant(zone, st);
    }

    if (dirty & (NGX_LIVE_RENDER_TS|NGX_LIVE_RENDER_MPD)) {
        ngx_live_ts_advance(zone, st);
    }

    if (dirty & NGX_LIVE_RENDER_TS) {
        ngx_live_render_ts(zone, st);
    }

    if (dirty & NGX_LIVE_RENDER_MPD) {
        ngx_live_render_mpd(zone, st);
    }

    ngx_live_notify(zone, st);
}


ngx_uint_t
ngx_live_render_playing(ngx_live_stream_sh_t *st, ngx_live_track_sh_t *t)
{
    return t->mode == NGX_LIVE_TRACK_ON && ngx_live_track_shown(st, t);
}


static void
ngx_live_render_media(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st,
    ngx_uint_t track)
{
    size_t                size, bytes;
    u_char               *buf;
    uint64_t              n, first, parts;
    live_writer_t         w;
    live_m3u8_part_t     *part;
    live_m3u8_delta_t     delta;
    live_m3u8_segment_t  *segments;
    ngx_live_track_sh_t  *t;
    ngx_live_playlist_t   p;

    t = &st->tracks[track];
    n = t->segments.head - t->listed;

    parts = 0;
    first = 0;

    if (st->part_target && st->state != NGX_LIVE_STREAM_ENDED) {
        first = ngx_live_render_first_part(st, t);
        parts = t->parts.head - first;
    }

    if (n + parts == 0) {
        return;
    }

    ngx_memzero(&p, sizeof(ngx_live_playlist_t));

    ngx_live_render_head(st, t, &p);
    ngx_live_render_edge(st, t, &p);

    if (st->part_target) {
        ngx_live_render_reports(st, track, &p);
    }

    size = live_m3u8_media_size(n + 1, parts, p.media.nreports);
    bytes = n * sizeof(live_m3u8_segment_t)
            + parts * sizeof(live_m3u8_part_t);

    segments = ngx_alloc(bytes + size, ngx_cycle->log);
    if (segments == NULL) {
        return;
    }

    part = (live_m3u8_part_t *) (segments + n);
    buf = (u_char *) segments + bytes;

    ngx_live_render_segments(t, t->listed, n, segments);
    ngx_live_render_parts(t, first, parts, part);

    p.media.segments = segments;
    p.media.nsegments = n;
    p.media.parts = part;
    p.media.nparts = parts;

    live_writer_init(&w, buf, size);

    if (live_m3u8_media(&w, &p.media, &delta) == LIVE_OK) {
        (void) ngx_live_render_publish(zone, st, ngx_live_doc_media(track),
                                       &w, &p.edge, &delta);
        ngx_live_stat_available(t);

    } else {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0,
                      "a playlist of %uL segments and %uL parts does not "
                      "fit %uz bytes", n, parts, size);
    }

    ngx_free(segments);
}


static void
ngx_live_render_head(ngx_live_stream_sh_t *st, ngx_live_track_sh_t *t,
    ngx_live_playlist_t *p)
{
    ngx_live_segment_sh_t  *seg;

    p->media.epoch = st->epoch;
    p->media.timescale = t->info.timescale;
    p->media.target_duration = st->target_duration;
    p->media.part_target = st->part_target;
    p->media.next_msn = t->segments.head;
    p->media.anchor_ms = st->anchor;
    p->media.ended = (st->state == NGX_LIVE_STREAM_ENDED);

    seg = &t->open;

    if (t->segments.head > t->listed) {
        seg = ngx_live_slot(&t->segments, ngx_live_segment_sh_t, t->listed);
    }

    p->media.discontinuity_sequence = seg->dsn
                     - ((seg->flags & LIVE_SEGMENT_DISCONTINUITY) ? 1 : 0);
}


/* The segment that is being made, and what comes next (HLS-53). */

static void
ngx_live_render_edge(ngx_live_stream_sh_t *st, ngx_live_track_sh_t *t,
    ngx_live_playlist_t *p)
{
    ngx_live_part_sh_t     *part;
    ngx_live_segment_sh_t  *last;

    p->edge.msn = t->segments.head;
    p->edge.ended = p->media.ended;
    p->edge.part_target = st->part_target;

    if (t->segments.head > t->listed) {
        last = ngx_live_slot(&t->segments, ngx_live_segment_sh_t,
                             t->segments.head - 1);
        p->edge.last_parts = last->parts;
    }

    if (st->part_target == 0 || p->media.ended) {
        return;
    }

    p->edge.parts = ngx_live_render_open_parts(t);

    if (p->edge.parts) {
        part = ngx_live_slot(&t->parts, ngx_live_part_sh_t, t->open.part);

        p->open.msn = t->open_msn;
        p->open.start = part->start;
        p->open.init = t->open.init;
        p->open.timescale = t->open.timescale;
        p->open.shift = t->open.shift;
        p->open.flags = t->open.flags
                        | (part->flags & LIVE_SEGMENT_INDEPENDENT);
        p->media.open = &p->open;
    }

    if (st->state != NGX_LIVE_STREAM_LIVE) {
        return;
    }

    p->edge.hint = 1;
    p->media.hint = 1;
    p->media.hint_msn = t->segments.head;
    p->media.hint_part = p->edge.parts;

    if (p->edge.parts && t->ends) {
        p->media.hint_msn++;
        p->media.hint_part = 0;
    }
}


static void
ngx_live_render_reports(ngx_live_stream_sh_t *st, ngx_uint_t track,
    ngx_live_playlist_t *p)
{
    uint32_t                parts;
    ngx_uint_t              i;
    live_m3u8_report_t     *r;
    ngx_live_track_sh_t    *t;
    ngx_live_segment_sh_t  *seg;

    if (p->media.ended) {
        return;
    }

    for (i = 0; i < st->ntracks; i++) {
        t = &st->tracks[i];
        parts = ngx_live_render_open_parts(t);

        if (i == track || !ngx_live_render_playing(st, t)
            || (parts == 0 && t->segments.head == t->listed))
        {
            continue;
        }

        r = &p->reports[p->media.nreports++];

        r->name = t->name;
        r->msn = t->segments.head;

        /* the newest that has parts: a GAP has none */

        while (parts == 0 && r->msn > t->listed) {
            r->msn--;
            seg = ngx_live_slot(&t->segments, ngx_live_segment_sh_t, r->msn);
            parts = seg->parts;
        }

        /* a gap in place of what a dead worker was making has no parts, and
         * is reported as one: players need the attribute (HLS-54) */

        r->parts = 1;
        r->part = parts ? parts - 1 : 0;
    }

    p->media.reports = p->reports;
}


/* The parts of about three target durations (HLS-18). */

static uint64_t
ngx_live_render_first_part(ngx_live_stream_sh_t *st, ngx_live_track_sh_t *t)
{
    int64_t                 us, most;
    uint64_t                i, first;
    ngx_live_segment_sh_t  *seg;

    first = t->parts.head;
    most = (int64_t) st->target_duration * 3 * 1000000;
    us = 0;

    if (ngx_live_render_open_parts(t)) {
        first = t->open.part;
    }

    for (i = t->segments.head; i > t->listed && us <= most; i--) {
        seg = ngx_live_slot(&t->segments, ngx_live_segment_sh_t, i - 1);

        if (seg->parts) {
            first = seg->part;
        }

        us += live_ticks_to_us(seg->duration, seg->timescale);
    }

    return ngx_max(first, t->parts.tail);
}


static uint32_t
ngx_live_render_open_parts(ngx_live_track_sh_t *t)
{
    if (t->open_msn != t->segments.head || t->parts.head < t->open.part) {
        return 0;
    }

    return t->parts.head - ngx_max(t->open.part, t->parts.tail);
}


void
ngx_live_render_segments(ngx_live_track_sh_t *t, uint64_t msn, uint64_t n,
    live_m3u8_segment_t *segments)
{
    uint64_t                i;
    ngx_live_segment_sh_t  *seg;

    for (i = 0; i < n; i++) {
        seg = ngx_live_slot(&t->segments, ngx_live_segment_sh_t, msn + i);

        segments[i].msn = msn + i;
        segments[i].start = seg->start;
        segments[i].duration = seg->duration;
        segments[i].init = seg->init;
        segments[i].flags = seg->flags;
        segments[i].timescale = seg->timescale;
        segments[i].shift = seg->shift;
    }
}


static void
ngx_live_render_parts(ngx_live_track_sh_t *t, uint64_t first, uint64_t n,
    live_m3u8_part_t *parts)
{
    uint64_t             i;
    ngx_live_part_sh_t  *part;

    for (i = 0; i < n; i++) {
        part = ngx_live_slot(&t->parts, ngx_live_part_sh_t, first + i);

        parts[i].msn = part->msn;
        parts[i].index = part->index;
        parts[i].flags = part->flags;
        parts[i].start = part->start;
        parts[i].duration = part->duration;
    }
}


static void
ngx_live_render_ts(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st)
{
    size_t                size;
    u_char               *buf;
    uint64_t              n;
    live_writer_t         w;
    live_m3u8_segment_t  *segments;
    ngx_live_track_sh_t  *t, *lead;
    ngx_live_playlist_t   p;

    t = &st->ts;
    lead = ngx_live_stream_lead(st);

    if (lead == NULL || t->segments.head == t->listed) {
        return;
    }

    n = t->segments.head - t->listed;
    size = live_m3u8_media_size(n, 0, 0);

    segments = ngx_alloc(n * sizeof(live_m3u8_segment_t) + size,
                         ngx_cycle->log);
    if (segments == NULL) {
        return;
    }

    ngx_memzero(&p, sizeof(ngx_live_playlist_t));

    ngx_live_render_head(st, t, &p);
    ngx_live_render_segments(t, t->listed, n, segments);

    p.media.timescale = lead->info.timescale;
    p.media.part_target = 0;
    p.media.segments = segments;
    p.media.nsegments = n;
    p.edge.msn = t->segments.head;
    p.edge.ended = p.media.ended;

    buf = (u_char *) (segments + n);
    live_writer_init(&w, buf, size);

    if (live_m3u8_ts(&w, &p.media) == LIVE_OK) {
        (void) ngx_live_render_publish(zone, st, NGX_LIVE_DOC_TS, &w,
                                       &p.edge, NULL);
    }

    ngx_free(segments);
}


/* Players begin with the first variant: the source, then its rungs. */

static void
ngx_live_render_multivariant(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st)
{
    u_char                  buf[8192];
    uint32_t                rung;
    ngx_uint_t              i, known, *count, n[2];
    live_writer_t           w;
    ngx_live_track_sh_t    *t;
    live_m3u8_rendition_t   r[2][NGX_LIVE_MAX_TRACKS];

    n[LIVE_MEDIA_VIDEO] = 0;
    n[LIVE_MEDIA_AUDIO] = 0;
    known = 0;

    for (i = 0; i < 2 * st->ntracks; i++) {
        t = &st->tracks[i % st->ntracks];
        rung = i / st->ntracks;

        if (!t->rung != !rung) {
            continue;
        }

        count = &n[t->info.media];

        if (ngx_live_render_rendition(st, i % st->ntracks,
                                      &r[t->info.media][*count]))
        {
            (*count)++;
            known++;

        } else if (t->init && !ngx_live_track_shown(st, t)) {
            known++;
        }
    }

    if (st->docs[NGX_LIVE_DOC_MULTIVARIANT].version == 0
        && known < st->expect
        && ngx_live_now() - st->started < NGX_LIVE_RENDER_WAIT)
    {
        return;
    }

    if (n[0] + n[1] == 0) {
        return;
    }

    live_writer_init(&w, buf, sizeof(buf));

    if (live_m3u8_multivariant(&w, r[LIVE_MEDIA_VIDEO], n[LIVE_MEDIA_VIDEO],
                               r[LIVE_MEDIA_AUDIO], n[LIVE_MEDIA_AUDIO])
        == LIVE_OK)
    {
        (void) ngx_live_render_publish(zone, st, NGX_LIVE_DOC_MULTIVARIANT,
                                       &w, NULL, NULL);
    }
}


/* 0: it is not to be named, or not yet. */

static ngx_uint_t
ngx_live_render_rendition(ngx_live_stream_sh_t *st, ngx_uint_t track,
    live_m3u8_rendition_t *r)
{
    ngx_live_track_sh_t  *t;

    t = &st->tracks[track];

    if (!ngx_live_render_named(st, track)) {
        return 0;
    }

    r->name = t->name;
    r->group = ngx_live_render_group(st, t);
    r->info = &t->info;
    r->fps = t->fps;
    r->bandwidth = t->bandwidth;
    r->alone = t->alone ? 1 : 0;

    if (t->ticks) {
        r->average_bandwidth = (double) t->bits * t->info.timescale
                               / t->ticks;
        t->average = r->average_bandwidth;

    } else if (t->rung) {
        r->average_bandwidth = t->average;

    } else {
        ngx_live_render_estimate(t, r);
    }

    return r->bandwidth != 0;
}


/*
 * Every playlist that is named must be there (HLS-48).  That of a rung comes
 * when somebody asks for it, as long as there is something to make it of.
 */

static ngx_uint_t
ngx_live_render_named(ngx_live_stream_sh_t *st, ngx_uint_t track)
{
    ngx_live_track_sh_t  *t;

    t = &st->tracks[track];

    if (!ngx_live_track_shown(st, t)) {
        return 0;
    }

    if (t->rung && st->state != NGX_LIVE_STREAM_ENDED) {
        return t->init != 0;
    }

    return st->docs[ngx_live_doc_media(track)].version != 0
           && t->mode == NGX_LIVE_TRACK_ON;
}


/* The audio that the source's video plays with is the source's. */

static const char *
ngx_live_render_group(ngx_live_stream_sh_t *st, ngx_live_track_sh_t *t)
{
    ngx_uint_t  i;

    if (t->info.media == LIVE_MEDIA_AUDIO) {
        return t->name;
    }

    if (t->audio) {
        return st->tracks[t->audio - 1].name;
    }

    for (i = 0; i < st->ntracks && !t->rung; i++) {
        if (st->tracks[i].info.media == LIVE_MEDIA_AUDIO
            && !st->tracks[i].rung)
        {
            return st->tracks[i].name;
        }
    }

    return NULL;
}


/* Before the first segment is complete, its first parts must do. */

static void
ngx_live_render_estimate(ngx_live_track_sh_t *t, live_m3u8_rendition_t *r)
{
    uint64_t             i, bits, ticks;
    ngx_live_part_sh_t  *part;

    bits = 0;
    ticks = 0;

    for (i = t->parts.tail; i < t->parts.head; i++) {
        part = ngx_live_slot(&t->parts, ngx_live_part_sh_t, i);

        bits += (uint64_t) part->size * 8;
        ticks += part->duration;
    }

    if (ticks == 0) {
        r->bandwidth = 0;
        return;
    }

    r->average_bandwidth = bits * t->info.timescale / ticks;
    r->bandwidth = (r->average_bandwidth * 11 / 10 + 999) / 1000 * 1000;
}


ngx_uint_t
ngx_live_render_publish(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st,
    ngx_uint_t doc, live_writer_t *w, ngx_live_edge_t *edge,
    live_m3u8_delta_t *delta)
{
    ngx_int_t  rc;
    ngx_str_t  text;

    text.data = w->start;
    text.len = live_writer_len(w);

    rc = ngx_live_write_text(zone, &st->docs[doc], &text, edge, delta);

    if (rc == NGX_ERROR) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "the index of the live zone is full: a playlist of "
                      "\"%*s/%*s\" stays as it is, make \"zone\" larger",
                      (size_t) st->app_len, st->app,
                      (size_t) st->name_len, st->name);
    }

    return rc == NGX_OK;
}
