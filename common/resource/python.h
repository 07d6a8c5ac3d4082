/*
 * python.h - values of JSON as Python shows them, because messages quote them so.
 */
#ifndef RESOURCE_PYTHON_H
#define RESOURCE_PYTHON_H

#include "base/arena.h"
#include "base/json.h"

/* Python's name for the type of a JSON value: "dict", "list", "str", "int", "float", "bool",
 * "NoneType". */
const char *python_type_name(const struct json *);

/* str() of a value as Python has it, for messages that quote it. */
struct str python_text(struct arena *, const struct json *);

/* str.strip() of Python: all that Unicode calls white space. */
struct str python_strip(struct str);

#endif
