#include "fsconfig.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fsxml.h"
#include "log.h"

/* --- what may be said to an application ------------------------------- */

static bool
made_of(const char *s, const char *others)
{
	for (; *s; s++)
		if (!((*s >= '0' && *s <= '9') || (*s >= 'a' && *s <= 'z') ||
		      (*s >= 'A' && *s <= 'Z') || strchr(others, *s)))
			return false;
	return true;
}

/* An argument that begins with "-" is an option of some applications. */
bool
fsconfig_is_number(const char *number)
{
	return number && *number && *number != '-' && strlen(number) <= 64 &&
	       made_of(number, "_.+*#-");
}

static bool
has_prefix(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool
fsconfig_is_sound(const char *sound)
{
	static const char *const schemes[] = { "local_stream://",
					       "tone_stream://",
					       "silence_stream://" };

	if (!sound || !*sound || strlen(sound) > 255)
		return false;
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (has_prefix(sound, schemes[i]))
			return made_of(sound + strlen(schemes[i]),
				       "/_.-%(),;=+*");
	return *sound != '-' && !strstr(sound, "..") && made_of(sound, "/_.-");
}

void
fsconfig_recording(struct buf *out, const struct fs_settings *s,
		   const char *domain)
{
	buf_printf(out, "%s/%s/${strftime(%%Y/%%m/%%d)}/${uuid}.wav",
		   s->recordings, domain);
}

/* --- pieces ----------------------------------------------------------- */

static void
open_file(struct fsxml *x, struct buf *out, const char *name)
{
	fsxml_begin(x, out, "configuration");
	fsxml_open(x, "configuration");
	fsxml_name(x, name);
}

static void
param(struct fsxml *x, const char *name, const char *value)
{
	fsxml_item(x, "param", name, value);
}

static void
expanded_param(struct fsxml *x, const char *name, const char *value)
{
	fsxml_open(x, "param");
	fsxml_name(x, name);
	fsxml_expanded(x, "value", value);
	fsxml_close(x);
}

static void
attribute_name(struct fsxml *x, const char *attribute, const char *prefix,
	       const char *name, const char *domain)
{
	struct buf text = BUF_INIT;

	buf_puts(&text, prefix);
	lookup_put_name(&text, name, '@', domain);
	fsxml_attr(x, attribute, text.data);
	if (buf_failed(&text))
		x->out->failed = true;
	buf_release(&text);
}

static bool
ask_name(struct question *q, struct lookup *l, const struct fs_settings *s)
{
	(void)s;
	q->nparams = 2;
	q->params[0] = DB_TEXT(q->domain);
	q->params[1] = DB_TEXT(l->name);
	return true;
}

/* --- callcenter.conf -------------------------------------------------- */

enum { ROW_QUEUE, ROW_AGENT, ROW_TIER };

/*
 * One queue, or all of them: 0 queues, 1 agents, 2 tiers.  The agents of a
 * queue that is asked for alone come with it, because mod_callcenter reads
 * both out of the same answer.
 */
static const char sql_callcenter[] =
	"with q as (select d.domain, q.* from voip.queues as q "
	"join voip.domains as d on d.id = q.domain_id and d.active "
	"where q.active and ($1 = '' or (d.domain = $1 and q.name = $2))), "
	"m as (select q.domain, q.name, u.username, m.tier, m.position "
	"from q join voip.queue_members as m on m.queue_id = q.id and m.active "
	"join voip.users as u on u.id = m.user_id and u.active) "
	"select 0 as kind, q.domain, q.name, q.strategy, "
	"q.max_wait_time::text, q.max_wait_time_with_no_agent::text, "
	"q.discard_abandoned_after::text, q.music, "
	"q.tier_rules_apply, q.record or exists (select "
	"from voip.extensions as e join voip.recording_policies as p "
	"on p.id = e.recording_policy_id and p.active and p.record_queue "
	"where e.queue_id = q.id and e.active) from q "
	"union all select distinct 1, m.domain, m.username, null, null, null, "
	"null, null, null::boolean, null::boolean from m "
	"union all select 2, m.domain, m.name, m.username, m.tier::text, "
	"m.position::text, null, null, null, null from m "
	"order by 1, 2, 3, 4";

/*
 * A queue whose music cannot be opened makes mod_callcenter try again without
 * a pause, so a file must be there; FreeSWITCH runs on this node.
 */
static const char *
music(const char *wanted, const struct fs_settings *s, const char *queue)
{
	if (!wanted)
		return s->music;
	if (fsconfig_is_sound(wanted) &&
	    (strstr(wanted, "://") ||
	     (*wanted == '/' && access(wanted, R_OK) == 0)))
		return wanted;
	log_warning("queue '%s' has the default music: '%s' cannot be played",
		    queue, wanted);
	return s->music;
}

static void
write_queue(struct fsxml *x, const struct db_result *r, int row,
	    const struct fs_settings *s)
{
	const char *domain = db_value(r, row, 1), *name = db_value(r, row, 2);
	struct buf path = BUF_INIT;

	fsxml_open(x, "queue");
	attribute_name(x, "name", "", name, domain);
	param(x, "strategy", db_value(r, row, 3));
	param(x, "moh-sound", music(db_value(r, row, 7), s, name));
	param(x, "time-base-score", "system");
	param(x, "max-wait-time", db_value(r, row, 4));
	param(x, "max-wait-time-with-no-agent", db_value(r, row, 5));
	param(x, "tier-rules-apply", db_is_true(r, row, 8) ? "true" : "false");
	param(x, "discard-abandoned-after", db_value(r, row, 6));
	param(x, "abandoned-resume-allowed", "false");
	if (db_is_true(r, row, 9)) {
		fsconfig_recording(&path, s, domain);
		expanded_param(x, "record-template", path.data);
	}
	fsxml_close(x);
	buf_release(&path);
}

/* USER@DOMAIN as it is: both are made of a fixed alphabet. */
static void
agent_name(struct fsxml *x, const char *attribute, const char *user,
	   const char *domain)
{
	char name[330];

	snprintf(name, sizeof(name), "%s@%s", user, domain);
	fsxml_plain(x, attribute, name);
}

static void
write_agent(struct fsxml *x, const struct db_result *r, int row,
	    const struct fs_settings *s)
{
	const char *domain = db_value(r, row, 1), *user = db_value(r, row, 2);
	char contact[400];

	snprintf(contact, sizeof(contact), "[leg_timeout=%ld]user/%s@%s",
		 s->ring_seconds, user, domain);
	fsxml_open(x, "agent");
	agent_name(x, "name", user, domain);
	fsxml_attr(x, "type", "callback");
	fsxml_plain(x, "contact", contact);
	if (s->agents_available)
		fsxml_attr(x, "status", "Available");
	fsxml_attr(x, "max-no-answer", "3");
	fsxml_attr(x, "wrap-up-time", "10");
	fsxml_attr(x, "reject-delay-time", "10");
	fsxml_attr(x, "busy-delay-time", "60");
	fsxml_close(x);
}

static void
write_tier(struct fsxml *x, const struct db_result *r, int row)
{
	const char *domain = db_value(r, row, 1);

	fsxml_open(x, "tier");
	agent_name(x, "agent", db_value(r, row, 3), domain);
	attribute_name(x, "queue", "", db_value(r, row, 2), domain);
	fsxml_attr(x, "level", db_value(r, row, 4));
	fsxml_attr(x, "position", db_value(r, row, 5));
	fsxml_close(x);
}

/*
 * mod_callcenter asks again when there is no <tiers>.  At its load it forgets
 * the tiers that it kept: the answer has all of them.
 */
static void
write_callcenter(struct buf *out, const struct db_result *r, int rows,
		 const struct fs_settings *s)
{
	static const char *const lists[] = { "queues", "agents", "tiers" };
	struct fsxml x;
	int row = 0;

	open_file(&x, out, "callcenter.conf");
	fsxml_open(&x, "settings");
	param(&x, "truncate-tiers-on-load", "true");
	param(&x, "truncate-agents-on-load", "true");
	fsxml_close(&x);
	for (int kind = ROW_QUEUE; kind <= ROW_TIER; kind++) {
		fsxml_open(&x, lists[kind]);
		for (; row < rows && *db_value(r, row, 0) == '0' + kind; row++)
			if (kind == ROW_QUEUE)
				write_queue(&x, r, row, s);
			else if (kind == ROW_AGENT)
				write_agent(&x, r, row, s);
			else
				write_tier(&x, r, row);
		fsxml_close(&x);
	}
	fsxml_end(&x);
}

static int
callcenter_answer(struct buf *out, const struct lookup *l,
		  const struct db_result *r, const struct fs_settings *s,
		  struct verr *e)
{
	size_t before = out->len;

	(void)l;
	(void)e;
	write_callcenter(out, r, db_rows(r), s);
	if (out->len - before <= FSCONFIG_MAX)
		return 1;
	/* A call to a queue that is not in memory asks for that queue. */
	log_warning(
		"callcenter.conf has more than %d bytes: FreeSWITCH gets each "
		"queue when it is first called",
		FSCONFIG_MAX);
	out->data[out->len = before] = '\0';
	write_callcenter(out, r, 0, s);
	return 1;
}

const struct answer fsconfig_callcenter = { sql_callcenter, ask_name,
					    callcenter_answer };

/* --- ivr.conf --------------------------------------------------------- */

/*
 * The menu and all that it leads to: each menu, then its entries.  What an
 * entry leads to must be there; a number is looked for when it is dialled.
 */
static const char sql_ivr[] =
	"with recursive d as (select id from voip.domains "
	"where domain = $1 and active), "
	"m as (select i.id, i.domain_id from d join voip.ivr_menus as i "
	"on i.domain_id = d.id and i.name = $2 and i.active "
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
	if (fsconfig_is_sound(value))
		fsxml_plain(x, attribute, value);
	else
		log_warning(
			"menu '%s' goes without its %s: '%s' cannot be played",
			menu, attribute, value);
}

static void
open_menu(struct fsxml *x, const struct db_result *r, int row,
	  const char *domain)
{
	const char *name = db_value(r, row, 0), *digits = db_value(r, row, 10);
	char timeout[24];

	snprintf(timeout, sizeof(timeout), "%s000", db_value(r, row, 9));
	fsxml_close_to(x, 4);
	fsxml_open(x, "menu");
	attribute_name(x, "name", "", name, domain);
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
	if (*call && !fsconfig_is_number(data)) {
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
		attribute_name(x, "param", named ? "callcenter " : "", data,
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
	open_file(&x, out, "ivr.conf");
	fsxml_open(&x, "menus");
	for (int row = 0; row < db_rows(r); row++)
		if (db_value(r, row, 1))
			write_entry(&x, r, row, l->domain);
		else
			open_menu(&x, r, row, l->domain);
	fsxml_end(&x);
	return 1;
}

const struct answer fsconfig_ivr = { sql_ivr, ask_name, ivr_answer };

/* --- conference.conf -------------------------------------------------- */

static const char sql_conference[] =
	"select d.domain, c.number, c.max_members, c.record, c.pin, "
	"c.moderator_pin from voip.domains as d "
	"join voip.conferences as c on c.domain_id = d.id and c.active "
	"where d.domain = $1 and d.active and c.number = $2";

static void
pin(struct fsxml *x, const char *name, const struct db_result *r, int column,
    const char *sealed)
{
	struct buf secret = BUF_INIT;

	if (answer_open(&secret, r, 0, column, sealed, db_value(r, 0, 1),
			db_value(r, 0, 0))) {
		fsxml_open(x, "param");
		fsxml_name(x, name);
		fsxml_attr(x, "value", secret.data);
		fsxml_close(x);
	}
	answer_wipe(&secret);
}

/* A conference whose PIN cannot be opened is closed rather than open. */
static bool
pins_can_be_opened(const struct db_result *r)
{
	static const char *const names[] = { "conferences.pin",
					     "conferences.moderator_pin" };
	struct buf secret = BUF_INIT;
	bool good = true;

	for (int i = 0; i < 2; i++) {
		if (db_value(r, 0, 4 + i) &&
		    !answer_open(&secret, r, 0, 4 + i, names[i],
				 db_value(r, 0, 1), db_value(r, 0, 0)))
			good = false;
		answer_wipe(&secret);
	}
	return good;
}

static int
conference_answer(struct buf *out, const struct lookup *l,
		  const struct db_result *r, const struct fs_settings *s,
		  struct verr *e)
{
	static const char *const constants[][2] = {
		{ "rate", "8000" },
		{ "interval", "20" },
		{ "energy-level", "100" },
		{ "caller-controls", "default" },
		{ "comfort-noise", "true" },
		{ "pin-sound", "conference/conf-pin.wav" },
		{ "bad-pin-sound", "conference/conf-bad-pin.wav" },
		{ "max-members-sound",
		  "conference/conf-conference_is_full.wav" },
		{ "enter-sound", "tone_stream://%(200,0,500,600,700)" },
		{ "exit-sound", "tone_stream://%(500,0,300,200,100,50,25)" },
	};
	struct buf text = BUF_INIT;
	struct fsxml x;

	if (!pins_can_be_opened(r))
		return verr_set(
			e, VERR_CONFIG,
			"the PIN of conference '%s@%s' cannot be opened",
			db_value(r, 0, 1), db_value(r, 0, 0));
	open_file(&x, out, "conference.conf");
	fsxml_open(&x, "profiles");
	fsxml_open(&x, "profile");
	lookup_put_name(&text, db_value(r, 0, 1), '_', l->domain);
	fsxml_attr(&x, "name", text.data);
	param(&x, "domain", l->domain);
	for (size_t i = 0; i < sizeof(constants) / sizeof(constants[0]); i++)
		param(&x, constants[i][0], constants[i][1]);
	param(&x, "max-members", db_value(r, 0, 2));
	pin(&x, "pin", r, 4, "conferences.pin");
	pin(&x, "moderator-pin", r, 5, "conferences.moderator_pin");
	if (db_is_true(r, 0, 3)) {
		buf_clear(&text);
		fsconfig_recording(&text, s, db_value(r, 0, 0));
		expanded_param(&x, "auto-record", text.data);
	}
	fsxml_end(&x);
	if (buf_failed(&text))
		out->failed = true;
	buf_release(&text);
	return 1;
}

const struct answer fsconfig_conference = { sql_conference, ask_name,
					    conference_answer };

/* --- acl.conf --------------------------------------------------------- */

/*
 * Lists of tenants whose users are known by their network: FreeSWITCH asks for
 * the users of each with purpose=network-list; and of the addresses that have
 * a tag.
 */
static const char sql_acl[] =
	"select 'domains' as list, d.domain, null::text as cidr "
	"from voip.domains as d where d.active and exists (select "
	"from voip.users as u where u.domain_id = d.id and u.active "
	"and u.cidr <> '{}') "
	"union all select d.domain, d.domain, null from voip.domains as d "
	"where d.active and exists (select from voip.users as u "
	"where u.domain_id = d.id and u.active and u.cidr <> '{}') "
	"union all select a.tag, null, a.address::text "
	"from voip.trusted_addresses as a where a.active "
	"and a.tag ~ '^[A-Za-z0-9_.:/-]+$' order by 1, 2, 3 limit 10000";

static bool
ask_nothing(struct question *q, struct lookup *l, const struct fs_settings *s)
{
	(void)q;
	(void)l;
	(void)s;
	return true;
}

static int
acl_answer(struct buf *out, const struct lookup *l, const struct db_result *r,
	   const struct fs_settings *s, struct verr *e)
{
	const char *list, *last = "";
	struct fsxml x;

	(void)l;
	(void)s;
	(void)e;
	open_file(&x, out, "acl.conf");
	fsxml_open(&x, "network-lists");
	for (int row = 0; row < db_rows(r); row++, last = list) {
		list = db_value(r, row, 0);
		if (strcmp(list, last) != 0) {
			fsxml_close_to(&x, 4);
			fsxml_open(&x, "list");
			fsxml_plain(&x, "name", list);
			fsxml_attr(&x, "default", "deny");
		}
		fsxml_open(&x, "node");
		fsxml_attr(&x, "type", "allow");
		if (db_value(r, row, 1))
			fsxml_attr(&x, "domain", db_value(r, row, 1));
		else
			fsxml_attr(&x, "cidr", db_value(r, row, 2));
		fsxml_close(&x);
	}
	fsxml_end(&x);
	return 1;
}

const struct answer fsconfig_acl = { sql_acl, ask_nothing, acl_answer };
