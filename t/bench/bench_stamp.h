
/*
 * The moment at which a frame is sent goes with it, us of CLOCK_MONOTONIC in
 * hexadecimal digits behind the UUID of a user data SEI message, where a
 * player on the same machine finds it.
 */

#ifndef _BENCH_STAMP_H_INCLUDED_
#define _BENCH_STAMP_H_INCLUDED_


#define STAMP_UUID    "live bench stamp"
#define STAMP_DIGITS  16


#endif /* _BENCH_STAMP_H_INCLUDED_ */
