/* Encoding of video: times, key frames, the record, what is refused. */

#include "live_annexb.h"
#include "test_ladder.h"
#include "tap.h"

#include <libavutil/log.h>


#define FRAMES  90


/* Packets against frames at start + i * step, and key frames at those. */
static void
check(const char *what, const live_packet_t *packets, const uint8_t *keys,
    int64_t start, int64_t step)
{
    int                   n, k, times, key, order, key_times, lengths;
    uint32_t              i;
    int64_t               last;
    uint8_t               seen[FRAMES] = { 0 };
    live_nal_walk_t       w;
    const live_packet_t  *p;

    times = key = order = key_times = lengths = 1;
    n = 0;
    last = INT64_MIN;

    for (p = packets; p; p = p->next) {
        k = (int) ((p->pts - start) / step);

        if ((p->pts - start) % step || k < 0 || k >= FRAMES || seen[k]) {
            times = 0;
            break;
        }

        seen[k] = 1;

        key = key && p->key == keys[k];
        key_times = key_times && (!p->key || p->dts == p->pts);
        order = order && p->dts > last && p->dts == start + n * step
                && (p->duration == step || p->duration == 0);
        last = p->dts;
        n++;

        live_nal_walk_init(&w, p->size, 4);

        for (i = 0; i < p->size; i++) {
            live_nal_walk(&w, p->data + i, 1);
        }

        lengths = lengths && live_nal_walk_valid(&w) && w.idr == p->key;
    }

    tap_ok(times && n == FRAMES, "%s: %d packets at exact times", what, n);
    tap_ok(order, "%s: dts in order, from the first pts on", what);
    tap_ok(key, "%s: key frames where they are asked for, only", what);
    tap_ok(key_times, "%s: key frames' dts is their pts (CMAF-17)", what);
    tap_ok(lengths, "%s: NAL units behind their lengths", what);
}


static live_packet_t *
encode(live_encoder_t *e, const uint8_t *marks, int64_t start, int64_t step)
{
    int                 i, rc;
    size_t              len;
    AVFrame            *f;
    const char         *reason;
    live_packet_t      *packets = NULL;
    const uint8_t      *config;
    live_codec_info_t   info;

    live_encoder_config(e, &info, &config, &len);

    for (i = 0, rc = LIVE_OK; i < FRAMES && rc == LIVE_OK; i++) {
        f = ladder_picture((int) info.width, (int) info.height,
                           AV_PIX_FMT_YUV420P, start + i * step);

        /* another scene now and then, which must not make a key frame */

        media_picture(f, i / 25 % 2 ? i * 7 : i);

        if (i / 25 % 2) {
            memset(f->data[0], i * 40, (size_t) f->linesize[0] * 60);
        }

        if (marks[i]) {
            live_frame_mark(f);
        }

        rc = live_encoder_encode(e, f, &packets, &reason);
        live_frame_free(f);
    }

    if (rc == LIVE_OK) {
        rc = live_encoder_encode(e, NULL, &packets, &reason);
    }

    tap_ok(rc == LIVE_OK, "encoded");

    return packets;
}


static void
test_times(const char *parameters, int fps, int64_t start)
{
    uint8_t          marks[FRAMES] = { 0 };
    live_rung_t      r;
    live_encoder_t  *e;
    live_packet_t   *packets;

    marks[0] = 1;
    marks[1] = 1;           /* two in a row */
    marks[30] = 1;
    marks[37] = 1;
    marks[FRAMES - 1] = 1;

    r = ladder_rung("x", parameters);
    e = ladder_encoder(&r, 320, 180, fps);

    if (!tap_ok(e != NULL, "%s", parameters)) {
        return;
    }

    packets = encode(e, marks, start, LIVE_VIDEO_TIMESCALE / fps);
    check(parameters, packets, marks, start, LIVE_VIDEO_TIMESCALE / fps);

    live_packet_free(packets);
    live_encoder_free(e);
}


/* Frames come as they like: the n-th dts is the n-th pts. */
static void
test_variable(void)
{
    int                   i, n, ok;
    int64_t               pts[FRAMES];
    AVFrame              *f;
    const char           *reason;
    live_rung_t           r;
    live_packet_t        *packets = NULL;
    live_encoder_t       *e;
    const live_packet_t  *p;

    r = ladder_rung("x", "size=320x180 video=300k profile=main");
    e = ladder_encoder(&r, 320, 180, 30);
    ok = e != NULL;

    for (i = 0; ok && i < FRAMES; i++) {
        pts[i] = (i ? pts[i - 1] : 0) + 1 + i * i * 7919 % 12000
                 + (i == 50 ? 900000 : 0);
        f = ladder_picture(320, 180, AV_PIX_FMT_YUV420P, pts[i]);
        media_picture(f, i);

        if (i % 33 == 0) {
            live_frame_mark(f);
        }

        ok = live_encoder_encode(e, f, &packets, &reason) == LIVE_OK;
        live_frame_free(f);
    }

    ok = ok && live_encoder_encode(e, NULL, &packets, &reason) == LIVE_OK;

    for (p = packets, n = 0; ok && p; p = p->next, n++) {

        for (i = 0; i < FRAMES && pts[i] != p->pts; i++) {
            /* void */
        }

        ok = i < FRAMES && p->dts == pts[n] && p->key == (i % 33 == 0)
             && (!p->key || p->dts == p->pts)
             && (p->duration == 0 || n == FRAMES - 1
                 || p->duration == pts[n + 1] - pts[n]);
    }

    tap_ok(ok && n == FRAMES, "%d frames of a variable rate, at exact times",
           n);

    live_packet_free(packets);
    live_encoder_free(e);
}


/* gop=1s at 30 a second, counted from the last key frame, however it came. */
static void
test_gop(void)
{
    uint8_t          marks[FRAMES] = { 0 };
    live_rung_t      r;
    live_encoder_t  *e;
    live_packet_t   *packets;

    r = ladder_rung("x", "size=320x180 video=300k gop=1s");
    e = ladder_encoder(&r, 320, 180, 30);

    marks[10] = 1;
    packets = encode(e, marks, 0, 3000);

    marks[0] = 1;
    marks[40] = 1;
    marks[70] = 1;
    check("gop=1s", packets, marks, 0, 3000);

    live_packet_free(packets);
    live_encoder_free(e);
}


static void
test_config(void)
{
    size_t              len, again;
    const char         *reason;
    live_rung_t         r;
    live_encoder_t     *e;
    const uint8_t      *config;
    live_codec_info_t   info;
    live_writer_t       w;
    uint8_t             init[4096];

    r = ladder_rung("x", "size=426x240 video=300k profile=high level=3.1");
    e = ladder_encoder(&r, 426, 240, 29.97);

    tap_ok(live_encoder_config(e, &info, &config, &len) == LIVE_OK
           && info.codec == LIVE_CODEC_H264 && info.width == 426
           && info.height == 240 && info.timescale == LIVE_VIDEO_TIMESCALE
           && info.nal_length_size == 4 && config[1] == 100
           && config[3] == 31 && strcmp(info.codecs, "avc1.64001f") == 0,
           "the record: %s", info.codecs);

    tap_ok(info.fps_den && info.fps_num / info.fps_den == 29,
           "%u/%u frames a second", info.fps_num, info.fps_den);

    live_writer_init(&w, init, sizeof(init));
    tap_ok(live_cmaf_init_segment(&w, &info, config, len, &reason) == LIVE_OK,
           "it makes an init segment");

    again = len;
    live_encoder_free(e);

    r = ladder_rung("x", "size=426x240 video=300k profile=baseline");
    e = ladder_encoder(&r, 426, 240, 0);

    tap_ok(e && live_encoder_config(e, &info, &config, &len) == LIVE_OK
           && config[1] == 66 && len < again,
           "Baseline, of an unknown frame rate");

    live_encoder_free(e);
}


static void
test_refused(void)
{
    size_t               i;
    AVFrame             *f;
    const char          *reason;
    live_rung_t          r;
    live_packet_t       *packets = NULL;
    live_encoder_t      *e;
    live_rung_source_t   s;

    static const char  *bad[] = {
        "codec=nothing", "codec=mpeg4", "codec=aac", "preset=quick",
        "profile=highest", "level=9.9", "codec=h264_vaapi",
    };

    memset(&s, 0, sizeof(s));
    s.width = 320;
    s.height = 180;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        r = ladder_rung("720p", bad[i]);
        reason = NULL;
        e = live_encoder_create_video(&r, &s, &reason);

        tap_ok(e == NULL && reason, "%s: %s", bad[i],
               reason ? reason : "is taken");
        live_encoder_free(e);
    }

    r = ladder_rung("x", "size=320x180 video=300k options=ref=1:bframes=1");
    e = ladder_encoder(&r, 320, 180, 30);

    f = ladder_picture(320, 240, AV_PIX_FMT_YUV420P, 0);
    media_picture(f, 0);
    tap_ok(live_encoder_encode(e, f, &packets, &reason) == LIVE_ERROR,
           "a picture of another size");
    live_frame_free(f);

    f = ladder_picture(320, 180, AV_PIX_FMT_YUV420P, 0);
    media_picture(f, 0);
    tap_ok(live_encoder_encode(e, f, &packets, &reason) == LIVE_OK
           && live_encoder_encode(e, f, &packets, &reason) == LIVE_ERROR,
           "the same time twice");
    live_frame_free(f);

    tap_ok(live_encoder_encode(e, NULL, &packets, &reason) == LIVE_OK
           && packets && packets->next == NULL,
           "the good one comes out");

    live_packet_free(packets);
    live_encoder_free(e);
}


static void
test_annexb(void)
{
    int            idr;
    uint8_t        out[64];
    live_writer_t  w;

    static const uint8_t  in[] = {
        0, 0, 0, 1, 9, 0x10, 0, 0, 1, 6, 5, 0, 0, 3, 1, 0, 0, 0, 1, 0x65, 7,
        0, 0, 0, 0, 1, 0x65, 0, 0, 0
    };
    static const uint8_t  want[] = {
        0, 0, 0, 6, 6, 5, 0, 0, 3, 1, 0, 0, 0, 2, 0x65, 7, 0, 0, 0, 1, 0x65
    };

    live_writer_init(&w, out, sizeof(out));
    tap_ok(live_annexb_access_unit(in, sizeof(in), &w, &idr) == LIVE_OK && idr
           && live_writer_len(&w) == sizeof(want)
           && memcmp(out, want, sizeof(want)) == 0,
           "start codes of both lengths, zeros behind");

    live_writer_init(&w, out, 10);
    tap_ok(live_annexb_access_unit(in, sizeof(in), &w, &idr) == LIVE_ERROR,
           "no room");

    live_writer_init(&w, out, sizeof(out));
    tap_ok(live_annexb_config(in, sizeof(in), &w) == LIVE_ERROR,
           "no parameter sets");
    tap_ok(live_annexb_config(NULL, 0, &w) == LIVE_ERROR, "nothing");
}


/* The whole: one source, three rungs in a cascade, the same times in each. */
static void
test_cascade(void)
{
    int                   i, k, ok;
    size_t                len;
    uint8_t               marks[FRAMES] = { 0 };
    frames_t              in = { 0 };
    const char           *reason;
    live_rung_t           r;
    live_frame_t         *f, *out;
    live_sample_t         sample;
    live_packet_t        *source = NULL, *packets[3] = { NULL };
    live_decoder_t       *d;
    live_encoder_t       *e, *rung[3];
    live_scaler_t        *scaler[3];
    const uint8_t        *config;
    const live_packet_t  *p;
    live_codec_info_t     info;
    live_rung_source_t    s;

    static const char  *parameters[3] = {
        "size=-2x180 video=300k profile=main",
        "size=-2x120 video=200k profile=baseline",
        "size=-2x90 video=100k tune=zerolatency",
    };

    r = ladder_rung("x", "size=426x240 video=600k profile=high");
    e = ladder_encoder(&r, 426, 240, 30);
    live_encoder_config(e, &info, &config, &len);
    ladder_media(&source, e, FRAMES, 45, 90000, 3000);

    d = live_decoder_create(&info, config, len, 1, &reason);

    for (p = source; p; p = p->next) {
        sample = ladder_sample(p);
        (void) live_decoder_decode(d, p->data, &sample, frames_add, &in,
                                   &reason);
    }

    (void) live_decoder_decode(d, NULL, NULL, frames_add, &in, &reason);
    ok = live_decoder_source(d, &s) == LIVE_OK && in.n == FRAMES;

    for (k = 0; ok && k < 3; k++) {
        uint32_t  w, h;

        r = ladder_rung("x", parameters[k]);
        ok = live_rung_size(&r, &s, &w, &h) == LIVE_OK;
        scaler[k] = live_scaler_create(&r, &s, w, h, 1, &reason);
        live_scaler_target(scaler[k], &s);
        rung[k] = live_encoder_create_video(&r, &s, &reason);
        ok = ok && rung[k];
    }

    tap_ok(ok, "a ladder of three rungs");

    marks[0] = 1;

    for (i = 0; ok && i < in.n; i++) {
        f = live_frame_ref(in.frame[i]);

        if (i % 20 == 13) {
            marks[i] = 1;
            live_frame_mark(f);
        }

        for (k = 0; k < 3; k++) {
            ok = ok && live_scaler_scale(scaler[k], f, &out, &reason)
                       == LIVE_OK
                 && out && live_encoder_encode(rung[k], out, &packets[k],
                                               &reason)
                           == LIVE_OK;
            live_frame_free(f);
            f = out;
        }

        live_frame_free(f);
    }

    for (k = 0; ok && k < 3; k++) {
        ok = live_encoder_encode(rung[k], NULL, &packets[k], &reason)
             == LIVE_OK;
        check(parameters[k], packets[k], marks, 90000, 3000);
        live_packet_free(packets[k]);
        live_encoder_free(rung[k]);
        live_scaler_free(scaler[k]);
    }

    tap_ok(ok, "all of it");

    frames_free(&in);
    live_decoder_free(d);
    live_packet_free(source);
    live_encoder_free(e);
}


int
main(void)
{
    av_log_set_level(AV_LOG_QUIET);

    test_annexb();
    test_times("size=320x180 video=300k profile=main", 30, 900000);
    test_times("size=320x180 video=300k tune=zerolatency", 25, 0);
    test_times("size=320x180 video=300k profile=baseline", 60, -90000);
    test_times("size=320x180 crf=30 preset=medium", 30, (int64_t) 1 << 40);
    test_times("size=320x180 video=300k threads=2", 30, 7);
    test_times("size=320x180 video=300k options=scenecut=40:keyint=10:"
               "open-gop=1:repeat-headers=1:annexb=0", 30, 0);
    test_variable();
    test_gop();
    test_config();
    test_refused();
    test_cascade();

    return tap_done();
}
