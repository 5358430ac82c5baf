
/* Reads values until the end; a string must lie in the input. */

#include <stdlib.h>

#include "live_amf.h"


typedef struct {
    const uint8_t  *data;
    size_t          len;
    uint32_t        sum;
} input_t;


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);


static void
check(input_t *in, const live_amf_str_t *s)
{
    char  buf[32];

    if (s->len == 0) {
        return;
    }

    if (s->data < in->data || s->data + s->len > in->data + in->len) {
        abort();
    }

    live_amf_str_print(s, buf, sizeof(buf));
    in->sum += s->data[0] + s->data[s->len - 1] + buf[0];
}


static void
visit(void *ctx, const live_amf_str_t *name, const live_amf_value_t *v)
{
    check(ctx, name);
    check(ctx, &v->str);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    input_t             in = { data, len, 0 };
    live_amf_value_t    v;
    live_amf_reader_t   a;

    live_amf_init(&a, data, len);

    while (live_amf_read_object(&a, &v, visit, &in) == LIVE_OK) {
        visit(&in, &v.str, &v);
    }

    if (a.properties > LIVE_AMF_MAX_PROPERTIES + 1) {
        abort();
    }

    return 0;
}
