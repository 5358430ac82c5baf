
#include <string.h>

#include "live_query.h"
#include "live_types.h"


static size_t live_query_argument(const char *p, const char *name,
    const char **value);
static int live_query_hex(char c);


int
live_query_find(const char *query, const char *name, char *buf, size_t size)
{
    int          byte;
    char         c;
    size_t       len, n;
    const char  *p, *value, *last;

    for (p = query; *p; p += len + (p[len] == '&')) {

        len = live_query_argument(p, name, &value);

        if (value == NULL) {
            continue;
        }

        last = p + len;

        for (n = 0; value < last; n++) {

            c = *value++;

            if (c == '%' && last - value >= 2) {
                byte = live_query_byte(value);

                if (byte == 0) {
                    return LIVE_ERROR;
                }

                if (byte > 0) {
                    c = (char) byte;
                    value += 2;
                }
            }

            if (n + 1 >= size) {
                return LIVE_OVERFLOW;
            }

            buf[n] = c;
        }

        buf[n] = '\0';

        return LIVE_OK;
    }

    return LIVE_AGAIN;
}


int
live_query_byte(const char *digits)
{
    int  hi, lo;

    hi = live_query_hex(digits[0]);
    lo = (hi < 0) ? -1 : live_query_hex(digits[1]);

    return lo < 0 ? -1 : hi << 4 | lo;
}


const char *
live_query_of(const char *url)
{
    const char  *p;

    p = strchr(url, '?');

    return p ? p + 1 : "";
}


void
live_query_remove(char *query, const char *name)
{
    char        *to;
    size_t       len;
    const char  *p, *next, *value;

    to = query;

    for (p = query; *p; p = next) {

        len = live_query_argument(p, name, &value);
        next = p + len + (p[len] == '&');

        if (value) {
            continue;
        }

        if (to != query) {
            *to++ = '&';
        }

        memmove(to, p, len);
        to += len;
    }

    *to = '\0';
}


/* The length of the argument at p; *value is NULL unless it has that name. */

static size_t
live_query_argument(const char *p, const char *name, const char **value)
{
    size_t  len, n;

    len = strcspn(p, "&");
    n = strlen(name);

    *value = NULL;

    if (len > n && p[n] == '=' && memcmp(p, name, n) == 0) {
        *value = p + n + 1;

    } else if (len == n && memcmp(p, name, n) == 0) {
        *value = p + n;
    }

    return len;
}


static int
live_query_hex(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }

    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }

    return -1;
}
