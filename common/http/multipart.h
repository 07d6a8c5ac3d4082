/*
 * multipart.h - multipart/form-data, read as Django reads it.
 *
 * The body is complete when this runs, so fields and uploads are slices of it.  Django's habits are
 * kept because clients live with them: what stands before the first boundary counts as a part, a
 * last part without its boundary is taken, a part without a name or whose head is longer than 1,024
 * bytes is passed over, an empty filename makes a field.  Field values and names are repaired to
 * UTF-8.  Not read: Content-Transfer-Encoding (obsolete by RFC 7578 §4.7), HTML entities in
 * filenames.
 *
 * Bounds are Django's: 1,000 fields, 100 files, 2.5 MiB outside of files.
 */
#ifndef HTTP_MULTIPART_H
#define HTTP_MULTIPART_H

#include "http/request.h"

#define FORM_FIELDS_MOST 1000
#define FORM_FILES_MOST  100
#define FORM_BYTES_MOST  ((size_t) 2621440)

/*
 * `content_type` is the header with its parameters.  0 with fields and uploads in *ret;
 * -E_BAD_REQUEST with DRF's reason ("Multipart form parse error - …"); -E_TOO_LARGE when a bound is
 * passed.
 */
int multipart_parse(struct arena *, struct str content_type, struct str bytes, struct body *ret)
	_must_check_;

/* The last component of a client's file name, printable characters only; empty if nothing is
 * left. */
struct str filename_sanitise(struct arena *, struct str);

#endif
