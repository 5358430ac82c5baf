
/* HLS playlists: exact texts, and figures that hold over a long stream. */

#include <stdlib.h>
#include <time.h>

#include "test_m3u8.h"


static void test_media_golden(void);
static void test_media_empty(void);
static void test_media_changes(void);
static void test_independent(void);
static void test_target(void);
static void test_drift(void);
static void test_dates(void);
static void test_bounds(void);
static void test_ts(void);


int
main(void)
{
    test_media_golden();
    test_media_empty();
    test_media_changes();
    test_independent();
    test_target();
    test_drift();
    test_dates();
    test_bounds();
    test_ts();

    return tap_done();
}


static void
test_media_golden(void)
{
    static const live_m3u8_segment_t  segs[] = {
        { 118, 0, 360360, 3, TEST_I, 0, 0 },
        { 119, 360360, 180180, 3, TEST_I, 0, 0 },
    };

    live_m3u8_media_t  p = {
        .epoch = "k3f9", .timescale = 90000, .target_duration = 4,
        .discontinuity_sequence = 2, .anchor_ms = TEST_ANCHOR,
        .segments = segs, .nsegments = 2
    };

    test_is(test_render(&p),
            "#EXTM3U\n"
            "#EXT-X-VERSION:6\n"
            "#EXT-X-TARGETDURATION:4\n"
            "#EXT-X-MEDIA-SEQUENCE:118\n"
            "#EXT-X-DISCONTINUITY-SEQUENCE:2\n"
            "#EXT-X-INDEPENDENT-SEGMENTS\n"
            "#EXT-X-MAP:URI=\"init-k3f9-3.mp4\"\n"
            "#EXT-X-PROGRAM-DATE-TIME:2026-01-31T12:00:00.250Z\n"
            "#EXTINF:4.00400,\n"
            "seg-k3f9-118.m4s\n"
            "#EXT-X-PROGRAM-DATE-TIME:2026-01-31T12:00:04.254Z\n"
            "#EXTINF:2.00200,\n"
            "seg-k3f9-119.m4s\n",
            "media playlist, HLS-4 HLS-7 HLS-14 HLS-21");

    p.ended = 1;

    tap_ok(strstr(test_render(&p), "119.m4s\n#EXT-X-ENDLIST\n") != NULL,
           "ENDLIST ends an ended stream, HLS-29");
}


static void
test_media_empty(void)
{
    live_m3u8_media_t  p = {
        .epoch = "k3f9", .timescale = 48000, .target_duration = 6,
        .discontinuity_sequence = 1, .next_msn = 77,
        .anchor_ms = TEST_ANCHOR
    };

    test_is(test_render(&p),
            "#EXTM3U\n"
            "#EXT-X-VERSION:6\n"
            "#EXT-X-TARGETDURATION:6\n"
            "#EXT-X-MEDIA-SEQUENCE:77\n"
            "#EXT-X-DISCONTINUITY-SEQUENCE:1\n"
            "#EXT-X-INDEPENDENT-SEGMENTS\n",
            "nothing listed yet, HLS-11");

    p.timescale = 0;

    tap_ok(live_m3u8_media(&(live_writer_t) { 0 }, &p, NULL) == LIVE_ERROR,
           "no timescale is an error");
}


static void
test_media_changes(void)
{
    static const live_m3u8_segment_t  segs[] = {
        { 9, 480000, 192512, 1, TEST_I|TEST_D, 0, 0 },
        { 10, 672512, 191488, 1, TEST_I|TEST_G, 0, 0 },
        { 11, 864000, 192000, 2, TEST_I, 0, 0 },
        { 12, 2112000, 384000, 2, TEST_I|TEST_D, 96000, 0 },
    };

    live_m3u8_media_t  p = {
        .epoch = "a", .timescale = 48000, .target_duration = 4,
        .discontinuity_sequence = 5, .anchor_ms = TEST_ANCHOR,
        .segments = segs, .nsegments = 4
    };

    test_is(test_render(&p),
            "#EXTM3U\n"
            "#EXT-X-VERSION:6\n"
            "#EXT-X-TARGETDURATION:4\n"
            "#EXT-X-MEDIA-SEQUENCE:9\n"
            "#EXT-X-DISCONTINUITY-SEQUENCE:5\n"
            "#EXT-X-INDEPENDENT-SEGMENTS\n"
            "#EXT-X-DISCONTINUITY\n"
            "#EXT-X-MAP:URI=\"init-a-1.mp4\"\n"
            "#EXT-X-PROGRAM-DATE-TIME:2026-01-31T12:00:10.250Z\n"
            "#EXTINF:4.01067,\n"
            "seg-a-9.m4s\n"
            "#EXT-X-PROGRAM-DATE-TIME:2026-01-31T12:00:14.261Z\n"
            "#EXT-X-GAP\n"
            "#EXTINF:3.98933,\n"
            "seg-a-10.m4s\n"
            "#EXT-X-MAP:URI=\"init-a-2.mp4\"\n"
            "#EXT-X-PROGRAM-DATE-TIME:2026-01-31T12:00:18.250Z\n"
            "#EXTINF:4.00000,\n"
            "seg-a-11.m4s\n"
            "#EXT-X-DISCONTINUITY\n"
            "#EXT-X-MAP:URI=\"init-a-2.mp4\"\n"
            "#EXT-X-PROGRAM-DATE-TIME:2026-01-31T12:00:22.250Z\n"
            "#EXTINF:4.00000,\n"
            "seg-a-12.m4s\n",
            "discontinuities, init segments, gaps, HLS-19 HLS-20 HLS-22 "
            "HLS-24");
}


static void
test_independent(void)
{
    live_m3u8_segment_t  segs[] = {
        { 0, 0, 90000, 0, TEST_I, 0, 0 },
        { 1, 90000, 90000, 0, TEST_G, 0, 0 },
        { 2, 180000, 90000, 0, TEST_I, 0, 0 },
    };

    live_m3u8_media_t  p = {
        .epoch = "a", .timescale = 90000, .target_duration = 1,
        .segments = segs, .nsegments = 3
    };

    tap_ok(test_count(test_render(&p), "INDEPENDENT-SEGMENTS") == 1,
           "a gap does not end independence, HLS-23");

    segs[2].flags = 0;

    tap_ok(test_count(test_render(&p), "INDEPENDENT-SEGMENTS") == 0,
           "one segment without a key frame does, HLS-23");
}


/* Every start of a segment, as rounding may depend on it. */
static void
test_target(void)
{
    int                  ok, exact;
    long                 value;
    int64_t              start;
    live_m3u8_segment_t  seg;

    live_m3u8_media_t  p = {
        .epoch = "a", .timescale = 90000, .target_duration = 4,
        .segments = &seg, .nsegments = 1
    };

    seg = (live_m3u8_segment_t) { .flags = TEST_I };
    ok = 1;
    exact = 1;

    for (start = 0; start < 1000; start++) {
        seg.start = start;

        seg.duration = 404999;          /* a tick less than 4.5 s */
        value = test_extinf(test_render(&p));
        ok &= value == 449999 || value == 449998;

        seg.duration = 360000;
        exact &= test_extinf(test_render(&p)) == 400000;
    }

    tap_ok(ok, "just below the limit is never rounded above it, HLS-8");
    tap_ok(exact, "a whole number of units is exact from any start, HLS-10");

    seg.duration = 405000;
    seg.start = 0;
    tap_ok(test_extinf(test_render(&p)) == 450000,
           "what is too long is not hidden");

    seg.duration = 0;
    tap_ok(test_extinf(test_render(&p)) == 0, "no duration");

    seg.start = -1000;
    seg.duration = 90000;
    tap_ok(test_extinf(test_render(&p)) == 100000, "a start before 0");
}


/*
 * 10,000 segments, one playlist: 29.97 frames/s in milliseconds, which is
 * what an inexact clock would give, and audio at 44.1 kHz.
 */
static void
test_drift(void)
{
    int                   i, k;
    char                 *text, *s;
    long                  sum, value;
    double                error;
    live_writer_t         w;
    live_m3u8_media_t     p;
    live_m3u8_segment_t  *segs;

    static const struct {
        uint32_t     timescale;
        uint32_t     num;               /* duration in ticks: num / den */
        uint32_t     den;
        const char  *name;
    } cases[] = {
        { 90000, 60 * 3003, 1, "29.97 frames/s" },
        { 30000, 61 * 1001, 1, "29.97 frames/s, odd" },
        { 1000, 60 * 1001, 30, "29.97 frames/s in ms" },
        { 44100, 87 * 1024, 1, "AAC at 44.1 kHz" }
    };

    segs = calloc(10000, sizeof(live_m3u8_segment_t));
    text = malloc(live_m3u8_media_size(10000, 0, 0) + 1);

    for (k = 0; k < 4; k++) {

        for (i = 0; i < 10000; i++) {
            segs[i].msn = (uint64_t) i;
            segs[i].start = (int64_t) i * cases[k].num / cases[k].den;
            segs[i].duration = (int64_t) (i + 1) * cases[k].num
                               / cases[k].den - segs[i].start;
        }

        p = (live_m3u8_media_t) {
            .epoch = "a", .timescale = cases[k].timescale,
            .target_duration = 2, .anchor_ms = TEST_ANCHOR,
            .segments = segs, .nsegments = 10000
        };

        live_writer_init(&w, text, live_m3u8_media_size(10000, 0, 0));
        (void) live_m3u8_media(&w, &p, NULL);
        *w.pos = '\0';

        sum = 0;

        for (s = strstr(text, "#EXTINF:"); s; s = strstr(s + 8, "#EXTINF:")) {
            value = test_extinf(s);
            sum += value;
        }

        error = (double) sum / 100000
                - (double) (segs[9999].start + segs[9999].duration)
                  / cases[k].timescale;

        tap_ok(error < 0.00001 && error > -0.00001,
               "no drift after 10,000 segments: %s, %.6f s, HLS-10",
               cases[k].name, error);
    }

    free(segs);
    free(text);
}


static void
test_dates(void)
{
    int                  ok;
    char                 expected[64];
    time_t               sec;
    struct tm            tm;
    long long            ms;
    const char          *got;
    live_m3u8_segment_t  seg;

    live_m3u8_media_t  p = {
        .epoch = "a", .timescale = 1000, .target_duration = 4,
        .segments = &seg, .nsegments = 1
    };

    seg = (live_m3u8_segment_t) { .flags = TEST_I };
    ok = 1;

    /* about 8 hours a step, through 1970 to 2400 */

    for (ms = 0; ms < 13569465600000LL; ms += 29999777) {
        sec = (time_t) (ms / 1000);
        gmtime_r(&sec, &tm);
        strftime(expected, sizeof(expected), "TIME:%Y-%m-%dT%H:%M:%S", &tm);
        snprintf(expected + 24, 8, ".%03dZ\n", (int) (ms % 1000));

        p.anchor_ms = ms - 5;
        seg.start = 5;
        got = strstr(test_render(&p), "TIME:");
        ok &= got != NULL && strncmp(got, expected, 30) == 0;
    }

    tap_ok(ok, "dates from 1970 to 2400, HLS-21");

    p.anchor_ms = INT64_MAX / 2;
    tap_ok(strstr(test_render(&p), "TIME:9999-12-31T") != NULL,
           "no date beyond 9999");

    p.anchor_ms = -1000;
    tap_ok(strstr(test_render(&p), "TIME:1970-01-01T00:00:00.000Z") != NULL,
           "no date before 1970");
}


static void
test_bounds(void)
{
    int                  ok;
    size_t               size, need;
    uint8_t             *tight;
    live_writer_t        w;
    live_m3u8_segment_t  segs[3];

    live_m3u8_media_t  p = {
        .epoch = "0123456789abcdef0123456789abcdef",
        .timescale = 1, .target_duration = UINT32_MAX,
        .discontinuity_sequence = UINT64_MAX, .anchor_ms = TEST_ANCHOR,
        .ended = 1, .segments = segs, .nsegments = 3
    };

    for (size = 0; size < 3; size++) {
        segs[size] = (live_m3u8_segment_t) {
            .msn = UINT64_MAX - 3 + size, .duration = INT64_C(90000000000000),
            .init = UINT32_MAX - (uint32_t) size,
            .flags = TEST_D|TEST_I|TEST_G
        };
    }

    live_writer_init(&w, test_text, live_m3u8_media_size(3, 0, 0));
    tap_ok(live_m3u8_media(&w, &p, NULL) == LIVE_OK,
           "live_m3u8_media_size() is enough for the widest numbers");

    need = live_writer_len(&w);
    ok = 1;

    for (size = 0; size < need; size++) {
        tight = malloc(size + !size);
        live_writer_init(&w, tight, size);
        ok &= live_m3u8_media(&w, &p, NULL) == LIVE_OVERFLOW;
        free(tight);
    }

    tap_ok(ok, "LIVE_OVERFLOW in every smaller buffer");

    live_writer_init(&w, test_text, need);
    tap_ok(live_m3u8_media(&w, &p, NULL) == LIVE_OK,
           "an exact buffer is enough");
}


static void
test_ts(void)
{
    int            ok;
    char           text[1024];
    size_t         size, need;
    live_writer_t  w;

    static const live_m3u8_segment_t  segs[] = {
        { 9, 480000, 192512, 1, TEST_I|TEST_D, 0, 0 },
        { 10, 672512, 191488, 1, TEST_I|TEST_G, 0, 0 },
        { 11, 2112000, 384000, 2, TEST_I, 96000, 0 },
    };
    static const live_m3u8_segment_t  open = { 12, 2496000, 0, 2, 0, 96000, 0 };
    static const live_m3u8_part_t  part = { 12, 0, 0, 2496000, 9600 };
    static const live_m3u8_report_t  report = { "audio", 12, 0, 1 };

    live_m3u8_media_t  p = {
        .epoch = "a", .timescale = 48000, .target_duration = 4,
        .discontinuity_sequence = 5, .anchor_ms = TEST_ANCHOR,
        .segments = segs, .nsegments = 3,

        /* nothing of this is printed */
        .part_target = 500, .parts = &part, .nparts = 1, .open = &open,
        .hint_msn = 12, .hint_part = 1, .hint = 1,
        .reports = &report, .nreports = 1
    };

    static const char  expected[] =
        "#EXTM3U\n"
        "#EXT-X-VERSION:3\n"
        "#EXT-X-TARGETDURATION:4\n"
        "#EXT-X-MEDIA-SEQUENCE:9\n"
        "#EXT-X-DISCONTINUITY-SEQUENCE:5\n"
        "#EXT-X-INDEPENDENT-SEGMENTS\n"
        "#EXT-X-DISCONTINUITY\n"
        "#EXT-X-PROGRAM-DATE-TIME:2026-01-31T12:00:10.250Z\n"
        "#EXTINF:4.01067,\n"
        "seg-a-9.ts\n"
        "#EXT-X-PROGRAM-DATE-TIME:2026-01-31T12:00:14.261Z\n"
        "#EXT-X-GAP\n"
        "#EXTINF:3.98933,\n"
        "seg-a-10.ts\n"
        "#EXT-X-PROGRAM-DATE-TIME:2026-01-31T12:00:22.250Z\n"
        "#EXTINF:4.00000,\n"
        "seg-a-11.ts\n"
        "#EXT-X-ENDLIST\n";

    live_writer_init(&w, text, sizeof(text) - 1);
    ok = live_m3u8_ts(&w, &p) == LIVE_OK;
    *w.pos = '\0';

    tap_ok(ok && strncmp(text, expected, live_writer_len(&w)) == 0
           && live_writer_len(&w) == strlen(expected) - 15,
           "MPEG-TS while it lasts, HLS-4 HLS-13");

    p.ended = 1;
    live_writer_init(&w, text, sizeof(text) - 1);
    ok = live_m3u8_ts(&w, &p) == LIVE_OK;
    *w.pos = '\0';
    test_is(ok ? text : "", expected, "MPEG-TS, HLS-4 HLS-7 HLS-29");

    need = live_writer_len(&w);
    ok = need <= live_m3u8_media_size(3, 0, 0);

    for (size = 0; size < need; size++) {
        live_writer_init(&w, text, size);
        ok &= live_m3u8_ts(&w, &p) == LIVE_OVERFLOW;
    }

    tap_ok(ok, "LIVE_OVERFLOW in every smaller buffer");

    p.timescale = 0;
    tap_ok(live_m3u8_ts(&w, &p) == LIVE_ERROR, "no timescale is an error");
}
