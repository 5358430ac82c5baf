# Varnish as a cache between the origin and many players or a CDN: docs/cdn.md.
#
#   varnishd -a :8081 -f varnish.vcl -s malloc,4g -p thread_pool_min=200

vcl 4.1;

import std;

backend origin {
    .host = "127.0.0.1";
    .port = "8080";

    # longer than the origin holds a request, which is up to 8 s
    .first_byte_timeout = 15s;
    .between_bytes_timeout = 15s;
}


sub vcl_recv {
    # Of the query only what chooses the response, in one order: tokens, CMCD
    # and the like would make a copy for every player.
    if (req.url ~ "\?") {
        set req.http.X-Query = "";

        if (req.url ~ "[?&]_HLS_msn=") {
            set req.http.X-Query = "&_HLS_msn=" +
                regsub(req.url, "^.*?[?&]_HLS_msn=([^&]*).*$", "\1");
        }

        if (req.url ~ "[?&]_HLS_part=") {
            set req.http.X-Query = req.http.X-Query + "&_HLS_part=" +
                regsub(req.url, "^.*?[?&]_HLS_part=([^&]*).*$", "\1");
        }

        if (req.url ~ "[?&]_HLS_skip=") {
            set req.http.X-Query = req.http.X-Query + "&_HLS_skip=" +
                regsub(req.url, "^.*?[?&]_HLS_skip=([^&]*).*$", "\1");
        }

        if (req.url ~ "\.jpg\?(.*&)?w=") {
            set req.http.X-Query = req.http.X-Query + "&w=" +
                regsub(req.url, "^.*?[?&]w=([^&]*).*$", "\1");
        }

        set req.url = regsub(req.url, "\?.*$", "") +
                      regsub(req.http.X-Query, "^&", "?");
        unset req.http.X-Query;
    }

    # one copy, by whatever name players know this cache
    set req.http.Host = "origin.example.com";

    # Varnish would not cache what is asked with these
    unset req.http.Cookie;
    unset req.http.Authorization;

    # the clock, and what has no end: would wait for one another in vain
    if (req.url ~ "(/time|\.flv)$") {
        return (pass);
    }
}


sub vcl_backend_response {
    # An old playlist is worse than an error, and the default is to give one
    # out for ten seconds more.
    set beresp.grace = 0s;
    set beresp.keep = 0s;

    # Varnish keeps 400 and 503 of nobody, and would for two minutes send each
    # request for such a URL to the origin.
    if (beresp.ttl <= 0s && beresp.status >= 400
        && beresp.http.Cache-Control ~ "max-age=[1-9]"
        && beresp.http.Cache-Control !~ "no-store|private")
    {
        set beresp.ttl = std.duration(
            regsub(beresp.http.Cache-Control, "^.*max-age=([0-9]+).*$", "\1s"),
            1s);
    }
}


# The origin is away: asked again in a second, not by everybody.
sub vcl_backend_error {
    set beresp.http.Cache-Control = "public, max-age=1";
    set beresp.http.Access-Control-Allow-Origin = "*";
    set beresp.ttl = 1s;
    set beresp.grace = 0s;
    set beresp.keep = 0s;
    set beresp.body = "";

    return (deliver);
}
