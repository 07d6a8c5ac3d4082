#include "mail/mailer.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/datetime.h"
#include "base/error.h"
#include "loop/offload.h"

#define TRANSFERS_MOST   32
#define CONNECT_SECONDS  10L
#define TRANSFER_SECONDS 60L
#define MAILER_MAGIC     UINT32_C(0x4d41494c)

struct mailer {
	uint32_t magic;
	struct loop *loop;
	const char *url, *from;
	const char *folder; /* NULL: by SMTP */
	CURLM *multi;
	uv_timer_t timer;
	unsigned open_handles; /* libuv handles that are not closed yet: the timer and one per
				  socket */
	struct semaphore places;
	void (*on_closed)(void *arg);
	void *on_closed_arg;
};

/* One socket that libcurl wants watched. */
struct watch {
	uv_poll_t poll;
	struct mailer *mailer;
	curl_socket_t fd;
};

/* One mail on its way.  On the heap: libcurl holds it until the transfer was taken out of the
 * multi. */
struct transfer {
	CURL *easy;
	struct curl_slist *to;
	struct str rest; /* not handed to libcurl yet */
	struct waiter *waiter;
	CURLcode code;
	long answer; /* last SMTP status */
	char words[CURL_ERROR_SIZE];
};

static void finish_transfers(struct mailer *m)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(m->multi, &left)) != NULL) {
		struct transfer *t;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **) &t);
		t->code = message->data.result;
		curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &t->answer);
		fiber_wake(t->waiter, 0);
	}
}

static void on_timer(uv_timer_t *timer)
{
	struct mailer *m = timer->data;
	int running;

	OBJ_CHECK(m, MAILER_MAGIC);
	curl_multi_socket_action(m->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	finish_transfers(m);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct watch *w = poll->data;
	struct mailer *m = w->mailer;
	int flags = status < 0 ? CURL_CSELECT_ERR : 0;
	int running;

	OBJ_CHECK(m, MAILER_MAGIC);
	if (events & UV_READABLE)
		flags |= CURL_CSELECT_IN;
	if (events & UV_WRITABLE)
		flags |= CURL_CSELECT_OUT;
	curl_multi_socket_action(m->multi, w->fd, flags, &running);
	finish_transfers(m);
}

static void handle_closed(struct mailer *m)
{
	if (--m->open_handles > 0)
		return;
	void (*on_closed)(void *) = m->on_closed;
	void *arg = m->on_closed_arg;

	m->magic = 0;
	free(m);
	if (on_closed != NULL)
		on_closed(arg);
}

static void on_watch_closed(uv_handle_t *handle)
{
	struct watch *w = handle->data;
	struct mailer *m = w->mailer;

	free(w);
	handle_closed(m);
}

static void on_timer_closed(uv_handle_t *handle)
{
	handle_closed(handle->data);
}

static int on_want_timer(CURLM *multi, long milliseconds, void *arg)
{
	struct mailer *m = arg;

	if (milliseconds < 0)
		uv_timer_stop(&m->timer);
	else
		uv_timer_start(&m->timer, on_timer, (uint64_t) milliseconds, 0);
	return 0;
}

static struct watch *watch_new(struct mailer *m, curl_socket_t fd)
{
	struct watch *w = calloc(1, sizeof(*w));

	must(w != NULL);
	w->mailer = m;
	w->fd = fd;
	w->poll.data = w;
	if (uv_poll_init_socket(loop_uv(m->loop), &w->poll, fd) < 0) {
		free(w);
		return NULL;
	}
	m->open_handles++;
	curl_multi_assign(m->multi, fd, w);
	return w;
}

static int on_want_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	struct mailer *m = arg;
	struct watch *w = socket_arg;
	int events = 0;

	if (what == CURL_POLL_REMOVE) {
		if (w != NULL) {
			curl_multi_assign(m->multi, fd, NULL);
			uv_close((uv_handle_t *) &w->poll, on_watch_closed);
		}
		return 0;
	}
	if (w == NULL)
		w = watch_new(m, fd);
	if (w == NULL)
		return -1;
	if (what & CURL_POLL_IN)
		events |= UV_READABLE;
	if (what & CURL_POLL_OUT)
		events |= UV_WRITABLE;
	return uv_poll_start(&w->poll, events, on_poll) < 0 ? -1 : 0;
}

int mailer_new(struct loop *loop, const char *url, const char *from, struct mailer **ret)
{
	static const char file_scheme[] = "file://";
	bool is_file = strncmp(url, file_scheme, strlen(file_scheme)) == 0;

	if (!is_file && strncmp(url, "smtp://", 7) != 0 && strncmp(url, "smtps://", 8) != 0)
		return fail(-E_BAD_SETTING,
			    "APIUM_MAIL_URL must begin with smtp://, smtps:// or file://");
	struct mailer *m = calloc(1, sizeof(*m));
	must(m != NULL);
	m->magic = MAILER_MAGIC;
	m->loop = loop;
	m->url = url;
	m->from = from;
	m->folder = is_file ? url + strlen(file_scheme) : NULL;
	m->multi = curl_multi_init();
	must(m->multi != NULL);
	curl_multi_setopt(m->multi, CURLMOPT_SOCKETFUNCTION, on_want_socket);
	curl_multi_setopt(m->multi, CURLMOPT_SOCKETDATA, m);
	curl_multi_setopt(m->multi, CURLMOPT_TIMERFUNCTION, on_want_timer);
	curl_multi_setopt(m->multi, CURLMOPT_TIMERDATA, m);
	uv_timer_init(loop_uv(loop), &m->timer);
	m->timer.data = m;
	m->open_handles = 1;
	semaphore_init(&m->places, TRANSFERS_MOST);
	*ret = m;
	return 0;
}

void mailer_close(struct mailer *m, void (*on_closed)(void *arg), void *arg)
{
	OBJ_CHECK(m, MAILER_MAGIC);
	m->on_closed = on_closed;
	m->on_closed_arg = arg;
	/* Closes kept connections; their sockets come back through on_want_socket. */
	curl_multi_cleanup(m->multi);
	uv_close((uv_handle_t *) &m->timer, on_timer_closed);
}

static size_t read_more(char *to, size_t size, size_t count, void *arg)
{
	struct transfer *t = arg;
	size_t take = MIN(size * count, t->rest.len);

	memcpy(to, t->rest.at, take);
	t->rest = str_slice(t->rest, take, t->rest.len);
	return take;
}

static void transfer_freep(struct transfer **t)
{
	if (*t == NULL)
		return;
	curl_easy_cleanup((*t)->easy);
	curl_slist_free_all((*t)->to);
	free(*t);
}

static struct transfer *transfer_new(struct mailer *m, struct arena *arena, const struct mail *mail,
				     struct str bytes)
{
	struct transfer *t = calloc(1, sizeof(*t));

	must(t != NULL);
	t->easy = curl_easy_init();
	must(t->easy != NULL);
	t->rest = bytes;
	for (size_t i = 0; i < mail->to_count; i++)
		t->to = curl_slist_append(t->to,
					  arena_printf(arena, "<%.*s>", STR_ARG(mail->to[i])).at);
	curl_easy_setopt(t->easy, CURLOPT_URL, m->url);
	curl_easy_setopt(t->easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
	curl_easy_setopt(t->easy, CURLOPT_MAIL_FROM, arena_printf(arena, "<%s>", m->from).at);
	curl_easy_setopt(t->easy, CURLOPT_MAIL_RCPT, t->to);
	curl_easy_setopt(t->easy, CURLOPT_USE_SSL, (long) CURLUSESSL_TRY);
	curl_easy_setopt(t->easy, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(t->easy, CURLOPT_READFUNCTION, read_more);
	curl_easy_setopt(t->easy, CURLOPT_READDATA, t);
	curl_easy_setopt(t->easy, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
	curl_easy_setopt(t->easy, CURLOPT_TIMEOUT, TRANSFER_SECONDS);
	curl_easy_setopt(t->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, t->words);
	curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
	return t;
}

static int outcome(const struct transfer *t)
{
	if (t->code == CURLE_OK)
		return 0;
	const char *words = t->words[0] != '\0' ? t->words : curl_easy_strerror(t->code);
	if (t->answer >= 500 && t->answer < 600)
		return fail(-E_MAIL_REFUSED, "the mail server answered %ld: %s", t->answer, words);
	return fail(-E_UNAVAILABLE, "mail: %s", words);
}

static int send_by_smtp(struct mailer *m, struct arena *arena, const struct mail *mail,
			struct str bytes)
{
	_cleanup_(transfer_freep) struct transfer *t = NULL;
	struct waiter waiter;
	int r;

	r = semaphore_take(&m->places, "a place among the mail transfers");
	if (r < 0)
		return r;
	t = transfer_new(m, arena, mail, bytes);
	waiter_init(&waiter);
	t->waiter = &waiter;
	if (curl_multi_add_handle(m->multi, t->easy) != CURLM_OK) {
		semaphore_give(&m->places);
		return fail(-E_INTERNAL, "libcurl takes no more transfers");
	}
	r = fiber_park(&waiter, "the mail server");
	/* Also ends a transfer that was cancelled; nothing refers to the waiter afterwards. */
	curl_multi_remove_handle(m->multi, t->easy);
	semaphore_give(&m->places);
	return r < 0 ? r : outcome(t);
}

/* Lies in an arena: a worker thread reads it. */
struct writing {
	const char *aside, *name;
	struct str bytes;
};

static int write_on_thread(void *arg)
{
	struct writing *w = arg;
	struct str rest = w->bytes;
	int fd = open(w->aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0)
		return -errno;
	while (rest.len > 0) {
		ssize_t n = write(fd, rest.at, rest.len);

		if (n < 0) {
			int r = -errno;

			close(fd);
			unlink(w->aside);
			return r;
		}
		rest = str_slice(rest, (size_t) n, rest.len);
	}
	int r = fsync(fd) < 0 ? -errno : 0;
	close(fd);
	if (r == 0 && rename(w->aside, w->name) < 0)
		r = -errno;
	return r;
}

static int send_by_file(struct mailer *m, struct arena *arena, const struct mail *mail,
			struct str bytes)
{
	struct writing *w = arena_new(arena, struct writing);
	struct str id = arena_str(arena, mail->id);

	/* The id may be any text that a client chose: only harmless characters reach the file's
	 * name. */
	for (size_t i = 0; i < id.len; i++) {
		if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
			   id.at[i]) == NULL)
			((char *) id.at)[i] = '_';
	}
	id = str_slice(id, 0, 100);
	w->name = arena_printf(arena, "%s/%lld-%.*s.eml", m->folder, (long long) mail->date,
			       STR_ARG(id))
			  .at;
	w->aside = arena_printf(arena, "%s.part", w->name).at;
	w->bytes = bytes;
	int r = offload(offload_files(), write_on_thread, w);
	if (r < 0 && r != -ECANCELED && r != -ETIMEDOUT)
		return fail(-E_UNAVAILABLE, "writing %s: %s", w->name, error_sentence(r));
	return r;
}

int mailer_send(struct mailer *m, struct arena *arena, const struct mail *mail)
{
	struct mail whole = *mail;
	struct str bytes;
	int r;

	OBJ_CHECK(m, MAILER_MAGIC);
	whole.from = str_c(m->from);
	r = mail_compose(arena, &whole, &bytes);
	if (r < 0)
		return r;
	if (m->folder != NULL)
		return send_by_file(m, arena, &whole, bytes);
	return send_by_smtp(m, arena, &whole, bytes);
}
