
/* The limits of live_rtmp_conf_t: what they allow passes, one more ends the
 * session (RTMP-28, RTMP-29, RTMP-50, RTMP-120). */

#include "test_rtmp_server.h"


#define UNKNOWN  99


static const live_rtmp_conf_t  defaults = {
    100000, 4096, 2500000, 64, 262144, 16, 65536, 100
};


/* connect with objects in objects, so many levels of them. */

static void
deep_connect(client_t *c, int levels)
{
    int            i;
    uint8_t        buf[1024];
    live_writer_t  w;

    live_writer_init(&w, buf, sizeof(buf));
    live_amf_write_str(&w, "connect");
    live_amf_write_number(&w, 1);
    live_amf_write_object(&w);
    live_amf_write_str_property(&w, "app", "live");

    for (i = 1; i < levels; i++) {
        live_write(&w, "\0\1a\3", 4);
    }

    for (i = 1; i < levels; i++) {
        live_amf_write_object_end(&w);
    }

    live_amf_write_object_end(&w);

    client_message(c, 0, 3, 0, 20, 0, w.start, live_writer_len(&w));
}


static void
test_csids(void)
{
    int       i;
    client_t  c;

    conf = defaults;
    conf.max_csids = 8;

    /* 3 and 8 for commands, 2 for control */

    publishing(&c);

    for (i = 0; i < 5; i++) {
        client_message(&c, 0, 20 + i, 0, UNKNOWN, 1, payload, 1);
    }

    check(&c, ACCEPT, PUBLISH "ok", "RTMP-29 eight chunk streams");

    publishing(&c);

    for (i = 0; i < 6; i++) {
        client_message(&c, 0, 20 + i, 0, UNKNOWN, 1, payload, 1);
    }

    check(&c, ACCEPT, PUBLISH "error: chunk: too many chunk streams",
          "RTMP-29 nine chunk streams");

    /* more than the session has room for is not believed */

    conf.max_csids = 1000;

    publishing(&c);

    for (i = 0; i < LIVE_RTMP_MAX_CSIDS - 2; i++) {
        client_message(&c, 0, 20 + i, 0, UNKNOWN, 1, payload, 1);
    }

    check(&c, ACCEPT, PUBLISH "error: chunk: too many chunk streams",
          "RTMP-29 more chunk streams than there is room for");
}


static void
test_amf_size(void)
{
    int       i;
    client_t  c;

    conf = defaults;
    conf.max_amf = 5000;

    publishing(&c);
    client_message(&c, 0, 5, 0, 18, 1, payload, 5000);
    check(&c, ACCEPT, PUBLISH "ok", "RTMP-28 data of the largest size");

    publishing(&c);
    client_message(&c, 0, 5, 0, 18, 1, payload, 5001);
    check(&c, ACCEPT, PUBLISH
          "error: message of type 18 has 5001 bytes, the limit is 5000",
          "RTMP-28 data that is larger");

    /* media are not AMF */

    publishing(&c);
    client_message(&c, 0, 6, 0, UNKNOWN, 1, payload, 5001);
    check(&c, ACCEPT, PUBLISH "ok", "RTMP-28 a larger message of no AMF");

    /* two that are not finished share the room */

    publishing(&c);

    for (i = 0; i < 2; i++) {
        client_header(&c, 0, 20 + i, 0, 4999, 18, 1);
        client_bytes(&c, payload, 4096);
    }

    check(&c, ACCEPT, PUBLISH "error: too many unfinished messages",
          "RTMP-29 unfinished messages");
}


static void
test_amf_depth(void)
{
    client_t  c;

    conf = defaults;
    conf.amf_depth = 4;

    client_init(&c);
    client_handshake(&c);
    deep_connect(&c, 4);
    check(&c, ACCEPT, "ok", "RTMP-50 connect of four levels");

    client_init(&c);
    client_handshake(&c);
    deep_connect(&c, 5);
    check(&c, ACCEPT,
          "error: malformed connect: objects in objects, more than 4 "
          "deep",
          "RTMP-50 connect of five levels");

    conf.amf_depth = 5;

    client_init(&c);
    client_handshake(&c);
    deep_connect(&c, 5);
    check(&c, ACCEPT, "ok", "RTMP-50 which another limit allows");
}


static void
test_setup_messages(void)
{
    int       i;
    client_t  c;

    conf = defaults;
    conf.setup_messages = 10;

    /* client_publish() sends six up to the command publish */

    client_init(&c);
    client_handshake(&c);

    for (i = 0; i < 4; i++) {
        client_message(&c, 0, 2, 0, UNKNOWN, 0, payload, 0);
    }

    client_connect(&c, "live");
    client_chunk_size(&c, 4096);
    client_call(&c, "releaseStream", 2, 0, "key");
    client_call(&c, "FCPublish", 3, 0, "key");
    client_call(&c, "createStream", 4, 0, NULL);
    client_call(&c, "publish", 5, 1, "key?token=abc");

    for (i = 0; i < 20; i++) {
        client_message(&c, 0, 2, 0, UNKNOWN, 0, payload, 0);
    }

    check(&c, ACCEPT, PUBLISH "ok",
          "RTMP-120 ten messages, then any number");

    client_init(&c);
    client_handshake(&c);

    for (i = 0; i < 11; i++) {
        client_message(&c, 0, 2, 0, UNKNOWN, 0, payload, 0);
    }

    check(&c, ACCEPT,
          "error: more than 10 messages before a publish was accepted",
          "RTMP-120 eleven messages");
}


static void
test_setup_bytes(void)
{
    int        rc;
    client_t   c;
    record_t  *rec;

    conf = defaults;
    conf.setup_bytes = 4096;

    client_init(&c);
    client_handshake(&c);
    client_message(&c, 0, 3, 0, UNKNOWN, 0, payload, 3000);
    client_message(&c, 0, 3, 0, UNKNOWN, 0, payload, 1000);
    check(&c, ACCEPT, "ok", "RTMP-120 less than 4096 bytes");

    client_init(&c);
    client_handshake(&c);
    client_message(&c, 0, 3, 0, UNKNOWN, 0, payload, 3000);
    client_message(&c, 0, 3, 0, UNKNOWN, 0, payload, 1100);
    check(&c, ACCEPT,
          "error: more than 4096 bytes before a publish was accepted",
          "RTMP-120 more than 4096 bytes");

    /* what is held counts */

    publishing(&c);
    rec = run(&c, LATER, c.len);
    rc = feed(rec, payload, 4096, 100);
    tap_ok(rc == LIVE_ERROR
           && strcmp(live_rtmp_error(rec->s),
                     "more than 4096 bytes before a publish was accepted")
              == 0, "RTMP-120 more than 4096 bytes while pending");
    end(rec);
    client_free(&c);
}


int
main(void)
{
    fill_payload();

    test_csids();
    test_amf_size();
    test_amf_depth();
    test_setup_messages();
    test_setup_bytes();

    return tap_done();
}
