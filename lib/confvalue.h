/*
 * confvalue: the types that a setting can have.
 *
 * Layer text; conf is its user.  A value is text; its number is what the text
 * means in the base unit of its type: milliseconds, bytes, 0 or 1, or the
 * place of a word in a choice.
 */
#ifndef CONFVALUE_H
#define CONFVALUE_H

#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "verr.h"

enum conf_type {
	CONF_STRING,
	CONF_SECRET, /* a string that is never shown */
	CONF_INT,
	CONF_BOOL,
	CONF_DURATION, /* "250ms", "5s", "2m", "1h", "7d", plain number: s */
	CONF_SIZE,     /* "64k", "1M", "10G", plain number: bytes */
	CONF_CHOICE,   /* one of `words` */
};

struct conf_row {
	const char *name;
	enum conf_type type;
	const char *value; /* the default */
	int64_t min;       /* in the base unit */
	int64_t max;       /* 0: no limits */
	const char *words; /* of a choice, separated by spaces */
	const char *help;  /* one line */
};

/*
 * Check `text` as a value of the row.  VERR_CONFIG says what is wrong and what
 * would be right, without file and line.
 */
int conf_value_parse(const struct conf_row *row, const char *text,
		     int64_t *number, struct verr *e);

/* A number in the largest unit that says it exactly: 60000 is "1m". */
void conf_value_format(enum conf_type type, int64_t n, char *out, size_t size);

/* Append `text` so that a shell, systemd and conf read the same value. */
void conf_value_quote(struct buf *out, const char *text);

/*
 * The value of a file line from after '=': removes the quotes in place.
 * VERR_CONFIG for what a shell would read differently than systemd or we.
 */
int conf_value_unquote(char *text, struct verr *e);

/* Steps of one letter between two names; large when they are not alike. */
unsigned conf_value_distance(const char *a, const char *b);

#endif
