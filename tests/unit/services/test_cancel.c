/*
 * Every handler of the gateway, cancelled at its 1st, 2nd, 3rd … wait until it ends before that:
 * each time exactly one answer, everything given back, and in the database all of the change or
 * nothing of it.
 *
 * More than 800 lines, better whole: the walks share how requests are prepared and what is looked for, and
 * one list shows that no handler is missing.
 */
#include "services/fixture.h"

#include "auth/reset_token.h"
#include "auth/token.h"
#include "base/buf.h"
#include "base/codec.h"
#include "base/settings.h"

/* One request that is to be cancelled, on rows of its own. */
struct attempt {
	const char *method;
	struct str path, bearer, content_type, body;
	struct str key;     /* Idempotency-Key; absent: none */
	struct str subject; /* what `check` looks for: a name, an address, a key */
	size_t files;       /* in the media folder before */
};

struct walk {
	const char *name;
	void (*prepare)(struct attempt *);
	/* Called with the outcome.  is_done: it was answered as done. */
	void (*check)(const struct attempt *, bool is_done);
	int status;     /* when it is not cancelled */
	unsigned least; /* waits that there are at least: fewer, and the walk shows nothing */
};

static struct http_answer ask(const struct attempt *a, unsigned cancel_at, bool leaves)
{
	struct header headers[4];
	struct http_answer answer;
	struct http_ask ask = { .method = a->method,
				.path = a->path.at,
				.headers = headers,
				.body = a->body,
				.cancel_at = cancel_at,
				.leaves = leaves };

	if (!str_is_null(a->bearer))
		headers[ask.header_count++] = (struct header){ STR("authorization"), a->bearer };
	if (!str_is_null(a->key))
		headers[ask.header_count++] = (struct header){ STR("idempotency-key"), a->key };
	if (!str_is_null(a->content_type))
		headers[ask.header_count++] = (struct header){ STR("content-type"),
							       a->content_type };
	http_ask(fx.server, &fx.arena, &ask, &answer);
	return answer;
}

/* A request that must succeed; the key of what it made. */
static struct str made(const struct attempt *a)
{
	struct http_answer answer = ask(a, 0, false);

	cr_assert_eq(answer.status, 201, "%s %s: %d %.*s", a->method, a->path.at, answer.status,
		     STR_ARG(answer.body));
	cr_assert(str_starts(answer.body, STR("{\"id\":\"")));
	return str_slice(answer.body, 7, 7 + 36);
}

/* --- rows --- */

#define PICTURE_BYTES 33
/* The beginning of a PNG of 200 x 100: all that the gateway looks at. */
/* clang-format off */
static const unsigned char picture[PICTURE_BYTES] = {
	0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48, 0x44, 0x52, 0x00,
	0x00, 0x00, 0xc8, 0x00, 0x00, 0x00, 0x64, 0x08, 0x02, 0x00, 0x00, 0x00, 0x4c, 0xe4, 0xe8, 0x5c,
};
/* clang-format on */

static void set_json(struct attempt *a, struct str json)
{
	a->content_type = STR("application/json");
	a->body = json;
}

static void set_upload(struct attempt *a, struct str product)
{
	_cleanup_(buf_fini) struct buf b = BUF_INIT;

	if (!str_is_null(product))
		buf_printf(&b,
			   "--x\r\nContent-Disposition: form-data; name=\"product\"\r\n\r\n%s\r\n",
			   product.at);
	buf_add_c(&b,
		  "--x\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a.png\"\r\n"
		  "Content-Type: image/png\r\n\r\n");
	buf_add(&b, picture, PICTURE_BYTES);
	buf_add_c(&b, "\r\n--x--\r\n");
	a->content_type = STR("multipart/form-data; boundary=x");
	a->body = arena_str(&fx.arena, buf_str(&b));
}

static void set_product(struct attempt *a)
{
	make_user(false, &a->bearer);
	a->method = "POST";
	a->path = STR("/api/v1/products/");
	a->subject = make_unique("Lamp");
	set_json(a, arena_printf(&fx.arena,
				 "{\"name\": \"%s\", \"price\": \"10.00\", \"sku\": \"%s\"}",
				 a->subject.at, a->subject.at));
}

static void set_product_once(struct attempt *a)
{
	set_product(a);
	a->key = a->subject;
}

static void set_category(struct attempt *a)
{
	make_user(true, &a->bearer);
	a->method = "POST";
	a->path = STR("/api/v1/categories/");
	a->subject = make_unique("Shelf");
	set_json(a, arena_printf(&fx.arena, "{\"name\": \"%s\"}", a->subject.at));
}

static void set_user(struct attempt *a)
{
	a->method = "POST";
	a->path = STR("/api/v1/users/");
	a->subject = arena_printf(&fx.arena, "%s@example.com", make_unique("ann").at);
	set_json(a, arena_printf(&fx.arena,
				 "{\"email\": \"%s\", \"password\": \"Quiet-Harbour-77\", "
				 "\"password_confirm\": \"Quiet-Harbour-77\"}",
				 a->subject.at));
}

/* `a` then speaks for the owner of what is at its path. */
static void own(struct attempt *a, const char *method, struct str id)
{
	a->method = method;
	a->path = arena_printf(&fx.arena, "%s%s/", a->path.at, arena_str(&fx.arena, id).at);
	a->subject = arena_str(&fx.arena, id);
	a->content_type = a->body = STR_NULL;
}

static void own_product(struct attempt *a, const char *method)
{
	set_product(a);
	own(a, method, made(a));
}

static void own_category(struct attempt *a, const char *method)
{
	set_category(a);
	own(a, method, made(a));
}

static void own_image(struct attempt *a, const char *method)
{
	set_product(a);
	struct str product = arena_str(&fx.arena, made(a));
	a->path = STR("/api/v1/product-images/");
	set_upload(a, product);
	own(a, method, made(a));
}

static void own_user(struct attempt *a, const char *method)
{
	struct str id = make_user(false, &a->bearer);

	a->path = STR("/api/v1/users/");
	own(a, method, id);
}

/* --- what may be found afterwards --- */

static void check_nothing(const struct attempt *a, bool is_done)
{
	(void) a, (void) is_done;
}

/* A row more or none, and one for sure when it was answered so. */
static void check_count(int64_t count, bool is_done, const char *what)
{
	cr_assert(count == 0 || count == 1, "%ld of %s", (long) count, what);
	cr_assert(!is_done || count == 1, "%s was promised and is not there", what);
}

static void check_product_made(const struct attempt *a, bool is_done)
{
	check_count(sql_count("SELECT count(*) FROM products WHERE sku = '%s'", a->subject.at),
		    is_done, "the product");
}

/* Its key is part of the same transaction. */
static void check_product_once(const struct attempt *a, bool is_done)
{
	check_product_made(a, is_done);
	cr_assert_eq(
		sql_count("SELECT count(*) FROM idempotency_key WHERE key = '%s'", a->subject.at),
		sql_count("SELECT count(*) FROM products WHERE sku = '%s'", a->subject.at));
}

static void set_writer(struct attempt *a)
{
	a->method = "POST";
	a->path = STR("/api/v1/writers/");
	a->subject = make_unique("Ann");
	set_json(a, arena_printf(&fx.arena,
				 "{\"name\": \"%s\", \"email\": \"ann@example.com\", "
				 "\"books\": [{\"title\": \"One\"}, {\"title\": \"Two\"}]}",
				 a->subject.at));
}

/* Three other books in the place of two. */
static void patch_writer(struct attempt *a)
{
	struct str name;

	set_writer(a);
	name = a->subject;
	own(a, "PATCH", made(a));
	a->subject = name;
	set_json(a,
		 STR("{\"books\": [{\"title\": \"A\"}, {\"title\": \"B\"}, {\"title\": \"C\"}]}"));
}

static int64_t books_of(const struct attempt *a)
{
	return sql_count("SELECT count(*) FROM books b JOIN authors w ON w.id = b.author_id "
			 "WHERE w.name = '%s'",
			 a->subject.at);
}

/* With both books, or not at all. */
static void check_writer_made(const struct attempt *a, bool is_done)
{
	int64_t writers = sql_count("SELECT count(*) FROM authors WHERE name = '%s'",
				    a->subject.at);

	check_count(writers, is_done, "the writer");
	cr_assert_eq(books_of(a), 2 * writers);
}

static void check_books_replaced(const struct attempt *a, bool is_done)
{
	int64_t books = books_of(a);

	cr_assert(books == 3 || (books == 2 && !is_done), "%ld books", (long) books);
}

static void check_category_made(const struct attempt *a, bool is_done)
{
	check_count(sql_count("SELECT count(*) FROM categories WHERE name = '%s'", a->subject.at),
		    is_done, "the category");
}

/* The mail is part of the same transaction. */
static void check_user_made(const struct attempt *a, bool is_done)
{
	int64_t users = sql_count("SELECT count(*) FROM users WHERE email = '%s'", a->subject.at);

	check_count(users, is_done, "the user");
	cr_assert_eq(sql_count("SELECT count(*) FROM job_outbox WHERE task = 'email.send' AND "
			       "position('%s' in kwargs::text) > 0",
			       a->subject.at),
		     users);
}

static void check_image_made(const struct attempt *a, bool is_done)
{
	struct str id = sql("SELECT id FROM product_images WHERE product_id = '%s'", a->subject.at);

	check_count(id.len > 0, is_done, "the picture");
	cr_assert_eq(
		sql_count(
			"SELECT count(*) FROM job_outbox WHERE task = 'images.generate_variants' AND "
			"kwargs->>'image_id' = '%s'",
			id.at),
		id.len > 0);
	/* An upload that is given up may leave its file; a row is never without. */
	cr_assert_geq(fixture_files(), a->files + (id.len > 0), "a row without its file");
}

static void check_stock(const struct attempt *a, bool is_done)
{
	int64_t stock = sql_count("SELECT stock FROM products WHERE id = '%s'", a->subject.at);

	cr_assert(stock == 7 || (stock == 0 && !is_done));
}

static void check_product_gone(const struct attempt *a, bool is_done)
{
	check_count(sql_count("SELECT count(*) FROM products WHERE id = '%s' AND is_deleted",
			      a->subject.at),
		    is_done, "the removal");
}

static void check_category_gone(const struct attempt *a, bool is_done)
{
	check_count(1 - sql_count("SELECT count(*) FROM categories WHERE id = '%s'", a->subject.at),
		    is_done, "the removal");
}

static void check_user_gone(const struct attempt *a, bool is_done)
{
	check_count(1 - sql_count("SELECT count(*) FROM users WHERE id = '%s'", a->subject.at),
		    is_done, "the removal");
}

/* A file that outlives its row is waste, a row that outlives its file a fault. */
static void check_image_gone(const struct attempt *a, bool is_done)
{
	int64_t left = sql_count("SELECT count(*) FROM product_images WHERE id = '%s'",
				 a->subject.at);

	check_count(1 - left, is_done, "the removal");
	cr_assert_geq((int64_t) fixture_files(), (int64_t) a->files - 1 + left);
}

static void check_verified(const struct attempt *a, bool is_done)
{
	check_count(
		sql_count(
			"SELECT count(*) FROM users WHERE email_verification_token = '%s' AND email_verified",
			a->subject.at),
		is_done, "the verification");
}

/* --- the walks --- */

static void read_products(struct attempt *a)
{
	make_user(false, &a->bearer);
	a->method = "GET";
	a->path = STR("/api/v1/products/?page=1");
}

static void read_categories(struct attempt *a)
{
	read_products(a);
	a->path = STR("/api/v1/categories/");
}

static void read_images(struct attempt *a)
{
	read_products(a);
	a->path = STR("/api/product-images/");
}

static void read_users(struct attempt *a)
{
	make_user(true, &a->bearer);
	a->method = "GET";
	a->path = STR("/api/v1/users/");
}

static void read_me(struct attempt *a)
{
	read_products(a);
	a->path = STR("/api/v1/users/me/");
}

static void read_ready(struct attempt *a)
{
	a->method = "GET";
	a->path = STR("/readyz");
}

static void read_product(struct attempt *a)
{
	own_product(a, "GET");
}

static void describe_product(struct attempt *a)
{
	read_product(a);
	a->method = "OPTIONS";
}

static void read_category(struct attempt *a)
{
	own_category(a, "GET");
}

static void read_image(struct attempt *a)
{
	own_image(a, "GET");
}

static void read_user(struct attempt *a)
{
	own_user(a, "GET");
}

static void read_file(struct attempt *a)
{
	own_image(a, "GET");
	a->path = arena_printf(
		&fx.arena, "/media/%s",
		sql("SELECT image FROM product_images WHERE id = '%s'", a->subject.at).at);
}

static void create_image(struct attempt *a)
{
	set_product(a);
	a->subject = arena_str(&fx.arena, made(a));
	a->path = STR("/api/v1/product-images/");
	set_upload(a, a->subject);
}

static void put_product(struct attempt *a)
{
	own_product(a, "PUT");
	set_json(a, STR("{\"name\": \"New\", \"price\": \"2\", \"stock\": 7}"));
}

static void patch_product(struct attempt *a)
{
	own_product(a, "PATCH");
	set_json(a, STR("{\"stock\": 7}"));
}

/* By somebody else, who has the permission. */
static void patch_anothers_product(struct attempt *a)
{
	struct str id;

	own_product(a, "PATCH");
	id = make_user(false, &a->bearer);
	sql("INSERT INTO auth_permission (name, codename) VALUES ('x', 'catalog.change_product') "
	    "ON CONFLICT DO NOTHING");
	sql("INSERT INTO users_user_permissions (user_id, permission_id) SELECT '%s', id FROM "
	    "auth_permission WHERE codename = 'catalog.change_product'",
	    id.at);
	set_json(a, STR("{\"stock\": 7}"));
}

static void patch_category(struct attempt *a)
{
	own_category(a, "PATCH");
	set_json(a, STR("{\"description\": \"New\"}"));
}

static void put_category(struct attempt *a)
{
	own_category(a, "PUT");
	set_json(a, arena_printf(&fx.arena, "{\"name\": \"%s\"}", make_unique("Shelf").at));
}

static void patch_user(struct attempt *a)
{
	own_user(a, "PATCH");
	set_json(a,
		 arena_printf(&fx.arena, "{\"email\": \"%s@example.com\"}", make_unique("new").at));
}

static void put_user(struct attempt *a)
{
	own_user(a, "PUT");
	set_json(a, STR("{\"name\": \"Ann Tester\"}"));
}

static void patch_image(struct attempt *a)
{
	own_image(a, "PATCH");
	set_upload(a, STR_NULL);
}

static void put_image(struct attempt *a)
{
	own_image(a, "PUT");
	a->content_type = STR("application/x-www-form-urlencoded");
	a->body = STR("is_primary=true&alt_text=New");
}

static void delete_product(struct attempt *a)
{
	own_product(a, "DELETE");
}

static void delete_category(struct attempt *a)
{
	own_category(a, "DELETE");
}

static void delete_image(struct attempt *a)
{
	own_image(a, "DELETE");
}

static void delete_user(struct attempt *a)
{
	own_user(a, "DELETE");
}

static void register_user(struct attempt *a)
{
	set_user(a);
	a->path = STR("/api/v1/auth/register/");
}

static struct str login_address; /* of one user with a password */

static void log_in(struct attempt *a)
{
	if (str_is_null(login_address)) {
		set_user(a);
		login_address = a->subject;
		(void) made(a);
	}
	a->method = "POST";
	a->path = STR("/api/v1/auth/login/");
	set_json(a,
		 arena_printf(&fx.arena, "{\"email\": \"%s\", \"password\": \"Quiet-Harbour-77\"}",
			      login_address.at));
}

static void verify(struct attempt *a)
{
	struct str bearer, id = make_user(false, &bearer);

	a->method = "POST";
	a->path = STR("/api/v1/auth/verify-email/");
	a->subject = sql("SELECT email_verification_token FROM users WHERE id = '%s'", id.at);
	set_json(a, arena_printf(&fx.arena, "{\"token\": \"%s\"}", a->subject.at));
}

/* --- tokens and accounts --- */

static void post(struct attempt *a, const char *path, struct str json)
{
	a->method = "POST";
	a->path = str_c(path);
	if (!str_is_null(json))
		set_json(a, json);
}

/* A user with a refresh token; its text becomes the subject. */
static struct str refresh_of(struct attempt *a)
{
	struct str id = make_user(false, &a->bearer);
	struct token_pair pair;

	cr_assert_eq(token_issue(&fx.arena, id, &pair), 0);
	a->subject = pair.refresh_jti;
	return arena_printf(&fx.arena, "{\"refresh\": \"%s\", \"token\": \"%s\"}", pair.refresh.at,
			    pair.refresh.at);
}

static void token_post(struct attempt *a, const char *path)
{
	struct str json = refresh_of(a);

	post(a, path, json);
}

static void refresh_token(struct attempt *a)
{
	token_post(a, "/api/v1/token/refresh/");
}

static void verify_token(struct attempt *a)
{
	token_post(a, "/api/v1/auth/token/verify/");
}

static void blacklist_token(struct attempt *a)
{
	token_post(a, "/api/v1/token/blacklist/");
}

static void log_out(struct attempt *a)
{
	token_post(a, "/api/v1/auth/logout/");
}

static void obtain_token(struct attempt *a)
{
	log_in(a);
	a->path = STR("/api/v1/token/");
}

static void check_spent(const struct attempt *a, bool is_done)
{
	check_count(
		sql_count(
			"SELECT count(*) FROM token_blacklist_blacklistedtoken b JOIN "
			"token_blacklist_outstandingtoken o ON o.id = b.token_id WHERE jti = '%s'",
			a->subject.at),
		is_done, "the end of the token");
}

/* A spent token has a successor, and one that is not spent has none. */
static void check_rotated(const struct attempt *a, bool is_done)
{
	check_spent(a, is_done);
	int64_t rows = sql_count(
		"SELECT count(*) FROM token_blacklist_outstandingtoken WHERE user_id = "
		"(SELECT user_id FROM token_blacklist_outstandingtoken WHERE jti = '%s')",
		a->subject.at);
	cr_assert(rows == 0 || rows == 2, "%ld tokens", (long) rows);
}

static void post_on_user(struct attempt *a, const char *action, struct str json)
{
	struct str id = make_user(false, &a->bearer);

	post(a, arena_printf(&fx.arena, "/api/v1/users/%s/%s/", id.at, action).at, json);
	a->subject = id;
}

static void set_password(struct attempt *a)
{
	post_on_user(a, "set_password", STR("{\"password\": \"Quiet-Harbour-78\"}"));
}

static void check_password_set(const struct attempt *a, bool is_done)
{
	check_count(sql_count("SELECT count(*) FROM users WHERE id = '%s' AND password <> '!'",
			      a->subject.at),
		    is_done, "the password");
}

static void deactivate(struct attempt *a)
{
	post_on_user(a, "deactivate", STR_NULL);
	sql("INSERT INTO token_blacklist_outstandingtoken (user_id, jti, token, expires_at) "
	    "VALUES ('%s', '%s', 'x', now() + interval '1 day')",
	    a->subject.at, make_unique("jti").at);
}

/* Inactive with all tokens spent, or neither. */
static void check_deactivated(const struct attempt *a, bool is_done)
{
	int64_t inactive = sql_count("SELECT count(*) FROM users WHERE id = '%s' AND NOT is_active",
				     a->subject.at);

	check_count(inactive, is_done, "the deactivation");
	cr_assert_eq(sql_count("SELECT count(*) FROM token_blacklist_blacklistedtoken b JOIN "
			       "token_blacklist_outstandingtoken o ON o.id = b.token_id "
			       "WHERE o.user_id = '%s'",
			       a->subject.at),
		     inactive);
}

static void follow_with(struct attempt *a, const char *action)
{
	struct str bearer;

	post_on_user(a, action, STR_NULL);
	(void) make_user(false, &bearer);
	a->bearer = bearer;
}

static void follow(struct attempt *a)
{
	follow_with(a, "follow");
}

static void unfollow(struct attempt *a)
{
	follow_with(a, "unfollow");
}

static void update_profile(struct attempt *a)
{
	make_user(false, &a->bearer);
	post(a, "/api/v1/users/update_profile/", STR("{\"name\": \"Ann Tester\"}"));
	a->method = "PATCH";
}

static void post_address(struct attempt *a, const char *path)
{
	struct str bearer, id = make_user(false, &bearer);

	a->subject = sql("SELECT email FROM users WHERE id = '%s'", id.at);
	post(a, path, arena_printf(&fx.arena, "{\"email\": \"%s\"}", a->subject.at));
}

static void resend(struct attempt *a)
{
	post_address(a, "/api/v1/auth/resend-verification/");
}

static void ask_for_reset(struct attempt *a)
{
	post_address(a, "/api/v1/auth/password-reset/");
}

static void check_mailed(const struct attempt *a, bool is_done)
{
	check_count(sql_count("SELECT count(*) FROM job_outbox WHERE task = 'email.send' AND "
			      "position('%s' in kwargs::text) > 0",
			      a->subject.at),
		    is_done, "the mail");
}

static void confirm_reset(struct attempt *a)
{
	_cleanup_(buf_fini) struct buf uid = BUF_INIT;
	struct str bearer, id = make_user(false, &bearer);
	const struct reset_subject subject = {
		.id = id,
		.password = STR("!"),
		.email = sql("SELECT email FROM users WHERE id = '%s'", id.at),
		.last_login = STR(""),
	};

	base64url_encode(&uid, id);
	a->subject = id;
	post(a, "/api/v1/auth/password-reset/confirm/",
	     arena_printf(
		     &fx.arena,
		     "{\"uid\": \"%s\", \"token\": \"%s\", \"password\": \"Quiet-Harbour-78\"}",
		     uid.at, reset_token_make(&fx.arena, str_c(settings.secret_key), &subject).at));
}

static void run(const struct walk *w, unsigned cancel_at, bool leaves, struct http_answer *ret)
{
	struct attempt a = { .path = STR_NULL };
	char what[64];

	w->prepare(&a);
	a.files = fixture_files();
	fixture_note();
	*ret = ask(&a, cancel_at, leaves);
	snprintf(what, sizeof(what), "%s at wait %u", w->name, cancel_at);
	fixture_until_whole(what);
	w->check(&a, ret->status == w->status);
}

static void walk(const struct walk *w)
{
	struct attempt first = { .path = STR_NULL };
	struct http_answer answer;
	unsigned n = 1;

	/* What lives on after its first use is made here. */
	w->prepare(&first);
	(void) ask(&first, 0, false);
	for (;; n++) {
		run(w, n, false, &answer);
		cr_assert_eq(answer.replies, 1, "%s at wait %u: %d answers", w->name, n,
			     answer.replies);
		if (answer.parks < n)
			break;
		/* It may have been done all the same: the outcome of a COMMIT is awaited.  And
		 * /readyz says 503 itself. */
		cr_assert((answer.result == -ECANCELED && answer.status == 503) ||
				  (answer.result == 0 &&
				   (answer.status == w->status || w->prepare == read_ready)),
			  "%s at wait %u: %d, result %d", w->name, n, answer.status, answer.result);
	}
	cr_assert_eq(answer.status, w->status, "%s: %d %.*s", w->name, answer.status,
		     STR_ARG(answer.body));
	cr_assert_geq(n - 1, w->least, "%s waits %u times only", w->name, n - 1);
	/* Who has left is answered by nobody. */
	run(w, 0, true, &answer);
	cr_assert_eq(answer.replies, 0, "%s: answered who had left", w->name);
}

static void walk_all(const struct walk *walks, size_t count)
{
	fixture_start();
	for (size_t i = 0; i < count; i++)
		walk(&walks[i]);
	fixture_stop();
}

Test(cancel, reads_of_lists)
{
	static const struct walk walks[] = {
		{ "list products", read_products, check_nothing, 200, 3 },
		{ "list categories", read_categories, check_nothing, 200, 3 },
		{ "list images", read_images, check_nothing, 200, 3 },
		{ "list users", read_users, check_nothing, 200, 3 },
		{ "me", read_me, check_nothing, 200, 2 },
		{ "ready", read_ready, check_nothing, 200, 1 },
	};

	walk_all(walks, ARRAY_SIZE(walks));
}

Test(cancel, reads_of_one)
{
	static const struct walk walks[] = {
		{ "a product", read_product, check_nothing, 200, 1 },
		{ "a category", read_category, check_nothing, 200, 1 },
		{ "an image", read_image, check_nothing, 200, 1 },
		{ "a user", read_user, check_nothing, 200, 2 },
		{ "a file", read_file, check_nothing, 200, 1 },
		{ "what a product takes", describe_product, check_nothing, 200, 1 },
	};

	walk_all(walks, ARRAY_SIZE(walks));
}

Test(cancel, creations)
{
	static const struct walk walks[] = {
		{ "create a product", set_product, check_product_made, 201, 4 },
		{ "create a product once", set_product_once, check_product_once, 201, 7 },
		{ "create a category", set_category, check_category_made, 201, 4 },
		{ "create a writer with books", set_writer, check_writer_made, 201, 5 },
	};

	walk_all(walks, ARRAY_SIZE(walks));
}

Test(cancel, uploads)
{
	static const struct walk walks[] = {
		{ "upload", create_image, check_image_made, 201, 6 },
		{ "a new file", patch_image, check_nothing, 200, 6 },
		{ "a picture's words", put_image, check_nothing, 200, 4 },
		{ "delete an image", delete_image, check_image_gone, 204, 4 },
	};

	walk_all(walks, ARRAY_SIZE(walks));
}

Test(cancel, changes)
{
	static const struct walk walks[] = {
		{ "PUT a product", put_product, check_stock, 200, 3 },
		{ "PATCH a product", patch_product, check_stock, 200, 3 },
		{ "PATCH another's product", patch_anothers_product, check_stock, 200, 4 },
		{ "PATCH a writer's books", patch_writer, check_books_replaced, 200, 7 },
		{ "PUT a category", put_category, check_nothing, 200, 3 },
		{ "PATCH a category", patch_category, check_nothing, 200, 3 },
		{ "PUT a user", put_user, check_nothing, 200, 3 },
		{ "PATCH a user", patch_user, check_nothing, 200, 3 },
	};

	walk_all(walks, ARRAY_SIZE(walks));
}

Test(cancel, removals)
{
	static const struct walk walks[] = {
		{ "delete a product", delete_product, check_product_gone, 204, 3 },
		{ "delete a category", delete_category, check_category_gone, 204, 3 },
		{ "delete a user", delete_user, check_user_gone, 204, 3 },
	};

	walk_all(walks, ARRAY_SIZE(walks));
}

Test(cancel, accounts)
{
	static const struct walk walks[] = {
		{ "create a user", set_user, check_user_made, 201, 5 },
		{ "register", register_user, check_user_made, 201, 6 },
		{ "log in", log_in, check_nothing, 200, 5 },
		{ "verify", verify, check_verified, 200, 1 },
		{ "update a profile", update_profile, check_nothing, 200, 4 },
		{ "follow", follow, check_nothing, 200, 3 },
		{ "unfollow", unfollow, check_nothing, 200, 3 },
		{ "deactivate", deactivate, check_deactivated, 200, 5 },
		{ "send the verification again", resend, check_mailed, 200, 2 },
	};

	walk_all(walks, ARRAY_SIZE(walks));
}

Test(cancel, tokens)
{
	static const struct walk walks[] = {
		{ "obtain", obtain_token, check_nothing, 200, 4 },
		{ "refresh", refresh_token, check_rotated, 200, 3 },
		{ "verify a token", verify_token, check_nothing, 200, 1 },
		{ "blacklist", blacklist_token, check_spent, 200, 1 },
		{ "log out", log_out, check_spent, 200, 2 },
	};

	walk_all(walks, ARRAY_SIZE(walks));
}

Test(cancel, passwords)
{
	static const struct walk walks[] = {
		{ "set a password", set_password, check_password_set, 200, 4 },
		{ "ask for a reset", ask_for_reset, check_mailed, 200, 2 },
		{ "reset", confirm_reset, check_password_set, 200, 4 },
	};

	walk_all(walks, ARRAY_SIZE(walks));
}

static void run_schedule(struct attempt *a)
{
	make_user(true, &a->bearer);
	a->method = "POST";
	a->subject = sql(
		"INSERT INTO beat_schedule (name, task, every) VALUES ('%s', 'none.such', 60) "
		"RETURNING id",
		make_unique("schedule").at);
	a->path = arena_printf(&fx.arena, "/api/v1/schedules/%s/run/", a->subject.at);
}

/* The tick, its job, and what the schedule knows of it: all or none. */
static void check_asked(const struct attempt *a, bool is_done)
{
	check_count(
		sql_count("SELECT count(*) FROM beat_tick k JOIN job_outbox o ON o.id = k.id JOIN "
			  "beat_schedule s ON s.last_job = k.id WHERE s.id = '%s'",
			  a->subject.at),
		is_done, "the run");
	cr_assert_eq(
		sql_count(
			"SELECT count(*) FROM beat_tick k FULL JOIN (SELECT * FROM job_outbox WHERE "
			"task = 'none.such') o ON o.id = k.id WHERE k.id IS NULL OR o.id IS NULL"),
		0);
}

static void pause_schedule(struct attempt *a)
{
	run_schedule(a);
	a->path = arena_printf(&fx.arena, "/api/v1/schedules/%s/pause/", a->subject.at);
}

static void check_paused(const struct attempt *a, bool is_done)
{
	check_count(sql_count("SELECT is_paused::int FROM beat_schedule WHERE id = '%s'",
			      a->subject.at),
		    is_done, "the pause");
}

Test(cancel, schedules)
{
	static const struct walk walks[] = {
		{ "run a schedule", run_schedule, check_asked, 202, 6 },
		{ "pause a schedule", pause_schedule, check_paused, 200, 4 },
	};

	walk_all(walks, ARRAY_SIZE(walks));
}
