
/*
 * AMF3 values (RTMP-51).  Each value after an AMF0 marker 0x11 has reference
 * tables of its own.  Strings and traits are kept as offsets into the input;
 * a reference to an object is not followed, its value is just unknown.
 */

#include "live_amf3.h"


#define LIVE_AMF3_UNDEFINED      0x00
#define LIVE_AMF3_NULL           0x01
#define LIVE_AMF3_FALSE          0x02
#define LIVE_AMF3_TRUE           0x03
#define LIVE_AMF3_INTEGER        0x04
#define LIVE_AMF3_DOUBLE         0x05
#define LIVE_AMF3_STRING         0x06
#define LIVE_AMF3_XML_DOC        0x07
#define LIVE_AMF3_DATE           0x08
#define LIVE_AMF3_ARRAY          0x09
#define LIVE_AMF3_OBJECT         0x0a
#define LIVE_AMF3_XML            0x0b
#define LIVE_AMF3_BYTES          0x0c
#define LIVE_AMF3_VECTOR_INT     0x0d
#define LIVE_AMF3_VECTOR_UINT    0x0e
#define LIVE_AMF3_VECTOR_DOUBLE  0x0f
#define LIVE_AMF3_VECTOR_OBJECT  0x10
#define LIVE_AMF3_DICTIONARY     0x11

#define LIVE_AMF3_MAX_STRINGS    256
#define LIVE_AMF3_MAX_TRAITS     32


typedef struct {
    live_amf_reader_t  *a;
    const uint8_t      *base;           /* of this value */
    uint32_t            nstrings;
    uint32_t            ntraits;

    /* where their U29 stands, counted from base */
    uint32_t            strings[LIVE_AMF3_MAX_STRINGS];
    uint32_t            traits[LIVE_AMF3_MAX_TRAITS];
} live_amf3_ctx_t;


static int live_amf3_value(live_amf3_ctx_t *ctx, live_amf_value_t *v);
static int live_amf3_scalar(live_amf3_ctx_t *ctx, live_amf_value_t *v,
    uint32_t marker);
static int live_amf3_composite(live_amf3_ctx_t *ctx, live_amf_value_t *v,
    uint32_t marker);
static int live_amf3_object(live_amf3_ctx_t *ctx, const uint8_t *pos,
    uint32_t head);
static int live_amf3_traits(live_amf3_ctx_t *ctx, uint32_t head);
static int live_amf3_array(live_amf3_ctx_t *ctx, uint32_t n);
static int live_amf3_named(live_amf3_ctx_t *ctx);
static int live_amf3_values(live_amf3_ctx_t *ctx, uint32_t n);
static int live_amf3_property(live_amf3_ctx_t *ctx,
    const live_amf_str_t *name);
static int live_amf3_string(live_amf3_ctx_t *ctx, live_reader_t *in,
    live_amf_str_t *s, int store);
static uint32_t live_amf3_u29(live_reader_t *in);


int
live_amf3_read(live_amf_reader_t *a, live_amf_value_t *v)
{
    live_amf3_ctx_t  ctx;

    ctx.a = a;
    ctx.base = a->in.pos;
    ctx.nstrings = 0;
    ctx.ntraits = 0;

    return live_amf3_value(&ctx, v);
}


static int
live_amf3_value(live_amf3_ctx_t *ctx, live_amf_value_t *v)
{
    int                 rc;
    uint32_t            marker;
    live_amf_reader_t  *a = ctx->a;

    v->type = LIVE_AMF_OTHER;
    v->number = 0;
    v->str.data = NULL;
    v->str.len = 0;

    marker = live_read_u8(&a->in);

    if (a->in.error) {
        return LIVE_ERROR;
    }

    switch (marker) {

    case LIVE_AMF3_ARRAY:
    case LIVE_AMF3_OBJECT:
    case LIVE_AMF3_VECTOR_OBJECT:
    case LIVE_AMF3_DICTIONARY:
        break;

    default:
        return live_amf3_scalar(ctx, v, marker);
    }

    if (a->depth == a->max_depth) {
        a->too_deep = 1;
        return LIVE_ERROR;
    }

    a->depth++;
    rc = live_amf3_composite(ctx, v, marker);
    a->depth--;

    return rc;
}


static int
live_amf3_scalar(live_amf3_ctx_t *ctx, live_amf_value_t *v, uint32_t marker)
{
    size_t          n;
    uint32_t        head;
    live_reader_t  *in = &ctx->a->in;

    switch (marker) {

    case LIVE_AMF3_UNDEFINED:
        v->type = LIVE_AMF_UNDEFINED;
        return LIVE_OK;

    case LIVE_AMF3_NULL:
        v->type = LIVE_AMF_NULL;
        return LIVE_OK;

    case LIVE_AMF3_FALSE:
    case LIVE_AMF3_TRUE:
        v->type = LIVE_AMF_BOOLEAN;
        v->number = marker == LIVE_AMF3_TRUE;
        return LIVE_OK;

    case LIVE_AMF3_INTEGER:
        head = live_amf3_u29(in);
        v->type = LIVE_AMF_NUMBER;
        v->number = (double) head - (head & 0x10000000 ? 0x20000000 : 0);
        return in->error ? LIVE_ERROR : LIVE_OK;

    case LIVE_AMF3_DOUBLE:
        v->type = LIVE_AMF_NUMBER;
        v->number = live_amf_double(in);
        return in->error ? LIVE_ERROR : LIVE_OK;

    case LIVE_AMF3_STRING:
        v->type = LIVE_AMF_STRING;
        return live_amf3_string(ctx, in, &v->str, 1);
    }

    /* the others begin with a reference or a size and are skipped */

    head = live_amf3_u29(in);
    n = head >> 1;

    if (head & 1) {

        switch (marker) {

        case LIVE_AMF3_XML_DOC:
        case LIVE_AMF3_XML:
        case LIVE_AMF3_BYTES:
            live_read(in, n);
            break;

        case LIVE_AMF3_DATE:
            live_read(in, 8);
            break;

        case LIVE_AMF3_VECTOR_INT:
        case LIVE_AMF3_VECTOR_UINT:
            live_read(in, n * 4 + 1);
            break;

        case LIVE_AMF3_VECTOR_DOUBLE:
            live_read(in, n * 8 + 1);
            break;

        default:
            return LIVE_ERROR;
        }

    } else if (marker > LIVE_AMF3_DICTIONARY) {
        return LIVE_ERROR;
    }

    return in->error ? LIVE_ERROR : LIVE_OK;
}


static int
live_amf3_composite(live_amf3_ctx_t *ctx, live_amf_value_t *v, uint32_t marker)
{
    uint32_t         head;
    live_reader_t   *in = &ctx->a->in;
    live_amf_str_t   name;
    const uint8_t   *pos;

    pos = in->pos;
    head = live_amf3_u29(in);

    if (in->error) {
        return LIVE_ERROR;
    }

    if (!(head & 1)) {
        return LIVE_OK;
    }

    switch (marker) {

    case LIVE_AMF3_OBJECT:
        v->type = LIVE_AMF_OBJECT;
        return live_amf3_object(ctx, pos, head);

    case LIVE_AMF3_ARRAY:
        v->type = LIVE_AMF_ARRAY;
        return live_amf3_array(ctx, head >> 1);

    case LIVE_AMF3_VECTOR_OBJECT:
        live_read_u8(in);

        if (live_amf3_string(ctx, in, &name, 1) != LIVE_OK) {
            return LIVE_ERROR;
        }

        return live_amf3_values(ctx, head >> 1);

    default: /* LIVE_AMF3_DICTIONARY: a key is a value too */
        live_read_u8(in);
        return live_amf3_values(ctx, head & ~1u);
    }
}


static int
live_amf3_object(live_amf3_ctx_t *ctx, const uint8_t *pos, uint32_t head)
{
    uint32_t         n;
    live_reader_t    traits;
    live_amf_str_t   name;

    if (head & 2) {

        if (live_amf3_traits(ctx, head) != LIVE_OK) {
            return LIVE_ERROR;
        }

        n = (uint32_t) (pos - ctx->base);

        if (ctx->ntraits < LIVE_AMF3_MAX_TRAITS) {
            ctx->traits[ctx->ntraits++] = n;
        }

    } else {

        if (head >> 2 >= ctx->ntraits) {
            return LIVE_ERROR;
        }

        n = ctx->traits[head >> 2];
    }

    /* the traits are read a second time, in step with the values */

    live_reader_init(&traits, ctx->base + n, ctx->a->in.last - ctx->base - n);

    head = live_amf3_u29(&traits);

    if (live_amf3_string(ctx, &traits, &name, 0) != LIVE_OK) {
        return LIVE_ERROR;
    }

    for (n = head >> 4; n; n--) {
        if (live_amf3_string(ctx, &traits, &name, 0) != LIVE_OK
            || live_amf3_property(ctx, &name) != LIVE_OK)
        {
            return LIVE_ERROR;
        }
    }

    return head & 8 ? live_amf3_named(ctx) : LIVE_OK;
}


/* Takes the class name and the names of the sealed members. */

static int
live_amf3_traits(live_amf3_ctx_t *ctx, uint32_t head)
{
    uint32_t        n;
    live_amf_str_t  name;

    /* only its class knows how long an externalizable object is */

    if (head & 4) {
        return LIVE_ERROR;
    }

    for (n = (head >> 4) + 1; n; n--) {
        if (live_amf3_string(ctx, &ctx->a->in, &name, 1) != LIVE_OK) {
            return LIVE_ERROR;
        }
    }

    return LIVE_OK;
}


static int
live_amf3_array(live_amf3_ctx_t *ctx, uint32_t n)
{
    if (live_amf3_named(ctx) != LIVE_OK) {
        return LIVE_ERROR;
    }

    return live_amf3_values(ctx, n);
}


/* Names and values up to an empty name. */

static int
live_amf3_named(live_amf3_ctx_t *ctx)
{
    live_amf_str_t  name;

    for ( ;; ) {

        if (live_amf3_string(ctx, &ctx->a->in, &name, 1) != LIVE_OK) {
            return LIVE_ERROR;
        }

        if (name.len == 0) {
            return LIVE_OK;
        }

        if (live_amf3_property(ctx, &name) != LIVE_OK) {
            return LIVE_ERROR;
        }
    }
}


static int
live_amf3_property(live_amf3_ctx_t *ctx, const live_amf_str_t *name)
{
    live_amf_value_t  v;

    if (++ctx->a->properties > LIVE_AMF_MAX_PROPERTIES
        || live_amf3_value(ctx, &v) != LIVE_OK)
    {
        return LIVE_ERROR;
    }

    live_amf_show(ctx->a, name, &v);

    return LIVE_OK;
}


static int
live_amf3_values(live_amf3_ctx_t *ctx, uint32_t n)
{
    live_amf_value_t  v;

    if (n > live_reader_left(&ctx->a->in)) {
        return LIVE_ERROR;
    }

    while (n--) {
        if (live_amf3_value(ctx, &v) != LIVE_OK) {
            return LIVE_ERROR;
        }
    }

    return ctx->a->in.error ? LIVE_ERROR : LIVE_OK;
}


/* store: the string is met for the first time and may be referred to. */

static int
live_amf3_string(live_amf3_ctx_t *ctx, live_reader_t *in, live_amf_str_t *s,
    int store)
{
    uint32_t        head;
    live_reader_t   first;
    const uint8_t  *pos = in->pos;

    head = live_amf3_u29(in);

    if (!(head & 1)) {

        if (in->error || head >> 1 >= ctx->nstrings) {
            return LIVE_ERROR;
        }

        pos = ctx->base + ctx->strings[head >> 1];
        live_reader_init(&first, pos, ctx->a->in.last - pos);

        in = &first;
        head = live_amf3_u29(in);
        store = 0;
    }

    s->data = live_read(in, head >> 1);
    s->len = head >> 1;

    if (in->error) {
        return LIVE_ERROR;
    }

    /* the empty string is never referred to */

    if (store && s->len && ctx->nstrings < LIVE_AMF3_MAX_STRINGS) {
        ctx->strings[ctx->nstrings++] = (uint32_t) (pos - ctx->base);
    }

    return LIVE_OK;
}


static uint32_t
live_amf3_u29(live_reader_t *in)
{
    uint32_t  b, i, v;

    v = 0;

    for (i = 0; i < 3; i++) {
        b = live_read_u8(in);
        v = v << 7 | (b & 0x7f);

        if (!(b & 0x80)) {
            return v;
        }
    }

    return v << 8 | live_read_u8(in);
}
