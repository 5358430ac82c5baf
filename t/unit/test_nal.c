/* NAL walker: RTMP-85, RTMP-86, CMAF-81. */

#include "live_codec.h"
#include "tap.h"

#include <string.h>


typedef struct {
    const char  *name;
    unsigned     length_size;
    unsigned     valid:1;
    unsigned     vcl:1;
    unsigned     idr:1;
    uint8_t      len;
    uint8_t      data[24];
} test_unit_t;


static const test_unit_t  units[] = {

    { "IDR behind SPS and PPS", 4, 1, 1, 1, 20,
      { 0, 0, 0, 2, 0x67, 1, 0, 0, 0, 1, 0x68,
        0, 0, 0, 5, 0x65, 0, 0, 0, 1 } },

    { "slice", 4, 1, 1, 0, 7, { 0, 0, 0, 3, 0x41, 5, 5 } },

    { "data partition A", 4, 1, 1, 0, 6, { 0, 0, 0, 2, 0x42, 5 } },

    { "SEI alone has no slice", 4, 1, 0, 0, 7, { 0, 0, 0, 3, 6, 5, 5 } },

    { "IDR type inside a payload is no header", 4, 1, 1, 0, 7,
      { 0, 0, 0, 3, 0x41, 0x65, 0x65 } },

    { "zero-length units are stepped over", 4, 1, 1, 1, 14,
      { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0x65, 1 } },

    { "zero-length unit at the end", 4, 1, 1, 1, 10,
      { 0, 0, 0, 2, 0x65, 1, 0, 0, 0, 0 } },

    { "length size 2", 2, 1, 1, 1, 8, { 0, 2, 0x67, 1, 0, 2, 0x25, 1 } },

    { "length size 1", 1, 1, 1, 0, 5, { 1, 0x09, 2, 0x01, 7 } },

    { "length past the end", 4, 0, 0, 0, 7, { 0, 0, 0, 4, 0x65, 1, 1 } },

    { "length 2^32 - 1", 4, 0, 0, 0, 7,
      { 0xff, 0xff, 0xff, 0xff, 0x65, 1, 1 } },

    { "bad second length", 4, 0, 1, 0, 11,
      { 0, 0, 0, 2, 0x41, 1, 0, 0, 1, 0, 0x65 } },

    { "cut in a length", 4, 0, 1, 0, 8, { 0, 0, 0, 2, 0x41, 1, 0, 0 } },

    { "Annex B", 4, 0, 0, 0, 8, { 0, 0, 1, 0x65, 0, 0, 0, 1 } }
};


static void
test_unit(const test_unit_t *u)
{
    int              same;
    size_t           step, at, n;
    live_nal_walk_t  w;

    same = 1;

    for (step = 1; step <= u->len; step++) {
        live_nal_walk_init(&w, u->len, u->length_size);

        for (at = 0; at < u->len; at += n) {
            n = u->len - at < step ? u->len - at : step;
            live_nal_walk(&w, u->data + at, n);
        }

        same &= live_nal_walk_valid(&w) == u->valid
                && w.vcl == u->vcl && w.idr == u->idr;
    }

    tap_ok(same, "%s, in slices of any size (RTMP-86)", u->name);
}


static void
test_limits(void)
{
    uint32_t         i;
    live_nal_walk_t  w;
    static uint8_t   block[65536];

    live_nal_walk_init(&w, 4, 4);
    live_nal_walk(&w, units[1].data, 7);
    tap_ok(!live_nal_walk_valid(&w), "more bytes than the access unit has");

    live_nal_walk_init(&w, 7, 4);
    live_nal_walk(&w, units[1].data, 6);
    tap_ok(!live_nal_walk_valid(&w), "fewer bytes than the access unit has");

    live_nal_walk_init(&w, 0, 4);
    tap_ok(live_nal_walk_valid(&w) && !w.vcl,
           "an empty access unit is valid and has no slice (CMAF-81)");

    live_nal_walk_init(&w, 7, 4);
    live_nal_walk(&w, NULL, 0);
    live_nal_walk(&w, units[1].data, 7);
    tap_ok(live_nal_walk_valid(&w), "an empty slice changes nothing");

    /* 32 MiB of empty units, then more than 16 MiB in one (CMAF-81) */

    live_nal_walk_init(&w, 512 * sizeof(block), 4);
    for (i = 0; i < 512; i++) {
        live_nal_walk(&w, block, sizeof(block));
    }
    tap_ok(live_nal_walk_valid(&w) && !w.vcl, "8 million empty units");

    live_nal_walk_init(&w, 4 + 512 * sizeof(block), 4);
    live_nal_walk(&w, (uint8_t []) { 2, 0, 0, 0 }, 4);
    block[0] = 0x65;
    for (i = 0; i < 512; i++) {
        live_nal_walk(&w, block, sizeof(block));
    }
    tap_ok(live_nal_walk_valid(&w) && w.idr, "a unit of 32 MiB");
}


/* What is kept of the first of these is the second. */
static void
test_runs(const char *name, unsigned length_size, const char *in, size_t len,
    const char *out, size_t expected)
{
    int              same;
    char             kept[64];
    size_t           step, at, n, left, size;
    live_nal_run_t   run;
    live_nal_walk_t  w;

    same = 1;

    for (step = 1; step <= len; step++) {
        live_nal_walk_init(&w, (uint32_t) len, length_size);
        size = 0;

        for (at = 0; at < len; at += left) {
            left = len - at < step ? len - at : step;

            for (n = 0; n < left; /* void */ ) {
                n += live_nal_take(&w, (const uint8_t *) in + at + n,
                                   left - n, &run);
                memcpy(kept + size, run.data, run.len);
                size += run.len;
            }
        }

        same &= size == expected && memcmp(kept, out, size) == 0
                && live_nal_walk_valid(&w) && w.unit == (size != 0);
    }

    tap_ok(same, "%s, in slices of any size (RTMP-86)", name);
}


static void
test_empty(void)
{
    test_runs("no empty unit, all is kept", 4,
              "\0\0\0\2\x65\1\0\0\0\1\x41", 11,
              "\0\0\0\2\x65\1\0\0\0\1\x41", 11);
    test_runs("empty units are left out", 4,
              "\0\0\0\0\0\0\0\2\x65\1\0\0\0\0\0\0\0\0\0\0\0\1\x41"
              "\0\0\0\0", 27,
              "\0\0\0\2\x65\1\0\0\0\1\x41", 11);
    test_runs("empty units of length size 2", 2,
              "\0\0\0\3\x65\0\0\0\0\0\1\x41", 12,
              "\0\3\x65\0\0\0\1\x41", 8);
    test_runs("empty units of length size 1", 1, "\0\2\x65\0\0\1\x41\0", 8,
              "\2\x65\0\1\x41", 5);
    test_runs("nothing but empty units", 4, "\0\0\0\0\0\0\0\0", 8, "", 0);
}


typedef struct {
    const char  *name;
    unsigned     recovery;
    uint8_t      len;
    uint8_t      data[24];
} test_sei_t;


static const test_sei_t  seis[] = {

    { "a recovery point", 1, 12,
      { 0, 0, 0, 4, 6, 6, 1, 0xc4, 0, 0, 0, 0 } },

    { "a recovery point behind another message", 1, 13,
      { 0, 0, 0, 9, 6, 1, 2, 6, 1, 6, 1, 0xc4, 0x80 } },

    { "a payload like a recovery point", 0, 11,
      { 0, 0, 0, 7, 6, 5, 3, 6, 6, 1, 0x80 } },

    { "a type over 255", 0, 9, { 0, 0, 0, 5, 6, 0xff, 6, 0, 0x80 } },

    { "a payload with a byte that prevents a start code", 1, 15,
      { 0, 0, 0, 11, 6, 5, 4, 0, 0, 3, 1, 6, 6, 1, 0x80 } },

    { "no SEI unit", 0, 8, { 0, 0, 0, 4, 0x41, 6, 1, 0xc4 } },
};


static void
test_sei(const test_sei_t *u)
{
    int              same;
    size_t           step, at, n;
    live_nal_walk_t  w;

    same = 1;

    for (step = 1; step <= u->len; step++) {
        live_nal_walk_init(&w, u->len, 4);

        for (at = 0; at < u->len; at += n) {
            n = u->len - at < step ? u->len - at : step;
            live_nal_walk(&w, u->data + at, n);
        }

        same &= live_nal_walk_valid(&w) && w.recovery == u->recovery;
    }

    tap_ok(same, "SEI: %s, in slices of any size (RTMP-85)", u->name);
}


int
main(void)
{
    size_t  i;

    for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        test_unit(&units[i]);
    }

    for (i = 0; i < sizeof(seis) / sizeof(seis[0]); i++) {
        test_sei(&seis[i]);
    }

    test_empty();
    test_limits();

    return tap_done();
}
