
#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_live_writer.h"


static const char *ngx_live_limit_text(const char *fmt, ...);


/* of this worker */
static ngx_uint_t  ngx_live_limit_transcodes;


void
ngx_live_address(struct sockaddr *sa, ngx_live_address_t *address)
{
    struct sockaddr_in   *sin;
#if (NGX_HAVE_INET6)
    struct sockaddr_in6  *sin6;
#endif

    address->len = 0;

    switch (sa->sa_family) {

    case AF_INET:
        sin = (struct sockaddr_in *) sa;
        address->len = 4;
        ngx_memcpy(address->data, &sin->sin_addr, 4);
        break;

#if (NGX_HAVE_INET6)
    case AF_INET6:
        sin6 = (struct sockaddr_in6 *) sa;

        if (IN6_IS_ADDR_V4MAPPED(&sin6->sin6_addr)) {
            address->len = 4;
            ngx_memcpy(address->data, &sin6->sin6_addr.s6_addr[12], 4);

        } else {
            address->len = NGX_LIVE_ADDRESS;
            ngx_memcpy(address->data, &sin6->sin6_addr, NGX_LIVE_ADDRESS);
        }

        break;
#endif
    }
}


ngx_int_t
ngx_live_limit_publications_locked(ngx_live_zone_t *zone,
    ngx_live_app_conf_t *app, ngx_live_stream_sh_t *st,
    ngx_live_address_t *address)
{
    ngx_uint_t             i, all, same;
    ngx_live_stream_sh_t  *other;

    if (app->max_publications == 0 && app->max_per_address == 0) {
        return NGX_OK;
    }

    all = 0;
    same = 0;

    for (i = 0; i < NGX_LIVE_BUCKETS; i++) {

        for (other = zone->sh->buckets[i]; other; other = other->next) {

            if (other == st
                || other->state != NGX_LIVE_STREAM_LIVE
                || other->closing
                || other->slate
                || other->app_len != app->name.len
                || ngx_memcmp(other->app, app->name.data, app->name.len) != 0)
            {
                continue;
            }

            all++;

            same += (address->len && other->address_len == address->len
                     && ngx_memcmp(other->address, address->data,
                                   address->len) == 0);
        }
    }

    if ((app->max_publications && all >= app->max_publications)
        || (app->max_per_address && same >= app->max_per_address))
    {
        return NGX_BUSY;
    }

    return NGX_OK;
}


const char *
ngx_live_limit_check(ngx_live_publication_t *pub, size_t bytes)
{
    uint64_t              rate, drained;
    ngx_msec_t            elapsed;
    ngx_live_limit_t     *limit;
    ngx_live_app_conf_t  *app;

    app = pub->app;
    limit = &pub->limit;

    rate = app->max_bitrate;

    if (limit->rate && (rate == 0 || limit->rate < rate)) {
        rate = limit->rate;
    }

    if (rate) {
        elapsed = ngx_min(ngx_current_msec - limit->msec,
                          app->max_bitrate_window);
        drained = rate * elapsed / 1000;

        limit->msec = ngx_current_msec;
        limit->excess -= ngx_min(limit->excess, drained);
        limit->excess += (uint64_t) bytes * 8;

        if (limit->excess > rate * app->max_bitrate_window / 1000) {
            return ngx_live_limit_text("more than the %uL kbit/s of "
                                       "\"max_bitrate\" for too long",
                                       rate / 1000);
        }
    }

    if (app->max_gop
        && limit->video_us - limit->key_us > (int64_t) app->max_gop * 1000)
    {
        return ngx_live_limit_text("no key frame for more than the %Mms of "
                                   "\"max_gop\"", app->max_gop);
    }

    return NULL;
}


void
ngx_live_publish_max_bitrate(ngx_live_publication_t *pub, uint64_t rate)
{
    pub->limit.rate = rate;
}


static const char *
ngx_live_limit_text(const char *fmt, ...)
{
    u_char         *p;
    va_list         args;
    static u_char   text[128];

    va_start(args, fmt);
    p = ngx_vslprintf(text, text + sizeof(text) - 1, fmt, args);
    va_end(args);

    *p = '\0';

    return (const char *) text;
}


ngx_int_t
ngx_live_limit_transcode(ngx_live_publication_t *pub)
{
    ngx_uint_t             i, n;
    ngx_live_zone_t       *zone;
    ngx_live_app_conf_t   *app;
    ngx_live_stream_sh_t  *st;

    app = pub->app;
    zone = pub->zone;

    if (app->max_transcodes_worker
        && ngx_live_limit_transcodes >= app->max_transcodes_worker)
    {
        ngx_log_error(NGX_LOG_WARN, pub->log, 0,
                      "the stream has no rungs, the worker transcodes %ui "
                      "streams, as many as \"max_transcodes\" allows",
                      ngx_live_limit_transcodes);
        return NGX_BUSY;
    }

    n = 0;

    ngx_shmtx_lock(&zone->shpool->mutex);

    for (i = 0; app->max_transcodes && i < NGX_LIVE_BUCKETS; i++) {

        for (st = zone->sh->buckets[i]; st; st = st->next) {

            n += st->transcoded
                 && st->state == NGX_LIVE_STREAM_LIVE
                 && st != pub->st
                 && st->app_len == app->name.len
                 && ngx_memcmp(st->app, app->name.data, app->name.len) == 0;
        }
    }

    pub->st->transcoded = (app->max_transcodes == 0
                           || n < app->max_transcodes);

    ngx_shmtx_unlock(&zone->shpool->mutex);

    if (!pub->st->transcoded) {
        ngx_log_error(NGX_LOG_WARN, pub->log, 0,
                      "the stream has no rungs, %ui streams of the application "
                      "are transcoded, as many as \"max_transcodes\" allows",
                      n);
        return NGX_BUSY;
    }

    ngx_live_limit_transcodes++;

    return NGX_OK;
}


void
ngx_live_limit_transcoded(ngx_live_publication_t *pub, ngx_uint_t owned)
{
    ngx_live_limit_transcodes--;

    if (owned) {
        pub->st->transcoded = 0;
    }
}
