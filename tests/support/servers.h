/*
 * servers.h - a private PostgreSQL and a private Redis for criterion suites.
 *
 * One of each per test program, started on first use in a temporary folder, on unix sockets and a free
 * loopback port, stopped when the program ends (also when it dies: they get SIGTERM with their parent).  When
 * APIUM_TEST_DATABASE_URL or APIUM_TEST_REDIS_URL is set, that server is used instead.  As root PostgreSQL
 * runs as the user `postgres`.
 */
#ifndef TESTS_SUPPORT_SERVERS_H
#define TESTS_SUPPORT_SERVERS_H

/* Connection URL; aborts the test with the reason if the server cannot be started.  Call from a suite's
 * init or before criterion forks (criterion_initialize), so that every test shares it. */
const char *servers_postgres(void);
const char *servers_redis(void);
/* Stop and start again, for tests of loss.  Data stays. */
void servers_postgres_stop(void);
void servers_postgres_start(void);
void servers_redis_stop(void);
void servers_redis_start(void);

#endif
