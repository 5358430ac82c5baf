
/*
 * The estimate is that of O. Ertl, "New cardinality estimation algorithms for
 * HyperLogLog sketches" (2017), section 4: without tables, and as good for few
 * as for many.
 */

#include <string.h>
#include "live_viewers.h"


#define LIVE_VIEWERS_RANKS  (64 - LIVE_VIEWERS_BITS + 2)

/* 1 / (2 ln 2) */
#define LIVE_VIEWERS_ALPHA  0.7213475204444817


static uint64_t live_viewers_mix(uint64_t x);
static int live_viewers_insert(uint64_t *ids, uint64_t id);
static void live_viewers_register(uint8_t *registers, uint64_t id);
static void live_viewers_merge(uint8_t *registers, const live_viewers_t *v);
static uint64_t live_viewers_exact(const live_viewers_t *a,
    const live_viewers_t *b);
static double live_viewers_sigma(double x);


/* The end of SplitMix64: each bit depends on each. */

static uint64_t
live_viewers_mix(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9ULL;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebULL;
    x ^= x >> 31;

    return x;
}


uint64_t
live_viewers_id(uint64_t seed, const void *data, size_t len)
{
    uint64_t        h;
    const uint8_t  *p, *end;

    /* FNV-1a */

    h = 0xcbf29ce484222325ULL ^ seed;
    p = data;

    for (end = p + len; p < end; p++) {
        h = (h ^ *p) * 0x100000001b3ULL;
    }

    h = live_viewers_mix(h);

    return h ? h : 1;
}


void
live_viewers_add(live_viewers_t *v, uint64_t id)
{
    uint64_t  ids[LIVE_VIEWERS_SLOTS];
    size_t    i;

    if (id == 0) {
        id = 1;
    }

    if (v->sketched) {
        live_viewers_register(v->u.registers, id);
        return;
    }

    if (!live_viewers_insert(v->u.ids, id)) {
        return;
    }

    if (++v->n <= LIVE_VIEWERS_EXACT) {
        return;
    }

    memcpy(ids, v->u.ids, sizeof(ids));
    memset(v->u.registers, 0, LIVE_VIEWERS_SIZE);
    v->sketched = 1;

    for (i = 0; i < LIVE_VIEWERS_SLOTS; i++) {
        if (ids[i]) {
            live_viewers_register(v->u.registers, ids[i]);
        }
    }
}


/* 1 when it is new; there is always a free slot. */

static int
live_viewers_insert(uint64_t *ids, uint64_t id)
{
    size_t  i, n;

    i = id % LIVE_VIEWERS_SLOTS;

    for (n = 0; n < LIVE_VIEWERS_SLOTS; n++) {

        if (ids[i] == id) {
            return 0;
        }

        if (ids[i] == 0) {
            ids[i] = id;
            return 1;
        }

        i = (i + 1) % LIVE_VIEWERS_SLOTS;
    }

    return 0;
}


/* The low bits choose a register, which keeps the longest run of zeros. */

static void
live_viewers_register(uint8_t *registers, uint64_t id)
{
    size_t    i;
    uint8_t   rank;
    uint64_t  rest;

    i = id % LIVE_VIEWERS_SIZE;
    rest = id >> LIVE_VIEWERS_BITS;

    rank = 1;

    if (rest) {
        rank += __builtin_ctzll(rest);

    } else {
        rank = LIVE_VIEWERS_RANKS - 1;
    }

    if (registers[i] < rank) {
        registers[i] = rank;
    }
}


static void
live_viewers_merge(uint8_t *registers, const live_viewers_t *v)
{
    size_t  i;

    if (v->sketched) {

        for (i = 0; i < LIVE_VIEWERS_SIZE; i++) {
            if (registers[i] < v->u.registers[i]) {
                registers[i] = v->u.registers[i];
            }
        }

        return;
    }

    for (i = 0; v->n && i < LIVE_VIEWERS_SLOTS; i++) {
        if (v->u.ids[i]) {
            live_viewers_register(registers, v->u.ids[i]);
        }
    }
}


uint64_t
live_viewers_count(const live_viewers_t *a, const live_viewers_t *b)
{
    double    z;
    size_t    i;
    uint8_t   registers[LIVE_VIEWERS_SIZE];
    uint32_t  ranks[LIVE_VIEWERS_RANKS];

    if (!a->sketched && !b->sketched) {
        return live_viewers_exact(a, b);
    }

    memset(registers, 0, sizeof(registers));
    memset(ranks, 0, sizeof(ranks));

    live_viewers_merge(registers, a);
    live_viewers_merge(registers, b);

    for (i = 0; i < LIVE_VIEWERS_SIZE; i++) {
        ranks[registers[i] < LIVE_VIEWERS_RANKS ? registers[i]
                                                : LIVE_VIEWERS_RANKS - 1]++;
    }

    /* that a register is full takes 2^52 viewers */

    z = 0;

    for (i = LIVE_VIEWERS_RANKS - 1; i > 0; i--) {
        z = 0.5 * (z + ranks[i]);
    }

    z += LIVE_VIEWERS_SIZE
         * live_viewers_sigma((double) ranks[0] / LIVE_VIEWERS_SIZE);

    return (uint64_t) (LIVE_VIEWERS_ALPHA * LIVE_VIEWERS_SIZE
                       * LIVE_VIEWERS_SIZE / z + 0.5);
}


static uint64_t
live_viewers_exact(const live_viewers_t *a, const live_viewers_t *b)
{
    size_t    i;
    uint64_t  n, ids[LIVE_VIEWERS_SLOTS];

    if (a->n == 0 || b->n == 0) {
        return (uint64_t) a->n + b->n;
    }

    memcpy(ids, a->u.ids, sizeof(ids));
    n = a->n;

    for (i = 0; i < LIVE_VIEWERS_SLOTS; i++) {
        if (b->u.ids[i]) {
            n += live_viewers_insert(ids, b->u.ids[i]);
        }
    }

    return n;
}


/* x < 1, for somebody is there. */

static double
live_viewers_sigma(double x)
{
    double  y, z, last;

    y = 1;
    z = x;

    do {
        x *= x;
        last = z;
        z += x * y;
        y += y;
    } while (z > last);

    return z;
}
