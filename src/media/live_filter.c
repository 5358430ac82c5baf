#include "live_filter.h"
#include "live_types.h"

#include <libavfilter/avfilter.h>
#include <libavfilter/buffersink.h>
#include <libavfilter/buffersrc.h>
#include <libavutil/mem.h>
#include <stdlib.h>


struct live_filter_s {
    AVFilterGraph    *graph;
    AVFilterContext  *in;
    AVFilterContext  *out;

    int               width;
    int               height;
    int               format;
};


static int live_filter_open(live_filter_t *f, const AVFrame *like,
    const char *chain);
static int live_filter_source(live_filter_t *f, const AVFrame *like);
static int live_filter_parse(live_filter_t *f, const char *chain);


live_filter_t *
live_filter_create(const AVFrame *like, const char *chain)
{
    live_filter_t  *f;

    f = calloc(1, sizeof(live_filter_t));
    if (f == NULL) {
        return NULL;
    }

    f->width = like->width;
    f->height = like->height;
    f->format = like->format;

    f->graph = avfilter_graph_alloc();

    if (f->graph == NULL || live_filter_open(f, like, chain) != LIVE_OK) {
        live_filter_free(f);
        return NULL;
    }

    return f;
}


static int
live_filter_open(live_filter_t *f, const AVFrame *like, const char *chain)
{
    const AVFilter  *sink;

    /* it runs in the caller's thread */
    f->graph->nb_threads = 1;

    sink = avfilter_get_by_name("buffersink");

    if (sink == NULL || live_filter_source(f, like) != LIVE_OK
        || avfilter_graph_create_filter(&f->out, sink, "out", NULL, NULL,
                                        f->graph)
           < 0
        || live_filter_parse(f, chain) != LIVE_OK
        || avfilter_graph_config(f->graph, NULL) < 0)
    {
        return LIVE_ERROR;
    }

    return LIVE_OK;
}


static int
live_filter_source(live_filter_t *f, const AVFrame *like)
{
    int                  rc;
    const AVFilter      *source;
    AVBufferSrcParameters  *par;

    source = avfilter_get_by_name("buffer");
    if (source == NULL) {
        return LIVE_ERROR;
    }

    f->in = avfilter_graph_alloc_filter(f->graph, source, "in");
    par = av_buffersrc_parameters_alloc();

    if (f->in == NULL || par == NULL) {
        av_free(par);
        return LIVE_ERROR;
    }

    par->format = like->format;
    par->width = like->width;
    par->height = like->height;
    par->sample_aspect_ratio = like->sample_aspect_ratio;
    par->time_base = (AVRational) { 1, LIVE_VIDEO_TIMESCALE };

    rc = av_buffersrc_parameters_set(f->in, par);
    av_free(par);

    if (rc < 0 || avfilter_init_str(f->in, NULL) < 0) {
        return LIVE_ERROR;
    }

    return LIVE_OK;
}


static int
live_filter_parse(live_filter_t *f, const char *chain)
{
    int             rc;
    AVFilterInOut  *before, *behind;

    before = avfilter_inout_alloc();
    behind = avfilter_inout_alloc();
    rc = -1;

    if (before && behind) {
        before->name = av_strdup("in");
        before->filter_ctx = f->in;
        behind->name = av_strdup("out");
        behind->filter_ctx = f->out;

        if (before->name && behind->name) {
            rc = avfilter_graph_parse_ptr(f->graph, chain, &behind, &before,
                                          NULL);
        }
    }

    avfilter_inout_free(&before);
    avfilter_inout_free(&behind);

    return rc < 0 ? LIVE_ERROR : LIVE_OK;
}


int
live_filter_fits(const live_filter_t *f, const AVFrame *frame)
{
    return f->width == frame->width && f->height == frame->height
           && f->format == frame->format;
}


int
live_filter_run(live_filter_t *f, AVFrame *in, AVFrame **out)
{
    int       rc;
    AVFrame  *frame;

    *out = NULL;

    if (av_buffersrc_add_frame_flags(f->in, in, AV_BUFFERSRC_FLAG_KEEP_REF
                                     | AV_BUFFERSRC_FLAG_PUSH)
        < 0)
    {
        return LIVE_ERROR;
    }

    frame = av_frame_alloc();
    if (frame == NULL) {
        return LIVE_ERROR;
    }

    rc = av_buffersink_get_frame(f->out, frame);

    if (rc < 0) {
        av_frame_free(&frame);
        return rc == AVERROR(EAGAIN) || rc == AVERROR_EOF ? LIVE_OK
                                                          : LIVE_ERROR;
    }

    /* a deinterlacer counts in half ticks */

    frame->pts = av_rescale_q(frame->pts, av_buffersink_get_time_base(f->out),
                              (AVRational) { 1, LIVE_VIDEO_TIMESCALE });
    *out = frame;

    return LIVE_OK;
}


void
live_filter_free(live_filter_t *f)
{
    if (f == NULL) {
        return;
    }

    avfilter_graph_free(&f->graph);
    free(f);
}
