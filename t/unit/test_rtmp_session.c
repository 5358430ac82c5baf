
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>

#include "live_rtmp_session.h"
#include "tap.h"
#include "test_rtmp_client.h"


#define ACCEPT  0
#define REFUSE  1
#define LATER   2
#define FAIL    3


static const live_rtmp_conf_t  conf = { 100000, 4096, 2500000 };


/* What the callbacks said, as text; payload as a sum for each message. */
typedef struct {
    char                  text[16384];
    size_t                len;
    uint32_t              sums[2];
    int                   answer;       /* to publish */
    int                   fail_media;
    int                   slices;
    live_rtmp_session_t  *s;

    uint8_t              *out;          /* all that the session wrote */
    size_t                out_len;
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
on_publish(void *ctx, const live_rtmp_publish_t *p)
{
    record_t  *rec = ctx;

    note(rec, "publish %s|%s|%s|%s|%s;", p->app, p->app_args, p->name,
         p->args, p->flash_ver);

    switch (rec->answer) {

    case ACCEPT:
        live_rtmp_accept(rec->s);
        break;

    case REFUSE:
        live_rtmp_refuse(rec->s, "NetStream.Publish.Denied", "go\naway");
        break;

    case FAIL:
        live_rtmp_fail(rec->s, "no %s", "room\x01");
        return LIVE_ERROR;
    }

    return LIVE_OK;
}


static void
on_unpublish(void *ctx)
{
    note(ctx, "unpublish;");
}


static int
on_media(void *ctx, const live_rtmp_message_t *m, const uint8_t *data,
    size_t len)
{
    size_t      i;
    record_t   *rec = ctx;
    uint32_t   *sum = &rec->sums[m->type - LIVE_RTMP_AUDIO];

    if (rec->fail_media) {
        return LIVE_ERROR;
    }

    rec->slices++;

    if (m->received == 0) {
        *sum = 0;
    }

    for (i = 0; i < len; i++) {
        *sum = *sum * 31 + data[i];
    }

    if (m->received + len == m->length) {
        note(rec, "media %u %u %u/%u;", m->type, m->timestamp, m->length,
             *sum);
    }

    return LIVE_OK;
}


static void
on_media_abort(void *ctx, const live_rtmp_message_t *m)
{
    note(ctx, "abort %u %u %u;", m->type, m->timestamp, m->length);
}


static void
on_metadata(void *ctx, const live_rtmp_metadata_t *md)
{
    note(ctx, "metadata %gx%g %g %g %g %d%d %s;", md->width, md->height,
         md->framerate, md->video_kbps, md->audio_kbps, md->has_video,
         md->has_audio, md->encoder);
}


static const live_rtmp_handler_t  handler = {
    on_publish, on_unpublish, on_media, on_media_abort, on_metadata
};


static void
drain(record_t *rec)
{
    size_t          n;
    const uint8_t  *p;

    p = live_rtmp_output(rec->s, &n);

    if (n) {
        rec->out = realloc(rec->out, rec->out_len + n);
        memcpy(rec->out + rec->out_len, p, n);
        rec->out_len += n;

        /* in two steps: the peer may be slow */

        live_rtmp_sent(rec->s, n / 2);
        live_rtmp_output(rec->s, &n);
        live_rtmp_sent(rec->s, n);
    }
}


static int
feed(record_t *rec, const uint8_t *data, size_t len, size_t step)
{
    int        rc;
    size_t     i, n;
    uint8_t   *copy;

    rc = LIVE_OK;

    for (i = 0; i < len && rc == LIVE_OK; i += n) {
        n = len - i < step ? len - i : step;

        copy = malloc(n);
        memcpy(copy, data + i, n);

        rc = live_rtmp_input(rec->s, copy, n);

        free(copy);
        drain(rec);
    }

    return rc;
}


static record_t *
begin(int answer)
{
    record_t  *rec;

    rec = calloc(1, sizeof(record_t));
    rec->answer = answer;
    rec->s = live_rtmp_create(&conf, &handler, rec);

    return rec;
}


static void
end(record_t *rec)
{
    live_rtmp_destroy(rec->s);
    free(rec->out);
    free(rec);
}


/* Runs the whole input; notes the end of it. */

static record_t *
run(const client_t *c, int answer, size_t step)
{
    int        rc;
    record_t  *rec;

    rec = begin(answer);
    rc = feed(rec, c->data, c->len, step);

    note(rec, rc == LIVE_OK ? "ok" : "error: %s", live_rtmp_error(rec->s));

    return rec;
}


/* The result is the expected one, whole and in several splits. */

static void
check(client_t *c, int answer, const char *expected, const char *name)
{
    int            same;
    size_t         i;
    record_t      *rec;
    const size_t   steps[] = { 1, 2, 3, 7, 100, 1460 };

    rec = run(c, answer, c->len);
    tap_ok(strcmp(rec->text, expected) == 0, "%s: %.300s", name, rec->text);
    end(rec);

    same = 1;

    for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        rec = run(c, answer, steps[i]);
        same &= strcmp(rec->text, expected) == 0;
        end(rec);
    }

    tap_ok(same, "%s: the same in any split", name);
    client_free(c);
}


static int
output_has(const record_t *rec, const void *data, size_t len)
{
    size_t  i;

    for (i = 0; i + len <= rec->out_len; i++) {
        if (memcmp(rec->out + i, data, len) == 0) {
            return 1;
        }
    }

    return 0;
}


static int
output_says(const record_t *rec, const char *text)
{
    return output_has(rec, text, strlen(text));
}


static uint8_t  payload[70000];


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


#define PUBLISH  "publish live||key|token=abc|FMLE/3.0 (test);"


static void
publishing(client_t *c)
{
    client_init(c);
    client_publish(c, "live", "key?token=abc");
}


/* An encoder's metadata; data may begin with @setDataFrame. */

static void
metadata(client_t *c, int set, int amf3)
{
    uint8_t        buf[512];
    live_writer_t  w;

    live_writer_init(&w, buf, sizeof(buf));

    if (amf3) {
        live_write_u8(&w, 0);
    }

    if (set) {
        live_amf_write_str(&w, "@setDataFrame");
    }

    live_amf_write_str(&w, "onMetaData");
    live_write(&w, "\x08\0\0\0\0", 5);
    live_amf_write_number_property(&w, "duration", 0);
    live_amf_write_number_property(&w, "width", 1280);
    live_amf_write_number_property(&w, "height", 720);
    live_amf_write_number_property(&w, "framerate", NAN);
    live_amf_write_number_property(&w, "videodatarate", 2500);
    live_amf_write_number_property(&w, "audiodatarate", -1);
    live_amf_write_number_property(&w, "videocodecid", 7);
    live_amf_write_str_property(&w, "audiocodecid", "mp4a");
    live_amf_write_str_property(&w, "encoder", "Lavf\xc3\xa9\n");
    live_amf_write_object_end(&w);

    client_message(c, 0, 4, 0, amf3 ? 15 : 18, 1, buf, live_writer_len(&w));
}


#define METADATA  "metadata 1280x720 0 2500 0 11 Lavf???;"


static void
test_flow(void)
{
    char       expected[1024];
    record_t  *rec;
    client_t   c;
    uint32_t   s10, s300, s9000;

    s10 = sum(payload, 10);
    s300 = sum(payload, 300);
    s9000 = sum(payload, 9000);

    publishing(&c);
    metadata(&c, 1, 0);
    client_message(&c, 0, 6, 0, 9, 1, payload, 10);
    client_message(&c, 0, 4, 0, 8, 1, payload, 10);
    client_message(&c, 1, 6, 33, 9, 1, payload, 9000);
    client_message(&c, 1, 4, 21, 8, 1, payload, 300);
    client_message(&c, 1, 4, 21, 8, 1, payload, 0);
    client_call(&c, "FCUnpublish", 6, 0, "key");
    client_call_number(&c, "deleteStream", 7, 1);
    client_message(&c, 1, 4, 21, 8, 1, payload, 300);

    snprintf(expected, sizeof(expected),
             PUBLISH METADATA "media 9 0 10/%u;media 8 0 10/%u;"
             "media 9 33 9000/%u;media 8 21 300/%u;media 8 42 0/0;"
             "unpublish;ok", s10, s10, s9000, s300);

    rec = run(&c, ACCEPT, 1000);

    tap_ok(output_has(rec, "\x02\0\0\0\0\0\4\5\0\0\0\0\0\x26\x25\xa0"
                           "\x02\0\0\0\0\0\5\6\0\0\0\0\0\x26\x25\xa0\2"
                           "\x02\0\0\0\0\0\4\1\0\0\0\0\0\0\x10\0"
                           "\x03\0\0\0\0", 54),
           "RTMP-39 order of the answers to connect");
    tap_ok(output_has(rec, "\2\0\7_result\0\x3f\xf0\0\0\0\0\0\0\3", 20),
           "RTMP-55 result of transaction 1");
    tap_ok(output_says(rec, "NetConnection.Connect.Success")
           && output_says(rec, "FMS/3,0,1,123")
           && output_has(rec, "objectEncoding\0\0\0\0\0\0\0\0\0\0\0\x09", 26),
           "RTMP-58 result of connect");
    tap_ok(output_has(rec, "\2\0\7_result\0\x40\0\0\0\0\0\0\0\5\6", 21),
           "RTMP-128 result of releaseStream");
    tap_ok(output_has(rec, "\2\0\7_result\0\x40\x10\0\0\0\0\0\0\5"
                           "\0\x3f\xf0\0\0\0\0\0\0", 29),
           "RTMP-54 RTMP-61 result of createStream");
    tap_ok(output_says(rec, "onFCPublish")
           && output_says(rec, "onFCUnpublish"), "RTMP-63 FC calls");
    tap_ok(output_has(rec, "\x02\0\0\0\0\0\6\4\0\0\0\0\0\0\0\0\0\1"
                           "\x05\0\0\0\0\0", 24)
           && output_says(rec, "NetStream.Publish.Start"),
           "RTMP-69 StreamBegin and status");
    tap_ok(output_says(rec, "NetStream.Unpublish.Success"),
           "RTMP-72 unpublish");
    tap_ok(strcmp(live_rtmp_app(rec->s), "live") == 0
           && live_rtmp_state(rec->s) == LIVE_RTMP_IDLE, "state after it");
    tap_ok(sizeof(live_rtmp_session_t) < 8192, "session has %zu bytes",
           sizeof(live_rtmp_session_t));
    end(rec);

    check(&c, ACCEPT, expected, "RTMP-66 a whole publish");
}


static void
test_metadata(void)
{
    client_t  c;

    publishing(&c);
    metadata(&c, 0, 0);
    metadata(&c, 0, 1);
    metadata(&c, 1, 1);
    client_message(&c, 0, 4, 0, 18, 1, "\2\0\x0f@clearDataFrame", 18);
    client_message(&c, 0, 4, 0, 18, 1, "\2\0\x0aonTextData\5", 14);
    client_message(&c, 0, 4, 0, 18, 1, "", 0);
    client_message(&c, 0, 4, 0, 18, 1, "\2\xff\xffonMeta", 9);
    client_message(&c, 0, 4, 0, 18, 1, "\2\0\x0aonMetaData\3\0\1a", 17);
    check(&c, ACCEPT, PUBLISH METADATA METADATA METADATA
          "metadata 0x0 0 0 0 00 ;ok", "RTMP-76 RTMP-77 RTMP-78 metadata");

    publishing(&c);
    client_hex_message(&c, 18, 1, "02 000a 6f6e4d65746144617461 03"
                                  "0005 7769647468 05"
                                  "000c 766964656f636f6465636964 02 0000"
                                  "000009");
    check(&c, ACCEPT, PUBLISH "metadata 0x0 0 0 0 00 ;ok",
          "RTMP-78 other types of values");
}


static void
test_answers(void)
{
    int        rc;
    char       expected[512];
    record_t  *rec;
    client_t   c, more;

    publishing(&c);
    rec = run(&c, REFUSE, c.len);
    tap_ok(strcmp(rec->text, PUBLISH "ok") == 0
           && live_rtmp_state(rec->s) == LIVE_RTMP_CLOSING
           && output_says(rec, "NetStream.Publish.Denied")
           && output_says(rec, "error") && output_says(rec, "go?away")
           && !output_says(rec, "NetStream.Publish.Start\2"),
           "RTMP-70 refused at once");
    tap_ok(live_rtmp_input(rec->s, payload, 1000) == LIVE_OK,
           "a refused session ignores input");
    end(rec);

    rec = run(&c, FAIL, c.len);
    tap_ok(strcmp(rec->text, PUBLISH "error: no room?") == 0,
           "a callback ends the session: %s", rec->text);
    tap_ok(live_rtmp_input(rec->s, payload, 1) == LIVE_ERROR,
           "an error is for ever");
    end(rec);

    /* answered later, with hasty media in between (RTMP-69) */

    client_init(&more);
    client_message(&more, 0, 6, 5, 9, 1, payload, 128);
    client_message(&more, 0, 2, 0, 4, 0, "\0\6abcd", 6);
    snprintf(expected, sizeof(expected), PUBLISH "ok"
             "media 9 5 128/%u;media 9 10 0/0;", sum(payload, 128));

    rec = run(&c, LATER, c.len);
    tap_ok(live_rtmp_state(rec->s) == LIVE_RTMP_PENDING, "pending");
    rc = feed(rec, more.data, more.len, 10);
    tap_ok(rc == LIVE_OK && !output_says(rec, "abcd"),
           "RTMP-69 nothing is sent while pending");
    live_rtmp_accept(rec->s);
    drain(rec);
    tap_ok(output_says(rec, "NetStream.Publish.Start"), "accepted later");
    client_free(&more);
    client_message(&more, 1, 6, 5, 9, 1, payload, 0);
    rc = feed(rec, more.data, more.len, 10);
    tap_ok(rc == LIVE_OK && strcmp(rec->text, expected) == 0
           && output_has(rec, "\0\7abcd", 6),
           "RTMP-69 what was held is taken: %s", rec->text);
    end(rec);

    rec = run(&c, LATER, c.len);
    rc = feed(rec, payload, 70000, 1000);
    tap_ok(rc == LIVE_ERROR
           && strcmp(live_rtmp_error(rec->s),
                     "more than 65536 bytes before a publish was accepted")
              == 0, "RTMP-120 too much while pending");
    end(rec);

    rec = run(&c, LATER, c.len);
    feed(rec, payload, 1000, 1000);
    live_rtmp_refuse(rec->s, "NetStream.Publish.BadName", "taken");
    drain(rec);
    tap_ok(live_rtmp_input(rec->s, payload, 1) == LIVE_OK
           && output_says(rec, "NetStream.Publish.BadName"),
           "RTMP-70 refused later");
    end(rec);

    rec = run(&c, ACCEPT, c.len);
    live_rtmp_close(rec->s, "NetStream.Unpublish.Success", "taken over");
    drain(rec);
    tap_ok(output_says(rec, "taken over")
           && !output_has(rec, "level\2\0\5error", 13),
           "RTMP-71 closed by the server");
    end(rec);

    rec = begin(ACCEPT);
    live_rtmp_close(rec->s, "NetStream.Failed", "too late");
    drain(rec);
    tap_ok(rec->out_len == 0, "closed before the handshake: nothing is sent");
    end(rec);

    rec = run(&c, ACCEPT, c.len);
    rec->fail_media = 1;
    rc = feed(rec, more.data, more.len, 100);
    tap_ok(rc == LIVE_ERROR && live_rtmp_error(rec->s)[0],
           "a media callback ends the session: %s", live_rtmp_error(rec->s));
    end(rec);

    client_free(&more);
    client_free(&c);
}


static void
test_again(void)
{
    client_t  c;

    publishing(&c);
    client_message(&c, 0, 8, 0, 20, 1,
                   "\2\0\x0b" "closeStream\0\0\0\0\0\0\0\0\0\5", 24);
    client_message(&c, 0, 6, 1, 9, 1, payload, 10);
    client_call(&c, "publish", 8, 1, "other");
    client_message(&c, 0, 6, 2, 9, 1, payload, 0);
    client_call(&c, "publish", 9, 1, "third");
    client_message(&c, 0, 6, 3, 9, 1, payload, 0);
    check(&c, ACCEPT, PUBLISH "unpublish;"
          "publish live||other||FMLE/3.0 (test);media 9 2 0/0;unpublish;"
          "publish live||third||FMLE/3.0 (test);media 9 3 0/0;ok",
          "RTMP-72 RTMP-73 publish again");

    /* another stream of the connection is not the one that is published,
     * an id that nobody created is taken for it */

    publishing(&c);
    client_call(&c, "createStream", 8, 0, NULL);
    client_message(&c, 0, 6, 1, 9, 2, payload, 0);
    client_message(&c, 0, 6, 2, 9, 0, payload, 0);
    client_message(&c, 0, 6, 3, 9, 1, payload, 0);
    client_call_number(&c, "deleteStream", 9, 2);
    client_call_number(&c, "deleteStream", 9, NAN);
    client_call_number(&c, "deleteStream", 9, 1e300);
    client_call_number(&c, "deleteStream", 9, 1);
    client_call_number(&c, "deleteStream", 9, 1);
    check(&c, ACCEPT, PUBLISH "media 9 2 0/0;media 9 3 0/0;unpublish;ok",
          "RTMP-61 RTMP-72 streams");

    /* unpublished in the middle of a message */

    publishing(&c);
    client_header(&c, 0, 6, 9, 5000, 9, 1);
    client_bytes(&c, payload, 4096);
    client_call(&c, "FCUnpublish", 6, 0, "key");
    client_basic(&c, 3, 6);
    client_bytes(&c, payload, 904);
    check(&c, ACCEPT, PUBLISH "abort 9 9 5000;unpublish;ok",
          "RTMP-72 unpublish inside of a message");
}


static void
test_media(void)
{
    char       expected[512];
    record_t  *rec;
    client_t   c;

    publishing(&c);
    client_header(&c, 0, 6, 9, 5000, 9, 1);
    client_bytes(&c, payload, 4096);
    client_message(&c, 0, 4, 9, 8, 1, payload, 10);
    client_control(&c, 2, 77);
    client_control(&c, 2, 4);
    client_control(&c, 2, 6);
    client_message(&c, 3, 6, 0, 9, 1, payload, 5000);
    snprintf(expected, sizeof(expected), PUBLISH
             "media 8 9 10/%u;abort 9 9 5000;media 9 18 5000/%u;ok",
             sum(payload, 10), sum(payload, 5000));
    check(&c, ACCEPT, expected, "RTMP-33 Abort of media");

    publishing(&c);
    client_header(&c, 0, 6, 9, 5000, 9, 1);
    client_bytes(&c, payload, 4096);
    client_message(&c, 0, 7, 9, 9, 1, payload, 10);
    check(&c, ACCEPT, PUBLISH "error: two video messages at the same time",
          "two open messages of one type");

    publishing(&c);
    client_message(&c, 0, 6, 9, 9, 1, payload, 60000);
    rec = run(&c, ACCEPT, c.len);
    tap_ok(rec->slices == 15, "a slice for each chunk, none is joined");
    end(rec);
    client_free(&c);

    publishing(&c);
    client_header(&c, 0, 6, 9, 100001, 9, 1);
    check(&c, ACCEPT, PUBLISH "error: message of type 9 has 100001 bytes, "
          "the limit is 100000", "RTMP-28 max_message");

    publishing(&c);
    client_message(&c, 0, 6, 9, 19, 1, payload, 10);
    client_message(&c, 0, 6, 9, 16, 1, payload, 9000);
    client_message(&c, 0, 6, 9, 0, 1, payload, 0);
    client_message(&c, 0, 6, 9, 255, 1, payload, 10);
    check(&c, ACCEPT, PUBLISH "ok", "RTMP-40 unknown types are ignored");
}


/* One message inside of an aggregate. */

static void
sub(client_t *c, unsigned type, uint32_t time, const void *data, uint32_t len)
{
    client_u8(c, type);
    client_be(c, len, 3);
    client_be(c, time & 0xffffff, 3);
    client_u8(c, time >> 24);
    client_be(c, 0, 3);
    client_bytes(c, data, len);
    client_be(c, len + 11, 4);
}


static void
test_aggregate(void)
{
    char      expected[512];
    client_t  c, g;

    client_init(&g);
    sub(&g, 8, 0x01000010, payload, 10);
    sub(&g, 18, 0x01000011, payload, 20);
    sub(&g, 9, 0x01000012, payload, 5000);
    sub(&g, 8, 0x0100000f, payload, 0);

    publishing(&c);
    client_message(&c, 0, 6, 1000, 22, 1, g.data, g.len);
    client_message(&c, 0, 6, 2000, 9, 1, payload, 10);
    snprintf(expected, sizeof(expected), PUBLISH "media 8 1000 10/%u;"
             "media 9 1002 5000/%u;media 8 999 0/0;media 9 2000 10/%u;ok",
             sum(payload, 10), sum(payload, 5000), sum(payload, 10));
    check(&c, ACCEPT, expected, "RTMP-43 aggregate");

    /* a length past the end; then all is well again */

    client_u8(&g, 9);
    client_be(&g, 200, 3);
    client_be(&g, 0, 7);
    client_bytes(&g, payload, 199);

    publishing(&c);
    client_message(&c, 0, 6, 1000, 22, 1, g.data, g.len);
    client_message(&c, 0, 6, 2000, 9, 1, payload, 10);
    check(&c, ACCEPT, expected, "RTMP-43 RTMP-122 truncated aggregate");

    publishing(&c);
    client_header(&c, 0, 6, 1000, (uint32_t) g.len, 22, 1);
    client_bytes(&c, g.data, 4096);
    client_control(&c, 2, 6);
    client_message(&c, 0, 6, 2000, 22, 1, "", 0);
    client_message(&c, 0, 6, 2000, 22, 1, payload, 3);
    client_message(&c, 0, 6, 2000, 9, 1, payload, 10);
    snprintf(expected, sizeof(expected), PUBLISH "media 8 1000 10/%u;"
             "abort 9 1002 5000;media 9 2000 10/%u;ok", sum(payload, 10),
             sum(payload, 10));
    check(&c, ACCEPT, expected, "RTMP-33 Abort of an aggregate");

    publishing(&c);
    client_header(&c, 0, 6, 1000, (uint32_t) g.len, 22, 1);
    client_bytes(&c, g.data, 4096);
    client_message(&c, 0, 7, 2000, 9, 1, payload, 10);
    snprintf(expected, sizeof(expected), PUBLISH "media 8 1000 10/%u;"
             "error: two video messages at the same time", sum(payload, 10));
    check(&c, ACCEPT, expected, "an aggregate and its type at once");

    client_free(&g);
}


static void
test_control(void)
{
    size_t          i;
    record_t       *rec;
    client_t        c;
    live_writer_t   w;

    publishing(&c);
    client_control(&c, 5, 3000);
    client_message(&c, 0, 2, 0, 6, 0, "\0\0\x27\x10\2", 5);
    client_message(&c, 0, 2, 0, 4, 9, "\0\6abcd", 6);
    client_message(&c, 0, 2, 0, 4, 0, "\0\x1f", 2);
    client_message(&c, 0, 2, 0, 4, 0, "\0\3\0\0\0\1\0\0\0\1", 10);
    client_control(&c, 3, 12345);
    client_message(&c, 0, 6, 0, 9, 1, payload, 10000);
    rec = run(&c, ACCEPT, 1000);
    tap_ok(output_has(rec, "\0\7abcd", 6), "RTMP-37 ping");
    tap_ok(output_has(rec, "\4\5\0\0\0\0\0\0\x27\x10", 10),
           "RTMP-35 Set Peer Bandwidth is answered");
    tap_ok(output_has(rec, "\x02\0\0\0\0\0\4\3\0\0\0\0", 12),
           "RTMP-34 acknowledged");
    end(rec);
    client_free(&c);

    for (i = 1; i < 7; i++) {
        char  name[32];

        snprintf(name, sizeof(name), "RTMP-38 type %zu too short", i);
        publishing(&c);
        client_message(&c, 0, 2, 0, i, 0, "\0\6abc", i == 6 ? 4 : i == 4 ? 5
                                                                         : 3);
        check(&c, ACCEPT, PUBLISH "error: a control message is too short",
              name);
    }

    publishing(&c);
    client_control(&c, 1, 0);
    check(&c, ACCEPT, PUBLISH "error: chunk size out of range",
          "RTMP-122 chunk size 0");

    publishing(&c);
    client_control(&c, 1, 0x80000000);
    check(&c, ACCEPT, PUBLISH "error: chunk size out of range",
          "RTMP-122 chunk size 0x80000000");

    publishing(&c);
    client_chunk_size(&c, 1);
    client_message(&c, 0, 6, 0, 9, 1, payload, 10);
    client_chunk_size(&c, 0x7fffffff);
    client_message(&c, 0, 6, 0, 9, 1, payload, 0);
    client_message(&c, 0, 6, 0, 8, 1, payload, 0);

    rec = run(&c, ACCEPT, c.len);
    tap_ok(rec->slices == 12, "RTMP-122 chunk size 1");
    end(rec);
    client_free(&c);

    /* a peer that asks and does not read */

    publishing(&c);
    rec = run(&c, ACCEPT, c.len);
    client_free(&c);

    for (i = 0; i < 5000; i++) {
        client_message(&c, 0, 2, 0, 4, 0, "\0\6abcd", 6);
    }

    tap_ok(live_rtmp_input(rec->s, c.data, c.len) == LIVE_ERROR
           && strcmp(live_rtmp_error(rec->s), "peer does not read") == 0,
           "unsent output is bounded");
    end(rec);
    client_free(&c);

    /* RTMP-23: what we send is cut into chunks of 128 until we said more */

    rec = begin(ACCEPT);
    live_writer_init(&w, payload, 300);
    w.pos = w.end;
    live_rtmp_send(rec->s, 3, 20, 0, &w);
    drain(rec);
    tap_ok(rec->out_len == 12 + 300 + 2 && rec->out[12 + 128] == 0xc3
           && rec->out[12 + 257] == 0xc3
           && memcmp(rec->out + 12 + 129, payload + 128, 128) == 0,
           "RTMP-26 chunks of our own");
    end(rec);
}


static void
test_apps(void)
{
    char       name[700];
    size_t     i;
    record_t  *rec;
    client_t   c;

    static const struct {
        const char  *app;
        const char  *expected;
    } cases[] = {
        { "live", "live|" },
        { "", "|" },
        { "/live/", "live|" },
        { "live/_definst_", "live|" },
        { "live/_definst_/", "live|" },
        { "live/inst", "live/inst|" },
        { "live?a=b?c", "live|a=b?c" },
        { "live/?vhost=x/", "live|vhost=x/" },
        { "///", "|" }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        client_init(&c);
        client_publish(&c, cases[i].app, "key");

        snprintf(name, sizeof(name), "publish %s|key||FMLE/3.0 (test);ok",
                 cases[i].expected);
        rec = run(&c, ACCEPT, c.len);
        tap_ok(strcmp(rec->text, name) == 0, "RTMP-57 app \"%s\": %s",
               cases[i].app, rec->text);
        end(rec);
        client_free(&c);
    }

    client_init(&c);
    client_handshake(&c);
    client_connect(&c, "live\n");
    rec = run(&c, ACCEPT, c.len);
    tap_ok(strcmp(rec->text, "error: the application is not valid") == 0
           && output_says(rec, "_error")
           && output_says(rec, "NetConnection.Connect.Rejected"),
           "RTMP-59 app with a control character");
    end(rec);
    client_free(&c);

    client_handshake(&c);
    client_call(&c, "connect", 1, 0, NULL);
    check(&c, ACCEPT, "error: connect names no application",
          "RTMP-56 connect without app");
}


static void
test_names(void)
{
    char       name[8192], expected[8192];
    size_t     i;
    record_t  *rec;
    client_t   c;

    static const char *const  bad[] = {
        "", "?token=a", "..", "../a", "a/..", "a/../b", "a\nb", "a?b\x7f",
        "..?a"
    };
    static const char *const  good[] = { "a..b", "...", "a/b", ".a", "%2e" };

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        client_init(&c);
        client_publish(&c, "live", bad[i]);
        rec = run(&c, ACCEPT, c.len);
        tap_ok(strncmp(rec->text, "error: the name of the stream is ", 33)
               == 0
               && output_says(rec, "NetStream.Publish.BadName"),
               "RTMP-67 bad name %zu: %s", i, rec->text);
        end(rec);
        client_free(&c);
    }

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        client_init(&c);
        client_publish(&c, "live", good[i]);
        snprintf(expected, sizeof(expected),
                 "publish live||%s||FMLE/3.0 (test);ok", good[i]);
        check(&c, ACCEPT, expected, "RTMP-67 name");
    }

    memset(name, 'a', sizeof(name));

    for (i = 512; i < 514; i++) {
        name[i] = '\0';
        client_init(&c);
        client_publish(&c, "live", name);
        rec = run(&c, ACCEPT, c.len);
        tap_ok((strncmp(rec->text, "publish", 7) == 0) == (i == 512),
               "RTMP-67 a name of %zu bytes", i);
        end(rec);
        client_free(&c);
        name[i] = 'a';
    }

    name[1] = '?';

    for (i = 2050; i < 2052; i++) {
        name[i] = '\0';
        client_init(&c);
        client_publish(&c, "live", name);
        rec = run(&c, ACCEPT, c.len);
        tap_ok((strncmp(rec->text, "publish", 7) == 0) == (i == 2050),
               "RTMP-67 arguments of %zu bytes", i - 2);
        end(rec);
        client_free(&c);
        name[i] = 'a';
    }

    /* NUL, and a name of 60000 bytes */

    client_init(&c);
    client_publish(&c, "live", "k\x01y");
    c.data[c.len - 2] = '\0';
    rec = run(&c, ACCEPT, c.len);
    tap_ok(output_says(rec, "NetStream.Publish.BadName"),
           "RTMP-67 NUL in the name");
    end(rec);
    client_free(&c);

    client_publish(&c, "live", "key");
    c.len -= 12 + 26;
    memset(payload, 'a', sizeof(payload));
    memcpy(payload, "\2\0\7publish\0\0\0\0\0\0\0\0\0\5\2\xea\x60", 23);
    client_message(&c, 0, 8, 0, 20, 1, payload, 23 + 60000);
    rec = run(&c, ACCEPT, c.len);
    tap_ok(output_says(rec, "NetStream.Publish.BadName"),
           "RTMP-122 name of 60000 bytes: %s", rec->text);
    end(rec);
    client_free(&c);
}


static void
test_amf3(void)
{
    record_t  *rec;
    client_t   c;

    /* connect with an AMF3 object, without and with the format byte */

    client_init(&c);
    client_handshake(&c);
    client_hex_message(&c, 17, 0,
                       "00 02 0007 636f6e6e656374 003ff0000000000000"
                       "11 0a 0b 01 07 617070 06 09 6c697665"
                       "1d 6f626a656374456e636f64696e67 04 03"
                       "11 666c617368566572 06 09 41495220 01");
    client_hex_message(&c, 17, 0,
                       "02 000c 63726561746553747265616d"
                       "004010000000000000 05");
    client_hex_message(&c, 17, 1,
                       "00 02 0007 7075626c697368 000000000000000000 05"
                       "11 06 07 6b6579");
    rec = run(&c, ACCEPT, c.len);
    tap_ok(strcmp(rec->text, "publish live||key||AIR ;ok") == 0,
           "RTMP-41 RTMP-42 AMF3 commands: %s", rec->text);
    tap_ok(output_has(rec, "objectEncoding\0\x40\x08\0\0\0\0\0\0", 23),
           "RTMP-42 objectEncoding 3 is echoed");
    end(rec);
    check(&c, ACCEPT, "publish live||key||AIR ;ok", "AMF3");
}


static void
test_order(void)
{
    int        i;
    client_t   c;
    record_t  *rec;

    client_init(&c);
    client_handshake(&c);
    client_call(&c, "createStream", 1, 0, NULL);
    check(&c, ACCEPT, "error: command before connect",
          "RTMP-65 before connect");

    client_handshake(&c);
    client_message(&c, 0, 6, 9, 9, 1, payload, 10);
    check(&c, ACCEPT, "error: media before connect", "media first");

    client_handshake(&c);
    client_chunk_size(&c, 4096);
    client_control(&c, 5, 100000);
    client_connect(&c, "live");
    check(&c, ACCEPT, "ok", "RTMP-27 control before connect");

    client_handshake(&c);
    client_connect(&c, "live");
    client_connect(&c, "live");
    check(&c, ACCEPT, "error: second connect", "RTMP-65 RTMP-122 connect "
          "twice");

    client_handshake(&c);
    client_connect(&c, "live");
    client_call(&c, "publish", 1, 1, "key");
    check(&c, ACCEPT, "error: publish on a stream that was not created",
          "RTMP-65 no stream");

    client_handshake(&c);
    client_connect(&c, "live");
    client_call(&c, "_checkbw", 1, 0, NULL);
    client_call(&c, "getStreamLength", 9, 0, "key");
    client_call(&c, "createStream", 2, 0, NULL);
    client_call(&c, "onBWDone", 0, 0, NULL);
    client_call(&c, "nonsense", 7, 0, NULL);
    client_call(&c, "FCUnpublish", 7, 0, "key");
    client_call(&c, "play", 3, 1, "key");
    rec = run(&c, ACCEPT, c.len);
    tap_ok(strcmp(rec->text, "error: playing over RTMP is not supported") == 0
           && output_says(rec, "NetStream.Play.Failed")
           && output_has(rec, "_result\0\x40\x22\0\0\0\0\0\0\5\0\0\0\0\0\0\0",
                         25),
           "RTMP-62 RTMP-64 play is refused: %s", rec->text);
    end(rec);
    client_free(&c);

    client_handshake(&c);
    client_connect(&c, "live");

    for (i = 0; i < 9; i++) {
        client_call(&c, "createStream", 2, 0, NULL);
    }

    check(&c, ACCEPT, "error: more than 8 streams in one connection",
          "RTMP-61 too many streams");

    client_handshake(&c);
    client_message(&c, 0, 3, 0, 20, 0, "", 0);
    check(&c, ACCEPT, "error: malformed command", "RTMP-122 empty command");

    client_handshake(&c);
    client_bytes(&c, "\3\0\0\0\0\0\xff\x14\0\0\0\0\0\7connect", 22);
    check(&c, ACCEPT, "ok", "cut off");

    client_u8(&c, 'G');
    check(&c, ACCEPT, "error: handshake: HTTP instead of RTMP", "RTMP-2 HTTP");

    publishing(&c);
    client_message(&c, 0, 8, 0, 20, 1,
                   "\2\0\4play\0\0\0\0\0\0\0\0\0\5\2\0\1a", 21);
    check(&c, ACCEPT, PUBLISH "unpublish;error: playing over RTMP is not "
          "supported", "RTMP-122 play and publish");
}


static void
test_limits(void)
{
    int        i;
    client_t   c;
    record_t  *rec;

    client_init(&c);
    client_handshake(&c);
    client_connect(&c, "live");
    client_chunk_size(&c, 65536);

    for (i = 0; i < 7; i++) {
        client_message(&c, 0, 6, 9, 9, 1, payload, 10000);
    }

    check(&c, ACCEPT,
          "error: more than 65536 bytes before a publish was accepted",
          "RTMP-120 too much before publish");

    /* two unfinished messages that are each within the limit */

    publishing(&c);
    client_chunk_size(&c, 60000);

    for (i = 0; i < 5; i++) {
        client_header(&c, 0, 10 + i, 0, 200000, 18, 1);
        client_bytes(&c, payload, 60000);
    }

    check(&c, ACCEPT, PUBLISH "error: too many unfinished messages",
          "RTMP-29 unfinished messages");

    publishing(&c);
    client_header(&c, 0, 10, 0, 200000, 18, 1);
    client_bytes(&c, payload, 4096);
    client_control(&c, 2, 10);
    rec = run(&c, ACCEPT, 500);
    tap_ok(rec->s->collected == 0, "RTMP-33 Abort frees what was collected");
    end(rec);
    client_free(&c);
}


int
main(void)
{
    size_t  i;

    for (i = 0; i < sizeof(payload); i++) {
        payload[i] = (uint8_t) (i * 7 + i / 256);
    }

    test_flow();
    test_metadata();
    test_answers();
    test_again();
    test_media();
    test_aggregate();
    test_control();
    test_apps();
    test_amf3();
    test_order();
    test_limits();
    test_names();

    return tap_done();
}
