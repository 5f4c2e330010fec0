/* What is sealed, opened to see whether it is easy to guess. */
#include <string.h>

#include "doctor.h"
#include "entitysql.h"
#include "hash.h"
#include "secret.h"

#define SHORTEST 4

/* The row that a sealed value is of. */
struct sealed {
	const struct entity *entity;
	const struct entity_field *field;
	const char *id, *key;
};

typedef void (*opened_fn)(struct doctor *d, const struct doctor_check *k,
			  const struct sealed *s, const char *secret,
			  const struct verr *e);

static int
open_row(struct buf *secret, const struct sealed *s, const struct db_result *r,
	 int row, struct verr *e)
{
	struct buf name = BUF_INIT, bytes = BUF_INIT;
	int rc = db_bytea(r, row, 2, &bytes, e);

	buf_printf(&name, "%s.%s:%s", s->entity->table, s->field->column,
		   s->key);
	if (rc == 0)
		rc = secret_open(secret, name.data, bytes.data, bytes.len, e);
	buf_release(&name);
	buf_release(&bytes);
	return rc;
}

static int
each_of_field(struct doctor *d, const struct doctor_check *k, struct sealed *s,
	      opened_fn opened, struct verr *e)
{
	struct statement q = { .sql = BUF_INIT };
	struct db_result *r = NULL;
	int rc;

	buf_puts(&q.sql, "select t.id, ");
	sql_key(&q.sql, s->entity);
	buf_printf(&q.sql, ", t.%s", s->field->column);
	sql_from(&q.sql, s->entity);
	buf_printf(&q.sql, " where t.active and t.%s is not null",
		   s->field->column);
	if (d->domain && s->entity->in_domain)
		buf_printf(&q.sql, " and d.domain = $%d",
			   statement_param(&q, DB_TEXT(d->domain)));
	buf_puts(&q.sql, " order by 2");
	rc = statement_run(d->db, &q, &r, e);
	for (int i = 0; rc == 0 && i < db_rows(r); i++) {
		struct buf secret = BUF_INIT;
		struct verr why = VERR_INIT;

		s->id = db_value(r, i, 0);
		s->key = db_value(r, i, 1);
		if (open_row(&secret, s, r, i, &why) == 0)
			opened(d, k, s, secret.data, NULL);
		else
			opened(d, k, s, NULL, &why);
		if (secret.len)
			hash_wipe(secret.data, secret.len);
		buf_release(&secret);
	}
	db_result_free(r);
	statement_release(&q);
	return rc;
}

static int
each_sealed(struct doctor *d, const struct doctor_check *k, opened_fn opened,
	    struct verr *e)
{
	for (const struct entity *t = entities; t->name; t++) {
		/* What is of no domain is looked at with all domains. */
		if (d->domain && !t->in_domain)
			continue;
		for (const struct entity_field *f = t->fields; f->name; f++) {
			struct sealed s = { t, f, NULL, NULL };

			if (f->type == ENTITY_SEALED &&
			    each_of_field(d, k, &s, opened, e) == -1)
				return -1;
		}
	}
	return 0;
}

/* Is the secret the name of `len`, forwards or backwards? */
static bool
is_name(const char *secret, const char *name, size_t len)
{
	bool same = true, mirrored = true;

	if (strlen(secret) != len)
		return false;
	for (size_t i = 0; i < len; i++) {
		same = same && secret[i] == name[i];
		mirrored = mirrored && secret[i] == name[len - 1 - i];
	}
	return same || mirrored;
}

static bool
is_guess(const char *secret)
{
	const char *p = DOCTOR_GUESSES;

	for (size_t n; *p; p += n + (p[n] == ' ')) {
		n = strcspn(p, " ");
		if (strlen(secret) == n && memcmp(secret, p, n) == 0)
			return true;
	}
	return false;
}

static void
guess(struct doctor *d, const struct doctor_check *k, const struct sealed *s,
      const char *secret, const struct verr *e)
{
	size_t len = strcspn(s->key, "@");
	struct buf what = BUF_INIT;

	if (e)
		return;
	if (is_name(secret, s->key, len))
		buf_printf(&what, "its %s is its own name", s->field->name);
	else if (strlen(secret) < SHORTEST)
		buf_printf(&what, "its %s is shorter than %d characters",
			   s->field->name, SHORTEST);
	else if (is_guess(secret))
		buf_printf(&what, "its %s is one of those tried first",
			   s->field->name);
	if (what.len)
		doctor_found(d, k, s->entity->name, s->id, s->key, what.data);
	buf_release(&what);
}

static void
unreadable(struct doctor *d, const struct doctor_check *k,
	   const struct sealed *s, const char *secret, const struct verr *e)
{
	struct buf what = BUF_INIT;

	(void)secret;
	if (!e)
		return;
	buf_printf(&what, "its %s does not open: %.*s", s->field->name,
		   (int)strcspn(e->msg, "\n"), e->msg);
	doctor_found(d, k, s->entity->name, s->id, s->key, what.data);
	buf_release(&what);
}

static void
undialable(struct doctor *d, const struct doctor_check *k,
	   const struct sealed *s, const char *secret, const struct verr *e)
{
	struct buf what = BUF_INIT;

	if (e || !(s->field->flags & ENTITY_DIALLED) ||
	    !secret[strspn(secret, "0123456789")])
		return;
	buf_printf(&what, "its %s is not of digits", s->field->name);
	doctor_found(d, k, s->entity->name, s->id, s->key, what.data);
	buf_release(&what);
}

int
doctor_guessable(struct doctor *d, const struct doctor_check *k, struct verr *e)
{
	return each_sealed(d, k, guess, e);
}

int
doctor_sealed(struct doctor *d, const struct doctor_check *k, struct verr *e)
{
	return each_sealed(d, k, unreadable, e);
}

int
doctor_dialled(struct doctor *d, const struct doctor_check *k, struct verr *e)
{
	return each_sealed(d, k, undialable, e);
}
