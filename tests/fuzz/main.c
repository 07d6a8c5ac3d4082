/* libFuzzer's entry of one target, named by FUZZ_TARGET. */
#include "fuzz.h"

#include "base/log.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	log_setup(LOG_ERROR, false, "fuzz");
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FUZZ_TARGET(str_make(size == 0 ? "" : (const char *) data, size));
	return 0;
}
