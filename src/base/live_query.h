
/*
 * The query of a URL, "name=value&name=value", as publishers send it behind
 * the name of a stream or of an application.  Pure; any thread.
 */

#ifndef _LIVE_QUERY_H_INCLUDED_
#define _LIVE_QUERY_H_INCLUDED_


#include <stddef.h>


/*
 * The value of the first argument of that name, percent-decoded into buf and
 * NUL-terminated.  A '%' that no two hexadecimal digits follow stands for
 * itself, a '+' too.  LIVE_OK; LIVE_AGAIN: there is none; LIVE_OVERFLOW: it
 * does not fit into size bytes; LIVE_ERROR: it holds a NUL.
 */
int live_query_find(const char *query, const char *name, char *buf,
    size_t size);

/* The byte that two hexadecimal digits stand for, -1 where they are none. */
int live_query_byte(const char *digits);

/* What stands behind the '?' of a URL, "" where there is none. */
const char *live_query_of(const char *url);

/* Takes all arguments of that name out of a query, in place. */
void live_query_remove(char *query, const char *name);


#endif /* _LIVE_QUERY_H_INCLUDED_ */
