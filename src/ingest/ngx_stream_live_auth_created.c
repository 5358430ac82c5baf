
/* Streams that the control API has created are published with their keys. */

#include <ngx_config.h>
#include <ngx_core.h>
#include <openssl/crypto.h>
#include "ngx_stream_live_auth.h"
#include "ngx_live_registry.h"


const char *
ngx_stream_live_created_name(ngx_live_app_conf_t *app, const char *name)
{
    size_t       i;
    static char  found[NGX_LIVE_MAX_NAME + 1];

    for (i = 0; name[i]; i++) {

        if (!((name[i] >= '0' && name[i] <= '9')
              || (name[i] >= 'a' && name[i] <= 'f')))
        {
            return name;
        }
    }

    if (i != NGX_LIVE_KEY
        || ngx_live_registry_keyed(ngx_live_zone(), &app->name,
                                   (u_char *) name, found)
           != NGX_OK)
    {
        return name;
    }

    return found;
}


ngx_int_t
ngx_stream_live_created(ngx_stream_live_rtmp_ctx_t *ctx,
    const live_rtmp_publish_t *p, const char **reason)
{
    char                  given[LIVE_RTMP_MAX_ARGS + 1];
    ngx_int_t             rc;
    ngx_live_entry_sh_t   entry;

    if (ngx_live_registry_find(ngx_live_zone(), &ctx->app->name, &ctx->name,
                               &entry)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    rc = NGX_ERROR;

    if (ngx_stream_live_auth_argument(p, "key", given, sizeof(given))
        != LIVE_OK
        || given[0] == '\0')
    {
        *reason = "the stream was created with a key, NAME?key=KEY";

    } else if (ngx_strlen(given) != NGX_LIVE_KEY
               || CRYPTO_memcmp(given, entry.key, NGX_LIVE_KEY) != 0)
    {
        *reason = "the key is not valid for this stream";

    } else {
        rc = NGX_OK;
    }

    ngx_explicit_memzero(given, sizeof(given));
    ngx_explicit_memzero(entry.key, NGX_LIVE_KEY);

    return rc;
}
