#include "live_cmaf.h"


#define LIVE_CMAF_BOX       8           /* size and type */

#define LIVE_CMAF_MFHD      16
#define LIVE_CMAF_TFHD      16          /* without optional fields */
#define LIVE_CMAF_TFDT      20          /* version 1 */
#define LIVE_CMAF_TRUN      20          /* without samples */

/* moof, mfhd, traf, tfhd, tfdt, trun and mdat, without what varies */
#define LIVE_CMAF_FIXED                                                      \
    (3 * LIVE_CMAF_BOX + LIVE_CMAF_MFHD + LIVE_CMAF_TFHD + LIVE_CMAF_TFDT    \
     + LIVE_CMAF_TRUN)

/* tfhd (CMAF-9) */
#define LIVE_TFHD_DURATION  0x000008
#define LIVE_TFHD_FLAGS     0x000020
#define LIVE_TFHD_MOOF      0x020000

/* trun (CMAF-11) */
#define LIVE_TRUN_OFFSET    0x000001
#define LIVE_TRUN_DURATION  0x000100
#define LIVE_TRUN_SIZE      0x000200
#define LIVE_TRUN_FLAGS     0x000400
#define LIVE_TRUN_CTS       0x000800
#define LIVE_TRUN_V1        0x01000000  /* signed composition offsets */

/* sample flags (CMAF-12) */
#define LIVE_SYNC           0x02000000
#define LIVE_NON_SYNC       0x01010000

#define LIVE_CMAF_TRACK     1


/*
 * How the samples are written.  What a track's samples share goes to the
 * tfhd, so that a part is complete in itself (CMAF-4); tfhd and trun are the
 * two boxes' version and flags.
 */
typedef struct {
    uint32_t  tfhd;
    uint32_t  trun;
    uint32_t  shared;           /* bytes of optional fields in the tfhd */
    uint32_t  each;             /* bytes of a sample in the trun */
} live_cmaf_form_t;


static const live_cmaf_form_t *live_cmaf_form(live_media_e media,
    size_t room, const live_sample_t *samples, uint32_t n);
static int live_cmaf_fits(const live_cmaf_form_t *form, size_t room,
    uint32_t n);
static int live_cmaf_steady(const live_sample_t *samples, uint32_t n);
static size_t live_cmaf_form_size(const live_cmaf_form_t *form, uint32_t n);
static void live_cmaf_write_traf(live_writer_t *w,
    const live_cmaf_form_t *form, size_t room, const live_sample_t *samples,
    uint32_t n);
static void live_cmaf_write_trun(live_writer_t *w,
    const live_cmaf_form_t *form, const live_sample_t *samples, uint32_t n);
static void live_cmaf_box(live_writer_t *w, size_t size, const char *type);


static const live_cmaf_form_t  live_cmaf_video = {
    .tfhd = LIVE_TFHD_MOOF,
    .trun = LIVE_TRUN_V1 | LIVE_TRUN_OFFSET | LIVE_TRUN_DURATION
            | LIVE_TRUN_SIZE | LIVE_TRUN_FLAGS | LIVE_TRUN_CTS,
    .shared = 0,
    .each = 16
};


static const live_cmaf_form_t  live_cmaf_audio = {
    .tfhd = LIVE_TFHD_MOOF | LIVE_TFHD_FLAGS,
    .trun = LIVE_TRUN_OFFSET | LIVE_TRUN_DURATION | LIVE_TRUN_SIZE,
    .shared = 4,
    .each = 8
};


static const live_cmaf_form_t  live_cmaf_audio_steady = {
    .tfhd = LIVE_TFHD_MOOF | LIVE_TFHD_DURATION | LIVE_TFHD_FLAGS,
    .trun = LIVE_TRUN_OFFSET | LIVE_TRUN_SIZE,
    .shared = 8,
    .each = 4
};


size_t
live_cmaf_header_size(live_media_e media, uint32_t n)
{
    return live_cmaf_form_size(live_cmaf_form(media, 0, NULL, 0), n);
}


uint32_t
live_cmaf_header_capacity(live_media_e media, size_t room)
{
    size_t                   n, base;
    const live_cmaf_form_t  *form;

    form = live_cmaf_form(media, 0, NULL, 0);
    base = live_cmaf_form_size(form, 0);

    if (room < base + form->each) {
        return 0;
    }

    n = (room - base) / form->each;

    if (n > UINT32_MAX) {
        n = UINT32_MAX;
    }

    /* padding must be a whole box */

    if (!live_cmaf_fits(form, room, (uint32_t) n)) {
        n--;
    }

    return (uint32_t) n;
}


/*
 * Fewer samples leave a multiple of 8 bytes, which is none or a free box;
 * where the shorter form for audio leaves 4, the longer one is written.
 */
size_t
live_cmaf_header_room(live_media_e media, uint32_t n)
{
    return live_cmaf_header_size(media, n);
}


int
live_cmaf_write_header(uint8_t *buf, size_t room, live_media_e media,
    uint32_t sequence, const live_sample_t *samples, uint32_t n)
{
    uint32_t                 i;
    uint64_t                 payload;
    live_writer_t            w;
    const live_cmaf_form_t  *form;

    if (n == 0 || samples[0].dts < 0) {
        return LIVE_ERROR;
    }

    payload = LIVE_CMAF_BOX;

    for (i = 0; i < n; i++) {
        payload += samples[i].size;
    }

    form = live_cmaf_form(media, room, samples, n);

    if (!live_cmaf_fits(form, room, n) || room > INT32_MAX
        || payload > UINT32_MAX)
    {
        return LIVE_OVERFLOW;
    }

    live_writer_init(&w, buf, room);

    live_cmaf_box(&w, room - LIVE_CMAF_BOX, "moof");

    live_cmaf_box(&w, LIVE_CMAF_MFHD, "mfhd");
    live_write_u32(&w, 0);
    live_write_u32(&w, sequence);

    live_cmaf_write_traf(&w, form, room, samples, n);

    live_cmaf_box(&w, payload, "mdat");

    return w.error ? LIVE_OVERFLOW : LIVE_OK;
}


/* The most general form for the media when there are no samples to see. */
static const live_cmaf_form_t *
live_cmaf_form(live_media_e media, size_t room, const live_sample_t *samples,
    uint32_t n)
{
    if (media == LIVE_MEDIA_VIDEO) {
        return &live_cmaf_video;
    }

    if (n && live_cmaf_steady(samples, n)
        && live_cmaf_fits(&live_cmaf_audio_steady, room, n))
    {
        return &live_cmaf_audio_steady;
    }

    return &live_cmaf_audio;
}


static int
live_cmaf_fits(const live_cmaf_form_t *form, size_t room, uint32_t n)
{
    size_t  size;

    size = live_cmaf_form_size(form, n);

    return room == size || (room > size && room - size >= LIVE_CMAF_BOX);
}


static int
live_cmaf_steady(const live_sample_t *samples, uint32_t n)
{
    uint32_t  i;

    for (i = 1; i < n; i++) {
        if (samples[i].duration != samples[0].duration) {
            return 0;
        }
    }

    return 1;
}


static size_t
live_cmaf_form_size(const live_cmaf_form_t *form, uint32_t n)
{
    return LIVE_CMAF_FIXED + form->shared + (size_t) form->each * n;
}


/* traf and, behind it, the padding of the moof */
static void
live_cmaf_write_traf(live_writer_t *w, const live_cmaf_form_t *form,
    size_t room, const live_sample_t *samples, uint32_t n)
{
    size_t    size, padding;
    uint8_t  *p;

    size = live_cmaf_form_size(form, n);
    padding = room - size;

    /* of all the boxes only moof, mfhd and mdat are not in the traf */

    live_cmaf_box(w, size - LIVE_CMAF_MFHD - 2 * LIVE_CMAF_BOX, "traf");

    live_cmaf_box(w, LIVE_CMAF_TFHD + form->shared, "tfhd");
    live_write_u32(w, form->tfhd);
    live_write_u32(w, LIVE_CMAF_TRACK);

    if (form->tfhd & LIVE_TFHD_DURATION) {
        live_write_u32(w, samples[0].duration);
    }

    if (form->tfhd & LIVE_TFHD_FLAGS) {
        live_write_u32(w, LIVE_SYNC);
    }

    live_cmaf_box(w, LIVE_CMAF_TFDT, "tfdt");
    live_write_u32(w, 0x01000000);
    live_write_u64(w, (uint64_t) samples[0].dts);

    live_cmaf_box(w, LIVE_CMAF_TRUN + (size_t) form->each * n, "trun");
    live_write_u32(w, form->trun);
    live_write_u32(w, n);
    live_write_u32(w, (uint32_t) room);         /* the payload follows */
    live_cmaf_write_trun(w, form, samples, n);

    if (padding == 0) {
        return;
    }

    live_cmaf_box(w, padding, "free");

    p = live_write_room(w, padding - LIVE_CMAF_BOX);

    if (p) {
        memset(p, 0, padding - LIVE_CMAF_BOX);
    }
}


static void
live_cmaf_write_trun(live_writer_t *w, const live_cmaf_form_t *form,
    const live_sample_t *samples, uint32_t n)
{
    const live_sample_t  *s, *end;

    for (s = samples, end = s + n; s < end; s++) {

        if (form->trun & LIVE_TRUN_DURATION) {
            live_write_u32(w, s->duration);
        }

        live_write_u32(w, s->size);

        if (form->trun & LIVE_TRUN_FLAGS) {
            live_write_u32(w, s->flags & LIVE_SAMPLE_KEY ? LIVE_SYNC
                                                         : LIVE_NON_SYNC);
        }

        if (form->trun & LIVE_TRUN_CTS) {
            live_write_u32(w, (uint32_t) s->cts);
        }
    }
}


static void
live_cmaf_box(live_writer_t *w, size_t size, const char *type)
{
    live_write_u32(w, (uint32_t) size);
    live_write(w, type, 4);
}
