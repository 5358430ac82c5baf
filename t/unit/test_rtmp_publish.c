
#include <math.h>

#include "test_rtmp_server.h"


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
    tap_ok(live_rtmp_input(rec->s, payload, 0) == LIVE_OK
           && rec->slice_len > 0
           && memcmp(rec->slice, payload, rec->slice_len) == 0,
           "what was held stays until the next input");
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


int
main(void)
{
    fill_payload();

    test_flow();
    test_metadata();
    test_answers();
    test_again();
    test_media();
    test_aggregate();

    return tap_done();
}
