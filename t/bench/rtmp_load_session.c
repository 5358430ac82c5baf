
/* One publishing RTMP session: handshake, chunks and commands. */

#define _GNU_SOURCE

#include <stdio.h>
#include <string.h>
#include "rtmp_load.h"


#define CSID_CONTROL     2
#define CSID_COMMAND     3

#define TYPE_CHUNK_SIZE  1
#define TYPE_USER        4
#define TYPE_COMMAND     20

#define USER_PING        6
#define USER_PONG        7

#define TXN_CONNECT      1
#define TXN_CREATE       4
#define TXN_PUBLISH      5


static size_t parse_handshake(publisher_t *p);
static size_t parse_chunk(publisher_t *p);
static size_t chunk_header(publisher_t *p, unsigned csid, size_t at);
static void handle_message(publisher_t *p, uint8_t type);
static void handle_command(publisher_t *p);
static void handle_result(publisher_t *p, double txn);
static void handle_status(publisher_t *p);

static void queue_message(publisher_t *p, unsigned csid, unsigned type,
    uint32_t stream, const uint8_t *body, size_t len);
static void queue_connect(publisher_t *p);
static void queue_simple(publisher_t *p, const char *name, double txn,
    const char *arg);
static void queue_publish(publisher_t *p);

static uint8_t *amf_text(uint8_t *out, const char *s);
static uint8_t *amf_string(uint8_t *out, const char *s);
static uint8_t *amf_number(uint8_t *out, double number);
static double amf_get_number(const uint8_t *p);


void
start_session(publisher_t *p)
{
    size_t  i;

    p->in_chunk = 128;

    /* version 3, time 0, zero, then bytes of no meaning */

    memset(p->out, 0, 9);
    p->out[0] = 3;

    for (i = 9; i < 1 + HANDSHAKE_SIZE; i++) {
        p->out[i] = (uint8_t) (i * 31 + p->index);
    }

    p->out_len = 1 + HANDSHAKE_SIZE;
}


size_t
parse_input(publisher_t *p)
{
    return p->state == ST_HANDSHAKE ? parse_handshake(p) : parse_chunk(p);
}


static size_t
parse_handshake(publisher_t *p)
{
    size_t   len;
    uint8_t  body[4];

    len = 1 + 2 * HANDSHAKE_SIZE;

    if (p->in_len < len) {
        return 0;
    }

    /* C0 and C1 have been answered, so they have left the buffer */

    memcpy(p->out + p->out_len, p->in + 1, HANDSHAKE_SIZE);
    p->out_len += HANDSHAKE_SIZE;

    body[0] = 0;
    put24(body + 1, opt.chunk);
    queue_message(p, CSID_CONTROL, TYPE_CHUNK_SIZE, 0, body, sizeof(body));
    queue_connect(p);

    p->state = ST_COMMANDS;

    return len;
}


/* Takes one chunk; the result is 0 while it is not there as a whole. */

static size_t
parse_chunk(publisher_t *p)
{
    size_t          at, len;
    unsigned        csid;
    chunk_state_t  *cs;

    if (p->in_len == 0) {
        return 0;
    }

    csid = p->in[0] & 0x3f;

    if (csid < 2) {
        publisher_failed(p, "chunk stream ids over 63 are not supported");
        return 0;
    }

    at = chunk_header(p, csid, 1);
    if (at == 0) {
        return 0;
    }

    cs = &p->csids[csid];
    len = cs->length - p->message_len;

    if (len > p->in_chunk) {
        len = p->in_chunk;
    }

    if (p->in_len < at + len) {
        return 0;
    }

    if (p->message_len + len <= MESSAGE_SIZE) {
        memcpy(p->message + p->message_len, p->in + at, len);
    }

    p->message_len += len;

    if (p->message_len >= cs->length) {
        handle_message(p, cs->type);
        p->message_len = 0;
    }

    return at + len;
}


static size_t
chunk_header(publisher_t *p, unsigned csid, size_t at)
{
    size_t                len;
    unsigned              fmt;
    chunk_state_t        *cs;
    static const uint8_t  sizes[] = { 11, 7, 3, 0 };

    fmt = p->in[0] >> 6;
    len = sizes[fmt];
    cs = &p->csids[csid];

    if (p->in_len < at + len) {
        return 0;
    }

    if (fmt < 3) {
        cs->extended = (get24(p->in + at) == 0xffffff);
    }

    if (fmt < 2) {
        cs->length = get24(p->in + at + 3);
        cs->type = p->in[at + 6];
    }

    at += len + (cs->extended ? 4 : 0);

    return p->in_len < at ? 0 : at;
}


static void
handle_message(publisher_t *p, uint8_t type)
{
    uint8_t  pong[6];

    if (p->message_len > MESSAGE_SIZE) {
        return;
    }

    if (type == TYPE_CHUNK_SIZE && p->message_len >= 4) {
        p->in_chunk = get32(p->message) & 0x7fffffff;
        return;
    }

    if (type == TYPE_USER && p->message_len >= 6
        && p->message[1] == USER_PING)
    {
        memcpy(pong, p->message, sizeof(pong));
        pong[1] = USER_PONG;
        queue_message(p, CSID_CONTROL, TYPE_USER, 0, pong, sizeof(pong));
        return;
    }

    if (type == TYPE_COMMAND) {
        handle_command(p);
    }
}


static void
handle_command(publisher_t *p)
{
    double    txn;
    size_t    len, at;
    uint8_t  *m;

    m = p->message;

    if (p->message_len < 3 || m[0] != 2) {
        return;
    }

    len = (size_t) m[1] << 8 | m[2];
    at = 3 + len;

    if (p->message_len < at + 9 || m[at] != 0) {
        return;
    }

    txn = amf_get_number(m + at + 1);

    if (len == 7 && memcmp(m + 3, "_result", 7) == 0) {
        handle_result(p, txn);

    } else if (len == 6 && memcmp(m + 3, "_error", 6) == 0) {

        /* nobody has to know releaseStream and FCPublish */

        if (txn == TXN_CONNECT || txn >= TXN_CREATE) {
            publisher_failed(p, "the server answered _error");
        }

    } else if (len == 8 && memcmp(m + 3, "onStatus", 8) == 0) {
        handle_status(p);
    }
}


static void
handle_result(publisher_t *p, double txn)
{
    char      name[160];
    double    id;
    uint8_t  *m;

    snprintf(name, sizeof(name), "%s%u", opt.prefix, p->index);

    if (txn == TXN_CONNECT) {
        queue_simple(p, "releaseStream", TXN_CONNECT + 1, name);
        queue_simple(p, "FCPublish", TXN_CONNECT + 2, name);
        queue_simple(p, "createStream", TXN_CREATE, NULL);
        return;
    }

    if (txn != TXN_CREATE) {
        return;
    }

    /* "_result", the number 4, null, the stream id */

    m = p->message + 3 + 7 + 9 + 1;

    if (p->message_len < 3 + 7 + 9 + 1 + 9) {
        publisher_failed(p, "createStream without a stream id");
        return;
    }

    id = amf_get_number(m + 1);

    /* the shared wire bytes name it */

    if (id != MEDIA_STREAM_ID) {
        publisher_failed(p, "stream id %.0f, only 1 is supported", id);
        return;
    }

    queue_publish(p);
}


static void
handle_status(publisher_t *p)
{
    static const char  started[] = "NetStream.Publish.Start";
    static const char  code[] = "NetStream.";

    uint8_t  *m;

    if (memmem(p->message, p->message_len, started, sizeof(started) - 1)) {

        if (p->state == ST_COMMANDS) {
            p->state = ST_PUBLISHING;
            p->start = now_ms();
            totals.publishing++;
        }

        return;
    }

    m = memmem(p->message, p->message_len, code, sizeof(code) - 1);

    if (memmem(p->message, p->message_len, "error", 5) != NULL) {
        publisher_failed(p, "onStatus %.40s", m ? (char *) m : "error");
    }
}


/* One chunk: whatever is sent this way is shorter than our chunk size. */

static void
queue_message(publisher_t *p, unsigned csid, unsigned type, uint32_t stream,
    const uint8_t *body, size_t len)
{
    uint8_t  *out;

    if (p->state == ST_DEAD || p->out_len + 12 + len > OUT_SIZE) {
        return;
    }

    out = p->out + p->out_len;

    *out++ = (uint8_t) csid;
    out = put24(out, 0);
    out = put24(out, (uint32_t) len);
    *out++ = (uint8_t) type;
    *out++ = (uint8_t) stream;
    out = put24(out, 0);
    memcpy(out, body, len);

    p->out_len += 12 + len;
}


static void
queue_connect(publisher_t *p)
{
    uint8_t   body[1024];
    uint8_t  *out;

    out = amf_string(body, "connect");
    out = amf_number(out, TXN_CONNECT);
    *out++ = 3;
    out = amf_text(out, "app");
    out = amf_string(out, opt.app);
    out = amf_text(out, "type");
    out = amf_string(out, "nonprivate");
    out = amf_text(out, "flashVer");
    out = amf_string(out, "FMLE/3.0 (compatible; rtmp_load)");
    out = amf_text(out, "tcUrl");
    out = amf_string(out, opt.tc_url);
    out = amf_text(out, "");
    *out++ = 9;

    queue_message(p, CSID_COMMAND, TYPE_COMMAND, 0, body,
                  (size_t) (out - body));
}


static void
queue_simple(publisher_t *p, const char *name, double txn, const char *arg)
{
    uint8_t   body[512];
    uint8_t  *out;

    out = amf_string(body, name);
    out = amf_number(out, txn);
    *out++ = 5;

    if (arg != NULL) {
        out = amf_string(out, arg);
    }

    queue_message(p, CSID_COMMAND, TYPE_COMMAND, 0, body,
                  (size_t) (out - body));
}


static void
queue_publish(publisher_t *p)
{
    char      name[160];
    uint8_t   body[512];
    uint8_t  *out;

    snprintf(name, sizeof(name), "%s%u", opt.prefix, p->index);

    out = amf_string(body, "publish");
    out = amf_number(out, TXN_PUBLISH);
    *out++ = 5;
    out = amf_string(out, name);
    out = amf_string(out, "live");

    queue_message(p, CSID_COMMAND, TYPE_COMMAND, MEDIA_STREAM_ID, body,
                  (size_t) (out - body));
}


static uint8_t *
amf_text(uint8_t *out, const char *s)
{
    size_t  len;

    len = strlen(s);
    *out++ = (uint8_t) (len >> 8);
    *out++ = (uint8_t) len;
    memcpy(out, s, len);

    return out + len;
}


static uint8_t *
amf_string(uint8_t *out, const char *s)
{
    *out++ = 2;

    return amf_text(out, s);
}


static uint8_t *
amf_number(uint8_t *out, double number)
{
    int       shift;
    uint64_t  bits;

    memcpy(&bits, &number, sizeof(bits));
    *out++ = 0;

    for (shift = 56; shift >= 0; shift -= 8) {
        *out++ = (uint8_t) (bits >> shift);
    }

    return out;
}


static double
amf_get_number(const uint8_t *p)
{
    double    number;
    uint64_t  bits;

    bits = (uint64_t) get32(p) << 32 | get32(p + 4);
    memcpy(&number, &bits, sizeof(number));

    return number;
}
