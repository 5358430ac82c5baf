
#include "live_m3u8_write.h"


/* three and six target durations, three part targets: HLS-18, HLS-49 */
#define LIVE_M3U8_HOLD_BACK       3
#define LIVE_M3U8_SKIP_UNTIL      6
#define LIVE_M3U8_PART_HOLD_BACK  3


static live_m3u8_run_t live_m3u8_run(const live_m3u8_media_t *p,
    uint32_t first, uint64_t msn);
static uint32_t live_m3u8_within(const live_m3u8_media_t *p, int64_t behind,
    uint32_t targets);
static void live_m3u8_parts(live_writer_t *w, const live_m3u8_media_t *p,
    const live_m3u8_segment_t *seg, live_m3u8_run_t run);
static void live_m3u8_part(live_writer_t *w, const live_m3u8_media_t *p,
    const live_m3u8_part_t *part, uint32_t timescale);
static void live_m3u8_write_part_name(live_writer_t *w,
    const live_m3u8_media_t *p, uint64_t msn, uint32_t index);
static void live_m3u8_report(live_writer_t *w, const live_m3u8_report_t *r);


void
live_m3u8_low_init(live_m3u8_low_t *low, const live_m3u8_media_t *p)
{
    int64_t                  behind;
    uint32_t                 i;
    const live_m3u8_part_t  *first, *last;

    low->segment = p->nsegments;
    low->part = 0;
    low->run = (live_m3u8_run_t) { 0, 0 };
    low->open = NULL;

    if (!live_m3u8_low_latency(p) || p->ended) {
        return;
    }

    behind = 0;

    if (p->open) {

        /* the open segment is the newest, so its parts are at the end */

        i = p->nparts;

        while (i > 0 && p->parts[i - 1].msn == p->open->msn) {
            i--;
        }

        low->run = live_m3u8_run(p, i, p->open->msn);
    }

    if (low->run.count) {
        low->open = p->open;

        first = &p->parts[low->run.first];
        last = &first[low->run.count - 1];

        behind = live_m3u8_span(first->start,
                                last->start + last->duration - first->start,
                                live_m3u8_timescale(p, p->open));
    }

    low->segment = live_m3u8_within(p, behind, LIVE_M3U8_HOLD_BACK);
}


/*
 * The parts of a segment, which begin at "first".  Players count them, so it
 * is all from index 0 on or none.
 */
static live_m3u8_run_t
live_m3u8_run(const live_m3u8_media_t *p, uint32_t first, uint64_t msn)
{
    uint32_t  i;

    for (i = first; i < p->nparts && p->parts[i].msn == msn; i++) {

        if (p->parts[i].index != i - first) {
            return (live_m3u8_run_t) { first, 0 };
        }
    }

    return (live_m3u8_run_t) { first, i - first };
}


/*
 * The first segment that ends within so many target durations of an edge; the
 * last one ends "behind" before it.  It is playing time that counts: where the
 * timeline has a hole, a player that follows is no further away.
 */
static uint32_t
live_m3u8_within(const live_m3u8_media_t *p, int64_t behind,
    uint32_t targets)
{
    int64_t                     limit;
    uint32_t                    i;
    const live_m3u8_segment_t  *seg;

    limit = (int64_t) p->target_duration * targets * LIVE_M3U8_SECOND;

    for (i = p->nsegments; i > 0 && behind <= limit; i--) {
        seg = &p->segments[i - 1];
        behind += live_m3u8_span(seg->start, seg->duration,
                                 live_m3u8_timescale(p, seg));
    }

    return i;
}


/* HLS-56; counted from the last complete segment */
uint32_t
live_m3u8_skippable(const live_m3u8_media_t *p)
{
    if (!live_m3u8_low_latency(p) || p->ended) {
        return 0;
    }

    return live_m3u8_within(p, 0, LIVE_M3U8_SKIP_UNTIL);
}


/* HLS-49, HLS-50; they never change, not at the end of the stream either */
void
live_m3u8_control(live_writer_t *w, const live_m3u8_media_t *p)
{
    uint64_t  part, target;

    if (!live_m3u8_low_latency(p)) {
        return;
    }

    part = p->part_target;
    target = (uint64_t) p->target_duration * 1000;

    live_write_str(w, "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,"
                      "PART-HOLD-BACK=");
    live_write_fixed(w, part * LIVE_M3U8_PART_HOLD_BACK, 3);
    live_write_str(w, ",CAN-SKIP-UNTIL=");
    live_write_fixed(w, target * LIVE_M3U8_SKIP_UNTIL, 3);
    live_write_str(w, ",HOLD-BACK=");
    live_write_fixed(w, target * LIVE_M3U8_HOLD_BACK, 3);

    live_write_str(w, "\n#EXT-X-PART-INF:PART-TARGET=");
    live_write_fixed(w, part, 3);
    live_write_u8(w, '\n');
}


void
live_m3u8_segment_parts(live_writer_t *w, const live_m3u8_media_t *p,
    live_m3u8_low_t *low, uint32_t i)
{
    const live_m3u8_segment_t  *seg;

    if (i < low->segment) {
        return;
    }

    seg = &p->segments[i];

    while (low->part < p->nparts && p->parts[low->part].msn < seg->msn) {
        low->part++;
    }

    live_m3u8_parts(w, p, seg, live_m3u8_run(p, low->part, seg->msn));
}


void
live_m3u8_open_parts(live_writer_t *w, const live_m3u8_media_t *p,
    const live_m3u8_low_t *low)
{
    live_m3u8_parts(w, p, low->open, low->run);
}


static void
live_m3u8_parts(live_writer_t *w, const live_m3u8_media_t *p,
    const live_m3u8_segment_t *seg, live_m3u8_run_t run)
{
    uint32_t  i;

    for (i = 0; i < run.count && !w->error; i++) {
        live_m3u8_part(w, p, &p->parts[run.first + i],
                       live_m3u8_timescale(p, seg));
    }
}


/* HLS-52 */
static void
live_m3u8_part(live_writer_t *w, const live_m3u8_media_t *p,
    const live_m3u8_part_t *part, uint32_t timescale)
{
    uint64_t  duration, target;

    duration = (uint64_t) live_m3u8_span(part->start, part->duration,
                                         timescale);

    /*
     * Rounding does not lift it above the target, which is in whole units;
     * a part that is really longer would cost the whole playlist (HLS-50).
     */
    target = (uint64_t) p->part_target * LIVE_M3U8_MS;

    if (duration > target) {
        duration = target;
    }

    live_write_str(w, "#EXT-X-PART:DURATION=");
    live_write_fixed(w, duration, LIVE_M3U8_DIGITS);
    live_write_str(w, ",URI=\"");
    live_m3u8_write_part_name(w, p, part->msn, part->index);
    live_write_u8(w, '"');

    if (part->flags & LIVE_SEGMENT_INDEPENDENT) {
        live_write_str(w, ",INDEPENDENT=YES");
    }

    if (part->flags & LIVE_SEGMENT_GAP) {
        live_write_str(w, ",GAP=YES");
    }

    live_write_u8(w, '\n');
}


static void
live_m3u8_write_part_name(live_writer_t *w, const live_m3u8_media_t *p,
    uint64_t msn, uint32_t index)
{
    live_m3u8_write_name(w, p, msn);
    live_write_u8(w, '.');
    live_write_decimal(w, index);
    live_write_str(w, ".m4s");
}


void
live_m3u8_low_end(live_writer_t *w, const live_m3u8_media_t *p)
{
    uint32_t  i;

    if (!live_m3u8_low_latency(p) || p->ended) {
        return;
    }

    if (p->hint) {
        live_write_str(w, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"");
        live_m3u8_write_part_name(w, p, p->hint_msn, p->hint_part);
        live_write_str(w, "\"\n");
    }

    for (i = 0; i < p->nreports && !w->error; i++) {
        live_m3u8_report(w, &p->reports[i]);
    }
}


/* HLS-54: all attributes, players do not add what is left out */
static void
live_m3u8_report(live_writer_t *w, const live_m3u8_report_t *r)
{
    live_write_str(w, "#EXT-X-RENDITION-REPORT:URI=\"../");
    live_write_str(w, r->name);
    live_write_str(w, "/playlist.m3u8\",LAST-MSN=");
    live_write_decimal(w, r->msn);

    if (r->parts) {
        live_write_str(w, ",LAST-PART=");
        live_write_decimal(w, r->part);
    }

    live_write_u8(w, '\n');
}
