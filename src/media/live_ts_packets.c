#include "live_ts_packets.h"
#include "live_ts.h"
#include "live_types.h"

#include <stdlib.h>
#include <string.h>


#define LIVE_TS_HEADER     4
#define LIVE_TS_ROOM       (LIVE_TS_PACKET - LIVE_TS_HEADER)

/* flags of an adaptation field */
#define LIVE_TS_AF_DISC    0x80
#define LIVE_TS_AF_RANDOM  0x40
#define LIVE_TS_AF_PCR     0x10
#define LIVE_TS_AF_KNOWN                                                      \
    (LIVE_TS_AF_DISC | LIVE_TS_AF_RANDOM | LIVE_TS_AF_PCR)

#define LIVE_TS_PCR_MOST   (90 * 90)    /* 90 kHz: 90 ms */
#define LIVE_TS_PCR_WRAP   ((int64_t) 1 << 33)

#define LIVE_TS_PES_PTS    14           /* bytes up to the end of a PTS */

#define LIVE_TS_MEDIA      2


/* A packet as it came; it becomes as many as it has pieces. */
typedef struct {
    const uint8_t  *payload;
    uint8_t         len;
    uint8_t         pieces;
    uint8_t         media;      /* 0: video, 1: audio */
    uint8_t         start;      /* payload_unit_start_indicator */
    int16_t         flags;      /* of the adaptation field, -1: none */
    int64_t         pcr;        /* 90 kHz, -1: none */
    int64_t         due;        /* the PCR that it needs, -1: any */
} live_ts_item_t;


typedef struct {
    live_ts_item_t           *items;
    size_t                    n;
    const live_ts_layout_t   *layout;
    const uint8_t            *pat;
    const uint8_t            *pmt;
    size_t                    tables;       /* written of either */
    uint8_t                   cc[LIVE_TS_MEDIA];

    uint8_t                  *pos;
    uint8_t                  *end;
} live_ts_arranger_t;


static const unsigned  live_ts_pids[LIVE_TS_MEDIA] = {
    LIVE_TS_VIDEO_PID, LIVE_TS_AUDIO_PID
};


static int live_ts_parse(live_ts_arranger_t *a, const uint8_t *data,
    size_t len);
static int live_ts_parse_item(live_ts_item_t *item, const uint8_t *p);
static int64_t live_ts_pts(const live_ts_item_t *item, int64_t lead);
static int live_ts_split(live_ts_arranger_t *a, unsigned media);
static size_t live_ts_size(const live_ts_arranger_t *a);
static int live_ts_write(live_ts_arranger_t *a);
static int live_ts_late(const live_ts_item_t *item, int64_t pcr,
    int64_t behind);
static int live_ts_write_filler(live_ts_arranger_t *a, int64_t pcr);
static size_t live_ts_next_pcr(const live_ts_arranger_t *a, size_t i,
    int64_t *pcr);
static int64_t live_ts_pcr_count(int64_t from, int64_t to);
static int live_ts_write_item(live_ts_arranger_t *a,
    const live_ts_item_t *item);
static int live_ts_write_tables(live_ts_arranger_t *a);
static size_t live_ts_af_size(const live_ts_item_t *item);
static void live_ts_write_af(uint8_t *p, size_t size, int flags, int64_t pcr);
static uint8_t *live_ts_packet(live_ts_arranger_t *a);


int
live_ts_arrange(const uint8_t *data, size_t len,
    const live_ts_layout_t *layout, uint8_t **out, size_t *out_len,
    const char **reason)
{
    int                 rc;
    size_t              size;
    uint8_t            *buf;
    unsigned            i;
    live_ts_arranger_t  a;

    memset(&a, 0, sizeof(live_ts_arranger_t));

    a.layout = layout;
    *reason = "libavformat made other packets than expected";

    a.items = malloc((len / LIVE_TS_PACKET + 1) * sizeof(live_ts_item_t));
    if (a.items == NULL) {
        *reason = "no memory";
        return LIVE_ERROR;
    }

    rc = live_ts_parse(&a, data, len);

    for (i = 0; i < LIVE_TS_MEDIA && rc == LIVE_OK; i++) {
        rc = live_ts_split(&a, i);
    }

    if (rc != LIVE_OK) {
        goto done;
    }

    size = live_ts_size(&a);

    buf = malloc(size);
    if (buf == NULL) {
        *reason = "no memory";
        rc = LIVE_ERROR;
        goto done;
    }

    a.pos = buf;
    a.end = buf + size;

    rc = live_ts_write(&a);

    if (rc != LIVE_OK) {
        free(buf);
        goto done;
    }

    *out = buf;
    *out_len = (size_t) (a.pos - buf);

done:

    free(a.items);

    return rc;
}


static int
live_ts_parse(live_ts_arranger_t *a, const uint8_t *data, size_t len)
{
    unsigned         pid, seen;
    live_ts_item_t  *item;
    const uint8_t   *p, *last;

    seen = 0;
    last = data + len - len % LIVE_TS_PACKET;

    for (p = data; p < last; p += LIVE_TS_PACKET) {

        if (p[0] != 0x47) {
            return LIVE_ERROR;
        }

        pid = (p[1] & 0x1fu) << 8 | p[2];

        switch (pid) {

        case LIVE_TS_SDT_PID:
            continue;

        case LIVE_TS_PAT_PID:
            a->pat = a->pat ? a->pat : p;
            continue;

        case LIVE_TS_PMT_PID:
            a->pmt = a->pmt ? a->pmt : p;
            continue;

        case LIVE_TS_VIDEO_PID:
        case LIVE_TS_AUDIO_PID:
            break;

        default:
            return LIVE_ERROR;
        }

        item = &a->items[a->n];
        item->media = (pid == LIVE_TS_AUDIO_PID);

        if (live_ts_parse_item(item, p) != LIVE_OK) {
            return LIVE_ERROR;
        }

        if (pid != a->layout->pcr_pid && item->pcr >= 0) {
            return LIVE_ERROR;
        }

        if (a->layout->discontinuity && !(seen & 1u << item->media)) {
            item->flags = (item->flags < 0 ? 0 : item->flags)
                          | LIVE_TS_AF_DISC;
        }

        if (item->media && item->start) {
            item->due = live_ts_pts(item, a->layout->pcr_lead);
        }

        seen |= 1u << item->media;

        item->pieces = (item->len + live_ts_af_size(item) > LIVE_TS_ROOM)
                       ? 2 : 1;
        a->n++;
    }

    return a->n && a->pat && a->pmt ? LIVE_OK : LIVE_ERROR;
}


static int
live_ts_parse_item(live_ts_item_t *item, const uint8_t *p)
{
    size_t  head;

    head = LIVE_TS_HEADER;

    item->start = (p[1] & 0x40) != 0;
    item->flags = -1;
    item->pcr = -1;

    if (p[3] & 0x20) {
        head += 1 + (size_t) p[4];
        item->flags = p[4] ? p[5] : -1;
    }

    /* every packet has payload: the muxer pads nothing else */

    if (!(p[3] & 0x10) || head >= LIVE_TS_PACKET
        || (item->flags > 0 && (item->flags & ~LIVE_TS_AF_KNOWN)))
    {
        return LIVE_ERROR;
    }

    if (item->flags > 0 && (item->flags & LIVE_TS_AF_PCR)) {
        item->pcr = (int64_t) p[6] << 25 | (int64_t) p[7] << 17
                    | (int64_t) p[8] << 9 | (int64_t) p[9] << 1 | p[10] >> 7;
    }

    if (item->flags == 0) {
        item->flags = -1;           /* it was there as padding */
    }

    item->payload = p + head;
    item->len = (uint8_t) (LIVE_TS_PACKET - head);
    item->due = -1;

    return LIVE_OK;
}


/* The PTS of a PES packet, so much earlier; -1: it has none. */
static int64_t
live_ts_pts(const live_ts_item_t *item, int64_t lead)
{
    int64_t         pts;
    const uint8_t  *p;

    p = item->payload;

    if (item->len < LIVE_TS_PES_PTS || !(p[7] & 0x80)) {
        return -1;
    }

    pts = (int64_t) (p[9] >> 1 & 7) << 30 | (int64_t) p[10] << 22
          | (int64_t) (p[11] >> 1) << 15 | (int64_t) p[12] << 7 | p[13] >> 1;

    return (pts - lead) & (LIVE_TS_PCR_WRAP - 1);
}


/* Adds pieces from the end on until their number is a multiple of 16. */
static int
live_ts_split(live_ts_arranger_t *a, unsigned media)
{
    size_t           i, need, more;
    live_ts_item_t  *item;

    need = 0;

    for (i = 0; i < a->n; i++) {
        if (a->items[i].media == media) {
            need += a->items[i].pieces;
        }
    }

    need = (LIVE_TS_TURN - need % LIVE_TS_TURN) % LIVE_TS_TURN;

    while (need) {
        more = 0;

        for (i = a->n; i > 0 && need; i--) {
            item = &a->items[i - 1];

            if (item->media == media && item->pieces < item->len) {
                item->pieces++;
                more++;
                need--;
            }
        }

        if (more == 0) {
            return LIVE_ERROR;
        }
    }

    return LIVE_OK;
}


static size_t
live_ts_size(const live_ts_arranger_t *a)
{
    size_t   i, n;
    int64_t  pcr;

    n = 2 * LIVE_TS_TURN;

    for (i = 0; i < a->n; i++) {
        n += a->items[i].pieces;

        if (a->items[i].pcr >= 0) {
            (void) live_ts_next_pcr(a, i, &pcr);
            n += (size_t) live_ts_pcr_count(a->items[i].pcr, pcr);
        }
    }

    return n * LIVE_TS_PACKET;
}


static int
live_ts_write(live_ts_arranger_t *a)
{
    size_t                 i, next;
    int64_t                pcr, step, k, added;
    const live_ts_item_t  *item;

    k = 0;
    added = 0;
    next = 0;
    pcr = 0;
    step = 0;

    for (i = 0; i < a->n; i++) {
        item = &a->items[i];

        while (a->tables * a->n <= i * LIVE_TS_TURN
               && a->tables < LIVE_TS_TURN)
        {
            if (live_ts_write_tables(a) != LIVE_OK) {
                return LIVE_ERROR;
            }
        }

        /* what is missing between two PCRs: before the sound of its time, all
         * before the second one */

        while (added < k
               && (i == next || live_ts_late(item, pcr, step * (added + 1))))
        {
            if (live_ts_write_filler(a, pcr + step * ++added) != LIVE_OK) {
                return LIVE_ERROR;
            }
        }

        if (live_ts_write_item(a, item) != LIVE_OK) {
            return LIVE_ERROR;
        }

        if (item->pcr >= 0) {
            next = live_ts_next_pcr(a, i, &pcr);
            k = live_ts_pcr_count(item->pcr, pcr);
            step = k ? ((pcr - item->pcr) & (LIVE_TS_PCR_WRAP - 1))
                       / (int64_t) (k + 1)
                     : 0;
            pcr = item->pcr;
            added = 0;
        }
    }

    while (added < k) {
        if (live_ts_write_filler(a, pcr + step * ++added) != LIVE_OK) {
            return LIVE_ERROR;
        }
    }

    while (a->tables < LIVE_TS_TURN) {
        if (live_ts_write_tables(a) != LIVE_OK) {
            return LIVE_ERROR;
        }
    }

    return LIVE_OK;
}


/* 1 when the item needs a PCR that is so much behind another one. */
static int
live_ts_late(const live_ts_item_t *item, int64_t pcr, int64_t behind)
{
    int64_t  diff;

    if (item->due < 0) {
        return 0;
    }

    diff = (item->due - pcr) & (LIVE_TS_PCR_WRAP - 1);

    return diff < LIVE_TS_PCR_WRAP / 2 && diff >= behind;
}


static int
live_ts_write_filler(live_ts_arranger_t *a, int64_t pcr)
{
    live_ts_item_t  filler;

    memset(&filler, 0, sizeof(live_ts_item_t));

    filler.media = (a->layout->pcr_pid == LIVE_TS_AUDIO_PID);
    filler.flags = LIVE_TS_AF_PCR;
    filler.pcr = pcr & (LIVE_TS_PCR_WRAP - 1);
    filler.due = -1;

    return live_ts_write_item(a, &filler);
}


/* The next item with a PCR and the PCR, or what follows the segment. */
static size_t
live_ts_next_pcr(const live_ts_arranger_t *a, size_t i, int64_t *pcr)
{
    for (i++; i < a->n; i++) {
        if (a->items[i].pcr >= 0) {
            *pcr = a->items[i].pcr;
            return i;
        }
    }

    *pcr = a->layout->pcr_end & (LIVE_TS_PCR_WRAP - 1);

    return a->n;
}


/* How many are missing between two PCRs. */
static int64_t
live_ts_pcr_count(int64_t from, int64_t to)
{
    int64_t  diff;

    diff = (to - from) & (LIVE_TS_PCR_WRAP - 1);

    /* a step back, or one that is no pause between two frames */

    if (diff == 0 || diff > (int64_t) 120 * 90000) {
        return 0;
    }

    return (diff - 1) / LIVE_TS_PCR_MOST;
}


static int
live_ts_write_item(live_ts_arranger_t *a, const live_ts_item_t *item)
{
    int             flags;
    size_t          left, room, n;
    uint8_t        *p;
    unsigned        pid, i, pieces;
    const uint8_t  *payload;

    pid = live_ts_pids[item->media];
    payload = item->payload;
    left = item->len;
    pieces = item->pieces ? item->pieces : 1;

    for (i = 0; i < pieces; i++) {

        p = live_ts_packet(a);
        if (p == NULL) {
            return LIVE_ERROR;
        }

        /* the first one keeps the adaptation field, and what it can */

        room = LIVE_TS_ROOM - (i == 0 ? live_ts_af_size(item) : 0);
        n = left ? left - (pieces - 1 - i) : 0;
        n = n < room ? n : room;

        flags = i == 0 ? item->flags : -1;

        p[0] = 0x47;
        p[1] = (uint8_t) (pid >> 8 | (i == 0 && item->start ? 0x40 : 0));
        p[2] = (uint8_t) pid;
        p[3] = (uint8_t) ((n ? 0x10 : 0) | (n < LIVE_TS_ROOM ? 0x20 : 0));

        if (n) {
            p[3] |= a->cc[item->media]++ & 0x0f;
            memcpy(p + LIVE_TS_PACKET - n, payload, n);

        } else {
            p[3] |= (a->cc[item->media] - 1) & 0x0f;
        }

        live_ts_write_af(p + LIVE_TS_HEADER, LIVE_TS_ROOM - n, flags,
                         item->pcr);

        payload += n;
        left -= n;
    }

    return left ? LIVE_ERROR : LIVE_OK;
}


static int
live_ts_write_tables(live_ts_arranger_t *a)
{
    uint8_t  *p;

    p = live_ts_packet(a);
    if (p == NULL) {
        return LIVE_ERROR;
    }

    memcpy(p, a->pat, LIVE_TS_PACKET);
    p[3] = (uint8_t) ((p[3] & 0xf0) | a->tables);

    p = live_ts_packet(a);
    if (p == NULL) {
        return LIVE_ERROR;
    }

    memcpy(p, a->pmt, LIVE_TS_PACKET);
    p[3] = (uint8_t) ((p[3] & 0xf0) | a->tables);

    a->tables++;

    return LIVE_OK;
}


static size_t
live_ts_af_size(const live_ts_item_t *item)
{
    if (item->flags < 0) {
        return 0;
    }

    return item->pcr >= 0 ? 8 : 2;
}


/* An adaptation field of that size, padding included; 0: none. */
static void
live_ts_write_af(uint8_t *p, size_t size, int flags, int64_t pcr)
{
    if (size == 0) {
        return;
    }

    p[0] = (uint8_t) (size - 1);

    if (size == 1) {
        return;
    }

    memset(p + 1, 0xff, size - 1);
    p[1] = (uint8_t) (flags < 0 ? 0 : flags);

    if (flags < 0 || !(flags & LIVE_TS_AF_PCR)) {
        return;
    }

    p[2] = (uint8_t) (pcr >> 25);
    p[3] = (uint8_t) (pcr >> 17);
    p[4] = (uint8_t) (pcr >> 9);
    p[5] = (uint8_t) (pcr >> 1);
    p[6] = (uint8_t) ((pcr & 1) << 7 | 0x7e);
    p[7] = 0;
}


static uint8_t *
live_ts_packet(live_ts_arranger_t *a)
{
    uint8_t  *p;

    if (a->end - a->pos < LIVE_TS_PACKET) {
        return NULL;
    }

    p = a->pos;
    a->pos += LIVE_TS_PACKET;

    return p;
}
