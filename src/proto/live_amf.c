
#include "live_amf.h"
#include "live_amf3.h"


#define LIVE_AMF0_NUMBER        0x00
#define LIVE_AMF0_BOOLEAN       0x01
#define LIVE_AMF0_STRING        0x02
#define LIVE_AMF0_OBJECT        0x03
#define LIVE_AMF0_NULL          0x05
#define LIVE_AMF0_UNDEFINED     0x06
#define LIVE_AMF0_REFERENCE     0x07
#define LIVE_AMF0_ECMA_ARRAY    0x08
#define LIVE_AMF0_OBJECT_END    0x09
#define LIVE_AMF0_STRICT_ARRAY  0x0a
#define LIVE_AMF0_DATE          0x0b
#define LIVE_AMF0_LONG_STRING   0x0c
#define LIVE_AMF0_UNSUPPORTED   0x0d
#define LIVE_AMF0_XML           0x0f
#define LIVE_AMF0_TYPED_OBJECT  0x10
#define LIVE_AMF0_AMF3          0x11


static int live_amf_scalar(live_amf_reader_t *a, live_amf_value_t *v,
    uint32_t marker);
static int live_amf_composite(live_amf_reader_t *a, live_amf_value_t *v,
    uint32_t marker);
static int live_amf_properties(live_amf_reader_t *a, int ecma);
static int live_amf_elements(live_amf_reader_t *a);
static void live_amf_string(live_reader_t *in, live_amf_str_t *s, size_t len);
static void live_amf_write_key(live_writer_t *w, const char *s);


void
live_amf_init(live_amf_reader_t *a, const void *data, size_t len)
{
    live_reader_init(&a->in, data, len);

    a->visit = NULL;
    a->ctx = NULL;
    a->depth = 0;
    a->max_depth = LIVE_AMF_MAX_DEPTH;
    a->properties = 0;
    a->too_deep = 0;
}


int
live_amf_read_object(live_amf_reader_t *a, live_amf_value_t *v,
    live_amf_visit_pt visit, void *ctx)
{
    int  rc;

    a->visit = visit;
    a->ctx = ctx;

    rc = live_amf_read(a, v);

    a->visit = NULL;

    return rc;
}


int
live_amf_read(live_amf_reader_t *a, live_amf_value_t *v)
{
    int       rc;
    uint32_t  marker;

    v->type = LIVE_AMF_OTHER;
    v->number = 0;
    v->str.data = NULL;
    v->str.len = 0;

    marker = live_read_u8(&a->in);

    if (a->in.error) {
        return LIVE_ERROR;
    }

    switch (marker) {

    case LIVE_AMF0_OBJECT:
    case LIVE_AMF0_ECMA_ARRAY:
    case LIVE_AMF0_STRICT_ARRAY:
    case LIVE_AMF0_TYPED_OBJECT:
    case LIVE_AMF0_AMF3:
        break;

    default:
        return live_amf_scalar(a, v, marker);
    }

    /* RTMP-50: this is what bounds the recursion */

    if (a->depth == a->max_depth) {
        a->too_deep = 1;
        return LIVE_ERROR;
    }

    if (marker == LIVE_AMF0_AMF3) {
        return live_amf3_read(a, v);
    }

    a->depth++;
    rc = live_amf_composite(a, v, marker);
    a->depth--;

    return rc;
}


static int
live_amf_scalar(live_amf_reader_t *a, live_amf_value_t *v, uint32_t marker)
{
    live_reader_t  *in = &a->in;

    switch (marker) {

    case LIVE_AMF0_NUMBER:
        v->type = LIVE_AMF_NUMBER;
        v->number = live_amf_double(in);
        break;

    case LIVE_AMF0_BOOLEAN:
        v->type = LIVE_AMF_BOOLEAN;
        v->number = live_read_u8(in) != 0;
        break;

    case LIVE_AMF0_STRING:
        v->type = LIVE_AMF_STRING;
        live_amf_string(in, &v->str, live_read_u16(in));
        break;

    case LIVE_AMF0_LONG_STRING:
        v->type = LIVE_AMF_STRING;
        live_amf_string(in, &v->str, live_read_u32(in));
        break;

    case LIVE_AMF0_NULL:
        v->type = LIVE_AMF_NULL;
        break;

    case LIVE_AMF0_UNDEFINED:
    case LIVE_AMF0_UNSUPPORTED:
        v->type = LIVE_AMF_UNDEFINED;
        break;

    case LIVE_AMF0_REFERENCE:
        live_read_u16(in);
        break;

    case LIVE_AMF0_DATE:
        live_read(in, 10);
        break;

    case LIVE_AMF0_XML:
        live_read(in, live_read_u32(in));
        break;

    default:
        return LIVE_ERROR;
    }

    return in->error ? LIVE_ERROR : LIVE_OK;
}


static int
live_amf_composite(live_amf_reader_t *a, live_amf_value_t *v, uint32_t marker)
{
    switch (marker) {

    case LIVE_AMF0_OBJECT:
        v->type = LIVE_AMF_OBJECT;
        return live_amf_properties(a, 0);

    case LIVE_AMF0_TYPED_OBJECT:
        v->type = LIVE_AMF_OBJECT;
        live_read(&a->in, live_read_u16(&a->in));
        return live_amf_properties(a, 0);

    case LIVE_AMF0_ECMA_ARRAY:
        /* RTMP-48: the count is only a hint */
        v->type = LIVE_AMF_ARRAY;
        live_read_u32(&a->in);
        return live_amf_properties(a, 1);

    default: /* LIVE_AMF0_STRICT_ARRAY */
        v->type = LIVE_AMF_ARRAY;
        return live_amf_elements(a);
    }
}


static int
live_amf_properties(live_amf_reader_t *a, int ecma)
{
    live_reader_t     *in = &a->in;
    live_amf_str_t     name;
    live_amf_value_t   v;

    for ( ;; ) {

        /* RTMP-48: some encoders leave the end marker of the last one out */

        if (ecma && !in->error && live_reader_left(in) == 0) {
            return LIVE_OK;
        }

        live_amf_string(in, &name, live_read_u16(in));

        if (in->error) {
            return LIVE_ERROR;
        }

        /* RTMP-47: an empty name alone does not end the object */

        if (name.len == 0
            && live_reader_left(in)
            && *in->pos == LIVE_AMF0_OBJECT_END)
        {
            in->pos++;
            return LIVE_OK;
        }

        if (++a->properties > LIVE_AMF_MAX_PROPERTIES
            || live_amf_read(a, &v) != LIVE_OK)
        {
            return LIVE_ERROR;
        }

        live_amf_show(a, &name, &v);
    }
}


static int
live_amf_elements(live_amf_reader_t *a)
{
    uint32_t          n;
    live_amf_value_t  v;

    n = live_read_u32(&a->in);

    /* RTMP-49 */

    if (n > live_reader_left(&a->in)) {
        return LIVE_ERROR;
    }

    while (n--) {
        if (live_amf_read(a, &v) != LIVE_OK) {
            return LIVE_ERROR;
        }
    }

    return a->in.error ? LIVE_ERROR : LIVE_OK;
}


static void
live_amf_string(live_reader_t *in, live_amf_str_t *s, size_t len)
{
    s->data = live_read(in, len);
    s->len = s->data ? len : 0;
}


int
live_amf_str_is(const live_amf_str_t *s, const char *text)
{
    size_t  len = strlen(text);

    return s->len == len && (len == 0 || memcmp(s->data, text, len) == 0);
}


void
live_amf_str_print(const live_amf_str_t *s, char *buf, size_t size)
{
    size_t  i, n;

    n = s->len < size ? s->len : size - 1;

    for (i = 0; i < n; i++) {
        buf[i] = (s->data[i] < 0x20 || s->data[i] > 0x7e) ? '?'
                                                         : (char) s->data[i];
    }

    buf[n] = '\0';
}


void
live_amf_write_number(live_writer_t *w, double n)
{
    uint64_t  bits;

    memcpy(&bits, &n, sizeof(bits));

    live_write_u8(w, LIVE_AMF0_NUMBER);
    live_write_u64(w, bits);
}


void
live_amf_write_str(live_writer_t *w, const char *s)
{
    live_write_u8(w, LIVE_AMF0_STRING);
    live_amf_write_key(w, s);
}


void
live_amf_write_null(live_writer_t *w)
{
    live_write_u8(w, LIVE_AMF0_NULL);
}


void
live_amf_write_undefined(live_writer_t *w)
{
    live_write_u8(w, LIVE_AMF0_UNDEFINED);
}


void
live_amf_write_object(live_writer_t *w)
{
    live_write_u8(w, LIVE_AMF0_OBJECT);
}


void
live_amf_write_object_end(live_writer_t *w)
{
    live_write_u24(w, LIVE_AMF0_OBJECT_END);
}


void
live_amf_write_str_property(live_writer_t *w, const char *name, const char *s)
{
    live_amf_write_key(w, name);
    live_amf_write_str(w, s);
}


void
live_amf_write_number_property(live_writer_t *w, const char *name, double n)
{
    live_amf_write_key(w, name);
    live_amf_write_number(w, n);
}


static void
live_amf_write_key(live_writer_t *w, const char *s)
{
    size_t  len = strlen(s);

    if (len > 0xffff) {
        w->error = 1;
        return;
    }

    live_write_u16(w, (uint32_t) len);
    live_write(w, s, len);
}
