/*
 * eslmessage: the bytes of FreeSWITCH's event socket.
 *
 * Layer text.  A message is "Name: value" lines, an empty line, and
 * Content-Length bytes (mod_event_socket.c).  A head has 8 KiB at most, a body
 * 8 MiB; the peer is not trusted.
 */
#ifndef ESLMESSAGE_H
#define ESLMESSAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"

/* Values are cut to fit. */
struct esl_message {
	char type[64];   /* Content-Type */
	char reply[256]; /* Reply-Text */
	size_t head_len; /* with the empty line */
	size_t body_len;
};

/*
 * Do these bytes begin with a whole message?  1, or 0 for not yet, or -1 for
 * never.  `data` ends with a NUL that `len` does not count.
 */
int esl_message(struct esl_message *m, const char *data, size_t len);

/*
 * Append `word` as one argument of an API that splits at spaces
 * (switch_separate_string()): space, quote and backslash are escaped.  False
 * when it cannot be one: it is empty or has a control byte.
 */
bool esl_word(struct buf *command, const char *word);

#endif
