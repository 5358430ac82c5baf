
/*
 * A slate: a picture or a clip, encoded as a loop that stands in for a source
 * while it is away.  Pure, with libav.  Making one takes seconds: a pool
 * thread's work.  What was made does not change; any thread may read it.
 */

#ifndef _LIVE_SLATE_H_INCLUDED_
#define _LIVE_SLATE_H_INCLUDED_


#include "live_types.h"


/* us of a clip that are used, and repeated */
#define LIVE_SLATE_LONGEST  30000000

/* bytes of a slate; the rate of its video, in bit/s, keeps it below */
#define LIVE_SLATE_BYTES    (16 * 1024 * 1024)
#define LIVE_SLATE_RATE     3500000


/* What the source is like that it is made for. */
typedef struct {
    uint32_t            width;          /* 0: it has no video */
    uint32_t            height;
    double              fps;            /* 0: unknown */
    char                profile[12];    /* of libx264: "high" */
    uint32_t            gop;            /* ms from key frame to key frame */
    uint32_t            segment;        /* ms, of which segments are cut ... */
    uint32_t            longest;        /* ... and that none may exceed */

    uint32_t            sample_rate;    /* 0: it has no audio */
    uint32_t            channels;
} live_slate_conf_t;


/* Its samples, one behind the other in data; dts are ticks from the begin of
 * the loop, and no sample has another time of presentation. */
typedef struct {
    live_codec_info_t   info;
    uint8_t            *config;         /* the codec record */
    size_t              config_len;

    uint8_t            *data;
    size_t              len;
    size_t              room;
    live_sample_t      *samples;
    uint32_t            n;              /* 0: there is no such track */
    uint32_t            allocated;
} live_slate_track_t;


typedef struct {
    live_slate_track_t  tracks[2];      /* by live_media_e */
    int64_t             ticks;          /* of the loop, 90000 a second */
} live_slate_t;


/* Asked now and then in the making: 1, it is not wanted any more. */
typedef int (*live_slate_stop_pt)(void);


/*
 * 1 when the file is one to make a slate of: something in it was decoded.  0
 * with *reason, static text.
 */
int live_slate_probe(const char *path, const char **reason);

/*
 * Decodes the file, and encodes it as the source is: H.264 of its size, with
 * black bars where the shape is another one, and its frame rate, in closed
 * GOPs; AAC of its rate and channels, silence where the file has no sound.  A
 * source of sound alone gets no picture, a file of sound a black one.  NULL
 * with *reason, static text.
 */
live_slate_t *live_slate_make(const char *path, const live_slate_conf_t *conf,
    live_slate_stop_pt stop, const char **reason);

/* Bytes that it takes. */
size_t live_slate_bytes(const live_slate_t *slate);

void live_slate_free(live_slate_t *slate);


/* Where one who plays it is: numbers of the next samples since he began. */
typedef struct {
    uint64_t            next[2];
} live_slate_cursor_t;


/*
 * The sample that comes next, of both tracks in order of time; *us is its time
 * since the begin.  The loop repeats: sound goes on without a gap, and begins
 * anew with the first frame behind the begin of each turn.  To be followed by
 * live_slate_step().
 */
const live_sample_t *live_slate_next(const live_slate_t *slate,
    const live_slate_cursor_t *c, live_media_e *media, int64_t *us);

void live_slate_step(live_slate_cursor_t *c, live_media_e media);

/* Goes on at that time, us >= 0. */
void live_slate_seek(const live_slate_t *slate, live_slate_cursor_t *c,
    int64_t us);


#endif /* _LIVE_SLATE_H_INCLUDED_ */
