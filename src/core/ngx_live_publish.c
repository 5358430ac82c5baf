
/* Publications: their frames; ngx_live_publish_end.c has their end. */

#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_live_claim.h"
#include "ngx_live_render.h"
#include "ngx_live_stat.h"
#include "ngx_live_upkeep.h"
#include "ngx_live_crash.h"
#include "live_cmaf.h"


/* the timeline begins here, so that nothing on it is negative (CMAF-19) */
#define NGX_LIVE_TIMELINE_START   1000


static void ngx_live_publish_complete(ngx_live_zone_t *zone,
    ngx_live_stream_sh_t *st, ngx_live_track_sh_t *t);
static void ngx_live_publish_dropped(ngx_live_publication_t *pub,
    live_media_e media);
static ngx_int_t ngx_live_publish_time(ngx_live_publication_t *pub,
    ngx_live_frame_t *frame, int64_t *us);
static void ngx_live_publish_key(ngx_live_publication_t *pub,
    ngx_live_frame_t *frame, int64_t us);
static void ngx_live_publish_start(ngx_live_publication_t *pub);


ngx_live_tap_t  *ngx_live_tap;


/*
 * A publisher that died may have left one track a segment ahead, or counted
 * a boundary that was never published.
 */

void
ngx_live_publish_align(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st)
{
    uint64_t                msn;
    ngx_uint_t              i;
    ngx_live_track_sh_t    *t;
    ngx_live_segment_sh_t  *seg;

    for (i = 0; i < st->ntracks; i++) {

        /* what it had taken from the list and not given back */
        ngx_live_track_retire(zone, &st->tracks[i],
                              st->tracks[i].segments.tail);

        ngx_live_publish_complete(zone, st, &st->tracks[i]);
    }

    msn = st->first_msn;
    st->dsn = st->first_dsn;

    for (i = 0; i < st->ntracks; i++) {
        t = &st->tracks[i];

        if (t->segments.head <= t->segments.tail) {
            continue;
        }

        if (t->segments.head > msn) {
            seg = ngx_live_slot(&t->segments, ngx_live_segment_sh_t,
                                t->segments.head - 1);
            msn = t->segments.head;
            st->dsn = seg->dsn;
        }
    }

    st->msn = msn;

    for (i = 0; i < st->ntracks; i++) {
        t = &st->tracks[i];

        if (t->segments.head == t->segments.tail) {
            continue;
        }

        while (t->segments.head < msn) {
            ngx_live_publish_gap(st, t);
            (void) ngx_live_upkeep_track(zone, st, t);
        }
    }

    /* also what was published right before the death */
    ngx_live_period_advance(st);
}


/*
 * The parts of a segment that nobody goes on with have been served: they are
 * the segment (invariants 3 and 7).
 */

static void
ngx_live_publish_complete(ngx_live_zone_t *zone, ngx_live_stream_sh_t *st,
    ngx_live_track_sh_t *t)
{
    ngx_live_part_sh_t     *first, *last;
    ngx_live_segment_sh_t   seg;

    seg = t->open;

    if (t->open_msn == 0) {
        return;
    }

    if (t->open_msn == t->segments.head && t->parts.head > seg.part
        && t->parts.tail <= seg.part)
    {
        first = ngx_live_slot(&t->parts, ngx_live_part_sh_t, seg.part);
        last = ngx_live_slot(&t->parts, ngx_live_part_sh_t,
                             t->parts.head - 1);

        seg.parts = t->parts.head - seg.part;
        seg.offset = first->offset;
        seg.size = last->offset + last->size - first->offset;
        seg.start = first->start;
        seg.duration = last->start + (int64_t) last->duration - first->start;
        seg.flags |= first->flags & LIVE_SEGMENT_INDEPENDENT;
        seg.published = ngx_live_now();

        *ngx_live_slot(&t->segments, ngx_live_segment_sh_t,
                       t->segments.head) = seg;

        ngx_live_store(&t->segments.head, t->segments.head + 1);

        (void) ngx_live_upkeep_track(zone, st, t);
    }

    ngx_live_store(&t->open_msn, 0);
}


void
ngx_live_publish_gap(ngx_live_stream_sh_t *st, ngx_live_track_sh_t *t)
{
    int64_t                 end;
    ngx_uint_t              i;
    ngx_live_track_sh_t    *other;
    ngx_live_segment_sh_t  *seg, *last, *like;

    last = ngx_live_slot(&t->segments, ngx_live_segment_sh_t,
                         t->segments.head - 1);
    seg = ngx_live_slot(&t->segments, ngx_live_segment_sh_t,
                        t->segments.head);

    *seg = *last;

    seg->start = last->start + last->duration;
    seg->size = 0;
    seg->part = last->part + last->parts;
    seg->parts = 0;
    seg->rest = 0;
    seg->flags = LIVE_SEGMENT_GAP;
    seg->unlisted = 0;

    for (i = 0; i < st->ntracks; i++) {
        other = &st->tracks[i];

        if (other->segments.head <= t->segments.head) {
            continue;
        }

        like = ngx_live_slot(&other->segments, ngx_live_segment_sh_t,
                             t->segments.head);

        if (like->flags & LIVE_SEGMENT_DISCONTINUITY) {

            /* time may go on later, and what follows is of the new init */

            seg->flags |= LIVE_SEGMENT_DISCONTINUITY;
            seg->init = t->init;
            seg->timescale = t->info.timescale;
            seg->start = live_us_to_ticks(live_ticks_to_us(like->start,
                                                           like->timescale),
                                          seg->timescale);
        }

        /* it ends with its like, also where it had to begin before it, as less
         * was saved of the segment before (HLS-8, HLS-21, HLS-46) */

        end = live_us_to_ticks(live_ticks_to_us(like->start + like->duration,
                                                like->timescale),
                               seg->timescale);
        end = ngx_min(end, seg->start
                           + (int64_t) st->target_duration * seg->timescale);
        seg->duration = ngx_max(end - seg->start, 1);

        seg->dsn = like->dsn;
        seg->shift = like->shift;
        break;
    }

    ngx_live_store(&t->segments.head, t->segments.head + 1);
}


ngx_uint_t
ngx_live_publish_owns(ngx_live_publication_t *pub)
{
    if (pub->waits) {
        return !pub->refused;
    }

    return ngx_live_load(&pub->st->id) == pub->id
           && ngx_live_load(&pub->st->publication) == pub->number;
}


ngx_uint_t
ngx_live_publish_removed(ngx_live_publication_t *pub)
{
    return ngx_live_load(&pub->zone->sh->abandoned)
           || (ngx_live_load(&pub->st->id) == pub->id
               && ngx_live_load(&pub->st->removed));
}


ngx_uint_t
ngx_live_publish_ended(ngx_live_publication_t *pub)
{
    return pub->number
           && ngx_live_load(&pub->st->id) == pub->id
           && ngx_live_load(&pub->st->ends) == pub->number;
}


int64_t
ngx_live_publish_now(ngx_live_publication_t *pub)
{
    return (int64_t) (ngx_live_now() - pub->st->anchor) * 1000
           - pub->st->shift;
}


uint64_t
ngx_live_publish_started(ngx_live_publication_t *pub)
{
    return pub->started;
}


void
ngx_live_publish_metadata(ngx_live_publication_t *pub, double fps,
    uint32_t audio_rate, ngx_uint_t audio_only)
{
    pub->fps = fps;
    pub->audio_rate = audio_rate;
    pub->audio_only = audio_only;
}


ngx_int_t
ngx_live_publish_config(ngx_live_publication_t *pub, live_codec_info_t *info,
    u_char *data, size_t len)
{
    u_char             *copy;
    ngx_live_writer_t  *w;

    w = &pub->writers[info->media];

    if (w->configured && !w->changed && w->config_len == len
        && ngx_memcmp(w->config, data, len) == 0)
    {
        return NGX_OK;
    }

    copy = ngx_alloc(len, pub->log);
    if (copy == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(copy, data, len);

    if (w->next_config) {
        ngx_free(w->next_config);
    }

    w->next_config = copy;
    w->next_len = len;
    w->next_info = *info;

    if (pub->waits) {
        return NGX_OK;
    }

    if (w->configured && w->sh) {
        pub->discontinuity = 1;
    }

    if (!w->configured) {
        w->info = *info;
        live_track_clock_init(&w->clock, &w->info,
                              info->media == LIVE_MEDIA_VIDEO ? pub->fps : 0);
    }

    w->configured = 1;
    w->changed = 1;

    pub->st->expect = pub->writers[0].configured
                      + pub->writers[1].configured + pub->rungs;

    if (w->open && w->media == LIVE_MEDIA_VIDEO) {
        w->need_key = 1;
    }

    ngx_log_error(NGX_LOG_INFO, pub->log, 0,
                  info->media == LIVE_MEDIA_VIDEO
                  ? "live video \"%s\", %uDx%uD" : "live audio \"%s\", %uD Hz,"
                  " %uD channels", info->codecs,
                  info->media == LIVE_MEDIA_VIDEO ? info->width
                                                  : info->sample_rate,
                  info->media == LIVE_MEDIA_VIDEO ? info->height
                                                  : info->channels);

    return NGX_OK;
}


ngx_int_t
ngx_live_publish_activate(ngx_live_writer_t *w)
{
    u_char                   buf[NGX_LIVE_MAX_CONFIG + 2048];
    double                   fps;
    const char              *reason;
    live_writer_t            out;
    ngx_live_track_sh_t     *t;
    ngx_live_publication_t  *pub;

    pub = w->pub;

    if (w->sh == NULL) {
        t = ngx_live_track_create(pub->zone, pub->st,
                                  w->media == LIVE_MEDIA_VIDEO ? "source"
                                                               : "audio");
        if (t == NULL) {
            ngx_log_error(NGX_LOG_ERR, pub->log, 0,
                          "the index of the live zone is full, publishing "
                          "ends: make \"zone\" larger");
            return NGX_ERROR;
        }

        ngx_live_writer_attach(w, t, pub->st->ntracks - 1);
    }

    live_writer_init(&out, buf, sizeof(buf));

    if (live_cmaf_init_segment(&out, &w->next_info, w->next_config,
                               w->next_len, &reason)
        != LIVE_OK
        || ngx_live_init_add(pub->zone, w->sh, buf, live_writer_len(&out))
           != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ERR, pub->log, 0,
                      "no init segment can be made for \"%s\"",
                      w->next_info.codecs);
        return NGX_ERROR;
    }

    fps = 0;

    if (w->media == LIVE_MEDIA_VIDEO) {
        fps = w->next_info.fps_den
              ? (double) w->next_info.fps_num / w->next_info.fps_den
              : pub->fps;

        if (w->info.fps_num != w->next_info.fps_num
            || w->info.fps_den != w->next_info.fps_den)
        {
            live_track_clock_init(&w->clock, &w->next_info, pub->fps);
        }

    } else if (w->info.timescale != w->next_info.timescale
               || w->info.frame_samples != w->next_info.frame_samples)
    {
        live_track_clock_init(&w->clock, &w->next_info, 0);
        w->end = live_us_to_ticks(live_ticks_to_us(w->end, w->info.timescale),
                                  w->next_info.timescale);
    }

    t = w->sh;

    if (t->ticks) {
        t->ticks = live_us_to_ticks(live_ticks_to_us(t->ticks,
                                                     t->info.timescale),
                                    w->next_info.timescale);
    }

    w->info = w->next_info;
    t->info = w->next_info;
    t->fps = fps;

    /* for manifests that still name it when another one is in use */
    t->inits[t->init % NGX_LIVE_MAX_INITS].info = t->info;
    t->inits[t->init % NGX_LIVE_MAX_INITS].fps = fps;

    ngx_free(w->config);
    w->config = w->next_config;
    w->config_len = w->next_len;
    w->next_config = NULL;
    w->changed = 0;

    if (w->follows) {
        return NGX_OK;
    }

    t->hidden = !pub->copy;

    if (pub->writers[0].sh && pub->writers[1].sh) {
        pub->writers[LIVE_MEDIA_VIDEO].sh->audio =
                                 pub->writers[LIVE_MEDIA_AUDIO].index + 1;
    }

    if (pub->tap) {
        ngx_live_tap->config(pub->tap, w->media);
    }

    return NGX_OK;
}


ngx_int_t
ngx_live_publish_begin(ngx_live_publication_t *pub, ngx_live_frame_t *frame)
{
    int64_t             us;
    ngx_int_t           rc;
    ngx_live_writer_t  *w;

    if (pub->waits) {
        rc = ngx_live_claim_frame(pub, frame);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    w = &pub->writers[frame->media];

    if (!w->configured || frame->size == 0) {
        return NGX_DECLINED;
    }

    if (!ngx_live_publish_owns(pub)) {
        return NGX_ERROR;
    }

    if (ngx_live_publish_time(pub, frame, &us) != NGX_OK || us < 0) {
        ngx_live_publish_dropped(pub, frame->media);
        return NGX_DECLINED;
    }

    if (frame->media == LIVE_MEDIA_VIDEO) {
        ngx_live_publish_key(pub, frame, us);
        ngx_live_limit_frame(&pub->limit, us, frame->key);
    }

    rc = ngx_live_cut_frame(pub, w, us, frame);

    if (rc == NGX_DECLINED) {
        ngx_live_publish_dropped(pub, frame->media);
    }

    if (rc == NGX_OK) {
        pub->frames[frame->media]++;

        if (pub->tap) {
            ngx_live_tap->begin(pub->tap, frame->media, frame->size);
        }
    }

    return rc;
}


/* What comes before the first segment can begin is not missed. */

static void
ngx_live_publish_dropped(ngx_live_publication_t *pub, live_media_e media)
{
    if (pub->cut) {
        pub->lost_frames++;
        pub->st->stat.dropped[media]++;
    }
}


static ngx_int_t
ngx_live_publish_time(ngx_live_publication_t *pub, ngx_live_frame_t *frame,
    int64_t *us)
{
    ngx_uint_t  late;

    if (!pub->timed) {
        pub->timed = 1;
        ngx_live_publish_start(pub);

        if (live_clock_map(&pub->clock, frame->media, frame->timestamp, us)
            != LIVE_CLOCK_STEADY)
        {
            return NGX_ERROR;
        }

        pub->first_us = *us;
        return NGX_OK;
    }

    late = pub->clock.late & (1u << frame->media);

    if (live_clock_map(&pub->clock, frame->media, frame->timestamp, us)
        == LIVE_CLOCK_STEADY)
    {
        if (late && !(pub->clock.late & late)) {
            live_track_clock_reset(&pub->writers[frame->media].clock);
        }

        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_WARN, pub->log, 0,
                  "the timestamps of the publisher jump to %uDms, the "
                  "timeline goes on with a discontinuity", frame->timestamp);

    live_clock_restart(&pub->clock, ngx_max(ngx_live_publish_now(pub),
                                            pub->newest_us + 40000));

    pub->discontinuity = 1;
    pub->limit.video = 0;
    pub->writers[LIVE_MEDIA_VIDEO].need_key = 1;

    live_track_clock_reset(&pub->writers[frame->media].clock);

    return live_clock_map(&pub->clock, frame->media, frame->timestamp, us)
           == LIVE_CLOCK_STEADY ? NGX_OK : NGX_ERROR;
}


/*
 * Encoders that refresh pictures bit by bit send one IDR picture or none.
 * Where none comes for as long as a segment may last, recovery points have to
 * do, or players could never begin (RTMP-85).
 */

static void
ngx_live_publish_key(ngx_live_publication_t *pub, ngx_live_frame_t *frame,
    int64_t us)
{
    if (frame->key) {
        pub->idr = 1;
        pub->idr_us = us;
        return;
    }

    if (!frame->recovery
        || (pub->idr ? us - pub->idr_us < pub->max_us
                     : us - pub->first_us < NGX_LIVE_CUT_WAIT))
    {
        return;
    }

    frame->key = 1;

    if (!pub->recovery) {
        pub->recovery = 1;
        ngx_log_error(NGX_LOG_WARN, pub->log, 0,
                      "the encoder sends no IDR pictures, segments begin at "
                      "recovery points: set a key frame interval in it");
    }
}


/* Wall-clock time is anchor plus time on the timeline, and what the clock of
 * the encoder has run away by (HLS-21). */

static void
ngx_live_publish_start(ngx_live_publication_t *pub)
{
    int64_t                 at, end, last;
    ngx_uint_t              i;
    ngx_live_track_sh_t    *t;
    ngx_live_segment_sh_t  *seg;

    if (pub->st->msn == pub->st->first_msn && !pub->st->anchored) {
        pub->st->anchor = ngx_live_now() - NGX_LIVE_TIMELINE_START;
    }

    at = ngx_live_publish_now(pub);
    last = 0;

    for (i = 0; i < pub->st->ntracks; i++) {
        t = &pub->st->tracks[i];

        if (t->segments.head == t->segments.tail) {
            continue;
        }

        seg = ngx_live_slot(&t->segments, ngx_live_segment_sh_t,
                            t->segments.head - 1);
        end = live_ticks_to_us(seg->start + seg->duration, seg->timescale);
        last = ngx_max(last, end);
    }

    /* a slate joins what it follows, as late as that was */

    if (!pub->builtin || at - last > NGX_LIVE_CUT_WAIT) {
        last = ngx_max(at, last);
    }

    at = last;

    live_clock_start(&pub->clock, at);
}


ngx_int_t
ngx_live_publish_data(ngx_live_publication_t *pub, live_media_e media,
    u_char *data, size_t len)
{
    /* appending may evict, which only the stream's writer may do */

    if (!ngx_live_publish_owns(pub)) {
        return NGX_ERROR;
    }

    if (pub->tap) {
        ngx_live_tap->data(pub->tap, media, data, len);
    }

    return ngx_live_writer_append(&pub->writers[media], data, len);
}


ngx_int_t
ngx_live_publish_end(ngx_live_publication_t *pub, live_media_e media,
    ngx_uint_t valid)
{
    ngx_live_writer_t  *w;

    w = &pub->writers[media];

    if (!w->arriving) {
        return NGX_OK;
    }

    w->arriving = 0;

    if (valid) {
        if (ngx_live_writer_sample(w) != NGX_OK) {
            return NGX_ERROR;
        }

        if (pub->tap) {
            ngx_live_tap->sample(pub->tap, media,
                                 &w->samples[w->nsamples - 1]);
        }

        return ngx_live_cut_arrived(pub);
    }

    if (pub->tap) {
        ngx_live_tap->sample(pub->tap, media, NULL);
    }

    pub->lost_frames++;
    pub->st->stat.dropped[media]++;

    if (!pub->dropped) {
        pub->dropped = 1;
        ngx_log_error(NGX_LOG_WARN, pub->log, 0,
                      "a broken frame is dropped, %s",
                      media == LIVE_MEDIA_VIDEO
                      ? "the lengths of its NAL units do not add up"
                      : "it did not arrive whole");
    }

    if (ngx_live_writer_flush(w) != NGX_OK) {
        return NGX_ERROR;
    }

    w->pos = w->frame.offset;

    if (media == LIVE_MEDIA_VIDEO) {
        w->need_key = (w->frame.flags & LIVE_SAMPLE_KEY) ? 1 : w->need_key;
    }

    return NGX_OK;
}


ngx_int_t
ngx_live_publish_flush(ngx_live_publication_t *pub, size_t bytes)
{
    if (pub->waits) {
        return ngx_live_claim_heard(pub);
    }

    if (!ngx_live_publish_owns(pub)) {
        return NGX_ERROR;
    }

    pub->st->heard = ngx_live_now();
    pub->st->bytes_in += bytes;
    pub->bytes += bytes;
    pub->st->stat.received += pub->builtin ? 0 : bytes;

    /* what is staged is written with its part */

    return ngx_live_writer_flush(&pub->writers[LIVE_MEDIA_VIDEO]);
}


ngx_uint_t
ngx_live_publish_eager(ngx_live_publication_t *pub)
{
    int64_t             most, frame, lag;
    ngx_uint_t          i;
    ngx_live_writer_t  *w;

    if (pub->waits || pub->st->part_target == 0) {
        return 0;
    }

    for (i = 0; i < 2; i++) {
        w = &pub->writers[i];

        if (!w->open || w->nsamples == 0) {
            continue;
        }

        /* audio that has to come up to a part of video */

        if (w->nends) {
            return 1;
        }

        if (i == LIVE_MEDIA_AUDIO && pub->st->part_aligned) {
            continue;
        }

        most = (int64_t) pub->st->part * w->info.timescale / 1000;
        frame = live_track_clock_duration(&w->clock);

        /* up to NGX_LIVE_PUBLISH_LAG more may be waiting to be read */

        lag = (int64_t) NGX_LIVE_PUBLISH_LAG * w->info.timescale / 1000;

        if (w->end + 2 * frame + lag - w->samples[0].dts > most) {
            return 1;
        }
    }

    return 0;
}
