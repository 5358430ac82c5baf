/*
 * Bounded bit reader, most significant bit first, for codec records; reads
 * Exp-Golomb codes and, in an H.264 RBSP, steps over emulation prevention
 * bytes.  The error flag is sticky as in live_buf.h: after an error reads
 * return 0.  Pure; any thread.
 */

#ifndef _LIVE_BITS_H_INCLUDED_
#define _LIVE_BITS_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>


typedef struct {
    const uint8_t  *pos;
    const uint8_t  *last;
    uint32_t        byte;       /* the byte being read ... */
    unsigned        left;       /* ... and its bits that are still unread */
    unsigned        zeros;      /* zero bytes in a row before pos */
    unsigned        rbsp:1;     /* 00 00 03 stands for 00 00 */
    unsigned        error:1;
} live_bits_t;


static inline void
live_bits_init(live_bits_t *b, const uint8_t *data, size_t len, unsigned rbsp)
{
    b->pos = data;
    b->last = data + len;
    b->byte = 0;
    b->left = 0;
    b->zeros = 0;
    b->rbsp = rbsp;
    b->error = 0;
}


/* Bits to come, emulation prevention included. */
static inline size_t
live_bits_left(const live_bits_t *b)
{
    return b->error ? 0 : (size_t) (b->last - b->pos) * 8 + b->left;
}


static inline void
live_bits_load(live_bits_t *b)
{
    if (b->rbsp && b->zeros >= 2 && b->pos < b->last && *b->pos == 3) {
        b->pos++;
        b->zeros = 0;
    }

    if (b->error || b->pos == b->last) {
        b->error = 1;
        return;
    }

    b->byte = *b->pos++;
    b->left = 8;
    b->zeros = b->byte ? 0 : b->zeros + 1;
}


/* The next n bits, n <= 32. */
static inline uint32_t
live_bits_get(live_bits_t *b, unsigned n)
{
    unsigned  take;
    uint64_t  v;

    v = 0;

    while (n) {
        if (b->left == 0) {
            live_bits_load(b);

            if (b->error) {
                return 0;
            }
        }

        take = n < b->left ? n : b->left;
        b->left -= take;
        n -= take;

        v = v << take | (b->byte >> b->left & ((1ull << take) - 1));
    }

    return (uint32_t) v;
}


static inline void
live_bits_skip(live_bits_t *b, unsigned n)
{
    while (n > 32) {
        (void) live_bits_get(b, 32);
        n -= 32;
    }

    (void) live_bits_get(b, n);
}


/* The rest of a byte that was begun. */
static inline void
live_bits_align(live_bits_t *b)
{
    b->left = 0;
}


/* ue(v); 2^32 - 1, which needs 33 bits, is an error: nothing uses it. */
static inline uint32_t
live_bits_ue(live_bits_t *b)
{
    unsigned  zeros;

    for (zeros = 0; live_bits_get(b, 1) == 0; zeros++) {
        if (b->error || zeros == 31) {
            b->error = 1;
            return 0;
        }
    }

    return (uint32_t) ((1ull << zeros) - 1) + live_bits_get(b, zeros);
}


/* se(v) */
static inline int32_t
live_bits_se(live_bits_t *b)
{
    uint32_t  v = live_bits_ue(b);

    return v & 1 ? (int32_t) (v / 2 + 1) : -(int32_t) (v / 2);
}


#endif /* _LIVE_BITS_H_INCLUDED_ */
