
#include <string.h>
#include <zlib.h>
#include "live_state.h"


/* ms that writes may wait in the memory of a machine that fails: twice what
 * Linux lets them */
#define LIVE_STATE_LOST  70000

/* a number that no machine counts to: what is behind it was not written here */
#define LIVE_STATE_MOST  ((uint64_t) 1 << 48)


static const char  live_state_magic[] = "ngx_live state 1\n";


static void
live_state_put(uint8_t *p, uint64_t v)
{
    int  i;

    for (i = 0; i < 8; i++) {
        p[i] = (uint8_t) (v >> (8 * i));
    }
}


static uint64_t
live_state_get(const uint8_t *p)
{
    int       i;
    uint64_t  v;

    v = 0;

    for (i = 7; i >= 0; i--) {
        v = v << 8 | p[i];
    }

    return v;
}


/* The key is part of it: a copy is never taken for that of another name. */

static uint32_t
live_state_sum(const uint8_t *copy, const uint8_t *key)
{
    uLong  sum;

    sum = crc32(0, key, LIVE_STATE_KEY);

    return (uint32_t) crc32(sum, copy, LIVE_STATE_COPY - 4);
}


void
live_state_write_header(uint8_t *buf)
{
    memset(buf, 0, LIVE_STATE_HEADER);
    memcpy(buf, live_state_magic, sizeof(live_state_magic) - 1);
}


int
live_state_read_header(const uint8_t *buf, size_t len)
{
    if (len < LIVE_STATE_HEADER
        || memcmp(buf, live_state_magic, sizeof(live_state_magic) - 1) != 0)
    {
        return LIVE_ERROR;
    }

    return LIVE_OK;
}


uint32_t
live_state_slot(const uint8_t *key)
{
    return (uint32_t) (live_state_get(key) % LIVE_STATE_RECORDS);
}


static int
live_state_read_copy(const uint8_t *copy, const uint8_t *key,
    live_state_t *s)
{
    uint64_t  sum;

    sum = live_state_get(copy + 40);

    if (sum >> 32 != live_state_sum(copy, key)) {
        return LIVE_ERROR;
    }

    s->count = live_state_get(copy);
    s->msn = live_state_get(copy + 8);
    s->dsn = live_state_get(copy + 16);
    s->anchor = live_state_get(copy + 24);
    s->used = live_state_get(copy + 32);
    s->boot = (uint32_t) sum;

    if (s->count == 0 || s->msn == 0 || s->msn > LIVE_STATE_MOST
        || s->dsn > s->msn || s->anchor > LIVE_STATE_MOST
        || s->used > LIVE_STATE_MOST)
    {
        return LIVE_ERROR;
    }

    return LIVE_OK;
}


int
live_state_read(const uint8_t *record, const uint8_t *key, live_state_t *s)
{
    int             n;
    live_state_t    copy;
    const uint8_t  *p;

    memset(s, 0, sizeof(live_state_t));

    for (n = 0; n < 2; n++) {
        p = record + LIVE_STATE_KEY + n * LIVE_STATE_COPY;

        if (live_state_read_copy(p, record, &copy) == LIVE_OK
            && copy.count > s->count)
        {
            *s = copy;
        }
    }

    if (s->count == 0) {
        return LIVE_AGAIN;
    }

    return memcmp(record, key, LIVE_STATE_KEY) == 0 ? LIVE_OK : LIVE_ERROR;
}


int
live_state_find(const uint8_t *records, const uint8_t *key, uint32_t *index,
    live_state_t *s)
{
    uint32_t  i;
    uint64_t  oldest;

    oldest = UINT64_MAX;

    for (i = 0; i < LIVE_STATE_PROBES; i++) {

        /* one that is free has not been used, 0 */

        if (live_state_read(records + i * LIVE_STATE_RECORD, key, s)
            == LIVE_OK)
        {
            *index = i;
            return LIVE_OK;
        }

        if (s->used < oldest) {
            oldest = s->used;
            *index = i;
        }
    }

    return LIVE_AGAIN;
}


void
live_state_write_key(uint8_t *record, const uint8_t *key)
{
    memset(record, 0, LIVE_STATE_RECORD);
    memcpy(record, key, LIVE_STATE_KEY);
}


size_t
live_state_write(uint8_t *copy, const uint8_t *key, const live_state_t *s)
{
    live_state_put(copy, s->count);
    live_state_put(copy + 8, s->msn);
    live_state_put(copy + 16, s->dsn);
    live_state_put(copy + 24, s->anchor);
    live_state_put(copy + 32, s->used);

    /* the sum is of what is before it */

    live_state_put(copy + 40, s->boot);
    live_state_put(copy + 40, (uint64_t) live_state_sum(copy, key) << 32
                              | s->boot);

    return LIVE_STATE_KEY + (s->count & 1) * LIVE_STATE_COPY;
}


void
live_state_resume(live_state_t *s, uint64_t now, uint32_t boot,
    uint64_t segment)
{
    uint64_t  lost;

    if (s->boot != boot) {
        lost = (LIVE_STATE_LOST + segment - 1) / segment;

        s->msn += lost;
        s->dsn += lost;
    }

    /* the clock was set back: the timeline begins anew, numbers go on */

    if (s->used > now || s->anchor >= now) {
        s->anchor = 0;
    }
}
