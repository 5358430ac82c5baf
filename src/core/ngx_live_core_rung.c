
/* The directive "rendition": names and parameters, and what fits a stream. */

#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_live_zone.h"
#include "ngx_live_core_rung.h"


static ngx_int_t ngx_live_core_rung_name(ngx_conf_t *cf, ngx_str_t *name);
static ngx_int_t ngx_live_core_rung_parse(ngx_conf_t *cf, live_rung_t *r);
static ngx_int_t ngx_live_core_rung_copy(ngx_conf_t *cf, live_rung_t *r);
static ngx_int_t ngx_live_core_rung_audio_only(ngx_conf_t *cf);
static ngx_int_t ngx_live_core_rung_fits(ngx_conf_t *cf, ngx_array_t *rungs,
    live_rung_t *r);
static ngx_uint_t ngx_live_core_rung_sounds(live_rung_t *r, ngx_uint_t n);


char *
ngx_live_core_rendition(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_live_app_conf_t *acf = conf;

    ngx_str_t    *value;
    live_rung_t   rung, *r;

    value = cf->args->elts;

    if (ngx_live_core_rung_name(cf, &value[1]) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    live_rung_init(&rung, (char *) value[1].data);

    if (ngx_live_core_rung_parse(cf, &rung) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (acf->renditions == NGX_CONF_UNSET_PTR) {
        acf->renditions = ngx_array_create(cf->pool, 4, sizeof(live_rung_t));
        if (acf->renditions == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    if (ngx_live_core_rung_fits(cf, acf->renditions, &rung) != NGX_OK
        || ngx_live_core_rung_try(cf, &rung) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    r = ngx_array_push(acf->renditions);
    if (r == NULL) {
        return NGX_CONF_ERROR;
    }

    *r = rung;

    return NGX_CONF_OK;
}


ngx_uint_t
ngx_live_core_copy(ngx_array_t *rungs)
{
    ngx_uint_t    i;
    live_rung_t  *r;

    if (rungs == NULL) {
        return 1;
    }

    r = rungs->elts;

    for (i = 0; i < rungs->nelts; i++) {
        if (r[i].copy) {
            return 1;
        }
    }

    return 0;
}


/* It is a part of URLs, beside those of the source and of MPEG-TS. */

static ngx_int_t
ngx_live_core_rung_name(ngx_conf_t *cf, ngx_str_t *name)
{
    u_char      c;
    ngx_uint_t  i;

    if (name->len == 0 || name->len >= LIVE_RUNG_NAME || name->data[0] == '.')
    {
        goto invalid;
    }

    for (i = 0; i < name->len; i++) {
        c = name->data[i];

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
            || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.')
        {
            continue;
        }

        goto invalid;
    }

    if (ngx_strcmp(name->data, "audio") == 0
        || ngx_strcmp(name->data, "ts") == 0
        || ngx_strncmp(name->data, "audio-", 6) == 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "rendition \"%V\" needs another name, this one is "
                           "that of a track of every stream", name);
        return NGX_ERROR;
    }

    return NGX_OK;

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "rendition \"%V\" needs another name, of 1 to %d "
                       "characters of A-Z a-z 0-9 . _ - and not beginning "
                       "with a dot", name, LIVE_RUNG_NAME - 1);

    return NGX_ERROR;
}


static ngx_int_t
ngx_live_core_rung_parse(ngx_conf_t *cf, live_rung_t *r)
{
    ngx_str_t   *value;
    ngx_uint_t   i;
    const char  *reason;

    value = cf->args->elts;

    for (i = 2; i < cf->args->nelts; i++) {

        if (live_rung_parameter(r, (char *) value[i].data, value[i].len,
                                &reason)
            != LIVE_OK)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\" of rendition "
                               "\"%V\": %s", &value[i], &value[1], reason);
            return NGX_ERROR;
        }
    }

    if (ngx_live_core_rung_copy(cf, r) != NGX_OK) {
        return NGX_ERROR;
    }

    if (r->audio_only && ngx_live_core_rung_audio_only(cf) != NGX_OK) {
        return NGX_ERROR;
    }

    if (live_rung_finish(r, &reason) != LIVE_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "rendition \"%V\": %s",
                           &value[1], reason);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* "source copy" and nothing else: what could be set is not made here. */

static ngx_int_t
ngx_live_core_rung_copy(ngx_conf_t *cf, live_rung_t *r)
{
    ngx_str_t   *value;
    ngx_uint_t   source;

    value = cf->args->elts;
    source = ngx_strcmp(value[1].data, "source") == 0;

    if (source && !r->copy) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "rendition \"source\" can only be \"copy\", what "
                           "is encoded needs another name");
        return NGX_ERROR;
    }

    if (r->copy && !source) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"copy\" of rendition \"%V\": "
                           "only \"source\" is copied", &value[1]);
        return NGX_ERROR;
    }

    if (r->copy && cf->args->nelts != 3) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "rendition \"source copy\" has no other "
                           "parameters");
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* Whatever their order, settings of a picture are not ignored silently. */

static ngx_int_t
ngx_live_core_rung_audio_only(ngx_conf_t *cf)
{
    size_t       len;
    ngx_str_t   *value;
    ngx_uint_t   i, n;

    static const char  *audio[] = {
        "audio_only", "audio=", "acodec=", "arate=", "channels="
    };

    value = cf->args->elts;

    for (i = 2; i < cf->args->nelts; i++) {

        for (n = 0; n < sizeof(audio) / sizeof(audio[0]); n++) {
            len = ngx_strlen(audio[n]);

            if (ngx_strncmp(value[i].data, audio[n], len) == 0) {
                break;
            }
        }

        if (n == sizeof(audio) / sizeof(audio[0])) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\" of rendition "
                               "\"%V\": it has no picture, it is "
                               "\"audio_only\"", &value[i], &value[1]);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_live_core_rung_fits(ngx_conf_t *cf, ngx_array_t *rungs, live_rung_t *r)
{
    ngx_uint_t    i, n, sounds;
    live_rung_t  *old, all[NGX_LIVE_MAX_RUNGS];

    old = rungs->elts;

    for (n = 0, i = 0; i < rungs->nelts; i++) {

        if (ngx_strcmp(old[i].name, r->name) == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate rendition \"%s\"", r->name);
            return NGX_ERROR;
        }

        if (!old[i].copy) {
            all[n++] = old[i];
        }
    }

    if (r->copy) {
        return NGX_OK;
    }

    if (n == NGX_LIVE_MAX_RUNGS) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "rendition \"%s\" is one too many, there can be "
                           "%d and the source", r->name, NGX_LIVE_MAX_RUNGS);
        return NGX_ERROR;
    }

    all[n++] = *r;

    sounds = ngx_live_core_rung_sounds(all, n);

    if (sounds > NGX_LIVE_MAX_SOUNDS) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "rendition \"%s\" is one too many, there can be "
                           "%d different settings of audio, each "
                           "\"audio_only\" included", r->name,
                           NGX_LIVE_MAX_SOUNDS);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* The audio tracks to make, at most: when the source's suits no rung.  A rung
 * of audio alone has its own. */

static ngx_uint_t
ngx_live_core_rung_sounds(live_rung_t *r, ngx_uint_t n)
{
    ngx_uint_t  i, k, sounds;

    sounds = 0;

    for (i = 0; i < n; i++) {

        if (r[i].audio_only) {
            sounds++;
            continue;
        }

        if (ngx_strcmp(r[i].audio_codec, "copy") == 0) {
            continue;
        }

        for (k = 0; k < i; k++) {
            if (!r[k].audio_only && live_rung_same_audio(&r[k], &r[i])) {
                break;
            }
        }

        sounds += (k == i);
    }

    return sounds;
}
