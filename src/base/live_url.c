
#include "live_url.h"
#include "live_types.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>


static int live_url_part(CURLU *u, CURLUPart part, char *text, size_t size);


int
live_url_read(const char *url, char scheme[LIVE_URL_SCHEME], char *shown,
    size_t size)
{
    int           rc;
    CURLU        *u;
    const char   *p;

    /* control characters, spaces, and what is not ASCII is escaped in a URL */

    for (p = url; *p; p++) {
        if (*p <= 0x20 || *p > 0x7e) {
            return LIVE_ERROR;
        }
    }

    u = curl_url();
    if (u == NULL) {
        return LIVE_ERROR;
    }

    rc = LIVE_ERROR;

    if (curl_url_set(u, CURLUPART_URL, url,
                     CURLU_NON_SUPPORT_SCHEME|CURLU_NO_AUTHORITY)
        == CURLUE_OK)
    {
        (void) curl_url_set(u, CURLUPART_USER, NULL, 0);
        (void) curl_url_set(u, CURLUPART_PASSWORD, NULL, 0);
        (void) curl_url_set(u, CURLUPART_QUERY, NULL, 0);
        (void) curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0);

        rc = live_url_part(u, CURLUPART_SCHEME, scheme, LIVE_URL_SCHEME);

        if (rc == LIVE_OK) {
            rc = live_url_part(u, CURLUPART_URL, shown, size);
        }
    }

    curl_url_cleanup(u);

    return rc;
}


static int
live_url_part(CURLU *u, CURLUPart part, char *text, size_t size)
{
    int    n;
    char  *value;

    if (curl_url_get(u, part, &value, 0) != CURLUE_OK) {
        return LIVE_ERROR;
    }

    n = snprintf(text, size, "%s", value);

    curl_free(value);

    return n >= 0 && (size_t) n < size ? LIVE_OK : LIVE_ERROR;
}
