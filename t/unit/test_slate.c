/* Slates: what is made of pictures, clips and sounds, and how it repeats. */

#include "live_slate.h"
#include "test_ladder.h"
#include "tap.h"

#include <libavutil/log.h>
#include <math.h>
#include <unistd.h>


static char  folder[] = "/tmp/test_slate.XXXXXX";
static char  path[64];
static int   stops;


static FILE *
create(const char *name)
{
    FILE  *f;

    (void) snprintf(path, sizeof(path), "%s/%s", folder, name);

    f = fopen(path, "wb");
    if (f == NULL) {
        abort();
    }

    return f;
}


/* A red square. */
static void
picture(void)
{
    int    i;
    FILE  *f = create("red.ppm");

    fprintf(f, "P6\n200 200\n255\n");

    for (i = 0; i < 200 * 200; i++) {
        fputc(255, f);
        fputc(0, f);
        fputc(0, f);
    }

    fclose(f);
}


/* Frames of 64x36, each of another grey: 16 + 2 n modulo 200. */
static void
clip(int fps, int frames)
{
    int    i, n;
    FILE  *f = create("clip.y4m");

    fprintf(f, "YUV4MPEG2 W64 H36 F%d:1 Ip A1:1 C420jpeg\n", fps);

    for (n = 0; n < frames; n++) {
        fprintf(f, "FRAME\n");

        for (i = 0; i < 64 * 36 * 3 / 2; i++) {
            fputc(i < 64 * 36 ? 16 + 2 * n % 200 : 128, f);
        }
    }

    fclose(f);
}


static void
put(FILE *f, uint32_t value, int bytes)
{
    while (bytes--) {
        fputc((int) (value & 255), f);
        value >>= 8;
    }
}


/* A tone of one channel, 16 bits. */
static void
sound(uint32_t rate, uint32_t samples)
{
    uint32_t   i;
    FILE      *f = create("tone.wav");

    fwrite("RIFF", 1, 4, f);
    put(f, 36 + samples * 2, 4);
    fwrite("WAVEfmt ", 1, 8, f);
    put(f, 16, 4);
    put(f, 1, 2);
    put(f, 1, 2);
    put(f, rate, 4);
    put(f, rate * 2, 4);
    put(f, 2, 2);
    put(f, 16, 2);
    fwrite("data", 1, 4, f);
    put(f, samples * 2, 4);

    for (i = 0; i < samples; i++) {
        put(f, (uint32_t) (int) (8000 * sin(i * 0.06)), 2);
    }

    fclose(f);
}


static live_slate_conf_t
source_of(uint32_t width, uint32_t height, double fps, uint32_t gop,
    uint32_t rate, uint32_t channels)
{
    live_slate_conf_t  conf;

    memset(&conf, 0, sizeof(conf));

    conf.width = width;
    conf.height = height;
    conf.fps = fps;
    conf.gop = gop;
    conf.segment = gop;
    conf.longest = gop;
    conf.sample_rate = rate;
    conf.channels = channels;
    strcpy(conf.profile, "main");

    return conf;
}


static live_slate_t *
make(const live_slate_conf_t *conf, const char *what)
{
    const char    *reason = "";
    live_slate_t  *slate;

    slate = live_slate_make(path, conf, NULL, &reason);

    if (!tap_ok(slate != NULL, "%s: a slate %s", what, slate ? "" : reason)) {
        exit(1);
    }

    return slate;
}


/* All of a track, decoded. */
static void
decode(const live_slate_t *slate, live_media_e media, frames_t *frames)
{
    uint32_t                   i;
    live_sample_t              s;
    const char                *reason;
    live_decoder_t            *d;
    const live_slate_track_t  *t;

    t = &slate->tracks[media];
    frames->n = 0;

    d = live_decoder_create(&t->info, t->config, t->config_len, 1, &reason);
    if (d == NULL) {
        abort();
    }

    for (i = 0; i < t->n; i++) {
        s = t->samples[i];

        if (live_decoder_decode(d, t->data + s.offset, &s, frames_add, frames,
                                &reason)
            != LIVE_OK)
        {
            tap_ok(0, "sample %u decodes: %s", i, reason);
        }
    }

    (void) live_decoder_decode(d, NULL, NULL, frames_add, frames, &reason);
    live_decoder_free(d);
}


static int
at(const AVFrame *f, int plane, int x, int y)
{
    return f->data[plane][(plane ? y / 2 : y) * f->linesize[plane]
                          + (plane ? x / 2 : x)];
}


static int
regular(const live_slate_track_t *t, int64_t ticks, uint32_t gop)
{
    uint32_t  i;

    for (i = 0; i < t->n; i++) {
        if (t->samples[i].dts != (int64_t) i * ticks
            || !(t->samples[i].flags & LIVE_SAMPLE_KEY) != (i % gop != 0))
        {
            return 0;
        }
    }

    return 1;
}


static void
test_picture(void)
{
    int                 i, same;
    frames_t            frames;
    live_slate_t       *s;
    live_slate_conf_t   conf;

    picture();

    conf = source_of(321, 181, 30, 1000, 48000, 2);
    s = make(&conf, "picture");

    tap_ok(s->tracks[0].info.width == 320 && s->tracks[0].info.height == 180,
           "picture: even sides");
    tap_ok(strncmp(s->tracks[0].info.codecs, "avc1.4d", 7) == 0,
           "picture: the profile of the source (%s)",
           s->tracks[0].info.codecs);
    tap_ok(s->ticks == 90000, "picture: one group");
    tap_ok(s->tracks[0].n == 30 && regular(&s->tracks[0], 3000, 30),
           "picture: 30 frames, the first one is a key frame");
    tap_ok(s->tracks[1].n >= 47 && s->tracks[1].info.sample_rate == 48000
           && s->tracks[1].info.channels == 2, "picture: silence");

    decode(s, LIVE_MEDIA_VIDEO, &frames);
    same = 0;

    for (i = 0; i < frames.n; i++) {
        same += at(frames.frame[i], 2, 160, 90) > 220
                && at(frames.frame[i], 0, 160, 90) > 50
                && at(frames.frame[i], 0, 8, 90) < 20
                && abs(at(frames.frame[i], 2, 8, 90) - 128) < 4;
    }

    tap_ok(frames.n == 30 && same == 30, "picture: red, with bars");
    frames_free(&frames);

    decode(s, LIVE_MEDIA_AUDIO, &frames);
    tap_ok(frames.n >= 47, "picture: its silence decodes");
    frames_free(&frames);
    tap_ok(live_slate_bytes(s) < 200000, "picture: %zu bytes",
           live_slate_bytes(s));
    live_slate_free(s);

    conf = source_of(320, 180, 30000 / 1001.0, 2000, 0, 0);
    s = make(&conf, "30000/1001");
    tap_ok(s->tracks[0].n == 60 && s->ticks == 180180
           && regular(&s->tracks[0], 3003, 60), "30000/1001: exact times");
    tap_ok(s->tracks[1].n == 0, "without sound where the source has none");
    live_slate_free(s);
}


static void
test_clip(void)
{
    int                 i, wrong;
    frames_t            frames;
    live_slate_t       *s;
    live_slate_conf_t   conf;

    /* 2.4 s: the last of three groups is filled */

    clip(25, 60);
    conf = source_of(64, 36, 30, 1000, 0, 0);
    s = make(&conf, "clip");

    tap_ok(s->tracks[0].n == 90 && s->ticks == 270000
           && regular(&s->tracks[0], 3000, 30), "clip: whole groups");

    decode(s, LIVE_MEDIA_VIDEO, &frames);
    wrong = 0;

    for (i = 0; i < frames.n; i++) {
        wrong += abs(at(frames.frame[i], 0, 32, 18)
                     - (16 + 2 * (i < 72 ? i * 25 / 30 : 59)))
                 > 1;
    }

    tap_ok(frames.n == 90 && wrong == 0,
           "clip: each picture as long as it was, the last one stays");
    frames_free(&frames);
    live_slate_free(s);

    /* where segments may be longer, nothing needs to be filled */

    conf.longest = 2000;
    s = make(&conf, "clip");
    tap_ok(s->tracks[0].n == 72 && s->ticks == 216000
           && regular(&s->tracks[0], 3000, 30), "clip: as long as it is");
    live_slate_free(s);

    conf.longest = 1000;

    /* 2.2 s: what is little of a group is left out */

    clip(25, 55);
    s = make(&conf, "clip");
    tap_ok(s->tracks[0].n == 60, "clip: without what is a fifth of a group");
    live_slate_free(s);

    clip(4, 4 * 33);
    s = make(&conf, "long clip");
    tap_ok(s->ticks == LIVE_SLATE_LONGEST / 1000000 * 90000,
           "long clip: 30 s of it");
    live_slate_free(s);
}


static double
loudness(const frames_t *frames)
{
    int           i, k, n;
    double        sum;
    const float  *data;

    sum = 0;
    n = 0;

    for (i = 0; i < frames->n; i++) {
        data = (const float *) frames->frame[i]->data[0];

        for (k = 0; k < frames->frame[i]->nb_samples; k++, n++) {
            sum += fabs((double) data[k]);
        }
    }

    return n ? sum / n : 0;
}


static void
test_sound(void)
{
    frames_t            frames;
    live_slate_t       *s;
    live_slate_conf_t   conf;

    sound(32000, 80000);
    conf = source_of(0, 0, 0, 2000, 44100, 1);
    s = make(&conf, "sound");

    tap_ok(s->ticks == 225000 && s->tracks[0].n == 0,
           "sound: its length, and no picture");
    tap_ok(s->tracks[1].n >= 108 && s->tracks[1].info.sample_rate == 44100
           && s->tracks[1].info.channels == 1, "sound: as the source is");
    decode(s, LIVE_MEDIA_AUDIO, &frames);
    tap_ok(loudness(&frames) > 0.1, "sound: is heard");
    frames_free(&frames);
    live_slate_free(s);

    conf = source_of(64, 36, 25, 1000, 44100, 2);
    s = make(&conf, "sound for video");
    decode(s, LIVE_MEDIA_VIDEO, &frames);
    tap_ok(frames.n == 75 && at(frames.frame[74], 0, 32, 18) < 20,
           "sound for video: has a black picture");
    frames_free(&frames);
    live_slate_free(s);

    /* hours of it are no more */

    sound(8000, 8000 * 40);
    conf = source_of(0, 0, 0, 2000, 48000, 2);
    s = make(&conf, "long sound");
    tap_ok(s->ticks == LIVE_SLATE_LONGEST / 1000000 * 90000,
           "long sound: 30 s of it");
    live_slate_free(s);
}


/* Turn after turn: sound never stops, nor does it leave the picture. */
static void
test_turns(void)
{
    int                   i, turn, gaps, far, back;
    int64_t               us, last[2];
    uint64_t              n[2];
    live_media_e          media;
    live_slate_t         *s;
    live_slate_conf_t     conf;
    live_slate_cursor_t   c;
    const live_sample_t  *sample, *begin[2];

    sound(48000, 48000 * 5 / 2);
    conf = source_of(64, 36, 30000 / 1001.0, 500, 44100, 2);
    s = make(&conf, "turns");

    memset(&c, 0, sizeof(c));
    gaps = 0;
    far = 0;
    back = 0;
    n[0] = n[1] = 0;
    last[0] = last[1] = -1;
    begin[0] = s->tracks[0].samples;
    begin[1] = s->tracks[1].samples;

    for (i = 0; i < 200000; i++) {
        sample = live_slate_next(s, &c, &media, &us);
        live_slate_step(&c, media);

        back += (us < last[!media]);

        turn = (int) (n[media] ? (us + 2) * 9 / 100 / s->ticks : 0);

        if (media == LIVE_MEDIA_AUDIO) {
            gaps += llabs(us - (int64_t) (n[1] * 1024 * 1000000 / 44100)) > 1;

            /* a frame of sound is never more than one off its picture */

            far += llabs(us - (int64_t) turn * s->ticks * 100 / 9
                         - (int64_t) ((sample - begin[1]) * 1024 * 1000000
                                      / 44100))
                   > 1024 * 1000000 / 44100 + 2;

        } else {
            gaps += llabs(us - (int64_t) (n[0] * 1001000000 / 30000)) > 2;
            far += (sample - begin[0] != (int64_t) (n[0] % s->tracks[0].n));
        }

        last[media] = us;
        n[media]++;
    }

    tap_ok(gaps == 0, "turns: times without a gap");
    tap_ok(far == 0, "turns: sound with its picture, %llu frames later",
           (unsigned long long) n[0]);
    tap_ok(back == 0, "turns: in order of time");

    live_slate_seek(s, &c, 3600 * 1000000LL);
    (void) live_slate_next(s, &c, &media, &us);
    tap_ok(llabs(us - 3600 * 1000000LL) < 50000, "turns: an hour on");
    live_slate_free(s);
}


static int
stop(void)
{
    return ++stops > 5;
}


static void
test_refused(void)
{
    FILE               *f;
    const char         *reason;
    live_slate_conf_t   conf = source_of(320, 180, 30, 1000, 48000, 2);

    picture();
    tap_ok(live_slate_probe(path, &reason), "a picture is usable");

    reason = NULL;
    tap_ok(live_slate_make(path, &conf, stop, &reason) == NULL && reason
           && stops > 5, "who wants none any more gets none");

    if (truncate(path, 20) == -1) {
        abort();
    }

    tap_ok(!live_slate_probe(path, &reason), "half a picture: %s", reason);

    f = create("text");
    fprintf(f, "Lorem ipsum\n");
    fclose(f);
    tap_ok(!live_slate_probe(path, &reason), "a text: %s", reason);

    f = create("empty.png");
    fclose(f);
    tap_ok(!live_slate_probe(path, &reason), "nothing: %s", reason);
    tap_ok(!live_slate_probe(folder, &reason), "a folder: %s", reason);
    tap_ok(!live_slate_probe("/dev/zero", &reason), "a device: %s", reason);

    (void) snprintf(path, sizeof(path), "%s/none", folder);
    tap_ok(live_slate_make(path, &conf, NULL, &reason) == NULL,
           "what is not there: %s", reason);

    clip(25, 25);
    strcpy(conf.profile, "none");
    tap_ok(live_slate_make(path, &conf, NULL, &reason) == NULL,
           "what the encoder cannot: %s", reason);
}


int
main(void)
{
    size_t       i;
    const char  *names[] = { "red.ppm", "clip.y4m", "tone.wav", "text",
                             "empty.png" };

    av_log_set_level(AV_LOG_QUIET);

    if (mkdtemp(folder) == NULL) {
        abort();
    }

    test_picture();
    test_clip();
    test_sound();
    test_turns();
    test_refused();

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void) snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        (void) unlink(path);
    }

    (void) rmdir(folder);

    return tap_done();
}
