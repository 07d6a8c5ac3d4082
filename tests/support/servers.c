#include "servers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define POSTGRES_FOLDER "/usr/lib/postgresql/15/bin"
#define PATIENCE_MS     60000

/* One server that this process started. */
struct server {
	const char *name;
	const char *url_variable; /* through which the tests' processes find it */
	const char *tcp_variable;
	bool is_private; /* from here on this process has one of its own */
	pid_t pid;       /* 0: not running */
	int port;        /* 0: never started */
	char folder[96];
	char url[256], tcp[256];
};

static struct server postgres = {
	.name = "postgres",
	.url_variable = "APIUM_TEST_DATABASE_URL",
	.tcp_variable = "APIUM_TEST_DATABASE_URL_TCP",
};
static struct server redis = {
	.name = "redis",
	.url_variable = "APIUM_TEST_REDIS_URL",
	.tcp_variable = "APIUM_TEST_REDIS_URL_TCP",
};

static char folder[64]; /* of this process; "" before first use */
static pid_t owner;     /* the process that made it, and removes it */

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("servers: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	abort();
}

static void pause_shortly(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
}

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Who runs PostgreSQL, which refuses to be root; NULL: whoever we are. */
static const struct passwd *other_user(void)
{
	const struct passwd *user;

	if (geteuid() != 0)
		return NULL;
	user = getpwnam("postgres");
	if (user == NULL)
		die("there is no user postgres");
	return user;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void) st, (void) type, (void) ftw;
	return remove(path);
}

static void server_stop(struct server *s, int signal_number)
{
	long until = now_ms() + PATIENCE_MS;
	int status;

	if (s->pid == 0)
		return;
	kill(s->pid, signal_number);
	while (waitpid(s->pid, &status, WNOHANG) == 0) {
		if (now_ms() > until)
			kill(s->pid, SIGKILL);
		pause_shortly();
	}
	s->pid = 0;
}

static void at_end(void)
{
	if (getpid() != owner)
		return; /* a fork of the owner */
	server_stop(&postgres, SIGINT);
	server_stop(&redis, SIGTERM);
	nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void make_folder(void)
{
	const char *outer = getenv("APIUM_TEST_FOLDER");

	if (folder[0] != '\0')
		return;
	/* Inside of the first process's, which removes what a killed test leaves behind. */
	snprintf(folder, sizeof(folder), "%s/apium-test-XXXXXX", outer == NULL ? "/tmp" : outer);
	if (mkdtemp(folder) == NULL || chmod(folder, 0755) < 0)
		die("%s: %s", folder, strerror(errno));
	if (outer == NULL)
		setenv("APIUM_TEST_FOLDER", folder, 1);
	owner = getpid();
	atexit(at_end);
}

static bool is_free(int port)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons((uint16_t) port),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool is_bound = fd >= 0 && bind(fd, (struct sockaddr *) &to, sizeof(to)) == 0;

	close(fd);
	return is_bound;
}

/* Below the ports that the kernel gives to whoever connects: it stays ours over a restart.  By
 * chance, so that suites that run at once choose different ones. */
static int free_port(void)
{
	unsigned port;

	do {
		if (getrandom(&port, sizeof(port), 0) != sizeof(port))
			die("no randomness: %s", strerror(errno));
		port = 10000 + port % 20000;
	} while (!is_free((int) port));
	return (int) port;
}

/* A child that dies with us; its output goes to `log` in the server's folder. */
static pid_t start(const struct server *s, const char *log, const struct passwd *user,
		   int death_signal, const char *const *argv)
{
	pid_t parent = getpid(), pid = fork();
	char path[128];
	int fd;

	if (pid != 0)
		return pid;
	snprintf(path, sizeof(path), "%s/%s", s->folder, log);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
	dup2(fd, 1);
	dup2(fd, 2);
	dup2(open("/dev/null", O_RDONLY), 0);
	closefrom(3);
	setsid(); /* a Ctrl-C at the terminal reaches us, and them through us */
	if (user != NULL && (initgroups(user->pw_name, user->pw_gid) < 0 ||
			     setgid(user->pw_gid) < 0 || setuid(user->pw_uid) < 0))
		_exit(126);
	prctl(PR_SET_PDEATHSIG, death_signal); /* after setuid, which clears it */
	if (getppid() != parent || chdir(s->folder) < 0)
		_exit(126);
	execv(argv[0], (char *const *) argv);
	_exit(127);
}

static void show_log(const struct server *s)
{
	char path[128], line[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/log", s->folder);
	file = fopen(path, "re");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		fputs(line, stderr);
	if (file != NULL)
		fclose(file);
}

static void await_ready(struct server *s, bool (*is_ready)(const struct server *))
{
	long until = now_ms() + PATIENCE_MS;
	int status;

	while (!is_ready(s)) {
		if (now_ms() > until || waitpid(s->pid, &status, WNOHANG) != 0) {
			show_log(s);
			die("%s does not start", s->name);
		}
		pause_shortly();
	}
}

/* The eighth line of postmaster.pid is the server's own word for its state. */
static bool postgres_is_ready(const struct server *s)
{
	char path[128], line[256] = "";
	FILE *file;

	snprintf(path, sizeof(path), "%s/data/postmaster.pid", s->folder);
	file = fopen(path, "re");
	if (file == NULL)
		return false;
	for (int i = 0; i < 8; i++)
		if (fgets(line, sizeof(line), file) == NULL)
			line[0] = '\0';
	fclose(file);
	return strncmp(line, "ready", 5) == 0;
}

static bool redis_is_up(const struct server *s)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char answer[64];
	bool is_up;

	snprintf(to.sun_path, sizeof(to.sun_path), "%s/redis.sock", s->folder);
	/* Any complete answer but "-LOADING" will do: a test may have set a password. */
	is_up = connect(fd, (struct sockaddr *) &to, sizeof(to)) == 0 &&
		write(fd, "PING\r\n", 6) == 6 && read(fd, answer, sizeof(answer)) > 1 &&
		strncmp(answer, "-LOADING", 8) != 0;
	close(fd);
	return is_up;
}

static void make_server_folder(struct server *s, const struct passwd *user)
{
	make_folder();
	snprintf(s->folder, sizeof(s->folder), "%s/%s", folder, s->name);
	if (mkdir(s->folder, 0700) < 0 ||
	    (user != NULL && chown(s->folder, user->pw_uid, user->pw_gid) < 0))
		die("%s: %s", s->folder, strerror(errno));
	s->port = free_port();
}

static void postgres_make(void)
{
	const struct passwd *user = other_user();
	/* clang-format off */
	const char *const argv[] = {
		POSTGRES_FOLDER "/initdb",
		"-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8",
		"--locale=C.UTF-8", "--no-sync", "--no-instructions",
		NULL,
	};
	/* clang-format on */
	int status;

	make_server_folder(&postgres, user);
	if (waitpid(start(&postgres, "log", user, SIGKILL, argv), &status, 0) < 0 || status != 0) {
		show_log(&postgres);
		die("initdb failed");
	}
	snprintf(postgres.url, sizeof(postgres.url),
		 "postgresql:///postgres?host=%s&port=%d&user=postgres", postgres.folder,
		 postgres.port);
	snprintf(postgres.tcp, sizeof(postgres.tcp), "postgresql://postgres@127.0.0.1:%d/postgres",
		 postgres.port);
}

static void postgres_run(void)
{
	char port[16];
	/* clang-format off */
	const char *const argv[] = {
		POSTGRES_FOLDER "/postgres",
		"-D", "data",
		"-p", port,
		"-k", postgres.folder,
		"-h", "127.0.0.1",
		"-c", "fsync=off",
		"-c", "full_page_writes=off",
		"-c", "max_connections=200",
		"-c", "shared_buffers=32MB",
		"-c", "logging_collector=off",
		NULL,
	};
	/* clang-format on */

	snprintf(port, sizeof(port), "%d", postgres.port);
	postgres.pid = start(&postgres, "log", other_user(), SIGINT, argv);
	await_ready(&postgres, postgres_is_ready);
}

static void redis_run(void)
{
	char port[16];
	/* clang-format off */
	const char *const argv[] = {
		"/usr/bin/redis-server",
		"--port", port,
		"--bind", "127.0.0.1",
		"--unixsocket", "redis.sock",
		"--appendonly", "yes",
		"--save", "",
		NULL,
	};
	/* clang-format on */

	if (redis.port == 0) {
		make_server_folder(&redis, NULL);
		snprintf(redis.url, sizeof(redis.url), "unix://%s/redis.sock", redis.folder);
		snprintf(redis.tcp, sizeof(redis.tcp), "redis://127.0.0.1:%d", redis.port);
	}
	snprintf(port, sizeof(port), "%d", redis.port);
	redis.pid = start(&redis, "log", NULL, SIGTERM, argv);
	await_ready(&redis, redis_is_up);
}

/* The url of the program's server, or of this process's own. */
static const char *find(struct server *s, const char *variable, const char *own)
{
	const char *found = getenv(variable);

	if (!s->is_private && found != NULL)
		return found;
	if (s->port == 0) {
		if (s == &postgres)
			postgres_make();
		if (s == &postgres)
			postgres_run();
		else
			redis_run();
		if (!s->is_private) {
			setenv(s->url_variable, s->url, 1);
			setenv(s->tcp_variable, s->tcp, 1);
		}
	}
	return own;
}

const char *servers_postgres(void)
{
	return find(&postgres, postgres.url_variable, postgres.url);
}

const char *servers_redis(void)
{
	return find(&redis, redis.url_variable, redis.url);
}

const char *servers_postgres_tcp(void)
{
	return find(&postgres, postgres.tcp_variable, postgres.tcp);
}

const char *servers_redis_tcp(void)
{
	return find(&redis, redis.tcp_variable, redis.tcp);
}

const char *servers_folder(void)
{
	make_folder();
	return folder;
}

void servers_private_postgres(void)
{
	postgres.is_private = true;
}

void servers_private_redis(void)
{
	redis.is_private = true;
}

static void check_private(const struct server *s)
{
	if (!s->is_private || s->port == 0)
		die("only servers of one's own are stopped: servers_private_%s()", s->name);
}

void servers_postgres_stop(void)
{
	check_private(&postgres);
	server_stop(&postgres, SIGINT);
}

void servers_postgres_start(void)
{
	check_private(&postgres);
	postgres_run();
}

void servers_redis_stop(void)
{
	check_private(&redis);
	server_stop(&redis, SIGTERM);
}

void servers_redis_start(void)
{
	check_private(&redis);
	redis_run();
}
