#include "cache.h"

#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "siphash.h"

#define FIRST_BUCKETS  256
#define DOMAIN_PLACES  4096 /* powers of two */
#define ROW_PLACES     65536
#define PATTERN_PLACES 1024
#define PATTERN_MIN    256 /* a shorter document is kept as it is */
#define ALLOC_OVERHEAD 16  /* of each malloc() */
#define NEGATIVE_SHARE 8
#define ALL_DOMAINS    0 /* the place of entries that concern all */

/* What documents of one domain have in common: one of them, counted. */
struct pattern {
	size_t users;
	size_t len;
	char text[];
};

struct cache_entry {
	struct cache_entry *next; /* in its bucket */
	struct cache_entry *newer, *older;
	struct pattern *pattern; /* or NULL */
	uint64_t hash;
	uint64_t ticket;
	int64_t confirmed_ms;
	int64_t fresh_until_ms;
	uint32_t prefix; /* bytes from the pattern's beginning */
	uint32_t suffix; /* and from its end */
	uint32_t middle; /* and our own between them */
	uint32_t tables;
	uint32_t ttl_ms;
	uint16_t rows[CACHE_ROWS];
	uint16_t domain;
	uint16_t key_len;
	uint8_t nrows;
	uint8_t domain_len;
	bool found : 1;
	bool secret : 1;
	char bytes[]; /* key, domain, middle */
};

struct list {
	struct cache_entry *newest, *oldest;
	size_t bytes;
	size_t count;
};

/* The moments (values of `clock`) of the last changes in a domain. */
struct changes {
	uint64_t whole;
	uint64_t tables[CACHE_TABLE_COUNT];
};

struct cache {
	struct siphash_key seed;
	size_t limit;
	size_t bytes;
	struct cache_entry **buckets;
	size_t nbuckets;
	struct list lists[2]; /* of those with a document, and of the others */
	uint64_t clock;       /* moves with each change */
	uint64_t everything;
	/* Zeroed and large: what nobody touches takes no memory. */
	struct changes *domains;
	uint64_t *rows;
	struct pattern **patterns;
	uint64_t evictions;
	uint64_t puts;
};

static const char *const table_names[] = {
#define TABLE_NAME(id, name) name,
	CACHE_TABLES(TABLE_NAME)
};

/* --- life ------------------------------------------------------------- */

struct cache *
cache_new(size_t limit, struct verr *e)
{
	struct cache *c = calloc(1, sizeof(*c));

	if (!c)
		goto no_memory;
	c->limit = limit;
	/* Restored entries have ticket 0, so they are old from the start. */
	c->clock = c->everything = 1;
	c->nbuckets = FIRST_BUCKETS;
	c->buckets = calloc(c->nbuckets, sizeof(struct cache_entry *));
	c->domains = calloc(DOMAIN_PLACES, sizeof(struct changes));
	c->rows = calloc(ROW_PLACES, sizeof(uint64_t));
	c->patterns = calloc(PATTERN_PLACES, sizeof(struct pattern *));
	if (!c->buckets || !c->domains || !c->rows || !c->patterns)
		goto no_memory;
	c->bytes = c->nbuckets * sizeof(struct cache_entry *);
	if (hash_random(&c->seed, sizeof(c->seed), e) == -1) {
		cache_free(c);
		return NULL;
	}
	return c;

no_memory:
	cache_free(c);
	verr_set(e, VERR_RETRY, "out of memory for a cache");
	return NULL;
}

uint64_t
cache_hash(const struct cache *c, const void *data, size_t len)
{
	return siphash(&c->seed, data, len);
}

static struct list *
list_of(struct cache *c, const struct cache_entry *entry)
{
	return &c->lists[!entry->found];
}

static size_t
entry_size(const struct cache_entry *entry)
{
	return sizeof(*entry) + entry->key_len + entry->domain_len +
	       entry->middle + ALLOC_OVERHEAD;
}

static void
pattern_release(struct cache *c, struct pattern *p)
{
	if (!p || --p->users)
		return;
	c->bytes -= sizeof(*p) + p->len + ALLOC_OVERHEAD;
	free(p);
}

static void
list_add(struct cache *c, struct cache_entry *entry)
{
	struct list *list = list_of(c, entry);

	entry->newer = NULL;
	entry->older = list->newest;
	if (list->newest)
		list->newest->newer = entry;
	else
		list->oldest = entry;
	list->newest = entry;
}

static void
list_remove(struct cache *c, struct cache_entry *entry)
{
	struct list *list = list_of(c, entry);

	if (entry->newer)
		entry->newer->older = entry->older;
	else
		list->newest = entry->older;
	if (entry->older)
		entry->older->newer = entry->newer;
	else
		list->oldest = entry->newer;
}

static void
entry_drop(struct cache *c, struct cache_entry *entry)
{
	struct cache_entry **p = &c->buckets[entry->hash & (c->nbuckets - 1)];
	struct list *list = list_of(c, entry);

	while (*p != entry)
		p = &(*p)->next;
	*p = entry->next;
	list_remove(c, entry);
	list->count--;
	list->bytes -= entry_size(entry);
	c->bytes -= entry_size(entry);
	pattern_release(c, entry->pattern);
	if (entry->secret)
		hash_wipe(entry->bytes + entry->key_len + entry->domain_len,
			  entry->middle);
	free(entry);
}

void
cache_free(struct cache *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < 2; i++)
		while (c->lists[i].oldest)
			entry_drop(c, c->lists[i].oldest);
	for (size_t i = 0; c->patterns && i < PATTERN_PLACES; i++)
		pattern_release(c, c->patterns[i]);
	free(c->patterns);
	free(c->rows);
	free(c->domains);
	free(c->buckets);
	free(c);
}

/* --- changes ---------------------------------------------------------- */

static bool
is_tenant(const char *domain)
{
	return domain && *domain;
}

static uint16_t
domain_place(const struct cache *c, const char *domain)
{
	uint64_t h;

	if (!is_tenant(domain))
		return ALL_DOMAINS;
	h = siphash(&c->seed, domain, strlen(domain));
	return (uint16_t)(1 + h % (DOMAIN_PLACES - 1));
}

static uint16_t
row_place(const struct cache *c, uint16_t domain, const char *table,
	  const char *key)
{
	struct siphash_key seed = c->seed;

	seed.k[0] ^= domain;
	seed.k[1] ^= siphash(&c->seed, table, strlen(table));
	return (uint16_t)(siphash(&seed, key, strlen(key)) % ROW_PLACES);
}

void
cache_changed(struct cache *c, const char *table, const char *domain)
{
	const uint16_t places[] = { domain_place(c, domain), ALL_DOMAINS };
	size_t t = 0;

	c->clock++;
	if (!is_tenant(domain)) {
		c->everything = c->clock;
		return;
	}
	while (t < CACHE_TABLE_COUNT && table &&
	       strcmp(table, table_names[t]) != 0)
		t++;
	for (size_t i = 0; i < 2; i++) {
		struct changes *changes = &c->domains[places[i]];

		if (table && t < CACHE_TABLE_COUNT)
			changes->tables[t] = c->clock;
		else
			changes->whole = c->clock;
	}
}

void
cache_row_changed(struct cache *c, const char *table, const char *domain,
		  const char *key)
{
	c->clock++;
	if (is_tenant(domain))
		c->rows[row_place(c, domain_place(c, domain), table, key)] =
			c->clock;
}

uint64_t
cache_entry_ticket(const struct cache_entry *entry)
{
	return entry->ticket;
}

uint64_t
cache_ticket(const struct cache *c)
{
	return c->clock;
}

static bool
overtaken(const struct cache *c, uint64_t ticket, uint16_t domain,
	  uint32_t tables)
{
	const struct changes *changes = &c->domains[domain];

	if (c->everything > ticket || changes->whole > ticket)
		return true;
	for (size_t t = 0; tables; t++, tables >>= 1)
		if ((tables & 1) && changes->tables[t] > ticket)
			return true;
	return false;
}

bool
cache_is_current(const struct cache *c, uint64_t ticket,
		 const struct cache_item *item)
{
	uint16_t domain = domain_place(c, item->domain);

	if (overtaken(c, ticket, domain, item->tables))
		return false;
	for (size_t i = 0; i < CACHE_ROWS; i++) {
		const struct cache_row *row = &item->rows[i];

		if (row->table &&
		    c->rows[row_place(c, domain, row->table, row->key)] >
			    ticket)
			return false;
	}
	return true;
}

/* --- finding ---------------------------------------------------------- */

static struct cache_entry *
find(const struct cache *c, uint64_t hash, const void *key, size_t len)
{
	struct cache_entry *entry = c->buckets[hash & (c->nbuckets - 1)];

	while (entry && (entry->hash != hash || entry->key_len != len ||
			 memcmp(entry->bytes, key, len) != 0))
		entry = entry->next;
	return entry;
}

static bool
revoked(const struct cache *c, const struct cache_entry *entry)
{
	for (size_t i = 0; i < entry->nrows; i++)
		if (c->rows[entry->rows[i]] > entry->ticket)
			return true;
	return false;
}

enum cache_state
cache_get(struct cache *c, const void *key, size_t len, int64_t now_ms,
	  const struct cache_entry **entry)
{
	struct cache_entry *found =
		find(c, siphash(&c->seed, key, len), key, len);

	if (!found)
		return CACHE_ABSENT;
	*entry = found;
	if (found->newer) {
		list_remove(c, found);
		list_add(c, found);
	}
	if (revoked(c, found))
		return CACHE_REVOKED;
	if (now_ms >= found->fresh_until_ms ||
	    overtaken(c, found->ticket, found->domain, found->tables))
		return CACHE_OLD;
	return CACHE_FRESH;
}

bool
cache_is_found(const struct cache_entry *entry)
{
	return entry->found;
}

int64_t
cache_confirmed_ms(const struct cache_entry *entry)
{
	return entry->confirmed_ms;
}

void
cache_copy(struct buf *out, const struct cache_entry *entry)
{
	const struct pattern *p = entry->pattern;

	if (!buf_reserve(out,
			 (size_t)entry->prefix + entry->middle + entry->suffix))
		return;
	if (p)
		buf_add(out, p->text, entry->prefix);
	buf_add(out, entry->bytes + entry->key_len + entry->domain_len,
		entry->middle);
	if (p)
		buf_add(out, p->text + p->len - entry->suffix, entry->suffix);
}

/* --- storing ---------------------------------------------------------- */

/* Twice the buckets; without memory the chains just get longer. */
static void
grow(struct cache *c)
{
	size_t n = c->nbuckets * 2;
	struct cache_entry **buckets = calloc(n, sizeof(struct cache_entry *));

	if (!buckets)
		return;
	for (size_t i = 0; i < c->nbuckets; i++) {
		struct cache_entry *entry = c->buckets[i], *next;

		for (; entry; entry = next) {
			next = entry->next;
			entry->next = buckets[entry->hash & (n - 1)];
			buckets[entry->hash & (n - 1)] = entry;
		}
	}
	free(c->buckets);
	c->buckets = buckets;
	c->bytes += c->nbuckets * sizeof(struct cache_entry *);
	c->nbuckets = n;
}

static void
evict(struct cache *c, size_t wanted)
{
	struct list *some = &c->lists[0], *none = &c->lists[1];

	while (none->oldest && none->bytes > c->limit / NEGATIVE_SHARE) {
		entry_drop(c, none->oldest);
		c->evictions++;
	}
	while (c->bytes + wanted > c->limit && (some->oldest || none->oldest)) {
		entry_drop(c, none->oldest ? none->oldest : some->oldest);
		c->evictions++;
	}
}

void
cache_set_limit(struct cache *c, size_t limit)
{
	c->limit = limit;
	evict(c, 0);
}

static struct pattern *
pattern_new(struct cache *c, const struct cache_item *item)
{
	struct pattern *p = malloc(sizeof(*p) + item->len);

	if (!p)
		return NULL;
	p->users = 1;
	p->len = item->len;
	memcpy(p->text, item->body, item->len);
	c->bytes += sizeof(*p) + p->len + ALLOC_OVERHEAD;
	return p;
}

struct shared {
	struct pattern *pattern;
	size_t prefix;
	size_t suffix;
};

static void
compare(struct shared *s, const struct cache_item *item)
{
	const struct pattern *p = s->pattern;
	size_t max = p->len < item->len ? p->len : item->len;

	while (s->prefix < max && p->text[s->prefix] == item->body[s->prefix])
		s->prefix++;
	while (s->suffix < max - s->prefix &&
	       p->text[p->len - 1 - s->suffix] ==
		       item->body[item->len - 1 - s->suffix])
		s->suffix++;
}

/*
 * The pattern of such documents; when it has little in common with this one,
 * this one is the next.
 */
static void
share(struct cache *c, const struct cache_item *item, uint16_t domain,
      struct shared *s)
{
	unsigned char kind = *(const unsigned char *)item->key;
	struct pattern **place =
		&c->patterns[(domain + 977U * kind) % PATTERN_PLACES];

	memset(s, 0, sizeof(*s));
	if (!item->body || item->secret || item->len < PATTERN_MIN)
		return;
	s->pattern = *place;
	if (s->pattern)
		compare(s, item);
	if (s->prefix + s->suffix >= item->len / 4)
		return;
	memset(s, 0, sizeof(*s));
	pattern_release(c, *place);
	*place = s->pattern = pattern_new(c, item);
	if (s->pattern)
		s->prefix = item->len;
}

static void
add_rows(struct cache *c, struct cache_entry *entry,
	 const struct cache_item *item)
{
	for (size_t i = 0; i < CACHE_ROWS; i++)
		if (item->rows[i].table)
			entry->rows[entry->nrows++] =
				row_place(c, entry->domain, item->rows[i].table,
					  item->rows[i].key);
}

static struct cache_entry *
entry_new(struct cache *c, const struct cache_item *item)
{
	size_t domain_len = strlen(item->domain), middle;
	uint16_t domain = domain_place(c, item->domain);
	struct cache_entry *entry;
	struct shared s;

	share(c, item, domain, &s);
	middle = item->len - s.prefix - s.suffix;
	entry = malloc(sizeof(*entry) + item->key_len + domain_len + middle);
	if (!entry)
		return NULL;
	memset(entry, 0, sizeof(*entry));
	entry->hash = siphash(&c->seed, item->key, item->key_len);
	entry->key_len = (uint16_t)item->key_len;
	entry->domain_len = (uint8_t)domain_len;
	entry->middle = (uint32_t)middle;
	entry->prefix = (uint32_t)s.prefix;
	entry->suffix = (uint32_t)s.suffix;
	entry->pattern = s.pattern;
	if (s.pattern)
		s.pattern->users++;
	entry->domain = domain;
	entry->tables = item->tables;
	entry->found = item->body != NULL;
	entry->secret = item->secret;
	entry->ttl_ms = (uint32_t)item->ttl_ms;
	entry->confirmed_ms = item->confirmed_ms;
	entry->fresh_until_ms = item->confirmed_ms + item->ttl_ms;
	add_rows(c, entry, item);
	memcpy(entry->bytes, item->key, item->key_len);
	memcpy(entry->bytes + item->key_len, item->domain, domain_len);
	if (middle)
		memcpy(entry->bytes + item->key_len + domain_len,
		       item->body + s.prefix, middle);
	return entry;
}

void
cache_put(struct cache *c, uint64_t ticket, const struct cache_item *item)
{
	uint64_t hash = siphash(&c->seed, item->key, item->key_len);
	struct cache_entry *entry = find(c, hash, item->key, item->key_len);
	struct cache_entry **bucket;

	if (entry)
		entry_drop(c, entry);
	if (!item->key_len || item->key_len > CACHE_KEY_MAX ||
	    strlen(item->domain) > UINT8_MAX || item->len > c->limit / 4)
		return;
	entry = entry_new(c, item);
	if (!entry)
		return;
	c->puts++;
	entry->ticket = ticket;
	evict(c, entry_size(entry));
	if (c->lists[0].count + c->lists[1].count >= c->nbuckets)
		grow(c);
	bucket = &c->buckets[hash & (c->nbuckets - 1)];
	entry->next = *bucket;
	*bucket = entry;
	list_add(c, entry);
	list_of(c, entry)->count++;
	list_of(c, entry)->bytes += entry_size(entry);
	c->bytes += entry_size(entry);
}

/* --- looking on ------------------------------------------------------- */

void
cache_stats(const struct cache *c, struct cache_stats *stats)
{
	stats->negative = c->lists[1].count;
	stats->entries = c->lists[0].count + stats->negative;
	stats->bytes = c->bytes;
	stats->evictions = c->evictions;
	stats->state = c->clock + c->puts;
}

bool
cache_each(const struct cache *c, cache_each_fn fn, void *arg)
{
	const struct cache_entry *entry = c->lists[0].oldest;
	char domain[UINT8_MAX + 1];
	struct buf body = BUF_INIT;
	bool going = true;

	for (; entry && going; entry = entry->newer) {
		struct cache_item item = {
			.key = entry->bytes,
			.key_len = entry->key_len,
			.domain = domain,
			.tables = entry->tables,
			.secret = entry->secret,
			.ttl_ms = entry->ttl_ms,
			.confirmed_ms = entry->confirmed_ms,
		};

		if (revoked(c, entry))
			continue;
		memcpy(domain, entry->bytes + entry->key_len,
		       entry->domain_len);
		domain[entry->domain_len] = '\0';
		buf_clear(&body);
		cache_copy(&body, entry);
		item.body = body.data;
		item.len = body.len;
		going = !buf_failed(&body) && fn(&item, arg);
		if (entry->secret)
			hash_wipe(body.data, body.len);
	}
	buf_release(&body);
	return going;
}
