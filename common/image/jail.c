#include "image/jail.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define JAIL_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define JAIL_ARCH AUDIT_ARCH_AARCH64
#else
#error "the sandbox's filter names the system calls of x86-64 and arm64 only"
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define JAIL_SANITIZED true
#else
#define JAIL_SANITIZED false
#endif

/* Memory, threads, time, reading and writing what is open already, ending.  Nothing else of the
 * system. */
static const int allowed[] = {
	SYS_read,
	SYS_write,
	SYS_readv,
	SYS_writev,
	SYS_close,
	SYS_fstat,
	SYS_lseek,
	SYS_mmap,
	SYS_munmap,
	SYS_mremap,
	SYS_mprotect,
	SYS_madvise,
	SYS_brk,
	SYS_futex,
	SYS_set_robust_list,
	SYS_rseq,
	SYS_exit,
	SYS_exit_group,
	SYS_getpid,
	SYS_gettid,
	SYS_rt_sigaction,
	SYS_rt_sigprocmask,
	SYS_rt_sigreturn,
	SYS_sigaltstack,
	SYS_sched_yield,
	SYS_sched_getaffinity,
	SYS_clock_gettime,
	SYS_clock_nanosleep,
	SYS_nanosleep,
	SYS_gettimeofday,
	SYS_getrandom,
	SYS_getrusage,
	SYS_ppoll,
	SYS_restart_syscall,
	SYS_sysinfo,
	SYS_membarrier,
#ifdef SYS_poll
	SYS_poll,
#endif
};

/* Allowed only on this process: the others of the same user must be out of reach. */
static const int allowed_on_self[] = { SYS_tgkill, SYS_prlimit64 };

#define CALL_NUMBER         offsetof(struct seccomp_data, nr)
#define CALL_ARCH           offsetof(struct seccomp_data, arch)
#define CALL_FIRST_ARGUMENT offsetof(struct seccomp_data, args[0])

static int set_filter(void)
{
	struct sock_filter program[ARRAY_SIZE(allowed) * 2 + ARRAY_SIZE(allowed_on_self) * 6 + 16];
	const unsigned self = (unsigned) getpid();
	size_t n = 0;

#define EMIT(...) (program[n++] = (struct sock_filter) __VA_ARGS__)
	EMIT(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, CALL_ARCH));
	EMIT(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, JAIL_ARCH, 1, 0));
	EMIT(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
	EMIT(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, CALL_NUMBER));
	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++) {
		EMIT(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned) allowed[i], 0, 1));
		EMIT(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
	}
	for (size_t i = 0; i < ARRAY_SIZE(allowed_on_self); i++) {
		EMIT(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned) allowed_on_self[i], 0, 5));
		EMIT(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, CALL_FIRST_ARGUMENT));
		EMIT(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0));
		EMIT(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, self, 0, 1));
		EMIT(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
		EMIT(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM));
	}
	EMIT(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1));
	EMIT(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS));
	EMIT(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 3));
	EMIT(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, CALL_FIRST_ARGUMENT));
	EMIT(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 0, 1));
	EMIT(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
	EMIT(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM));
#undef EMIT
	must(n <= ARRAY_SIZE(program));
	struct sock_fprog filter = { .len = (unsigned short) n, .filter = program };
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0)
		return -errno;
	return 0;
}

int jail_enter(void)
{
	const struct rlimit memory = { GIB, GIB };
	const struct rlimit nothing = { 0, 0 };

	if (!JAIL_SANITIZED && setrlimit(RLIMIT_AS, &memory) < 0)
		return -errno;
	if (setrlimit(RLIMIT_CORE, &nothing) < 0)
		return -errno;
	return set_filter();
}

void jail_allow_cpu(void)
{
	struct rusage used;
	struct rlimit limit;

	if (JAIL_SANITIZED || getrusage(RUSAGE_SELF, &used) < 0 ||
	    getrlimit(RLIMIT_CPU, &limit) < 0)
		return;
	/* The kernel counts whole seconds of the process's life. */
	limit.rlim_cur = (rlim_t) (used.ru_utime.tv_sec + used.ru_stime.tv_sec + 1 +
				   JAIL_CPU_SECONDS);
	must(setrlimit(RLIMIT_CPU, &limit) == 0);
}
