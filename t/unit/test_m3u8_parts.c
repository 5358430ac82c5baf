
/* Low-latency HLS playlists: exact texts, durations of parts, bounds. */

#include <stdlib.h>

#include "test_m3u8.h"


#define TEST_PARTS  64


static void test_golden(void);
static void test_off(void);
static void test_ended(void);
static void test_edge(void);
static void test_incomplete_lists(void);
static void test_open_change(void);
static void test_open_alone(void);
static void test_independent(void);
static void test_gap(void);
static void test_clip(void);
static void test_rates(void);
static void test_bounds(void);

static void test_cut(live_m3u8_segment_t *segs, live_m3u8_part_t *parts,
    uint32_t n, uint32_t each);
static long test_part_sum(const char *text, uint64_t msn, long *longest);


int
main(void)
{
    test_golden();
    test_off();
    test_ended();
    test_edge();
    test_incomplete_lists();
    test_open_change();
    test_open_alone();
    test_independent();
    test_gap();
    test_clip();
    test_rates();
    test_bounds();

    return tap_done();
}


#define TEST_HEAD(msn)                                                        \
    "#EXTM3U\n"                                                               \
    "#EXT-X-VERSION:9\n"                                                      \
    "#EXT-X-TARGETDURATION:1\n"                                               \
    "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.503,"        \
    "CAN-SKIP-UNTIL=6.000,HOLD-BACK=3.000\n"                                  \
    "#EXT-X-PART-INF:PART-TARGET=0.501\n"                                     \
    "#EXT-X-MEDIA-SEQUENCE:" msn "\n"                                         \
    "#EXT-X-DISCONTINUITY-SEQUENCE:2\n"

#define TEST_MAP(n)  "#EXT-X-MAP:URI=\"init-k3f9-" n ".mp4\"\n"
#define TEST_IND     "#EXT-X-INDEPENDENT-SEGMENTS\n"

#define TEST_PDT(t)                                                           \
    "#EXT-X-PROGRAM-DATE-TIME:2026-01-31T12:00:" t "Z\n"

#define TEST_PART(d, n, more)                                                 \
    "#EXT-X-PART:DURATION=" d ",URI=\"seg-k3f9-" n ".m4s\"" more "\n"

#define TEST_SEG(n)  "#EXTINF:1.00000,\nseg-k3f9-" n ".m4s\n"

#define TEST_BOTH(n)                                                          \
    TEST_PART("0.50000", n ".0", ",INDEPENDENT=YES")                          \
    TEST_PART("0.50000", n ".1", "")

#define TEST_MEDIA(n, m)                                                      \
    .epoch = "k3f9", .timescale = 90000, .target_duration = 1,                \
    .discontinuity_sequence = 2, .anchor_ms = TEST_ANCHOR,                    \
    .segments = segs, .nsegments = n, .part_target = 501,                     \
    .parts = parts, .nparts = m


static void
test_golden(void)
{
    live_m3u8_part_t     parts[TEST_PARTS];
    live_m3u8_segment_t  segs[5];

    static const live_m3u8_report_t  reports[] = {
        { "audio", 122, 1, 1 },
        { "v360", 121, 7, 0 }
    };

    live_m3u8_media_t  p = {
        TEST_MEDIA(4, 9), .open = &segs[4],
        .hint_msn = 122, .hint_part = 1, .hint = 1,
        .reports = reports, .nreports = 2
    };

    test_cut(segs, parts, 5, 2);

    test_is(test_render(&p),
            TEST_HEAD("118") TEST_IND
            TEST_MAP("3")
            TEST_PDT("00.250") TEST_SEG("118")
            TEST_PDT("01.250") TEST_BOTH("119") TEST_SEG("119")
            TEST_PDT("02.250") TEST_BOTH("120") TEST_SEG("120")
            TEST_PDT("03.250") TEST_BOTH("121") TEST_SEG("121")
            TEST_PDT("04.250")
            TEST_PART("0.50000", "122.0", ",INDEPENDENT=YES")
            "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"seg-k3f9-122.1.m4s\"\n"
            "#EXT-X-RENDITION-REPORT:URI=\"../audio/playlist.m3u8\","
            "LAST-MSN=122,LAST-PART=1\n"
            "#EXT-X-RENDITION-REPORT:URI=\"../v360/playlist.m3u8\","
            "LAST-MSN=121\n",
            "low latency, HLS-7 HLS-18 HLS-49 HLS-50 HLS-52 HLS-53 HLS-54 "
            "HLS-71");

    p.open = NULL;
    p.nparts = 8;
    p.hint_part = 0;
    p.nreports = 0;

    test_is(test_render(&p),
            TEST_HEAD("118") TEST_IND
            TEST_MAP("3")
            TEST_PDT("00.250") TEST_BOTH("118") TEST_SEG("118")
            TEST_PDT("01.250") TEST_BOTH("119") TEST_SEG("119")
            TEST_PDT("02.250") TEST_BOTH("120") TEST_SEG("120")
            TEST_PDT("03.250") TEST_BOTH("121") TEST_SEG("121")
            "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"seg-k3f9-122.0.m4s\"\n",
            "a segment has just ended: the hint is of the next, HLS-53");

    p.hint = 0;
    tap_ok(test_count(test_render(&p), "PRELOAD-HINT") == 0, "no hint");
}


static void
test_off(void)
{
    int                  same;
    char                *plain;
    live_m3u8_part_t     parts[TEST_PARTS];
    live_m3u8_delta_t    delta;
    live_m3u8_segment_t  segs[5];

    static const live_m3u8_report_t  report = { "audio", 122, 1, 1 };

    live_m3u8_media_t  p = {
        TEST_MEDIA(4, 9), .open = &segs[4],
        .hint_msn = 122, .hint_part = 1, .hint = 1,
        .reports = &report, .nreports = 1
    };

    live_m3u8_media_t  q = { TEST_MEDIA(4, 0) };

    test_cut(segs, parts, 5, 2);

    p.part_target = 0;
    q.part_target = 0;

    plain = strdup(test_render(&q));
    same = strcmp(test_render_delta(&p, &delta), plain) == 0;

    tap_ok(same && test_count(plain, "#EXT-X-VERSION:6\n") == 1
           && test_count(plain, "PART") == 0
           && test_count(plain, "CONTROL") == 0,
           "without low latency all of it is ignored");
    tap_ok(delta.skipped == 0, "and nothing can be skipped");

    free(plain);
}


static void
test_ended(void)
{
    live_m3u8_part_t     parts[TEST_PARTS];
    live_m3u8_segment_t  segs[5];

    static const live_m3u8_report_t  report = { "audio", 122, 1, 1 };

    live_m3u8_media_t  p = {
        TEST_MEDIA(2, 9), .ended = 1, .open = &segs[4],
        .hint_msn = 122, .hint_part = 1, .hint = 1,
        .reports = &report, .nreports = 1
    };

    test_cut(segs, parts, 5, 2);

    test_is(test_render(&p),
            TEST_HEAD("118") TEST_IND
            TEST_MAP("3")
            TEST_PDT("00.250") TEST_SEG("118")
            TEST_PDT("01.250") TEST_SEG("119")
            "#EXT-X-ENDLIST\n",
            "ended: no parts, hint or reports; the targets stay, HLS-29");
}


/* Three target durations of 1 s; the newest segment is complete. */
static void
test_edge(void)
{
    uint32_t             i, n;
    live_m3u8_part_t     parts[TEST_PARTS];
    live_m3u8_segment_t  segs[6];

    live_m3u8_media_t  p = { TEST_MEDIA(6, 12) };

    test_cut(segs, parts, 6, 2);

    tap_ok(test_count(test_render(&p), "#EXT-X-PART:") == 8
           && strstr(test_text, "119.1") == NULL
           && strstr(test_text, "120.0") != NULL,
           "a segment that ends just 3 x TD before the edge has parts, HLS-18");

    segs[5].duration += 90;             /* 1 ms */

    tap_ok(test_count(test_render(&p), "#EXT-X-PART:") == 6
           && strstr(test_text, "120.1") == NULL,
           "1 ms more: all parts of the segment leave at once, HLS-18");

    segs[5].duration -= 90;

    /* a part at a time: what has left never comes back (HLS-13) */

    for (i = 2, n = 0; i <= 12; i++) {
        p.nsegments = i / 2;
        p.nparts = i;
        p.open = i % 2 ? &segs[i / 2] : NULL;
        n += (uint32_t) test_count(test_render(&p), "#EXT-X-PART:");

        if (i >= 8 && test_count(test_text, "#EXT-X-PART:") != 8 - (int) i % 2)
        {
            break;
        }
    }

    tap_ok(i == 13 && n == 2 + 3 + 4 + 5 + 6 + 7 + 8 + 7 + 8 + 7 + 8,
           "parts come one at a time and leave by whole segments, HLS-13");

    /* ten minutes of nothing are not playing time */

    for (i = 3; i < 6; i++) {
        segs[i].start += 90000 * 600;
        segs[i].flags |= i == 3 ? TEST_D : 0;
        parts[2 * i].start += 90000 * 600;
        parts[2 * i + 1].start += 90000 * 600;
    }

    p = (live_m3u8_media_t) { TEST_MEDIA(6, 12) };

    tap_ok(test_count(test_render(&p), "#EXT-X-PART:") == 8,
           "a hole in the timeline does not count");
}


/* What the caller may pass: its lists of parts have ends of their own. */
static void
test_incomplete_lists(void)
{
    char                *text;
    live_m3u8_part_t     parts[TEST_PARTS];
    live_m3u8_segment_t  segs[6];

    live_m3u8_media_t  p = { TEST_MEDIA(2, 12), .open = &segs[5] };

    test_cut(segs, parts, 6, 2);
    p.segments = &segs[3];

    test_is(test_render(&p),
            TEST_HEAD("121") TEST_IND
            TEST_MAP("3")
            TEST_PDT("03.250") TEST_BOTH("121") TEST_SEG("121")
            TEST_PDT("04.250") TEST_BOTH("122") TEST_SEG("122")
            TEST_PDT("05.250") TEST_BOTH("123"),
            "parts that are older than all segments are left out");

    p.parts = &parts[7];
    p.nparts = 5;

    test_is(test_render(&p),
            TEST_HEAD("121") TEST_IND
            TEST_MAP("3")
            TEST_PDT("03.250") TEST_SEG("121")
            TEST_PDT("04.250") TEST_BOTH("122") TEST_SEG("122")
            TEST_PDT("05.250") TEST_BOTH("123"),
            "a list that begins within a segment: none of its parts");

    p.parts = &parts[11];
    p.nparts = 1;

    test_is(test_render(&p),
            TEST_HEAD("121") TEST_IND
            TEST_MAP("3")
            TEST_PDT("03.250") TEST_SEG("121")
            TEST_PDT("04.250") TEST_SEG("122"),
            "nor of the open segment, of which nothing is then listed");

    text = strdup(test_text);

    p.nparts = 0;
    p.parts = NULL;
    tap_ok(strcmp(test_render(&p), text) == 0, "no parts at all");

    p.parts = parts;
    p.nparts = 10;
    p.open = NULL;
    parts[7].index = 2;

    tap_ok(test_count(test_render(&p), "#EXT-X-PART:") == 2
           && strstr(test_text, "seg-k3f9-121.") != NULL
           && strstr(test_text, "121.0.m4s") == NULL,
           "no parts of a segment of which one is missing");

    free(text);
}


static void
test_open_change(void)
{
    live_m3u8_part_t     parts[TEST_PARTS];
    live_m3u8_segment_t  segs[3];

    live_m3u8_media_t  p = {
        TEST_MEDIA(2, 5), .open = &segs[2],
        .hint_msn = 120, .hint_part = 1, .hint = 1
    };

    test_cut(segs, parts, 3, 2);

    segs[2].flags |= TEST_D;
    segs[2].init = 4;
    segs[2].timescale = 48000;
    segs[2].start = 5 * 48000;
    parts[4].start = segs[2].start;
    parts[4].duration = 23 * 1024;

    test_is(test_render(&p),
            TEST_HEAD("118") TEST_IND
            TEST_MAP("3")
            TEST_PDT("00.250") TEST_BOTH("118") TEST_SEG("118")
            TEST_PDT("01.250") TEST_BOTH("119") TEST_SEG("119")
            "#EXT-X-DISCONTINUITY\n"
            TEST_MAP("4")
            TEST_PDT("05.250")
            TEST_PART("0.49067", "120.0", ",INDEPENDENT=YES")
            "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"seg-k3f9-120.1.m4s\"\n",
            "what is of the parent stands before its first part, HLS-52");

    p.nparts = 4;
    p.hint_part = 0;

    test_is(test_render(&p),
            TEST_HEAD("118") TEST_IND
            TEST_MAP("3")
            TEST_PDT("00.250") TEST_BOTH("118") TEST_SEG("118")
            TEST_PDT("01.250") TEST_BOTH("119") TEST_SEG("119")
            "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"seg-k3f9-120.0.m4s\"\n",
            "an open segment without parts leaves no trace");
}


static void
test_open_alone(void)
{
    live_m3u8_part_t     parts[TEST_PARTS];
    live_m3u8_segment_t  segs[1];

    live_m3u8_media_t  p = {
        TEST_MEDIA(0, 1), .next_msn = 118, .open = segs,
        .hint_msn = 118, .hint_part = 1, .hint = 1
    };

    test_cut(segs, parts, 1, 2);

    test_is(test_render(&p),
            TEST_HEAD("118") TEST_IND
            TEST_MAP("3")
            TEST_PDT("00.250")
            TEST_PART("0.50000", "118.0", ",INDEPENDENT=YES")
            "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"seg-k3f9-118.1.m4s\"\n",
            "the first part of a stream, HLS-11 HLS-24");

    p.nparts = 0;
    p.hint_part = 0;

    test_is(test_render(&p),
            TEST_HEAD("118") TEST_IND
            "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"seg-k3f9-118.0.m4s\"\n",
            "before it");
}


static void
test_independent(void)
{
    live_m3u8_part_t     parts[TEST_PARTS];
    live_m3u8_segment_t  segs[2];

    live_m3u8_media_t  p = { TEST_MEDIA(1, 4), .open = &segs[1] };

    test_cut(segs, parts, 2, 2);
    segs[1].flags = 0;

    tap_ok(test_count(test_render(&p), "INDEPENDENT-SEGMENTS") == 0,
           "an open segment without a key frame ends independence, HLS-23");

    p.nparts = 2;
    tap_ok(test_count(test_render(&p), "INDEPENDENT-SEGMENTS") == 1,
           "once parts of it are listed");
}


static void
test_gap(void)
{
    live_m3u8_part_t     parts[TEST_PARTS];
    live_m3u8_segment_t  segs[3];

    live_m3u8_media_t  p = { TEST_MEDIA(2, 5), .open = &segs[2] };

    test_cut(segs, parts, 3, 2);

    segs[1].flags |= TEST_G;
    parts[2].flags = TEST_G;
    parts[3].flags = TEST_G;
    parts[4].flags = TEST_G|TEST_I;
    segs[2].flags |= TEST_G;

    test_is(test_render(&p),
            TEST_HEAD("118") TEST_IND
            TEST_MAP("3")
            TEST_PDT("00.250") TEST_BOTH("118") TEST_SEG("118")
            TEST_PDT("01.250")
            TEST_PART("0.50000", "119.0", ",GAP=YES")
            TEST_PART("0.50000", "119.1", ",GAP=YES")
            "#EXT-X-GAP\n"
            TEST_SEG("119")
            TEST_PDT("02.250")
            TEST_PART("0.50000", "120.0", ",INDEPENDENT=YES,GAP=YES"),
            "missing parts, HLS-22 HLS-52");
}


static void
test_clip(void)
{
    int                  ok;
    long                 longest;
    int64_t              start;
    live_m3u8_part_t     parts[TEST_PARTS];
    live_m3u8_segment_t  segs[1];

    live_m3u8_media_t  p = { TEST_MEDIA(0, 1), .open = segs };

    test_cut(segs, parts, 1, 1);
    parts[0].duration = 45179;          /* 11 ticks more than 0.501 s */
    longest = 0;

    tap_ok(test_part_sum(test_render(&p), 118, &longest) == 50100,
           "a part is never printed longer than the target, HLS-50");

    segs[0].timescale = 1000000;
    parts[0].duration = 501000;
    ok = 1;

    for (start = 0; start < 1000; start++) {
        parts[0].start = start;
        ok &= test_part_sum(test_render(&p), 118, &longest) == 50100;
    }

    tap_ok(ok, "the target itself is exact from any start, HLS-50");

    parts[0].duration = 500999;

    for (start = 0; start < 1000; start++) {
        parts[0].start = start;
        test_part_sum(test_render(&p), 118, &longest);
    }

    tap_ok(longest == 50100, "rounding does not lift a part above it, HLS-50");

    parts[0].duration = 0;
    tap_ok(test_part_sum(test_render(&p), 118, &longest) == 0, "no duration");
}


/*
 * 2,000 segments of a stream that has lasted long; as many frames to a part as
 * fit 0.5 s, and the last part of each segment is a short one.
 */
static void
test_rates(void)
{
    int                  k, ok;
    long                 sum, exact, longest;
    int64_t              frame, each, frames, left, first, f;
    uint32_t             i, n;
    live_m3u8_part_t     parts[TEST_PARTS];
    live_m3u8_segment_t  segs[1];

    live_m3u8_media_t  p = { TEST_MEDIA(1, 0) };

    static const struct {
        uint32_t     timescale;
        int64_t      num;               /* ticks of a frame: num / den */
        int64_t      den;
        const char  *name;
    } cases[] = {
        { 90000, 3750, 1, "24 frames/s" },
        { 90000, 3600, 1, "25 frames/s" },
        { 90000, 3003, 1, "29.97 frames/s" },
        { 90000, 3000, 1, "30 frames/s" },
        { 90000, 1800, 1, "50 frames/s" },
        { 90000, 3003, 2, "59.94 frames/s" },
        { 90000, 1500, 1, "60 frames/s" },
        { 44100, 1024, 1, "AAC at 44.1 kHz" },
        { 48000, 1024, 1, "AAC at 48 kHz" },
    };

    p.target_duration = 2;

    for (k = 0; k < 9; k++) {

        each = cases[k].timescale * cases[k].den / (2 * cases[k].num);
        frames = 4 * each - each / 3;
        frame = (each * cases[k].num + cases[k].den - 1) / cases[k].den;

        p.timescale = cases[k].timescale;
        p.part_target = (uint32_t) ((frame * 1000 + p.timescale - 1)
                                    / p.timescale);
        longest = 0;
        exact = 0;
        ok = p.part_target <= 501 && p.part_target >= 450;

        for (i = 0; i < 2000; i++) {
            first = INT64_C(10000000) + i * frames;

            for (n = 0, f = first, left = frames; left; n++) {
                int64_t  m = left < each ? left : each;

                parts[n] = (live_m3u8_part_t) {
                    .msn = i, .index = n,
                    .start = f * cases[k].num / cases[k].den,
                    .duration = (f + m) * cases[k].num / cases[k].den
                                - f * cases[k].num / cases[k].den
                };

                f += m;
                left -= m;
            }

            segs[0] = (live_m3u8_segment_t) {
                .msn = i, .start = parts[0].start,
                .duration = parts[n - 1].start + parts[n - 1].duration
                            - parts[0].start
            };

            p.nparts = n;
            sum = test_part_sum(test_render(&p), i, &longest);
            exact += sum == test_extinf(test_text);
            ok &= test_count(test_text, "#EXT-X-PART:") == (int) n
                  && labs(sum - test_extinf(test_text)) <= (long) n;
        }

        tap_ok(ok && exact == 2000, "parts add up to their segment: %s, PT "
               "%u ms, HLS-52 HLS-94", cases[k].name, p.part_target);
        tap_ok(longest <= (long) p.part_target * 100
               && longest > (long) p.part_target * 100 - 100,
               "no part is above PT: %s, %.5f s, HLS-50", cases[k].name,
               (double) longest / 100000);
    }
}


static void
test_bounds(void)
{
    int                  ok;
    size_t               i, size, need;
    uint8_t             *tight;
    const char          *line;
    live_writer_t        w;
    live_m3u8_part_t     parts[TEST_PARTS];
    live_m3u8_delta_t    delta;
    live_m3u8_report_t   reports[3];
    live_m3u8_segment_t  segs[4];

    live_m3u8_media_t  p = {
        .epoch = "0123456789abcdef0123456789abcdef",
        .timescale = 1, .target_duration = UINT32_MAX,
        .discontinuity_sequence = UINT64_MAX, .anchor_ms = TEST_ANCHOR,
        .segments = segs, .nsegments = 3, .part_target = UINT32_MAX,
        .parts = parts, .nparts = 8, .open = &segs[3],
        .hint_msn = UINT64_MAX, .hint_part = UINT32_MAX, .hint = 1,
        .reports = reports, .nreports = 3
    };

    for (i = 0; i < 4; i++) {
        segs[i] = (live_m3u8_segment_t) {
            .msn = UINT64_MAX - 4 + i, .duration = UINT32_MAX,
            .init = UINT32_MAX - (uint32_t) i, .flags = TEST_D|TEST_I|TEST_G
        };
    }

    for (i = 0; i < 8; i++) {
        parts[i] = (live_m3u8_part_t) {
            .msn = UINT64_MAX - 4 + i / 2, .index = (uint32_t) i % 2,
            .start = (int64_t) i % 2 * 100000000,
            .duration = 100000000, .flags = TEST_I|TEST_G
        };
    }

    for (i = 0; i < 3; i++) {
        reports[i] = (live_m3u8_report_t) {
            "0123456789abcdef0123456789abcdef", UINT64_MAX, UINT32_MAX, 1
        };
    }

    live_writer_init(&w, test_text, live_m3u8_media_size(3, 8, 3) - 8 * 9);
    tap_ok(live_m3u8_media(&w, &p, &delta) == LIVE_OK
           && test_count(test_text, "#EXT-X-PART:") == 8,
           "live_m3u8_media_size() is enough for the widest numbers");

    need = live_writer_len(&w);
    ok = 1;

    for (size = 0; size < need; size++) {
        tight = malloc(size + !size);
        live_writer_init(&w, tight, size);
        ok &= live_m3u8_media(&w, &p, &delta) == LIVE_OVERFLOW;
        free(tight);
    }

    tap_ok(ok, "LIVE_OVERFLOW in every smaller buffer");

    /* each on its own: what one kind leaves over hides no other's lack */

    live_writer_init(&w, test_text, TEST_TEXT);
    p.nsegments = p.nparts = p.nreports = 0;
    (void) live_m3u8_media(&w, &p, NULL);
    size = live_writer_len(&w);

    live_writer_init(&w, test_text, TEST_TEXT);
    p.nreports = 3;
    (void) live_m3u8_media(&w, &p, NULL);
    tap_ok((live_writer_len(&w) - size) / 3
           <= live_m3u8_media_size(0, 0, 1) - live_m3u8_media_size(0, 0, 0),
           "a report fits what is counted for it");

    /* the index of a part has 9 digits less than it could have */

    p.nreports = 0;
    p.nparts = 8;
    line = strstr(test_render(&p), "#EXT-X-PART:");
    tap_ok((size_t) (strchr(line, '\n') + 1 - line) + 9
           <= live_m3u8_media_size(0, 1, 0) - live_m3u8_media_size(0, 0, 0),
           "so does a part");

    live_writer_init(&w, test_text, TEST_TEXT);
    (void) live_m3u8_media(&w, &p, NULL);   /* two of the open segment */
    tap_ok(live_writer_len(&w) + 2 * 9 <= live_m3u8_media_size(0, 2, 0),
           "so do the head, the hint and the open segment");

    size = live_writer_len(&w);
    p.nsegments = 3;
    live_writer_init(&w, test_text, TEST_TEXT);
    (void) live_m3u8_media(&w, &p, NULL);
    tap_ok(live_writer_len(&w) - size + 6 * 9
           <= live_m3u8_media_size(3, 6, 0) - live_m3u8_media_size(0, 0, 0),
           "so do segments with their parts");
}


/* Segments of a second from MSN 118 on, "each" parts in each of them. */
static void
test_cut(live_m3u8_segment_t *segs, live_m3u8_part_t *parts, uint32_t n,
    uint32_t each)
{
    uint32_t  i;

    for (i = 0; i < n; i++) {
        segs[i] = (live_m3u8_segment_t) {
            .msn = 118 + i, .start = i * INT64_C(90000), .duration = 90000,
            .init = 3, .flags = TEST_I
        };
    }

    for (i = 0; i < n * each; i++) {
        parts[i] = (live_m3u8_part_t) {
            .msn = 118 + i / each, .index = i % each,
            .flags = i % each ? 0 : TEST_I,
            .start = i * INT64_C(90000) / each, .duration = 90000 / each
        };
    }
}


/* The parts of a segment, in units of 10 us; -1 when a line is malformed. */
static long
test_part_sum(const char *text, uint64_t msn, long *longest)
{
    int                 sec, frac, n;
    long                sum, value;
    unsigned            index, expected;
    unsigned long long  of;

    static const char  tag[] = "#EXT-X-PART:";

    sum = 0;
    expected = 0;

    for (text = strstr(text, tag); text; text = strstr(text + 1, tag)) {
        n = 0;

        if (sscanf(text, "#EXT-X-PART:DURATION=%d.%5d,"
                   "URI=\"seg-k3f9-%llu.%u.m4s\"%n",
                   &sec, &frac, &of, &index, &n) != 4
            || n == 0 || strchr(text, ',')[-6] != '.')
        {
            return -1;
        }

        if (of != msn) {
            continue;
        }

        if (index != expected++) {
            return -1;
        }

        value = (long) sec * 100000 + frac;
        sum += value;

        if (value > *longest) {
            *longest = value;
        }
    }

    return sum;
}
