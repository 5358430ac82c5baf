
/*
 * MPEG-TS from CMAF (specs: cmaf-ts.md 6, hls.md 8).  Pure, with libav; for
 * pool threads: it reads and multiplexes a whole segment.
 */

#ifndef _LIVE_TS_H_INCLUDED_
#define _LIVE_TS_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>


#define LIVE_TS_PACKET      188
#define LIVE_TS_MAX_TRACKS  2


/* The bytes of one track: its init segment and one segment. */
typedef struct {
    const uint8_t  *init;
    size_t          init_len;
    const uint8_t  *segment;        /* NULL with 0 bytes: a gap */
    size_t          segment_len;
} live_ts_track_t;


/*
 * Multiplexes a segment of up to two tracks, video first if there is any,
 * into *out, which the caller frees with free().  The same input always gives
 * the same bytes, and segments made alone follow each other without a break:
 * timestamps are those of the timeline modulo 2^33 at 90 kHz (HLS-84,
 * HLS-87), and each PID has a multiple of 16 packets with payload, so that
 * its continuity counter begins at 0 and ends at 15 in every segment.  PAT and
 * PMT come first (CMAF-55), no SDT (CMAF-59).  discontinuity: the
 * discontinuity_indicator is set in the first packet of each PID with media.
 * LIVE_ERROR with *reason: libav refuses, or there is no sample.
 */
int live_ts_mux(const live_ts_track_t *tracks, unsigned ntracks,
    int discontinuity, uint8_t **out, size_t *len, const char **reason);


#endif /* _LIVE_TS_H_INCLUDED_ */
