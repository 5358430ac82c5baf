/*
 * Codec records and NAL walks (CMAF-81).  The first byte selects the target:
 * 0 avcC, 1 AudioSpecificConfig, 2 NAL units; for the last the second byte
 * is the size of a slice.
 */

#include "live_codec.h"

#include <stdlib.h>
#include <string.h>


static void
check(int cond)
{
    if (!cond) {
        abort();
    }
}


static void
fuzz_record(unsigned audio, const uint8_t *data, size_t len)
{
    int                rc;
    const char        *reason;
    live_codec_info_t  info;

    reason = NULL;
    rc = audio ? live_aac_parse_config(&info, data, len, &reason)
               : live_avc_parse_config(&info, data, len, &reason);

    if (rc != LIVE_OK) {
        check(rc == LIVE_ERROR && reason && reason[0]);
        return;
    }

    check(memchr(info.codecs, '\0', sizeof(info.codecs)) != NULL);
    check(info.timescale != 0);

    if (audio) {
        check(info.media == LIVE_MEDIA_AUDIO);
        check(info.channels && info.sample_rate >= 7350);
        check(info.frame_samples == 1024 || info.frame_samples == 960);

    } else {
        check(info.media == LIVE_MEDIA_VIDEO);
        check(info.width && info.width <= 16384);
        check(info.height && info.height <= 16384);
        check((info.fps_num == 0) == (info.fps_den == 0));
        check((info.sar_num == 0) == (info.sar_den == 0));
    }
}


/* What is kept of an access unit in slices of that size: its checksum. */
static uint32_t
fuzz_nal_kept(const uint8_t *data, size_t len, unsigned length_size,
    size_t step, live_nal_walk_t *w)
{
    size_t          at, n, i;
    uint32_t        sum;
    live_nal_run_t  run;

    sum = 1;
    live_nal_walk_init(w, (uint32_t) len, length_size);

    for (at = 0; at < len; at += n) {
        n = live_nal_take(w, data + at, len - at < step ? len - at : step,
                          &run);
        check(n > 0 && n <= len - at);

        for (i = 0; i < run.len; i++) {
            sum = sum * 31 + run.data[i];
        }
    }

    return sum;
}


/* Slices of any size must see the same as the whole. */
static void
fuzz_nal(const uint8_t *data, size_t len)
{
    size_t           at, n, step;
    unsigned         length_size;
    live_nal_walk_t  whole, slices;

    if (len == 0) {
        return;
    }

    length_size = 1u << (data[0] >> 6) % 3;
    step = (data[0] & 0x3f) + 1;

    data++;
    len--;

    live_nal_walk_init(&whole, (uint32_t) len, length_size);
    live_nal_walk(&whole, data, len);

    live_nal_walk_init(&slices, (uint32_t) len, length_size);

    for (at = 0; at < len; at += n) {
        n = len - at < step ? len - at : step;
        live_nal_walk(&slices, data + at, n);
    }

    check(live_nal_walk_valid(&whole) == live_nal_walk_valid(&slices));
    check(whole.vcl == slices.vcl && whole.idr == slices.idr);
    check(whole.recovery == slices.recovery);
    check(!whole.idr || whole.vcl);

    if (live_nal_walk_valid(&whole)) {
        check(fuzz_nal_kept(data, len, length_size, len + 1, &whole)
              == fuzz_nal_kept(data, len, length_size, step, &slices));
        check(live_nal_walk_valid(&slices) && whole.unit == slices.unit);
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len == 0) {
        return 0;
    }

    switch (data[0] % 3) {
    case 0:
    case 1:
        fuzz_record(data[0] % 3, data + 1, len - 1);
        break;
    case 2:
        fuzz_nal(data + 1, len - 1);
        break;
    }

    return 0;
}
