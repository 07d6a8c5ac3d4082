/*
 * schedule.c - apium schedule: periodic jobs, as rows of beat_schedule (beat/periodic.h).
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/datetime.h"
#include "base/error.h"
#include "base/settings.h"
#include "beat/tick.h"
#include "command.h"
#include "proto/tasks.h"
#include "session.h"

#define ABSENT       (-1) /* of a count that was not given */
#define HISTORY_LINE 20

struct schedule_call {
	const struct schedule_verb *verb;
	const char *name;
	/* NULL, or ABSENT: as it is */
	const char *task, *kwargs, *queue, *crontab, *zone, *missed, *overlap;
	int64_t every, deadline, count;
	bool is_paused;
};

struct schedule_verb {
	const char *name;
	int (*run)(struct session *, const struct schedule_call *) may_yield;
	bool needs_name;
};

/* What is shown. */

static struct str shown_time(usec_t at, char text[DATETIME_TEXT])
{
	return at == 0 ? STR("-") : datetime_drf(at, text);
}

static struct str shown_when(struct arena *arena, const struct periodic *p)
{
	return p->every > 0 ? arena_printf(arena, "every %" PRId64 " s", p->every) : p->crontab;
}

static int list(struct session *s, const struct schedule_call *c)
{
	struct periodic *all;
	size_t count;
	int r = periodic_list((struct db_at){ .db = s->db }, &s->arena, &all, &count);

	(void) c;
	if (r < 0)
		return r;
	printf("%-28s %-20s %-18s %-7s %-28s %s\n", "name", "when", "zone", "state", "next",
	       "task");
	for (size_t i = 0; i < count; i++) {
		const struct periodic *p = &all[i];
		char text[DATETIME_TEXT];

		printf("%-28.*s %-20.*s %-18.*s %-7s %-28.*s %.*s\n", STR_ARG(p->name),
		       STR_ARG(shown_when(&s->arena, p)), STR_ARG(p->zone),
		       p->is_paused ? "paused" : "on", STR_ARG(shown_time(p->next_at, text)),
		       STR_ARG(p->task));
	}
	return 0;
}

static void show_line(const char *name, struct str value)
{
	printf("%-18s %.*s\n", name, STR_ARG(str_is_null(value) ? STR("-") : value));
}

static int show(struct session *s, const struct schedule_call *c)
{
	char text[DATETIME_TEXT];
	struct periodic p;
	int r = periodic_find((struct db_at){ .db = s->db }, &s->arena, str_c(c->name), &p);

	if (r < 0)
		return r;
	show_line("name", p.name);
	show_line("task", p.task);
	show_line("kwargs", p.kwargs);
	show_line("queue", p.queue);
	show_line("when", shown_when(&s->arena, &p));
	show_line("zone", p.zone);
	show_line("missed", p.missed);
	show_line("deadline", arena_printf(&s->arena, "%" PRId64 " s", p.starting_deadline));
	show_line("overlap", p.overlap);
	show_line("state", p.is_paused ? STR("paused") : STR("on"));
	show_line("declared in code", p.is_declared ? STR("yes") : STR("no"));
	show_line("next", shown_time(p.next_at, text));
	show_line("last job", p.last_job);
	return 0;
}

static int history(struct session *s, const struct schedule_call *c)
{
	struct tick *ticks;
	struct periodic p;
	size_t count;
	int r = periodic_find((struct db_at){ .db = s->db }, &s->arena, str_c(c->name), &p);

	if (r == 0)
		r = tick_history(s->db, &s->arena, p.id, c->count, &ticks, &count);
	if (r < 0)
		return r;
	printf("%-30s %-30s %-8s %5s %s\n", "planned", "decided", "outcome", "times",
	       "job or reason");
	for (size_t i = 0; i < count; i++) {
		const struct tick *t = &ticks[i];
		bool has_job = str_eq_c(t->outcome, "run") || str_eq_c(t->outcome, "asked");

		printf("%-30.*s %-30.*s %-8.*s %5" PRId64 " %.*s\n", STR_ARG(t->planned_at),
		       STR_ARG(t->decided_at), STR_ARG(t->outcome), t->times,
		       STR_ARG(has_job ? t->job : t->note));
	}
	return 0;
}

/* What is changed. */

static void fill(struct periodic *p, const struct schedule_call *c)
{
	const struct {
		const char *given;
		struct str *to;
	} texts[] = {
		{ c->task, &p->task },       { c->kwargs, &p->kwargs }, { c->queue, &p->queue },
		{ c->crontab, &p->crontab }, { c->zone, &p->zone },     { c->missed, &p->missed },
		{ c->overlap, &p->overlap },
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (texts[i].given != NULL)
			*texts[i].to = str_c(texts[i].given);
	if (p->queue.len == 0)
		p->queue = STR_NULL;
	if (c->deadline != ABSENT)
		p->starting_deadline = c->deadline;
	/* Each takes the other's place; both together periodic_check refuses. */
	if (c->every != ABSENT)
		p->every = c->every;
	else if (c->crontab != NULL)
		p->every = 0;
	if (c->every != ABSENT && c->crontab == NULL)
		p->crontab = STR_NULL;
	p->is_paused |= c->is_paused;
}

static int add(struct session *s, const struct schedule_call *c)
{
	struct periodic p = {
		.name = str_c(c->name),
		.kwargs = STR("{}"),
		.zone = STR("UTC"),
		.missed = str_c(missed_names[MISSED_ONE]),
		.overlap = STR("allow"),
		.starting_deadline = PERIODIC_DEADLINE,
	};
	int r;

	if (c->task == NULL)
		return fail(-EINVAL, "schedule add needs --task");
	fill(&p, c);
	r = periodic_check(&s->arena, &p);
	if (r == 0)
		r = periodic_add((struct db_at){ .db = s->db }, &s->arena, &p);
	return r == -E_UNIQUE ? fail(r, "there is a schedule %s already", c->name) : r;
}

/* Locked, and nobody's declaration unless that does not matter. */
static int take(struct session *s, struct db_tx *tx, const struct schedule_call *c, bool is_any,
		struct periodic *ret)
{
	int r = db_begin(s->db, tx);

	if (r == 0)
		r = periodic_find((struct db_at){ .tx = tx }, &s->arena, str_c(c->name), ret);
	if (r == 0 && ret->is_declared && !is_any)
		return fail(
			-E_CONFLICT,
			"%s is declared in the code of apium-beat: it can be paused, resumed and "
			"run, and changed there",
			c->name);
	return r;
}

static int change(struct session *s, const struct schedule_call *c)
{
	_cleanup_(db_tx_end) struct db_tx tx = DB_TX_INIT;
	struct periodic p;
	int r = take(s, &tx, c, false, &p);

	if (r < 0)
		return r;
	fill(&p, c);
	r = periodic_check(&s->arena, &p);
	if (r == 0)
		r = periodic_change((struct db_at){ .tx = &tx }, &s->arena, &p);
	return r < 0 ? r : db_commit(&tx);
}

static int set_paused(struct session *s, const struct schedule_call *c, bool is_paused)
{
	_cleanup_(db_tx_end) struct db_tx tx = DB_TX_INIT;
	struct periodic p;
	int r = take(s, &tx, c, true, &p);

	if (r == 0)
		r = periodic_pause((struct db_at){ .tx = &tx }, &s->arena, p.id, is_paused);
	return r < 0 ? r : db_commit(&tx);
}

static int pause_it(struct session *s, const struct schedule_call *c)
{
	return set_paused(s, c, true);
}

static int resume(struct session *s, const struct schedule_call *c)
{
	return set_paused(s, c, false);
}

static int run(struct session *s, const struct schedule_call *c)
{
	_cleanup_(db_tx_end) struct db_tx tx = DB_TX_INIT;
	struct enqueued *job;
	struct periodic p;
	int r = take(s, &tx, c, true, &p);

	if (r == 0)
		r = tick_ask(s->producer, &tx, &s->arena, &p, &job);
	if (r == 0)
		r = db_commit(&tx);
	if (r < 0)
		return r;
	enqueue_push(s->producer, job);
	printf("%s\n", job->id);
	return 0;
}

static int remove_it(struct session *s, const struct schedule_call *c)
{
	_cleanup_(db_tx_end) struct db_tx tx = DB_TX_INIT;
	struct periodic p;
	int r = take(s, &tx, c, false, &p);

	if (r == 0)
		r = periodic_remove((struct db_at){ .tx = &tx }, &s->arena, p.id);
	return r < 0 ? r : db_commit(&tx);
}

/* clang-format off */
static const struct schedule_verb verbs[] = {
	{ "list",    list,      false },
	{ "show",    show,      true },
	{ "add",     add,       true },
	{ "change",  change,    true },
	{ "pause",   pause_it,  true },
	{ "resume",  resume,    true },
	{ "run",     run,       true },
	{ "remove",  remove_it, true },
	{ "history", history,   true },
};
/* clang-format on */

static int do_schedule(struct session *s, void *arg)
{
	const struct schedule_call *c = arg;

	return c->verb->run(s, c);
}

static int find_verb(int words, char **argv, struct schedule_call *c)
{
	const char *word = words > 0 ? argv[0] : "";

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (strcmp(word, verbs[i].name) == 0)
			c->verb = &verbs[i];
	if (c->verb == NULL)
		return fail(-EINVAL,
			    "schedule takes list, show, add, change, pause, resume, run, remove or "
			    "history%s%s",
			    words > 0 ? ", not " : "", word);
	if (words != 1 + c->verb->needs_name)
		return fail(-EINVAL, "schedule %s takes %s", word,
			    c->verb->needs_name ? "the name of one schedule" : "no name");
	c->name = c->verb->needs_name ? argv[1] : NULL;
	return 0;
}

int command_schedule(int argc, char **argv)
{
	struct schedule_call c = { .every = ABSENT, .deadline = ABSENT, .count = HISTORY_LINE };
	const struct option options[] = {
		{ "--task", OPTION_TEXT, &c.task, "TASK", "What is asked for." },
		{ "--kwargs", OPTION_TEXT, &c.kwargs, "JSON", "Its named arguments, an object." },
		{ "--queue", OPTION_TEXT, &c.queue, "NAME",
		  "Instead of the task's own queue; empty: that." },
		{ "--crontab", OPTION_TEXT, &c.crontab, "FIELDS",
		  "Minute, hour, day of the month, month, day of the week." },
		{ "--every", OPTION_COUNT, &c.every, "SECONDS", "Instead of a crontab." },
		{ "--zone", OPTION_TEXT, &c.zone, "ZONE",
		  "Whose wall clocks a crontab means, such as Europe/Berlin; UTC at first." },
		{ "--missed", OPTION_TEXT, &c.missed, "WORD",
		  "Of what nobody ran in time: one (the last; at first), skip (none), all." },
		{ "--deadline", OPTION_COUNT, &c.deadline, "SECONDS",
		  "What is later than this is not run at all; 0: however late." },
		{ "--overlap", OPTION_TEXT, &c.overlap, "WORD",
		  "allow, or skip: no run while the last one has not ended." },
		{ "--paused", OPTION_FLAG, &c.is_paused, NULL, "Not before it is resumed." },
		{ "--count", OPTION_COUNT, &c.count, "NUMBER", "Lines of history." },
	};
	int words, r;

	r = options_parse(options, ARRAY_SIZE(options), argc, argv, &words);
	if (r == 0)
		r = find_verb(words, argv, &c);
	if (r == 0)
		r = tasks_register();
	return r < 0 ? r : session_run(do_schedule, &c, 30 * SEC);
}
