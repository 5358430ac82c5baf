
/* Audio, video and aggregate messages: payload passes by without a copy. */

#include "live_rtmp_session.h"


#define LIVE_RTMP_BACK_POINTER  4


static int live_rtmp_is_wanted(live_rtmp_session_t *s,
    const live_rtmp_cs_t *cs);
static live_rtmp_open_t *live_rtmp_open(live_rtmp_session_t *s,
    const live_rtmp_cs_t *cs, uint32_t type, uint32_t timestamp,
    uint32_t length);
static int live_rtmp_deliver(live_rtmp_session_t *s, live_rtmp_open_t *o,
    const uint8_t *data, size_t len);
static int live_rtmp_aggregate_head(live_rtmp_session_t *s,
    live_reader_t *in);
static int live_rtmp_aggregate_payload(live_rtmp_session_t *s,
    live_reader_t *in);


int
live_rtmp_media(live_rtmp_session_t *s, const live_rtmp_slice_t *slice)
{
    live_rtmp_cs_t    *cs = slice->cs;
    live_rtmp_open_t  *o;

    o = &s->open[cs->type - LIVE_RTMP_AUDIO];

    if (slice->offset == 0) {

        if (s->state == LIVE_RTMP_CONNECT) {
            live_rtmp_fail(s, "media before connect");
            return LIVE_ERROR;
        }

        if (!live_rtmp_is_wanted(s, cs)) {
            return LIVE_OK;
        }

        o = live_rtmp_open(s, cs, cs->type, cs->timestamp, cs->length);
        if (o == NULL) {
            return LIVE_ERROR;
        }

    } else if (o->cs != cs) {
        return LIVE_OK;
    }

    return live_rtmp_deliver(s, o, slice->data, slice->len);
}


/*
 * RTMP-72: media after the end of a publish is dropped.  Some encoders send
 * it with a message stream id that was never created, so only an id that
 * names another stream counts against it.
 */

static int
live_rtmp_is_wanted(live_rtmp_session_t *s, const live_rtmp_cs_t *cs)
{
    if (s->state != LIVE_RTMP_PUBLISHING) {
        return 0;
    }

    return cs->msid == s->msid || !live_rtmp_has_stream(s, cs->msid);
}


static live_rtmp_open_t *
live_rtmp_open(live_rtmp_session_t *s, const live_rtmp_cs_t *cs,
    uint32_t type, uint32_t timestamp, uint32_t length)
{
    live_rtmp_open_t  *o;

    o = &s->open[type - LIVE_RTMP_AUDIO];

    if (o->cs) {
        live_rtmp_fail(s, "two %s messages at the same time",
                       type == LIVE_RTMP_AUDIO ? "audio" : "video");
        return NULL;
    }

    o->cs = cs;
    o->m.type = (uint8_t) type;
    o->m.timestamp = timestamp;
    o->m.length = length;
    o->m.received = 0;

    return o;
}


static int
live_rtmp_deliver(live_rtmp_session_t *s, live_rtmp_open_t *o,
    const uint8_t *data, size_t len)
{
    int  rc;

    rc = s->handler->media(s->ctx, &o->m, data, len);

    o->m.received += (uint32_t) len;

    if (o->m.received == o->m.length) {
        o->cs = NULL;
    }

    return rc;
}


/* RTMP-43 */

int
live_rtmp_aggregate(live_rtmp_session_t *s, const live_rtmp_slice_t *slice)
{
    int                      rc, last;
    live_reader_t            in;
    live_rtmp_aggregate_t   *g = &s->aggregate;

    if (slice->offset == 0) {

        if (s->state == LIVE_RTMP_CONNECT) {
            live_rtmp_fail(s, "media before connect");
            return LIVE_ERROR;
        }

        if (!live_rtmp_is_wanted(s, slice->cs)) {
            return LIVE_OK;
        }

        if (g->cs) {
            live_rtmp_fail(s, "two aggregate messages at the same time");
            return LIVE_ERROR;
        }

        memset(g, 0, sizeof(live_rtmp_aggregate_t));
        g->cs = slice->cs;
        g->rest = slice->cs->length;
    }

    live_reader_init(&in, slice->data, slice->len);

    rc = LIVE_OK;
    last = live_rtmp_slice_is_last(slice);

    while (rc == LIVE_OK
           && g->cs == slice->cs
           && s->state == LIVE_RTMP_PUBLISHING
           && live_reader_left(&in))
    {
        rc = g->left ? live_rtmp_aggregate_payload(s, &in)
                     : live_rtmp_aggregate_head(s, &in);
    }

    if (last && g->cs == slice->cs) {
        g->cs = NULL;
    }

    return rc;
}


static int
live_rtmp_aggregate_head(live_rtmp_session_t *s, live_reader_t *in)
{
    uint32_t                type, length, timestamp;
    live_reader_t           head;
    live_rtmp_aggregate_t  *g = &s->aggregate;

    g->head[g->head_len++] = (uint8_t) live_read_u8(in);
    g->rest--;

    if (g->head_len < sizeof(g->head)) {
        return LIVE_OK;
    }

    g->head_len = 0;

    live_reader_init(&head, g->head, sizeof(g->head));

    type = live_read_u8(&head);
    length = live_read_u24(&head);
    timestamp = live_read_u24(&head);
    timestamp |= live_read_u8(&head) << 24;

    if (length > g->rest) {
        /* a tail that was cut off; what came before is good */
        g->cs = NULL;
        return LIVE_OK;
    }

    if (!g->based) {
        g->based = 1;
        g->base = g->cs->timestamp - timestamp;
    }

    /* the back pointer goes the same way as the payload */

    g->open = NULL;
    g->left = length + LIVE_RTMP_BACK_POINTER;

    if (type != LIVE_RTMP_AUDIO && type != LIVE_RTMP_VIDEO) {
        return LIVE_OK;
    }

    g->open = live_rtmp_open(s, g->cs, type, timestamp + g->base, length);
    if (g->open == NULL) {
        return LIVE_ERROR;
    }

    return length ? LIVE_OK : live_rtmp_deliver(s, g->open, in->pos, 0);
}


static int
live_rtmp_aggregate_payload(live_rtmp_session_t *s, live_reader_t *in)
{
    size_t                   n;
    const uint8_t           *p;
    live_rtmp_aggregate_t   *g = &s->aggregate;

    n = g->left > LIVE_RTMP_BACK_POINTER ? g->left - LIVE_RTMP_BACK_POINTER
                                         : g->left;

    if (n > live_reader_left(in)) {
        n = live_reader_left(in);
    }

    p = live_read(in, n);

    g->rest -= (uint32_t) n;
    g->left -= (uint32_t) n;

    /* nothing is open any more when only the back pointer is left */

    if (g->open == NULL || g->open->cs != g->cs) {
        return LIVE_OK;
    }

    return live_rtmp_deliver(s, g->open, p, n);
}


void
live_rtmp_media_abort(live_rtmp_session_t *s, const live_rtmp_cs_t *cs)
{
    uint32_t           i;
    live_rtmp_open_t  *o;

    if (cs == NULL || s->aggregate.cs == cs) {
        s->aggregate.cs = NULL;
    }

    for (i = 0; i < 2; i++) {
        o = &s->open[i];

        if (o->cs && (cs == NULL || o->cs == cs)) {
            o->cs = NULL;
            s->handler->media_abort(s->ctx, &o->m);
        }
    }
}
