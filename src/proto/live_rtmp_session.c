
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "live_rtmp_session.h"


#define LIVE_RTMP_DEFAULT_WINDOW  2500000       /* RTMP-34 */

/* events of User Control (RTMP-36) */
#define LIVE_RTMP_STREAM_BEGIN    0
#define LIVE_RTMP_PING_REQUEST    6
#define LIVE_RTMP_PING_RESPONSE   7


/* An unfinished message that is collected. */
typedef struct {
    uint32_t  size;
    uint8_t   data[];
} live_rtmp_part_t;


static int live_rtmp_take(live_rtmp_session_t *s, const uint8_t *data,
    size_t len);
static int live_rtmp_take_held(live_rtmp_session_t *s);
static int live_rtmp_handshake(live_rtmp_session_t *s, live_reader_t *in);
static int live_rtmp_early(live_rtmp_session_t *s, size_t n);
static int live_rtmp_early_message(live_rtmp_session_t *s);
static int live_rtmp_hold(live_rtmp_session_t *s, live_reader_t *in);
static int live_rtmp_too_early(live_rtmp_session_t *s);
static void live_rtmp_acknowledge(live_rtmp_session_t *s);
static int live_rtmp_slice(live_rtmp_session_t *s,
    const live_rtmp_slice_t *slice);
static int live_rtmp_collect(live_rtmp_session_t *s,
    const live_rtmp_slice_t *slice);
static int live_rtmp_part_add(live_rtmp_session_t *s,
    const live_rtmp_slice_t *slice);
static void live_rtmp_part_free(live_rtmp_session_t *s, live_rtmp_cs_t *cs);
static int live_rtmp_message(live_rtmp_session_t *s, const live_rtmp_cs_t *cs,
    const uint8_t *data, size_t len);
static int live_rtmp_control(live_rtmp_session_t *s, uint32_t type,
    live_reader_t *in);
static int live_rtmp_set_chunk_size(live_rtmp_session_t *s, uint32_t size);
static void live_rtmp_abort(live_rtmp_session_t *s, uint32_t csid);
static void live_rtmp_user_control(live_rtmp_session_t *s, live_reader_t *in);
static int live_rtmp_failed(live_rtmp_session_t *s, const char *text);


live_rtmp_session_t *
live_rtmp_create(const live_rtmp_conf_t *conf,
    const live_rtmp_handler_t *handler, void *ctx)
{
    live_rtmp_session_t  *s;

    s = calloc(1, sizeof(live_rtmp_session_t));
    if (s == NULL) {
        return NULL;
    }

    s->handshake = malloc(sizeof(live_rtmp_handshake_t));
    if (s->handshake == NULL) {
        free(s);
        return NULL;
    }

    live_rtmp_handshake_init(s->handshake);
    live_rtmp_chunk_init(&s->chunks, conf->max_message);

    s->chunks.max_collected = conf->max_amf;

    if (conf->max_csids < LIVE_RTMP_MAX_CSIDS) {
        s->chunks.max_csids = conf->max_csids;
    }

    s->conf = conf;
    s->handler = handler;
    s->ctx = ctx;
    s->app = "";
    s->peer_window = LIVE_RTMP_DEFAULT_WINDOW;
    s->out_chunk = LIVE_RTMP_DEFAULT_CHUNK;

    return s;
}


void
live_rtmp_destroy(live_rtmp_session_t *s)
{
    uint32_t  i;

    for (i = 1; i <= s->chunks.ncs; i++) {
        free(s->chunks.cs[i].part);
    }

    live_rtmp_bytes_free(&s->out);
    live_rtmp_bytes_free(&s->held);
    live_rtmp_bytes_free(&s->spent);
    free(s->handshake);
    free(s->strings);
    free(s);
}


int
live_rtmp_input(live_rtmp_session_t *s, const uint8_t *data, size_t len)
{
    int  rc;

    if (s->failed) {
        return LIVE_ERROR;
    }

    s->received += (uint32_t) len;

    live_rtmp_bytes_free(&s->spent);

    rc = live_rtmp_take_held(s);

    if (rc == LIVE_OK && len) {
        rc = live_rtmp_take(s, data, len);
    }

    if (rc == LIVE_OK) {
        live_rtmp_acknowledge(s);
    }

    if (rc != LIVE_OK && s->error[0] == '\0') {
        live_rtmp_fail(s, "the receiver of the stream failed");
    }

    /* something that could not be written fails the session as well */

    if (s->failed || rc != LIVE_OK) {
        s->failed = 1;
        return LIVE_ERROR;
    }

    return LIVE_OK;
}


/* What was held while PENDING comes first. */

static int
live_rtmp_take_held(live_rtmp_session_t *s)
{
    int                rc;
    live_rtmp_bytes_t  held;

    if (s->held.len == 0 || s->state == LIVE_RTMP_PENDING) {
        return LIVE_OK;
    }

    held = s->held;
    memset(&s->held, 0, sizeof(live_rtmp_bytes_t));

    rc = live_rtmp_take(s, held.data, held.len);

    /* like what the caller passes, media of it stay until the next input */

    s->spent = held;

    return rc;
}


static int
live_rtmp_take(live_rtmp_session_t *s, const uint8_t *data, size_t len)
{
    int                 rc;
    live_reader_t       in;
    const uint8_t      *mark;
    live_rtmp_slice_t   slice;

    live_reader_init(&in, data, len);

    if (s->state == LIVE_RTMP_HANDSHAKE) {
        rc = live_rtmp_handshake(s, &in);

        if (rc != LIVE_OK) {
            return rc == LIVE_AGAIN ? LIVE_OK : rc;
        }
    }

    while (!s->failed) {

        if (s->state == LIVE_RTMP_CLOSING) {
            return LIVE_OK;
        }

        if (s->state == LIVE_RTMP_PENDING) {
            return live_rtmp_hold(s, &in);
        }

        mark = in.pos;
        rc = live_rtmp_chunk_next(&s->chunks, &in, &slice);

        if (!s->accepted && live_rtmp_early(s, in.pos - mark) != LIVE_OK) {
            return LIVE_ERROR;
        }

        if (rc != LIVE_OK) {
            return rc == LIVE_AGAIN ? LIVE_OK
                                    : live_rtmp_failed(s, s->chunks.error);
        }

        if (!s->accepted
            && live_rtmp_slice_is_last(&slice)
            && live_rtmp_early_message(s) != LIVE_OK)
        {
            return LIVE_ERROR;
        }

        rc = live_rtmp_slice(s, &slice);

        if (rc != LIVE_OK) {
            return rc;
        }
    }

    return LIVE_ERROR;
}


static int
live_rtmp_handshake(live_rtmp_session_t *s, live_reader_t *in)
{
    int             rc;
    uint8_t         answer[LIVE_RTMP_ANSWER_SIZE];
    const char     *error;
    live_writer_t   out;

    live_writer_init(&out, answer, sizeof(answer));

    rc = live_rtmp_handshake_input(s->handshake, in, &out, &error);

    if (rc == LIVE_ERROR) {
        return live_rtmp_failed(s, error);
    }

    if (live_rtmp_bytes_add(&s->out, answer, live_writer_len(&out),
                            LIVE_RTMP_MAX_OUTPUT)
        != LIVE_OK)
    {
        return live_rtmp_failed(s, "no memory for the handshake");
    }

    if (rc == LIVE_OK) {
        free(s->handshake);
        s->handshake = NULL;
        s->state = LIVE_RTMP_CONNECT;
    }

    return rc;
}


/* RTMP-120: counts what comes before a publish was ever accepted. */

static int
live_rtmp_early(live_rtmp_session_t *s, size_t n)
{
    if (n > s->conf->setup_bytes - s->early) {
        return live_rtmp_too_early(s);
    }

    s->early += (uint32_t) n;

    return LIVE_OK;
}


/* RTMP-69: what a hasty publisher sends is kept, not lost. */

static int
live_rtmp_hold(live_rtmp_session_t *s, live_reader_t *in)
{
    int     rc;
    size_t  max;

    max = s->conf->setup_bytes - (s->accepted ? 0 : s->early);
    rc = live_rtmp_bytes_add(&s->held, in->pos, live_reader_left(in), max);

    if (rc == LIVE_OVERFLOW) {
        return live_rtmp_too_early(s);
    }

    return rc == LIVE_OK ? LIVE_OK
                         : live_rtmp_failed(s, "no memory for the input");
}


static int
live_rtmp_too_early(live_rtmp_session_t *s)
{
    live_rtmp_fail(s, "more than %u bytes before a publish was accepted",
                   s->conf->setup_bytes);

    return LIVE_ERROR;
}


/* Small messages cost more than their bytes (RTMP-120). */

static int
live_rtmp_early_message(live_rtmp_session_t *s)
{
    if (s->early_messages < s->conf->setup_messages) {
        s->early_messages++;
        return LIVE_OK;
    }

    live_rtmp_fail(s, "more than %u messages before a publish was accepted",
                   s->conf->setup_messages);

    return LIVE_ERROR;
}


static void
live_rtmp_acknowledge(live_rtmp_session_t *s)
{
    if (s->received - s->acked < s->peer_window
        || s->state == LIVE_RTMP_CLOSING)
    {
        return;
    }

    s->acked = s->received;
    live_rtmp_send_u32(s, LIVE_RTMP_ACK, s->received);
}


static int
live_rtmp_slice(live_rtmp_session_t *s, const live_rtmp_slice_t *slice)
{
    switch (slice->cs->type) {

    case LIVE_RTMP_AUDIO:
    case LIVE_RTMP_VIDEO:
        return live_rtmp_media(s, slice);

    case LIVE_RTMP_AGGREGATE:
        return live_rtmp_aggregate(s, slice);
    }

    if (live_rtmp_is_collected(slice->cs->type)) {
        return live_rtmp_collect(s, slice);
    }

    /* RTMP-40: unknown types pass by */

    return LIVE_OK;
}


static int
live_rtmp_collect(live_rtmp_session_t *s, const live_rtmp_slice_t *slice)
{
    int                rc;
    live_rtmp_cs_t    *cs = slice->cs;
    live_rtmp_part_t  *part;

    if (slice->len == cs->length) {
        return live_rtmp_message(s, cs, slice->data, slice->len);
    }

    if (live_rtmp_part_add(s, slice) != LIVE_OK) {
        return LIVE_ERROR;
    }

    if (!live_rtmp_slice_is_last(slice)) {
        return LIVE_OK;
    }

    part = cs->part;
    rc = live_rtmp_message(s, cs, part->data, cs->length);

    live_rtmp_part_free(s, cs);

    return rc;
}


/* RTMP-28: the buffer grows with what has arrived. */

static int
live_rtmp_part_add(live_rtmp_session_t *s, const live_rtmp_slice_t *slice)
{
    uint32_t           need, old, size;
    live_rtmp_cs_t    *cs = slice->cs;
    live_rtmp_part_t  *part = cs->part;

    need = slice->offset + slice->len;
    old = part ? part->size : 0;

    if (part == NULL || need > old) {

        size = old * 2 > need ? old * 2 : need;
        size = size > 256 ? size : 256;
        size = size < cs->length ? size : cs->length;

        if (s->collected - old + size > s->conf->max_amf) {
            return live_rtmp_failed(s, "too many unfinished messages");
        }

        part = realloc(part, sizeof(live_rtmp_part_t) + size);
        if (part == NULL) {
            return live_rtmp_failed(s, "no memory for a message");
        }

        s->collected += size - old;
        part->size = size;
        cs->part = part;
    }

    memcpy(part->data + slice->offset, slice->data, slice->len);

    return LIVE_OK;
}


static void
live_rtmp_part_free(live_rtmp_session_t *s, live_rtmp_cs_t *cs)
{
    live_rtmp_part_t  *part = cs->part;

    if (part) {
        s->collected -= part->size;
        cs->part = NULL;
        free(part);
    }
}


static int
live_rtmp_message(live_rtmp_session_t *s, const live_rtmp_cs_t *cs,
    const uint8_t *data, size_t len)
{
    int            rc;
    live_reader_t  in;

    switch (cs->type) {

    case LIVE_RTMP_COMMAND:
    case LIVE_RTMP_COMMAND_AMF3:
        return live_rtmp_command(s, cs, data, len);

    case LIVE_RTMP_DATA:
    case LIVE_RTMP_DATA_AMF3:
        live_rtmp_data(s, cs, data, len);
        return LIVE_OK;
    }

    live_reader_init(&in, data, len);

    rc = live_rtmp_control(s, cs->type, &in);

    /* RTMP-38; longer than needed does no harm */

    if (in.error) {
        return live_rtmp_failed(s, "a control message is too short");
    }

    return rc;
}


static int
live_rtmp_control(live_rtmp_session_t *s, uint32_t type, live_reader_t *in)
{
    uint32_t  v;

    if (type == LIVE_RTMP_USER_CONTROL) {
        live_rtmp_user_control(s, in);
        return LIVE_OK;
    }

    v = live_read_u32(in);

    if (type == LIVE_RTMP_PEER_BANDWIDTH) {
        live_read_u8(in);
    }

    if (in->error) {
        return LIVE_ERROR;
    }

    switch (type) {

    case LIVE_RTMP_SET_CHUNK_SIZE:
        return live_rtmp_set_chunk_size(s, v);

    case LIVE_RTMP_ABORT:
        live_rtmp_abort(s, v);
        break;

    case LIVE_RTMP_WINDOW_ACK:
        s->peer_window = v ? v : LIVE_RTMP_DEFAULT_WINDOW;
        break;

    case LIVE_RTMP_PEER_BANDWIDTH:

        /* RTMP-35 */

        if (v != s->own_window) {
            s->own_window = v;
            live_rtmp_send_u32(s, LIVE_RTMP_WINDOW_ACK, v);
        }

        break;
    }

    return LIVE_OK;
}


static int
live_rtmp_set_chunk_size(live_rtmp_session_t *s, uint32_t size)
{
    /* RTMP-26 */

    if (size == 0 || size > 0x7fffffff) {
        return live_rtmp_failed(s, "chunk size out of range");
    }

    s->chunks.chunk_size = size < LIVE_RTMP_MAX_CHUNK ? size
                                                      : LIVE_RTMP_MAX_CHUNK;

    return LIVE_OK;
}


static void
live_rtmp_abort(live_rtmp_session_t *s, uint32_t csid)
{
    live_rtmp_cs_t  *cs;

    cs = live_rtmp_chunk_abort(&s->chunks, csid);

    if (cs) {
        live_rtmp_media_abort(s, cs);
        live_rtmp_part_free(s, cs);
    }
}


static void
live_rtmp_user_control(live_rtmp_session_t *s, live_reader_t *in)
{
    uint32_t  event, v;

    event = live_read_u16(in);

    if (in->error || event != LIVE_RTMP_PING_REQUEST) {
        return;
    }

    v = live_read_u32(in);

    if (!in->error) {
        live_rtmp_send_event(s, LIVE_RTMP_PING_RESPONSE, v);
    }
}


void
live_rtmp_accept(live_rtmp_session_t *s)
{
    if (s->state != LIVE_RTMP_PENDING) {
        return;
    }

    s->state = LIVE_RTMP_PUBLISHING;
    s->accepted = 1;

    /* the limit may be one of the application that was published to */
    s->chunks.max_message = s->conf->max_message;

    live_rtmp_send_event(s, LIVE_RTMP_STREAM_BEGIN, s->msid);
    live_rtmp_send_status(s, "onStatus", s->msid, "NetStream.Publish.Start",
                          "publishing");
}


void
live_rtmp_refuse(live_rtmp_session_t *s, const char *code,
    const char *description)
{
    live_rtmp_close(s, code, description);
}


void
live_rtmp_close(live_rtmp_session_t *s, const char *code,
    const char *description)
{
    uint32_t           msid;
    static const char  connection[] = "NetConnection.";

    if (s->state == LIVE_RTMP_CLOSING) {
        return;
    }

    msid = strncmp(code, connection, sizeof(connection) - 1) ? s->msid : 0;

    /* before connect nobody would understand a status */

    if (s->state > LIVE_RTMP_CONNECT) {
        live_rtmp_send_status(s, "onStatus", msid, code, description);
    }

    s->state = LIVE_RTMP_CLOSING;
    live_rtmp_bytes_free(&s->held);
}


int
live_rtmp_reconnect(live_rtmp_session_t *s, const char *description)
{
    if (!(s->caps & LIVE_RTMP_CAPS_RECONNECT)
        || s->state == LIVE_RTMP_CLOSING)
    {
        return 0;
    }

    live_rtmp_send_status(s, "onStatus", 0,
                          "NetConnection.Connect.ReconnectRequest",
                          description);

    return 1;
}


void
live_rtmp_fail(live_rtmp_session_t *s, const char *fmt, ...)
{
    char            text[sizeof(s->error)];
    va_list         args;
    live_amf_str_t  str;

    s->failed = 1;

    /* the first reason is the one that explains */

    if (s->error[0]) {
        return;
    }

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);

    str.data = (const uint8_t *) text;
    str.len = strlen(text);
    live_amf_str_print(&str, s->error, sizeof(s->error));
}


static int
live_rtmp_failed(live_rtmp_session_t *s, const char *text)
{
    live_rtmp_fail(s, "%s", text);

    return LIVE_ERROR;
}


const char *
live_rtmp_error(const live_rtmp_session_t *s)
{
    return s->error;
}


live_rtmp_state_e
live_rtmp_state(const live_rtmp_session_t *s)
{
    return s->state;
}


const char *
live_rtmp_app(const live_rtmp_session_t *s)
{
    return s->app;
}
