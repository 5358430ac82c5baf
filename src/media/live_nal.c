#include "live_codec.h"


#define LIVE_NAL_SLICE    1
#define LIVE_NAL_SLICE_A  2     /* data partition A */
#define LIVE_NAL_IDR      5
#define LIVE_NAL_SEI      6

#define LIVE_SEI_RECOVERY  6


typedef enum {
    LIVE_SEI_NONE = 0,
    LIVE_SEI_TYPE,
    LIVE_SEI_SIZE,
    LIVE_SEI_PAYLOAD
} live_nal_sei_e;


static int live_nal_prefix(live_nal_walk_t *w, uint8_t byte);
static void live_nal_payload(live_nal_walk_t *w, const uint8_t *data,
    uint32_t n);
static void live_nal_type(live_nal_walk_t *w, uint8_t byte);
static void live_nal_sei(live_nal_walk_t *w, const uint8_t *data, uint32_t n);
static void live_nal_sei_byte(live_nal_walk_t *w, uint8_t byte);


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
    size_t          n;
    live_nal_run_t  run;

    if (len > w->rest) {
        w->bad = 1;
    }

    for ( /* void */ ; len; data += n, len -= n) {
        n = live_nal_take(w, data, len, &run);
    }
}


size_t
live_nal_take(live_nal_walk_t *w, const uint8_t *data, size_t len,
    live_nal_run_t *run)
{
    size_t  n;

    run->data = data;
    run->len = 0;

    if (w->bad || len > w->rest) {
        w->bad = 1;
        return len;
    }

    n = 0;

    if (w->left == 0) {

        if (w->need != w->length_size) {

            /* it began in the slice before */
            run->data = w->prefix;
        }

        while (n < len && !live_nal_prefix(w, data[n++])) {
            /* void */
        }

        if (w->bad || w->left == 0) {
            return n;
        }

        run->len = w->length_size;

        if (run->data == w->prefix) {
            return n;
        }
    }

    len = len - n < w->left ? len - n : w->left;

    live_nal_payload(w, data + n, (uint32_t) len);
    run->len += len;

    return n + len;
}


static void
live_nal_payload(live_nal_walk_t *w, const uint8_t *data, uint32_t n)
{
    w->left -= n;
    w->rest -= n;

    if (w->header && n) {
        live_nal_type(w, *data++);
        n--;
    }

    if (w->sei != LIVE_SEI_NONE) {
        live_nal_sei(w, data, n);
    }
}


int
live_nal_walk_valid(const live_nal_walk_t *w)
{
    return !w->bad && w->rest == 0 && w->left == 0
           && w->need == w->length_size;
}


/* 1 when it was the last byte of a length. */
static int
live_nal_prefix(live_nal_walk_t *w, uint8_t byte)
{
    w->prefix[w->length_size - w->need] = byte;
    w->length = w->length << 8 | byte;
    w->rest--;

    if (--w->need) {
        return 0;
    }

    w->left = w->length;
    w->length = 0;
    w->need = w->length_size;

    /* an empty unit is legal enough to be stepped over (RTMP-86) */

    w->header = w->left != 0;
    w->unit |= w->header;

    if (w->left > w->rest) {
        w->bad = 1;
    }

    return 1;
}


static void
live_nal_type(live_nal_walk_t *w, uint8_t byte)
{
    w->header = 0;
    w->sei = LIVE_SEI_NONE;

    switch (byte & 0x1f) {

    case LIVE_NAL_SEI:
        w->sei = LIVE_SEI_TYPE;
        w->sei_type = 0;
        w->zeros = 0;
        break;

    case LIVE_NAL_IDR:
        w->idr = 1;
        /* fall through */

    case LIVE_NAL_SLICE:
    case LIVE_NAL_SLICE_A:
        w->vcl = 1;
        break;
    }
}


/* H.264 7.3.2.3: messages, with the bytes that prevent start codes. */
static void
live_nal_sei(live_nal_walk_t *w, const uint8_t *data, uint32_t n)
{
    uint32_t  i;

    for (i = 0; i < n; i++) {

        if (w->zeros == 2 && data[i] == 3) {
            w->zeros = 0;
            continue;
        }

        w->zeros = data[i] ? 0 : w->zeros < 2 ? w->zeros + 1 : 2;

        live_nal_sei_byte(w, data[i]);
    }
}


static void
live_nal_sei_byte(live_nal_walk_t *w, uint8_t byte)
{
    switch (w->sei) {

    case LIVE_SEI_TYPE:
        w->sei_type += byte;

        if (byte != 0xff) {
            w->sei = LIVE_SEI_SIZE;
            w->sei_size = 0;
        }

        return;

    case LIVE_SEI_SIZE:
        w->sei_size += byte;

        if (byte == 0xff) {
            return;
        }

        if (w->sei_type == LIVE_SEI_RECOVERY) {
            w->recovery = 1;
        }

        w->sei = LIVE_SEI_PAYLOAD;
        break;

    default:
        w->sei_size--;
    }

    if (w->sei_size == 0) {
        w->sei = LIVE_SEI_TYPE;
        w->sei_type = 0;
    }
}
