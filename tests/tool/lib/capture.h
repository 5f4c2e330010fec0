/*
 * capture: a captured HTTP request, and what may be changed in it.
 *
 * A file is one raw request.  Its target is replaced when it is read.  For
 * load, uuids are replaced by others made from the captured one, a seed and a
 * round: the same three always give the same uuid, so the legs of a call stay
 * linked and a run can be repeated.  Times are moved by whole seconds.  Every
 * replacement keeps its length and is plain digits and letters, so it is done
 * in the text of JSON and forms alike; base64 is opened first.
 */
#ifndef CAPTURE_H
#define CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CAPTURE_UUID_LEN = 36 };

struct capture {
	const char *file; /* borrowed */
	char *text;       /* head, empty line, body */
	size_t len;
	size_t body;   /* offset of the body */
	bool base64;   /* sent as "cdr=" and base64; decoded here */
	size_t *spots; /* private: where something may be replaced */
	size_t n_spots;
};

struct capture_change {
	bool new_uuids;
	int seed;
	unsigned round;
	int64_t seconds; /* added to every time */
};

/*
 * Read `file`.  `target` replaces the path and keeps the query; one that ends
 * with "/" gets the captured path's last part; NULL changes nothing.
 */
void capture_read(struct capture *c, const char *file, const char *target);
void capture_release(struct capture *c);

/* The bytes to send; the caller frees them with free(). */
char *capture_wire(const struct capture *c, const struct capture_change *change,
		   size_t *len);

/*
 * The leg's uuid as it will be sent ("" when this is no CDR), and its start in
 * microseconds (0 when it has none).
 */
int64_t
capture_leg(const struct capture *c, const struct capture_change *change,
	    char leg[CAPTURE_UUID_LEN + 1]);

/* The first number after `name` in the body; 0 when there is none. */
int64_t capture_epoch(const struct capture *c, const char *name);

/* End the program with a message; and the same when `p` is NULL. */
void die(int status, const char *fmt, ...)
	__attribute__((noreturn, format(printf, 2, 3)));
void *need(void *p);

#endif
