
/*
 * Decides where segments and parts end.
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


#define NGX_LIVE_CUT_WAIT    2000000    /* us */
#define NGX_LIVE_CUT_START   1000000    /* us, for video to announce itself */
#define NGX_LIVE_CUT_NEAR    20000      /* us, a key frame is on time */
#define NGX_LIVE_CUT_EXACT   2000       /* us, what rounding makes */


static ngx_int_t ngx_live_cut_video(ngx_live_publication_t *pub,
    ngx_live_writer_t *w, int64_t us, ngx_live_frame_t *frame);
static ngx_int_t ngx_live_cut_audio(ngx_live_publication_t *pub,
    ngx_live_writer_t *w, int64_t us, ngx_live_frame_t *frame);
static ngx_int_t ngx_live_cut_audio_segment(ngx_live_publication_t *pub,
    ngx_live_writer_t *w, ngx_uint_t leads, int64_t dts);
static int32_t ngx_live_cut_cts(ngx_live_writer_t *w, int32_t ms);
static ngx_uint_t ngx_live_cut_due(ngx_live_publication_t *pub,
    ngx_live_writer_t *w, int64_t us, ngx_uint_t key);
static ngx_int_t ngx_live_cut_boundary(ngx_live_publication_t *pub,
    ngx_live_writer_t *lead, int64_t us, int64_t dts);
static ngx_int_t ngx_live_cut_push(ngx_live_writer_t *w,
    ngx_live_boundary_t *b);
static ngx_int_t ngx_live_cut_queued(ngx_live_writer_t *w, int64_t us,
    int64_t dts);
static ngx_int_t ngx_live_cut_apply(ngx_live_writer_t *w,
    ngx_live_boundary_t *b, int64_t end);
static ngx_int_t ngx_live_cut_part(ngx_live_writer_t *w, int64_t dts);
static ngx_int_t ngx_live_cut_full(ngx_live_publication_t *pub,
    ngx_live_writer_t *w);
static ngx_uint_t ngx_live_cut_doubt(ngx_live_publication_t *pub,
    ngx_live_writer_t *w);
static int64_t ngx_live_cut_most(ngx_live_writer_t *w);
static uint32_t ngx_live_cut_fit(ngx_live_writer_t *w, int64_t *end);
static ngx_int_t ngx_live_cut_whole(ngx_live_writer_t *w, uint32_t *n);
static ngx_uint_t ngx_live_cut_passed(ngx_live_publication_t *pub,
    ngx_live_writer_t *w, int64_t dts);
static void ngx_live_cut_expect(ngx_live_writer_t *w);
static void ngx_live_cut_follow(ngx_live_writer_t *w, int64_t us);
static void ngx_live_cut_target(ngx_live_publication_t *pub);
static uint32_t ngx_live_cut_suitable(uint32_t ms, double video, double audio,
    ngx_uint_t aligned, uint32_t *target);
static double ngx_live_cut_frame_ms(ngx_live_writer_t *w);
static double ngx_live_cut_whole_ms(double ms, double frame);
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

    if (w->sh == NULL) {
        w->nboundaries = 0;
    }

    if (ngx_live_cut_queued(w, us, dts) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_live_cut_due(pub, w, us, frame->key)) {
        ngx_live_cut_warn(pub, us, frame->key);

        if (ngx_live_cut_boundary(pub, w, us, dts) != NGX_OK) {
            return NGX_ERROR;
        }

    } else if (ngx_live_cut_part(w, dts) != NGX_OK) {
        return NGX_ERROR;
    }

    w->need_key = 0;
    pub->video_us = us;

    ngx_live_cut_begin(w, dts, cts, frame);

    return NGX_OK;
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

    if (key) {
        return !pub->cut || !w->open || w->need_key || w->changed
               || pub->discontinuity
               || us - pub->begin_us >= pub->segment_us - NGX_LIVE_CUT_NEAR;
    }

    if (!w->open) {
        return 1;
    }

    /* the target duration is a promise (HLS-8) */

    frame = live_ticks_to_us(live_track_clock_duration(&w->clock),
                             w->info.timescale);

    return us + frame - pub->begin_us > pub->max_us;
}


static void
ngx_live_cut_warn(ngx_live_publication_t *pub, int64_t us, ngx_uint_t key)
{
    int64_t  duration;

    duration = us - pub->begin_us;

    if (!pub->cut || pub->warned
        || duration < pub->segment_us + pub->segment_us / 2)
    {
        return;
    }

    pub->warned = 1;

    if (key) {
        ngx_log_error(NGX_LOG_WARN, pub->log, 0,
                      "key frames come every %L.%03Ls, segments become "
                      "longer than the configured %Ms: set the key frame "
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
    ngx_uint_t          leads;
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

        if (leads) {
            if (ngx_live_cut_boundary(pub, w, us, w->end) != NGX_OK) {
                return NGX_ERROR;
            }

        } else if (w->nboundaries == 0) {
            return NGX_DECLINED;

        } else if (ngx_live_cut_queued(w, us, w->end) != NGX_OK) {
            return NGX_ERROR;
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


/* Closes the part when one more frame would make it too long. */

static ngx_int_t
ngx_live_cut_part(ngx_live_writer_t *w, int64_t dts)
{
    int64_t  most, frame;

    if (!w->open || w->nsamples == 0) {
        return NGX_OK;
    }

    most = (int64_t) w->pub->st->part * w->info.timescale / 1000;
    frame = live_track_clock_duration(&w->clock);

    if (dts + frame - w->samples[0].dts <= most
        && w->nsamples < w->capacity)
    {
        return NGX_OK;
    }

    if (ngx_live_writer_part(w, w->nsamples, dts) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_live_cut_expect(w);

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
    int64_t   end, frame;
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

        frame = live_track_clock_duration(&w->clock);

        if (w->end < end
            && w->end + frame - w->samples[0].dts <= ngx_live_cut_most(w)
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

    if (ngx_live_writer_cut(w, n) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_live_cut_expect(w);

    return NGX_OK;
}


/*
 * 1 where the next frame may begin a segment and no segment before tells: then
 * the hint for what comes next would be a guess (HLS-53).
 */

static ngx_uint_t
ngx_live_cut_doubt(ngx_live_publication_t *pub, ngx_live_writer_t *w)
{
    return pub->length_us == 0
           && live_ticks_to_us(w->end, w->info.timescale) - pub->begin_us
              >= pub->segment_us - NGX_LIVE_CUT_NEAR;
}


/* Ticks that a part may last. */

static int64_t
ngx_live_cut_most(ngx_live_writer_t *w)
{
    uint32_t               ms;
    ngx_live_stream_sh_t  *st;

    st = w->pub->st;
    ms = st->part;

    if (w->media == LIVE_MEDIA_AUDIO && st->part_target) {
        ms = st->part_target;
    }

    return (int64_t) ms * w->info.timescale / 1000;
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
    int64_t   first, most, frame;
    uint32_t  n;

    first = w->samples[0].dts;
    most = ngx_live_cut_most(w);
    frame = live_track_clock_duration(&w->clock);

    *end = INT64_MAX;

    while (w->nends) {
        *end = live_us_to_ticks(w->ends[0], w->info.timescale);

        if (*end > first) {
            break;
        }

        *end = INT64_MAX;

        ngx_memmove(w->ends, w->ends + 1, --w->nends * sizeof(int64_t));
    }

    for (n = 1; n < w->nsamples && n < w->capacity; n++) {
        if (w->samples[n].dts >= *end
            || w->samples[n].dts + frame - first > most)
        {
            break;
        }
    }

    return n;
}


/*
 * The first n samples turn out to belong to the segment: closes parts until
 * they are no more than one.  Audio gathers while it waits for video.
 */

static ngx_int_t
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
    ngx_live_publication_t  *pub;

    pub = w->pub;
    us = live_ticks_to_us(w->end, w->info.timescale);

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
                     > pub->begin_us + pub->length_us;

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


static void
ngx_live_cut_begin(ngx_live_writer_t *w, int64_t dts, int32_t cts,
    ngx_live_frame_t *frame)
{
    w->frame.offset = w->pos;
    w->frame.dts = dts;
    w->frame.cts = cts;
    w->frame.size = frame->size;
    w->frame.flags = frame->key ? LIVE_SAMPLE_KEY : 0;
    w->arriving = 1;
}


static ngx_int_t
ngx_live_cut_boundary(ngx_live_publication_t *pub, ngx_live_writer_t *lead,
    int64_t us, int64_t dts)
{
    ngx_uint_t             i;
    ngx_live_writer_t     *w;
    ngx_live_boundary_t    b;
    ngx_live_stream_sh_t  *st;

    st = pub->st;

    b.us = us;
    b.flags = 0;

    if (st->msn == 1 && st->part_target) {
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
    }

    b.msn = st->msn++;
    b.dsn = st->dsn;

    pub->length_us = (pub->cut && !b.flags) ? us - pub->begin_us : 0;

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

    return ngx_live_cut_apply(lead, &b, dts);
}


/*
 * The part target is announced once and for all (HLS-50), and parts, which are
 * made of whole frames, may not be shorter than 85 % of it (HLS-51): where
 * the configured part does not suit the frame rates, the next larger one that
 * does is taken.
 */

static void
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
            *target = (uint32_t) (longest + audio + 0.99);
        }

        if (longest > *target * 0.855
            && ngx_live_cut_whole_ms(aligned ? longest : part, audio)
               > *target * 0.855)
        {
            return part;
        }
    }

    *target = aligned ? (uint32_t) (ms + audio + 0.99) : ms;

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

static ngx_int_t
ngx_live_cut_queued(ngx_live_writer_t *w, int64_t us, int64_t dts)
{
    int64_t              end;
    ngx_live_boundary_t  b;

    while (w->nboundaries && us >= w->boundaries[0].us) {

        b = w->boundaries[0];

        ngx_memmove(w->boundaries, w->boundaries + 1,
                    --w->nboundaries * sizeof(ngx_live_boundary_t));

        end = (w->nboundaries && us >= w->boundaries[0].us)
              ? live_us_to_ticks(b.us, w->info.timescale) : dts;

        if (ngx_live_cut_apply(w, &b, end) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
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

    if ((w->changed || (w->sh == NULL && w->configured))
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

    end = live_us_to_ticks(end_us, w->info.timescale);

    if (w->nsamples == 0 && w->seg.parts == 0) {
        return ngx_live_writer_close(w, 0, end);
    }

    /* of reordered frames, the last decoded is not the last shown */

    shown = ngx_max(w->end, w->shown);

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
