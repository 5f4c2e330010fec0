/*
 * progress: how far long work has come, for the person who waits.
 *
 * Layer text.  One line on standard error, through log_status(): only on a
 * terminal, only when the work takes longer than a second, drawn at most five
 * times a second, and erased at the end.
 *
 *	struct progress p;
 *
 *	progress_begin(&p, "apply", "rows", total);
 *	while (...)
 *		progress_add(&p, 1);
 *	progress_end(&p);       also when the work has failed
 *
 * progress_add() reads a coarse clock and is cheap enough for each row.  Where
 * rows go to the same terminal the caller leaves progress alone.
 */
#ifndef PROGRESS_H
#define PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct progress {
	const char *verb; /* what is done, ASCII */
	const char *unit; /* what is counted, in the plural */
	uint64_t done;
	uint64_t total; /* 0: not known */
	int64_t began_ms;
	int64_t shown_ms;
	bool seen; /* whether anybody looks */
};

/* `verb` and `unit` are borrowed until progress_end(). */
void progress_begin(struct progress *p, const char *verb, const char *unit,
		    uint64_t total);
void progress_add(struct progress *p, uint64_t n);
void progress_end(struct progress *p);

/* The line as it would be drawn after `elapsed_ms`. */
void progress_text(const struct progress *p, int64_t elapsed_ms, char *text,
		   size_t size);

#endif
