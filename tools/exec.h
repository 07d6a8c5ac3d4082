/*
 * exec.h - becoming one of the other programs: `apium worker …` execs `apium-worker …`, as git does.
 */
#ifndef TOOLS_EXEC_H
#define TOOLS_EXEC_H

/* argv[0] is the word by which it was called; behind it come its words.  Does not return when the program
 * of that name lies beside this one; else negative with the reason. */
int exec_program(const char *name, char **argv);

#endif
