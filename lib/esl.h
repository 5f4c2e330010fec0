/*
 * esl: a client of FreeSWITCH's event socket, within a loop.
 *
 * Layer I/O.  Keeps one connection (mod_event_socket, inbound mode): connects,
 * gives the password, and sends `api` commands, one at a time, so that an
 * answer belongs to the command that was asked.  Nothing blocks: addresses are
 * numbers, and connecting, logging in and each answer has a deadline.  Events
 * are not asked for and skipped when they come.
 *
 * A lost or refused connection is tried again, first after 100 ms, then after
 * twice as long each time up to ten seconds.  Commands that had no answer end
 * with VERR_RETRY then; the peer may have carried out the first of them.
 *
 * The peer is not trusted: a head is 8 KiB at most, an answer 8 MiB, and what
 * is longer or malformed ends the connection.
 */
#ifndef ESL_H
#define ESL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "loop.h"
#include "verr.h"

/* An `api` command is no longer than this. */
#define ESL_COMMAND_MAX 4096

struct esl;

/*
 * Logged in (true, `e` is NULL), or not any more, or not this time either
 * (false, `e` says why).  May call esl_api().
 */
typedef void (*esl_state_fn)(bool up, const struct verr *e, void *arg);

/*
 * `answer` is borrowed for the callback and ends with a NUL; NULL when `e` says
 * why there is none.  "-ERR ..." is an answer.
 */
typedef void (*esl_answer_fn)(const char *answer, size_t len,
			      const struct verr *e, void *arg);

/*
 * `address` is ADDR:PORT or [ADDR]:PORT; the strings are copied.  The first
 * attempt is made by the loop.  The caller frees it with esl_free().
 */
struct esl *
esl_new(struct loop *l, const char *address, const char *password,
	int64_t timeout_ms, esl_state_fn fn, void *arg, struct verr *e);
/* NULL-safe; no callback is called any more. */
void esl_free(struct esl *s);

bool esl_is_up(const struct esl *s);

/*
 * Queue `api COMMAND`; fn is called once, from the loop.  VERR_INPUT: a control
 * byte in the command, or too long; VERR_RETRY: not connected, or no memory.
 */
int esl_api(struct esl *s, const char *command, esl_answer_fn fn, void *arg,
	    struct verr *e);

#endif
