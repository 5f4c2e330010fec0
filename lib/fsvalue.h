/*
 * fsvalue: what may stand where in a document, whoever wrote it.
 *
 * Layer domain.  FreeSWITCH takes the arguments of its applications apart at
 * blanks, commas, `|`, quotes, braces and `^^`; what is checked here has none
 * of these.
 */
#ifndef FSVALUE_H
#define FSVALUE_H

#include "answer.h"
#include "fsxml.h"

/* A number that may stand among an application's arguments. */
bool fsvalue_is_number(const char *number);

/*
 * A sound that FreeSWITCH may be told to play: a file's path, or a stream that
 * runs no command and fetches nothing.
 */
bool fsvalue_is_sound(const char *sound);

/* Append the path of a recording: FreeSWITCH expands date and uuid. */
void fsvalue_recording(struct buf *out, const struct fs_settings *s,
		       const char *domain);

/* Begin the document, or the part, of configuration file NAME. */
void fsvalue_file(struct fsxml *x, struct buf *out, const struct lookup *l,
		  const char *name);
void fsvalue_param(struct fsxml *x, const char *name, const char *value);
/* A value of ours that FreeSWITCH shall expand. */
void fsvalue_expanded(struct fsxml *x, const char *name, const char *value);
/* ATTRIBUTE="PREFIX NAME@DOMAIN", encoded by lookup_put_name(). */
void fsvalue_name(struct fsxml *x, const char *attribute, const char *prefix,
		  const char *name, const char *domain);

/* The parameters of most questions: $1 the domain, $2 the lookup's name. */
bool
fsvalue_ask(struct question *q, struct lookup *l, const struct fs_settings *s);

#endif
