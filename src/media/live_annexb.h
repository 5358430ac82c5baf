
/*
 * H.264 as encoders write it, between start codes (ISO 14496-10 Annex B), to
 * NAL units with lengths and to a codec record.  Pure; any thread.
 */

#ifndef _LIVE_ANNEXB_H_INCLUDED_
#define _LIVE_ANNEXB_H_INCLUDED_


#include "live_buf.h"


/* A NAL unit of the bytes from r on, without its start code; NULL: the end.
 * r is moved behind it. */
const uint8_t *live_annexb_next(live_reader_t *r, size_t *len);

/*
 * Writes an AVCDecoderConfigurationRecord of the parameter sets there, for
 * 4:2:0 of 8 bits (ISO 14496-15 5.3.3.1).  LIVE_ERROR: there are none, or
 * they do not fit.
 */
int live_annexb_config(const uint8_t *data, size_t len, live_writer_t *w);

/*
 * Writes the NAL units of an access unit, each behind a length of 4 bytes,
 * without parameter sets and delimiters, which the record and the container
 * stand for.  *idr: there was a slice of an IDR picture.  At most len / 3 * 4
 * + 4 bytes.  LIVE_ERROR: no room.
 */
int live_annexb_access_unit(const uint8_t *data, size_t len,
    live_writer_t *w, int *idr);


#endif /* _LIVE_ANNEXB_H_INCLUDED_ */
