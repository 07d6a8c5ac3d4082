#include "gateway/ask.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/settings.h"

#define PATIENCE_MS 5000L

static size_t drop(char *data, size_t size, size_t count, void *arg)
{
	(void) data, (void) arg;
	return size * count;
}

/* The answer's status, or 0 with what is wrong in `why`. */
static long ask(CURL *curl, const char *scheme, struct str address, char *why)
{
	char url[512];
	long status = 0;

	snprintf(url, sizeof(url), "%s://%.*s/healthz", scheme, STR_ARG(address));
	why[0] = '\0';
	if (curl_easy_setopt(curl, CURLOPT_URL, url) != CURLE_OK ||
	    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why) != CURLE_OK ||
	    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, drop) != CURLE_OK ||
	    curl_easy_setopt(curl, CURLOPT_PROXY, "") != CURLE_OK ||
	    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L) != CURLE_OK ||
	    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L) != CURLE_OK ||
	    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, PATIENCE_MS / 2) != CURLE_OK)
		return 0;
	if (curl_easy_perform(curl) == CURLE_OK)
		(void) curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

int gateway_ask_health(void)
{
	static const char *const schemes[] = { "http", "https" };
	struct str rest = str_c(settings.listen), address = STR("");
	char why[CURL_ERROR_SIZE];
	CURL *curl = curl_easy_init();
	long status = 0;

	must(curl != NULL);
	(void) settings_next_item(&rest, &address);
	for (size_t i = 0; status == 0 && i < ARRAY_SIZE(schemes); i++)
		status = ask(curl, schemes[i], address, why);
	curl_easy_cleanup(curl);
	if (status > 0 && status < 500) {
		printf("healthy\n");
		return EXIT_SUCCESS;
	}
	if (status > 0)
		printf("unhealthy: %.*s answers %ld\n", STR_ARG(address), status);
	else
		printf("unhealthy: %.*s: %s\n", STR_ARG(address), why);
	return EXIT_FAILURE;
}
