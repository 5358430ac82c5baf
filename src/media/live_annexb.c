#include "live_annexb.h"
#include "live_types.h"


/* nal_unit_type, ISO 14496-10 table 7-1 */
#define LIVE_ANNEXB_IDR  5
#define LIVE_ANNEXB_SPS  7
#define LIVE_ANNEXB_PPS  8
#define LIVE_ANNEXB_AUD  9

#define LIVE_ANNEXB_EXTENDED  100       /* profile_idc, with more in avcC */


static const uint8_t *live_annexb_start_code(const uint8_t *p,
    const uint8_t *end);
static unsigned live_annexb_sets(live_reader_t r, unsigned type,
    live_writer_t *w);


const uint8_t *
live_annexb_next(live_reader_t *r, size_t *len)
{
    const uint8_t  *start, *end;

    start = live_annexb_start_code(r->pos, r->last);

    if (r->last - start <= 3) {
        r->pos = r->last;
        return NULL;
    }

    start += 3;
    end = live_annexb_start_code(start, r->last);
    r->pos = end;

    /* zeros behind a NAL unit are none of it (B.1.1) */

    while (end > start && end[-1] == 0) {
        end--;
    }

    *len = (size_t) (end - start);

    return start;
}


/* The three bytes 0, 0, 1, or the end. */
static const uint8_t *
live_annexb_start_code(const uint8_t *p, const uint8_t *end)
{
    const uint8_t  *one;

    while (end - p >= 3) {
        one = memchr(p + 2, 1, (size_t) (end - p - 2));

        if (one == NULL) {
            break;
        }

        if (one[-1] == 0 && one[-2] == 0) {
            return one - 2;
        }

        p = one - 1;
    }

    return end;
}


int
live_annexb_config(const uint8_t *data, size_t len, live_writer_t *w)
{
    size_t          size;
    unsigned        n;
    uint8_t        *count;
    const uint8_t  *nal;
    live_reader_t   r;

    live_reader_init(&r, data, len);

    do {
        nal = live_annexb_next(&r, &size);

        if (nal == NULL) {
            return LIVE_ERROR;
        }

    } while (size < 4 || (nal[0] & 0x1f) != LIVE_ANNEXB_SPS);

    live_write_u8(w, 1);
    live_write(w, nal + 1, 3);
    live_write_u8(w, 0xff);

    live_reader_init(&r, data, len);

    count = live_write_room(w, 1);
    n = live_annexb_sets(r, LIVE_ANNEXB_SPS, w);

    if (count == NULL || n == 0 || n > 31) {
        return LIVE_ERROR;
    }

    *count = (uint8_t) (0xe0 | n);

    count = live_write_room(w, 1);
    n = live_annexb_sets(r, LIVE_ANNEXB_PPS, w);

    if (count == NULL || n == 0 || n > 255) {
        return LIVE_ERROR;
    }

    *count = (uint8_t) n;

    if (nal[1] >= LIVE_ANNEXB_EXTENDED) {
        live_write_u8(w, 0xfc | 1);     /* chroma_format_idc */
        live_write_u8(w, 0xf8);
        live_write_u8(w, 0xf8);
        live_write_u8(w, 0);
    }

    return w->error ? LIVE_ERROR : LIVE_OK;
}


static unsigned
live_annexb_sets(live_reader_t r, unsigned type, live_writer_t *w)
{
    size_t          len;
    unsigned        n;
    const uint8_t  *nal;

    for (n = 0; (nal = live_annexb_next(&r, &len)) != NULL; /* void */ ) {

        if (len == 0 || (nal[0] & 0x1f) != type) {
            continue;
        }

        if (len > UINT16_MAX) {
            return 0;
        }

        live_write_u16(w, (uint32_t) len);
        live_write(w, nal, len);
        n++;
    }

    return n;
}


int
live_annexb_access_unit(const uint8_t *data, size_t len, live_writer_t *w,
    int *idr)
{
    size_t          size;
    const uint8_t  *nal;
    live_reader_t   r;

    *idr = 0;

    live_reader_init(&r, data, len);

    while ((nal = live_annexb_next(&r, &size)) != NULL) {

        if (size == 0) {
            continue;
        }

        switch (nal[0] & 0x1f) {

        case LIVE_ANNEXB_SPS:
        case LIVE_ANNEXB_PPS:
        case LIVE_ANNEXB_AUD:
            continue;

        case LIVE_ANNEXB_IDR:
            *idr = 1;
            break;
        }

        live_write_u32(w, (uint32_t) size);
        live_write(w, nal, size);
    }

    return w->error ? LIVE_ERROR : LIVE_OK;
}
