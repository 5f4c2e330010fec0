/* out and log: what they do when there is no memory. */

#include "unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "log.h"
#include "out.h"

static const struct out_column columns[] = {
	{ "name", OUT_TEXT },
	{ "number", OUT_NUMBER },
};
static enum out_format format;
static char whole[4096];

/* Either the whole output or an error; never a part that looks whole. */
static void
print_rows(bool may_fail)
{
	const char *values[] = { "a name that is longer than the head", "1" };
	struct verr e = VERR_INIT;
	char text[4096] = "";
	FILE *file = fmemopen(text, sizeof(text), "w");
	struct out *o;
	int rc = -1;

	if (!CHECK(file != NULL))
		return;
	setvbuf(file, NULL, _IONBF, 0);
	o = out_begin(file, format, columns, 2, &e);
	for (int i = 0; o && i < 20; i++)
		out_row(o, values);
	if (o)
		rc = out_end(o, &e);
	fclose(file);
	if (rc == -1)
		CHECK(may_fail && e.kind == VERR_RETRY);
	else if (!*whole)
		memcpy(whole, text, sizeof(whole));
	else
		CHECK_STR(text, whole);
}

/* A line that finds no memory says so, and the next one is whole. */
static void
log_a_line(bool may_fail)
{
	char text[512];
	int pipes[2], saved = dup(STDERR_FILENO);
	ssize_t n;

	CHECK(pipe(pipes) == 0);
	CHECK(dup2(pipes[1], STDERR_FILENO) != -1);
	log_event(LOG_LEVEL_INFO, "lookup", "value", "some text", NULL);
	dup2(saved, STDERR_FILENO);
	close(pipes[1]);
	n = read(pipes[0], text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	CHECK(n > 0 && text[n - 1] == '\n');
	CHECK(strstr(text, ": lookup value=\"some text\"\n") ||
	      (may_fail &&
	       strcmp(text, "a log line was lost: out of memory\n") == 0));
	close(pipes[0]);
	close(saved);
}

int
main(void)
{
	CHECK(unit_each_failure(log_a_line) > 0);
	for (format = OUT_TABLE; format <= OUT_JSONL; format++) {
		*whole = '\0';
		print_rows(false);
		CHECK(strlen(whole) > 20 * strlen("a name that is longer"));
		CHECK(unit_each_failure(print_rows) >= 3);
	}
	return unit_end();
}
