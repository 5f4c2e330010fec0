#include "bulkslot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account.h"
#include "b64.h"
#include "entitysql.h"
#include "hash.h"
#include "moment.h"
#include "secret.h"

/* What the slots point to. */
struct bulk_text {
	struct bulk_text *next;
	char text[];
};

void
bulk_draft_release(struct bulk_draft *d)
{
	struct bulk_text *t;

	while ((t = d->owned)) {
		d->owned = t->next;
		hash_wipe(t->text, strlen(t->text));
		free(t);
	}
}

size_t
bulk_slot(const struct bulk_table *tab, const char *column)
{
	size_t i = 0;

	while (i < tab->n && strcmp(tab->slots[i].column, column) != 0)
		i++;
	return i;
}

/* `text` is copied unless NULL. */
int
bulk_put(struct bulk_draft *d, const char *column, const char *text,
	 struct verr *e)
{
	size_t i = bulk_slot(d->tab, column);
	struct bulk_text *copy;
	size_t size;

	if (d->given & (uint64_t)1 << i)
		return verr_set(e, VERR_INPUT, "'%s' is given in two ways",
				column);
	d->given |= (uint64_t)1 << i;
	d->slots[i] = NULL;
	if (!text)
		return 0;
	size = strlen(text) + 1;
	copy = malloc(sizeof(*copy) + size);
	if (!copy)
		return verr_set(e, VERR_RETRY, "out of memory");
	memcpy(copy->text, text, size);
	copy->next = d->owned;
	d->owned = copy;
	d->slots[i] = copy->text;
	return 0;
}

static int
put_password(struct bulk_draft *d, const char *password, struct verr *e)
{
	static const char *const columns[] = { "ha1", "ha1b", "ha1_sha256" };
	struct account a;
	const char *const values[] = { a.ha1, a.ha1b, a.ha1_sha256 };

	if (strcmp(password, "random") == 0)
		return verr_set(e, VERR_INPUT,
				"'random' is for the command line\n"
				"hint: give the password itself");
	if (*password &&
	    account_hash(&a, d->key.name, d->key.domain, password, e) == -1)
		return -1;
	for (size_t i = 0; i < 3; i++)
		if (bulk_put(d, columns[i], *password ? values[i] : NULL, e) ==
		    -1)
			return -1;
	hash_wipe(&a, sizeof(a));
	return 0;
}

static void
sealed_name(struct bulk_draft *d, const char *column, struct buf *name)
{
	buf_printf(name, "%s.%s:", d->tab->t->table, column);
	entity_key_format(name, d->tab->t, &d->key);
}

/* bytea's hex form. */
static int
put_bytes(struct bulk_draft *d, const char *column, const struct buf *bytes,
	  struct verr *e)
{
	struct buf hex = BUF_INIT;
	int rc;

	buf_puts(&hex, "\\x");
	for (size_t i = 0; i < bytes->len; i++)
		buf_printf(&hex, "%02x", (unsigned char)bytes->data[i]);
	rc = buf_failed(&hex) ? verr_set(e, VERR_RETRY, "out of memory")
			      : bulk_put(d, column, hex.data, e);
	buf_release(&hex);
	d->tab->sealed = true;
	return rc;
}

static int
put_secret(struct bulk_draft *d, const char *column, const char *secret,
	   struct verr *e)
{
	struct buf name = BUF_INIT, sealed = BUF_INIT;
	int rc;

	if (!*secret)
		return bulk_put(d, column, NULL, e);
	sealed_name(d, column, &name);
	rc = secret_seal(&sealed, name.data, secret, e);
	if (rc == 0)
		rc = put_bytes(d, column, &sealed, e);
	buf_release(&name);
	buf_release(&sealed);
	return rc;
}

/* Ciphertext must be of this row and key, if that can be told here. */
static int
put_sealed(struct bulk_draft *d, const char *column, const char *text,
	   struct verr *e)
{
	struct buf name = BUF_INIT, sealed = BUF_INIT, secret = BUF_INIT;
	struct verr why = VERR_INIT;
	int rc;

	if (!*text)
		return bulk_put(d, column, NULL, e);
	sealed_name(d, column, &name);
	rc = b64_decode(&sealed, text, strlen(text), e);
	if (rc == 0 &&
	    secret_open(&secret, name.data, sealed.data, sealed.len, &why) ==
		    -1 &&
	    why.kind != VERR_CONFIG) {
		*e = why;
		rc = -1;
	}
	if (rc == 0)
		rc = put_bytes(d, column, &sealed, e);
	hash_wipe(secret.data, secret.size);
	buf_release(&secret);
	buf_release(&sealed);
	buf_release(&name);
	return rc;
}

static int
put_hash(struct bulk_draft *d, const char *column, const char *text,
	 struct verr *e)
{
	size_t len = strlen(text);
	size_t right = strcmp(column, "ha1") == 0 || strcmp(column, "ha1b") == 0
			       ? HASH_MD5_HEX - 1
			       : HASH_SHA256_HEX - 1;

	if (!len)
		return bulk_put(d, column, NULL, e);
	if (len != right || strspn(text, "0123456789abcdef") != len)
		return verr_set(e, VERR_INPUT,
				"'%s' is not %zu lower-case hex digits", column,
				right);
	return bulk_put(d, column, text, e);
}

/* The name alone: the row's domain is known. */
static int
put_reference(struct bulk_draft *d, const struct entity_field *f,
	      const char *value, struct verr *e)
{
	const struct entity *to = sql_referenced(f);
	const char *at = to->in_domain ? strrchr(value, '@') : NULL;
	char name[ENTITY_NAME];

	if (at && strcmp(at + 1, d->key.domain) != 0)
		return verr_set(e, VERR_INPUT,
				"%s '%s' is of another domain than '%s'",
				to->name, value, d->key.domain);
	snprintf(name, sizeof(name), "%.*s",
		 at ? (int)(at - value) : (int)sizeof(name), value);
	return bulk_put(d, f->column, name, e);
}

static int
put_networks(struct bulk_draft *d, const char *column, const char *list,
	     struct verr *e)
{
	struct buf b = BUF_INIT;
	int rc;

	buf_printf(&b, "{%s}", list);
	rc = buf_failed(&b) ? verr_set(e, VERR_RETRY, "out of memory")
			    : bulk_put(d, column, b.data, e);
	buf_release(&b);
	return rc;
}

static int
put_field(struct bulk_draft *d, const struct entity_field *f, const char *value,
	  struct verr *e)
{
	struct entity_value v = { f, value };
	char hash[HASH_SHA256_HEX], utc[MOMENT_TEXT];

	if (entity_check(d->tab->t, "", &v, e) == -1)
		return -1;
	if (f->type == ENTITY_PASSWORD)
		return put_password(d, value, e);
	if (f->type == ENTITY_SEALED)
		return put_secret(d, f->column, value, e);
	if (!*value)
		return bulk_put(d, f->column, NULL, e);
	switch (f->type) {
	case ENTITY_HASHED:
		if (hash_sha256_hex(hash, value, strlen(value), e) == -1)
			return -1;
		return bulk_put(d, f->column, hash, e);
	case ENTITY_TIME:
		if (moment_utc(utc, value, e) == -1)
			return -1;
		return bulk_put(d, f->column, utc, e);
	case ENTITY_REFERENCE:
		return put_reference(d, f, value, e);
	case ENTITY_CIDRS:
		return put_networks(d, f->column, value, e);
	default:
		return bulk_put(d, f->column, value, e);
	}
}

int
bulk_put_column(struct bulk_draft *d, const struct bulk_column *c,
		const char *value, struct verr *e)
{
	switch (c->kind) {
	case BULK_HASH:
		return put_hash(d, c->column, value, e);
	case BULK_SEALED:
		return put_sealed(d, c->column, value, e);
	default:
		return put_field(d, c->field, value, e);
	}
}
