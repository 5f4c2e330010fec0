/* A record: what it is of, its key, and its fields as they are kept. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account.h"
#include "b64.h"
#include "bulk.h"
#include "entitysql.h"
#include "hash.h"
#include "moment.h"
#include "secret.h"

/* What the slots point to. */
struct text {
	struct text *next;
	char text[];
};

/* A row of an entity in the making; an extension's line may make two. */
struct draft {
	struct bulk *b;
	const struct bulk_record *r;
	struct bulk_table *tab;
	struct entity_key key;
	const char *key_text;
	uint64_t given;
	const char *slots[BULK_COLUMNS];
	struct text *owned;
	bool wrong;
};

static void
draft_release(struct draft *d)
{
	struct text *t;

	while ((t = d->owned)) {
		d->owned = t->next;
		hash_wipe(t->text, strlen(t->text));
		free(t);
	}
}

/* Note what is wrong; -1 only when that cannot be done. */
static int
wrong(struct draft *d, const struct verr *why, struct verr *e)
{
	char what[2 * ENTITY_NAME + 300]; /* a key */

	d->wrong = true;
	if (why->kind != VERR_INPUT && why->kind != VERR_USAGE) {
		*e = *why;
		return -1;
	}
	snprintf(what, sizeof(what), "%s '%s'", d->tab->t->name, d->key_text);
	return bulk_reject_verr(d->b, d->r, what, why, e);
}

/* --- slots ------------------------------------------------------------ */

static size_t
slot_of(const struct bulk_table *tab, const char *column)
{
	size_t i = 0;

	while (i < tab->n && strcmp(tab->slots[i].column, column) != 0)
		i++;
	return i;
}

/* `text` is copied unless NULL. */
static int
put(struct draft *d, const char *column, const char *text, struct verr *e)
{
	size_t i = slot_of(d->tab, column);
	struct text *copy;
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
put_password(struct draft *d, const char *password, struct verr *e)
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
		if (put(d, columns[i], *password ? values[i] : NULL, e) == -1)
			return -1;
	hash_wipe(&a, sizeof(a));
	return 0;
}

static void
sealed_name(struct draft *d, const char *column, struct buf *name)
{
	buf_printf(name, "%s.%s:", d->tab->t->table, column);
	entity_key_format(name, d->tab->t, &d->key);
}

/* bytea's hex form. */
static int
put_bytes(struct draft *d, const char *column, const struct buf *bytes,
	  struct verr *e)
{
	struct buf hex = BUF_INIT;
	int rc;

	buf_puts(&hex, "\\x");
	for (size_t i = 0; i < bytes->len; i++)
		buf_printf(&hex, "%02x", (unsigned char)bytes->data[i]);
	rc = buf_failed(&hex) ? verr_set(e, VERR_RETRY, "out of memory")
			      : put(d, column, hex.data, e);
	buf_release(&hex);
	d->tab->sealed = true;
	return rc;
}

static int
put_secret(struct draft *d, const char *column, const char *secret,
	   struct verr *e)
{
	struct buf name = BUF_INIT, sealed = BUF_INIT;
	int rc;

	if (!*secret)
		return put(d, column, NULL, e);
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
put_sealed(struct draft *d, const char *column, const char *text,
	   struct verr *e)
{
	struct buf name = BUF_INIT, sealed = BUF_INIT, secret = BUF_INIT;
	struct verr why = VERR_INIT;
	int rc;

	if (!*text)
		return put(d, column, NULL, e);
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
put_hash(struct draft *d, const char *column, const char *text, struct verr *e)
{
	size_t len = strlen(text);
	size_t right = strcmp(column, "ha1") == 0 || strcmp(column, "ha1b") == 0
			       ? HASH_MD5_HEX - 1
			       : HASH_SHA256_HEX - 1;

	if (!len)
		return put(d, column, NULL, e);
	if (len != right || strspn(text, "0123456789abcdef") != len)
		return verr_set(e, VERR_INPUT,
				"'%s' is not %zu lower-case hex digits", column,
				right);
	return put(d, column, text, e);
}

/* The name alone: the row's domain is known. */
static int
put_reference(struct draft *d, const struct entity_field *f, const char *value,
	      struct verr *e)
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
	return put(d, f->column, name, e);
}

static int
put_networks(struct draft *d, const char *column, const char *list,
	     struct verr *e)
{
	struct buf b = BUF_INIT;
	int rc;

	buf_printf(&b, "{%s}", list);
	rc = buf_failed(&b) ? verr_set(e, VERR_RETRY, "out of memory")
			    : put(d, column, b.data, e);
	buf_release(&b);
	return rc;
}

static int
put_field(struct draft *d, const struct entity_field *f, const char *value,
	  struct verr *e)
{
	struct entity_value v = { f, value };
	char hash[HASH_SHA256_HEX], utc[MOMENT_TEXT];

	if (entity_check(d->tab->t, &v, e) == -1)
		return -1;
	if (f->type == ENTITY_PASSWORD)
		return put_password(d, value, e);
	if (f->type == ENTITY_SEALED)
		return put_secret(d, f->column, value, e);
	if (!*value)
		return put(d, f->column, NULL, e);
	switch (f->type) {
	case ENTITY_HASHED:
		if (hash_sha256_hex(hash, value, strlen(value), e) == -1)
			return -1;
		return put(d, f->column, hash, e);
	case ENTITY_TIME:
		if (moment_utc(utc, value, e) == -1)
			return -1;
		return put(d, f->column, utc, e);
	case ENTITY_REFERENCE:
		return put_reference(d, f, value, e);
	case ENTITY_CIDRS:
		return put_networks(d, f->column, value, e);
	default:
		return put(d, f->column, value, e);
	}
}

static int
put_column(struct draft *d, const struct bulk_column *c, const char *value,
	   struct verr *e)
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

/* --- names ------------------------------------------------------------ */

static const struct bulk_column *
find_column(const struct bulk_table *tab, const char *name)
{
	for (size_t i = 0; i < tab->ncolumns; i++)
		if (strcmp(tab->columns[i].name, name) == 0)
			return &tab->columns[i];
	return NULL;
}

static int
unknown_field(const struct entity *t, const char *name, struct verr *e)
{
	const char *like;

	if (entity_field_find(t, name))
		return verr_set(e, VERR_INPUT, "field '%s' %s", name,
				strcmp(t->fields->name, name) == 0
					? "is the key"
					: "cannot be written");
	like = entity_field_suggest(t, name);
	verr_set(e, VERR_INPUT, "'%s' has no field '%.64s'", t->name, name);
	return like ? verr_add(e, "\nhint: did you mean '%s'?", like) : -1;
}

static int
check_domain(const struct draft *d, const struct bulk_row *row, struct verr *e)
{
	const char *domain = d->b->o->domain, *own = NULL;
	const struct entity *t = d->tab->t;

	if (!domain)
		return 0;
	if (t->in_domain)
		own = d->key.domain;
	else if (strcmp(t->name, "domain") == 0)
		own = d->key.name;
	for (size_t i = 0; !t->in_domain && i < row->n; i++)
		if (strcmp(row->members[i].name, "domain") == 0)
			own = row->members[i].value;
	if (own && strcmp(own, domain) == 0)
		return 0;
	return verr_set(e, VERR_INPUT, "it is not of domain '%s'", domain);
}

/* --- rows ------------------------------------------------------------- */

/* Old hashes are of no use beside new ones. */
static int
check_hashes(struct draft *d, struct verr *e)
{
	uint64_t all = 0, both = 0;

	if (strcmp(d->tab->t->name, "user") != 0)
		return 0;
	both = (uint64_t)1 << slot_of(d->tab, "ha1") |
	       (uint64_t)1 << slot_of(d->tab, "ha1b");
	all = both | (uint64_t)1 << slot_of(d->tab, "ha1_sha256");
	if (!(d->given & all))
		return 0;
	if ((d->given & both) != both)
		return verr_set(e, VERR_INPUT,
				"'ha1' and 'ha1b' belong together");
	d->given |= all;
	return 0;
}

/* The type that the one given reference implies. */
static int
imply_type(struct draft *d, bool with_user, struct verr *e)
{
	const char *type = with_user ? "user" : NULL;

	if (d->given & (uint64_t)1 << slot_of(d->tab, "type"))
		return 0;
	for (size_t i = 0; !type && i < d->tab->n; i++) {
		const struct entity_field *f = d->tab->slots[i].field;

		if (d->slots[i] && f->type == ENTITY_REFERENCE &&
		    strcmp(f->name, "recording_policy") != 0)
			type = strcmp(f->name, "trunk") == 0 ? "trunk_out"
							     : f->name;
	}
	return type ? put(d, "type", type, e) : 0;
}

/* Is it a field that a line of an extension may hold for its user? */
static bool
is_of_user(struct bulk *b, const struct bulk_table *tab, const char *name)
{
	return strcmp(tab->t->name, "extension") == 0 &&
	       !find_column(tab, name) && !entity_field_find(tab->t, name) &&
	       find_column(bulk_table_of(b, entity_find("user")), name);
}

/* Those of the line's fields that are the draft's own. */
static int
put_members(struct draft *d, const struct bulk_row *row,
	    const struct draft *line, struct verr *e)
{
	for (size_t i = 0; i < row->n; i++) {
		const struct bulk_member *m = &row->members[i];
		const struct bulk_column *c;
		struct verr why;

		if (is_of_user(d->b, line->tab, m->name) != (d != line))
			continue;
		why.kind = VERR_NONE;
		c = find_column(d->tab, m->name);
		if ((c ? put_column(d, c, m->value, &why)
		       : unknown_field(d->tab->t, m->name, &why)) == -1 &&
		    wrong(d, &why, e) == -1)
			return -1;
	}
	return 0;
}

static int
put_user(struct draft *d, struct draft *user, const struct bulk_row *row,
	 struct verr *e)
{
	struct verr why = VERR_INIT;

	*user = (struct draft){ .b = d->b,
				.r = d->r,
				.tab = bulk_table_of(d->b, entity_find("user")),
				.key = d->key,
				.key_text = d->key_text };
	if (put_members(user, row, d, e) == -1)
		return -1;
	if (!user->given && !user->wrong)
		return 0;
	if (d->given & (uint64_t)1 << slot_of(d->tab, "user_id")) {
		verr_set(&why, VERR_INPUT,
			 "fields of the user are for a line of the user when "
			 "'user' is given");
		return wrong(d, &why, e);
	}
	return put(d, "user_id", d->key.name, e);
}

static int
stage(struct draft *d, struct verr *e)
{
	return bulk_stage(d->b, d->tab, d->r, &d->key, d->given, d->slots, e);
}

static int
take_row(struct draft *d, const struct bulk_row *row, struct verr *e)
{
	struct draft user = { .given = 0 };
	struct verr why = VERR_INIT;
	int rc = -1;

	if ((entity_key_parse(&d->key, d->tab->t, d->key_text, &why) == -1 ||
	     check_domain(d, row, &why) == -1))
		return wrong(d, &why, e);
	if (put_members(d, row, d, e) == 0 &&
	    (strcmp(d->tab->t->name, "extension") != 0 ||
	     (put_user(d, &user, row, e) == 0 &&
	      imply_type(d, user.given, e) == 0)))
		rc = 0;
	if (rc == 0 && (check_hashes(d, &why) == -1 ||
			(user.given && check_hashes(&user, &why) == -1)))
		rc = wrong(d, &why, e);
	if (rc == 0 && !d->wrong && !user.wrong) {
		if (user.given)
			rc = stage(&user, e);
		if (rc == 0)
			rc = stage(d, e);
	}
	draft_release(&user);
	return rc;
}

/* The entity that the line or the command names. */
static const struct entity *
line_entity(const struct bulk *b, const struct bulk_row *row, struct verr *e)
{
	const struct entity *only = b->o->only, *t;

	if (!row->entity && only)
		return only;
	if (!row->entity) {
		verr_set(e, VERR_INPUT, "no member 'entity'");
		return NULL;
	}
	t = entity_find(row->entity);
	if (!t)
		verr_set(e, VERR_INPUT, "'%.64s' is no entity", row->entity);
	else if (only && t != only)
		verr_set(e, VERR_INPUT, "it is of '%s', not of '%s'", t->name,
			 only->name);
	else
		return t;
	return NULL;
}

static int
take(struct bulk *b, const struct bulk_record *r, const struct bulk_row *row,
     struct verr *e)
{
	struct verr why = VERR_INIT;
	const struct entity *t = line_entity(b, row, &why);
	struct draft d = { .b = b, .r = r, .key_text = row->key };
	int rc;

	if (t && !row->key)
		verr_set(&why, VERR_INPUT, "no member 'key'");
	if (!t || !row->key)
		return bulk_reject_verr(b, r, NULL, &why, e);
	d.tab = bulk_table_of(b, t);
	rc = take_row(&d, row, e);
	draft_release(&d);
	return rc;
}

/* A column that is wrong is told once, not for each line. */
static int
check_header(struct bulk *b, struct verr *e)
{
	static const char *const others[] = { "entity", "key", "reason" };
	const struct bulk_table *tab = bulk_table_of(b, b->o->only);

	for (int i = 0; i < b->nnames; i++) {
		const char *name = b->names[i];
		bool known = find_column(tab, name) || is_of_user(b, tab, name);

		for (size_t j = 0; j < sizeof(others) / sizeof(others[0]); j++)
			known = known || strcmp(name, others[j]) == 0;
		if (!known)
			return unknown_field(tab->t, name, e);
	}
	return 0;
}

int
bulk_take(struct bulk *b, const struct bulk_record *r, struct verr *e)
{
	struct verr why = VERR_INIT;
	struct bulk_row row;
	bool head = b->nnames == 0;
	int rc = bulk_parse(b, &row, r, &why);

	head = head && b->file.csv;
	if (rc == 0 && head)
		rc = check_header(b, &why);
	if (rc == -1 && (why.kind != VERR_INPUT || head)) {
		*e = why;
		if (head)
			verr_wrap(e, "line %ld", r->line);
	} else if (rc == -1) {
		rc = bulk_reject_verr(b, r, NULL, &why, e);
	} else if (!head) {
		rc = take(b, r, &row, e);
	}
	bulk_row_release(&row);
	return rc;
}
