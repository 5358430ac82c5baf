
/* The AMF3 half of the AMF reader; only live_amf.c includes it. */

#ifndef _LIVE_AMF3_H_INCLUDED_
#define _LIVE_AMF3_H_INCLUDED_


#include "live_amf.h"


/* Takes one AMF3 value, which follows the AMF0 marker 0x11. */
int live_amf3_read(live_amf_reader_t *a, live_amf_value_t *v);


/* Shows a property when it belongs to the object that was asked for. */
static inline void
live_amf_show(live_amf_reader_t *a, const live_amf_str_t *name,
    const live_amf_value_t *v)
{
    if (a->depth == 1 && a->visit) {
        a->visit(a->ctx, name, v);
    }
}


static inline double
live_amf_double(live_reader_t *in)
{
    double    n;
    uint64_t  bits = live_read_u64(in);

    memcpy(&n, &bits, sizeof(n));

    return n;
}


#endif /* _LIVE_AMF3_H_INCLUDED_ */
