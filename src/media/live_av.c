#include "live_av.h"

#include <libavformat/avformat.h>
#include <libavutil/mem.h>
#include <string.h>


#define LIVE_AV_BUFFER  4096


typedef struct {
    const uint8_t  *data;
    size_t          len;
    size_t          pos;
} live_av_memory_t;


static AVFormatContext *live_av_open(live_av_memory_t *memory,
    AVIOContext **pb);
static int live_av_read(void *opaque, uint8_t *buf, int size);
static int64_t live_av_seek(void *opaque, int64_t offset, int whence);


int
live_av_read_init(const uint8_t *init, size_t len, AVCodecParameters **par,
    uint32_t *timescale, const char **reason)
{
    int               rc;
    AVStream         *st;
    AVIOContext      *pb;
    AVFormatContext  *ctx;
    live_av_memory_t  memory = { init, len, 0 };

    rc = LIVE_ERROR;
    *par = NULL;
    *reason = "libavformat refuses the init segment";

    ctx = live_av_open(&memory, &pb);

    if (ctx && ctx->nb_streams == 1) {
        st = ctx->streams[0];

        *timescale = (uint32_t) st->time_base.den;
        *par = avcodec_parameters_alloc();

        if (*par == NULL || avcodec_parameters_copy(*par, st->codecpar) < 0) {
            avcodec_parameters_free(par);
            *reason = "no memory";

        } else if (st->time_base.num == 1 && st->time_base.den > 0) {
            rc = LIVE_OK;

        } else {
            avcodec_parameters_free(par);
        }
    }

    avformat_close_input(&ctx);

    if (pb) {
        av_freep(&pb->buffer);
        avio_context_free(&pb);
    }

    return rc;
}


static AVFormatContext *
live_av_open(live_av_memory_t *memory, AVIOContext **pb)
{
    uint8_t          *buf;
    AVFormatContext  *ctx;

    *pb = NULL;

    buf = av_malloc(LIVE_AV_BUFFER);
    if (buf == NULL) {
        return NULL;
    }

    *pb = avio_alloc_context(buf, LIVE_AV_BUFFER, 0, memory, live_av_read,
                             NULL, live_av_seek);
    if (*pb == NULL) {
        av_free(buf);
        return NULL;
    }

    ctx = avformat_alloc_context();
    if (ctx == NULL) {
        return NULL;
    }

    ctx->pb = *pb;

    /* it frees ctx when it fails */

    if (avformat_open_input(&ctx, NULL, av_find_input_format("mp4"), NULL)
        < 0)
    {
        return NULL;
    }

    return ctx;
}


static int
live_av_read(void *opaque, uint8_t *buf, int size)
{
    size_t             n;
    live_av_memory_t  *memory = opaque;

    n = memory->len - memory->pos;

    if (n == 0) {
        return AVERROR_EOF;
    }

    if (n > (size_t) size) {
        n = (size_t) size;
    }

    memcpy(buf, memory->data + memory->pos, n);
    memory->pos += n;

    return (int) n;
}


static int64_t
live_av_seek(void *opaque, int64_t offset, int whence)
{
    live_av_memory_t  *memory = opaque;

    switch (whence) {

    case AVSEEK_SIZE:
        return (int64_t) memory->len;

    case SEEK_SET:
        break;

    case SEEK_CUR:
        offset += (int64_t) memory->pos;
        break;

    case SEEK_END:
        offset += (int64_t) memory->len;
        break;

    default:
        return AVERROR(EINVAL);
    }

    if (offset < 0 || offset > (int64_t) memory->len) {
        return AVERROR(EINVAL);
    }

    memory->pos = (size_t) offset;

    return offset;
}


AVPacket *
live_av_packet(const uint8_t *data, size_t len)
{
    AVPacket  *pkt;

    pkt = av_packet_alloc();

    if (pkt == NULL || len > INT32_MAX - AV_INPUT_BUFFER_PADDING_SIZE
        || av_new_packet(pkt, (int) len) < 0)
    {
        av_packet_free(&pkt);
        return NULL;
    }

    memcpy(pkt->data, data, len);

    return pkt;
}
