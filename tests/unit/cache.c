/* cache, snapshotfile: what is put comes back until it changed. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cache.h"
#include "hash.h"
#include "snapshotfile.h"
#include "unit.h"

#define TTL 1000

static const char a_domain[] = "a.example";
static const char body[] =
	"<document>\n<section>\n<domain name=\"a.example\">\n"
	"<params><param name=\"dial-string\" value=\"something that is long and "
	"always the same, so that it is worth sharing among all documents\"/>"
	"</params>\n<user id=\"%s\">\n<variables>"
	"<variable name=\"context\" value=\"default\"/></variables></user>\n"
	"</domain></section></document> and enough of it to be a pattern ....";

static void
put(struct cache *c, const char *domain, const char *user, bool found,
    uint64_t ticket, int64_t now)
{
	char key[300], text[1024];
	struct cache_item item = {
		.key = key,
		.domain = domain,
		.tables = CACHE_DOMAINS | CACHE_EXTENSIONS,
		.rows = { { "users", user } },
		.ttl_ms = TTL,
		.confirmed_ms = now,
	};

	snprintf(key, sizeof(key), "u%s/%s", domain, user);
	snprintf(text, sizeof(text), body, user);
	item.key_len = strlen(key);
	item.body = found ? text : NULL;
	item.len = found ? strlen(text) : 0;
	cache_put(c, ticket, &item);
}

static enum cache_state
get(struct cache *c, const char *domain, const char *user, int64_t now)
{
	char key[300], text[1024];
	struct buf out = BUF_INIT;
	const struct cache_entry *entry;
	enum cache_state state;

	snprintf(key, sizeof(key), "u%s/%s", domain, user);
	state = cache_get(c, key, strlen(key), now, &entry);
	if (state != CACHE_ABSENT && cache_is_found(entry)) {
		snprintf(text, sizeof(text), body, user);
		cache_copy(&out, entry);
		CHECK_BYTES(out.data, out.len, text, strlen(text));
		buf_release(&out);
	}
	return state;
}

static struct cache *
new_cache(size_t limit)
{
	struct verr e = VERR_INIT;
	struct cache *c = cache_new(limit, &e);

	if (!c)
		abort();
	return c;
}

static void
test_times(void)
{
	struct cache *c = new_cache(1 << 20);

	CHECK(get(c, a_domain, "1", 0) == CACHE_ABSENT);
	put(c, a_domain, "1", true, cache_ticket(c), 0);
	put(c, a_domain, "none", false, cache_ticket(c), 0);
	CHECK(get(c, a_domain, "1", TTL - 1) == CACHE_FRESH);
	CHECK(get(c, a_domain, "none", TTL - 1) == CACHE_FRESH);
	CHECK(get(c, a_domain, "1", TTL) == CACHE_OLD);
	put(c, a_domain, "1", true, cache_ticket(c), TTL);
	CHECK(get(c, a_domain, "1", TTL) == CACHE_FRESH);
	cache_free(c);
}

/* Each change, and what becomes of a user of a.example and one of b.example. */
static const struct {
	const char *table, *domain, *row;
	enum cache_state a1, a2, b1;
} changev[] = {
	{ "domains", "a.example", NULL, CACHE_OLD, CACHE_OLD, CACHE_FRESH },
	{ "extensions", "a.example", NULL, CACHE_OLD, CACHE_OLD, CACHE_FRESH },
	{ "users", "a.example", NULL, CACHE_FRESH, CACHE_FRESH, CACHE_FRESH },
	{ "queues", "a.example", NULL, CACHE_FRESH, CACHE_FRESH, CACHE_FRESH },
	{ "surprise", "a.example", NULL, CACHE_OLD, CACHE_OLD, CACHE_FRESH },
	{ NULL, "a.example", NULL, CACHE_OLD, CACHE_OLD, CACHE_FRESH },
	{ NULL, NULL, NULL, CACHE_OLD, CACHE_OLD, CACHE_OLD },
	{ "queues", "", NULL, CACHE_OLD, CACHE_OLD, CACHE_OLD },
	{ "users", "a.example", "1", CACHE_REVOKED, CACHE_FRESH, CACHE_FRESH },
	{ "users", "b.example", "1", CACHE_FRESH, CACHE_FRESH, CACHE_REVOKED },
	{ "queues", "a.example", "1", CACHE_FRESH, CACHE_FRESH, CACHE_FRESH },
};

static void
change(struct cache *c, size_t i)
{
	if (changev[i].row)
		cache_row_changed(c, changev[i].table, changev[i].domain,
				  changev[i].row);
	else
		cache_changed(c, changev[i].table, changev[i].domain);
}

static void
test_changes(void)
{
	for (size_t i = 0; i < COUNT(changev); i++) {
		struct cache *c = new_cache(1 << 20);
		uint64_t before = cache_ticket(c);

		put(c, "a.example", "1", true, before, 0);
		put(c, "a.example", "2", true, before, 0);
		put(c, "b.example", "1", true, before, 0);
		change(c, i);
		CHECK(get(c, "a.example", "1", 1) == changev[i].a1);
		CHECK(get(c, "a.example", "2", 1) == changev[i].a2);
		CHECK(get(c, "b.example", "1", 1) == changev[i].b1);
		/* An answer that the change overtook is as old. */
		put(c, "a.example", "1", true, before, 1);
		CHECK(get(c, "a.example", "1", 1) == changev[i].a1);
		put(c, "a.example", "1", true, cache_ticket(c), 1);
		CHECK(get(c, "a.example", "1", 1) == CACHE_FRESH);
		cache_free(c);
	}
}

static void
test_current(void)
{
	struct cache *c = new_cache(1 << 20);
	struct cache_item item = {
		.domain = a_domain,
		.tables = CACHE_DOMAINS,
		.rows = { { "users", "1" } },
	};
	uint64_t ticket = cache_ticket(c);

	cache_changed(c, "domains", "b.example");
	cache_row_changed(c, "users", a_domain, "2");
	CHECK(cache_is_current(c, ticket, &item));
	cache_row_changed(c, "users", a_domain, "1");
	CHECK(!cache_is_current(c, ticket, &item));
	ticket = cache_ticket(c);
	cache_changed(c, "domains", a_domain);
	CHECK(!cache_is_current(c, ticket, &item));
	cache_free(c);
}

/* All domains: what has none of its own depends on each. */
static void
test_all_domains(void)
{
	struct cache *c = new_cache(1 << 20);

	put(c, "", "1", true, cache_ticket(c), 0);
	cache_changed(c, "queues", "b.example");
	CHECK(get(c, "", "1", 1) == CACHE_FRESH);
	cache_changed(c, "domains", "b.example");
	CHECK(get(c, "", "1", 1) == CACHE_OLD);
	cache_free(c);
}

static void
test_limit(void)
{
	const size_t limit = 1 << 20;
	struct cache *c = new_cache(limit);
	struct cache_stats stats;
	char user[32];

	for (int i = 0; i < 1000; i++) {
		snprintf(user, sizeof(user), "u%d", i);
		put(c, a_domain, user, true, cache_ticket(c), 0);
	}
	/* Who asks for names that do not exist displaces nobody. */
	for (int i = 0; i < 100000; i++) {
		snprintf(user, sizeof(user), "nobody%d", i);
		put(c, a_domain, user, false, cache_ticket(c), 0);
	}
	cache_stats(c, &stats);
	CHECK(stats.bytes <= limit);
	CHECK(stats.evictions > 90000);
	CHECK(stats.entries - stats.negative == 1000);
	CHECK(get(c, a_domain, "u0", 1) == CACHE_FRESH);
	/* The one that was asked for stays longest. */
	for (int i = 1000; i < 20000; i++) {
		snprintf(user, sizeof(user), "u%d", i);
		put(c, a_domain, user, true, cache_ticket(c), 0);
		if (i % 500 == 0)
			CHECK(get(c, a_domain, "u0", 1) == CACHE_FRESH);
	}
	CHECK(get(c, a_domain, "u1", 1) == CACHE_ABSENT);
	cache_stats(c, &stats);
	CHECK(stats.bytes <= limit);
	cache_set_limit(c, limit / 16);
	cache_stats(c, &stats);
	CHECK(stats.bytes <= limit / 8);
	cache_free(c);
}

/* --- the file --------------------------------------------------------- */

struct file {
	char data[65536];
	size_t len;
};

static void
write_file(struct file *f, const struct cache *c)
{
	struct verr e = VERR_INIT;
	int fd = memfd_create("snapshot", MFD_CLOEXEC);

	CHECK(snapshotfile_write(fd, c, 0, 5000, &e) == 0);
	f->len = (size_t)pread(fd, f->data, sizeof(f->data), 0);
	close(fd);
}

static void
take(const struct cache_item *item, void *arg)
{
	struct cache_item mine = *item;

	mine.confirmed_ms -= 5000;
	cache_put(arg, 0, &mine);
}

static void
count(const struct cache_item *item, void *arg)
{
	(void)item;
	++*(int *)arg;
}

static void
test_file(void)
{
	static struct file f;
	struct cache *c = new_cache(1 << 20), *d = new_cache(1 << 20);
	struct verr e = VERR_INIT;
	int n = 0;

	put(c, "a.example", "1", true, cache_ticket(c), 10);
	put(c, "b.example", "2", true, cache_ticket(c), 20);
	put(c, "b.example", "none", false, cache_ticket(c), 20);
	put(c, "b.example", "old", true, cache_ticket(c), -1);
	put(c, "b.example", "gone", true, cache_ticket(c), 20);
	cache_row_changed(c, "users", "b.example", "gone");
	write_file(&f, c);
	CHECK(snapshotfile_parse(f.data, f.len, take, d, &e) == 0);
	CHECK(get(d, "a.example", "1", 10) == CACHE_OLD);
	CHECK(get(d, "b.example", "2", 20) == CACHE_OLD);
	CHECK(get(d, "b.example", "none", 20) == CACHE_ABSENT);
	CHECK(get(d, "b.example", "old", 20) == CACHE_ABSENT);
	CHECK(get(d, "b.example", "gone", 20) == CACHE_ABSENT);
	/* Cut anywhere, or with any bit turned, it is none at all. */
	for (size_t len = 0; len < f.len; len++)
		CHECK(snapshotfile_parse(f.data, len, count, &n, &e) == -1);
	for (size_t i = 0; i < f.len; i++) {
		f.data[i] = (char)(f.data[i] ^ (1 << i % 8));
		CHECK(snapshotfile_parse(f.data, f.len, count, &n, &e) == -1);
		f.data[i] = (char)(f.data[i] ^ (1 << i % 8));
	}
	f.data[f.len] = 'x';
	CHECK(snapshotfile_parse(f.data, f.len + 1, count, &n, &e) == -1);
	CHECK(n == 0);
	CHECK(snapshotfile_parse(f.data, f.len, count, &n, &e) == 0 && n == 2);
	cache_free(c);
	cache_free(d);
}

/* --- without memory --------------------------------------------------- */

static void
no_memory(bool may_fail)
{
	struct verr e = VERR_INIT;
	struct cache *c = cache_new(1 << 20, &e);
	char user[32];

	if (!c) {
		CHECK(may_fail && e.kind == VERR_RETRY);
		return;
	}
	for (int i = 0; i < 600; i++) {
		snprintf(user, sizeof(user), "u%d", i);
		put(c, a_domain, user, i % 2, cache_ticket(c), 0);
	}
	for (int i = 0; i < 600; i++) {
		snprintf(user, sizeof(user), "u%d", i);
		CHECK(may_fail || get(c, a_domain, user, 1) == CACHE_FRESH);
	}
	cache_free(c);
}

int
main(void)
{
	test_times();
	test_changes();
	test_current();
	test_all_domains();
	test_limit();
	test_file();
	CHECK(unit_each_failure(no_memory) > 600);
	return unit_end();
}
