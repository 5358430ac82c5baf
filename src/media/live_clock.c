#include "live_clock.h"


#define LIVE_CLOCK_US           1000000

/* Truncation or rounding to ms moves two timestamps apart by up to this. */
#define LIVE_CLOCK_QUANTUM_US   1100

#define LIVE_CLOCK_MIN_FPS      1
#define LIVE_CLOCK_MAX_FPS      300
#define LIVE_CLOCK_DEFAULT_FPS  30

/* Frames in a row off the grid that disprove a rate. */
#define LIVE_CLOCK_MAX_MISSES   4

/* A rate out of the table needs this many frames, another one also time. */
#define LIVE_CLOCK_EST_FRAMES   30
#define LIVE_CLOCK_EST_US       4000000

/* The run is begun anew there, so that products stay in 64 bits. */
#define LIVE_CLOCK_EST_MAX      (1u << 20)
#define LIVE_CLOCK_EST_MAX_US   1000000000000


typedef struct {
    uint32_t  num;
    uint32_t  den;
} live_clock_rate_t;


static int live_clock_late(live_clock_t *c, live_media_e media,
    uint32_t timestamp);
static int64_t live_clock_turn(const live_clock_t *c, uint32_t timestamp,
    int64_t step);
static int live_clock_small(int64_t step);
static int64_t live_clock_latest(const live_clock_t *c);

static int64_t live_clock_scale(int64_t v, uint32_t from, uint32_t to);
static int64_t live_clock_floor(int64_t v, int64_t by);
static int live_clock_near(const live_track_clock_t *c, int64_t off);
static int live_clock_set_fps(live_track_clock_t *c, uint64_t num,
    uint64_t den);
static const live_clock_rate_t *live_clock_snap(uint64_t num, uint64_t den);
static void live_clock_set_period(live_track_clock_t *c, uint64_t num,
    uint64_t den);

static int live_clock_audio(live_track_clock_t *c, int64_t t);
static void live_clock_video(live_track_clock_t *c, int64_t us, int64_t t);
static uint64_t live_clock_grid(const live_track_clock_t *c, int64_t t);
static void live_clock_follow(live_track_clock_t *c, int64_t us, int64_t t);
static void live_clock_expect(live_track_clock_t *c, int64_t distance);
static void live_clock_place(live_track_clock_t *c, int64_t t);
static void live_clock_advance(live_track_clock_t *c, uint64_t frames);

static void live_clock_est_start(live_track_clock_t *c, int64_t us);
static void live_clock_est_frame(live_track_clock_t *c, int64_t us);
static void live_clock_est_grid(live_track_clock_t *c, int64_t us,
    uint64_t frames);
static void live_clock_estimate(live_track_clock_t *c, int64_t us);


/* Rates that sources have; the most usual ones first (RTMP-89). */
static const live_clock_rate_t  live_clock_rates[] = {
    { 24000, 1001 }, { 24, 1 }, { 25, 1 }, { 30000, 1001 }, { 30, 1 },
    { 48, 1 }, { 50, 1 }, { 60000, 1001 }, { 60, 1 },

    { 10, 1 }, { 12, 1 }, { 25, 2 }, { 15000, 1001 }, { 15, 1 }, { 20, 1 },
    { 48000, 1001 }, { 90, 1 }, { 100, 1 }, { 120000, 1001 }, { 120, 1 }
};

#define LIVE_CLOCK_RATES                                                     \
    (sizeof(live_clock_rates) / sizeof(live_clock_rates[0]))


void
live_clock_start(live_clock_t *c, int64_t at_us)
{
    *c = (live_clock_t) {
        .started = 1,
        .offset_us = at_us
    };
}


void
live_clock_restart(live_clock_t *c, int64_t at_us)
{
    unsigned      i, bit;
    live_clock_t  before;

    before = *c;
    live_clock_start(c, at_us);

    c->late = before.seen | before.late;
    c->late_turned = before.turned;

    for (i = 0; i < 2; i++) {
        bit = 1u << i;

        if (before.seen & bit) {
            c->late_ms[i] = before.ms[i];
            c->late_us[i] = before.offset_us;

        } else {
            c->late_ms[i] = before.late_ms[i];
            c->late_us[i] = before.late_us[i];
        }
    }
}


live_clock_e
live_clock_map(live_clock_t *c, live_media_e media, uint32_t timestamp,
    int64_t *us)
{
    int64_t   ms, step, latest, turn;
    unsigned  bit;

    if (!c->started) {
        live_clock_start(c, 0);
    }

    bit = 1u << media;

    if ((c->late & bit) && live_clock_late(c, media, timestamp)) {
        *us = c->late_ms[media] * 1000 + c->late_us[media];
        return LIVE_CLOCK_STEADY;
    }

    if (!c->seen) {
        ms = timestamp;
        c->offset_us -= ms * 1000;

    } else {
        latest = live_clock_latest(c);

        /* serial arithmetic: the shorter way around (RTMP-24) */
        step = (int32_t) (timestamp + c->turned - (uint32_t) latest);
        turn = live_clock_turn(c, timestamp, step);
        step += turn;
        ms = latest + step;

        if (step > LIVE_CLOCK_MAX_GAP_MS
            || ((c->seen & bit) ? ms - c->ms[media] < -LIVE_CLOCK_MAX_BACK_MS
                                : step < -LIVE_CLOCK_MAX_GAP_MS))
        {
            return LIVE_CLOCK_JUMP;
        }

        /* what is late is of before the wrap */

        if (turn > 0) {
            c->turned += (uint32_t) turn;
        }
    }

    c->seen |= bit;
    c->late &= ~bit;
    c->ms[media] = ms;

    *us = ms * 1000 + c->offset_us;

    return LIVE_CLOCK_STEADY;
}


/* 1 when the timestamp goes on where its type was before the last jump. */
static int
live_clock_late(live_clock_t *c, live_media_e media, uint32_t timestamp)
{
    int64_t  step;

    step = (int32_t) (timestamp + c->late_turned
                      - (uint32_t) c->late_ms[media]);

    if (!live_clock_small(step)) {
        return 0;
    }

    c->late_ms[media] += step;

    return 1;
}


/*
 * What makes a small step of one that is as large as the circle of a clock of
 * 24 or 31 bits: 0 where it is none.
 */
static int64_t
live_clock_turn(const live_clock_t *c, uint32_t timestamp, int64_t step)
{
    size_t                i;
    int64_t               size;
    static const uint8_t  bits[] = { 24, 31 };

    for (i = 0; i < sizeof(bits); i++) {

        size = (int64_t) 1 << bits[i];

        if (timestamp >= size) {
            continue;
        }

        if (live_clock_small(step + size)) {
            return size;
        }

        if (c->turned && live_clock_small(step - size)) {
            return -size;
        }
    }

    return 0;
}


static int
live_clock_small(int64_t step)
{
    return step >= -LIVE_CLOCK_MAX_BACK_MS && step <= LIVE_CLOCK_MAX_GAP_MS;
}


static int64_t
live_clock_latest(const live_clock_t *c)
{
    int64_t  video, audio;

    video = c->ms[LIVE_MEDIA_VIDEO];
    audio = c->ms[LIVE_MEDIA_AUDIO];

    switch (c->seen) {
    case 1u << LIVE_MEDIA_VIDEO:
        return video;
    case 1u << LIVE_MEDIA_AUDIO:
        return audio;
    }

    return video > audio ? video : audio;
}


void
live_track_clock_init(live_track_clock_t *c, const live_codec_info_t *info,
    double framerate)
{
    *c = (live_track_clock_t) {
        .media = info->media,
        .timescale = info->timescale,
        .frame_den = 1,
        .last = INT64_MIN
    };

    if (info->media == LIVE_MEDIA_AUDIO) {
        c->frame = info->frame_samples ? info->frame_samples : 1024;
        c->known = 1;
        return;
    }

    if (live_clock_set_fps(c, info->fps_num, info->fps_den) == LIVE_OK) {
        c->known = 1;
        return;
    }

    /* comparisons are false for NaN: nothing is converted that is not sane */

    if (framerate >= LIVE_CLOCK_MIN_FPS && framerate <= LIVE_CLOCK_MAX_FPS
        && live_clock_set_fps(c, (uint64_t) (framerate * 1000 + 0.5), 1000)
           == LIVE_OK)
    {
        c->known = 1;
    }
}


void
live_track_clock_reset(live_track_clock_t *c)
{
    c->started = 0;
    c->misses = 0;
    c->acc = 0;
}


uint32_t
live_track_clock_duration(const live_track_clock_t *c)
{
    int64_t  d;

    if (!c->started) {
        return 1;
    }

    d = c->next - c->last;

    return d < 1 ? 1 : d > UINT32_MAX ? UINT32_MAX : (uint32_t) d;
}


int32_t
live_track_clock_cts(const live_track_clock_t *c, int64_t us)
{
    int64_t  cts, frames, period, units, exact;

    cts = live_us_to_ticks(us, c->timescale);

    if (c->frame == 0 || !c->started) {
        return (int32_t) cts;
    }

    period = (int64_t) c->frame * c->frame_den + c->frame_rem;
    frames = live_clock_floor(cts * c->frame_den + period / 2, period);

    if (frames == 0) {
        exact = 0;

    } else {
        /* where that frame is mapped to, counted from the next one */
        units = c->acc + (frames - 1) * c->frame_rem;

        exact = c->next - c->last + (frames - 1) * c->frame
                + live_clock_floor(units, c->frame_den);
    }

    return (int32_t) (live_clock_near(c, cts - exact) ? exact : cts);
}


int
live_track_clock_map(live_track_clock_t *c, int64_t us, int64_t *ticks)
{
    int64_t  t;

    t = live_us_to_ticks(us, c->timescale);

    if (!c->started) {
        live_clock_est_start(c, us);
        live_clock_place(c, t);
        c->started = 1;

    } else if (c->media == LIVE_MEDIA_VIDEO) {
        live_clock_video(c, us, t);

    } else if (live_clock_audio(c, t) != LIVE_OK) {
        return LIVE_AGAIN;
    }

    c->last_us = us;
    *ticks = c->last;

    return LIVE_OK;
}


int
live_track_clock_steady(const live_track_clock_t *c)
{
    return c->frame != 0 && c->misses == 0;
}


int64_t
live_us_to_ticks(int64_t us, uint32_t timescale)
{
    return live_clock_scale(us, LIVE_CLOCK_US, timescale);
}


int64_t
live_ticks_to_us(int64_t ticks, uint32_t timescale)
{
    return live_clock_scale(ticks, timescale, LIVE_CLOCK_US);
}


/* v * to / from; seconds and the rest apart, so that no product overflows */
static int64_t
live_clock_scale(int64_t v, uint32_t from, uint32_t to)
{
    int64_t  whole, rest;

    whole = live_clock_floor(v, from);
    rest = v % from;

    if (rest < 0) {
        rest += from;
    }

    /* rest < from < 2^32: the sum fits into 64 bits without a sign */
    rest = (int64_t) (((uint64_t) rest * to + from / 2) / from);

    if (__builtin_mul_overflow(whole, (int64_t) to, &whole)
        || __builtin_add_overflow(whole, rest, &whole))
    {
        return v < 0 ? INT64_MIN : INT64_MAX;
    }

    return whole;
}


static int64_t
live_clock_floor(int64_t v, int64_t by)
{
    return v / by - (v % by < 0);
}


/* Within what milliseconds do to the distance of two times: 1.5 ms. */
static int
live_clock_near(const live_track_clock_t *c, int64_t off)
{
    int64_t  tolerance;

    tolerance = (int64_t) c->timescale * 3 / 2000;

    return off >= -tolerance && off <= tolerance;
}


/* LIVE_ERROR for rates that only look like one, such as a time base. */
static int
live_clock_set_fps(live_track_clock_t *c, uint64_t num, uint64_t den)
{
    const live_clock_rate_t  *rate;

    if (den == 0 || num < LIVE_CLOCK_MIN_FPS * den
        || num > LIVE_CLOCK_MAX_FPS * den)
    {
        return LIVE_ERROR;
    }

    rate = live_clock_snap(num, den);

    if (rate) {
        num = rate->num;
        den = rate->den;
    }

    live_clock_set_period(c, c->timescale * den, num);

    return c->frame ? LIVE_OK : LIVE_ERROR;
}


/* The nearest usual rate within 0.1 %: 30 and 30000/1001 are that close. */
static const live_clock_rate_t *
live_clock_snap(uint64_t num, uint64_t den)
{
    size_t                    i;
    double                    off, best;
    const live_clock_rate_t  *r, *found;

    found = NULL;
    best = 0.001;

    for (i = 0; i < LIVE_CLOCK_RATES; i++) {
        r = &live_clock_rates[i];

        off = (double) num / den * r->den / r->num - 1;
        off = off < 0 ? -off : off;

        if (off <= best) {
            best = off;
            found = r;
        }
    }

    return found;
}


/* A frame lasts num / den ticks. */
static void
live_clock_set_period(live_track_clock_t *c, uint64_t num, uint64_t den)
{
    uint64_t  x, y, rest;

    for (x = num, y = den; y; x = y, y = rest) {
        rest = x % y;
    }

    if (den == 0) {
        c->frame = 0;
        return;
    }

    num /= x;
    den /= x;

    while (den > UINT32_MAX) {
        num >>= 1;
        den >>= 1;
    }

    if (num / den > UINT32_MAX) {
        c->frame = 0;
        return;
    }

    c->frame = (uint32_t) (num / den);
    c->frame_rem = (uint32_t) (num % den);
    c->frame_den = (uint32_t) den;
    c->acc = 0;
}


/*
 * Samples, not timestamps, count: what the two are apart is either the
 * rounding of the latter, the drift of a sound card, or something lost.
 */
static int
live_clock_audio(live_track_clock_t *c, int64_t t)
{
    int64_t  off;

    off = t - c->next;

    if (off < -2 * (int64_t) c->frame) {
        return LIVE_AGAIN;
    }

    live_clock_place(c, off > 2 * (int64_t) c->frame ? t : c->next);

    return LIVE_OK;
}


static void
live_clock_video(live_track_clock_t *c, int64_t us, int64_t t)
{
    uint64_t  frames;

    if (c->frame == 0) {
        live_clock_follow(c, us, t);
        return;
    }

    frames = live_clock_grid(c, t);

    if (frames) {
        live_clock_advance(c, frames - 1);
        live_clock_est_grid(c, us, frames);

        c->misses = frames == 1 ? 0 : c->misses + 1;
        c->last = c->next;
        live_clock_advance(c, 1);

    } else {
        c->misses++;
        live_clock_est_frame(c, us);
        live_clock_estimate(c, us);
        live_clock_place(c, t);
    }

    if (c->misses < LIVE_CLOCK_MAX_MISSES) {
        return;
    }

    /* not this rate: estimate it, and expect the last distance until then */

    c->frame = 0;
    c->known = 0;
    c->misses = 0;

    live_clock_expect(c, live_us_to_ticks(us - c->last_us, c->timescale));
    live_clock_est_start(c, us);
}


/*
 * The number of frames from the last sample to t when it lies on the grid
 * within 1.5 ms, more than 1 where frames were dropped; 0 when it does not.
 */
static uint64_t
live_clock_grid(const live_track_clock_t *c, int64_t t)
{
    int64_t   off, rest;
    uint64_t  period, units, k;

    off = t - c->next;

    if (live_clock_near(c, off)) {

        /* at absurd rates the tolerance is longer than a frame */
        return c->next > c->last ? 1 : 0;
    }

    if (off < 0 || off > (int64_t) c->timescale * LIVE_CLOCK_MAX_GAP_MS / 1000)
    {
        return 0;
    }

    period = (uint64_t) c->frame * c->frame_den + c->frame_rem;
    units = (uint64_t) off * c->frame_den;

    k = (units + period / 2) / period;
    rest = off - (int64_t) ((k * period + c->acc) / c->frame_den);

    return k && live_clock_near(c, rest) ? k + 1 : 0;
}


static void
live_clock_follow(live_track_clock_t *c, int64_t us, int64_t t)
{
    int64_t  before;

    before = c->last;

    live_clock_est_frame(c, us);
    live_clock_estimate(c, us);
    live_clock_place(c, t);

    if (c->frame == 0) {
        live_clock_expect(c, c->last - before);
    }
}


/* The last distance again; a pause says nothing about the frame after it. */
static void
live_clock_expect(live_track_clock_t *c, int64_t distance)
{
    if (distance <= 0 || distance > c->timescale) {
        distance = c->timescale / LIVE_CLOCK_DEFAULT_FPS;
    }

    c->next = c->last + distance;
}


/* Puts a sample at t, or as near behind the one before as it may be. */
static void
live_clock_place(live_track_clock_t *c, int64_t t)
{
    if (c->last != INT64_MIN && t <= c->last) {
        t = c->last + 1;
    }

    if (t != c->next) {
        c->acc = 0;
    }

    c->last = t;
    c->next = t;

    if (c->frame) {
        live_clock_advance(c, 1);

    } else {
        live_clock_expect(c, 0);
    }
}


static void
live_clock_advance(live_track_clock_t *c, uint64_t frames)
{
    uint64_t  acc;

    acc = c->acc + frames * c->frame_rem;

    c->next += (int64_t) (frames * c->frame + acc / c->frame_den);
    c->acc = (uint32_t) (acc % c->frame_den);
}


static void
live_clock_est_start(live_track_clock_t *c, int64_t us)
{
    c->est_first_us = us;
    c->est_frames = 0;
}


/* Another frame of the run, or the first one of the next run. */
static void
live_clock_est_frame(live_track_clock_t *c, int64_t us)
{
    int64_t  d, min, max;

    d = us - c->last_us;

    if (d <= 0 || c->est_frames >= LIVE_CLOCK_EST_MAX
        || us - c->est_first_us > LIVE_CLOCK_EST_MAX_US)
    {
        live_clock_est_start(c, us);
        return;
    }

    min = c->est_frames && c->est_min_us < d ? c->est_min_us : d;
    max = c->est_frames && c->est_max_us > d ? c->est_max_us : d;

    if (max - min > LIVE_CLOCK_QUANTUM_US) {
        live_clock_est_start(c, c->last_us);
        min = d;
        max = d;
    }

    c->est_min_us = min;
    c->est_max_us = max;
    c->est_frames++;
}


/* A frame that the grid explains belongs to the run, dropped ones as well. */
static void
live_clock_est_grid(live_track_clock_t *c, int64_t us, uint64_t frames)
{
    if (frames == 1) {
        live_clock_est_frame(c, us);
        return;
    }

    if (c->est_frames + frames >= LIVE_CLOCK_EST_MAX) {
        live_clock_est_start(c, us);
        return;
    }

    c->est_frames += (uint32_t) frames;
}


/*
 * A rate of the table fits when the run, measured to a millisecond, is as
 * long as so many of its frames.  30 frames do not tell 24 from 24000/1001:
 * as long as more than one fits, wait.  When none does, and the run is long
 * enough for a measurement, the rate is what was measured.
 */
static void
live_clock_estimate(live_track_clock_t *c, int64_t us)
{
    size_t                    i;
    int64_t                   span, off;
    unsigned                  fits;
    const live_clock_rate_t  *r, *found;

    if (c->est_frames < LIVE_CLOCK_EST_FRAMES) {
        return;
    }

    span = us - c->est_first_us;
    found = NULL;
    fits = 0;

    for (i = 0; i < LIVE_CLOCK_RATES; i++) {
        r = &live_clock_rates[i];

        off = live_clock_scale((int64_t) c->est_frames * r->den, r->num,
                               LIVE_CLOCK_US) - span;

        if (off >= -LIVE_CLOCK_QUANTUM_US && off <= LIVE_CLOCK_QUANTUM_US) {
            found = r;
            fits++;
        }
    }

    if (fits == 1) {
        live_clock_set_period(c, (uint64_t) c->timescale * found->den,
                              found->num);
        c->known = 0;

    } else if (fits == 0 && span >= LIVE_CLOCK_EST_US) {
        live_clock_set_period(c, (uint64_t) c->timescale * span,
                              (uint64_t) c->est_frames * LIVE_CLOCK_US);
        c->known = 0;
    }
}
