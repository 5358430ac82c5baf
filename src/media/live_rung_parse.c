#include "live_rung.h"

#include <string.h>


#define LIVE_RUNG_MAX_RATE      1000000000u
#define LIVE_RUNG_MAX_FPS       240
#define LIVE_RUNG_MAX_GOP       60
#define LIVE_RUNG_MAX_CRF       63
#define LIVE_RUNG_MAX_CHANNELS  8


/* The value of a parameter, and how far it is read. */
typedef struct {
    const char  *pos;
    const char  *end;
} live_rung_value_t;


typedef const char *(*live_rung_set_pt)(live_rung_t *r, live_rung_value_t *v,
    void *field);


typedef struct {
    const char        *name;
    live_rung_set_pt   set;         /* returns what is wrong, or NULL */
    size_t             offset;
    size_t             size;
} live_rung_key_t;


static const char *live_rung_word(live_rung_t *r, const char *text,
    size_t len);
static const char *live_rung_copy_text(char *field, size_t size,
    const live_rung_value_t *v);
static const char *live_rung_set_size(live_rung_t *r, live_rung_value_t *v,
    void *field);
static const char *live_rung_set_rate(live_rung_t *r, live_rung_value_t *v,
    void *field);
static const char *live_rung_set_crf(live_rung_t *r, live_rung_value_t *v,
    void *field);
static const char *live_rung_set_fps(live_rung_t *r, live_rung_value_t *v,
    void *field);
static const char *live_rung_set_gop(live_rung_t *r, live_rung_value_t *v,
    void *field);
static const char *live_rung_set_arate(live_rung_t *r, live_rung_value_t *v,
    void *field);
static const char *live_rung_set_channels(live_rung_t *r,
    live_rung_value_t *v, void *field);
static const char *live_rung_set_threads(live_rung_t *r,
    live_rung_value_t *v, void *field);
static int live_rung_side(live_rung_value_t *v, int32_t *side);
static int live_rung_integer(live_rung_value_t *v, uint32_t *n, uint32_t max);
static int live_rung_decimal(live_rung_value_t *v, double *n);
static int live_rung_take(live_rung_value_t *v, const char *text);


#define live_rung_offset(member)                                              \
    offsetof(live_rung_t, member), sizeof(((live_rung_t *) 0)->member)


/* without set: text */
static const live_rung_key_t  live_rung_keys[] = {
    { "size",     live_rung_set_size,     live_rung_offset(width) },
    { "video",    live_rung_set_rate,     live_rung_offset(video_rate) },
    { "maxrate",  live_rung_set_rate,     live_rung_offset(maxrate) },
    { "bufsize",  live_rung_set_rate,     live_rung_offset(bufsize) },
    { "audio",    live_rung_set_rate,     live_rung_offset(audio_rate) },
    { "crf",      live_rung_set_crf,      live_rung_offset(crf) },
    { "fps",      live_rung_set_fps,      live_rung_offset(fps) },
    { "gop",      live_rung_set_gop,      live_rung_offset(gop) },
    { "arate",    live_rung_set_arate,    live_rung_offset(sample_rate) },
    { "channels", live_rung_set_channels, live_rung_offset(channels) },
    { "threads",  live_rung_set_threads,  live_rung_offset(threads) },
    { "codec",    NULL,                   live_rung_offset(codec) },
    { "acodec",   NULL,                   live_rung_offset(audio_codec) },
    { "preset",   NULL,                   live_rung_offset(preset) },
    { "profile",  NULL,                   live_rung_offset(profile) },
    { "level",    NULL,                   live_rung_offset(level) },
    { "tune",     NULL,                   live_rung_offset(tune) },
    { "options",  NULL,                   live_rung_offset(options) },
};


int
live_rung_parameter(live_rung_t *r, const char *text, size_t len,
    const char **reason)
{
    void                   *field;
    size_t                  i, n;
    const char             *eq, *error;
    live_rung_value_t       v;
    const live_rung_key_t  *key;

    eq = memchr(text, '=', len);

    if (eq == NULL) {
        error = live_rung_word(r, text, len);
        *reason = error;
        return error ? LIVE_ERROR : LIVE_OK;
    }

    n = (size_t) (eq - text);
    v.pos = eq + 1;
    v.end = text + len;

    for (i = 0; i < sizeof(live_rung_keys) / sizeof(*live_rung_keys); i++) {
        key = &live_rung_keys[i];

        if (strlen(key->name) != n || memcmp(key->name, text, n) != 0) {
            continue;
        }

        field = (char *) r + key->offset;

        error = key->set ? key->set(r, &v, field)
                         : live_rung_copy_text(field, key->size, &v);

        *reason = error;
        return error ? LIVE_ERROR : LIVE_OK;
    }

    *reason = "unknown parameter";

    return LIVE_ERROR;
}


static const char *
live_rung_word(live_rung_t *r, const char *text, size_t len)
{
    live_rung_value_t  v = { text, text + len };

    if (live_rung_take(&v, "audio_only") && v.pos == v.end) {
        r->audio_only = 1;
        r->width = 0;
        r->height = 0;
        r->video_rate = 0;
        return NULL;
    }

    if (live_rung_take(&v, "tonemap") && v.pos == v.end) {
        r->tonemap = 1;
        return NULL;
    }

    if (live_rung_take(&v, "copy") && v.pos == v.end) {
        r->copy = 1;
        return NULL;
    }

    return "unknown parameter";
}


/* Neither empty nor with a NUL. */
static const char *
live_rung_copy_text(char *field, size_t size, const live_rung_value_t *v)
{
    size_t  len;

    len = (size_t) (v->end - v->pos);

    if (len == 0) {
        return "empty value";
    }

    if (len >= size || memchr(v->pos, '\0', len)) {
        return "value is too long";
    }

    memcpy(field, v->pos, len);
    field[len] = '\0';

    return NULL;
}


static const char *
live_rung_set_size(live_rung_t *r, live_rung_value_t *v, void *field)
{
    int32_t  w, h;

    (void) field;

    if (!live_rung_side(v, &w) || !live_rung_take(v, "x")
        || !live_rung_side(v, &h) || v->pos != v->end)
    {
        return "size is WIDTHxHEIGHT, even, either may be -2";
    }

    if (w < 0 && h < 0) {
        return "one side of the size must be known";
    }

    r->width = w;
    r->height = h;

    return NULL;
}


static int
live_rung_side(live_rung_value_t *v, int32_t *side)
{
    uint32_t  n;

    if (live_rung_take(v, "-2")) {
        *side = -2;
        return 1;
    }

    if (!live_rung_integer(v, &n, LIVE_RUNG_MAX_SIDE) || n < 2 || n % 2) {
        return 0;
    }

    *side = (int32_t) n;

    return 1;
}


/* Thousands and millions, as rates are counted. */
static const char *
live_rung_set_rate(live_rung_t *r, live_rung_value_t *v, void *field)
{
    double  n;

    (void) r;

    if (!live_rung_decimal(v, &n)) {
        return "no rate";
    }

    if (live_rung_take(v, "k") || live_rung_take(v, "K")) {
        n *= 1e3;

    } else if (live_rung_take(v, "m") || live_rung_take(v, "M")) {
        n *= 1e6;
    }

    if (v->pos != v->end || n < 1000 || n > LIVE_RUNG_MAX_RATE) {
        return "no rate from 1k to 1000m";
    }

    *(uint32_t *) field = (uint32_t) (n + 0.5);

    return NULL;
}


static const char *
live_rung_set_crf(live_rung_t *r, live_rung_value_t *v, void *field)
{
    double  n;

    (void) field;

    if (!live_rung_decimal(v, &n) || v->pos != v->end
        || n > LIVE_RUNG_MAX_CRF)
    {
        return "crf is 0 to 63";
    }

    r->crf = (float) n;

    return NULL;
}


static const char *
live_rung_set_fps(live_rung_t *r, live_rung_value_t *v, void *field)
{
    double    n;
    uint32_t  den;

    (void) field;

    if (!live_rung_decimal(v, &n)) {
        return "no frame rate";
    }

    if (live_rung_take(v, "/")) {

        if (!live_rung_integer(v, &den, 1000000) || den == 0) {
            return "no frame rate";
        }

        n /= den;
    }

    if (v->pos != v->end || n < 1 || n > LIVE_RUNG_MAX_FPS) {
        return "fps is 1 to 240";
    }

    r->fps = n;

    return NULL;
}


static const char *
live_rung_set_gop(live_rung_t *r, live_rung_value_t *v, void *field)
{
    double  n;

    (void) field;

    if (!live_rung_decimal(v, &n)) {
        return "no time";
    }

    if (live_rung_take(v, "ms")) {
        n /= 1000;

    } else {
        (void) live_rung_take(v, "s");
    }

    if (v->pos != v->end || n < 0.1 || n > LIVE_RUNG_MAX_GOP) {
        return "gop is 100ms to 60s";
    }

    r->gop = n;

    return NULL;
}


static const char *
live_rung_set_arate(live_rung_t *r, live_rung_value_t *v, void *field)
{
    uint32_t  n;

    (void) field;

    if (!live_rung_integer(v, &n, 96000) || v->pos != v->end || n < 8000) {
        return "arate is 8000 to 96000 Hz";
    }

    r->sample_rate = n;

    return NULL;
}


static const char *
live_rung_set_channels(live_rung_t *r, live_rung_value_t *v, void *field)
{
    uint32_t  n;

    (void) field;

    if (!live_rung_integer(v, &n, LIVE_RUNG_MAX_CHANNELS)
        || v->pos != v->end || n == 0)
    {
        return "channels is 1 to 8";
    }

    r->channels = n;

    return NULL;
}


static const char *
live_rung_set_threads(live_rung_t *r, live_rung_value_t *v, void *field)
{
    uint32_t  n;

    (void) field;

    if (!live_rung_integer(v, &n, LIVE_RUNG_THREADS) || v->pos != v->end
        || n == 0)
    {
        return "threads is 1 to 64";
    }

    r->threads = n;

    return NULL;
}


static int
live_rung_integer(live_rung_value_t *v, uint32_t *n, uint32_t max)
{
    uint64_t     value;
    const char  *start = v->pos;

    for (value = 0; v->pos < v->end && *v->pos >= '0' && *v->pos <= '9';
         v->pos++)
    {
        value = value * 10 + (uint64_t) (*v->pos - '0');

        if (value > max) {
            return 0;
        }
    }

    *n = (uint32_t) value;

    return v->pos > start;
}


/* Digits, and more of them behind a point: no sign, no exponent, no locale. */
static int
live_rung_decimal(live_rung_value_t *v, double *n)
{
    double       unit;
    uint32_t     whole;
    const char  *start;

    if (!live_rung_integer(v, &whole, 2000000000)) {
        return 0;
    }

    *n = whole;

    if (!live_rung_take(v, ".")) {
        return 1;
    }

    start = v->pos;

    for (unit = 0.1; v->pos < v->end && *v->pos >= '0' && *v->pos <= '9';
         v->pos++)
    {
        *n += unit * (*v->pos - '0');
        unit /= 10;
    }

    return v->pos > start;
}


static int
live_rung_take(live_rung_value_t *v, const char *text)
{
    size_t  len = strlen(text);

    if ((size_t) (v->end - v->pos) < len || memcmp(v->pos, text, len) != 0) {
        return 0;
    }

    v->pos += len;

    return 1;
}
