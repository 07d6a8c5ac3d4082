/*
 * servers.h - a private PostgreSQL and a private Redis for criterion suites.
 *
 * One of each per test program, started on first use in a temporary folder, on unix sockets and a
 * free loopback port, stopped when the program ends (also when it dies: they get a signal with
 * their parent). When APIUM_TEST_DATABASE_URL or APIUM_TEST_REDIS_URL is set, that server is used
 * instead.  As root PostgreSQL runs as the user `postgres`.
 *
 * Criterion runs every test in a process of its own, several at once.  So the servers are started
 * in ReportHook(PRE_ALL), which runs once in the program's first process, and the tests find them
 * by those two variables.  A test that stops a server or changes its settings calls
 * servers_private_postgres() or servers_private_redis() first: it then has one that nobody else uses.
 */
#ifndef TESTS_SUPPORT_SERVERS_H
#define TESTS_SUPPORT_SERVERS_H

/* Connection URL (a unix socket); aborts the test with the reason if the server cannot be
 * started. */
const char *servers_postgres(void);
const char *servers_redis(void);
/* The same over 127.0.0.1. */
const char *servers_postgres_tcp(void);
const char *servers_redis_tcp(void);

/* A temporary folder of this process, removed at its end. */
const char *servers_folder(void);

/* From here on this process has a server of its own, started on first use. */
void servers_private_postgres(void);
void servers_private_redis(void);
/* Stop and start again, for tests of loss.  Data stays.  Only after servers_private_…. */
void servers_postgres_stop(void);
void servers_postgres_start(void);
void servers_redis_stop(void);
void servers_redis_start(void);

#endif
