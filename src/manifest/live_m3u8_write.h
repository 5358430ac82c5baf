
/*
 * What the files of the playlist renderer share; for them only.  All of it is
 * pure and for any thread.
 */

#ifndef _LIVE_M3U8_WRITE_H_INCLUDED_
#define _LIVE_M3U8_WRITE_H_INCLUDED_


#include "live_m3u8.h"
#include "live_date.h"
#include "live_decimal.h"


/* Durations are printed in, and compared as, units of 10 us (HLS-10). */
#define LIVE_M3U8_DIGITS  5
#define LIVE_M3U8_SECOND  100000
#define LIVE_M3U8_MS      (LIVE_M3U8_SECOND / 1000)

/* upper bounds: all tags and the widest numbers, see the unit test */
#define LIVE_M3U8_SEGMENT_SIZE    (192 + 2 * LIVE_M3U8_EPOCH_MAX)
#define LIVE_M3U8_PART_SIZE       (112 + LIVE_M3U8_EPOCH_MAX)
#define LIVE_M3U8_REPORT_SIZE     (104 + LIVE_M3U8_EPOCH_MAX)
#define LIVE_M3U8_HEAD_SIZE       (512 + LIVE_M3U8_PART_SIZE                  \
                                   + LIVE_M3U8_SEGMENT_SIZE)


/* Which of the parts belong to a segment; none when count is 0. */
typedef struct {
    uint32_t  first;
    uint32_t  count;
} live_m3u8_run_t;


/* What of the low-latency part of a snapshot is printed. */
typedef struct {
    uint32_t                    segment;    /* the first whose parts are */
    uint32_t                    part;       /* how far the parts are used */
    live_m3u8_run_t             run;        /* of the open segment */
    const live_m3u8_segment_t  *open;       /* NULL: not printed */
} live_m3u8_low_t;


/* Decides it; everything is empty without low latency or after the end. */
void live_m3u8_low_init(live_m3u8_low_t *low, const live_m3u8_media_t *p);

/* EXT-X-SERVER-CONTROL and EXT-X-PART-INF; nothing without low latency. */
void live_m3u8_control(live_writer_t *w, const live_m3u8_media_t *p);

/* EXT-X-PART of a complete segment, which is p->segments[i] (ascending). */
void live_m3u8_segment_parts(live_writer_t *w, const live_m3u8_media_t *p,
    live_m3u8_low_t *low, uint32_t i);

/* EXT-X-PART of the open segment. */
void live_m3u8_open_parts(live_writer_t *w, const live_m3u8_media_t *p,
    const live_m3u8_low_t *low);

/* EXT-X-PRELOAD-HINT and EXT-X-RENDITION-REPORT. */
void live_m3u8_low_end(live_writer_t *w, const live_m3u8_media_t *p);

/* How many segments at the front EXT-X-SKIP may replace. */
uint32_t live_m3u8_skippable(const live_m3u8_media_t *p);


static inline int
live_m3u8_low_latency(const live_m3u8_media_t *p)
{
    return p->part_target != 0;
}


/* A change of the codec may change the timescale of a track. */
static inline uint32_t
live_m3u8_timescale(const live_m3u8_media_t *p,
    const live_m3u8_segment_t *seg)
{
    return seg->timescale ? seg->timescale : p->timescale;
}


/* Rounds to nearest; the split keeps long timelines from overflowing. */
static inline int64_t
live_m3u8_scale(int64_t ticks, uint32_t timescale, uint32_t units)
{
    int64_t  sec, rest;

    sec = ticks / timescale;
    rest = ticks % timescale;

    if (rest < 0) {
        sec--;
        rest += timescale;
    }

    return sec * units + (rest * units + timescale / 2) / timescale;
}


/*
 * From one time to another in units of 10 us.  The difference of two rounded
 * times and not the rounded difference: where segments, or parts, follow each
 * other the sum is exact at any length (HLS-10).
 */
static inline int64_t
live_m3u8_span(int64_t start, int64_t duration, uint32_t timescale)
{
    int64_t  span;

    span = live_m3u8_scale(start + duration, timescale, LIVE_M3U8_SECOND)
           - live_m3u8_scale(start, timescale, LIVE_M3U8_SECOND);

    return span > 0 ? span : 0;
}


/* What the names of a segment and of its parts begin with. */
static inline void
live_m3u8_write_name(live_writer_t *w, const live_m3u8_media_t *p,
    uint64_t msn)
{
    live_write_str(w, "seg-");
    live_write_str(w, p->epoch);
    live_write_u8(w, '-');
    live_write_decimal(w, msn);
}


#endif /* _LIVE_M3U8_WRITE_H_INCLUDED_ */
