
/*
 * What libavformat says of an init segment, for those who decode or remux.
 * Pure, with libav; any thread.
 */

#ifndef _LIVE_AV_H_INCLUDED_
#define _LIVE_AV_H_INCLUDED_


#include <libavcodec/avcodec.h>
#include "live_types.h"


/*
 * Reads the one track of an init segment.  *par is the caller's, to be freed
 * with avcodec_parameters_free(); *timescale: ticks in a second.  LIVE_ERROR
 * with *reason, static text.
 */
int live_av_read_init(const uint8_t *init, size_t len,
    AVCodecParameters **par, uint32_t *timescale, const char **reason);

/* A packet with a copy of len bytes; NULL: no memory. */
AVPacket *live_av_packet(const uint8_t *data, size_t len);


#endif /* _LIVE_AV_H_INCLUDED_ */
