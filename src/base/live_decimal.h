
/*
 * Decimal numbers into a live_writer_t, without printf: what playlists and
 * metrics print per line.  Pure; any thread.
 */

#ifndef _LIVE_DECIMAL_H_INCLUDED_
#define _LIVE_DECIMAL_H_INCLUDED_


#include "live_buf.h"


#define LIVE_DECIMAL_LEN  20        /* digits of the largest uint64_t */


/* At least width digits (up to LIVE_DECIMAL_LEN), zeros in front. */
static inline void
live_write_digits(live_writer_t *w, uint64_t v, unsigned width)
{
    uint8_t   buf[LIVE_DECIMAL_LEN];
    unsigned  n = 0;

    while (v || n < width) {
        buf[LIVE_DECIMAL_LEN - ++n] = (uint8_t) ('0' + v % 10);
        v /= 10;
    }

    live_write(w, buf + LIVE_DECIMAL_LEN - n, n);
}


static inline void
live_write_decimal(live_writer_t *w, uint64_t v)
{
    live_write_digits(w, v, 1);
}


/* v counts units of 10^-digits: 12345 with 3 digits is 12.345. */
static inline void
live_write_fixed(live_writer_t *w, uint64_t v, unsigned digits)
{
    unsigned  i;
    uint64_t  scale = 1;

    for (i = 0; i < digits; i++) {
        scale *= 10;
    }

    live_write_digits(w, v / scale, 1);
    live_write_u8(w, '.');
    live_write_digits(w, v % scale, digits);
}


#endif /* _LIVE_DECIMAL_H_INCLUDED_ */
