/*
 * email.c - email.send.
 */
#include "base/error.h"
#include "base/world.h"
#include "proto/email_send.h"
#include "workers/shop_host.h"
#include "workers/tasks.h"

/* 0 with the addresses; what is no array of one to fifty texts is the sender's own fault. */
static int read_recipients(struct job *job, struct str text, struct mail *mail)
{
	struct json_error error;
	struct json *list;

	if (json_parse(&job->arena, text, JSON_STRICT, 4, &list, &error) < 0 ||
	    list->type != JSON_ARRAY)
		return job_drop(job, STR_NULL, "recipient_list is no array");
	if (list->count == 0 || list->count > MAIL_RECIPIENTS)
		return job_drop(job, STR_NULL, "recipient_list has %u addresses, not 1 to %d",
				list->count, MAIL_RECIPIENTS);
	struct str *to = arena_array(&job->arena, struct str, list->count);
	for (const struct json *item = list->first; item != NULL; item = item->next) {
		if (item->type != JSON_STRING)
			return job_drop(job, STR_NULL,
					"recipient_list holds something that is no text");
		to[mail->to_count++] = json_text(&job->arena, item);
	}
	mail->to = to;
	return 0;
}

int email_send_body(struct job *job, const void *arguments)
{
	const struct email_send_arguments *args = arguments;
	const struct shop_host *host = job->application;
	struct mail mail = { .subject = args->subject,
			     .text = args->message,
			     .html = args->html_message,
			     .id = job->key,
			     .date = now_realtime() };
	int r;

	r = read_recipients(job, args->recipient_list, &mail);
	if (r < 0)
		return r;
	r = mailer_send(host->mailer, &job->arena, &mail);
	if (r < 0)
		return r;
	return job_return_i64(job, 1);
}
