
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "live_buf.h"
#include "live_decimal.h"
#include "live_hook.h"
#include "live_key.h"
#include "live_query.h"


typedef struct {
    const char  *name;
    const char  *value;
} live_hook_field_t;


static char *live_hook_form(const live_hook_t *hook, size_t *len);
static void live_hook_write(live_writer_t *w, const char *name,
    const char *value);
static void live_hook_escape(live_writer_t *w, unsigned char c);
static void live_hook_args(live_writer_t *w, const char *args);
static int live_hook_taken(const char *p, const char *last);
static char *live_hook_json(const live_hook_t *hook, size_t *len);
static json_t *live_hook_string(const char *text);
static const char *live_hook_action(live_hook_call_e call);
static void live_hook_object(const live_hook_answer_t *answer,
    live_hook_result_t *result);
static int live_hook_settings(json_t *root, live_hook_result_t *result);
static void live_hook_refuse(live_hook_result_t *result, const char *reason);
static void live_hook_rename(const live_hook_answer_t *answer,
    live_hook_result_t *result);


/* Arguments of a publisher cannot stand for what we say of it. */
static const char  *live_hook_names[] = {
    "app", "flashver", "swfurl", "tcurl", "pageurl", "addr", "clientid",
    "call", "name", "type", "time", "timestamp", "bytes"
};


char *
live_hook_body(const live_hook_t *hook, live_hook_format_e format,
    size_t *len)
{
    return format == LIVE_HOOK_JSON ? live_hook_json(hook, len)
                                    : live_hook_form(hook, len);
}


const char *
live_hook_type(live_hook_format_e format)
{
    return format == LIVE_HOOK_JSON ? "application/json"
                                    : "application/x-www-form-urlencoded";
}


static char *
live_hook_form(const live_hook_t *hook, size_t *len)
{
    char           *buf, client[24];
    size_t          i, n, size;
    live_writer_t   w;

    const live_hook_field_t  fields[] = {
        { "call", hook->call == LIVE_HOOK_PUBLISH ? "publish"
                  : hook->call == LIVE_HOOK_UPDATE ? "update_publish"
                  : "publish_done" },
        { "addr", hook->addr },
        { "clientid", client },
        { "app", hook->app },
        { "flashver", hook->flash_ver },
        { "swfurl", hook->swf_url },
        { "tcurl", hook->tc_url },
        { "pageurl", hook->page_url },
        { "name", hook->name },
        { "type", "live" }
    };

    snprintf(client, sizeof(client), "%llu",
             (unsigned long long) hook->client);

    n = sizeof(fields) / sizeof(fields[0]);
    size = 3 * strlen(hook->args) + 2;

    for (i = 0; i < n; i++) {
        size += strlen(fields[i].name) + 3 * strlen(fields[i].value) + 2;
    }

    size += 3 * (LIVE_DECIMAL_LEN + sizeof("&timestamp="));

    buf = malloc(size);
    if (buf == NULL) {
        return NULL;
    }

    live_writer_init(&w, buf, size);

    for (i = 0; i < n; i++) {
        live_hook_write(&w, fields[i].name, fields[i].value);
    }

    if (hook->call != LIVE_HOOK_PUBLISH) {
        live_write_str(&w, "&time=");
        live_write_decimal(&w, hook->time);
        live_write_str(&w, "&timestamp=");
        live_write_decimal(&w, hook->time * 1000);
        live_write_str(&w, "&bytes=");
        live_write_decimal(&w, hook->bytes);
    }

    live_hook_args(&w, hook->args);
    live_write_u8(&w, '\0');

    *len = live_writer_len(&w) - 1;

    return buf;
}


static void
live_hook_write(live_writer_t *w, const char *name, const char *value)
{
    const unsigned char  *p;

    if (live_writer_len(w)) {
        live_write_u8(w, '&');
    }

    live_write_str(w, name);
    live_write_u8(w, '=');

    for (p = (const unsigned char *) value; *p; p++) {

        if ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z')
            || (*p >= '0' && *p <= '9') || strchr("-._~/:", *p))
        {
            live_write_u8(w, *p);

        } else {
            live_hook_escape(w, *p);
        }
    }
}


static void
live_hook_escape(live_writer_t *w, unsigned char c)
{
    static const char  digits[] = "0123456789ABCDEF";

    live_write_u8(w, '%');
    live_write_u8(w, (unsigned char) digits[c >> 4]);
    live_write_u8(w, (unsigned char) digits[c & 15]);
}


/* As they are, but for what is no character of a query. */

static void
live_hook_args(live_writer_t *w, const char *args)
{
    size_t       n;
    const char  *p, *last;

    for (p = args; *p; p = last + (*last == '&')) {

        n = strcspn(p, "&");
        last = p + n;

        if (n == 0 || live_hook_taken(p, last)) {
            continue;
        }

        live_write_u8(w, '&');

        for ( /* void */ ; p < last; p++) {

            /* to some a semicolon is what '&' is */

            if (*p <= ' ' || *p > '~' || *p == ';') {
                live_hook_escape(w, (unsigned char) *p);

            } else {
                live_write_u8(w, (unsigned char) *p);
            }
        }
    }
}


/* 1: its name, as servers read it, is one of ours; "name[]" is to PHP. */

static int
live_hook_taken(const char *p, const char *last)
{
    char    name[16], c;
    size_t  i, n;

    n = 0;

    for ( /* void */ ; p < last && *p != '='; p++) {

        c = (*p == '+') ? ' ' : *p;

        if (c == '%' && last - p > 2) {
            c = (char) live_query_byte(p + 1);
            p += 2;
        }

        if (c == '[' || c == '\0') {
            break;
        }

        if (c == ' ' && n == 0) {
            continue;
        }

        if (n == sizeof(name) - 1) {
            return 0;
        }

        name[n++] = c;
    }

    name[n] = '\0';

    for (i = 0; i < sizeof(live_hook_names) / sizeof(char *); i++) {
        if (strcmp(name, live_hook_names[i]) == 0) {
            return 1;
        }
    }

    return 0;
}


static char *
live_hook_json(const live_hook_t *hook, size_t *len)
{
    int      failed;
    char     number[24], *text;
    json_t  *root;

    static const char  *vhost = "__defaultVhost__";

    snprintf(number, sizeof(number), "%llu",
             (unsigned long long) hook->client);

    root = json_object();

    failed = json_object_set_new(root, "action",
                                 json_string(live_hook_action(hook->call)))
             | json_object_set_new(root, "client_id", json_string(number))
             | json_object_set_new(root, "ip", live_hook_string(hook->addr))
             | json_object_set_new(root, "vhost", json_string(vhost))
             | json_object_set_new(root, "app", live_hook_string(hook->app))
             | json_object_set_new(root, "tcUrl",
                                   live_hook_string(hook->tc_url))
             | json_object_set_new(root, "stream",
                                   live_hook_string(hook->name))
             | json_object_set_new(root, "param", json_string(""));

    if (*hook->args) {
        text = malloc(strlen(hook->args) + 2);

        if (text) {
            *text = '?';
            memcpy(text + 1, hook->args, strlen(hook->args) + 1);
            failed |= json_object_set_new(root, "param",
                                          live_hook_string(text));
            free(text);

        } else {
            failed = 1;
        }
    }

    failed |= json_object_set_new(root, "pageUrl",
                                  live_hook_string(hook->page_url))
              | json_object_set_new(root, "swfUrl",
                                    live_hook_string(hook->swf_url))
              | json_object_set_new(root, "flashVer",
                                    live_hook_string(hook->flash_ver));

    if (hook->call != LIVE_HOOK_PUBLISH) {
        failed |= json_object_set_new(root, "time",
                                      json_integer((json_int_t) hook->time))
                  | json_object_set_new(root, "bytes",
                                        json_integer((json_int_t)
                                                     hook->bytes));
    }

    text = failed ? NULL : json_dumps(root, JSON_COMPACT|JSON_ENSURE_ASCII);

    json_decref(root);

    if (text) {
        *len = strlen(text);
    }

    return text;
}


/* JSON is UTF-8; what an encoder sends need not be. */

static json_t *
live_hook_string(const char *text)
{
    char    *copy, *p;
    json_t  *s;

    s = json_string(text);

    if (s) {
        return s;
    }

    copy = strdup(text);
    if (copy == NULL) {
        return NULL;
    }

    for (p = copy; *p; p++) {
        if (*p & 0x80) {
            *p = '?';
        }
    }

    s = json_string(copy);
    free(copy);

    return s;
}


static const char *
live_hook_action(live_hook_call_e call)
{
    switch (call) {

    case LIVE_HOOK_PUBLISH:
        return "on_publish";

    case LIVE_HOOK_PUBLISH_DONE:
        return "on_unpublish";

    default:
        return "on_update";
    }
}


void
live_hook_read(const live_hook_answer_t *answer, live_hook_result_t *result)
{
    char                reason[64];
    size_t              len;
    const char         *p;
    live_hook_answer_t  trimmed;

    memset(result, 0, sizeof(live_hook_result_t));

    if (answer->status >= 300 && answer->status < 400
        && answer->call == LIVE_HOOK_PUBLISH && answer->location[0])
    {
        live_hook_rename(answer, result);
        return;
    }

    if (answer->status < 200 || answer->status >= 300) {
        snprintf(reason, sizeof(reason), "the callback answered %u",
                 answer->status);
        live_hook_refuse(result, reason);
        return;
    }

    p = answer->body;
    len = answer->len;

    while (len && strchr(" \t\r\n", *p) && *p) {
        p++;
        len--;
    }

    while (len && strchr(" \t\r\n", p[len - 1]) && p[len - 1]) {
        len--;
    }

    trimmed = *answer;
    trimmed.body = p;
    trimmed.len = len;

    if (len && *p == '{') {
        live_hook_object(&trimmed, result);
        return;
    }

    /* SRS's convention wants one of these two */

    if (answer->format == LIVE_HOOK_FORM
        || answer->call != LIVE_HOOK_PUBLISH
        || (len == 0 && answer->status == 204)
        || (len == 1 && *p == '0'))
    {
        return;
    }

    live_hook_refuse(result, "the callback's answer is neither 0 nor JSON");
}


/* Our own names only: what is meant for a browser, a page to log in, is no
 * name. */

static void
live_hook_rename(const live_hook_answer_t *answer, live_hook_result_t *result)
{
    size_t  len;

    len = strcspn(answer->location, "?");

    if (!live_key_is_name(answer->location, len)) {
        live_hook_refuse(result, "the callback's Location is no stream name");
        return;
    }

    result->verdict = LIVE_HOOK_RENAME;
    memcpy(result->name, answer->location, len);
}


static void
live_hook_object(const live_hook_answer_t *answer, live_hook_result_t *result)
{
    json_t        *root, *code;
    json_error_t   error;

    root = json_loadb(answer->body, answer->len, JSON_REJECT_DUPLICATES,
                      &error);

    if (root == NULL) {

        /* an update ends a stream that says so, and no other */

        if (answer->call == LIVE_HOOK_PUBLISH) {
            live_hook_refuse(result, "the callback's answer is not JSON");
        }

        return;
    }

    code = json_object_get(root, "code");

    if (code && (!json_is_integer(code) || json_integer_value(code) != 0)) {
        live_hook_refuse(result, "the callback's code is not 0");

    } else if (!live_hook_settings(root, result)
               && answer->call == LIVE_HOOK_PUBLISH)
    {
        live_hook_refuse(result, "the callback's settings are not valid");
    }

    json_decref(root);
}


/* 0: one of those that we know is not valid. */

static int
live_hook_settings(json_t *root, live_hook_result_t *result)
{
    json_t      *v;
    size_t       i;
    double       rate;
    const char  *name;

    v = json_object_get(root, "max_bitrate");

    if (v && !json_is_null(v)) {
        rate = json_number_value(v);

        if (!json_is_number(v) || !(rate >= 1000 && rate <= 10e9)) {
            return 0;
        }

        result->max_bitrate = (uint64_t) rate;
    }

    v = json_object_get(root, "record");

    result->record = v && !json_is_null(v) && !json_is_false(v);

    v = json_object_get(root, "rungs");

    if (v == NULL || json_is_null(v)) {
        return 1;
    }

    if (!json_is_array(v) || json_array_size(v) > LIVE_HOOK_MAX_RUNGS) {
        return 0;
    }

    for (i = 0; i < json_array_size(v); i++) {
        name = json_string_value(json_array_get(v, i));

        if (name == NULL || !live_key_is_name(name, strlen(name))
            || strlen(name) >= LIVE_HOOK_RUNG)
        {
            return 0;
        }

        memcpy(result->rungs[i], name, strlen(name) + 1);
    }

    result->chosen = 1;
    result->nrungs = (unsigned) i;

    return 1;
}


static void
live_hook_refuse(live_hook_result_t *result, const char *reason)
{
    result->verdict = LIVE_HOOK_REFUSE;
    snprintf(result->reason, sizeof(result->reason), "%s", reason);
}
