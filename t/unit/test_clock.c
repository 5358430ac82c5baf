/* Clocks: RTMP-24, RTMP-88, CMAF-14, CMAF-77; audio. */

#include "live_clock.h"
#include "tap.h"

#include <stdlib.h>


#define DAY_US   86400000000


typedef enum {
    TRUNCATE = 0,
    ROUND
} rounding_e;


typedef struct {
    uint32_t  num;
    uint32_t  den;
} rate_t;


static live_codec_info_t
audio_info(uint32_t rate)
{
    return (live_codec_info_t) {
        .media = LIVE_MEDIA_AUDIO,
        .timescale = rate,
        .frame_samples = 1024
    };
}


static uint32_t
rtmp_ms(uint64_t n, const rate_t *r, uint64_t start_us, rounding_e rounding)
{
    uint64_t  us;

    us = n * r->den * 1000000 / r->num + start_us;

    return (uint32_t) ((us + (rounding == ROUND ? 500 : 0)) / 1000);
}


static void
test_audio_exact(uint32_t rate, rounding_e rounding)
{
    int                 bad;
    int64_t             i, us, t, frames;
    rate_t              r;
    uint32_t            ts;
    live_clock_t        clock;
    live_codec_info_t   info;
    live_track_clock_t  c;

    info = audio_info(rate);
    live_track_clock_init(&c, &info, 0);
    live_clock_start(&clock, 0);

    r = (rate_t) { rate, 1024 };
    frames = DAY_US / 1000000 * rate / 1024;
    bad = 0;

    for (i = 0; i < frames; i++) {
        ts = rtmp_ms(i, &r, 4294900000ull * 1000 + 700, rounding);

        bad |= live_clock_map(&clock, LIVE_MEDIA_AUDIO, ts, &us)
               || live_track_clock_map(&c, us, &t) != LIVE_OK
               || t != i * 1024 || live_track_clock_duration(&c) != 1024;
    }

    tap_ok(!bad, "24 h of audio at %u Hz over the wrap, %s: no sample lost "
           "or made (CMAF-77)", rate, rounding == ROUND ? "rounded"
                                                        : "truncated");
}


static void
test_audio_drift(int ppm)
{
    int                 back, events;
    int64_t             i, us, t, last, off, worst;
    live_codec_info_t   info;
    live_track_clock_t  c;

    info = audio_info(48000);
    live_track_clock_init(&c, &info, 0);

    back = 0;
    events = 0;
    worst = 0;
    last = -1024;

    for (i = 0; i < 86400ll * 48000 / 1024; i++) {
        us = i * 1024 * 1000000 / 48000;
        us += us / 1000000 * ppm;
        us = us / 1000 * 1000;

        if (live_track_clock_map(&c, us, &t) == LIVE_AGAIN) {
            events++;
            continue;
        }

        events += t != last + 1024;
        back |= t < last + 1024;
        last = t;

        off = llabs(t - live_us_to_ticks(us, 48000));
        worst = off > worst ? off : worst;
    }

    /* 8.64 s in a day make 202 gaps of two frames or 405 dropped frames */

    tap_ok(!back && worst <= 2048 && events > 150 && events < 450,
           "audio %d ppm off: %d corrections in 24 h, at most %.1f ms off "
           "(CMAF-77)", ppm, events, worst / 48.0);
}


static void
test_audio_events(void)
{
    int                 i, dropped;
    int64_t             us, t, last;
    live_codec_info_t   info;
    live_track_clock_t  c;

    info = audio_info(48000);
    live_track_clock_init(&c, &info, 0);
    us = 0;

    for (i = 0; i < 100; i++) {
        us = i * 64000 / 3;
        live_track_clock_map(&c, us, &t);
    }

    last = t;
    live_track_clock_map(&c, us + 500000, &t);
    tap_ok(t == live_us_to_ticks(us + 500000, 48000), "lost audio is one gap");

    last = t;
    live_track_clock_map(&c, us + 521333, &t);
    tap_ok(t == last + 1024, "then samples count again");

    for (i = 0, dropped = 0; i < 100; i++) {
        if (live_track_clock_map(&c, us + i * 64000 / 3, &t) == LIVE_AGAIN) {
            dropped++;
        }
    }

    tap_ok(dropped >= 20 && dropped <= 25,
           "audio sent twice is dropped until it is new again (%d)", dropped);

    live_track_clock_reset(&c);
    live_track_clock_map(&c, 100000000, &t);
    tap_ok(t == 4800000, "a reset follows the timestamp");

    /* bursts: two or three frames of one timestamp, as some encoders send */

    live_track_clock_init(&c, &info, 0);

    for (i = 0, dropped = 0; i < 10000; i++) {
        us = i / 3 * 3 * 64000ll / 3;
        dropped += live_track_clock_map(&c, us, &t) != LIVE_OK
                   || t != i * 1024;
    }

    tap_ok(dropped == 0, "frames that share a timestamp follow each other");
}


static void
test_map(void)
{
    int           i, bad;
    int64_t       us, a, v;
    live_clock_t  c;

    c = (live_clock_t) { 0 };
    tap_ok(live_clock_map(&c, LIVE_MEDIA_AUDIO, 5000, &us) == LIVE_CLOCK_STEADY
           && us == 0, "a clock that was not started starts at 0");

    live_clock_start(&c, 7000000);
    live_clock_map(&c, LIVE_MEDIA_VIDEO, 4294967290u, &us);
    tap_ok(us == 7000000, "the first timestamp is where the clock starts");
    live_clock_map(&c, LIVE_MEDIA_VIDEO, 20, &us);
    tap_ok(us == 7026000, "wrap at 2^32 ms (RTMP-24)");
    live_clock_map(&c, LIVE_MEDIA_AUDIO, 4294967280u, &us);
    tap_ok(us == 6990000, "audio from before the wrap");
    live_clock_map(&c, LIVE_MEDIA_AUDIO, 40, &us);
    tap_ok(us == 7046000, "audio over the wrap");

    /* 200 days, four wraps, audio up to 300 ms off video */

    live_clock_start(&c, 0);
    live_clock_map(&c, LIVE_MEDIA_VIDEO, 1000000, &us);

    for (i = 1, bad = 0; i < 200 * 86400 / 4; i++) {
        bad |= live_clock_map(&c, LIVE_MEDIA_VIDEO,
                              (uint32_t) (i * 4000ull + 1000000), &v)
               || v != i * 4000000ll;
        bad |= live_clock_map(&c, LIVE_MEDIA_AUDIO,
                              (uint32_t) (i * 4000ull + 999700 + i % 600), &a)
               || a != i * 4000000ll + (i % 600 - 300) * 1000;
    }

    tap_ok(!bad, "200 days of audio and video over four wraps (RTMP-24)");
}


#define JUMP    LIVE_CLOCK_JUMP
#define STEADY  LIVE_CLOCK_STEADY
#define VIDEO   LIVE_MEDIA_VIDEO
#define AUDIO   LIVE_MEDIA_AUDIO


static void
test_jumps(void)
{
    int           same;
    int64_t       us;
    live_clock_t  c, before;

    live_clock_start(&c, 0);
    live_clock_map(&c, VIDEO, 100000, &us);

    tap_ok(live_clock_map(&c, VIDEO, 99000, &us) == STEADY && us == -1000000,
           "1000 ms back is reordering");
    live_clock_map(&c, VIDEO, 100000, &us);

    before = c;
    tap_ok(live_clock_map(&c, VIDEO, 98999, &us) == JUMP,
           "1001 ms back is a jump (RTMP-24)");
    tap_ok(live_clock_map(&c, VIDEO, 110001, &us) == JUMP,
           "10001 ms forward is a jump");
    tap_ok(live_clock_map(&c, VIDEO, 0, &us) == JUMP,
           "a restart at 0 is a jump (RTMP-88)");
    tap_ok(live_clock_map(&c, AUDIO, 0, &us) == JUMP,
           "also by the type that was not seen");
    tap_ok(live_clock_map(&c, VIDEO, 0x80000000 + 100000, &us) == JUMP,
           "half the circle is a jump");

    same = before.offset_us == c.offset_us && before.seen == c.seen
           && before.ms[0] == c.ms[0] && before.ms[1] == c.ms[1];
    tap_ok(same, "a jump changes nothing");

    tap_ok(live_clock_map(&c, VIDEO, 110000, &us) == STEADY
           && us == 10000000, "10000 ms forward is a gap");

    live_clock_start(&c, 30000000);
    live_clock_map(&c, VIDEO, 3, &us);
    tap_ok(us == 30000000 && live_clock_map(&c, AUDIO, 0, &us) == STEADY
           && us == 29997000, "after a jump the clock is re-based");

    /* one type may rest as long as the other one goes on */

    live_clock_map(&c, AUDIO, 8000, &us);
    live_clock_map(&c, AUDIO, 16000, &us);
    live_clock_map(&c, AUDIO, 24000, &us);
    tap_ok(live_clock_map(&c, VIDEO, 24010, &us) == STEADY
           && us == 54007000, "video that rested while audio went on");
    tap_ok(live_clock_map(&c, AUDIO, 22999, &us) == JUMP
           && live_clock_map(&c, AUDIO, 23000, &us) == STEADY,
           "a step back counts against the same type");

    /* audio 5 s behind video all the time is not pleasant, but no jump */

    live_clock_start(&c, 0);
    live_clock_map(&c, VIDEO, 5000, &us);
    live_clock_map(&c, AUDIO, 0, &us);
    live_clock_map(&c, VIDEO, 5040, &us);
    tap_ok(live_clock_map(&c, AUDIO, 21, &us) == STEADY && us == -4979000,
           "a type that lags behind");
}


/* Clocks of 24 and 31 bits, with audio that comes 300 ms late (RTMP-24). */
static void
test_turns(unsigned bits)
{
    int           bad;
    int64_t       i, us, size;
    uint32_t      start;
    live_clock_t  c;

    size = (int64_t) 1 << bits;
    start = (uint32_t) (size - 5000);

    live_clock_start(&c, 0);
    bad = 0;

    /* three times around, in steps of 5 s */

    for (i = 0; i < 3 * size / 5000; i++) {
        bad |= live_clock_map(&c, VIDEO, (start + i * 5000) % size, &us)
               != STEADY || us != i * 5000000;
        bad |= live_clock_map(&c, AUDIO, (start + i * 5000 - 300) % size, &us)
               != STEADY || us != i * 5000000 - 300000;
    }

    tap_ok(!bad, "a clock of %u bits goes on over its wrap", bits);

    tap_ok(live_clock_map(&c, VIDEO, (start + i * 5000 - 60000) % size, &us)
           == JUMP, "%u bits: 1 min back is a jump all the same", bits);
}


/* Audio that goes on for a while as it was when video has jumped. */
static void
test_late(void)
{
    int64_t       us;
    live_clock_t  c;

    live_clock_start(&c, 0);
    live_clock_map(&c, VIDEO, 3600000, &us);
    live_clock_map(&c, AUDIO, 3599700, &us);

    tap_ok(live_clock_map(&c, VIDEO, 0, &us) == JUMP, "video jumps");
    live_clock_restart(&c, 500000);

    tap_ok(live_clock_map(&c, VIDEO, 0, &us) == STEADY && us == 500000,
           "video is where the clock starts again");
    tap_ok(live_clock_map(&c, AUDIO, 3599720, &us) == STEADY
           && us == -280000, "late audio is still where it was");
    live_clock_map(&c, VIDEO, 40, &us);
    tap_ok(live_clock_map(&c, AUDIO, 10, &us) == STEADY && us == 510000,
           "then audio is where video is");
    tap_ok(live_clock_map(&c, AUDIO, 3599740, &us) == JUMP,
           "and does not go back");

    /* each has a clock of its own: one restart, and no other */

    live_clock_start(&c, 0);
    live_clock_map(&c, VIDEO, 0, &us);
    tap_ok(live_clock_map(&c, AUDIO, 7200000, &us) == JUMP,
           "audio two hours ahead");
    live_clock_restart(&c, 40000);
    tap_ok(live_clock_map(&c, AUDIO, 7200000, &us) == STEADY && us == 40000
           && live_clock_map(&c, VIDEO, 33, &us) == STEADY && us == 33000
           && live_clock_map(&c, AUDIO, 7200021, &us) == STEADY
           && us == 61000,
           "each goes on with a clock of its own");
    tap_ok(live_clock_map(&c, VIDEO, 50000, &us) == JUMP,
           "video jumps on its own");
    live_clock_restart(&c, 90000);
    tap_ok(live_clock_map(&c, VIDEO, 50000, &us) == STEADY && us == 90000
           && live_clock_map(&c, AUDIO, 7200042, &us) == STEADY
           && us == 82000, "and audio goes on");
}


static void
test_conversions(void)
{
    int      bad;
    int64_t  t;

    tap_ok(live_us_to_ticks(1000000, 90000) == 90000
           && live_us_to_ticks(33367, 90000) == 3003
           && live_us_to_ticks(33366, 90000) == 3003
           && live_us_to_ticks(5, 90000) == 0
           && live_us_to_ticks(6, 90000) == 1, "us to ticks, nearest");
    tap_ok(live_us_to_ticks(-1000000, 44100) == -44100
           && live_us_to_ticks(-33367, 90000) == -3003
           && live_us_to_ticks(-5, 90000) == 0
           && live_us_to_ticks(-6, 90000) == -1, "the same before 0");
    tap_ok(live_ticks_to_us(3003, 90000) == 33367
           && live_ticks_to_us(1, 3) == 333333
           && live_ticks_to_us(-1, 3) == -333333, "ticks to us");

    for (t = -1000000, bad = 0; t < 1000000; t += 7) {
        bad |= live_us_to_ticks(live_ticks_to_us(t, 90000), 90000) != t;
        bad |= live_us_to_ticks(live_ticks_to_us(t, 44100), 44100) != t;
    }

    tap_ok(!bad, "ticks to us and back");
    tap_ok(live_us_to_ticks(INT64_MAX, 90000)
           == INT64_MAX / 1000000 * 90000 + 69823, "2^63 us");
    tap_ok(live_ticks_to_us(INT64_MAX, 90000) == INT64_MAX
           && live_ticks_to_us(INT64_MIN, 90000) == INT64_MIN, "saturation");
}


int
main(void)
{
    test_map();
    test_jumps();
    test_turns(24);
    test_turns(31);
    test_late();
    test_conversions();

    test_audio_exact(44100, TRUNCATE);
    test_audio_exact(44100, ROUND);
    test_audio_exact(48000, TRUNCATE);
    test_audio_exact(48000, ROUND);
    test_audio_drift(100);
    test_audio_drift(-100);
    test_audio_events();

    return tap_done();
}
