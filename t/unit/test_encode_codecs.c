/* HEVC, AV1 and VP9: records, samples, key frames; what is refused. */

#include "live_av1.h"
#include "live_hevc.h"
#include "live_vp9.h"
#include "test_ladder.h"
#include "tap.h"

#include <libavformat/avformat.h>
#include <libavutil/log.h>


#define FRAMES  75
#define ROOM    (4 * 1024 * 1024)


typedef struct {
    const char    *parameters;
    live_codec_e   codec;
    const char    *codecs;
    const char    *tag;
    unsigned       extra:1;         /* key frames where none are asked for */
} codec_test_t;


typedef struct {
    const uint8_t  *data;
    size_t          len;
    size_t          pos;
} memory_t;


const char *__lsan_default_suppressions(void);


static uint8_t  marks[FRAMES];
static uint8_t  file[ROOM];
static int      complaints;


/* x265 3.5 keeps two kilobytes of each encoder */
const char *
__lsan_default_suppressions(void)
{
    return "leak:libx265\n";
}


static void
count_log(void *avcl, int level, const char *fmt, va_list args)
{
    (void) avcl;
    (void) fmt;
    (void) args;

    complaints += level <= AV_LOG_WARNING;
}


static int
memory_read(void *opaque, uint8_t *buf, int size)
{
    size_t     n;
    memory_t  *m = opaque;

    n = m->len - m->pos;

    if (n == 0) {
        return AVERROR_EOF;
    }

    if (n > (size_t) size) {
        n = (size_t) size;
    }

    memcpy(buf, m->data + m->pos, n);
    m->pos += n;

    return (int) n;
}


/* Decodes all packets; returns the pictures, -1 on any error. */
static int
decode_stream(AVFormatContext *format, const char *tag)
{
    int                 n, rc;
    AVFrame            *frame;
    AVPacket           *pkt;
    AVCodecContext     *ctx;
    AVCodecParameters  *par;

    par = format->streams[0]->codecpar;

    if (memcmp(&par->codec_tag, tag, 4) != 0) {
        return -1;
    }

    frame = av_frame_alloc();
    pkt = av_packet_alloc();
    ctx = avcodec_alloc_context3(avcodec_find_decoder(par->codec_id));

    avcodec_parameters_to_context(ctx, par);
    ctx->err_recognition = AV_EF_EXPLODE | AV_EF_CRCCHECK;
    ctx->thread_count = 1;

    n = avcodec_open2(ctx, NULL, NULL) < 0 ? -1 : 0;

    while (n >= 0) {
        rc = av_read_frame(format, pkt);

        if (avcodec_send_packet(ctx, rc < 0 ? NULL : pkt) < 0) {
            n = -1;
        }

        av_packet_unref(pkt);

        while (n >= 0 && avcodec_receive_frame(ctx, frame) >= 0) {
            n++;
        }

        if (rc < 0) {
            break;
        }
    }

    avcodec_free_context(&ctx);
    av_packet_free(&pkt);
    av_frame_free(&frame);

    return n;
}


static int
decode(const uint8_t *data, size_t len, const char *tag)
{
    int               n;
    memory_t          m = { data, len, 0 };
    AVFormatContext  *format;
    AVIOContext      *io;

    format = avformat_alloc_context();
    io = avio_alloc_context(av_malloc(4096), 4096, 0, &m, memory_read, NULL,
                            NULL);
    format->pb = io;
    n = -1;

    if (avformat_open_input(&format, NULL, av_find_input_format("mov"), NULL)
        >= 0)
    {
        if (format->nb_streams == 1) {
            n = decode_stream(format, tag);
        }

        avformat_close_input(&format);
    }

    av_freep(&io->buffer);
    avio_context_free(&io);

    return n;
}


/* The init segment and the samples from p to before the next mark; *p is
 * moved there. */
static size_t
segment(size_t pos, const live_packet_t **p, int step, int *n)
{
    size_t                room;
    live_sample_t         samples[FRAMES];
    const live_packet_t  *q;

    *n = 0;

    for (q = *p; q && *n < FRAMES; q = q->next) {

        if (q != *p && marks[q->pts / step]) {
            break;
        }

        samples[*n] = ladder_sample(q);
        samples[*n].duration = (uint32_t) step;
        (*n)++;
    }

    room = live_cmaf_header_room(LIVE_MEDIA_VIDEO, (uint32_t) *n);

    if (live_cmaf_write_header(file + pos, room, LIVE_MEDIA_VIDEO, 1, samples,
                               (uint32_t) *n)
        != LIVE_OK)
    {
        abort();
    }

    for (pos += room; *p != q; *p = (*p)->next) {
        memcpy(file + pos, (*p)->data, (*p)->size);
        pos += (*p)->size;
    }

    return pos;
}


/* Each segment is decoded without the others: GOPs are closed. */
static void
check_segments(const live_packet_t *packets, live_encoder_t *e, int step,
    const char *tag)
{
    int                   n, ok, all, segments;
    size_t                len, init;
    const char           *reason = "";
    live_writer_t         w;
    const uint8_t        *config;
    live_codec_info_t     info;
    const live_packet_t  *p;

    live_encoder_config(e, &info, &config, &len);
    live_writer_init(&w, file, sizeof(file));

    complaints = 0;
    ok = live_cmaf_init_segment(&w, &info, config, len, &reason) == LIVE_OK;
    init = live_writer_len(&w);

    tap_ok(ok && complaints == 0, "an init segment %s", reason);

    for (p = packets, all = segments = 0; ok && p; segments++) {
        ok = p->key;
        len = segment(init, &p, step, &n);
        ok = ok && decode(file, len, tag) == n;
        all += n;
    }

    tap_ok(ok && all == FRAMES && segments == 5 && complaints == 0,
           "%d segments of %s with %d frames decode, each on its own",
           segments, tag, all);
}


static void
check_packets(const live_packet_t *packets, int step, unsigned extra)
{
    int                   k, n, order, times, keys;
    uint8_t               seen[FRAMES] = { 0 };
    const live_packet_t  *p;

    order = times = keys = 1;

    for (p = packets, n = 0; p && times; p = p->next, n++) {
        k = (int) (p->pts / step);
        times = p->pts % step == 0 && k >= 0 && k < FRAMES && !seen[k];

        if (times) {
            seen[k] = 1;
            keys = keys && (p->key == marks[k] || (extra && p->key));
        }

        order = order && p->dts == (int64_t) n * step
                && (!p->key || p->pts == p->dts)
                && (p->duration == (uint32_t) step || p->duration == 0);
    }

    tap_ok(times && n == FRAMES, "%d packets at exact times", n);
    tap_ok(order, "dts are the pts in order, those of key frames (CMAF-17)");
    tap_ok(keys, "key frames where they are asked for%s",
           extra ? "" : ", only");
}


static void
test_codec(const codec_test_t *t)
{
    int                 i, rc;
    size_t              len;
    AVFrame            *f;
    const char         *reason = "";
    live_rung_t         r;
    live_packet_t      *packets = NULL;
    live_encoder_t     *e;
    const uint8_t      *config;
    live_codec_info_t   info;

    r = ladder_rung("x", t->parameters);
    e = ladder_encoder(&r, 320, 180, 30);

    if (!tap_ok(e != NULL, "%s", t->parameters)) {
        return;
    }

    live_encoder_config(e, &info, &config, &len);

    tap_ok(info.codec == t->codec && info.width == 320 && info.height == 180
           && info.timescale == LIVE_VIDEO_TIMESCALE && info.fps_num == 30
           && info.fps_den == 1 && strcmp(info.codecs, t->codecs) == 0,
           "the record: %s %ux%u", info.codecs, info.width, info.height);

    for (i = 0, rc = LIVE_OK; i < FRAMES && rc == LIVE_OK; i++) {
        f = ladder_picture(320, 180, AV_PIX_FMT_YUV420P, i * 3000);
        media_picture(f, i);

        /* another scene now and then, which must not make a key frame */

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

    tap_ok(rc == LIVE_OK, "encoded %s", rc == LIVE_OK ? "" : reason);

    check_packets(packets, 3000, t->extra);
    check_segments(packets, e, 3000, t->tag);

    live_packet_free(packets);
    live_encoder_free(e);
}


static void
test_codecs(void)
{
    size_t  i;

    static const codec_test_t  tests[] = {
        { "size=320x180 video=300k codec=libx265 preset=ultrafast",
          LIVE_CODEC_HEVC, "hvc1.1.6.L60.90", "hvc1", 0 },
        { "size=320x180 crf=30 codec=libx265 threads=2 profile=main "
          "options=scenecut=40:keyint=10:open-gop=1:repeat-headers=1:aud=1",
          LIVE_CODEC_HEVC, "hvc1.1.6.L60.90", "hvc1", 0 },
        { "size=320x180 crf=30 codec=libx265 tune=zerolatency",
          LIVE_CODEC_HEVC, "hvc1.1.6.L60.90", "hvc1", 0 },
        { "size=320x180 crf=35 maxrate=400k codec=libsvtav1 preset=12",
          LIVE_CODEC_AV1, "av01.0.00M.08", "av01", 0 },
        { "size=320x180 video=300k codec=libaom-av1 "
          "options=enable-cdef=0:tune-content=screen",
          LIVE_CODEC_AV1, "av01.0.00M.08", "av01", 0 },
        { "size=320x180 crf=40 codec=libaom-av1 "
          "options=usage=good:lag-in-frames=12:cpu-used=8",
          LIVE_CODEC_AV1, "av01.0.00M.08", "av01", 1 },
        { "size=320x180 video=300k codec=libvpx-vp9",
          LIVE_CODEC_VP9, "vp09.00.11.08", "vp09", 0 },
        { "size=320x180 crf=30 codec=libvpx-vp9 options=deadline=good:"
          "cpu-used=5:lag-in-frames=16:auto-alt-ref=1",
          LIVE_CODEC_VP9, "vp09.00.11.08", "vp09", 0 },
    };

    marks[0] = 1;
    marks[1] = 1;           /* two in a row */
    marks[30] = 1;
    marks[37] = 1;
    marks[FRAMES - 1] = 1;

    for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        test_codec(&tests[i]);
    }
}


/* What the encoder refuses, or, on trial, does not do. */
static void
test_refused(void)
{
    size_t               i;
    const char          *reason;
    live_rung_t          r;
    live_encoder_t      *e;
    live_rung_source_t   s;

    static const char  *bad[] = {
        "codec=mpeg4", "codec=libx265 preset=quick", "codec=libx265 level=4",
        "codec=libvpx-vp9 preset=fast", "codec=libaom-av1 profile=high",
        "codec=libsvtav1 tune=film", "codec=libvpx-vp9 options=speedy=1",
        "codec=libsvtav1", "codec=librav1e options=speed=10",
    };

    memset(&s, 0, sizeof(s));
    s.width = 320;
    s.height = 180;
    s.fps = 30;

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        r = ladder_rung("720p", bad[i]);
        reason = NULL;
        e = live_encoder_create_video(&r, &s, &reason);

        tap_ok(e == NULL || live_encoder_try(e, &reason) == LIVE_ERROR,
               "%s: %s", bad[i], reason ? reason : "is taken");
        live_encoder_free(e);
    }

    r = ladder_rung("1080p", "codec=libx265");
    e = live_encoder_create_video(&r, &s, &reason);

    tap_ok(e && live_encoder_try(e, &reason) == LIVE_OK,
           "the built-in ladder's profile is not for HEVC; on trial");
    live_encoder_free(e);

    r = ladder_rung("1080p", "");
    e = live_encoder_create_video(&r, &s, &reason);

    tap_ok(e && live_encoder_try(e, &reason) == LIVE_OK, "H.264 on trial");
    live_encoder_free(e);
}


/* of x265: Main, level 4, 1920x1080; an SEI in between */
static const uint8_t  hevc_sets[] = {
    0, 0, 0, 1, 0x40, 0x01, 0x0c, 0x01, 0xff, 0xff, 0x01, 0x60, 0x00, 0x00,
    0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x78, 0x95,
    0x94, 0x09,
    0, 0, 0, 1, 0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90,
    0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x78, 0xa0, 0x03, 0xc0, 0x80,
    0x11, 0x07, 0xcb, 0x96, 0x56, 0x54, 0xa4, 0xc2, 0xf0, 0x16, 0x80, 0x80,
    0x00, 0x00, 0x03, 0x00, 0x80, 0x00, 0x00, 0x0f, 0x04,
    0, 0, 1, 0x4e, 0x01, 0x05, 0x01, 0x77, 0x80,
    0, 0, 0, 1, 0x44, 0x01, 0xc0, 0x73, 0xc1, 0x89
};


static void
test_hevc(void)
{
    int                idr;
    size_t             n, len;
    uint8_t            out[256];
    const char        *reason;
    live_writer_t      w;
    live_codec_info_t  info;

    static const uint8_t  head[] = {
        1, 0x01, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 120, 0xf0, 0, 0xfc, 0xfd,
        0xf8, 0xf8, 0, 0, 0x0f, 3, 0xa0, 0, 1, 0, 24, 0x40, 0x01
    };
    static const uint8_t  in[] = {
        0, 0, 0, 1, 0x46, 0x01, 0x10, 0, 0, 1, 0x42, 0x01, 9, 0, 0, 1, 0x4e,
        0x01, 5, 0, 0, 0, 1, 0x26, 0x01, 7, 0, 0, 0, 0, 1, 0x02, 0x01, 8
    };
    static const uint8_t  want[] = {
        0, 0, 0, 3, 0x4e, 0x01, 5, 0, 0, 0, 3, 0x26, 0x01, 7, 0, 0, 0, 3, 0x02,
        0x01, 8
    };

    live_writer_init(&w, out, sizeof(out));
    tap_ok(live_hevc_record(hevc_sets, sizeof(hevc_sets), &w) == LIVE_OK
           && memcmp(out, head, sizeof(head)) == 0,
           "hvcC: profile, 4:2:0, arrays that are complete");

    len = live_writer_len(&w);
    tap_ok(live_hevc_parse_config(&info, out, len, &reason) == LIVE_OK
           && info.width == 1920 && info.height == 1080
           && info.nal_length_size == 4
           && strcmp(info.codecs, "hvc1.1.6.L120.90") == 0,
           "what it says: codecs, 1920x1080");

    out[1] = 0x61;
    memset(out + 2, 0xff, 10);
    out[12] = 186;
    tap_ok(live_hevc_parse_config(&info, out, len, &reason) == LIVE_OK
           && strcmp(info.codecs,
                     "hvc1.A1.FFFFFFFF.H186.FF.FF.FF.FF.FF.FF") == 0,
           "the longest");

    for (n = 0; n < len; n++) {
        if (live_hevc_parse_config(&info, out, n, &reason) == LIVE_OK) {
            break;
        }
    }

    tap_ok(n == len, "cut short anywhere");

    live_writer_init(&w, out, sizeof(out));
    tap_ok(live_hevc_access_unit(in, sizeof(in), &w, &idr) == LIVE_OK && idr
           && live_writer_len(&w) == sizeof(want)
           && memcmp(out, want, sizeof(want)) == 0,
           "samples without parameter sets and delimiters");

    live_writer_init(&w, out, 9);
    tap_ok(live_hevc_access_unit(in, sizeof(in), &w, &idr) == LIVE_ERROR,
           "no room");

    live_writer_init(&w, out, sizeof(out));
    tap_ok(live_hevc_record(in, sizeof(in), &w) == LIVE_ERROR
           && live_hevc_record(NULL, 0, &w) == LIVE_ERROR
           && live_hevc_record(hevc_sets, sizeof(hevc_sets) - 8, &w)
              == LIVE_ERROR,
           "no parameter sets, no whole SPS, no PPS");
}


static void
test_av1(void)
{
    int                key;
    size_t             n, len;
    uint8_t            out[128];
    const char        *reason;
    live_writer_t      w;
    live_codec_info_t  info = { .codecs = "" };

    /* of libaom: 1280x720 of 10 bits, BT.2020 with PQ, behind a delimiter */
    static const uint8_t  sequence[] = {
        0x12, 0x00,
        0x0a, 0x0e, 0x00, 0x00, 0x00, 0x2d, 0x4c, 0xff, 0xb3, 0xcd, 0xaf,
        0x95, 0x09, 0x10, 0x09, 0x04
    };
    /* delimiter, padding, a key frame of 3 bytes, metadata without a size */
    static const uint8_t  in[] = {
        0x12, 0x00, 0x7a, 0x01, 0x80, 0x32, 0x03, 0x10, 1, 2, 0x28, 9, 9
    };
    static const uint8_t  want[] = { 0x32, 0x03, 0x10, 1, 2, 0x28, 9, 9 };
    static const uint8_t  inter[] = { 0x12, 0x00, 0x32, 0x02, 0x30, 1 };
    static const uint8_t  hidden[] = { 0x32, 0x01, 0x00, 0x32, 0x01, 0x10 };
    static const uint8_t  existing[] = { 0x1a, 0x01, 0x90 };
    static const uint8_t  cut[] = { 0x32, 0x05, 0x10 };
    static const uint8_t  endless[] = {
        0x32, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0
    };

    live_writer_init(&w, out, sizeof(out));
    tap_ok(live_av1_record(sequence, sizeof(sequence), &w) == LIVE_OK
           && out[0] == 0x81 && out[3] == 0
           && live_writer_len(&w) == 4 + 16
           && memcmp(out + 4, sequence + 2, 16) == 0,
           "av1C: the sequence header behind four bytes");

    len = live_writer_len(&w);
    tap_ok(live_av1_parse_config(&info, out, len, &reason) == LIVE_OK
           && info.codec == LIVE_CODEC_AV1 && info.width == 1280
           && info.height == 720
           && strcmp(info.codecs, "av01.0.05M.10.0.110.09.16.09.0") == 0,
           "what it says: codecs, 1280x720");

    for (n = 0; n < len; n++) {
        if (live_av1_parse_config(&info, out, n, &reason) == LIVE_OK) {
            break;
        }
    }

    tap_ok(n == len, "cut short anywhere");

    live_writer_init(&w, out + 64, 64);
    tap_ok(live_av1_record(out, len, &w) == LIVE_OK
           && live_writer_len(&w) == len && memcmp(out, out + 64, len) == 0,
           "a record stays one");

    live_writer_init(&w, out, sizeof(out));
    tap_ok(live_av1_temporal_unit(in, sizeof(in), &w, &key) == LIVE_OK && key
           && live_writer_len(&w) == sizeof(want)
           && memcmp(out, want, sizeof(want)) == 0,
           "samples without delimiters and padding");

    live_writer_init(&w, out, sizeof(out));
    tap_ok(live_av1_temporal_unit(inter, sizeof(inter), &w, &key) == LIVE_OK
           && !key
           && live_av1_temporal_unit(hidden, sizeof(hidden), &w, &key)
              == LIVE_OK && !key
           && live_av1_temporal_unit(existing, sizeof(existing), &w, &key)
              == LIVE_OK && !key,
           "no key frames: an inter frame, a hidden one, one shown again");

    tap_ok(live_av1_temporal_unit(cut, sizeof(cut), &w, &key) == LIVE_ERROR
           && live_av1_temporal_unit(endless, sizeof(endless), &w, &key)
              == LIVE_ERROR
           && live_av1_record(inter, sizeof(inter), &w) == LIVE_ERROR,
           "sizes that are wrong, no sequence header");

    live_writer_init(&w, out, 4);
    tap_ok(live_av1_temporal_unit(in, sizeof(in), &w, &key) == LIVE_ERROR,
           "no room");
}


static void
test_vp9_level(uint32_t width, uint32_t height, double fps, uint32_t rate,
    unsigned matrix, const char *codecs)
{
    uint8_t             out[8];
    const char         *reason;
    live_writer_t       w;
    live_codec_info_t   info;
    live_rung_source_t  s;

    memset(&s, 0, sizeof(s));
    s.width = width;
    s.height = height;
    s.fps = fps;
    s.primaries = s.transfer = s.matrix = (uint8_t) matrix;

    live_writer_init(&w, out, sizeof(out));

    tap_ok(live_vp9_record(&s, rate, &w) == LIVE_OK
           && live_vp9_parse_config(&info, out, sizeof(out), &reason)
              == LIVE_OK
           && strcmp(info.codecs, codecs) == 0,
           "%ux%u, %.0f a second: %s", width, height, fps, codecs);

    tap_ok(live_vp9_parse_config(&info, out, 7, &reason) == LIVE_ERROR,
           "cut short");
}


static void
test_vp9(void)
{
    int            key;
    uint8_t        out[64];
    live_writer_t  w;

    static const uint8_t  shown[] = { 0x82, 1, 2 };
    static const uint8_t  inter[] = { 0x86, 1, 2 };
    static const uint8_t  alone[] = { 0x84, 1, 2 };
    static const uint8_t  repeat[] = { 0x88 };
    static const uint8_t  both[] = {
        0x84, 1, 2, 0x86, 3, 0xc1, 3, 2, 0xc1
    };
    static const uint8_t  first[] = {
        0x82, 1, 2, 0x84, 3, 0xc1, 3, 2, 0xc1
    };
    static const uint8_t  two[] = {
        0x82, 1, 2, 0x86, 3, 0xc1, 3, 2, 0xc1
    };
    static const uint8_t  wrong[] = {
        0x82, 1, 2, 0x84, 3, 0xc1, 3, 9, 0xc1
    };

    test_vp9_level(320, 180, 30, 300000, 1, "vp09.00.11.08");
    test_vp9_level(1280, 720, 30, 3000000, 1, "vp09.00.31.08");
    test_vp9_level(1280, 720, 30, 20000000, 0, "vp09.00.41.08");
    test_vp9_level(1920, 1080, 60, 6000000, 1, "vp09.00.41.08");
    test_vp9_level(8192, 8192, 240, 1000000000, 5,
                   "vp09.00.62.08.00.05.05.05.00");

    live_writer_init(&w, out, sizeof(out));
    tap_ok(live_vp9_sample(shown, 3, &w, &key) == LIVE_OK && key
           && live_writer_len(&w) == 3 && memcmp(out, shown, 3) == 0,
           "a key frame as it is");
    tap_ok(live_vp9_sample(inter, 3, &w, &key) == LIVE_OK && !key
           && live_vp9_sample(repeat, 1, &w, &key) == LIVE_OK && !key
           && live_vp9_sample(both, sizeof(both), &w, &key) == LIVE_OK && !key
           && live_vp9_sample(first, sizeof(first), &w, &key) == LIVE_OK
           && key,
           "other frames, superframes with a hidden one");

    live_writer_init(&w, out, sizeof(out));
    tap_ok(live_vp9_sample(alone, 3, &w, &key) == LIVE_ERROR
           && live_vp9_sample(two, sizeof(two), &w, &key) == LIVE_ERROR
           && live_vp9_sample(wrong, sizeof(wrong), &w, &key) == LIVE_ERROR
           && live_vp9_sample(out, 0, &w, &key) == LIVE_ERROR
           && live_writer_len(&w) == 0,
           "not one frame that is shown, a wrong index, nothing");
}


/* Freed before the first picture, and before the end. */
static void
test_freed(void)
{
    size_t           i;
    AVFrame         *f;
    const char      *reason;
    live_rung_t      r;
    live_packet_t   *packets = NULL;
    live_encoder_t  *e;

    static const char  *codecs[] = {
        "libx265", "libsvtav1", "libaom-av1", "libvpx-vp9"
    };

    for (i = 0; i < sizeof(codecs) / sizeof(codecs[0]); i++) {
        char  parameters[128];

        (void) snprintf(parameters, sizeof(parameters),
                        "size=320x180 crf=40 codec=%s", codecs[i]);
        r = ladder_rung("x", parameters);

        live_encoder_free(ladder_encoder(&r, 320, 180, 30));

        e = ladder_encoder(&r, 320, 180, 30);
        f = ladder_picture(320, 180, AV_PIX_FMT_YUV420P, 0);
        media_picture(f, 0);

        tap_ok(live_encoder_encode(e, f, &packets, &reason) == LIVE_OK,
               "%s: begun and left", codecs[i]);

        live_frame_free(f);
        live_packet_free(packets);
        live_encoder_free(e);
        packets = NULL;
    }
}


int
main(void)
{
    av_log_set_callback(count_log);

    test_hevc();
    test_av1();
    test_vp9();
    test_codecs();
    test_refused();
    test_freed();

    return tap_done();
}
