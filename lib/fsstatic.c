#include "fsstatic.h"

#include <string.h>

#include "answer.h"
#include "dialplan.h"
#include "directory.h"
#include "fsconfig.h"

#define PARTS_MAX 3

static const struct {
	const char *section;
	const struct answer *parts[PARTS_MAX];
} sections[] = {
	{ "configuration",
	  { &fsconfig_callcenter, &fsconfig_ivr, &fsconfig_conference } },
	{ "dialplan", { &dialplan_whole } },
	{ "directory", { &directory_whole } },
};

static const struct answer *const *
parts_of(const char *section, struct verr *e)
{
	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++)
		if (strcmp(sections[i].section, section) == 0)
			return sections[i].parts;
	verr_set(e, VERR_USAGE,
		 "unknown section '%s'\nhint: configuration, dialplan or "
		 "directory",
		 section);
	return NULL;
}

/* 1 when it was there, 0 when not. */
static int
print_part(struct buf *out, const struct answer *a, struct lookup *l,
	   struct db *db, const struct fs_settings *s, struct verr *e)
{
	struct db_result *result = NULL;
	struct question q;
	int rc = -1;

	memset(&q, 0, sizeof(q));
	question_domain(&q, l->domain);
	if (!a->ask(&q, l, s))
		return 0;
	if (db_query(db, &result, a->sql, q.nparams, q.params, e) == 0)
		rc = db_rows(result) ? a->build(out, l, result, s, e) : 0;
	db_result_free(result);
	return rc;
}

static int
print_parts(struct buf *out, const struct answer *const *parts,
	    struct lookup *l, const struct fs_settings *settings,
	    struct verr *e)
{
	struct db_options options = { .role = "voip_dirxml",
				      .retry = DB_RETRY_INTERACTIVE };
	struct db *db = db_new(&options, e);
	int rc, any = 0;

	if (!db)
		return -1;
	buf_puts(out, "<include>\n");
	for (int i = 0; i < PARTS_MAX && parts[i]; i++) {
		rc = print_part(out, parts[i], l, db, settings, e);
		if (rc == -1) {
			any = -1;
			break;
		}
		any |= rc;
	}
	buf_puts(out, "</include>\n");
	db_free(db);
	return any;
}

int
fsstatic_print(struct buf *out, const char *section, const char *domain,
	       const char *context, struct verr *e)
{
	struct lookup l;
	struct fs_settings settings;
	const struct answer *const *parts = parts_of(section, e);
	int rc;

	if (!parts || fs_settings_read(&settings, e) == -1)
		return -1;
	lookup_init(&l);
	l.domain = domain;
	l.call.context = context ? context : "";
	l.is_part = true;
	if (!lookup_is_domain(domain) || !lookup_is_user(l.call.context)) {
		rc = 0;
	} else {
		if (!*l.call.context)
			l.call.context = settings.context;
		rc = print_parts(out, parts, &l, &settings, e);
	}
	if (rc != -1 && buf_failed(out))
		rc = verr_set(e, VERR_RETRY, "out of memory");
	lookup_release(&l);
	return rc;
}
