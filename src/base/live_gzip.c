
#include <string.h>
#include <zlib.h>

#include "live_gzip.h"


#define LIVE_GZIP_MAX_INPUT   (1 << 30)     /* zlib counts in unsigned int */
#define LIVE_GZIP_LEVEL       6

#define LIVE_GZIP_MIN_BITS    9
#define LIVE_GZIP_MAX_BITS    15
#define LIVE_GZIP_WRAPPER     16            /* zlib: gzip, not zlib, format */

/* zlib does not look back over the last bytes of its window */
#define LIVE_GZIP_LOOKAHEAD   262

#define LIVE_GZIP_OS_UNKNOWN  255


static int live_gzip_init(z_stream *z, gz_header *head, size_t len);
static int live_gzip_window_bits(size_t len);


int
live_gzip(live_writer_t *w, const void *src, size_t len)
{
    int        rc;
    size_t     room;
    z_stream   z;
    gz_header  head;

    if (len > LIVE_GZIP_MAX_INPUT) {
        return LIVE_ERROR;
    }

    room = w->end - w->pos;

    if (w->error || room == 0) {
        w->error = 1;
        return LIVE_OVERFLOW;
    }

    if (live_gzip_init(&z, &head, len) != LIVE_OK) {
        return LIVE_ERROR;
    }

    z.next_in = (Bytef *) src;
    z.avail_in = (uInt) len;
    z.next_out = w->pos;
    z.avail_out = (uInt) (room < UINT32_MAX ? room : UINT32_MAX);

    rc = deflate(&z, Z_FINISH);

    (void) deflateEnd(&z);

    if (rc != Z_STREAM_END) {
        w->error = 1;
        return LIVE_OVERFLOW;
    }

    w->pos = z.next_out;

    return LIVE_OK;
}


size_t
live_gzip_size(size_t len)
{
    /* with a small memory level random bytes take 9 bits each, and blocks
     * are short */
    return len + len / 4 + 64;
}


static int
live_gzip_init(z_stream *z, gz_header *head, size_t len)
{
    int  bits;

    memset(z, 0, sizeof(z_stream));

    /*
     * A state takes 2^(bits + 2) + 2^(memory level + 9) bytes; the full
     * 256 KiB would be touched and freed for each playlist of a few KiB.
     */
    bits = live_gzip_window_bits(len);

    if (deflateInit2(z, LIVE_GZIP_LEVEL, Z_DEFLATED,
                     bits + LIVE_GZIP_WRAPPER, bits - 7,
                     Z_DEFAULT_STRATEGY)
        != Z_OK)
    {
        return LIVE_ERROR;
    }

    /* no time and no system: they would change the bytes, not the text */

    memset(head, 0, sizeof(gz_header));
    head->os = LIVE_GZIP_OS_UNKNOWN;

    (void) deflateSetHeader(z, head);

    return LIVE_OK;
}


static int
live_gzip_window_bits(size_t len)
{
    int  bits;

    for (bits = LIVE_GZIP_MIN_BITS; bits < LIVE_GZIP_MAX_BITS; bits++) {
        if (len + LIVE_GZIP_LOOKAHEAD <= (size_t) 1 << bits) {
            break;
        }
    }

    return bits;
}
