
/* Real media for unit tests: H.264 and AAC by libavcodec, as our CMAF. */

#ifndef _TEST_MEDIA_H_INCLUDED_
#define _TEST_MEDIA_H_INCLUDED_


#include "live_cmaf.h"
#include "live_codec.h"

#include <stdlib.h>
#include <string.h>

#include <libavcodec/avcodec.h>
#include <libavutil/channel_layout.h>
#include <libavutil/opt.h>


#define MEDIA_SAMPLES  512
#define MEDIA_GOP      30


typedef struct {
    live_codec_info_t  info;
    uint8_t            init[4096];
    size_t             init_len;

    live_sample_t      samples[MEDIA_SAMPLES];
    uint8_t           *data[MEDIA_SAMPLES];
    uint32_t           n;
} media_t;


typedef struct {
    int                width;
    int                height;
    int                fps;
    int                bframes;
    int                sar_num;         /* 0: square, unsaid */
    int                sar_den;
} media_video_t;


/* A sample of an encoder; times are in ticks of the track. */
static inline void
media_add(media_t *m, const AVPacket *pkt, int64_t dts, int64_t pts,
    uint32_t duration)
{
    live_sample_t  *s;

    if (m->n == MEDIA_SAMPLES) {
        return;
    }

    s = &m->samples[m->n];

    s->dts = dts;
    s->cts = (int32_t) (pts - dts);
    s->duration = duration;
    s->size = (uint32_t) pkt->size;
    s->flags = (pkt->flags & AV_PKT_FLAG_KEY) ? LIVE_SAMPLE_KEY : 0;

    m->data[m->n] = malloc((size_t) pkt->size + 1);
    memcpy(m->data[m->n], pkt->data, (size_t) pkt->size);
    m->n++;
}


static inline void
media_free(media_t *m)
{
    while (m->n) {
        free(m->data[--m->n]);
    }
}


/* avcC from the parameter sets of x264, each behind its length. */
static inline size_t
media_avcc(const uint8_t *p, int len, uint8_t *out)
{
    uint32_t        sps, pps;
    live_reader_t   r;
    live_writer_t   w;
    const uint8_t  *set;

    live_reader_init(&r, p, (size_t) len);
    live_writer_init(&w, out, 4096);

    sps = live_read_u32(&r);
    set = live_read(&r, sps);

    if (set == NULL || sps < 4) {
        return 0;
    }

    live_write_u8(&w, 1);
    live_write(&w, set + 1, 3);
    live_write_u8(&w, 0xff);
    live_write_u8(&w, 0xe1);
    live_write_u16(&w, sps);
    live_write(&w, set, sps);

    pps = live_read_u32(&r);
    set = live_read(&r, pps);

    if (set == NULL) {
        return 0;
    }

    live_write_u8(&w, 1);
    live_write_u16(&w, pps);
    live_write(&w, set, pps);

    return live_writer_len(&w);
}


/* Bars that move; the luma of a place is 16 + 200 * x / width. */
static inline void
media_picture(AVFrame *f, int n)
{
    int  x, y;

    for (y = 0; y < f->height; y++) {
        for (x = 0; x < f->width; x++) {
            f->data[0][y * f->linesize[0] + x] =
                (uint8_t) (16 + 200 * x / f->width
                           + ((y + n) % 16 < 2 ? 15 : 0));
        }
    }

    for (y = 0; y < f->height / 2; y++) {
        memset(f->data[1] + y * f->linesize[1], 128, (size_t) f->width / 2);
        memset(f->data[2] + y * f->linesize[2], 128, (size_t) f->width / 2);
    }
}


static inline int
media_collect_video(media_t *m, AVCodecContext *ctx, int64_t start,
    int64_t shift)
{
    int64_t    frame;
    AVPacket  *pkt;

    frame = LIVE_VIDEO_TIMESCALE / ctx->time_base.den;
    pkt = av_packet_alloc();

    while (avcodec_receive_packet(ctx, pkt) >= 0) {
        /* the first picture is presented when it is decoded (CMAF-17) */

        media_add(m, pkt, start + (pkt->dts + shift) * frame,
                  start + pkt->pts * frame, (uint32_t) frame);
        av_packet_unref(pkt);
    }

    av_packet_free(&pkt);

    return 0;
}


/* n frames of H.264 from start on; LIVE_ERROR: there is no encoder. */
static inline int
media_video(media_t *m, const media_video_t *v, int64_t start, int n)
{
    int              i, rc;
    size_t           len;
    uint8_t          config[4096];
    AVFrame         *f;
    const char      *reason;
    AVCodecContext  *ctx;
    const AVCodec   *codec;
    live_writer_t    w;

    memset(m, 0, sizeof(media_t));

    codec = avcodec_find_encoder_by_name("libx264");
    if (codec == NULL) {
        return LIVE_ERROR;
    }

    ctx = avcodec_alloc_context3(codec);
    ctx->width = v->width;
    ctx->height = v->height;
    ctx->pix_fmt = AV_PIX_FMT_YUV420P;
    ctx->time_base = (AVRational) { 1, v->fps };
    ctx->framerate = (AVRational) { v->fps, 1 };
    ctx->gop_size = MEDIA_GOP;
    ctx->max_b_frames = v->bframes;
    ctx->thread_count = 1;
    ctx->flags |= AV_CODEC_FLAG_GLOBAL_HEADER | AV_CODEC_FLAG_CLOSED_GOP;

    if (v->sar_num) {
        ctx->sample_aspect_ratio = (AVRational) { v->sar_num, v->sar_den };
    }

    av_opt_set(ctx->priv_data, "preset", "veryfast", 0);
    av_opt_set(ctx->priv_data, "x264-params",
               "annexb=0:scenecut=0:b-adapt=0:slices=1:log=-1", 0);

    rc = LIVE_ERROR;
    f = av_frame_alloc();

    if (avcodec_open2(ctx, codec, NULL) < 0) {
        goto done;
    }

    len = media_avcc(ctx->extradata, ctx->extradata_size, config);

    f->width = v->width;
    f->height = v->height;
    f->format = ctx->pix_fmt;

    if (live_avc_parse_config(&m->info, config, len, &reason) != LIVE_OK
        || av_frame_get_buffer(f, 0) < 0)
    {
        goto done;
    }

    live_writer_init(&w, m->init, sizeof(m->init));

    if (live_cmaf_init_segment(&w, &m->info, config, len, &reason)
        != LIVE_OK)
    {
        goto done;
    }

    m->init_len = live_writer_len(&w);

    for (i = 0; i <= n; i++) {

        if (i < n && av_frame_make_writable(f) >= 0) {
            media_picture(f, i);
            f->pts = i;
        }

        avcodec_send_frame(ctx, i < n ? f : NULL);
        media_collect_video(m, ctx, start, ctx->has_b_frames);
    }

    rc = LIVE_OK;

done:

    av_frame_free(&f);
    avcodec_free_context(&ctx);

    return rc;
}


/* n frames of AAC, a tone, from start on. */
static inline int
media_audio(media_t *m, int rate, int64_t start, int n)
{
    int              i, k, rc;
    AVFrame         *f;
    AVPacket        *pkt;
    const char      *reason;
    AVCodecContext  *ctx;
    const AVCodec   *codec;
    live_writer_t    w;

    memset(m, 0, sizeof(media_t));

    codec = avcodec_find_encoder(AV_CODEC_ID_AAC);
    ctx = avcodec_alloc_context3(codec);
    f = av_frame_alloc();
    pkt = av_packet_alloc();
    rc = LIVE_ERROR;

    ctx->sample_rate = rate;
    ctx->sample_fmt = AV_SAMPLE_FMT_FLTP;
    ctx->bit_rate = 64000;
    ctx->flags |= AV_CODEC_FLAG_GLOBAL_HEADER | AV_CODEC_FLAG_BITEXACT;
    av_channel_layout_default(&ctx->ch_layout, 1);

    if (avcodec_open2(ctx, codec, NULL) < 0
        || live_aac_parse_config(&m->info, ctx->extradata,
                                 (size_t) ctx->extradata_size, &reason)
           != LIVE_OK)
    {
        goto done;
    }

    live_writer_init(&w, m->init, sizeof(m->init));

    if (live_cmaf_init_segment(&w, &m->info, ctx->extradata,
                               (size_t) ctx->extradata_size, &reason)
        != LIVE_OK)
    {
        goto done;
    }

    m->init_len = live_writer_len(&w);

    f->nb_samples = 1024;
    f->format = ctx->sample_fmt;
    f->sample_rate = rate;
    av_channel_layout_default(&f->ch_layout, 1);

    if (av_frame_get_buffer(f, 0) < 0) {
        goto done;
    }

    for (i = 0; (int) m->n < n && i < n + 8; i++) {

        if (av_frame_make_writable(f) < 0) {
            goto done;
        }

        for (k = 0; k < 1024; k++) {
            ((float *) f->data[0])[k] = (float) ((i * 1024 + k) % 100) / 200;
        }

        f->pts = (int64_t) i * 1024;
        avcodec_send_frame(ctx, f);

        while ((int) m->n < n && avcodec_receive_packet(ctx, pkt) >= 0) {
            pkt->flags |= AV_PKT_FLAG_KEY;
            media_add(m, pkt, start + (int64_t) m->n * 1024,
                      start + (int64_t) m->n * 1024, 1024);
            av_packet_unref(pkt);
        }
    }

    rc = LIVE_OK;

done:

    av_packet_free(&pkt);
    av_frame_free(&f);
    avcodec_free_context(&ctx);

    return rc;
}


/* Samples from first to before last, in chunks of so many; returns bytes. */
static inline size_t
media_segment(const media_t *m, uint32_t first, uint32_t last, uint32_t each,
    uint8_t *out)
{
    size_t    pos, room;
    uint32_t  i, k, n;

    pos = 0;

    for (i = first; i < last; i += n) {
        n = last - i < each ? last - i : each;
        room = live_cmaf_header_room(m->info.media, n);

        if (live_cmaf_write_header(out + pos, room, m->info.media, i + 1,
                                   &m->samples[i], n)
            != LIVE_OK)
        {
            return 0;
        }

        pos += room;

        for (k = i; k < i + n; k++) {
            memcpy(out + pos, m->data[k], m->samples[k].size);
            pos += m->samples[k].size;
        }
    }

    return pos;
}


#endif /* _TEST_MEDIA_H_INCLUDED_ */
