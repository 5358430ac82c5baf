
/*
 * CMAF boxes (specs: cmaf-ts.md; ISO 14496-12, 23000-19).  Pure; any thread.
 */

#ifndef _LIVE_CMAF_H_INCLUDED_
#define _LIVE_CMAF_H_INCLUDED_


#include "live_types.h"
#include "live_buf.h"


/*
 * Bytes of [moof][mdat header] for n samples, without padding (CMAF-16).
 * Audio whose samples share one duration needs fewer bytes, but the room is
 * reserved before the samples are known: this is the most that n need.
 */
size_t live_cmaf_header_size(live_media_e media, uint32_t n);

/* The most samples whose header fits into room: any number up to it does. */
uint32_t live_cmaf_header_capacity(live_media_e media, size_t room);

/*
 * Writes moof and the mdat header for n samples (n > 0) into exactly room
 * bytes, padding with a free box inside the moof, after the traf.  The
 * payload of all samples follows directly behind.  sequence is mfhd's number
 * from 1; track_ID is 1; tfdt is samples[0].dts (>= 0, version 1).
 * LIVE_OVERFLOW when room is too small or leaves 1 to 7 bytes of padding
 * (callers reserve through live_cmaf_header_room()), or when the payload does
 * not fit into a box of 32 bits; LIVE_ERROR without samples or before time 0.
 */
int live_cmaf_write_header(uint8_t *buf, size_t room, live_media_e media,
    uint32_t sequence, const live_sample_t *samples, uint32_t n);

/* Room to reserve when about n samples are expected: fits every number of
 * samples from 1 to n, padding included. */
size_t live_cmaf_header_room(live_media_e media, uint32_t n);

/*
 * Writes the init segment (ftyp, moov) for a track whose codec record is
 * config (CMAF-2..6), through libavformat.  Not for a path per sample.
 * LIVE_ERROR with *reason when libavformat refuses, LIVE_OVERFLOW when it
 * does not fit.
 */
int live_cmaf_init_segment(live_writer_t *w, const live_codec_info_t *info,
    const uint8_t *config, size_t config_len, const char **reason);


#endif /* _LIVE_CMAF_H_INCLUDED_ */
