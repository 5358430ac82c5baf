
#include <stdio.h>

#include "live_rtmp_chunk.h"


#define LIVE_RTMP_NO_TIME  0xffffff     /* the field is extended (RTMP-21) */


static int live_rtmp_chunk_header(live_rtmp_chunk_reader_t *r,
    live_reader_t *in);
static size_t live_rtmp_header_size(live_rtmp_chunk_reader_t *r,
    const uint8_t *p, size_t len);
static size_t live_rtmp_continuation_size(live_rtmp_chunk_reader_t *r,
    const uint8_t *p, size_t len);
static int live_rtmp_chunk_begin(live_rtmp_chunk_reader_t *r,
    const uint8_t *p, size_t size);
static int live_rtmp_message_begin(live_rtmp_chunk_reader_t *r,
    live_rtmp_cs_t *cs, uint32_t fmt, live_reader_t *in);
static live_rtmp_cs_t *live_rtmp_cs_find(live_rtmp_chunk_reader_t *r,
    uint32_t csid);
static live_rtmp_cs_t *live_rtmp_cs_add(live_rtmp_chunk_reader_t *r,
    uint32_t csid);
static size_t live_rtmp_basic_size(const uint8_t *p);
static uint32_t live_rtmp_csid(const uint8_t *p);
static int live_rtmp_chunk_error(live_rtmp_chunk_reader_t *r,
    const char *text);


/* bytes of the message header for each fmt (RTMP-17) */
static const uint8_t  live_rtmp_header_sizes[] = { 11, 7, 3, 0 };


void
live_rtmp_chunk_init(live_rtmp_chunk_reader_t *r, uint32_t max_message)
{
    memset(r, 0, sizeof(live_rtmp_chunk_reader_t));

    r->chunk_size = LIVE_RTMP_DEFAULT_CHUNK;
    r->max_message = max_message;
    r->max_collected = LIVE_RTMP_MAX_COLLECTED;
    r->max_csids = LIVE_RTMP_MAX_CSIDS;
}


int
live_rtmp_chunk_next(live_rtmp_chunk_reader_t *r, live_reader_t *in,
    live_rtmp_slice_t *slice)
{
    int              rc;
    uint32_t         n;
    live_rtmp_cs_t  *cs;

    if (r->current == NULL) {
        rc = live_rtmp_chunk_header(r, in);

        if (rc != LIVE_OK) {
            return rc;
        }
    }

    cs = r->current;
    n = r->left;

    if (cs == NULL) {
        return LIVE_ERROR;
    }

    if (r->carried) {

        /* what was taken for an extended timestamp is payload (RTMP-22) */

        if (n > r->carried) {
            n = r->carried;
        }

        memcpy(r->spill, r->carry, n);
        r->carried -= n;
        memmove(r->carry, r->carry + n, r->carried);

        slice->data = r->spill;

    } else {

        if (n > live_reader_left(in)) {
            n = (uint32_t) live_reader_left(in);

            if (n == 0) {
                return LIVE_AGAIN;
            }
        }

        slice->data = in->pos;
        in->pos += n;
    }

    slice->cs = cs;
    slice->len = n;
    slice->offset = cs->received;

    cs->received += n;
    r->left -= n;

    if (r->left == 0) {
        r->current = NULL;
        cs->open = cs->received < cs->length;
    }

    return LIVE_OK;
}


/* Takes the next header, straight from the input when all of it is there. */

static int
live_rtmp_chunk_header(live_rtmp_chunk_reader_t *r, live_reader_t *in)
{
    int             rc;
    size_t          left, size;
    const uint8_t  *p;

    if (r->carried == 0) {

        p = in->pos;
        left = live_reader_left(in);
        size = live_rtmp_header_size(r, p, left);

        if (size <= left) {
            in->pos += size;
            return live_rtmp_chunk_begin(r, p, size);
        }

        memcpy(r->carry, p, left);
        r->carried = (uint32_t) left;
        in->pos = in->last;

        return LIVE_AGAIN;
    }

    for ( ;; ) {
        size = live_rtmp_header_size(r, r->carry, r->carried);

        if (size <= r->carried) {
            break;
        }

        if (live_reader_left(in) == 0) {
            return LIVE_AGAIN;
        }

        r->carry[r->carried++] = *in->pos++;
    }

    rc = live_rtmp_chunk_begin(r, r->carry, size);

    r->carried -= (uint32_t) size;
    memmove(r->carry, r->carry + size, r->carried);

    return rc;
}


/* Returns the size of the header; a value above len is how many bytes are
 * needed to know more. */

static size_t
live_rtmp_header_size(live_rtmp_chunk_reader_t *r, const uint8_t *p,
    size_t len)
{
    size_t  basic, size;

    if (len == 0) {
        return 1;
    }

    basic = live_rtmp_basic_size(p);

    if (p[0] >> 6 == 3) {
        return len < basic ? basic : live_rtmp_continuation_size(r, p, len);
    }

    size = basic + live_rtmp_header_sizes[p[0] >> 6];

    if (len < size) {
        return size;
    }

    p += basic;

    return (p[0] & p[1] & p[2]) == 0xff ? size + 4 : size;
}


/*
 * RTMP-22: a continuation may or may not repeat the extended timestamp.  It
 * does only if all four bytes are equal to it; one that differs settles the
 * matter, so that nobody waits for bytes that a complete message lacks.
 */

static size_t
live_rtmp_continuation_size(live_rtmp_chunk_reader_t *r, const uint8_t *p,
    size_t len)
{
    size_t           basic, i;
    live_rtmp_cs_t  *cs;

    basic = live_rtmp_basic_size(p);
    cs = live_rtmp_cs_find(r, live_rtmp_csid(p));

    if (cs == NULL || !cs->extended) {
        return basic;
    }

    for (i = 0; i < 4 && basic + i < len; i++) {
        if (p[basic + i] != (uint8_t) (cs->field >> (24 - 8 * i))) {
            return basic;
        }
    }

    return basic + 4;
}


/* p has a complete header of that size. */

static int
live_rtmp_chunk_begin(live_rtmp_chunk_reader_t *r, const uint8_t *p,
    size_t size)
{
    int              rc;
    uint32_t         csid, fmt;
    live_reader_t    in;
    live_rtmp_cs_t  *cs;

    live_reader_init(&in, p, size);
    live_read(&in, live_rtmp_basic_size(p));

    fmt = p[0] >> 6;
    csid = live_rtmp_csid(p);

    cs = live_rtmp_cs_find(r, csid);

    if (cs == NULL) {

        /* RTMP-20: fmt 1 has all it needs but a time to count from */

        if (fmt > 1) {
            return live_rtmp_chunk_error(r, "chunk: header refers to nothing");
        }

        cs = live_rtmp_cs_add(r, csid);

        if (cs == NULL) {
            return live_rtmp_chunk_error(r, "chunk: too many chunk streams");
        }
    }

    if (!cs->open) {
        rc = live_rtmp_message_begin(r, cs, fmt, &in);

        if (rc != LIVE_OK) {
            return rc;
        }

    } else if (fmt != 3) {
        return live_rtmp_chunk_error(r, "chunk: header inside of a message");
    }

    r->current = cs;
    r->left = cs->length - cs->received;

    if (r->left > r->chunk_size) {
        r->left = r->chunk_size;
    }

    return LIVE_OK;
}


static int
live_rtmp_message_begin(live_rtmp_chunk_reader_t *r, live_rtmp_cs_t *cs,
    uint32_t fmt, live_reader_t *in)
{
    uint32_t  limit;

    if (fmt < 3) {
        cs->field = live_read_u24(in);
        cs->extended = cs->field == LIVE_RTMP_NO_TIME;
    }

    if (fmt < 2) {
        cs->length = live_read_u24(in);
        cs->type = (uint8_t) live_read_u8(in);
    }

    if (fmt == 0) {
        /* the only little-endian number (RTMP-17) */
        cs->msid = __builtin_bswap32(live_read_u32(in));
        cs->timestamp = 0;
    }

    if (fmt < 3 && cs->extended) {
        cs->field = live_read_u32(in);
    }

    cs->timestamp += cs->field;
    cs->received = 0;
    cs->open = 1;

    limit = live_rtmp_is_collected(cs->type) ? r->max_collected
                                             : r->max_message;

    if (cs->length > limit) {
        snprintf(r->error, sizeof(r->error),
                 "message of type %u has %u bytes, the limit is %u",
                 cs->type, cs->length, limit);
        return LIVE_ERROR;
    }

    return LIVE_OK;
}


live_rtmp_cs_t *
live_rtmp_chunk_abort(live_rtmp_chunk_reader_t *r, uint32_t csid)
{
    live_rtmp_cs_t  *cs;

    cs = live_rtmp_cs_find(r, csid);

    if (cs == NULL || !cs->open) {
        return NULL;
    }

    cs->open = 0;

    return cs;
}


static live_rtmp_cs_t *
live_rtmp_cs_find(live_rtmp_chunk_reader_t *r, uint32_t csid)
{
    uint32_t  i;

    if (csid < LIVE_RTMP_SHORT_CSIDS) {
        return r->index[csid] ? &r->cs[r->index[csid]] : NULL;
    }

    for (i = 1; i <= r->ncs; i++) {
        if (r->cs[i].csid == csid) {
            return &r->cs[i];
        }
    }

    return NULL;
}


static live_rtmp_cs_t *
live_rtmp_cs_add(live_rtmp_chunk_reader_t *r, uint32_t csid)
{
    live_rtmp_cs_t  *cs;

    if (r->ncs == r->max_csids) {
        return NULL;
    }

    cs = &r->cs[++r->ncs];
    cs->csid = csid;

    if (csid < LIVE_RTMP_SHORT_CSIDS) {
        r->index[csid] = (uint8_t) r->ncs;
    }

    return cs;
}


static size_t
live_rtmp_basic_size(const uint8_t *p)
{
    switch (p[0] & 0x3f) {

    case 0:
        return 2;

    case 1:
        return 3;

    default:
        return 1;
    }
}


/* RTMP-16; the low byte of the three byte form comes first. */

static uint32_t
live_rtmp_csid(const uint8_t *p)
{
    switch (p[0] & 0x3f) {

    case 0:
        return 64 + p[1];

    case 1:
        return 64 + p[1] + 256 * (uint32_t) p[2];

    default:
        return p[0] & 0x3f;
    }
}


int
live_rtmp_is_collected(uint32_t type)
{
    switch (type) {

    case LIVE_RTMP_SET_CHUNK_SIZE:
    case LIVE_RTMP_ABORT:
    case LIVE_RTMP_ACK:
    case LIVE_RTMP_USER_CONTROL:
    case LIVE_RTMP_WINDOW_ACK:
    case LIVE_RTMP_PEER_BANDWIDTH:
    case LIVE_RTMP_DATA_AMF3:
    case LIVE_RTMP_COMMAND_AMF3:
    case LIVE_RTMP_DATA:
    case LIVE_RTMP_COMMAND:
        return 1;
    }

    return 0;
}


static int
live_rtmp_chunk_error(live_rtmp_chunk_reader_t *r, const char *text)
{
    snprintf(r->error, sizeof(r->error), "%s", text);

    return LIVE_ERROR;
}
