#include "snapshotfile.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "hash.h"
#include "log.h"
#include "secret.h"
#include "siphash.h"

#define FLUSH_AT     65536
#define DOCUMENT_MAX (16U << 20)
#define SEALED       1U

/* As in the file. */
struct head {
	uint32_t key_len;
	uint32_t domain_len;
	uint32_t len;
	uint32_t tables;
	uint32_t flags;
	uint32_t ttl_ms;
	int64_t confirmed_ms;
};

/* --- both ways -------------------------------------------------------- */

/* Another version may number the questions otherwise. */
static void
chain_begin(struct siphash_key *chain)
{
	chain->k[0] = 0;
	chain->k[1] = siphash(&(struct siphash_key){ { 0, 1 } }, VERSION,
			      strlen(VERSION));
}

/* The checksum of `data`; it is the key of the next. */
static uint64_t
chain_next(struct siphash_key *chain, const void *data, size_t len)
{
	chain->k[0] = siphash(chain, data, len);
	return chain->k[0];
}

/* What a sealed document belongs to: its key, in hex. */
static void
seal_name(struct buf *out, const void *key, size_t len)
{
	const unsigned char *p = key;

	buf_puts(out, "dirxml.snapshot:");
	for (size_t i = 0; i < len; i++)
		buf_printf(out, "%02x", p[i]);
}

/* --- writing ---------------------------------------------------------- */

struct writer {
	int fd;
	int64_t oldest_ms;
	int64_t offset_ms;
	struct siphash_key chain;
	struct buf pending;
	struct buf sealed;
	int64_t count;
	struct verr *e;
	bool warned;
};

static bool
flush(struct writer *w)
{
	size_t done = 0;

	while (done < w->pending.len) {
		ssize_t n = write(w->fd, w->pending.data + done,
				  w->pending.len - done);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1) {
			verr_sys(w->e, VERR_RETRY, "cannot write a snapshot");
			return false;
		}
		done += (size_t)n;
	}
	buf_clear(&w->pending);
	return true;
}

static bool
add_record(struct writer *w, const struct head *h,
	   const struct cache_item *item, const char *document)
{
	struct head le = {
		.key_len = htole32(h->key_len),
		.domain_len = htole32(h->domain_len),
		.len = htole32(h->len),
		.tables = htole32(h->tables),
		.flags = htole32(h->flags),
		.ttl_ms = htole32(h->ttl_ms),
		.confirmed_ms = (int64_t)htole64((uint64_t)h->confirmed_ms),
	};
	size_t start = w->pending.len;
	uint64_t sum;

	buf_add(&w->pending, &le, sizeof(le));
	if (item) {
		buf_add(&w->pending, item->key, h->key_len);
		buf_add(&w->pending, item->domain, h->domain_len);
		buf_add(&w->pending, document, h->len);
	}
	if (!buf_failed(&w->pending)) {
		sum = htole64(chain_next(&w->chain, w->pending.data + start,
					 w->pending.len - start));
		buf_add(&w->pending, &sum, sizeof(sum));
	}
	if (buf_failed(&w->pending)) {
		verr_set(w->e, VERR_RETRY, "out of memory for a snapshot");
		return false;
	}
	return w->pending.len < FLUSH_AT || flush(w);
}

static bool
seal(struct writer *w, const struct cache_item *item)
{
	struct buf name = BUF_INIT;
	struct verr e = VERR_INIT;
	bool done;

	buf_clear(&w->sealed);
	seal_name(&name, item->key, item->key_len);
	done = !buf_failed(&name) &&
	       secret_seal(&w->sealed, name.data, item->body, &e) == 0 &&
	       !buf_failed(&w->sealed);
	if (!done && !w->warned) {
		log_warning("answers with secrets are not in the snapshot: %s",
			    e.msg);
		w->warned = true;
	}
	buf_release(&name);
	return done;
}

static bool
write_item(const struct cache_item *item, void *arg)
{
	struct writer *w = arg;
	struct head h = {
		.key_len = (uint32_t)item->key_len,
		.domain_len = (uint32_t)strlen(item->domain),
		.len = (uint32_t)item->len,
		.tables = item->tables,
		.ttl_ms = (uint32_t)item->ttl_ms,
		.confirmed_ms = item->confirmed_ms + w->offset_ms,
	};

	if (!item->body || item->confirmed_ms < w->oldest_ms ||
	    item->len > DOCUMENT_MAX / 2)
		return true;
	if (item->secret) {
		if (!seal(w, item))
			return true;
		h.flags = SEALED;
		h.len = (uint32_t)w->sealed.len;
	}
	w->count++;
	return add_record(w, &h, item,
			  item->secret ? w->sealed.data : item->body);
}

int
snapshotfile_write(int fd, const struct cache *cache, int64_t oldest_ms,
		   int64_t offset_ms, struct verr *e)
{
	struct writer w = {
		.fd = fd,
		.oldest_ms = oldest_ms,
		.offset_ms = offset_ms,
		.pending = BUF_INIT,
		.sealed = BUF_INIT,
		.e = e,
	};
	struct head end = { .key_len = 0 };
	bool done;

	chain_begin(&w.chain);
	buf_puts(&w.pending, SNAPSHOT_MAGIC);
	done = cache_each(cache, write_item, &w);
	if (!done && e->kind == VERR_NONE)
		verr_set(e, VERR_RETRY, "out of memory for a snapshot");
	end.confirmed_ms = w.count;
	done = done && add_record(&w, &end, NULL, NULL) && flush(&w);
	buf_release(&w.pending);
	buf_release(&w.sealed);
	return done ? 0 : -1;
}

/* --- reading ---------------------------------------------------------- */

struct reader {
	const char *at;
	size_t left;
	struct siphash_key chain;
	struct head h;
	const char *key, *domain, *document;
};

static bool
is_possible(const struct head *h)
{
	return h->key_len && h->key_len <= CACHE_KEY_MAX &&
	       h->domain_len <= UINT8_MAX && h->len && h->len <= DOCUMENT_MAX &&
	       h->flags <= SEALED;
}

/* 1: an answer; 0: the end; -1: no snapshot. */
static int
next_record(struct reader *r)
{
	size_t size = sizeof(r->h);
	uint64_t sum;

	if (r->left < size + sizeof(sum))
		return -1;
	memcpy(&r->h, r->at, size);
	r->h.key_len = le32toh(r->h.key_len);
	r->h.domain_len = le32toh(r->h.domain_len);
	r->h.len = le32toh(r->h.len);
	r->h.tables = le32toh(r->h.tables);
	r->h.flags = le32toh(r->h.flags);
	r->h.ttl_ms = le32toh(r->h.ttl_ms);
	r->h.confirmed_ms = (int64_t)le64toh((uint64_t)r->h.confirmed_ms);
	if (r->h.key_len && !is_possible(&r->h))
		return -1;
	if (r->h.key_len)
		size += (size_t)r->h.key_len + r->h.domain_len + r->h.len;
	if (r->left < size + sizeof(sum))
		return -1;
	memcpy(&sum, r->at + size, sizeof(sum));
	if (chain_next(&r->chain, r->at, size) != le64toh(sum))
		return -1;
	r->key = r->at + sizeof(r->h);
	r->domain = r->key + r->h.key_len;
	r->document = r->domain + r->h.domain_len;
	r->at += size + sizeof(sum);
	r->left -= size + sizeof(sum);
	return r->h.key_len ? 1 : 0;
}

static int
reader_begin(struct reader *r, const void *data, size_t len, struct verr *e)
{
	size_t magic = strlen(SNAPSHOT_MAGIC);

	if (len < magic || memcmp(data, SNAPSHOT_MAGIC, magic) != 0)
		return verr_set(e, VERR_INPUT, "it is no snapshot of ours");
	r->at = (const char *)data + magic;
	r->left = len - magic;
	chain_begin(&r->chain);
	return 0;
}

static int
check_all(const void *data, size_t len, struct verr *e)
{
	struct reader r = { 0 };
	int64_t count = 0;
	int rc;

	if (reader_begin(&r, data, len, e) == -1)
		return -1;
	while ((rc = next_record(&r)) == 1)
		count++;
	if (rc == -1 || r.left || r.h.confirmed_ms != count)
		return verr_set(e, VERR_INPUT,
				"it is damaged, or of another version of this "
				"program");
	return 0;
}

static bool
unseal(struct buf *out, const struct reader *r, struct verr *e)
{
	struct buf name = BUF_INIT;
	bool opened;

	seal_name(&name, r->key, r->h.key_len);
	opened = !buf_failed(&name) &&
		 secret_open(out, name.data, r->document, r->h.len, e) == 0;
	buf_release(&name);
	return opened;
}

int
snapshotfile_parse(const void *data, size_t len, snapshotfile_fn fn, void *arg,
		   struct verr *e)
{
	struct reader r = { 0 };
	struct verr why = VERR_INIT;
	struct buf opened = BUF_INIT;
	char domain[UINT8_MAX + 1];
	size_t closed = 0;

	if (check_all(data, len, e) == -1 ||
	    reader_begin(&r, data, len, e) == -1)
		return -1;
	while (next_record(&r) == 1) {
		struct cache_item item = {
			.key = r.key,
			.key_len = r.h.key_len,
			.domain = domain,
			.tables = r.h.tables,
			.body = r.document,
			.len = r.h.len,
			.ttl_ms = r.h.ttl_ms,
			.confirmed_ms = r.h.confirmed_ms,
			.secret = r.h.flags == SEALED,
		};

		memcpy(domain, r.domain, r.h.domain_len);
		domain[r.h.domain_len] = '\0';
		if (item.secret) {
			if (!unseal(&opened, &r, &why)) {
				closed++;
				continue;
			}
			item.body = opened.data;
			item.len = opened.len;
		}
		fn(&item, arg);
		if (opened.len)
			hash_wipe(opened.data, opened.len);
		buf_clear(&opened);
	}
	buf_release(&opened);
	if (closed)
		log_warning("%zu answers of the snapshot stay closed: %s",
			    closed, why.msg);
	return 0;
}
