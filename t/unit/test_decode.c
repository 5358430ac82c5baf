/* Decoding: times, order, broken access units. */

#include "test_ladder.h"
#include "tap.h"

#include <libavutil/log.h>


#define FRAMES  60
#define GOP     20
#define STEP    3000


static live_decoder_t *
open_for(const live_encoder_t *e, uint32_t threads)
{
    size_t              len;
    const char         *reason;
    const uint8_t      *config;
    live_codec_info_t   info;

    live_encoder_config(e, &info, &config, &len);

    return live_decoder_create(&info, config, len, threads, &reason);
}


static int
decode(live_decoder_t *d, const live_packet_t *p, frames_t *out)
{
    const char     *reason;
    live_sample_t   s;

    if (p == NULL) {
        return live_decoder_decode(d, NULL, NULL, frames_add, out, &reason);
    }

    s = ladder_sample(p);

    return live_decoder_decode(d, p->data, &s, frames_add, out, &reason);
}


/*
 * 1 when the frames have exact times in order, and there are all those that
 * are presented before first and from end on; those between may be there.
 */
static int
times_are(const frames_t *out, int64_t start, int first, int end)
{
    int  i, k;

    for (i = 0, k = 0; i < FRAMES; i++) {

        if (k < out->n
            && live_frame_pts(out->frame[k]) == start + (int64_t) i * STEP)
        {
            k++;

        } else if (i < first || i >= end) {
            return 0;
        }
    }

    return k == out->n;
}


static void
test_times(live_encoder_t *e, const live_packet_t *packets, uint32_t threads)
{
    int                   ok, held, i;
    frames_t              out = { 0 };
    live_decoder_t       *d;
    live_rung_source_t    s;
    const live_packet_t  *p;

    d = open_for(e, threads);

    tap_ok(live_decoder_source(d, &s) == LIVE_AGAIN, "nothing known yet");

    ok = 1;
    held = 0;
    i = 0;

    for (p = packets; p; p = p->next) {
        ok = ok && decode(d, p, &out) == LIVE_OK;
        held = ++i - out.n > held ? i - out.n : held;
    }

    ok = ok && decode(d, NULL, &out) == LIVE_OK;

    tap_ok(ok && times_are(&out, 900000, 0, 0),
           "%d frames at exact times, %u threads, %d held back", out.n,
           threads, held);

    tap_ok(live_decoder_source(d, &s) == LIVE_OK && s.width == 320
           && s.height == 180 && s.matrix == 1 && !s.hdr && s.rotation == 0,
           "what the source is like");

    tap_ok(s.fps > 29.9 && s.fps < 30.1, "%.3f frames a second", s.fps);

    tap_ok(live_frame_key(out.frame[GOP]) && !live_frame_key(out.frame[1])
           && !live_frame_marked(out.frame[GOP]),
           "key frames are known, none is marked");

    frames_free(&out);
    live_decoder_free(d);
}


static void
test_skip(live_encoder_t *e, const live_packet_t *packets)
{
    int                   ok;
    frames_t              out = { 0 };
    live_decoder_t       *d;
    const live_packet_t  *p;

    d = open_for(e, 1);
    live_decoder_skip(d, 1);

    ok = 1;

    for (p = packets; p; p = p->next) {
        ok = ok && decode(d, p, &out) == LIVE_OK;
    }

    ok = ok && decode(d, NULL, &out) == LIVE_OK;

    tap_ok(ok && out.n > FRAMES / 5 && out.n < FRAMES * 4 / 5,
           "%d of %d frames without those that nothing refers to", out.n,
           FRAMES);

    frames_free(&out);
    live_decoder_free(d);
}


/* The n-th access unit is broken as how says. */
static void
test_broken(live_encoder_t *e, const live_packet_t *packets, int n,
    const char *how)
{
    int                   i, rc, errors, whole;
    uint32_t              k;
    uint8_t              *data;
    frames_t              out = { 0 };
    const char           *reason;
    live_decoder_t       *d;
    live_sample_t         s;
    const live_packet_t  *p;

    d = open_for(e, 1);
    errors = 0;

    for (p = packets, i = 0; p; p = p->next, i++) {

        if (i != n) {
            rc = decode(d, p, &out);
            errors += (rc == LIVE_ERROR);
            continue;
        }

        s = ladder_sample(p);
        data = malloc(p->size);
        memcpy(data, p->data, p->size);

        if (strcmp(how, "length") == 0) {
            data[1] ^= 0x40;

        } else if (strcmp(how, "cut") == 0) {
            s.size = p->size / 2;

        } else if (strcmp(how, "zeros") == 0) {
            memset(data + 5, 0, p->size - 5);

        } else {
            for (k = 5; k < p->size; k++) {
                data[k] = (uint8_t) (k * 167 + 13);
            }
        }

        rc = live_decoder_decode(d, data, &s, frames_add, &out, &reason);
        errors += (rc == LIVE_ERROR);
        free(data);
    }

    (void) decode(d, NULL, &out);

    /* pictures before it in the order of decoding are whole */

    whole = n / GOP * GOP + GOP;

    tap_ok(times_are(&out, 900000, n / GOP * GOP, whole) && out.n < FRAMES
           && out.n >= FRAMES - whole + n - 4,
           "unit %d, %s: %d frames, goes on at frame %d", n, how, out.n,
           whole);

    frames_free(&out);
    live_decoder_free(d);
}


/* Nothing of what is fed may crash it; it decodes whole GOPs afterwards. */
static void
test_garbage(live_encoder_t *e, const live_packet_t *packets)
{
    int                   round, i;
    uint8_t              *data;
    uint32_t              seed, k;
    frames_t              out = { 0 };
    const char           *reason;
    live_decoder_t       *d;
    live_sample_t         s;
    const live_packet_t  *p;

    d = open_for(e, 1);
    seed = 1;

    for (round = 0; round < 40; round++) {

        for (p = packets, i = 0; p && i < GOP; p = p->next, i++) {
            s = ladder_sample(p);
            s.dts += (int64_t) round * FRAMES * STEP;
            data = malloc(p->size + 1);
            memcpy(data, p->data, p->size);

            for (k = 0; k < (uint32_t) round; k++) {
                seed = seed * 1103515245 + 12345;
                data[4 + (seed >> 8) % (p->size - 4)] ^= (uint8_t) seed;
            }

            (void) live_decoder_decode(d, data, &s, frames_add, &out,
                                       &reason);
            free(data);
        }

        if (round) {
            frames_free(&out);
        }
    }

    frames_free(&out);

    for (p = packets; p; p = p->next) {
        s = ladder_sample(p);
        s.dts += (int64_t) round * FRAMES * STEP;
        (void) live_decoder_decode(d, p->data, &s, frames_add, &out, &reason);
    }

    (void) decode(d, NULL, &out);

    /* broken frames of before may still be found out by the first good one */

    tap_ok(out.n >= FRAMES - GOP && out.n <= FRAMES + GOP
           && live_frame_pts(out.frame[out.n - 1])
              == 900000 + ((int64_t) round * FRAMES + FRAMES - 1) * STEP,
           "after garbage %d frames are decoded", out.n);

    frames_free(&out);
    live_decoder_free(d);
}


static void
test_audio(void)
{
    int                i, ok;
    media_t            m;
    frames_t           out = { 0 };
    uint8_t            junk[200];
    const char        *reason;
    live_decoder_t    *d;
    live_sample_t      s;

    /* AAC-LC, 48 kHz, 1 channel */
    static const uint8_t  config[] = { 0x11, 0x88 };

    tap_ok(media_audio(&m, 48000, 4800, 20) == LIVE_OK, "AAC");

    d = live_decoder_create(&m.info, config, sizeof(config), 1, &reason);
    ok = d != NULL;

    for (i = 0; ok && i < 20; i++) {
        ok = live_decoder_decode(d, m.data[i], &m.samples[i], frames_add, &out,
                                 &reason)
             == LIVE_OK;
    }

    ok = ok && out.n == 20;

    for (i = 0; ok && i < out.n; i++) {
        ok = live_frame_pts(out.frame[i]) == 4800 + i * 1024
             && out.frame[i]->nb_samples == 1024;
    }

    tap_ok(ok, "20 frames of audio at exact times");

    memset(junk, 0x5a, sizeof(junk));
    s = m.samples[0];
    s.dts = 48000;
    s.size = sizeof(junk);

    tap_ok(live_decoder_decode(d, junk, &s, frames_add, &out, &reason)
           == LIVE_ERROR, "audio that is broken: %s", reason);

    s = m.samples[5];
    s.dts = 49024;
    ok = live_decoder_decode(d, m.data[5], &s, frames_add, &out, &reason)
         == LIVE_OK;

    tap_ok(ok && live_frame_pts(out.frame[out.n - 1]) == 49024,
           "and goes on with the next frame");

    frames_free(&out);
    live_decoder_free(d);
    media_free(&m);
}


int
main(void)
{
    live_rung_t      r;
    live_encoder_t  *e;
    live_packet_t   *packets = NULL;

    av_log_set_level(AV_LOG_QUIET);

    r = ladder_rung("x", "size=320x180 video=400k profile=main");
    e = ladder_encoder(&r, 320, 180, 30);

    if (tap_ok(e && ladder_media(&packets, e, FRAMES, GOP, 900000, STEP)
                    == LIVE_OK,
               "H.264 with B-frames"))
    {
        test_times(e, packets, 1);
        test_times(e, packets, 3);
        test_skip(e, packets);
        test_broken(e, packets, 25, "length");
        test_broken(e, packets, 26, "cut");
        test_broken(e, packets, 21, "noise");
        test_broken(e, packets, 20, "noise");
        test_broken(e, packets, 25, "zeros");
        test_garbage(e, packets);
    }

    live_packet_free(packets);
    live_encoder_free(e);

    test_audio();

    return tap_done();
}
