
/* Commands other than connect (RTMP-55, RTMP-61 to RTMP-73). */

#include "live_rtmp_session.h"


typedef int (*live_rtmp_command_pt)(live_rtmp_session_t *s,
    live_rtmp_command_t *cmd);


typedef struct {
    const char                  *name;
    live_rtmp_command_pt         handler;
} live_rtmp_command_entry_t;


static int live_rtmp_second_connect(live_rtmp_session_t *s,
    live_rtmp_command_t *cmd);
static int live_rtmp_create_stream(live_rtmp_session_t *s,
    live_rtmp_command_t *cmd);
static int live_rtmp_acknowledged(live_rtmp_session_t *s,
    live_rtmp_command_t *cmd);
static int live_rtmp_fc_publish(live_rtmp_session_t *s,
    live_rtmp_command_t *cmd);
static int live_rtmp_stream_length(live_rtmp_session_t *s,
    live_rtmp_command_t *cmd);
static int live_rtmp_publish(live_rtmp_session_t *s,
    live_rtmp_command_t *cmd);
static const char *live_rtmp_name_error(const char *name);
static int live_rtmp_bad_name(live_rtmp_session_t *s, const char *text);
static int live_rtmp_fc_unpublish(live_rtmp_session_t *s,
    live_rtmp_command_t *cmd);
static int live_rtmp_delete_stream(live_rtmp_session_t *s,
    live_rtmp_command_t *cmd);
static int live_rtmp_close_stream(live_rtmp_session_t *s,
    live_rtmp_command_t *cmd);
static void live_rtmp_unpublish(live_rtmp_session_t *s);
static int live_rtmp_play(live_rtmp_session_t *s, live_rtmp_command_t *cmd);
static int live_rtmp_argument(live_rtmp_command_t *cmd, live_amf_value_t *v);
static void live_rtmp_result(live_rtmp_session_t *s,
    live_rtmp_command_t *cmd, double n);


/* RTMP-62, RTMP-64: commands that are not listed are ignored. */
static const live_rtmp_command_entry_t  live_rtmp_commands[] = {
    { "connect", live_rtmp_second_connect },
    { "releaseStream", live_rtmp_acknowledged },
    { "FCPublish", live_rtmp_fc_publish },
    { "createStream", live_rtmp_create_stream },
    { "_checkbw", live_rtmp_acknowledged },
    { "checkBandwidth", live_rtmp_acknowledged },
    { "getStreamLength", live_rtmp_stream_length },
    { "publish", live_rtmp_publish },
    { "FCUnpublish", live_rtmp_fc_unpublish },
    { "deleteStream", live_rtmp_delete_stream },
    { "closeStream", live_rtmp_close_stream },
    { "play", live_rtmp_play },
    { "play2", live_rtmp_play }
};


int
live_rtmp_command(live_rtmp_session_t *s, const live_rtmp_cs_t *cs,
    const uint8_t *data, size_t len)
{
    size_t                i, n;
    live_amf_value_t      name, txn;
    live_rtmp_command_t   cmd;

    cmd.msid = cs->msid;
    live_rtmp_amf(s, &cmd.args, cs->type, data, len);

    if (live_amf_read(&cmd.args, &name) != LIVE_OK
        || name.type != LIVE_AMF_STRING)
    {
        return live_rtmp_malformed(s, &cmd.args, "command");
    }

    cmd.txn = live_amf_read(&cmd.args, &txn) == LIVE_OK ? txn.number : 0;

    if (s->state == LIVE_RTMP_CONNECT) {

        if (live_amf_str_is(&name.str, "connect")) {
            return live_rtmp_connect(s, &cmd);
        }

        live_rtmp_fail(s, "command before connect");
        return LIVE_ERROR;
    }

    n = sizeof(live_rtmp_commands) / sizeof(live_rtmp_commands[0]);

    for (i = 0; i < n; i++) {
        if (live_amf_str_is(&name.str, live_rtmp_commands[i].name)) {
            return live_rtmp_commands[i].handler(s, &cmd);
        }
    }

    return LIVE_OK;
}


void
live_rtmp_amf(const live_rtmp_session_t *s, live_amf_reader_t *a,
    uint32_t type, const uint8_t *data, size_t len)
{
    /* no value begins with a format byte: 0 would be a number, but both
     * commands and data begin with a string */

    if (len
        && data[0] == 0
        && (type == LIVE_RTMP_COMMAND_AMF3 || type == LIVE_RTMP_DATA_AMF3))
    {
        data++;
        len--;
    }

    live_amf_init(a, data, len);
    a->max_depth = s->conf->amf_depth;
}


int
live_rtmp_malformed(live_rtmp_session_t *s, const live_amf_reader_t *a,
    const char *what)
{
    if (a->too_deep) {
        live_rtmp_fail(s, "malformed %s: objects in objects, more than %u "
                       "deep", what, a->max_depth);

    } else {
        live_rtmp_fail(s, "malformed %s", what);
    }

    return LIVE_ERROR;
}


static int
live_rtmp_second_connect(live_rtmp_session_t *s, live_rtmp_command_t *cmd)
{
    (void) cmd;

    live_rtmp_fail(s, "second connect");

    return LIVE_ERROR;
}


static int
live_rtmp_create_stream(live_rtmp_session_t *s, live_rtmp_command_t *cmd)
{
    uint32_t  msid;

    for (msid = 1; live_rtmp_has_stream(s, msid); msid++) {
        /* void */
    }

    if (msid > LIVE_RTMP_MAX_STREAMS) {
        live_rtmp_fail(s, "more than %d streams in one connection",
                       LIVE_RTMP_MAX_STREAMS);
        return LIVE_ERROR;
    }

    s->streams |= (uint8_t) (1u << (msid - 1));
    live_rtmp_result(s, cmd, msid);

    return LIVE_OK;
}


static int
live_rtmp_acknowledged(live_rtmp_session_t *s, live_rtmp_command_t *cmd)
{
    /* RTMP-128: some hardware encoders wait for it */

    if (cmd->txn != 0) {
        live_rtmp_result(s, cmd, -1);
    }

    return LIVE_OK;
}


static int
live_rtmp_fc_publish(live_rtmp_session_t *s, live_rtmp_command_t *cmd)
{
    live_rtmp_acknowledged(s, cmd);
    live_rtmp_send_status(s, "onFCPublish", 0, "NetStream.Publish.Start",
                          "waiting for publish");

    return LIVE_OK;
}


static int
live_rtmp_stream_length(live_rtmp_session_t *s, live_rtmp_command_t *cmd)
{
    live_rtmp_result(s, cmd, 0);

    return LIVE_OK;
}


static int
live_rtmp_publish(live_rtmp_session_t *s, live_rtmp_command_t *cmd)
{
    char                  buf[LIVE_RTMP_SPLIT_SIZE];
    const char           *error;
    live_amf_value_t      v;
    live_rtmp_publish_t   p;

    if (!live_rtmp_has_stream(s, cmd->msid)) {
        live_rtmp_fail(s, "publish on a stream that was not created");
        return LIVE_ERROR;
    }

    live_rtmp_unpublish(s);

    s->msid = cmd->msid;

    if (live_rtmp_argument(cmd, &v) != LIVE_OK
        || v.type != LIVE_AMF_STRING)
    {
        return live_rtmp_bad_name(s, "publish names no stream");
    }

    if (live_rtmp_split(&v.str, buf, &p.args) != LIVE_OK) {
        return live_rtmp_bad_name(s, "the name of the stream is not valid");
    }

    error = live_rtmp_name_error(buf);

    if (error) {
        return live_rtmp_bad_name(s, error);
    }

    p.app = s->app;
    p.app_args = s->app_args;
    p.name = buf;
    p.tc_url = s->tc_url;
    p.flash_ver = s->flash_ver;
    p.swf_url = s->swf_url;
    p.page_url = s->page_url;

    s->state = LIVE_RTMP_PENDING;

    return s->handler->publish(s->ctx, &p);
}


/* RTMP-67; a name with a path is for the owner to judge, but not "..". */

static const char *
live_rtmp_name_error(const char *name)
{
    const char  *p;

    if (*name == '\0') {
        return "the name of the stream is empty";
    }

    for (p = name; (p = strstr(p, "..")) != NULL; p++) {

        if ((p == name || p[-1] == '/') && (p[2] == '\0' || p[2] == '/')) {
            return "the name of the stream is not valid";
        }
    }

    return NULL;
}


static int
live_rtmp_bad_name(live_rtmp_session_t *s, const char *text)
{
    live_rtmp_refuse(s, "NetStream.Publish.BadName", text);
    live_rtmp_fail(s, "%s", text);

    return LIVE_ERROR;
}


static int
live_rtmp_fc_unpublish(live_rtmp_session_t *s, live_rtmp_command_t *cmd)
{
    (void) cmd;

    live_rtmp_send_status(s, "onFCUnpublish", 0, "NetStream.Unpublish.Success",
                          "unpublished");
    live_rtmp_unpublish(s);

    return LIVE_OK;
}


static int
live_rtmp_delete_stream(live_rtmp_session_t *s, live_rtmp_command_t *cmd)
{
    uint32_t          msid;
    live_amf_value_t  v;

    if (live_rtmp_argument(cmd, &v) != LIVE_OK
        || v.type != LIVE_AMF_NUMBER
        || !(v.number >= 1 && v.number <= LIVE_RTMP_MAX_STREAMS))
    {
        return LIVE_OK;
    }

    msid = (uint32_t) v.number;

    if (msid == s->msid) {
        live_rtmp_unpublish(s);
        s->msid = 0;
    }

    s->streams &= (uint8_t) ~(1u << (msid - 1));

    return LIVE_OK;
}


static int
live_rtmp_close_stream(live_rtmp_session_t *s, live_rtmp_command_t *cmd)
{
    if (cmd->msid == s->msid) {
        live_rtmp_unpublish(s);
    }

    return LIVE_OK;
}


/* RTMP-72: any of several commands ends a publish, the first one counts. */

static void
live_rtmp_unpublish(live_rtmp_session_t *s)
{
    if (s->state != LIVE_RTMP_PUBLISHING) {
        return;
    }

    live_rtmp_media_abort(s, NULL);

    s->state = LIVE_RTMP_IDLE;
    s->handler->unpublish(s->ctx);

    live_rtmp_send_status(s, "onStatus", s->msid,
                          "NetStream.Unpublish.Success", "unpublished");
}


static int
live_rtmp_play(live_rtmp_session_t *s, live_rtmp_command_t *cmd)
{
    static const char  text[] = "playing over RTMP is not supported";

    if (!live_rtmp_has_stream(s, cmd->msid)) {
        live_rtmp_fail(s, "play on a stream that was not created");
        return LIVE_ERROR;
    }

    live_rtmp_unpublish(s);

    s->msid = cmd->msid;

    live_rtmp_refuse(s, "NetStream.Play.Failed", text);
    live_rtmp_fail(s, "%s", text);

    return LIVE_ERROR;
}


/* The first argument; before it stands the command object, null or not. */

static int
live_rtmp_argument(live_rtmp_command_t *cmd, live_amf_value_t *v)
{
    if (live_amf_read(&cmd->args, v) != LIVE_OK) {
        return LIVE_ERROR;
    }

    return live_amf_read(&cmd->args, v);
}


/* Answers with a number, or with undefined instead of a negative one. */

static void
live_rtmp_result(live_rtmp_session_t *s, live_rtmp_command_t *cmd, double n)
{
    uint8_t        buf[64];
    live_writer_t  w;

    live_writer_init(&w, buf, sizeof(buf));

    live_amf_write_str(&w, "_result");
    live_amf_write_number(&w, cmd->txn);
    live_amf_write_null(&w);

    if (n < 0) {
        live_amf_write_undefined(&w);

    } else {
        live_amf_write_number(&w, n);
    }

    live_rtmp_send(s, LIVE_RTMP_CSID_COMMAND, LIVE_RTMP_COMMAND, 0, &w);
}


int
live_rtmp_split(const live_amf_str_t *str, char buf[LIVE_RTMP_SPLIT_SIZE],
    const char **args)
{
    char           *p, *query;
    size_t          i;
    const uint8_t  *data = str->data;

    if (str->len + 2 > LIVE_RTMP_SPLIT_SIZE) {
        return LIVE_ERROR;
    }

    p = buf;
    query = NULL;

    for (i = 0; i < str->len; i++) {

        if (data[i] < 0x20 || data[i] == 0x7f) {
            return LIVE_ERROR;
        }

        if (data[i] == '?' && query == NULL) {
            *p++ = '\0';
            query = p;

        } else {
            *p++ = (char) data[i];
        }
    }

    *p = '\0';

    if (query == NULL) {
        query = p;
    }

    *args = query;

    return strlen(buf) > LIVE_RTMP_MAX_NAME
           || strlen(query) > LIVE_RTMP_MAX_ARGS
           ? LIVE_ERROR : LIVE_OK;
}
