/*
 * media.h - files below a folder, served by the gateway: ETag, Last-Modified, 304, single ranges,
 * HEAD.
 *
 * Paths are resolved below the folder with openat2(RESOLVE_BENEATH), so no "..", no symbolic link
 * leads out.  Opening runs on offload_files().  Types come from a short table; what is not in it is
 * application/octet-stream, and everything is sent with nosniff and a sandboxing
 * Content-Security-Policy: these are strangers' files.
 */
#ifndef HTTP_MEDIA_H
#define HTTP_MEDIA_H

#include "http/route.h"

/* Serves the rest of the path after `prefix` ("/media/") from `folder`, which need not exist yet.
 * Registered with the table as a prefix; not subject to patterns.  Both texts are borrowed for as
 * long as the table lives. */
void route_table_add_media(struct route_table *, const char *prefix, const char *folder);
/* The same for files that came with the program: scripts and styles have their types. */
void route_table_add_assets(struct route_table *, const char *prefix, const char *folder);

#endif
