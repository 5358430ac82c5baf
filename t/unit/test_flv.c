/* live_flv.h: FLV as messages, cut anywhere, and what is none. */

#include <stdlib.h>
#include <string.h>

#include "live_flv.h"
#include "tap.h"


#define FILE_HEADER  "FLV\1\5\0\0\0\11\0\0\0\0"


typedef struct {
    unsigned  n;
    unsigned  stop;             /* it returns LIVE_ERROR at that one */
    uint32_t  sum;              /* of all that came */
    uint32_t  bytes;
    uint32_t  last;             /* the time of the last one */
    int       wrong;
} test_told_t;


static int
test_media(void *ctx, const live_rtmp_message_t *m, const uint8_t *data,
    size_t len)
{
    size_t        i;
    test_told_t  *told = ctx;

    told->wrong |= m->received + len > m->length || len == 0
                   || (m->type != LIVE_RTMP_AUDIO
                       && m->type != LIVE_RTMP_VIDEO);

    for (i = 0; i < len; i++) {
        told->sum = told->sum * 31 + data[i];
    }

    told->bytes += (uint32_t) len;
    told->last = m->timestamp;

    if (m->received + len == m->length) {
        told->n++;
        return told->n == told->stop ? LIVE_ERROR : LIVE_OK;
    }

    return LIVE_OK;
}


static size_t
test_tag(uint8_t *p, int type, uint32_t ms, uint32_t size)
{
    uint32_t  i;

    p[0] = (uint8_t) type;
    p[1] = (uint8_t) (size >> 16);
    p[2] = (uint8_t) (size >> 8);
    p[3] = (uint8_t) size;
    p[4] = (uint8_t) (ms >> 16);
    p[5] = (uint8_t) (ms >> 8);
    p[6] = (uint8_t) ms;
    p[7] = (uint8_t) (ms >> 24);
    p[8] = p[9] = p[10] = 0;

    for (i = 0; i < size; i++) {
        p[11 + i] = (uint8_t) (i * 7 + ms);
    }

    memset(p + 11 + size, 0xee, 4);

    return 11 + size + 4;
}


static size_t
test_file(uint8_t *p)
{
    size_t  n;

    n = 13;
    memcpy(p, FILE_HEADER, n);

    n += test_tag(p + n, 18, 0, 300);
    n += test_tag(p + n, LIVE_RTMP_VIDEO, 0, 50);
    n += test_tag(p + n, LIVE_RTMP_AUDIO, 5, 1);
    n += test_tag(p + n, 15, 5, 20);
    n += test_tag(p + n, LIVE_RTMP_VIDEO, 7, 0);
    n += test_tag(p + n, LIVE_RTMP_VIDEO, 0x12345678, 70000);
    n += test_tag(p + n, LIVE_RTMP_AUDIO, 0xffffffff, 9);

    return n;
}


/* In pieces of step bytes. */

static const char *
test_input(const uint8_t *data, size_t len, size_t step, test_told_t *told)
{
    size_t       n;
    uint8_t     *piece;
    live_flv_t   f;
    const char  *error;

    memset(&f, 0, sizeof(f));
    f.media = test_media;
    f.ctx = told;

    for (error = NULL; len && error == NULL; data += n, len -= n) {
        n = step < len ? step : len;

        piece = malloc(n);
        memcpy(piece, data, n);
        error = live_flv_input(&f, piece, n);
        free(piece);
    }

    return error;
}


int
main(void)
{
    size_t        i, len;
    uint32_t      sum;
    uint8_t      *data;
    const char   *error;
    test_told_t   told;
    static const size_t  steps[] = { 1, 2, 3, 7, 11, 13, 4096 };

    data = malloc(100000);
    len = test_file(data);

    memset(&told, 0, sizeof(told));
    error = test_input(data, len, len, &told);
    sum = told.sum;

    tap_ok(error == NULL && told.n == 4 && told.bytes == 50 + 1 + 70000 + 9
           && !told.wrong,
           "RTMP-45, RTMP-119: four messages, the others are stepped over");
    tap_ok(told.last == 0xffffffff,
           "RTMP-45: the upper byte of a time comes behind the others");

    for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        memset(&told, 0, sizeof(told));
        error = test_input(data, len, steps[i], &told);
        tap_ok(error == NULL && told.n == 4 && told.sum == sum && !told.wrong,
               "in pieces of %zu bytes", steps[i]);
    }

    memset(&told, 0, sizeof(told));
    told.stop = 2;
    error = test_input(data, len, 5, &told);
    tap_ok(error && *error == '\0' && told.n == 2,
           "whoever wants no more gets no more");

    for (i = 0; i < 9; i++) {

        if (i == 4) {
            continue;                       /* the flags may be any */
        }

        data[i] ^= 0x20;
        memset(&told, 0, sizeof(told));
        error = test_input(data, len, 3, &told);
        data[i] ^= 0x20;

        tap_ok(error && *error && told.n == 0, "byte %zu is wrong: %s", i,
               error ? error : "");
    }

    srand(1);

    for (i = 0; i < 3000; i++) {
        data[13 + (size_t) rand() % (len - 13)] = (uint8_t) rand();

        memset(&told, 0, sizeof(told));
        (void) test_input(data, 13 + (size_t) rand() % (len - 13), 4096,
                          &told);

        if (told.wrong) {
            break;
        }
    }

    tap_ok(i == 3000, "random bytes, and an end anywhere");

    free(data);

    return tap_done();
}
