
#include <math.h>
#include <stdlib.h>

#include "tap.h"
#include "test_rtmp_client.h"


/* What the visitor saw, as text. */
static char  seen[1024];


static void
visit(void *ctx, const live_amf_str_t *name, const live_amf_value_t *v)
{
    size_t  n = strlen(seen);

    (void) ctx;

    n += snprintf(seen + n, sizeof(seen) - n, "%.*s=%d:%g:%.*s;",
                  (int) name->len, (const char *) name->data, v->type,
                  v->number, (int) v->str.len, (const char *) v->str.data);
}


/* Reads one value from a copy of that size, so that overruns are seen. */

static int
read_hex(const char *hex, live_amf_value_t *v, size_t *left)
{
    int                 rc;
    uint8_t            *copy;
    client_t            c;
    live_amf_reader_t   a;

    client_init(&c);
    client_hex(&c, hex);

    copy = malloc(c.len + 1);
    memcpy(copy + 1, c.len ? c.data : copy, c.len);

    seen[0] = '\0';
    live_amf_init(&a, copy + 1, c.len);
    rc = live_amf_read_object(&a, v, visit, NULL);
    *left = live_reader_left(&a.in);

    free(copy);
    client_free(&c);

    return rc;
}


static void
test_vectors(void)
{
    uint8_t         buf[256];
    client_t        c;
    live_writer_t   w;

    live_writer_init(&w, buf, sizeof(buf));
    live_amf_write_str(&w, "_result");
    live_amf_write_number(&w, 4);
    live_amf_write_null(&w);
    live_amf_write_number(&w, 1);

    client_init(&c);
    client_hex(&c, "0200075f726573756c74 004010000000000000 05"
                   "003ff0000000000000");
    tap_ok(live_writer_len(&w) == 29 && c.len == 29
           && memcmp(c.data, buf, 29) == 0, "RTMP-54 _result");
    client_free(&c);

    live_writer_init(&w, buf, sizeof(buf));
    live_amf_write_str(&w, "onStatus");
    live_amf_write_number(&w, 0);
    live_amf_write_null(&w);
    live_amf_write_object(&w);
    live_amf_write_str_property(&w, "level", "status");
    live_amf_write_str_property(&w, "code", "NetStream.Publish.Start");
    live_amf_write_str_property(&w, "description", "ok");
    live_amf_write_object_end(&w);

    client_hex(&c,
        "0200086f6e537461747573000000000000000000050300056c6576656c"
        "0200067374617475730004636f64650200174e657453747265616d2e50"
        "75626c6973682e5374617274000b6465736372697074696f6e0200026f"
        "6b000009");
    tap_ok(live_writer_len(&w) == 91 && c.len == 91
           && memcmp(c.data, buf, 91) == 0, "RTMP-54 onStatus");
    client_free(&c);

    live_writer_init(&w, buf, 5);
    live_amf_write_str(&w, "abc");
    tap_ok(w.error, "writer does not overrun");
}


static void
test_values(void)
{
    int               rc;
    size_t            i, left;
    live_amf_value_t  v;

    static const struct {
        const char  *name;
        const char  *hex;
        int          type;          /* LIVE_ERROR: none */
        double       number;
        const char  *seen;
    } cases[] = {
        { "RTMP-46 number", "00 4010000000000000", LIVE_AMF_NUMBER, 4, "" },
        { "RTMP-46 bool", "01 02", LIVE_AMF_BOOLEAN, 1, "" },
        { "RTMP-46 string", "02 0002 6162", LIVE_AMF_STRING, 0, "" },
        { "RTMP-46 long string", "0c 00000002 6162", LIVE_AMF_STRING, 0, "" },
        { "RTMP-46 object", "03 0001 61 05 0001 62 01 01 000009",
          LIVE_AMF_OBJECT, 0, "a=5:0:;b=1:1:;" },
        { "RTMP-46 nested object",
          "03 0001 61 03 0001 62 05 000009 0001 63 06 000009",
          LIVE_AMF_OBJECT, 0, "a=3:0:;c=6:0:;" },
        { "RTMP-46 null", "05", LIVE_AMF_NULL, 0, "" },
        { "RTMP-46 undefined", "06", LIVE_AMF_UNDEFINED, 0, "" },
        { "RTMP-50 reference", "07 0001", LIVE_AMF_OTHER, 0, "" },
        { "RTMP-48 ECMA array, count wrong", "08 ffffffff 0001 61 05 000009",
          LIVE_AMF_ARRAY, 0, "a=5:0:;" },
        { "RTMP-48 ECMA array without its end", "08 00000000 0001 61 05",
          LIVE_AMF_ARRAY, 0, "a=5:0:;" },
        { "RTMP-46 strict array", "0a 00000002 05 05", LIVE_AMF_ARRAY, 0,
          "" },
        { "RTMP-46 date", "0b 0000000000000000 0000", LIVE_AMF_OTHER, 0,
          "" },
        { "RTMP-46 unsupported", "0d", LIVE_AMF_UNDEFINED, 0, "" },
        { "RTMP-46 XML", "0f 00000002 3c3e", LIVE_AMF_OTHER, 0, "" },
        { "RTMP-46 typed object", "10 0001 58 0001 61 05 000009",
          LIVE_AMF_OBJECT, 0, "a=5:0:;" },
        { "RTMP-47 empty name", "03 0000 05 0001 61 05 000009",
          LIVE_AMF_OBJECT, 0, "=5:0:;a=5:0:;" },

        { "end of input", "", LIVE_ERROR, 0, "" },
        { "number cut off", "00 40100000000000", LIVE_ERROR, 0, "" },
        { "RTMP-122 string beyond the end", "02 ffff 61", LIVE_ERROR, 0,
          "" },
        { "long string beyond the end", "0c ffffffff 61", LIVE_ERROR, 0, "" },
        { "object without its end", "03 0001 61 05", LIVE_ERROR, 0, "" },
        { "object end cut off", "03 0001 61 05 0000", LIVE_ERROR, 0, "" },
        { "RTMP-122 strict array of 2^32 - 1", "0a ffffffff 05", LIVE_ERROR,
          0, "" },
        { "movie clip", "04", LIVE_ERROR, 0, "" },
        { "record set", "0e", LIVE_ERROR, 0, "" },
        { "unknown marker", "12", LIVE_ERROR, 0, "" },

        { "RTMP-51 undefined", "11 00", LIVE_AMF_UNDEFINED, 0, "" },
        { "RTMP-51 null", "11 01", LIVE_AMF_NULL, 0, "" },
        { "RTMP-51 false", "11 02", LIVE_AMF_BOOLEAN, 0, "" },
        { "RTMP-51 true", "11 03", LIVE_AMF_BOOLEAN, 1, "" },
        { "RTMP-51 integer", "11 04 7f", LIVE_AMF_NUMBER, 127, "" },
        { "RTMP-51 integer, 2 bytes", "11 04 8100", LIVE_AMF_NUMBER, 128,
          "" },
        { "RTMP-51 integer, 4 bytes", "11 04 bfffffff", LIVE_AMF_NUMBER,
          268435455, "" },
        { "RTMP-51 negative integer", "11 04 ffffffff", LIVE_AMF_NUMBER, -1,
          "" },
        { "RTMP-51 double", "11 05 4010000000000000", LIVE_AMF_NUMBER, 4,
          "" },
        { "RTMP-51 string", "11 06 05 6162", LIVE_AMF_STRING, 0, "" },
        { "RTMP-51 XML", "11 0b 05 3c3e", LIVE_AMF_OTHER, 0, "" },
        { "RTMP-51 date", "11 08 01 0000000000000000", LIVE_AMF_OTHER, 0,
          "" },
        { "RTMP-51 byte array", "11 0c 05 0102", LIVE_AMF_OTHER, 0, "" },
        { "RTMP-51 vector of int", "11 0d 03 00 00000001", LIVE_AMF_OTHER, 0,
          "" },
        { "RTMP-51 vector of objects", "11 10 05 00 01 01 01",
          LIVE_AMF_OTHER, 0, "" },
        { "RTMP-51 dictionary", "11 11 03 00 06 03 61 01", LIVE_AMF_OTHER, 0,
          "" },
        { "RTMP-51 array", "11 09 05 03 61 01 01 02 03", LIVE_AMF_ARRAY, 0,
          "a=5:0:;" },

        /* dynamic, no sealed members; the value "a" refers to the name */
        { "RTMP-51 dynamic object, string reference",
          "11 0a 0b 01 03 61 06 00 01", LIVE_AMF_OBJECT, 0, "a=2:0:a;" },
        { "RTMP-51 sealed members", "11 0a 23 01 03 61 03 62 04 01 04 02",
          LIVE_AMF_OBJECT, 0, "a=0:1:;b=0:2:;" },

        /* two objects of one class in an array; the second one refers to
         * the traits, and its class and names must not be counted twice */
        { "RTMP-51 traits reference",
          "11 0a 0b 01 03 79"
          " 09 05 01 0a 13 03 58 03 61 04 01 0a 05 04 02"
          " 03 7a 06 04 01",
          LIVE_AMF_OBJECT, 0, "y=4:0:;z=2:0:a;" },
        { "RTMP-41 back to AMF0", "03 0001 61 11 03 0001 62 05 000009",
          LIVE_AMF_OBJECT, 0, "a=1:1:;b=5:0:;" },
        { "RTMP-50 object reference", "11 0a 00", LIVE_AMF_OTHER, 0, "" },

        { "AMF3 string reference to nothing", "11 06 00", LIVE_ERROR, 0,
          "" },
        { "AMF3 traits reference to nothing", "11 0a 01", LIVE_ERROR, 0,
          "" },
        { "AMF3 externalizable", "11 0a 07 03 58", LIVE_ERROR, 0, "" },
        { "AMF3 vector beyond the end", "11 0f ffffffff 00", LIVE_ERROR, 0,
          "" },
        { "AMF3 dense array beyond the end", "11 09 ffffffff 01",
          LIVE_ERROR, 0, "" },
        { "AMF3 cut off", "11", LIVE_ERROR, 0, "" },
        { "AMF3 unknown marker", "11 12 01", LIVE_ERROR, 0, "" }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {

        rc = read_hex(cases[i].hex, &v, &left);

        if (cases[i].type == LIVE_ERROR) {
            tap_ok(rc == LIVE_ERROR, "%s: refused", cases[i].name);
            continue;
        }

        tap_ok(rc == LIVE_OK && left == 0 && (int) v.type == cases[i].type
               && v.number == cases[i].number
               && strcmp(seen, cases[i].seen) == 0,
               "%s: %d %g %s", cases[i].name, v.type, v.number, seen);
    }
}


/* RTMP-50: levels objects inside of each other, each with n properties. */

static int
read_deep(int levels, int n, int amf3)
{
    int                 i, rc;
    client_t            c;
    live_amf_value_t    v;
    live_amf_reader_t   a;

    client_init(&c);

    if (amf3) {
        client_hex(&c, "11");
    }

    for (i = 0; i < levels; i++) {
        client_hex(&c, amf3 ? "0a 0b 01 03 61" : "03 0001 61");
    }

    client_hex(&c, amf3 ? "01" : "05");

    for (i = 1; i < n; i++) {
        client_hex(&c, amf3 ? "03 61 01" : "0001 61 05");
    }

    for (i = 0; i < levels; i++) {
        client_hex(&c, amf3 ? "01" : "000009");
    }

    live_amf_init(&a, c.data, c.len);
    rc = live_amf_read(&a, &v);

    client_free(&c);

    return rc;
}


static void
test_limits(void)
{
    int  amf3;

    for (amf3 = 0; amf3 < 2; amf3++) {
        tap_ok(read_deep(LIVE_AMF_MAX_DEPTH, 1, amf3) == LIVE_OK,
               "RTMP-50 AMF%d deepest", amf3 * 3);
        tap_ok(read_deep(LIVE_AMF_MAX_DEPTH + 1, 1, amf3) == LIVE_ERROR,
               "RTMP-50 AMF%d too deep", amf3 * 3);
        tap_ok(read_deep(10000, 1, amf3) == LIVE_ERROR,
               "RTMP-122 AMF%d depth 10k", amf3 * 3);
        tap_ok(read_deep(1, LIVE_AMF_MAX_PROPERTIES, amf3) == LIVE_OK,
               "RTMP-50 AMF%d most properties", amf3 * 3);
        tap_ok(read_deep(1, LIVE_AMF_MAX_PROPERTIES + 1, amf3) == LIVE_ERROR,
               "RTMP-50 AMF%d too many properties", amf3 * 3);
    }
}


static void
test_print(void)
{
    char            buf[8];
    live_amf_str_t  s = { (const uint8_t *) "a\nb\xff~c def", 10 };

    live_amf_str_print(&s, buf, sizeof(buf));
    tap_ok(strcmp(buf, "a?b?~c ") == 0, "RTMP-125 printable: %s", buf);

    s.len = 0;
    live_amf_str_print(&s, buf, sizeof(buf));
    tap_ok(buf[0] == '\0', "empty string");
}


int
main(void)
{
    test_vectors();
    test_values();
    test_limits();
    test_print();

    return tap_done();
}
