
/*
 * What is kept on disk of a stream: with which numbers it goes on after a
 * restart, so that a player whose playlist stays open is not sent back
 * (HLS-9, HLS-13).  Pure: no I/O.
 *
 * A file is a header and a table of records of the same size, found by a hash
 * of the stream's name.  Each has two copies that are written in turn, each
 * with a checksum: when the machine fails in the middle of a write, the other
 * one counts.
 */

#ifndef _LIVE_STATE_H_INCLUDED_
#define _LIVE_STATE_H_INCLUDED_


#include "live_types.h"


#define LIVE_STATE_HEADER   128     /* bytes */
#define LIVE_STATE_RECORD   128
#define LIVE_STATE_COPY     48
#define LIVE_STATE_KEY      16
#define LIVE_STATE_RECORDS  16384
#define LIVE_STATE_PROBES   32      /* records that a name may be in */

/* bytes of the file */
#define LIVE_STATE_SIZE                                                       \
    (LIVE_STATE_HEADER                                                        \
     + (LIVE_STATE_RECORDS + LIVE_STATE_PROBES) * LIVE_STATE_RECORD)


typedef struct {
    uint64_t  count;        /* of writes, tells the newer copy; from 1 */
    uint64_t  msn;          /* of the segment that comes next */
    uint64_t  dsn;
    uint64_t  anchor;       /* Unix ms of timeline 0 */
    uint64_t  used;         /* Unix ms of the write */
    uint32_t  boot;         /* of the machine, that wrote it */
} live_state_t;


/* Writes LIVE_STATE_HEADER bytes. */
void live_state_write_header(uint8_t *buf);

/* LIVE_OK, or LIVE_ERROR: it is another file. */
int live_state_read_header(const uint8_t *buf, size_t len);

/*
 * The first of the LIVE_STATE_PROBES records that a name may be in, below
 * LIVE_STATE_RECORDS; as many as they are stand behind the last one.
 */
uint32_t live_state_slot(const uint8_t *key);

/*
 * Which of these LIVE_STATE_PROBES records is that of the key.  LIVE_OK: s is
 * what is in it.  LIVE_AGAIN: none, it is where one may be made: the first that
 * is free, or the one that was used least of late.
 */
int live_state_find(const uint8_t *records, const uint8_t *key,
    uint32_t *index, live_state_t *s);

/*
 * Reads a record, the newer of its copies that are whole.  LIVE_OK: it is of
 * that key.  LIVE_AGAIN: it is free, or no copy is whole.  LIVE_ERROR: it is of
 * another key, s is valid.
 */
int live_state_read(const uint8_t *record, const uint8_t *key,
    live_state_t *s);

/* Writes the key into LIVE_STATE_KEY bytes' place of a record of zeros. */
void live_state_write_key(uint8_t *record, const uint8_t *key);

/* Writes a copy of LIVE_STATE_COPY bytes; returns its place in the record. */
size_t live_state_write(uint8_t *copy, const uint8_t *key,
    const live_state_t *s);

/*
 * What a stream begins with of what was kept.  now: Unix ms; boot: of the
 * machine as it is now; segment: ms.  Where the machine was started since, the
 * last writes may be lost, and numbers are left out for them.
 */
void live_state_resume(live_state_t *s, uint64_t now, uint32_t boot,
    uint64_t segment);


#endif /* _LIVE_STATE_H_INCLUDED_ */
