/*
 * clock.c - times of a day as Django's parse_time takes them.
 */
#include "resource/coerce.h"

/* One digit or two at the start of the text; -1 without. */
static int take_pair(struct str *text)
{
	size_t len = 0;
	int number = 0;

	for (; len < 2 && len < text->len && text->at[len] >= '0' && text->at[len] <= '9'; len++)
		number = number * 10 + (text->at[len] - '0');
	if (len == 0)
		return -1;
	*text = str_slice(*text, len, text->len);
	return number;
}

static bool take_byte(struct str *text, char byte)
{
	if (text->len == 0 || text->at[0] != byte)
		return false;
	*text = str_slice(*text, 1, text->len);
	return true;
}

/* ".5", ",123456": at most six digits count, more are cut off; false for what is no fraction. */
static bool take_fraction(struct str *text, int *ret_micros)
{
	int micros = 0;
	size_t digits = 0;

	if (!take_byte(text, '.') && !take_byte(text, ','))
		return true;
	for (; digits < text->len && text->at[digits] >= '0' && text->at[digits] <= '9'; digits++) {
		if (digits < 6)
			micros = micros * 10 + (text->at[digits] - '0');
	}
	for (size_t i = digits; i < 6; i++)
		micros *= 10;
	*text = str_slice(*text, digits, text->len);
	*ret_micros = micros;
	return digits > 0;
}

bool clock_text(struct arena *arena, struct str text, struct str *ret)
{
	int hour, minute, second = 0, micros = 0;

	hour = take_pair(&text);
	if (hour < 0 || hour > 23 || !take_byte(&text, ':'))
		return false;
	minute = take_pair(&text);
	if (minute < 0 || minute > 59)
		return false;
	if (take_byte(&text, ':')) {
		second = take_pair(&text);
		if (second < 0 || second > 59 || !take_fraction(&text, &micros))
			return false;
	}
	if (text.len > 0)
		return false;
	*ret = arena_printf(arena, "%02d:%02d:%02d.%06d", hour, minute, second, micros);
	return true;
}
