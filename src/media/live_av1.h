
/*
 * AV1 as encoders write it, OBUs of the low overhead format, to a codec record
 * and to samples of av01 (AV1-ISOBMFF).  Pure; any thread.
 */

#ifndef _LIVE_AV1_H_INCLUDED_
#define _LIVE_AV1_H_INCLUDED_


#include "live_buf.h"


/*
 * Writes an AV1CodecConfigurationRecord of the sequence header there; a record
 * is passed on.  LIVE_ERROR: there is none, or it does not fit.
 */
int live_av1_record(const uint8_t *data, size_t len, live_writer_t *w);

/*
 * Writes a temporal unit as a sample: without temporal delimiters, tile lists
 * and padding (AV1-ISOBMFF 2.4).  *key: decoding can begin with it, that is,
 * the first frame is a key frame that is shown.  At most len bytes.
 * LIVE_ERROR: no room, or an OBU ends too early.
 */
int live_av1_temporal_unit(const uint8_t *data, size_t len, live_writer_t *w,
    int *key);


#endif /* _LIVE_AV1_H_INCLUDED_ */
