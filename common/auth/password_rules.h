/*
 * password_rules.h - what a new password must be, with Django's words.
 *
 * Two of Django's four validators: the least length and "not only digits".  Similarity to the user
 * never fires where Apium asks (it is checked without a user there too); the list of common
 * passwords is not here yet.
 */
#ifndef AUTH_PASSWORD_RULES_H
#define AUTH_PASSWORD_RULES_H

#include "base/str.h"

#define PASSWORD_RULES 2

/* Fills the sentences that the password breaks, in Django's order; returns how many. */
size_t password_rules_broken(struct str password, struct str ret_sentences[PASSWORD_RULES]);

#endif
