
#include "test_rtmp_server.h"


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


/* connect with that value, in hex, as capsEx; "": without it */

static void
connect_caps(client_t *c, const char *hex)
{
    char  text[512];

    snprintf(text, sizeof(text),
             "02 0007 636f6e6e656374 003ff0000000000000 03"
             "0003 617070 02 0004 6c697665 %s %s 0000 09",
             *hex ? "0006 636170734578" : "", hex);

    client_hex_message(c, 20, 0, text);
}


/* RTMP-99, RTMP-110, RTMP-111 */

static void
test_reconnect(void)
{
    int                asked;
    size_t             i;
    record_t          *rec;
    client_t           c;
    static const char  status[] = "\2\0\10onStatus\0\0\0\0\0\0\0\0\0\5\3"
                                  "\0\5level\2\0\6status\0\4code\2\0\46"
                                  "NetConnection.Connect.ReconnectRequest"
                                  "\0\13description\2\0\5later\0\0\11";

    static const struct {
        const char  *hex;           /* of the property's value, "": none */
        int          enhanced;
        int          able;
    } cases[] = {
        { "", 0, 0 },
        { "00 0000000000000000", 1, 0 },
        { "00 3ff0000000000000", 1, 1 },
        { "00 4000000000000000", 1, 0 },
        { "00 402e000000000000", 1, 1 },
        { "00 bff0000000000000", 0, 0 },        /* -1 */
        { "00 7ff8000000000000", 0, 0 },        /* NaN */
        { "00 7ff0000000000000", 0, 0 },        /* infinity */
        { "00 4200000000000000", 0, 0 },        /* 2^33 */
        { "02 0001 31", 0, 0 },                 /* "1" */
        { "01 01", 0, 0 }                       /* true */
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        client_init(&c);
        client_handshake(&c);
        connect_caps(&c, cases[i].hex);
        client_call(&c, "createStream", 4, 0, NULL);
        client_call(&c, "publish", 5, 1, "key");

        rec = run(&c, ACCEPT, c.len);
        asked = live_rtmp_reconnect(rec->s, "later");
        drain(rec);

        tap_ok(strcmp(rec->text, "publish live||key||;ok") == 0
               && output_has(rec, "capsEx\0\x3f\xf0\0\0\0\0\0\0", 15)
                  == cases[i].enhanced
               && asked == cases[i].able
               && output_has(rec, status, sizeof(status) - 1)
                  == cases[i].able
               && live_rtmp_state(rec->s) == LIVE_RTMP_PUBLISHING,
               "RTMP-99 capsEx \"%s\": %s", cases[i].hex, rec->text);

        live_rtmp_close(rec->s, "NetConnection.Connect.Closed", "over");
        tap_ok(live_rtmp_reconnect(rec->s, "later") == 0
               && live_rtmp_state(rec->s) == LIVE_RTMP_CLOSING,
               "who is closed is asked no more");
        end(rec);
        client_free(&c);
    }
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


int
main(void)
{
    fill_payload();

    test_control();
    test_apps();
    test_reconnect();
    test_amf3();
    test_order();
    test_limits();
    test_names();

    return tap_done();
}
