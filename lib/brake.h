/*
 * brake: who tries too often gets no further.
 *
 * Layer domain.  FreeSWITCH asks before it checks a password, at each try of a
 * phone, so whoever guesses passwords or names comes here first.  For each
 * there is a bucket of tokens that fills up within a minute (setting
 * `brake_window`), holding as many as the setting says; 0: no such brake.
 *
 *   brake_unknown  names that do not exist, by address
 *   brake_address  logins, by address
 *   brake_user     logins of one user, by user and address: nobody can lock
 *                  out a user from another address
 *
 * An IPv6 address counts as its /64.  Without an address only `brake_user`
 * counts.  Addresses of `brake_exempt`, `trusted_proxies` and of the table of
 * trusted addresses are never braked: behind a proxy is everybody.
 *
 * What is braked is a line of the log (warning, once in a window for each
 * bucket), which etc/fail2ban reads; its words do not change:
 *
 *   brake address=192.0.2.7 reason=unknown user=x domain=a.example
 *
 * Memory is fixed: where many meet, the bucket that is most nearly full makes
 * room.
 */
#ifndef BRAKE_H
#define BRAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "verr.h"

struct brake;

/* NULL: why is in `e`.  The caller frees it with brake_free(). */
struct brake *brake_new(struct verr *e);
void brake_free(struct brake *b);
/* The settings were read anew; what is wrong in them is logged. */
void brake_reload(struct brake *b);

/* In place of those given before: addresses or networks, as text. */
void brake_trust(struct brake *b, const char *const *addresses, size_t count);

struct brake_login {
	const char *address; /* as the form has it; NULL or not one: none */
	const char *user;
	const char *domain;
};

/* A login is tried: NULL, or why it must not be, a constant. */
const char *
brake_try(struct brake *b, const struct brake_login *login, int64_t now_ms);
/* It was one of a user who does not exist. */
void
brake_unknown(struct brake *b, const struct brake_login *login, int64_t now_ms);

#endif
