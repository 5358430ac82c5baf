#include "live_jpeg.h"
#include "live_av.h"
#include "live_cmaf_read.h"

#include <libavcodec/avcodec.h>
#include <libavutil/opt.h>
#include <libswscale/swscale.h>
#include <stdlib.h>


/* the largest picture of H.264 (level 6.2), and its longest side */
#define LIVE_JPEG_MAX_PIXELS  (139264 * 256)
#define LIVE_JPEG_MAX_SIDE    16384

#define LIVE_JPEG_QUALITY     5

/* what is further from square than this is a mistake */
#define LIVE_JPEG_MAX_ASPECT  4


static AVFrame *live_jpeg_decode(const live_jpeg_source_t *source,
    const char **reason);
static AVPacket *live_jpeg_key_frame(const uint8_t *chunk, size_t len);
static AVCodecContext *live_jpeg_open_decoder(const AVCodecParameters *par);
static int live_jpeg_size(const AVFrame *frame, uint32_t want, int *width,
    int *height);
static AVFrame *live_jpeg_scale(const AVFrame *from, int width, int height);
static struct SwsContext *live_jpeg_open_scaler(const AVFrame *from,
    const AVFrame *to);
static AVPacket *live_jpeg_encode(AVFrame *frame);


int
live_jpeg_make(const live_jpeg_source_t *source, uint32_t width,
    uint8_t **out, size_t *len, const char **reason)
{
    int        w, h, rc;
    AVFrame   *frame, *scaled;
    AVPacket  *pkt;

    frame = live_jpeg_decode(source, reason);
    if (frame == NULL) {
        return LIVE_ERROR;
    }

    rc = LIVE_ERROR;
    scaled = NULL;
    pkt = NULL;
    *reason = "the picture cannot be scaled";

    if (live_jpeg_size(frame, width, &w, &h) == LIVE_OK) {
        scaled = live_jpeg_scale(frame, w, h);
    }

    av_frame_free(&frame);

    if (scaled) {
        *reason = "the picture cannot be encoded";
        pkt = live_jpeg_encode(scaled);
    }

    av_frame_free(&scaled);

    if (pkt) {
        *out = malloc((size_t) pkt->size);

        if (*out) {
            memcpy(*out, pkt->data, (size_t) pkt->size);
            *len = (size_t) pkt->size;
            rc = LIVE_OK;

        } else {
            *reason = "no memory";
        }
    }

    av_packet_free(&pkt);

    return rc;
}


static AVFrame *
live_jpeg_decode(const live_jpeg_source_t *source, const char **reason)
{
    int                 done;
    AVFrame            *frame;
    AVPacket           *pkt;
    uint32_t            timescale;
    AVCodecContext     *ctx;
    AVCodecParameters  *par;

    if (live_av_read_init(source->init, source->init_len, &par, &timescale,
                          reason)
        != LIVE_OK)
    {
        return NULL;
    }

    ctx = live_jpeg_open_decoder(par);
    avcodec_parameters_free(&par);

    if (ctx == NULL) {
        *reason = "no decoder for the codec";
        return NULL;
    }

    *reason = "no key frame";

    frame = NULL;
    pkt = live_jpeg_key_frame(source->chunk, source->chunk_len);

    if (pkt) {
        *reason = "the key frame cannot be decoded";
        frame = av_frame_alloc();

        /* one packet, then the end: the decoder waits for no reordering */

        done = frame
               && avcodec_send_packet(ctx, pkt) >= 0
               && avcodec_send_packet(ctx, NULL) >= 0
               && avcodec_receive_frame(ctx, frame) >= 0;

        if (!done) {
            av_frame_free(&frame);
        }
    }

    av_packet_free(&pkt);
    avcodec_free_context(&ctx);

    return frame;
}


static AVCodecContext *
live_jpeg_open_decoder(const AVCodecParameters *par)
{
    AVCodecContext  *ctx;
    const AVCodec   *codec;

    if (par->codec_type != AVMEDIA_TYPE_VIDEO) {
        return NULL;
    }

    codec = avcodec_find_decoder(par->codec_id);
    if (codec == NULL) {
        return NULL;
    }

    ctx = avcodec_alloc_context3(codec);
    if (ctx == NULL) {
        return NULL;
    }

    ctx->thread_count = 1;
    ctx->max_pixels = LIVE_JPEG_MAX_PIXELS;

    if (avcodec_parameters_to_context(ctx, par) < 0
        || avcodec_open2(ctx, codec, NULL) < 0)
    {
        avcodec_free_context(&ctx);
    }

    return ctx;
}


static AVPacket *
live_jpeg_key_frame(const uint8_t *chunk, size_t len)
{
    AVPacket           *pkt;
    live_sample_t       s;
    live_cmaf_reader_t  r;

    live_cmaf_reader_init(&r, chunk, len);

    while (live_cmaf_read_sample(&r, &s) == LIVE_OK) {

        if (s.size == 0 || !(s.flags & LIVE_SAMPLE_KEY)) {
            continue;
        }

        pkt = live_av_packet(chunk + s.offset, s.size);

        if (pkt) {
            pkt->flags = AV_PKT_FLAG_KEY;
        }

        return pkt;
    }

    return NULL;
}


/* Square pixels, not more of them than there are, an even height. */
static int
live_jpeg_size(const AVFrame *frame, uint32_t want, int *width, int *height)
{
    int64_t     w, h, natural;
    AVRational  sar;

    w = frame->width;
    h = frame->height;
    sar = frame->sample_aspect_ratio;

    if (sar.num > 0 && sar.den > 0
        && sar.num / sar.den < LIVE_JPEG_MAX_ASPECT
        && sar.den / sar.num < LIVE_JPEG_MAX_ASPECT)
    {
        if (sar.num > sar.den) {
            w = w * sar.num / sar.den;

        } else {
            h = h * sar.den / sar.num;
        }
    }

    if (w <= 0 || h <= 0) {
        return LIVE_ERROR;
    }

    natural = w < LIVE_JPEG_MAX_WIDTH ? w : LIVE_JPEG_MAX_WIDTH;

    if (want == 0 || want > natural) {
        want = (uint32_t) natural;
    }

    h = (h * want + w) / (2 * w) * 2;

    if (h < 2) {
        h = 2;
    }

    if (h > LIVE_JPEG_MAX_SIDE) {
        return LIVE_ERROR;
    }

    *width = (int) want;
    *height = (int) h;

    return LIVE_OK;
}


static AVFrame *
live_jpeg_scale(const AVFrame *from, int width, int height)
{
    AVFrame            *to;
    struct SwsContext  *sws;

    to = av_frame_alloc();
    if (to == NULL) {
        return NULL;
    }

    to->width = width;
    to->height = height;
    to->format = AV_PIX_FMT_YUV420P;
    to->color_range = AVCOL_RANGE_JPEG;

    sws = live_jpeg_open_scaler(from, to);

    if (sws == NULL || av_frame_get_buffer(to, 0) < 0
        || sws_scale(sws, (const uint8_t *const *) from->data, from->linesize,
                     0, from->height, to->data, to->linesize)
           != height)
    {
        av_frame_free(&to);
    }

    sws_freeContext(sws);

    return to;
}


/* JFIF has the matrix of BT.601 and all 256 levels. */
static struct SwsContext *
live_jpeg_open_scaler(const AVFrame *from, const AVFrame *to)
{
    int                 matrix, full;
    struct SwsContext  *sws;

    matrix = from->colorspace;

    if (matrix == AVCOL_SPC_UNSPECIFIED) {
        matrix = from->height >= 720 ? SWS_CS_ITU709 : SWS_CS_ITU601;
    }

    full = (from->color_range == AVCOL_RANGE_JPEG
            || from->format == AV_PIX_FMT_YUVJ420P);

    sws = sws_alloc_context();
    if (sws == NULL) {
        return NULL;
    }

    /* where the size stays, the levels must be known before it is opened */

    if (av_opt_set_int(sws, "srcw", from->width, 0) < 0
        || av_opt_set_int(sws, "srch", from->height, 0) < 0
        || av_opt_set_int(sws, "src_format", from->format, 0) < 0
        || av_opt_set_int(sws, "src_range", full, 0) < 0
        || av_opt_set_int(sws, "dstw", to->width, 0) < 0
        || av_opt_set_int(sws, "dsth", to->height, 0) < 0
        || av_opt_set_int(sws, "dst_format", to->format, 0) < 0
        || av_opt_set_int(sws, "dst_range", 1, 0) < 0
        || av_opt_set_int(sws, "sws_flags", SWS_BICUBIC, 0) < 0
        || sws_init_context(sws, NULL, NULL) < 0)
    {
        sws_freeContext(sws);
        return NULL;
    }

    /* refused where there is nothing to convert */

    (void) sws_setColorspaceDetails(sws, sws_getCoefficients(matrix), full,
                                    sws_getCoefficients(SWS_CS_ITU601), 1,
                                    0, 1 << 16, 1 << 16);

    return sws;
}


static AVPacket *
live_jpeg_encode(AVFrame *frame)
{
    int              done;
    AVPacket        *pkt;
    const AVCodec   *codec;
    AVCodecContext  *ctx;

    codec = avcodec_find_encoder(AV_CODEC_ID_MJPEG);
    if (codec == NULL) {
        return NULL;
    }

    ctx = avcodec_alloc_context3(codec);
    if (ctx == NULL) {
        return NULL;
    }

    ctx->width = frame->width;
    ctx->height = frame->height;
    ctx->pix_fmt = frame->format;
    ctx->color_range = frame->color_range;
    ctx->time_base = (AVRational) { 1, 25 };
    ctx->sample_aspect_ratio = (AVRational) { 1, 1 };
    ctx->thread_count = 1;
    ctx->flags |= AV_CODEC_FLAG_QSCALE | AV_CODEC_FLAG_BITEXACT;
    ctx->global_quality = FF_QP2LAMBDA * LIVE_JPEG_QUALITY;

    frame->quality = ctx->global_quality;
    frame->pts = 0;

    pkt = av_packet_alloc();

    done = pkt
           && avcodec_open2(ctx, codec, NULL) >= 0
           && avcodec_send_frame(ctx, frame) >= 0
           && avcodec_send_frame(ctx, NULL) >= 0
           && avcodec_receive_packet(ctx, pkt) >= 0;

    if (!done) {
        av_packet_free(&pkt);
    }

    avcodec_free_context(&ctx);

    return pkt;
}
