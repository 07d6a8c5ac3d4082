#include "beat/zone.h"

#include <ctype.h>
#include <errno.h>
#include <glib.h>
#include <stdio.h>

#include "base/error.h"

/* An opened zone is GLib's; the struct is only a name for it. */

static const GTimeZone *zone_of(const struct zone *z)
{
	return (const GTimeZone *) (const void *) z;
}

/* Names become paths below the database's folder: letters, digits and what stands between them. */
static bool is_name(struct str name)
{
	if (name.len == 0 || name.len > ZONE_MOST || name.at[0] == '/')
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (!isalnum((unsigned char) name.at[i]) && strchr("_-+/:", name.at[i]) == NULL)
			return false;
	return true;
}

int zone_open(struct str name, struct zone **ret)
{
	char text[ZONE_MOST + 1];
	GTimeZone *zone = NULL;

	if (is_name(name)) {
		(void) snprintf(text, sizeof(text), "%.*s", STR_ARG(name));
		zone = g_time_zone_new_identifier(text);
	}
	if (zone == NULL)
		return fail(-EINVAL, "there is no time zone %.*s",
			    STR_ARG(str_slice(name, 0, 100)));
	*ret = (struct zone *) (void *) zone;
	return 0;
}

struct zone *zone_free(struct zone *z)
{
	if (z != NULL)
		g_time_zone_unref((GTimeZone *) (void *) z);
	return NULL;
}

static int64_t seconds_of(usec_t at)
{
	return (at < 0 ? at - SEC + 1 : at) / SEC;
}

/* The stretch between two changes of the clock in which that moment lies. */
static int stretch_at(const struct zone *z, usec_t at)
{
	return g_time_zone_find_interval((GTimeZone *) zone_of(z), G_TIME_TYPE_UNIVERSAL,
					 seconds_of(at));
}

static usec_t offset_in(const struct zone *z, int stretch)
{
	return g_time_zone_get_offset((GTimeZone *) zone_of(z), stretch) * SEC;
}

usec_t zone_wall(const struct zone *z, usec_t at)
{
	return at + offset_in(z, stretch_at(z, at));
}

unsigned zone_moments(const struct zone *z, usec_t wall, usec_t ret[2])
{
	/* No offset is longer than a day, and none is changed twice within two. */
	int first = stretch_at(z, wall - DAY), last = stretch_at(z, wall + DAY);
	unsigned count = 0;

	for (int stretch = first; stretch <= last && count < 2; stretch++) {
		usec_t at = wall - offset_in(z, stretch);

		if (stretch_at(z, at) == stretch)
			ret[count++] = at;
	}
	if (count == 0)
		ret[0] = wall - offset_in(z, first);
	return count;
}

bool zone_is_even(const struct zone *z, usec_t wall, usec_t *ret)
{
	int first = stretch_at(z, wall - DAY);

	if (first != stretch_at(z, wall + 2 * DAY))
		return false;
	*ret = offset_in(z, first);
	return true;
}
