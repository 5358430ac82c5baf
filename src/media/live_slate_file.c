#include "live_slate_file.h"

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <stdlib.h>
#include <sys/stat.h>


/* pictures may have so many pixels: 8192 x 4320 */
#define LIVE_SLATE_PIXELS   (8192 * 4320)

/* us from one picture to the next where nothing tells */
#define LIVE_SLATE_PICTURE  40000


typedef struct {
    AVCodecContext      *ctx;           /* NULL: there is no such track */
    int                  index;
    AVRational           time_base;
    int64_t              next;          /* us, where the next one is likely */
    unsigned             ended:1;
} live_slate_source_t;


struct live_slate_file_s {
    AVFormatContext     *format;
    AVPacket            *pkt;
    live_slate_stop_pt   stop;
    int64_t              start;         /* us */
    live_slate_source_t  sources[2];    /* by live_media_e */
    unsigned             eof:1;
    unsigned             decoded:1;     /* something was */
};


static int live_slate_file_format(live_slate_file_t *f, const char *path);
static int live_slate_file_interrupt(void *ctx);
static void live_slate_file_track(live_slate_file_t *f, live_media_e media);
static int live_slate_file_send(live_slate_file_t *f);
static int live_slate_file_receive(live_slate_file_t *f,
    live_media_e media, AVFrame *frame);
static void live_slate_file_time(live_slate_file_t *f,
    live_slate_source_t *s, live_media_e media, AVFrame *frame);


live_slate_file_t *
live_slate_file_open(const char *path, live_slate_stop_pt stop,
    const char **reason)
{
    struct stat         st;
    live_slate_file_t  *f;

    if (stat(path, &st) == -1) {
        *reason = "it is not there, or in a directory that cannot be read";
        return NULL;
    }

    if (!S_ISREG(st.st_mode)) {
        *reason = "it is not a regular file";
        return NULL;
    }

    *reason = "no memory";

    f = calloc(1, sizeof(live_slate_file_t));
    if (f == NULL) {
        return NULL;
    }

    f->stop = stop;
    f->pkt = av_packet_alloc();

    if (f->pkt == NULL) {
        live_slate_file_close(f);
        return NULL;
    }

    if (live_slate_file_format(f, path) != LIVE_OK) {
        *reason = "libavformat cannot read it";
        live_slate_file_close(f);
        return NULL;
    }

    live_slate_file_track(f, LIVE_MEDIA_VIDEO);
    live_slate_file_track(f, LIVE_MEDIA_AUDIO);

    if (f->sources[0].ctx == NULL && f->sources[1].ctx == NULL) {
        *reason = "it has no picture and no sound that libavcodec can decode";
        live_slate_file_close(f);
        return NULL;
    }

    return f;
}


/* A playlist must not lead elsewhere. */
static int
live_slate_file_format(live_slate_file_t *f, const char *path)
{
    int            rc;
    AVDictionary  *options;

    f->format = avformat_alloc_context();
    if (f->format == NULL) {
        return LIVE_ERROR;
    }

    f->format->interrupt_callback.callback = live_slate_file_interrupt;
    f->format->interrupt_callback.opaque = f;

    options = NULL;

    /* and a name with a percent sign is a name */

    if (av_dict_set(&options, "protocol_whitelist", "file", 0) < 0
        || av_dict_set(&options, "pattern_type", "none", 0) < 0)
    {
        av_dict_free(&options);
        return LIVE_ERROR;
    }

    /* frees the context when it fails */

    rc = avformat_open_input(&f->format, path, NULL, &options);
    av_dict_free(&options);

    if (rc < 0 || avformat_find_stream_info(f->format, NULL) < 0) {
        return LIVE_ERROR;
    }

    /* how it is to be turned is said of the track, not of its pictures */

    av_format_inject_global_side_data(f->format);

    if (f->format->start_time != AV_NOPTS_VALUE) {
        f->start = f->format->start_time;
    }

    return LIVE_OK;
}


static int
live_slate_file_interrupt(void *ctx)
{
    return live_slate_file_stopped(ctx);
}


int
live_slate_file_stopped(const live_slate_file_t *f)
{
    return f->stop && f->stop();
}


static void
live_slate_file_track(live_slate_file_t *f, live_media_e media)
{
    int                   n;
    AVStream             *st;
    const AVCodec        *codec;
    live_slate_source_t  *s;

    s = &f->sources[media];

    n = av_find_best_stream(f->format, media == LIVE_MEDIA_VIDEO
                                       ? AVMEDIA_TYPE_VIDEO
                                       : AVMEDIA_TYPE_AUDIO,
                            -1, -1, &codec, 0);

    if (n < 0 || codec == NULL) {
        return;
    }

    st = f->format->streams[n];

    s->ctx = avcodec_alloc_context3(codec);
    if (s->ctx == NULL) {
        return;
    }

    s->index = n;
    s->time_base = st->time_base;

    s->ctx->thread_count = 1;
    s->ctx->pkt_timebase = st->time_base;

    if (avcodec_parameters_to_context(s->ctx, st->codecpar) >= 0) {
        s->ctx->max_pixels = LIVE_SLATE_PIXELS;

        if (avcodec_open2(s->ctx, codec, NULL) >= 0) {
            return;
        }
    }

    avcodec_free_context(&s->ctx);
}


int
live_slate_file_has(const live_slate_file_t *f, live_media_e media)
{
    return f->sources[media].ctx != NULL;
}


int
live_slate_file_read(live_slate_file_t *f, AVFrame **result,
    live_media_e *media, const char **reason)
{
    int       i;
    AVFrame  *frame;

    frame = av_frame_alloc();

    if (frame == NULL) {
        *reason = "no memory";
        return LIVE_ERROR;
    }

    for ( ;; ) {

        if (live_slate_file_stopped(f)) {
            *reason = "it is not wanted any more";
            break;
        }

        for (i = 0; i < 2; i++) {
            if (live_slate_file_receive(f, i, frame)) {
                f->decoded = 1;
                *result = frame;
                *media = i;
                return LIVE_OK;
            }
        }

        if (f->eof && live_slate_file_send(f) != LIVE_OK) {
            *reason = "nothing in it can be decoded";
            av_frame_free(&frame);
            return f->decoded ? LIVE_AGAIN : LIVE_ERROR;
        }

        if (!f->eof && live_slate_file_send(f) != LIVE_OK) {
            f->eof = 1;
        }
    }

    av_frame_free(&frame);

    return LIVE_ERROR;
}


/* The next packet, or the end to one that has not got it yet.  LIVE_ERROR:
 * there is none. */
static int
live_slate_file_send(live_slate_file_t *f)
{
    int                   i;
    live_slate_source_t  *s;

    for (i = 0; f->eof && i < 2; i++) {
        s = &f->sources[i];

        if (s->ctx && !s->ended) {
            s->ended = 1;
            (void) avcodec_send_packet(s->ctx, NULL);
            return LIVE_OK;
        }
    }

    if (f->eof || av_read_frame(f->format, f->pkt) < 0) {
        return LIVE_ERROR;
    }

    for (i = 0; i < 2; i++) {
        s = &f->sources[i];

        /* what is broken is left out */

        if (s->ctx && f->pkt->stream_index == s->index) {
            (void) avcodec_send_packet(s->ctx, f->pkt);
        }
    }

    av_packet_unref(f->pkt);

    return LIVE_OK;
}


/* 1: there was one. */
static int
live_slate_file_receive(live_slate_file_t *f, live_media_e media,
    AVFrame *frame)
{
    live_slate_source_t  *s;

    s = &f->sources[media];

    while (s->ctx && avcodec_receive_frame(s->ctx, frame) >= 0) {

        if (media == LIVE_MEDIA_VIDEO ? frame->width > 0
                                      : frame->nb_samples > 0
                                        && frame->sample_rate > 0)
        {
            live_slate_file_time(f, s, media, frame);
            return 1;
        }

        av_frame_unref(frame);
    }

    return 0;
}


static void
live_slate_file_time(live_slate_file_t *f, live_slate_source_t *s,
    live_media_e media, AVFrame *frame)
{
    int64_t  us;

    us = s->next;

    if (frame->best_effort_timestamp != AV_NOPTS_VALUE) {
        us = av_rescale_q(frame->best_effort_timestamp, s->time_base,
                          AV_TIME_BASE_Q)
             - f->start;
    }

    frame->pts = us;

    s->next = us + (media == LIVE_MEDIA_VIDEO
                    ? LIVE_SLATE_PICTURE
                    : av_rescale(frame->nb_samples, AV_TIME_BASE,
                                 frame->sample_rate));
}


void
live_slate_file_close(live_slate_file_t *f)
{
    int  i;

    if (f == NULL) {
        return;
    }

    for (i = 0; i < 2; i++) {
        avcodec_free_context(&f->sources[i].ctx);
    }

    avformat_close_input(&f->format);
    av_packet_free(&f->pkt);
    free(f);
}
