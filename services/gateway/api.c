#include "api.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"
#include "http/negotiate.h"
#include "resource/openapi.h"
#include "shop.h"

#define TITLE   "Your API"
#define VERSION "1.0.0"

/* Read-only once the threads run; as old as the process. */
static struct arena document_arena;
static struct openapi document;
static bool has_swagger, has_redoc;

/* {"users": "http://host/api/v1/users/", …}: what has routes of its own, in the order of routes.def. */
int api_root(struct request *rq)
{
	_cleanup_(buf_fini) struct buf out = BUF_INIT;
	struct json_writer w;

	json_writer_init(&w, &out, JSON_ESCAPE_DRF, false);
	json_begin_object(&w);
	for (size_t i = 0; i < shop_resource_count; i++) {
		struct str path = str_c(shop_resources[i]->path);

		if (shop_resources[i]->actions & MAY_NOTHING)
			continue;
		json_put_key(&w, str_slice(path, 0, path.len - 1));
		json_put_str(&w,
			     request_absolute(rq, arena_printf(&rq->arena, "%.*s%.*s",
							       STR_ARG(rq->mount), STR_ARG(path))));
	}
	json_end_object(&w);
	return reply_json_take(rq, 200, &out);
}

/* --- the document --- */

static const struct offer offers[] = {
	{ "application/vnd.oai.openapi", "yaml" },
	{ "application/yaml", "yaml" },
	{ "application/vnd.oai.openapi+json", "json" },
	{ "application/json", "json" },
};
static const char *const content_types[] = {
	"application/vnd.oai.openapi; charset=utf-8",
	"application/yaml; charset=utf-8",
	"application/vnd.oai.openapi+json",
	"application/json",
};

/* An error in the document's own form: the first renderer speaks, as DRF has it. */
static int refuse(struct request *rq, int r)
{
	const char *code = r == -E_NOT_FOUND ? "not_found" : "not_acceptable";

	return reply_text(rq, error_http(r), content_types[0],
			  arena_printf(&rq->arena, "detail:\n  string: %s\n  code: %s\n",
				       fail_reason(r), code));
}

int api_schema(struct request *rq)
{
	struct negotiated chosen;
	bool is_json;
	int r;

	must(!str_is_null(document.json));
	r = negotiate_offers(rq, STR_NULL, offers, ARRAY_SIZE(offers), &chosen);
	if (r < 0)
		return refuse(rq, r);
	is_json = strcmp(offers[chosen.offer].format, "json") == 0;
	reply_header(rq, STR("Content-Disposition"),
		     is_json ? STR("inline; filename=\"" TITLE ".json\"")
			     : STR("inline; filename=\"" TITLE ".yaml\""));
	return reply_text(rq, 200, content_types[chosen.offer],
			  is_json ? document.json : document.yaml);
}

/* --- pages --- */

static const char swagger_page[] =
	"<!DOCTYPE html>\n<html>\n<head>\n<title>" TITLE "</title>\n<meta charset=\"utf-8\">\n"
	"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	"<link rel=\"stylesheet\" href=\"/static/swagger-ui-dist/swagger-ui.css\">\n</head>\n<body>\n"
	"<div id=\"swagger-ui\"></div>\n"
	"<script src=\"/static/swagger-ui-dist/swagger-ui-bundle.js\"></script>\n"
	"<script>SwaggerUIBundle({url: \"../schema/\", dom_id: \"#swagger-ui\", deepLinking: true});"
	"</script>\n</body>\n</html>\n";

static const char redoc_page[] =
	"<!DOCTYPE html>\n<html>\n<head>\n<title>" TITLE "</title>\n<meta charset=\"utf-8\">\n"
	"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	"<style>body { margin: 0; padding: 0; }</style>\n</head>\n<body>\n"
	"<redoc spec-url=\"../schema/\"></redoc>\n"
	"<script src=\"/static/redoc/bundles/redoc.standalone.js\"></script>\n</body>\n</html>\n";

/* Where nobody has fetched them (`./dev assets`). */
static const char plain_page[] =
	"<!DOCTYPE html>\n<html>\n<head>\n<title>" TITLE
	"</title>\n<meta charset=\"utf-8\">\n</head>\n"
	"<body>\n<h1>" TITLE "</h1>\n<ul>\n<li><a href=\"../schema/\">The document, YAML</a></li>\n"
	"<li><a href=\"../schema/?format=json\">The document, JSON</a></li>\n</ul>\n"
	"</body>\n</html>\n";

static int reply_html(struct request *rq, const char *page)
{
	return reply_text(rq, 200, "text/html; charset=utf-8", str_c(page));
}

int api_docs(struct request *rq)
{
	/* Its log-in windows talk to their opener. */
	reply_header(rq, STR("Cross-Origin-Opener-Policy"), STR("unsafe-none"));
	return reply_html(rq, has_swagger ? swagger_page : plain_page);
}

int api_redoc(struct request *rq)
{
	return reply_html(rq, has_redoc ? redoc_page : plain_page);
}

static bool has_asset(const char *assets, const char *path)
{
	return faccessat(AT_FDCWD, arena_printf(&document_arena, "%s/%s", assets, path).at, R_OK,
			 0) == 0;
}

void api_describe(const struct route_table *routes, const char *assets)
{
	static const struct openapi_info info = { .title = TITLE, .version = VERSION };

	arena_init(&document_arena);
	openapi_build(&document_arena, routes, &info, &document);
	has_swagger = has_asset(assets, "swagger-ui-dist/swagger-ui-bundle.js");
	has_redoc = has_asset(assets, "redoc/bundles/redoc.standalone.js");
}
