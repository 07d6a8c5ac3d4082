#include "queue/hostlink.h"

#include "base/error.h"

/* What the host does with a message's texts; the rest is the supervisor's business. */
#define NEEDED                                                                                     \
	(1u << MESSAGE_BODY | 1u << MESSAGE_CONTENT_TYPE | 1u << MESSAGE_ID |                      \
	 1u << MESSAGE_GROUP | 1u << MESSAGE_ROOT | 1u << MESSAGE_PARENT | 1u << MESSAGE_KEY |     \
	 1u << MESSAGE_TRACEPARENT | 1u << MESSAGE_COMPRESSION | 1u << MESSAGE_BODY_ENCODING)

void link_add_job(struct buf *out, const struct link_job *job, const struct message *m)
{
	struct link_job head = *job;

	head.escaped = m->escaped;
	for (int i = 0; i < MESSAGE_TEXTS; i++)
		head.text_len[i] = (NEEDED >> i & 1) == 0 || str_is_null(m->text[i])
					   ? LINK_ABSENT
					   : (uint32_t) m->text[i].len;
	buf_add(out, &head, sizeof(head));
	for (int i = 0; i < MESSAGE_TEXTS; i++)
		if (head.text_len[i] != LINK_ABSENT)
			buf_add_str(out, m->text[i]);
}

int link_take(struct str *from, void *to, size_t len)
{
	if (from->len < len)
		return fail(-EPROTO, "a frame is torn");
	memcpy(to, from->at, len);
	*from = str_slice(*from, len, from->len);
	return 0;
}

static int take_text(struct str *from, uint32_t len, struct str *ret)
{
	if (len == LINK_ABSENT) {
		*ret = STR_NULL;
		return 0;
	}
	if (from->len < len)
		return fail(-EPROTO, "a frame is torn");
	*ret = str_make(from->at, len);
	*from = str_slice(*from, len, from->len);
	return 0;
}

int link_take_job(struct str payload, struct link_job *job, struct message *m)
{
	int r = link_take(&payload, job, sizeof(*job));

	if (r < 0)
		return r;
	*m = (struct message){ .escaped = job->escaped, .group_index = job->group_index };
	for (int i = 0; i < MESSAGE_TEXTS; i++) {
		r = take_text(&payload, job->text_len[i], &m->text[i]);
		if (r < 0)
			return r;
	}
	return payload.len == 0 ? 0 : fail(-EPROTO, "a frame is too long");
}

void link_pack(struct buf *out, const struct str *texts, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint32_t len = str_is_null(texts[i]) ? LINK_ABSENT : (uint32_t) texts[i].len;

		buf_add(out, &len, sizeof(len));
	}
	for (size_t i = 0; i < count; i++)
		buf_add_str(out, texts[i]);
}

int link_unpack(struct str *from, struct str *texts, size_t count)
{
	struct str lengths = *from;
	uint32_t len;
	int r;

	if (from->len < count * sizeof(len))
		return fail(-EPROTO, "a frame is torn");
	*from = str_slice(*from, count * sizeof(len), from->len);
	for (size_t i = 0; i < count; i++) {
		r = link_take(&lengths, &len, sizeof(len));
		if (r == 0)
			r = take_text(from, len, &texts[i]);
		if (r < 0)
			return r;
	}
	return 0;
}
