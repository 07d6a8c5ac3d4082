/*
 * fuzz.h - functions that must survive any bytes.
 *
 * A target is `void fuzz_<name>(struct str input)` in <name>.c and a row of targets.def.  It asserts
 * what must hold of every input and frees what it took.  Two programs are made of it: fuzz-<name>
 * (libFuzzer, by `./dev fuzz NAME SECONDS`), and a part of the unit suite "fuzz", which replays
 * corpus/<name>/ in every test run.  An input that has broken something is kept there under a name
 * that says what it was.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

#define TARGET(name) void fuzz_##name(struct str input);
#include "targets.def"
#undef TARGET

#endif
