
/* Dates as playlists, manifests and the clock write them.  Pure; any thread. */

#ifndef _LIVE_DATE_H_INCLUDED_
#define _LIVE_DATE_H_INCLUDED_


#include "live_buf.h"


#define LIVE_DATE_SIZE  24

/*
 * "2026-01-31T12:00:00.123Z" of ms since 1970: LIVE_DATE_SIZE bytes, no NUL
 * (DASH-13, HLS-21).  What is before 1970 or behind 9999 is written as these.
 */
void live_write_date(live_writer_t *w, int64_t ms);


#endif /* _LIVE_DATE_H_INCLUDED_ */
