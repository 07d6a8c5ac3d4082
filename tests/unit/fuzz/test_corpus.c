/* Every input that was ever worth keeping, once more (tests/fuzz/fuzz.h). */
#include "fuzz.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>

#include "base/buf.h"

static void read_file(const char *path, struct buf *to)
{
	FILE *from = fopen(path, "rb");
	size_t n;

	cr_assert_not_null(from, "%s", path);
	do {
		buf_reserve(to, 4 * KIB);
		n = fread(to->at + to->len, 1, 4 * KIB, from);
		to->len += n;
	} while (n > 0);
	fclose(from);
}

static void replay(const char *name, void (*target)(struct str))
{
	char folder[512], path[1024];
	struct dirent *entry;
	unsigned count = 0;
	DIR *dir;

	snprintf(folder, sizeof(folder), "%s/%s", CORPUS, name);
	dir = opendir(folder);
	cr_assert_not_null(dir, "%s", folder);
	while ((entry = readdir(dir)) != NULL) {
		struct buf input = BUF_INIT;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		read_file(path, &input);
		target(buf_str(&input));
		buf_fini(&input);
		count++;
	}
	closedir(dir);
	cr_assert_gt(count, 0, "%s has no input", folder);
	target(STR(""));
}

#define TARGET(name)                                                                               \
	Test(corpus, name)                                                                         \
	{                                                                                          \
		replay(#name, fuzz_##name);                                                        \
	}
#include "targets.def"
#undef TARGET
