/* live_url.h: what is an URL, and what of it may be told. */

#include <stdlib.h>
#include <string.h>

#include "live_types.h"
#include "live_url.h"
#include "tap.h"


static const struct {
    const char  *url;
    const char  *scheme;
    const char  *shown;
} test_urls[] = {
    { "rtmp://h/live/name", "rtmp", "rtmp://h/live/name" },
    { "RTMP://h:1936/live", "rtmp", "rtmp://h:1936/live" },
    { "https://u:p@h/a/b.m3u8?token=x#y", "https", "https://h/a/b.m3u8" },
    { "rtsp://admin:1%4034@10.0.0.1:554/cam?channel=1", "rtsp",
      "rtsp://10.0.0.1:554/cam" },
    { "srt://[::1]:9000?streamid=read:secret&passphrase=abc", "srt",
      "srt://[::1]:9000" },
    { "udp://239.0.0.1:1234", "udp", "udp://239.0.0.1:1234" },
    { "file:///srv/clip.mp4", "file", "file:///srv/clip.mp4" },
    { "file:///srv/a%20clip.mp4?x", "file", "file:///srv/a%20clip.mp4" }
};


static const char  *test_wrong[] = {
    "", "rtmp", "/srv/clip.mp4", "clip.mp4", "http:/x y", "http://h/a b",
    "http://h/\n", "http://h/\xc3\xa4", "://h/x",
    "averyveryverylongscheme://h/"
};


int
main(void)
{
    int     rc;
    char    scheme[LIVE_URL_SCHEME], shown[64], longest[200];
    size_t  i;

    for (i = 0; i < sizeof(test_urls) / sizeof(test_urls[0]); i++) {
        rc = live_url_read(test_urls[i].url, scheme, shown, sizeof(shown));

        tap_ok(rc == LIVE_OK
               && strcmp(scheme, test_urls[i].scheme) == 0
               && strncmp(shown, test_urls[i].shown,
                          strlen(test_urls[i].shown)) == 0
               && strlen(shown) <= strlen(test_urls[i].shown) + 1
               && strpbrk(shown, "?#") == NULL,
               "%s: \"%s\", \"%s\"", test_urls[i].url, rc ? "" : scheme,
               rc ? "" : shown);
    }

    for (i = 0; i < sizeof(test_wrong) / sizeof(test_wrong[0]); i++) {
        tap_ok(live_url_read(test_wrong[i], scheme, shown, sizeof(shown))
               == LIVE_ERROR, "no URL: %zu", i);
    }

    memset(longest, 'a', sizeof(longest));
    memcpy(longest, "http://", 7);
    longest[sizeof(longest) - 1] = '\0';

    tap_ok(live_url_read(longest, scheme, shown, sizeof(shown)) == LIVE_ERROR,
           "one that is too long to be told");

    return tap_done();
}
