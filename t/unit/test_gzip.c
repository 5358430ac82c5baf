
/* live_gzip(): round trips, determinism, bounds. */

#include <stdlib.h>
#include <zlib.h>

#include "live_gzip.h"
#include "tap.h"


#define TEST_MAX  (300 * 1024)


static int test_round_trip(const uint8_t *src, size_t len);
static int test_gunzip(const live_writer_t *w, uint8_t *dst, size_t size,
    size_t *len);
static void test_playlist(uint8_t *src, size_t len);
static void test_random(uint8_t *src, size_t len);
static void test_sizes(uint8_t *src);
static void test_header(const uint8_t *src);
static void test_overflow(const uint8_t *src);
static void test_append(const uint8_t *src);


int
main(void)
{
    uint8_t  *src;

    src = malloc(TEST_MAX);
    if (src == NULL) {
        return 1;
    }

    test_sizes(src);

    test_playlist(src, TEST_MAX);
    test_header(src);
    test_overflow(src);
    test_append(src);

    free(src);

    return tap_done();
}


static void
test_sizes(uint8_t *src)
{
    int     playlist, noise;
    size_t  i;

    static const size_t  sizes[] = {
        0, 1, 2, 100, 249, 250, 251, 511, 512, 762, 763, 2000, 7930, 7931,
        20000, 32506, 32507, 70000, TEST_MAX
    };

    playlist = 1;
    noise = 1;

    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        test_playlist(src, sizes[i]);
        playlist &= test_round_trip(src, sizes[i]);

        test_random(src, sizes[i]);
        noise &= test_round_trip(src, sizes[i]);
    }

    tap_ok(playlist, "playlists of every size come back");
    tap_ok(noise, "random bytes come back and fit live_gzip_size()");
}


static int
test_round_trip(const uint8_t *src, size_t len)
{
    int            ok;
    size_t         n;
    uint8_t       *zip, *back;
    live_writer_t  w;

    zip = malloc(live_gzip_size(len));
    back = malloc(len + 1);
    n = 0;

    live_writer_init(&w, zip, live_gzip_size(len));

    ok = live_gzip(&w, src, len) == LIVE_OK
         && test_gunzip(&w, back, len + 1, &n)
         && n == len
         && memcmp(src, back, len) == 0;

    free(zip);
    free(back);

    return ok;
}


static int
test_gunzip(const live_writer_t *w, uint8_t *dst, size_t size, size_t *len)
{
    int       rc;
    z_stream  z;

    memset(&z, 0, sizeof(z));

    if (inflateInit2(&z, 15 + 16) != Z_OK) {
        return 0;
    }

    z.next_in = w->start;
    z.avail_in = (uInt) live_writer_len(w);
    z.next_out = dst;
    z.avail_out = (uInt) size;

    rc = inflate(&z, Z_FINISH);
    *len = size - z.avail_out;

    inflateEnd(&z);

    return rc == Z_STREAM_END && z.avail_in == 0;
}


static void
test_playlist(uint8_t *src, size_t len)
{
    int       n;
    char      line[128];
    size_t    done;
    unsigned  msn;

    msn = 100;

    for (done = 0; done < len; done += (size_t) n) {
        n = snprintf(line, sizeof(line),
                     "#EXTINF:4.0%04u,\nseg-c0ffee-%u.m4s\n",
                     msn * 37 % 10000, msn);
        msn++;

        if ((size_t) n > len - done) {
            n = (int) (len - done);
        }

        memcpy(src + done, line, (size_t) n);
    }
}


static void
test_random(uint8_t *src, size_t len)
{
    size_t    i;
    uint32_t  x;

    x = 2463534242u;

    for (i = 0; i < len; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        src[i] = (uint8_t) x;
    }
}


static void
test_header(const uint8_t *src)
{
    uint8_t        a[4096], b[4096];
    live_writer_t  wa, wb;

    static const uint8_t  head[] = {
        0x1f, 0x8b, 0x08, 0, 0, 0, 0, 0, 0, 0xff
    };

    live_writer_init(&wa, a, sizeof(a));
    live_writer_init(&wb, b, sizeof(b));

    tap_ok(live_gzip(&wa, src, 4000) == LIVE_OK
           && live_gzip(&wb, src, 4000) == LIVE_OK
           && live_writer_len(&wa) == live_writer_len(&wb)
           && memcmp(a, b, live_writer_len(&wa)) == 0,
           "the same text gives the same bytes");

    tap_ok(memcmp(a, head, sizeof(head)) == 0,
           "the header tells neither time nor system");

    tap_ok(live_writer_len(&wa) < 4000 / 3, "a playlist shrinks to a third");
}


static void
test_overflow(const uint8_t *src)
{
    int            ok;
    size_t         size, need;
    uint8_t       *tight, out[4096];
    live_writer_t  w;

    live_writer_init(&w, out, sizeof(out));
    (void) live_gzip(&w, src, 4000);
    need = live_writer_len(&w);

    ok = 1;

    for (size = 0; size < need; size++) {
        tight = malloc(size + !size);
        live_writer_init(&w, tight, size);

        ok &= live_gzip(&w, src, 4000) == LIVE_OVERFLOW
              && w.error && live_writer_len(&w) == 0;

        free(tight);
    }

    tap_ok(ok, "LIVE_OVERFLOW in every smaller buffer, nothing appended");

    live_writer_init(&w, out, need);
    tap_ok(live_gzip(&w, src, 4000) == LIVE_OK, "an exact buffer is enough");

    live_writer_init(&w, out, sizeof(out));
    w.error = 1;
    tap_ok(live_gzip(&w, src, 4000) == LIVE_OVERFLOW,
           "a writer in error stays in error");

    live_writer_init(&w, out, sizeof(out));
    tap_ok(live_gzip(&w, src, ((size_t) 1 << 30) + 1) == LIVE_ERROR,
           "more than 1 GiB is refused");
}


static void
test_append(const uint8_t *src)
{
    size_t         n;
    uint8_t        out[4096], back[4096];
    live_writer_t  w, member;

    live_writer_init(&w, out, sizeof(out));
    live_write_str(&w, "before");

    tap_ok(live_gzip(&w, src, 3000) == LIVE_OK
           && memcmp(out, "before", 6) == 0, "appends to what is there");

    member = w;
    member.start += 6;
    n = 0;

    tap_ok(test_gunzip(&member, back, sizeof(back), &n)
           && n == 3000 && memcmp(src, back, n) == 0,
           "and what it appended is complete");
}
