
#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_live_render.h"
#include "live_m3u8.h"
#include "live_gzip.h"


static void ngx_live_render_publish(ngx_live_zone_t *zone,
    ngx_live_stream_sh_t *st, ngx_uint_t doc, live_writer_t *w);


void
ngx_live_render_stream(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st)
{
    ngx_uint_t  i;

    for (i = 0; i < st->ntracks; i++) {
        ngx_live_render_media(zone, st, i);
    }

    ngx_live_render_multivariant(zone, st);
}


void
ngx_live_render_media(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st,
    ngx_uint_t track)
{
    size_t                  size;
    u_char                 *buf;
    uint64_t                i, n;
    live_writer_t           w;
    live_m3u8_media_t       media;
    live_m3u8_segment_t    *segments;
    ngx_live_track_sh_t    *t;
    ngx_live_segment_sh_t  *seg;

    t = &st->tracks[track];
    n = t->segments.head - t->listed;

    if (n == 0) {
        return;
    }

    size = live_m3u8_media_size(n);

    segments = ngx_alloc(n * sizeof(live_m3u8_segment_t) + size,
                         ngx_cycle->log);
    if (segments == NULL) {
        return;
    }

    buf = (u_char *) (segments + n);

    for (i = 0; i < n; i++) {
        seg = ngx_live_slot(&t->segments, ngx_live_segment_sh_t,
                            t->listed + i);

        segments[i].msn = t->listed + i;
        segments[i].start = seg->start;
        segments[i].duration = seg->duration;
        segments[i].init = seg->init;
        segments[i].flags = seg->flags;
        segments[i].timescale = seg->timescale;
    }

    seg = ngx_live_slot(&t->segments, ngx_live_segment_sh_t, t->listed);

    ngx_memzero(&media, sizeof(live_m3u8_media_t));

    media.epoch = st->epoch;
    media.timescale = t->info.timescale;
    media.target_duration = st->target_duration;
    media.discontinuity_sequence = seg->dsn
                     - ((seg->flags & LIVE_SEGMENT_DISCONTINUITY) ? 1 : 0);
    media.anchor_ms = st->anchor;
    media.ended = (st->state == NGX_LIVE_STREAM_ENDED);
    media.segments = segments;
    media.nsegments = n;

    live_writer_init(&w, buf, size);

    if (live_m3u8_media(&w, &media) == LIVE_OK) {
        ngx_live_render_publish(zone, st, ngx_live_doc_media(track), &w);

    } else {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0,
                      "a playlist of %uL segments does not fit %uz bytes",
                      n, size);
    }

    ngx_free(segments);
}


void
ngx_live_render_multivariant(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st)
{
    u_char                  buf[8192];
    uint64_t                average;
    ngx_uint_t              i, nvideo, naudio;
    live_writer_t           w;
    ngx_live_track_sh_t    *t;
    live_m3u8_rendition_t  *r;
    live_m3u8_rendition_t   video[NGX_LIVE_MAX_TRACKS];
    live_m3u8_rendition_t   audio[NGX_LIVE_MAX_TRACKS];

    nvideo = 0;
    naudio = 0;

    for (i = 0; i < st->ntracks; i++) {
        t = &st->tracks[i];

        /* every playlist that is named must be there (HLS-48) */

        if (st->docs[ngx_live_doc_media(i)].version == 0
            || t->ticks == 0)
        {
            if (st->docs[NGX_LIVE_DOC_MULTIVARIANT].version) {
                continue;
            }

            return;
        }

        r = (t->info.media == LIVE_MEDIA_VIDEO) ? &video[nvideo++]
                                                : &audio[naudio++];
        average = (double) t->bits * t->info.timescale / t->ticks;
        t->average = average;

        r->name = t->name;
        r->info = &t->info;
        r->fps = t->fps;
        r->bandwidth = t->bandwidth;
        r->average_bandwidth = average;
    }

    if (nvideo + naudio == 0) {
        return;
    }

    live_writer_init(&w, buf, sizeof(buf));

    if (live_m3u8_multivariant(&w, video, nvideo, audio, naudio) == LIVE_OK) {
        ngx_live_render_publish(zone, st, NGX_LIVE_DOC_MULTIVARIANT, &w);
    }
}


static void
ngx_live_render_publish(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st,
    ngx_uint_t doc, live_writer_t *w)
{
    size_t         size;
    u_char        *buf;
    ngx_str_t      plain, gzipped;
    live_writer_t  gz;

    plain.data = w->start;
    plain.len = live_writer_len(w);
    ngx_str_null(&gzipped);

    size = plain.len / 2 + 256;

    buf = ngx_alloc(size, ngx_cycle->log);

    if (buf) {
        live_writer_init(&gz, buf, size);

        if (live_gzip(&gz, plain.data, plain.len) == LIVE_OK) {
            gzipped.data = buf;
            gzipped.len = live_writer_len(&gz);
        }
    }

    if (ngx_live_write_text(zone, &st->docs[doc], &plain, &gzipped)
        != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "the index of the live zone is full: a playlist of "
                      "\"%*s/%*s\" stays as it is, make \"zone\" larger",
                      (size_t) st->app_len, st->app,
                      (size_t) st->name_len, st->name);
    }

    if (buf) {
        ngx_free(buf);
    }
}
