#include "fuzz.h"

#include "http/internal.h"

/* What is taken has each framing header at most once, and every line ends as it must. */
void fuzz_head(struct str input)
{
	bool is_chunked = false;
	const char *fault = head_fault(input, &is_chunked);

	must(fault != NULL || str_find(input, STR("\n")) >= 0);
	must(fault == NULL || !is_chunked);
}
