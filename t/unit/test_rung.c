/* Rungs: the built-in table, parameters, sizes, frame rates, audio. */

#include "live_rung.h"
#include "tap.h"

#include <string.h>


static int
set(live_rung_t *r, const char *text)
{
    const char  *reason = NULL;

    return live_rung_parameter(r, text, strlen(text), &reason);
}


static void
test_builtin(void)
{
    size_t       i;
    live_rung_t  r;
    const char  *reason;

    static const struct {
        const char  *name;
        int32_t      height;
        uint32_t     video;
        uint32_t     audio;
        double       fps;
        const char  *profile;
    } rungs[] = {
        { "1080p60", 1080, 6000000, 192000, 60, "high" },
        { "1080p",   1080, 4500000, 128000, 30, "high" },
        { "720p60",   720, 4500000, 128000, 60, "high" },
        { "720p",     720, 3000000, 128000, 30, "main" },
        { "480p",     480, 1500000,  96000, 30, "main" },
        { "360p",     360,  800000,  96000, 30, "baseline" },
        { "240p",     240,  400000,  64000, 30, "baseline" },
    };

    for (i = 0; i < sizeof(rungs) / sizeof(rungs[0]); i++) {
        live_rung_init(&r, rungs[i].name);

        tap_ok(live_rung_finish(&r, &reason) == LIVE_OK
               && r.height == rungs[i].height && r.width == -2
               && r.video_rate == rungs[i].video
               && r.audio_rate == rungs[i].audio && r.fps == rungs[i].fps
               && strcmp(r.profile, rungs[i].profile) == 0,
               "%s is built in", rungs[i].name);

        tap_ok(r.maxrate == rungs[i].video / 100 * 107
               && r.bufsize == rungs[i].video / 2 * 3
               && strcmp(r.codec, "libx264") == 0
               && strcmp(r.preset, "veryfast") == 0
               && strcmp(r.audio_codec, "aac") == 0 && r.crf < 0,
               "%s: what follows", rungs[i].name);
    }

    live_rung_init(&r, "other");
    tap_ok(live_rung_finish(&r, &reason) == LIVE_ERROR, "no size: %s",
           reason);
}


static void
test_parameters(void)
{
    size_t       i;
    live_rung_t  r;
    const char  *reason;

    static const char  *good[] = {
        "size=426x240", "video=400k", "maxrate=450k", "bufsize=0.8m",
        "preset=fast", "profile=baseline", "level=3.1",
        "tune=zerolatency", "fps=30000/1001", "gop=500ms", "codec=libx264",
        "options=ref=2:bframes=0", "audio=64k", "acodec=aac", "arate=44100",
        "channels=1", "threads=2", "crf=23.5", "tonemap",
    };

    static const char  *bad[] = {
        "", "=", "size", "size=", "size=426", "size=426x", "size=427x240",
        "size=-2x-2", "size=0x240", "size=99999x240", "size=426x240x",
        "size=-4x240", "video=", "video=k", "video=-1k", "video=1", "video=1g",
        "video=99999999999999999999k", "video=1e6", "crf=-1", "crf=64",
        "fps=0", "fps=30/0", "fps=30/", "fps=1000", "gop=0", "gop=2m",
        "threads=0", "threads=65", "channels=9", "channels=0", "arate=7999",
        "preset=", "what=1", "copied", "audio_onl", "tonemap=1",
        "level=123456789", "codec=012345678901234567890123456789012",
    };

    live_rung_init(&r, "tiny");

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        tap_ok(set(&r, good[i]) == LIVE_OK, "%s", good[i]);
    }

    tap_ok(live_rung_finish(&r, &reason) == LIVE_OK && r.width == 426
           && r.height == 240 && r.video_rate == 400000
           && r.maxrate == 450000 && r.bufsize == 800000 && r.tonemap
           && r.fps > 29.96 && r.fps < 29.98 && r.gop == 0.5
           && r.threads == 2 && r.sample_rate == 44100 && r.channels == 1
           && r.audio_rate == 64000 && r.crf == 23.5f
           && strcmp(r.options, "ref=2:bframes=0") == 0
           && strcmp(r.preset, "fast") == 0 && strcmp(r.level, "3.1") == 0
           && strcmp(r.tune, "zerolatency") == 0,
           "all of them hold");

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        live_rung_init(&r, "tiny");
        reason = NULL;

        tap_ok(live_rung_parameter(&r, bad[i], strlen(bad[i]), &reason)
               == LIVE_ERROR && reason,
               "\"%s\": %s", bad[i], reason ? reason : "no reason");
    }

    live_rung_init(&r, "720p");
    tap_ok(set(&r, "maxrate=2m") == LIVE_OK
           && live_rung_finish(&r, &reason) == LIVE_ERROR,
           "720p: %s", reason);

    live_rung_init(&r, "720p");
    tap_ok(set(&r, "copy") == LIVE_OK
           && live_rung_finish(&r, &reason) == LIVE_ERROR,
           "720p: %s", reason);

    live_rung_init(&r, "source");
    tap_ok(set(&r, "copy") == LIVE_OK
           && live_rung_finish(&r, &reason) == LIVE_OK
           && strcmp(r.audio_codec, "copy") == 0, "source copy");

    live_rung_init(&r, "sound");
    tap_ok(set(&r, "audio_only") == LIVE_OK && set(&r, "audio=48k") == LIVE_OK
           && live_rung_finish(&r, &reason) == LIVE_OK
           && strcmp(r.audio_codec, "aac") == 0, "audio_only");

    live_rung_init(&r, "sound");
    tap_ok(set(&r, "audio_only") == LIVE_OK
           && live_rung_finish(&r, &reason) == LIVE_OK
           && strcmp(r.audio_codec, "aac") == 0 && r.audio_rate == 128000,
           "audio_only and no more is made");

    live_rung_init(&r, "sound");
    tap_ok(set(&r, "audio_only") == LIVE_OK
           && set(&r, "acodec=copy") == LIVE_OK
           && live_rung_finish(&r, &reason) == LIVE_ERROR,
           "audio_only of the source's");
}


static void
test_sizes(void)
{
    size_t              i;
    uint32_t            w, h;
    live_rung_t         r;
    live_rung_source_t  s;

    /* a result of 0: the rung is left out */

    static const struct {
        const char  *size;
        uint32_t     width;
        uint32_t     height;
        uint32_t     sar_num;
        uint32_t     sar_den;
        int          rotation;
        uint32_t     w;
        uint32_t     h;
    } cases[] = {
        { "-2x720",   1920, 1080, 1, 1, 0, 1280, 720 },
        { "-2x480",   1920, 1080, 0, 0, 0, 854, 480 },
        { "-2x360",   1920, 1080, 1, 1, 0, 640, 360 },
        { "-2x240",   1920, 1080, 1, 1, 0, 426, 240 },
        { "-2x1080",  1920, 1080, 1, 1, 0, 1920, 1080 },
        { "-2x1080",  1280, 720,  1, 1, 0, 0, 0 },
        { "-2x1080",  1918, 1078, 1, 1, 0, 1918, 1078 },
        { "-2x720",   1279, 719,  1, 1, 0, 1278, 718 },
        { "640x-2",   1920, 1080, 1, 1, 0, 640, 360 },
        { "640x-2",   600,  400,  1, 1, 0, 0, 0 },
        { "640x360",  1440, 1080, 1, 1, 0, 480, 360 },
        { "640x360",  1920, 800,  1, 1, 0, 640, 266 },
        { "-2x480",   1440, 1080, 4, 3, 0, 854, 480 },
        { "-2x480",   720,  576,  16, 15, 0, 640, 480 },
        { "-2x576",   720,  576,  64, 45, 0, 1024, 576 },
        { "-2x480",   720,  480,  8, 9, 0, 640, 480 },
        { "-2x480",   720,  480,  1, 100, 0, 720, 480 },
        { "-2x720",   1920, 1080, 1, 1, 90, 406, 720 },
        { "-2x1080",  1920, 1080, 1, 1, 270, 608, 1080 },
        { "-2x720",   1920, 1080, 1, 1, 180, 1280, 720 },
        { "-2x240",   0,    0,    1, 1, 0, 0, 0 },
        { "-2x240",   853,  480,  1, 1, 0, 426, 240 },
        { "-2x480",   853,  480,  1, 1, 0, 852, 480 },
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char  text[32];

        live_rung_init(&r, "x");
        snprintf(text, sizeof(text), "size=%s", cases[i].size);
        (void) set(&r, text);

        memset(&s, 0, sizeof(s));
        s.width = cases[i].width;
        s.height = cases[i].height;
        s.sar_num = cases[i].sar_num;
        s.sar_den = cases[i].sar_den;
        s.rotation = cases[i].rotation;

        if (live_rung_size(&r, &s, &w, &h) != LIVE_OK) {
            w = 0;
            h = 0;
        }

        tap_ok(w == cases[i].w && h == cases[i].h,
               "%ux%u %u:%u turned by %d to %s: %ux%u, got %ux%u", s.width,
               s.height, s.sar_num, s.sar_den, s.rotation, cases[i].size,
               cases[i].w, cases[i].h, w, h);
    }
}


static void
test_divisor(void)
{
    size_t              i;
    live_rung_t         r;
    live_rung_source_t  s;

    static const struct {
        double    fps;
        double    most;
        uint32_t  n;
    } cases[] = {
        { 30, 30, 1 }, { 60, 30, 2 }, { 59.94, 30, 2 }, { 60, 29.97, 2 },
        { 30.3, 30, 1 }, { 50, 30, 2 }, { 25, 30, 1 }, { 120, 30, 4 },
        { 30, 15, 2 }, { 0, 30, 1 }, { 60, 0, 1 }, { 24, 15, 2 },
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        live_rung_init(&r, "x");
        r.fps = cases[i].most;
        memset(&s, 0, sizeof(s));
        s.fps = cases[i].fps;

        tap_ok(live_rung_divisor(&r, &s) == cases[i].n,
               "%.2f a second, at most %.2f: every %u.", s.fps, r.fps,
               cases[i].n);
    }
}


static void
test_audio(void)
{
    live_rung_t        a, b;
    const char        *reason;
    live_codec_info_t  info;

    live_rung_init(&a, "480p");
    live_rung_init(&b, "360p");
    (void) live_rung_finish(&a, &reason);
    (void) live_rung_finish(&b, &reason);

    tap_ok(live_rung_same_audio(&a, &b), "480p and 360p share the audio");

    live_rung_init(&b, "240p");
    (void) live_rung_finish(&b, &reason);
    tap_ok(!live_rung_same_audio(&a, &b), "480p and 240p do not");

    memset(&info, 0, sizeof(info));
    info.codec = LIVE_CODEC_AAC;
    info.sample_rate = 48000;
    info.channels = 2;

    tap_ok(live_rung_passes_audio(&a, &info, 96000)
           && !live_rung_passes_audio(&a, &info, 128000)
           && !live_rung_passes_audio(&a, &info, 0),
           "audio of the rate asked for, or less, is passed on");

    a.sample_rate = 44100;
    tap_ok(!live_rung_passes_audio(&a, &info, 96000), "not at another rate");

    a.sample_rate = 0;
    info.channels = 6;
    tap_ok(!live_rung_passes_audio(&a, &info, 96000), "not with 6 channels");

    (void) set(&a, "acodec=copy");
    tap_ok(live_rung_passes_audio(&a, &info, 999000), "unless as a copy");
}


int
main(void)
{
    test_builtin();
    test_parameters();
    test_sizes();
    test_divisor();
    test_audio();

    return tap_done();
}
