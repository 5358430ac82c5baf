#include "live_slate_file.h"

#include <libavutil/channel_layout.h>
#include <libavutil/samplefmt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>


#define LIVE_SLATE_FPS      30          /* where none is known */
#define LIVE_SLATE_CRF      23
#define LIVE_SLATE_BLACK    16
#define LIVE_SLATE_GREY     128

/* us of silence that sound may lack before it is filled in */
#define LIVE_SLATE_HOLE     20000

#define LIVE_SLATE_SILENCE  1024        /* samples */

/* ms by which a group of pictures may be shorter than asked for */
#define LIVE_SLATE_GROUP    8

/* ms by which a segment may be shorter than asked for */
#define LIVE_SLATE_NEAR     20

/* turns that tell how segments are cut */
#define LIVE_SLATE_TURNS    200

/* us by which the time of a picture may be rounded up */
#define LIVE_SLATE_ROUND    600

/* us that sound without a picture, and silence, repeat */
#define LIVE_SLATE_TURN     2000000


/* One that is being made. */
typedef struct {
    const live_slate_conf_t  *conf;
    live_slate_t             *slate;
    live_slate_file_t        *file;
    live_rung_t               rung;

    /* video */
    live_encoder_t           *video;
    live_scaler_t            *scaler;
    AVFrame                  *held;     /* the picture that is shown now */
    int64_t                   held_us;
    uint32_t                  fps_num;
    uint32_t                  fps_den;
    int64_t                   frames;   /* encoded */
    int64_t                   gop;      /* frames */
    int64_t                   pictures; /* of the file */
    int64_t                   shown;    /* us that the last picture lasts */

    /* audio */
    live_encoder_t           *audio;
    AVFrame                  *like;     /* the last sound of the file */
    int64_t                   heard;    /* us up to which there is sound */
    int64_t                   sound;    /* the same, of the file */
} live_slate_maker_t;


static int live_slate_begin(live_slate_maker_t *m, const char **reason);
static int live_slate_begin_audio(live_slate_maker_t *m,
    const char **reason);
static int live_slate_run(live_slate_maker_t *m, const char **reason);
static int live_slate_picture(live_slate_maker_t *m, AVFrame *frame,
    const char **reason);
static int live_slate_first(live_slate_maker_t *m, const AVFrame *frame,
    const char **reason);
static int live_slate_begin_video(live_slate_maker_t *m,
    const live_rung_source_t *picture, const char **reason);
static int live_slate_show(live_slate_maker_t *m, int64_t n,
    const char **reason);
static int live_slate_sound(live_slate_maker_t *m, AVFrame *frame,
    const char **reason);
static int live_slate_silence(live_slate_maker_t *m, int64_t us,
    const char **reason);
static AVFrame *live_slate_quiet(live_slate_maker_t *m);
static int live_slate_black(live_slate_maker_t *m, const char **reason);
static int live_slate_end(live_slate_maker_t *m, const char **reason);
static int live_slate_end_video(live_slate_maker_t *m, int64_t us,
    const char **reason);
static int live_slate_even(const live_slate_maker_t *m, int64_t n);
static int live_slate_end_audio(live_slate_maker_t *m, const char **reason);
static int64_t live_slate_turn(live_slate_maker_t *m);
static int live_slate_encode(live_slate_maker_t *m, live_media_e media,
    AVFrame *frame, const char **reason);
static void live_slate_maker_free(live_slate_maker_t *m);


int
live_slate_probe(const char *path, const char **reason)
{
    int                 rc;
    AVFrame            *frame;
    live_media_e        media;
    live_slate_file_t  *f;

    f = live_slate_file_open(path, NULL, reason);
    if (f == NULL) {
        return 0;
    }

    rc = live_slate_file_read(f, &frame, &media, reason);

    if (rc == LIVE_OK) {
        av_frame_free(&frame);
    }

    live_slate_file_close(f);

    return rc == LIVE_OK;
}


live_slate_t *
live_slate_make(const char *path, const live_slate_conf_t *conf,
    live_slate_stop_pt stop, const char **reason)
{
    int                  rc;
    live_slate_maker_t   m;

    memset(&m, 0, sizeof(m));

    m.conf = conf;
    m.slate = calloc(1, sizeof(live_slate_t));

    if (m.slate == NULL) {
        *reason = "no memory";
        return NULL;
    }

    m.file = live_slate_file_open(path, stop, reason);

    rc = m.file ? live_slate_begin(&m, reason) : LIVE_ERROR;

    if (rc == LIVE_OK) {
        rc = live_slate_run(&m, reason);
    }

    if (rc == LIVE_OK) {
        rc = live_slate_end(&m, reason);
    }

    live_slate_maker_free(&m);

    if (rc != LIVE_OK) {
        live_slate_free(m.slate);
        return NULL;
    }

    return m.slate;
}


static int
live_slate_begin(live_slate_maker_t *m, const char **reason)
{
    live_rung_t  *rung = &m->rung;

    live_rung_init(rung, "slate");

    rung->crf = LIVE_SLATE_CRF;
    rung->maxrate = LIVE_SLATE_RATE;
    rung->bufsize = LIVE_SLATE_RATE;
    rung->tonemap = 1;
    rung->width = (int32_t) m->conf->width;
    rung->height = (int32_t) m->conf->height;
    rung->sample_rate = m->conf->sample_rate;
    rung->channels = m->conf->channels;

    /* frames that wait for others would need memory, and times of their own */

    (void) snprintf(rung->codec, sizeof(rung->codec), "libx264");
    (void) snprintf(rung->tune, sizeof(rung->tune), "zerolatency");
    (void) snprintf(rung->profile, sizeof(rung->profile), "%s",
                    m->conf->profile);
    (void) snprintf(rung->preset, sizeof(rung->preset), "veryfast");
    (void) snprintf(rung->audio_codec, sizeof(rung->audio_codec), "aac");

    return m->conf->sample_rate ? live_slate_begin_audio(m, reason)
                                : LIVE_OK;
}


/* Times are us, whatever the file has. */
static int
live_slate_begin_audio(live_slate_maker_t *m, const char **reason)
{
    live_codec_info_t  source;

    memset(&source, 0, sizeof(source));

    source.codec = LIVE_CODEC_AAC;
    source.media = LIVE_MEDIA_AUDIO;
    source.timescale = AV_TIME_BASE;
    source.sample_rate = m->conf->sample_rate;
    source.channels = m->conf->channels;

    m->audio = live_encoder_create_audio(&m->rung, &source, reason);
    if (m->audio == NULL) {
        return LIVE_ERROR;
    }

    if (live_slate_config(&m->slate->tracks[LIVE_MEDIA_AUDIO], m->audio)
        != LIVE_OK)
    {
        *reason = "no memory";
        return LIVE_ERROR;
    }

    return LIVE_OK;
}


/* All of the file, or as much of it as is used. */
static int
live_slate_run(live_slate_maker_t *m, const char **reason)
{
    int           rc, done[2];
    AVFrame      *frame;
    live_media_e  media;

    for (media = 0; media < 2; media++) {
        done[media] = !live_slate_file_has(m->file, media);
    }

    while (!done[0] || !done[1]) {

        rc = live_slate_file_read(m->file, &frame, &media, reason);

        if (rc != LIVE_OK) {
            return rc == LIVE_AGAIN ? LIVE_OK : LIVE_ERROR;
        }

        if (frame->pts >= LIVE_SLATE_LONGEST) {
            done[media] = 1;

        } else if (media == LIVE_MEDIA_VIDEO) {
            rc = m->conf->width ? live_slate_picture(m, frame, reason)
                                : LIVE_OK;

        } else {
            rc = m->audio ? live_slate_sound(m, frame, reason) : LIVE_OK;
        }

        av_frame_free(&frame);

        if (rc != LIVE_OK) {
            return LIVE_ERROR;
        }
    }

    return LIVE_OK;
}


/* A picture is shown until the next one comes. */
static int
live_slate_picture(live_slate_maker_t *m, AVFrame *frame,
    const char **reason)
{
    int64_t   us, n;
    AVFrame  *out;

    if (m->scaler == NULL && live_slate_first(m, frame, reason) != LIVE_OK) {
        return LIVE_ERROR;
    }

    /* filters count as the timelines of video do */

    frame->pts = av_rescale(frame->pts, LIVE_VIDEO_TIMESCALE, AV_TIME_BASE);

    if (live_scaler_scale(m->scaler, frame, &out, reason) != LIVE_OK) {
        return LIVE_ERROR;
    }

    if (out == NULL) {
        return LIVE_OK;
    }

    us = av_rescale(out->pts, AV_TIME_BASE, LIVE_VIDEO_TIMESCALE);

    if (m->held && us > m->held_us) {

        /* times of frames are rounded, some of them to a millisecond */

        n = us > LIVE_SLATE_ROUND
            ? av_rescale_rnd(us - LIVE_SLATE_ROUND, m->fps_num,
                             (int64_t) AV_TIME_BASE * m->fps_den,
                             AV_ROUND_UP)
            : 0;

        if (live_slate_show(m, n, reason) != LIVE_OK) {
            av_frame_free(&out);
            return LIVE_ERROR;
        }

        m->shown = us - m->held_us;
    }

    av_frame_free(&m->held);

    m->held = out;
    m->held_us = us;
    m->pictures++;

    return LIVE_OK;
}


static int
live_slate_first(live_slate_maker_t *m, const AVFrame *frame,
    const char **reason)
{
    live_rung_source_t  source, target;

    memset(&source, 0, sizeof(source));

    source.width = (uint32_t) frame->width;
    source.height = (uint32_t) frame->height;
    source.fps = m->conf->fps > 0 ? m->conf->fps : LIVE_SLATE_FPS;
    source.rotation = live_frame_rotation(frame);
    source.primaries = (uint8_t) frame->color_primaries;
    source.transfer = (uint8_t) frame->color_trc;
    source.matrix = (uint8_t) frame->colorspace;
    source.hdr = (frame->color_trc == AVCOL_TRC_SMPTE2084
                  || frame->color_trc == AVCOL_TRC_ARIB_STD_B67);

    /* what is 4:2:0 has even sides */

    m->scaler = live_scaler_create(&m->rung, &source, m->conf->width & ~1u,
                                   m->conf->height & ~1u, 1, reason);
    if (m->scaler == NULL) {
        return LIVE_ERROR;
    }

    live_scaler_target(m->scaler, &target);

    return live_slate_begin_video(m, &target, reason);
}


static int
live_slate_begin_video(live_slate_maker_t *m,
    const live_rung_source_t *picture, const char **reason)
{
    live_slate_track_t  *t;

    m->video = live_encoder_create_video(&m->rung, picture, reason);
    if (m->video == NULL) {
        return LIVE_ERROR;
    }

    t = &m->slate->tracks[LIVE_MEDIA_VIDEO];

    if (live_slate_config(t, m->video) != LIVE_OK) {
        *reason = "no memory";
        return LIVE_ERROR;
    }

    m->fps_num = t->info.fps_num;
    m->fps_den = t->info.fps_den;

    if (m->fps_num == 0 || m->fps_den == 0) {
        *reason = "the frame rate is out of range";
        return LIVE_ERROR;
    }

    /* rather longer: groups that lack a bit fill no segment */

    m->gop = av_rescale_rnd((int64_t) m->conf->gop - LIVE_SLATE_GROUP,
                            m->fps_num, 1000 * (int64_t) m->fps_den,
                            AV_ROUND_UP);
    m->gop = m->gop > 0 ? m->gop : 1;

    return LIVE_OK;
}


/* Encodes the picture that is held up to before frame n. */
static int
live_slate_show(live_slate_maker_t *m, int64_t n, const char **reason)
{
    int       rc;
    AVFrame  *frame;

    for ( /* void */ ; m->frames < n; m->frames++) {

        if (live_slate_file_stopped(m->file)) {
            *reason = "it is not wanted any more";
            return LIVE_ERROR;
        }

        frame = av_frame_clone(m->held);

        if (frame == NULL) {
            *reason = "no memory";
            return LIVE_ERROR;
        }

        frame->pts = av_rescale(m->frames,
                                (int64_t) LIVE_VIDEO_TIMESCALE * m->fps_den,
                                m->fps_num);
        frame->pict_type = AV_PICTURE_TYPE_NONE;

        if (m->frames % m->gop == 0) {
            live_frame_mark(frame);
        }

        rc = live_slate_encode(m, LIVE_MEDIA_VIDEO, frame, reason);
        av_frame_free(&frame);

        if (rc != LIVE_OK) {
            return LIVE_ERROR;
        }
    }

    return LIVE_OK;
}


static int
live_slate_sound(live_slate_maker_t *m, AVFrame *frame, const char **reason)
{
    int64_t  end;

    end = frame->pts + av_rescale(frame->nb_samples, AV_TIME_BASE,
                                  frame->sample_rate);

    if (end <= m->heard) {
        return LIVE_OK;
    }

    if (m->heard == 0 && frame->pts < 0) {
        frame->pts = 0;
    }

    if (frame->pts > m->heard + LIVE_SLATE_HOLE
        && live_slate_silence(m, frame->pts, reason) != LIVE_OK)
    {
        return LIVE_ERROR;
    }

    if (live_slate_encode(m, LIVE_MEDIA_AUDIO, frame, reason) != LIVE_OK) {
        return LIVE_ERROR;
    }

    m->heard = end;
    m->sound = end;

    av_frame_free(&m->like);
    m->like = av_frame_clone(frame);

    return LIVE_OK;
}


/* Up to us at least. */
static int
live_slate_silence(live_slate_maker_t *m, int64_t us, const char **reason)
{
    int       rc;
    AVFrame  *frame;

    rc = LIVE_OK;

    while (rc == LIVE_OK && m->heard < us) {
        frame = live_slate_quiet(m);

        if (frame == NULL) {
            *reason = "no memory";
            return LIVE_ERROR;
        }

        frame->pts = m->heard;
        rc = live_slate_encode(m, LIVE_MEDIA_AUDIO, frame, reason);

        m->heard += av_rescale(frame->nb_samples, AV_TIME_BASE,
                               frame->sample_rate);
        av_frame_free(&frame);
    }

    return rc;
}


/* Silence as the sound of the file is, for which there is a resampler. */
static AVFrame *
live_slate_quiet(live_slate_maker_t *m)
{
    int       done;
    AVFrame  *frame;

    frame = av_frame_alloc();
    if (frame == NULL) {
        return NULL;
    }

    frame->nb_samples = LIVE_SLATE_SILENCE;

    if (m->like) {
        frame->format = m->like->format;
        frame->sample_rate = m->like->sample_rate;
        done = av_channel_layout_copy(&frame->ch_layout, &m->like->ch_layout)
               >= 0;

    } else {
        frame->format = AV_SAMPLE_FMT_FLTP;
        frame->sample_rate = (int) m->conf->sample_rate;
        av_channel_layout_default(&frame->ch_layout,
                                  (int) m->conf->channels);
        done = 1;
    }

    if (!done || av_frame_get_buffer(frame, 0) < 0
        || av_samples_set_silence(frame->extended_data, 0, frame->nb_samples,
                                  frame->ch_layout.nb_channels,
                                  frame->format)
           < 0)
    {
        av_frame_free(&frame);
    }

    return frame;
}


/* Where the file has no picture. */
static int
live_slate_black(live_slate_maker_t *m, const char **reason)
{
    int                  i, rows;
    AVFrame             *frame;
    live_rung_source_t   picture;

    memset(&picture, 0, sizeof(picture));

    picture.width = m->conf->width & ~1u;
    picture.height = m->conf->height & ~1u;
    picture.fps = m->conf->fps > 0 ? m->conf->fps : LIVE_SLATE_FPS;
    picture.primaries = AVCOL_PRI_BT709;
    picture.transfer = AVCOL_TRC_BT709;
    picture.matrix = AVCOL_SPC_BT709;

    if (live_slate_begin_video(m, &picture, reason) != LIVE_OK) {
        return LIVE_ERROR;
    }

    *reason = "no memory";

    frame = av_frame_alloc();
    if (frame == NULL) {
        return LIVE_ERROR;
    }

    m->held = frame;

    frame->width = (int) picture.width;
    frame->height = (int) picture.height;
    frame->format = AV_PIX_FMT_YUV420P;

    if (av_frame_get_buffer(frame, 0) < 0) {
        return LIVE_ERROR;
    }

    for (i = 0; i < 3; i++) {
        rows = i ? frame->height / 2 : frame->height;
        memset(frame->data[i], i ? LIVE_SLATE_GREY : LIVE_SLATE_BLACK,
               (size_t) frame->linesize[i] * (size_t) rows);
    }

    return LIVE_OK;
}


/* Both tracks up to the end of the turn. */
static int
live_slate_end(live_slate_maker_t *m, const char **reason)
{
    int64_t   us;
    AVFrame  *out;

    /* a filter has held one back */

    if (m->scaler
        && live_scaler_scale(m->scaler, NULL, &out, reason) == LIVE_OK && out)
    {
        av_frame_free(&m->held);
        m->held = out;
        m->held_us += m->shown;
    }

    if (m->conf->width && m->held == NULL
        && live_slate_black(m, reason) != LIVE_OK)
    {
        return LIVE_ERROR;
    }

    us = live_slate_turn(m);

    m->slate->ticks = av_rescale(us, LIVE_VIDEO_TIMESCALE, AV_TIME_BASE);

    if (m->video && live_slate_end_video(m, us, reason) != LIVE_OK) {
        return LIVE_ERROR;
    }

    return m->audio ? live_slate_end_audio(m, reason) : LIVE_OK;
}


/*
 * A turn begins with a key frame.  Where that would make segments too long,
 * there are whole groups only: the last picture stays for a moment, or what is
 * little of a group is left out.
 */
static int
live_slate_end_video(live_slate_maker_t *m, int64_t us, const char **reason)
{
    int64_t              n, rest, most;
    live_slate_track_t  *t;

    t = &m->slate->tracks[LIVE_MEDIA_VIDEO];

    n = av_rescale(us, m->fps_num, (int64_t) AV_TIME_BASE * m->fps_den);
    most = av_rescale(LIVE_SLATE_LONGEST, m->fps_num,
                      (int64_t) AV_TIME_BASE * m->fps_den);

    rest = n % m->gop;

    if (rest && !live_slate_even(m, n)) {
        n += (rest * 4 < m->gop || n - rest + m->gop > most)
             && n > m->gop ? -rest : m->gop - rest;
    }

    n = n > 0 ? n : m->gop;

    if (live_slate_show(m, n, reason) != LIVE_OK
        || live_slate_encode(m, LIVE_MEDIA_VIDEO, NULL, reason) != LIVE_OK)
    {
        return LIVE_ERROR;
    }

    if (t->n < n) {
        *reason = "the encoder has left frames out";
        return LIVE_ERROR;
    }

    t->n = (uint32_t) n;

    m->slate->ticks = av_rescale(n, (int64_t) LIVE_VIDEO_TIMESCALE
                                    * m->fps_den, m->fps_num);

    return LIVE_OK;
}


/* Cut at key frames only, do turns of n frames make segments that are not too
 * long? */
static int
live_slate_even(const live_slate_maker_t *m, int64_t n)
{
    int64_t  turn, key, at, begin, least, most;

    least = ((int64_t) m->conf->segment - LIVE_SLATE_NEAR) * m->fps_num;
    most = (int64_t) m->conf->longest * m->fps_num;
    begin = 0;

    for (turn = 0; turn < LIVE_SLATE_TURNS; turn++) {

        for (key = 0; key < n; key += m->gop) {
            at = (turn * n + key - begin) * 1000 * m->fps_den;

            if (at > most) {
                return 0;
            }

            if (at >= least) {
                begin = turn * n + key;
            }
        }
    }

    return n > 0;
}


static int
live_slate_end_audio(live_slate_maker_t *m, const char **reason)
{
    int64_t              us;
    live_slate_track_t  *t;

    t = &m->slate->tracks[LIVE_MEDIA_AUDIO];

    /* what an encoder, or a resampler, holds back comes with the end */

    us = av_rescale(m->slate->ticks, AV_TIME_BASE, LIVE_VIDEO_TIMESCALE);
    us += 2 * (int64_t) t->info.frame_samples * AV_TIME_BASE
          / t->info.timescale;

    if (live_slate_silence(m, us, reason) != LIVE_OK
        || live_slate_encode(m, LIVE_MEDIA_AUDIO, NULL, reason) != LIVE_OK)
    {
        return LIVE_ERROR;
    }

    if (t->n < live_slate_turn_frames(m->slate)) {
        *reason = "the encoder has given too little sound";
        return LIVE_ERROR;
    }

    return LIVE_OK;
}


/* us that are repeated: of a still picture, one group. */
static int64_t
live_slate_turn(live_slate_maker_t *m)
{
    int64_t  us;

    us = m->sound;

    if (m->pictures > 1 && m->held_us + m->shown > us) {
        us = m->held_us + m->shown;
    }

    if (us > LIVE_SLATE_LONGEST) {
        us = LIVE_SLATE_LONGEST;
    }

    if (us <= 0) {
        us = m->video ? (int64_t) m->conf->gop * 1000 : LIVE_SLATE_TURN;
    }

    return us;
}


/* NULL: the end. */
static int
live_slate_encode(live_slate_maker_t *m, live_media_e media, AVFrame *frame,
    const char **reason)
{
    int                  rc;
    live_packet_t       *packets, *p;
    live_slate_track_t  *t;

    packets = NULL;
    t = &m->slate->tracks[media];

    rc = live_encoder_encode(media == LIVE_MEDIA_VIDEO ? m->video : m->audio,
                             frame, &packets, reason);

    for (p = packets; rc == LIVE_OK && p; p = p->next) {
        rc = live_slate_add(t, p);
        *reason = "it takes more memory than a slate may";
    }

    live_packet_free(packets);

    return rc;
}


static void
live_slate_maker_free(live_slate_maker_t *m)
{
    live_slate_file_close(m->file);
    live_encoder_free(m->video);
    live_encoder_free(m->audio);
    live_scaler_free(m->scaler);
    av_frame_free(&m->held);
    av_frame_free(&m->like);
}
