#include "live_codec.h"
#include "live_bits.h"

#include <stdio.h>


/* ISO 14496-3 table 1.17 */
#define LIVE_AAC_MAIN        1
#define LIVE_AAC_LTP         4
#define LIVE_AAC_SBR         5
#define LIVE_AAC_PS          29
#define LIVE_AAC_ESCAPE      31

#define LIVE_AAC_SYNC_SBR    0x2b7
#define LIVE_AAC_SYNC_PS     0x548

#define LIVE_AAC_MIN_RATE    7350
#define LIVE_AAC_MAX_RATE    192000


typedef struct {
    uint32_t  core;             /* audio object type of the core */
    uint32_t  rate;
    uint32_t  config;           /* channelConfiguration */
    uint32_t  channels;
    uint32_t  frame;            /* samples of the core in a frame */
    uint32_t  ext_rate;         /* output rate of SBR */
    unsigned  sbr:1;
    unsigned  ps:1;
} live_aac_config_t;


static const char *live_aac_read(live_bits_t *b, live_aac_config_t *c);
static uint32_t live_aac_object_type(live_bits_t *b);
static uint32_t live_aac_rate(live_bits_t *b);
static void live_aac_ga_config(live_bits_t *b, live_aac_config_t *c);
static uint32_t live_aac_count_pce(live_bits_t *b);
static void live_aac_sync_extension(live_bits_t *b, live_aac_config_t *c);
static int live_aac_rate_is_sane(uint32_t rate);
static void live_aac_set_info(live_codec_info_t *info,
    const live_aac_config_t *c);


static const uint32_t  live_aac_rates[] = {
    96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000,
    11025, 8000, 7350
};


/* by channelConfiguration; 0: in the PCE, or reserved */
static const uint8_t  live_aac_channels[16] = {
    0, 1, 2, 3, 4, 5, 6, 8, 0, 0, 0, 7, 8, 24, 8, 0
};


int
live_aac_parse_config(live_codec_info_t *info, const uint8_t *data,
    size_t len, const char **reason)
{
    live_bits_t        b;
    const char        *error;
    live_aac_config_t  c;

    live_bits_init(&b, data, len, 0);

    c = (live_aac_config_t) { 0 };

    error = live_aac_read(&b, &c);

    if (error) {
        *reason = error;
        return LIVE_ERROR;
    }

    live_aac_set_info(info, &c);

    return LIVE_OK;
}


/* The result is what is wrong, NULL when nothing is. */
static const char *
live_aac_read(live_bits_t *b, live_aac_config_t *c)
{
    c->core = live_aac_object_type(b);
    c->rate = live_aac_rate(b);
    c->config = live_bits_get(b, 4);

    /* SBR signalled in front (hierarchically): the core comes second */

    if (c->core == LIVE_AAC_SBR || c->core == LIVE_AAC_PS) {
        c->sbr = 1;
        c->ps = c->core == LIVE_AAC_PS;
        c->ext_rate = live_aac_rate(b);
        c->core = live_aac_object_type(b);
    }

    if (b->error) {
        return "truncated AudioSpecificConfig";
    }

    if (c->core < LIVE_AAC_MAIN || c->core > LIVE_AAC_LTP) {
        return "audio object type is not supported";
    }

    live_aac_ga_config(b, c);

    if (b->error) {
        return "truncated AudioSpecificConfig";
    }

    if (c->channels == 0) {
        return c->config ? "reserved channel configuration"
                         : "program config element without channels";
    }

    if (!c->sbr) {
        live_aac_sync_extension(b, c);
    }

    if (!live_aac_rate_is_sane(c->rate)
        || (c->sbr && !live_aac_rate_is_sane(c->ext_rate)))
    {
        return "invalid audio sampling rate";
    }

    return NULL;
}


static uint32_t
live_aac_object_type(live_bits_t *b)
{
    uint32_t  type;

    type = live_bits_get(b, 5);

    return type == LIVE_AAC_ESCAPE ? 32 + live_bits_get(b, 6) : type;
}


/* 0 for the reserved indexes */
static uint32_t
live_aac_rate(live_bits_t *b)
{
    uint32_t  i;

    i = live_bits_get(b, 4);

    if (i == 15) {
        return live_bits_get(b, 24);
    }

    return i < sizeof(live_aac_rates) / sizeof(live_aac_rates[0])
           ? live_aac_rates[i] : 0;
}


static void
live_aac_ga_config(live_bits_t *b, live_aac_config_t *c)
{
    c->frame = live_bits_get(b, 1) ? 960 : 1024;

    if (live_bits_get(b, 1)) {
        live_bits_skip(b, 14);          /* coreCoderDelay */
    }

    live_bits_skip(b, 1);               /* extensionFlag: not for 1 to 4 */

    c->channels = c->config ? live_aac_channels[c->config]
                            : live_aac_count_pce(b);
}


/* ISO 14496-3 table 4.2 */
static uint32_t
live_aac_count_pce(live_bits_t *b)
{
    uint32_t  i, n, lfe, data, coupling, channels;

    live_bits_skip(b, 4 + 2 + 4);       /* tag, object type, rate index */

    n = live_bits_get(b, 4);            /* front, side and back elements */
    n += live_bits_get(b, 4);
    n += live_bits_get(b, 4);

    lfe = live_bits_get(b, 2);
    data = live_bits_get(b, 3);
    coupling = live_bits_get(b, 4);

    for (i = 0; i < 2; i++) {           /* mono and stereo mixdown */
        if (live_bits_get(b, 1)) {
            live_bits_skip(b, 4);
        }
    }

    if (live_bits_get(b, 1)) {          /* matrix mixdown */
        live_bits_skip(b, 3);
    }

    channels = lfe;

    for (i = 0; i < n; i++) {
        channels += 1 + live_bits_get(b, 1);
        live_bits_skip(b, 4);
    }

    live_bits_skip(b, lfe * 4 + data * 4 + coupling * 5);
    live_bits_align(b);
    live_bits_skip(b, live_bits_get(b, 8) * 8);     /* comment */

    return channels;
}


/*
 * SBR and PS signalled behind the core's record, where old decoders do not
 * look (ISO 14496-3 1.6.6).  "56 e5 00" says that there is none (CMAF-37).
 */
static void
live_aac_sync_extension(live_bits_t *b, live_aac_config_t *c)
{
    uint32_t  rate;

    if (live_bits_left(b) < 16
        || live_bits_get(b, 11) != LIVE_AAC_SYNC_SBR
        || live_aac_object_type(b) != LIVE_AAC_SBR
        || live_bits_get(b, 1) == 0)
    {
        return;
    }

    rate = live_aac_rate(b);

    if (b->error) {
        return;
    }

    c->sbr = 1;
    c->ext_rate = rate;

    if (live_bits_left(b) >= 12
        && live_bits_get(b, 11) == LIVE_AAC_SYNC_PS)
    {
        c->ps = live_bits_get(b, 1);
    }
}


static int
live_aac_rate_is_sane(uint32_t rate)
{
    return rate >= LIVE_AAC_MIN_RATE && rate <= LIVE_AAC_MAX_RATE;
}


/*
 * The track counts in samples of the core: a raw frame is then always 1024
 * (or 960) ticks, with SBR and without.
 */
static void
live_aac_set_info(live_codec_info_t *info, const live_aac_config_t *c)
{
    uint32_t  type;

    *info = (live_codec_info_t) {
        .codec = LIVE_CODEC_AAC,
        .media = LIVE_MEDIA_AUDIO,
        .timescale = c->rate,
        .sample_rate = c->sbr ? c->ext_rate : c->rate,
        .channels = c->ps && c->channels == 1 ? 2 : c->channels,
        .frame_samples = c->frame
    };

    type = c->ps ? LIVE_AAC_PS : c->sbr ? LIVE_AAC_SBR : c->core;

    (void) snprintf(info->codecs, sizeof(info->codecs), "mp4a.40.%u", type);
}
