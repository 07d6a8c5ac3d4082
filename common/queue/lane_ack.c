/*
 * lane_ack.c - how finished jobs leave the in-flight list.
 *
 * A flush sends, in this order: LTRIM of the finished prefix, LSET of those finished behind an
 * unfinished one, LLEN; then the operations that wait.  Only the next flush knows the new places.
 * Flushes clock themselves: while one is under way, fewer than a batch of plain ends wait for its
 * answer, so that many short jobs share one LTRIM.
 *
 * What is forgotten when: a plain end at the answer to its flush; an end with effects at the answer
 * of its script.  Until then the flight stays, because after a lost connection the list says which
 * of them arrived.
 */
#include "queue/lane-internal.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/log.h"

/* More '' than this behind a long job are worth an LREM over the list. */
#define BLANKS_MOST  1000
/* Results that share one script call. */
#define RESULTS_MOST 32

struct lane_op {
	struct list link;
	struct lane *lane;
	uint32_t number, generation; /* of its flight */
	bool is_read;
	enum lane_script script;
	lane_on_done *on_done;
	void *arg;
	size_t key_count, word_count;
	struct str *words; /* keys first; they and their bytes follow the struct */
};

/* Operations that went out in one command. */
struct lane_call {
	struct lane *lane;
	size_t count;
	struct lane_op *ops[RESULTS_MOST];
};

void ack_init(struct lane *l)
{
	list_init(&l->late);
	list_init(&l->ops);
	list_init(&l->ops_sent);
	buf_init(&l->scratch);
}

static void line_push(struct lane_line *q, uint32_t number)
{
	if (q->count == q->cap) {
		size_t cap = q->cap == 0 ? 64 : q->cap * 2;
		uint32_t *at = malloc(cap * sizeof(*at));

		must(at != NULL);
		for (size_t i = 0; i < q->count; i++)
			at[i] = q->at[(q->first + i) & (q->cap - 1)];
		free(q->at);
		q->at = at;
		q->cap = cap;
		q->first = 0;
	}
	q->at[(q->first + q->count++) & (q->cap - 1)] = number;
}

static uint32_t line_pop(struct lane_line *q)
{
	uint32_t number;

	must(q->count > 0);
	number = q->at[q->first];
	q->first = (q->first + 1) & (q->cap - 1);
	q->count--;
	return number;
}

static struct flight *op_flight(struct lane_op *op)
{
	return flight_find(op->lane->o.flights, op->number, op->generation);
}

static void op_end(struct lane_op *op, struct flight *flight, int error,
		   const struct redis_reply *reply)
{
	list_remove(&op->link);
	if (op->on_done != NULL)
		op->on_done(op->arg, flight, error, reply);
	free(op);
}

void ack_drop_ops(struct lane *l, struct flight *flight)
{
	struct list *both[] = { &l->ops, &l->ops_sent };

	for (size_t i = 0; i < ARRAY_SIZE(both); i++)
		list_for_each (node, both[i]) {
			struct lane_op *op = list_entry(node, struct lane_op, link);

			if (op->number != flight->number || op->generation != flight->generation)
				continue;
			/* One that is under way is freed by its answer; its owner hears now. */
			if (both[i] == &l->ops_sent) {
				if (op->on_done != NULL)
					op->on_done(op->arg, flight, -E_LOST, NULL);
				op->on_done = NULL;
			} else {
				op_end(op, flight, -E_LOST, NULL);
			}
		}
}

/* The answers to what was sent have all come; whatever is still noted as sent must go again. */
void ack_lost(struct lane *l)
{
	l->late_sent.count = 0;
	l->late_sent.first = 0;
	while (list_pop(&l->late) != NULL)
		;
	l->late_count = 0;
	l->wants_room = false;
}

void ack_fini(struct lane *l)
{
	must(list_is_empty(&l->ops_sent));
	while (!list_is_empty(&l->ops)) {
		struct lane_op *op = list_entry(list_first(&l->ops), struct lane_op, link);

		op_end(op, op_flight(op), -E_LOST, NULL);
	}
	free(l->late_sent.at);
	buf_fini(&l->scratch);
}

/* In. */

void lane_done(struct lane *l, struct flight *flight)
{
	must(flight->state != FLIGHT_DONE && flight->lane == l->o.number && !flight->is_lost);
	flight->state = FLIGHT_DONE;
	flight->is_acked = false;
	if (flight->place != l->head && list_is_empty(&flight->link)) {
		list_append(&l->late, &flight->link);
		l->late_count++;
	}
}

static struct lane_op *op_new(struct lane *l, struct flight *flight, const struct str *keys,
			      size_t key_count, const struct str *args, size_t arg_count,
			      lane_on_done *on_done, void *arg)
{
	size_t count = key_count + arg_count, bytes = 0;
	struct lane_op *op;
	char *at;

	for (size_t i = 0; i < count; i++)
		bytes += i < key_count ? keys[i].len : args[i - key_count].len;
	op = malloc(sizeof(*op) + count * sizeof(*op->words) + bytes);
	must(op != NULL);
	*op = (struct lane_op){ .lane = l,
				.number = flight->number,
				.generation = flight->generation,
				.on_done = on_done,
				.arg = arg,
				.key_count = key_count,
				.word_count = count,
				.words = (struct str *) (op + 1) };
	at = (char *) (op->words + count);
	for (size_t i = 0; i < count; i++) {
		struct str word = i < key_count ? keys[i] : args[i - key_count];

		if (word.len > 0)
			memcpy(at, word.at, word.len);
		op->words[i] = str_make(at, word.len);
		at += word.len;
	}
	list_init(&op->link);
	list_append(&l->ops, &op->link);
	flight->state = FLIGHT_ENDING;
	return op;
}

void lane_run(struct lane *l, struct flight *flight, enum lane_script script,
	      const struct str *keys, size_t key_count, const struct str *args, size_t arg_count,
	      lane_on_done *on_done, void *arg)
{
	struct lane_op *op = op_new(l, flight, keys, key_count, args, arg_count, on_done, arg);

	op->script = script;
}

void lane_read(struct lane *l, struct flight *flight, lane_on_done *on_done, void *arg)
{
	struct lane_op *op = op_new(l, flight, NULL, 0, NULL, 0, on_done, arg);

	op->is_read = true;
}

/* Plain ends. */

/* Everything before `head` is out of the list for certain. */
static void confirm_prefix(struct lane *l, uint64_t head)
{
	for (; l->confirmed < head; l->confirmed++) {
		uint32_t number = *lane_at(l, l->confirmed);

		if (number != LANE_BLANK)
			flight_free(l->o.flights, &l->o.flights->at[number]);
	}
}

/* `count` flights acknowledged out of order are '' in the list now, unless a later prefix has them
 * already. */
static void confirm_late(struct lane *l, unsigned count)
{
	while (count-- > 0) {
		struct flight *flight = &l->o.flights->at[line_pop(&l->late_sent)];

		must(flight->state == FLIGHT_DONE && flight->is_acked);
		*lane_at(l, flight->place) = LANE_BLANK;
		flight_free(l->o.flights, flight);
	}
}

/* They are still there as they were: acknowledged once more, unless a prefix took them along. */
static void return_late(struct lane *l, unsigned count)
{
	while (count-- > 0) {
		struct flight *flight = &l->o.flights->at[line_pop(&l->late_sent)];

		if (flight->place < l->head)
			continue;
		flight->is_acked = false;
		l->blanks--;
		list_append(&l->late, &flight->link);
		l->late_count++;
	}
}

static void on_acked(void *arg, int error, const struct redis_reply *reply)
{
	struct lane *l = arg;
	struct lane_ack *a = &l->acks[l->ack_first], done;

	OBJ_CHECK(l, LANE_MAGIC);
	must(l->ack_count > 0 && a->left > 0);
	a->left--;
	if (lane_was_full(l, error)) {
		a->is_refused = true;
		error = 0;
	}
	done = *a;
	if (a->left == 0) {
		l->ack_first = (l->ack_first + 1) % ARRAY_SIZE(l->acks);
		l->ack_count--;
	}
	if (l->sm.state != LANE_OPEN)
		return; /* the resync finds out */
	if (error < 0 || (reply != NULL && reply->type == REDIS_ERROR)) {
		lane_refused(l, error, reply);
		return;
	}
	if (done.left > 0)
		return;
	if (reply->type != REDIS_INTEGER || reply->integer < (int64_t) done.need) {
		lane_break(l, "the in-flight list is shorter than what is held");
		return;
	}
	if (done.is_refused)
		return_late(l, done.late);
	else
		confirm_late(l, done.late);
	confirm_prefix(l, done.head);
	lane_flush(l);
}

/* RESP by hand: these are as frequent as jobs, and printf would cost more than all the rest. */
static void add_head(struct buf *out, char kind, size_t number)
{
	buf_add_byte(out, kind);
	buf_add_u64(out, number);
	buf_add(out, "\r\n", 2);
}

static void add_word(struct buf *out, struct str word)
{
	add_head(out, '$', word.len);
	buf_add_str(out, word);
	buf_add(out, "\r\n", 2);
}

static void add_number(struct buf *out, uint64_t number)
{
	size_t digits = 1;

	for (uint64_t n = number; n >= 10; n /= 10)
		digits++;
	add_head(out, '$', digits);
	buf_add_u64(out, number);
	buf_add(out, "\r\n", 2);
}

static uint64_t finished_prefix(struct lane *l)
{
	uint64_t head = l->head;

	for (; head < l->tail; head++) {
		uint32_t number = *lane_at(l, head);

		if (number != LANE_BLANK && l->o.flights->at[number].state != FLIGHT_DONE)
			break;
	}
	return head;
}

/* LSET for what the prefix does not reach.  The number of commands. */
static unsigned add_late(struct lane *l, struct buf *out, uint64_t head)
{
	unsigned count = 0;

	/* LSET is refused while the memory is full: they wait for the prefix, and LTRIM. */
	while (!lane_is_full(l) && !list_is_empty(&l->late)) {
		struct flight *flight = list_entry(list_pop(&l->late), struct flight, link);

		if (flight->place < head)
			continue;
		flight->is_acked = true;
		line_push(&l->late_sent, flight->number);
		l->blanks++;
		add_head(out, '*', 4);
		add_word(out, STR("LSET"));
		add_word(out, buf_str(&l->fly));
		add_number(out, flight->place - head);
		add_word(out, STR(""));
		count++;
	}
	if (list_is_empty(&l->late))
		l->late_count = 0;
	return count;
}

/* Blanks that the prefix takes along, '' already or about to be by an LSET before. */
static void forget_blanks(struct lane *l, uint64_t head)
{
	for (uint64_t p = l->head; p < head; p++) {
		uint32_t number = *lane_at(l, p);

		if (number == LANE_BLANK || l->o.flights->at[number].is_acked)
			l->blanks--;
	}
}

static void flush_plain(struct lane *l)
{
	uint64_t head = finished_prefix(l);
	struct lane_ack *a;
	unsigned commands = 0, late;
	int r;

	if (head == l->head && (l->late_count == 0 || lane_is_full(l)))
		return;
	if (l->ack_count == ARRAY_SIZE(l->acks) ||
	    (l->ack_count > 0 && head - l->head + l->late_count < LANE_BATCH))
		return;
	buf_clear(&l->scratch);
	if (head > l->head) {
		add_head(&l->scratch, '*', 4);
		add_word(&l->scratch, STR("LTRIM"));
		add_word(&l->scratch, buf_str(&l->fly));
		add_number(&l->scratch, head - l->head);
		add_word(&l->scratch, STR("-1"));
		commands++;
	}
	forget_blanks(l, head);
	late = add_late(l, &l->scratch, head);
	l->head = head;
	add_head(&l->scratch, '*', 2);
	add_word(&l->scratch, STR("LLEN"));
	add_word(&l->scratch, buf_str(&l->fly));
	commands += late + 1;
	a = &l->acks[(l->ack_first + l->ack_count) % ARRAY_SIZE(l->acks)];
	*a = (struct lane_ack){
		.left = commands, .head = head, .late = late, .need = (size_t) (l->tail - head)
	};
	r = redis_send_raw(l->o.acks, buf_str(&l->scratch), commands, on_acked, l);
	if (r < 0)
		lane_break(l, fail_reason(r)); /* DONE flights stay, the resync acknowledges them */
	else
		l->ack_count++;
}

/* Operations. */

static void call_answered(void *arg, int error, const struct redis_reply *reply)
{
	struct lane_call *c = arg;
	struct lane *l = c->lane;
	/* Nothing to read: the list is shorter than it must be. */
	bool is_refused = error < 0 || reply->type == REDIS_ERROR || reply->type == REDIS_NIL;

	OBJ_CHECK(l, LANE_MAGIC);
	for (size_t i = c->count; i-- > 0;) {
		struct lane_op *op = c->ops[i];
		struct flight *flight = op_flight(op);

		if (op->on_done == NULL && flight == NULL) {
			list_remove(&op->link); /* dropped while under way */
			free(op);
			c->ops[i] = NULL;
		} else if (is_refused) {
			/* To the front, the last one first: the order stays. */
			list_remove(&op->link);
			list_prepend(&l->ops, &op->link);
			c->ops[i] = NULL;
		}
	}
	for (size_t i = 0; i < c->count; i++) {
		struct lane_op *op = c->ops[i];
		struct flight *flight;

		if (op == NULL)
			continue;
		flight = op_flight(op);
		must(flight != NULL);
		/* An array says that the job has not ended with it. */
		if (op->is_read || reply->type == REDIS_ARRAY) {
			op_end(op, flight, 0, reply);
			continue;
		}
		*lane_at(l, flight->place) = LANE_BLANK;
		l->blanks++;
		op_end(op, flight, 0, reply);
		flight_free(l->o.flights, flight);
	}
	free(c);
	if (is_refused && l->sm.state == LANE_OPEN)
		lane_refused(l, error, reply);
	else
		lane_flush(
			l); /* operations that the answers led to, and room that was waited for */
}

static void begin_script(struct lane *l, struct buf *out, enum lane_script script, size_t words,
			 size_t keys)
{
	/* EVALSHA, hash, number of keys, the list, need: five words; the rest is the caller's. */
	add_head(out, '*', words + 5);
	add_word(out, STR("EVALSHA"));
	add_word(out, scripts_hash(script));
	add_number(out, keys + 1);
	add_word(out, buf_str(&l->fly));
}

static void add_single(struct lane *l, struct buf *out, const struct lane_op *op, uint64_t place)
{
	begin_script(l, out, op->script, op->word_count + 1, op->key_count);
	for (size_t i = 0; i < op->key_count; i++)
		add_word(out, op->words[i]);
	add_number(out, l->tail - l->head);
	add_number(out, place);
	for (size_t i = op->key_count; i < op->word_count; i++)
		add_word(out, op->words[i]);
}

/* words of each: key, ttl, document; the ttl of the first serves all. */
static void add_results(struct lane *l, struct buf *out, const struct lane_call *c)
{
	begin_script(l, out, SCRIPT_RESULTS, c->count * 3 + 1, c->count);
	for (size_t i = 0; i < c->count; i++)
		add_word(out, c->ops[i]->words[0]);
	add_number(out, l->tail - l->head);
	add_word(out, c->ops[0]->words[1]);
	for (size_t i = 0; i < c->count; i++) {
		add_number(out, op_flight(c->ops[i])->place - l->head);
		add_word(out, c->ops[i]->words[2]);
	}
}

static bool is_result(const struct lane_op *op)
{
	return !op->is_read && op->script == SCRIPT_RESULTS;
}

/* The next command's worth of operations. */
static struct lane_call *take_call(struct lane *l)
{
	struct lane_call *c = malloc(sizeof(*c));
	struct list *node;

	must(c != NULL);
	c->lane = l;
	c->count = 0;
	while (c->count < RESULTS_MOST && (node = list_first(&l->ops)) != NULL) {
		struct lane_op *op = list_entry(node, struct lane_op, link);

		must(op_flight(op) != NULL);
		if (c->count > 0 && !(is_result(op) && is_result(c->ops[0])))
			break;
		list_remove(&op->link);
		list_append(&l->ops_sent, &op->link);
		c->ops[c->count++] = op;
		if (!is_result(op))
			break;
	}
	return c;
}

static void flush_ops(struct lane *l)
{
	while (!list_is_empty(&l->ops) && l->sm.state == LANE_OPEN) {
		struct lane_call *c = take_call(l);
		struct lane_op *op = c->ops[0];
		uint64_t place = op_flight(op)->place - l->head;
		int r;

		buf_clear(&l->scratch);
		if (op->is_read) {
			add_head(&l->scratch, '*', 3);
			add_word(&l->scratch, STR("LINDEX"));
			add_word(&l->scratch, buf_str(&l->fly));
			add_number(&l->scratch, place);
		} else if (is_result(op)) {
			add_results(l, &l->scratch, c);
		} else {
			add_single(l, &l->scratch, op, place);
		}
		r = redis_send_raw(l->o.acks, buf_str(&l->scratch), 1, call_answered, c);
		if (r == 0)
			continue;
		for (size_t i = c->count; i-- > 0;) {
			list_remove(&c->ops[i]->link);
			list_prepend(&l->ops, &c->ops[i]->link);
		}
		free(c);
		lane_break(l, fail_reason(r));
	}
}

/* Room. */

static void on_closed_up(void *arg, int error, const struct redis_reply *reply)
{
	struct lane *l = arg;

	if (l->sm.state != LANE_OPEN)
		return;
	if (error < 0 || reply->type != REDIS_INTEGER)
		lane_refused(l, error, reply);
}

/* LREM, and the ring does the same.  Only while nothing is under way, so that both agree what is
 * ''. */
static void close_up(struct lane *l)
{
	const struct str words[] = { STR("LREM"), buf_str(&l->fly), STR("0"), STR("") };
	uint64_t to = l->head;

	must(l->confirmed == l->head && l->late_sent.count == 0);
	if (redis_send(l->o.acks, words, ARRAY_SIZE(words), on_closed_up, l) < 0)
		return; /* a lost connection: the resync makes a ring of what is there */
	for (uint64_t from = l->head; from < l->tail; from++) {
		uint32_t number = *lane_at(l, from);

		if (number == LANE_BLANK)
			continue;
		*lane_at(l, to) = number;
		l->o.flights->at[number].place = to++;
	}
	l->tail = to;
	l->blanks = 0;
	l->wants_room = false;
}

void lane_flush(struct lane *l)
{
	OBJ_CHECK(l, LANE_MAGIC);
	if (l->sm.state != LANE_OPEN)
		return;
	if (l->blanks > BLANKS_MOST && l->blanks > (l->tail - l->head) / 2)
		l->wants_room = true;
	if (l->wants_room) {
		if (l->ack_count > 0 || !list_is_empty(&l->ops_sent))
			return; /* their answers come back here */
		close_up(l);
	}
	flush_plain(l);
	if (l->sm.state == LANE_OPEN)
		flush_ops(l);
}
