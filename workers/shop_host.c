#include "workers/shop_host.h"

#include "base/buf.h"
#include "base/settings.h"
#include "loop/process.h"

/* One per process; it ends with the process, when the supervisor closes the channel. */
static struct shop_host host;
static char sandbox_program[4096];

static int find_own_program(void)
{
	_cleanup_(buf_fini) struct buf path = BUF_INIT;
	int r = process_self_folder(&path);

	if (r < 0)
		return r;
	buf_add_c(&path, "/apium-worker");
	must(path.len < sizeof(sandbox_program)); /* PATH_MAX */
	memcpy(sandbox_program, path.at, path.len + 1);
	return 0;
}

int shop_host_open(const struct worker_host *worker, void **ret_application)
{
	int r;

	host.storage.root = settings.media_root;
	r = mailer_new(worker->loop, settings.mail_url, settings.mail_from, &host.mailer);
	if (r == 0)
		r = find_own_program();
	if (r == 0)
		r = sandbox_pool_new(worker->loop, sandbox_program, (unsigned) settings.sandboxes,
				     &host.sandboxes);
	if (r < 0)
		return r;
	*ret_application = &host;
	return 0;
}
