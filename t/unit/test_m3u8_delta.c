
/*
 * Low-latency playlists over time: what a client makes of delta updates, and
 * that no version takes back what the one before it said.
 */

#include <stdlib.h>

#include "test_m3u8.h"


#define TEST_LINES     400
#define TEST_SEGMENTS  400
#define TEST_PARTS     (TEST_SEGMENTS * 5)


/* A version, cut into lines. */
typedef struct {
    char        *text;
    size_t       n;
    const char  *line[TEST_LINES];
} test_version_t;


static void test_skip_tag(void);
static void test_delta_text(void);
static void test_delta_edges(void);
static void test_follow(void);

static uint32_t test_stream(live_m3u8_segment_t *segs,
    live_m3u8_part_t *parts);
static const char *test_step(live_m3u8_media_t *p, test_version_t *prev);
static void test_split(test_version_t *v, const char *text);
static const char *test_changes(const test_version_t *a,
    const test_version_t *b);
static const char *test_whole_segments(const test_version_t *v);
static const char *test_delta(const test_version_t *prev, const char *text,
    const live_m3u8_delta_t *d);
static int test_begins(const char *line, const char *what);


int
main(void)
{
    test_skip_tag();
    test_delta_text();
    test_delta_edges();
    test_follow();

    return tap_done();
}


static void
test_skip_tag(void)
{
    int            ok;
    char           text[LIVE_M3U8_SKIP_SIZE];
    size_t         size, need;
    live_writer_t  w;

    static const char  expected[] = "#EXT-X-SKIP:SKIPPED-SEGMENTS=4294967295\n";

    live_writer_init(&w, text, sizeof(text));
    ok = live_m3u8_skip(&w, UINT32_MAX) == LIVE_OK;
    need = live_writer_len(&w);

    tap_ok(ok && need == strlen(expected)
           && memcmp(text, expected, need) == 0,
           "EXT-X-SKIP, the widest number, HLS-55");

    for (size = 0; size < need; size++) {
        live_writer_init(&w, text, size);
        ok &= live_m3u8_skip(&w, UINT32_MAX) == LIVE_OVERFLOW;
    }

    tap_ok(ok, "LIVE_OVERFLOW in every smaller buffer");
}


#define TEST_SEG(sec, n)                                                      \
    "#EXT-X-PROGRAM-DATE-TIME:2026-01-31T12:00:" sec ".250Z\n"                \
    "#EXTINF:1.00000,\nseg-a-" n ".m4s\n"

#define TEST_SEG2(sec, n)                                                     \
    "#EXT-X-PROGRAM-DATE-TIME:2026-01-31T12:00:" sec ".250Z\n"                \
    "#EXT-X-PART:DURATION=0.50000,URI=\"seg-a-" n ".0.m4s\"\n"                \
    "#EXT-X-PART:DURATION=0.50000,URI=\"seg-a-" n ".1.m4s\"\n"                \
    "#EXTINF:1.00000,\nseg-a-" n ".m4s\n"

static void
test_delta_text(void)
{
    char                 text[4096];
    uint32_t             i;
    live_writer_t        w;
    live_m3u8_part_t     parts[24];
    live_m3u8_delta_t    d;
    live_m3u8_segment_t  segs[12];

    live_m3u8_media_t  p = {
        .epoch = "a", .timescale = 1000, .target_duration = 1,
        .discontinuity_sequence = 3, .anchor_ms = TEST_ANCHOR,
        .segments = segs, .nsegments = 12, .part_target = 500,
        .parts = parts, .nparts = 24,
        .hint = 1, .hint_msn = 22
    };

    static const char  expected[] =
        "#EXTM3U\n"
        "#EXT-X-VERSION:9\n"
        "#EXT-X-TARGETDURATION:1\n"
        "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.500,"
        "CAN-SKIP-UNTIL=6.000,HOLD-BACK=3.000\n"
        "#EXT-X-PART-INF:PART-TARGET=0.500\n"
        "#EXT-X-MEDIA-SEQUENCE:10\n"
        "#EXT-X-DISCONTINUITY-SEQUENCE:3\n"
        "#EXT-X-INDEPENDENT-SEGMENTS\n"
        "#EXT-X-SKIP:SKIPPED-SEGMENTS=5\n"
        "#EXT-X-DISCONTINUITY\n"
        "#EXT-X-MAP:URI=\"init-a-1.mp4\"\n"
        TEST_SEG("05", "15")
        TEST_SEG("06", "16")
        TEST_SEG("07", "17")
        TEST_SEG2("08", "18")
        TEST_SEG2("09", "19")
        TEST_SEG2("10", "20")
        TEST_SEG2("11", "21")
        "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"seg-a-22.0.m4s\"\n";

    for (i = 0; i < 24; i++) {
        segs[i / 2] = (live_m3u8_segment_t) {
            .msn = 10 + i / 2, .start = 1000 * (i / 2), .duration = 1000,
            .init = 1, .flags = TEST_I | (i / 2 == 5 ? TEST_D : 0)
        };
        parts[i] = (live_m3u8_part_t) {
            .msn = 10 + i / 2, .index = i % 2, .start = 500 * i,
            .duration = 500
        };
    }

    (void) test_render_delta(&p, &d);

    live_writer_init(&w, text, sizeof(text) - 1);
    live_write(&w, test_text, d.head);
    (void) live_m3u8_skip(&w, d.skipped);
    live_write(&w, test_text + d.map, d.map_len);
    live_write_str(&w, test_text + d.tail);
    *w.pos = '\0';

    if (!tap_ok(strcmp(text, expected) == 0,
                "a delta update, HLS-55 HLS-56"))
    {
        fprintf(stderr, "--- got\n%s--- expected\n%s", text, expected);
    }
}


static void
test_delta_edges(void)
{
    int                  same;
    char                *plain;
    uint32_t             i;
    live_writer_t        w;
    live_m3u8_part_t     part;
    live_m3u8_delta_t    d, e;
    live_m3u8_segment_t  segs[9];

    live_m3u8_media_t  p = {
        .epoch = "a", .timescale = 1000, .target_duration = 1,
        .segments = segs, .nsegments = 7, .part_target = 500
    };

    for (i = 0; i < 9; i++) {
        segs[i] = (live_m3u8_segment_t) {
            .msn = i, .start = 1000 * (int64_t) i, .duration = 1000,
            .flags = TEST_I
        };
    }

    (void) test_render_delta(&p, &d);
    tap_ok(d.skipped == 0 && d.head == d.tail
           && d.head == (size_t) (strstr(test_text, "#EXT-X-MAP")
                                  - test_text),
           "a segment that ends just 6 x TD before the last is not skipped, "
           "HLS-56");

    segs[6].duration = 1001;
    (void) test_render_delta(&p, &d);
    tap_ok(d.skipped == 1 && d.tail > d.head, "1 ms more, and it is");

    /* parts of the open segment are not of the last parent */

    segs[6].duration = 1000;
    part = (live_m3u8_part_t) { 7, 0, 0, 7000, 500 };
    p.open = &segs[7];
    p.parts = &part;
    p.nparts = 1;
    (void) test_render_delta(&p, &d);
    tap_ok(d.skipped == 0 && test_count(test_text, "#EXT-X-PART:") == 1,
           "the end of the last segment counts, not that of its parts");

    p.nsegments = 9;
    p.open = NULL;
    plain = strdup(test_render_delta(&p, &d));
    tap_ok(d.skipped == 2 && strcmp(test_render(&p), plain) == 0,
           "the text is the same whether or not a delta is asked for");

    live_writer_init(&w, test_text, TEST_TEXT);
    live_write_str(&w, "before");
    same = live_m3u8_media(&w, &p, &e) == LIVE_OK;
    tap_ok(same && e.head == d.head && e.tail == d.tail && e.skipped == 2,
           "offsets are those of the playlist, not of the buffer");

    segs[8].start += 3600000;
    segs[8].flags |= TEST_D;
    (void) test_render_delta(&p, &d);
    tap_ok(d.skipped == 2, "a hole in the timeline does not count");

    p.ended = 1;
    (void) test_render_delta(&p, &d);
    tap_ok(d.skipped == 0, "nothing is skipped after the end, HLS-56");

    p.ended = 0;
    p.part_target = 0;
    (void) test_render_delta(&p, &d);
    tap_ok(d.skipped == 0, "nor without low latency, HLS-56");

    p.part_target = 500;
    p.nsegments = 0;
    (void) test_render_delta(&p, &d);
    tap_ok(d.skipped == 0 && d.head == d.tail && d.tail == strlen(test_text),
           "nor when nothing is listed");

    free(plain);
}


/*
 * A stream, a version at every part and at every end of a segment: the window
 * is of 15 segments, the list of parts begins somewhere.
 */
static void
test_follow(void)
{
    int                   dsn;
    uint32_t              i, first, from, total, versions, open;
    const char           *error;
    test_version_t       *prev;
    live_m3u8_media_t     p;
    live_m3u8_part_t     *parts;
    live_m3u8_segment_t  *segs;

    segs = calloc(TEST_SEGMENTS, sizeof(live_m3u8_segment_t));
    parts = calloc(TEST_PARTS, sizeof(live_m3u8_part_t));
    prev = calloc(1, sizeof(test_version_t));

    total = test_stream(segs, parts);

    p = (live_m3u8_media_t) {
        .epoch = "k3f9", .timescale = 90000, .target_duration = 2,
        .part_target = 501, .anchor_ms = TEST_ANCHOR, .hint = 1
    };

    error = NULL;
    versions = 0;
    first = 0;
    dsn = 0;

    for (i = 0; i < total && !error; i++) {
        open = (uint32_t) (parts[i].msn - segs[0].msn);

        for ( /* void */ ; open - first > 15; first++) {
            dsn += (segs[first].flags & TEST_D) != 0;
        }

        from = i > 60 ? i - 60 : 0;

        p.discontinuity_sequence = (uint64_t) dsn;
        p.segments = &segs[first];
        p.nsegments = open - first;
        p.parts = &parts[from];
        p.nparts = i + 1 - from;
        p.open = &segs[open];
        p.hint_msn = parts[i].msn;
        p.hint_part = parts[i].index + 1;

        if (i + 1 < total && parts[i + 1].msn != parts[i].msn) {
            p.open = NULL;
            p.nsegments++;
            p.hint_msn++;
            p.hint_part = 0;
        }

        error = test_step(&p, prev);
        versions++;
    }

    tap_ok(error == NULL && versions == total && versions > 1000,
           "%u versions of a low-latency playlist, HLS-13 HLS-18 HLS-53 "
           "HLS-55 HLS-56%s%s", versions, error ? ": " : "",
           error ? error : "");

    free(prev->text);
    free(prev);
    free(parts);
    free(segs);
}


static uint32_t
test_stream(live_m3u8_segment_t *segs, live_m3u8_part_t *parts)
{
    int64_t   now;
    uint32_t  i, k, n, total;

    now = 0;
    total = 0;

    for (i = 0; i < TEST_SEGMENTS; i++) {
        n = i % 7 == 3 ? 2 : 4;
        now += i % 50 == 20 ? 9000000 : 0;

        segs[i] = (live_m3u8_segment_t) {
            .msn = 500 + i, .start = now, .init = i / 60, .flags = TEST_I
        };

        if (i % 50 == 20 || i % 60 == 0) {
            segs[i].flags |= TEST_D;
        }

        for (k = 0; k < n; k++) {
            parts[total] = (live_m3u8_part_t) {
                .msn = 500 + i, .index = k, .flags = k ? 0 : TEST_I,
                .start = now,
                .duration = k + 1 < n ? 45045 : 3003 * (1 + i % 15)
            };

            now += parts[total++].duration;
        }

        segs[i].duration = now - segs[i].start;
    }

    return total;
}


/* Renders a version and holds it against the one before. */
static const char *
test_step(live_m3u8_media_t *p, test_version_t *prev)
{
    const char         *error;
    test_version_t      next;
    live_m3u8_delta_t   delta;

    test_split(&next, test_render_delta(p, &delta));

    error = next.n == 0 ? "no text" : NULL;
    error = error ? error : test_whole_segments(&next);

    if (prev->text) {
        error = error ? error : test_changes(prev, &next);
        error = error ? error : test_delta(prev, test_text, &delta);
    }

    free(prev->text);
    *prev = next;

    return error;
}


static void
test_split(test_version_t *v, const char *text)
{
    char  *s;

    v->text = strdup(text);
    v->n = 0;

    for (s = strtok(v->text, "\n"); s && v->n < TEST_LINES;
         s = strtok(NULL, "\n"))
    {
        v->line[v->n++] = s;
    }
}


/*
 * HLS-13: from the front whole segments leave, from anywhere parts do, and at
 * the end lines are added, the hinted part first.  A MAP may appear before the
 * first segment when it is the first.
 */
static const char *
test_changes(const test_version_t *a, const test_version_t *b)
{
    size_t       i, k;
    const char  *hint;

    hint = NULL;

    for (k = 0; !test_begins(b->line[k], "#EXT-X-PROGRAM"); k++) {
        if (k + 1 == b->n) {
            return "no segment";
        }
    }

    for (i = 0; strcmp(a->line[i], b->line[k]) != 0; i++) {
        if (i + 1 == a->n) {
            return "the first segment was not there";
        }
    }

    for ( /* void */ ; i < a->n; i++) {

        if (k < b->n && strcmp(a->line[i], b->line[k]) == 0) {
            k++;

        } else if (test_begins(a->line[i], "#EXT-X-PRELOAD-HINT:")) {
            hint = strstr(a->line[i], "URI=");

        } else if (!test_begins(a->line[i], "#EXT-X-PART:")) {
            return "a line was taken back";
        }
    }

    if (hint == NULL) {
        return "no hint";
    }

    for ( /* void */ ; k < b->n; k++) {
        if (test_begins(b->line[k], "#EXT-X-PART:")) {
            return strncmp(strstr(b->line[k], "URI="), hint, strlen(hint))
                   ? "the hint was of another part" : NULL;
        }
    }

    return "no part was added";
}


/* The parts of a segment are all there or all gone, and those far away are. */
static const char *
test_whole_segments(const test_version_t *v)
{
    long      edge, sum, extinf;
    size_t    i, k;
    unsigned  index, parts, sec, frac;

    edge = 0;
    sum = 0;

    /* from the end: how far is each segment from the edge */

    for (i = v->n; i > 0; i--) {
        if (sscanf(v->line[i - 1], "#EXT-X-PART:DURATION=%u.%5u,", &sec, &frac)
            == 2)
        {
            sum += (long) sec * 100000 + frac;
        }

        if (!test_begins(v->line[i - 1], "#EXT-X-PROGRAM")) {
            continue;
        }

        /* forward again through this segment */

        extinf = -1;
        parts = 0;

        for (k = i; k < v->n; k++) {
            if (test_begins(v->line[k], "#EXT-X-PART:")) {
                if (sscanf(strstr(v->line[k], "URI="),
                           "URI=\"seg-k3f9-%*u.%u.m4s", &index) != 1
                    || index != parts++)
                {
                    return "a part is missing";
                }

            } else if (test_begins(v->line[k], "#EXTINF:")) {
                extinf = test_extinf(v->line[k]);

            } else if (!test_begins(v->line[k], "#EXT-X-GAP")) {
                break;
            }
        }

        if (extinf >= 0 && parts && sum != extinf) {
            return "the parts do not add up";
        }

        /* the list of parts is longer than is shown, so all are shown */

        if (extinf >= 0 && (parts != 0) != (edge <= 600000)) {
            return "parts too far from the edge, or too few";
        }

        edge += extinf >= 0 ? extinf : sum;
        sum = 0;
    }

    return NULL;
}


/* HLS-55: what is skipped is what the client has, so it can be put back. */
static const char *
test_delta(const test_version_t *prev, const char *text,
    const live_m3u8_delta_t *d)
{
    char            *cut;
    size_t           i, k, uris;
    const char      *error;
    test_version_t   gone;

    if (d->skipped == 0) {
        return d->head == d->tail ? NULL : "nothing skipped, yet a hole";
    }

    if (strncmp(text + d->head - 29, "\n#EXT-X-INDEPENDENT-SEGMENTS\n", 29)) {
        return "the head is not the header";
    }

    /* what is kept can be decoded by a player that looks no further */

    if (strncmp(text + d->tail, "#EXT-X-DISCONTINUITY\n", 21) != 0
        && (d->map_len < 20
            || strncmp(text + d->map, "#EXT-X-MAP:URI=", 15) != 0
            || text[d->map + d->map_len - 1] != '\n'))
    {
        return "no EXT-X-MAP before what is kept";
    }

    cut = strndup(text + d->head, d->tail - d->head);
    test_split(&gone, cut);
    free(cut);

    error = NULL;
    uris = 0;
    k = 0;

    for (i = 0; i < gone.n && !error; i++) {
        uris += gone.line[i][0] != '#';

        if (i == 0 || test_begins(gone.line[i], "#EXT-X-MAP")) {
            continue;
        }

        while (k < prev->n && strcmp(prev->line[k], gone.line[i]) != 0) {
            k++;
        }

        error = k == prev->n ? "the client does not have what is skipped"
                             : NULL;
    }

    if (uris != d->skipped || gone.line[gone.n - 1][0] == '#') {
        error = "another number of segments";
    }

    free(gone.text);

    return error;
}


static int
test_begins(const char *line, const char *what)
{
    return strncmp(line, what, strlen(what)) == 0;
}
