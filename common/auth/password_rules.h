/*
 * password_rules.h - what a new password must be, with Django's words.
 *
 * Three of Django's four validators: the least length, Django's list of 19,640 common passwords
 * (auth/data/), "not only digits".  The fourth, similarity to the user's other data, never fires:
 * the application that is replaced validates without a user (T-19), and then Django skips it.
 */
#ifndef AUTH_PASSWORD_RULES_H
#define AUTH_PASSWORD_RULES_H

#include "base/str.h"

#define PASSWORD_RULES 3

/* Fills the sentences that the password breaks, in Django's order; returns how many. */
size_t password_rules_broken(struct str password, struct str ret_sentences[PASSWORD_RULES]);

#endif
