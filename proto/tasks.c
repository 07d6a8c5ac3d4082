#include "proto/tasks.h"

#include "base/settings.h"
#include "proto/auth_purge_tokens.h"
#include "proto/diag.h"
#include "proto/email_send.h"
#include "proto/images_generate_variants.h"

static const struct task *const all[] = {
#define TASK(name) &name##_task,
#define DIAG(name)
#include "proto/tasks.def"
#undef TASK
#undef DIAG
};

static const struct task *const diag[] = {
#define TASK(name)
#define DIAG(name) &name##_task,
#include "proto/tasks.def"
#undef TASK
#undef DIAG
};

int tasks_register(void)
{
	int r = task_register(all, ARRAY_SIZE(all));

	if (r == 0 && settings.diag)
		r = task_register(diag, ARRAY_SIZE(diag));
	return r;
}
