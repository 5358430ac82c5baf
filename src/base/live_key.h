
/*
 * Keys of publishers, and names that were signed.  Keys are compared by salted
 * digests, so that the time which that takes says nothing of them, and a list
 * of thousands is searched in a few steps.  Pure; any thread.
 */

#ifndef _LIVE_KEY_H_INCLUDED_
#define _LIVE_KEY_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>


#define LIVE_KEY_DIGEST    32       /* bytes */
#define LIVE_KEY_SALT      16
#define LIVE_KEY_HEX       (2 * LIVE_KEY_DIGEST)

#define LIVE_KEY_MAX       256      /* bytes of a key in a list */
#define LIVE_KEY_MAX_NAME  128      /* of a stream's name */


typedef struct {
    const void     *data;
    size_t          len;
} live_key_piece_t;


typedef struct {
    uint8_t         digest[LIVE_KEY_DIGEST];
    const char     *name;           /* of a stream, NUL-terminated; or NULL */
} live_key_t;


/* A list as it is in a file; live_keys_free() frees it, with its names. */
typedef struct {
    uint8_t         salt[LIVE_KEY_SALT];
    uint32_t        nkeys;
    live_key_t     *keys;           /* sorted by digest */
    char           *names;
} live_keys_t;


/* LIVE_ERROR: no randomness. */
int live_key_salt(uint8_t salt[LIVE_KEY_SALT]);

/* The digest of a key that is given in n pieces.  LIVE_ERROR: no memory. */
int live_key_digest(const uint8_t salt[LIVE_KEY_SALT],
    const live_key_piece_t *pieces, size_t n,
    uint8_t digest[LIVE_KEY_DIGEST]);

/* 1 when they are equal, in a time that does not tell where they differ. */
int live_key_equal(const uint8_t *a, const uint8_t *b, size_t len);

/*
 * Reads lines of "KEY" or "NAME KEY"; empty ones and those that begin with '#'
 * are skipped.  named: each line must have a name, and no two lines the same
 * key.  NULL: see *error, a static text, and *line, 0 where it is of none.
 */
live_keys_t *live_keys_parse(const char *data, size_t len, int named,
    const char **error, uint32_t *line);

/* NULL is no list. */
void live_keys_free(live_keys_t *keys);

/* 1 when the list has that key for that stream, or for any. */
int live_keys_allow(const live_keys_t *keys, const char *key,
    const char *name);

/* The name that a key stands for, NULL when it is not in the list. */
const char *live_keys_name(const live_keys_t *keys, const char *key);

/* 1 when the key is in the list, for whatever stream. */
int live_keys_has(const live_keys_t *keys, const char *key);

/* 1 to LIVE_KEY_MAX_NAME of A-Z a-z 0-9 . _ -, no dot in front. */
int live_key_is_name(const char *name, size_t len);

/*
 * HMAC-SHA256 of n pieces as lower-case hexadecimal digits, NUL-terminated.
 * LIVE_ERROR: no memory.
 */
int live_key_sign(const void *secret, size_t len,
    const live_key_piece_t *pieces, size_t n, char hex[LIVE_KEY_HEX + 1]);

/*
 * A signature of "app/name:expires" with that secret; sig may have digits of
 * either case.  1 when it is right; whether the time has come is not looked
 * at.
 */
int live_key_verify(const void *secret, size_t len, const char *app,
    const char *name, const char *expires, const char *sig);

/* Unix time in s, of 1 to 12 digits; -1: it is none. */
int64_t live_key_time(const char *text);


#endif /* _LIVE_KEY_H_INCLUDED_ */
