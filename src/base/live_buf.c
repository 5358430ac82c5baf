
#include <stdarg.h>
#include <stdio.h>

#include "live_buf.h"


void
live_write_fmt(live_writer_t *w, const char *fmt, ...)
{
    int      n;
    size_t   room;
    va_list  args;

    if (w->error) {
        return;
    }

    room = w->end - w->pos;

    va_start(args, fmt);
    n = vsnprintf((char *) w->pos, room, fmt, args);
    va_end(args);

    if (n < 0 || (size_t) n >= room) {
        w->error = 1;
        return;
    }

    w->pos += n;
}
