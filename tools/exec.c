#include "exec.h"

#include <errno.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "loop/process.h"

int exec_program(const char *name, char **argv)
{
	_cleanup_(buf_fini) struct buf path = BUF_INIT;
	int r = process_self_folder(&path);

	if (r < 0)
		return r;
	buf_printf(&path, "/apium-%s", name);
	argv[0] = path.at;
	execv(path.at, argv);
	return fail(-errno, "%s cannot be started: %s", path.at, error_sentence(-errno));
}
