#include "live_encode.h"

#include <libswscale/swscale.h>


#define LIVE_ENCODE_FPS    30           /* where none is known */

/* frames that an encoder may hold back: lookahead, B-frames and threads */
#define LIVE_ENCODE_TIMES  1024

/* key frames come by marks only */
#define LIVE_ENCODE_GOP    (1 << 30)

/* ISO 23091-2: not said */
#define LIVE_VIDEO_UNSAID  2

#define live_video_color(v)  ((v) ? (v) : LIVE_VIDEO_UNSAID)


typedef struct {
    live_encoder_t  base;

    AVFrame        *frame;              /* a reference to the one to encode */

    struct SwsContext  *sws;

    int64_t         gop;                /* ticks, 0: none */
    int64_t         last_key;
    int64_t         last_pts;
    unsigned        started:1;
    unsigned        ended:1;

    /* pts of frames sent, in turn the dts of packets */
    int64_t         times[LIVE_ENCODE_TIMES];
    uint32_t        first;
    uint32_t        n;
    uint32_t        duration;           /* the last one known */
} live_video_encoder_t;


static int live_video_open(live_encoder_t *e, const live_rung_t *rung,
    const live_rung_source_t *picture, const char **reason);
static int live_video_context(live_encoder_t *e, const live_rung_t *rung,
    const live_rung_source_t *picture, const char **reason);
static int live_video_settings(live_encoder_t *e, const live_rung_t *rung,
    const live_rung_source_t *picture, const char **reason);
static void live_video_picture(AVCodecContext *ctx,
    const live_rung_source_t *picture);
static int live_video_format(AVCodecContext *ctx);
static int live_video_encode(live_encoder_t *e, AVFrame *frame,
    live_packet_t **packets, const char **reason);
static int live_video_prepare(live_video_encoder_t *v, AVFrame *frame);
static int live_video_nv12(live_video_encoder_t *v);
static int live_video_take(live_encoder_t *e, live_packet_t **packets);
static int live_video_time(live_video_encoder_t *v, live_packet_t *packet);
static void live_video_free(live_encoder_t *e);


live_encoder_t *
live_encoder_create_video(const live_rung_t *rung,
    const live_rung_source_t *picture, const char **reason)
{
    live_encoder_t        *e;
    live_video_encoder_t  *v;

    e = live_encoder_alloc(sizeof(live_video_encoder_t), rung->codec,
                           AV_CODEC_ID_NONE, reason);
    if (e == NULL) {
        return NULL;
    }

    v = (live_video_encoder_t *) e;

    e->encode = live_video_encode;
    e->free = live_video_free;

    v->gop = (int64_t) (rung->gop * LIVE_VIDEO_TIMESCALE);
    v->frame = av_frame_alloc();

    if (v->frame == NULL
        || live_video_open(e, rung, picture, reason) != LIVE_OK)
    {
        live_encoder_free(e);
        return NULL;
    }

    return e;
}


/* Where a context was used up to know the record, the next one encodes. */
static int
live_video_open(live_encoder_t *e, const live_rung_t *rung,
    const live_rung_source_t *picture, const char **reason)
{
    int             rc;
    const AVCodec  *codec;

    if (live_video_context(e, rung, picture, reason) != LIVE_OK) {
        return LIVE_ERROR;
    }

    rc = live_encode_record(e, reason);

    if (rc != LIVE_AGAIN) {
        return rc;
    }

    codec = e->ctx->codec;
    avcodec_free_context(&e->ctx);
    e->ctx = avcodec_alloc_context3(codec);

    if (e->ctx == NULL) {
        *reason = "no memory";
        return LIVE_ERROR;
    }

    return live_video_context(e, rung, picture, reason);
}


static int
live_video_context(live_encoder_t *e, const live_rung_t *rung,
    const live_rung_source_t *picture, const char **reason)
{
    if (live_video_settings(e, rung, picture, reason) != LIVE_OK) {
        return LIVE_ERROR;
    }

    if (avcodec_open2(e->ctx, NULL, NULL) < 0) {
        *reason = live_encode_refused(rung);
        return LIVE_ERROR;
    }

    return LIVE_OK;
}


static int
live_video_settings(live_encoder_t *e, const live_rung_t *rung,
    const live_rung_source_t *picture, const char **reason)
{
    AVCodecContext  *ctx = e->ctx;

    live_video_picture(ctx, picture);

    if (live_video_format(ctx) != LIVE_OK) {
        *reason = "the encoder takes no pictures of the main memory";
        return LIVE_ERROR;
    }

    ctx->bit_rate = rung->video_rate;
    ctx->rc_max_rate = rung->maxrate;
    ctx->rc_buffer_size = (int) (rung->bufsize > INT32_MAX ? INT32_MAX
                                                           : rung->bufsize);

    ctx->gop_size = LIVE_ENCODE_GOP;
    ctx->thread_count = rung->threads ? (int) rung->threads : 1;
    ctx->flags |= AV_CODEC_FLAG_GLOBAL_HEADER | AV_CODEC_FLAG_CLOSED_GOP;

    return live_encode_options(e, rung, reason);
}


static void
live_video_picture(AVCodecContext *ctx, const live_rung_source_t *picture)
{
    double  fps;

    fps = picture->fps > 0 ? picture->fps : LIVE_ENCODE_FPS;

    ctx->width = (int) picture->width;
    ctx->height = (int) picture->height;
    ctx->sample_aspect_ratio = (AVRational) { 1, 1 };
    ctx->time_base = (AVRational) { 1, LIVE_VIDEO_TIMESCALE };
    ctx->framerate = av_d2q(fps, 60000);

    /* 0 is RGB to libav; told of that for 4:2:0, libaom aborts */

    ctx->color_primaries = live_video_color(picture->primaries);
    ctx->color_trc = live_video_color(picture->transfer);
    ctx->colorspace = live_video_color(picture->matrix);
    ctx->color_range = AVCOL_RANGE_MPEG;
}


static int
live_video_format(AVCodecContext *ctx)
{
    const enum AVPixelFormat  *f;

    ctx->pix_fmt = AV_PIX_FMT_NONE;

    for (f = ctx->codec->pix_fmts; f && *f != AV_PIX_FMT_NONE; f++) {

        if (*f == AV_PIX_FMT_YUV420P) {
            ctx->pix_fmt = *f;
            break;
        }

        if (*f == AV_PIX_FMT_NV12) {
            ctx->pix_fmt = *f;
        }
    }

    return ctx->pix_fmt == AV_PIX_FMT_NONE ? LIVE_ERROR : LIVE_OK;
}


static int
live_video_encode(live_encoder_t *e, AVFrame *frame, live_packet_t **packets,
    const char **reason)
{
    int                    rc;
    live_video_encoder_t  *v = (live_video_encoder_t *) e;

    if (v->ended) {
        *reason = "the stream has ended";
        return frame ? LIVE_ERROR : LIVE_OK;
    }

    if (frame == NULL) {
        v->ended = 1;

    } else {

        if (v->started && frame->pts <= v->last_pts) {
            *reason = "a frame does not come behind the one before it";
            return LIVE_ERROR;
        }

        *reason = "a frame is not of the encoder's size or format";

        if (v->n == LIVE_ENCODE_TIMES
            || live_video_prepare(v, frame) != LIVE_OK)
        {
            return LIVE_ERROR;
        }
    }

    rc = live_encoder_run(e, frame ? v->frame : NULL, live_video_take,
                          packets);

    av_frame_unref(v->frame);
    *reason = "the encoder failed";

    return rc;
}


/* v->frame is what libavcodec gets: its type says what is to be coded. */
static int
live_video_prepare(live_video_encoder_t *v, AVFrame *frame)
{
    int              key;
    AVCodecContext  *ctx = v->base.ctx;

    if (frame->width != ctx->width || frame->height != ctx->height
        || frame->format != AV_PIX_FMT_YUV420P
        || av_frame_ref(v->frame, frame) < 0)
    {
        return LIVE_ERROR;
    }

    if (ctx->pix_fmt == AV_PIX_FMT_NV12 && live_video_nv12(v) != LIVE_OK) {
        av_frame_unref(v->frame);
        return LIVE_ERROR;
    }

    key = !v->started || live_frame_marked(frame)
          || (v->gop && frame->pts - v->last_key >= v->gop);

    v->frame->pict_type = key ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE;

    if (key) {
        v->last_key = frame->pts;
    }

    v->times[(v->first + v->n) % LIVE_ENCODE_TIMES] = frame->pts;
    v->n++;

    v->last_pts = frame->pts;
    v->started = 1;

    return LIVE_OK;
}


static int
live_video_nv12(live_video_encoder_t *v)
{
    AVFrame  *f = v->frame, *to;

    v->sws = sws_getCachedContext(v->sws, f->width, f->height,
                                  AV_PIX_FMT_YUV420P, f->width, f->height,
                                  AV_PIX_FMT_NV12, SWS_POINT, NULL, NULL,
                                  NULL);
    to = av_frame_alloc();

    if (v->sws == NULL || to == NULL) {
        av_frame_free(&to);
        return LIVE_ERROR;
    }

    to->width = f->width;
    to->height = f->height;
    to->format = AV_PIX_FMT_NV12;

    if (av_frame_get_buffer(to, 0) < 0 || av_frame_copy_props(to, f) < 0
        || sws_scale(v->sws, (const uint8_t *const *) f->data, f->linesize, 0,
                     f->height, to->data, to->linesize)
           != f->height)
    {
        av_frame_free(&to);
        return LIVE_ERROR;
    }

    av_frame_unref(f);
    av_frame_move_ref(f, to);
    av_frame_free(&to);

    return LIVE_OK;
}


static int
live_video_take(live_encoder_t *e, live_packet_t **packets)
{
    live_packet_t         *packet;
    live_video_encoder_t  *v = (live_video_encoder_t *) e;

    packet = live_encode_packet(e);
    if (packet == NULL) {
        return LIVE_ERROR;
    }

    if (live_video_time(v, packet) != LIVE_OK) {
        live_packet_free(packet);
        return LIVE_ERROR;
    }

    live_packet_link(packets, packet);

    return LIVE_OK;
}


/*
 * The n-th packet is decoded when the n-th frame is presented: a key frame,
 * with all GOPs closed, when it is presented itself (CMAF-17).  Encoders that
 * left frames out are in step again at the next key frame.
 */
static int
live_video_time(live_video_encoder_t *v, live_packet_t *packet)
{
    while (v->n && packet->key && v->times[v->first] < packet->pts) {
        v->first = (v->first + 1) % LIVE_ENCODE_TIMES;
        v->n--;
    }

    if (v->n == 0) {
        return LIVE_ERROR;
    }

    packet->dts = v->times[v->first];
    v->first = (v->first + 1) % LIVE_ENCODE_TIMES;
    v->n--;

    if (v->n) {
        v->duration = (uint32_t) (v->times[v->first] - packet->dts);
        packet->duration = v->duration;

    } else if (v->ended) {
        packet->duration = v->duration;
    }

    return LIVE_OK;
}


static void
live_video_free(live_encoder_t *e)
{
    live_video_encoder_t  *v = (live_video_encoder_t *) e;

    live_encode_finish(e, v->started, v->ended);

    av_frame_free(&v->frame);
    sws_freeContext(v->sws);
}
