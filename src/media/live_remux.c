
#include "live_remux.h"
#include "live_types.h"

#include <libavformat/avformat.h>
#include <libavutil/avutil.h>
#include <libavutil/dict.h>
#include <libavutil/error.h>
#include <libavutil/time.h>
#include <stdio.h>
#include <string.h>


#define LIVE_REMUX_BUFFER   (32 * 1024)

/* us by which what is paced may be ahead of the clock */
#define LIVE_REMUX_AHEAD    200000

/* us of media, and bytes, that tell what there is */
#define LIVE_REMUX_ANALYSE  3000000
#define LIVE_REMUX_PROBE    (4 * 1024 * 1024)

/* us: a step back by less is a frame out of order, which is left out */
#define LIVE_REMUX_BACK     1000000

/* whoever sends segments may be silent for as much longer */
#define LIVE_REMUX_SEGMENTS  3

/* us between what was before and what is behind a step back */
#define LIVE_REMUX_STEP     40000


typedef struct {
    const live_remux_t  *r;
    AVFormatContext     *in;
    AVFormatContext     *out;
    AVPacket            *pkt;

    int                  index[2];      /* of video and audio in in; -1 */
    int64_t              last[2];       /* us, the last DTS of each */
    int64_t              first;         /* us, the first DTS of all */
    int64_t              shift;         /* us, of all that comes */

    int64_t              heard;         /* us of the clock: it went on */
    int64_t              timeout;       /* us, of nothing coming */
    int64_t              base;          /* us of the clock at time 0 */
    unsigned             based:1;
    unsigned             paced:1;
    unsigned             late:1;        /* nothing came for too long */
    unsigned             refused:1;     /* by write() */
} live_remux_state_t;


static int live_remux_run(live_remux_state_t *s, const char **what);
static int live_remux_open(live_remux_state_t *s);
static int live_remux_options(live_remux_state_t *s, AVDictionary **options);
static int live_remux_choose(live_remux_state_t *s, live_remux_info_t *info);
static int live_remux_find(live_remux_state_t *s, enum AVMediaType type,
    enum AVCodecID codec);
static void live_remux_note(live_remux_state_t *s, live_remux_info_t *info);
static unsigned live_remux_segments(live_remux_state_t *s);
static int live_remux_output(live_remux_state_t *s);
static int live_remux_stream(live_remux_state_t *s, int i);
static int live_remux_packets(live_remux_state_t *s);
static int live_remux_packet(live_remux_state_t *s, int i);
static void live_remux_pace(live_remux_state_t *s, int64_t us);
static int live_remux_interrupt(void *data);
static int live_remux_write(void *data, uint8_t *buf, int len);
static void live_remux_close(live_remux_state_t *s);


int
live_remux(const live_remux_t *r, char *error)
{
    int                  rc;
    char                 text[AV_ERROR_MAX_STRING_SIZE];
    const char          *what;
    live_remux_state_t   s = {
        .r = r, .timeout = (int64_t) r->timeout * 1000,
        .index = { -1, -1 }, .first = AV_NOPTS_VALUE,
        .last = { AV_NOPTS_VALUE, AV_NOPTS_VALUE }
    };

    error[0] = '\0';

    rc = live_remux_run(&s, &what);

    live_remux_close(&s);

    if (rc == AVERROR_EOF) {
        return LIVE_OK;
    }

    if (s.late) {
        (void) snprintf(error, LIVE_REMUX_TEXT, "%s: nothing came for %d ms",
                        what, (int) (s.timeout / 1000));

    } else if (rc == AVERROR_PROTOCOL_NOT_FOUND) {
        (void) snprintf(error, LIVE_REMUX_TEXT, "%s: its protocol is unknown "
                        "or not allowed", what);

    } else if (rc == AVERROR_STREAM_NOT_FOUND) {
        (void) snprintf(error, LIVE_REMUX_TEXT, "it has neither H.264 nor "
                        "AAC");

    } else {
        (void) av_strerror(rc, text, sizeof(text));
        (void) snprintf(error, LIVE_REMUX_TEXT, "%s: %s", what, text);
    }

    return LIVE_ERROR;
}


static int
live_remux_run(live_remux_state_t *s, const char **what)
{
    int                rc;
    live_remux_info_t  info;

    *what = "it cannot be opened";

    s->pkt = av_packet_alloc();
    if (s->pkt == NULL) {
        return AVERROR(ENOMEM);
    }

    rc = live_remux_open(s);
    if (rc < 0) {
        return rc;
    }

    *what = "it cannot be used";

    rc = live_remux_choose(s, &info);
    if (rc < 0) {
        return rc;
    }

    s->r->open(s->r->data, &info);

    rc = live_remux_output(s);
    if (rc < 0) {
        return rc;
    }

    *what = "it broke off";

    return live_remux_packets(s);
}


static int
live_remux_open(live_remux_state_t *s)
{
    int            rc;
    AVDictionary  *options;

    s->in = avformat_alloc_context();
    if (s->in == NULL) {
        return AVERROR(ENOMEM);
    }

    s->in->interrupt_callback.callback = live_remux_interrupt;
    s->in->interrupt_callback.opaque = s;
    s->in->max_analyze_duration = LIVE_REMUX_ANALYSE;
    s->in->probesize = LIVE_REMUX_PROBE;

    options = NULL;
    s->heard = av_gettime_relative();

    rc = live_remux_options(s, &options);

    if (rc >= 0) {
        rc = avformat_open_input(&s->in, s->r->url, NULL, &options);
    }

    av_dict_free(&options);

    if (rc < 0) {
        return rc;
    }

    s->heard = av_gettime_relative();

    return avformat_find_stream_info(s->in, NULL);
}


static int
live_remux_options(live_remux_state_t *s, AVDictionary **options)
{
    int  rc;

    rc = av_dict_set(options, "protocol_whitelist", s->r->protocols, 0);

    /* of UDP, what is lost on the way is lost for all viewers */

    if (rc >= 0) {
        rc = av_dict_set(options, "rtsp_flags", "prefer_tcp", 0);
    }

    if (rc >= 0) {
        rc = av_dict_set_int(options, "rw_timeout",
                             (int64_t) s->r->timeout * 1000, 0);
    }

    return rc;
}


static int
live_remux_choose(live_remux_state_t *s, live_remux_info_t *info)
{
    unsigned   i;
    AVStream  *st;

    memset(info, 0, sizeof(live_remux_info_t));

    s->index[0] = live_remux_find(s, AVMEDIA_TYPE_VIDEO, AV_CODEC_ID_H264);
    s->index[1] = live_remux_find(s, AVMEDIA_TYPE_AUDIO, AV_CODEC_ID_AAC);

    for (i = 0; i < s->in->nb_streams; i++) {
        if ((int) i != s->index[0] && (int) i != s->index[1]) {
            s->in->streams[i]->discard = AVDISCARD_ALL;
        }
    }

    live_remux_note(s, info);

    if (s->index[0] < 0 && s->index[1] < 0) {
        return AVERROR_STREAM_NOT_FOUND;
    }

    info->audio_only = (s->index[0] < 0);
    info->finite = (s->in->duration > 0
                    && !(s->in->ctx_flags & AVFMTCTX_UNSEEKABLE));

    if (s->index[0] >= 0) {
        st = s->in->streams[s->index[0]];
        info->fps = st->avg_frame_rate.num > 0 && st->avg_frame_rate.den > 0
                    ? av_q2d(st->avg_frame_rate) : 0;
    }

    if (s->index[1] >= 0) {
        st = s->in->streams[s->index[1]];
        info->audio_rate = st->codecpar->bit_rate > 0
                           ? (uint32_t) st->codecpar->bit_rate : 0;
    }

    if (live_remux_segments(s)) {
        s->timeout *= LIVE_REMUX_SEGMENTS;
        s->paced = 1;
    }

    s->paced |= info->finite;

    return 0;
}


/* The largest pictures, as variants of one playlist have them; -1: none. */

static int
live_remux_find(live_remux_state_t *s, enum AVMediaType type,
    enum AVCodecID codec)
{
    int                 best;
    int64_t             size, max;
    unsigned            i;
    AVCodecParameters  *par;

    best = -1;
    max = -1;

    for (i = 0; i < s->in->nb_streams; i++) {
        par = s->in->streams[i]->codecpar;

        if (par->codec_type != type
            || par->codec_id != codec
            || (s->in->streams[i]->disposition
                & (AV_DISPOSITION_ATTACHED_PIC
                   |AV_DISPOSITION_VISUAL_IMPAIRED)))
        {
            continue;
        }

        size = type == AVMEDIA_TYPE_VIDEO ? (int64_t) par->width * par->height
                                          : 0;

        /* a program's sound belongs to its pictures */

        if (type == AVMEDIA_TYPE_AUDIO
            && av_find_best_stream(s->in, type, (int) i, s->index[0], NULL, 0)
               == (int) i)
        {
            size = av_find_best_stream(s->in, type, -1, s->index[0], NULL, 0)
                   == (int) i;
        }

        if (size > max) {
            max = size;
            best = (int) i;
        }
    }

    return best;
}


/* Who misses their pictures or sound should find out why. */

static void
live_remux_note(live_remux_state_t *s, live_remux_info_t *info)
{
    int                 i, k;
    enum AVMediaType    type;
    AVCodecParameters  *par;

    for (k = 0; k < 2; k++) {

        if (s->index[k] >= 0) {
            continue;
        }

        type = k ? AVMEDIA_TYPE_AUDIO : AVMEDIA_TYPE_VIDEO;

        i = av_find_best_stream(s->in, type, -1, -1, NULL, 0);
        if (i < 0) {
            continue;
        }

        par = s->in->streams[i]->codecpar;

        (void) snprintf(info->note, LIVE_REMUX_TEXT, "its %s is left out: it "
                        "is %s, and only %s can be used",
                        k ? "sound" : "video",
                        avcodec_get_name(par->codec_id), k ? "AAC" : "H.264");
        return;
    }
}


/* What comes a segment at a time. */

static unsigned
live_remux_segments(live_remux_state_t *s)
{
    const char  *name;

    name = s->in->iformat->name;

    return strcmp(name, "hls") == 0 || strcmp(name, "dash") == 0;
}


static int
live_remux_output(live_remux_state_t *s)
{
    int            rc;
    uint8_t       *buf;
    AVDictionary  *options;

    rc = avformat_alloc_output_context2(&s->out, NULL, "flv", NULL);
    if (rc < 0) {
        return rc;
    }

    buf = av_malloc(LIVE_REMUX_BUFFER);
    if (buf == NULL) {
        return AVERROR(ENOMEM);
    }

    s->out->pb = avio_alloc_context(buf, LIVE_REMUX_BUFFER, 1, s, NULL,
                                    live_remux_write, NULL);
    if (s->out->pb == NULL) {
        av_free(buf);
        return AVERROR(ENOMEM);
    }

    s->out->flags |= AVFMT_FLAG_FLUSH_PACKETS;
    s->out->flush_packets = 1;

    rc = live_remux_stream(s, 0);

    if (rc >= 0) {
        rc = live_remux_stream(s, 1);
    }

    if (rc < 0) {
        return rc;
    }

    options = NULL;
    (void) av_dict_set(&options, "flvflags", "no_duration_filesize", 0);

    rc = avformat_write_header(s->out, &options);

    av_dict_free(&options);

    return rc;
}


static int
live_remux_stream(live_remux_state_t *s, int i)
{
    int        rc;
    AVStream  *st;

    if (s->index[i] < 0) {
        return 0;
    }

    st = avformat_new_stream(s->out, NULL);
    if (st == NULL) {
        return AVERROR(ENOMEM);
    }

    rc = avcodec_parameters_copy(st->codecpar,
                                 s->in->streams[s->index[i]]->codecpar);

    st->codecpar->codec_tag = 0;

    return rc;
}


static int
live_remux_packets(live_remux_state_t *s)
{
    int  i, rc;

    for ( ;; ) {
        s->heard = av_gettime_relative();

        rc = av_read_frame(s->in, s->pkt);

        if (rc == AVERROR(EAGAIN)) {
            s->r->wait(s->r->data, 10);
            continue;
        }

        if (rc < 0) {
            return rc;
        }

        if (s->r->stop(s->r->data)) {
            return AVERROR_EXIT;
        }

        for (i = 0; i < 2; i++) {

            if (s->pkt->stream_index != s->index[i]) {
                continue;
            }

            rc = live_remux_packet(s, i);
            if (rc < 0) {
                return rc;
            }

            break;
        }

        av_packet_unref(s->pkt);
    }
}


/* The muxer wants times that do not go back, not even behind the first one of
 * another track. */

static int
live_remux_packet(live_remux_state_t *s, int i)
{
    int          stream;
    int64_t      us;
    AVPacket    *pkt;
    AVRational   base;

    pkt = s->pkt;
    base = s->in->streams[pkt->stream_index]->time_base;

    if (pkt->dts == AV_NOPTS_VALUE) {
        pkt->dts = pkt->pts;
    }

    if (pkt->pts == AV_NOPTS_VALUE) {
        pkt->pts = pkt->dts;
    }

    if (pkt->dts == AV_NOPTS_VALUE || pkt->size == 0) {
        return 0;
    }

    us = av_rescale_q(pkt->dts, base, AV_TIME_BASE_Q) + s->shift;

    if (s->last[i] != AV_NOPTS_VALUE && us < s->last[i]) {

        if (s->last[i] - us < LIVE_REMUX_BACK) {
            return 0;
        }

        s->shift += s->last[i] + LIVE_REMUX_STEP - us;
        us = s->last[i] + LIVE_REMUX_STEP;
    }

    if (s->first == AV_NOPTS_VALUE) {
        s->first = us;
    }

    if (us < s->first) {
        return 0;
    }

    s->last[i] = us;

    if (s->paced) {
        live_remux_pace(s, us);
    }

    stream = i - (i && s->index[0] < 0);

    av_packet_rescale_ts(pkt, base, s->out->streams[stream]->time_base);

    us = av_rescale_q(s->shift, AV_TIME_BASE_Q,
                      s->out->streams[stream]->time_base);
    pkt->dts += us;
    pkt->pts += us;
    pkt->stream_index = stream;
    pkt->pos = -1;

    return av_write_frame(s->out, pkt);
}


/* Who is late is not made up for: it plays on from there. */

static void
live_remux_pace(live_remux_state_t *s, int64_t us)
{
    int64_t  now, ahead;

    now = av_gettime_relative();
    ahead = s->base + us - now;

    if (!s->based || ahead < 0 || ahead > 10 * AV_TIME_BASE) {
        s->based = 1;
        s->base = now - us;
        return;
    }

    if (ahead > LIVE_REMUX_AHEAD) {
        s->r->wait(s->r->data, (uint32_t) ((ahead - LIVE_REMUX_AHEAD) / 1000));
    }
}


static int
live_remux_interrupt(void *data)
{
    live_remux_state_t *s = data;

    if (s->r->stop(s->r->data)) {
        return 1;
    }

    if (av_gettime_relative() - s->heard > s->timeout) {
        s->late = 1;
        return 1;
    }

    return 0;
}


static int
live_remux_write(void *data, uint8_t *buf, int len)
{
    live_remux_state_t *s = data;

    if (s->refused
        || s->r->write(s->r->data, buf, (size_t) len) != LIVE_OK)
    {
        s->refused = 1;
        return AVERROR_EXIT;
    }

    return len;
}


static void
live_remux_close(live_remux_state_t *s)
{
    if (s->out) {

        if (s->out->pb) {
            av_freep(&s->out->pb->buffer);
            avio_context_free(&s->out->pb);
        }

        avformat_free_context(s->out);
    }

    avformat_close_input(&s->in);
    av_packet_free(&s->pkt);
}
