#include "live_annexb.h"
#include "live_av1.h"
#include "live_codec.h"
#include "live_encode.h"
#include "live_hevc.h"
#include "live_vp9.h"


/* of NAL units: a start code of 3 bytes becomes a length of 4 */
#define live_encode_room(len)  ((len) / 3 * 4 + 4)


static int live_encode_first(live_encoder_t *e, live_writer_t *w);
static int live_encode_avc(const AVCodecContext *ctx, const uint8_t *data,
    size_t len, live_writer_t *w);
static int live_encode_hevc(const AVCodecContext *ctx, const uint8_t *data,
    size_t len, live_writer_t *w);
static int live_encode_av1(const AVCodecContext *ctx, const uint8_t *data,
    size_t len, live_writer_t *w);
static int live_encode_vp9(const AVCodecContext *ctx, const uint8_t *data,
    size_t len, live_writer_t *w);


static const live_encode_kind_t  live_encode_kinds[] = {
    { AV_CODEC_ID_H264, live_encode_avc, live_avc_parse_config,
      live_annexb_access_unit },
    { AV_CODEC_ID_HEVC, live_encode_hevc, live_hevc_parse_config,
      live_hevc_access_unit },
    { AV_CODEC_ID_AV1, live_encode_av1, live_av1_parse_config,
      live_av1_temporal_unit },
    { AV_CODEC_ID_VP9, live_encode_vp9, live_vp9_parse_config,
      live_vp9_sample },
};


const live_encode_kind_t *
live_encode_kind(enum AVCodecID id)
{
    size_t  i, n;

    n = sizeof(live_encode_kinds) / sizeof(live_encode_kinds[0]);

    for (i = 0; i < n; i++) {
        if (live_encode_kinds[i].id == id) {
            return &live_encode_kinds[i];
        }
    }

    return NULL;
}


int
live_encode_record(live_encoder_t *e, const char **reason)
{
    int                        rc;
    live_writer_t              w;
    AVCodecContext            *ctx = e->ctx;
    const live_encode_kind_t  *kind;

    kind = live_encode_kind(ctx->codec_id);
    live_writer_init(&w, e->config, sizeof(e->config));

    rc = kind->record(ctx, ctx->extradata, (size_t) ctx->extradata_size, &w);

    if (rc == LIVE_ERROR && ctx->extradata_size == 0) {
        rc = live_encode_first(e, &w);
    }

    if (rc == LIVE_ERROR) {
        *reason = "the encoder does not give its parameter sets";
        return LIVE_ERROR;
    }

    e->config_len = live_writer_len(&w);

    if (kind->parse(&e->info, e->config, e->config_len, reason) != LIVE_OK) {
        return LIVE_ERROR;
    }

    /* what records do not say, or in ticks */

    if (e->info.width == 0) {
        e->info.width = (uint32_t) ctx->width;
        e->info.height = (uint32_t) ctx->height;
    }

    if (e->info.sar_num == 0) {
        e->info.sar_num = (uint32_t) ctx->sample_aspect_ratio.num;
        e->info.sar_den = (uint32_t) ctx->sample_aspect_ratio.den;
    }

    e->info.fps_num = (uint32_t) ctx->framerate.num;
    e->info.fps_den = (uint32_t) ctx->framerate.den;

    return rc;
}


/* Encoders that tell their parameter sets with the first picture only. */
static int
live_encode_first(live_encoder_t *e, live_writer_t *w)
{
    int       rc;
    AVFrame  *frame;

    frame = live_encode_grey(e->ctx, e->ctx->pix_fmt, 0);
    if (frame == NULL) {
        return LIVE_ERROR;
    }

    rc = LIVE_ERROR;

    if (avcodec_send_frame(e->ctx, frame) >= 0
        && avcodec_send_frame(e->ctx, NULL) >= 0
        && avcodec_receive_packet(e->ctx, e->pkt) >= 0)
    {
        live_writer_init(w, e->config, sizeof(e->config));

        rc = live_encode_kind(e->ctx->codec_id)->record(e->ctx, e->pkt->data,
                                                 (size_t) e->pkt->size, w);
        av_packet_unref(e->pkt);
    }

    av_frame_free(&frame);

    return rc == LIVE_OK ? LIVE_AGAIN : LIVE_ERROR;
}


AVFrame *
live_encode_grey(const AVCodecContext *ctx, int format, int64_t pts)
{
    int       i, rows;
    AVFrame  *frame;

    frame = av_frame_alloc();
    if (frame == NULL) {
        return NULL;
    }

    frame->width = ctx->width;
    frame->height = ctx->height;
    frame->format = format;
    frame->pts = pts;

    if (av_frame_get_buffer(frame, 0) < 0) {
        av_frame_free(&frame);
        return NULL;
    }

    for (i = 0; i < AV_NUM_DATA_POINTERS && frame->data[i]; i++) {
        rows = i ? (ctx->height + 1) / 2 : ctx->height;
        memset(frame->data[i], 128, (size_t) frame->linesize[i] * rows);
    }

    return frame;
}


live_packet_t *
live_encode_packet(const live_encoder_t *e)
{
    int                        key;
    size_t                     size, room;
    uint8_t                   *data;
    live_writer_t              w;
    live_packet_t             *packet;
    const live_encode_kind_t  *kind;

    kind = live_encode_kind(e->ctx->codec_id);
    size = (size_t) e->pkt->size;
    room = live_encode_room(size);

    packet = live_packet_alloc(room, &data);
    if (packet == NULL) {
        return NULL;
    }

    live_writer_init(&w, data, room);

    if (kind->sample(e->pkt->data, size, &w, &key) != LIVE_OK) {
        live_packet_free(packet);
        return NULL;
    }

    packet->size = (uint32_t) live_writer_len(&w);
    packet->pts = e->pkt->pts;
    packet->key = key ? 1 : 0;

    return packet;
}


static int
live_encode_avc(const AVCodecContext *ctx, const uint8_t *data, size_t len,
    live_writer_t *w)
{
    (void) ctx;

    return live_annexb_config(data, len, w);
}


static int
live_encode_hevc(const AVCodecContext *ctx, const uint8_t *data, size_t len,
    live_writer_t *w)
{
    (void) ctx;

    return live_hevc_record(data, len, w);
}


static int
live_encode_av1(const AVCodecContext *ctx, const uint8_t *data, size_t len,
    live_writer_t *w)
{
    (void) ctx;

    return live_av1_record(data, len, w);
}


/* There are no parameter sets: the record is about what was asked for. */
static int
live_encode_vp9(const AVCodecContext *ctx, const uint8_t *data, size_t len,
    live_writer_t *w)
{
    live_rung_source_t  picture = { 0 };

    (void) data;
    (void) len;

    picture.width = (uint32_t) ctx->width;
    picture.height = (uint32_t) ctx->height;
    picture.fps = av_q2d(ctx->framerate);
    picture.primaries = (uint8_t) ctx->color_primaries;
    picture.transfer = (uint8_t) ctx->color_trc;
    picture.matrix = (uint8_t) ctx->colorspace;

    return live_vp9_record(&picture, (uint32_t) ctx->rc_max_rate, w);
}
