/* What reads the file of "state_path": a header or a record, a key, a time. */

#include "live_state.h"

#include <stdlib.h>
#include <string.h>


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);


static void
check(int cond)
{
    if (!cond) {
        abort();
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    int           rc;
    size_t        place;
    uint8_t       record[LIVE_STATE_RECORD], copy[LIVE_STATE_COPY];
    uint64_t      now, msn;
    live_state_t  s, again;

    (void) live_state_read_header(data, len);

    if (len < LIVE_STATE_RECORD + LIVE_STATE_KEY + sizeof(now)) {
        return 0;
    }

    memcpy(record, data, LIVE_STATE_RECORD);
    data += LIVE_STATE_RECORD;
    memcpy(&now, data + LIVE_STATE_KEY, sizeof(now));

    check(live_state_slot(data) < LIVE_STATE_RECORDS);

    rc = live_state_read(record, data, &s);
    check((rc == LIVE_AGAIN) == (s.count == 0));

    /* checksums are not found by chance: one that is right */

    s.count = s.count ? s.count : now % 7 + 1;
    s.msn = s.msn ? s.msn : now % 100000 + 1;
    s.dsn = s.dsn ? s.dsn : s.msn / 2;

    live_state_write_key(record, data);
    place = live_state_write(copy, data, &s);
    check(place + LIVE_STATE_COPY <= LIVE_STATE_RECORD);
    memcpy(record + place, copy, LIVE_STATE_COPY);

    check(live_state_read(record, data, &again) == LIVE_OK);
    check(again.msn == s.msn && again.dsn == s.dsn && again.used == s.used);

    msn = again.msn;
    live_state_resume(&again, now, (uint32_t) now, now % 60000 + 500);
    check(again.msn >= msn && again.dsn <= again.msn);

    return 0;
}
