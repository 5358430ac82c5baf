
/*
 * Bounded big-endian reader and writer.  Both have a sticky error flag, so
 * that a run of calls is checked once at its end; after an error nothing is
 * read or written any more and reads return 0.  Pure; any thread.
 */

#ifndef _LIVE_BUF_H_INCLUDED_
#define _LIVE_BUF_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>
#include <string.h>


typedef struct {
    const uint8_t  *pos;
    const uint8_t  *last;
    int             error;
} live_reader_t;


typedef struct {
    uint8_t        *start;
    uint8_t        *pos;
    uint8_t        *end;
    int             error;
} live_writer_t;


static inline void
live_reader_init(live_reader_t *r, const void *data, size_t len)
{
    r->pos = data;
    r->last = r->pos + len;
    r->error = 0;
}


static inline size_t
live_reader_left(const live_reader_t *r)
{
    return r->last - r->pos;
}


/* Returns the next n bytes and skips them, NULL when there are fewer. */
static inline const uint8_t *
live_read(live_reader_t *r, size_t n)
{
    const uint8_t  *p;

    if (r->error || live_reader_left(r) < n) {
        r->error = 1;
        return NULL;
    }

    p = r->pos;
    r->pos += n;

    return p;
}


static inline uint32_t
live_read_u8(live_reader_t *r)
{
    const uint8_t  *p = live_read(r, 1);

    return p ? p[0] : 0;
}


static inline uint32_t
live_read_u16(live_reader_t *r)
{
    const uint8_t  *p = live_read(r, 2);

    return p ? (uint32_t) p[0] << 8 | p[1] : 0;
}


static inline uint32_t
live_read_u24(live_reader_t *r)
{
    const uint8_t  *p = live_read(r, 3);

    return p ? (uint32_t) p[0] << 16 | (uint32_t) p[1] << 8 | p[2] : 0;
}


static inline uint32_t
live_read_u32(live_reader_t *r)
{
    const uint8_t  *p = live_read(r, 4);

    return p ? (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16
               | (uint32_t) p[2] << 8 | p[3]
             : 0;
}


static inline uint64_t
live_read_u64(live_reader_t *r)
{
    uint64_t  hi = live_read_u32(r);

    return hi << 32 | live_read_u32(r);
}


static inline void
live_writer_init(live_writer_t *w, void *data, size_t size)
{
    w->start = data;
    w->pos = w->start;
    w->end = w->start + size;
    w->error = 0;
}


static inline size_t
live_writer_len(const live_writer_t *w)
{
    return w->pos - w->start;
}


static inline uint8_t *
live_write_room(live_writer_t *w, size_t n)
{
    uint8_t  *p;

    if (w->error || (size_t) (w->end - w->pos) < n) {
        w->error = 1;
        return NULL;
    }

    p = w->pos;
    w->pos += n;

    return p;
}


static inline void
live_write(live_writer_t *w, const void *data, size_t n)
{
    if (w->error || (size_t) (w->end - w->pos) < n) {
        w->error = 1;
        return;
    }

    if (n) {
        memcpy(w->pos, data, n);
        w->pos += n;
    }
}


static inline void
live_write_u8(live_writer_t *w, uint32_t v)
{
    uint8_t  *p = live_write_room(w, 1);

    if (p) {
        p[0] = (uint8_t) v;
    }
}


static inline void
live_write_u16(live_writer_t *w, uint32_t v)
{
    uint8_t  *p = live_write_room(w, 2);

    if (p) {
        p[0] = (uint8_t) (v >> 8);
        p[1] = (uint8_t) v;
    }
}


static inline void
live_write_u24(live_writer_t *w, uint32_t v)
{
    uint8_t  *p = live_write_room(w, 3);

    if (p) {
        p[0] = (uint8_t) (v >> 16);
        p[1] = (uint8_t) (v >> 8);
        p[2] = (uint8_t) v;
    }
}


static inline void
live_write_u32(live_writer_t *w, uint32_t v)
{
    uint8_t  *p = live_write_room(w, 4);

    if (p) {
        p[0] = (uint8_t) (v >> 24);
        p[1] = (uint8_t) (v >> 16);
        p[2] = (uint8_t) (v >> 8);
        p[3] = (uint8_t) v;
    }
}


static inline void
live_write_u64(live_writer_t *w, uint64_t v)
{
    live_write_u32(w, (uint32_t) (v >> 32));
    live_write_u32(w, (uint32_t) v);
}


static inline void
live_write_str(live_writer_t *w, const char *s)
{
    live_write(w, s, strlen(s));
}


/* printf into the writer; for what is not on a path per sample or request. */
void live_write_fmt(live_writer_t *w, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));


#endif /* _LIVE_BUF_H_INCLUDED_ */
