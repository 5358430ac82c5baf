#include "live_encode.h"

#include <libavutil/opt.h>
#include <stdlib.h>
#include <string.h>


live_encoder_t *
live_encoder_alloc(size_t size, const char *name, enum AVCodecID id,
    const char **reason)
{
    live_encoder_t  *e;
    const AVCodec   *codec;

    codec = avcodec_find_encoder_by_name(name);

    if (codec == NULL) {
        *reason = "libavcodec has no encoder of this name";
        return NULL;
    }

    if (id == AV_CODEC_ID_NONE ? live_encode_kind(codec->id) == NULL
                               : codec->id != id)
    {
        *reason = id == AV_CODEC_ID_NONE
                  ? "the encoder is none of H.264, HEVC, AV1 and VP9"
                  : "the encoder is not one of AAC";
        return NULL;
    }

    *reason = "no memory";

    e = calloc(1, size);
    if (e == NULL) {
        return NULL;
    }

    e->ctx = avcodec_alloc_context3(codec);
    e->pkt = av_packet_alloc();

    if (e->ctx == NULL || e->pkt == NULL) {
        live_encoder_free(e);
        return NULL;
    }

    return e;
}


int
live_encoder_option(live_encoder_t *e, const char *name, const char *value)
{
    if (value[0] == '\0') {
        return LIVE_OK;
    }

    if (e->ctx->priv_data == NULL
        || av_opt_set(e->ctx->priv_data, name, value, 0) < 0)
    {
        return LIVE_ERROR;
    }

    return LIVE_OK;
}


int
live_encoder_encode(live_encoder_t *e, live_frame_t *frame,
    live_packet_t **packets, const char **reason)
{
    return e->encode(e, frame, packets, reason);
}


int
live_encoder_run(live_encoder_t *e, AVFrame *frame,
    int (*take)(live_encoder_t *e, live_packet_t **packets),
    live_packet_t **packets)
{
    int  rc;

    if (avcodec_send_frame(e->ctx, frame) < 0) {
        return LIVE_ERROR;
    }

    for ( ;; ) {
        rc = avcodec_receive_packet(e->ctx, e->pkt);

        if (rc < 0) {
            return rc == AVERROR(EAGAIN) || rc == AVERROR_EOF ? LIVE_OK
                                                              : LIVE_ERROR;
        }

        rc = take(e, packets);
        av_packet_unref(e->pkt);

        if (rc != LIVE_OK) {
            return rc;
        }
    }
}


int
live_encoder_config(const live_encoder_t *e, live_codec_info_t *info,
    const uint8_t **config, size_t *len)
{
    *info = e->info;
    *config = e->config;
    *len = e->config_len;

    return LIVE_OK;
}


void
live_encoder_free(live_encoder_t *e)
{
    if (e == NULL) {
        return;
    }

    if (e->free) {
        e->free(e);
    }

    avcodec_free_context(&e->ctx);
    av_packet_free(&e->pkt);
    free(e);
}


live_packet_t *
live_packet_alloc(size_t size, uint8_t **data)
{
    live_packet_t  *packet;

    packet = malloc(sizeof(live_packet_t) + size);
    if (packet == NULL) {
        return NULL;
    }

    memset(packet, 0, sizeof(live_packet_t));

    *data = (uint8_t *) (packet + 1);
    packet->data = *data;

    return packet;
}


void
live_packet_link(live_packet_t **packets, live_packet_t *packet)
{
    while (*packets) {
        packets = &(*packets)->next;
    }

    *packets = packet;
}
