
#include <stdarg.h>
#include <stdlib.h>

#include "live_rtmp_chunk.h"
#include "tap.h"
#include "test_rtmp_client.h"


#define MAX_MESSAGE  70000


/* All messages of a run as text: csid type time msid length/sum. */
typedef struct {
    char      text[4096];
    size_t    len;
    uint32_t  sums[LIVE_RTMP_MAX_CSIDS + 1];
} record_t;


__attribute__((format(printf, 2, 3)))
static void
note(record_t *rec, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    rec->len += vsnprintf(rec->text + rec->len, sizeof(rec->text) - rec->len,
                          fmt, args);
    va_end(args);

    if (rec->len >= sizeof(rec->text)) {
        rec->len = sizeof(rec->text) - 1;
    }
}


static int
take(live_rtmp_chunk_reader_t *r, record_t *rec, const uint8_t *data,
    size_t len)
{
    int                 rc;
    uint32_t            i, *sum;
    live_reader_t       in;
    live_rtmp_slice_t   slice;

    live_reader_init(&in, data, len);

    while ((rc = live_rtmp_chunk_next(r, &in, &slice)) == LIVE_OK) {

        sum = &rec->sums[slice.cs - r->cs];

        if (slice.offset == 0) {
            *sum = 0;
        }

        for (i = 0; i < slice.len; i++) {
            *sum = *sum * 31 + slice.data[i];
        }

        if (!live_rtmp_slice_is_last(&slice)) {
            continue;
        }

        note(rec, "%u %u %u %u %u/%u;", slice.cs->csid, slice.cs->type,
             slice.cs->timestamp, slice.cs->msid, slice.cs->length, *sum);

        if (slice.cs->type == LIVE_RTMP_SET_CHUNK_SIZE) {
            r->chunk_size = 1000;

        } else if (slice.cs->type == LIVE_RTMP_ABORT) {
            live_rtmp_chunk_abort(r, 6);
        }
    }

    if (rc == LIVE_ERROR) {
        note(rec, "error: %s", r->error);
    }

    return rc;
}


/* Takes the bytes in pieces: first, then by step each, each in memory of its
 * own size. */

static void
run(const client_t *c, size_t first, size_t step, record_t *rec)
{
    size_t                     i, n;
    uint8_t                   *copy;
    live_rtmp_chunk_reader_t  *r;

    r = malloc(sizeof(live_rtmp_chunk_reader_t));
    live_rtmp_chunk_init(r, MAX_MESSAGE);
    memset(rec, 0, sizeof(record_t));

    for (i = 0; i < c->len; i += n) {
        n = i == 0 && first ? first : step;

        if (n > c->len - i) {
            n = c->len - i;
        }

        copy = malloc(n);
        memcpy(copy, c->data + i, n);

        if (take(r, rec, copy, n) == LIVE_ERROR) {
            free(copy);
            break;
        }

        free(copy);
    }

    free(r);
}


static uint32_t
sum(const void *data, size_t len)
{
    uint32_t        v = 0;
    const uint8_t  *p = data;

    while (len--) {
        v = v * 31 + *p++;
    }

    return v;
}


/* Checks the result, and that every split gives it. */

static void
check(client_t *c, const char *expected, const char *name)
{
    int        same;
    size_t     i;
    record_t  *rec;

    rec = malloc(sizeof(record_t));

    run(c, 0, c->len, rec);
    tap_ok(strcmp(rec->text, expected) == 0, "%s: %.200s", name, rec->text);

    same = 1;

    for (i = 1; i < c->len; i++) {
        run(c, i, c->len, rec);
        same &= strcmp(rec->text, expected) == 0;
    }

    for (i = 1; i < 20; i++) {
        run(c, 0, i, rec);
        same &= strcmp(rec->text, expected) == 0;
    }

    tap_ok(same, "%s: the same in any split", name);

    free(rec);
    client_free(c);
}


static uint8_t  payload[MAX_MESSAGE + 1];


static void
test_headers(void)
{
    char      expected[1024];
    uint32_t  s10, s300;
    client_t  c;

    s10 = sum(payload, 10);
    s300 = sum(payload, 300);

    client_init(&c);
    client_hex(&c, "04 000000 00000a 12 01000000");
    client_bytes(&c, payload, 10);
    client_hex(&c, "010001 000000 00000a 12 01000000");
    client_bytes(&c, payload, 10);
    snprintf(expected, sizeof(expected), "4 18 0 1 10/%u;320 18 0 1 10/%u;",
             s10, s10);
    check(&c, expected, "RTMP-32 examples");

    client_init(&c);
    client_message(&c, 0, 63, 5, 8, 1, payload, 10);
    client_message(&c, 0, 64, 5, 8, 1, payload, 10);
    client_message(&c, 0, 319, 5, 8, 1, payload, 300);
    client_message(&c, 0, 320, 5, 8, 1, payload, 10);
    client_message(&c, 0, 65599, 5, 8, 1, payload, 300);
    snprintf(expected, sizeof(expected),
             "63 8 5 1 10/%u;64 8 5 1 10/%u;319 8 5 1 300/%u;"
             "320 8 5 1 10/%u;65599 8 5 1 300/%u;", s10, s10, s300, s10,
             s300);
    check(&c, expected, "RTMP-16 all basic headers");

    client_init(&c);
    client_hex(&c, "01 0500 000005 00000a 08 01000000");
    client_bytes(&c, payload, 10);
    client_hex(&c, "c0 05");
    client_bytes(&c, payload, 10);
    snprintf(expected, sizeof(expected), "69 8 5 1 10/%u;69 8 10 1 10/%u;",
             s10, s10);
    check(&c, expected, "RTMP-16 a long form for a small csid");

    client_init(&c);
    client_message(&c, 0, 4, 1000, 8, 1, payload, 300);
    client_message(&c, 1, 4, 23, 9, 0, payload, 10);
    client_message(&c, 2, 4, 40, 9, 0, payload, 10);
    client_message(&c, 3, 4, 0, 9, 0, payload, 10);
    client_message(&c, 1, 4, 7, 8, 0, payload, 300);
    client_message(&c, 0, 4, 500, 8, 2, payload, 10);
    client_message(&c, 3, 4, 0, 8, 0, payload, 10);
    snprintf(expected, sizeof(expected),
             "4 8 1000 1 300/%u;4 9 1023 1 10/%u;4 9 1063 1 10/%u;"
             "4 9 1103 1 10/%u;4 8 1110 1 300/%u;4 8 500 2 10/%u;"
             "4 8 1000 2 10/%u;", s300, s10, s10, s10, s300, s10, s10);
    check(&c, expected, "RTMP-17 RTMP-18 RTMP-19 all formats");

    client_init(&c);
    client_message(&c, 1, 4, 20, 8, 0, payload, 10);
    snprintf(expected, sizeof(expected), "4 8 20 0 10/%u;", s10);
    check(&c, expected, "RTMP-20 fmt 1 first");

    client_init(&c);
    client_message(&c, 0, 4, 0xfffffff0, 8, 1, payload, 10);
    client_message(&c, 1, 4, 32, 8, 0, payload, 10);
    snprintf(expected, sizeof(expected), "4 8 4294967280 1 10/%u;"
             "4 8 16 1 10/%u;", s10, s10);
    check(&c, expected, "RTMP-20 RTMP-24 the time wraps");

    client_init(&c);
    client_message(&c, 0, 4, 0, 8, 1, payload, 0);
    client_message(&c, 0, 5, 0, 9, 1, payload, 0);
    client_message(&c, 1, 5, 0, 20, 0, payload, 0);
    client_message(&c, 3, 5, 0, 20, 0, payload, 0);
    check(&c, "4 8 0 1 0/0;5 9 0 1 0/0;5 20 0 1 0/0;5 20 0 1 0/0;",
          "RTMP-44 RTMP-122 empty messages");
}


/* RTMP-21, RTMP-22: both kinds of senders, around 2^24. */

static void
test_extended(void)
{
    int        omit;
    char       expected[1024];
    size_t     i, n;
    uint32_t   field;
    client_t   c;

    static const uint32_t  fields[] = {
        0xfffffe, 0xffffff, 0x1000000, 0xfffffffe, 0x00ffff00 + 0x01000000
    };
    static const uint32_t  lengths[] = { 1, 127, 128, 129, 130, 131, 132, 300 };

    for (omit = 0; omit < 2; omit++) {
        for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {

            field = fields[i];
            client_init(&c);
            c.omit_ext = omit;
            expected[0] = '\0';

            for (n = 0; n < sizeof(lengths) / sizeof(lengths[0]); n++) {
                client_message(&c, 0, 4, field, 9, 1, payload, lengths[n]);
                snprintf(expected + strlen(expected),
                         sizeof(expected) - strlen(expected),
                         "4 9 %u 1 %u/%u;", field, lengths[n],
                         sum(payload, lengths[n]));
            }

            /* as a delta, then once more by fmt 3 */

            client_message(&c, 1, 4, field, 9, 0, payload, 130);
            client_message(&c, 3, 4, field, 9, 0, payload, 130);
            client_message(&c, 2, 4, 5, 9, 0, payload, 130);

            for (n = 2; n < 4; n++) {
                snprintf(expected + strlen(expected),
                         sizeof(expected) - strlen(expected),
                         "4 9 %u 1 130/%u;", (uint32_t) (field * n),
                         sum(payload, 130));
            }

            snprintf(expected + strlen(expected),
                     sizeof(expected) - strlen(expected),
                     "4 9 %u 1 130/%u;", field * 3 + 5, sum(payload, 130));

            check(&c, expected, omit ? "RTMP-22 extended time left out"
                                     : "RTMP-22 extended time repeated");
        }
    }
}


/* Payload that begins like the extended timestamp, in a sender that leaves
 * the timestamp out. */

static void
test_extended_prefix(void)
{
    char       expected[256];
    size_t     n;
    uint8_t    data[132];
    client_t   c;

    for (n = 1; n < 4; n++) {

        memset(data, 0x55, sizeof(data));
        memcpy(data + 128, "\x01\x02\x03\x04", n);

        client_init(&c);
        c.omit_ext = 1;
        client_message(&c, 0, 4, 0x01020304, 9, 1, data, 128 + n);
        client_message(&c, 0, 3, 7, 8, 1, data, 1);

        snprintf(expected, sizeof(expected), "4 9 16909060 1 %zu/%u;"
                 "3 8 7 1 1/85;", 128 + n, sum(data, 128 + n));
        check(&c, expected, "RTMP-22 payload with a prefix of the time");
    }

    /* nothing follows: one byte that differs is enough to deliver it */

    memset(data, 0x55, sizeof(data));
    client_init(&c);
    c.omit_ext = 1;
    client_message(&c, 0, 4, 0x01020304, 9, 1, data, 129);
    snprintf(expected, sizeof(expected), "4 9 16909060 1 129/%u;",
             sum(data, 129));
    check(&c, expected, "RTMP-22 does not wait at the end of a message");
}


static void
test_interleaving(void)
{
    char      expected[512];
    client_t  c;

    client_init(&c);
    client_header(&c, 0, 6, 40, 300, 9, 1);
    client_bytes(&c, payload, 128);
    client_message(&c, 0, 4, 41, 8, 1, payload, 10);
    client_basic(&c, 3, 6);
    client_bytes(&c, payload + 128, 128);
    client_header(&c, 0, 5, 42, 200, 18, 1);
    client_bytes(&c, payload, 128);
    client_basic(&c, 3, 6);
    client_bytes(&c, payload + 256, 44);
    client_basic(&c, 3, 5);
    client_bytes(&c, payload + 128, 72);
    snprintf(expected, sizeof(expected),
             "4 8 41 1 10/%u;6 9 40 1 300/%u;5 18 42 1 200/%u;",
             sum(payload, 10), sum(payload, 300), sum(payload, 200));
    check(&c, expected, "RTMP-25 interleaved messages");

    client_init(&c);
    client_header(&c, 0, 6, 40, 1200, 9, 1);
    client_bytes(&c, payload, 128);
    client_control(&c, 1, 1000);
    client_basic(&c, 3, 6);
    client_bytes(&c, payload + 128, 1000);
    client_basic(&c, 3, 6);
    client_bytes(&c, payload + 1128, 72);
    snprintf(expected, sizeof(expected), "2 1 0 0 4/%u;6 9 40 1 1200/%u;",
             sum("\0\0\x03\xe8", 4), sum(payload, 1200));
    check(&c, expected, "RTMP-26 Set Chunk Size inside of a message");

    client_init(&c);
    client_header(&c, 0, 6, 40, 300, 9, 1);
    client_bytes(&c, payload, 128);
    client_control(&c, 2, 6);
    client_message(&c, 1, 6, 20, 9, 0, payload, 200);
    client_header(&c, 1, 6, 20, 300, 9, 0);
    client_bytes(&c, payload, 128);
    client_control(&c, 2, 6);
    client_message(&c, 3, 6, 0, 9, 0, payload, 300);
    snprintf(expected, sizeof(expected), "2 2 0 0 4/6;6 9 60 1 200/%u;"
             "2 2 0 0 4/6;6 9 100 1 300/%u;", sum(payload, 200),
             sum(payload, 300));
    check(&c, expected, "RTMP-33 Abort");
}


static void
test_hostile(void)
{
    int        i;
    char       expected[4096];
    client_t   c;

    client_init(&c);
    client_hex(&c, "c4 00");
    check(&c, "error: chunk: header refers to nothing",
          "RTMP-122 fmt 3 first");

    client_init(&c);
    client_hex(&c, "84 000000 00");
    check(&c, "error: chunk: header refers to nothing",
          "RTMP-20 fmt 2 first");

    client_init(&c);
    client_header(&c, 0, 6, 40, 300, 9, 1);
    client_bytes(&c, payload, 128);
    client_header(&c, 0, 6, 40, 300, 9, 1);
    check(&c, "error: chunk: header inside of a message",
          "RTMP-25 a header inside of a message");

    client_init(&c);
    client_header(&c, 0, 6, 40, 0xffffff, 9, 1);
    check(&c, "error: message of type 9 has 16777215 bytes, the limit is "
          "70000", "RTMP-28 a video message too long");

    client_init(&c);
    client_header(&c, 0, 6, 40, 262145, 20, 1);
    check(&c, "error: message of type 20 has 262145 bytes, the limit is "
          "262144", "RTMP-28 a command too long");

    client_init(&c);
    client_header(&c, 0, 6, 40, 0xffffff, 99, 1);
    check(&c, "error: message of type 99 has 16777215 bytes, the limit is "
          "70000", "RTMP-28 a message of unknown type too long");

    client_init(&c);
    client_hex(&c, "06 ffffff 000001 09 01000000 010000");
    check(&c, "", "RTMP-122 three bytes of an extended timestamp");

    client_init(&c);
    expected[0] = '\0';

    for (i = 0; i < LIVE_RTMP_MAX_CSIDS; i++) {
        client_message(&c, 0, 40 + i, 0, 8, 1, payload, 0);
        snprintf(expected + strlen(expected),
                 sizeof(expected) - strlen(expected), "%d 8 0 1 0/0;",
                 40 + i);
    }

    client_message(&c, 0, 2, 0, 8, 1, payload, 0);
    snprintf(expected + strlen(expected), sizeof(expected) - strlen(expected),
             "error: chunk: too many chunk streams");
    check(&c, expected, "RTMP-29 too many csids");
}


int
main(void)
{
    size_t  i;

    for (i = 0; i < sizeof(payload); i++) {
        payload[i] = (uint8_t) (i * 7 + i / 256);
    }

    test_headers();
    test_extended();
    test_extended_prefix();
    test_interleaving();
    test_hostile();

    return tap_done();
}
