
/* HLS playlists: exact texts, and figures that hold over a long stream. */

#include <stdlib.h>
#include <time.h>

#include "live_m3u8.h"
#include "tap.h"


#define TEST_TEXT     (64 * 1024)
#define TEST_ANCHOR   1769860800250LL   /* 2026-01-31T12:00:00.250Z */

#define TEST_D        LIVE_SEGMENT_DISCONTINUITY
#define TEST_I        LIVE_SEGMENT_INDEPENDENT
#define TEST_G        LIVE_SEGMENT_GAP


static void test_media_golden(void);
static void test_media_empty(void);
static void test_media_changes(void);
static void test_independent(void);
static void test_target(void);
static void test_drift(void);
static void test_dates(void);
static void test_bounds(void);
static void test_multivariant(void);
static void test_multivariant_others(void);

static const char *test_render(const live_m3u8_media_t *p);
static void test_is(const char *got, const char *expected, const char *name);
static int test_count(const char *text, const char *what);
static long test_extinf(const char *text);


static char  test_text[TEST_TEXT];


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
    test_multivariant();
    test_multivariant_others();

    return tap_done();
}


static void
test_media_golden(void)
{
    static const live_m3u8_segment_t  segs[] = {
        { 118, 0, 360360, 3, TEST_I, 0 },
        { 119, 360360, 180180, 3, TEST_I, 0 },
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

    tap_ok(live_m3u8_media(&(live_writer_t) { 0 }, &p) == LIVE_ERROR,
           "no timescale is an error");
}


static void
test_media_changes(void)
{
    static const live_m3u8_segment_t  segs[] = {
        { 9, 480000, 192512, 1, TEST_I|TEST_D, 0 },
        { 10, 672512, 191488, 1, TEST_I|TEST_G, 0 },
        { 11, 864000, 192000, 2, TEST_I, 0 },
        { 12, 2112000, 384000, 2, TEST_I|TEST_D, 96000 },
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
        { 0, 0, 90000, 0, TEST_I, 0 },
        { 1, 90000, 90000, 0, TEST_G, 0 },
        { 2, 180000, 90000, 0, TEST_I, 0 },
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
    text = malloc(live_m3u8_media_size(10000) + 1);

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

        live_writer_init(&w, text, live_m3u8_media_size(10000));
        (void) live_m3u8_media(&w, &p);
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

    live_writer_init(&w, test_text, live_m3u8_media_size(3));
    tap_ok(live_m3u8_media(&w, &p) == LIVE_OK,
           "live_m3u8_media_size() is enough for the widest numbers");

    need = live_writer_len(&w);
    ok = 1;

    for (size = 0; size < need; size++) {
        tight = malloc(size + !size);
        live_writer_init(&w, tight, size);
        ok &= live_m3u8_media(&w, &p) == LIVE_OVERFLOW;
        free(tight);
    }

    tap_ok(ok, "LIVE_OVERFLOW in every smaller buffer");

    live_writer_init(&w, test_text, need);
    tap_ok(live_m3u8_media(&w, &p) == LIVE_OK, "an exact buffer is enough");
}


static void
test_multivariant(void)
{
    char           text[2048];
    size_t         size, need;
    int            ok;
    live_writer_t  w;

    static const live_codec_info_t  avc = {
        .codec = LIVE_CODEC_H264, .media = LIVE_MEDIA_VIDEO,
        .timescale = 90000, .width = 1280, .height = 720,
        .codecs = "avc1.64001f"
    };
    static const live_codec_info_t  aac = {
        .codec = LIVE_CODEC_AAC, .media = LIVE_MEDIA_AUDIO,
        .timescale = 48000, .channels = 2, .codecs = "mp4a.40.2"
    };

    live_m3u8_rendition_t  video[] = {
        { "video", &avc, 30000.0 / 1001, 2500000, 2000000 }
    };
    live_m3u8_rendition_t  audio[] = {
        { "audio", &aac, 0, 140000, 128000 }
    };

    static const char  expected[] =
        "#EXTM3U\n"
        "#EXT-X-VERSION:6\n"
        "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"Audio\","
        "DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"2\","
        "URI=\"audio/playlist.m3u8\"\n"
        "#EXT-X-STREAM-INF:BANDWIDTH=2640000,AVERAGE-BANDWIDTH=2128000,"
        "CODECS=\"avc1.64001f,mp4a.40.2\",RESOLUTION=1280x720,"
        "FRAME-RATE=29.970,CLOSED-CAPTIONS=NONE,AUDIO=\"audio\"\n"
        "video/playlist.m3u8\n";

    live_writer_init(&w, text, sizeof(text) - 1);
    ok = live_m3u8_multivariant(&w, video, 1, audio, 1) == LIVE_OK;
    *w.pos = '\0';
    test_is(ok ? text : "", expected, "video with audio, HLS-34 to HLS-44");

    need = live_writer_len(&w);

    for (size = 0; size < need; size++) {
        live_writer_init(&w, text, size);
        ok &= live_m3u8_multivariant(&w, video, 1, audio, 1)
              == LIVE_OVERFLOW;
    }

    tap_ok(ok, "LIVE_OVERFLOW in every smaller buffer");

    live_writer_init(&w, text, sizeof(text) - 1);
    ok = live_m3u8_multivariant(&w, video, 1, NULL, 0) == LIVE_OK;
    *w.pos = '\0';
    test_is(ok ? text : "",
            "#EXTM3U\n"
            "#EXT-X-VERSION:6\n"
            "#EXT-X-STREAM-INF:BANDWIDTH=2500000,AVERAGE-BANDWIDTH=2000000,"
            "CODECS=\"avc1.64001f\",RESOLUTION=1280x720,FRAME-RATE=29.970,"
            "CLOSED-CAPTIONS=NONE\n"
            "video/playlist.m3u8\n", "video only");

    live_writer_init(&w, text, sizeof(text) - 1);
    ok = live_m3u8_multivariant(&w, NULL, 0, audio, 1) == LIVE_OK;
    *w.pos = '\0';
    test_is(ok ? text : "",
            "#EXTM3U\n"
            "#EXT-X-VERSION:6\n"
            "#EXT-X-STREAM-INF:BANDWIDTH=140000,AVERAGE-BANDWIDTH=128000,"
            "CODECS=\"mp4a.40.2\"\n"
            "audio/playlist.m3u8\n", "audio only, HLS-79");

    live_writer_init(&w, text, sizeof(text));
    video[0].bandwidth = 0;
    tap_ok(live_m3u8_multivariant(&w, video, 1, audio, 1) == LIVE_ERROR,
           "no bandwidth is never published, HLS-36");
    tap_ok(live_m3u8_multivariant(&w, NULL, 0, NULL, 0) == LIVE_ERROR,
           "no rendition is no playlist");
}


static void
test_multivariant_others(void)
{
    int            ok;
    char           text[2048];
    live_writer_t  w;

    static const live_codec_info_t  dv = {
        .media = LIVE_MEDIA_VIDEO, .width = 720, .height = 576,
        .sar_num = 64, .sar_den = 45, .codecs = "avc1.4d401e"
    };
    static const live_codec_info_t  bare = {
        .media = LIVE_MEDIA_VIDEO, .codecs = "avc1.42c00d"
    };
    static const live_codec_info_t  lc = {
        .media = LIVE_MEDIA_AUDIO, .channels = 6, .codecs = "mp4a.40.2"
    };
    static const live_codec_info_t  he = {
        .media = LIVE_MEDIA_AUDIO, .channels = 0, .codecs = "mp4a.40.5"
    };

    static const live_m3u8_rendition_t  video[] = {
        { "source", &dv, 25, 1000000, 0 },
        { "tiny", &bare, 0, 300000, 250000 }
    };
    static const live_m3u8_rendition_t  audio[] = {
        { "a1", &lc, 0, 100000, 90000 },
        { "a2", &he, 0, 48000, 40000 },
        { "a3", &lc, 0, 200000, 80000 }
    };

    live_writer_init(&w, text, sizeof(text) - 1);
    ok = live_m3u8_multivariant(&w, video, 2, audio, 3) == LIVE_OK;
    *w.pos = '\0';

    test_is(ok ? text : "",
            "#EXTM3U\n"
            "#EXT-X-VERSION:6\n"
            "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"Audio\","
            "DEFAULT=YES,AUTOSELECT=YES,CHANNELS=\"6\","
            "URI=\"a1/playlist.m3u8\"\n"
            "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"Audio 2\","
            "DEFAULT=NO,AUTOSELECT=NO,URI=\"a2/playlist.m3u8\"\n"
            "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"Audio 3\","
            "DEFAULT=NO,AUTOSELECT=NO,CHANNELS=\"6\","
            "URI=\"a3/playlist.m3u8\"\n"
            "#EXT-X-STREAM-INF:BANDWIDTH=1200000,"
            "CODECS=\"avc1.4d401e,mp4a.40.2,mp4a.40.5\","
            "RESOLUTION=1024x576,FRAME-RATE=25.000,CLOSED-CAPTIONS=NONE,"
            "AUDIO=\"audio\"\n"
            "source/playlist.m3u8\n"
            "#EXT-X-STREAM-INF:BANDWIDTH=500000,AVERAGE-BANDWIDTH=340000,"
            "CODECS=\"avc1.42c00d,mp4a.40.2,mp4a.40.5\","
            "CLOSED-CAPTIONS=NONE,AUDIO=\"audio\"\n"
            "tiny/playlist.m3u8\n",
            "several of each, HLS-35 HLS-37 HLS-44");
}


static const char *
test_render(const live_m3u8_media_t *p)
{
    live_writer_t  w;

    live_writer_init(&w, test_text, TEST_TEXT - 1);

    if (live_m3u8_media(&w, p) != LIVE_OK) {
        return "";
    }

    *w.pos = '\0';

    return test_text;
}


static void
test_is(const char *got, const char *expected, const char *name)
{
    if (!tap_ok(strcmp(got, expected) == 0, "%s", name)) {
        fprintf(stderr, "--- got\n%s--- expected\n%s", got, expected);
    }
}


static int
test_count(const char *text, const char *what)
{
    int  n;

    for (n = 0; (text = strstr(text, what)) != NULL; n++) {
        text++;
    }

    return n;
}


/* The first EXTINF of a text, in units of 10 us. */
static long
test_extinf(const char *text)
{
    int   n, sec, frac;

    text = strstr(text, "#EXTINF:");
    n = 0;

    if (text == NULL
        || sscanf(text, "#EXTINF:%d.%5d,%n", &sec, &frac, &n) != 2
        || n == 0 || text[n - 7] != '.')
    {
        return -1;
    }

    return (long) sec * 100000 + frac;
}
