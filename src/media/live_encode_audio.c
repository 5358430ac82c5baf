#include "live_codec.h"
#include "live_encode.h"

#include <libavutil/audio_fifo.h>
#include <libavutil/channel_layout.h>
#include <libavutil/opt.h>
#include <libswresample/swresample.h>
#include <string.h>


/* where the rung says no rate, a channel */
#define LIVE_ENCODE_AUDIO_RATE  64000

/* timestamps that wander by less are left alone, milliseconds */
#define LIVE_ENCODE_TOLERANCE   4

#define LIVE_ENCODE_MAX_GAP     1000

#define LIVE_ENCODE_CHANNELS    2       /* where the rung says nothing */


typedef struct {
    live_encoder_t   base;

    SwrContext      *swr;
    AVAudioFifo     *fifo;              /* as the encoder takes it */
    AVFrame         *frame;             /* for the encoder */
    uint8_t        **buf;               /* for the resampler */
    int              buf_samples;

    /* of what the resampler is made for */
    int              rate;
    int              format;
    AVChannelLayout  layout;

    uint32_t         timescale;         /* of the source's times */
    int64_t          start;             /* of the present run, source's ticks */
    int64_t          count;             /* samples of it, source's rate */

    int64_t          first;             /* nothing is presented before */
    int64_t          next;              /* pts of the next sample to encode */
    unsigned         started:1;
    unsigned         ended:1;
} live_audio_encoder_t;


static int live_audio_settings(live_encoder_t *e, const live_rung_t *rung,
    const live_codec_info_t *source);
static int live_audio_sample_rate(const AVCodec *codec, int want);
static int live_audio_open(live_audio_encoder_t *a, const char **reason);
static int live_audio_encode(live_encoder_t *e, AVFrame *frame,
    live_packet_t **packets, const char **reason);
static int live_audio_input(live_audio_encoder_t *a, const AVFrame *frame,
    live_packet_t **packets);
static int live_audio_adapt(live_audio_encoder_t *a, const AVFrame *frame);
static int live_audio_align(live_audio_encoder_t *a, const AVFrame *frame,
    int *skip, live_packet_t **packets);
static void live_audio_anchor(live_audio_encoder_t *a, int64_t pts);
static int live_audio_convert(live_audio_encoder_t *a, const AVFrame *frame,
    int skip);
static int live_audio_write(live_audio_encoder_t *a, const uint8_t **data,
    int samples);
static int live_audio_room(live_audio_encoder_t *a, int samples);
static int live_audio_flush(live_audio_encoder_t *a, live_packet_t **packets);
static int live_audio_drain(live_audio_encoder_t *a,
    live_packet_t **packets);
static int live_audio_take(live_encoder_t *e, live_packet_t **packets);
static void live_audio_free(live_encoder_t *e);


live_encoder_t *
live_encoder_create_audio(const live_rung_t *rung,
    const live_codec_info_t *source, const char **reason)
{
    live_encoder_t        *e;
    live_audio_encoder_t  *a;

    e = live_encoder_alloc(sizeof(live_audio_encoder_t), rung->audio_codec,
                           AV_CODEC_ID_AAC, reason);
    if (e == NULL) {
        return NULL;
    }

    a = (live_audio_encoder_t *) e;

    e->encode = live_audio_encode;
    e->free = live_audio_free;

    a->timescale = source->timescale;

    if (source->timescale == 0
        || live_audio_settings(e, rung, source) != LIVE_OK)
    {
        *reason = "the encoder takes no such sound";
        live_encoder_free(e);
        return NULL;
    }

    if (live_audio_open(a, reason) != LIVE_OK) {
        live_encoder_free(e);
        return NULL;
    }

    return e;
}


static int
live_audio_settings(live_encoder_t *e, const live_rung_t *rung,
    const live_codec_info_t *source)
{
    int              channels;
    AVCodecContext  *ctx = e->ctx;

    channels = (int) rung->channels;

    if (channels == 0) {
        channels = source->channels < LIVE_ENCODE_CHANNELS
                   ? (int) source->channels : LIVE_ENCODE_CHANNELS;
    }

    if (channels == 0 || ctx->codec->sample_fmts == NULL) {
        return LIVE_ERROR;
    }

    av_channel_layout_default(&ctx->ch_layout, channels);

    ctx->sample_fmt = ctx->codec->sample_fmts[0];
    ctx->sample_rate = live_audio_sample_rate(ctx->codec,
                                              (int) (rung->sample_rate
                                                     ? rung->sample_rate
                                                     : source->sample_rate));
    ctx->bit_rate = rung->audio_rate
                    ? rung->audio_rate
                    : (int64_t) LIVE_ENCODE_AUDIO_RATE * channels;

    ctx->time_base = (AVRational) { 1, ctx->sample_rate };
    ctx->thread_count = 1;
    ctx->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;

    return LIVE_OK;
}


/* The next higher one that the encoder has, or its highest. */
static int
live_audio_sample_rate(const AVCodec *codec, int want)
{
    int         best, high;
    const int  *r;

    best = 0;
    high = 0;

    for (r = codec->supported_samplerates; r && *r; r++) {

        if (*r >= want && (best == 0 || *r < best)) {
            best = *r;
        }

        if (*r > high) {
            high = *r;
        }
    }

    return best ? best : high ? high : want;
}


static int
live_audio_open(live_audio_encoder_t *a, const char **reason)
{
    int              size;
    live_encoder_t  *e = &a->base;
    AVCodecContext  *ctx = e->ctx;

    if (avcodec_open2(ctx, NULL, NULL) < 0) {
        *reason = "the encoder refuses the settings";
        return LIVE_ERROR;
    }

    size = ctx->extradata_size;

    if (size <= 0 || size > LIVE_ENCODE_CONFIG || ctx->frame_size <= 0) {
        *reason = "the encoder does not give its configuration";
        return LIVE_ERROR;
    }

    memcpy(e->config, ctx->extradata, (size_t) size);
    e->config_len = (size_t) size;

    if (live_aac_parse_config(&e->info, e->config, e->config_len, reason)
        != LIVE_OK)
    {
        return LIVE_ERROR;
    }

    a->frame = av_frame_alloc();
    a->fifo = av_audio_fifo_alloc(ctx->sample_fmt, ctx->ch_layout.nb_channels,
                                  ctx->frame_size * 2);

    if (a->frame == NULL || a->fifo == NULL) {
        *reason = "no memory";
        return LIVE_ERROR;
    }

    return LIVE_OK;
}


static int
live_audio_encode(live_encoder_t *e, AVFrame *frame, live_packet_t **packets,
    const char **reason)
{
    live_audio_encoder_t  *a = (live_audio_encoder_t *) e;

    if (a->ended) {
        *reason = "the stream has ended";
        return frame ? LIVE_ERROR : LIVE_OK;
    }

    *reason = "the sound cannot be converted or encoded";

    if (frame) {

        if (frame->nb_samples <= 0 || frame->sample_rate <= 0
            || frame->pts == AV_NOPTS_VALUE)
        {
            return LIVE_ERROR;
        }

        return live_audio_input(a, frame, packets);
    }

    a->ended = 1;

    if (live_audio_flush(a, packets) != LIVE_OK) {
        return LIVE_ERROR;
    }

    return live_encoder_run(e, NULL, live_audio_take, packets);
}


static int
live_audio_input(live_audio_encoder_t *a, const AVFrame *frame,
    live_packet_t **packets)
{
    int  skip;

    if (live_audio_adapt(a, frame) != LIVE_OK
        || live_audio_align(a, frame, &skip, packets) != LIVE_OK)
    {
        return LIVE_ERROR;
    }

    if (skip < frame->nb_samples
        && live_audio_convert(a, frame, skip) != LIVE_OK)
    {
        return LIVE_ERROR;
    }

    return live_audio_drain(a, packets);
}


/* A resampler for what comes in, which is another one when that changes. */
static int
live_audio_adapt(live_audio_encoder_t *a, const AVFrame *frame)
{
    AVChannelLayout   layout = { 0 };
    AVCodecContext   *ctx = a->base.ctx;

    if (a->swr && a->rate == frame->sample_rate && a->format == frame->format
        && av_channel_layout_compare(&a->layout, &frame->ch_layout) == 0)
    {
        return LIVE_OK;
    }

    if (a->swr) {

        /* the time that passed, and what the old one holds back */

        a->start += av_rescale(a->count, a->timescale, a->rate);
        a->count = 0;

        if (live_audio_write(a, NULL, 0) != LIVE_OK) {
            return LIVE_ERROR;
        }

        swr_free(&a->swr);
    }

    a->rate = frame->sample_rate;
    a->format = frame->format;

    if (av_channel_layout_copy(&a->layout, &frame->ch_layout) < 0) {
        return LIVE_ERROR;
    }

    /* channels without an order are taken as usual */

    if (frame->ch_layout.order == AV_CHANNEL_ORDER_UNSPEC) {
        av_channel_layout_default(&layout, frame->ch_layout.nb_channels);

    } else if (av_channel_layout_copy(&layout, &frame->ch_layout) < 0) {
        return LIVE_ERROR;
    }

    if (swr_alloc_set_opts2(&a->swr, &ctx->ch_layout, ctx->sample_fmt,
                            ctx->sample_rate, &layout, frame->format,
                            frame->sample_rate, 0, NULL)
        < 0
        || swr_init(a->swr) < 0)
    {
        swr_free(&a->swr);
    }

    av_channel_layout_uninit(&layout);

    return a->swr ? LIVE_OK : LIVE_ERROR;
}


/*
 * The samples counted say when a frame should come.  Where it comes later,
 * silence is put in between; where it comes earlier, *skip of its samples are
 * left out.
 */
static int
live_audio_align(live_audio_encoder_t *a, const AVFrame *frame, int *skip,
    live_packet_t **packets)
{
    int64_t  early, late, second;

    *skip = 0;
    second = a->rate;

    if (!a->started) {
        live_audio_anchor(a, frame->pts);
        a->first = a->next;
        a->started = 1;
    }

    late = av_rescale(frame->pts - a->start, second, a->timescale) - a->count;
    early = -late;

    if (late > second * LIVE_ENCODE_MAX_GAP / 1000) {

        if (live_audio_flush(a, packets) != LIVE_OK
            || swr_init(a->swr) < 0)
        {
            return LIVE_ERROR;
        }

        live_audio_anchor(a, frame->pts);
        return LIVE_OK;
    }

    if (late > second * LIVE_ENCODE_TOLERANCE / 1000) {
        a->count += late;

        return swr_inject_silence(a->swr, (int) late) < 0 ? LIVE_ERROR
                                                          : LIVE_OK;
    }

    if (early > second * LIVE_ENCODE_TOLERANCE / 1000) {
        *skip = early < frame->nb_samples ? (int) early : frame->nb_samples;
    }

    return LIVE_OK;
}


/* A run of samples begins. */
static void
live_audio_anchor(live_audio_encoder_t *a, int64_t pts)
{
    int64_t  next;

    next = av_rescale(pts, a->base.ctx->sample_rate, a->timescale);

    /* what was filled up to a whole frame is not presented twice */

    if (!a->started || next > a->next) {
        a->next = next;
    }

    a->start = pts;
    a->count = 0;
}


/* The frame from the sample skip on. */
static int
live_audio_convert(live_audio_encoder_t *a, const AVFrame *frame, int skip)
{
    int             i, planes, offset, samples;
    const uint8_t  *in[AV_NUM_DATA_POINTERS];

    planes = av_sample_fmt_is_planar(frame->format)
             ? frame->ch_layout.nb_channels : 1;

    if (planes > AV_NUM_DATA_POINTERS) {
        return LIVE_ERROR;
    }

    offset = skip * av_get_bytes_per_sample(frame->format)
             * (planes == 1 ? frame->ch_layout.nb_channels : 1);

    for (i = 0; i < planes; i++) {
        in[i] = frame->extended_data[i] + offset;
    }

    samples = frame->nb_samples - skip;
    a->count += samples;

    return live_audio_write(a, in, samples);
}


/* Through the resampler; NULL: what it holds back. */
static int
live_audio_write(live_audio_encoder_t *a, const uint8_t **data, int samples)
{
    int  n;

    n = swr_get_out_samples(a->swr, samples);

    if (n < 0 || live_audio_room(a, n) != LIVE_OK) {
        return LIVE_ERROR;
    }

    n = swr_convert(a->swr, a->buf, a->buf_samples, data, samples);

    if (n < 0 || av_audio_fifo_write(a->fifo, (void **) a->buf, n) < n) {
        return LIVE_ERROR;
    }

    return LIVE_OK;
}


static int
live_audio_room(live_audio_encoder_t *a, int samples)
{
    AVCodecContext  *ctx = a->base.ctx;

    if (a->buf && samples <= a->buf_samples) {
        return LIVE_OK;
    }

    if (a->buf) {
        av_freep(&a->buf[0]);
        av_freep(&a->buf);
    }

    samples += ctx->frame_size;

    if (av_samples_alloc_array_and_samples(&a->buf, NULL,
                                           ctx->ch_layout.nb_channels,
                                           samples, ctx->sample_fmt, 0)
        < 0)
    {
        return LIVE_ERROR;
    }

    a->buf_samples = samples;

    return LIVE_OK;
}


/* All that is there, the last frame with silence at its end. */
static int
live_audio_flush(live_audio_encoder_t *a, live_packet_t **packets)
{
    int              n;
    AVCodecContext  *ctx = a->base.ctx;

    if (a->swr == NULL) {
        return LIVE_OK;
    }

    if (live_audio_write(a, NULL, 0) != LIVE_OK) {
        return LIVE_ERROR;
    }

    n = av_audio_fifo_size(a->fifo) % ctx->frame_size;

    if (n) {
        n = ctx->frame_size - n;

        if (live_audio_room(a, n) != LIVE_OK
            || av_samples_set_silence(a->buf, 0, n,
                                      ctx->ch_layout.nb_channels,
                                      ctx->sample_fmt)
               < 0
            || av_audio_fifo_write(a->fifo, (void **) a->buf, n) < n)
        {
            return LIVE_ERROR;
        }
    }

    return live_audio_drain(a, packets);
}


/* Encodes what makes whole frames. */
static int
live_audio_drain(live_audio_encoder_t *a, live_packet_t **packets)
{
    int              rc;
    AVFrame         *f = a->frame;
    AVCodecContext  *ctx = a->base.ctx;

    while (av_audio_fifo_size(a->fifo) >= ctx->frame_size) {
        f->nb_samples = ctx->frame_size;
        f->format = ctx->sample_fmt;
        f->sample_rate = ctx->sample_rate;

        if (av_channel_layout_copy(&f->ch_layout, &ctx->ch_layout) < 0
            || av_frame_get_buffer(f, 0) < 0
            || av_audio_fifo_read(a->fifo, (void **) f->extended_data,
                                  ctx->frame_size)
               < ctx->frame_size)
        {
            av_frame_unref(f);
            return LIVE_ERROR;
        }

        f->pts = a->next;
        a->next += ctx->frame_size;

        rc = live_encoder_run(&a->base, f, live_audio_take, packets);
        av_frame_unref(f);

        if (rc != LIVE_OK) {
            return rc;
        }
    }

    return LIVE_OK;
}


/* libavcodec has taken the encoder's delay off the timestamps already. */
static int
live_audio_take(live_encoder_t *e, live_packet_t **packets)
{
    uint8_t               *data;
    AVPacket              *pkt = e->pkt;
    live_packet_t         *packet;
    live_audio_encoder_t  *a = (live_audio_encoder_t *) e;

    if (pkt->size <= 0 || pkt->pts < a->first) {
        return LIVE_OK;
    }

    packet = live_packet_alloc((size_t) pkt->size, &data);
    if (packet == NULL) {
        return LIVE_ERROR;
    }

    memcpy(data, pkt->data, (size_t) pkt->size);

    packet->size = (uint32_t) pkt->size;
    packet->pts = pkt->pts;
    packet->dts = pkt->pts;
    packet->duration = e->info.frame_samples;
    packet->key = 1;

    live_packet_link(packets, packet);

    return LIVE_OK;
}


static void
live_audio_free(live_encoder_t *e)
{
    live_audio_encoder_t  *a = (live_audio_encoder_t *) e;

    swr_free(&a->swr);
    av_frame_free(&a->frame);
    av_channel_layout_uninit(&a->layout);

    if (a->fifo) {
        av_audio_fifo_free(a->fifo);
    }

    if (a->buf) {
        av_freep(&a->buf[0]);
        av_freep(&a->buf);
    }
}
