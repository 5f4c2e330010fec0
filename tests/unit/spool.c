/* spool: what is put comes back, oldest first, and nothing half. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spool.h"
#include "unit.h"

static char path[] = "/tmp/voip-spool.XXXXXX";

static void
remove_all(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", path);
	CHECK(system(command) == 0);
}

static void
put(struct spool *s, const char *text)
{
	struct verr e = VERR_INIT;
	struct spool_header headers[] = { { "peer", "a\nb: forged" },
					  { "none", NULL },
					  { .name = NULL } };

	CHECK(spool_put(s, headers, text, strlen(text), &e) == 0);
}

static void
free_names(char **names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

static void
test_order(struct spool *s)
{
	static const char *const texts[] = { "one", "two", "", "four\n\nx" };
	struct verr e = VERR_INIT;
	struct spool_record r;
	struct buf value = BUF_INIT;
	char **names;
	size_t n;

	CHECK(spool_is_empty(s));
	for (size_t i = 0; i < COUNT(texts); i++)
		put(s, texts[i]);
	CHECK(!spool_is_empty(s));
	CHECK(spool_list(s, 100, &names, &n, &e) == 0 && n == COUNT(texts));
	for (size_t i = 0; i < n; i++) {
		CHECK(spool_read(s, names[i], &r, &e) == 0);
		CHECK_BYTES(r.body, r.body_len, texts[i], strlen(texts[i]));
		buf_clear(&value);
		CHECK(spool_record_header(&r, "peer", &value));
		CHECK_STR(value.data, "a b: forged");
		CHECK(!spool_record_header(&r, "none", &value));
		CHECK(!spool_record_header(&r, "b", &value));
		spool_record_release(&r);
		CHECK(spool_remove(s, names[i], &e) == 0);
	}
	CHECK(spool_is_empty(s));
	CHECK(spool_read(s, names[0], &r, &e) == -1 && e.kind == VERR_NOTFOUND);
	free_names(names, n);
	buf_release(&value);
}

/* Nothing of a group is seen before it is published. */
static void
test_stage(struct spool *s)
{
	struct verr e = VERR_INIT;
	size_t count;
	int64_t bytes;

	CHECK(spool_stage(s, NULL, "a", 1, &e) == 0);
	CHECK(spool_stage(s, NULL, "b", 1, &e) == 0);
	CHECK(spool_usage(s, &count, &bytes, &e) == 0 && count == 0);
	spool_discard(s);
	CHECK(spool_stage(s, NULL, "a", 1, &e) == 0);
	CHECK(spool_stage(s, NULL, "b", 1, &e) == 0);
	CHECK(spool_publish(s, &e) == 0);
	CHECK(spool_usage(s, &count, &bytes, &e) == 0 && count == 2);
	CHECK(bytes > 2);
}

/* A file that is no record is told from one, and moved out of the way. */
static void
test_bad(struct spool *s)
{
	static const char *const contents[] = { "", "voip-spool 1 3\n\nab",
						"voip-spool 2 0\n\n",
						"voip-spool 1 0\n", "{}" };
	struct verr e = VERR_INIT;
	struct spool_record r;
	char name[] = "00000000001.000000-1-000000", file[128];

	for (size_t i = 0; i < COUNT(contents); i++) {
		FILE *f;

		snprintf(file, sizeof(file), "%s/%s", path, name);
		f = fopen(file, "w");
		CHECK(f && fputs(contents[i], f) >= 0 && fclose(f) == 0);
		CHECK(spool_read(s, name, &r, &e) == -1 &&
		      e.kind == VERR_INPUT);
		CHECK(strcmp(r.content.data, contents[i]) == 0);
		spool_record_release(&r);
		CHECK(spool_set_aside(s, name, &e) == 0);
		snprintf(file, sizeof(file), "%s/bad/%s", path, name);
		CHECK(access(file, R_OK) == 0);
	}
}

/* A writer's file is left alone while the writer lives. */
static void
test_clean(struct spool *s)
{
	struct verr e = VERR_INIT;
	char left[128];
	struct stat st;
	int fd;

	snprintf(left, sizeof(left), "%s/.tmp-left", path);
	fd = open(left, O_CREAT | O_WRONLY, 0600);
	CHECK(fd != -1 && flock(fd, LOCK_EX) == 0);
	CHECK(spool_clean(s, &e) == 0 && stat(left, &st) == 0);
	close(fd);
	CHECK(spool_clean(s, &e) == 0 && stat(left, &st) == -1);
}

static void
test_limit(void)
{
	struct verr e = VERR_INIT;
	struct spool *s = spool_open(path, 300, &e);
	char big[200] = "";

	CHECK(s && spool_put(s, NULL, big, sizeof(big), &e) == 0);
	CHECK(spool_put(s, NULL, big, sizeof(big), &e) == -1 &&
	      e.kind == VERR_RETRY);
	CHECK(strstr(e.msg, "is full") != NULL);
	spool_close(s);
}

static void
test_lock(struct spool *s)
{
	struct verr e = VERR_INIT;
	struct spool *other = spool_open(path, 0, &e);

	CHECK(spool_lock(s, &e) == 1 && spool_lock(s, &e) == 1);
	CHECK(other && spool_lock(other, &e) == 0);
	spool_unlock(s);
	CHECK(spool_lock(other, &e) == 1);
	spool_close(other);
}

int
main(void)
{
	struct verr e = VERR_INIT;
	struct spool *s;

	CHECK(mkdtemp(path) != NULL);
	s = spool_open(path, 0, &e);
	if (CHECK(s != NULL)) {
		test_order(s);
		test_stage(s);
		test_bad(s);
		test_clean(s);
		test_lock(s);
	}
	spool_close(s);
	remove_all();
	test_limit();
	remove_all();
	s = spool_open("/proc/voip-spool", 0, &e);
	CHECK(!s && e.kind == VERR_CONFIG);
	spool_close(s);
	return unit_end();
}
