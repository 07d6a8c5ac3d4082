/*
 * settings.h - twelve-factor settings from one table (settings.def).
 *
 * Sources, later wins: the default, the environment, the file that APIUM_SETTINGS_FILE names (lines
 * NAME=value; '#' begins a comment line; a value may stand in double quotes), what the command line
 * said (settings_say).  A variable that begins with APIUM_ but is no
 * row is an error that names the nearest right one (except APIUM_TEST_*, left to test harnesses);
 * so is a value out of its bounds.  An application adds rows with settings_register.
 *
 * Settings that contradict each other (settings_rules.def) are refused with both names.
 *
 * `settings` is read-only after settings_load, which runs once at start, before threads; but for
 * RELOADABLE rows, which settings_reload sets anew (at SIGHUP): whoever reads one of those reads it
 * each time, and a text stays valid for ever.
 */
#ifndef BASE_SETTINGS_H
#define BASE_SETTINGS_H

#include "base/buf.h"

struct settings {
	const char *env, *settings_file, *secret_key, *listen;
	int64_t threads;
	const char *database_url, *database_direct_url, *database_replica_url;
	usec_t replica_lag;
	int64_t db_shared, db_exclusive;
	bool db_prepare;
	const char *redis_url, *result_url;
	int64_t wait_replicas;
	usec_t wait_timeout;
	bool error_envelope;
	const char *media_root, *static_root, *private_root, *mail_url, *mail_from;
	const char *queues, *shared_queues, *unknown_to;
	const char *key_prefix, *result_prefix, *node;
	const char *priority_steps, *priority_separator;
	bool result_extended, result_chord_ordered, track_started, task_events;
	int64_t hosts, concurrency, processes, sandboxes;
	int64_t max_tasks_per_child, max_memory_per_child;
	const char *autoscale;
	usec_t result_expires, grace, time_limit, soft_time_limit;
	int64_t max_body, body_budget, requests;
	const char *allowed_hosts, *cors_origins, *proxy_scheme, *tls_cert, *tls_key;
	bool http2, cors_credentials, proxy_host, hsts_subdomains, hsts_preload, ssl_redirect;
	int64_t cors_max_age, hsts, statements_most;
	bool compress;
	usec_t header_timeout, upload_timeout, idle_timeout;
	int64_t upload_rate;
	bool throttle;
	const char *throttle_anon, *throttle_user, *throttle_login;
	int64_t num_proxies;
	usec_t idempotency_ttl;
	bool cache;
	const char *cache_prefix;
	int64_t cache_l1;
	int64_t password_threads;
	const char *password_write;
	bool password_upgrade;
	int64_t login_failures, login_history;
	usec_t login_cooloff;
	bool token_authentication;
	const char *jwks_url, *jwt_issuer, *jwt_audience, *jwt_user_claim;
	usec_t beat_lease;
	int64_t beat_history;
	const char *log_format, *log_level;
	const char *metrics_listen;
	bool diag;
};

extern struct settings settings;

enum setting_type {
	SETTING_TEXT,
	SETTING_COUNT,
	SETTING_SECONDS,
	SETTING_BYTES,
	SETTING_SWITCH,
	SETTING_CHOICE
};
enum { SETTING_SECRET = 1, SETTING_CORES = 2, SETTING_RELOADABLE = 4 };

struct setting {
	const char *name;
	enum setting_type type;
	void *at; /* const char *, int64_t, usec_t or bool, by type */
	const char *usual;
	int64_t least, most; /* both 0: no bounds */
	unsigned flags;
	const char *help;
};

/* More rows; must stay valid for ever, before settings_load. */
void settings_register(const struct setting *rows, size_t count);

/*
 * What an option of the command line says about a row, before settings_load.  Kept in the environment
 * (APIUM_COMMAND_LINE), so that the processes which this one starts hear it, too.  0, or
 * -E_BAD_SETTING: the value has more than one line.
 */
int settings_say(const char *name, const char *value) _must_check_;

/* Reads the environment.  0, or -E_BAD_SETTING with the reason (error.h) naming the variable. */
int settings_load(void) _must_check_;
/*
 * The file once more: RELOADABLE rows take their values from it; another row whose value would be
 * another is named in a warning and stays.  0 or -E_BAD_SETTING, and then nothing has changed.  From
 * one thread at a time.
 */
int settings_reload(void) _must_check_;
/* What a program does at SIGHUP: settings_reload, the log's level, and a line that says how it went. */
void settings_on_hangup(void);
/* Bugs in the tables themselves, as a sentence in the reason: duplicates, missing help, bad
 * default. */
int settings_check(void) _must_check_;
/* A production start with the default secret is refused.  0 or -E_BAD_SETTING. */
int settings_check_secret(void) _must_check_;
bool settings_is_development(void); /* APIUM_ENV is development or test */

/* All rows in order, for documents: NULL behind the last. */
const struct setting *settings_row(size_t number);

/* The table as text: NAME=value, then default and help; secrets as "***". */
void settings_print(struct buf *);

/* Visits the comma-separated items of a list setting, trimmed, empty ones left out. */
bool settings_next_item(struct str *rest, struct str *ret_item);

#endif
