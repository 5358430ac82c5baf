
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "live_key.h"
#include "live_types.h"


/* What is read: the next word of a line. */
typedef struct {
    const char     *data;
    size_t          len;
} live_key_word_t;


static uint32_t live_keys_count(const char *data, size_t len);
static const char *live_keys_line(live_keys_t *keys, const char *line,
    size_t len, char **names);
static live_key_word_t live_keys_word(const char **p, const char *last);
static int live_keys_compare(const void *one, const void *two);
static const live_key_t *live_keys_find(const live_keys_t *keys,
    const char *key);


int
live_key_salt(uint8_t salt[LIVE_KEY_SALT])
{
    return RAND_bytes(salt, LIVE_KEY_SALT) == 1 ? LIVE_OK : LIVE_ERROR;
}


int
live_key_digest(const uint8_t salt[LIVE_KEY_SALT],
    const live_key_piece_t *pieces, size_t n,
    uint8_t digest[LIVE_KEY_DIGEST])
{
    int          ok;
    size_t       i;
    EVP_MD_CTX  *md;

    md = EVP_MD_CTX_new();
    if (md == NULL) {
        return LIVE_ERROR;
    }

    ok = EVP_DigestInit_ex(md, EVP_sha256(), NULL)
         && EVP_DigestUpdate(md, salt, LIVE_KEY_SALT);

    for (i = 0; ok && i < n; i++) {
        ok = EVP_DigestUpdate(md, pieces[i].data, pieces[i].len);
    }

    ok = ok && EVP_DigestFinal_ex(md, digest, NULL);

    EVP_MD_CTX_free(md);

    return ok ? LIVE_OK : LIVE_ERROR;
}


int
live_key_equal(const uint8_t *a, const uint8_t *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}


live_keys_t *
live_keys_parse(const char *data, size_t len, int named, const char **error,
    uint32_t *line)
{
    char         *names;
    uint32_t      i;
    live_keys_t  *keys;
    const char   *p, *last, *end;

    *line = 0;
    *error = "no memory for it";

    keys = calloc(1, sizeof(live_keys_t));
    if (keys == NULL) {
        return NULL;
    }

    keys->keys = calloc(live_keys_count(data, len), sizeof(live_key_t));
    keys->names = malloc(len + 1);

    if (keys->keys == NULL || keys->names == NULL
        || live_key_salt(keys->salt) != LIVE_OK)
    {
        goto failed;
    }

    names = keys->names;
    last = data + len;

    for (p = data; p < last; p = end + 1) {

        end = memchr(p, '\n', last - p);

        if (end == NULL) {
            end = last;
        }

        i = keys->nkeys;
        (*line)++;

        *error = live_keys_line(keys, p, end - p, &names);

        if (*error == NULL && named && keys->nkeys > i
            && keys->keys[i].name == NULL)
        {
            *error = "a key without the name of a stream";
        }

        if (*error) {
            goto failed;
        }
    }

    qsort(keys->keys, keys->nkeys, sizeof(live_key_t), live_keys_compare);

    for (i = 1; named && i < keys->nkeys; i++) {
        if (live_keys_compare(&keys->keys[i - 1], &keys->keys[i]) == 0) {
            *line = 0;
            *error = "one key stands for two streams";
            goto failed;
        }
    }

    return keys;

failed:

    live_keys_free(keys);

    return NULL;
}


/* As many keys as there can be, and one. */

static uint32_t
live_keys_count(const char *data, size_t len)
{
    size_t    i;
    uint32_t  n;

    n = 2;

    for (i = 0; i < len; i++) {
        n += (data[i] == '\n');
    }

    return n;
}


/* NULL, or what is wrong with it. */

static const char *
live_keys_line(live_keys_t *keys, const char *line, size_t len, char **names)
{
    live_key_t        *key;
    const char        *last;
    live_key_word_t    word[3];
    live_key_piece_t   piece;

    last = line + len;

    word[0] = live_keys_word(&line, last);
    word[1] = live_keys_word(&line, last);
    word[2] = live_keys_word(&line, last);

    if (word[0].len == 0 || word[0].data[0] == '#') {
        return NULL;
    }

    if (word[2].len) {
        return "more than a name and a key";
    }

    key = &keys->keys[keys->nkeys];

    if (word[1].len) {

        if (!live_key_is_name(word[0].data, word[0].len)) {
            return "the name of a stream is not valid";
        }

        key->name = *names;
        memcpy(*names, word[0].data, word[0].len);
        *names += word[0].len;
        *(*names)++ = '\0';

        word[0] = word[1];
    }

    if (word[0].len > LIVE_KEY_MAX) {
        return "a key is longer than 256 bytes";
    }

    piece.data = word[0].data;
    piece.len = word[0].len;

    if (live_key_digest(keys->salt, &piece, 1, key->digest) != LIVE_OK) {
        return "no memory for it";
    }

    keys->nkeys++;

    return NULL;
}


static live_key_word_t
live_keys_word(const char **p, const char *last)
{
    live_key_word_t  word;

    while (*p < last && (unsigned char) **p <= ' ') {
        (*p)++;
    }

    word.data = *p;

    while (*p < last && (unsigned char) **p > ' ') {
        (*p)++;
    }

    word.len = *p - word.data;

    return word;
}


static int
live_keys_compare(const void *one, const void *two)
{
    const live_key_t *a = one;
    const live_key_t *b = two;

    return memcmp(a->digest, b->digest, LIVE_KEY_DIGEST);
}


void
live_keys_free(live_keys_t *keys)
{
    if (keys == NULL) {
        return;
    }

    free(keys->keys);
    free(keys->names);
    free(keys);
}


/* The first of those with that key. */

static const live_key_t *
live_keys_find(const live_keys_t *keys, const char *key)
{
    live_key_t        wanted;
    const live_key_t  *found;
    live_key_piece_t   piece;

    memset(&wanted, 0, sizeof(live_key_t));

    piece.data = key;
    piece.len = strlen(key);

    if (piece.len == 0
        || live_key_digest(keys->salt, &piece, 1, wanted.digest) != LIVE_OK)
    {
        return NULL;
    }

    found = bsearch(&wanted, keys->keys, keys->nkeys, sizeof(live_key_t),
                    live_keys_compare);

    while (found && found > keys->keys
           && live_keys_compare(&found[-1], &wanted) == 0)
    {
        found--;
    }

    return found;
}


int
live_keys_allow(const live_keys_t *keys, const char *key, const char *name)
{
    const live_key_t  *first, *k;

    first = live_keys_find(keys, key);

    for (k = first;
         k && k < keys->keys + keys->nkeys
         && live_keys_compare(k, first) == 0;
         k++)
    {
        if (k->name == NULL || strcmp(k->name, name) == 0) {
            return 1;
        }
    }

    return 0;
}


const char *
live_keys_name(const live_keys_t *keys, const char *key)
{
    const live_key_t  *found;

    found = live_keys_find(keys, key);

    return found ? found->name : NULL;
}


int
live_keys_has(const live_keys_t *keys, const char *key)
{
    return live_keys_find(keys, key) != NULL;
}


int
live_key_is_name(const char *name, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {

        if ((name[i] >= 'a' && name[i] <= 'z')
            || (name[i] >= 'A' && name[i] <= 'Z')
            || (name[i] >= '0' && name[i] <= '9')
            || name[i] == '_' || name[i] == '-'
            || (name[i] == '.' && i))
        {
            continue;
        }

        return 0;
    }

    return len >= 1 && len <= LIVE_KEY_MAX_NAME;
}


int
live_key_sign(const void *secret, size_t len, const live_key_piece_t *pieces,
    size_t n, char hex[LIVE_KEY_HEX + 1])
{
    int                ok;
    size_t             i, size;
    uint8_t            digest[LIVE_KEY_DIGEST];
    EVP_PKEY          *key;
    EVP_MD_CTX        *md;
    static const char  digits[] = "0123456789abcdef";

    size = sizeof(digest);

    md = EVP_MD_CTX_new();
    key = EVP_PKEY_new_raw_private_key(EVP_PKEY_HMAC, NULL, secret, len);

    ok = md && key
         && EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, key) == 1;

    for (i = 0; ok && i < n; i++) {
        ok = EVP_DigestSignUpdate(md, pieces[i].data, pieces[i].len) == 1;
    }

    ok = ok && EVP_DigestSignFinal(md, digest, &size) == 1;

    EVP_PKEY_free(key);
    EVP_MD_CTX_free(md);

    if (!ok) {
        return LIVE_ERROR;
    }

    for (i = 0; i < LIVE_KEY_DIGEST; i++) {
        hex[2 * i] = digits[digest[i] >> 4];
        hex[2 * i + 1] = digits[digest[i] & 15];
    }

    hex[LIVE_KEY_HEX] = '\0';

    return LIVE_OK;
}


int
live_key_verify(const void *secret, size_t len, const char *app,
    const char *name, const char *expires, const char *sig)
{
    size_t            i;
    char              hex[LIVE_KEY_HEX + 1], given[LIVE_KEY_HEX + 1];
    live_key_piece_t  pieces[5];

    if (strlen(sig) != LIVE_KEY_HEX) {
        return 0;
    }

    pieces[0].data = app;
    pieces[1].data = "/";
    pieces[2].data = name;
    pieces[3].data = ":";
    pieces[4].data = expires;

    for (i = 0; i < 5; i++) {
        pieces[i].len = strlen(pieces[i].data);
    }

    if (live_key_sign(secret, len, pieces, 5, hex) != LIVE_OK) {
        return 0;
    }

    for (i = 0; i < LIVE_KEY_HEX; i++) {
        given[i] = (sig[i] >= 'A' && sig[i] <= 'F') ? (char) (sig[i] | 0x20)
                                                    : sig[i];
    }

    return live_key_equal((uint8_t *) given, (uint8_t *) hex, LIVE_KEY_HEX);
}


int64_t
live_key_time(const char *text)
{
    int64_t      t;
    const char  *p;

    t = 0;

    for (p = text; *p >= '0' && *p <= '9' && p - text < 12; p++) {
        t = t * 10 + (*p - '0');
    }

    return p == text || *p ? -1 : t;
}
