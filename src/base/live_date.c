
#include "live_date.h"
#include "live_decimal.h"


#define LIVE_DATE_DAY_MS          86400000
#define LIVE_DATE_LAST_MS         253402300799999    /* end of the year 9999 */
#define LIVE_DATE_EPOCH_DAYS      719468     /* 0000-03-01 to 1970-01-01 */
#define LIVE_DATE_CYCLE_DAYS      146097     /* 400 years */


/*
 * Days are counted from 0000-03-01 on, so that a leap day is the last of its
 * year, and in cycles of 400 years.
 */
void
live_write_date(live_writer_t *w, int64_t ms)
{
    uint32_t  days, cycle, of_cycle, year, of_year, month, sec;

    if (ms < 0) {
        ms = 0;
    }

    if (ms > LIVE_DATE_LAST_MS) {
        ms = LIVE_DATE_LAST_MS;
    }

    days = (uint32_t) (ms / LIVE_DATE_DAY_MS) + LIVE_DATE_EPOCH_DAYS;
    sec = (uint32_t) (ms % LIVE_DATE_DAY_MS / 1000);

    cycle = days / LIVE_DATE_CYCLE_DAYS;
    of_cycle = days % LIVE_DATE_CYCLE_DAYS;

    year = (of_cycle - of_cycle / 1460 + of_cycle / 36524
            - of_cycle / (LIVE_DATE_CYCLE_DAYS - 1)) / 365;
    of_year = of_cycle - (365 * year + year / 4 - year / 100);
    month = (5 * of_year + 2) / 153;        /* from March */

    year += 400 * cycle + (month >= 10);

    live_write_digits(w, year, 4);
    live_write_u8(w, '-');
    live_write_digits(w, month < 10 ? month + 3 : month - 9, 2);
    live_write_u8(w, '-');
    live_write_digits(w, of_year - (153 * month + 2) / 5 + 1, 2);
    live_write_u8(w, 'T');
    live_write_digits(w, sec / 3600, 2);
    live_write_u8(w, ':');
    live_write_digits(w, sec / 60 % 60, 2);
    live_write_u8(w, ':');
    live_write_digits(w, sec % 60, 2);
    live_write_u8(w, '.');
    live_write_digits(w, (uint64_t) ms % 1000, 3);
    live_write_u8(w, 'Z');
}
