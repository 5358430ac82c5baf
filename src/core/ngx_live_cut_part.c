
/*
 * Decides where parts end, and how long they are.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_live_writer.h"


static ngx_int_t ngx_live_cut_full(ngx_live_publication_t *pub,
    ngx_live_writer_t *w);
static ngx_uint_t ngx_live_cut_ahead(ngx_live_publication_t *pub,
    ngx_live_writer_t *w, uint32_t n);
static ngx_uint_t ngx_live_cut_doubt(ngx_live_publication_t *pub,
    ngx_live_writer_t *w);
static ngx_uint_t ngx_live_cut_longer(ngx_live_writer_t *w, int64_t us);
static int64_t ngx_live_cut_most(ngx_live_writer_t *w);
static ngx_uint_t ngx_live_cut_takes(ngx_live_writer_t *w, int64_t dts);
static uint32_t ngx_live_cut_fit(ngx_live_writer_t *w, int64_t *end);
static ngx_uint_t ngx_live_cut_passed(ngx_live_publication_t *pub,
    ngx_live_writer_t *w, int64_t dts);
static void ngx_live_cut_expect(ngx_live_writer_t *w);
static void ngx_live_cut_follow(ngx_live_writer_t *w, int64_t us);
static uint32_t ngx_live_cut_suitable(uint32_t ms, double video, double audio,
    ngx_uint_t aligned, uint32_t *target);
static double ngx_live_cut_frame_ms(ngx_live_writer_t *w);
static double ngx_live_cut_whole_ms(double ms, double frame);


ngx_int_t
ngx_live_cut_part(ngx_live_writer_t *w, int64_t dts)
{
    if (!w->open || w->nsamples == 0) {
        return NGX_OK;
    }

    if (ngx_live_cut_takes(w, dts) && w->nsamples < w->capacity) {
        return NGX_OK;
    }

    if (ngx_live_writer_part(w, w->nsamples, dts) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_live_cut_expect(w);

    /* the frame that comes is known, and begins no segment */
    w->sh->ends = 0;

    return ngx_live_writer_begin_part(w);
}


ngx_int_t
ngx_live_cut_arrived(ngx_live_publication_t *pub)
{
    ngx_int_t           rc;
    ngx_uint_t          i;
    ngx_live_writer_t  *w;

    /* video first: audio follows it */

    for (i = 0; i < 2; i++) {
        w = &pub->writers[i];

        do {
            rc = ngx_live_cut_full(pub, w);
        } while (rc == NGX_OK);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* Closes the part when it is full.  NGX_DECLINED: it is not. */

static ngx_int_t
ngx_live_cut_full(ngx_live_publication_t *pub, ngx_live_writer_t *w)
{
    int64_t   end;
    uint32_t  n;

    if (!w->open || w->arriving || w->nsamples == 0) {
        return NGX_DECLINED;
    }

    if (w->nboundaries
        && w->end >= live_us_to_ticks(w->boundaries[0].us, w->info.timescale))
    {
        /* the next frame belongs to the next segment */

        if (w->media == LIVE_MEDIA_VIDEO) {
            return NGX_DECLINED;
        }

        return ngx_live_cut_queued(w, w->boundaries[0].us, w->end);
    }

    n = ngx_live_cut_fit(w, &end);

    if (n == w->nsamples) {

        if (w->end < end && ngx_live_cut_takes(w, w->end)
            && n < w->capacity)
        {
            return NGX_DECLINED;
        }

        /* how long its last frame lasts is for the next one to tell, unless
         * there is haste and hardly a doubt */

        if (pub->st->part_target == 0
            || !live_track_clock_steady(&w->clock)
            || ngx_live_cut_doubt(pub, w))
        {
            return NGX_DECLINED;
        }
    }

    /* video has come as far as one of its parts has ended */

    if (w->media == LIVE_MEDIA_AUDIO
        && end == INT64_MAX
        && !ngx_live_cut_passed(pub, w, w->samples[n - 1].dts))
    {
        return NGX_DECLINED;
    }

    if (w->media == LIVE_MEDIA_AUDIO && n < w->nsamples
        && ngx_live_cut_ahead(pub, w, n))
    {
        return NGX_DECLINED;
    }

    if (ngx_live_writer_cut(w, n) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_live_cut_expect(w);

    return NGX_OK;
}


/*
 * 1 where sound was lost behind the part, so that its last sample lasts to
 * where video has not come yet: that may begin a segment before (HLS-53).
 */

static ngx_uint_t
ngx_live_cut_ahead(ngx_live_publication_t *pub, ngx_live_writer_t *w,
    uint32_t n)
{
    int64_t  us;

    us = live_ticks_to_us(w->samples[n].dts, w->info.timescale);

    return pub->writers[LIVE_MEDIA_VIDEO].configured
           && w->samples[n].dts - w->samples[n - 1].dts
              > 2 * (int64_t) live_track_clock_duration(&w->clock)
           && us > pub->video_us
           && us - ngx_max(pub->video_us, pub->begin_us) < NGX_LIVE_CUT_WAIT;
}


/*
 * 1 where the next frame may begin a segment and no segment before tells, or
 * this one has become longer, as where a key frame was lost: then the hint for
 * what comes next would be a guess (HLS-53).
 */

static ngx_uint_t
ngx_live_cut_doubt(ngx_live_publication_t *pub, ngx_live_writer_t *w)
{
    int64_t  us;

    us = live_ticks_to_us(w->end, w->info.timescale) - pub->begin_us;

    return us >= pub->segment_us - NGX_LIVE_CUT_NEAR
           && (pub->length_us == 0 || ngx_live_cut_longer(w, us));
}


/* 1 when the segment did not end where the one before it did; us: since it
 * began. */

static ngx_uint_t
ngx_live_cut_longer(ngx_live_writer_t *w, int64_t us)
{
    int64_t                  frame;
    ngx_live_publication_t  *pub;

    pub = w->pub;
    frame = live_ticks_to_us(live_track_clock_duration(&w->clock),
                             w->info.timescale);

    if (us > pub->length_us + frame + NGX_LIVE_CUT_EXACT) {
        return 1;
    }

    /* what video has there is no boundary, or audio would know of it */

    return w->media == LIVE_MEDIA_AUDIO
           && pub->writers[LIVE_MEDIA_VIDEO].configured
           && pub->video_us - pub->begin_us
              > pub->length_us - NGX_LIVE_CUT_EXACT;
}


/*
 * Ticks that a part may last.  The clocks of encoders are not exact: what a
 * frame is longer than nominal must not cost a part its last frame.  What is
 * longer by a thousandth is another rate (30000/1001).
 */

static int64_t
ngx_live_cut_most(ngx_live_writer_t *w)
{
    int64_t                most;
    ngx_live_stream_sh_t  *st;

    st = w->pub->st;

    if (w->media == LIVE_MEDIA_AUDIO && st->part_target) {
        return (int64_t) st->part_target * w->info.timescale / 1000;
    }

    most = (int64_t) st->part * w->info.timescale / 1000;

    return st->part_target > st->part ? most + most / 2048 : most;
}


/*
 * 1 when a frame at dts still belongs to the part.  Where one was lost, or did
 * not come when it should, whole frames make less than 85 % of the part target
 * (HLS-51), and there may be room for one more below it.
 */

static ngx_uint_t
ngx_live_cut_takes(ngx_live_writer_t *w, int64_t dts)
{
    int64_t  length, target, frame;

    length = dts - w->samples[0].dts;
    frame = live_track_clock_duration(&w->clock);

    if (length + frame <= ngx_live_cut_most(w)) {
        return 1;
    }

    target = (int64_t) w->pub->st->part_target * w->info.timescale / 1000;

    return length + frame <= target && length * 100 < target * 85;
}


/*
 * How many of the samples make a part, at least 1.  *end, in ticks, is where
 * the part of video next to it has ended, INT64_MAX when it has not: audio ends
 * there too, so that segments of all tracks have the same parts, and none that
 * is as short as a frame, which players stumble over.
 */

static uint32_t
ngx_live_cut_fit(ngx_live_writer_t *w, int64_t *end)
{
    int64_t   first, frame;
    uint32_t  n;

    first = w->samples[0].dts;
    frame = live_track_clock_duration(&w->clock);

    *end = INT64_MAX;

    /* a frame that the part before had no room for goes into the next one */

    while (w->nends) {
        *end = live_us_to_ticks(w->ends[0], w->info.timescale);

        if (*end > first + (w->seg.parts ? frame : 0)) {
            break;
        }

        *end = INT64_MAX;

        ngx_memmove(w->ends, w->ends + 1, --w->nends * sizeof(int64_t));
    }

    for (n = 1; n < w->nsamples && n < w->capacity; n++) {
        if (w->samples[n].dts >= *end
            || !ngx_live_cut_takes(w, w->samples[n].dts))
        {
            break;
        }
    }

    return n;
}


ngx_int_t
ngx_live_cut_whole(ngx_live_writer_t *w, uint32_t *n)
{
    int64_t   end;
    uint32_t  part;

    for ( ;; ) {
        part = ngx_live_cut_fit(w, &end);

        if (part >= *n) {
            return NGX_OK;
        }

        if (ngx_live_writer_cut(w, part) != NGX_OK) {
            return NGX_ERROR;
        }

        *n -= part;
    }
}


/* 1 when no segment can begin before what follows a sample of audio. */

static ngx_uint_t
ngx_live_cut_passed(ngx_live_publication_t *pub, ngx_live_writer_t *w,
    int64_t dts)
{
    int64_t             us, next;
    ngx_live_writer_t  *video;

    video = &pub->writers[LIVE_MEDIA_VIDEO];

    if (!video->configured) {
        return 1;
    }

    us = live_ticks_to_us(dts, w->info.timescale);
    next = pub->video_us;

    if (us - ngx_max(next, pub->begin_us) >= NGX_LIVE_CUT_WAIT) {
        return 1;
    }

    /* the part of video is about to end, and that of audio with it */

    if (pub->st->part_aligned) {
        return 0;
    }

    if (live_track_clock_steady(&video->clock)) {
        next += live_ticks_to_us(live_track_clock_duration(&video->clock),
                                 video->info.timescale) - NGX_LIVE_CUT_EXACT;
    }

    return us < next;
}


/*
 * Segments are likely to be as long as the one before: then the part after
 * this one is the first of the next segment, which players are told (HLS-53).
 */

static void
ngx_live_cut_expect(ngx_live_writer_t *w)
{
    int64_t                  us, frame;
    ngx_live_part_sh_t      *part;
    ngx_live_publication_t  *pub;

    pub = w->pub;

    /* more may have arrived behind it */

    part = ngx_live_slot(&w->sh->parts, ngx_live_part_sh_t,
                         w->sh->parts.head - 1);
    us = live_ticks_to_us(part->start + (int64_t) part->duration,
                          w->info.timescale);

    /* what the segment before lacked of a frame, or had too much of it, does
     * not matter; audio ends where its next frame would be behind the end */

    frame = 0;

    if (w->media == LIVE_MEDIA_VIDEO) {
        frame = live_ticks_to_us(live_track_clock_duration(&w->clock),
                                 w->info.timescale);
    }

    w->sh->ends = pub->length_us
                  && us + ngx_max(frame - NGX_LIVE_CUT_EXACT,
                                  NGX_LIVE_CUT_EXACT)
                     > pub->begin_us + pub->length_us
                  && !ngx_live_cut_longer(w, us - pub->begin_us);

    if (w->media == LIVE_MEDIA_VIDEO && pub->st->part_aligned) {
        ngx_live_cut_follow(&pub->writers[LIVE_MEDIA_AUDIO], us);
    }
}


/* A part of video has ended, and so will one of audio. */

static void
ngx_live_cut_follow(ngx_live_writer_t *w, int64_t us)
{
    if (!w->configured) {
        return;
    }

    if (w->nends == NGX_LIVE_ENDS) {
        ngx_memmove(w->ends, w->ends + 1, --w->nends * sizeof(int64_t));
    }

    w->ends[w->nends++] = us;
}


/*
 * The part target is announced once and for all (HLS-50), and parts, which are
 * made of whole frames, may not be shorter than 85 % of it (HLS-51): where
 * the configured part does not suit the frame rates, the next larger one that
 * does is taken.
 */

void
ngx_live_cut_target(ngx_live_publication_t *pub)
{
    double                 video, audio;
    uint32_t               part, aligned, target;
    ngx_live_stream_sh_t  *st;

    st = pub->st;
    video = ngx_live_cut_frame_ms(&pub->writers[LIVE_MEDIA_VIDEO]);
    audio = ngx_live_cut_frame_ms(&pub->writers[LIVE_MEDIA_AUDIO]);

    part = ngx_live_cut_suitable(st->part, video, audio, 0, &target);

    if (audio && pub->writers[LIVE_MEDIA_VIDEO].configured) {

        /* a frame of audio more, unless it makes parts much longer */

        aligned = ngx_live_cut_suitable(st->part, video, audio, 1, &target);

        if (aligned <= st->part * 5 / 4) {
            part = aligned;
            st->part_aligned = 1;
        }
    }

    if (part != st->part) {
        ngx_log_error(NGX_LOG_NOTICE, pub->log, 0,
                      "parts are up to %uDms long, as the frame rate does "
                      "not suit the configured %uDms", part, st->part);
    }

    st->part = part;
    st->part_target = st->part_aligned ? target : part;

    if (video && !st->part_aligned
        && ngx_live_cut_whole_ms(part, video) + 0.5 > part)
    {
        st->part_target += NGX_LIVE_CUT_DRIFT;
    }
}


/*
 * The length in ms of parts, from the configured one on, and *target for it.
 * Parts of audio that are aligned end at the first frame behind those of
 * video, and are longer by up to a frame.
 */

static uint32_t
ngx_live_cut_suitable(uint32_t ms, double video, double audio,
    ngx_uint_t aligned, uint32_t *target)
{
    double    longest;
    uint32_t  part;

    for (part = ms; part <= ms * 5 / 2; part++) {

        longest = ngx_live_cut_whole_ms(part, video);
        *target = part;

        if (aligned) {
            *target = (uint32_t) (longest + audio + 1.49);
        }

        if (longest > *target * 0.855
            && ngx_live_cut_whole_ms(aligned ? longest : part, audio)
               > *target * 0.855)
        {
            return part;
        }
    }

    *target = aligned ? (uint32_t) (ms + audio + 1.49) : ms;

    return ms;
}


/* 0: unknown. */

static double
ngx_live_cut_frame_ms(ngx_live_writer_t *w)
{
    if (!w->configured) {
        return 0;
    }

    if (w->media == LIVE_MEDIA_AUDIO) {
        return 1000.0 * w->info.frame_samples / w->info.timescale;
    }

    if (!live_track_clock_steady(&w->clock)) {
        return 0;
    }

    return 1000.0 * live_track_clock_duration(&w->clock) / w->info.timescale;
}


/* What whole frames make of it; a tick that is missing does not count. */

static double
ngx_live_cut_whole_ms(double ms, double frame)
{
    return frame ? (uint64_t) ((ms + 0.01) / frame) * frame : ms;
}
