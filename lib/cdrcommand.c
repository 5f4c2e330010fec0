#include "cdrcommand.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cdr.h"
#include "cdrauditshow.h"
#include "cdrdead.h"
#include "cdrshow.h"
#include "conf.h"
#include "log.h"
#include "out.h"
#include "progress.h"

#define EXPORT_PAGE 1000
#define LIMIT_MAX   100000
#define BODY_MAX    (1 << 20)

/* NULL: why is in `e`.  The caller frees it with db_free(). */
static struct db *
open_db(struct cdrcommand *c, bool writes, struct verr *e)
{
	struct db_options o = { .role = "voip_cdr",
				.retry = DB_RETRY_INTERACTIVE,
				.session_attrs = writes ? "read-write" : NULL };

	if (c->limit < 1 || c->limit > LIMIT_MAX) {
		verr_set(e, VERR_USAGE, "--limit: %d is not from 1 to %d",
			 c->limit, LIMIT_MAX);
		return NULL;
	}
	if (cdrquery_init(&c->query, e) == -1 ||
	    (c->after && cdrquery_after(&c->query, c->after, e) == -1))
		return NULL;
	return db_new(&o, e);
}

int
cdrcommand_list(struct cdrcommand *c, struct verr *e)
{
	enum out_format format;
	struct db_result *r = NULL;
	struct out *out;
	struct db *db;
	int rc = -1;

	if (out_format_from_options(&format, e) == -1)
		return -1;
	db = open_db(c, false, e);
	if (db &&
	    cdrquery_page(db, &r, &c->query, false, (unsigned)c->limit, e) ==
		    0 &&
	    (out = cdrshow_begin(format, e))) {
		cdrshow_rows(out, format, r);
		rc = out_end(out, e);
		cdrquery_next(&c->query, r);
		if (rc == 0 && db_rows(r) == c->limit)
			log_info("more: --after %s,%s", c->query.after_time,
				 c->query.after_uuid);
	}
	db_result_free(r);
	db_free(db);
	return rc;
}

static int
export_pages(struct cdrcommand *c, struct db *db, enum out_format format,
	     struct out *out, struct verr *e)
{
	struct progress p;
	int rows, rc;

	progress_begin(&p, "export", "legs", 0);
	do {
		struct db_result *r = NULL;

		rc = cdrquery_page(db, &r, &c->query, true, EXPORT_PAGE, e);
		rows = rc == 0 ? db_rows(r) : 0;
		if (rows) {
			cdrshow_rows(out, format, r);
			cdrquery_next(&c->query, r);
			progress_add(&p, (uint64_t)rows);
		}
		db_result_free(r);
	} while (rows == EXPORT_PAGE && !out_failed(out));
	progress_end(&p);
	return rc;
}

int
cdrcommand_export(struct cdrcommand *c, struct verr *e)
{
	enum out_format format;
	struct out *out = NULL;
	struct db *db;
	int rc = -1;

	if (out_format_from_options(&format, e) == -1)
		return -1;
	if (format == OUT_TABLE)
		format = OUT_CSV;
	db = open_db(c, false, e);
	if (db && (out = cdrshow_begin(format, e))) {
		rc = export_pages(c, db, format, out, e);
		if (rc == 0)
			rc = out_end(out, e);
		else
			out_end(out, &(struct verr){ VERR_NONE, "" });
	}
	db_free(db);
	return rc;
}

int
cdrcommand_show(struct cdrcommand *c, const char *leg_uuid, struct verr *e)
{
	enum out_format format;
	struct db_result *r = NULL;
	struct db *db;
	int rc = -1;

	if (out_format_from_options(&format, e) == -1)
		return -1;
	db = open_db(c, false, e);
	if (db && cdrquery_story(db, &r, leg_uuid, e) == 0)
		rc = db_rows(r)
			     ? cdrshow_story(format, r, e)
			     : verr_set(e, VERR_NOTFOUND,
					"there is no leg '%.256s'", leg_uuid);
	db_result_free(r);
	db_free(db);
	return rc;
}

int
cdrcommand_raw(struct cdrcommand *c, const char *leg_uuid, struct verr *e)
{
	struct db *db = open_db(c, false, e);
	int rc = -1;

	if (db && (rc = cdrquery_raw(db, &c->text, leg_uuid, e)) == 0 &&
	    c->text.len == 0)
		rc = verr_set(e, VERR_NOTFOUND,
			      "no body of leg '%.256s' is kept\n"
			      "hint: set cdr_keep_raw for voip-cdr-flush",
			      leg_uuid);
	db_free(db);
	return rc;
}

static unsigned
terminal_width(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col)
		return size.ws_col;
	return 80;
}

int
cdrcommand_stats(struct cdrcommand *c, struct verr *e)
{
	const char *by = c->group ? c->group : "day";
	enum out_format format;
	struct db_result *r = NULL;
	struct db *db;
	int rc = -1;

	if (out_format_from_options(&format, e) == -1)
		return -1;
	db = open_db(c, false, e);
	if (db && cdrquery_stats(db, &r, &c->query, by,
				 c->zone ? c->zone : "UTC", e) == 0) {
		if (c->chart)
			cdrshow_chart(&c->text, r, terminal_width());
		rc = c->chart ? 0 : cdrshow_stats(format, by, r, e);
	}
	db_result_free(r);
	db_free(db);
	return rc;
}

int
cdrcommand_audit(struct cdrcommand *c, const char *directory, struct verr *e)
{
	enum out_format format;
	struct db *db;
	int rc = -1;

	if (out_format_from_options(&format, e) == -1)
		return -1;
	/* a standby may not have all that was stored */
	db = open_db(c, true, e);
	if (db)
		rc = cdrauditshow_run(
			db, directory ? directory : conf_str("cdr_import_dir"),
			c->missing, format, e);
	db_free(db);
	return rc;
}

/* --- dead letters ----------------------------------------------------- */

static int
dead_list(struct cdrcommand *c, struct db *db, int argc, const char **argv,
	  struct verr *e)
{
	enum out_format format;
	struct db_result *r = NULL;
	int rc = -1;

	(void)argc;
	(void)argv;
	if (out_format_from_options(&format, e) == 0 &&
	    cdrdead_list(db, &r, (unsigned)c->limit, e) == 0)
		rc = cdrshow_dead(format, r, e);
	db_result_free(r);
	return rc;
}

static int
dead_show(struct cdrcommand *c, struct db *db, int argc, const char **argv,
	  struct verr *e)
{
	enum out_format format;
	struct db_result *r = NULL;
	int rc = -1;

	(void)c;
	(void)argc;
	if (out_format_from_options(&format, e) == 0 &&
	    cdrdead_show(db, &r, argv[0], e) == 0)
		rc = cdrshow_dead(format, r, e);
	db_result_free(r);
	return rc;
}

static int
dead_body(struct cdrcommand *c, struct db *db, int argc, const char **argv,
	  struct verr *e)
{
	(void)argc;
	return cdrdead_body(db, argv[0], &c->text, e);
}

/* Each of the words, or all; in one transaction. */
static int
each_letter(struct cdrcommand *c, struct db *db, int argc, const char **argv,
	    int (*fn)(struct db *db, const char *id, long *n, struct verr *e),
	    const char *done, struct verr *e)
{
	bool all = argc == 1 && strcmp(argv[0], "all") == 0;
	long sum = 0, n;
	int rc = db_begin(db, e);

	for (int i = 0; rc == 0 && i < argc; i++) {
		rc = fn(db, all ? NULL : argv[i], &n, e);
		sum += rc == 0 ? n : 0;
	}
	if (rc == 0)
		rc = db_commit(db, e);
	if (rc == -1)
		db_rollback(db);
	else
		buf_printf(&c->text, "%ld %s\n", sum, done);
	return rc;
}

static int
retry_one(struct db *db, const char *id, long *n, struct verr *e)
{
	return cdrdead_retry(db, id, NULL, n, e);
}

static int
dead_retry(struct cdrcommand *c, struct db *db, int argc, const char **argv,
	   struct verr *e)
{
	return each_letter(c, db, argc, argv, retry_one, "queued again", e);
}

static int
dead_drop(struct cdrcommand *c, struct db *db, int argc, const char **argv,
	  struct verr *e)
{
	return each_letter(c, db, argc, argv, cdrdead_drop, "dropped", e);
}

static int
read_body(struct buf *body, const char *path, struct verr *e)
{
	bool is_stdin = strcmp(path, "-") == 0;
	FILE *f = is_stdin ? stdin : fopen(path, "r");
	char part[16384];
	size_t n;
	int rc = 0;

	if (!f)
		return verr_sys(e, VERR_INPUT, "cannot open '%s'", path);
	while ((n = fread(part, 1, sizeof(part), f)) > 0 &&
	       body->len <= BODY_MAX)
		buf_add(body, part, n);
	if (ferror(f))
		rc = verr_sys(e, VERR_SYSTEM, "cannot read '%s'", path);
	else if (body->len > BODY_MAX)
		rc = verr_set(e, VERR_INPUT, "'%s' is larger than %d bytes",
			      path, BODY_MAX);
	else if (buf_failed(body))
		rc = verr_set(e, VERR_RETRY, "out of memory");
	if (!is_stdin)
		fclose(f);
	return rc;
}

/* What would be a dead letter again is refused. */
static int
dead_fix(struct cdrcommand *c, struct db *db, int argc, const char **argv,
	 struct verr *e)
{
	struct buf body = BUF_INIT;
	long n;
	int rc = read_body(&body, argv[1], e);

	(void)argc;
	if (rc == 0 && cdr_check(body.data, body.len, e) == -1)
		rc = verr_wrap(e, "'%s'", argv[1]);
	if (rc == 0)
		rc = cdrdead_retry(db, argv[0], &body, &n, e);
	if (rc == 0)
		buf_printf(&c->text, "%ld queued again\n", n);
	buf_release(&body);
	return rc;
}

static const struct dead_verb {
	const char *name;
	const char *args;
	int min_args;
	int max_args; /* -1: no limit */
	bool writes;
	int (*run)(struct cdrcommand *c, struct db *db, int argc,
		   const char **argv, struct verr *e);
} dead_verbs[] = {
	{ "list", "", 0, 0, false, dead_list },
	{ "show", "ID", 1, 1, false, dead_show },
	{ "body", "ID", 1, 1, false, dead_body },
	{ "retry", "ID...|all", 1, -1, true, dead_retry },
	{ "fix", "ID FILE", 2, 2, true, dead_fix },
	{ "drop", "ID...|all", 1, -1, true, dead_drop },
	{ .name = NULL },
};

int
cdrcommand_dead(struct cdrcommand *c, int argc, const char **argv,
		struct verr *e)
{
	const struct dead_verb *v = dead_verbs;
	struct db *db;
	int rc;

	while (v->name && (!argc || strcmp(v->name, argv[0]) != 0))
		v++;
	if (!v->name) {
		verr_set(e, VERR_USAGE,
			 "dead: no verb%s%s%s\nhint: one of:", argc ? " '" : "",
			 argc ? argv[0] : "", argc ? "'" : "");
		for (v = dead_verbs; v->name; v++)
			verr_add(e, " %s", v->name);
		return -1;
	}
	argc--;
	argv++;
	if (argc < v->min_args || (v->max_args != -1 && argc > v->max_args))
		return verr_set(e, VERR_USAGE, "usage: voip-cdr dead %s %s",
				v->name, v->args);
	db = open_db(c, v->writes, e);
	rc = db ? v->run(c, db, argc, argv, e) : -1;
	db_free(db);
	return rc;
}
