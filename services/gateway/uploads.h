/*
 * uploads.h - files that users send: their names, the rules of pictures, where they are seen.
 */
#ifndef SERVICES_GATEWAY_UPLOADS_H
#define SERVICES_GATEWAY_UPLOADS_H

#include "image/probe.h"
#include "resource/resource.h"

#define UPLOAD_MOST (IMAGE_BYTES_MOST + MIB) /* the file and what multipart puts around it */

/* From the last dot on, ".JPG"; empty without one, and for a name that begins with its only dot. */
struct str upload_suffix(struct str filename);
/* The same in lower case; empty for what is no short ASCII word, so that nothing odd ends a name. */
struct str upload_extension(struct arena *, struct str filename);
/* "<folder>/<32 hexadecimal digits><extension>", which nobody can guess. */
struct str upload_random_path(struct arena *, const char *folder, struct str filename);

/* For FILE_RULE: JPEG, PNG, WebP or GIF of a size that is allowed, by its header. */
int upload_is_picture(const struct upload *) _must_check_;

/* The absolute URL of a file of the media folder. */
struct str upload_url(struct request *, struct str path);
/* A file that no row names any more; one that cannot be deleted is a file too many, not a failure of the
 * request.  Yields. */
void upload_delete(const struct storage *, struct str path) may_yield;

#endif
