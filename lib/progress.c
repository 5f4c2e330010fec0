#include "progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "log.h"

/* Shorter work is not worth a line. */
#define FIRST_MS 1000
#define AGAIN_MS 200

static int64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void
progress_begin(struct progress *p, const char *verb, const char *unit,
	       uint64_t total)
{
	*p = (struct progress){ .verb = verb,
				.unit = unit,
				.total = total,
				.seen = log_has_status() };
	if (p->seen)
		p->began_ms = p->shown_ms = now_ms();
}

/* "2 min 05 s" of a time that is long enough to be worth minutes. */
static void
duration(int64_t seconds, char text[32])
{
	if (seconds < 60)
		snprintf(text, 32, "%" PRId64 " s", seconds);
	else if (seconds < 3600)
		snprintf(text, 32, "%" PRId64 " min %02" PRId64 " s",
			 seconds / 60, seconds % 60);
	else
		snprintf(text, 32, "%" PRId64 " h %02" PRId64 " min",
			 seconds / 3600, seconds % 3600 / 60);
}

void
progress_text(const struct progress *p, int64_t elapsed_ms, char *text,
	      size_t size)
{
	double done = (double)p->done, total = (double)p->total;
	double per_s = elapsed_ms > 0 ? done * 1000 / (double)elapsed_ms : 0;
	char left[32];

	/* More than was foreseen: the foresight was wrong. */
	if (!p->total || p->done > p->total || !(per_s > 0)) {
		snprintf(text, size, "%s: %" PRIu64 " %s, %.0f/s", p->verb,
			 p->done, p->unit, per_s);
		return;
	}
	duration((int64_t)((total - done) / per_s), left);
	snprintf(text, size,
		 "%s: %d%%, %" PRIu64 " of %" PRIu64 " %s, %.0f/s, %s left",
		 p->verb, (int)(done * 100 / total), p->done, p->total, p->unit,
		 per_s, left);
}

void
progress_add(struct progress *p, uint64_t n)
{
	char text[160];
	int64_t now;

	p->done += n;
	if (!p->seen)
		return;
	now = now_ms();
	if (now - p->began_ms < FIRST_MS || now - p->shown_ms < AGAIN_MS)
		return;
	p->shown_ms = now;
	progress_text(p, now - p->began_ms, text, sizeof(text));
	log_status(text);
}

void
progress_end(struct progress *p)
{
	if (p->seen)
		log_status(NULL);
	p->seen = false;
}
