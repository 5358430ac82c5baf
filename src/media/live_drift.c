
#include "live_drift.h"


static int64_t live_drift_least(const live_drift_t *d);


int64_t
live_drift_shift(live_drift_t *d, int64_t late, int64_t length, int64_t shift)
{
    int64_t  off, most;

    if (d->count == 0 || late < d->least) {
        d->least = late;
    }

    if (++d->count == LIVE_DRIFT_COUNT) {
        /* a burst at the beginning is no drift */

        if (!d->known) {
            d->base = d->least - shift;
        }

        d->before = d->least;
        d->known = 1;
        d->count = 0;
    }

    if (!d->known || length <= 0) {
        return shift;
    }

    off = live_drift_least(d) - d->base - shift;

    if (off > LIVE_DRIFT_MOST || off < -LIVE_DRIFT_MOST) {
        d->moves = 1;

    } else if (off < LIVE_DRIFT_LEAST && off > -LIVE_DRIFT_LEAST) {
        d->moves = 0;
    }

    if (!d->moves) {
        return shift;
    }

    most = length / 1000 * LIVE_DRIFT_RATE / 1000;

    if (off > most) {
        off = most;
    }

    if (off < -most) {
        off = -most;
    }

    return shift + off;
}


static int64_t
live_drift_least(const live_drift_t *d)
{
    return d->count && d->least < d->before ? d->least : d->before;
}
