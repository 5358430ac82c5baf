
/*
 * A rung of a ladder: what "rendition" says, and what it means for a source
 * that is known.  Pure; any thread.
 */

#ifndef _LIVE_RUNG_H_INCLUDED_
#define _LIVE_RUNG_H_INCLUDED_


#include "live_types.h"


#define LIVE_RUNG_NAME      32
#define LIVE_RUNG_OPTIONS   512
#define LIVE_RUNG_MAX_SIDE  8192
#define LIVE_RUNG_THREADS   64


/*
 * Settings; 0 and "" mean that nothing was said.  The encoder holds no
 * pointer into it.
 */
typedef struct {
    char      name[LIVE_RUNG_NAME];
    unsigned  copy:1;           /* the source as it is */
    unsigned  audio_only:1;
    unsigned  tonemap:1;        /* HDR may become SDR */

    int32_t   width;            /* -2: follows from height, even */
    int32_t   height;           /* -2: follows from width */
    uint32_t  video_rate;       /* bit/s */
    uint32_t  maxrate;
    uint32_t  bufsize;          /* bit */
    float     crf;              /* < 0: not set */
    double    fps;              /* most frames a second; 0: as the source */
    double    gop;              /* s between key frames within a segment */
    uint32_t  threads;          /* of the encoder; 0: 1 */

    char      codec[32];        /* encoder of libavcodec, "libx264" */
    char      preset[24];
    char      profile[24];
    char      level[8];
    char      tune[24];
    char      options[LIVE_RUNG_OPTIONS];   /* key=value:key=value */

    uint32_t  audio_rate;       /* bit/s; 0: no setting of its own */
    uint32_t  sample_rate;      /* Hz; 0: as the source */
    uint32_t  channels;         /* 0: as the source, but at most 2 */
    char      audio_codec[32];  /* "aac"; "copy" */
} live_rung_t;


/* What is to be scaled. */
typedef struct {
    uint32_t  width;            /* coded, after cropping */
    uint32_t  height;
    uint32_t  sar_num;          /* 0:0 unknown, taken as 1:1 */
    uint32_t  sar_den;
    double    fps;              /* 0: unknown */
    int       rotation;         /* degrees clockwise to display upright */

    /* ISO 23091-2; 0 and 2: not said */
    uint8_t   primaries;
    uint8_t   transfer;
    uint8_t   matrix;
    unsigned  hdr:1;            /* transfer is PQ or HLG */
} live_rung_source_t;


/* Settings of a rung before its parameters: of the built-in ladder when it has
 * such a name (1080p60 1080p 720p60 720p 480p 360p 240p), else plain.  The
 * name is cut at LIVE_RUNG_NAME - 1 bytes. */
void live_rung_init(live_rung_t *r, const char *name);

/*
 * One parameter of the directive, "key=value" or a word: size=426x240 (either
 * side may be -2), video, maxrate, bufsize, audio (rates: 800k, 2.5m, bit/s),
 * crf, preset, profile, level, tune, fps (25, 30000/1001), gop (2s, 500ms),
 * codec, options, acodec, arate, channels, threads, audio_only, tonemap, copy.
 * LIVE_ERROR with *reason, a static text without the parameter itself.
 */
int live_rung_parameter(live_rung_t *r, const char *text, size_t len,
    const char **reason);

/* Checks the whole and fills what follows from other settings: maxrate (107 %
 * of video), bufsize (150 %), codec, preset veryfast, the audio codec: "aac"
 * where a rate, sampling rate or number of channels is set, else "copy".
 * Whether the encoder exists, and takes the settings, is found when it is
 * created; options that x264 does not know it only logs.  LIVE_ERROR with
 * *reason, static text. */
int live_rung_finish(live_rung_t *r, const char **reason);

/*
 * The size of the picture for a source: even, within the configured size with
 * the source's shape, square pixels, upright.  LIVE_ERROR: the source is
 * smaller, the rung is left out (never upscaled).  A source of up to 2 lines
 * less than asked (1088 or 1078 lines for 1080) counts as of that size; the
 * picture then has the size of the source.
 */
int live_rung_size(const live_rung_t *r, const live_rung_source_t *source,
    uint32_t *width, uint32_t *height);

/* The frame rate for a source: at most fps (and 2 % more, so that 60 for
 * 59.94 is none too many), by leaving out whole frames: source.fps / n.
 * Returns n, 1 at least, and 1 where the source's rate is unknown. */
uint32_t live_rung_divisor(const live_rung_t *r,
    const live_rung_source_t *source);

/* 1 when two rungs can share what is encoded of the audio. */
int live_rung_same_audio(const live_rung_t *a, const live_rung_t *b);

/*
 * 1 when the source's audio can be passed on untouched: "copy" is asked for,
 * or the codec, the sampling rate, the channels and a bit rate not above the
 * rung's.  source_rate: bit/s as measured, 0 when unknown.
 */
int live_rung_passes_audio(const live_rung_t *r,
    const live_codec_info_t *source, uint32_t source_rate);


#endif /* _LIVE_RUNG_H_INCLUDED_ */
