/*
 * macros.h - the few words that every file of the house may use.
 *
 * Nothing here hides control flow: no macro returns, jumps or allocates.  Assertions stay on in
 * release builds; a failed one prints where and what, a backtrace, and aborts (base/crash.h).
 */
#ifndef BASE_MACROS_H
#define BASE_MACROS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/param.h> /* MIN and MAX: libuv's header brings it in, and two definitions would clash */

#define _cleanup_(f)          __attribute__((cleanup(f)))
#define _must_check_          __attribute__((warn_unused_result))
#define _printf_(text, first) __attribute__((format(printf, text, first)))
#define _noreturn_            __attribute__((noreturn))
#define _unused_              __attribute__((unused))
#define _cold_                __attribute__((cold))

/*
 * Marks the prototype of a function that may suspend the calling fiber (loop/fiber.h).  Under clang
 * it is an annotation that a script can follow through the call graph; under gcc it is a word.
 */
#ifdef __clang__
#define may_yield __attribute__((annotate("may_yield")))
#else
#define may_yield
#endif

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
/* clang-format off */
#define container_of(ptr, type, member) ((type *) (void *) ((char *) (ptr) - offsetof(type, member)))
/* clang-format on */
#define likely(x)     __builtin_expect(!!(x), 1)
#define unlikely(x)   __builtin_expect(!!(x), 0)

/* All time in Apium is a signed count of microseconds; durations and points share the type. */
typedef int64_t usec_t;
#define USEC       ((usec_t) 1)
#define MSEC       (1000 * USEC)
#define SEC        (1000 * MSEC)
#define MINUTE     (60 * SEC)
#define HOUR       (60 * MINUTE)
#define DAY        (24 * HOUR)
#define USEC_NEVER INT64_MAX

#define KIB ((size_t) 1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

_noreturn_ _cold_ void must_failed(const char *file, int line, const char *what);

/* A contract.  Evaluated in every build. */
#define must(x)                  (likely(x) ? (void) 0 : must_failed(__FILE__, __LINE__, #x))
#define must_not_reach(sentence) must_failed(__FILE__, __LINE__, sentence)

/*
 * A magic number is the first member of an object that travels through a void pointer; the first
 * line of a callback is OBJ_CHECK.  Freeing zeroes it, so a stale pointer is caught.
 */
#define OBJ_CHECK(ptr, magic_value) must((ptr) != NULL && (ptr)->magic == (magic_value))

#endif
