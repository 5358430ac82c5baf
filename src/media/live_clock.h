
/*
 * From RTMP's milliseconds to exact times on a track's timeline
 * (RTMP-24, RTMP-89, CMAF-14, CMAF-77).  Pure; any thread.
 *
 * One live_clock_t per publication maps the publisher's 32-bit millisecond
 * clock, which may wrap, restart or jump, onto microseconds of the stream's
 * timeline; one live_track_clock_t per track turns these into ticks that
 * neither jitter nor drift.
 */

#ifndef _LIVE_CLOCK_H_INCLUDED_
#define _LIVE_CLOCK_H_INCLUDED_


#include "live_types.h"


typedef enum {
    LIVE_CLOCK_STEADY = 0,
    LIVE_CLOCK_JUMP         /* a discontinuity: the clock must be re-based */
} live_clock_e;


typedef struct {
    unsigned  started:1;
    unsigned  seen:2;       /* bit per live_media_e */
    unsigned  late:2;       /* the same: still as before the last jump */
    uint32_t  turned;       /* ms that a clock of less than 32 bits has lost */
    int64_t   ms[2];        /* last by live_media_e, unwrapped */
    int64_t   offset_us;    /* timeline = ms * 1000 + offset_us */

    /* the same before the last jump, for what is late */
    uint32_t  late_turned;
    int64_t   late_ms[2];
    int64_t   late_us[2];
} live_clock_t;


/*
 * A jump is a step back of one type against itself, or a step forward against
 * the latest timestamp of any type, that is larger than this.  A type that
 * comes for the first time may begin up to a gap before the other one.
 *
 * No jump is the wrap of a clock of 24 or 31 bits, which encoders have that
 * forget the extended timestamp or keep it in a signed number.
 */
#define LIVE_CLOCK_MAX_GAP_MS   10000
#define LIVE_CLOCK_MAX_BACK_MS  1000


/* Starts the clock: the next timestamp is at_us on the timeline. */
void live_clock_start(live_clock_t *c, int64_t at_us);

/*
 * The same behind a jump.  The other type may come with times of before the
 * jump for a while, for encoders do not send both in step, or for ever, where
 * it has a clock of its own: it goes on as it was until it jumps as well.
 */
void live_clock_restart(live_clock_t *c, int64_t at_us);

/*
 * Takes the timestamp of one message of a media type, 32 bits, in arrival
 * order; *us gets its place on the timeline.  On LIVE_CLOCK_JUMP nothing has
 * changed and *us is undefined: call live_clock_restart() where the new time
 * belongs and pass the timestamp again.
 */
live_clock_e live_clock_map(live_clock_t *c, live_media_e media,
    uint32_t timestamp, int64_t *us);


typedef struct {
    live_media_e  media;
    uint32_t      timescale;
    uint32_t      frame;        /* ticks of one frame when steady; 0 unknown */
    uint32_t      frame_rem;    /* numerator of the fraction of a tick ... */
    uint32_t      frame_den;    /* ... and its denominator */
    uint32_t      acc;          /* fraction accumulated */
    int64_t       next;         /* where the next frame is expected */
    int64_t       last;         /* ticks of the sample before */
    int64_t       last_us;      /* the same, as it came */
    unsigned      started:1;
    unsigned      known:1;      /* the rate is announced, not estimated */
    uint32_t      misses;       /* frames in a row that were not on the grid */

    /* estimate of a rate from a run of regular frames */
    int64_t       est_first_us;
    int64_t       est_min_us;   /* smallest and largest distance */
    int64_t       est_max_us;
    uint32_t      est_frames;
} live_track_clock_t;


/*
 * fps or frame size from info where known; framerate is the metadata's (0:
 * unknown) and only a hint.  A video rate that the frames contradict is given
 * up; one that nothing announces is estimated, and until then, or as long as
 * the frames are irregular, the result follows us.
 */
void live_track_clock_init(live_track_clock_t *c,
    const live_codec_info_t *info, double framerate);

/*
 * Turns the microseconds of the next sample, in decode order, into ticks.
 * Within the tolerance of the millisecond clock a steady rate is extrapolated
 * exactly; otherwise the result follows us.  Video: a frame more than 1.5 ms
 * off moves the grid, unless frames were left out and it fits again.  Audio:
 * frames follow each other without a gap until the difference exceeds two
 * frames; then one gap is made, or, when the audio is ahead of its timestamps,
 * LIVE_AGAIN asks to drop this frame.  The result is always greater than the
 * one before, also after a reset.
 */
int live_track_clock_map(live_track_clock_t *c, int64_t us, int64_t *ticks);

/* Ticks that the sample just mapped lasts when the next one comes as
 * expected: never 0. */
uint32_t live_track_clock_duration(const live_track_clock_t *c);

/* 1 when the rate is known and the sample just mapped came on it: the next
 * one is expected where live_track_clock_duration() says. */
int live_track_clock_steady(const live_track_clock_t *c);

/*
 * The composition offset, in ticks, of the video sample just mapped: its
 * milliseconds are as coarse as those of the timestamps, so at a steady rate
 * what is within 1.5 ms of whole frames becomes whole frames.  us: the offset
 * as it came, not more than 10 s either way (RTMP-84).
 */
int32_t live_track_clock_cts(const live_track_clock_t *c, int64_t us);

/* Forgets the expectation, not the rate: the next sample follows its
 * microseconds. */
void live_track_clock_reset(live_track_clock_t *c);


/* Exact conversions with rounding to nearest; they saturate at 64 bits. */
int64_t live_us_to_ticks(int64_t us, uint32_t timescale);
int64_t live_ticks_to_us(int64_t ticks, uint32_t timescale);


#endif /* _LIVE_CLOCK_H_INCLUDED_ */
