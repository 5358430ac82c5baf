
/* Frames and packets in lists, for the tests of decoding and encoding. */

#ifndef _TEST_LADDER_H_INCLUDED_
#define _TEST_LADDER_H_INCLUDED_


#include "live_transcode.h"
#include "test_media.h"


#define LADDER_FRAMES  512


typedef struct {
    live_frame_t  *frame[LADDER_FRAMES];
    int            n;
} frames_t;


static inline void
frames_add(void *ctx, live_frame_t *frame)
{
    frames_t  *list = ctx;

    if (list->n == LADDER_FRAMES) {
        abort();
    }

    list->frame[list->n++] = frame;
}


static inline void
frames_free(frames_t *list)
{
    while (list->n) {
        live_frame_free(list->frame[--list->n]);
    }
}


/* A picture of its own, grey, of 8 bits and limited range. */
static inline AVFrame *
ladder_picture(int width, int height, int format, int64_t pts)
{
    AVFrame  *f;

    f = av_frame_alloc();
    f->width = width;
    f->height = height;
    f->format = format;
    f->pts = pts;

    if (av_frame_get_buffer(f, 0) < 0) {
        abort();
    }

    return f;
}


static inline live_encoder_t *
ladder_encoder(const live_rung_t *rung, uint32_t width, uint32_t height,
    double fps)
{
    const char          *reason;
    live_encoder_t      *e;
    live_rung_source_t   s;

    memset(&s, 0, sizeof(s));

    s.width = width;
    s.height = height;
    s.fps = fps;
    s.primaries = 1;
    s.transfer = 1;
    s.matrix = 1;

    e = live_encoder_create_video(rung, &s, &reason);

    if (e == NULL) {
        printf("# no encoder: %s\n", reason);
    }

    return e;
}


/* A finished rung with parameters, separated by spaces. */
static inline live_rung_t
ladder_rung(const char *name, const char *parameters)
{
    size_t        n;
    live_rung_t   r;
    const char   *reason, *p;

    live_rung_init(&r, name);

    for (p = parameters; *p; p += n + (p[n] == ' ')) {
        n = strcspn(p, " ");

        if (live_rung_parameter(&r, p, n, &reason) != LIVE_OK) {
            abort();
        }
    }

    if (live_rung_finish(&r, &reason) != LIVE_OK) {
        abort();
    }

    return r;
}


/* Media of our own encoder: n moving pictures, a key frame each gop. */
static inline int
ladder_media(live_packet_t **packets, live_encoder_t *e, int n, int gop,
    int64_t start, int64_t step)
{
    int                 i, rc;
    AVFrame            *f;
    const char         *reason;
    live_codec_info_t   info;
    const uint8_t      *config;
    size_t              len;

    live_encoder_config(e, &info, &config, &len);

    rc = LIVE_OK;

    for (i = 0; i < n && rc == LIVE_OK; i++) {
        f = ladder_picture((int) info.width, (int) info.height,
                           AV_PIX_FMT_YUV420P, start + i * step);
        media_picture(f, i);

        if (i % gop == 0) {
            live_frame_mark(f);
        }

        rc = live_encoder_encode(e, f, packets, &reason);
        live_frame_free(f);
    }

    return rc == LIVE_OK ? live_encoder_encode(e, NULL, packets, &reason) : rc;
}


static inline live_sample_t
ladder_sample(const live_packet_t *p)
{
    live_sample_t  s;

    memset(&s, 0, sizeof(s));

    s.dts = p->dts;
    s.cts = (int32_t) (p->pts - p->dts);
    s.size = p->size;
    s.duration = p->duration;
    s.flags = p->key ? LIVE_SAMPLE_KEY : 0;

    return s;
}


#endif /* _TEST_LADDER_H_INCLUDED_ */
