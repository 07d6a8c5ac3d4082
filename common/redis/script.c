#include "redis/call-internal.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/codec.h"
#include "base/error.h"

/*
 * The hash is made on first use, by whichever thread comes first.  Its first byte is written last
 * and read first, so that a set one means that all of it is there.
 */
static const char *script_sha(struct redis_script *s)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len;

	if (__atomic_load_n(&s->_sha[0], __ATOMIC_ACQUIRE) != '\0')
		return s->_sha;
	must(EVP_Digest(s->text, strlen(s->text), digest, &len, EVP_sha1(), NULL) == 1);
	hex_encode(&text, str_make(digest, len));
	must(text.len == sizeof(s->_sha) - 1);
	pthread_mutex_lock(&lock);
	memcpy(s->_sha + 1, text.at + 1, text.len);
	__atomic_store_n(&s->_sha[0], text.at[0], __ATOMIC_RELEASE);
	pthread_mutex_unlock(&lock);
	return s->_sha;
}

/* What follows the script itself: the number of keys, then keys and arguments. */
static void format_tail(struct buf *out, size_t keys, const struct str *words, size_t count)
{
	char number[24];

	must(keys <= count);
	snprintf(number, sizeof(number), "%zu", keys);
	redis_command_format_word(out, str_c(number));
	for (size_t i = 0; i < count; i++)
		redis_command_format_word(out, words[i]);
}

static void format_head(struct buf *out, const char *verb, const char *script, size_t count)
{
	redis_command_format_head(out, count + 3);
	redis_command_format_word(out, str_c(verb));
	redis_command_format_word(out, str_c(script));
}

static bool is_unknown_script(const struct redis_reply *reply)
{
	return reply->type == REDIS_ERROR && str_starts(reply->text, STR("NOSCRIPT "));
}

int redis_eval(struct redis *r, struct arena *arena, struct redis_script *s, size_t keys,
	       const struct str *words, size_t count, struct redis_reply **ret_reply)
{
	struct redis_call c;
	struct buf *out;
	int e;

	for (int is_text = 0; is_text <= 1; is_text++) {
		e = redis_call_begin(r, arena, &c, &out);
		if (e < 0)
			return e;
		if (is_text)
			format_head(out, "EVAL", s->text, count);
		else
			format_head(out, "EVALSHA", script_sha(s), count);
		format_tail(out, keys, words, count);
		e = redis_call_end(r, &c);
		if (e < 0)
			return e;
		if (!is_unknown_script(c.reply))
			break;
	}
	if (c.reply->type == REDIS_ERROR)
		return fail_in(redis_call_result(&c, ret_reply), "script %s", s->name);
	return redis_call_result(&c, ret_reply);
}

/* A script under way, with what it takes to send its text. */
struct sent_script {
	struct redis *redis;
	struct redis_script *script;
	redis_on_reply *on_reply;
	void *arg;
	size_t count;
	size_t tail_len;
	char tail[];
};

static void on_sha_answer(void *arg, int error, const struct redis_reply *reply)
{
	struct sent_script *s = arg;
	struct buf *out;

	if (error == 0 && is_unknown_script(reply)) {
		reply = NULL;
		error = redis_command_begin(s->redis, &out);
		if (error == 0) {
			format_head(out, "EVAL", s->script->text, s->count);
			buf_add(out, s->tail, s->tail_len);
			(void) redis_command_end(s->redis, 1, s->on_reply, s->arg);
			free(s);
			return;
		}
	}
	if (s->on_reply != NULL)
		s->on_reply(s->arg, error, reply);
	free(s);
}

int redis_send_script(struct redis *r, struct redis_script *script, size_t keys,
		      const struct str *words, size_t count, redis_on_reply *on_reply, void *arg)
{
	struct sent_script *s;
	struct buf *out;
	size_t tail_at, tail_len;
	int e = redis_command_begin(r, &out);

	if (e < 0)
		return e;
	format_head(out, "EVALSHA", script_sha(script), count);
	tail_at = out->len;
	format_tail(out, keys, words, count);
	tail_len = out->len - tail_at;
	s = malloc(sizeof(*s) + tail_len);
	must(s != NULL);
	*s = (struct sent_script){ .redis = r,
				   .script = script,
				   .on_reply = on_reply,
				   .arg = arg,
				   .count = count,
				   .tail_len = tail_len };
	memcpy(s->tail, out->at + tail_at, tail_len);
	(void) redis_command_end(r, 1, on_sha_answer, s);
	return 0;
}
