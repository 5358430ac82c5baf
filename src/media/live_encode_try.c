#include "live_encode.h"

#define LIVE_TRY_FRAMES  4
#define LIVE_TRY_MARK    2              /* the frame to begin anew with */


static int live_try_packets(const live_packet_t *packets, int64_t step);


int
live_encoder_try(live_encoder_t *e, const char **reason)
{
    int             i, rc;
    int64_t         step;
    AVFrame        *frame;
    live_packet_t  *packets;

    packets = NULL;
    step = LIVE_VIDEO_TIMESCALE * (int64_t) e->ctx->framerate.den
           / e->ctx->framerate.num;

    for (i = 0, rc = LIVE_OK; i <= LIVE_TRY_FRAMES && rc == LIVE_OK; i++) {

        frame = NULL;

        if (i < LIVE_TRY_FRAMES) {
            frame = live_encode_grey(e->ctx, AV_PIX_FMT_YUV420P, i * step);

            if (frame == NULL) {
                *reason = "no memory";
                rc = LIVE_ERROR;
                break;
            }

            if (i == LIVE_TRY_MARK) {
                live_frame_mark(frame);
            }
        }

        rc = live_encoder_encode(e, frame, &packets, reason);

        live_frame_free(frame);
    }

    if (rc == LIVE_OK) {
        *reason = "the encoder does not begin segments with key frames";
        rc = live_try_packets(packets, step);
    }

    live_packet_free(packets);

    return rc;
}


/* One packet for each frame, keys at least where they have to be. */
static int
live_try_packets(const live_packet_t *packets, int64_t step)
{
    int  n, keys;

    for (n = 0, keys = 0; packets; packets = packets->next, n++) {

        if (packets->key && packets->pts == 0) {
            keys |= 1;
        }

        if (packets->key && packets->pts == LIVE_TRY_MARK * step) {
            keys |= 2;
        }
    }

    return n == LIVE_TRY_FRAMES && keys == 3 ? LIVE_OK : LIVE_ERROR;
}
