#include "live_encode.h"

#include <libavutil/dict.h>
#include <libavutil/opt.h>
#include <stdio.h>
#include <string.h>


/*
 * What is particular to an encoder.  Options are of the form
 * key=value:key=value; those of the user come between the two of us, so that
 * they replace the defaults but not what makes key frames.
 */
typedef struct {
    const char  *name;
    const char  *preset;        /* where the rung has none; NULL: none */
    const char  *params;        /* option of libavcodec that takes a list */
    const char  *before;
    const char  *behind;
    unsigned     own:1;         /* all of the user's options are for params */
    unsigned     constant:1;    /* keeps to its rate only where that is both
                                   the least and the most */
    unsigned     quality:1;     /* some versions do as asked with crf only */
    unsigned     finish:1;      /* some versions do not close before they got
                                   a picture and the end */
} live_encode_quirk_t;


/* before is of libavcodec's options, for others also of those of params */
static const live_encode_quirk_t  live_encode_quirks[] = {
    {
        .name = "libx264",
        .params = "x264-params",
        .behind = "scenecut=0:open-gop=0:keyint=infinite:intra-refresh=0"
                  ":repeat-headers=0:annexb=1:aud=0",
        .own = 1
    },
    {
        .name = "libx265",
        .preset = "veryfast",
        .params = "x265-params",
        .before = "log-level=error",
        .behind = "scenecut=0:open-gop=0:keyint=-1:intra-refresh=0"
                  ":repeat-headers=0:annexb=1:aud=0",
        .own = 1
    },
    {
        .name = "libsvtav1",
        .preset = "10",
        .params = "svtav1-params",
        .behind = "enable-force-key-frames=1:irefresh-type=2:scd=0",
        .quality = 1,
        .finish = 1
    },
    {
        .name = "libaom-av1",
        .params = "aom-params",
        .before = "usage=realtime:cpu-used=8:lag-in-frames=0:row-mt=1",
        .constant = 1
    },
    {
        .name = "libvpx-vp9",
        .before = "deadline=realtime:cpu-used=8:lag-in-frames=0:row-mt=1",
        .constant = 1
    },
    { .name = NULL }
};


static const live_encode_quirk_t *live_encode_quirk(const char *name);
static int live_encode_names(live_encoder_t *e, const live_rung_t *rung,
    const live_encode_quirk_t *q, const char **reason);
static void live_encode_rate(AVCodecContext *ctx, const live_rung_t *rung,
    const live_encode_quirk_t *q);
static int live_encode_own(live_encoder_t *e, const live_rung_t *rung,
    const live_encode_quirk_t *q);
static int live_encode_mixed(live_encoder_t *e, const live_rung_t *rung,
    const live_encode_quirk_t *q);
static int live_encode_pairs(live_encoder_t *e, AVDictionary **params,
    const char *text);


int
live_encode_options(live_encoder_t *e, const live_rung_t *rung,
    const char **reason)
{
    const live_encode_quirk_t  *q;

    q = live_encode_quirk(rung->codec);

    /* what an encoder calls its wish for IDR pictures, if it does */

    (void) av_opt_set(e->ctx->priv_data, "forced-idr", "1", 0);
    (void) av_opt_set(e->ctx->priv_data, "forced_idr", "1", 0);

    if (live_encode_names(e, rung, q, reason) != LIVE_OK) {
        return LIVE_ERROR;
    }

    live_encode_rate(e->ctx, rung, q);

    *reason = "the encoder does not know the options";

    return q->own ? live_encode_own(e, rung, q)
                  : live_encode_mixed(e, rung, q);
}


const char *
live_encode_refused(const live_rung_t *rung)
{
    if (rung->crf < 0 && live_encode_quirk(rung->codec)->quality) {
        return "the encoder begins segments with key frames only where"
               " crf is set; maxrate limits the rate";
    }

    return "the encoder refuses the settings";
}


void
live_encode_finish(live_encoder_t *e, int started, int ended)
{
    AVFrame  *frame;

    if (e->ctx == NULL || !avcodec_is_open(e->ctx)
        || !live_encode_quirk(e->ctx->codec->name)->finish)
    {
        return;
    }

    if (!started) {
        frame = live_encode_grey(e->ctx, e->ctx->pix_fmt, 0);
        started = frame && avcodec_send_frame(e->ctx, frame) >= 0;
        av_frame_free(&frame);
    }

    if (started && !ended) {
        (void) avcodec_send_frame(e->ctx, NULL);
    }

    while (started && avcodec_receive_packet(e->ctx, e->pkt) >= 0) {
        av_packet_unref(e->pkt);
    }
}


/* The last one for all others. */
static const live_encode_quirk_t *
live_encode_quirk(const char *name)
{
    const live_encode_quirk_t  *q;

    for (q = live_encode_quirks; q->name; q++) {
        if (strcmp(q->name, name) == 0) {
            break;
        }
    }

    return q;
}


/* The parameters that have names of their own. */
static int
live_encode_names(live_encoder_t *e, const live_rung_t *rung,
    const live_encode_quirk_t *q, const char **reason)
{
    const char  *preset;

    preset = rung->preset[0] || q->preset == NULL ? rung->preset : q->preset;

    if (preset[0] && (e->ctx->priv_data == NULL
                      || av_opt_find(e->ctx->priv_data, "preset", NULL, 0, 0)
                         == NULL))
    {
        *reason = "the encoder has no presets, only options";
        return LIVE_ERROR;
    }

    if (live_encoder_option(e, "preset", preset) != LIVE_OK
        || live_encoder_option(e, "tune", rung->tune) != LIVE_OK)
    {
        *reason = "the encoder has no such preset or tune";
        return LIVE_ERROR;
    }

    if (live_encoder_option(e, "profile", rung->profile) != LIVE_OK
        || live_encoder_option(e, "level", rung->level) != LIVE_OK)
    {
        *reason = "the encoder has no such profile or level";
        return LIVE_ERROR;
    }

    if (rung->crf >= 0
        && av_opt_set_double(e->ctx->priv_data, "crf", rung->crf, 0) < 0)
    {
        *reason = "the encoder has no crf";
        return LIVE_ERROR;
    }

    return LIVE_OK;
}


static void
live_encode_rate(AVCodecContext *ctx, const live_rung_t *rung,
    const live_encode_quirk_t *q)
{
    if (!q->constant) {
        return;
    }

    if (rung->crf < 0) {
        ctx->rc_min_rate = ctx->bit_rate;
        ctx->rc_max_rate = ctx->bit_rate;
    }

    /* else the first key frame takes what no buffer holds */

    ctx->rc_initial_buffer_occupancy = ctx->rc_buffer_size / 2;

#if (LIBAVCODEC_VERSION_MAJOR < 60)

    /* how long they take a frame to last: a tick is too little */

    ctx->ticks_per_frame = (int) (LIVE_VIDEO_TIMESCALE
                                  / av_q2d(ctx->framerate) + 0.5);
#endif
}


/* Of x264 and x265, which have more of them than libavcodec knows. */
static int
live_encode_own(live_encoder_t *e, const live_rung_t *rung,
    const live_encode_quirk_t *q)
{
    char  pools[32], text[LIVE_RUNG_OPTIONS + 256];

    pools[0] = '\0';

    /* x265 takes all cores, whatever thread_count is */

    if (strcmp(q->name, "libx265") == 0) {
        (void) snprintf(pools, sizeof(pools), ":pools=%u:",
                        rung->threads ? rung->threads : 1);
    }

    (void) snprintf(text, sizeof(text), "%s%s%s%s%s",
                    q->before ? q->before : "", pools, rung->options,
                    rung->options[0] ? ":" : "", q->behind);

    return live_encoder_option(e, q->params, text);
}


static int
live_encode_mixed(live_encoder_t *e, const live_rung_t *rung,
    const live_encode_quirk_t *q)
{
    int            rc;
    AVDictionary  *params;

    params = NULL;

    rc = live_encode_pairs(e, &params, q->before);

    if (rc == LIVE_OK) {
        rc = live_encode_pairs(e, &params, rung->options);
    }

    if (rc == LIVE_OK) {
        rc = live_encode_pairs(e, &params, q->behind);
    }

    if (rc == LIVE_OK && params
        && (q->params == NULL
            || av_opt_set_dict_val(e->ctx->priv_data, q->params, params, 0)
               < 0))
    {
        rc = LIVE_ERROR;
    }

    av_dict_free(&params);

    return rc;
}


/* Options of libavcodec are set, others kept. */
static int
live_encode_pairs(live_encoder_t *e, AVDictionary **params, const char *text)
{
    int                 rc;
    void               *priv = e->ctx->priv_data;
    AVDictionary       *pairs;
    AVDictionaryEntry  *pair;

    if (text == NULL || text[0] == '\0') {
        return LIVE_OK;
    }

    if (priv == NULL) {
        return LIVE_ERROR;
    }

    pairs = NULL;
    pair = NULL;

    rc = av_dict_parse_string(&pairs, text, "=", ":", 0);

    while (rc >= 0
           && (pair = av_dict_get(pairs, "", pair, AV_DICT_IGNORE_SUFFIX))
              != NULL)
    {
        rc = av_opt_find(priv, pair->key, NULL, 0, 0)
             ? av_opt_set(priv, pair->key, pair->value, 0)
             : av_dict_set(params, pair->key, pair->value, 0);
    }

    av_dict_free(&pairs);

    return rc < 0 ? LIVE_ERROR : LIVE_OK;
}
