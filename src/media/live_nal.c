#include "live_codec.h"


#define LIVE_NAL_SLICE    1
#define LIVE_NAL_SLICE_A  2     /* data partition A */
#define LIVE_NAL_IDR      5


static void live_nal_prefix(live_nal_walk_t *w, uint8_t byte);
static void live_nal_type(live_nal_walk_t *w, uint8_t byte);


void
live_nal_walk_init(live_nal_walk_t *w, uint32_t size, unsigned length_size)
{
    *w = (live_nal_walk_t) {
        .need = (uint8_t) length_size,
        .length_size = (uint8_t) length_size,
        .rest = size
    };
}


void
live_nal_walk(live_nal_walk_t *w, const uint8_t *data, size_t len)
{
    uint32_t  n;

    if (len > w->rest) {
        w->bad = 1;
    }

    while (len && !w->bad) {

        if (w->left == 0) {
            live_nal_prefix(w, *data++);
            len--;
            continue;
        }

        if (w->header) {
            live_nal_type(w, *data);
        }

        n = len < w->left ? (uint32_t) len : w->left;

        data += n;
        len -= n;
        w->left -= n;
        w->rest -= n;
    }
}


int
live_nal_walk_valid(const live_nal_walk_t *w)
{
    return !w->bad && w->rest == 0 && w->left == 0
           && w->need == w->length_size;
}


static void
live_nal_prefix(live_nal_walk_t *w, uint8_t byte)
{
    w->length = w->length << 8 | byte;
    w->rest--;

    if (--w->need) {
        return;
    }

    w->left = w->length;
    w->length = 0;
    w->need = w->length_size;

    /* an empty unit is legal enough to be stepped over (RTMP-86) */
    w->header = w->left != 0;

    if (w->left > w->rest) {
        w->bad = 1;
    }
}


static void
live_nal_type(live_nal_walk_t *w, uint8_t byte)
{
    w->header = 0;

    switch (byte & 0x1f) {

    case LIVE_NAL_IDR:
        w->idr = 1;
        /* fall through */

    case LIVE_NAL_SLICE:
    case LIVE_NAL_SLICE_A:
        w->vcl = 1;
        break;
    }
}
