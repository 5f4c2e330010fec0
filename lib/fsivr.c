/* ivr.conf: a menu and all that it leads to. */
#include "fsconfig.h"

#include <stdio.h>
#include <string.h>

#include "fsvalue.h"
#include "log.h"

/*
 * The menu and all that it leads to: each menu, then its entries.  What an
 * entry leads to must be there; a number is looked for when it is dialled.
 */
static const char sql_ivr[] =
	"with recursive d as (select id from voip.domains "
	"where domain = $1 and active), "
	"m as (select i.id, i.domain_id from d join voip.ivr_menus as i "
	"on i.domain_id = d.id and ($2 = '' or i.name = $2) and i.active "
	"union select s.id, s.domain_id from m "
	"join voip.ivr_entries as e on e.ivr_id = m.id and e.active "
	"and e.action = 'sub-menu' join voip.ivr_menus as s "
	"on s.domain_id = m.domain_id and s.name = e.action_data and s.active) "
	"select i.name, null as digit, null as action, null as data, "
	"i.greeting_sound, i.invalid_sound, i.timeout_sound, "
	"i.max_failures::text, i.max_timeouts::text, i.timeout_seconds::text, "
	"(select max(length(digit)) from voip.ivr_entries "
	"where ivr_id = i.id and active)::text, i.name <> $2, -1 as order_num "
	"from m join voip.ivr_menus as i on i.id = m.id "
	"union all select i.name, e.digit, e.action, e.action_data, null, "
	"null, null, null, null, null, null, i.name <> $2, e.order_num "
	"from m join voip.ivr_menus as i on i.id = m.id "
	"join voip.ivr_entries as e on e.ivr_id = i.id and e.active "
	"where case e.action when 'transfer' then true "
	"when 'queue' then exists (select from voip.queues as q "
	"where q.domain_id = i.domain_id and q.name = e.action_data "
	"and q.active) "
	"when 'voicemail' then exists (select from voip.voicemail_boxes as b "
	"where b.domain_id = i.domain_id and b.number = e.action_data "
	"and b.active) "
	"else exists (select from voip.ivr_menus as s "
	"where s.domain_id = i.domain_id and s.name = e.action_data "
	"and s.active) end "
	"order by 12, 1, 13, 2 limit 10000";

static void
sound(struct fsxml *x, const char *attribute, const char *value,
      const char *menu)
{
	if (!value)
		return;
	if (fsvalue_is_sound(value))
		fsxml_plain(x, attribute, value);
	else
		log_warning(
			"menu '%s' goes without its %s: '%s' cannot be played",
			menu, attribute, value);
}

static void
open_menu(struct fsxml *x, const struct lookup *l, const struct db_result *r,
	  int row)
{
	const char *name = db_value(r, row, 0), *digits = db_value(r, row, 10);
	char timeout[24];

	snprintf(timeout, sizeof(timeout), "%s000", db_value(r, row, 9));
	fsxml_close_to(x, l->is_part ? 2 : 4);
	fsxml_open(x, "menu");
	fsvalue_name(x, "name", "", name, l->domain);
	sound(x, "greet-long", db_value(r, row, 4), name);
	sound(x, "greet-short", db_value(r, row, 4), name);
	sound(x, "invalid-sound", db_value(r, row, 5), name);
	sound(x, "exit-sound", db_value(r, row, 6), name);
	fsxml_attr(x, "timeout", timeout);
	fsxml_attr(x, "inter-digit-timeout", "2000");
	fsxml_attr(x, "max-failures", db_value(r, row, 7));
	fsxml_attr(x, "max-timeouts", db_value(r, row, 8));
	fsxml_attr(x, "digit-len", digits ? digits : "1");
}

static void
write_entry(struct fsxml *x, const struct db_result *r, int row,
	    const char *domain)
{
	const char *digit = db_value(r, row, 1), *action = db_value(r, row, 2);
	const char *data = db_value(r, row, 3);
	char call[512] = "";
	bool named = strcmp(action, "queue") == 0;

	if (strcmp(action, "transfer") == 0)
		snprintf(call, sizeof(call), "transfer %s", data);
	else if (strcmp(action, "voicemail") == 0)
		snprintf(call, sizeof(call), "voicemail default %s %s", domain,
			 data);
	if (*call && !fsvalue_is_number(data)) {
		log_warning(
			"an entry of menu '%s' is left out: '%s' is no number",
			db_value(r, row, 0), data);
		return;
	}
	fsxml_open(x, "entry");
	fsxml_attr(x, "action", *call || named ? "menu-exec-app" : "menu-sub");
	fsxml_attr(x, "digits", digit);
	if (*call)
		fsxml_plain(x, "param", call);
	else
		fsvalue_name(x, "param", named ? "callcenter " : "", data,
			     domain);
	fsxml_close(x);
}

static int
ivr_answer(struct buf *out, const struct lookup *l, const struct db_result *r,
	   const struct fs_settings *s, struct verr *e)
{
	struct fsxml x;

	(void)s;
	(void)e;
	fsvalue_file(&x, out, l, "ivr.conf");
	fsxml_open(&x, "menus");
	for (int row = 0; row < db_rows(r); row++)
		if (db_value(r, row, 1))
			write_entry(&x, r, row, l->domain);
		else
			open_menu(&x, l, r, row);
	fsxml_end(&x);
	return 1;
}

const struct answer fsconfig_ivr = { .sql = sql_ivr,
				     .ask = fsvalue_ask,
				     .build = ivr_answer };
