#include "live_resize.h"
#include "live_types.h"

#include <libavutil/imgutils.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <math.h>
#include <string.h>


#define LIVE_RESIZE_ALIGN  64

/* a difference of shape that is not worth bars, in pixels */
#define LIVE_RESIZE_SLACK  4

#define LIVE_RESIZE_BLACK  16
#define LIVE_RESIZE_GREY   128


static int live_resize_same(const live_resize_t *r, const AVFrame *in);
static int live_resize_format(const AVFrame *in, int *full);
static int live_resize_open_sws(live_resize_t *r, const AVFrame *in);
static int live_resize_colorspace(live_resize_t *r, const AVFrame *in);
static AVFrame *live_resize_buffer(live_resize_t *r);
static void live_resize_black(AVFrame *frame);


int
live_resize_init(live_resize_t *r, int width, int height, int matrix)
{
    int  size;

    memset(r, 0, sizeof(live_resize_t));

    r->out_width = width;
    r->out_height = height;
    r->matrix = matrix;

    /* lines are as long as the code that writes them wants them */

    size = av_image_get_buffer_size(AV_PIX_FMT_YUV420P, width, height,
                                    LIVE_RESIZE_ALIGN);

    if (size > 0) {
        r->pool = av_buffer_pool_init((size_t) size + LIVE_RESIZE_ALIGN,
                                      NULL);
    }

    return r->pool ? LIVE_OK : LIVE_ERROR;
}


AVFrame *
live_resize_run(live_resize_t *r, AVFrame *in, const char **reason)
{
    int       pos[2];
    AVFrame  *out;
    uint8_t  *data[4];

    *reason = "no memory";

    if (!live_resize_same(r, in)
        && live_resize_open_sws(r, in) != LIVE_OK)
    {
        *reason = "libswscale cannot convert the picture";
        return NULL;
    }

    if (r->sws == NULL) {
        return av_frame_clone(in);
    }

    out = live_resize_buffer(r);

    if (out == NULL || av_frame_copy_props(out, in) < 0) {
        av_frame_free(&out);
        return NULL;
    }

    if (r->area.width != out->width || r->area.height != out->height) {
        live_resize_black(out);
    }

    pos[0] = r->area.y * out->linesize[0] + r->area.x;
    pos[1] = r->area.y / 2 * out->linesize[1] + r->area.x / 2;

    data[0] = out->data[0] + pos[0];
    data[1] = out->data[1] + pos[1];
    data[2] = out->data[2] + pos[1];
    data[3] = NULL;

    if (sws_scale(r->sws, (const uint8_t *const *) in->data, in->linesize, 0,
                  in->height, data, out->linesize)
        != r->area.height)
    {
        *reason = "libswscale failed";
        av_frame_free(&out);
        return NULL;
    }

    return out;
}


static int
live_resize_same(const live_resize_t *r, const AVFrame *in)
{
    int  full, format;

    format = live_resize_format(in, &full);

    return r->width == in->width && r->height == in->height
           && r->format == format && r->full == full
           && r->sar.num == in->sample_aspect_ratio.num
           && r->sar.den == in->sample_aspect_ratio.den;
}


/* The formats named after JPEG are those of full range. */
static int
live_resize_format(const AVFrame *in, int *full)
{
    *full = (in->color_range == AVCOL_RANGE_JPEG);

    switch (in->format) {

    case AV_PIX_FMT_YUVJ420P:
        *full = 1;
        return AV_PIX_FMT_YUV420P;

    case AV_PIX_FMT_YUVJ422P:
        *full = 1;
        return AV_PIX_FMT_YUV422P;

    case AV_PIX_FMT_YUVJ444P:
        *full = 1;
        return AV_PIX_FMT_YUV444P;

    default:
        return in->format;
    }
}


/* sws stays NULL where there is nothing to do. */
static int
live_resize_open_sws(live_resize_t *r, const AVFrame *in)
{
    int  done;

    sws_freeContext(r->sws);
    r->sws = NULL;

    r->width = in->width;
    r->height = in->height;
    r->format = live_resize_format(in, &r->full);
    r->sar = in->sample_aspect_ratio;

    live_resize_area(r, in, 0, &r->area);

    if (in->width == r->area.width && in->height == r->area.height
        && r->area.width == r->out_width
        && r->area.height == r->out_height
        && r->format == AV_PIX_FMT_YUV420P && !r->full)
    {
        return LIVE_OK;
    }

    r->sws = sws_alloc_context();

    /* the places of chroma are those that ffmpeg's filter takes for 4:2:0 */

    done = r->sws
           && av_opt_set_int(r->sws, "srcw", in->width, 0) >= 0
           && av_opt_set_int(r->sws, "srch", in->height, 0) >= 0
           && av_opt_set_int(r->sws, "src_format", r->format, 0) >= 0
           && av_opt_set_int(r->sws, "src_range", r->full, 0) >= 0
           && av_opt_set_int(r->sws, "dstw", r->area.width, 0) >= 0
           && av_opt_set_int(r->sws, "dsth", r->area.height, 0) >= 0
           && av_opt_set_int(r->sws, "dst_format", AV_PIX_FMT_YUV420P, 0) >= 0
           && av_opt_set_int(r->sws, "dst_range", 0, 0) >= 0
           && av_opt_set_int(r->sws, "sws_flags", SWS_BICUBIC, 0) >= 0
           && (r->format != AV_PIX_FMT_YUV420P
               || av_opt_set_int(r->sws, "src_v_chr_pos", 128, 0) >= 0)
           && av_opt_set_int(r->sws, "dst_v_chr_pos", 128, 0) >= 0
           && live_resize_colorspace(r, in) == LIVE_OK;

    if (!done) {
        sws_freeContext(r->sws);
        r->sws = NULL;
        r->width = 0;
        return LIVE_ERROR;
    }

    return LIVE_OK;
}


static int
live_resize_colorspace(live_resize_t *r, const AVFrame *in)
{
    const int                 *to;
    const AVPixFmtDescriptor  *desc;

    if (sws_init_context(r->sws, NULL, NULL) < 0) {
        return LIVE_ERROR;
    }

    desc = av_pix_fmt_desc_get(in->format);

    if (r->full || (desc && (desc->flags & AV_PIX_FMT_FLAG_RGB))) {
        to = sws_getCoefficients(r->matrix);

        /* refused where there is nothing to convert */

        (void) sws_setColorspaceDetails(r->sws, to, r->full, to, 0, 0,
                                        1 << 16, 1 << 16);
    }

    return LIVE_OK;
}


void
live_resize_area(const live_resize_t *r, const AVFrame *in, int rotation,
    live_resize_area_t *area)
{
    int         tw, th;
    double      w, h, scale;
    AVRational  sar;

    tw = r->out_width;
    th = r->out_height;
    sar = in->sample_aspect_ratio;

    w = in->width;
    h = in->height;

    if (sar.num > 0 && sar.den > 0) {
        w *= av_q2d(sar);
    }

    if (rotation % 180) {
        scale = w;
        w = h;
        h = scale;
    }

    scale = fmin(tw / w, th / h);

    area->width = (int) lround(w * scale / 2) * 2;
    area->height = (int) lround(h * scale / 2) * 2;

    if (area->width + LIVE_RESIZE_SLACK >= tw || area->width < 2) {
        area->width = tw;
    }

    if (area->height + LIVE_RESIZE_SLACK >= th || area->height < 2) {
        area->height = th;
    }

    area->x = (tw - area->width) / 4 * 2;
    area->y = (th - area->height) / 4 * 2;
}


static AVFrame *
live_resize_buffer(live_resize_t *r)
{
    AVFrame  *frame;

    frame = av_frame_alloc();
    if (frame == NULL) {
        return NULL;
    }

    frame->width = r->out_width;
    frame->height = r->out_height;
    frame->format = AV_PIX_FMT_YUV420P;

    frame->buf[0] = av_buffer_pool_get(r->pool);

    if (frame->buf[0] == NULL
        || av_image_fill_arrays(frame->data, frame->linesize,
                                frame->buf[0]->data, frame->format,
                                frame->width, frame->height,
                                LIVE_RESIZE_ALIGN)
           < 0)
    {
        av_frame_free(&frame);
    }

    return frame;
}


static void
live_resize_black(AVFrame *frame)
{
    size_t  lines;

    lines = (size_t) frame->height;

    memset(frame->data[0], LIVE_RESIZE_BLACK,
           lines * (size_t) frame->linesize[0]);
    memset(frame->data[1], LIVE_RESIZE_GREY,
           lines / 2 * (size_t) frame->linesize[1]);
    memset(frame->data[2], LIVE_RESIZE_GREY,
           lines / 2 * (size_t) frame->linesize[2]);
}


void
live_resize_free(live_resize_t *r)
{
    sws_freeContext(r->sws);
    av_buffer_pool_uninit(&r->pool);
}
