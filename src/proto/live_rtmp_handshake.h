
/*
 * The RTMP handshake of a server, simple and digest (RTMP-2 to RTMP-13).
 * Pure: no nginx header; any thread.
 */

#ifndef _LIVE_RTMP_HANDSHAKE_H_INCLUDED_
#define _LIVE_RTMP_HANDSHAKE_H_INCLUDED_


#include "live_buf.h"
#include "live_types.h"


#define LIVE_RTMP_SIG_SIZE       1536   /* C1, C2, S1, S2 */
#define LIVE_RTMP_DIGEST_SIZE    32

#define LIVE_RTMP_ANSWER_SIZE    (1 + 2 * LIVE_RTMP_SIG_SIZE)

/* where the four bytes stand that say where the digest is (RTMP-8) */
#define LIVE_RTMP_SCHEMA_A       8
#define LIVE_RTMP_SCHEMA_B       772


typedef struct {
    uint32_t        received;           /* bytes of C0, C1 and C2 */
    uint8_t         c1[LIVE_RTMP_SIG_SIZE];
} live_rtmp_handshake_t;


void live_rtmp_handshake_init(live_rtmp_handshake_t *h);

/*
 * Takes the bytes that belong to the handshake; what follows C2 stays in the
 * reader.  Writes the answer, LIVE_RTMP_ANSWER_SIZE bytes, when C1 is there.
 * LIVE_OK: done; LIVE_AGAIN: needs more; LIVE_ERROR: *error says why.
 */
int live_rtmp_handshake_input(live_rtmp_handshake_t *h, live_reader_t *in,
    live_writer_t *out, const char **error);

/* Returns the schema under which C1 carries a true digest, 0 when there is
 * none; *digest then points into c1. */
uint32_t live_rtmp_find_digest(const uint8_t *c1, const uint8_t **digest);

/* Puts our digest into S1 (RTMP-10). */
int live_rtmp_sign_s1(uint8_t *s1, uint32_t schema);

/* Computes the last 32 bytes of S2 from the others (RTMP-11). */
int live_rtmp_sign_s2(uint8_t *s2, const uint8_t *c1_digest);


#endif /* _LIVE_RTMP_HANDSHAKE_H_INCLUDED_ */
