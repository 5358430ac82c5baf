#include "live_av1.h"
#include "live_bits.h"
#include "live_codec.h"

#include <stdio.h>


/* obu_type, AV1 6.2.2 */
#define LIVE_AV1_SEQUENCE    1
#define LIVE_AV1_DELIMITER   2
#define LIVE_AV1_HEADER      3
#define LIVE_AV1_FRAME       6
#define LIVE_AV1_TILE_LIST   8
#define LIVE_AV1_PADDING     15

/* in the first byte of an OBU */
#define LIVE_AV1_HAS_SIZE    0x02
#define LIVE_AV1_EXTENSION   0x04

#define LIVE_AV1_RECORD      0x81       /* marker, version 1 */
#define LIVE_AV1_RECORD_HEAD 4

/* color_primaries to matrix_coefficients: not said; BT.709, sRGB */
#define LIVE_AV1_UNSAID      2
#define LIVE_AV1_BT709       1
#define LIVE_AV1_SRGB        13


typedef struct {
    const uint8_t  *start;              /* with its header */
    const uint8_t  *data;
    size_t          size;               /* of data */
    unsigned        type;
} live_av1_obu_t;


typedef struct {
    uint32_t  profile;
    uint32_t  level;                    /* seq_level_idx[0] */
    uint32_t  tier;
    uint32_t  reduced;                  /* reduced_still_picture_header */
    uint32_t  width;
    uint32_t  height;

    uint32_t  high;                     /* high_bitdepth */
    uint32_t  twelve;
    uint32_t  mono;
    uint32_t  sub_x;
    uint32_t  sub_y;
    uint32_t  position;                 /* chroma_sample_position */
    uint32_t  primaries;
    uint32_t  transfer;
    uint32_t  matrix;
    uint32_t  full;                     /* color_range */
} live_av1_seq_t;


static int live_av1_next(live_reader_t *r, live_av1_obu_t *obu);
static uint32_t live_av1_leb128(live_reader_t *r);
static int live_av1_find(const uint8_t *data, size_t len,
    live_av1_obu_t *obu);
static void live_av1_write_leb128(live_writer_t *w, size_t v);
static int live_av1_sequence(live_av1_seq_t *seq, const live_av1_obu_t *obu);
static void live_av1_points(live_bits_t *b, live_av1_seq_t *seq);
static void live_av1_tools(live_bits_t *b, const live_av1_seq_t *seq);
static void live_av1_color(live_bits_t *b, live_av1_seq_t *seq);
static void live_av1_subsampling(live_bits_t *b, live_av1_seq_t *seq);
static void live_av1_codecs(char *s, size_t size, const live_av1_seq_t *seq);


int
live_av1_record(const uint8_t *data, size_t len, live_writer_t *w)
{
    live_av1_obu_t  obu;
    live_av1_seq_t  seq;

    if (len > LIVE_AV1_RECORD_HEAD && data[0] == LIVE_AV1_RECORD) {
        live_write(w, data, len);
        return w->error ? LIVE_ERROR : LIVE_OK;
    }

    if (live_av1_find(data, len, &obu) != LIVE_OK
        || live_av1_sequence(&seq, &obu) != LIVE_OK)
    {
        return LIVE_ERROR;
    }

    live_write_u8(w, LIVE_AV1_RECORD);
    live_write_u8(w, seq.profile << 5 | seq.level);
    live_write_u8(w, seq.tier << 7 | seq.high << 6 | seq.twelve << 5
                     | seq.mono << 4 | seq.sub_x << 3 | seq.sub_y << 2
                     | seq.position);
    live_write_u8(w, 0);                /* no initial presentation delay */

    live_write_u8(w, LIVE_AV1_SEQUENCE << 3 | LIVE_AV1_HAS_SIZE);
    live_av1_write_leb128(w, obu.size);
    live_write(w, obu.data, obu.size);

    return w->error ? LIVE_ERROR : LIVE_OK;
}


/* LIVE_AGAIN: there is no other. */
static int
live_av1_next(live_reader_t *r, live_av1_obu_t *obu)
{
    size_t    size;
    uint32_t  head;

    if (r->error || live_reader_left(r) == 0) {
        return r->error ? LIVE_ERROR : LIVE_AGAIN;
    }

    obu->start = r->pos;
    head = live_read_u8(r);
    obu->type = head >> 3 & 15;

    if (head & LIVE_AV1_EXTENSION) {
        (void) live_read_u8(r);
    }

    size = head & LIVE_AV1_HAS_SIZE ? live_av1_leb128(r)
                                    : live_reader_left(r);

    obu->data = live_read(r, size);
    obu->size = size;

    return obu->data == NULL || head & 0x80 ? LIVE_ERROR : LIVE_OK;
}


static uint32_t
live_av1_leb128(live_reader_t *r)
{
    uint64_t  v;
    uint32_t  i, byte;

    for (v = 0, i = 0; i < 8; i++) {
        byte = live_read_u8(r);
        v |= (uint64_t) (byte & 0x7f) << i * 7;

        if ((byte & 0x80) == 0) {
            break;
        }
    }

    if (i == 8 || v > UINT32_MAX) {
        r->error = 1;
        return 0;
    }

    return (uint32_t) v;
}


/* The first sequence header. */
static int
live_av1_find(const uint8_t *data, size_t len, live_av1_obu_t *obu)
{
    live_reader_t  r;

    live_reader_init(&r, data, len);

    do {
        if (live_av1_next(&r, obu) != LIVE_OK) {
            return LIVE_ERROR;
        }

    } while (obu->type != LIVE_AV1_SEQUENCE);

    return LIVE_OK;
}


static void
live_av1_write_leb128(live_writer_t *w, size_t v)
{
    for ( /* void */ ; v > 0x7f; v >>= 7) {
        live_write_u8(w, (uint32_t) (v & 0x7f) | 0x80);
    }

    live_write_u8(w, (uint32_t) v);
}


int
live_av1_temporal_unit(const uint8_t *data, size_t len, live_writer_t *w,
    int *key)
{
    int             rc;
    unsigned        seen;
    live_reader_t   r;
    live_av1_obu_t  obu;

    *key = 0;
    seen = 0;

    live_reader_init(&r, data, len);

    while ((rc = live_av1_next(&r, &obu)) == LIVE_OK) {

        switch (obu.type) {

        case LIVE_AV1_DELIMITER:
        case LIVE_AV1_TILE_LIST:
        case LIVE_AV1_PADDING:
            continue;

        case LIVE_AV1_HEADER:
        case LIVE_AV1_FRAME:

            /* show_existing_frame 0, frame_type KEY_FRAME, show_frame 1 */

            if (!seen && obu.size) {
                *key = obu.data[0] >> 4 == 1;
            }

            seen = 1;
            break;
        }

        live_write(w, obu.start, (size_t) (r.pos - obu.start));
    }

    return rc == LIVE_ERROR || w->error ? LIVE_ERROR : LIVE_OK;
}


int
live_av1_parse_config(live_codec_info_t *info, const uint8_t *data,
    size_t len, const char **reason)
{
    live_av1_obu_t  obu;
    live_av1_seq_t  seq;

    if (len < LIVE_AV1_RECORD_HEAD || data[0] != LIVE_AV1_RECORD) {
        *reason = len < LIVE_AV1_RECORD_HEAD ? "truncated av1C"
                                             : "unknown av1C version";
        return LIVE_ERROR;
    }

    if (live_av1_find(data + LIVE_AV1_RECORD_HEAD,
                      len - LIVE_AV1_RECORD_HEAD, &obu)
        != LIVE_OK)
    {
        *reason = "av1C without a sequence header";
        return LIVE_ERROR;
    }

    if (live_av1_sequence(&seq, &obu) != LIVE_OK) {
        *reason = "malformed sequence header";
        return LIVE_ERROR;
    }

    *info = (live_codec_info_t) {
        .codec = LIVE_CODEC_AV1,
        .media = LIVE_MEDIA_VIDEO,
        .timescale = LIVE_VIDEO_TIMESCALE,
        .width = seq.width,
        .height = seq.height
    };

    live_av1_codecs(info->codecs, sizeof(info->codecs), &seq);

    return LIVE_OK;
}


/* AV1 5.5.1 */
static int
live_av1_sequence(live_av1_seq_t *seq, const live_av1_obu_t *obu)
{
    uint32_t     width, height;
    live_bits_t  b;

    memset(seq, 0, sizeof(live_av1_seq_t));
    live_bits_init(&b, obu->data, obu->size, 0);

    seq->profile = live_bits_get(&b, 3);
    live_bits_skip(&b, 1);              /* still_picture */
    seq->reduced = live_bits_get(&b, 1);

    if (seq->reduced) {
        seq->level = live_bits_get(&b, 5);

    } else {
        live_av1_points(&b, seq);
    }

    width = live_bits_get(&b, 4) + 1;
    height = live_bits_get(&b, 4) + 1;
    seq->width = live_bits_get(&b, width) + 1;
    seq->height = live_bits_get(&b, height) + 1;

    live_av1_tools(&b, seq);
    live_av1_color(&b, seq);

    return b.error || seq->profile > 2 ? LIVE_ERROR : LIVE_OK;
}


/* Timing and operating points; level and tier are those of the first. */
static void
live_av1_points(live_bits_t *b, live_av1_seq_t *seq)
{
    uint32_t  i, n, model, delay, bits, level, tier;

    model = 0;
    bits = 0;

    if (live_bits_get(b, 1)) {          /* timing_info */
        live_bits_skip(b, 64);

        if (live_bits_get(b, 1)) {
            (void) live_bits_ue(b);     /* as uvlc() */
        }

        model = live_bits_get(b, 1);

        if (model) {
            bits = live_bits_get(b, 5) + 1;
            live_bits_skip(b, 32 + 10);
        }
    }

    delay = live_bits_get(b, 1);
    n = live_bits_get(b, 5) + 1;

    for (i = 0; i < n && !b->error; i++) {
        live_bits_skip(b, 12);          /* operating_point_idc */
        level = live_bits_get(b, 5);
        tier = level > 7 ? live_bits_get(b, 1) : 0;

        if (i == 0) {
            seq->level = level;
            seq->tier = tier;
        }

        if (model && live_bits_get(b, 1)) {
            live_bits_skip(b, bits * 2 + 1);
        }

        if (delay && live_bits_get(b, 1)) {
            live_bits_skip(b, 4);
        }
    }
}


static void
live_av1_tools(live_bits_t *b, const live_av1_seq_t *seq)
{
    uint32_t  order, screen;

    if (!seq->reduced && live_bits_get(b, 1)) {
        live_bits_skip(b, 4 + 3);       /* frame ids */
    }

    live_bits_skip(b, 3);               /* superblock, intra filters */

    if (!seq->reduced) {
        live_bits_skip(b, 4);           /* compounds, warped, dual filter */
        order = live_bits_get(b, 1);

        if (order) {
            live_bits_skip(b, 2);
        }

        /* a choice of each frame is more than none */
        screen = live_bits_get(b, 1) || live_bits_get(b, 1);

        if (screen && live_bits_get(b, 1) == 0) {
            live_bits_skip(b, 1);       /* seq_force_integer_mv */
        }

        if (order) {
            live_bits_skip(b, 3);
        }
    }

    live_bits_skip(b, 3);               /* superres, cdef, restoration */
}


/* AV1 5.5.2 */
static void
live_av1_color(live_bits_t *b, live_av1_seq_t *seq)
{
    seq->high = live_bits_get(b, 1);

    if (seq->profile == 2 && seq->high) {
        seq->twelve = live_bits_get(b, 1);
    }

    if (seq->profile != 1) {
        seq->mono = live_bits_get(b, 1);
    }

    seq->primaries = LIVE_AV1_UNSAID;
    seq->transfer = LIVE_AV1_UNSAID;
    seq->matrix = LIVE_AV1_UNSAID;

    if (live_bits_get(b, 1)) {
        seq->primaries = live_bits_get(b, 8);
        seq->transfer = live_bits_get(b, 8);
        seq->matrix = live_bits_get(b, 8);
    }

    if (seq->mono) {
        seq->full = live_bits_get(b, 1);
        seq->sub_x = 1;
        seq->sub_y = 1;

    } else if (seq->primaries == LIVE_AV1_BT709
               && seq->transfer == LIVE_AV1_SRGB && seq->matrix == 0)
    {
        seq->full = 1;

    } else {
        seq->full = live_bits_get(b, 1);
        live_av1_subsampling(b, seq);
    }
}


static void
live_av1_subsampling(live_bits_t *b, live_av1_seq_t *seq)
{
    if (seq->profile == 0) {
        seq->sub_x = 1;
        seq->sub_y = 1;

    } else if (seq->twelve) {
        seq->sub_x = live_bits_get(b, 1);
        seq->sub_y = seq->sub_x ? live_bits_get(b, 1) : 0;

    } else {
        seq->sub_x = seq->profile == 2;
    }

    if (seq->sub_x && seq->sub_y) {
        seq->position = live_bits_get(b, 2);
    }
}


/*
 * av01.PROFILE.LEVELTIER.DEPTH, and what the colours are where that is not what
 * is to be taken for granted (AV1-ISOBMFF 5): all of it or none.
 */
static void
live_av1_codecs(char *s, size_t size, const live_av1_seq_t *seq)
{
    int  n, usual;

    n = snprintf(s, size, "av01.%u.%02u%c.%02u", seq->profile, seq->level,
                 seq->tier ? 'H' : 'M',
                 seq->twelve ? 12u : seq->high ? 10u : 8u);

    usual = (seq->primaries == LIVE_AV1_BT709
             && seq->transfer == LIVE_AV1_BT709
             && seq->matrix == LIVE_AV1_BT709)
            || (seq->primaries == LIVE_AV1_UNSAID
                && seq->transfer == LIVE_AV1_UNSAID
                && seq->matrix == LIVE_AV1_UNSAID);

    if (usual && !seq->mono && !seq->full && seq->sub_x && seq->sub_y) {
        return;
    }

    (void) snprintf(s + n, size - (size_t) n, ".%u.%u%u%u.%02u.%02u.%02u.%u",
                    seq->mono, seq->sub_x, seq->sub_y,
                    seq->sub_x && seq->sub_y ? seq->position : 0,
                    seq->primaries, seq->transfer, seq->matrix, seq->full);
}
