
/*
 * How many there are: distinct numbers of 64 bits, counted in memory that does
 * not grow.  A few are counted exactly, more are estimated by HyperLogLog.
 * Pure; what is shared by processes is for the caller to protect.
 */

#ifndef _LIVE_VIEWERS_H_INCLUDED_
#define _LIVE_VIEWERS_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>


#define LIVE_VIEWERS_BITS   12
#define LIVE_VIEWERS_SIZE   (1 << LIVE_VIEWERS_BITS)   /* bytes of a sketch */
#define LIVE_VIEWERS_SLOTS  (LIVE_VIEWERS_SIZE / 8)
#define LIVE_VIEWERS_EXACT  256             /* so many are counted exactly */


/* All zero: nobody. */
typedef struct {
    uint32_t      n;                        /* of ids */
    uint32_t      sketched;                 /* ids have become registers */

    union {
        uint64_t  ids[LIVE_VIEWERS_SLOTS];  /* a hash table; 0: free */
        uint8_t   registers[LIVE_VIEWERS_SIZE];
    } u;
} live_viewers_t;


/* A number for an identity: different bytes give different ones, as far as
 * chance allows.  seed: that of what comes before them, or 0.  Never 0. */
uint64_t live_viewers_id(uint64_t seed, const void *data, size_t len);

/* Adds one; an id that is there is not added again. */
void live_viewers_add(live_viewers_t *v, uint64_t id);

/*
 * How many are in the one or the other: exact up to LIVE_VIEWERS_EXACT in
 * each, else within 5 % but for one time in 400.
 */
uint64_t live_viewers_count(const live_viewers_t *a, const live_viewers_t *b);


#endif /* _LIVE_VIEWERS_H_INCLUDED_ */
