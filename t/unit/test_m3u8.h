
/* What the unit tests of the playlists share. */

#ifndef _TEST_M3U8_H_INCLUDED_
#define _TEST_M3U8_H_INCLUDED_


#include "live_m3u8.h"
#include "tap.h"


#define TEST_TEXT     (64 * 1024)
#define TEST_ANCHOR   1769860800250LL   /* 2026-01-31T12:00:00.250Z */

#define TEST_D        LIVE_SEGMENT_DISCONTINUITY
#define TEST_I        LIVE_SEGMENT_INDEPENDENT
#define TEST_G        LIVE_SEGMENT_GAP


static char  test_text[TEST_TEXT];


/* The text is there until the next call; "" when it is refused. */
static inline const char *
test_render_delta(const live_m3u8_media_t *p, live_m3u8_delta_t *delta)
{
    live_writer_t  w;

    live_writer_init(&w, test_text, TEST_TEXT - 1);

    if (live_m3u8_media(&w, p, delta) != LIVE_OK) {
        return "";
    }

    *w.pos = '\0';

    return test_text;
}


static inline const char *
test_render(const live_m3u8_media_t *p)
{
    return test_render_delta(p, NULL);
}


static inline void
test_is(const char *got, const char *expected, const char *name)
{
    if (!tap_ok(strcmp(got, expected) == 0, "%s", name)) {
        fprintf(stderr, "--- got\n%s--- expected\n%s", got, expected);
    }
}


static inline int
test_count(const char *text, const char *what)
{
    int  n;

    for (n = 0; (text = strstr(text, what)) != NULL; n++) {
        text++;
    }

    return n;
}


/* The first EXTINF of a text, in units of 10 us. */
static inline long
test_extinf(const char *text)
{
    int   n, sec, frac;

    text = strstr(text, "#EXTINF:");
    n = 0;

    if (text == NULL
        || sscanf(text, "#EXTINF:%d.%5d,%n", &sec, &frac, &n) != 2
        || n == 0 || text[n - 7] != '.')
    {
        return -1;
    }

    return (long) sec * 100000 + frac;
}


#endif /* _TEST_M3U8_H_INCLUDED_ */
