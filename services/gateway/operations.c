/*
 * operations.c - one row per handler of routes.def that is written by hand.
 */
#include "operations.h"

#include "shop.h"

/* clang-format off */
static const struct field status_fields[] = { FIELD("status", TEXT, REQUIRED) };
static const struct form status_form = FORM("Status", status_fields);

static const struct form no_form = { .name = "Nothing" };

static const struct field run_fields[] = {
	FIELD("status",  TEXT, REQUIRED),
	FIELD("task_id", UUID, REQUIRED),
};
static const struct form run_form = FORM("ScheduleRun", run_fields);

static const struct field logged_out_fields[] = { FIELD("message", TEXT, REQUIRED) };
static const struct form logged_out_form = FORM("LoggedOut", logged_out_fields);

static const struct field token_pair_fields[] = {
	FIELD("refresh", TEXT, REQUIRED),
	FIELD("access",  TEXT, REQUIRED),
};
static const struct form token_pair_form = FORM("TokenPair", token_pair_fields);

static const struct field signed_in_fields[] = {
	FIELD("user",   EMBED, REQUIRED, REFERS(&user_resource)),
	FIELD("tokens", EMBED, REQUIRED, OF_FORM(&token_pair_form)),
};
static const struct form signed_in_form = FORM("SignedIn", signed_in_fields);

static const char *const document_types[] = { "application/vnd.oai.openapi", "application/yaml",
					       "application/vnd.oai.openapi+json", "application/json", NULL };

static const char *const any_bytes[] = { "application/octet-stream", NULL };

static const struct field popular_fields[] = {
	FIELD("id",    UUID,    READ_ONLY),
	FIELD("name",  TEXT,    REQUIRED, LENGTH(100)),
	FIELD("price", DECIMAL, REQUIRED, DIGITS(10, 2)),
};
static const struct form popular_form = FORM("PopularProduct", popular_fields);

static const struct field task_id = FIELD("id", UUID);
static const struct field queued_fields[] = {
	FIELD("status",   TEXT,  REQUIRED),
	FIELD("task_ids", ARRAY, REQUIRED, OF(&task_id)),
};
static const struct form queued_form = FORM("Queued", queued_fields);

#define PICTURES "ViewSet for product image management"

static const struct {
	route_handler *handler;
	struct operation operation;
} rows[] = {
	{ user_me, { .description = "Get current user's profile", .resource = &user_resource,
		     .answered = ANSWERS_ROW, .rows = &user_resource } },

	{ user_update_profile, { .description = "Update current user's profile",
				 .reads_rows = &user_resource, .answered = ANSWERS_ROW, .rows = &user_resource } },
	{ user_set_password,   { .resource = &user_resource, .reads = &password_form, .answers = &status_form } },
	{ user_follow,         { .description = "Follow a user.", .resource = &user_resource,
				 .answers = &status_form } },
	{ user_unfollow,       { .description = "Unfollow a user.", .resource = &user_resource,
				 .answers = &status_form } },
	{ user_deactivate,     { .description = "Deactivate a user and revoke the refresh tokens.",
				 .resource = &user_resource, .answers = &status_form } },

	{ auth_register, { .reads_rows = &user_resource, .status = 201, .answers = &signed_in_form } },
	{ auth_login,    { .reads = &login_form, .answers = &signed_in_form } },
	{ auth_verify,   { .reads = &verify_email_form, .answers = &status_form } },
	{ auth_logout,   { .reads = &token_blacklist_form, .lists = &no_form, .answers = &logged_out_form } },
	{ auth_resend_verification,    { .reads = &email_form, .answers = &status_form } },
	{ auth_password_reset,         { .reads = &email_form, .answers = &status_form } },
	{ auth_password_reset_confirm, { .title = "Password Reset Confirm",
					 .reads = &password_reset_confirm_form, .answers = &status_form } },

	{ token_obtain,    { .title = "Token Obtain Pair", .description =
				"Takes a set of user credentials and returns an access and refresh JSON web\n"
				"token pair to prove the authentication of those credentials.",
			     .reads = &token_obtain_form, .lists = &token_credentials_form,
			     .answers = &token_obtain_form } },
	{ token_refresh,   { .title = "Token Refresh", .description =
				"Takes a refresh type JSON web token and returns an access type JSON web\n"
				"token if the refresh token is valid.",
			     .reads = &token_refresh_form, .answers = &token_refresh_form } },
	{ token_check,     { .title = "Token Verify", .description =
				"Takes a token and indicates if it is valid.  This view provides no\n"
				"information about a token's fitness for a particular use.",
			     .reads = &token_verify_form, .answers = &token_verify_form } },
	{ token_blacklist, { .title = "Token Blacklist", .description =
				"Takes a token and blacklists it. Must be used with the\n"
				"`rest_framework_simplejwt.token_blacklist` app installed.",
			     .reads = &token_blacklist_form, .answers = &token_blacklist_form } },

	{ post_my_posts, { .description = "Get current user's posts.", .resource = &post_resource,
			   .answered = ANSWERS_ARRAY, .rows = &post_resource } },
	{ post_publish,  { .description = "Publish a post.", .resource = &post_resource, .answers = &status_form } },
	{ post_comments, { .description = "List or add comments of a post.", .resource = &post_resource,
			   .answered = ANSWERS_PAGE, .rows = &comment_resource } },
	{ post_comment,  { .description = "List or add comments of a post.", .resource = &post_resource,
			   .reads_rows = &comment_resource, .preset = "post", .reads_as = "PostComment", .status = 201,
			   .answered = ANSWERS_ROW, .rows = &comment_resource } },

	{ schedule_pause,   { .description = "Plan nothing until it is resumed.", .resource = &schedule_resource,
			      .answers = &status_form } },
	{ schedule_resume,  { .description = "Plan again, from now on.", .resource = &schedule_resource,
			      .answers = &status_form } },
	{ schedule_run,     { .description = "Ask for a run now.", .resource = &schedule_resource, .status = 202,
			      .answers = &run_form } },
	{ schedule_history, { .description = "What became of its planned times.", .resource = &schedule_resource,
			      .answered = ANSWERS_PAGE, .rows = &schedule_tick_resource } },

	{ api_root,   { .title = "Api Root", .description = "The default basic root view for DefaultRouter" } },
	{ api_schema, { .title = "Spectacular Api", .description =
			"OpenApi3 schema for this API. Format can be selected via content negotiation.\n\n"
			"- YAML: application/vnd.oai.openapi\n- JSON: application/vnd.oai.openapi+json",
			.answer_types = document_types } },

	{ product_publish, { .resource = &product_resource, .answers = &status_form } },
	{ product_popular, { .description = "The ten most viewed active products.", .resource = &product_resource,
			     .answers = &popular_form, .answers_array = true } },
	{ product_generate_variants, { .description = "Queue the making of every image's variants.",
				       .resource = &product_resource, .status = 202, .answers = &queued_form } },

	{ product_image_set_primary, { .description = PICTURES, .resource = &product_image_resource,
				       .answers = &status_form } },
	{ product_image_reorder,     { .description = PICTURES, .resource = &product_image_resource,
				       .answers = &status_form } },
	{ product_image_bulk_upload, { .description = "Upload multiple images at once",
				       .resource = &product_image_resource, .status = 201 } },

	{ profile_read,    { .answered = ANSWERS_ROW, .rows = &profile_resource } },
	{ profile_replace, { .resource = &profile_resource, .reads_rows = &profile_resource,
			     .answered = ANSWERS_ROW, .rows = &profile_resource } },
	{ profile_change,  { .reads_rows = &profile_resource, .answered = ANSWERS_ROW, .rows = &profile_resource } },
	{ profile_put_avatar, { .reads = &avatar_form, .answered = ANSWERS_ROW, .rows = &profile_resource } },

	{ document_download, { .description = "A user's documents; staff see everybody's.",
			       .answer_types = any_bytes, .answers_bytes = true } },
};
/* clang-format on */

const struct operation *operation_of(const struct route *route)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].handler == route->handle)
			return &rows[i].operation;
	}
	return NULL;
}
