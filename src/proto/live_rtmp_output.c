
#include <stdlib.h>

#include "live_rtmp_session.h"


static void live_rtmp_write(live_rtmp_session_t *s, const uint8_t *data,
    size_t len);
static const char *live_rtmp_level(const char *code);


const uint8_t *
live_rtmp_output(live_rtmp_session_t *s, size_t *len)
{
    *len = s->out.len - s->out.pos;

    return *len ? s->out.data + s->out.pos : NULL;
}


void
live_rtmp_sent(live_rtmp_session_t *s, size_t n)
{
    s->out.pos += (uint32_t) n;

    /* a publisher hears from us once in a megabyte: keep no memory for it */

    if (s->out.pos >= s->out.len) {
        live_rtmp_bytes_free(&s->out);
    }
}


void
live_rtmp_send(live_rtmp_session_t *s, uint32_t csid, uint32_t type,
    uint32_t msid, const live_writer_t *payload)
{
    size_t          n, left;
    uint8_t         head[12];
    const uint8_t  *p;
    live_writer_t   w;

    if (payload->error) {
        live_rtmp_fail(s, "a reply is too long");
        return;
    }

    p = payload->start;
    left = live_writer_len(payload);

    /* all our messages have the time 0, so none is extended (RTMP-23) */

    live_writer_init(&w, head, sizeof(head));
    live_write_u8(&w, csid);
    live_write_u24(&w, 0);
    live_write_u24(&w, (uint32_t) left);
    live_write_u8(&w, type);
    live_write_u32(&w, __builtin_bswap32(msid));

    live_rtmp_write(s, head, sizeof(head));

    for ( ;; ) {
        n = left < s->out_chunk ? left : s->out_chunk;
        live_rtmp_write(s, p, n);

        p += n;
        left -= n;

        if (left == 0) {
            break;
        }

        head[0] = (uint8_t) (0xc0 | csid);
        live_rtmp_write(s, head, 1);
    }
}


static void
live_rtmp_write(live_rtmp_session_t *s, const uint8_t *data, size_t len)
{
    int  rc;

    rc = live_rtmp_bytes_add(&s->out, data, len, LIVE_RTMP_MAX_OUTPUT);

    if (rc != LIVE_OK) {
        live_rtmp_fail(s, rc == LIVE_OVERFLOW ? "peer does not read"
                                              : "no memory for a reply");
    }
}


void
live_rtmp_send_u32(live_rtmp_session_t *s, uint32_t type, uint32_t v)
{
    uint8_t        buf[4];
    live_writer_t  w;

    live_writer_init(&w, buf, sizeof(buf));
    live_write_u32(&w, v);

    live_rtmp_send(s, LIVE_RTMP_CSID_CONTROL, type, 0, &w);
}


void
live_rtmp_send_peer_bandwidth(live_rtmp_session_t *s, uint32_t v)
{
    uint8_t        buf[5];
    live_writer_t  w;

    live_writer_init(&w, buf, sizeof(buf));
    live_write_u32(&w, v);
    live_write_u8(&w, 2);                       /* dynamic */

    live_rtmp_send(s, LIVE_RTMP_CSID_CONTROL, LIVE_RTMP_PEER_BANDWIDTH, 0,
                   &w);
}


void
live_rtmp_send_event(live_rtmp_session_t *s, uint32_t event, uint32_t v)
{
    uint8_t        buf[6];
    live_writer_t  w;

    live_writer_init(&w, buf, sizeof(buf));
    live_write_u16(&w, event);
    live_write_u32(&w, v);

    live_rtmp_send(s, LIVE_RTMP_CSID_CONTROL, LIVE_RTMP_USER_CONTROL, 0, &w);
}


void
live_rtmp_send_status(live_rtmp_session_t *s, const char *call, uint32_t msid,
    const char *code, const char *description)
{
    uint8_t        buf[LIVE_RTMP_MAX_REPLY];
    live_writer_t  w;

    live_writer_init(&w, buf, sizeof(buf));

    live_amf_write_str(&w, call);
    live_amf_write_number(&w, 0);
    live_amf_write_null(&w);
    live_rtmp_write_info(&w, code, description);
    live_amf_write_object_end(&w);

    live_rtmp_send(s, msid ? LIVE_RTMP_CSID_STATUS : LIVE_RTMP_CSID_COMMAND,
                   LIVE_RTMP_COMMAND, msid, &w);
}


void
live_rtmp_write_info(live_writer_t *w, const char *code,
    const char *description)
{
    char            text[LIVE_RTMP_MAX_TEXT];
    live_amf_str_t  str;

    str.data = (const uint8_t *) description;
    str.len = strlen(description);
    live_amf_str_print(&str, text, sizeof(text));

    live_amf_write_object(w);
    live_amf_write_str_property(w, "level", live_rtmp_level(code));
    live_amf_write_str_property(w, "code", code);
    live_amf_write_str_property(w, "description", text);
}


/* Section 14 of the specification; what is not good news is an error. */

static const char *
live_rtmp_level(const char *code)
{
    size_t                    i, len, n;
    static const char *const  good[] = {
        ".Success", ".Start", ".Closed", ".Idle", ".ReconnectRequest"
    };

    len = strlen(code);

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        n = strlen(good[i]);

        if (len > n && strcmp(code + len - n, good[i]) == 0) {
            return "status";
        }
    }

    return "error";
}


int
live_rtmp_bytes_add(live_rtmp_bytes_t *b, const uint8_t *data, size_t len,
    size_t max)
{
    size_t    size;
    uint8_t  *p;

    if (len == 0) {
        return LIVE_OK;
    }

    if (len > max || b->len - b->pos + len > max) {
        return LIVE_OVERFLOW;
    }

    if (b->pos && b->len + len > b->size) {
        b->len -= b->pos;
        memmove(b->data, b->data + b->pos, b->len);
        b->pos = 0;
    }

    if (b->len + len > b->size) {

        for (size = b->size ? b->size : 256; size < b->len + len; size *= 2) {
            /* void */
        }

        p = realloc(b->data, size);
        if (p == NULL) {
            return LIVE_ERROR;
        }

        b->data = p;
        b->size = (uint32_t) size;
    }

    memcpy(b->data + b->len, data, len);
    b->len += (uint32_t) len;

    return LIVE_OK;
}


void
live_rtmp_bytes_free(live_rtmp_bytes_t *b)
{
    free(b->data);
    memset(b, 0, sizeof(live_rtmp_bytes_t));
}
