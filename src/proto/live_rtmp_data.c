
/*
 * Data messages.  Metadata is advisory (RTMP-77), so what is malformed in it
 * is passed over and never ends a session.
 */

#include "live_rtmp_session.h"


static void live_rtmp_metadata_property(void *ctx, const live_amf_str_t *name,
    const live_amf_value_t *v);
static double live_rtmp_clamp(const live_amf_value_t *v, double max);
static int live_rtmp_is_codec(const live_amf_value_t *v);


void
live_rtmp_data(live_rtmp_session_t *s, const live_rtmp_cs_t *cs,
    const uint8_t *data, size_t len)
{
    live_amf_value_t      v;
    live_amf_reader_t     a;
    live_rtmp_metadata_t  md;

    if (s->state != LIVE_RTMP_PUBLISHING) {
        return;
    }

    memset(&md, 0, sizeof(md));
    live_rtmp_amf(s, &a, cs->type, data, len);

    if (live_amf_read(&a, &v) != LIVE_OK) {
        return;
    }

    /* RTMP-76 */

    if (live_amf_str_is(&v.str, "@clearDataFrame")) {
        s->handler->metadata(s->ctx, &md);
        return;
    }

    if (live_amf_str_is(&v.str, "@setDataFrame")
        && live_amf_read(&a, &v) != LIVE_OK)
    {
        return;
    }

    if (!live_amf_str_is(&v.str, "onMetaData")) {
        return;
    }

    if (live_amf_read_object(&a, &v, live_rtmp_metadata_property, &md)
        == LIVE_OK)
    {
        s->handler->metadata(s->ctx, &md);
    }
}


static void
live_rtmp_metadata_property(void *ctx, const live_amf_str_t *name,
    const live_amf_value_t *v)
{
    live_rtmp_metadata_t  *md = ctx;

    if (live_amf_str_is(name, "width")) {
        md->width = live_rtmp_clamp(v, 65535);

    } else if (live_amf_str_is(name, "height")) {
        md->height = live_rtmp_clamp(v, 65535);

    } else if (live_amf_str_is(name, "framerate")) {
        md->framerate = live_rtmp_clamp(v, 1000);

    } else if (live_amf_str_is(name, "videodatarate")) {
        md->video_kbps = live_rtmp_clamp(v, 1e7);

    } else if (live_amf_str_is(name, "audiodatarate")) {
        md->audio_kbps = live_rtmp_clamp(v, 1e7);

    } else if (live_amf_str_is(name, "videocodecid")) {
        md->has_video = live_rtmp_is_codec(v);

    } else if (live_amf_str_is(name, "audiocodecid")) {
        md->has_audio = live_rtmp_is_codec(v);

    } else if (live_amf_str_is(name, "encoder")) {
        live_amf_str_print(&v->str, md->encoder, sizeof(md->encoder));
    }
}


/* RTMP-52: NaN fails both comparisons. */

static double
live_rtmp_clamp(const live_amf_value_t *v, double max)
{
    if (v->type != LIVE_AMF_NUMBER) {
        return 0;
    }

    return v->number > 0 && v->number <= max ? v->number : 0;
}


/* RTMP-78: a number, a FourCC as a number, or a name. */

static int
live_rtmp_is_codec(const live_amf_value_t *v)
{
    return (v->type == LIVE_AMF_NUMBER && v->number > 0)
           || (v->type == LIVE_AMF_STRING && v->str.len);
}
