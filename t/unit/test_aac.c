/* AudioSpecificConfig: CMAF-37, CMAF-81, HLS-42. */

#include "live_codec.h"
#include "tap.h"

#include <string.h>


typedef struct {
    const char  *name;
    const char  *codecs;
    uint32_t     timescale;
    uint32_t     sample_rate;
    uint32_t     channels;
    uint32_t     frame;
    uint8_t      len;
    uint8_t      data[32];
} test_asc_t;


typedef struct {
    const char  *name;
    uint8_t      len;
    uint8_t      data[8];
} test_bad_t;


static const test_asc_t  good[] = {

    /* of FFmpeg's encoder, with its "no SBR" extension */
    { "LC 44.1 kHz mono", "mp4a.40.2", 44100, 44100, 1, 1024,
      5, { 0x12, 0x08, 0x56, 0xe5, 0x00 } },
    { "LC 44.1 kHz stereo", "mp4a.40.2", 44100, 44100, 2, 1024,
      5, { 0x12, 0x10, 0x56, 0xe5, 0x00 } },
    { "LC 48 kHz mono", "mp4a.40.2", 48000, 48000, 1, 1024,
      5, { 0x11, 0x88, 0x56, 0xe5, 0x00 } },
    { "LC 48 kHz stereo", "mp4a.40.2", 48000, 48000, 2, 1024,
      5, { 0x11, 0x90, 0x56, 0xe5, 0x00 } },
    { "LC 48 kHz 5.1", "mp4a.40.2", 48000, 48000, 6, 1024,
      5, { 0x11, 0xb0, 0x56, 0xe5, 0x00 } },
    { "LC 96 kHz stereo", "mp4a.40.2", 96000, 96000, 2, 1024,
      5, { 0x10, 0x10, 0x56, 0xe5, 0x00 } },

    { "LC 48 kHz stereo, two bytes", "mp4a.40.2", 48000, 48000, 2, 1024,
      2, { 0x11, 0x90 } },
    { "7.1 is configuration 7", "mp4a.40.2", 48000, 48000, 8, 1024,
      2, { 0x11, 0xb8 } },
    { "6.1 is configuration 11", "mp4a.40.2", 48000, 48000, 7, 1024,
      2, { 0x11, 0xd8 } },
    { "frames of 960", "mp4a.40.2", 48000, 48000, 2, 960,
      2, { 0x11, 0x94 } },
    { "Main", "mp4a.40.1", 44100, 44100, 2, 1024, 2, { 0x0a, 0x10 } },
    { "escaped rate 48000", "mp4a.40.2", 48000, 48000, 2, 1024,
      5, { 0x17, 0x80, 0x5d, 0xc0, 0x10 } },
    { "escaped rate 37800", "mp4a.40.2", 37800, 37800, 2, 1024,
      5, { 0x17, 0x80, 0x49, 0xd4, 0x10 } },

    { "HE-AAC, hierarchical", "mp4a.40.5", 22050, 44100, 2, 1024,
      4, { 0x2b, 0x92, 0x08, 0x00 } },
    { "HE-AAC, backward compatible", "mp4a.40.5", 24000, 48000, 2, 1024,
      5, { 0x13, 0x10, 0x56, 0xe5, 0x98 } },
    { "HE-AAC, escaped output rate", "mp4a.40.5", 24000, 48000, 2, 1024,
      8, { 0x13, 0x10, 0x56, 0xe5, 0xf8, 0x05, 0xdc, 0x00 } },
    { "HE-AAC v2, hierarchical", "mp4a.40.29", 22050, 44100, 2, 1024,
      4, { 0xeb, 0x8a, 0x08, 0x00 } },
    { "HE-AAC v2, backward compatible", "mp4a.40.29", 24000, 48000, 2, 1024,
      7, { 0x13, 0x08, 0x56, 0xe5, 0x9d, 0x48, 0x80 } },
    { "sync extension cut short", "mp4a.40.2", 24000, 24000, 2, 1024,
      4, { 0x13, 0x10, 0x56, 0xe5 } },

    /* PCE: two single fronts, a pair of backs, an LFE and so on, a comment */
    { "program config element", "mp4a.40.2", 48000, 48000, 5, 1024,
      14, { 0x11, 0x80, 0x04, 0xc8, 0x05, 0x23, 0x04, 0x00, 0x30, 0x00, 0x00,
            0x02, 'h', 'i' } },

    /* of FFmpeg's encoder */
    { "quad as PCE", "mp4a.40.2", 48000, 48000, 4, 1024,
      25, { 0x11, 0x80, 0x04, 0xc4, 0x04, 0x00, 0x21, 0x10, 0x0d, 0x4c,
        0x61, 0x76, 0x63, 0x35, 0x39, 0x2e, 0x33, 0x37, 0x2e, 0x31,
        0x30, 0x30, 0x56, 0xe5, 0x00 } },
    { "2.1 as PCE", "mp4a.40.2", 48000, 48000, 3, 1024,
      25, { 0x11, 0x80, 0x04, 0xc4, 0x01, 0x00, 0x20, 0x00, 0x0d, 0x4c,
        0x61, 0x76, 0x63, 0x35, 0x39, 0x2e, 0x33, 0x37, 0x2e, 0x31,
        0x30, 0x30, 0x56, 0xe5, 0x00 } }
};


static const test_bad_t  bad[] = {
    { "empty", 0, { 0 } },
    { "one byte", 1, { 0x11 } },
    { "cut in the escaped rate", 3, { 0x17, 0x80, 0x5d } },
    { "object type 0", 2, { 0x01, 0x90 } },
    { "xHE-AAC (type 42, escaped)", 4, { 0xf9, 0x46, 0x40, 0x00 } },
    { "object type 32, escaped", 3, { 0xf8, 0x00, 0x00 } },
    { "SBR inside SBR", 4, { 0x2b, 0x92, 0x14, 0x00 } },
    { "reserved rate index 13", 2, { 0x16, 0x90 } },
    { "reserved output rate", 4, { 0x2b, 0x97, 0x08, 0x00 } },
    { "escaped rate 0", 5, { 0x17, 0x80, 0x00, 0x00, 0x10 } },
    { "escaped rate 2^24 - 1", 5, { 0x17, 0xff, 0xff, 0xff, 0x90 } },
    { "reserved channel configuration 15", 2, { 0x11, 0xf8 } },
    { "configuration 0 without PCE", 2, { 0x11, 0x80 } },
    { "PCE without channels", 8, { 0x11, 0x80, 0x04, 0xc0, 0, 0, 0, 0 } }
};


static void
test_good(const test_asc_t *t)
{
    int                rc, ok;
    const char        *reason;
    live_codec_info_t  info;

    reason = "none";
    rc = live_aac_parse_config(&info, t->data, t->len, &reason);

    ok = rc == LIVE_OK
         && info.codec == LIVE_CODEC_AAC
         && info.media == LIVE_MEDIA_AUDIO
         && strcmp(info.codecs, t->codecs) == 0
         && info.timescale == t->timescale
         && info.sample_rate == t->sample_rate
         && info.channels == t->channels
         && info.frame_samples == t->frame;

    if (!tap_ok(ok, "%s (HLS-42)", t->name)) {
        printf("# %s: %s %u %u %u %u\n", reason, info.codecs, info.timescale,
               info.sample_rate, info.channels, info.frame_samples);
    }
}


static void
test_bad(const test_bad_t *t)
{
    int                rc;
    const char        *reason;
    live_codec_info_t  info;

    reason = NULL;
    rc = live_aac_parse_config(&info, t->data, t->len, &reason);

    tap_ok(rc == LIVE_ERROR && reason, "refused: %s: %s (CMAF-81)", t->name,
           reason ? reason : "no reason");
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

    return tap_done();
}
