#include "live_cmaf.h"

#include <libavcodec/defs.h>
#include <libavformat/avformat.h>
#include <libavutil/channel_layout.h>
#include <libavutil/dict.h>
#include <libavutil/mem.h>
#include <libavutil/version.h>


/*
 * empty_moov writes the header before any sample; cmaf selects the brands
 * and leaves edit lists out (CMAF-3, CMAF-20).
 */
#define LIVE_CMAF_MOVFLAGS  "empty_moov+cmaf+frag_custom"

#define LIVE_CMAF_VPCC      8           /* bytes of VP9's record */

/* in its third byte, for 4:2:0: chroma samples are at luma samples */
#define LIVE_CMAF_COLOCATED 0x02


static int live_cmaf_mux_header(AVFormatContext *ctx,
    const live_codec_info_t *info, const uint8_t *config, size_t config_len,
    const char **reason);
static int live_cmaf_set_params(AVCodecParameters *par,
    const live_codec_info_t *info, const uint8_t *config, size_t config_len);
static void live_cmaf_set_codec(AVCodecParameters *par,
    const live_codec_info_t *info, const uint8_t *config, size_t config_len);
static void live_cmaf_set_channels(AVCodecParameters *par,
    uint32_t channels);


int
live_cmaf_init_segment(live_writer_t *w, const live_codec_info_t *info,
    const uint8_t *config, size_t config_len, const char **reason)
{
    int               rc, len;
    uint8_t          *data;
    AVFormatContext  *ctx;

    ctx = NULL;
    data = NULL;

    if (avformat_alloc_output_context2(&ctx, NULL, "mp4", NULL) < 0
        || avio_open_dyn_buf(&ctx->pb) < 0)
    {
        *reason = "no mp4 muxer or no memory";
        avformat_free_context(ctx);
        return LIVE_ERROR;
    }

    rc = live_cmaf_mux_header(ctx, info, config, config_len, reason);

    len = avio_close_dyn_buf(ctx->pb, &data);
    ctx->pb = NULL;

    avformat_free_context(ctx);

    if (rc == LIVE_OK) {
        live_write(w, data, len > 0 ? len : 0);
        rc = w->error ? LIVE_OVERFLOW : LIVE_OK;
    }

    av_free(data);

    return rc;
}


static int
live_cmaf_mux_header(AVFormatContext *ctx, const live_codec_info_t *info,
    const uint8_t *config, size_t config_len, const char **reason)
{
    int            rc;
    AVStream      *st;
    AVRational     sar;
    AVDictionary  *opts;

    st = avformat_new_stream(ctx, NULL);

    if (st == NULL
        || live_cmaf_set_params(st->codecpar, info, config, config_len)
           != LIVE_OK)
    {
        *reason = "no memory";
        return LIVE_ERROR;
    }

    sar = st->codecpar->sample_aspect_ratio;

    st->time_base = (AVRational) { 1, info->timescale };
    st->sample_aspect_ratio = sar;

    /* the same record gives the same bytes: no version, no date */
    ctx->flags |= AVFMT_FLAG_BITEXACT;

    opts = NULL;
    rc = av_dict_set(&opts, "movflags", LIVE_CMAF_MOVFLAGS, 0);

    if (rc >= 0 && info->media == LIVE_MEDIA_VIDEO) {
        rc = av_dict_set_int(&opts, "video_track_timescale",
                             info->timescale, 0);
    }

    if (rc >= 0) {
        rc = avformat_write_header(ctx, &opts);
    }

    av_dict_free(&opts);

    if (rc < 0) {
        *reason = "libavformat refuses the codec record";
        return LIVE_ERROR;
    }

    if (st->time_base.num != 1
        || st->time_base.den != (int) info->timescale)
    {
        *reason = "libavformat changed the timescale";
        return LIVE_ERROR;
    }

    return LIVE_OK;
}


static int
live_cmaf_set_params(AVCodecParameters *par, const live_codec_info_t *info,
    const uint8_t *config, size_t config_len)
{
    if (info->media == LIVE_MEDIA_VIDEO) {
        live_cmaf_set_codec(par, info, config, config_len);
        par->width = info->width;
        par->height = info->height;

        if (info->sar_num && info->sar_den) {
            par->sample_aspect_ratio.num = info->sar_num;
            par->sample_aspect_ratio.den = info->sar_den;
        }

    } else {
        par->codec_type = AVMEDIA_TYPE_AUDIO;
        par->codec_id = AV_CODEC_ID_AAC;

        /* the muxer takes the timescale from here: the core's rate */
        par->sample_rate = info->timescale;
        par->frame_size = info->frame_samples;

        live_cmaf_set_channels(par, info->channels);
    }

    par->extradata = av_mallocz(config_len + AV_INPUT_BUFFER_PADDING_SIZE);

    if (par->extradata == NULL) {
        return LIVE_ERROR;
    }

    memcpy(par->extradata, config, config_len);
    par->extradata_size = (int) config_len;

    return LIVE_OK;
}


/*
 * Samples of HEVC are without parameter sets: hvc1.  For VP9 libavformat does
 * not take the record, but what is in it.
 */
static void
live_cmaf_set_codec(AVCodecParameters *par, const live_codec_info_t *info,
    const uint8_t *config, size_t config_len)
{
    par->codec_type = AVMEDIA_TYPE_VIDEO;

    switch (info->codec) {

    case LIVE_CODEC_HEVC:
        par->codec_id = AV_CODEC_ID_HEVC;
        par->codec_tag = MKTAG('h', 'v', 'c', '1');
        break;

    case LIVE_CODEC_AV1:
        par->codec_id = AV_CODEC_ID_AV1;
        break;

    case LIVE_CODEC_VP9:
        par->codec_id = AV_CODEC_ID_VP9;

        if (config_len >= LIVE_CMAF_VPCC) {
            par->profile = config[0];
            par->level = config[1];
            par->format = AV_PIX_FMT_YUV420P;
            par->color_range = AVCOL_RANGE_MPEG;
            par->chroma_location = config[2] & LIVE_CMAF_COLOCATED
                                   ? AVCHROMA_LOC_TOPLEFT
                                   : AVCHROMA_LOC_LEFT;
            par->color_primaries = config[3];
            par->color_trc = config[4];
            par->color_space = config[5];
        }

        break;

    default:
        par->codec_id = AV_CODEC_ID_H264;
    }
}


static void
live_cmaf_set_channels(AVCodecParameters *par, uint32_t channels)
{
#if (LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(57, 24, 100))
    av_channel_layout_default(&par->ch_layout, channels);
#else
    par->channels = channels;
#endif
}
