
/* live_key.h, live_query.h: keys, lists of them, signatures, queries. */

#include <stdlib.h>
#include <string.h>

#include "live_key.h"
#include "live_query.h"
#include "live_types.h"
#include "tap.h"


static void test_query(void);
static void test_remove(void);
static void test_list(void);
static void test_wrong(void);
static void test_many(void);
static void test_sign(void);
static void test_names(void);


int
main(void)
{
    test_query();
    test_remove();
    test_list();
    test_wrong();
    test_many();
    test_sign();
    test_names();

    return tap_done();
}


static void
test_find(const char *query, int rc, const char *value)
{
    int   got;
    char  buf[8];

    memset(buf, '#', sizeof(buf));
    got = live_query_find(query, "key", buf, sizeof(buf));

    tap_ok(got == rc && (value == NULL || strcmp(buf, value) == 0),
           "query \"%s\"", query);
}


static void
test_query(void)
{
    test_find("", LIVE_AGAIN, NULL);
    test_find("key", LIVE_OK, "");
    test_find("key=", LIVE_OK, "");
    test_find("key=a", LIVE_OK, "a");
    test_find("a=b&key=c&key=d", LIVE_OK, "c");
    test_find("&&key=c", LIVE_OK, "c");
    test_find("keys=a", LIVE_AGAIN, NULL);
    test_find("xkey=a", LIVE_AGAIN, NULL);
    test_find("ke", LIVE_AGAIN, NULL);
    test_find("key=a=b", LIVE_OK, "a=b");
    test_find("key=%41%4a%4A", LIVE_OK, "AJJ");
    test_find("key=%4", LIVE_OK, "%4");
    test_find("key=%&x", LIVE_OK, "%");
    test_find("key=%4&41", LIVE_OK, "%4");
    test_find("key=%zz+", LIVE_OK, "%zz+");
    test_find("key=a%00b", LIVE_ERROR, NULL);
    test_find("key=1234567", LIVE_OK, "1234567");
    test_find("key=12345678", LIVE_OVERFLOW, NULL);

    tap_ok(strcmp(live_query_of("rtmp://h/a?b=c?d"), "b=c?d") == 0
           && strcmp(live_query_of("rtmp://h/a"), "") == 0, "of a URL");
}


static void
test_remove_one(const char *query, const char *left)
{
    char  buf[64];

    strcpy(buf, query);
    live_query_remove(buf, "key");

    tap_ok(strcmp(buf, left) == 0, "\"%s\" without key: \"%s\"", query, buf);
}


static void
test_remove(void)
{
    test_remove_one("", "");
    test_remove_one("key=a", "");
    test_remove_one("key", "");
    test_remove_one("key=a&b=c", "b=c");
    test_remove_one("b=c&key=a", "b=c");
    test_remove_one("b=c&key=a&d", "b=c&d");
    test_remove_one("key=1&key=2&x=key&key=3", "x=key");
    test_remove_one("b=c", "b=c");
    test_remove_one("keys=a&okey=b", "keys=a&okey=b");
}


static live_keys_t *
test_parse(const char *text, int named, const char **error, uint32_t *line)
{
    char         *copy;
    size_t        len;
    live_keys_t  *keys;

    /* what is read behind its end is seen by the sanitizer */

    len = strlen(text);
    copy = malloc(len ? len : 1);
    memcpy(copy, text, len);

    keys = live_keys_parse(copy, len, named, error, line);

    free(copy);

    return keys;
}


static void
test_list(void)
{
    uint32_t      line;
    const char   *error;
    live_keys_t  *keys;

    keys = test_parse("# keys\n\n  anykey \r\nmine\tkey1\r\nmine key2\n"
                      "other key1\n#x y\nlast key9", 0, &error, &line);

    tap_ok(keys && keys->nkeys == 5, "a list");
    tap_ok(live_keys_allow(keys, "anykey", "mine")
           && live_keys_allow(keys, "anykey", "whatever"), "for any stream");
    tap_ok(live_keys_allow(keys, "key1", "mine")
           && live_keys_allow(keys, "key1", "other")
           && live_keys_allow(keys, "key2", "mine")
           && live_keys_allow(keys, "key9", "last"), "for a stream");
    tap_ok(!live_keys_allow(keys, "key2", "other")
           && !live_keys_allow(keys, "key1", "last")
           && !live_keys_allow(keys, "key1", ""), "not for another one");
    tap_ok(!live_keys_allow(keys, "", "mine")
           && !live_keys_allow(keys, "key", "mine")
           && !live_keys_allow(keys, "key11", "mine")
           && !live_keys_allow(keys, "#", "mine")
           && !live_keys_allow(keys, "keys", "mine"), "not another key");
    tap_ok(live_keys_has(keys, "key2") && !live_keys_has(keys, "mine"),
           "whose key it is does not matter");
    live_keys_free(keys);

    keys = test_parse("one k1\ntwo k2\none k3\n", 1, &error, &line);

    tap_ok(keys && strcmp(live_keys_name(keys, "k1"), "one") == 0
           && strcmp(live_keys_name(keys, "k2"), "two") == 0
           && strcmp(live_keys_name(keys, "k3"), "one") == 0
           && live_keys_name(keys, "one") == NULL
           && live_keys_name(keys, "") == NULL, "a key as the name");
    live_keys_free(keys);

    keys = test_parse("", 0, &error, &line);
    tap_ok(keys && !live_keys_allow(keys, "", "") && !live_keys_has(keys, "a"),
           "an empty list allows nobody");
    live_keys_free(keys);
    live_keys_free(NULL);
}


static void
test_error(const char *text, int named, uint32_t wrong)
{
    uint32_t      line;
    const char   *error;
    live_keys_t  *keys;

    keys = test_parse(text, named, &error, &line);

    tap_ok(keys == NULL && error && line == wrong, "line %u: %s", line,
           error ? error : "");
    live_keys_free(keys);
}


static void
test_wrong(void)
{
    char  text[300];

    test_error("a b\nc d e\n", 0, 2);
    test_error(".a b\n", 0, 1);
    test_error("a/b key\n", 0, 1);
    test_error("a b\nkey\n", 1, 2);
    test_error("a same\nb same\n", 1, 0);

    memset(text, 'x', sizeof(text));
    text[257] = '\0';
    test_error(text, 0, 1);
    text[256] = '\0';

    {
        uint32_t      line;
        const char   *error;
        live_keys_t  *keys;

        keys = test_parse(text, 0, &error, &line);
        tap_ok(keys && live_keys_allow(keys, text, "a"), "256 bytes do");
        live_keys_free(keys);
    }
}


static void
test_many(void)
{
    int           wrong;
    char         *text, *p, key[32], name[32];
    uint32_t      i, line;
    const char   *error;
    live_keys_t  *keys;

    p = text = malloc(5000 * 32);

    for (i = 0; i < 5000; i++) {
        p += sprintf(p, "s%u key-%u\n", i, i * 7);
    }

    keys = live_keys_parse(text, p - text, 1, &error, &line);
    free(text);

    wrong = (keys == NULL);

    for (i = 0; keys && i < 5000; i++) {
        sprintf(key, "key-%u", i * 7);
        sprintf(name, "s%u", i);

        wrong += strcmp(live_keys_name(keys, key), name) != 0
                 || !live_keys_allow(keys, key, name)
                 || live_keys_allow(keys, key, "s5000");

        sprintf(key, "key-%u", i * 7 + 1);
        wrong += live_keys_has(keys, key);
    }

    tap_ok(wrong == 0, "5000 keys");
    live_keys_free(keys);
}


/* RFC 4231, test cases 2 and 6; the last by openssl dgst */

static void
test_sign(void)
{
    char              hex[LIVE_KEY_HEX + 1];
    uint8_t           secret[131], one[LIVE_KEY_DIGEST], two[LIVE_KEY_DIGEST];
    uint8_t           salt[LIVE_KEY_SALT];
    live_key_piece_t  p[2];

    p[0].data = "what do ya want ";
    p[0].len = 16;
    p[1].data = "for nothing?";
    p[1].len = 12;

    tap_ok(live_key_sign("Jefe", 4, p, 2, hex) == LIVE_OK
           && strcmp(hex, "5bdcc146bf60754e6a042426089575c7"
                          "5a003f089d2739839dec58b964ec3843") == 0,
           "RFC 4231, 2");

    memset(secret, 0xaa, sizeof(secret));
    p[0].data = "Test Using Larger Than Block-Size Key - Hash Key First";
    p[0].len = 54;

    tap_ok(live_key_sign(secret, sizeof(secret), p, 1, hex) == LIVE_OK
           && strcmp(hex, "60e431591ee0b67f0d8a26aacbf5b77f"
                          "8e0bc6213728c5140546040f0ee37f54") == 0,
           "RFC 4231, 6");

    p[0].data = "live/show:2000000000";
    p[0].len = 20;
    live_key_sign("s3cret", 6, p, 1, hex);

    tap_ok(live_key_verify("s3cret", 6, "live", "show", "2000000000", hex),
           "a signed name");
    tap_ok(!live_key_verify("s3cret", 6, "live", "shows", "2000000000", hex)
           && !live_key_verify("s3cret", 6, "other", "show", "2000000000", hex)
           && !live_key_verify("s3cret", 6, "live", "show", "2000000001", hex)
           && !live_key_verify("s3cre", 5, "live", "show", "2000000000", hex)
           && !live_key_verify("s3cret", 6, "live", "show", "2000000000", "")
           && !live_key_verify("s3cret", 6, "live", "show", "2000000000",
                               hex + 1),
           "and nothing else");

    hex[3] = hex[3] == '0' ? '1' : '0';
    tap_ok(!live_key_verify("s3cret", 6, "live", "show", "2000000000", hex),
           "nor another signature");

    /* pieces are one text, and the salt counts */

    memset(salt, 1, sizeof(salt));
    p[0].data = "abc";
    p[0].len = 3;
    live_key_digest(salt, p, 1, one);
    p[0].len = 1;
    p[1].data = "bc";
    p[1].len = 2;
    live_key_digest(salt, p, 2, two);
    tap_ok(live_key_equal(one, two, LIVE_KEY_DIGEST), "in pieces");

    salt[0]++;
    live_key_digest(salt, p, 2, two);
    tap_ok(!live_key_equal(one, two, LIVE_KEY_DIGEST), "another salt");
}


static void
test_names(void)
{
    char  name[130];

    memset(name, 'n', sizeof(name));

    tap_ok(live_key_is_name("a.B-9_", 6) && live_key_is_name(name, 128),
           "names");
    tap_ok(!live_key_is_name(".a", 2) && !live_key_is_name("", 0)
           && !live_key_is_name("a b", 3) && !live_key_is_name(name, 129)
           && !live_key_is_name("a\0", 2), "and what is none");

    tap_ok(live_key_time("0") == 0 && live_key_time("2000000000") == 2000000000
           && live_key_time("999999999999") == 999999999999
           && live_key_time("") == -1 && live_key_time("-1") == -1
           && live_key_time("1x") == -1 && live_key_time(" 1") == -1
           && live_key_time("1000000000000") == -1, "times");
}
