
/*
 * AMF0 reader and writer; AMF3 values inside AMF0 (marker 0x11) are read as
 * well (RTMP-41, RTMP-51).
 *
 * The reader builds no tree: it hands out one value after the other, and the
 * properties of an object through a visitor.  All strings are slices of the
 * input.  Depth and the number of properties are bounded, references are not
 * followed, and the time is linear in the input (RTMP-49, RTMP-50).
 *
 * Pure: no nginx header; any thread.
 */

#ifndef _LIVE_AMF_H_INCLUDED_
#define _LIVE_AMF_H_INCLUDED_


#include "live_buf.h"
#include "live_types.h"


#define LIVE_AMF_MAX_DEPTH       16     /* unless the owner says otherwise */
#define LIVE_AMF_MAX_PROPERTIES  1024   /* in one message */


typedef enum {
    LIVE_AMF_NUMBER = 0,
    LIVE_AMF_BOOLEAN,
    LIVE_AMF_STRING,
    LIVE_AMF_OBJECT,
    LIVE_AMF_ARRAY,
    LIVE_AMF_NULL,
    LIVE_AMF_UNDEFINED,
    LIVE_AMF_OTHER                      /* skipped: dates, references, ... */
} live_amf_type_e;


typedef struct {
    const uint8_t      *data;
    size_t              len;
} live_amf_str_t;


typedef struct {
    live_amf_type_e     type;
    double              number;         /* a boolean is 0 or 1 */
    live_amf_str_t      str;            /* not NUL-terminated */
} live_amf_value_t;


/* The direct properties of an object; what they contain is not visited. */
typedef void (*live_amf_visit_pt)(void *ctx, const live_amf_str_t *name,
    const live_amf_value_t *v);


typedef struct {
    live_reader_t       in;
    live_amf_visit_pt   visit;
    void               *ctx;
    uint32_t            depth;
    uint32_t            max_depth;      /* of objects in objects */
    uint32_t            properties;
    unsigned            too_deep:1;     /* why a read has failed */
} live_amf_reader_t;


/* max_depth is LIVE_AMF_MAX_DEPTH then; whoever sets another one keeps in mind
 * that each level is a call on the stack. */
void live_amf_init(live_amf_reader_t *a, const void *data, size_t len);

/* Takes one whole value.  LIVE_ERROR: malformed, cut off or beyond a limit;
 * also at the end of the input. */
int live_amf_read(live_amf_reader_t *a, live_amf_value_t *v);

/* The same, and shows the properties of an object or associative array. */
int live_amf_read_object(live_amf_reader_t *a, live_amf_value_t *v,
    live_amf_visit_pt visit, void *ctx);

int live_amf_str_is(const live_amf_str_t *s, const char *text);

/* Makes a NUL-terminated copy that fits size, printable ASCII only: any other
 * byte becomes '?'. */
void live_amf_str_print(const live_amf_str_t *s, char *buf, size_t size);

void live_amf_write_number(live_writer_t *w, double n);
void live_amf_write_str(live_writer_t *w, const char *s);
void live_amf_write_null(live_writer_t *w);
void live_amf_write_undefined(live_writer_t *w);

/* An object is: start, properties, end. */
void live_amf_write_object(live_writer_t *w);
void live_amf_write_object_end(live_writer_t *w);
void live_amf_write_str_property(live_writer_t *w, const char *name,
    const char *s);
void live_amf_write_number_property(live_writer_t *w, const char *name,
    double n);


#endif /* _LIVE_AMF_H_INCLUDED_ */
