/* Pictures from key frames. */

#include "live_jpeg.h"
#include "test_media.h"
#include "tap.h"

#include <libavutil/log.h>


static uint8_t  segment[1024 * 1024];


static int
make(const media_t *m, size_t len, uint32_t width, uint8_t **out,
    size_t *size, const char **reason)
{
    live_jpeg_source_t  source = { m->init, m->init_len, segment, len };

    return live_jpeg_make(&source, width, out, size, reason);
}


/* Decodes it again: NULL when it is no JPEG. */
static AVFrame *
decode(const uint8_t *data, size_t len)
{
    AVFrame         *f;
    AVPacket        *pkt;
    AVCodecContext  *ctx;

    f = av_frame_alloc();
    pkt = av_packet_alloc();
    ctx = avcodec_alloc_context3(avcodec_find_decoder(AV_CODEC_ID_MJPEG));

    if (av_new_packet(pkt, (int) len) < 0
        || avcodec_open2(ctx, NULL, NULL) < 0)
    {
        abort();
    }

    memcpy(pkt->data, data, len);

    if (avcodec_send_packet(ctx, pkt) < 0
        || avcodec_receive_frame(ctx, f) < 0)
    {
        av_frame_free(&f);
    }

    av_packet_free(&pkt);
    avcodec_free_context(&ctx);

    return f;
}


static void
check(const media_t *m, size_t len, uint32_t want, int width, int height)
{
    int          x, least, most, luma, right;
    size_t       size, again;
    uint8_t     *out, *twice;
    AVFrame     *f;
    const char  *reason;

    if (!tap_ok(make(m, len, want, &out, &size, &reason) == LIVE_OK,
                "width %u is made", want))
    {
        return;
    }

    f = decode(out, size);

    tap_ok(f && f->width == width && f->height == height,
           "width %u gives %dx%d", want, width, height);

    /* all levels from black on: the source's 16 is 0, its 216 is 232 */

    least = 255;
    most = 0;
    right = 1;

    for (x = 0; f && x < f->width; x++) {
        luma = f->data[0][(f->height / 2) * f->linesize[0] + x];
        least = luma < least ? luma : least;
        most = luma > most ? luma : most;

        if (abs(luma - 232 * x / f->width) > 32) {
            right = 0;
        }
    }

    tap_ok(right && least < 16 && most > 216,
           "the levels are those of JPEG: %d to %d", least, most);

    av_frame_free(&f);

    tap_ok(make(m, len, want, &twice, &again, &reason) == LIVE_OK
           && again == size && memcmp(out, twice, size) == 0,
           "the same once more");

    free(out);
    free(twice);
}


static void
test_sizes(void)
{
    size_t         len;
    media_t        m;
    media_video_t  v = { 320, 180, 30, 2, 0, 0 };

    if (!tap_ok(media_video(&m, &v, 0, 10) == LIVE_OK, "H.264 of 320x180")) {
        return;
    }

    len = media_segment(&m, 0, m.n, 5, segment);

    check(&m, len, 0, 320, 180);
    check(&m, len, 160, 160, 90);
    check(&m, len, 32, 32, 18);
    check(&m, len, 101, 101, 56);
    check(&m, len, 1920, 320, 180);

    media_free(&m);
}


static void
test_aspect(void)
{
    size_t         len;
    media_t        m;
    media_video_t  v = { 240, 180, 30, 0, 4, 3 };
    media_video_t  tall = { 320, 180, 30, 0, 1, 2 };

    tap_ok(media_video(&m, &v, 0, 3) == LIVE_OK, "H.264 of 240x180, 4:3");
    len = media_segment(&m, 0, m.n, 3, segment);

    check(&m, len, 0, 320, 180);
    check(&m, len, 160, 160, 90);
    media_free(&m);

    tap_ok(media_video(&m, &tall, 0, 3) == LIVE_OK, "H.264 of 320x180, 1:2");
    len = media_segment(&m, 0, m.n, 3, segment);

    check(&m, len, 0, 320, 360);
    media_free(&m);
}


static void
fails(const media_t *m, size_t len, const char *what)
{
    int          rc;
    size_t       size;
    uint8_t     *out;
    const char  *reason;

    out = NULL;
    reason = NULL;

    rc = make(m, len, 0, &out, &size, &reason);

    tap_ok(rc == LIVE_ERROR && reason, "%s: %s", what,
           reason ? reason : "no reason");

    free(out);
}


static void
test_errors(void)
{
    size_t         len;
    media_t        m;
    media_video_t  v = { 320, 180, 30, 0, 0, 0 };

    tap_ok(media_video(&m, &v, 0, 4) == LIVE_OK, "H.264");

    len = media_segment(&m, 1, m.n, 5, segment);
    fails(&m, len, "no key frame");

    len = media_segment(&m, 0, m.n, 5, segment);
    fails(&m, 0, "nothing");
    fails(&m, 100, "a part of its header");

    memset(segment + live_cmaf_header_room(LIVE_MEDIA_VIDEO, m.n), 0xff,
           m.samples[0].size);
    fails(&m, len, "no H.264 in it");

    m.init_len = 20;
    fails(&m, len, "no init segment");

    media_free(&m);

    tap_ok(media_audio(&m, 48000, 0, 10) == LIVE_OK, "AAC");
    len = media_segment(&m, 0, m.n, 10, segment);
    fails(&m, len, "audio");
    media_free(&m);
}


int
main(void)
{
    av_log_set_level(AV_LOG_QUIET);

    test_sizes();
    test_aspect();
    test_errors();

    return tap_done();
}
