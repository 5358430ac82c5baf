
/* live_hook.h: what is asked, and what answers mean. */

#include <stdlib.h>
#include <string.h>

#include "live_hook.h"
#include "tap.h"


static const live_hook_t  test_hook = {
    LIVE_HOOK_PUBLISH, 17, "live", "show", "token=a%20b&name=evil&x",
    "192.0.2.1", "FMLE/3.0 (x; y)", "", "rtmp://h/live", "http://p/?a=b&c", 0,
    0
};


static void test_form(void);
static void test_json(void);
static void test_answers(void);
static void test_settings(void);
static void test_locations(void);


int
main(void)
{
    test_form();
    test_json();
    test_answers();
    test_settings();
    test_locations();

    return tap_done();
}


static void
test_body(const live_hook_t *hook, live_hook_format_e format,
    const char *wanted)
{
    char    *body;
    size_t   len;

    body = live_hook_body(hook, format, &len);

    tap_ok(body && strlen(body) == len && strcmp(body, wanted) == 0, "%s",
           body ? body : "no body");
    free(body);
}


static void
test_form(void)
{
    live_hook_t  h;

    h = test_hook;

    test_body(&h, LIVE_HOOK_FORM,
              "call=publish&addr=192.0.2.1&clientid=17&app=live"
              "&flashver=FMLE/3.0%20%28x%3B%20y%29&swfurl="
              "&tcurl=rtmp://h/live&pageurl=http://p/%3Fa%3Db%26c&name=show"
              "&type=live&token=a%20b&x");

    h.args = "&&%6e%61me=1&+name=2& %20app=3&name[]=4&call%5b0]=5&addr%00x=6"
             "&names=7&nam=8&x=name;name=9&%zzname=1&%=&%1&\xc3\"<=a b";

    test_body(&h, LIVE_HOOK_FORM,
              "call=publish&addr=192.0.2.1&clientid=17&app=live"
              "&flashver=FMLE/3.0%20%28x%3B%20y%29&swfurl="
              "&tcurl=rtmp://h/live&pageurl=http://p/%3Fa%3Db%26c&name=show"
              "&type=live&names=7&nam=8&x=name%3Bname=9&%zzname=1&%=&%1"
              "&%C3\"<=a%20b");

    h.call = LIVE_HOOK_UPDATE;
    h.args = "";
    h.flash_ver = "";
    h.page_url = "";
    h.time = 65;
    h.bytes = UINT64_MAX;

    test_body(&h, LIVE_HOOK_FORM,
              "call=update_publish&addr=192.0.2.1&clientid=17&app=live"
              "&flashver=&swfurl=&tcurl=rtmp://h/live&pageurl=&name=show"
              "&type=live&time=65&timestamp=65000&bytes=18446744073709551615");

    h.call = LIVE_HOOK_PUBLISH_DONE;
    h.app = "\xc3\xa9&=";
    h.args = "call=publish&addr=1";
    h.client = h.time = UINT64_MAX / 1000;
    h.bytes = 0;

    test_body(&h, LIVE_HOOK_FORM,
              "call=publish_done&addr=192.0.2.1&clientid=18446744073709551"
              "&app=%C3%A9%26%3D&flashver=&swfurl=&tcurl=rtmp://h/live"
              "&pageurl=&name=show&type=live&time=18446744073709551"
              "&timestamp=18446744073709551000&bytes=0");

    tap_ok(strcmp(live_hook_type(LIVE_HOOK_FORM),
                  "application/x-www-form-urlencoded") == 0
           && strcmp(live_hook_type(LIVE_HOOK_JSON), "application/json") == 0,
           "types");
}


static void
test_json(void)
{
    live_hook_t  h;

    h = test_hook;

    test_body(&h, LIVE_HOOK_JSON,
              "{\"action\":\"on_publish\",\"client_id\":\"17\","
              "\"ip\":\"192.0.2.1\",\"vhost\":\"__defaultVhost__\","
              "\"app\":\"live\",\"tcUrl\":\"rtmp://h/live\","
              "\"stream\":\"show\","
              "\"param\":\"?token=a%20b&name=evil&x\","
              "\"pageUrl\":\"http://p/?a=b&c\",\"swfUrl\":\"\","
              "\"flashVer\":\"FMLE/3.0 (x; y)\"}");

    h.call = LIVE_HOOK_UPDATE;
    h.args = "";
    h.time = 5;
    h.bytes = 600;
    h.page_url = "\"\\";

    test_body(&h, LIVE_HOOK_JSON,
              "{\"action\":\"on_update\",\"client_id\":\"17\","
              "\"ip\":\"192.0.2.1\",\"vhost\":\"__defaultVhost__\","
              "\"app\":\"live\",\"tcUrl\":\"rtmp://h/live\","
              "\"stream\":\"show\",\"param\":\"\",\"pageUrl\":\"\\\"\\\\\","
              "\"swfUrl\":\"\",\"flashVer\":\"FMLE/3.0 (x; y)\",\"time\":5,"
              "\"bytes\":600}");

    h.call = LIVE_HOOK_PUBLISH_DONE;
    h.app = "\xc3\xa9";
    h.args = "\xff\xc3\xa9=\x80";
    h.page_url = h.flash_ver = "";

    test_body(&h, LIVE_HOOK_JSON,
              "{\"action\":\"on_unpublish\",\"client_id\":\"17\","
              "\"ip\":\"192.0.2.1\",\"vhost\":\"__defaultVhost__\","
              "\"app\":\"\\u00E9\",\"tcUrl\":\"rtmp://h/live\","
              "\"stream\":\"show\",\"param\":\"?\?\?\?=?\",\"pageUrl\":\"\","
              "\"swfUrl\":\"\",\"flashVer\":\"\",\"time\":5,\"bytes\":600}");
}


static live_hook_result_t
test_read(live_hook_call_e call, live_hook_format_e format, unsigned status,
    const char *body, const char *location)
{
    char                *copy;
    live_hook_answer_t   answer;
    live_hook_result_t   result;

    answer.call = call;
    answer.format = format;
    answer.status = status;
    answer.len = strlen(body);
    answer.location = location;

    /* what is read behind its end is seen by the sanitizer */

    copy = malloc(answer.len + !answer.len);
    memcpy(copy, body, answer.len);
    answer.body = copy;

    live_hook_read(&answer, &result);
    free(copy);

    return result;
}


static void
test_answer(unsigned status, const char *body, const char *verdicts)
{
    unsigned             i;
    char                 got[5];
    live_hook_result_t   r;
    static const char    letters[] = "ARX";

    for (i = 0; i < 4; i++) {
        r = test_read(i & 1 ? LIVE_HOOK_UPDATE : LIVE_HOOK_PUBLISH,
                      i & 2 ? LIVE_HOOK_JSON : LIVE_HOOK_FORM, status, body,
                      "");
        got[i] = letters[r.verdict];

        if (r.verdict == LIVE_HOOK_REFUSE && r.reason[0] == '\0') {
            got[i] = '?';
        }
    }

    got[4] = '\0';

    tap_ok(strcmp(got, verdicts) == 0, "%u \"%.*s\": %s", status,
           (int) strcspn(body, "\r\n"), body, got);
}


/* publish and update by form, publish and update by JSON: allow, refuse */

static void
test_answers(void)
{
    test_answer(200, "", "AAXA");
    test_answer(204, "", "AAAA");
    test_answer(200, "0", "AAAA");
    test_answer(200, " 0\r\n", "AAAA");
    test_answer(200, "00", "AAXA");
    test_answer(200, "1", "AAXA");
    test_answer(200, "OK", "AAXA");
    test_answer(200, "<html>", "AAXA");
    test_answer(200, "{\"code\":0}", "AAAA");
    test_answer(201, "{\"code\":0, \"data\":{\"x\":[1]}}\n", "AAAA");
    test_answer(200, "{}", "AAAA");
    test_answer(200, "{\"code\":1}", "XXXX");
    test_answer(200, "{\"code\":\"0\"}", "XXXX");
    test_answer(200, "{\"code\":null}", "XXXX");
    test_answer(200, "{\"code\":0", "XAXA");
    test_answer(200, "{garbage", "XAXA");
    test_answer(200, "{\"code\":0} {", "XAXA");
    test_answer(200, "{\"code\":1,\"code\":0}", "XAXA");
    test_answer(200, "[0]", "AAXA");
    test_answer(100, "0", "XXXX");
    test_answer(199, "0", "XXXX");
    test_answer(299, "0", "AAAA");
    test_answer(300, "0", "XXXX");
    test_answer(302, "0", "XXXX");
    test_answer(403, "0", "XXXX");
    test_answer(500, "{\"code\":0}", "XXXX");
    test_answer(999, "", "XXXX");
}


static void
test_rate(const char *body, live_hook_verdict_e verdict, uint64_t rate)
{
    live_hook_result_t  r;

    r = test_read(LIVE_HOOK_PUBLISH, LIVE_HOOK_JSON, 200, body, "");

    tap_ok(r.verdict == verdict && r.max_bitrate == rate, "%s", body);
}


static void
test_settings(void)
{
    char                 deep[8000];
    live_hook_result_t   r;

    test_rate("{\"max_bitrate\":2500000}", LIVE_HOOK_ALLOW, 2500000);
    test_rate("{\"max_bitrate\":2.5e6,\"code\":0}", LIVE_HOOK_ALLOW, 2500000);
    test_rate("{\"max_bitrate\":null}", LIVE_HOOK_ALLOW, 0);
    test_rate("{\"max_bitrate\":\"2m\"}", LIVE_HOOK_REFUSE, 0);
    test_rate("{\"max_bitrate\":-1}", LIVE_HOOK_REFUSE, 0);
    test_rate("{\"max_bitrate\":999}", LIVE_HOOK_REFUSE, 0);
    test_rate("{\"max_bitrate\":1e300}", LIVE_HOOK_REFUSE, 0);

    r = test_read(LIVE_HOOK_PUBLISH, LIVE_HOOK_FORM, 200,
                  "{\"rungs\":[\"720p\",\"tiny\"]}", "");
    tap_ok(r.verdict == LIVE_HOOK_ALLOW && r.chosen && r.nrungs == 2
           && strcmp(r.rungs[0], "720p") == 0
           && strcmp(r.rungs[1], "tiny") == 0, "rungs");

    r = test_read(LIVE_HOOK_PUBLISH, LIVE_HOOK_FORM, 200, "{\"rungs\":[]}",
                  "");
    tap_ok(r.verdict == LIVE_HOOK_ALLOW && r.chosen && r.nrungs == 0,
           "no rungs");

    r = test_read(LIVE_HOOK_PUBLISH, LIVE_HOOK_FORM, 200, "{}", "");
    tap_ok(!r.chosen, "nothing of rungs");

    tap_ok(!r.record, "nothing of a recording");

    r = test_read(LIVE_HOOK_UPDATE, LIVE_HOOK_FORM, 200, "{\"record\":{}}", "");
    tap_ok(r.verdict == LIVE_HOOK_ALLOW && r.record, "a recording");

    r = test_read(LIVE_HOOK_PUBLISH, LIVE_HOOK_FORM, 200,
                  "{\"record\":false}", "");
    tap_ok(r.verdict == LIVE_HOOK_ALLOW && !r.record, "no recording");

    test_rate("{\"rungs\":\"720p\"}", LIVE_HOOK_REFUSE, 0);
    test_rate("{\"rungs\":[1]}", LIVE_HOOK_REFUSE, 0);
    test_rate("{\"rungs\":[\"a/b\"]}", LIVE_HOOK_REFUSE, 0);
    test_rate("{\"rungs\":[\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"]}",
              LIVE_HOOK_REFUSE, 0);
    test_rate("{\"rungs\":[\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\","
              "\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\"]}",
              LIVE_HOOK_REFUSE, 0);

    memset(deep, '[', sizeof(deep));
    memcpy(deep, "{\"a\":", 5);
    deep[sizeof(deep) - 1] = '\0';

    r = test_read(LIVE_HOOK_PUBLISH, LIVE_HOOK_JSON, 200, deep, "");
    tap_ok(r.verdict == LIVE_HOOK_REFUSE, "a deep answer");
}


static void
test_location(const char *location, live_hook_verdict_e verdict,
    const char *name)
{
    live_hook_result_t  r;

    r = test_read(LIVE_HOOK_PUBLISH, LIVE_HOOK_FORM, 302, "", location);

    tap_ok(r.verdict == verdict && strcmp(r.name, name) == 0,
           "Location \"%.30s\": \"%s\"", location, r.name);
}


static void
test_locations(void)
{
    char                long_name[140];
    live_hook_result_t  r;

    test_location("other", LIVE_HOOK_RENAME, "other");
    test_location("other?a=b", LIVE_HOOK_RENAME, "other");
    test_location("/login", LIVE_HOOK_REFUSE, "");
    test_location("https://example.net/login", LIVE_HOOK_REFUSE, "");
    test_location("rtmp://other/live/show", LIVE_HOOK_REFUSE, "");
    test_location("..", LIVE_HOOK_REFUSE, "");
    test_location("a b", LIVE_HOOK_REFUSE, "");
    test_location("?a", LIVE_HOOK_REFUSE, "");

    memset(long_name, 'n', sizeof(long_name));
    long_name[129] = '\0';
    test_location(long_name, LIVE_HOOK_REFUSE, "");
    long_name[128] = '\0';
    test_location(long_name, LIVE_HOOK_RENAME, long_name);

    r = test_read(LIVE_HOOK_UPDATE, LIVE_HOOK_FORM, 302, "", "other");
    tap_ok(r.verdict == LIVE_HOOK_REFUSE, "an update renames nothing");

    r = test_read(LIVE_HOOK_PUBLISH, LIVE_HOOK_JSON, 308, "", "other");
    tap_ok(r.verdict == LIVE_HOOK_RENAME, "any 3xx does");
}
