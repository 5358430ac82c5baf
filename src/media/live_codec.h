
/*
 * Codec records: what avcC and AudioSpecificConfig say about a track, and
 * the little of a bit stream that packaging needs.  Pure; any thread.
 */

#ifndef _LIVE_CODEC_H_INCLUDED_
#define _LIVE_CODEC_H_INCLUDED_


#include "live_types.h"


/*
 * Reads an AVCDecoderConfigurationRecord (ISO 14496-15 5.3.3.1; CMAF-33) and
 * its first SPS.  On LIVE_ERROR *reason names what is wrong, static text.
 */
int live_avc_parse_config(live_codec_info_t *info, const uint8_t *data,
    size_t len, const char **reason);

/*
 * Reads an HEVCDecoderConfigurationRecord (ISO 14496-15 8.3.3.1) and the first
 * SPS in it; nothing of the VUI, so that the sample aspect ratio and the frame
 * rate stay unknown.
 */
int live_hevc_parse_config(live_codec_info_t *info, const uint8_t *data,
    size_t len, const char **reason);

/* Reads an AV1CodecConfigurationRecord (AV1-ISOBMFF 2.3.3) and the sequence
 * header in it, which has to be there. */
int live_av1_parse_config(live_codec_info_t *info, const uint8_t *data,
    size_t len, const char **reason);

/* Reads a VPCodecConfigurationRecord, without the header of a full box (VP
 * Codec ISO Media File Format Binding).  It says nothing of a size. */
int live_vp9_parse_config(live_codec_info_t *info, const uint8_t *data,
    size_t len, const char **reason);

/* Reads an AudioSpecificConfig (ISO 14496-3 1.6.2.1; CMAF-37, HLS-42). */
int live_aac_parse_config(live_codec_info_t *info, const uint8_t *data,
    size_t len, const char **reason);


/*
 * Walks the length-prefixed NAL units of one H.264 access unit that arrives
 * in slices of any size (RTMP-85, RTMP-86).
 */
typedef struct {
    uint32_t  left;             /* bytes of the current NAL unit to come */
    uint32_t  length;           /* length prefix as read so far */
    uint8_t   need;             /* bytes of the prefix to come */
    uint8_t   length_size;
    uint8_t   prefix[4];        /* of the current NAL unit */
    unsigned  unit:1;           /* a unit that is not empty was seen */
    unsigned  header:1;         /* the next byte is a NAL header */
    unsigned  vcl:1;            /* a slice was seen */
    unsigned  idr:1;            /* an IDR slice was seen */
    unsigned  recovery:1;       /* a recovery point SEI was seen */
    unsigned  bad:1;            /* a length runs past the access unit */
    unsigned  sei:2;            /* live_nal_sei_e: where in an SEI unit */
    unsigned  zeros:2;          /* in it, in a row */
    uint32_t  sei_type;
    uint32_t  sei_size;
    uint32_t  rest;             /* bytes of the access unit to come */
} live_nal_walk_t;


/* size: bytes of the whole access unit; length_size as in avcC. */
void live_nal_walk_init(live_nal_walk_t *w, uint32_t size,
    unsigned length_size);

/* Takes the next slice. */
void live_nal_walk(live_nal_walk_t *w, const uint8_t *data, size_t len);

/* Bytes of a slice, or of the walk itself, which change with the next call. */
typedef struct {
    const uint8_t  *data;
    size_t          len;
} live_nal_run_t;

/*
 * Takes bytes of the next slice, and returns how many; run gets what of the
 * access unit is worth keeping, perhaps nothing: units without a byte, which
 * decoders reject, are left out.  Nothing of one that is broken is kept.
 */
size_t live_nal_take(live_nal_walk_t *w, const uint8_t *data, size_t len,
    live_nal_run_t *run);

/* 1 when all of the access unit was seen and its lengths added up. */
int live_nal_walk_valid(const live_nal_walk_t *w);


#endif /* _LIVE_CODEC_H_INCLUDED_ */
