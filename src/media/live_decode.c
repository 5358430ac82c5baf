#include "live_transcode.h"
#include "live_av.h"
#include "live_codec.h"

#include <libavutil/mem.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>


/*
 * The bit stream may grow to twice the size that the record says, or to HD:
 * a hostile one must not take memory for the largest picture of H.264.
 */
#define LIVE_DECODE_GROWTH      2
#define LIVE_DECODE_PIXELS      (1920 * 1088)

#define LIVE_DECODE_MAX_FPS     240

/* pictures whose times give a frame rate */
#define LIVE_DECODE_FPS_FRAMES  9

/* that much off, it is another one */
#define LIVE_DECODE_FPS_SLACK   0.1


struct live_decoder_s {
    AVCodecContext      *ctx;
    AVFrame             *frame;     /* what comes next */

    live_codec_info_t    info;
    live_rung_source_t   source;    /* width is 0 until a picture was there */

    int64_t              last_pts;
    int64_t              run_pts;   /* since when frames came in a row */
    uint32_t             run;       /* how many */

    unsigned             emitted:1; /* last_pts is known */
    unsigned             wait_key:1;
    unsigned             broken:1;  /* a picture of what was sent */
};


static int live_decoder_open(live_decoder_t *d, const uint8_t *config,
    size_t config_len, uint32_t threads);
static int live_decoder_valid(const live_decoder_t *d, const uint8_t *data,
    uint32_t size);
static int live_decoder_send(live_decoder_t *d, const uint8_t *data,
    const live_sample_t *s);
static void live_decoder_receive(live_decoder_t *d, live_frame_pt emit,
    void *ctx);
static int live_decoder_take(live_decoder_t *d, AVFrame *frame);
static void live_decoder_drain(live_decoder_t *d, live_frame_pt emit,
    void *ctx);
static void live_decoder_look(live_decoder_t *d, const AVFrame *frame);
static double live_decoder_fps(const live_decoder_t *d);


live_decoder_t *
live_decoder_create(const live_codec_info_t *info, const uint8_t *config,
    size_t config_len, uint32_t threads, const char **reason)
{
    live_decoder_t  *d;

    d = calloc(1, sizeof(live_decoder_t));
    if (d == NULL) {
        *reason = "no memory";
        return NULL;
    }

    d->info = *info;
    d->wait_key = (info->media == LIVE_MEDIA_VIDEO);

    d->frame = av_frame_alloc();

    if (d->frame == NULL) {
        *reason = "no memory";
        live_decoder_free(d);
        return NULL;
    }

    if (live_decoder_open(d, config, config_len, threads) != LIVE_OK) {
        *reason = "libavcodec has no decoder for it";
        live_decoder_free(d);
        return NULL;
    }

    return d;
}


static int
live_decoder_open(live_decoder_t *d, const uint8_t *config,
    size_t config_len, uint32_t threads)
{
    AVCodecContext  *ctx;
    const AVCodec   *codec;

    codec = avcodec_find_decoder(d->info.codec == LIVE_CODEC_H264
                                 ? AV_CODEC_ID_H264 : AV_CODEC_ID_AAC);

    if (codec == NULL || d->info.timescale == 0
        || config_len > INT32_MAX - AV_INPUT_BUFFER_PADDING_SIZE)
    {
        return LIVE_ERROR;
    }

    ctx = avcodec_alloc_context3(codec);
    if (ctx == NULL) {
        return LIVE_ERROR;
    }

    d->ctx = ctx;

    ctx->extradata = av_mallocz(config_len + AV_INPUT_BUFFER_PADDING_SIZE);
    if (ctx->extradata == NULL) {
        return LIVE_ERROR;
    }

    memcpy(ctx->extradata, config, config_len);
    ctx->extradata_size = (int) config_len;

    /* threads by slices would hold nothing back, but sources have one slice */

    ctx->thread_count = threads ? (int) threads : 1;
    ctx->thread_type = FF_THREAD_FRAME;
    ctx->max_pixels = (int64_t) d->info.width * d->info.height
                      * LIVE_DECODE_GROWTH;

    if (ctx->max_pixels < LIVE_DECODE_PIXELS) {
        ctx->max_pixels = LIVE_DECODE_PIXELS;
    }

    ctx->pkt_timebase = (AVRational) { 1, (int) d->info.timescale };

    return avcodec_open2(ctx, codec, NULL) < 0 ? LIVE_ERROR : LIVE_OK;
}


void
live_decoder_skip(live_decoder_t *d, int nonref)
{
    d->ctx->skip_frame = nonref ? AVDISCARD_NONREF : AVDISCARD_DEFAULT;
}


int
live_decoder_decode(live_decoder_t *d, const uint8_t *data,
    const live_sample_t *s, live_frame_pt emit, void *ctx,
    const char **reason)
{
    int  rc;

    if (data == NULL) {
        live_decoder_drain(d, emit, ctx);
        return LIVE_OK;
    }

    if (d->wait_key) {

        if (!(s->flags & LIVE_SAMPLE_KEY)) {
            return LIVE_AGAIN;
        }

        d->wait_key = 0;
    }

    d->broken = 0;
    *reason = "the access unit cannot be decoded";

    if (!live_decoder_valid(d, data, s->size)) {
        rc = LIVE_ERROR;
        *reason = "lengths of NAL units do not add up";

    } else {
        rc = live_decoder_send(d, data, s);
    }

    if (rc == LIVE_OK) {
        live_decoder_receive(d, emit, ctx);
    }

    if (rc == LIVE_OK && !d->broken) {
        return LIVE_OK;
    }

    live_decoder_drain(d, emit, ctx);

    return LIVE_ERROR;
}


static int
live_decoder_valid(const live_decoder_t *d, const uint8_t *data,
    uint32_t size)
{
    live_nal_walk_t  w;

    if (d->info.codec != LIVE_CODEC_H264) {
        return size > 0;
    }

    live_nal_walk_init(&w, size, d->info.nal_length_size);
    live_nal_walk(&w, data, size);

    return live_nal_walk_valid(&w);
}


static int
live_decoder_send(live_decoder_t *d, const uint8_t *data,
    const live_sample_t *s)
{
    int        rc;
    AVPacket  *pkt;

    pkt = live_av_packet(data, s->size);
    if (pkt == NULL) {
        return LIVE_ERROR;
    }

    pkt->dts = s->dts;
    pkt->pts = s->dts + s->cts;
    pkt->duration = s->duration;

    if (s->flags & LIVE_SAMPLE_KEY) {
        pkt->flags |= AV_PKT_FLAG_KEY;
    }

    rc = avcodec_send_packet(d->ctx, pkt);
    av_packet_free(&pkt);

    return rc < 0 ? LIVE_ERROR : LIVE_OK;
}


static void
live_decoder_receive(live_decoder_t *d, live_frame_pt emit, void *ctx)
{
    int       rc;
    AVFrame  *frame;

    for ( ;; ) {
        rc = avcodec_receive_frame(d->ctx, d->frame);

        if (rc < 0) {
            if (rc != AVERROR(EAGAIN) && rc != AVERROR_EOF) {
                d->broken = 1;
            }

            return;
        }

        /* what comes behind a broken picture refers to it, or may */

        if (d->broken || !live_decoder_take(d, d->frame)) {
            av_frame_unref(d->frame);
            continue;
        }

        frame = av_frame_alloc();

        if (frame == NULL) {
            av_frame_unref(d->frame);
            d->broken = 1;
            continue;
        }

        av_frame_move_ref(frame, d->frame);
        emit(ctx, frame);
    }
}


/* 1 when the frame is whole and behind the one before it. */
static int
live_decoder_take(live_decoder_t *d, AVFrame *frame)
{
    if (frame->decode_error_flags || (frame->flags & AV_FRAME_FLAG_CORRUPT)) {
        d->broken = 1;
        return 0;
    }

    if (frame->pts == AV_NOPTS_VALUE
        || (d->emitted && frame->pts <= d->last_pts))
    {
        return 0;
    }

    if (d->info.media == LIVE_MEDIA_VIDEO) {
        live_decoder_look(d, frame);
        frame->pict_type = AV_PICTURE_TYPE_NONE;
    }

    d->last_pts = frame->pts;
    d->emitted = 1;

    return 1;
}


/* What is held back comes out; then the next key frame is waited for. */
static void
live_decoder_drain(live_decoder_t *d, live_frame_pt emit, void *ctx)
{
    (void) avcodec_send_packet(d->ctx, NULL);
    live_decoder_receive(d, emit, ctx);
    avcodec_flush_buffers(d->ctx);

    d->run = 0;
    d->wait_key = (d->info.media == LIVE_MEDIA_VIDEO);
}


static void
live_decoder_look(live_decoder_t *d, const AVFrame *frame)
{
    live_rung_source_t  *s = &d->source;

    s->width = (uint32_t) frame->width;
    s->height = (uint32_t) frame->height;
    s->sar_num = 0;
    s->sar_den = 0;

    if (frame->sample_aspect_ratio.num > 0
        && frame->sample_aspect_ratio.den > 0)
    {
        s->sar_num = (uint32_t) frame->sample_aspect_ratio.num;
        s->sar_den = (uint32_t) frame->sample_aspect_ratio.den;
    }

    s->rotation = live_frame_rotation(frame);
    s->primaries = (uint8_t) frame->color_primaries;
    s->transfer = (uint8_t) frame->color_trc;
    s->matrix = (uint8_t) frame->colorspace;
    s->hdr = (frame->color_trc == AVCOL_TRC_SMPTE2084
              || frame->color_trc == AVCOL_TRC_ARIB_STD_B67);

    if (d->run++ == 0) {
        d->run_pts = frame->pts;
    }

    if (d->run == LIVE_DECODE_FPS_FRAMES || s->fps <= 0) {
        d->last_pts = frame->pts;
        s->fps = live_decoder_fps(d);
    }
}


/* The bit stream may lie: what was measured overrules it. */
static double
live_decoder_fps(const live_decoder_t *d)
{
    double  said, seen;

    said = 0;
    seen = 0;

    if (d->ctx->framerate.num > 0 && d->ctx->framerate.den > 0) {
        said = av_q2d(d->ctx->framerate);
    }

    if (d->run >= LIVE_DECODE_FPS_FRAMES && d->last_pts > d->run_pts) {
        seen = (double) (d->run - 1) * d->info.timescale
               / (double) (d->last_pts - d->run_pts);
    }

    if (said >= 1 && said <= LIVE_DECODE_MAX_FPS
        && (seen <= 0 || fabs(said / seen - 1) < LIVE_DECODE_FPS_SLACK))
    {
        return said;
    }

    return seen;
}


int
live_decoder_source(const live_decoder_t *d, live_rung_source_t *source)
{
    if (d->source.width == 0) {
        return LIVE_AGAIN;
    }

    *source = d->source;

    return LIVE_OK;
}


void
live_decoder_free(live_decoder_t *d)
{
    if (d == NULL) {
        return;
    }

    avcodec_free_context(&d->ctx);
    av_frame_free(&d->frame);
    free(d);
}
