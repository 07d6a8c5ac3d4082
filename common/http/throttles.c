#include "http/throttles.h"

#include "base/error.h"
#include "base/settings.h"
#include "coord/throttle.h"
#include "http/route.h"

/* To add a scope that routes may name: a row here and its setting. */
enum { SCOPE_ANON, SCOPE_USER, SCOPE_LOGIN, SCOPES };

static struct throttle_scope scopes[SCOPES] = {
	[SCOPE_ANON] = { .name = "anon" },
	[SCOPE_USER] = { .name = "user" },
	[SCOPE_LOGIN] = { .name = "login", .is_kept_locally = true },
};
static bool is_on;

int throttles_setup(void)
{
	const struct {
		const char *setting, *rate;
	} rates[SCOPES] = {
		[SCOPE_ANON] = { "APIUM_THROTTLE_ANON", settings.throttle_anon },
		[SCOPE_USER] = { "APIUM_THROTTLE_USER", settings.throttle_user },
		[SCOPE_LOGIN] = { "APIUM_THROTTLE_LOGIN", settings.throttle_login },
	};

	for (size_t i = 0; i < SCOPES; i++) {
		int r = rate_parse(str_c(rates[i].rate), &scopes[i].rate);

		if (r < 0)
			return fail_in(r, "%s", rates[i].setting);
	}
	is_on = settings.throttle;
	return 0;
}

static const struct throttle_scope *find(const char *name)
{
	for (size_t i = SCOPE_LOGIN; i < SCOPES; i++)
		if (strcmp(scopes[i].name, name) == 0)
			return &scopes[i];
	return NULL;
}

bool throttles_has_scope(const char *name)
{
	return find(name) != NULL;
}

static int reply_throttled(struct request *rq, unsigned wait)
{
	if (wait == 0)
		return reply_error(rq, -E_THROTTLED);
	reply_header(rq, STR("Retry-After"), arena_printf(&rq->arena, "%u", wait));
	(void) fail(-E_THROTTLED, "%s Expected available in %u second%s.",
		    error_sentence(-E_THROTTLED), wait, wait == 1 ? "" : "s");
	return reply_error(rq, -E_THROTTLED);
}

int throttles_check(struct request *rq)
{
	const struct route *rule = rq->route != NULL ? rq->route : rq->view->first;
	const struct throttle_scope *asked[SCOPES];
	size_t count = 0;
	unsigned wait;
	int r;

	if (!is_on || (rule->flags & ROUTE_NO_NEGOTIATION))
		return 0;
	if (rq->caller == NULL)
		asked[count++] = &scopes[SCOPE_ANON];
	asked[count++] = &scopes[SCOPE_USER];
	if (rule->throttle_scope != NULL)
		asked[count++] = find(rule->throttle_scope);
	r = throttle_ask(rq->thread->redis, &rq->arena, request_owner(rq), asked, count, &wait);
	if (r < 0)
		must(reply_throttled(rq, wait) == 0);
	return r;
}
