#include "reloadtask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "log.h"
#include "lookup.h"
#include "reloadcenter.h"

#define AGAIN_MS 1000

/* What @callcenter should find, in the order of enum center_kind. */
static const char sql_callcenter[] =
	"with m as (select d.domain, q.name, u.username, m.tier, m.position"
	" from voip.queue_members as m"
	" join voip.queues as q on q.id = m.queue_id and q.active"
	" join voip.users as u on u.id = m.user_id and u.active"
	" join voip.domains as d on d.id = m.domain_id and d.active"
	" where m.active)"
	" select 0, domain, null, null, null, null, null, null, null,"
	" null from voip.domains"
	" union all select 1, q.name, null, q.strategy,"
	" q.max_wait_time::text, q.max_wait_time_with_no_agent::text,"
	" case when q.tier_rules_apply then 'true' else 'false' end,"
	" q.discard_abandoned_after::text, q.music, d.domain"
	" from voip.queues as q join voip.domains as d on d.id = q.domain_id"
	" where q.active and d.active"
	" union all select distinct 2, username || '@' || domain, null,"
	" null, null, null, null, null, null, null from m"
	" union all select 3, name, username || '@' || domain,"
	" tier::text, position::text, null, null, null, null, domain from m";

static const char sql_trunks[] =
	"select name, updated_at::text from voip.trunks where active";

struct reload_trunk {
	char name[65];
	char stamp[64];
};

static void
put_command(const char *command, void *arg)
{
	struct reload_freeswitch *f = arg;

	reload_peer_put(&f->peer, command);
}

static void
put_off(struct reload_freeswitch *f)
{
	reload_peer_done(&f->peer, RELOAD_LATER, AGAIN_MS, NULL);
}

static void
database_is_away(struct reload_freeswitch *f, const struct verr *e)
{
	if (!f->told_database)
		log_event(LOG_LEVEL_WARNING, "waiting for the database", "peer",
			  f->peer.name, "error", e->msg, NULL);
	f->told_database = true;
	put_off(f);
}

static void
database_is_back(struct reload_freeswitch *f)
{
	if (f->told_database)
		log_event(LOG_LEVEL_INFO, "the database is back", "peer",
			  f->peer.name, NULL);
	f->told_database = false;
}

static void
out_of_memory(struct reload_freeswitch *f)
{
	log_event(LOG_LEVEL_WARNING, "out of memory", "peer", f->peer.name,
		  NULL);
	put_off(f);
}

/* --- @callcenter ------------------------------------------------------ */

static void
skip_name(const char *name, void *arg)
{
	struct reload_freeswitch *f = arg;

	log_event(LOG_LEVEL_WARNING, "name cannot be in a command", "peer",
		  f->peer.name, "name", name, NULL);
}

/* What a new agent gets, as callcenter.conf has it. */
static void
put_center(const char *command, void *arg)
{
	static const char add[] = "callcenter_config agent add ";
	static const char *const settings[][2] = {
		{ "max_no_answer", "3" },      { "wrap_up_time", "10" },
		{ "reject_delay_time", "10" }, { "busy_delay_time", "60" },
		{ "status", "Available" }, /* last, when all else is right */
	};
	struct reload_freeswitch *f = arg;
	size_t n = sizeof(settings) / sizeof(settings[0]);
	struct buf set = BUF_INIT;

	put_command(command, f);
	if (strncmp(command, add, sizeof(add) - 1) != 0)
		return;
	command += sizeof(add) - 1;
	for (size_t i = 0; i < n - !f->agents_available; i++) {
		buf_clear(&set);
		buf_printf(&set, "callcenter_config agent set %s %.*s %s",
			   settings[i][0], (int)strcspn(command, " "), command,
			   settings[i][1]);
		if (!buf_failed(&set))
			put_command(set.data, f);
	}
	buf_release(&set);
}

/* The names of queues, as callcenter.conf has them, in rows from `r`. */
static bool
put_queue_names(struct center_row *rows, const struct db_result *r,
		struct buf *text)
{
	int n = db_rows(r);
	const char *next;

	for (int i = 0; i < n; i++) {
		const char *domain = db_value(r, i, 9);

		if (!domain)
			continue;
		lookup_put_name(text, rows[i].name, '@', domain);
		buf_putc(text, '\0');
	}
	if (buf_failed(text))
		return false;
	next = text->data;
	for (int i = 0; i < n; i++)
		if (db_value(r, i, 9)) {
			rows[i].name = next;
			next += strlen(next) + 1;
		}
	return true;
}

static void
take_wanted(struct reload_freeswitch *f, struct db_result *r)
{
	size_t n = (size_t)db_rows(r);
	struct center_row *rows = calloc(n + 1, sizeof(*rows));
	char(*contacts)[400] = calloc(n + 1, sizeof(*contacts));
	struct center_lists lists = { f->answers[0].data, f->answers[1].data,
				      f->answers[2].data };
	struct buf names = BUF_INIT;
	struct verr e = VERR_INIT;
	int rc = -1;

	for (size_t i = 0; i < n && rows && contacts; i++) {
		struct center_row *row = &rows[i];
		int at = (int)i;

		row->kind = (enum center_kind)atoi(db_value(r, at, 0));
		row->name = db_value(r, at, 1);
		row->agent = db_value(r, at, 2);
		for (int v = 0; v < 6; v++)
			row->values[v] = db_value(r, at, 3 + v);
		if (row->kind != CENTER_AGENT)
			continue;
		snprintf(contacts[i], sizeof(contacts[i]),
			 "[leg_timeout=%ld]user/%s", f->ring_seconds,
			 row->name);
		row->values[0] = contacts[i];
	}
	if (!rows || !contacts || !put_queue_names(rows, r, &names))
		verr_set(&e, VERR_RETRY, "out of memory");
	else
		rc = center_difference(rows, n, &lists, put_center, skip_name,
				       f, &e);
	free(rows);
	free(contacts);
	buf_release(&names);
	if (rc == -1 && e.kind == VERR_RETRY)
		out_of_memory(f);
	else
		reload_peer_done(&f->peer,
				 rc == 0 ? RELOAD_DONE : RELOAD_REFUSED, 0, &e);
}

/* --- @gateways -------------------------------------------------------- */

/* The text of <NAME> before `end`; false when it is longer than a name is. */
static bool
element(const char *from, const char *end, const char *tag, char text[65])
{
	size_t tag_len = strlen(tag), len;
	const char *at = memmem(from, (size_t)(end - from), tag, tag_len);

	if (!at)
		return false;
	at += tag_len;
	len = strcspn(at, "<");
	if (len == 0 || len > 64 || at + len > end)
		return false;
	memcpy(text, at, len);
	text[len] = '\0';
	return true;
}

/*
 * The gateways of a profile in what `sofia xmlstatus gateway` answers, one
 * after the other: `*from` is NULL at first, the name is copied, false at the
 * end.
 */
static bool
next_gateway(const char **from, const char *xml, const char *profile,
	     char name[65])
{
	static const char open[] = "<gateway>", close[] = "</gateway>";
	const char *at = *from ? *from : xml, *end;
	char of_profile[65];

	while ((at = strstr(at, open)) && (end = strstr(at, close))) {
		bool ok = element(at, end, "<name>", name) &&
			  element(at, end, "<profile>", of_profile);

		at = end + sizeof(close) - 1;
		if (ok && strcmp(of_profile, profile) == 0) {
			*from = at;
			return true;
		}
	}
	return false;
}

static const struct reload_trunk *
find_trunk(const struct reload_trunk *trunks, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(trunks[i].name, name) == 0)
			return &trunks[i];
	return NULL;
}

static void
put_profile(struct reload_freeswitch *f, const char *verb, const char *name)
{
	char command[256];

	snprintf(command, sizeof(command), "sofia profile %s %s%s", f->profile,
		 verb, name);
	put_command(command, f);
}

static void
compare_gateways(struct reload_freeswitch *f, const struct reload_trunk *now,
		 size_t n)
{
	const char *xml = f->answers[0].data, *from = NULL;
	size_t kept = 0, killed = 0;
	char name[65];

	while (next_gateway(&from, xml, f->profile, name)) {
		const struct reload_trunk *is = find_trunk(now, n, name);
		const struct reload_trunk *was =
			find_trunk(f->trunks, f->n_trunks, name);

		if (is && was && strcmp(is->stamp, was->stamp) == 0) {
			kept++;
		} else if (name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
					     "abcdefghijklmnopqrstuvwxyz"
					     "0123456789_.-")] == '\0') {
			put_profile(f, "killgw ", name);
			killed++;
		}
	}
	if (killed > 0 || kept < n)
		put_profile(f, "rescan", "");
}

static void
take_trunks(struct reload_freeswitch *f, struct db_result *r)
{
	size_t n = (size_t)db_rows(r);
	struct reload_trunk *now = calloc(n + 1, sizeof(*now));

	if (!now) {
		out_of_memory(f);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		snprintf(now[i].name, sizeof(now[i].name), "%s",
			 db_value(r, (int)i, 0));
		snprintf(now[i].stamp, sizeof(now[i].stamp), "%s",
			 db_value(r, (int)i, 1));
	}
	compare_gateways(f, now, n);
	free(f->trunks);
	f->trunks = now;
	f->n_trunks = n;
	reload_peer_done(&f->peer, RELOAD_DONE, 0, NULL);
}

/* --- tasks: questions to FreeSWITCH, then one to the database ---------- */

static const struct task {
	const char *name;
	const char *questions[4]; /* end with NULL */
	const char *sql;
	void (*take)(struct reload_freeswitch *f, struct db_result *r);
} tasks[] = {
	{ "@callcenter",
	  { "callcenter_config queue list", "callcenter_config agent list",
	    "callcenter_config tier list", NULL },
	  sql_callcenter,
	  take_wanted },
	{ "@gateways",
	  { "sofia xmlstatus gateway", NULL },
	  sql_trunks,
	  take_trunks },
};

const char *const *
reload_task_questions(const char *command)
{
	for (size_t i = 0; i < sizeof(tasks) / sizeof(tasks[0]); i++)
		if (strcmp(tasks[i].name, command) == 0)
			return tasks[i].questions;
	return NULL;
}

static const struct task *
task_of(const char *command)
{
	const struct task *t = tasks;

	while (strcmp(t->name, command) != 0)
		t++;
	return t;
}

static void
take_result(struct db_result *r, const struct verr *e, void *arg)
{
	struct reload_freeswitch *f = arg;

	if (e && e->kind != VERR_NONE) {
		database_is_away(f, e);
		return;
	}
	database_is_back(f);
	task_of(reload_peer_asked(&f->peer))->take(f, r);
}

static void next_question(struct reload_freeswitch *f);

static void
take_list(const char *answer, size_t len, const struct verr *e, void *arg)
{
	struct reload_freeswitch *f = arg;

	if (!answer) {
		reload_peer_done(&f->peer, RELOAD_AWAY, 0, e);
		return;
	}
	if (strncmp(answer, "-ERR", 4) == 0) {
		reload_peer_refused(&f->peer, answer);
		return;
	}
	buf_clear(&f->answers[f->step]);
	buf_add(&f->answers[f->step], answer, len);
	f->step++;
	next_question(f);
}

static void
next_question(struct reload_freeswitch *f)
{
	const struct task *t = task_of(reload_peer_asked(&f->peer));
	struct verr e = VERR_INIT;

	if (f->step > 0 && buf_failed(&f->answers[f->step - 1])) {
		verr_set(&e, VERR_RETRY, "out of memory");
		reload_peer_done(&f->peer, RELOAD_AWAY, 0, &e);
	} else if (!t->questions[f->step]) {
		db_send(f->db, t->sql, 0, NULL, conf_ms("database_timeout"),
			take_result, f);
	} else if (esl_api(f->esl, t->questions[f->step], take_list, f, &e) ==
		   -1) {
		reload_peer_done(&f->peer, RELOAD_AWAY, 0, &e);
	}
}

void
reload_task_begin(struct reload_freeswitch *f)
{
	f->step = 0;
	next_question(f);
}
