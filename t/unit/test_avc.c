/* avcC and SPS: CMAF-33, CMAF-40, CMAF-81, RTMP-83, HLS-38. */

#include "live_codec.h"
#include "tap.h"

#include <stdlib.h>
#include <string.h>


typedef struct {
    const char  *name;
    const char  *hex;
    const char  *codecs;
    uint32_t     width;
    uint32_t     height;
    uint32_t     sar_num;
    uint32_t     sar_den;
    uint32_t     fps_num;
    uint32_t     fps_den;
} test_avcc_t;


typedef struct {
    const char  *name;
    const char  *hex;
} test_bad_t;


/* A writer of bits, to build SPS that no encoder at hand makes. */
typedef struct {
    uint8_t   data[512];
    unsigned  bits;
} test_bits_t;


/* Records of x264 by way of FFmpeg's FLV muxer. */
static const test_avcc_t  good[] = {

    { "baseline 640x360, 25 fps",
      "0142c01effe100196742c01eda0280bfe5c044000003000400000300c83c58ba"
      "8001000468ce0fc8",
      "avc1.42c01e", 640, 360, 1, 1, 25, 1 },

    { "main 640x360, 29.97 fps",
      "014d401effe10017674d401eeca05017fcb808800001f480007530078b16cb01"
      "000568ebe3cb20",
      "avc1.4d401e", 640, 360, 1, 1, 30000, 1001 },

    { "high 640x360, SAR 4:3, 30 fps",
      "0164001effe1001a6764001eacd940a02ff970e10000030001000003003c0f16"
      "2d9601000668ebe3cb22c0fdf8f800",
      "avc1.64001e", 640, 360, 4, 3, 30, 1 },

    { "high 1920x1080 out of 1088 lines, 60 fps",
      "0164002affe1001b6764002aacd940780227e5c044000003000400000301e03c"
      "60c65801000668ebe3cb22c0fdf8f800",
      "avc1.64002a", 1920, 1080, 1, 1, 60, 1 },

    { "high 4:2:2 10 bit 1920x1080, 50 fps",
      "017a002affe1001b677a002ab6cd940780227e270110000003001000000640f1"
      "83196001000668ebe3cb22c0fefafa00",
      "avc1.7a002a", 1920, 1080, 1, 1, 50, 1 },

    { "4:4:4 322x242",
      "01f4000dffe1001a67f4000d919b282a10f1f1f808800000030080000019078a"
      "14cb01000868ebe3c44c000440fff8f800",
      "avc1.f4000d", 322, 242, 1, 1, 25, 1 },

    { "720x576 with fields, SAR 16:11",
      "0164001effe100186764001eacd940b424d8208000000300800000190f8a14cb"
      "01000768fba3cb3002c0fdf8f800",
      "avc1.64001e", 720, 576, 16, 11, 25, 1 },

    { "322x242 with extended SAR 23:13 and HRD",
      "0164000dffe100296764000dacd94150878888ffc005c0034400000300040000"
      "0300c9808007a10001e84a4c30078a14cb01000668ebe3cb22c0fdf8f800",
      "avc1.64000d", 322, 242, 23, 13, 25, 1 }
};


static const test_bad_t  bad[] = {
    { "empty", "" },
    { "four bytes", "0142c01e" },
    { "version 0",
      "0042c01effe100196742c01eda0280bfe5c044000003000400000300c83c58ba80"
      "01000468ce0fc8" },
    { "length size 3 (RTMP-83)",
      "0142c01efee100196742c01eda0280bfe5c044000003000400000300c83c58ba80"
      "01000468ce0fc8" },
    { "no SPS", "0142c01effe001000468ce0fc8" },
    { "an SPS of no bytes", "0142c01effe1000001000468ce0fc8" },
    { "31 SPS announced, one there",
      "0142c01effff00196742c01eda0280bfe5c044000003000400000300c83c58ba80"
      "01000468ce0fc8" },
    { "no PPS",
      "0142c01effe100196742c01eda0280bfe5c044000003000400000300c83c58ba80"
      "00" },
    { "no number of PPS",
      "0142c01effe100196742c01eda0280bfe5c044000003000400000300c83c58ba"
      "80" },
    { "PPS past the end",
      "0142c01effe100196742c01eda0280bfe5c044000003000400000300c83c58ba80"
      "01000568ce0fc8" },
    { "a PPS in place of the SPS", "0142c01effe1000468ce0fc801000468ce0fc8" },
    { "an SPS of one byte", "0142c01effe1000167"
                            "01000468ce0fc8" },
    { "an SPS cut before the size", "0142c01effe100056742c01eda"
                                    "01000468ce0fc8" }
};


static size_t
unhex(uint8_t *out, const char *hex)
{
    char    byte[3];
    size_t  n;

    byte[2] = '\0';

    for (n = 0; hex[2 * n]; n++) {
        byte[0] = hex[2 * n];
        byte[1] = hex[2 * n + 1];
        out[n] = (uint8_t) strtoul(byte, NULL, 16);
    }

    return n;
}


/* In memory of just that size, for the sanitizer to see reads behind it. */
static int
parse(live_codec_info_t *info, const uint8_t *data, size_t len,
    const char **reason)
{
    int       rc;
    uint8_t  *copy;

    copy = malloc(len ? len : 1);
    memcpy(copy, data, len);

    *reason = NULL;
    memset(info, 0, sizeof(*info));
    rc = live_avc_parse_config(info, copy, len, reason);

    free(copy);

    return rc;
}


static void
test_good(const test_avcc_t *t)
{
    int                rc, ok;
    size_t             len, i;
    uint8_t            data[256];
    const char        *reason;
    live_codec_info_t  info;

    len = unhex(data, t->hex);
    rc = parse(&info, data, len, &reason);

    ok = rc == LIVE_OK
         && info.codec == LIVE_CODEC_H264
         && info.media == LIVE_MEDIA_VIDEO
         && info.timescale == 90000
         && info.nal_length_size == 4
         && strcmp(info.codecs, t->codecs) == 0
         && info.width == t->width && info.height == t->height
         && info.sar_num == t->sar_num && info.sar_den == t->sar_den
         && info.fps_num == t->fps_num && info.fps_den == t->fps_den;

    if (!tap_ok(ok, "%s (CMAF-40, HLS-38)", t->name)) {
        printf("# %s: %s %ux%u %u:%u %u/%u\n", reason ? reason : "-",
               info.codecs, info.width, info.height, info.sar_num,
               info.sar_den, info.fps_num, info.fps_den);
    }

    /* any prefix is refused or, behind the PPS, gives the same */

    for (i = 0, ok = 1; i < len; i++) {
        rc = parse(&info, data, i, &reason);
        ok &= rc == LIVE_OK ? info.width == t->width : reason != NULL;
    }

    tap_ok(ok, "%s: prefixes", t->name);
}


static void
test_bad(const test_bad_t *t)
{
    int                rc;
    size_t             len;
    uint8_t            data[256];
    const char        *reason;
    live_codec_info_t  info;

    len = unhex(data, t->hex);
    rc = parse(&info, data, len, &reason);

    tap_ok(rc == LIVE_ERROR && reason, "refused: %s: %s (CMAF-81)", t->name,
           reason ? reason : "no reason");
}


static void
put(test_bits_t *b, unsigned n, uint32_t v)
{
    while (n--) {
        if (v >> n & 1) {
            b->data[b->bits / 8] |= 0x80 >> b->bits % 8;
        }

        b->bits++;
    }
}


static void
put_ue(test_bits_t *b, uint32_t v)
{
    unsigned  n;

    for (n = 0; (v + 1ull) >> n > 1; n++) { /* void */ }

    put(b, n, 0);
    put(b, 1, 1);
    put(b, n, (uint32_t) (v + 1ull - (1ull << n)));
}


/* Wraps an RBSP into a record, with emulation prevention. */
static size_t
make_record(uint8_t *out, const test_bits_t *b)
{
    size_t    len;
    uint8_t  *p;
    unsigned  i, zeros;

    p = out + 8;

    for (i = 0, zeros = 0; i < (b->bits + 7) / 8; i++) {
        if (zeros == 2 && b->data[i] <= 3) {
            *p++ = 3;
            zeros = 0;
        }

        zeros = b->data[i] ? 0 : zeros + 1;
        *p++ = b->data[i];
    }

    len = p - (out + 8);

    memcpy(out, (uint8_t []) { 1, 100, 0, 31, 0xfd, 0xe1 }, 6);
    out[6] = (uint8_t) (len >> 8);
    out[7] = (uint8_t) len;

    memcpy(p, (uint8_t []) { 1, 0, 1, 0x68 }, 4);

    return p + 4 - out;
}


static void
sps_head(test_bits_t *b, unsigned profile, unsigned chroma, int lists)
{
    int  i, j;

    memset(b, 0, sizeof(*b));

    put(b, 8, 0x67);
    put(b, 8, profile);
    put(b, 16, 31);
    put_ue(b, 0);

    if (profile != 66) {
        put_ue(b, chroma);

        if (chroma == 3) {
            put(b, 1, 0);
        }

        put_ue(b, 0);
        put_ue(b, 0);
        put(b, 1, 0);
        put(b, 1, lists);

        for (i = 0; lists && i < (chroma == 3 ? 12 : 8); i++) {
            put(b, 1, i != 1);

            /* one list ends early: -8 makes the scale 0 */
            for (j = 0; i != 1 && j < (i == 2 ? 1 : i < 6 ? 16 : 64); j++) {
                put_ue(b, i == 2 ? 16 : j & 1 ? 1 : 2);
            }
        }
    }

    put_ue(b, 0);       /* log2_max_frame_num */
    put_ue(b, 1);       /* pic_order_cnt_type, with a cycle of 2 */
    put(b, 1, 0);
    put_ue(b, 0);
    put_ue(b, 0);
    put_ue(b, 2);
    put_ue(b, 3);
    put_ue(b, 4);
    put_ue(b, 1);       /* max_num_ref_frames */
    put(b, 1, 0);
}


static void
sps_size(test_bits_t *b, uint32_t mbs, uint32_t units, int frames,
    const uint32_t *crop)
{
    int  i;

    put_ue(b, mbs - 1);
    put_ue(b, units - 1);
    put(b, 1, frames);

    if (!frames) {
        put(b, 1, 0);
    }

    put(b, 1, 1);
    put(b, 1, crop != NULL);

    for (i = 0; crop && i < 4; i++) {
        put_ue(b, crop[i]);
    }
}


static void
check(test_bits_t *b, uint32_t width, uint32_t height, const char *name)
{
    int                rc;
    uint8_t            data[1024];
    const char        *reason;
    live_codec_info_t  info;

    put(b, 1, 0);       /* no VUI */
    put(b, 1, 1);

    rc = parse(&info, data, make_record(data, b), &reason);

    if (width == 0) {
        tap_ok(rc == LIVE_ERROR && reason, "refused: %s: %s", name,
               reason ? reason : "no reason");
        return;
    }

    if (!tap_ok(rc == LIVE_OK && info.width == width
                && info.height == height && info.nal_length_size == 2
                && info.sar_num == 0 && info.fps_num == 0, "%s", name))
    {
        printf("# %s %ux%u\n", reason ? reason : "", info.width,
               info.height);
    }
}


static void
test_sizes(void)
{
    test_bits_t            b;
    static const uint32_t  crop[] = { 1, 2, 3, 4 };
    static const uint32_t  all[] = { 0, 20, 0, 0 };
    static const uint32_t  huge[] = { 0xfffffffe, 0xfffffffe, 1, 1 };

    sps_head(&b, 100, 1, 1);
    sps_size(&b, 40, 23, 1, crop);
    check(&b, 640 - 6, 368 - 14, "scaling lists, cropping in 4:2:0");

    sps_head(&b, 122, 2, 1);
    sps_size(&b, 40, 23, 1, crop);
    check(&b, 640 - 6, 368 - 7, "cropping in 4:2:2");

    sps_head(&b, 244, 3, 1);
    sps_size(&b, 40, 23, 1, crop);
    check(&b, 640 - 3, 368 - 7, "12 scaling lists, cropping in 4:4:4");

    sps_head(&b, 100, 0, 0);
    sps_size(&b, 40, 23, 1, crop);
    check(&b, 640 - 3, 368 - 7, "cropping in monochrome");

    sps_head(&b, 66, 1, 0);
    sps_size(&b, 40, 18, 0, crop);
    check(&b, 640 - 6, 576 - 28, "cropping of fields");

    sps_head(&b, 66, 1, 0);
    sps_size(&b, 1024, 1024, 1, NULL);
    check(&b, 16384, 16384, "16384x16384 is the limit (CMAF-81)");

    sps_head(&b, 66, 1, 0);
    sps_size(&b, 1025, 1, 1, NULL);
    check(&b, 0, 0, "16400 wide (CMAF-81)");

    sps_head(&b, 66, 1, 0);
    sps_size(&b, 1, 513, 0, NULL);
    check(&b, 0, 0, "16416 high (CMAF-81)");

    sps_head(&b, 66, 1, 0);
    sps_size(&b, 0xffffffff, 0xffffffff, 0, NULL);
    check(&b, 0, 0, "2^32 macroblocks (CMAF-81)");

    sps_head(&b, 66, 1, 0);
    sps_size(&b, 20, 10, 1, huge);
    check(&b, 0, 0, "cropping of 2^32");

    sps_head(&b, 66, 1, 0);
    sps_size(&b, 2, 2, 1, all);
    check(&b, 0, 0, "cropping of more than there is");

    sps_head(&b, 100, 4, 0);
    sps_size(&b, 20, 10, 1, NULL);
    check(&b, 0, 0, "chroma format 4");
}


static void
vui(test_bits_t *b, unsigned sar, uint32_t tick, uint32_t scale)
{
    sps_head(b, 66, 1, 0);
    sps_size(b, 20, 10, 1, NULL);

    put(b, 1, 1);
    put(b, 1, 1);       /* aspect ratio */
    put(b, 8, sar);

    if (sar == 255) {
        put(b, 16, 0);
        put(b, 16, 7);
    }

    put(b, 2, 3);       /* overscan */
    put(b, 1, 1);       /* video signal, colours */
    put(b, 4, 10);
    put(b, 1, 1);
    put(b, 24, 0x010101);
    put(b, 1, 1);       /* chroma location */
    put_ue(b, 1);
    put_ue(b, 1);
    put(b, 1, 1);       /* timing */
    put(b, 32, tick);
    put(b, 32, scale);
}


static void
check_vui(unsigned sar, uint32_t tick, uint32_t scale,
    const uint32_t expect[4], const char *name)
{
    int                rc;
    uint8_t            data[1024];
    test_bits_t        b;
    const char        *reason;
    live_codec_info_t  info;

    vui(&b, sar, tick, scale);

    rc = parse(&info, data, make_record(data, &b), &reason);

    tap_ok(rc == LIVE_OK && info.sar_num == expect[0]
           && info.sar_den == expect[1] && info.fps_num == expect[2]
           && info.fps_den == expect[3], "VUI: %s", name);
}


#define four(a, b, c, d)  ((const uint32_t []) { a, b, c, d })


static void
test_vui(void)
{
    int                rc;
    uint8_t            data[1024];
    test_bits_t        b;
    const char        *reason;
    live_codec_info_t  info;

    check_vui(1, 1001, 60000, four(1, 1, 30000, 1001), "1:1, 29.97 fps");
    check_vui(2, 1, 50, four(12, 11, 25, 1), "12:11, 25 fps");
    check_vui(13, 1, 119, four(160, 99, 119, 2), "160:99, half a frame");
    check_vui(16, 1001, 48000, four(2, 1, 24000, 1001), "2:1, 23.976 fps");
    check_vui(17, 1, 60, four(0, 0, 30, 1), "reserved aspect ratio");
    check_vui(0, 1, 60, four(0, 0, 30, 1), "unspecified aspect ratio");
    check_vui(255, 1, 60, four(0, 0, 30, 1), "0:7 means unknown");
    check_vui(1, 0, 60, four(1, 1, 0, 0), "0 units in a tick");
    check_vui(1, 1, 0, four(1, 1, 0, 0), "time scale 0");
    check_vui(1, 0xffffffff, 1, four(1, 1, 0, 0), "a frame in 272 years");
    check_vui(1, 0x80000000, 0x80000000, four(1, 1, 1, 2),
              "emulation prevention inside the numbers");

    vui(&b, 2, 1, 50);
    b.bits -= 40;
    memset(b.data + b.bits / 8 + 1, 0, sizeof(b.data) - b.bits / 8 - 1);
    b.bits = b.bits / 8 * 8;

    rc = parse(&info, data, make_record(data, &b), &reason);

    tap_ok(rc == LIVE_OK && info.width == 320 && info.sar_num == 12
           && info.fps_num == 0, "a VUI cut short is no error");
}


int
main(void)
{
    size_t  i;

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        test_good(&good[i]);
    }

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        test_bad(&bad[i]);
    }

    test_sizes();
    test_vui();

    return tap_done();
}
