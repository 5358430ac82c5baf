
/*
 * Decides where segments end; ngx_live_cut_part.c decides where parts do.
 *
 * One track leads: video, where it is.  Its key frames make the boundaries;
 * the other track is cut at its first frame at or behind each of them
 * (CMAF-23), so that segments of the same number line up (HLS-46).  Audio is
 * published only as far as video has come, so that a boundary never falls
 * into what was published; a track that nothing comes for is not waited for
 * longer than NGX_LIVE_CUT_WAIT.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_live_writer.h"
#include "ngx_live_state.h"
#include "ngx_live_crash.h"


#define NGX_LIVE_CUT_START   1000000    /* us, for video to announce itself */


static ngx_int_t ngx_live_cut_video(ngx_live_publication_t *pub,
    ngx_live_writer_t *w, int64_t us, ngx_live_frame_t *frame);
static ngx_int_t ngx_live_cut_audio(ngx_live_publication_t *pub,
    ngx_live_writer_t *w, int64_t us, ngx_live_frame_t *frame);
static ngx_uint_t ngx_live_cut_lost(ngx_live_writer_t *w, int64_t dts);
static ngx_int_t ngx_live_cut_audio_segment(ngx_live_publication_t *pub,
    ngx_live_writer_t *w, ngx_uint_t leads, int64_t dts);
static ngx_uint_t ngx_live_cut_hole(ngx_live_publication_t *pub,
    ngx_live_writer_t *w, int64_t us);
static ngx_uint_t ngx_live_cut_behind(ngx_live_writer_t *w, int64_t dts);
static int32_t ngx_live_cut_cts(ngx_live_writer_t *w, int32_t ms);
static ngx_uint_t ngx_live_cut_due(ngx_live_publication_t *pub,
    ngx_live_writer_t *w, int64_t us, ngx_uint_t key);
static ngx_int_t ngx_live_cut_boundary(ngx_live_publication_t *pub,
    ngx_live_writer_t *lead, int64_t us, int64_t dts);
static int64_t ngx_live_cut_shift(ngx_live_publication_t *pub, int64_t us);
static ngx_int_t ngx_live_cut_push(ngx_live_writer_t *w,
    ngx_live_boundary_t *b);
static ngx_int_t ngx_live_cut_apply(ngx_live_writer_t *w,
    ngx_live_boundary_t *b, int64_t end);
static void ngx_live_cut_begin(ngx_live_writer_t *w, int64_t dts,
    int32_t cts, ngx_live_frame_t *frame);
static void ngx_live_cut_warn(ngx_live_publication_t *pub, int64_t us,
    ngx_uint_t key);


ngx_int_t
ngx_live_cut_frame(ngx_live_publication_t *pub, ngx_live_writer_t *w,
    int64_t us, ngx_live_frame_t *frame)
{
    ngx_int_t  rc;

    pub->newest_us = ngx_max(pub->newest_us, us);

    rc = (w->media == LIVE_MEDIA_VIDEO)
         ? ngx_live_cut_video(pub, w, us, frame)
         : ngx_live_cut_audio(pub, w, us, frame);

    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_live_cut_laggards(pub, us);
}


static ngx_int_t
ngx_live_cut_video(ngx_live_publication_t *pub, ngx_live_writer_t *w,
    int64_t us, ngx_live_frame_t *frame)
{
    int32_t  cts;
    int64_t  dts, least;

    if (w->need_key && !frame->key) {
        return NGX_DECLINED;
    }

    if (live_track_clock_map(&w->clock, us, &dts) != LIVE_OK) {
        return NGX_DECLINED;
    }

    cts = ngx_live_cut_cts(w, frame->cts);

    if (w->need_key) {
        w->shift = cts;
    }

    /* the first frame is presented at its decoding time (CMAF-17, CMAF-18) */

    dts += w->shift;
    cts -= w->shift;

    /* w->end is behind an open part just what the clock expects */

    least = w->nsamples ? w->samples[w->nsamples - 1].dts + 1 : w->end;

    if (dts < least) {
        dts = least;
    }

    us = live_ticks_to_us(dts, w->info.timescale);

    /* where audio has led, no segment can begin before the one it began */

    if (pub->cut && us < pub->last.us
        && (!w->open || w->need_key || w->changed || pub->discontinuity))
    {
        w->need_key = 1;
        return NGX_DECLINED;
    }

    if (!frame->key && w->open && ngx_live_cut_hole(pub, w, us)) {
        w->need_key = 1;
        return NGX_DECLINED;
    }

    if (w->sh == NULL) {
        w->nboundaries = 0;
    }

    if (ngx_live_cut_queued(w, us, dts) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_live_cut_due(pub, w, us, frame->key)) {
        ngx_live_cut_warn(pub, us, frame->key);

        if (frame->key && ngx_live_cut_behind(w, dts)) {
            pub->discontinuity = 1;
        }

        if (ngx_live_cut_boundary(pub, w, us, dts) != NGX_OK) {
            return NGX_ERROR;
        }

    } else if (ngx_live_cut_part(w, dts) != NGX_OK) {
        return NGX_ERROR;
    }

    /* a GAP lasts a tick, though it was closed where it began */

    if (w->nsamples == 0 && dts < w->end) {
        dts = w->end;
    }

    w->need_key = 0;
    pub->video_us = us;

    ngx_live_cut_begin(w, dts, cts, frame);

    return NGX_OK;
}


/*
 * Behind a hole there is a discontinuity, or sound has begun a segment
 * meanwhile: there players need a key frame (CMAF-13); where they see only what
 * is made here, it is one.
 */

static ngx_uint_t
ngx_live_cut_hole(ngx_live_publication_t *pub, ngx_live_writer_t *w,
    int64_t us)
{
    return pub->copy
           && ((w->nboundaries && us >= w->boundaries[0].us)
               || (pub->cut && us - pub->begin_us > pub->max_us));
}


/*
 * 1 where pictures were lost between the last part of a segment, which is out,
 * and its end: none of it can be made to last until there (CMAF-14).
 */

static ngx_uint_t
ngx_live_cut_behind(ngx_live_writer_t *w, int64_t dts)
{
    return w->open && w->nsamples == 0 && w->seg.parts
           && w->pub->st->part_target
           && dts - w->end >= (int64_t) live_track_clock_duration(&w->clock);
}


/* A frame is presented 10 s off its decoding by broken encoders only. */

static int32_t
ngx_live_cut_cts(ngx_live_writer_t *w, int32_t ms)
{
    if (ms > 10000 || ms < -10000) {
        return 0;
    }

    return live_track_clock_cts(&w->clock, (int64_t) ms * 1000);
}


static ngx_uint_t
ngx_live_cut_due(ngx_live_publication_t *pub, ngx_live_writer_t *w,
    int64_t us, ngx_uint_t key)
{
    int64_t  frame;

    frame = live_ticks_to_us(live_track_clock_duration(&w->clock),
                             w->info.timescale);

    if (key) {

        /* what sound has begun meanwhile may be too far back (HLS-46) */

        if (w->open && w->nsamples == 0 && w->seg.parts == 0
            && !w->changed && !pub->discontinuity
            && us - pub->begin_us <= frame)
        {
            return 0;
        }

        return !pub->cut || !w->open || w->need_key || w->changed
               || pub->discontinuity
               || us - pub->begin_us >= pub->segment_us - NGX_LIVE_CUT_NEAR
               || (w->nsamples == 0 && w->seg.parts == 0
                   && us - pub->begin_us > frame);
    }

    if (!w->open) {
        return 1;
    }

    /* who sees only what is made here gets key frames made where they should
     * be */

    if (!pub->copy
        && us - pub->begin_us >= pub->segment_us - NGX_LIVE_CUT_EXACT)
    {
        return 1;
    }

    /* the target duration is a promise (HLS-8) */

    return us + frame - pub->begin_us > pub->max_us;
}


static void
ngx_live_cut_warn(ngx_live_publication_t *pub, int64_t us, ngx_uint_t key)
{
    int64_t  duration;

    duration = us - pub->begin_us;

    if (!pub->cut || pub->warned || !pub->copy
        || duration < pub->segment_us + pub->segment_us / 2)
    {
        return;
    }

    pub->warned = 1;

    if (key) {
        ngx_log_error(NGX_LOG_WARN, pub->log, 0,
                      "key frames come every %L.%03Ls, segments become "
                      "longer than the configured %Mms: set the key frame "
                      "interval of the encoder to a part of it",
                      duration / 1000000, duration / 1000 % 1000,
                      (ngx_msec_t) (pub->segment_us / 1000));

    } else {
        ngx_log_error(NGX_LOG_WARN, pub->log, 0,
                      "no key frame for %L.%03Ls, segments are cut without "
                      "one: set a key frame interval in the encoder",
                      duration / 1000000, duration / 1000 % 1000);
    }
}


static ngx_int_t
ngx_live_cut_audio(ngx_live_publication_t *pub, ngx_live_writer_t *w,
    int64_t us, ngx_live_frame_t *frame)
{
    int64_t             dts, wait;
    ngx_int_t           rc;
    ngx_uint_t          leads, queued;
    ngx_live_writer_t  *video;

    video = &pub->writers[LIVE_MEDIA_VIDEO];

    if (!pub->cut) {

        wait = video->configured ? NGX_LIVE_CUT_WAIT
                                 : pub->audio_only ? 0 : NGX_LIVE_CUT_START;

        if (us - pub->first_us < wait) {
            return NGX_DECLINED;
        }
    }

    leads = !video->configured
            || us - ngx_max(pub->video_us, pub->begin_us)
               >= NGX_LIVE_CUT_WAIT;

    if (pub->cut && w->sh && (w->changed || pub->discontinuity)) {

        /* behind a change, audio goes on with the next segment (RTMP-75) */

        queued = w->nboundaries;

        if (ngx_live_cut_queued(w, us, w->end) != NGX_OK) {
            return NGX_ERROR;
        }

        if (w->changed || pub->discontinuity) {

            if (leads) {
                if (ngx_live_cut_boundary(pub, w, us, w->end) != NGX_OK) {
                    return NGX_ERROR;
                }

            } else if (queued == 0) {
                return NGX_DECLINED;
            }
        }

        if (w->changed) {
            return NGX_DECLINED;
        }
    }

    if (live_track_clock_map(&w->clock, us, &dts) != LIVE_OK) {
        return NGX_DECLINED;
    }

    if (dts < w->end) {
        dts = w->end;
    }

    if (ngx_live_cut_lost(w, dts)) {
        dts = w->end;
    }

    us = live_ticks_to_us(dts, w->info.timescale);

    if (ngx_live_cut_queued(w, us, dts) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = ngx_live_cut_audio_segment(pub, w, leads, dts);

    if (rc == NGX_OK) {
        ngx_live_cut_begin(w, dts, 0, frame);
    }

    return rc;
}


/*
 * 1 where sound was lost across the end of a segment whose last part is out:
 * no sample of it can be made to last until there (CMAF-14), so the first one
 * behind the hole is played in its place.
 */

static ngx_uint_t
ngx_live_cut_lost(ngx_live_writer_t *w, int64_t dts)
{
    ngx_live_boundary_t  *b;

    b = &w->boundaries[0];

    return w->open && w->nsamples == 0 && w->seg.parts && w->nboundaries
           && !(b->flags & LIVE_SEGMENT_DISCONTINUITY)
           && w->end < live_us_to_ticks(b->us, w->info.timescale)
           && live_ticks_to_us(dts, w->info.timescale) >= b->us;
}


static ngx_int_t
ngx_live_cut_audio_segment(ngx_live_publication_t *pub, ngx_live_writer_t *w,
    ngx_uint_t leads, int64_t dts)
{
    int64_t  us, most;

    us = live_ticks_to_us(dts, w->info.timescale);

    /* without video, segments end on time; where it stalls, they must end */

    most = pub->writers[LIVE_MEDIA_VIDEO].configured
           ? pub->max_us - NGX_LIVE_CUT_WAIT / 4
           : pub->segment_us - NGX_LIVE_CUT_NEAR;

    if (!pub->cut || (leads && us - pub->begin_us >= most)) {
        return ngx_live_cut_boundary(pub, w, us, dts);
    }

    if (!w->open) {

        /* audio that begins in the middle of a segment */

        if (us < pub->last.us) {
            return NGX_DECLINED;
        }

        return ngx_live_cut_apply(w, &pub->last, dts);
    }

    /* parts of audio end where it has arrived, and video as far */

    return NGX_OK;
}


static void
ngx_live_cut_begin(ngx_live_writer_t *w, int64_t dts, int32_t cts,
    ngx_live_frame_t *frame)
{
    w->frame.offset = w->pos;
    w->frame.dts = dts;
    w->frame.cts = cts;
    w->frame.size = frame->size;
    w->frame.flags = frame->key ? LIVE_SAMPLE_KEY : 0;

    if (frame->key && frame->recovery) {
        w->frame.flags |= LIVE_SAMPLE_OPEN;
    }

    w->arriving = 1;
}


static ngx_int_t
ngx_live_cut_boundary(ngx_live_publication_t *pub, ngx_live_writer_t *lead,
    int64_t us, int64_t dts)
{
    ngx_uint_t             i, again;
    ngx_live_writer_t     *w;
    ngx_live_boundary_t    b;
    ngx_live_stream_sh_t  *st;

    st = pub->st;

    b.us = us;
    b.flags = 0;

    if (st->msn == st->first_msn && st->part_target) {
        ngx_live_cut_target(pub);
    }

    /* a hole in the timestamps is not the duration of a frame (HLS-8) */

    if (pub->cut && us - pub->begin_us > pub->max_us) {
        pub->discontinuity = 1;
    }

    /* nothing to be discontinuous with before the first segment */

    b.end_us = 0;

    if (pub->discontinuity && st->msn > 1) {
        b.flags = LIVE_SEGMENT_DISCONTINUITY;
        b.end_us = ngx_min(ngx_live_cut_end(pub), us);
        b.end_us = ngx_min(b.end_us, pub->begin_us + pub->max_us);
        st->dsn++;
        st->stat.discontinuities++;
        pub->discontinuities++;
    }

    b.msn = st->msn++;
    b.dsn = st->dsn;
    b.shift = ngx_live_cut_shift(pub, us);

    ngx_live_state_save(pub->zone, st);

    /* segments of sound alone say nothing about key frames */

    pub->length_us = (pub->cut && !b.flags && pub->lead == lead)
                     ? us - pub->begin_us : 0;
    pub->lead = lead;
    again = pub->cut;

    pub->discontinuity = 0;
    pub->begin_us = us;
    pub->cut = 1;
    pub->last = b;

    for (i = 0; i < 2; i++) {
        w = &pub->writers[i];

        if (w != lead && ngx_live_cut_push(w, &b) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    ngx_live_crash_point("boundary");

    if (ngx_live_cut_apply(lead, &b, dts) != NGX_OK) {
        return NGX_ERROR;
    }

    if (pub->tap) {
        ngx_live_tap->boundary(pub->tap, &b);
    }

    if (pub->app->slate.len && !pub->builtin && again) {
        ngx_live_slate_prepare(pub);
    }

    return NGX_OK;
}


/* The date of what is cut follows the wall clock, not the encoder's. */

static int64_t
ngx_live_cut_shift(ngx_live_publication_t *pub, int64_t us)
{
    int64_t                late;
    ngx_live_stream_sh_t  *st;

    st = pub->st;
    late = (int64_t) (ngx_live_now() - st->anchor) * 1000 - us;

    st->shift = live_drift_shift(&pub->drift, late,
                                 pub->cut ? us - pub->begin_us : 0,
                                 st->shift);
    return st->shift;
}


/* A boundary that another track has made. */

static ngx_int_t
ngx_live_cut_push(ngx_live_writer_t *w, ngx_live_boundary_t *b)
{
    int64_t   dts;
    uint32_t  n;

    if (w->sh == NULL && !w->configured) {
        return NGX_OK;
    }

    if (w->sh == NULL) {

        /* nothing came yet: it begins with the newest */
        w->nboundaries = 0;
    }

    if (w->nboundaries == NGX_LIVE_BOUNDARIES) {
        if (ngx_live_cut_queued(w, w->boundaries[0].us, w->end) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    w->boundaries[w->nboundaries++] = *b;

    if (!w->open || w->nboundaries > 1) {
        return NGX_OK;
    }

    /*
     * What a discontinuity ends keeps the frames that it has, also where they
     * reach behind it: they are of another codec record, or clock.
     */
    if (b->flags & LIVE_SEGMENT_DISCONTINUITY) {
        return NGX_OK;
    }

    dts = live_us_to_ticks(b->us, w->info.timescale);

    for (n = 0; n < w->nsamples && w->samples[n].dts < dts; n++) {
        /* void */
    }

    if (n == w->nsamples && !(w->arriving && w->frame.dts >= dts)) {
        return NGX_OK;
    }

    w->nboundaries = 0;

    if (ngx_live_cut_whole(w, &n) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_live_writer_split(w, n, b);
}


/* Takes the boundaries that the time of the track has reached. */

ngx_int_t
ngx_live_cut_queued(ngx_live_writer_t *w, int64_t us, int64_t dts)
{
    int64_t              end;
    ngx_live_boundary_t  b;

    while (w->nboundaries && us >= w->boundaries[0].us) {

        b = w->boundaries[0];

        ngx_memmove(w->boundaries, w->boundaries + 1,
                    --w->nboundaries * sizeof(ngx_live_boundary_t));

        end = (w->nboundaries && us >= w->boundaries[0].us)
              ? live_us_to_ticks(b.us, w->info.timescale)
              : ngx_live_cut_joint(w, &b, dts);

        if (ngx_live_cut_apply(w, &b, end) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


int64_t
ngx_live_cut_joint(ngx_live_writer_t *w, ngx_live_boundary_t *b, int64_t dts)
{
    int64_t  at;

    if (w->follows || (b->flags & LIVE_SEGMENT_DISCONTINUITY)) {
        return dts;
    }

    at = live_us_to_ticks(b->us, w->info.timescale);

    if (dts >= at
        && dts - at <= (int64_t) live_track_clock_duration(&w->clock))
    {
        return dts;
    }

    return ngx_max(at, w->end);
}


static ngx_int_t
ngx_live_cut_apply(ngx_live_writer_t *w, ngx_live_boundary_t *b, int64_t end)
{
    int64_t   most;
    uint32_t  n;

    if (w->open) {

        if (b->flags & LIVE_SEGMENT_DISCONTINUITY) {
            if (ngx_live_cut_interrupt(w, b->end_us) != NGX_OK) {
                return NGX_ERROR;
            }

        } else {
            most = w->seg.start + live_us_to_ticks(w->pub->max_us,
                                                   w->info.timescale);

            /* nor may a segment be too long that is a GAP (HLS-8) */

            if (w->nsamples == 0 && w->seg.parts == 0 && end > most) {
                end = live_us_to_ticks(b->us, w->info.timescale);
            }

            n = w->nsamples;

            if (ngx_live_cut_whole(w, &n) != NGX_OK
                || ngx_live_writer_close(w, n, end) != NGX_OK)
            {
                return NGX_ERROR;
            }
        }
    }

    /* a segment of before the change may have been waited for (HLS-19) */

    if (((w->changed && (w->follows
                         || (b->flags & LIVE_SEGMENT_DISCONTINUITY)))
         || (w->sh == NULL && w->configured))
        && ngx_live_publish_activate(w) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_live_writer_open(w, b);
}


int64_t
ngx_live_cut_end(ngx_live_publication_t *pub)
{
    int64_t             us;
    ngx_uint_t          i;
    ngx_live_writer_t  *w;

    us = 0;

    for (i = 0; i < 2; i++) {
        w = &pub->writers[i];

        if (w->open && (w->nsamples || w->seg.parts)) {
            us = ngx_max(us, live_ticks_to_us(ngx_max(w->end, w->shown),
                                              w->info.timescale));
        }
    }

    return us;
}


ngx_int_t
ngx_live_cut_interrupt(ngx_live_writer_t *w, int64_t end_us)
{
    int64_t   end, shown;
    uint32_t  n;

    n = w->nsamples;

    if (ngx_live_cut_whole(w, &n) != NGX_OK) {
        return NGX_ERROR;
    }

    w->broken = 1;
    end = live_us_to_ticks(end_us, w->info.timescale);

    if (w->nsamples == 0 && w->seg.parts == 0) {
        return ngx_live_writer_close(w, 0, end);
    }

    /* of reordered frames, the last decoded is not the last shown */

    shown = ngx_max(w->end, w->shown);

    /* what follows may come sooner than the last of them was to end */

    if (w->nsamples && end < w->end && end > w->samples[w->nsamples - 1].dts) {
        return ngx_live_writer_close(w, w->nsamples, end);
    }

    /* less than a frame is no hole, and a part that is out stays as it is */

    if (w->nsamples == 0
        && end - shown < (int64_t) live_track_clock_duration(&w->clock))
    {
        return ngx_live_writer_close(w, 0, w->end);
    }

    return ngx_live_writer_close(w, w->nsamples,
                                 w->end + ngx_max(end - shown, 0));
}


ngx_int_t
ngx_live_cut_laggards(ngx_live_publication_t *pub, int64_t us)
{
    ngx_uint_t          i;
    ngx_live_writer_t  *w;

    for (i = 0; i < 2; i++) {
        w = &pub->writers[i];

        while (w->sh && w->nboundaries && !w->arriving
               && us - w->boundaries[0].us > NGX_LIVE_CUT_WAIT)
        {
            if (ngx_live_cut_queued(w, w->boundaries[0].us,
                                    live_us_to_ticks(w->boundaries[0].us,
                                                     w->info.timescale))
                != NGX_OK)
            {
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}
