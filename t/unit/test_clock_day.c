/*
 * A day of an encoder as the server sees it: what playlists give as the time of
 * a picture stays near the time when it has arrived (HLS-21), also where its
 * clock wraps or is fast or slow, as far as quartz crystals are.  Wall-clock
 * time is the anchor, taken when the first frame arrives, plus the time on the
 * timeline, plus the shift of the segment.
 */

#include "live_clock.h"
#include "live_drift.h"
#include "tap.h"

#include <stdlib.h>


#define DAY_US      86400000000
#define LATENCY_US  80000           /* of the network, at least */
#define JITTER_US   30000
#define LIMIT_US    100000          /* see docs/architecture.md */
#define SEGMENT_US  2000000


typedef struct {
    const char  *name;
    uint32_t     num;               /* frames a second */
    uint32_t     den;
    unsigned     announced;
    uint64_t     start_ms;          /* of the encoder's clock */
    unsigned     bits;              /* the same */
    int          ppb;               /* by which it is fast */
} day_t;


static const day_t  days[] = {
    { "25 fps", 25, 1, 1, 0, 32, 0 },
    { "30000/1001 fps", 30000, 1001, 1, 0, 32, 0 },
    { "30000/1001 fps, not announced", 30000, 1001, 0, 0, 32, 0 },
    { "60 fps over 2^32 ms", 60, 1, 1, 4294967296 - 40000000, 32, 0 },
    { "24 fps, a clock of 24 bits", 24, 1, 1, 5000, 24, 0 },
    { "30 fps over 2^31 ms of 31 bits", 30, 1, 1, 2147483648 - 40000000, 31,
      0 },
    { "25 fps, 1 ppm fast", 25, 1, 1, 0, 32, 1000 },
    { "25 fps, 1 ppm slow", 25, 1, 0, 0, 32, -1000 },
    { "30 fps, 50 ppm fast", 30, 1, 1, 0, 32, 50000 },
    { "30 fps, 50 ppm slow, a clock of 24 bits", 30, 1, 0, 0, 24, -50000 },
};


typedef struct {
    live_track_clock_t  clock;
    int64_t             n;          /* frames so far */
    int64_t             worst;      /* us */
    int64_t             lost;
} track_t;


typedef struct {
    int64_t       anchor;           /* us */
    int64_t       start;            /* of the segment */
    int64_t       shift;
    int64_t       step;             /* the largest of a shift */
    live_drift_t  drift;
} day_segment_t;


/* What the encoder's clock says when frame n is taken. */
static int64_t
taken(const day_t *d, live_media_e media, int64_t n)
{
    return media == LIVE_MEDIA_VIDEO ? n * 1000000 * d->den / d->num
                                     : n * 1024 * 1000000 / 48000;
}


static int64_t
wall(const day_t *d, int64_t us)
{
    return us - us / 1000000 * d->ppb / 1000;
}


static uint32_t
stamp(const day_t *d, int64_t us)
{
    uint64_t  ms;

    ms = d->start_ms + (uint64_t) us / 1000;

    return (uint32_t) (ms & (((uint64_t) 1 << d->bits) - 1));
}


/* Frames wait for each other: one that is late delays those behind it, and
 * every ten minutes nothing comes for two seconds. */
static int64_t
arrival(int64_t us)
{
    int64_t         at, stall;
    static int64_t  last;

    at = us + LATENCY_US + (us ? rand() % JITTER_US : 0);
    stall = us % 600000000 - 300000000;

    if (stall >= 0 && stall < 2000000) {
        at += 2000000 - stall;
    }

    if (us == 0 || at > last) {
        last = at;
    }

    return last;
}


/* A segment begins with the first picture behind its time. */
static void
boundary(day_segment_t *seg, int64_t us, int64_t late)
{
    int64_t  shift;

    if (us < seg->start + SEGMENT_US) {
        return;
    }

    shift = live_drift_shift(&seg->drift, late,
                             seg->start < 0 ? 0 : us - seg->start, seg->shift);

    seg->step = llabs(shift - seg->shift) > seg->step
                ? llabs(shift - seg->shift) : seg->step;
    seg->shift = shift;
    seg->start = us;
}


/* What is promised is the time of arrival without what the network adds. */
static void
frame(const day_t *d, live_clock_t *clock, track_t *t, live_media_e media,
    int64_t us, int64_t arrived, day_segment_t *seg)
{
    int64_t  at, ticks, off;

    t->n++;

    if (live_clock_map(clock, media, stamp(d, us), &at) != LIVE_CLOCK_STEADY
        || live_track_clock_map(&t->clock, at, &ticks) != LIVE_OK)
    {
        t->lost++;
        return;
    }

    at = live_ticks_to_us(ticks, t->clock.timescale);

    if (media == LIVE_MEDIA_VIDEO) {
        boundary(seg, at, arrived - seg->anchor - at);
    }

    off = llabs(seg->anchor + at + seg->shift - (wall(d, us) + LATENCY_US));

    t->worst = off > t->worst ? off : t->worst;
}


static void
test_day(const day_t *d)
{
    int                i;
    int64_t            us[2], at, late;
    track_t            tracks[2];
    live_clock_t       clock;
    day_segment_t      seg;
    live_codec_info_t  info[2];

    info[LIVE_MEDIA_VIDEO] = (live_codec_info_t) {
        .media = LIVE_MEDIA_VIDEO,
        .timescale = LIVE_VIDEO_TIMESCALE,
        .fps_num = d->announced ? d->num : 0,
        .fps_den = d->announced ? d->den : 0
    };

    info[LIVE_MEDIA_AUDIO] = (live_codec_info_t) {
        .media = LIVE_MEDIA_AUDIO,
        .timescale = 48000,
        .frame_samples = 1024
    };

    for (i = 0; i < 2; i++) {
        tracks[i] = (track_t) { .n = 0 };
        live_track_clock_init(&tracks[i].clock, &info[i], 0);
    }

    live_clock_start(&clock, 0);
    seg = (day_segment_t) { .anchor = arrival(0), .start = -SEGMENT_US };
    late = 0;

    do {
        for (i = 0; i < 2; i++) {
            us[i] = taken(d, i, tracks[i].n);
        }

        i = us[1] < us[0];
        at = arrival(wall(d, us[i]));
        late += at > wall(d, us[i]) + 1000000;
        frame(d, &clock, &tracks[i], i, us[i], at, &seg);

    } while (wall(d, us[i]) < DAY_US);

    tap_ok(tracks[LIVE_MEDIA_VIDEO].lost == 0
           && tracks[LIVE_MEDIA_AUDIO].lost == 0
           && tracks[LIVE_MEDIA_VIDEO].n > 86390ll * d->num / d->den
           && late > 100,
           "24 h of %s: no jump, no frame is lost, though %d arrive late",
           d->name, (int) late);
    tap_ok(tracks[0].worst <= LIMIT_US && tracks[1].worst <= LIMIT_US,
           "24 h of %s: dates are at most %.1f ms (pictures) and %.1f ms "
           "(sound) off (HLS-21)", d->name,
           tracks[LIVE_MEDIA_VIDEO].worst / 1000.0,
           tracks[LIVE_MEDIA_AUDIO].worst / 1000.0);
    tap_ok(d->ppb ? seg.step && seg.step < SEGMENT_US / 1000 * 2
                                           * LIVE_DRIFT_RATE / 1000
                  : seg.step == 0,
           "24 h of %s: the date of no segment moves by more than %d us",
           d->name, (int) seg.step);
}


int
main(void)
{
    size_t  i;

    srand(1);

    for (i = 0; i < sizeof(days) / sizeof(days[0]); i++) {
        test_day(&days[i]);
    }

    return tap_done();
}
