/* route: what the proxy finds for a dialled number, and why. */
#include <stdio.h>
#include <string.h>

#include "extcommand.h"
#include "pattern.h"

#define NEAR 8

/* Number and domain are $1 and $2. */
static const char answers_sql[] =
	"with answer as (select r.* from voip.route($2, $1) as r),"
	" candidates as ("
	"select case when n.number = $1 then 1 else 2 end as place,"
	" n.pattern_rank as rank, 'emergency' as matched,"
	" n.number as pattern, 'trunk_out' as type, null::boolean as media,"
	" t.name as trunk, case"
	"  when not n.active then 'the emergency number is inactive'"
	"  end as fault"
	" from voip.emergency_numbers as n"
	" left join voip.trunks as t on t.id = n.trunk_id"
	" where n.number = $1 or $1 ~ n.pattern_re"
	" union all"
	" select case when e.pattern_re is null then 3 else 4 end,"
	" e.pattern_rank, case when e.pattern_re is null then 'exact'"
	"  else 'pattern' end, e.extension, e.type, e.need_media, t.name, case"
	"  when not d.active then 'the domain is inactive'"
	"  when not e.active then 'the extension is inactive'"
	"  when not u.active then 'its user is inactive: ' || u.username"
	"  when not q.active then 'its queue is inactive: ' || q.name"
	"  when not i.active then 'its menu is inactive: ' || i.name"
	"  when not b.active then 'its box is inactive: ' || b.number"
	"  when not t.active then 'its trunk is inactive: ' || t.name"
	"  when not c.active then 'its conference is inactive: ' || c.number"
	"  end"
	" from voip.extensions as e"
	" join voip.domains as d on d.id = e.domain_id and d.domain = $2"
	" left join voip.users as u on u.id = e.user_id"
	" left join voip.queues as q on q.id = e.queue_id"
	" left join voip.ivr_menus as i on i.id = e.ivr_id"
	" left join voip.voicemail_boxes as b on b.id = e.voicemail_box_id"
	" left join voip.trunks as t on t.id = e.trunk_id"
	" left join voip.conferences as c on c.id = e.conference_id"
	" where (e.pattern_re is null and e.extension = $1)"
	"  or (e.pattern_re is not null and $1 ~ e.pattern_re))"
	" select true::text, a.matched, a.pattern, a.type, a.aor_user,"
	" a.need_media::text, a.dispatcher_set, a.trunk, a.service, a.reason,"
	" 0 as place, '' as rank"
	" from answer as a"
	" union all"
	" select false::text, c.matched, c.pattern, c.type, null, c.media::text, null,"
	" c.trunk, null, coalesce(c.fault,"
	"  (select format('%s comes first', a.pattern) from answer as a)),"
	" c.place, c.rank collate \"C\""
	" from candidates as c"
	" where not exists (select from answer as a where a.pattern = c.pattern"
	"  and a.matched = c.matched)"
	" order by 11, 12, 3";

/*
 * Where the number is known elsewhere, what is like it, and every pattern,
 * which pattern_near() judges (its reason is null here).
 */
static const char near_sql[] =
	"select 'domain', null, null,"
	" format('there is no domain %s', $2::text), 1 as place"
	" where not exists (select from voip.domains where domain = $2)"
	" union all (select 'elsewhere', e.extension || '@' || d.domain,"
	" e.type, 'it is a number of another domain', 2"
	" from voip.extensions as e"
	" join voip.domains as d on d.id = e.domain_id"
	" where e.extension = $1 and d.domain <> $2 and e.active and d.active"
	" order by 2 limit 5)"
	" union all (select 'number', e.extension, e.type,"
	" 'it is another number', 3"
	" from voip.extensions as e"
	" join voip.domains as d on d.id = e.domain_id"
	" where d.domain = $2 and e.pattern_re is null and e.extension <> $1"
	" and length(e.extension) between length($1) - 1 and length($1) + 1"
	" and length($1) > 1"
	" and left(e.extension, length($1) - 1) = left($1, length($1) - 1)"
	" order by e.extension collate \"C\" limit 3)"
	" union all select 'pattern', e.extension, e.type, null, 4"
	" from voip.extensions as e"
	" join voip.domains as d on d.id = e.domain_id"
	" where d.domain = $2 and e.pattern_re is not null"
	" order by 5, 2";

static const struct out_column columns[] = {
	{ "answers", OUT_BOOL }, { "matched", OUT_TEXT },
	{ "pattern", OUT_TEXT }, { "type", OUT_TEXT },
	{ "user", OUT_TEXT },    { "need_media", OUT_BOOL },
	{ "set", OUT_NUMBER },   { "trunk", OUT_TEXT },
	{ "service", OUT_TEXT }, { "reason", OUT_TEXT },
};

#define COLUMNS (sizeof(columns) / sizeof(columns[0]))

static void
print_near(struct out *out, const char *matched, const char *pattern,
	   const char *type, const char *reason)
{
	out_row(out, (const char *const[COLUMNS]){ "false", matched, pattern,
						   type, [9] = reason });
}

/* The patterns that the number just misses, and the other near rows. */
static void
print_near_rows(struct out *out, const struct db_result *r, const char *number)
{
	struct pattern dialled, p;
	bool comparable = pattern_parse(&dialled, number);
	int patterns = 0;

	for (int i = 0; i < db_rows(r); i++) {
		const char *pattern = db_value(r, i, 1);
		const char *reason = db_value(r, i, 3);
		struct buf why = BUF_INIT;

		if (reason)
			print_near(out, db_value(r, i, 0), pattern,
				   db_value(r, i, 2), reason);
		else if (comparable && patterns < NEAR &&
			 pattern_parse(&p, pattern) &&
			 pattern_near(&p, &dialled, &why)) {
			print_near(out, "near", pattern, db_value(r, i, 2),
				   why.data);
			patterns++;
		}
		buf_release(&why);
	}
}

static void
print_rows(struct out *out, const struct db_result *r)
{
	for (int i = 0; i < db_rows(r); i++) {
		const char *values[COLUMNS];

		for (size_t c = 0; c < COLUMNS; c++)
			values[c] = db_value(r, i, (int)c);
		out_row(out, values);
	}
}

int
ext_verb_route(struct db *db, struct ext_command *c, struct verr *e)
{
	struct db_result *answers = NULL, *near = NULL;
	const struct db_param params[] = { DB_TEXT(c->key.name),
					   DB_TEXT(c->key.domain) };
	bool found = false;
	struct out *out = NULL;
	int rc = -1;

	if (db_query(db, &answers, answers_sql, 2, params, e) == -1)
		goto out;
	found = db_rows(answers) &&
		strcmp(db_value(answers, 0, 0), "true") == 0;
	if (!found && db_query(db, &near, near_sql, 2, params, e) == -1)
		goto out;
	out = out_begin(stdout, c->options->format, columns, COLUMNS, e);
	if (!out)
		goto out;
	print_rows(out, answers);
	if (near)
		print_near_rows(out, near, c->key.name);
	rc = out_end(out, e);
	if (rc == 0 && !found)
		rc = verr_set(e, VERR_NOTFOUND, "nothing answers '%s'",
			      c->key_text);
out:
	db_result_free(answers);
	db_result_free(near);
	return rc;
}
