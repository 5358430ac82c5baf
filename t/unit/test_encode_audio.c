/* Encoding of audio: where samples are presented, gaps, other rates. */

#include "test_ladder.h"
#include "tap.h"

#include <libavutil/log.h>
#include <math.h>


#define RATE   48000
#define BLOCK  1024


/* Silence, with a click at one sample of the whole. */
static AVFrame *
block(int rate, int64_t pts, int n, int64_t click)
{
    int       c;
    int64_t   at;
    AVFrame  *f;

    f = av_frame_alloc();
    f->nb_samples = n;
    f->format = AV_SAMPLE_FMT_FLTP;
    f->sample_rate = rate;
    f->pts = pts;
    av_channel_layout_default(&f->ch_layout, 2);

    if (av_frame_get_buffer(f, 0) < 0) {
        abort();
    }

    for (c = 0; c < 2; c++) {
        memset(f->data[c], 0, (size_t) n * sizeof(float));

        for (at = click - 8; at < click + 8; at++) {
            if (at >= pts && at < pts + n) {
                ((float *) f->data[c])[at - pts] =
                    at < click ? 0.0f : 0.9f - 0.1f * (float) (at - click);
            }
        }
    }

    return f;
}


static live_encoder_t *
open_audio(const char *parameters, int rate)
{
    const char         *reason;
    live_rung_t         r;
    live_encoder_t     *e;
    live_codec_info_t   info;

    memset(&info, 0, sizeof(info));
    info.codec = LIVE_CODEC_AAC;
    info.media = LIVE_MEDIA_AUDIO;
    info.timescale = (uint32_t) rate;
    info.sample_rate = (uint32_t) rate;
    info.channels = 2;

    r = ladder_rung("x", parameters);
    e = live_encoder_create_audio(&r, &info, &reason);

    if (e == NULL) {
        printf("# %s\n", reason);
    }

    return e;
}


/* When the loudest sample is presented, in ticks of the encoded audio. */
static int64_t
loudest(live_encoder_t *e, const live_packet_t *packets)
{
    int                   i, k;
    float                 most, v;
    size_t                len;
    int64_t               at;
    frames_t              out = { 0 };
    const char           *reason;
    live_sample_t         s;
    live_decoder_t       *d;
    const uint8_t        *config;
    live_codec_info_t     info;
    const live_packet_t  *p;

    live_encoder_config(e, &info, &config, &len);
    d = live_decoder_create(&info, config, len, 1, &reason);

    for (p = packets; p; p = p->next) {
        s = ladder_sample(p);

        if (live_decoder_decode(d, p->data, &s, frames_add, &out, &reason)
            != LIVE_OK)
        {
            break;
        }
    }

    at = -1;
    most = 0;

    for (i = 0; i < out.n; i++) {
        for (k = 0; k < out.frame[i]->nb_samples; k++) {
            v = fabsf(((float *) out.frame[i]->data[0])[k]);

            if (v > most) {
                most = v;
                at = live_frame_pts(out.frame[i]) + k;
            }
        }
    }

    frames_free(&out);
    live_decoder_free(d);

    return at;
}


/* 1 when packets follow one another without a gap; *n of them. */
static int
is_row(const live_packet_t *p, uint32_t step, int *n)
{
    *n = p ? 1 : 0;

    for ( /* void */ ; p && p->next; p = p->next) {

        if (p->next->pts != p->pts + step || p->duration != step || !p->key
            || p->dts != p->pts)
        {
            return 0;
        }

        (*n)++;
    }

    return 1;
}


/* A click at so many samples behind start comes out at the same time. */
static void
test_priming(const char *parameters, int rate, int out_rate, int64_t start)
{
    int                 i, n, rc;
    size_t              len;
    int64_t             at, want;
    AVFrame            *f;
    const char         *reason;
    live_packet_t      *packets = NULL;
    live_encoder_t     *e;
    const uint8_t      *config;
    live_codec_info_t   info;

    e = open_audio(parameters, rate);

    if (!tap_ok(e != NULL, "%s from %d Hz", parameters, rate)) {
        return;
    }

    live_encoder_config(e, &info, &config, &len);
    tap_ok(info.sample_rate == (uint32_t) out_rate
           && info.timescale == (uint32_t) out_rate
           && info.frame_samples == 1024 && len >= 2, "the record");

    rc = LIVE_OK;

    for (i = 0; i < 60 && rc == LIVE_OK; i++) {
        f = block(rate, start + i * BLOCK, BLOCK, start + 20000);
        rc = live_encoder_encode(e, f, &packets, &reason);
        live_frame_free(f);
    }

    tap_ok(rc == LIVE_OK
           && live_encoder_encode(e, NULL, &packets, &reason) == LIVE_OK,
           "encoded");

    want = av_rescale(start, out_rate, rate);
    tap_ok(packets && is_row(packets, 1024, &n) && packets->pts == want
           && (int64_t) n * 1024 >= av_rescale(60 * BLOCK, out_rate, rate),
           "%d packets in a row from the source's first sample on", n);

    want = av_rescale(start + 20000, out_rate, rate);
    at = loudest(e, packets);

    tap_ok(llabs(at - want) * 1000 < (int64_t) 2 * out_rate,
           "a click is %+.2f ms off (CMAF-21)",
           (double) (at - want) * 1000 / out_rate);

    live_packet_free(packets);
    live_encoder_free(e);
}


/* Blocks come shift samples late from the 20th on. */
static void
test_gap(int shift, int in_row)
{
    int              i, n, row, rc;
    int64_t          at, click, start;
    AVFrame         *f;
    const char      *reason;
    live_packet_t   *packets = NULL;
    live_encoder_t  *e;

    e = open_audio("audio_only audio=128k", RATE);
    click = 40 * BLOCK + shift + 100;
    rc = LIVE_OK;

    for (i = 0; i < 60 && rc == LIVE_OK; i++) {
        start = (int64_t) i * BLOCK + (i >= 20 ? shift : 0);
        f = block(RATE, start, BLOCK, click);
        rc = live_encoder_encode(e, f, &packets, &reason);
        live_frame_free(f);
    }

    if (rc == LIVE_OK) {
        rc = live_encoder_encode(e, NULL, &packets, &reason);
    }

    row = is_row(packets, 1024, &n);
    tap_ok(rc == LIVE_OK && row == in_row, "%d samples late: %s", shift,
           in_row ? "no gap" : "a gap");

    at = loudest(e, packets);
    tap_ok(llabs(at - click) * 1000 < (int64_t) 5 * RATE,
           "a click behind is %+.2f ms off",
           (double) (at - click) * 1000 / RATE);

    live_packet_free(packets);
    live_encoder_free(e);
}


/* Timestamps rounded to milliseconds make no difference in the long run. */
static void
test_rounding(void)
{
    int              i, n, rc, row;
    int64_t          pts;
    AVFrame         *f;
    const char      *reason;
    live_packet_t   *packets, *all = NULL;
    live_encoder_t  *e;
    int64_t          last = 0;

    e = open_audio("audio_only audio=64k arate=44100", RATE);
    rc = LIVE_OK;
    row = 1;
    n = 0;

    for (i = 0; i < 3000 && rc == LIVE_OK; i++) {
        pts = (int64_t) i * BLOCK * 1000 / RATE * RATE / 1000;
        f = block(RATE, pts, BLOCK, -1000);
        packets = NULL;
        rc = live_encoder_encode(e, f, &packets, &reason);
        live_frame_free(f);

        for (all = packets; all; all = all->next) {
            row = row && all->pts == last;
            last += 1024;
            n++;
        }

        live_packet_free(packets);
    }

    tap_ok(rc == LIVE_OK && row && n > 3000 * 441 / 480 - 5,
           "%d packets of 64 s in a row", n);

    live_encoder_free(e);
}


/* The layout and the rate of the source change in the middle. */
static void
test_change(void)
{
    int              i, n, rc;
    int64_t          at, click;
    AVFrame         *f;
    const char      *reason;
    live_packet_t   *packets = NULL;
    live_encoder_t  *e;

    e = open_audio("audio_only audio=128k", RATE);
    click = 40 * BLOCK;
    rc = LIVE_OK;

    for (i = 0; i < 60 && rc == LIVE_OK; i++) {
        f = block(RATE, (int64_t) i * BLOCK, BLOCK, click);

        if (i >= 10 && i < 20) {
            av_channel_layout_uninit(&f->ch_layout);
            av_channel_layout_default(&f->ch_layout, 1);
        }

        if (i >= 20 && i < 30) {
            f->sample_rate = RATE / 2;
            f->nb_samples = BLOCK / 2;
        }

        rc = live_encoder_encode(e, f, &packets, &reason);
        live_frame_free(f);
    }

    if (rc == LIVE_OK) {
        rc = live_encoder_encode(e, NULL, &packets, &reason);
    }

    tap_ok(rc == LIVE_OK && is_row(packets, 1024, &n) && n == 60,
           "a source that changes makes %d packets in a row", n);

    at = loudest(e, packets);
    tap_ok(llabs(at - click) * 1000 < (int64_t) 2 * RATE,
           "a click behind is %+.2f ms off",
           (double) (at - click) * 1000 / RATE);

    live_packet_free(packets);
    live_encoder_free(e);
}


int
main(void)
{
    av_log_set_level(AV_LOG_QUIET);

    test_priming("audio_only audio=128k", 48000, 48000, 0);
    test_priming("audio_only audio=96k channels=1", 48000, 48000, 123457);
    test_priming("audio_only audio=96k arate=44100", 48000, 44100, 48000);
    test_priming("audio_only audio=128k arate=48000", 44100, 48000, 44100);
    test_priming("audio_only audio=64k", 22050, 22050, 0);

    test_gap(0, 1);
    test_gap(100, 1);           /* 2 ms */
    test_gap(480, 1);           /* 10 ms */
    test_gap(-480, 1);
    test_gap(-3000, 1);
    test_gap(24000, 1);
    test_gap(96000, 0);         /* 2 s */

    test_rounding();
    test_change();

    return tap_done();
}
