#include "live_transcode.h"

#include <libavutil/display.h>
#include <libavutil/frame.h>
#include <math.h>
#include <stdlib.h>


void
live_frame_free(live_frame_t *frame)
{
    av_frame_free(&frame);
}


live_frame_t *
live_frame_ref(live_frame_t *frame)
{
    return av_frame_clone(frame);
}


int64_t
live_frame_pts(const live_frame_t *frame)
{
    return frame->pts;
}


int
live_frame_key(const live_frame_t *frame)
{
    return frame->key_frame;
}


size_t
live_frame_bytes(const live_frame_t *frame)
{
    size_t  i, n;

    n = 0;

    for (i = 0; i < AV_NUM_DATA_POINTERS && frame->buf[i]; i++) {
        n += frame->buf[i]->size;
    }

    return n;
}


int
live_frame_rotation(const live_frame_t *frame)
{
    double                  degrees;
    const AVFrameSideData  *side;

    side = av_frame_get_side_data(frame, AV_FRAME_DATA_DISPLAYMATRIX);

    if (side == NULL || side->size < 9 * sizeof(int32_t)) {
        return 0;
    }

    degrees = av_display_rotation_get((const int32_t *) side->data);

    if (isnan(degrees)) {
        return 0;
    }

    return (((int) lround(-degrees / 90) * 90) % 360 + 360) % 360;
}


/* The type of a picture is kept by every filter of libavfilter. */
void
live_frame_mark(live_frame_t *frame)
{
    frame->pict_type = AV_PICTURE_TYPE_I;
}


int
live_frame_marked(const live_frame_t *frame)
{
    return frame->pict_type == AV_PICTURE_TYPE_I;
}


void
live_packet_free(live_packet_t *packets)
{
    live_packet_t  *next;

    for ( /* void */ ; packets; packets = next) {
        next = packets->next;
        free(packets);
    }
}
