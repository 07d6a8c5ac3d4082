/*
 * coverage_exit.c - what was counted is written before _exit, which skips what runs at exit.
 *
 * Only in a build with b_coverage, whose linker sends each _exit here (ld's --wrap).
 */

void __gcov_dump(void);
_Noreturn void __real__exit(int status);
_Noreturn void __wrap__exit(int status);

void __wrap__exit(int status)
{
	__gcov_dump();
	__real__exit(status);
}
