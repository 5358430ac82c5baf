#include "live_hevc.h"
#include "live_annexb.h"
#include "live_bits.h"
#include "live_codec.h"

#include <stdio.h>


/* nal_unit_type, ISO 23008-2 table 7-1 */
#define LIVE_HEVC_IDR_W_RADL  19
#define LIVE_HEVC_IDR_N_LP    20
#define LIVE_HEVC_VPS         32
#define LIVE_HEVC_SPS         33
#define LIVE_HEVC_PPS         34
#define LIVE_HEVC_AUD         35

#define LIVE_HEVC_MAX_SIZE    16384
#define LIVE_HEVC_MAX_DEPTH   8         /* bits more than 8 */

/* general_profile_space to general_level_idc: the same bytes in both */
#define LIVE_HEVC_PROFILE     12

/* of the record, before its arrays */
#define LIVE_HEVC_HEAD        23


typedef struct {
    uint8_t   profile[LIVE_HEVC_PROFILE];
    uint32_t  layers;                   /* temporal */
    uint32_t  nested;
    uint32_t  chroma;                   /* chroma_format_idc */
    uint32_t  luma_depth;               /* minus 8 */
    uint32_t  chroma_depth;
    uint32_t  width;                    /* after cropping */
    uint32_t  height;
} live_hevc_sps_t;


static unsigned live_hevc_type(const uint8_t *nal);
static int live_hevc_array(live_reader_t r, unsigned type, live_writer_t *w);
static const uint8_t *live_hevc_find_sps(live_reader_t *r, size_t *len);
static int live_hevc_sps(live_hevc_sps_t *sps, const uint8_t *data,
    size_t len);
static void live_hevc_sps_layers(live_bits_t *b, uint32_t n);
static int live_hevc_sps_size(live_bits_t *b, live_hevc_sps_t *sps);
static void live_hevc_codecs(char *s, size_t size, const uint8_t *profile);


int
live_hevc_record(const uint8_t *data, size_t len, live_writer_t *w)
{
    size_t           size;
    const uint8_t   *nal;
    live_reader_t    r;
    live_hevc_sps_t  sps;

    live_reader_init(&r, data, len);

    do {
        nal = live_annexb_next(&r, &size);

        if (nal == NULL) {
            return LIVE_ERROR;
        }

    } while (size < 2 || live_hevc_type(nal) != LIVE_HEVC_SPS);

    if (live_hevc_sps(&sps, nal, size) != LIVE_OK) {
        return LIVE_ERROR;
    }

    live_write_u8(w, 1);
    live_write(w, sps.profile, LIVE_HEVC_PROFILE);

    /* how a picture may be decoded in parallel is not known */

    live_write_u16(w, 0xf000);          /* min_spatial_segmentation_idc */
    live_write_u8(w, 0xfc);             /* parallelismType */
    live_write_u8(w, 0xfc | sps.chroma);
    live_write_u8(w, 0xf8 | sps.luma_depth);
    live_write_u8(w, 0xf8 | sps.chroma_depth);
    live_write_u16(w, 0);               /* avgFrameRate */

    /* lengths of 4 bytes, no constant rate promised */
    live_write_u8(w, sps.layers << 3 | sps.nested << 2 | 3);
    live_write_u8(w, 3);

    live_reader_init(&r, data, len);

    if (live_hevc_array(r, LIVE_HEVC_VPS, w) != LIVE_OK
        || live_hevc_array(r, LIVE_HEVC_SPS, w) != LIVE_OK
        || live_hevc_array(r, LIVE_HEVC_PPS, w) != LIVE_OK)
    {
        return LIVE_ERROR;
    }

    return w->error ? LIVE_ERROR : LIVE_OK;
}


static unsigned
live_hevc_type(const uint8_t *nal)
{
    return nal[0] >> 1 & 0x3f;
}


/* Complete, that is, samples bring no others (ISO 14496-15 8.3.3.1.3). */
static int
live_hevc_array(live_reader_t r, unsigned type, live_writer_t *w)
{
    size_t          len;
    unsigned        n;
    uint8_t        *count;
    const uint8_t  *nal;

    live_write_u8(w, 0x80 | type);
    count = live_write_room(w, 2);

    for (n = 0; (nal = live_annexb_next(&r, &len)) != NULL; /* void */ ) {

        if (len < 2 || live_hevc_type(nal) != type) {
            continue;
        }

        if (len > UINT16_MAX) {
            return LIVE_ERROR;
        }

        live_write_u16(w, (uint32_t) len);
        live_write(w, nal, len);
        n++;
    }

    if (count == NULL || n == 0 || n > UINT8_MAX) {
        return LIVE_ERROR;
    }

    count[0] = 0;
    count[1] = (uint8_t) n;

    return LIVE_OK;
}


int
live_hevc_access_unit(const uint8_t *data, size_t len, live_writer_t *w,
    int *idr)
{
    size_t          size;
    const uint8_t  *nal;
    live_reader_t   r;

    *idr = 0;

    live_reader_init(&r, data, len);

    while ((nal = live_annexb_next(&r, &size)) != NULL) {

        if (size < 2) {
            continue;
        }

        switch (live_hevc_type(nal)) {

        case LIVE_HEVC_VPS:
        case LIVE_HEVC_SPS:
        case LIVE_HEVC_PPS:
        case LIVE_HEVC_AUD:
            continue;

        case LIVE_HEVC_IDR_W_RADL:
        case LIVE_HEVC_IDR_N_LP:
            *idr = 1;
            break;
        }

        live_write_u32(w, (uint32_t) size);
        live_write(w, nal, size);
    }

    return w->error ? LIVE_ERROR : LIVE_OK;
}


int
live_hevc_parse_config(live_codec_info_t *info, const uint8_t *data,
    size_t len, const char **reason)
{
    size_t           size;
    live_reader_t    r;
    const uint8_t   *head, *nal;
    live_hevc_sps_t  sps;

    live_reader_init(&r, data, len);
    head = live_read(&r, LIVE_HEVC_HEAD - 1);

    if (head == NULL || head[0] != 1) {
        *reason = head ? "unknown hvcC version" : "truncated hvcC";
        return LIVE_ERROR;
    }

    if ((head[21] & 3) == 2) {
        *reason = "hvcC with NAL length size 3";
        return LIVE_ERROR;
    }

    nal = live_hevc_find_sps(&r, &size);

    if (nal == NULL) {
        *reason = r.error ? "truncated hvcC" : "hvcC without SPS";
        return LIVE_ERROR;
    }

    if (live_hevc_sps(&sps, nal, size) != LIVE_OK) {
        *reason = "malformed SPS";
        return LIVE_ERROR;
    }

    *info = (live_codec_info_t) {
        .codec = LIVE_CODEC_HEVC,
        .media = LIVE_MEDIA_VIDEO,
        .timescale = LIVE_VIDEO_TIMESCALE,
        .width = sps.width,
        .height = sps.height,
        .nal_length_size = (head[21] & 3) + 1
    };

    live_hevc_codecs(info->codecs, sizeof(info->codecs), head + 1);

    return LIVE_OK;
}


/* Walks all arrays; the result is the first SPS, NULL without one. */
static const uint8_t *
live_hevc_find_sps(live_reader_t *r, size_t *len)
{
    uint32_t        i, k, n, arrays, type, size;
    const uint8_t  *p, *sps;

    sps = NULL;
    arrays = live_read_u8(r);

    for (i = 0; i < arrays && !r->error; i++) {
        type = live_read_u8(r) & 0x3f;
        n = live_read_u16(r);

        for (k = 0; k < n && !r->error; k++) {
            size = live_read_u16(r);
            p = live_read(r, size);

            if (p && sps == NULL && type == LIVE_HEVC_SPS && size >= 2
                && live_hevc_type(p) == LIVE_HEVC_SPS)
            {
                sps = p;
                *len = size;
            }
        }
    }

    return r->error ? NULL : sps;
}


/* ISO 23008-2 7.3.2.2.1, as far as the bit depths */
static int
live_hevc_sps(live_hevc_sps_t *sps, const uint8_t *data, size_t len)
{
    unsigned     i;
    live_bits_t  b;

    live_bits_init(&b, data, len, 1);

    live_bits_skip(&b, 16 + 4);         /* header, VPS */

    sps->layers = live_bits_get(&b, 3) + 1;
    sps->nested = live_bits_get(&b, 1);

    for (i = 0; i < LIVE_HEVC_PROFILE; i++) {
        sps->profile[i] = (uint8_t) live_bits_get(&b, 8);
    }

    live_hevc_sps_layers(&b, sps->layers - 1);

    (void) live_bits_ue(&b);            /* sps_seq_parameter_set_id */
    sps->chroma = live_bits_ue(&b);

    if (live_hevc_sps_size(&b, sps) != LIVE_OK) {
        return LIVE_ERROR;
    }

    sps->luma_depth = live_bits_ue(&b);
    sps->chroma_depth = live_bits_ue(&b);

    return b.error || sps->layers > 7
           || sps->luma_depth > LIVE_HEVC_MAX_DEPTH - 1
           || sps->chroma_depth > LIVE_HEVC_MAX_DEPTH - 1
           ? LIVE_ERROR : LIVE_OK;
}


/* What profile_tier_level() says of the n lower temporal layers. */
static void
live_hevc_sps_layers(live_bits_t *b, uint32_t n)
{
    uint32_t  i, present;

    if (n == 0) {
        return;
    }

    present = live_bits_get(b, 16);

    for (i = 0; i < n; i++) {
        if (present & 0x8000u >> i * 2) {
            live_bits_skip(b, 88);
        }

        if (present & 0x4000u >> i * 2) {
            live_bits_skip(b, 8);
        }
    }
}


static int
live_hevc_sps_size(live_bits_t *b, live_hevc_sps_t *sps)
{
    unsigned  i;
    uint64_t  width, height, crop_x, crop_y;
    uint32_t  crop[4] = { 0 };          /* left, right, top, bottom */

    if (sps->chroma > 3) {
        return LIVE_ERROR;
    }

    if (sps->chroma == 3) {
        live_bits_skip(b, 1);           /* separate_colour_plane_flag */
    }

    width = live_bits_ue(b);
    height = live_bits_ue(b);

    if (live_bits_get(b, 1)) {
        for (i = 0; i < 4; i++) {
            crop[i] = live_bits_ue(b);
        }
    }

    crop_x = (uint64_t) crop[0] + crop[1];
    crop_y = (uint64_t) crop[2] + crop[3];

    if (sps->chroma == 1 || sps->chroma == 2) {
        crop_x *= 2;
    }

    if (sps->chroma == 1) {
        crop_y *= 2;
    }

    if (b->error || width > LIVE_HEVC_MAX_SIZE || height > LIVE_HEVC_MAX_SIZE
        || crop_x >= width || crop_y >= height)
    {
        return LIVE_ERROR;
    }

    sps->width = (uint32_t) (width - crop_x);
    sps->height = (uint32_t) (height - crop_y);

    return LIVE_OK;
}


/*
 * hvc1.PROFILE.COMPATIBILITY.TIERLEVEL.CONSTRAINTS (ISO 14496-15 E.3): the
 * flags of compatibility the other way round, bytes of zeros left out at the
 * end.
 */
static void
live_hevc_codecs(char *s, size_t size, const uint8_t *profile)
{
    int       n;
    char      space[2] = "";
    uint32_t  i, last, flags;

    if (profile[0] >> 6) {
        space[0] = (char) ('A' + (profile[0] >> 6) - 1);
    }

    for (flags = 0, i = 0; i < 32; i++) {
        flags |= (uint32_t) (profile[1 + i / 8] >> (7 - i % 8) & 1) << i;
    }

    n = snprintf(s, size, "hvc1.%s%u.%X.%c%u", space, profile[0] & 0x1fu,
                 flags, profile[0] & 0x20 ? 'H' : 'L',
                 (unsigned) profile[11]);

    for (last = 10; last > 4 && profile[last] == 0; last--) {
        /* void */
    }

    for (i = 5; i <= last; i++) {
        n += snprintf(s + n, size - (size_t) n, ".%X", (unsigned) profile[i]);
    }
}
