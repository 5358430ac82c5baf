
/* The connect command (RTMP-56 to RTMP-59). */

#include <stdlib.h>

#include "live_rtmp_session.h"


#define LIVE_RTMP_MAX_URL       2048
#define LIVE_RTMP_MAX_VERSION   128
#define LIVE_RTMP_MAX_PAGE      512


typedef struct {
    unsigned                     has_app:1;
    unsigned                     has_caps:1;
    uint32_t                     caps;
    live_amf_str_t               app;
    live_amf_str_t               tc_url;
    live_amf_str_t               flash_ver;
    live_amf_str_t               swf_url;
    live_amf_str_t               page_url;
    double                       encoding;
} live_rtmp_connect_t;


static void live_rtmp_connect_property(void *ctx, const live_amf_str_t *name,
    const live_amf_value_t *v);
static int live_rtmp_connect_reject(live_rtmp_session_t *s, double txn,
    const char *description);
static int live_rtmp_connect_save(live_rtmp_session_t *s,
    const live_rtmp_connect_t *c, const char *app, const char *args);
static void live_rtmp_normalize_app(live_amf_str_t *app);
static void live_rtmp_connect_accept(live_rtmp_session_t *s, double txn,
    double encoding);


int
live_rtmp_connect(live_rtmp_session_t *s, live_rtmp_command_t *cmd)
{
    char                   buf[LIVE_RTMP_SPLIT_SIZE];
    const char            *args;
    live_amf_value_t       v;
    live_rtmp_connect_t    c;

    memset(&c, 0, sizeof(c));

    if (live_amf_read_object(&cmd->args, &v, live_rtmp_connect_property, &c)
        != LIVE_OK)
    {
        return live_rtmp_malformed(s, &cmd->args, "connect");
    }

    if (!c.has_app) {
        return live_rtmp_connect_reject(s, cmd->txn,
                                        "connect names no application");
    }

    if (live_rtmp_split(&c.app, buf, &args) != LIVE_OK) {
        return live_rtmp_connect_reject(s, cmd->txn,
                                        "the application is not valid");
    }

    if (live_rtmp_connect_save(s, &c, buf, args) != LIVE_OK) {
        live_rtmp_fail(s, "no memory for connect");
        return LIVE_ERROR;
    }

    s->state = LIVE_RTMP_IDLE;
    s->enhanced = c.has_caps;
    s->caps = c.caps;
    live_rtmp_connect_accept(s, cmd->txn, c.encoding == 3 ? 3 : 0);

    return LIVE_OK;
}


static void
live_rtmp_connect_property(void *ctx, const live_amf_str_t *name,
    const live_amf_value_t *v)
{
    live_rtmp_connect_t  *c = ctx;

    if (live_amf_str_is(name, "app") && v->type == LIVE_AMF_STRING) {
        c->app = v->str;
        c->has_app = 1;

    } else if (live_amf_str_is(name, "tcUrl")) {
        c->tc_url = v->str;

    } else if (live_amf_str_is(name, "flashVer")) {
        c->flash_ver = v->str;

    } else if (live_amf_str_is(name, "swfUrl")) {
        c->swf_url = v->str;

    } else if (live_amf_str_is(name, "pageUrl")) {
        c->page_url = v->str;

    } else if (live_amf_str_is(name, "objectEncoding")) {
        c->encoding = v->number;

    } else if (live_amf_str_is(name, "capsEx") && v->type == LIVE_AMF_NUMBER
               && v->number >= 0 && v->number <= UINT32_MAX)
    {
        c->caps = (uint32_t) v->number;
        c->has_caps = 1;
    }
}


static int
live_rtmp_connect_reject(live_rtmp_session_t *s, double txn,
    const char *description)
{
    uint8_t        buf[LIVE_RTMP_MAX_REPLY];
    live_writer_t  w;

    live_writer_init(&w, buf, sizeof(buf));

    live_amf_write_str(&w, "_error");
    live_amf_write_number(&w, txn);
    live_amf_write_null(&w);
    live_rtmp_write_info(&w, "NetConnection.Connect.Rejected", description);
    live_amf_write_object_end(&w);

    live_rtmp_send(s, LIVE_RTMP_CSID_COMMAND, LIVE_RTMP_COMMAND, 0, &w);

    s->state = LIVE_RTMP_CLOSING;
    live_rtmp_fail(s, "%s", description);

    return LIVE_ERROR;
}


/* Keeps the strings in one piece of memory. */

static int
live_rtmp_connect_save(live_rtmp_session_t *s, const live_rtmp_connect_t *c,
    const char *app, const char *args)
{
    char            *p;
    size_t           app_size, args_size;
    live_amf_str_t   str;

    str.data = (const uint8_t *) app;
    str.len = strlen(app);
    live_rtmp_normalize_app(&str);

    app_size = str.len + 1;
    args_size = strlen(args) + 1;

    p = malloc(app_size + args_size + LIVE_RTMP_MAX_URL
               + LIVE_RTMP_MAX_VERSION + 2 * LIVE_RTMP_MAX_PAGE);
    if (p == NULL) {
        return LIVE_ERROR;
    }

    s->strings = p;

    s->app = p;
    memcpy(p, str.data, str.len);
    p[str.len] = '\0';
    p += app_size;

    s->app_args = p;
    memcpy(p, args, args_size);
    p += args_size;

    s->tc_url = p;
    live_amf_str_print(&c->tc_url, p, LIVE_RTMP_MAX_URL);
    p += LIVE_RTMP_MAX_URL;

    s->flash_ver = p;
    live_amf_str_print(&c->flash_ver, p, LIVE_RTMP_MAX_VERSION);
    p += LIVE_RTMP_MAX_VERSION;

    s->swf_url = p;
    live_amf_str_print(&c->swf_url, p, LIVE_RTMP_MAX_PAGE);
    p += LIVE_RTMP_MAX_PAGE;

    s->page_url = p;
    live_amf_str_print(&c->page_url, p, LIVE_RTMP_MAX_PAGE);

    return LIVE_OK;
}


/* RTMP-57 */

static void
live_rtmp_normalize_app(live_amf_str_t *app)
{
    static const char  suffix[] = "/_definst_";
    const size_t       len = sizeof(suffix) - 1;

    while (app->len && app->data[0] == '/') {
        app->data++;
        app->len--;
    }

    for ( ;; ) {

        if (app->len && app->data[app->len - 1] == '/') {
            app->len--;

        } else if (app->len >= len
                   && memcmp(app->data + app->len - len, suffix, len) == 0)
        {
            app->len -= len;

        } else {
            return;
        }
    }
}


/* RTMP-39, RTMP-58 */

static void
live_rtmp_connect_accept(live_rtmp_session_t *s, double txn, double encoding)
{
    uint8_t        buf[LIVE_RTMP_MAX_REPLY];
    live_writer_t  w;

    s->own_window = s->conf->ack_window;

    live_rtmp_send_u32(s, LIVE_RTMP_WINDOW_ACK, s->conf->ack_window);
    live_rtmp_send_peer_bandwidth(s, s->conf->ack_window);
    live_rtmp_send_u32(s, LIVE_RTMP_SET_CHUNK_SIZE, s->conf->chunk_size);

    s->out_chunk = s->conf->chunk_size;

    live_writer_init(&w, buf, sizeof(buf));

    live_amf_write_str(&w, "_result");
    live_amf_write_number(&w, txn);

    live_amf_write_object(&w);
    live_amf_write_str_property(&w, "fmsVer", "FMS/3,0,1,123");
    live_amf_write_number_property(&w, "capabilities", 31);
    live_amf_write_number_property(&w, "mode", 1);

    /* RTMP-111: what we can do is of no use to others */

    if (s->enhanced) {
        live_amf_write_number_property(&w, "capsEx",
                                       LIVE_RTMP_CAPS_RECONNECT);
    }

    live_amf_write_object_end(&w);

    live_rtmp_write_info(&w, "NetConnection.Connect.Success", "connected");
    live_amf_write_number_property(&w, "objectEncoding", encoding);
    live_amf_write_object_end(&w);

    live_rtmp_send(s, LIVE_RTMP_CSID_COMMAND, LIVE_RTMP_COMMAND, 0, &w);
}
