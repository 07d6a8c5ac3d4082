#include "storage/storage.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/uuid.h"
#include "loop/offload.h"

#define FOLDER_MODE 0755
#define FILE_MODE   0644
/* What stands before the name of a file that is not complete yet. */
#define TEMPORARY   ".part-"

/* What an offloaded function works on.  Lies on the stack of the fiber that waits for it. */
struct job {
	const char *root;
	char *path; /* copied, ended by a NUL */
	struct str bytes;
	size_t most;
	struct storage_file file;
	char *read; /* malloc'd */
};

static void job_fini(struct job *job)
{
	if (job->file.fd >= 0)
		close(job->file.fd);
	free(job->path);
	free(job->read);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static int check_path(struct str path)
{
	struct str rest = path, part;

	if (path.len == 0 || path.len >= PATH_MAX || str_find_char(path, '\0') >= 0)
		return fail(-EINVAL, "this is no path of a stored file");
	while (str_cut(&rest, '/', &part))
		if (part.len == 0 || str_eq(part, STR(".")) || str_eq(part, STR("..")))
			return fail(-EINVAL, "\"%.*s\" is no path of a stored file", STR_ARG(path));
	return 0;
}

static int job_init(struct job *job, const struct storage *s, struct str path)
{
	int r = check_path(path);

	*job = (struct job){ .root = s->root, .file.fd = -1 };
	if (r < 0)
		return r;
	job->path = strndup(path.at, path.len);
	must(job->path != NULL);
	return 0;
}

static int fail_path(const struct job *job, int error, const char *doing)
{
	return fail(-error, "%s %s: %s", doing, job->path, strerror(error));
}

/* A path that does not leave the folder, whatever links somebody has put there. */
static int open_beneath(int folder, const char *path, int flags)
{
	const struct open_how how = {
		.flags = (uint64_t) flags | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};

	return (int) syscall(SYS_openat2, folder, path, &how, sizeof(how));
}

static int open_root(const struct job *job)
{
	return open(job->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* Each part of `path` in turn; the last one too.  Those that are there are no error. */
static int make_folders(int from, char *path)
{
	for (char *slash = strchr(path, '/');; slash = strchr(slash + 1, '/')) {
		int r, error;

		if (slash != NULL)
			*slash = '\0';
		r = path[0] == '\0' ? 0 : mkdirat(from, path, FOLDER_MODE);
		error = errno;
		if (slash != NULL)
			*slash = '/';
		if (r < 0 && error != EEXIST) {
			errno = error;
			return -1;
		}
		if (slash == NULL)
			return 0;
	}
}

static int make_root(const struct job *job)
{
	char *path = strdup(job->root);
	int r;

	must(path != NULL);
	r = make_folders(AT_FDCWD, path);
	free(path);
	return r;
}

/*
 * The folder that holds the file, made if `makes`, and the file's name in it.  mkdirat follows
 * links in the middle of a path, so the folder is made part by part, each beneath the one that was
 * opened before.
 */
static int open_parent(const struct job *job, bool makes, const char **ret_name)
{
	char *at = job->path, *slash;
	int folder = open_root(job);

	if (folder < 0 && makes && errno == ENOENT && make_root(job) == 0)
		folder = open_root(job);
	while (folder >= 0 && (slash = strchr(at, '/')) != NULL) {
		int below = -1, error;

		*slash = '\0';
		if (!makes || mkdirat(folder, at, FOLDER_MODE) == 0 || errno == EEXIST)
			below = open_beneath(folder, at, O_PATH | O_DIRECTORY);
		error = errno;
		*slash = '/';
		close(folder);
		errno = error;
		folder = below;
		at = slash + 1;
	}
	*ret_name = at;
	return folder;
}

static int write_all(int fd, struct str bytes)
{
	while (bytes.len > 0) {
		ssize_t n = write(fd, bytes.at, bytes.len);

		if (n < 0 && errno != EINTR)
			return -1;
		if (n > 0)
			bytes = str_slice(bytes, (size_t) n, bytes.len);
	}
	return fsync(fd);
}

/* A rename is only as durable as its folder; an O_PATH descriptor cannot be synced. */
static int sync_folder(int folder)
{
	_cleanup_(close_fd) int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -1 : fsync(fd);
}

static int put(void *arg)
{
	struct job *job = arg;
	const char *name;
	_cleanup_(close_fd) int folder = open_parent(job, true, &name);
	_cleanup_(close_fd) int fd = -1;
	char temporary[sizeof(TEMPORARY) + UUID_TEXT] = TEMPORARY;
	struct uuid u = uuid_v4();

	if (folder < 0)
		return fail_path(job, errno, "making the folder of");
	uuid_format(&u, temporary + sizeof(TEMPORARY) - 1);
	fd = openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    FILE_MODE);
	if (fd < 0)
		return fail_path(job, errno, "making");
	if (write_all(fd, job->bytes) < 0 || renameat(folder, temporary, folder, name) < 0) {
		int error = errno;

		(void) unlinkat(folder, temporary, 0); /* the first error is the one to tell */
		return fail_path(job, error, "writing");
	}
	if (sync_folder(folder) < 0)
		return fail_path(job, errno, "syncing the folder of");
	return 0;
}

int storage_put(const struct storage *s, struct str path, struct str bytes)
{
	_cleanup_(job_fini) struct job job;
	int r = job_init(&job, s, path);

	if (r < 0)
		return r;
	job.bytes = bytes;
	return offload(offload_files(), put, &job);
}

static int open_file(void *arg)
{
	struct job *job = arg;
	_cleanup_(close_fd) int root = open_root(job);
	struct stat st;

	if (root < 0)
		return fail_path(job, errno, "opening the folder of");
	/* Not blocking: a pipe that somebody put there would hold the thread. */
	job->file.fd = open_beneath(root, job->path, O_RDONLY | O_NONBLOCK);
	if (job->file.fd < 0 || fstat(job->file.fd, &st) < 0)
		return fail_path(job, errno, "opening");
	if (!S_ISREG(st.st_mode))
		return fail_path(job, ENOENT, "opening");
	job->file.size = (size_t) st.st_size;
	job->file.modified = (usec_t) st.st_mtim.tv_sec * SEC + st.st_mtim.tv_nsec / 1000;
	return 0;
}

int storage_open(const struct storage *s, struct str path, struct storage_file *ret)
{
	_cleanup_(job_fini) struct job job;
	int r = job_init(&job, s, path);

	if (r < 0)
		return r;
	r = offload(offload_files(), open_file, &job);
	if (r < 0)
		return r;
	*ret = job.file;
	job.file.fd = -1;
	return 0;
}

static int read_file(void *arg)
{
	struct job *job = arg;
	size_t have = 0;
	int r = open_file(job);

	if (r < 0)
		return r;
	if (job->file.size > job->most)
		return fail_path(job, EFBIG, "reading");
	job->read = malloc(job->file.size + 1);
	must(job->read != NULL);
	while (have < job->file.size) {
		ssize_t n = read(job->file.fd, job->read + have, job->file.size - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return fail_path(job, n == 0 ? EIO : errno, "reading");
		have += (size_t) n;
	}
	job->read[have] = '\0';
	return 0;
}

int storage_read(const struct storage *s, struct arena *a, struct str path, size_t most,
		 struct str *ret)
{
	_cleanup_(job_fini) struct job job;
	int r = job_init(&job, s, path);

	if (r < 0)
		return r;
	job.most = most;
	r = offload(offload_files(), read_file, &job);
	if (r < 0)
		return r;
	*ret = str_make(job.read, job.file.size);
	arena_defer(a, free, job.read);
	job.read = NULL;
	return 0;
}

static int delete (void *arg)
{
	struct job *job = arg;
	const char *name;
	_cleanup_(close_fd) int folder = open_parent(job, false, &name);

	if (folder < 0)
		return errno == ENOENT ? 0 : fail_path(job, errno, "opening the folder of");
	if (unlinkat(folder, name, 0) < 0 && errno != ENOENT)
		return fail_path(job, errno, "deleting");
	return 0;
}

int storage_delete(const struct storage *s, struct str path)
{
	_cleanup_(job_fini) struct job job;
	int r = job_init(&job, s, path);

	if (r < 0)
		return r;
	return offload(offload_files(), delete, &job);
}

int storage_exists(const struct storage *s, struct str path)
{
	struct storage_file file;
	int r = storage_open(s, path, &file);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	close(file.fd);
	return 1;
}
