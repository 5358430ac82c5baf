
/* What a player does: it follows a playlist and fetches what is new in it. */

#define _GNU_SOURCE

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bench_stamp.h"
#include "hls_load.h"


#define SHOWN_ERRORS  5

#define starts(line, text)  (strncmp(line, text, sizeof(text) - 1) == 0)


static void offer_part(player_t *p, uint64_t msn, unsigned part, char *line);
static void offer(player_t *p, uint64_t msn, unsigned part, char *uri);
static void take(player_t *p, unit_t *unit, const char *uri);
static void take_hint(player_t *p, char *line);
static void reload(player_t *p);
static void settle(player_t *p);
static void fetch(player_t *p);
static char *part_uri(char *line);
static unit_t *unit_of(feed_t *feed, uint64_t key);
static uint64_t last_stamp(const char *data, size_t len);
static void arrived(feed_t *feed, unit_t *unit, bool playlist);
static void count_arrival(unit_t *unit, const arrival_t *a);
static void add_sample(samples_t *s, uint64_t us);


void
player_start(player_t *p)
{
    static unsigned  source;

    if (!conn_open(&p->conns[0], source++)
        || (opt.mode != MODE_PARK && !conn_open(&p->conns[1], source++)))
    {
        player_failed(p, "cannot connect");
        return;
    }

    player_poll(p);
}


void
player_poll(player_t *p)
{
    /* one that is late with the last answer skips a poll */

    if (!p->dead && !p->conns[0].busy) {
        conn_ask(&p->conns[0], p->feed->path);
    }
}


/* Takes what is behind the last that was taken; at first, what comes next. */

void
player_playlist(player_t *p, char *text, size_t len)
{
    bool       blocking;
    char      *line, *next, *end, *hint;
    unsigned   part;
    uint64_t   msn;

    end = text + len;
    blocking = false;
    hint = NULL;
    msn = 0;
    part = 0;

    for (line = text; line < end; line = next + 1) {
        next = memchr(line, '\n', (size_t) (end - line));

        if (next == NULL) {
            next = end;
        }

        *next = '\0';

        if (*line != '#') {

            if (*line != '\0') {
                if (opt.mode == MODE_POLL) {
                    offer(p, msn, WHOLE, line);
                }

                msn++;
                part = 0;
            }

        } else if (starts(line, "#EXT-X-PART:")) {
            if (opt.mode == MODE_LOW_LATENCY) {
                offer_part(p, msn, part, line);
            }

            part++;

        } else if (starts(line, "#EXT-X-PRELOAD-HINT:TYPE=PART,")) {
            hint = line;

        } else if (starts(line, "#EXT-X-MEDIA-SEQUENCE:")) {
            msn = strtoull(strchr(line, ':') + 1, NULL, 10);

        } else if (starts(line, "#EXT-X-SERVER-CONTROL:")) {
            blocking = (strstr(line, "CAN-BLOCK-RELOAD=YES") != NULL);

        } else if (starts(line, "#EXT-X-ENDLIST")) {
            player_failed(p, "the stream has ended");
            return;
        }
    }

    if (msn == 0 || (opt.mode != MODE_POLL && !blocking)) {
        player_failed(p, "no playlist of the kind that is wanted");
        return;
    }

    p->msn = msn;
    p->part = part;
    p->started = true;

    if (opt.mode != MODE_POLL) {
        reload(p);
    }

    if (opt.mode == MODE_PARK) {
        settle(p);
        return;
    }

    if (opt.hints && hint != NULL && !p->dead) {
        take_hint(p, hint);
    }

    fetch(p);
}


/* A GAP is nothing to fetch. */

static void
offer_part(player_t *p, uint64_t msn, unsigned part, char *line)
{
    if (strstr(line, ",GAP=YES") == NULL) {
        offer(p, msn, part, part_uri(line));

    } else if (totals.began != 0 && p->started
               && (msn > p->msn || (msn == p->msn && part >= p->part)))
    {
        totals.missed++;
    }
}


/* What a playlist lists. */

static void
offer(player_t *p, uint64_t msn, unsigned part, char *uri)
{
    unit_t    *unit;
    uint64_t   key;

    if (!p->started || msn < p->msn || (msn == p->msn && part < p->part)) {
        return;
    }

    key = msn << 16 | part;
    unit = unit_of(p->feed, key);

    arrived(p->feed, unit, true);

    /* else it was hinted before */

    if (key > p->taken) {
        take(p, unit, uri);
    }
}


static void
take(player_t *p, unit_t *unit, const char *uri)
{
    if (unit->uri[0] == '\0') {
        snprintf(unit->uri, URI_SIZE, "%.*s%s", (int) p->feed->dir,
                 p->feed->path, uri);
    }

    /* so late that it goes on at the live edge; these count as missed */

    if (p->queued == QUEUE) {
        p->queued = p->conns[1].busy;
    }

    p->queue[(p->first + p->queued++) % QUEUE] = unit->key;
    p->taken = unit->key;
}


/* The part that comes next, of which the number is in the name. */

static void
take_hint(player_t *p, char *line)
{
    char      *uri, *number;
    uint64_t   msn, part;

    uri = part_uri(line);
    number = strrchr(uri, '-');

    if (number == NULL) {
        player_failed(p, "hint %s has no number", uri);
        return;
    }

    msn = strtoull(number + 1, &number, 10);
    part = *number == '.' ? strtoull(number + 1, NULL, 10) : 0;

    if ((msn << 16 | part) > p->taken) {
        take(p, unit_of(p->feed, msn << 16 | part), uri);
    }
}


static char *
part_uri(char *line)
{
    char  *uri, *end;

    uri = strstr(line, "URI=\"");
    end = uri ? strchr(uri + 5, '"') : NULL;

    if (end == NULL) {
        return line;
    }

    *end = '\0';

    return uri + 5;
}


/* For the part that is to come, or parked for much more than that. */

static void
reload(player_t *p)
{
    char  path[URI_SIZE + 64];

    if (p->dead) {
        return;
    }

    if (opt.mode == MODE_PARK) {
        snprintf(path, sizeof(path), "%s?_HLS_msn=%llu", p->feed->path,
                 (unsigned long long) p->msn + 1);
    } else {
        snprintf(path, sizeof(path), "%s?_HLS_msn=%llu&_HLS_part=%u",
                 p->feed->path, (unsigned long long) p->msn, p->part);
    }

    conn_ask(&p->conns[0], path);
}


static void
fetch(player_t *p)
{
    unit_t  *unit;
    conn_t  *c;

    c = &p->conns[1];

    if (p->dead || c->busy || p->queued == 0) {
        return;
    }

    unit = unit_of(p->feed, p->queue[p->first]);
    c->scan = (p->feed->stamped && !unit->scanned);
    unit->scanned = true;

    conn_ask(c, unit->uri);
}


void
player_media(player_t *p)
{
    size_t   i;
    unit_t  *unit;
    conn_t  *c;

    c = &p->conns[1];
    unit = unit_of(p->feed, p->queue[p->first]);

    p->first = (p->first + 1) % QUEUE;
    p->queued--;
    totals.parts++;

    arrived(p->feed, unit, false);

    if (c->scan) {
        unit->stamp = last_stamp(c->buf, c->len);

        if (unit->stamp == 0) {
            player_failed(p, "%s has no frame with a time", unit->uri);
            return;
        }

        for (i = 0; i < unit->narrivals; i++) {
            count_arrival(unit, &unit->arrivals[i]);
        }

        unit->narrivals = 0;
    }

    settle(p);
    fetch(p);
}


static void
settle(player_t *p)
{
    if (!p->settled && !p->dead) {
        p->settled = true;
        totals.settled++;
    }
}


void
player_failed(player_t *p, const char *format, ...)
{
    va_list  args;

    if (p->dead) {
        return;
    }

    if (totals.errors++ < SHOWN_ERRORS) {
        fprintf(stderr, "%s: ", p->feed->path);
        va_start(args, format);
        vfprintf(stderr, format, args);
        va_end(args);
        fprintf(stderr, "\n");
    }

    p->dead = true;
    conn_close(&p->conns[0]);
    conn_close(&p->conns[1]);
}


static unit_t *
unit_of(feed_t *feed, uint64_t key)
{
    unit_t    *unit;
    uint64_t   n;

    /* neighbours are apart: fewer than 32 parts of two segments are alive */

    n = (key & 0xffff) == WHOLE ? key >> 16 : (key >> 16) * 32 + (key & 31);
    unit = &feed->units[n % UNITS];

    if (unit->key != key) {
        unit_close(feed, unit);
        unit->key = key;
    }

    return unit;
}


void
unit_close(feed_t *feed, unit_t *unit)
{
    arrival_t  *arrivals;
    size_t      allocated;
    uint64_t    now;

    now = now_us();

    if (totals.began != 0 && unit->stamp >= totals.began) {

        if (unit->got == feed->players) {
            add_sample(&totals.last, unit->latest);

        } else if (now - unit->stamp > opt.late * 1000) {

            /* else it was on its way when the load was ended */
            totals.missed += feed->players - unit->got;
        }
    }

    arrivals = unit->arrivals;
    allocated = unit->allocated;

    memset(unit, 0, sizeof(unit_t));

    unit->arrivals = arrivals;
    unit->allocated = allocated;
}


/* 0: there is none. */

static uint64_t
last_stamp(const char *data, size_t len)
{
    char         digits[STAMP_DIGITS + 1];
    uint64_t     stamp, latest;
    const char  *p, *end;

    latest = 0;
    end = data + len;
    digits[STAMP_DIGITS] = '\0';

    for (p = data;
         (p = memmem(p, (size_t) (end - p), STAMP_UUID,
                     sizeof(STAMP_UUID) - 1)) != NULL; )
    {
        p += sizeof(STAMP_UUID) - 1;

        if (end - p < STAMP_DIGITS) {
            break;
        }

        memcpy(digits, p, STAMP_DIGITS);
        stamp = strtoull(digits, NULL, 16);

        if (latest < stamp) {
            latest = stamp;
        }
    }

    return latest;
}


/* Something that has come whole: a unit, or the playlist that names it. */

static void
arrived(feed_t *feed, unit_t *unit, bool playlist)
{
    arrival_t  a, *p;

    if (!feed->stamped) {
        return;
    }

    a.time = now_us();
    a.playlist = playlist;

    if (unit->stamp != 0) {
        count_arrival(unit, &a);
        return;
    }

    if (unit->narrivals == unit->allocated) {
        unit->allocated = unit->allocated * 2 + 64;
        p = realloc(unit->arrivals, unit->allocated * sizeof(arrival_t));

        if (p == NULL) {
            abort();
        }

        unit->arrivals = p;
    }

    unit->arrivals[unit->narrivals++] = a;
}


static void
count_arrival(unit_t *unit, const arrival_t *a)
{
    uint64_t  us;

    us = a->time > unit->stamp ? a->time - unit->stamp : 0;

    if (!a->playlist) {
        unit->got++;

        if (unit->latest < us) {
            unit->latest = us;
        }
    }

    if (totals.began == 0 || a->time < totals.began) {
        return;
    }

    if (a->playlist) {
        add_sample(&totals.playlist, us);
        return;
    }

    add_sample(&totals.delay, us);
    totals.stalls += (us > opt.late * 1000);
}


static void
add_sample(samples_t *s, uint64_t us)
{
    uint32_t  *p;

    if (s->n == s->allocated) {
        s->allocated = s->allocated * 2 + 4096;
        p = realloc(s->us, s->allocated * sizeof(uint32_t));

        if (p == NULL) {
            abort();
        }

        s->us = p;
    }

    s->us[s->n++] = us > UINT32_MAX ? UINT32_MAX : (uint32_t) us;
}
