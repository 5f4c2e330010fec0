/*
 * cdrscan: the few members of a CDR that columns come from, in one pass.
 *
 * Layer text.  A body holds some 400 members and the columns need 90 of them,
 * so a tree of them all is most of a parser's work.  cdr_scan() walks over the
 * text without memory of its own and notes where the wanted ones stand.  It
 * takes only what is strict JSON and plain in every way that counts; whatever
 * is unusual, right or wrong, it leaves to the parser (false), so what it
 * takes has the parser's values.
 *
 * Sources, as cdr.h has them:
 *
 *	name        variables.name
 *	first:name  the caller_profile of callflow's first entry, the newest
 *	last:name   the caller_profile of its last entry, the original one
 *	times:name  the times of callflow's first entry
 *	app:name    what the application of that name was given last (app_log)
 *	/name, /channel_data/name, /callStats/audio/inbound/name
 */
#ifndef CDRSCAN_H
#define CDRSCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CDR_SLOTS 128

/* Where a source stands; a prefix that begins like another comes before it. */
enum cdr_place {
	CDR_IN_VARIABLES, /* no prefix */
	CDR_IN_FIRST,
	CDR_IN_LAST,
	CDR_IN_TIMES,
	CDR_IN_APPLICATIONS,
	CDR_IN_CHANNEL_DATA,
	CDR_IN_CALL_STATS,
	CDR_IN_TOP,
	CDR_PLACES,
};

struct cdr_wanted {
	enum cdr_place place;
	const char *name; /* borrowed */
	size_t len;
};

/* Zero-initialised: nothing is wanted. */
struct cdr_sources {
	struct cdr_wanted wanted[CDR_SLOTS];
	size_t count;
	uint8_t hash[512]; /* private: slot + 1 */
};

/* The slot of a source, which is added when it is new; `s` is borrowed. */
size_t cdr_want(struct cdr_sources *t, const char *s, size_t len);

/* A value's text. */
struct cdr_slot {
	const char *s; /* NULL: not there, or no text and no number */
	size_t len;
	bool escaped;    /* with JSON's escapes of one character */
	char number[32]; /* of numbers with a fraction: two digits of it */
};

/*
 * `text` is valid UTF-8 and must stay while the slots are used; `slots` has an
 * entry for each source.  False: ask the parser, the slots mean nothing.
 */
bool cdr_scan(const struct cdr_sources *t, struct cdr_slot *slots,
	      const char *text, size_t len);

#endif
