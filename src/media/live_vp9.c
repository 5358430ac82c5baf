#include "live_vp9.h"
#include "live_bits.h"
#include "live_codec.h"

#include <stdio.h>


#define LIVE_VP9_MARKER       2
#define LIVE_VP9_RECORD       8         /* bytes */
#define LIVE_VP9_MAX_FRAMES   8         /* of a superframe */
#define LIVE_VP9_FPS          30        /* where none is known */

#define LIVE_VP9_UNSAID       2
#define LIVE_VP9_BT709        1


/* what a decoder of that level does at most */
typedef struct {
    uint8_t   level;                    /* times 10 */
    uint32_t  rate;                     /* luma samples a second */
    uint32_t  size;                     /* luma samples of a picture */
    uint32_t  kbits;                    /* a second */
    uint32_t  side;
} live_vp9_level_t;


typedef struct {
    unsigned  key:1;
    unsigned  shown:1;
} live_vp9_frame_t;


static uint8_t live_vp9_level(const live_rung_source_t *picture,
    uint32_t rate);
static unsigned live_vp9_superframe(const uint8_t *data, size_t len,
    uint32_t *sizes);
static int live_vp9_frame(live_vp9_frame_t *frame, const uint8_t *data,
    size_t len);


static const live_vp9_level_t  live_vp9_levels[] = {
    { 10,     829440,    36864,    200,   512 },
    { 11,    2764800,    73728,    800,   768 },
    { 20,    4608000,   122880,   1800,   960 },
    { 21,    9216000,   245760,   3600,  1344 },
    { 30,   20736000,   552960,   7200,  2048 },
    { 31,   36864000,   983040,  12000,  2752 },
    { 40,   83558400,  2228224,  18000,  4160 },
    { 41,  160432128,  2228224,  30000,  4160 },
    { 50,  311951360,  8912896,  60000,  8384 },
    { 51,  588251136,  8912896, 120000,  8384 },
    { 52, 1176502272,  8912896, 180000,  8384 },
    { 60, 1176502272, 35651584, 180000, 16832 },
    { 61, 2353004544, 35651584, 240000, 16832 },
    { 62, 4294967295, 35651584, 480000, 16832 },
};


int
live_vp9_record(const live_rung_source_t *picture, uint32_t rate,
    live_writer_t *w)
{
    live_write_u8(w, 0);                /* profile */
    live_write_u8(w, live_vp9_level(picture, rate));

    /* 8 bits, 4:2:0 with chroma between two lines, limited range */
    live_write_u8(w, 8 << 4);

    live_write_u8(w, picture->primaries ? picture->primaries
                                        : LIVE_VP9_UNSAID);
    live_write_u8(w, picture->transfer ? picture->transfer : LIVE_VP9_UNSAID);
    live_write_u8(w, picture->matrix ? picture->matrix : LIVE_VP9_UNSAID);
    live_write_u16(w, 0);               /* codecInitializationData */

    return w->error ? LIVE_ERROR : LIVE_OK;
}


static uint8_t
live_vp9_level(const live_rung_source_t *picture, uint32_t rate)
{
    size_t                   i, last;
    double                   size, fps;
    const live_vp9_level_t  *l;

    last = sizeof(live_vp9_levels) / sizeof(live_vp9_levels[0]) - 1;
    size = (double) picture->width * picture->height;
    fps = picture->fps > 0 ? picture->fps : LIVE_VP9_FPS;

    for (i = 0; i < last; i++) {
        l = &live_vp9_levels[i];

        if (size <= l->size && size * fps <= l->rate
            && rate / 1000 <= l->kbits && picture->width <= l->side
            && picture->height <= l->side)
        {
            break;
        }
    }

    return live_vp9_levels[i].level;
}


int
live_vp9_sample(const uint8_t *data, size_t len, live_writer_t *w, int *key)
{
    unsigned          i, n, shown;
    uint32_t          sizes[LIVE_VP9_MAX_FRAMES];
    const uint8_t    *p;
    live_vp9_frame_t  frame;

    *key = 0;
    shown = 0;

    p = data;
    n = live_vp9_superframe(data, len, sizes);

    for (i = 0; i < n; i++) {
        if (live_vp9_frame(&frame, p, sizes[i]) != LIVE_OK) {
            return LIVE_ERROR;
        }

        if (i == 0 && frame.key && frame.shown) {
            *key = 1;
        }

        shown += frame.shown;
        p += sizes[i];
    }

    if (shown != 1) {
        return LIVE_ERROR;
    }

    live_write(w, data, len);

    return w->error ? LIVE_ERROR : LIVE_OK;
}


/* Sizes of the frames (VP9 Annex B), whose number it returns: one without an
 * index, 0 where it is wrong. */
static unsigned
live_vp9_superframe(const uint8_t *data, size_t len, uint32_t *sizes)
{
    size_t          index, left;
    unsigned        i, k, n, bytes;
    const uint8_t  *p;

    if (len == 0 || len > UINT32_MAX) {
        return 0;
    }

    n = (data[len - 1] & 7u) + 1;
    bytes = (data[len - 1] >> 3 & 3u) + 1;
    index = 2 + (size_t) n * bytes;

    if ((data[len - 1] & 0xe0) != 0xc0 || len < index
        || data[len - index] != data[len - 1])
    {
        sizes[0] = (uint32_t) len;
        return 1;
    }

    p = data + len - index + 1;
    left = len - index;

    for (i = 0; i < n; i++) {
        sizes[i] = 0;

        for (k = 0; k < bytes; k++) {
            sizes[i] |= (uint32_t) *p++ << k * 8;
        }

        if (sizes[i] > left) {
            return 0;
        }

        left -= sizes[i];
    }

    return n;
}


/* The beginning of uncompressed_header(), VP9 6.2 */
static int
live_vp9_frame(live_vp9_frame_t *frame, const uint8_t *data, size_t len)
{
    live_bits_t  b;

    live_bits_init(&b, data, len, 0);

    if (live_bits_get(&b, 2) != LIVE_VP9_MARKER) {
        return LIVE_ERROR;
    }

    if (live_bits_get(&b, 2) == 3) {
        live_bits_skip(&b, 1);          /* profile 3 has one more bit */
    }

    if (live_bits_get(&b, 1)) {         /* show_existing_frame */
        frame->key = 0;
        frame->shown = 1;

    } else {
        frame->key = live_bits_get(&b, 1) == 0;
        frame->shown = live_bits_get(&b, 1) & 1;
    }

    return b.error ? LIVE_ERROR : LIVE_OK;
}


int
live_vp9_parse_config(live_codec_info_t *info, const uint8_t *data,
    size_t len, const char **reason)
{
    int             n, usual;
    uint32_t        depth, chroma, full;
    const uint8_t  *color;

    if (len < LIVE_VP9_RECORD) {
        *reason = "truncated vpcC";
        return LIVE_ERROR;
    }

    if (data[0] > 3) {
        *reason = "unknown VP9 profile";
        return LIVE_ERROR;
    }

    *info = (live_codec_info_t) {
        .codec = LIVE_CODEC_VP9,
        .media = LIVE_MEDIA_VIDEO,
        .timescale = LIVE_VIDEO_TIMESCALE
    };

    depth = data[2] >> 4;
    chroma = data[2] >> 1 & 7;
    full = data[2] & 1;
    color = data + 3;

    n = snprintf(info->codecs, sizeof(info->codecs), "vp09.%02u.%02u.%02u",
                 data[0], data[1], depth);

    usual = (color[0] == LIVE_VP9_BT709 && color[1] == LIVE_VP9_BT709
             && color[2] == LIVE_VP9_BT709)
            || (color[0] == LIVE_VP9_UNSAID && color[1] == LIVE_VP9_UNSAID
                && color[2] == LIVE_VP9_UNSAID);

    /* all of it or none; where chroma samples are makes no difference */

    if (!usual || chroma > 1 || full) {
        (void) snprintf(info->codecs + n, sizeof(info->codecs) - (size_t) n,
                        ".%02u.%02u.%02u.%02u.%02u", chroma, color[0],
                        color[1], color[2], full);
    }

    return LIVE_OK;
}
