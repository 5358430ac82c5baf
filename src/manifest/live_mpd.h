
/*
 * DASH manifests from a snapshot (specs: dash.md; ISO 23009-1).  Pure; any
 * thread.  Rendered by the writer of a stream, once per change.
 *
 * The media are the segments of the HLS playlists: $Number$ is their media
 * sequence number, and MPD time is the stream's timeline, so that
 * availabilityStartTime is the Unix time of timeline 0 and never changes
 * (DASH-2, DASH-55, DASH-56).
 */

#ifndef _LIVE_MPD_H_INCLUDED_
#define _LIVE_MPD_H_INCLUDED_


#include "live_types.h"
#include "live_buf.h"
#include "live_date.h"
#include "live_m3u8.h"


/* One track within one period. */
typedef struct {
    const char           *name;     /* folder of its files: Representation */
    const live_codec_info_t  *info;
    double                fps;      /* 0 when unknown */
    uint64_t              bandwidth;        /* bit/s, peak; not 0 */

    /*
     * The segments of the period that are listed, ascending by one in msn,
     * all of one init segment and one timescale.  GAP segments may be among
     * them.  A period on a grid prints none but knows the first one.
     */
    const live_m3u8_segment_t  *segments;
    uint32_t              nsegments;
} live_mpd_track_t;


typedef struct {
    uint64_t              id;       /* unique in the timeline, never reused */
    uint64_t              msn;      /* of its first segment ever */

    /* of its first segment ever, us of the timeline (Period@start, DASH-31) */
    int64_t               start_us;

    /*
     * Segments lie on a grid of this duration (SegmentTemplate@duration with
     * $Number$, DASH-26); 0: they do not, a SegmentTimeline lists them.
     */
    int64_t               grid_us;

    const live_mpd_track_t     *tracks;
    uint32_t              ntracks;

    /* us, by which all of it is presented later than start_us says */
    int64_t               shift;
} live_mpd_period_t;


typedef struct {
    const char           *epoch;            /* token in every name */
    int64_t               anchor_ms;        /* Unix time of timeline 0 */
    int64_t               publish_ms;       /* Unix time of this version */
    uint64_t              window_ms;        /* timeShiftBufferDepth */
    uint32_t              segment_ms;       /* a usual segment */
    uint32_t              target_duration;  /* s; no segment is longer */
    uint32_t              part_target;      /* ms; 0: no low latency */

    /* URI of the clock service, relative to the MPD; UTCTiming, which every
     * live manifest has to have (DASH-6), and low latency the more */
    const char           *time;

    /*
     * After the last segment (DASH-37).  closing: the end is known and nothing
     * is added, but the manifest is still the one of a live stream, for those
     * who are watching: shaka-player shifts the timeline, and dash.js drops
     * what it has not requested, when a manifest that they follow turns
     * static.  ended: type="static", for those who come later.
     */
    unsigned              closing:1;
    unsigned              ended:1;
    int64_t               end_us;   /* of the timeline, when either is set */

    const live_mpd_period_t    *periods;    /* the last one is being made */
    uint32_t              nperiods;
} live_mpd_t;


/*
 * The manifest.  Names, relative to it: NAME/init-EPOCH-N.mp4 and
 * NAME/seg-EPOCH-$Number$.m4s.  Low latency (DASH-40 to DASH-47) is announced
 * while the last period is on a grid that is longer than a part.  A track
 * without segments is left out, and so is a period without tracks.  Once ended
 * every period is a list, so all that is available must be given.
 * LIVE_OVERFLOW when it does not fit, LIVE_ERROR when there is nothing to list
 * or a track has no bandwidth or no timescale.
 */
int live_mpd(live_writer_t *w, const live_mpd_t *mpd);

/* Bytes that are enough for live_mpd(). */
size_t live_mpd_size(const live_mpd_t *mpd);


#endif /* _LIVE_MPD_H_INCLUDED_ */
