/*
 * cache: answers in bounded memory, each only as long as nothing that it was
 * made from has changed.
 *
 * Layer domain; no I/O, and time is what the caller says (ms of a clock that
 * never goes back).
 *
 * An entry is a document, or the fact that there is none, under a key that
 * holds all that decides the answer.  It says what it depends on: one domain
 * (or all of them), a set of tables, and single rows ("user 1001 of that
 * domain"); changes are told by cache_changed() and cache_row_changed().  What
 * an answer was made from is what the database held when it was *asked*:
 * cache_ticket() before the question, and cache_put() with that ticket; an
 * answer that a change overtook is stored, but not fresh.
 *
 * States of an entry:
 *   fresh    within its time, and nothing changed;
 *   old      its time is over, or something changed that it may depend on:
 *            ask anew, and answer with it when nobody can be asked;
 *   revoked  the row that it was made of changed: never an answer again.
 *
 * Changes are remembered in tables of fixed size, indexed by keyed hashes, so
 * that telling one costs the same however many entries there are.  Two rows
 * may share a place: then an answer is asked anew without need.
 *
 * Memory: documents of one domain share their beginning and their end.  Over
 * the limit the entries that were longest not asked for go; those that say
 * "there is none" go first and have an eighth of the memory at most, so that
 * who asks for names that do not exist displaces nobody.  No function fails
 * for want of memory: what cannot be stored is not stored.
 */
#ifndef CACHE_H
#define CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "verr.h"

#define CACHE_KEY_MAX 2048
#define CACHE_ROWS    3

/* The tables that answers are made from, as bits of cache_item.tables. */
/* clang-format off */
#define CACHE_TABLES(X)                                                   \
	X(DOMAINS, "domains") X(USERS, "users") X(EXTENSIONS, "extensions") \
	X(GROUPS, "groups") X(GROUP_MEMBERS, "group_members")             \
	X(QUEUES, "queues") X(QUEUE_MEMBERS, "queue_members")             \
	X(IVR_MENUS, "ivr_menus") X(IVR_ENTRIES, "ivr_entries")           \
	X(VOICEMAIL_BOXES, "voicemail_boxes")                             \
	X(CONFERENCES, "conferences") X(TRUNKS, "trunks")                 \
	X(RECORDING_POLICIES, "recording_policies")                       \
	X(MEDIA_NODES, "media_nodes")                                     \
	X(TRUSTED_ADDRESSES, "trusted_addresses")                         \
	X(EMERGENCY_NUMBERS, "emergency_numbers")
/* clang-format on */
#define CACHE_TABLE_PLACE(id, name) CACHE_PLACE_##id,
enum { CACHE_TABLES(CACHE_TABLE_PLACE) CACHE_TABLE_COUNT };
#define CACHE_TABLE_BIT(id, name) CACHE_##id = 1 << CACHE_PLACE_##id,
enum cache_table { CACHE_TABLES(CACHE_TABLE_BIT) };
#define CACHE_EVERYTHING ((1U << CACHE_TABLE_COUNT) - 1)

struct cache;

/* A row by table and key, in the item's domain. */
struct cache_row {
	const char *table; /* NULL: none */
	const char *key;
};

struct cache_item {
	const void *key;
	size_t key_len;
	const char *domain; /* lower case; "": all of them */
	uint32_t tables;    /* any change of these */
	struct cache_row rows[CACHE_ROWS];
	const char *body; /* NULL: there is none */
	size_t len;
	bool secret; /* holds what is kept sealed elsewhere */
	int64_t ttl_ms;
	/* When the database said so; may be before the start. */
	int64_t confirmed_ms;
};

struct cache_stats {
	size_t entries;
	size_t negative; /* of them */
	size_t bytes;    /* of the memory that the limit is about */
	uint64_t evictions;
	uint64_t state; /* another number when something was put or changed */
};

/* `limit` in bytes.  The caller frees it with cache_free(). */
struct cache *cache_new(size_t limit, struct verr *e);
void cache_free(struct cache *c);
void cache_set_limit(struct cache *c, size_t limit);
void cache_stats(const struct cache *c, struct cache_stats *stats);
/* Under the cache's own key: for tables beside it. */
uint64_t cache_hash(const struct cache *c, const void *data, size_t len);

enum cache_state { CACHE_ABSENT, CACHE_FRESH, CACHE_OLD, CACHE_REVOKED };

struct cache_entry;

/*
 * `entry` is set when the state is not CACHE_ABSENT: borrowed until the next
 * call that puts or sets the limit.
 */
enum cache_state cache_get(struct cache *c, const void *key, size_t len,
			   int64_t now_ms, const struct cache_entry **entry);

/* False: there is no such document. */
bool cache_is_found(const struct cache_entry *entry);
int64_t cache_confirmed_ms(const struct cache_entry *entry);
/* The ticket it was asked with; 0: it is older than this cache. */
uint64_t cache_entry_ticket(const struct cache_entry *entry);
/* Append the document. */
void cache_copy(struct buf *out, const struct cache_entry *entry);

/* Before a question is sent. */
uint64_t cache_ticket(const struct cache *c);
/* Has nothing changed since that an answer with this ticket depends on? */
bool cache_is_current(const struct cache *c, uint64_t ticket,
		      const struct cache_item *item);
/* Store, in place of what is there. */
void cache_put(struct cache *c, uint64_t ticket, const struct cache_item *item);

/*
 * Rows of `table` (NULL: of any table) changed in `domain`; without a domain
 * (NULL or "") everything is old.
 */
void cache_changed(struct cache *c, const char *table, const char *domain);
/* One row: revokes the answers that were made of it, and nothing else. */
void cache_row_changed(struct cache *c, const char *table, const char *domain,
		       const char *key);

/*
 * Each document, those that were asked for last at the end, until `fn` returns
 * false.  Revoked ones are left out; `item` and what it points to are borrowed
 * for the call, its rows are not given.
 */
typedef bool (*cache_each_fn)(const struct cache_item *item, void *arg);
bool cache_each(const struct cache *c, cache_each_fn fn, void *arg);

#endif
