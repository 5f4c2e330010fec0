/*
 * unit: what every program of tests/unit needs; included once by each.
 *
 * A program calls CHECK() and CHECK_STR(), which print "file:line: what" for a
 * failure and go on, and ends with `return unit_end();`: 0 when all is well,
 * else 1.
 *
 * The programs are linked with --wrap for malloc(), calloc(), realloc() and
 * strdup(), so that unit_each_failure() can run a function again and again,
 * each time with another allocation of our own code failing.
 */
#ifndef UNIT_H
#define UNIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static unsigned unit_failures;

static inline bool
unit_check(bool ok, const char *file, int line, const char *what)
{
	if (!ok) {
		printf("%s:%d: %s\n", file, line, what);
		unit_failures++;
	}
	return ok;
}

static inline bool
unit_check_bytes(const char *got, size_t got_len, const char *want,
		 size_t want_len, const char *file, int line)
{
	if (got_len == want_len && memcmp(got, want, got_len) == 0)
		return true;
	printf("%s:%d: got '%.*s', want '%.*s'\n", file, line, (int)got_len,
	       got, (int)want_len, want);
	unit_failures++;
	return false;
}

static inline int
unit_end(void)
{
	return unit_failures ? 1 : 0;
}

#define CHECK(condition) unit_check((condition), __FILE__, __LINE__, #condition)
#define CHECK_STR(got, want)                                             \
	unit_check_bytes(got, strlen(got), want, strlen(want), __FILE__, \
			 __LINE__)
#define CHECK_BYTES(got, got_len, want, want_len) \
	unit_check_bytes(got, got_len, want, want_len, __FILE__, __LINE__)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* 0: none fails; n: the n-th from now fails. */
static size_t unit_fail_at;
static bool unit_has_failed;

static inline bool
unit_fails(void)
{
	if (unit_fail_at == 0 || --unit_fail_at > 0)
		return false;
	unit_has_failed = true;
	return true;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
char *__real_strdup(const char *s);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
char *__wrap_strdup(const char *s);

void *
__wrap_malloc(size_t size)
{
	return unit_fails() ? NULL : __real_malloc(size);
}

void *
__wrap_calloc(size_t n, size_t size)
{
	return unit_fails() ? NULL : __real_calloc(n, size);
}

void *
__wrap_realloc(void *p, size_t size)
{
	return unit_fails() ? NULL : __real_realloc(p, size);
}

char *
__wrap_strdup(const char *s)
{
	return unit_fails() ? NULL : __real_strdup(s);
}

/*
 * Call fn(true) with the first allocation failing, then the second, and so on
 * until a run meets no failure; then fn(false) once more.  Returns how many
 * allocations were made to fail, so that a test can see that there were some.
 */
static inline size_t
unit_each_failure(void (*fn)(bool may_fail))
{
	size_t n = 0;

	do {
		unit_has_failed = false;
		unit_fail_at = ++n;
		fn(true);
	} while (unit_has_failed);
	unit_fail_at = 0;
	fn(false);
	return n - 1;
}

#endif
