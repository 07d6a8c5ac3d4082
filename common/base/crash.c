#include "base/crash.h"

#include <execinfo.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/str.h"

#ifdef __SANITIZE_ADDRESS__
#define UNDER_ASAN 1
#else
#define UNDER_ASAN 0
#endif

#define ALT_STACK_SIZE (64 * KIB)

/* Fatal signals, and whether AddressSanitizer's own report of them says more than ours. */
/* clang-format off */
static const struct { int number; bool asan_has_better; const char *name; } crash_signals[] = {
	{ SIGSEGV, true,  "SIGSEGV" },
	{ SIGBUS,  true,  "SIGBUS"  },
	{ SIGILL,  true,  "SIGILL"  },
	{ SIGFPE,  true,  "SIGFPE"  },
	{ SIGABRT, false, "SIGABRT" },
};
/* clang-format on */

static const char *crash_program = "apium";
static void (*crash_report)(int fd);
static void *crash_address;
static bool is_set_up;
static atomic_flag is_reported = ATOMIC_FLAG_INIT;
static _Thread_local void *alt_stack;

static void say(const char *c)
{
	/* Nothing can be done about a standard error that is gone, least of all here. */
	ssize_t ignored = write(STDERR_FILENO, c, strlen(c));

	(void) ignored;
}

/* No printf: its locks and buffers may be what is broken. */
static void say_number(unsigned long n, unsigned base)
{
	char digits[24];
	size_t at = sizeof(digits) - 1;

	digits[at] = '\0';
	do {
		digits[--at] = "0123456789abcdef"[n % base];
		n /= base;
	} while (n != 0);
	say(digits + at);
}

/* The tail that an assertion and a signal share; only the first of them speaks. */
static void report_rest(void)
{
	void *frames[64];

	if (crash_report != NULL)
		crash_report(STDERR_FILENO);
	say("backtrace:\n");
	backtrace_symbols_fd(frames, backtrace(frames, ARRAY_SIZE(frames)), STDERR_FILENO);
}

static void on_fatal_signal(int number, siginfo_t *info, void *context)
{
	const char *name = "signal";

	if (!atomic_flag_test_and_set(&is_reported)) {
		for (size_t i = 0; i < ARRAY_SIZE(crash_signals); i++)
			if (crash_signals[i].number == number)
				name = crash_signals[i].name;
		crash_address = info->si_addr;
		say(crash_program);
		say(": ");
		say(name);
		if (number != SIGABRT) {
			say(" at address 0x");
			say_number((unsigned long) info->si_addr, 16);
		}
		say("\n");
		report_rest();
	}
	/* Blocked until we return, so the process dies of it with the faulting frame on top. */
	signal(number, SIG_DFL);
	raise(number);
}

void must_failed(const char *file, int line, const char *what)
{
	if (!atomic_flag_test_and_set(&is_reported)) {
		say(crash_program);
		say(": ");
		say(file);
		say(":");
		say_number((unsigned long) line, 10);
		say(": this must hold: ");
		say(what);
		say("\n");
		report_rest();
	}
	abort();
}

void crash_setup(const char *program)
{
	struct sigaction action = { .sa_sigaction = on_fatal_signal,
				    .sa_flags = SA_SIGINFO | SA_ONSTACK };
	void *frame;

	crash_program = program;
	is_set_up = true;
	/* The first call loads libgcc, which allocates: not in a signal handler, please. */
	(void) backtrace(&frame, 1);
	crash_thread_setup();
	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < ARRAY_SIZE(crash_signals); i++)
		if (!UNDER_ASAN || !crash_signals[i].asan_has_better)
			must(sigaction(crash_signals[i].number, &action, NULL) == 0);
}

void crash_thread_setup(void)
{
	stack_t stack = { .ss_size = ALT_STACK_SIZE };

	/* ASan brings one of its own for each thread and takes it away at the thread's end. */
	if (UNDER_ASAN || !is_set_up || alt_stack != NULL)
		return;
	alt_stack = mmap(NULL, ALT_STACK_SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	must(alt_stack != MAP_FAILED);
	stack.ss_sp = alt_stack;
	must(sigaltstack(&stack, NULL) == 0);
}

void crash_thread_fini(void)
{
	stack_t stack = { .ss_flags = SS_DISABLE };

	if (alt_stack == NULL)
		return;
	must(sigaltstack(&stack, NULL) == 0);
	munmap(alt_stack, ALT_STACK_SIZE);
	alt_stack = NULL;
}

void crash_on_report(void (*report)(int fd))
{
	crash_report = report;
}

const void *crash_fault_address(void)
{
	return crash_address;
}
