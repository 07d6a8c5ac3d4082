/*
 * storage.h - files below one folder: uploads and what is made of them.
 *
 * A path is relative and in parts that are not empty, "." or ".."; names are made elsewhere (they
 * are unique, so nothing is ever replaced by accident).  The kernel resolves it beneath the folder
 * and follows no symbolic link (openat2, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS), so that whatever
 * lies there, no path leads out.  Files are 0644 and folders 0755, less the umask: a web server in
 * front may read them.
 *
 * Everything that touches the disk runs on offload_files(), so all of these yield; the waiting
 * fiber's deadline and cancellation hold before the work begins, not in its midst.  Errors are
 * -errno with a reason that names the path: -EINVAL (not such a path), -ENOENT, -EXDEV or -ELOOP
 * (would lead out), …
 */
#ifndef STORAGE_STORAGE_H
#define STORAGE_STORAGE_H

#include "base/arena.h"

struct storage {
	const char *root; /* borrowed; made by the first put */
};

struct storage_file {
	int fd; /* read-only; whoever gets it closes it */
	size_t size;
	usec_t modified; /* real time */
};

/*
 * Writes a whole file: into a temporary one beside it, fsync, rename, fsync of the folder.  After 0
 * it is there under its name, complete, also after a crash; before, nobody sees it.  Folders are
 * made as needed.  A file of that name is replaced.
 */
int storage_put(const struct storage *, struct str path, struct str bytes) may_yield _must_check_;
/* The whole file, in memory of the arena; -EFBIG if it is longer than `most`. */
int storage_read(const struct storage *, struct arena *, struct str path, size_t most,
		 struct str *ret) may_yield _must_check_;
/* Regular files only: -ENOENT for a folder. */
int storage_open(const struct storage *, struct str path, struct storage_file *ret)
	may_yield _must_check_;
/* 0 also if there is none. */
int storage_delete(const struct storage *, struct str path) may_yield _must_check_;
/* 1, 0 or an error. */
int storage_exists(const struct storage *, struct str path) may_yield _must_check_;

#endif
