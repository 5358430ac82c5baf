
/*
 * What encoders of video and audio have in common.  Pure, with libav; for
 * live_encode*.c alone.
 */

#ifndef _LIVE_ENCODE_H_INCLUDED_
#define _LIVE_ENCODE_H_INCLUDED_


#include "live_buf.h"
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
 * libavcodec that has this name and this codec; AV_CODEC_ID_NONE: any that
 * live_encode_kind() knows.  NULL with *reason.
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

/*
 * What is said of a rung by the encoder's own names, and what it takes to have
 * key frames where they are asked for, and only there.  Behind the rates.
 * LIVE_ERROR with *reason, static text.
 */
int live_encode_options(live_encoder_t *e, const live_rung_t *rung,
    const char **reason);

/* What may be the matter when libavcodec refuses to open the encoder; static
 * text. */
const char *live_encode_refused(const live_rung_t *rung);

/* Before a context is closed: what some encoders need, or they would not
 * return.  started, ended: the first picture, the end were sent. */
void live_encode_finish(live_encoder_t *e, int started, int ended);

/* What is made of a codec's extradata and packets. */
typedef struct {
    enum AVCodecID  id;

    /* the codec record for an encoder that was opened, of its extradata or
     * its first packet; LIVE_ERROR: what is needed is not there */
    int           (*record)(const AVCodecContext *ctx, const uint8_t *data,
                            size_t len, live_writer_t *w);

    /* what the record says */
    int           (*parse)(live_codec_info_t *info, const uint8_t *data,
                           size_t len, const char **reason);

    /* a sample; *key: decoding can begin with it */
    int           (*sample)(const uint8_t *data, size_t len,
                            live_writer_t *w, int *key);
} live_encode_kind_t;

/* NULL: not a codec of ours. */
const live_encode_kind_t *live_encode_kind(enum AVCodecID id);

/*
 * Fills e->config and e->info when libavcodec has opened the encoder.
 * LIVE_AGAIN: it took a picture to know it, the context is of no further use.
 * LIVE_ERROR with *reason, static text.
 */
int live_encode_record(live_encoder_t *e, const char **reason);

/* A grey picture of the encoder's size, YUV420P or NV12; NULL: no memory. */
AVFrame *live_encode_grey(const AVCodecContext *ctx, int format, int64_t pts);

/* The packet in e->pkt, without dts and duration; not linked yet.  NULL: no
 * memory, or it is broken. */
live_packet_t *live_encode_packet(const live_encoder_t *e);

/* A packet with room for size bytes at *data; not linked yet.  NULL: no
 * memory. */
live_packet_t *live_packet_alloc(size_t size, uint8_t **data);

void live_packet_link(live_packet_t **packets, live_packet_t *packet);


#endif /* _LIVE_ENCODE_H_INCLUDED_ */
