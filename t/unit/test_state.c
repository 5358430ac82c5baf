
/* live_state.h: what is kept of a stream, whole, torn and of others. */

#include <string.h>

#include "live_state.h"
#include "tap.h"


static const uint8_t  test_key[LIVE_STATE_KEY] = "0123456789abcdef";
static const uint8_t  test_other[LIVE_STATE_KEY] = "0123456789abcdeF";


static void test_header(void);
static void test_copies(void);
static void test_torn(void);
static void test_find(void);
static void test_resume(void);


int
main(void)
{
    test_header();
    test_copies();
    test_torn();
    test_find();
    test_resume();

    return tap_done();
}


static void
test_write(uint8_t *record, uint64_t count)
{
    size_t        place;
    uint8_t       copy[LIVE_STATE_COPY];
    live_state_t  s;

    s.count = count;
    s.msn = 100 + count;
    s.dsn = 3;
    s.anchor = 1700000000000;
    s.used = 1700000500000;
    s.boot = 0x89abcdef;

    if (count == 1) {
        live_state_write_key(record, test_key);
    }

    place = live_state_write(copy, test_key, &s);
    memcpy(record + place, copy, LIVE_STATE_COPY);
}


static void
test_header(void)
{
    uint8_t  buf[LIVE_STATE_HEADER];

    live_state_write_header(buf);

    tap_ok(live_state_read_header(buf, sizeof(buf)) == LIVE_OK,
           "a header is read");
    tap_ok(live_state_read_header(buf, sizeof(buf) - 1) == LIVE_ERROR,
           "a short one is not");

    buf[3] ^= 1;

    tap_ok(live_state_read_header(buf, sizeof(buf)) == LIVE_ERROR,
           "nor is another file");
}


static void
test_copies(void)
{
    int           right;
    uint8_t       record[LIVE_STATE_RECORD];
    uint64_t      count;
    live_state_t  s;

    memset(record, 0, sizeof(record));

    tap_ok(live_state_read(record, test_key, &s) == LIVE_AGAIN,
           "a record of zeros is free");

    right = 1;

    for (count = 1; count < 6; count++) {
        test_write(record, count);

        right &= live_state_read(record, test_key, &s) == LIVE_OK
                 && s.count == count && s.msn == 100 + count && s.dsn == 3
                 && s.anchor == 1700000000000 && s.used == 1700000500000
                 && s.boot == 0x89abcdef;
    }

    tap_ok(right, "the newest copy counts");
    tap_ok(live_state_read(record, test_other, &s) == LIVE_ERROR
           && s.used == 1700000500000,
           "a record of another name is told from it, with its age");
}


/* Every byte of the newer copy may be wrong: the older one counts. */

static void
test_torn(void)
{
    int           right;
    size_t        i;
    uint8_t       record[LIVE_STATE_RECORD];
    live_state_t  s;

    test_write(record, 1);
    test_write(record, 2);
    right = 1;

    for (i = 0; i < LIVE_STATE_COPY; i++) {
        record[LIVE_STATE_KEY + i] ^= 0x40;

        right &= live_state_read(record, test_key, &s) == LIVE_OK
                 && s.msn == 101;

        record[LIVE_STATE_KEY + i] ^= 0x40;
    }

    tap_ok(right, "a torn copy does not count, the one before it does");

    right = 1;

    for (i = 0; i < LIVE_STATE_KEY; i++) {
        record[i] ^= 0x40;
        right &= live_state_read(record, test_key, &s) == LIVE_AGAIN;
        record[i] ^= 0x40;
    }

    tap_ok(right, "copies belong to their name");
}


/* Its own record, else a free one, else the one that is oldest. */

static void
test_find(void)
{
    int           n, right;
    size_t        place;
    uint8_t       key[LIVE_STATE_KEY], copy[LIVE_STATE_COPY], *record;
    uint8_t       records[LIVE_STATE_PROBES * LIVE_STATE_RECORD];
    uint32_t      index;
    live_state_t  s;

    for (n = 0; n < LIVE_STATE_PROBES; n++) {
        record = records + n * LIVE_STATE_RECORD;

        memset(&s, 0, sizeof(live_state_t));
        s.count = 1;
        s.msn = 1;
        s.used = n == 7 ? 1000 : 5000 - n;

        memset(key, n + 1, sizeof(key));
        live_state_write_key(record, key);
        place = live_state_write(copy, key, &s);
        memcpy(record + place, copy, LIVE_STATE_COPY);
    }

    right = 1;

    for (n = 0; n < LIVE_STATE_PROBES; n++) {
        memset(key, n + 1, sizeof(key));
        right &= live_state_find(records, key, &index, &s) == LIVE_OK
                 && index == (uint32_t) n && s.msn == 1;
    }

    tap_ok(right, "each name finds its record");
    tap_ok(live_state_find(records, test_key, &index, &s) == LIVE_AGAIN
           && index == 7,
           "another one gets the record that was not used for the longest");

    memset(records + 20 * LIVE_STATE_RECORD, 0, LIVE_STATE_RECORD);

    tap_ok(live_state_find(records, test_key, &index, &s) == LIVE_AGAIN
           && index == 20, "or a free one");

    memset(key, LIVE_STATE_PROBES, sizeof(key));

    tap_ok(live_state_find(records, key, &index, &s) == LIVE_OK
           && index == LIVE_STATE_PROBES - 1,
           "what is behind a free one is found");
}


static void
test_resume(void)
{
    uint8_t       record[LIVE_STATE_RECORD];
    live_state_t  s;

    test_write(record, 1);
    (void) live_state_read(record, test_key, &s);
    live_state_resume(&s, 1700000600000, 0x89abcdef, 2000);

    tap_ok(s.msn == 101 && s.dsn == 3 && s.anchor == 1700000000000,
           "nothing is left out while the machine runs");

    live_state_resume(&s, 1700000600000, 1, 2000);

    tap_ok(s.msn == 136 && s.dsn == 38 && s.anchor == 1700000000000,
           "behind a start of the machine, what may not have been written");

    (void) live_state_read(record, test_key, &s);
    live_state_resume(&s, 1700000400000, 0x89abcdef, 2000);

    tap_ok(s.msn == 101 && s.anchor == 0,
           "a clock that was set back begins another timeline");
}
