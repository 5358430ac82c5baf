
/*
 * Encoders on trial.  What they have against the settings they tell libav's
 * log, some of it stderr, and next to nothing their caller: the first
 * complaint becomes part of our message.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <libavcodec/avcodec.h>
#include <libavutil/dict.h>
#include <libavutil/log.h>
#include "live_transcode.h"
#include "ngx_live_core_rung.h"


/* the picture on trial is no larger: what is refused hardly depends on it */
#define NGX_LIVE_TRY_WIDTH   640
#define NGX_LIVE_TRY_HEIGHT  360
#define NGX_LIVE_TRY_FPS     30

#define NGX_LIVE_TRY_RATE    48000          /* Hz */

/* begins what libx264 says, and only says, of an option: a warning */
#define NGX_LIVE_TRY_OPTION  "Error parsing option"


typedef struct {
    char         text[256];
    ngx_uint_t   option;                    /* one was not understood */
} ngx_live_try_t;


static const char *ngx_live_try_video(const live_rung_t *r);
static const char *ngx_live_try_software(const live_rung_t *r);
static const char *ngx_live_try_hardware(const AVCodec *codec);
static const char *ngx_live_try_audio(const live_rung_t *r);
static void ngx_live_try_begin(ngx_live_try_t *t);
static void ngx_live_try_end(void);
static void ngx_live_try_log(void *avcl, int level, const char *fmt,
    va_list args);
static ngx_fd_t ngx_live_try_mute(void);


/* of the thread that tries: with master_process off, others may be encoding
 * while the configuration is read again */
static __thread ngx_live_try_t  *ngx_live_try;

static ngx_fd_t  ngx_live_try_stderr;


ngx_int_t
ngx_live_core_rung_try(ngx_conf_t *cf, const live_rung_t *r)
{
    const char      *reason, *key, *codec;
    ngx_live_try_t   t;

    if (r->copy) {
        return NGX_OK;
    }

    reason = NULL;
    key = "codec";
    codec = r->codec;

    ngx_live_try_begin(&t);

    if (!r->audio_only) {
        reason = ngx_live_try_video(r);
    }

    if (reason == NULL && ngx_strcmp(r->audio_codec, "copy") != 0) {
        key = "acodec";
        codec = r->audio_codec;
        reason = ngx_live_try_audio(r);
    }

    ngx_live_try_end();

    if (reason == NULL) {
        return NGX_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "rendition \"%s\", %s \"%s\": %s%s%s", r->name, key,
                       codec, reason, t.text[0] ? ": " : "", t.text);

    return NGX_ERROR;
}


/* Returns what is wrong, or NULL. */

static const char *
ngx_live_try_video(const live_rung_t *r)
{
    int             rc;
    AVDictionary   *options;
    const AVCodec  *codec;

    if (r->options[0]) {
        options = NULL;
        rc = av_dict_parse_string(&options, r->options, "=", ":", 0);
        av_dict_free(&options);

        if (rc < 0) {
            return "options are key=value:key=value";
        }
    }

    codec = avcodec_find_encoder_by_name(r->codec);

    if (codec && (codec->capabilities & (AV_CODEC_CAP_HARDWARE
                                         |AV_CODEC_CAP_HYBRID)))
    {
        return ngx_live_try_hardware(codec);
    }

    return ngx_live_try_software(r);
}


static const char *
ngx_live_try_software(const live_rung_t *r)
{
    int                  rc;
    uint32_t             width, height;
    const char          *reason;
    live_rung_t          rung;
    live_encoder_t      *e;
    live_rung_source_t   picture;

    ngx_memzero(&picture, sizeof(live_rung_source_t));

    picture.width = NGX_LIVE_TRY_WIDTH;
    picture.height = NGX_LIVE_TRY_HEIGHT;
    picture.fps = r->fps > 0 ? r->fps : NGX_LIVE_TRY_FPS;

    picture.primaries = AVCOL_PRI_BT709;
    picture.transfer = AVCOL_TRC_BT709;
    picture.matrix = AVCOL_SPC_BT709;

    if (live_rung_size(r, &picture, &width, &height) == LIVE_OK) {
        picture.width = width;
        picture.height = height;
    }

    rung = *r;
    rung.threads = 1;

    e = live_encoder_create_video(&rung, &picture, &reason);

    if (e == NULL) {
        return reason;
    }

    rc = live_encoder_try(e, &reason);

    live_encoder_free(e);

    if (rc != LIVE_OK) {
        return reason;
    }

    return ngx_live_try->option ? "the encoder refuses an option" : NULL;
}


static const char *
ngx_live_try_hardware(const AVCodec *codec)
{
    const enum AVPixelFormat  *f;

    switch (codec->id) {

    case AV_CODEC_ID_H264:
    case AV_CODEC_ID_HEVC:
    case AV_CODEC_ID_AV1:
    case AV_CODEC_ID_VP9:
        break;

    default:
        return "the encoder is none of H.264, HEVC, AV1 and VP9";
    }

    /* without a list, what it takes is known by its device alone */

    if (codec->pix_fmts == NULL) {
        return NULL;
    }

    for (f = codec->pix_fmts; *f != AV_PIX_FMT_NONE; f++) {
        if (*f == AV_PIX_FMT_YUV420P || *f == AV_PIX_FMT_NV12) {
            return NULL;
        }
    }

    return "the encoder takes no pictures of the main memory";
}


static const char *
ngx_live_try_audio(const live_rung_t *r)
{
    const char         *reason;
    live_encoder_t     *e;
    live_codec_info_t   source;

    ngx_memzero(&source, sizeof(live_codec_info_t));

    source.codec = LIVE_CODEC_AAC;
    source.sample_rate = NGX_LIVE_TRY_RATE;
    source.timescale = NGX_LIVE_TRY_RATE;
    source.channels = 2;

    e = live_encoder_create_audio(r, &source, &reason);

    if (e == NULL) {
        return reason;
    }

    live_encoder_free(e);

    return NULL;
}


static void
ngx_live_try_begin(ngx_live_try_t *t)
{
    ngx_memzero(t, sizeof(ngx_live_try_t));

    ngx_live_try = t;
    ngx_live_try_stderr = ngx_live_try_mute();

    av_log_set_callback(ngx_live_try_log);
}


static void
ngx_live_try_end(void)
{
    av_log_set_callback(av_log_default_callback);

    if (ngx_live_try_stderr != NGX_INVALID_FILE) {
        (void) ngx_set_stderr(ngx_live_try_stderr);
        (void) ngx_close_file(ngx_live_try_stderr);
    }

    ngx_live_try = NULL;
}


static void
ngx_live_try_log(void *avcl, int level, const char *fmt, va_list args)
{
    size_t           len;
    ngx_uint_t       option;
    ngx_live_try_t  *t;

    t = ngx_live_try;

    if (t == NULL || t->text[0] || level > AV_LOG_WARNING) {
        return;
    }

    option = ngx_strncmp(fmt, NGX_LIVE_TRY_OPTION,
                         sizeof(NGX_LIVE_TRY_OPTION) - 1)
             == 0;

    if (level > AV_LOG_ERROR && !option) {
        return;
    }

    t->option = option;

    (void) vsnprintf(t->text, sizeof(t->text), fmt, args);

    len = ngx_strlen(t->text);

    while (len && (t->text[len - 1] == LF || t->text[len - 1] == '.')) {
        t->text[--len] = '\0';
    }
}


/* x264 looks for its presets before it knows of libav's log.  Returns what
 * stderr was, NGX_INVALID_FILE where that is to stay. */

static ngx_fd_t
ngx_live_try_mute(void)
{
    ngx_fd_t  old, null;

    old = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (old == NGX_INVALID_FILE) {
        return old;
    }

    null = ngx_open_file("/dev/null", NGX_FILE_WRONLY, NGX_FILE_OPEN, 0);

    if (null == NGX_INVALID_FILE) {
        (void) ngx_close_file(old);
        return null;
    }

    (void) ngx_set_stderr(null);
    (void) ngx_close_file(null);

    return old;
}
