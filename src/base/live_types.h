
/*
 * Words that every layer shares.  Pure: no nginx header; any thread.
 *
 * Timeline: each stream has one timeline that starts at 0 with the epoch of
 * the stream.  A track counts it in ticks of its own timescale (90000 for
 * video, the sampling rate for audio); what must be compared across tracks
 * is counted in microseconds.
 */

#ifndef _LIVE_TYPES_H_INCLUDED_
#define _LIVE_TYPES_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>


#define LIVE_OK            0
#define LIVE_ERROR        -1    /* malformed or refused; the reason is known */
#define LIVE_AGAIN        -2    /* needs more input */
#define LIVE_OVERFLOW     -3    /* the output does not fit */

#define LIVE_VIDEO_TIMESCALE  90000


typedef enum {
    LIVE_MEDIA_VIDEO = 0,
    LIVE_MEDIA_AUDIO
} live_media_e;


typedef enum {
    LIVE_CODEC_NONE = 0,
    LIVE_CODEC_H264,
    LIVE_CODEC_AAC,
    LIVE_CODEC_HEVC,
    LIVE_CODEC_AV1,
    LIVE_CODEC_VP9
} live_codec_e;


/* live_sample_t.flags */
#define LIVE_SAMPLE_KEY    0x0001   /* random access point (IDR); any audio */
#define LIVE_SAMPLE_OPEN   0x0002   /* the same, but only a recovery point */


/*
 * One access unit.  dts is on the track's timeline, in ticks; the sample is
 * presented at dts + cts.  offset is its place in the media file.
 */
typedef struct {
    uint64_t  offset;
    int64_t   dts;
    int32_t   cts;
    uint32_t  duration;
    uint32_t  size;
    uint32_t  flags;
} live_sample_t;


/* What a codec record says; the record itself is kept apart by the owner. */
typedef struct {
    live_codec_e  codec;
    live_media_e  media;

    uint32_t      timescale;          /* ticks of the track in a second */

    /* video; size after cropping, sample aspect ratio 0:0 when unknown */
    uint32_t      width;
    uint32_t      height;
    uint32_t      sar_num;
    uint32_t      sar_den;
    uint32_t      fps_num;            /* 0 when the bit stream does not say */
    uint32_t      fps_den;
    uint32_t      nal_length_size;    /* 1, 2 or 4; AV1 and VP9: 0 */

    /* audio */
    uint32_t      sample_rate;        /* output rate (after SBR) */
    uint32_t      channels;
    uint32_t      frame_samples;      /* ticks of timescale in a frame */

    char          codecs[48];         /* RFC 6381, NUL-terminated */
} live_codec_info_t;


#endif /* _LIVE_TYPES_H_INCLUDED_ */
