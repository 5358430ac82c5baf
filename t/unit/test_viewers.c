
/* live_viewers: exact for few, near for many, over windows that overlap. */

#include <stdio.h>
#include <string.h>

#include "live_viewers.h"
#include "tap.h"


static live_viewers_t  one, two, none;


static uint64_t
viewer(const char *kind, unsigned n)
{
    char  name[64];
    int   len;

    len = snprintf(name, sizeof(name), "%s-%u", kind, n);

    return live_viewers_id(0, name, (size_t) len);
}


static void
clear(void)
{
    memset(&one, 0, sizeof(one));
    memset(&two, 0, sizeof(two));
}


static void
add(live_viewers_t *v, const char *kind, unsigned from, unsigned to)
{
    unsigned  i;

    for (i = from; i < to; i++) {
        live_viewers_add(v, viewer(kind, i));
    }
}


static int
near(uint64_t got, uint64_t want, double share)
{
    double  diff;

    diff = (double) got - (double) want;
    diff = diff < 0 ? -diff : diff;

    if (diff > share * (double) want) {
        printf("# %llu instead of %llu\n", (unsigned long long) got,
               (unsigned long long) want);
        return 0;
    }

    return 1;
}


static void
test_exact(void)
{
    unsigned  n, bad;

    bad = 0;
    clear();

    for (n = 0; n <= LIVE_VIEWERS_EXACT; n++) {
        bad += (live_viewers_count(&one, &two) != n);
        bad += (live_viewers_count(&two, &one) != n);

        add(&one, "exact", n, n + 1);
        add(&one, "exact", 0, n + 1);

        if (n == LIVE_VIEWERS_EXACT - 1) {
            tap_ok(!one.sketched, "as many as are exact are no sketch");
        }
    }

    tap_ok(bad == 0, "exact up to %d, however often each comes",
           LIVE_VIEWERS_EXACT);
    tap_ok(one.sketched, "one more is a sketch");
    tap_ok(near(live_viewers_count(&one, &two), LIVE_VIEWERS_EXACT + 1, 0.05),
           "which is near");
}


static void
test_windows(void)
{
    clear();

    add(&one, "w", 0, 60);
    add(&two, "w", 40, 100);

    tap_ok(live_viewers_count(&one, &two) == 100, "two windows: 100 in all");
    tap_ok(live_viewers_count(&one, &none) == 60, "one of them: 60");
    tap_ok(live_viewers_count(&none, &none) == 0, "none: 0");

    add(&one, "w", 0, 6000);
    add(&two, "w", 4000, 10000);

    tap_ok(near(live_viewers_count(&one, &two), 10000, 0.05),
           "two sketches: 10000 in all");

    clear();

    add(&one, "w", 0, 1000);
    add(&two, "w", 900, 1100);

    tap_ok(!two.sketched && near(live_viewers_count(&one, &two), 1100, 0.05),
           "a sketch and a few: 1100");
}


/* Many sets of the same size: the estimate is near in nearly all, and does not
 * lean to one side. */

static void
test_near(unsigned n, unsigned sets, double lean)
{
    char      kind[32];
    double    sum, got;
    unsigned  i, far;

    sum = 0;
    far = 0;

    for (i = 0; i < sets; i++) {
        clear();
        (void) snprintf(kind, sizeof(kind), "set%u", i);
        add(&one, kind, 0, n);

        got = (double) live_viewers_count(&one, &two);
        sum += got;
        far += (got < n * 0.95 || got > n * 1.05);
    }

    tap_ok(far <= sets / 100, "%u viewers: within 5 %%, not %u of %u sets", n,
           far, sets);

    sum /= sets;

    tap_ok(sum > n * (1 - lean) && sum < n * (1 + lean),
           "%u viewers: %.0f on average", n, sum);
}


static void
test_ids(void)
{
    unsigned  i, same;
    uint64_t  bits, id;

    tap_ok(live_viewers_id(0, "", 0) != 0, "nobody has an id as well");
    tap_ok(live_viewers_id(1, "a", 1) != live_viewers_id(2, "a", 1),
           "the seed counts");
    tap_ok(live_viewers_id(0, "ab", 2) != live_viewers_id(0, "ba", 2),
           "and the order");

    /* all bits of addresses that follow each other vary */

    bits = 0;
    same = 0;

    for (i = 0; i < 1000; i++) {
        id = live_viewers_id(0, &i, sizeof(i));
        bits |= id ^ live_viewers_id(0, &same, sizeof(same));
    }

    tap_ok(bits == UINT64_MAX, "all bits vary");

    clear();
    live_viewers_add(&one, 0);
    tap_ok(live_viewers_count(&one, &two) == 1, "an id of 0 counts");
}


int
main(void)
{
    test_ids();
    test_exact();
    test_windows();

    test_near(300, 300, 0.005);
    test_near(3000, 300, 0.005);
    test_near(10000, 300, 0.005);
    test_near(100000, 30, 0.01);
    test_near(1000000, 2, 0.04);

    return tap_done();
}
