
/*
 * Puts the packets of one segment in MPEG-TS in the form that segments made
 * alone need (specs: cmaf-ts.md 6).  Of live_ts.c only; pure, any thread.
 */

#ifndef _LIVE_TS_PACKETS_H_INCLUDED_
#define _LIVE_TS_PACKETS_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>


#define LIVE_TS_PAT_PID    0x0000
#define LIVE_TS_SDT_PID    0x0011
#define LIVE_TS_PMT_PID    0x1000
#define LIVE_TS_VIDEO_PID  0x0100
#define LIVE_TS_AUDIO_PID  0x0101

/* continuity counters begin and end a segment with a whole turn */
#define LIVE_TS_TURN       16


typedef struct {
    unsigned  pcr_pid;
    int64_t   pcr_end;          /* 90 kHz: that of the next segment */
    int64_t   pcr_lead;         /* the same: before a PTS of sound */
    int       discontinuity;
} live_ts_layout_t;


/*
 * Rewrites len bytes of packets as live_ts.h says of live_ts_mux(); PCRs are
 * added where they are further apart than 100 ms (CMAF-56), each before the
 * sound that is presented pcr_lead later (HLS-84).  *out is freed
 * with free().  LIVE_ERROR with *reason.
 */
int live_ts_arrange(const uint8_t *data, size_t len,
    const live_ts_layout_t *layout, uint8_t **out, size_t *out_len,
    const char **reason);


#endif /* _LIVE_TS_PACKETS_H_INCLUDED_ */
