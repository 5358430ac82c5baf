
/*
 * Points at which a test lets a process die: nothing in a build for use.
 *
 * Built with -DNGX_LIVE_CRASH_POINTS=1, each point looks into the file that
 * the environment variable NGX_LIVE_CRASH names and that the test maps as
 * well; the process that a test has armed kills or stops itself there.
 */

#ifndef _NGX_LIVE_CRASH_H_INCLUDED_
#define _NGX_LIVE_CRASH_H_INCLUDED_


#if (NGX_LIVE_CRASH_POINTS)

#include "ngx_live_zone.h"

/* Any thread.  name: of the point, at most 31 characters. */
void ngx_live_crash_point(const char *name);

/* Tells the test how much of the zone is in use; any worker. */
void ngx_live_crash_report(ngx_live_zone_t *zone);

#else

#define ngx_live_crash_point(name)
#define ngx_live_crash_report(zone)

#endif


#endif /* _NGX_LIVE_CRASH_H_INCLUDED_ */
