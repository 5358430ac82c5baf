
#include "live_m3u8_write.h"


/* EXT-X-VERSION: HLS-4 */
#define LIVE_M3U8_VERSION_TS      3     /* EXTINF with decimals */
#define LIVE_M3U8_VERSION         6     /* EXT-X-MAP */
#define LIVE_M3U8_VERSION_LOW     9     /* EXT-X-SKIP */


static void live_m3u8_version(live_writer_t *w, const live_m3u8_media_t *p,
    uint32_t version);
static void live_m3u8_sequence(live_writer_t *w, const live_m3u8_media_t *p,
    const live_m3u8_segment_t *open);
static uint64_t live_m3u8_first_msn(const live_m3u8_media_t *p,
    const live_m3u8_segment_t *open);
static int live_m3u8_independent(const live_m3u8_media_t *p,
    const live_m3u8_segment_t *open);
static void live_m3u8_discontinuity(live_writer_t *w,
    const live_m3u8_segment_t *seg);
static void live_m3u8_map(live_writer_t *w, const live_m3u8_media_t *p,
    const live_m3u8_segment_t *seg, const live_m3u8_segment_t *prev);
static void live_m3u8_start(live_writer_t *w, const live_m3u8_media_t *p,
    const live_m3u8_segment_t *seg);
static void live_m3u8_segment(live_writer_t *w, const live_m3u8_media_t *p,
    const live_m3u8_segment_t *seg, const char *suffix);
static void live_m3u8_end(live_writer_t *w, const live_m3u8_media_t *p);
static uint64_t live_m3u8_extinf(const live_m3u8_media_t *p,
    const live_m3u8_segment_t *seg);
static int live_m3u8_fits(uint32_t target, uint32_t timescale,
    int64_t duration);


int
live_m3u8_media(live_writer_t *w, const live_m3u8_media_t *p,
    live_m3u8_delta_t *delta)
{
    size_t                      start, at, len;
    uint32_t                    i, skipped;
    live_m3u8_low_t             low;
    live_m3u8_delta_t           cut;
    const live_m3u8_segment_t  *seg, *prev;

    if (p->timescale == 0) {
        return LIVE_ERROR;
    }

    start = live_writer_len(w);
    skipped = delta ? live_m3u8_skippable(p) : 0;
    prev = NULL;

    live_m3u8_low_init(&low, p);

    live_m3u8_version(w, p, live_m3u8_low_latency(p) ? LIVE_M3U8_VERSION_LOW
                                                     : LIVE_M3U8_VERSION);
    live_m3u8_control(w, p);
    live_m3u8_sequence(w, p, low.open);

    cut.head = (uint32_t) (live_writer_len(w) - start);
    cut.tail = cut.head;
    cut.skipped = skipped;
    cut.map = 0;
    cut.map_len = 0;

    for (i = 0; i < p->nsegments && !w->error; i++) {
        seg = &p->segments[i];

        if (i == skipped) {
            cut.tail = (uint32_t) (live_writer_len(w) - start);
        }

        live_m3u8_discontinuity(w, seg);

        at = live_writer_len(w);
        live_m3u8_map(w, p, seg, prev);
        len = live_writer_len(w) - at;

        if (i < skipped && len) {
            cut.map = (uint32_t) (at - start);
            cut.map_len = (uint32_t) len;

        } else if (i == skipped && len) {
            cut.map_len = 0;
        }

        live_m3u8_start(w, p, seg);
        live_m3u8_segment_parts(w, p, &low, i);
        live_m3u8_segment(w, p, seg, ".m4s\n");

        prev = seg;
    }

    if (low.open) {
        live_m3u8_discontinuity(w, low.open);
        live_m3u8_map(w, p, low.open, prev);
        live_m3u8_start(w, p, low.open);
        live_m3u8_open_parts(w, p, &low);
    }

    live_m3u8_low_end(w, p);
    live_m3u8_end(w, p);

    if (w->error) {
        return LIVE_OVERFLOW;
    }

    if (delta) {
        *delta = cut;
    }

    return LIVE_OK;
}


size_t
live_m3u8_media_size(uint32_t nsegments, uint32_t nparts, uint32_t nreports)
{
    return LIVE_M3U8_HEAD_SIZE
           + (size_t) nsegments * LIVE_M3U8_SEGMENT_SIZE
           + (size_t) nparts * LIVE_M3U8_PART_SIZE
           + (size_t) nreports * LIVE_M3U8_REPORT_SIZE;
}


int
live_m3u8_skip(live_writer_t *w, uint32_t skipped)
{
    live_write_str(w, "#EXT-X-SKIP:SKIPPED-SEGMENTS=");
    live_write_decimal(w, skipped);
    live_write_u8(w, '\n');

    return w->error ? LIVE_OVERFLOW : LIVE_OK;
}


int
live_m3u8_ts(live_writer_t *w, const live_m3u8_media_t *p)
{
    uint32_t                    i;
    const live_m3u8_segment_t  *seg;

    if (p->timescale == 0) {
        return LIVE_ERROR;
    }


    live_m3u8_version(w, p, LIVE_M3U8_VERSION_TS);
    live_m3u8_sequence(w, p, NULL);

    for (i = 0; i < p->nsegments && !w->error; i++) {
        seg = &p->segments[i];

        live_m3u8_discontinuity(w, seg);
        live_m3u8_start(w, p, seg);
        live_m3u8_segment(w, p, seg, ".ts\n");
    }

    live_m3u8_end(w, p);

    return w->error ? LIVE_OVERFLOW : LIVE_OK;
}


/* The order of the tags is that of HLS-7. */
static void
live_m3u8_version(live_writer_t *w, const live_m3u8_media_t *p,
    uint32_t version)
{
    live_write_str(w, "#EXTM3U\n#EXT-X-VERSION:");
    live_write_decimal(w, version);
    live_write_str(w, "\n#EXT-X-TARGETDURATION:");
    live_write_decimal(w, p->target_duration);
    live_write_u8(w, '\n');
}


static void
live_m3u8_sequence(live_writer_t *w, const live_m3u8_media_t *p,
    const live_m3u8_segment_t *open)
{
    live_write_str(w, "#EXT-X-MEDIA-SEQUENCE:");
    live_write_decimal(w, live_m3u8_first_msn(p, open));

    /* always: a discontinuity may leave the window at any time, HLS-20 */
    live_write_str(w, "\n#EXT-X-DISCONTINUITY-SEQUENCE:");
    live_write_decimal(w, p->discontinuity_sequence);
    live_write_u8(w, '\n');

    if (live_m3u8_independent(p, open)) {
        live_write_str(w, "#EXT-X-INDEPENDENT-SEGMENTS\n");
    }
}


static uint64_t
live_m3u8_first_msn(const live_m3u8_media_t *p,
    const live_m3u8_segment_t *open)
{
    if (p->nsegments) {
        return p->segments[0].msn;
    }

    return open ? open->msn : p->next_msn;
}


/* HLS-23; the parts of the open segment are listed, so it counts as well */
static int
live_m3u8_independent(const live_m3u8_media_t *p,
    const live_m3u8_segment_t *open)
{
    uint32_t  i, flags;

    for (i = 0; i < p->nsegments; i++) {
        flags = p->segments[i].flags;

        if (!(flags & (LIVE_SEGMENT_INDEPENDENT|LIVE_SEGMENT_GAP))) {
            return 0;
        }
    }

    return open == NULL
           || open->flags & (LIVE_SEGMENT_INDEPENDENT|LIVE_SEGMENT_GAP);
}


static void
live_m3u8_discontinuity(live_writer_t *w, const live_m3u8_segment_t *seg)
{
    if (seg->flags & LIVE_SEGMENT_DISCONTINUITY) {
        live_write_str(w, "#EXT-X-DISCONTINUITY\n");
    }
}


/* HLS-19, HLS-24; prev is NULL for what is listed first */
static void
live_m3u8_map(live_writer_t *w, const live_m3u8_media_t *p,
    const live_m3u8_segment_t *seg, const live_m3u8_segment_t *prev)
{
    if (prev && seg->init == prev->init
        && !(seg->flags & LIVE_SEGMENT_DISCONTINUITY))
    {
        return;
    }

    live_write_str(w, "#EXT-X-MAP:URI=\"init-");
    live_write_str(w, p->epoch);
    live_write_u8(w, '-');
    live_write_decimal(w, seg->init);
    live_write_str(w, ".mp4\"\n");
}


static void
live_m3u8_start(live_writer_t *w, const live_m3u8_media_t *p,
    const live_m3u8_segment_t *seg)
{
    int64_t  us;

    us = live_m3u8_scale(seg->start, live_m3u8_timescale(p, seg), 1000000)
         + seg->shift;

    live_write_str(w, "#EXT-X-PROGRAM-DATE-TIME:");
    live_write_date(w, p->anchor_ms + live_m3u8_scale(us, 1000000, 1000));
    live_write_u8(w, '\n');
}


/* After its parts, as only then it is known whether all of it is there. */
static void
live_m3u8_segment(live_writer_t *w, const live_m3u8_media_t *p,
    const live_m3u8_segment_t *seg, const char *suffix)
{
    if (seg->flags & LIVE_SEGMENT_GAP) {
        live_write_str(w, "#EXT-X-GAP\n");
    }

    live_write_str(w, "#EXTINF:");
    live_write_fixed(w, live_m3u8_extinf(p, seg), LIVE_M3U8_DIGITS);
    live_write_str(w, ",\n");

    live_m3u8_write_name(w, p, seg->msn);
    live_write_str(w, suffix);
}


static void
live_m3u8_end(live_writer_t *w, const live_m3u8_media_t *p)
{
    if (p->ended) {
        live_write_str(w, "#EXT-X-ENDLIST\n");
    }
}


static uint64_t
live_m3u8_extinf(const live_m3u8_media_t *p, const live_m3u8_segment_t *seg)
{
    int64_t   value, limit;
    uint32_t  timescale;

    timescale = live_m3u8_timescale(p, seg);
    value = live_m3u8_span(seg->start, seg->duration, timescale);

    /*
     * Rounding adds less than one unit; it must not be the one that lifts
     * the value to the target duration + 0.5 s (HLS-8).
     */
    limit = (int64_t) p->target_duration * LIVE_M3U8_SECOND
            + LIVE_M3U8_SECOND / 2;

    if (value == limit
        && live_m3u8_fits(p->target_duration, timescale, seg->duration))
    {
        value--;
    }

    return (uint64_t) value;
}


static int
live_m3u8_fits(uint32_t target, uint32_t timescale, int64_t duration)
{
    int64_t  sec, rest;

    sec = duration / timescale;
    rest = duration % timescale;

    return sec < target || (sec == target && 2 * rest < timescale);
}
