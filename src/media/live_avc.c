#include "live_codec.h"
#include "live_bits.h"
#include "live_buf.h"


#define LIVE_AVC_MAX_SIZE    16384     /* CMAF-81 */
#define LIVE_AVC_MAX_MBS     (LIVE_AVC_MAX_SIZE / 16)

#define LIVE_AVC_NAL_SPS     7
#define LIVE_AVC_SAR_CUSTOM  255


/* What the SPS says about the picture. */
typedef struct {
    uint32_t  chroma;           /* ChromaArrayType */
    uint32_t  width_mbs;
    uint32_t  height_units;
    uint32_t  frame_mbs_only;
    uint32_t  crop[4];          /* left, right, top, bottom */
} live_avc_sps_t;


static const uint8_t *live_avc_first_sps(live_reader_t *r, size_t *len,
    const char **reason);
static int live_avc_skip_pps(live_reader_t *r, const char **reason);
static int live_avc_parse_sps(live_codec_info_t *info, const uint8_t *data,
    size_t len, const char **reason);
static void live_avc_sps_head(live_bits_t *b, live_avc_sps_t *sps);
static void live_avc_sps_chroma(live_bits_t *b, live_avc_sps_t *sps);
static void live_avc_skip_scaling_list(live_bits_t *b, unsigned size);
static void live_avc_skip_poc(live_bits_t *b);
static void live_avc_sps_size(live_bits_t *b, live_avc_sps_t *sps);
static int live_avc_set_size(live_codec_info_t *info,
    const live_avc_sps_t *sps, const char **reason);
static void live_avc_vui(live_bits_t *b, live_codec_info_t *info);
static void live_avc_vui_sar(live_bits_t *b, live_codec_info_t *info);
static void live_avc_vui_timing(live_bits_t *b, live_codec_info_t *info);
static int live_avc_profile_is_high(uint32_t profile);
static void live_avc_codecs(char *s, const uint8_t *profile);


/* H.264 table E-1 */
static const uint8_t  live_avc_sar[][2] = {
    { 0, 0 }, { 1, 1 }, { 12, 11 }, { 10, 11 }, { 16, 11 }, { 40, 33 },
    { 24, 11 }, { 20, 11 }, { 32, 11 }, { 80, 33 }, { 18, 11 }, { 15, 11 },
    { 64, 33 }, { 160, 99 }, { 4, 3 }, { 3, 2 }, { 2, 1 }
};


int
live_avc_parse_config(live_codec_info_t *info, const uint8_t *data,
    size_t len, const char **reason)
{
    size_t          sps_len;
    uint32_t        length_size;
    live_reader_t   r;
    const uint8_t  *head, *sps;

    live_reader_init(&r, data, len);

    head = live_read(&r, 5);

    if (head == NULL || head[0] != 1) {
        *reason = head ? "unknown avcC version" : "truncated avcC";
        return LIVE_ERROR;
    }

    length_size = (head[4] & 3) + 1;

    if (length_size == 3) {
        *reason = "avcC with NAL length size 3";
        return LIVE_ERROR;
    }

    sps = live_avc_first_sps(&r, &sps_len, reason);

    if (sps == NULL || live_avc_skip_pps(&r, reason) != LIVE_OK) {
        return LIVE_ERROR;
    }

    *info = (live_codec_info_t) {
        .codec = LIVE_CODEC_H264,
        .media = LIVE_MEDIA_VIDEO,
        .timescale = LIVE_VIDEO_TIMESCALE,
        .nal_length_size = length_size
    };

    live_avc_codecs(info->codecs, &head[1]);

    return live_avc_parse_sps(info, sps, sps_len, reason);
}


/* Walks all SPS; the result is the first one, NULL on error. */
static const uint8_t *
live_avc_first_sps(live_reader_t *r, size_t *len, const char **reason)
{
    uint32_t        i, n, size;
    const uint8_t  *p, *first;

    first = NULL;
    n = live_read_u8(r) & 0x1f;

    for (i = 0; i < n; i++) {
        size = live_read_u16(r);
        p = live_read(r, size);

        if (i == 0) {
            first = p;
            *len = size;
        }
    }

    if (r->error) {
        *reason = "truncated avcC";
        return NULL;
    }

    if (n == 0 || *len == 0) {
        *reason = "avcC without SPS";
        return NULL;
    }

    return first;
}


/*
 * What may follow the PPS (chroma format, SPS extensions) only repeats the
 * SPS; encoders leave it out, so it is not asked for.
 */
static int
live_avc_skip_pps(live_reader_t *r, const char **reason)
{
    uint32_t  i, n;

    n = live_read_u8(r);

    for (i = 0; i < n; i++) {
        (void) live_read(r, live_read_u16(r));
    }

    if (r->error) {
        *reason = "truncated avcC";
        return LIVE_ERROR;
    }

    if (n == 0) {
        *reason = "avcC without PPS";
        return LIVE_ERROR;
    }

    return LIVE_OK;
}


static int
live_avc_parse_sps(live_codec_info_t *info, const uint8_t *data, size_t len,
    const char **reason)
{
    live_bits_t     b;
    live_avc_sps_t  sps;

    if ((data[0] & 0x9f) != LIVE_AVC_NAL_SPS) {
        *reason = "the SPS of the avcC has another NAL type";
        return LIVE_ERROR;
    }

    live_bits_init(&b, data + 1, len - 1, 1);

    sps = (live_avc_sps_t) { .chroma = 1 };

    live_avc_sps_head(&b, &sps);
    live_avc_sps_size(&b, &sps);

    if (b.error) {
        *reason = "malformed SPS";
        return LIVE_ERROR;
    }

    if (live_avc_set_size(info, &sps, reason) != LIVE_OK) {
        return LIVE_ERROR;
    }

    /* encoders exist that cut the VUI short: what was read of it counts */

    if (live_bits_get(&b, 1)) {
        live_avc_vui(&b, info);
    }

    return LIVE_OK;
}


static void
live_avc_sps_head(live_bits_t *b, live_avc_sps_t *sps)
{
    uint32_t  profile;

    profile = live_bits_get(b, 8);

    live_bits_skip(b, 16);              /* constraints, level_idc */
    (void) live_bits_ue(b);             /* seq_parameter_set_id */

    if (live_avc_profile_is_high(profile)) {
        live_avc_sps_chroma(b, sps);
    }

    (void) live_bits_ue(b);             /* log2_max_frame_num_minus4 */

    live_avc_skip_poc(b);

    (void) live_bits_ue(b);             /* max_num_ref_frames */
    live_bits_skip(b, 1);               /* gaps_in_frame_num_allowed */
}


static void
live_avc_sps_chroma(live_bits_t *b, live_avc_sps_t *sps)
{
    uint32_t  i, chroma, lists;

    chroma = live_bits_ue(b);

    if (chroma > 3) {
        b->error = 1;
        return;
    }

    sps->chroma = chroma;

    /* separate_colour_plane_flag: three pictures without chroma */
    if (chroma == 3 && live_bits_get(b, 1)) {
        sps->chroma = 0;
    }

    (void) live_bits_ue(b);             /* bit_depth_luma_minus8 */
    (void) live_bits_ue(b);             /* bit_depth_chroma_minus8 */
    live_bits_skip(b, 1);               /* qpprime_y_zero_transform_bypass */

    if (live_bits_get(b, 1) == 0) {     /* seq_scaling_matrix_present */
        return;
    }

    lists = chroma == 3 ? 12 : 8;

    for (i = 0; i < lists; i++) {
        if (live_bits_get(b, 1)) {
            live_avc_skip_scaling_list(b, i < 6 ? 16 : 64);
        }
    }
}


static void
live_avc_skip_scaling_list(live_bits_t *b, unsigned size)
{
    unsigned  i;
    uint32_t  scale;

    scale = 8;

    /* a scale of 0 ends the list: the rest repeats the one before */

    for (i = 0; i < size && scale && !b->error; i++) {
        scale = (scale + (uint32_t) live_bits_se(b)) & 0xff;
    }
}


static void
live_avc_skip_poc(live_bits_t *b)
{
    uint32_t  i, n;

    switch (live_bits_ue(b)) {

    case 0:
        (void) live_bits_ue(b);         /* log2_max_pic_order_cnt_lsb */
        break;

    case 1:
        live_bits_skip(b, 1);           /* delta_pic_order_always_zero */
        (void) live_bits_se(b);         /* offset_for_non_ref_pic */
        (void) live_bits_se(b);         /* offset_for_top_to_bottom_field */

        n = live_bits_ue(b);

        if (n > 255) {
            b->error = 1;
            return;
        }

        for (i = 0; i < n; i++) {
            (void) live_bits_se(b);
        }

        break;

    case 2:
        break;

    default:
        b->error = 1;
    }
}


static void
live_avc_sps_size(live_bits_t *b, live_avc_sps_t *sps)
{
    unsigned  i;

    sps->width_mbs = live_bits_ue(b);
    sps->height_units = live_bits_ue(b);
    sps->frame_mbs_only = live_bits_get(b, 1);

    if (!sps->frame_mbs_only) {
        live_bits_skip(b, 1);           /* mb_adaptive_frame_field */
    }

    live_bits_skip(b, 1);               /* direct_8x8_inference */

    if (live_bits_get(b, 1)) {
        for (i = 0; i < 4; i++) {
            sps->crop[i] = live_bits_ue(b);
        }
    }
}


/* H.264 7.4.2.1.1: cropping counts in units of the chroma raster. */
static int
live_avc_set_size(live_codec_info_t *info, const live_avc_sps_t *sps,
    const char **reason)
{
    uint32_t  fields;
    uint64_t  width, height, crop_x, crop_y;

    fields = 2 - sps->frame_mbs_only;

    width = ((uint64_t) sps->width_mbs + 1) * 16;
    height = ((uint64_t) sps->height_units + 1) * 16 * fields;

    if (sps->width_mbs >= LIVE_AVC_MAX_MBS || height > LIVE_AVC_MAX_SIZE) {
        *reason = "picture larger than 16384";
        return LIVE_ERROR;
    }

    crop_x = (uint64_t) sps->crop[0] + sps->crop[1];
    crop_y = ((uint64_t) sps->crop[2] + sps->crop[3]) * fields;

    if (sps->chroma == 1 || sps->chroma == 2) {
        crop_x *= 2;
    }

    if (sps->chroma == 1) {
        crop_y *= 2;
    }

    if (crop_x >= width || crop_y >= height) {
        *reason = "cropping leaves no picture";
        return LIVE_ERROR;
    }

    info->width = (uint32_t) (width - crop_x);
    info->height = (uint32_t) (height - crop_y);

    return LIVE_OK;
}


static void
live_avc_vui(live_bits_t *b, live_codec_info_t *info)
{
    if (live_bits_get(b, 1)) {
        live_avc_vui_sar(b, info);
    }

    if (live_bits_get(b, 1)) {
        live_bits_skip(b, 1);           /* overscan_appropriate */
    }

    if (live_bits_get(b, 1)) {
        live_bits_skip(b, 4);           /* video_format, full range */

        if (live_bits_get(b, 1)) {
            live_bits_skip(b, 24);      /* colour description */
        }
    }

    if (live_bits_get(b, 1)) {
        (void) live_bits_ue(b);         /* chroma_sample_loc_type_* */
        (void) live_bits_ue(b);
    }

    if (live_bits_get(b, 1)) {
        live_avc_vui_timing(b, info);
    }
}


static void
live_avc_vui_sar(live_bits_t *b, live_codec_info_t *info)
{
    uint32_t  idc, num, den;

    idc = live_bits_get(b, 8);

    if (idc < sizeof(live_avc_sar) / sizeof(live_avc_sar[0])) {
        num = live_avc_sar[idc][0];
        den = live_avc_sar[idc][1];

    } else if (idc == LIVE_AVC_SAR_CUSTOM) {
        num = live_bits_get(b, 16);
        den = live_bits_get(b, 16);

    } else {
        return;
    }

    if (!b->error && num && den) {
        info->sar_num = num;
        info->sar_den = den;
    }
}


/* A tick is a field: a frame lasts two (H.264 E.2.1). */
static void
live_avc_vui_timing(live_bits_t *b, live_codec_info_t *info)
{
    uint64_t  x, y, rest, num, den;

    den = (uint64_t) live_bits_get(b, 32) * 2;
    num = live_bits_get(b, 32);

    if (b->error || num == 0 || den == 0) {
        return;
    }

    for (x = num, y = den; y; x = y, y = rest) {
        rest = x % y;
    }

    if (den / x > UINT32_MAX) {
        return;
    }

    info->fps_num = (uint32_t) (num / x);
    info->fps_den = (uint32_t) (den / x);
}


static int
live_avc_profile_is_high(uint32_t profile)
{
    switch (profile) {
    case 44:
    case 83:
    case 86:
    case 100:
    case 110:
    case 118:
    case 122:
    case 128:
    case 134:
    case 135:
    case 138:
    case 139:
    case 244:
        return 1;
    }

    return 0;
}


/* avc1.PPCCLL of the record itself, not of the SPS (HLS-38) */
static void
live_avc_codecs(char *s, const uint8_t *profile)
{
    unsigned           i;
    static const char  hex[] = "0123456789abcdef";

    memcpy(s, "avc1.", 5);
    s += 5;

    for (i = 0; i < 3; i++) {
        *s++ = hex[profile[i] >> 4];
        *s++ = hex[profile[i] & 15];
    }

    *s = '\0';
}
