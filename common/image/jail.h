/*
 * jail.h - takes from this process what decoding a picture does not need.
 *
 * A seccomp filter set by prctl after no_new_privs (works unprivileged): a list of allowed system
 * calls, everything else fails with EPERM, clone3 with ENOSYS so that glibc falls back to clone, of
 * which only threads are allowed.  No file can be opened, no socket made, nothing executed.  And
 * limits: 1 GiB of address space (not under sanitizers, which reserve terabytes), no core file.
 * seccomp(2), x86-64 and arm64.
 */
#ifndef IMAGE_JAIL_H
#define IMAGE_JAIL_H

#include "base/macros.h"

#define JAIL_CPU_SECONDS 20

/* 0 or -errno; there is no way back. */
int jail_enter(void) _must_check_;
/* The next stretch of work may burn JAIL_CPU_SECONDS of CPU; then SIGXCPU ends the process. */
void jail_allow_cpu(void);

#endif
