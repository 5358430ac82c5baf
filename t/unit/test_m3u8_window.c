
/*
 * A strict reader that follows the versions of a live playlist and finds what
 * no version may do to the one before it (HLS-11 to HLS-13, HLS-20, HLS-94).
 */

#include <stdlib.h>
#include <time.h>

#include "test_m3u8.h"


#define TEST_MSNS     4096


/* What the strict reader knows about a segment. */
typedef struct {
    int        seen;
    uint64_t   dsn;
    long long  pdt;             /* ms since 1970 */
    long       extinf;          /* 10 us */
    char       uri[96];
    char       map[96];
} test_seen_t;


/* The strict reader: of a playlist, and of all its versions so far. */
typedef struct {
    long         target;
    long long    msn;
    long long    dsn;
    long long    count;
    long long    end;           /* MSN after the last listed segment */
    int          versions;
    int          ended;

    /* of the segment that is being read */
    uint64_t     cur_msn;
    uint64_t     cur_dsn;
    int          discontinuity;
    int          fresh_map;
    int          gap;
    long long    pdt;
    long         extinf;
    char         map[96];

    char         error[256];
    test_seen_t  seen[TEST_MSNS];
} test_reader_t;


static void test_reader_is_strict(void);
static void test_window(void);

static int test_read(test_reader_t *t, const char *text);
static int test_read_line(test_reader_t *t, const char *line);
static int test_read_segment(test_reader_t *t, const char *uri);
static int test_fail(test_reader_t *t, const char *what, const char *line);
static long long test_parse_pdt(const char *s);


int
main(void)
{
    test_reader_is_strict();
    test_window();

    return tap_done();
}


/* The reader is worth nothing unless it finds faults. */
static void
test_reader_is_strict(void)
{
    unsigned        i;
    test_reader_t  *t;

#define TEST_HEAD(msn, dsn)                                                   \
    "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:4\n"                    \
    "#EXT-X-MEDIA-SEQUENCE:" msn "\n#EXT-X-DISCONTINUITY-SEQUENCE:" dsn "\n"
#define TEST_MAP  "#EXT-X-MAP:URI=\"i\"\n"
#define TEST_SEG(sec, uri)                                                    \
    "#EXT-X-PROGRAM-DATE-TIME:2026-01-31T12:00:" sec ".000Z\n"                \
    "#EXTINF:4.00000,\n" uri "\n"

    static const struct {
        const char  *a;
        const char  *b;
        int          good;
    } cases[] = {
        { TEST_HEAD("1", "0") TEST_MAP TEST_SEG("00", "a") TEST_SEG("04", "b"),
          TEST_HEAD("2", "0") TEST_MAP TEST_SEG("04", "b"), 1 },
        { TEST_HEAD("1", "0") TEST_MAP TEST_SEG("00", "a") TEST_SEG("04", "b"),
          TEST_HEAD("2", "0") TEST_MAP TEST_SEG("04", "c"), 0 },
        { TEST_HEAD("1", "0") TEST_MAP TEST_SEG("00", "a"),
          TEST_HEAD("1", "1") TEST_MAP TEST_SEG("00", "a"), 0 },
        { TEST_HEAD("2", "0") TEST_MAP TEST_SEG("00", "a"),
          TEST_HEAD("1", "0") TEST_MAP TEST_SEG("00", "b"), 0 },
        { TEST_HEAD("1", "0") TEST_MAP TEST_SEG("00", "a") TEST_SEG("04", "b"),
          TEST_HEAD("1", "0") TEST_MAP TEST_SEG("00", "a"), 0 },
        { TEST_HEAD("1", "0") TEST_MAP TEST_SEG("00", "a"),
          TEST_HEAD("1", "0") TEST_MAP TEST_SEG("00", "a")
          TEST_SEG("05", "b"), 0 },
        { TEST_HEAD("1", "0") TEST_MAP TEST_SEG("00", "a"),
          TEST_HEAD("1", "0") TEST_MAP TEST_SEG("00", "a")
          "#EXT-X-DISCONTINUITY\n" TEST_SEG("04", "b"), 0 },
        { TEST_HEAD("1", "0") TEST_MAP TEST_SEG("00", "a"),
          TEST_HEAD("1", "0") TEST_SEG("00", "a"), 0 },
        { TEST_HEAD("1", "0") TEST_MAP TEST_SEG("00", "a")
          "#EXT-X-ENDLIST\n",
          TEST_HEAD("1", "0") TEST_MAP TEST_SEG("00", "a"), 0 },
        { TEST_HEAD("1", "0") TEST_MAP TEST_SEG("00", "a"),
          TEST_HEAD("1", "0") TEST_HEAD("1", "0") TEST_MAP
          TEST_SEG("00", "a"), 0 }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        t = calloc(1, sizeof(test_reader_t));

        tap_ok(test_read(t, cases[i].a)
               && test_read(t, cases[i].b) == cases[i].good,
               "the strict reader, case %u: %s", i, t->error);

        free(t);
    }
}


/*
 * A stream of 2,000 segments in a window of 15, with discontinuities, gaps
 * and new init segments at odd places; one to three segments leave at a time.
 */
static void
test_window(void)
{
    int                   ok;
    uint32_t              i, first, keep;
    int64_t               now;
    live_m3u8_media_t     p;
    live_m3u8_segment_t  *segs, *seg;
    test_reader_t        *t;

    segs = calloc(2000, sizeof(live_m3u8_segment_t));
    t = calloc(1, sizeof(test_reader_t));

    p = (live_m3u8_media_t) {
        .epoch = "k3f9", .timescale = 90000, .target_duration = 4,
        .anchor_ms = TEST_ANCHOR, .next_msn = 1000
    };

    ok = test_read(t, test_render(&p));
    now = 0;
    first = 0;

    for (i = 0; i < 2000; i++) {
        seg = &segs[i];
        seg->msn = 1000 + i;
        seg->start = now;
        seg->duration = 3003 * (100 + (int64_t) i * 7 % 34);
        seg->init = i / 97;
        seg->flags = i % 41 ? TEST_I : 0;

        if (i % 23 == 3 || i % 97 == 0 || i % 50 == 4) {
            seg->flags |= TEST_D;
            seg->start += 90000;
        }

        if (i % 31 == 30) {
            seg->flags |= TEST_G;
        }

        now = seg->start + seg->duration;
        /* sometimes some of them leave early */

        keep = 15 - i % 3 * (i % 10 == 9);

        for ( /* void */ ; i + 1 - first > keep; first++) {
            if (segs[first].flags & TEST_D) {
                p.discontinuity_sequence++;
            }
        }

        p.segments = &segs[first];
        p.nsegments = i + 1 - first;
        p.ended = i == 1999;

        ok = ok && test_read(t, test_render(&p));
    }

    tap_ok(ok && t->versions == 2001 && t->ended,
           "2,001 versions of a sliding window, HLS-11 HLS-12 HLS-13 HLS-20 "
           "HLS-21 HLS-94 %s", t->error);

    free(segs);
    free(t);
}


/* Reads the next version; 0 and t->error at the first fault. */
static int
test_read(test_reader_t *t, const char *text)
{
    char         line[256];
    size_t       i, len;
    long long    msn, dsn;
    const char  *end;

    static const char  *const  once[] = {
        "#EXTM3U", "#EXT-X-VERSION:", "#EXT-X-TARGETDURATION:",
        "#EXT-X-MEDIA-SEQUENCE:", "#EXT-X-DISCONTINUITY-SEQUENCE:"
    };

    for (i = 0; i < sizeof(once) / sizeof(once[0]); i++) {
        if (test_count(text, once[i]) != 1) {
            return test_fail(t, "not once", once[i]);
        }
    }

    if (t->ended) {
        return test_fail(t, "a version after the end", "");
    }

    msn = t->msn;
    dsn = t->dsn;

    t->versions++;
    t->count = -1;
    t->map[0] = '\0';
    t->pdt = t->extinf = -1;
    t->discontinuity = t->fresh_map = t->gap = 0;

    for ( /* void */ ; *text; text = end + 1) {
        end = strchr(text, '\n');
        len = end ? (size_t) (end - text) : sizeof(line);

        if (len >= sizeof(line)) {
            return test_fail(t, "bad line", "");
        }

        memcpy(line, text, len);
        line[len] = '\0';

        if (!test_read_line(t, line)) {
            return 0;
        }
    }

    if ((long long) t->cur_msn < t->end) {
        return test_fail(t, "a segment was taken back", "");
    }

    t->end = (long long) t->cur_msn;

    if (t->msn < msn || t->dsn < dsn) {
        return test_fail(t, "a sequence number went back", "");
    }

    return 1;
}


static int
test_read_line(test_reader_t *t, const char *line)
{
    int  value;

    if (t->count == -1) {
        t->count = 0;
        return strcmp(line, "#EXTM3U") == 0 || test_fail(t, "first", line);
    }

    if (sscanf(line, "#EXT-X-TARGETDURATION:%d", &value) == 1) {
        if (t->target && t->target != value) {
            return test_fail(t, "target changed", line);
        }

        t->target = value;
        return 1;
    }

    if (sscanf(line, "#EXT-X-MEDIA-SEQUENCE:%lld", &t->msn) == 1) {
        t->cur_msn = (uint64_t) t->msn;
        return t->count == 0 || test_fail(t, "late", line);
    }

    if (sscanf(line, "#EXT-X-DISCONTINUITY-SEQUENCE:%lld", &t->dsn) == 1) {
        t->cur_dsn = (uint64_t) t->dsn;
        return t->count == 0 || test_fail(t, "late", line);
    }

    if (sscanf(line, "#EXT-X-MAP:URI=\"%90[^\"]\"", t->map) == 1) {
        t->fresh_map = 1;
        return 1;
    }

    if (strcmp(line, "#EXT-X-DISCONTINUITY") == 0) {
        t->cur_dsn++;
        t->fresh_map = 0;
        return !t->discontinuity++ || test_fail(t, "twice", line);
    }

    if (strncmp(line, "#EXT-X-PROGRAM-DATE-TIME:", 25) == 0) {
        t->pdt = test_parse_pdt(line + 25);
        return t->pdt >= 0 || test_fail(t, "date", line);
    }

    if (strncmp(line, "#EXTINF:", 8) == 0) {
        t->extinf = test_extinf(line);
        return t->extinf >= 0 || test_fail(t, "extinf", line);
    }

    if (strcmp(line, "#EXT-X-GAP") == 0) {
        t->gap = 1;
        return 1;
    }

    if (strcmp(line, "#EXT-X-ENDLIST") == 0) {
        t->ended = 1;
        return 1;
    }

    if (strcmp(line, "#EXT-X-VERSION:6") == 0
        || strcmp(line, "#EXT-X-INDEPENDENT-SEGMENTS") == 0)
    {
        return t->count == 0 || test_fail(t, "late", line);
    }

    return line[0] != '#' ? test_read_segment(t, line)
                          : test_fail(t, "unknown tag", line);
}


static int
test_read_segment(test_reader_t *t, const char *uri)
{
    long long     gap;
    test_seen_t  *seen, *prev;

    seen = &t->seen[t->cur_msn % TEST_MSNS];
    prev = &t->seen[(t->cur_msn - 1) % TEST_MSNS];

    if (t->extinf < 0 || t->pdt < 0 || t->map[0] == '\0') {
        return test_fail(t, "EXTINF, date or MAP is missing", uri);
    }

    if (t->discontinuity && !t->fresh_map) {
        return test_fail(t, "no MAP after DISCONTINUITY", uri);
    }

    if ((t->extinf + 50000) / 100000 > t->target) {
        return test_fail(t, "longer than the target", uri);
    }

    if (seen->seen
        && (seen->dsn != t->cur_dsn || seen->pdt != t->pdt
            || seen->extinf != t->extinf || strcmp(seen->uri, uri) != 0
            || strcmp(seen->map, t->map) != 0))
    {
        return test_fail(t, "the segment changed", uri);
    }

    gap = t->pdt * 100 - prev->pdt * 100 - prev->extinf;

    if (t->count && !t->discontinuity && (gap > 100 || gap < -100)) {
        return test_fail(t, "the dates do not follow", uri);
    }

    if (t->count && t->discontinuity && gap < 0) {
        return test_fail(t, "a wall time is claimed twice", uri);
    }

    seen->seen = 1;
    seen->dsn = t->cur_dsn;
    seen->pdt = t->pdt;
    seen->extinf = t->extinf;
    snprintf(seen->uri, sizeof(seen->uri), "%s", uri);
    snprintf(seen->map, sizeof(seen->map), "%s", t->map);

    t->cur_msn++;
    t->count++;
    t->pdt = t->extinf = -1;
    t->discontinuity = t->fresh_map = t->gap = 0;

    return 1;
}


static int
test_fail(test_reader_t *t, const char *what, const char *line)
{
    snprintf(t->error, sizeof(t->error), "version %d: %s: %.80s",
             t->versions, what, line);

    return 0;
}


static long long
test_parse_pdt(const char *s)
{
    int        n, ms;
    struct tm  tm;

    memset(&tm, 0, sizeof(tm));
    n = 0;

    if (sscanf(s, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ%n", &tm.tm_year, &tm.tm_mon,
               &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &ms, &n)
        != 7 || n != 24 || s[n] != '\0')
    {
        return -1;
    }

    tm.tm_year -= 1900;
    tm.tm_mon -= 1;

    return (long long) timegm(&tm) * 1000 + ms;
}
