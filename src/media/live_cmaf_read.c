#include "live_cmaf_read.h"


/* tfhd (CMAF-9) */
#define LIVE_TFHD_BASE      0x000001
#define LIVE_TFHD_INDEX     0x000002
#define LIVE_TFHD_DURATION  0x000008
#define LIVE_TFHD_SIZE      0x000010
#define LIVE_TFHD_FLAGS     0x000020

/* trun (CMAF-11) */
#define LIVE_TRUN_OFFSET    0x000001
#define LIVE_TRUN_FIRST     0x000004
#define LIVE_TRUN_DURATION  0x000100
#define LIVE_TRUN_SIZE      0x000200
#define LIVE_TRUN_FLAGS     0x000400
#define LIVE_TRUN_CTS       0x000800

#define LIVE_NOT_SYNC       0x00010000

#define live_type(a, b, c, d)                                                 \
    ((uint32_t) (a) << 24 | (uint32_t) (b) << 16 | (uint32_t) (c) << 8 | (d))


static int live_cmaf_read_moof(live_cmaf_reader_t *r, live_reader_t *moof,
    size_t start);
static int live_cmaf_read_tfhd(live_cmaf_reader_t *r, live_reader_t *b);
static int live_cmaf_read_trun(live_cmaf_reader_t *r, live_reader_t *b,
    size_t start);
static int live_cmaf_read_box(live_reader_t *r, uint32_t *type,
    live_reader_t *sub);


void
live_cmaf_reader_init(live_cmaf_reader_t *r, const uint8_t *data, size_t len)
{
    memset(r, 0, sizeof(live_cmaf_reader_t));

    r->data = data;
    r->len = len;
}


int
live_cmaf_read_sample(live_cmaf_reader_t *r, live_sample_t *s)
{
    size_t         start;
    uint32_t       type;
    live_reader_t  file, box;

    while (r->left == 0) {

        if (r->pos == r->len) {
            return LIVE_AGAIN;
        }

        start = r->pos;
        live_reader_init(&file, r->data + start, r->len - start);

        if (live_cmaf_read_box(&file, &type, &box) != LIVE_OK) {
            return LIVE_ERROR;
        }

        r->pos = file.pos - r->data;

        if (type == live_type('m', 'o', 'o', 'f')
            && live_cmaf_read_moof(r, &box, start) != LIVE_OK)
        {
            return LIVE_ERROR;
        }
    }

    s->dts = r->dts;
    s->offset = r->offset;
    s->duration = r->duration;
    s->size = r->size;
    s->cts = 0;
    s->flags = r->first;

    if (r->flags & LIVE_TRUN_DURATION) {
        s->duration = live_read_u32(&r->trun);
    }

    if (r->flags & LIVE_TRUN_SIZE) {
        s->size = live_read_u32(&r->trun);
    }

    if (r->flags & LIVE_TRUN_FLAGS) {
        s->flags = live_read_u32(&r->trun);
    }

    if (r->flags & LIVE_TRUN_CTS) {
        s->cts = (int32_t) live_read_u32(&r->trun);
    }

    if (r->trun.error || s->offset > r->len || s->size > r->len - s->offset) {
        return LIVE_ERROR;
    }

    s->flags = (s->flags & LIVE_NOT_SYNC) ? 0 : LIVE_SAMPLE_KEY;

    r->left--;
    r->first = r->sync;
    r->dts += s->duration;
    r->offset += s->size;

    return LIVE_OK;
}


/* start: of the moof, what data offsets count from (CMAF-9). */
static int
live_cmaf_read_moof(live_cmaf_reader_t *r, live_reader_t *moof, size_t start)
{
    uint32_t       type, version;
    live_reader_t  box, traf;

    do {
        if (live_cmaf_read_box(moof, &type, &traf) != LIVE_OK) {
            return LIVE_ERROR;
        }
    } while (type != live_type('t', 'r', 'a', 'f'));

    r->duration = 0;
    r->size = 0;
    r->sync = 0;
    r->dts = -1;

    while (live_reader_left(&traf)) {

        if (live_cmaf_read_box(&traf, &type, &box) != LIVE_OK) {
            return LIVE_ERROR;
        }

        switch (type) {

        case live_type('t', 'f', 'h', 'd'):

            if (live_cmaf_read_tfhd(r, &box) != LIVE_OK) {
                return LIVE_ERROR;
            }

            break;

        case live_type('t', 'f', 'd', 't'):

            version = live_read_u32(&box) >> 24;
            r->dts = version ? (int64_t) live_read_u64(&box)
                             : (int64_t) live_read_u32(&box);

            if (box.error) {
                return LIVE_ERROR;
            }

            break;

        case live_type('t', 'r', 'u', 'n'):

            /* the times of its samples are known, and there is no second */

            if (r->dts < 0 || live_cmaf_read_trun(r, &box, start) != LIVE_OK) {
                return LIVE_ERROR;
            }

            return LIVE_OK;
        }
    }

    return LIVE_ERROR;
}


static int
live_cmaf_read_tfhd(live_cmaf_reader_t *r, live_reader_t *b)
{
    uint32_t  flags;

    flags = live_read_u32(b);
    (void) live_read_u32(b);        /* track_ID */

    if (flags & LIVE_TFHD_BASE) {
        return LIVE_ERROR;
    }

    if (flags & LIVE_TFHD_INDEX) {
        (void) live_read_u32(b);
    }

    if (flags & LIVE_TFHD_DURATION) {
        r->duration = live_read_u32(b);
    }

    if (flags & LIVE_TFHD_SIZE) {
        r->size = live_read_u32(b);
    }

    if (flags & LIVE_TFHD_FLAGS) {
        r->sync = live_read_u32(b);
    }

    return b->error ? LIVE_ERROR : LIVE_OK;
}


static int
live_cmaf_read_trun(live_cmaf_reader_t *r, live_reader_t *b, size_t start)
{
    r->flags = live_read_u32(b);
    r->left = live_read_u32(b);

    /* each chunk says where its samples are and how large every one is */

    if (!(r->flags & LIVE_TRUN_OFFSET) || !(r->flags & LIVE_TRUN_SIZE))
    {
        r->left = 0;
        return LIVE_ERROR;
    }

    r->offset = start + (uint64_t) live_read_u32(b);
    r->first = (r->flags & LIVE_TRUN_FIRST) ? live_read_u32(b) : r->sync;
    r->trun = *b;

    if (b->error) {
        r->left = 0;
        return LIVE_ERROR;
    }

    return LIVE_OK;
}


static int
live_cmaf_read_box(live_reader_t *r, uint32_t *type, live_reader_t *sub)
{
    uint32_t        size;
    const uint8_t  *p;

    size = live_read_u32(r);
    *type = live_read_u32(r);

    if (r->error || size < 8) {
        return LIVE_ERROR;
    }

    p = live_read(r, size - 8);

    if (p == NULL) {
        return LIVE_ERROR;
    }

    live_reader_init(sub, p, size - 8);

    return LIVE_OK;
}
