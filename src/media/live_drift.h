
/*
 * How far the clock of an encoder has run away from the wall clock, and by how
 * much the dates of what it sends have to move for that (HLS-21).  Pure; any
 * thread.
 *
 * What counts is by how much more or less media is late than it was at first:
 * that a publisher began with a burst, or comes by a long way, is no drift.
 *
 * Media keep their pace, for that is the one of the encoder; what moves is the
 * date of a segment, slower than anybody sees: a player that adds durations up
 * is off by no more than the limit.  Clocks of quartz crystals are within half
 * of it.
 */

#ifndef _LIVE_DRIFT_H_INCLUDED_
#define _LIVE_DRIFT_H_INCLUDED_


#include "live_types.h"


/* A difference from what it was at first is left alone up to the first, from
 * there on it is corrected down to the second, us. */
#define LIVE_DRIFT_MOST   50000
#define LIVE_DRIFT_LEAST  5000

/* us by which a date moves for each second of media: 100 ppm */
#define LIVE_DRIFT_RATE   100

/* media is late by what the network adds: the least of so many boundaries,
 * and of as many before them, counts */
#define LIVE_DRIFT_COUNT  16


typedef struct {
    int64_t   least;        /* us, since the count began */
    int64_t   before;       /* the least of the count before */
    int64_t   base;         /* us, how late it was at first */
    uint32_t  count;
    unsigned  known:1;      /* "before" is valid */
    unsigned  moves:1;      /* a correction is under way */
} live_drift_t;


/*
 * Called for each boundary of segments, in order; a zeroed structure begins.
 * late: us from the date without a shift, which is anchor plus media time, to
 * the arrival; negative where the encoder is fast.  length: us since the
 * boundary before, 0 where it is not known.  The result is the shift for the
 * segment that begins, where shift was that of the one before.
 */
int64_t live_drift_shift(live_drift_t *d, int64_t late, int64_t length,
    int64_t shift);


#endif /* _LIVE_DRIFT_H_INCLUDED_ */
