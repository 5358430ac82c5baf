
/* The sending side of RTMP, as small as the tests need it. */

#ifndef _TEST_RTMP_CLIENT_H_INCLUDED_
#define _TEST_RTMP_CLIENT_H_INCLUDED_


#include <stdlib.h>
#include <string.h>

#include "live_amf.h"


typedef struct {
    uint8_t   *data;
    size_t     len;
    size_t     size;
    uint32_t   chunk;           /* size that the client sends with */
    int        omit_ext;        /* RTMP-22: leave it out of continuations */
} client_t;


static inline void
client_init(client_t *c)
{
    memset(c, 0, sizeof(client_t));
    c->chunk = 128;
}


static inline void
client_free(client_t *c)
{
    free(c->data);
    client_init(c);
}


static inline void
client_bytes(client_t *c, const void *data, size_t len)
{
    if (c->len + len > c->size) {
        c->size = (c->len + len) * 2;
        c->data = realloc(c->data, c->size);

        if (c->data == NULL) {
            abort();
        }
    }

    if (len) {
        memcpy(c->data + c->len, data, len);
        c->len += len;
    }
}


static inline void
client_u8(client_t *c, unsigned v)
{
    uint8_t  b = (uint8_t) v;

    client_bytes(c, &b, 1);
}


static inline void
client_be(client_t *c, uint32_t v, int bytes)
{
    while (bytes--) {
        client_u8(c, bytes < 4 ? v >> (8 * bytes) & 0xff : 0);
    }
}


static inline void
client_hex(client_t *c, const char *hex)
{
    unsigned  v;

    for ( ;; hex++) {

        while (*hex == ' ') {
            hex++;
        }

        if (*hex == '\0') {
            return;
        }

        v = *hex <= '9' ? *hex - '0' : (*hex | 0x20) - 'a' + 10;
        hex++;
        v = v << 4 | (unsigned) (*hex <= '9' ? *hex - '0'
                                             : (*hex | 0x20) - 'a' + 10);
        client_u8(c, v);
    }
}


static inline void
client_basic(client_t *c, unsigned fmt, uint32_t csid)
{
    if (csid < 64) {
        client_u8(c, fmt << 6 | csid);

    } else if (csid < 320) {
        client_u8(c, fmt << 6);
        client_u8(c, csid - 64);

    } else {
        client_u8(c, fmt << 6 | 1);
        client_u8(c, (csid - 64) & 0xff);
        client_u8(c, (csid - 64) >> 8);
    }
}


/* The header of a new message; fmt 3 repeats the extended time of field. */

static inline void
client_header(client_t *c, unsigned fmt, uint32_t csid, uint32_t field,
    uint32_t len, unsigned type, uint32_t msid)
{
    client_basic(c, fmt, csid);

    if (fmt < 3) {
        client_be(c, field < 0xffffff ? field : 0xffffff, 3);
    }

    if (fmt < 2) {
        client_be(c, len, 3);
        client_u8(c, type);
    }

    if (fmt == 0) {
        client_be(c, __builtin_bswap32(msid), 4);
    }

    if (field >= 0xffffff && !(fmt == 3 && c->omit_ext)) {
        client_be(c, field, 4);
    }
}


static inline void
client_message(client_t *c, unsigned fmt, uint32_t csid, uint32_t field,
    unsigned type, uint32_t msid, const void *payload, size_t len)
{
    size_t          n;
    const uint8_t  *p = payload;

    client_header(c, fmt, csid, field, (uint32_t) len, type, msid);

    for ( ;; ) {
        n = len < c->chunk ? len : c->chunk;
        client_bytes(c, p, n);

        p += n;
        len -= n;

        if (len == 0) {
            return;
        }

        client_basic(c, 3, csid);

        if (field >= 0xffffff && !c->omit_ext) {
            client_be(c, field, 4);
        }
    }
}


static inline void
client_hex_message(client_t *c, unsigned type, uint32_t msid, const char *hex)
{
    client_t  p;

    client_init(&p);
    client_hex(&p, hex);
    client_message(c, 0, msid ? 8 : 3, 0, type, msid, p.data, p.len);
    client_free(&p);
}


static inline void
client_control(client_t *c, unsigned type, uint32_t v)
{
    uint8_t  buf[4] = { v >> 24, v >> 16 & 0xff, v >> 8 & 0xff, v & 0xff };

    client_message(c, 0, 2, 0, type, 0, buf, 4);
}


static inline void
client_chunk_size(client_t *c, uint32_t v)
{
    client_control(c, 1, v);
    c->chunk = v;
}


/* C0, C1 of the simple form and any C2. */

static inline void
client_handshake(client_t *c)
{
    int  i;

    client_u8(c, 3);
    client_be(c, 0, 4);
    client_be(c, 0, 4);

    for (i = 0; i < 1528 + 1536; i++) {
        client_u8(c, i * 7 & 0xff);
    }
}


static inline void
client_connect(client_t *c, const char *app)
{
    uint8_t        buf[4096];
    live_writer_t  w;

    live_writer_init(&w, buf, sizeof(buf));
    live_amf_write_str(&w, "connect");
    live_amf_write_number(&w, 1);
    live_amf_write_object(&w);
    live_amf_write_str_property(&w, "app", app);
    live_amf_write_str_property(&w, "type", "nonprivate");
    live_amf_write_str_property(&w, "flashVer", "FMLE/3.0 (test)");
    live_amf_write_str_property(&w, "tcUrl", "rtmp://localhost/live");
    live_amf_write_object_end(&w);

    client_message(c, 0, 3, 0, 20, 0, w.start, live_writer_len(&w));
}


/* name, txn, null and, unless NULL, a string */

static inline void
client_call(client_t *c, const char *name, double txn, uint32_t msid,
    const char *arg)
{
    uint8_t        buf[4096];
    live_writer_t  w;

    live_writer_init(&w, buf, sizeof(buf));
    live_amf_write_str(&w, name);
    live_amf_write_number(&w, txn);
    live_amf_write_null(&w);

    if (arg) {
        live_amf_write_str(&w, arg);
    }

    client_message(c, 0, msid ? 8 : 3, 0, 20, msid, w.start,
                   live_writer_len(&w));
}


static inline void
client_call_number(client_t *c, const char *name, double txn, double n)
{
    uint8_t        buf[256];
    live_writer_t  w;

    live_writer_init(&w, buf, sizeof(buf));
    live_amf_write_str(&w, name);
    live_amf_write_number(&w, txn);
    live_amf_write_null(&w);
    live_amf_write_number(&w, n);

    client_message(c, 0, 3, 0, 20, 0, w.start, live_writer_len(&w));
}


/* The way of ffmpeg up to publish (RTMP-66). */

static inline void
client_publish(client_t *c, const char *app, const char *name)
{
    client_handshake(c);
    client_connect(c, app);
    client_chunk_size(c, 4096);
    client_call(c, "releaseStream", 2, 0, name);
    client_call(c, "FCPublish", 3, 0, name);
    client_call(c, "createStream", 4, 0, NULL);
    client_call(c, "publish", 5, 1, name);
}


#endif /* _TEST_RTMP_CLIENT_H_INCLUDED_ */
