
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "live_rtmp_handshake.h"


#define LIVE_RTMP_VERSION     3
#define LIVE_RTMP_UNSIGNED    (LIVE_RTMP_SIG_SIZE - LIVE_RTMP_DIGEST_SIZE)

#define LIVE_RTMP_CLIENT_KEY  30        /* the text alone (RTMP-9) */
#define LIVE_RTMP_SERVER_KEY  36


static int live_rtmp_handshake_answer(const uint8_t *c1, live_writer_t *out);
static const char *live_rtmp_version_error(uint8_t c0);
static int live_rtmp_digest(const uint8_t *sig, uint32_t pos,
    const uint8_t *key, int key_len, uint8_t *digest);
static uint32_t live_rtmp_digest_pos(const uint8_t *sig, uint32_t schema);
static int live_rtmp_hmac(const uint8_t *key, int key_len,
    const uint8_t *data, size_t len, uint8_t *digest);


static const uint8_t  live_rtmp_client_key[] = "Genuine Adobe Flash Player 001";

/* the text and its binary tail (RTMP-11) */
static const uint8_t  live_rtmp_server_key[] =
    "Genuine Adobe Flash Media Server 001"
    "\xf0\xee\xc2\x4a\x80\x68\xbe\xe8\x2e\x00\xd0\xd1\x02\x9e\x7e\x57"
    "\x6e\xec\x5d\x2d\x29\x80\x6f\xab\x93\xb8\xe6\x36\xcf\xeb\x31\xae";


void
live_rtmp_handshake_init(live_rtmp_handshake_t *h)
{
    h->received = 0;
}


int
live_rtmp_handshake_input(live_rtmp_handshake_t *h, live_reader_t *in,
    live_writer_t *out, const char **error)
{
    size_t  n;

    if (h->received == 0) {

        if (live_reader_left(in) == 0) {
            return LIVE_AGAIN;
        }

        if (*in->pos != LIVE_RTMP_VERSION) {
            *error = live_rtmp_version_error(*in->pos);
            return LIVE_ERROR;
        }

        in->pos++;
        h->received = 1;
    }

    if (h->received <= LIVE_RTMP_SIG_SIZE) {

        n = 1 + LIVE_RTMP_SIG_SIZE - h->received;

        if (n > live_reader_left(in)) {
            n = live_reader_left(in);
        }

        memcpy(h->c1 + h->received - 1, live_read(in, n), n);
        h->received += n;

        if (h->received <= LIVE_RTMP_SIG_SIZE) {
            return LIVE_AGAIN;
        }

        if (live_rtmp_handshake_answer(h->c1, out) != LIVE_OK) {
            *error = "handshake: no random bytes or no SHA-256";
            return LIVE_ERROR;
        }
    }

    /* RTMP-4: some clients send garbage as C2 */

    n = LIVE_RTMP_ANSWER_SIZE - h->received;

    if (n > live_reader_left(in)) {
        n = live_reader_left(in);
    }

    live_read(in, n);
    h->received += n;

    return h->received == LIVE_RTMP_ANSWER_SIZE ? LIVE_OK : LIVE_AGAIN;
}


static int
live_rtmp_handshake_answer(const uint8_t *c1, live_writer_t *out)
{
    uint8_t        *s1, *s2;
    uint32_t        schema;
    const uint8_t  *digest;

    live_write_u8(out, LIVE_RTMP_VERSION);

    s1 = live_write_room(out, LIVE_RTMP_SIG_SIZE);
    s2 = live_write_room(out, LIVE_RTMP_SIG_SIZE);

    if (out->error) {
        return LIVE_ERROR;
    }

    /* the time of S1 counts from the connection, so it is 0 */

    memset(s1, 0, 8);

    if (RAND_bytes(s1 + 8, LIVE_RTMP_SIG_SIZE - 8) != 1) {
        return LIVE_ERROR;
    }

    schema = live_rtmp_find_digest(c1, &digest);

    if (schema == 0) {

        /* RTMP-6: a version of 0 keeps the client from checking a digest */

        memcpy(s2, c1, LIVE_RTMP_SIG_SIZE);
        return LIVE_OK;
    }

    memcpy(s1 + 4, "\x0d\x0e\x0a\x0d", 4);

    if (live_rtmp_sign_s1(s1, schema) != LIVE_OK
        || RAND_bytes(s2, LIVE_RTMP_UNSIGNED) != 1)
    {
        return LIVE_ERROR;
    }

    return live_rtmp_sign_s2(s2, digest);
}


static const char *
live_rtmp_version_error(uint8_t c0)
{
    switch (c0) {

    case 0x16:
        return "handshake: TLS on a port for plain RTMP";

    case 6:
    case 8:
        return "handshake: encrypted RTMPE is not supported";

    case 'G':
    case 'P':
    case 'H':
    case 'O':
        return "handshake: HTTP instead of RTMP";
    }

    return c0 >= 32 ? "handshake: not RTMP"
                    : "handshake: unknown version of RTMP";
}


uint32_t
live_rtmp_find_digest(const uint8_t *c1, const uint8_t **digest)
{
    uint8_t                own[LIVE_RTMP_DIGEST_SIZE];
    uint32_t               i, pos;
    static const uint32_t  schemas[] = {
        LIVE_RTMP_SCHEMA_B, LIVE_RTMP_SCHEMA_A
    };

    /* RTMP-7 */

    if (memcmp(c1 + 4, "\0\0\0\0", 4) == 0) {
        return 0;
    }

    for (i = 0; i < 2; i++) {

        pos = live_rtmp_digest_pos(c1, schemas[i]);

        if (live_rtmp_digest(c1, pos, live_rtmp_client_key,
                             LIVE_RTMP_CLIENT_KEY, own)
            != LIVE_OK)
        {
            return 0;
        }

        if (memcmp(c1 + pos, own, sizeof(own)) == 0) {
            *digest = c1 + pos;
            return schemas[i];
        }
    }

    return 0;
}


int
live_rtmp_sign_s1(uint8_t *s1, uint32_t schema)
{
    uint32_t  pos = live_rtmp_digest_pos(s1, schema);

    return live_rtmp_digest(s1, pos, live_rtmp_server_key,
                            LIVE_RTMP_SERVER_KEY, s1 + pos);
}


int
live_rtmp_sign_s2(uint8_t *s2, const uint8_t *c1_digest)
{
    uint8_t  key[LIVE_RTMP_DIGEST_SIZE];

    if (live_rtmp_hmac(live_rtmp_server_key, sizeof(live_rtmp_server_key) - 1,
                       c1_digest, LIVE_RTMP_DIGEST_SIZE, key)
        != LIVE_OK)
    {
        return LIVE_ERROR;
    }

    return live_rtmp_hmac(key, sizeof(key), s2, LIVE_RTMP_UNSIGNED,
                          s2 + LIVE_RTMP_UNSIGNED);
}


/* Over all of C1 or S1 but the place of the digest itself (RTMP-9). */

static int
live_rtmp_digest(const uint8_t *sig, uint32_t pos, const uint8_t *key,
    int key_len, uint8_t *digest)
{
    uint8_t  data[LIVE_RTMP_UNSIGNED];

    memcpy(data, sig, pos);
    memcpy(data + pos, sig + pos + LIVE_RTMP_DIGEST_SIZE,
           LIVE_RTMP_UNSIGNED - pos);

    return live_rtmp_hmac(key, key_len, data, sizeof(data), digest);
}


static uint32_t
live_rtmp_digest_pos(const uint8_t *sig, uint32_t schema)
{
    const uint8_t  *p = sig + schema;

    return (p[0] + p[1] + p[2] + p[3]) % 728 + schema + 4;
}


static int
live_rtmp_hmac(const uint8_t *key, int key_len, const uint8_t *data,
    size_t len, uint8_t *digest)
{
    unsigned  n = LIVE_RTMP_DIGEST_SIZE;

    if (HMAC(EVP_sha256(), key, key_len, data, len, digest, &n) == NULL) {
        return LIVE_ERROR;
    }

    return LIVE_OK;
}
