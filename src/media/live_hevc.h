
/*
 * HEVC as encoders write it, between start codes (ISO 23008-2 Annex B), to a
 * codec record and to samples of hvc1.  Pure; any thread.
 */

#ifndef _LIVE_HEVC_H_INCLUDED_
#define _LIVE_HEVC_H_INCLUDED_


#include "live_buf.h"


/*
 * Writes an HEVCDecoderConfigurationRecord of the parameter sets there (ISO
 * 14496-15 8.3.3.1), of which there are no others, as hvc1 has it.
 * LIVE_ERROR: one of VPS, SPS and PPS is missing or does not fit.
 */
int live_hevc_record(const uint8_t *data, size_t len, live_writer_t *w);

/*
 * Writes the NAL units of an access unit, each behind a length of 4 bytes,
 * without parameter sets and delimiters.  *idr: there was a slice of an IDR
 * picture.  At most len / 3 * 4 + 4 bytes.  LIVE_ERROR: no room.
 */
int live_hevc_access_unit(const uint8_t *data, size_t len, live_writer_t *w,
    int *idr);


#endif /* _LIVE_HEVC_H_INCLUDED_ */
