/*
 * yaml.h - a JSON document as YAML in block style, as PyYAML writes it but for folded lines.
 *
 * Texts that YAML would take for something else are put in quotes, texts of several lines become
 * literal blocks or, where a block could not hold them, quoted ones.
 */
#ifndef BASE_YAML_H
#define BASE_YAML_H

#include "base/json.h"

/* Appends the document with its final newline.  The arena is for decoded texts. */
void yaml_add(struct buf *, struct arena *, const struct json *);

#endif
