#include "uploads.h"

#include "base/codec.h"
#include "base/error.h"
#include "base/log.h"
#include "base/world.h"
#include "storage/storage.h"

#define MEDIA          "/media/"
#define EXTENSION_MOST 8

struct str upload_suffix(struct str filename)
{
	for (size_t i = filename.len; i-- > 1;) {
		if (filename.at[i] == '.')
			return str_slice(filename, i, filename.len);
	}
	return STR("");
}

struct str upload_extension(struct arena *arena, struct str filename)
{
	struct str suffix = upload_suffix(filename);
	char *lower = arena_c(arena, suffix);

	if (suffix.len > EXTENSION_MOST)
		return STR("");
	for (size_t i = 0; i < suffix.len; i++) {
		char c = lower[i];

		if (c >= 'A' && c <= 'Z')
			lower[i] = (char) (c + ('a' - 'A'));
		else if (c != '.' && !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9'))
			return STR("");
	}
	return str_make(lower, suffix.len);
}

struct str upload_random_path(struct arena *arena, const char *folder, struct str filename)
{
	_cleanup_(buf_fini) struct buf hex = BUF_INIT;
	char random[16];

	random_bytes(random, sizeof(random));
	hex_encode(&hex, str_make(random, sizeof(random)));
	return arena_printf(arena, "%s/%s%.*s", folder, hex.at,
			    STR_ARG(upload_extension(arena, filename)));
}

int upload_is_picture(const struct upload *upload)
{
	struct image_header header;

	return image_check(upload->bytes, &header);
}

struct str upload_url(struct request *rq, struct str path)
{
	_cleanup_(buf_fini) struct buf url = BUF_INIT;

	buf_add_c(&url, MEDIA);
	percent_encode(&url, path, STR("/"));
	return request_absolute(rq, arena_str(&rq->arena, buf_str(&url)));
}

void upload_delete(const struct storage *storage, struct str path)
{
	int r = storage_delete(storage, path);

	if (r < 0)
		log_warn("%.*s stays behind: %s, ignoring", STR_ARG(path), fail_reason(r));
}
