/*
 * Any bytes as a lookup's form and as the rows of its answer: the document
 * passes FreeSWITCH's pre-processor unharmed and is well-formed; there is one
 * user in it, the one that was asked for; values come back; and the
 * applications are ours, with arguments that hold no sign of theirs.
 *
 * Input: parts that end with NUL, the form and then the columns row by row.
 * What a column's type or check allows in the database is kept (one letter of
 * `columns` each, in capitals: may be null, which a part "\1" means).
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/fsmodel.h"
#include "../unit/fsparse.h"
#include "answer.h"
#include "db_private.h"
#include "fsxml.h"
#include "log.h"

#define ROWS_MAX 6

/*
 * d domain, u user name or number, i number, b boolean, t text, s sealed (here
 * always null), c 0, 1 or 2.
 */
static const char *const columns[] = {
	[LOOKUP_USER] = "duUTTTTTTTTTTTIBTSUTBS",
	[LOOKUP_MAILBOX] = "dUUTTTTTTTTTTTIBTSuTBS",
	[LOOKUP_DOMAIN] = "i",
	[LOOKUP_GROUP] = "dUUTTTTTTTTTTTIBTS",
	[LOOKUP_NETWORKS] = "UT",
	[LOOKUP_GATEWAYS] = "dTttTbS",
	[LOOKUP_CALLCENTER] = "cdtuiiITBB",
	[LOOKUP_IVR] = "tTttTTTiiiIbi",
	[LOOKUP_CONFERENCE] = "duIbSS",
	[LOOKUP_ACL] = "tDt",
	[LOOKUP_DIALPLAN] = "TTTTUITTTTUTTITBTTTIBBBBITTITT",
};

static void
must(bool ok)
{
	if (!ok)
		abort();
}

/* --- rows ------------------------------------------------------------- */

struct input {
	const char *data, *end;
};

/* The next part as a string; "" when there is none. */
static char *
next(struct input *in)
{
	char *part = strndup(in->data, (size_t)(in->end - in->data));

	must(part != NULL);
	in->data += strlen(part);
	in->data += in->data < in->end;
	return part;
}

static void
only(char *value, const char *allowed, const char *empty, char *to, size_t size)
{
	size_t n = strlen(allowed);

	for (char *c = value; *c; c++)
		if (!strchr(allowed, *c))
			*c = allowed[(unsigned char)*c % n];
	snprintf(to, size, "%s", *value ? value : empty);
}

static void
set_column(PGresult *r, int row, int column, char kind, char *value)
{
	static const char letters[] = "abcxyzABCXYZ0123456789.-";
	static const char user[] = "_.+*#-abcxyzABCXYZ0123456789";
	bool null = kind < 'a' && strcmp(value, "\1") == 0;
	char some[65], *set = some;

	switch (kind | 0x20) {
	case 'd':
		only(value, letters, "x", some, sizeof(some));
		break;
	case 'u':
		only(value, user, "1", some, sizeof(some));
		break;
	case 'i':
		only(value, "0123456789", "0", some, 7);
		break;
	case 'b':
		only(value, "tf", "f", some, 2);
		break;
	case 'c':
		only(value, "012", "0", some, 2);
		break;
	case 's':
		null = true;
		break;
	default:
		set = value;
	}
	must(PQsetvalue(r, row, column, null ? NULL : set,
			null ? -1 : (int)strlen(set)));
}

static PGresult *
make_rows(struct input *in, const char *kinds)
{
	PGresult *r = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
	PGresAttDesc columns_[32] = { { .name = (char *)"x" } };
	int n = (int)strlen(kinds);

	for (int i = 0; i < n; i++)
		columns_[i].name = (char *)"x";
	must(r && PQsetResultAttrs(r, n, columns_));
	for (int row = 0; row == 0 || (row < ROWS_MAX && in->data < in->end);
	     row++)
		for (int i = 0; i < n; i++) {
			char *value = next(in);

			set_column(r, row, i, kinds[i], value);
			free(value);
		}
	return r;
}

/* --- what must be in the document ------------------------------------- */

/* In an argument: nothing that an application takes apart, but for ours. */
static void
check_argument(const char *application, const char *data)
{
	static const char *const applications[] = {
		"answer", "sleep",         "record_session", "limit",
		"bridge", "limit_execute", "voicemail",      "callcenter",
		"ivr",    "conference",    "hangup",
	};
	static const char *const variables[] = { "${voip_recording}", "${uuid}",
						 "${strftime(%Y/%m/%d)}" };
	bool set = strcmp(application, "set") == 0 ||
		   strcmp(application, "export") == 0;
	size_t i;

	for (i = 0; !set && i < sizeof(applications) / sizeof(char *); i++)
		if (strcmp(application, applications[i]) == 0)
			break;
	must(set || i < sizeof(applications) / sizeof(char *));
	if (set)
		must(data[strspn(data, "abcdefghijklmnopqrstuvwxyz_"
				       "ABCDEFGHIJKLMNOPQRSTUVWXYZ")] == '=');
	while (*data) {
		for (i = 0; i < 3; i++)
			if (strncmp(data, variables[i], strlen(variables[i])) ==
			    0)
				break;
		if (i < 3) {
			data += strlen(variables[i]);
			continue;
		}
		must(set ? strncmp(data, "${", 2) != 0
			 : !strchr("${}[]()'\"|,;<>&^\\\n\r\t", *data));
		data++;
	}
}

static void
check_actions(const struct fsnode *n, unsigned *extensions)
{
	for (; n; n = n->next) {
		*extensions += strcmp(n->name, "extension") == 0;
		if (strcmp(n->name, "action") == 0)
			check_argument(fsnode_attribute(n, "application"),
				       fsnode_attribute(n, "data"));
		check_actions(n->child, extensions);
	}
}

static bool
is_plain(const char *value)
{
	for (; *value; value++)
		if (*value < ' ' || *value > '~' || *value == '$')
			return false;
	return true;
}

static void
check_value(const struct fsnode *user, const char *list, const char *item,
	    const char *name, const char *want)
{
	const char *got = fsnode_value(user, list, item, name);

	must(!want == !got);
	must(!want || !is_plain(want) || strcmp(want, got) == 0);
}

static void
check_user(const struct fsnode *section, const struct lookup *l,
	   const struct db_result *r)
{
	const struct fsnode *user = NULL, *other = NULL;
	const struct fsnode *domain =
		fsnode_child(section, "domain", "name", l->domain);
	const char *id = db_value(r, 0, 1);

	if (!id)
		id = db_value(r, 0, 18); /* the box */
	must(fsnode_users(domain, l->user, &user) == 1);
	must(fsnode_users(domain, id ? id : l->user, &other) == 1);
	must(user == other);
	check_value(user, "params", "param", "a1-hash", db_value(r, 0, 3));
	check_value(user, "params", "param", "auth-acl", db_value(r, 0, 12));
	check_value(user, "variables", "variable", "toll_allow",
		    db_value(r, 0, 6));
	check_value(user, "variables", "variable", "accountcode",
		    db_value(r, 0, 5));
	check_value(user, "variables", "variable", "outbound_caller_id_name",
		    db_value(r, 0, 10));
}

static void
check(const struct buf *document, const struct lookup *l,
      const struct db_result *r)
{
	struct buf seen = BUF_INIT;
	const struct fsnode *section;
	unsigned extensions = 0;
	struct fsnode *root;
	struct fsmodel m;

	m = fsmodel_preprocess(&seen, document->data, document->len);
	must(fsmodel_is_safe(&m));
	root = fsparse(seen.data);
	section = fsnode_child(root, "section", "name", l->section);
	must(section && section->child);
	if (l->what == LOOKUP_USER || l->what == LOOKUP_MAILBOX)
		check_user(section, l, r);
	if (l->what == LOOKUP_DIALPLAN) {
		check_actions(section, &extensions);
		must(extensions == 1 &&
		     fsnode_child(section, "context", "name", l->call.context));
	}
	fsnode_free(root);
	buf_release(&seen);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { (const char *)data, (const char *)data + size };
	struct fs_settings settings;
	struct db_result r = { NULL };
	struct verr e = VERR_INIT;
	struct buf out = BUF_INIT;
	char *form = next(&in);
	struct question q;
	struct lookup l;

	/* what is left out is a warning */
	log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT, LOG_TARGET_STDERR);
	must(fs_settings_set(&settings, false, "127.0.0.1:5060", "default", 0,
			     &e) == 0);
	if (lookup_parse(&l, NULL, form, strlen(form), &e) == 0) {
		answer_question(&q, &l, &settings);
		if (q.sql) {
			r.pg = make_rows(&in, columns[l.what]);
			if (answer_document(&out, &l, &r, &settings, &e) == 1)
				check(&out, &l, &r);
			PQclear(r.pg);
		}
	}
	buf_release(&out);
	lookup_release(&l);
	free(form);
	return 0;
}
