/* log: change sets, or one of them field by field. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "extcommand.h"
#include "moment.h"

/* --- what the database is told of the entity table --------------------- */

/* Table, entity and whether its keys have a domain, for jsonb_to_recordset. */
static void
describe_entities(struct buf *out)
{
	for (const struct entity *t = entities; t->name; t++)
		buf_printf(out, "%s{\"t\":\"%s\",\"e\":\"%s\",\"d\":%s}",
			   t == entities ? "[" : ",", t->table, t->name,
			   t->in_domain ? "true" : "false");
	buf_puts(out, "]");
}

/* Table, column, field, its place, and the table that it points to. */
static void
describe_fields(struct buf *out)
{
	char comma = '[';

	for (const struct entity *t = entities; t->name; t++)
		for (const struct entity_field *f = t->fields; f->name; f++) {
			if (f->flags & ENTITY_READONLY)
				continue;
			buf_printf(out,
				   "%c{\"t\":\"%s\",\"c\":\"%s\",\"f\":\"%s\","
				   "\"o\":%d",
				   comma, t->table, f->column, f->name,
				   (int)(f - t->fields));
			if (f->type == ENTITY_REFERENCE)
				buf_printf(out, ",\"r\":\"%s\"",
					   entity_find(f->words)->table);
			buf_puts(out, "}");
			comma = ',';
		}
	buf_puts(out, "]");
}

/* --- many ------------------------------------------------------------- */

/*
 * $1 entities, $2 to $4 since, until and who, $5 domain, $6 to $8 table, key
 * and domain of one row, $9 a change set, $10 limit; null is all of them.
 */
static const char list_sql[] =
	"with e as (select * from jsonb_to_recordset($1::jsonb)"
	"  as x(t text, e text, d boolean))"
	" select c.id, to_char(c.at at time zone 'UTC',"
	"  'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), c.actor,"
	" coalesce(c.origin, host(c.address), 'local'), c.program, c.command,"
	" n.rows, c.undoes, c.undone_by,"
	" case when c.undoes is null then '' else 'undo ' || c.undoes || ': '"
	"  end || s.what || case when n.rows > 3 then ', ... ' || n.rows - 3"
	"  || ' more' else '' end"
	" from voip.change as c"
	" cross join lateral (select coalesce(sum(p.rows), 0)::bigint as rows"
	"  from voip.change_part as p where p.change_id = c.id) as n"
	" left join lateral (select string_agg(x.what, ', ' order by x.id)"
	"   as what from (select a.id, format('%s %s %s', case a.action"
	"    when 'insert' then 'add' when 'update' then 'set' else 'rm' end,"
	"    coalesce(e.e, a.table_name), a.key || case when e.d"
	"    then '@' || a.domain else '' end) as what"
	"   from voip.audit as a left join e on e.t = a.table_name"
	"   where a.change_id = c.id order by a.id limit 3) as x) as s on true"
	" where ($2::text is null or c.at >= case"
	"  when $2 ~ '^[0-9]+[smhdw]$' then now() - $2::interval"
	"  else $2::timestamptz end)"
	" and ($3::text is null or c.at < case"
	"  when $3 ~ '^[0-9]+[smhdw]$' then now() - $3::interval"
	"  else $3::timestamptz end)"
	" and ($4::text is null or c.role = $4"
	"  or c.actor in ($4, 'os:' || $4, 'key:' || $4))"
	" and ($5::text is null or exists (select from voip.change_part as p"
	"  where p.change_id = c.id and p.domain = $5))"
	" and ($6::text is null or c.id in (select a.change_id"
	"  from voip.audit as k join voip.audit as a"
	"  on a.row_id = k.row_id and a.table_name = k.table_name"
	"  where (k.key = $7 or k.old_key = $7) and k.table_name = $6"
	"  and ($8::text is null or k.domain = $8)))"
	" and ($9::text is null or c.id = $9::bigint)"
	" order by c.id desc limit $10::text::bigint";

enum {
	CHANGE,
	AT,
	ACTOR,
	FROM,
	UNDONE_BY = 8,
	SUMMARY,
};

static const struct out_column list_columns[] = {
	{ "change", OUT_NUMBER },    { "at", OUT_TEXT },
	{ "actor", OUT_TEXT },       { "from", OUT_TEXT },
	{ "program", OUT_TEXT },     { "command", OUT_TEXT },
	{ "rows", OUT_NUMBER },      { "undoes", OUT_NUMBER },
	{ "undone_by", OUT_NUMBER }, { "summary", OUT_TEXT },
};

#define COLUMNS (sizeof(list_columns) / sizeof(list_columns[0]))

/* People see what changed; machines all. */
static int
print_list(const struct ext_command *c, const struct db_result *r,
	   struct verr *e)
{
	static const int main_places[] = { CHANGE, AT,        ACTOR,
					   FROM,   UNDONE_BY, SUMMARY };
	const bool table = c->options->format == OUT_TABLE;
	const size_t n =
		table ? sizeof(main_places) / sizeof(main_places[0]) : COLUMNS;
	struct out_column columns[COLUMNS];
	int places[COLUMNS];
	struct out *out;

	for (size_t i = 0; i < n; i++) {
		places[i] = table ? main_places[i] : (int)i;
		columns[i] = list_columns[places[i]];
	}
	out = out_begin(stdout, c->options->format, columns, n, e);
	if (!out)
		return -1;
	for (int row = 0; row < db_rows(r); row++) {
		const char *values[COLUMNS];

		for (size_t i = 0; i < n; i++)
			values[i] = db_value(r, row, places[i]);
		out_row(out, values);
	}
	return out_end(out, e);
}

/* "90d" is back from now, anything else a moment. */
static int
check_time(const char *option, const char *value, char out[MOMENT_TEXT],
	   struct verr *e)
{
	size_t digits = strspn(value, "0123456789");

	if (digits && digits < 8 && value[digits] &&
	    strchr("smhdw", value[digits]) && !value[digits + 1])
		snprintf(out, MOMENT_TEXT, "%s", value);
	else if (moment_utc(out, value, e) == -1)
		return verr_set(e, VERR_INPUT,
				"--%s: '%s' is not a time\n"
				"hint: 2027-01-31, 2027-01-31T18:00Z, or how "
				"long ago: 90d, 12h",
				option, value);
	return 0;
}

static int
list(struct db *db, struct ext_command *c, const char *change, struct verr *e)
{
	const struct ext_options *o = c->options;
	char since[MOMENT_TEXT], until[MOMENT_TEXT], limit[24];
	const char *key = c->key_text[0] ? c->key_text : NULL;
	struct buf known = BUF_INIT, name = BUF_INIT;
	struct db_result *r = NULL;
	int rc = -1;

	snprintf(limit, sizeof(limit), "%d", o->limit ? o->limit : 50);
	describe_entities(&known);
	if (key && c->entity->parent)
		buf_printf(&name, "%s/", c->key.parent);
	buf_puts(&name, c->key.name);
	if (buf_failed(&known) || buf_failed(&name))
		verr_set(e, VERR_RETRY, "out of memory");
	else if ((!o->since || check_time("since", o->since, since, e) == 0) &&
		 (!o->until || check_time("until", o->until, until, e) == 0))
		rc = db_query(db, &r, list_sql, 10,
			      (struct db_param[]){
				      DB_TEXT(known.data),
				      DB_TEXT(o->since ? since : NULL),
				      DB_TEXT(o->until ? until : NULL),
				      DB_TEXT(o->who), DB_TEXT(o->domain),
				      DB_TEXT(key ? c->entity->table : NULL),
				      DB_TEXT(key ? name.data : NULL),
				      DB_TEXT(key && c->entity->in_domain
						      ? c->key.domain
						      : NULL),
				      DB_TEXT(change), DB_TEXT(limit) },
			      e);
	if (rc == 0 && change && db_rows(r) == 0)
		rc = verr_set(e, VERR_NOTFOUND, "change %s does not exist",
			      change);
	if (rc == 0)
		rc = print_list(c, r, e);
	db_result_free(r);
	buf_release(&known);
	buf_release(&name);
	return rc;
}

/* --- one -------------------------------------------------------------- */

/*
 * $1 entities, $2 fields, $3 change set, $4 limit.  What points to a row is
 * shown as that row's name, also when it is gone.
 */
static const char show_sql[] =
	"with e as (select * from jsonb_to_recordset($1::jsonb)"
	"  as x(t text, e text, d boolean)),"
	" f as (select * from jsonb_to_recordset($2::jsonb)"
	"  as x(t text, c text, f text, o integer, r text))"
	" select coalesce(e.e, a.table_name), a.key || case when e.d"
	"  then '@' || a.domain else '' end,"
	" case a.action when 'insert' then 'add' when 'update' then 'set'"
	"  else 'rm' end,"
	" coalesce(f.f, case when e.e is null then k.c end), b.text, n.text"
	" from voip.audit as a"
	" left join e on e.t = a.table_name"
	" left join lateral jsonb_object_keys(coalesce(a.before, '{}')"
	"  || coalesce(a.after, '{}')) as k(c) on e.e is null"
	"  or exists (select from f where f.t = a.table_name and f.c = k.c)"
	" left join f on f.t = a.table_name and f.c = k.c"
	" cross join lateral (select case"
	"  when f.r is not null then coalesce((select x.key from voip.audit as x"
	"   where x.row_id = (a.before ->> k.c)::bigint and x.table_name = f.r"
	"   order by x.id desc limit 1), '#' || (a.before ->> k.c))"
	"  when jsonb_typeof(a.before -> k.c) = 'array' then"
	"   (select string_agg(v, ',') from jsonb_array_elements_text("
	"   a.before -> k.c) as v)"
	"  else a.before ->> k.c end as text) as b"
	" cross join lateral (select case"
	"  when f.r is not null then coalesce((select x.key from voip.audit as x"
	"   where x.row_id = (a.after ->> k.c)::bigint and x.table_name = f.r"
	"   order by x.id desc limit 1), '#' || (a.after ->> k.c))"
	"  when jsonb_typeof(a.after -> k.c) = 'array' then"
	"   (select string_agg(v, ',') from jsonb_array_elements_text("
	"   a.after -> k.c) as v)"
	"  else a.after ->> k.c end as text) as n"
	" where a.change_id = $3::text::bigint"
	" order by a.id, f.o, k.c limit $4::text::bigint";

static const struct out_column show_columns[] = {
	{ "entity", OUT_TEXT }, { "key", OUT_TEXT },    { "action", OUT_TEXT },
	{ "field", OUT_TEXT },  { "before", OUT_TEXT }, { "after", OUT_TEXT },
};

int
ext_show_change(struct db *db, const struct ext_command *c, const char *change,
		struct verr *e)
{
	const int limit = c->options->limit ? c->options->limit : 1000;
	struct buf known = BUF_INIT, fields = BUF_INIT;
	struct db_result *r = NULL;
	struct out *out = NULL;
	char text[24];
	int rc = -1;

	snprintf(text, sizeof(text), "%d", limit);
	describe_entities(&known);
	describe_fields(&fields);
	if (buf_failed(&known) || buf_failed(&fields))
		verr_set(e, VERR_RETRY, "out of memory");
	else
		rc = db_query(db, &r, show_sql, 4,
			      (struct db_param[]){
				      DB_TEXT(known.data), DB_TEXT(fields.data),
				      DB_TEXT(change), DB_TEXT(text) },
			      e);
	if (rc == 0 && db_rows(r) == 0)
		rc = verr_set(e, VERR_NOTFOUND, "change %s does not exist",
			      change);
	if (rc == 0)
		out = out_begin(stdout, c->options->format, show_columns, 6, e);
	for (int row = 0; out && row < db_rows(r); row++) {
		const char *values[6];

		for (int i = 0; i < 6; i++)
			values[i] = db_value(r, row, i);
		out_row(out, values);
	}
	if (rc == 0)
		rc = out ? out_end(out, e) : -1;
	db_result_free(r);
	buf_release(&known);
	buf_release(&fields);
	return rc;
}

int
ext_list_change(struct db *db, struct ext_command *c, const char *change,
		struct verr *e)
{
	c->key_text[0] = '\0';
	return list(db, c, change, e);
}

/* --- verb ------------------------------------------------------------- */

bool
ext_is_change(const char *word)
{
	size_t n = strlen(word);

	return n && n < 19 && strspn(word, "0123456789") == n;
}

/* A number alone is a change set; with an entity it may be a key. */
int
ext_verb_log(struct db *db, struct ext_command *c, struct verr *e)
{
	if (c->argc > 1)
		return verr_set(e, VERR_USAGE, "unexpected argument '%s'",
				c->argv[1]);
	if (c->argc && !c->entity_given && ext_is_change(c->argv[0]))
		return ext_show_change(db, c, c->argv[0], e);
	if (c->argc && ext_set_key(c, c->argv[0], e) == -1)
		return -1;
	return list(db, c, NULL, e);
}
