/*
 * vectors.h - made by make_vectors.py with the real Django.
 */
/* clang-format off */
#define VECTOR_SECRET   "a secret of some length for the tests"
#define VECTOR_PASSWORD "Quiet-Harbour-77 Ünïcode"
static const struct {
	const char *name, *stored;
	bool is_strong;
} stored_vectors[] = {
	{ "pbkdf2_sha256 of few rounds", "pbkdf2_sha256$1000$0123456789abcdefABCDEF$d8NgZ4SE2WuxQ9nYIVhfsobnCfYNRABGTHirJFaaalQ=", false },
	{ "pbkdf2_sha256 of Django 5.2", "pbkdf2_sha256$1000000$0123456789abcdefABCDEF$rxtbcXGqWEbWghnmLPSffHWETHIjbrfIBAf+7OyxIAc=", true },
	{ "pbkdf2_sha1", "pbkdf2_sha1$2000$saltsalt$6k8ObMERUDLThXmxbBSXozqovSQ=", false },
	{ "argon2id of Django", "argon2$argon2id$v=19$m=102400,t=2,p=8$MDEyMzQ1Njc4OWFiY2RlZkFCQ0RFRg$X6IW+ZQzMCEi9g243wpNDwURI5Y+kFG6p3QkVYPFSXg", true },
	{ "argon2id of our costs", "argon2$argon2id$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZkFCQ0RFRg$I8vtxBcVk1Uv3ADoX6iSx1ZxwIqOzt13H7H2pJ6/I4c", true },
	{ "argon2i", "argon2$argon2i$v=19$m=1024,t=3,p=1$MDEyMzQ1Njc4OWFiY2RlZkFCQ0RFRg$9z5sr9vlhJFd20VK5eZcsthuyXblhMxIgdBggUxGZ1M", false },
	{ "bcrypt_sha256", "bcrypt_sha256$$2b$05$wnXSH0uo3DYFRM.jhNWc8OLT2p/H3atJFaDwI9uwHKzJssRd50n6i", false },
	{ "bcrypt", "bcrypt$$2b$05$oSrNrUA5T5DUNd4CmmscQ.5YH8miveYv5KV6KUoDAy7/G9ps9PQVW", false },
	{ "scrypt", "scrypt$16384$0123456789abcdefABCDEF$8$5$ujS16MLyJHXk75CaAXc5d+C5I6BXzInVyaUiv1On9h1s78c8TrfhnFohm3uAPy8KUjKgrAwEBfm8m2pfrsAwAA==", false },
};
#define VECTOR_USER     "0190a0a0-0000-7000-8000-000000000001"
#define VECTOR_STORED   "argon2$stored"
#define VECTOR_EMAIL    "ann@example.com"
#define VECTOR_TOKEN       "bxodq8-6e7615fd9f65a6e3a81865a1cce8b054" /* last seen 2023-11-14 22:13:19 */
#define VECTOR_TOKEN_NEVER "bxodq8-566ccf9320f7369dd1a42f351a02cc2e"
/* clang-format on */
