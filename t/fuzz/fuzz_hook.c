
/* What publishers send as queries, what callbacks answer, lists of keys. */

#include "live_hook.h"
#include "live_key.h"
#include "live_query.h"

#include <stdlib.h>
#include <string.h>


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);


static void
check(int cond)
{
    if (!cond) {
        abort();
    }
}


static void
answers(const uint8_t *data, size_t len, const char *location)
{
    unsigned             i;
    live_hook_answer_t   answer;
    live_hook_result_t   result;
    static unsigned      status[] = { 200, 204, 302, 404 };

    for (i = 0; i < 16; i++) {
        answer.call = i & 1 ? LIVE_HOOK_UPDATE : LIVE_HOOK_PUBLISH;
        answer.format = i & 2 ? LIVE_HOOK_JSON : LIVE_HOOK_FORM;
        answer.status = status[i >> 2];
        answer.body = (const char *) data;
        answer.len = len;
        answer.location = location;

        live_hook_read(&answer, &result);

        check((result.verdict == LIVE_HOOK_REFUSE) == (result.reason[0] != 0));
        check((result.verdict == LIVE_HOOK_RENAME)
              == live_key_is_name(result.name, strlen(result.name)));
        check(result.nrungs <= LIVE_HOOK_MAX_RUNGS);
        check(result.max_bitrate == 0 || result.max_bitrate >= 1000);
    }
}


static void
bodies(const char *text)
{
    char         *body, buf[64];
    size_t        len;
    unsigned      i;
    live_hook_t   hook;

    memset(&hook, 0, sizeof(hook));

    hook.app = hook.args = text;
    hook.name = hook.addr = hook.flash_ver = hook.swf_url = "x";
    hook.tc_url = hook.page_url = text;

    for (i = 0; i < 2; i++) {
        hook.call = i ? LIVE_HOOK_UPDATE : LIVE_HOOK_PUBLISH;

        body = live_hook_body(&hook, LIVE_HOOK_FORM, &len);
        check(body && strlen(body) == len);

        /* the first, and only, one is ours */

        check(live_query_find(body, "name", buf, sizeof(buf)) == 0
              && strcmp(buf, "x") == 0);
        live_query_remove(body, "name");
        check(live_query_find(body, "name", buf, 1) != 0);
        check(strlen(body) < len);
        free(body);

        body = live_hook_body(&hook, LIVE_HOOK_JSON, &len);
        check(body && strlen(body) == len);
        free(body);
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char         *text, buf[32];
    uint32_t      line;
    const char   *error;
    live_keys_t  *keys;

    text = malloc(len + 1);
    memcpy(text, data, len);
    text[len] = '\0';

    answers(data, len, text);
    bodies(text);

    keys = live_keys_parse((const char *) data, len, len & 1, &error, &line);

    if (keys) {
        check(!live_keys_has(keys, ""));
        (void) live_keys_allow(keys, text, "name");
        live_keys_free(keys);

    } else {
        check(error != NULL);
    }

    (void) live_query_find(text, "key", buf, sizeof(buf));
    live_query_remove(text, "key");
    check(live_query_find(text, "key", buf, sizeof(buf)) != 0);

    (void) live_key_verify("s", 1, "a", "n", text, text);
    check(live_key_time(text) >= -1);

    free(text);

    return 0;
}
