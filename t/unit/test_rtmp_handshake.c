
#include <stdlib.h>

#include "live_rtmp_handshake.h"
#include "tap.h"


static void
make_c1(uint8_t *c1)
{
    int  i;

    for (i = 0; i < LIVE_RTMP_SIG_SIZE; i++) {
        c1[i] = (uint8_t) (7 * i + 3);
    }

    memcpy(c1, "\0\0\0\0\x0a\0\x2d\x02", 8);
}


static void
unhex(const char *hex, uint8_t *out)
{
    unsigned  v;

    for ( /* void */ ; *hex; hex += 2) {
        sscanf(hex, "%2x", &v);
        *out++ = (uint8_t) v;
    }
}


static void
test_vectors(void)
{
    int             i;
    uint8_t         c1[LIVE_RTMP_SIG_SIZE], s2[LIVE_RTMP_SIG_SIZE];
    uint8_t         a[32], b[32], tail[32];
    const uint8_t  *digest;

    unhex("0f91cf3bc4f3fce664bb1aee4629073e"
          "9ed024bf00104133b604e0ca27fb33fa", b);
    unhex("9e1e292292020cafa3de8d97c58c378e"
          "19e72823bf43332b77c515fa666b1c17", a);
    unhex("ac43e97221341ef79a498823833fe79e"
          "ca34d83cd0c3451b332cbf11429ed5c8", tail);

    make_c1(c1);
    tap_ok(live_rtmp_find_digest(c1, &digest) == 0,
           "RTMP-7 a false digest is none");

    memcpy(c1 + 942, b, 32);
    tap_ok(live_rtmp_find_digest(c1, &digest) == LIVE_RTMP_SCHEMA_B
           && digest == c1 + 942, "RTMP-13 schema B");

    c1[1000] ^= 1;
    tap_ok(live_rtmp_find_digest(c1, &digest) == 0, "RTMP-9 covers all of C1");

    make_c1(c1);
    memcpy(c1 + 290, a, 32);
    tap_ok(live_rtmp_find_digest(c1, &digest) == LIVE_RTMP_SCHEMA_A
           && digest == c1 + 290, "RTMP-13 schema A");

    memset(c1 + 4, 0, 4);
    tap_ok(live_rtmp_find_digest(c1, &digest) == 0,
           "RTMP-7 version 0 is simple");

    for (i = 0; i < 1504; i++) {
        s2[i] = (uint8_t) (5 * i + 1);
    }

    live_rtmp_sign_s2(s2, b);
    tap_ok(memcmp(s2 + 1504, tail, 32) == 0, "RTMP-13 tail of S2");
}


/* Feeds C0, C1, C2 and two more bytes in pieces of n. */

static void
run(const uint8_t *c1, size_t n, int digest, const char *name)
{
    int                     rc, answers, early;
    size_t                  i, len;
    uint8_t                 in[LIVE_RTMP_ANSWER_SIZE + 2];
    uint8_t                 out[LIVE_RTMP_ANSWER_SIZE], *copy, *s1;
    const char             *error;
    live_reader_t           r;
    live_writer_t           w;
    live_rtmp_handshake_t   h;

    in[0] = 3;
    memcpy(in + 1, c1, LIVE_RTMP_SIG_SIZE);
    memset(in + 1 + LIVE_RTMP_SIG_SIZE, 'x', LIVE_RTMP_SIG_SIZE + 2);

    live_rtmp_handshake_init(&h);
    answers = early = 0;
    rc = LIVE_AGAIN;

    for (i = 0; i < sizeof(in) && rc == LIVE_AGAIN; i += n) {

        len = sizeof(in) - i < n ? sizeof(in) - i : n;
        copy = malloc(len);
        memcpy(copy, in + i, len);

        live_reader_init(&r, copy, len);
        live_writer_init(&w, out, sizeof(out));

        rc = live_rtmp_handshake_input(&h, &r, &w, &error);

        if (live_writer_len(&w)) {
            answers++;
            early |= i + len < 1537;
        }

        if (rc == LIVE_OK) {
            len = live_reader_left(&r) + sizeof(in) - i - len;
        }

        free(copy);

        if (rc == LIVE_OK) {
            break;
        }
    }

    s1 = out + 1;

    tap_ok(rc == LIVE_OK && len == 2, "RTMP-5 %s, by %zu: surplus stays",
           name, n);
    tap_ok(answers == 1 && !early && out[0] == 3,
           "RTMP-5 %s, by %zu: one answer, after C1", name, n);
    tap_ok((memcmp(s1 + 4, "\0\0\0\0", 4) != 0) == digest,
           "RTMP-6 RTMP-10 %s, by %zu: version", name, n);

    if (!digest) {
        tap_ok(memcmp(out + 1537, c1, LIVE_RTMP_SIG_SIZE) == 0,
               "RTMP-4 %s, by %zu: S2 is C1", name, n);
    }
}


static void
test_forms(void)
{
    size_t                i;
    uint8_t               c1[LIVE_RTMP_SIG_SIZE];
    static const size_t   splits[] = { 1, 2, 1536, 1537, 1538, 3073, 4000 };

    for (i = 0; i < sizeof(splits) / sizeof(splits[0]); i++) {

        make_c1(c1);
        run(c1, splits[i], 0, "bogus digest");

        unhex("0f91cf3bc4f3fce664bb1aee4629073e"
              "9ed024bf00104133b604e0ca27fb33fa", c1 + 942);
        run(c1, splits[i], 1, "digest");

        memset(c1 + 4, 0, 4);
        run(c1, splits[i], 0, "simple");
    }
}


/* RTMP-10: S1 is signed under the schema of the client. */

static void
test_sign_s1(void)
{
    uint8_t   s1[LIVE_RTMP_SIG_SIZE], copy[LIVE_RTMP_SIG_SIZE];

    make_c1(s1);
    make_c1(copy);

    live_rtmp_sign_s1(s1, LIVE_RTMP_SCHEMA_B);
    tap_ok(memcmp(s1, copy, 942) == 0
           && memcmp(s1 + 942, copy + 942, 32) != 0
           && memcmp(s1 + 974, copy + 974, LIVE_RTMP_SIG_SIZE - 974) == 0,
           "RTMP-10 only the digest of S1 is written");
}


static void
test_versions(void)
{
    size_t                  i;
    uint8_t                 out[LIVE_RTMP_ANSWER_SIZE];
    const char             *error;
    live_reader_t           r;
    live_writer_t           w;
    live_rtmp_handshake_t   h;

    static const struct {
        uint8_t      c0;
        const char  *error;
    } cases[] = {
        { 0, "handshake: unknown version of RTMP" },
        { 2, "handshake: unknown version of RTMP" },
        { 4, "handshake: unknown version of RTMP" },
        { 6, "handshake: encrypted RTMPE is not supported" },
        { 0x16, "handshake: TLS on a port for plain RTMP" },
        { 'G', "handshake: HTTP instead of RTMP" },
        { 255, "handshake: not RTMP" }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        live_rtmp_handshake_init(&h);
        live_reader_init(&r, &cases[i].c0, 1);
        live_writer_init(&w, out, sizeof(out));

        error = "";
        tap_ok(live_rtmp_handshake_input(&h, &r, &w, &error) == LIVE_ERROR
               && strcmp(error, cases[i].error) == 0
               && live_writer_len(&w) == 0,
               "RTMP-2 version %u: %s", cases[i].c0, error);
    }
}


int
main(void)
{
    test_vectors();
    test_forms();
    test_sign_s1();
    test_versions();

    return tap_done();
}
