/*
 * Which server is the master: what its Sentinels say, and what it says itself.
 *
 * Nothing is kept between two connections and no event is waited for.  When a master dies or is
 * demoted its connections end (Sentinel has a demoted one end them) or it answers READONLY; then
 * each new attempt asks again, until Sentinels and server agree.
 */
#include <stdio.h>

#include "base/error.h"
#include "base/log.h"
#include "redis/redis-internal.h"

static void aim_at_sentinel(struct redis *r)
{
	const struct redis_sentinel *s = &r->address.sentinels[r->sentinel_at];

	r->hop = HOP_SENTINEL;
	r->host = s->host;
	r->port = s->port;
	r->master_host[0] = '\0';
}

void redis_sentinel_first_hop(struct redis *r)
{
	if (r->address.sentinel_count == 0) {
		r->hop = HOP_SERVER;
		r->host = r->address.host;
		r->port = r->address.port;
		return;
	}
	r->sentinels_left = r->address.sentinel_count;
	aim_at_sentinel(r);
}

bool redis_sentinel_next(struct redis *r)
{
	if (r->hop != HOP_SENTINEL)
		return false;
	r->sentinel_at = (r->sentinel_at + 1) % r->address.sentinel_count;
	if (--r->sentinels_left == 0)
		return false;
	aim_at_sentinel(r);
	return true;
}

static void on_allowed(void *arg, int error, const struct redis_reply *reply)
{
	struct redis *r = arg;

	if (error == 0 && reply->type == REDIS_ERROR)
		redis_connection_refuse(r, reply->text);
}

static void on_master(void *arg, int error, const struct redis_reply *reply)
{
	struct redis *r = arg;
	uint64_t port;
	char why[320];

	if (error < 0)
		return; /* lost or closed, and known */
	if (reply->type == REDIS_ERROR) {
		redis_connection_refuse(r, reply->text);
		return;
	}
	if (reply->type != REDIS_ARRAY || reply->count != 2 || reply->elements[0].text.len == 0 ||
	    reply->elements[0].text.len >= sizeof(r->master_host) ||
	    str_to_u64(reply->elements[1].text, &port) < 0 || port == 0 || port > UINT16_MAX) {
		snprintf(why, sizeof(why), "the Sentinel %s:%d knows no master called %s", r->host,
			 r->port, r->address.master);
		redis_connection_refuse(r, str_c(why));
		return;
	}
	snprintf(r->master_host, sizeof(r->master_host), "%.*s", STR_ARG(reply->elements[0].text));
	r->master_port = (int) port;
}

void redis_sentinel_ask(struct redis *r)
{
	const struct redis_address *a = &r->address;

	if (a->sentinel_password != NULL && a->sentinel_user != NULL)
		redis_command_greet(r,
				    REDIS_WORDS(STR("AUTH"), str_c(a->sentinel_user),
						str_c(a->sentinel_password)),
				    on_allowed, r);
	else if (a->sentinel_password != NULL)
		redis_command_greet(r, REDIS_WORDS(STR("AUTH"), str_c(a->sentinel_password)),
				    on_allowed, r);
	redis_command_greet(
		r, REDIS_WORDS(STR("SENTINEL"), STR("GET-MASTER-ADDR-BY-NAME"), str_c(a->master)),
		on_master, r);
}

void redis_sentinel_second_hop(struct redis *r)
{
	r->hop = HOP_SERVER;
	r->host = r->master_host;
	r->port = r->master_port;
}

/* An ACL may forbid ROLE; then the first write finds out (-READONLY). */
static void on_role(void *arg, int error, const struct redis_reply *reply)
{
	struct redis *r = arg;
	struct str role;
	char why[320];

	if (error < 0 || reply->type != REDIS_ARRAY || reply->count == 0)
		return;
	role = reply->elements[0].text;
	if (str_eq_c(role, "master"))
		return;
	snprintf(why, sizeof(why), "%s:%d is not the master but a %.*s", r->host, r->port,
		 STR_ARG(role));
	redis_connection_refuse(r, str_c(why));
}

void redis_sentinel_check_role(struct redis *r)
{
	if (r->address.sentinel_count > 0)
		redis_command_greet(r, REDIS_WORDS(STR("ROLE")), on_role, r);
}
