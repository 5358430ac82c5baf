
/* URLs of other servers.  Pure, with libcurl's parser; any thread. */

#ifndef _LIVE_URL_H_INCLUDED_
#define _LIVE_URL_H_INCLUDED_


#include <stddef.h>


#define LIVE_URL_SCHEME  16


/*
 * Reads an absolute URL of any scheme, which goes to scheme in small letters,
 * and to shown, size bytes, what may be told of it: without a user, a password,
 * a query and a fragment.  LIVE_ERROR: it is none, or longer than that.
 */
int live_url_read(const char *url, char scheme[LIVE_URL_SCHEME], char *shown,
    size_t size);


#endif /* _LIVE_URL_H_INCLUDED_ */
