#include "fuzz.h"

#include "http/media_type.h"

void fuzz_media_type(struct str input)
{
	_cleanup_(arena_fini) struct arena a;
	struct media_type type = media_type_parse(input);
	struct str rest = type.parameters, name, value;
	int precedence = media_type_precedence(&type);

	arena_init(&a);
	must(precedence >= 0 && precedence <= 3);
	(void) media_type_matches(STR("application/json"), &type);
	while (parameter_next(&a, &rest, &name, &value))
		must(name.len <= input.len && value.len <= input.len);
	(void) parameter_find(&a, type.parameters, STR("boundary"));
}
