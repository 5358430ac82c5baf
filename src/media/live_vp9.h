
/*
 * VP9 as encoders write it to a codec record and to samples of vp09 (VP Codec
 * ISO Media File Format Binding).  Pure; any thread.
 */

#ifndef _LIVE_VP9_H_INCLUDED_
#define _LIVE_VP9_H_INCLUDED_


#include "live_buf.h"
#include "live_rung.h"


/*
 * Writes a VPCodecConfigurationRecord for profile 0, limited range: what is
 * encoded of such pictures at a rate of so many bit/s (0: unknown), which the
 * level follows from.  LIVE_ERROR: no room.
 */
int live_vp9_record(const live_rung_source_t *picture, uint32_t rate,
    live_writer_t *w);

/*
 * Writes a frame, or a superframe, as it is.  *key: decoding can begin with
 * it, that is, the first frame is a key frame that is shown.  LIVE_ERROR: not
 * exactly one of its frames is shown, or no room.
 */
int live_vp9_sample(const uint8_t *data, size_t len, live_writer_t *w,
    int *key);


#endif /* _LIVE_VP9_H_INCLUDED_ */
