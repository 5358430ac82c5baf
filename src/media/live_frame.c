#include "live_transcode.h"

#include <libavutil/frame.h>
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
