#include "auth/identity.h"

#include "auth/identity_cache.h"
#include "auth/outside_token.h"
#include "auth/token.h"
#include "base/codec.h"
#include "base/settings.h"
#include "base/uuid.h"
#include "db/db.h"
#include "http/route.h"

#define IDENTITY                                                                                   \
	"SELECT u.id, email, username, first_name, last_name, is_active, is_staff, is_superuser "
static const struct db_statement find_user = {
	.sql = STR_INIT(IDENTITY "FROM users u WHERE u.id = $1"),
	.lane = DB_SHARED,
};

static const struct db_statement find_by_token = {
	.sql = STR_INIT(IDENTITY
			"FROM authtoken_token t JOIN users u ON u.id = t.user_id WHERE t.key = $1"),
	.lane = DB_SHARED,
};

/* simplejwt answers with a code, and for a bad token with what each token class said of it. */
static int refuse(struct request *rq, const char *detail, const char *code, const char *inner)
{
	_cleanup_(buf_fini) struct buf body = BUF_INIT;
	struct json_writer w;

	json_writer_init(&w, &body, JSON_ESCAPE_DRF, false);
	json_begin_object(&w);
	json_put_key(&w, STR("detail"));
	json_put_c(&w, detail);
	json_put_key(&w, STR("code"));
	json_put_c(&w, code);
	if (inner != NULL) {
		json_put_key(&w, STR("messages"));
		json_begin_array(&w);
		json_begin_object(&w);
		json_put_key(&w, STR("token_class"));
		json_put_c(&w, "AccessToken");
		json_put_key(&w, STR("token_type"));
		json_put_c(&w, "access");
		json_put_key(&w, STR("message"));
		json_put_c(&w, inner);
		json_end_object(&w);
		json_end_array(&w);
	}
	json_end_object(&w);
	reply_header(rq, STR("WWW-Authenticate"), STR("Bearer realm=\"api\""));
	int r = reply_refusal(rq, 401, buf_str(&body));
	return r < 0 ? r : -E_BAD_TOKEN;
}

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The words of the header; white space is Python's split(). */
static size_t split_words(struct str text, struct str words[3])
{
	size_t count = 0;

	while (count < 3) {
		text = str_trim(text);
		if (text.len == 0)
			break;
		size_t end = 0;
		while (end < text.len && !is_space(text.at[end]))
			end++;
		words[count++] = str_slice(text, 0, end);
		text = str_slice(text, end, text.len);
	}
	return count;
}

static struct identity *read_identity(struct arena *arena, const struct db_rows *rows)
{
	struct identity *who = arena_new(arena, struct identity);

	who->id = db_get(rows, 0, 0);
	who->email = db_get(rows, 0, 1);
	who->username = db_get(rows, 0, 2);
	who->first_name = db_get(rows, 0, 3);
	who->last_name = db_get(rows, 0, 4);
	who->is_staff = db_get_bool(rows, 0, 6);
	who->is_superuser = db_get_bool(rows, 0, 7);
	return who;
}

static struct identity *copy_identity(struct arena *arena, const struct identity *kept)
{
	struct identity *who = arena_new(arena, struct identity);

	*who = *kept;
	who->id = arena_str(arena, kept->id);
	who->email = arena_str(arena, kept->email);
	who->username = arena_str(arena, kept->username);
	who->first_name = arena_str(arena, kept->first_name);
	who->last_name = arena_str(arena, kept->last_name);
	return who;
}

static int find_caller(struct request *rq, struct str user_id)
{
	struct identity_cache *cache = rq->thread->identities;
	const struct identity *kept = identity_cache_find(cache, user_id);
	uint64_t changes = identity_cache_changes(cache);
	struct db_rows rows;
	struct str id;
	int r;

	if (kept != NULL) {
		rq->caller = copy_identity(&rq->arena, kept);
		return 0;
	}
	if (uuid_normalise(&rq->arena, user_id, &id) < 0)
		return refuse(rq, "User not found", "user_not_found", NULL);
	r = db_query(rq->thread->db, &rq->arena, &find_user, DB_VALUES(id), &rows);
	if (r < 0)
		return r;
	if (rows.count == 0)
		return refuse(rq, "User not found", "user_not_found", NULL);
	if (!db_get_bool(&rows, 0, 5))
		return refuse(rq, "User is inactive", "user_inactive", NULL);
	rq->caller = read_identity(&rq->arena, &rows);
	identity_cache_keep(cache, rq->caller, changes);
	return 0;
}

static int authenticate_bearer(struct request *rq, const struct str *words, size_t count)
{
	struct token_claims claims;
	int r;

	if (count != 2)
		return refuse(rq, "Authorization header must contain two space-delimited values",
			      "bad_authorization_header", NULL);
	if (outside_token_is(&rq->arena, words[1]))
		r = outside_token_verify(&rq->arena, words[1], &claims);
	else
		r = token_verify(&rq->arena, words[1], TOKEN_ACCESS, &claims);
	if (r == -E_BAD_TOKEN)
		return refuse(rq, error_sentence(-E_BAD_TOKEN), "token_not_valid", fail_reason(r));
	if (r < 0)
		return r;
	if (str_is_null(claims.user_id))
		return refuse(rq, "Token contained no recognizable user identification",
			      "token_not_valid", NULL);
	return find_caller(rq, claims.user_id);
}

/* DRF's TokenAuthentication (drf-wire §11); its key is looked up at each request. */
static int authenticate_token(struct request *rq, const struct str *words, size_t count)
{
	struct db_rows rows;
	int r;

	if (count == 1)
		return fail(-E_UNAUTHENTICATED, "Invalid token header. No credentials provided.");
	if (count > 2)
		return fail(-E_UNAUTHENTICATED,
			    "Invalid token header. Token string should not contain spaces.");
	if (utf8_find_invalid(words[1]) >= 0)
		return fail(
			-E_UNAUTHENTICATED,
			"Invalid token header. Token string should not contain invalid characters.");
	r = db_query(rq->thread->db, &rq->arena, &find_by_token, DB_VALUES(words[1]), &rows);
	if (r < 0)
		return r;
	if (rows.count == 0)
		return fail(-E_UNAUTHENTICATED, "Invalid token.");
	if (!db_get_bool(&rows, 0, 5))
		return fail(-E_UNAUTHENTICATED, "User inactive or deleted.");
	rq->caller = read_identity(&rq->arena, &rows);
	return 0;
}

int identity_authenticate(struct request *rq)
{
	struct str words[3];
	size_t count = split_words(request_header(rq, STR("authorization")), words);

	if (count > 0 && str_eq(words[0], STR("Bearer")))
		return authenticate_bearer(rq, words, count);
	if (count > 0 && settings.token_authentication && str_eq_nocase(words[0], STR("Token")))
		return authenticate_token(rq, words, count);
	return 0;
}

int permit_signed_in(struct request *rq)
{
	return rq->caller == NULL ? -E_UNAUTHENTICATED : 0;
}

int permit_staff(struct request *rq)
{
	if (rq->caller == NULL)
		return -E_UNAUTHENTICATED;
	return rq->caller->is_staff ? 0 : -E_FORBIDDEN;
}

int permit_signed_in_writes(struct request *rq)
{
	return request_is_safe(rq) || rq->caller != NULL ? 0 : -E_UNAUTHENTICATED;
}

int permit_signed_in_staff_writes(struct request *rq)
{
	if (rq->caller == NULL)
		return -E_UNAUTHENTICATED;
	return request_is_safe(rq) || rq->caller->is_staff ? 0 : -E_FORBIDDEN;
}

struct str identity_key(const struct request *rq)
{
	return rq->caller == NULL ? STR_NULL : rq->caller->id;
}
