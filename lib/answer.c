#include "answer.h"

#include <string.h>

#include "dialplan.h"
#include "directory.h"
#include "fsconfig.h"
#include "hash.h"
#include "log.h"
#include "secret.h"

static const struct answer *const answers[] = {
	[LOOKUP_USER] = &directory_user,
	[LOOKUP_MAILBOX] = &directory_mailbox,
	[LOOKUP_DOMAIN] = &directory_domain,
	[LOOKUP_GROUP] = &directory_group,
	[LOOKUP_NETWORKS] = &directory_networks,
	[LOOKUP_GATEWAYS] = &directory_gateways,
	[LOOKUP_CALLCENTER] = &fsconfig_callcenter,
	[LOOKUP_IVR] = &fsconfig_ivr,
	[LOOKUP_CONFERENCE] = &fsconfig_conference,
	[LOOKUP_ACL] = &fsconfig_acl,
	[LOOKUP_DIALPLAN] = &dialplan_number,
};

void
question_domain(struct question *q, const char *domain)
{
	size_t i;

	for (i = 0; i < sizeof(q->domain) - 1 && domain[i]; i++) {
		char c = domain[i];

		q->domain[i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
	}
	q->domain[i] = '\0';
}

void
answer_question(struct question *q, struct lookup *l,
		const struct fs_settings *s)
{
	const struct answer *a = answers[l->what];

	memset(q, 0, sizeof(*q));
	question_domain(q, l->domain);
	if (a && a->ask(q, l, s)) {
		q->sql = a->sql;
		q->sql_many = a->sql_many;
	} else {
		l->what = LOOKUP_UNKNOWN;
	}
}

void
answer_key(struct buf *key, const struct lookup *l, const struct question *q)
{
	buf_putc(key, (char)l->what);
	buf_add(key, l->domain, strlen(l->domain) + 1);
	for (int i = 0; i < q->nparams; i++) {
		const char *value = q->params[i].value;

		buf_putc(key, value ? 1 : 0);
		if (value)
			buf_add(key, value, strlen(value) + 1);
	}
}

int
answer_document(struct buf *out, const struct lookup *l,
		const struct db_result *r, const struct fs_settings *s,
		struct verr *e)
{
	const struct answer *a = answers[l->what];
	int rc;

	if (!a || !r || db_rows(r) == 0)
		return 0;
	rc = a->build(out, l, r, s, e);
	if (rc != -1 && buf_failed(out))
		return verr_set(e, VERR_RETRY, "out of memory for an answer");
	return rc;
}

bool
answer_open(struct buf *secret, const struct db_result *r, int row, int column,
	    const char *name, const char *key, const char *domain)
{
	struct buf full = BUF_INIT, sealed = BUF_INIT;
	struct verr e = VERR_INIT;
	bool opened = false;

	if (!key || !db_value(r, row, column))
		return false;
	buf_printf(&full, "%s:%s", name, key);
	if (domain)
		buf_printf(&full, "@%s", domain);
	if (db_bytea(r, row, column, &sealed, &e) == -1 || buf_failed(&full) ||
	    secret_open(secret, full.data, sealed.data, sealed.len, &e) == -1)
		log_error("an answer goes without its secret: %s", e.msg);
	else
		opened = true;
	buf_release(&full);
	buf_release(&sealed);
	return opened;
}

void
answer_wipe(struct buf *secret)
{
	if (secret->len)
		hash_wipe(secret->data, secret->len);
	buf_release(secret);
}
