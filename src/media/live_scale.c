#include "live_transcode.h"
#include "live_filter.h"
#include "live_resize.h"

#include <stdio.h>
#include <stdlib.h>


#define LIVE_SCALE_CHAIN  512

/* lines from which on what says nothing has the matrix of HD */
#define LIVE_SCALE_HD     720


struct live_scaler_s {
    live_rung_source_t   target;
    uint32_t             divisor;
    uint32_t             left;      /* frames to leave out now */
    int                  rotation;

    live_filter_t       *filter;
    live_resize_t        resize;

    unsigned             tonemap:1;
    unsigned             hdr:1;         /* the filter maps tones */
    unsigned             deinterlace:1;
    unsigned             mark:1;        /* of a frame that was lost */
};


static void live_scaler_colors(live_rung_source_t *target,
    const live_rung_source_t *source);
static int live_scaler_thin(live_scaler_t *s, const AVFrame *frame);
static int live_scaler_filter(live_scaler_t *s, AVFrame *in, AVFrame **out,
    const char **reason);
static int live_scaler_open_filter(live_scaler_t *s, const AVFrame *like);
static void live_scaler_close_filter(live_scaler_t *s);
static void live_scaler_label(live_scaler_t *s, AVFrame *frame);


live_scaler_t *
live_scaler_create(const live_rung_t *rung, const live_rung_source_t *source,
    uint32_t width, uint32_t height, uint32_t divisor, const char **reason)
{
    live_scaler_t  *s;

    if (source->hdr && !rung->tonemap) {
        *reason = "the source is HDR and the rung has no tonemap";
        return NULL;
    }

    if (width < 2 || height < 2 || width % 2 || height % 2
        || width > LIVE_RUNG_MAX_SIDE || height > LIVE_RUNG_MAX_SIDE)
    {
        *reason = "the size is odd or out of range";
        return NULL;
    }

    *reason = "no memory";

    s = calloc(1, sizeof(live_scaler_t));
    if (s == NULL) {
        return NULL;
    }

    s->tonemap = rung->tonemap;
    s->divisor = divisor ? divisor : 1;
    s->rotation = source->rotation;

    s->target.width = width;
    s->target.height = height;
    s->target.sar_num = 1;
    s->target.sar_den = 1;
    s->target.fps = source->fps / s->divisor;

    live_scaler_colors(&s->target, source);

    if (live_resize_init(&s->resize, (int) width, (int) height,
                         s->target.matrix)
        != LIVE_OK)
    {
        free(s);
        return NULL;
    }

    return s;
}


/* What the source leaves to guess is guessed by the size of the source. */
static void
live_scaler_colors(live_rung_source_t *target,
    const live_rung_source_t *source)
{
    uint8_t  guess;

    if (source->hdr) {
        target->primaries = AVCOL_PRI_BT709;
        target->transfer = AVCOL_TRC_BT709;
        target->matrix = AVCOL_SPC_BT709;
        return;
    }

    guess = source->width >= LIVE_SCALE_HD && source->height >= LIVE_SCALE_HD
            ? AVCOL_SPC_BT709 : AVCOL_SPC_SMPTE170M;

    target->matrix = source->matrix;
    target->primaries = source->primaries;
    target->transfer = source->transfer;

    if (target->matrix == AVCOL_SPC_RGB
        || target->matrix == AVCOL_SPC_UNSPECIFIED)
    {
        target->matrix = guess;
    }

    if (target->primaries == AVCOL_PRI_RESERVED0
        || target->primaries == AVCOL_PRI_UNSPECIFIED)
    {
        target->primaries = guess;
    }

    if (target->transfer == AVCOL_TRC_RESERVED0
        || target->transfer == AVCOL_TRC_UNSPECIFIED)
    {
        target->transfer = guess;
    }
}


void
live_scaler_target(const live_scaler_t *s, live_rung_source_t *target)
{
    *target = s->target;
}


int
live_scaler_scale(live_scaler_t *s, live_frame_t *in, live_frame_t **out,
    const char **reason)
{
    int       rc;
    AVFrame  *frame;

    *out = NULL;

    if (in && in->interlaced_frame) {
        s->deinterlace = 1;
    }

    /* a deinterlacer looks at the neighbours, too */

    if (in && !s->deinterlace && !live_scaler_thin(s, in)) {
        return LIVE_OK;
    }

    rc = live_scaler_filter(s, in, &frame, reason);

    if (rc != LIVE_OK || frame == NULL) {
        return rc;
    }

    if (s->deinterlace && !live_scaler_thin(s, frame)) {
        av_frame_free(&frame);
        return LIVE_OK;
    }

    *out = live_resize_run(&s->resize, frame, reason);

    av_frame_free(&frame);

    if (*out == NULL) {
        return LIVE_ERROR;
    }

    live_scaler_label(s, *out);

    return LIVE_OK;
}


/* 1 when the frame is kept. */
static int
live_scaler_thin(live_scaler_t *s, const AVFrame *frame)
{
    if (s->left && !live_frame_marked(frame) && !s->mark) {
        s->left--;
        return 0;
    }

    s->left = s->divisor - 1;

    return 1;
}


/* What libswscale cannot do; *out is the caller's. */
static int
live_scaler_filter(live_scaler_t *s, AVFrame *in, AVFrame **out,
    const char **reason)
{
    int  hdr;

    *out = NULL;
    *reason = "no memory";

    if (in == NULL) {
        return s->filter ? live_filter_run(s->filter, NULL, out) : LIVE_OK;
    }

    hdr = (in->color_trc == AVCOL_TRC_SMPTE2084
           || in->color_trc == AVCOL_TRC_ARIB_STD_B67);

    if (hdr && !s->tonemap) {
        *reason = "the source is HDR and the rung has no tonemap";
        return LIVE_ERROR;
    }

    if (!hdr && !s->deinterlace && s->rotation == 0) {
        *out = av_frame_clone(in);
        return *out ? LIVE_OK : LIVE_ERROR;
    }

    /* the deinterlacer comes with the first frame that needs it */

    if (s->filter
        && (hdr != (int) s->hdr || !live_filter_fits(s->filter, in)))
    {
        live_scaler_close_filter(s);
    }

    s->hdr = hdr;

    if (s->filter == NULL && live_scaler_open_filter(s, in) != LIVE_OK) {
        *reason = "libavfilter lacks a filter for it";
        return LIVE_ERROR;
    }

    *reason = "the filters failed";

    return live_filter_run(s->filter, in, out);
}


static int
live_scaler_open_filter(live_scaler_t *s, const AVFrame *like)
{
    int                 n;
    char                chain[LIVE_SCALE_CHAIN], tones[LIVE_SCALE_CHAIN / 2];
    const char         *turn;
    live_resize_area_t  area;

    turn = s->rotation == 90 ? ",transpose=clock"
           : s->rotation == 180 ? ",hflip,vflip"
           : s->rotation == 270 ? ",transpose=cclock" : "";

    tones[0] = '\0';

    if (s->hdr) {
        live_resize_area(&s->resize, like, s->rotation, &area);

        /* scaled first: tones are mapped in floating point */

        n = snprintf(tones, sizeof(tones),
                     ",scale=%d:%d:flags=bicubic,zscale=t=linear:npl=100"
                     ",format=gbrpf32le,zscale=p=bt709,tonemap=hable:desat=0"
                     ",zscale=t=bt709:m=bt709:r=limited,format=yuv420p",
                     area.width, area.height);

        if (n < 0 || (size_t) n >= sizeof(tones)) {
            return LIVE_ERROR;
        }
    }

    n = snprintf(chain, sizeof(chain), "%s%s%s",
                 s->deinterlace ? "bwdif=mode=send_frame:deint=interlaced"
                                : "null",
                 turn, tones);

    if (n < 0 || (size_t) n >= sizeof(chain)) {
        return LIVE_ERROR;
    }

    s->filter = live_filter_create(like, chain);

    return s->filter ? LIVE_OK : LIVE_ERROR;
}


/* A frame may be held back in it: its mark goes to the next one. */
static void
live_scaler_close_filter(live_scaler_t *s)
{
    AVFrame  *frame;

    if (live_filter_run(s->filter, NULL, &frame) == LIVE_OK && frame) {

        if (live_frame_marked(frame)) {
            s->mark = 1;
        }

        av_frame_free(&frame);
    }

    live_filter_free(s->filter);
    s->filter = NULL;
}


/* What it says of itself; captions stay with it. */
static void
live_scaler_label(live_scaler_t *s, AVFrame *frame)
{
    if (s->mark) {
        live_frame_mark(frame);
        s->mark = 0;
    }

    frame->color_primaries = s->target.primaries;
    frame->color_trc = s->target.transfer;
    frame->colorspace = s->target.matrix;
    frame->color_range = AVCOL_RANGE_MPEG;
    frame->sample_aspect_ratio = (AVRational) { 1, 1 };
    frame->interlaced_frame = 0;
    frame->crop_top = 0;
    frame->crop_bottom = 0;
    frame->crop_left = 0;
    frame->crop_right = 0;

    av_frame_remove_side_data(frame, AV_FRAME_DATA_DISPLAYMATRIX);
}


void
live_scaler_free(live_scaler_t *s)
{
    if (s == NULL) {
        return;
    }

    live_filter_free(s->filter);
    live_resize_free(&s->resize);
    free(s);
}
