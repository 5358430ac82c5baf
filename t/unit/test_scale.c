/* Scaling: sizes, levels, formats, marks, what is refused. */

#include "test_ladder.h"
#include "tap.h"

#include <libavutil/display.h>
#include <libavutil/log.h>
#include <libavutil/pixdesc.h>


static live_rung_source_t
source_of(uint32_t width, uint32_t height)
{
    live_rung_source_t  s;

    memset(&s, 0, sizeof(s));
    s.width = width;
    s.height = height;
    s.fps = 30;
    s.primaries = 2;
    s.transfer = 2;
    s.matrix = 2;

    return s;
}


/* All of luma so, chroma grey; depth in bits. */
static void
fill(AVFrame *f, int luma, int depth)
{
    int                        i, x, y, w, h, value;
    const AVPixFmtDescriptor  *desc = av_pix_fmt_desc_get(f->format);

    for (i = 0; i < 3; i++) {
        w = i ? AV_CEIL_RSHIFT(f->width, desc->log2_chroma_w) : f->width;
        h = i ? AV_CEIL_RSHIFT(f->height, desc->log2_chroma_h) : f->height;
        value = i ? 1 << (depth - 1) : luma;

        for (y = 0; y < h; y++) {
            for (x = 0; x < w; x++) {
                if (depth == 8) {
                    f->data[i][y * f->linesize[i] + x] = (uint8_t) value;

                } else {
                    ((uint16_t *) (f->data[i] + y * f->linesize[i]))[x] =
                        (uint16_t) value;
                }
            }
        }
    }
}


static int
luma_at(const AVFrame *f, int x, int y)
{
    return f->data[0][y * f->linesize[0] + x];
}


static int
is_plain(const AVFrame *f, int width, int height)
{
    return f && f->width == width && f->height == height
           && f->format == AV_PIX_FMT_YUV420P
           && f->color_range == AVCOL_RANGE_MPEG && !f->interlaced_frame;
}


/* The luma of a plain picture made of one of one level; -1: none. */
static int
level_of(live_scaler_t *s, AVFrame *f, int range, int in)
{
    int          luma;
    AVFrame     *out;
    const char  *reason;

    f->color_range = range;
    fill(f, in, av_pix_fmt_desc_get(f->format)->comp[0].depth);

    luma = -1;

    if (live_scaler_scale(s, f, &out, &reason) == LIVE_OK
        && is_plain(out, 160, 90) && abs(out->data[1][20] - 128) <= 1
        && live_frame_pts(out) == 12345)
    {
        luma = luma_at(out, 80, 45);
    }

    live_frame_free(out);
    live_frame_free(f);

    return luma;
}


static void
test_level(const char *what, int format, int range, int in, int want)
{
    int                  luma;
    const char          *reason;
    live_rung_t          r;
    live_scaler_t       *s;
    live_rung_source_t   source;

    r = ladder_rung("x", "size=160x90 video=100k");
    source = source_of(320, 180);
    s = live_scaler_create(&r, &source, 160, 90, 1, &reason);

    luma = level_of(s, ladder_picture(320, 180, format, 12345), range, in);
    tap_ok(abs(luma - want) <= 1, "%s: %d becomes %d", what, in, luma);

    /* where the size stays, the levels do not */

    luma = level_of(s, ladder_picture(160, 90, format, 12345), range, in);
    tap_ok(abs(luma - want) <= 1, "%s of the same size: %d becomes %d", what,
           in, luma);

    live_scaler_free(s);
}


static void
test_thinning(void)
{
    int                  i, n, ok;
    AVFrame             *f, *out;
    const char          *reason;
    live_rung_t          r;
    live_scaler_t       *s;
    live_rung_source_t   source, target;

    r = ladder_rung("x", "size=160x90 video=100k");
    source = source_of(320, 180);
    s = live_scaler_create(&r, &source, 160, 90, 2, &reason);

    live_scaler_target(s, &target);
    tap_ok(target.width == 160 && target.height == 90 && target.fps == 15
           && target.matrix == 6 && target.rotation == 0,
           "the target is known");

    /* the eighth, which would be left out, is marked */

    ok = 1;
    n = 0;

    for (i = 0; i < 14; i++) {
        f = ladder_picture(320, 180, AV_PIX_FMT_YUV420P, i * 3000);
        fill(f, 100, 8);

        if (i == 7) {
            live_frame_mark(f);
        }

        ok = ok && live_scaler_scale(s, f, &out, &reason) == LIVE_OK
             && (out != NULL) == (i < 7 ? i % 2 == 0 : i % 2 == 1)
             && (!out || live_frame_marked(out) == (i == 7));
        n += out != NULL;

        live_frame_free(out);
        live_frame_free(f);
    }

    tap_ok(ok && n == 8, "every second frame, the marked one in any case");

    live_scaler_free(s);
}


static void
test_pass(void)
{
    AVFrame             *f, *out;
    const char          *reason;
    live_rung_t          r;
    live_scaler_t       *s;
    live_rung_source_t   source;

    r = ladder_rung("x", "size=320x180 video=100k");
    source = source_of(320, 180);
    s = live_scaler_create(&r, &source, 320, 180, 1, &reason);

    f = ladder_picture(320, 180, AV_PIX_FMT_YUV420P, 5);
    fill(f, 77, 8);
    live_frame_mark(f);

    tap_ok(live_scaler_scale(s, f, &out, &reason) == LIVE_OK
           && out && out->data[0] == f->data[0] && live_frame_marked(out)
           && live_frame_bytes(out) >= 320 * 180 * 3 / 2,
           "a picture that fits is passed on, not copied");

    live_frame_free(out);
    live_frame_free(f);

    /* another shape: black bars, then the first one again */

    f = ladder_picture(180, 180, AV_PIX_FMT_YUV420P, 6);
    fill(f, 77, 8);

    tap_ok(live_scaler_scale(s, f, &out, &reason) == LIVE_OK
           && is_plain(out, 320, 180) && luma_at(out, 10, 90) == 16
           && luma_at(out, 160, 90) == 77 && luma_at(out, 310, 90) == 16
           && luma_at(out, 160, 1) == 77,
           "a picture of another shape gets bars");

    live_frame_free(out);
    live_frame_free(f);

    f = ladder_picture(640, 360, AV_PIX_FMT_YUV420P, 7);
    fill(f, 99, 8);

    tap_ok(live_scaler_scale(s, f, &out, &reason) == LIVE_OK
           && is_plain(out, 320, 180) && luma_at(out, 1, 1) == 99,
           "and one of another size none");

    live_frame_free(out);
    live_frame_free(f);
    live_scaler_free(s);
}


/* Lines of two fields that have nothing in common become one picture. */
static void
test_interlaced(void)
{
    int                  i, y, ok, n;
    int64_t              want;
    AVFrame             *f, *out;
    const char          *reason;
    live_rung_t          r;
    live_scaler_t       *s;
    live_rung_source_t   source;

    r = ladder_rung("x", "size=320x180 video=100k");
    source = source_of(320, 180);
    s = live_scaler_create(&r, &source, 320, 180, 1, &reason);

    ok = 1;
    n = 0;
    want = 90000;

    for (i = 0; i <= 10; i++) {
        f = NULL;

        if (i < 10) {
            f = ladder_picture(320, 180, AV_PIX_FMT_YUV420P, 90000 + i * 3600);
            fill(f, 50, 8);

            for (y = 1; y < 180; y += 2) {
                memset(f->data[0] + y * f->linesize[0], 150 + i * 5, 320);
            }

            f->interlaced_frame = 1;
            f->top_field_first = 1;

            if (i == 4) {
                live_frame_mark(f);
            }
        }

        ok = ok && live_scaler_scale(s, f, &out, &reason) == LIVE_OK;

        if (out) {
            ok = ok && is_plain(out, 320, 180) && live_frame_pts(out) == want
                 && live_frame_marked(out) == (n == 4)
                 && abs(luma_at(out, 160, 90) - luma_at(out, 160, 91)) < 10;

            want += 3600;
            n++;
        }

        live_frame_free(out);
        live_frame_free(f);
    }

    tap_ok(ok && n == 10, "10 interlaced frames make %d, with their times", n);

    live_scaler_free(s);
}


static void
test_rotation(void)
{
    int                  i, x;
    AVFrame             *f, *out;
    const char          *reason;
    live_rung_t          r;
    live_scaler_t       *s;
    live_rung_source_t   source;

    static const struct {
        int  degrees;
        int  corner[4];         /* top left, top right, bottom both */
    } cases[] = {
        { 90,  { 40, 40, 200, 200 } },
        { 270, { 200, 200, 40, 40 } },
    };

    r = ladder_rung("x", "size=180x320 video=100k");

    for (i = 0; i < 2; i++) {
        source = source_of(320, 180);
        source.rotation = cases[i].degrees;
        s = live_scaler_create(&r, &source, 180, 320, 1, &reason);

        /* dark on the left, bright on the right */

        f = ladder_picture(320, 180, AV_PIX_FMT_YUV420P, 5);
        fill(f, 40, 8);

        for (x = 0; x < 180; x++) {
            memset(f->data[0] + x * f->linesize[0] + 160, 200, 160);
        }

        tap_ok(live_scaler_scale(s, f, &out, &reason) == LIVE_OK
               && is_plain(out, 180, 320)
               && luma_at(out, 2, 2) == cases[i].corner[0]
               && luma_at(out, 177, 2) == cases[i].corner[1]
               && luma_at(out, 2, 317) == cases[i].corner[2]
               && luma_at(out, 177, 317) == cases[i].corner[3],
               "turned by %d degrees", cases[i].degrees);

        live_frame_free(out);
        live_frame_free(f);
        live_scaler_free(s);
    }
}


static void
test_hdr(void)
{
    int                  rc, luma;
    AVFrame             *f, *out;
    const char          *reason = NULL;
    live_rung_t          r;
    live_scaler_t       *s;
    live_rung_source_t   source, target;

    r = ladder_rung("x", "size=160x90 video=100k");
    source = source_of(320, 180);
    source.hdr = 1;
    source.transfer = AVCOL_TRC_SMPTE2084;
    source.primaries = AVCOL_PRI_BT2020;
    source.matrix = AVCOL_SPC_BT2020_NCL;

    s = live_scaler_create(&r, &source, 160, 90, 1, &reason);
    tap_ok(s == NULL && reason, "HDR: %s", reason ? reason : "is taken");

    f = ladder_picture(320, 180, AV_PIX_FMT_YUV420P10, 5);
    f->color_trc = AVCOL_TRC_SMPTE2084;
    f->color_primaries = AVCOL_PRI_BT2020;
    f->colorspace = AVCOL_SPC_BT2020_NCL;
    f->color_range = AVCOL_RANGE_MPEG;
    fill(f, 500, 10);

    source.hdr = 0;
    s = live_scaler_create(&r, &source, 160, 90, 1, &reason);
    rc = live_scaler_scale(s, f, &out, &reason);
    tap_ok(rc == LIVE_ERROR && !out, "a frame of HDR that comes later: %s",
           reason);
    live_scaler_free(s);

    source.hdr = 1;
    r.tonemap = 1;
    s = live_scaler_create(&r, &source, 160, 90, 1, &reason);
    live_scaler_target(s, &target);

    rc = live_scaler_scale(s, f, &out, &reason);
    luma = rc == LIVE_OK && is_plain(out, 160, 90) ? luma_at(out, 80, 45) : -1;

    tap_ok(luma > 30 && luma < 236 && out->color_trc == AVCOL_TRC_BT709
           && target.matrix == AVCOL_SPC_BT709 && !target.hdr,
           "tones are mapped: %d", luma);

    live_frame_free(out);
    live_frame_free(f);
    live_scaler_free(s);
}


int
main(void)
{
    av_log_set_level(AV_LOG_QUIET);

    test_level("8 bits", AV_PIX_FMT_YUV420P, AVCOL_RANGE_MPEG, 180, 180);
    test_level("full range", AV_PIX_FMT_YUV420P, AVCOL_RANGE_JPEG, 255, 235);
    test_level("full range, black", AV_PIX_FMT_YUVJ420P, AVCOL_RANGE_JPEG, 0,
               16);
    test_level("10 bits", AV_PIX_FMT_YUV420P10, AVCOL_RANGE_MPEG, 720, 180);
    test_level("10 bits, full", AV_PIX_FMT_YUV420P10, AVCOL_RANGE_JPEG, 1023,
               235);
    test_level("4:2:2", AV_PIX_FMT_YUV422P, AVCOL_RANGE_MPEG, 90, 90);
    test_level("4:4:4, full", AV_PIX_FMT_YUVJ444P, AVCOL_RANGE_JPEG, 255,
               235);

    test_thinning();
    test_pass();
    test_interlaced();
    test_rotation();
    test_hdr();

    return tap_done();
}
