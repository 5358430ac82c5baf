
/*
 * What the files of the MPD renderer share; for them only.  All of it is pure
 * and for any thread.
 */

#ifndef _LIVE_MPD_WRITE_H_INCLUDED_
#define _LIVE_MPD_WRITE_H_INCLUDED_


#include "live_mpd.h"
#include "live_m3u8_write.h"


#define LIVE_MPD_SECOND_US  1000000


/* What is decided once for a manifest. */
typedef struct {
    const live_mpd_t         *mpd;
    const live_mpd_period_t  *first;        /* that has something to list */
    const live_mpd_period_t  *last;
    uint32_t                  latency;      /* ms, target; 0: not low latency */
    int64_t                   ahead_us;     /* where there is no grid to ask */
} live_mpd_plan_t;


/* One AdaptationSet: the tracks that are of one kind with its first one. */
typedef struct {
    const live_mpd_plan_t    *plan;
    const live_mpd_period_t  *period;
    const live_mpd_track_t   *first;
    uint32_t                  id;
    live_media_e              media;
    int64_t                   start_us;     /* Period@start */
    unsigned                  grid:1;
} live_mpd_set_t;


/* All sets of set->media, each with its Representations; id and first are
 * filled in. */
void live_mpd_sets(live_writer_t *w, live_mpd_set_t *set);

/* UTCTiming; nothing without a clock service. */
void live_mpd_utc(live_writer_t *w, const live_mpd_t *mpd);

/* An attribute with a space before it. */
void live_mpd_number(live_writer_t *w, const char *name, uint64_t v);

/* xs:duration; v counts units of 10^-digits seconds */
void live_mpd_duration(live_writer_t *w, const char *name, uint64_t v,
    unsigned digits);

/* xs:dateTime of ms since 1970 */
void live_mpd_date(live_writer_t *w, const char *name, int64_t ms);

/* Escaped, for between quotation marks (DASH-13). */
void live_mpd_text(live_writer_t *w, const char *s);


/* A track without a segment has no init segment yet: it is left out. */
static inline const live_mpd_track_t *
live_mpd_next(const live_mpd_period_t *period, live_media_e media,
    const live_mpd_track_t *after)
{
    uint32_t  i;

    i = after ? (uint32_t) (after - period->tracks) + 1 : 0;

    for (/* void */; i < period->ntracks; i++) {
        if (period->tracks[i].info->media == media
            && period->tracks[i].nsegments)
        {
            return &period->tracks[i];
        }
    }

    return NULL;
}


static inline uint32_t
live_mpd_timescale(const live_mpd_track_t *track)
{
    if (track->nsegments && track->segments[0].timescale) {
        return track->segments[0].timescale;
    }

    return track->info->timescale;
}


#endif /* _LIVE_MPD_WRITE_H_INCLUDED_ */
