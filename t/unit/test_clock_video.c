/* Video on its clock: RTMP-89, CMAF-14, CMAF-77, CMAF-78. */

#include "live_clock.h"
#include "tap.h"

#include <math.h>
#include <stdlib.h>


#define DAY_US   86400000000
#define DRIFT    135                /* 1.5 ms in ticks of 90 kHz */


typedef enum {
    TRUNCATE = 0,
    ROUND
} rounding_e;


typedef struct {
    uint32_t  num;
    uint32_t  den;
} rate_t;


/* What a run of frames showed. */
typedef struct {
    int64_t  worst;                 /* largest distance from the ideal */
    int64_t  first;
    int64_t  uneven;                /* frames off first + n * period, where
                                       an estimate may be a tick off, as its
                                       fraction of a tick began elsewhere */
    int64_t  predicted;             /* durations that came true */
    int64_t  frames;
    int      back;                  /* not greater than the one before */
} run_t;


static const rate_t  rates[] = {
    { 24000, 1001 }, { 24, 1 }, { 25, 1 }, { 30000, 1001 }, { 30, 1 },
    { 50, 1 }, { 60000, 1001 }, { 60, 1 }
};

#define RATES  (sizeof(rates) / sizeof(rates[0]))


static uint32_t  seed = 1;


static uint32_t
rnd(uint32_t n)
{
    seed = seed * 1664525 + 1013904223;

    return (seed >> 8) % n;
}


static live_codec_info_t
video_info(uint32_t num, uint32_t den)
{
    return (live_codec_info_t) {
        .media = LIVE_MEDIA_VIDEO,
        .timescale = 90000,
        .fps_num = num,
        .fps_den = den
    };
}


static uint32_t
rtmp_ms(uint64_t n, const rate_t *r, uint64_t start_us, rounding_e rounding)
{
    uint64_t  us;

    us = n * r->den * 1000000 / r->num + start_us;

    return (uint32_t) ((us + (rounding == ROUND ? 500 : 0)) / 1000);
}


/*
 * Frames of an exact rate as an encoder sends them, through both clocks; from
 * is the frame that the measurement begins with.
 */
static run_t
run_video(live_track_clock_t *c, const rate_t *r, uint64_t start_us,
    rounding_e rounding, int64_t from)
{
    run_t         run;
    int64_t       i, us, t, last, ideal, exact, next;
    uint32_t      ts;
    live_clock_t  clock;

    run = (run_t) { .frames = DAY_US / 1000000 * r->num / r->den };

    live_clock_start(&clock, 0);

    ideal = 0;
    next = -1;
    last = -1;

    for (i = 0; i < run.frames; i++) {
        ts = rtmp_ms(i, r, start_us, rounding);

        if (live_clock_map(&clock, LIVE_MEDIA_VIDEO, ts, &us) || us < 0
            || live_track_clock_map(c, us, &t) != LIVE_OK)
        {
            run.back = 1;
            break;
        }

        run.back |= t <= last;
        run.predicted += t == next;

        last = t;
        next = t + live_track_clock_duration(c);

        /* the first timestamp has an error as well: 0 is the ideal there */
        ideal = i * 90000 * r->den / r->num;

        if (llabs(t - ideal) > run.worst) {
            run.worst = llabs(t - ideal);
        }

        if (i == from) {
            run.first = t;
        }

        if (i >= from) {
            exact = (i - from) * 90000 * r->den / r->num;
            run.uneven += llabs(t - run.first - exact) > (from != 0);
        }
    }

    return run;
}


static void
test_known_rates(void)
{
    int                 r;
    run_t               run;
    size_t              i;
    live_codec_info_t   info;
    live_track_clock_t  c;

    for (i = 0; i < RATES; i++) {
        for (r = TRUNCATE; r <= ROUND; r++) {
            info = video_info(rates[i].num, rates[i].den);
            live_track_clock_init(&c, &info, 0);
            run = run_video(&c, &rates[i], 77003 * i, r, 0);

            tap_ok(!run.back && run.worst < DRIFT && run.uneven == 0
                   && run.predicted == run.frames - 1,
                   "24 h of %.3f fps, %s: exact, %.2f ms off at most "
                   "(CMAF-77, RTMP-89)",
                   (double) rates[i].num / rates[i].den,
                   r == ROUND ? "rounded" : "truncated", run.worst / 90.0);
        }
    }
}


static void
test_unknown_rates(void)
{
    int                 r;
    run_t               run;
    size_t              i;
    live_codec_info_t   info;
    live_track_clock_t  c;

    info = video_info(0, 0);

    for (i = 0; i < RATES; i++) {
        for (r = TRUNCATE; r <= ROUND; r++) {
            live_track_clock_init(&c, &info, 0);
            run = run_video(&c, &rates[i], 333 * i, r, 150);

            tap_ok(!run.back && run.worst < DRIFT && c.frame && !c.known
                   && run.predicted > run.frames - 300 && run.uneven == 0,
                   "24 h of %.3f fps, %s, not announced: estimated within "
                   "150 frames, %.2f ms off at most",
                   (double) rates[i].num / rates[i].den,
                   r == ROUND ? "rounded" : "truncated", run.worst / 90.0);
        }
    }
}


static void
check_rate(const live_codec_info_t *info, double framerate, uint32_t num,
    uint32_t den, const char *name)
{
    live_track_clock_t  c;

    live_track_clock_init(&c, info, framerate);

    tap_ok(num == 0 ? c.frame == 0 && !c.known
           : c.known && ((uint64_t) c.frame * c.frame_den + c.frame_rem) * num
                        == (uint64_t) 90000 * den * c.frame_den,
           "%s", name);
}


static void
test_announced(void)
{
    live_codec_info_t  info, ntsc;

    ntsc = video_info(30000, 1001);
    check_rate(&ntsc, 60, 30000, 1001, "the bit stream counts first");

    info = video_info(0, 0);
    check_rate(&info, 29.97, 30000, 1001, "metadata 29.97 is 30000/1001");
    check_rate(&info, 23.976, 24000, 1001, "metadata 23.976 is 24000/1001");
    check_rate(&info, 59.94, 60000, 1001, "metadata 59.94 is 60000/1001");
    check_rate(&info, 30, 30, 1, "metadata 30 is 30");
    check_rate(&info, 25.01, 25, 1, "metadata 25.01 is 25");
    check_rate(&info, 17, 17, 1, "metadata 17 as it is");
    check_rate(&info, 0, 0, 0, "metadata 0 is nothing");
    check_rate(&info, 1000, 0, 0, "metadata 1000 is a time base");
    check_rate(&info, 301, 0, 0, "metadata 301 is nothing");
    check_rate(&info, -25, 0, 0, "metadata -25 is nothing");
    check_rate(&info, NAN, 0, 0, "metadata NaN is nothing");
    check_rate(&info, INFINITY, 0, 0, "metadata infinity is nothing");

    info = video_info(1000, 1);
    check_rate(&info, 0, 0, 0, "1000 fps in a VUI is a time base");
    check_rate(&info, 25, 25, 1, "then the metadata counts");
    info = video_info(UINT32_MAX, 1);
    check_rate(&info, 0, 0, 0, "2^32 fps");
    info = video_info(1, UINT32_MAX);
    check_rate(&info, 0, 0, 0, "a frame in 136 years");
    info = video_info(UINT32_MAX, UINT32_MAX / 25);
    check_rate(&info, 0, 25, 1, "large terms near 25");
}


/* A rate that is announced wrongly: within a few frames it is given up. */
static void
test_contradiction(const rate_t *said, const rate_t *real)
{
    run_t               run;
    live_codec_info_t   info;
    live_track_clock_t  c;

    info = video_info(said->num, said->den);
    live_track_clock_init(&c, &info, 0);

    run = run_video(&c, real, 0, TRUNCATE, 150);

    tap_ok(!run.back && run.worst < DRIFT && run.uneven == 0 && !c.known
           && run.predicted > run.frames - 300,
           "%.2f announced, %.2f arrives: %.2f ms off at most",
           (double) said->num / said->den, (double) real->num / real->den,
           run.worst / 90.0);
}


/* Frame n arrives at at[n]; the result never leaves it by more than 1.5 ms. */
typedef struct {
    int64_t  worst;
    int      back;
    int64_t  last;
    int64_t  due;                   /* last + duration */
} follow_t;


static void
follow(live_track_clock_t *c, follow_t *f, int64_t us)
{
    int64_t  t, off;

    if (live_track_clock_map(c, us, &t) != LIVE_OK) {
        f->back = 1;
        return;
    }

    off = llabs(t - live_us_to_ticks(us, c->timescale));

    f->worst = off > f->worst ? off : f->worst;
    f->back |= t <= f->last;
    f->last = t;
    f->due = t + live_track_clock_duration(c);
}


static void
test_video_drift(void)
{
    int                 ppm, announced;
    int64_t             i, us;
    follow_t            f;
    live_codec_info_t   info;
    live_track_clock_t  c;

    for (ppm = -100; ppm <= 100; ppm += 200) {
        for (announced = 0; announced < 2; announced++) {
            info = announced ? video_info(30, 1) : video_info(0, 0);
            live_track_clock_init(&c, &info, 0);
            f = (follow_t) { .last = -1 };

            for (i = 0; i < 30 * 86400; i++) {
                us = i * 1000000 / 30;
                us += us / 1000000 * ppm;
                follow(&c, &f, us / 1000 * 1000);
            }

            tap_ok(!f.back && f.worst <= DRIFT && c.frame == 3000 - (ppm > 0
                   ? 0 : 1) && fabs(c.frame + (double) c.frame_rem
                                    / c.frame_den - 3000 - ppm * 0.003) < 0.02,
                   "video clock %d ppm off, %s: bounded, measured as %.3f",
                   ppm, announced ? "announced" : "not announced",
                   c.frame + (double) c.frame_rem / c.frame_den);
        }
    }
}


static void
test_vfr(void)
{
    int                 i;
    int64_t             us;
    follow_t            f;
    live_codec_info_t   info;
    live_track_clock_t  c;

    info = video_info(0, 0);
    live_track_clock_init(&c, &info, 0);
    f = (follow_t) { .last = -1 };

    for (i = 0, us = 0; i < 100000; i++) {
        follow(&c, &f, us);
        us += 5000 + rnd(60) * 1000;
    }

    tap_ok(!f.back && f.worst == 0 && c.frame == 0,
           "a variable rate is followed exactly");

    info = video_info(60, 1);
    live_track_clock_init(&c, &info, 0);
    f = (follow_t) { .last = -1 };

    for (i = 0, us = 0; i < 100000; i++) {
        follow(&c, &f, us);
        us += 5000 + rnd(60) * 1000;
    }

    tap_ok(!f.back && f.worst <= DRIFT && !c.known,
           "a variable rate announced as 60 fps is followed");

    /* a telephone: 30 fps on average, each frame up to 4 ms late */

    info = video_info(30, 1);
    live_track_clock_init(&c, &info, 0);
    f = (follow_t) { .last = -1 };

    for (i = 0; i < 100000; i++) {
        us = i * 1000000ll / 30 / 1000 * 1000;
        follow(&c, &f, us + rnd(5) * 1000);
    }

    tap_ok(!f.back && f.worst <= DRIFT, "a jittering rate is followed");

    /* from 30 fps to 25 and back, as some cameras do at night */

    live_track_clock_init(&c, &info, 0);
    f = (follow_t) { .last = -1 };

    for (i = 0, us = 0; i < 9000; i++) {
        follow(&c, &f, us / 1000 * 1000);
        us += i / 3000 == 1 ? 40000 : 33333;
    }

    tap_ok(!f.back && f.worst <= DRIFT && c.frame == 3000,
           "a rate that changes is estimated anew");
}


/* B-frames: pts as exact as dts, from milliseconds as coarse (CMAF-78). */
static void
test_composition(const rate_t *r, rounding_e rounding)
{
    int                 bad;
    int64_t             i, k, t, first, dts_ms, pts_ms, pts;
    live_codec_info_t   info;
    live_track_clock_t  c;

    info = video_info(r->num, r->den);
    live_track_clock_init(&c, &info, 0);

    first = 0;

    for (i = 0, bad = 0; i < 200000; i++) {
        dts_ms = rtmp_ms(i + 100, r, 0, rounding);

        k = i > 100 ? rnd(9) : 0;
        k = k == 8 ? -3 : k;

        pts_ms = rtmp_ms(i + k + 100, r, 0, rounding);

        live_track_clock_map(&c, dts_ms * 1000, &t);
        pts = t + live_track_clock_cts(&c, (pts_ms - dts_ms) * 1000);

        if (i == 0) {
            first = t;
        }

        bad |= pts != first + (i + k) * 90000 * r->den / r->num;
    }

    tap_ok(!bad, "composition offsets at %.3f fps are exact, %s",
           (double) r->num / r->den,
           rounding == ROUND ? "rounded" : "truncated");

    bad = live_track_clock_cts(&c, 7000) != 630
          || live_track_clock_cts(&c, 0) != 0
          || live_track_clock_cts(&c, -8388608000) != -754974720;

    tap_ok(!bad, "other offsets are kept as they are");
}


static void
test_dropped(void)
{
    int                 i, uneven, drops;
    int64_t             us, t, next;
    live_codec_info_t   info;
    live_track_clock_t  c;

    info = video_info(30000, 1001);
    live_track_clock_init(&c, &info, 0);
    uneven = 0;
    drops = 0;

    for (i = 0; i < 1000000; i++) {

        /* up to four in a row; each time the clock comes back to the grid */
        if (rnd(50) == 0) {
            i += 1 + rnd(4);
            drops++;
        }

        us = i * 1001000ll / 30 / 1000 * 1000;
        live_track_clock_map(&c, us, &t);
        uneven += t != i * 3003ll;
    }

    tap_ok(drops > 10000 && uneven == 0 && c.known,
           "dropped frames leave whole frames out (RTMP-96)");

    live_track_clock_init(&c, &info, 0);

    for (i = 0; i < 100; i++) {
        live_track_clock_map(&c, i * 33367, &t);
    }

    live_track_clock_map(&c, 90000000, &t);
    next = live_track_clock_duration(&c);

    tap_ok(t == 8100000 && next == 3003, "a pause of 87 s moves the grid");

    next = t;
    live_track_clock_map(&c, 89500000, &t);
    tap_ok(t == next + 1, "time never goes back");

    live_track_clock_reset(&c);
    live_track_clock_map(&c, 120000000, &t);
    tap_ok(t == 10800000 && live_track_clock_duration(&c) == 3003,
           "a reset keeps the rate");

    live_track_clock_reset(&c);
    live_track_clock_map(&c, 5, &t);
    tap_ok(t == 10800001, "a reset does not let time go back");
}


int
main(void)
{
    static const rate_t  r60 = { 60, 1 }, r30 = { 30, 1 }, r15 = { 15, 1 },
                         r50 = { 50, 1 }, r25 = { 25, 1 },
                         film = { 24000, 1001 },
                         ntsc = { 30000, 1001 }, fields = { 60000, 1001 };

    test_announced();
    test_known_rates();
    test_unknown_rates();

    test_contradiction(&r60, &r30);
    test_contradiction(&r15, &r30);
    test_contradiction(&fields, &ntsc);
    test_contradiction(&r50, &r25);
    test_contradiction(&r25, &r30);
    test_contradiction(&r30, &r60);

    test_video_drift();
    test_vfr();
    test_dropped();

    test_composition(&r30, TRUNCATE);
    test_composition(&ntsc, ROUND);
    test_composition(&film, TRUNCATE);
    test_composition(&fields, ROUND);

    return tap_done();
}
