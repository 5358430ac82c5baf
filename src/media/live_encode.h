
/*
 * What encoders of video and audio have in common.  Pure, with libav; for
 * live_encode*.c alone.
 */

#ifndef _LIVE_ENCODE_H_INCLUDED_
#define _LIVE_ENCODE_H_INCLUDED_


#include "live_transcode.h"

#include <libavcodec/avcodec.h>


#define LIVE_ENCODE_CONFIG  1024


/* Begins each encoder; the functions are those of its kind. */
struct live_encoder_s {
    AVCodecContext      *ctx;
    AVPacket            *pkt;

    int                (*encode)(live_encoder_t *e, AVFrame *frame,
                                 live_packet_t **packets,
                                 const char **reason);
    void               (*free)(live_encoder_t *e);

    live_codec_info_t    info;
    uint8_t              config[LIVE_ENCODE_CONFIG];
    size_t               config_len;
};


/*
 * An encoder's memory, size bytes, with the context of the encoder of
 * libavcodec that has this name and this codec.  NULL with *reason.
 */
live_encoder_t *live_encoder_alloc(size_t size, const char *name,
    enum AVCodecID id, const char **reason);

/* Sets an option of the encoder's own; an empty value is none.  LIVE_ERROR:
 * it has no such option or not this value. */
int live_encoder_option(live_encoder_t *e, const char *name,
    const char *value);

/*
 * Gives a frame to libavcodec (NULL: the end) and takes what comes out:
 * take() has the packet in e->pkt.  LIVE_ERROR: either failed.
 */
int live_encoder_run(live_encoder_t *e, AVFrame *frame,
    int (*take)(live_encoder_t *e, live_packet_t **packets),
    live_packet_t **packets);

/* A packet with room for size bytes at *data; not linked yet.  NULL: no
 * memory. */
live_packet_t *live_packet_alloc(size_t size, uint8_t **data);

void live_packet_link(live_packet_t **packets, live_packet_t *packet);


#endif /* _LIVE_ENCODE_H_INCLUDED_ */
