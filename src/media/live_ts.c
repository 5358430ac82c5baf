/*
 * Times: a picture may be decoded before it is presented by as much as its
 * encoder reorders.  CMAF has that in composition offsets before and after
 * the decoding time, MPEG-TS allows no decoding behind the presentation.  So
 * video is decoded by a constant earlier here, the same for all segments, and
 * the PCR is ahead of that by another one.
 */

#include "live_ts.h"
#include "live_ts_packets.h"
#include "live_av.h"
#include "live_cmaf_read.h"

#include <libavcodec/bsf.h>
#include <libavformat/avformat.h>
#include <libavutil/mathematics.h>
#include <libavutil/mem.h>
#include <stdlib.h>


#define LIVE_TS_CLOCK    90000
#define LIVE_TS_REORDER  (LIVE_TS_CLOCK * 3 / 10)   /* DTS before the time */
#define LIVE_TS_LEAD     (LIVE_TS_CLOCK / 5)        /* PCR before DTS */
#define LIVE_TS_HOLE     (LIVE_TS_CLOCK * 3 / 20)   /* in the sound */
#define LIVE_TS_WRAP     ((int64_t) 1 << 33)


typedef struct {
    const live_ts_track_t  *source;
    AVCodecParameters      *par;
    AVBSFContext           *bsf;
    AVStream               *st;
    uint32_t                timescale;
} live_ts_input_t;


/* A sample in ticks of 90 kHz. */
typedef struct {
    const uint8_t          *data;
    uint32_t                size;
    uint8_t                 input;
    uint8_t                 key;
    int64_t                 at;         /* order of writing */
    int64_t                 dts;
    int64_t                 pts;
    int64_t                 end;
} live_ts_sample_t;


typedef struct {
    live_ts_input_t         inputs[LIVE_TS_MAX_TRACKS];
    unsigned                ninputs;
    live_ts_sample_t       *samples;
    size_t                  nsamples;
    size_t                  allocated;
    AVFormatContext        *ctx;
    const char             *reason;
} live_ts_muxer_t;


static int live_ts_run(live_ts_muxer_t *m, int discontinuity, uint8_t **out,
    size_t *len);
static int live_ts_add_input(live_ts_muxer_t *m,
    const live_ts_track_t *track);
static int live_ts_open_filter(live_ts_input_t *in);
static int live_ts_read_samples(live_ts_muxer_t *m, unsigned n);
static live_ts_sample_t *live_ts_push(live_ts_muxer_t *m);
static void live_ts_order(live_ts_muxer_t *m);
static int live_ts_compare(const void *one, const void *two);
static int live_ts_open(live_ts_muxer_t *m);
static int live_ts_write_samples(live_ts_muxer_t *m);
static int live_ts_write_sample(live_ts_muxer_t *m,
    const live_ts_sample_t *s);
static void live_ts_close(live_ts_muxer_t *m);


int
live_ts_mux(const live_ts_track_t *tracks, unsigned ntracks,
    int discontinuity, uint8_t **out, size_t *len, const char **reason)
{
    int              rc;
    unsigned         i;
    live_ts_muxer_t  m;

    memset(&m, 0, sizeof(live_ts_muxer_t));

    rc = LIVE_OK;
    m.reason = "no sample";

    for (i = 0; i < ntracks && i < LIVE_TS_MAX_TRACKS && rc == LIVE_OK; i++) {

        if (tracks[i].segment_len) {
            rc = live_ts_add_input(&m, &tracks[i]);
        }
    }

    if (rc == LIVE_OK) {
        rc = live_ts_run(&m, discontinuity, out, len);
    }

    live_ts_close(&m);

    *reason = m.reason;

    return rc;
}


static int
live_ts_run(live_ts_muxer_t *m, int discontinuity, uint8_t **out, size_t *len)
{
    int                rc, size;
    int64_t            end;
    uint8_t           *data;
    unsigned           i;
    live_ts_layout_t   layout;
    live_ts_sample_t  *s;

    for (i = 0; i < m->ninputs; i++) {
        if (live_ts_read_samples(m, i) != LIVE_OK) {
            return LIVE_ERROR;
        }
    }

    if (m->nsamples == 0) {
        return LIVE_ERROR;
    }

    live_ts_order(m);

    rc = live_ts_open(m);

    if (rc == LIVE_OK) {
        rc = live_ts_write_samples(m);
    }

    if (m->ctx == NULL || m->ctx->pb == NULL) {
        return LIVE_ERROR;
    }

    size = avio_close_dyn_buf(m->ctx->pb, &data);
    m->ctx->pb = NULL;

    if (rc == LIVE_OK) {
        memset(&layout, 0, sizeof(live_ts_layout_t));

        /* the first track has the PCR: where its next sample goes */

        layout.pcr_pid = (unsigned) m->inputs[0].st->id;
        layout.pcr_lead = LIVE_TS_REORDER + LIVE_TS_LEAD;
        layout.discontinuity = discontinuity;

        for (s = m->samples; s < m->samples + m->nsamples; s++) {

            /* an interruption may leave more sound than picture */

            end = s->input ? s->at - LIVE_TS_REORDER - LIVE_TS_HOLE : s->end;

            if (end - LIVE_TS_LEAD > layout.pcr_end) {
                layout.pcr_end = end - LIVE_TS_LEAD;
            }
        }

        rc = live_ts_arrange(data, size > 0 ? (size_t) size : 0, &layout,
                             out, len, &m->reason);
    }

    av_free(data);

    return rc;
}


static int
live_ts_add_input(live_ts_muxer_t *m, const live_ts_track_t *track)
{
    live_ts_input_t  *in;

    in = &m->inputs[m->ninputs];
    in->source = track;

    if (live_av_read_init(track->init, track->init_len, &in->par,
                          &in->timescale, &m->reason)
        != LIVE_OK)
    {
        return LIVE_ERROR;
    }

    m->ninputs++;

    if (live_ts_open_filter(in) != LIVE_OK) {
        m->reason = "libavcodec cannot convert the codec to MPEG-TS";
        return LIVE_ERROR;
    }

    return LIVE_OK;
}


/* H.264 gets start codes, and parameter sets before each IDR (HLS-85). */
static int
live_ts_open_filter(live_ts_input_t *in)
{
    const AVBitStreamFilter  *filter;

    if (in->par->codec_id != AV_CODEC_ID_H264) {
        return LIVE_OK;
    }

    filter = av_bsf_get_by_name("h264_mp4toannexb");

    if (filter == NULL || av_bsf_alloc(filter, &in->bsf) < 0
        || avcodec_parameters_copy(in->bsf->par_in, in->par) < 0
        || av_bsf_init(in->bsf) < 0
        || avcodec_parameters_copy(in->par, in->bsf->par_out) < 0)
    {
        return LIVE_ERROR;
    }

    return LIVE_OK;
}


static int
live_ts_read_samples(live_ts_muxer_t *m, unsigned n)
{
    int                 rc;
    size_t              i;
    int64_t             next;
    live_sample_t       sample;
    live_ts_input_t    *in;
    live_ts_sample_t   *s;
    live_cmaf_reader_t  r;

    in = &m->inputs[n];
    live_cmaf_reader_init(&r, in->source->segment, in->source->segment_len);

    i = m->nsamples;

    while ((rc = live_cmaf_read_sample(&r, &sample)) == LIVE_OK) {

        if (sample.size == 0) {
            continue;
        }

        s = live_ts_push(m);
        if (s == NULL) {
            m->reason = "no memory";
            return LIVE_ERROR;
        }

        /* of one turn more, so that nothing is before 0 */

        s->at = av_rescale(sample.dts, LIVE_TS_CLOCK, in->timescale)
                + LIVE_TS_WRAP;
        s->pts = av_rescale(sample.dts + sample.cts, LIVE_TS_CLOCK,
                            in->timescale)
                 + LIVE_TS_WRAP;
        s->end = av_rescale(sample.dts + sample.duration, LIVE_TS_CLOCK,
                            in->timescale)
                 + LIVE_TS_WRAP;

        s->data = in->source->segment + sample.offset;
        s->size = sample.size;
        s->input = (uint8_t) n;
        s->key = (sample.flags & LIVE_SAMPLE_KEY) != 0;

        s->dts = s->at;

        if (in->par->codec_type == AVMEDIA_TYPE_VIDEO) {
            s->dts -= LIVE_TS_REORDER;
            s->end -= LIVE_TS_REORDER;
        }
    }

    if (rc != LIVE_AGAIN) {
        m->reason = "the segment is not whole";
        return LIVE_ERROR;
    }

    /* where more is reordered than the constant allows, it is decoded yet
     * earlier, and in order */

    next = INT64_MAX;

    for (s = m->samples + m->nsamples; s > m->samples + i; /* void */ ) {
        s--;

        s->dts = FFMIN3(s->dts, s->pts, next - 1);
        next = s->dts;
    }

    return LIVE_OK;
}


static live_ts_sample_t *
live_ts_push(live_ts_muxer_t *m)
{
    size_t             n;
    live_ts_sample_t  *s;

    if (m->nsamples == m->allocated) {
        n = m->allocated ? 2 * m->allocated : 256;

        s = realloc(m->samples, n * sizeof(live_ts_sample_t));
        if (s == NULL) {
            return NULL;
        }

        m->samples = s;
        m->allocated = n;
    }

    return &m->samples[m->nsamples++];
}


static void
live_ts_order(live_ts_muxer_t *m)
{
    qsort(m->samples, m->nsamples, sizeof(live_ts_sample_t),
          live_ts_compare);
}


static int
live_ts_compare(const void *one, const void *two)
{
    const live_ts_sample_t  *a = one, *b = two;

    if (a->at != b->at) {
        return a->at < b->at ? -1 : 1;
    }

    if (a->input != b->input) {
        return a->input < b->input ? -1 : 1;
    }

    /* of one track, and so in the order of the file */

    return a->data < b->data ? -1 : 1;
}


static int
live_ts_open(live_ts_muxer_t *m)
{
    int               rc, version;
    unsigned          i;
    AVDictionary     *opts;
    live_ts_input_t  *in;

    m->reason = "no MPEG-TS muxer or no memory";

    if (avformat_alloc_output_context2(&m->ctx, NULL, "mpegts", NULL) < 0
        || avio_open_dyn_buf(&m->ctx->pb) < 0)
    {
        return LIVE_ERROR;
    }

    version = 0;

    for (i = 0; i < m->ninputs; i++) {
        in = &m->inputs[i];

        in->st = avformat_new_stream(m->ctx, NULL);

        if (in->st == NULL
            || avcodec_parameters_copy(in->st->codecpar, in->par) < 0)
        {
            return LIVE_ERROR;
        }

        in->st->codecpar->codec_tag = 0;
        in->st->time_base = (AVRational) { 1, LIVE_TS_CLOCK };

        if (in->par->codec_type == AVMEDIA_TYPE_VIDEO) {
            in->st->id = LIVE_TS_VIDEO_PID;
            version |= 1;

        } else {
            in->st->id = LIVE_TS_AUDIO_PID;
            version |= 2;
        }
    }

    m->ctx->flags |= AVFMT_FLAG_BITEXACT;
    m->ctx->flags &= ~AVFMT_FLAG_AUTO_BSF;
    m->ctx->avoid_negative_ts = 0;
    m->ctx->max_delay = (int) av_rescale(LIVE_TS_LEAD, AV_TIME_BASE,
                                         LIVE_TS_CLOCK);

    /* the tables have another version where they name other tracks */

    opts = NULL;

    rc = av_dict_parse_string(&opts,
                              "mpegts_copyts=1:pat_period=1000000:"
                              "sdt_period=1000000:pcr_period=20:"
                              "mpegts_flags=resend_headers", "=", ":", 0);

    if (rc >= 0) {
        rc = av_dict_set_int(&opts, "tables_version", version, 0);
    }

    if (rc >= 0) {
        rc = avformat_write_header(m->ctx, &opts);
    }

    av_dict_free(&opts);

    if (rc < 0) {
        m->reason = "libavformat refuses the codec for MPEG-TS";
        return LIVE_ERROR;
    }

    return LIVE_OK;
}


/*
 * The muxer gathers frames of sound until one more is too much for a PES
 * packet; behind a hole that would be when their time, and PCR, are over.
 */
static int
live_ts_write_samples(live_ts_muxer_t *m)
{
    size_t                   i;
    int64_t                  sound;
    const live_ts_sample_t  *s;

    m->reason = "libavformat refuses a sample for MPEG-TS";

    sound = INT64_MAX;

    for (i = 0; i < m->nsamples; i++) {
        s = &m->samples[i];

        if (s->at - LIVE_TS_HOLE > sound) {

            if (av_write_frame(m->ctx, NULL) < 0) {
                return LIVE_ERROR;
            }

            sound = INT64_MAX;
        }

        if (m->inputs[s->input].st->id == LIVE_TS_AUDIO_PID) {
            sound = s->at;
        }

        if (live_ts_write_sample(m, s) != LIVE_OK) {
            return LIVE_ERROR;
        }
    }

    return av_write_trailer(m->ctx) < 0 ? LIVE_ERROR : LIVE_OK;
}


static int
live_ts_write_sample(live_ts_muxer_t *m, const live_ts_sample_t *s)
{
    int               rc;
    AVPacket         *pkt;
    live_ts_input_t  *in;

    in = &m->inputs[s->input];
    rc = LIVE_OK;

    pkt = live_av_packet(s->data, s->size);
    if (pkt == NULL) {
        m->reason = "no memory";
        return LIVE_ERROR;
    }

    pkt->dts = s->dts;
    pkt->pts = s->pts;
    pkt->duration = s->end - s->dts;
    pkt->flags = s->key ? AV_PKT_FLAG_KEY : 0;

    if (in->bsf) {

        /* a frame that is no H.264 is left out, as a decoder would do */

        if (av_bsf_send_packet(in->bsf, pkt) < 0
            || av_bsf_receive_packet(in->bsf, pkt) < 0)
        {
            av_packet_free(&pkt);
            return LIVE_OK;
        }
    }

    pkt->stream_index = in->st->index;

    if (av_write_frame(m->ctx, pkt) < 0) {
        rc = LIVE_ERROR;
    }

    av_packet_free(&pkt);

    return rc;
}


static void
live_ts_close(live_ts_muxer_t *m)
{
    uint8_t   *data;
    unsigned   i;

    if (m->ctx && m->ctx->pb) {
        (void) avio_close_dyn_buf(m->ctx->pb, &data);
        av_free(data);
        m->ctx->pb = NULL;
    }

    avformat_free_context(m->ctx);

    for (i = 0; i < LIVE_TS_MAX_TRACKS; i++) {
        av_bsf_free(&m->inputs[i].bsf);
        avcodec_parameters_free(&m->inputs[i].par);
    }

    free(m->samples);
}
