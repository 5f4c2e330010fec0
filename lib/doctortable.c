/* The checks of the doctor, worst first in each topic. */
#include "doctor.h"

/* clang-format off */
#define HERE " d.active and ($1::text is null or d.domain = $1)"
#define OF_DOMAIN(row) \
	" join voip.domains as d on d.id = " row ".domain_id and" HERE
/* What is of the platform is looked at together with all domains. */
#define PLATFORM " $1::text is null"
#define AT " || '@' || d.domain"
/* Around each statement, so that its rows are in the order of their keys. */
#define ROWS "select * from ("
#define BY_KEY ") as found (id, key, what) order by key collate \"C\""

/* --- numbers -------------------------------------------------------------- */

static const char target_inactive[] =
	ROWS "select e.id, e.extension" AT ", case"
	"  when not u.active then format('its user %s is inactive', u.username)"
	"  when not q.active then format('its queue %s is inactive', q.name)"
	"  when not i.active then format('its menu %s is inactive', i.name)"
	"  when not b.active then format('its box %s is inactive', b.number)"
	"  when not t.active then format('its trunk %s is inactive', t.name)"
	"  else format('its conference %s is inactive', c.number) end"
	" from voip.extensions as e" OF_DOMAIN("e")
	" left join voip.users as u on u.id = e.user_id"
	" left join voip.queues as q on q.id = e.queue_id"
	" left join voip.ivr_menus as i on i.id = e.ivr_id"
	" left join voip.voicemail_boxes as b on b.id = e.voicemail_box_id"
	" left join voip.trunks as t on t.id = e.trunk_id"
	" left join voip.conferences as c on c.id = e.conference_id"
	" where e.active and not (coalesce(u.active, true)"
	"  and coalesce(q.active, true) and coalesce(i.active, true)"
	"  and coalesce(b.active, true) and coalesce(t.active, true)"
	"  and coalesce(c.active, true))" BY_KEY;

/* A number by a word in service_ref is one too: see entitylink.c. */
static const char to_nowhere[] =
	ROWS "select e.id, e.extension" AT ", case when e.service_ref = '{}'"
	" then format('its type is %s, and it names none', e.type)"
	" else format('there is no %s as service_ref says: %s', e.type,"
	"  e.service_ref) end"
	" from voip.extensions as e" OF_DOMAIN("e")
	" where e.active and e.user_id is null and e.queue_id is null"
	" and e.ivr_id is null and e.voicemail_box_id is null"
	" and e.trunk_id is null and e.conference_id is null"
	" and (e.type <> 'trunk_out' or e.need_media or e.service_ref <> '{}')"
	" and not case e.type"
	"  when 'queue' then exists (select from voip.queues as o"
	"   where o.domain_id = e.domain_id and o.active"
	"   and (e.service_ref ->> 'queue_id' = o.id::text"
	"   or e.service_ref ->> 'name' = o.name))"
	"  when 'ivr' then exists (select from voip.ivr_menus as o"
	"   where o.domain_id = e.domain_id and o.active"
	"   and (e.service_ref ->> 'ivr_id' = o.id::text"
	"   or e.service_ref ->> 'name' = o.name))"
	"  when 'voicemail' then exists (select from voip.voicemail_boxes as o"
	"   where o.domain_id = e.domain_id and o.active"
	"   and e.service_ref ->> 'box' = o.number)"
	"  when 'conference' then exists (select from voip.conferences as o"
	"   where o.domain_id = e.domain_id and o.active"
	"   and e.service_ref ->> 'conference_id' = o.id::text)"
	"  else exists (select from voip.trunks as o where o.active"
	"   and coalesce(o.domain_id, e.domain_id) = e.domain_id"
	"   and (e.service_ref ->> 'trunk_id' = o.id::text"
	"   or e.service_ref ->> 'name' = o.name)) end" BY_KEY;

/*
 * Queues, menus, conferences and boxes know their number; one row each, with
 * all that has the number too.  A box has the number of the user, queue or menu
 * that it is of.
 */
static const char duplicate_number[] =
	ROWS "with things as ("
	"select 'queue' as entity, q.id, q.domain_id, q.name, q.extension"
	"  as number, 'queue_id' as link from voip.queues as q where q.active"
	" union all select 'ivr', i.id, i.domain_id, i.name, i.extension,"
	"  'ivr_id' from voip.ivr_menus as i where i.active"
	" union all select 'conference', c.id, c.domain_id, c.number, c.number,"
	"  'conference_id' from voip.conferences as c where c.active"
	" union all select 'voicemail', b.id, b.domain_id, b.number, b.number,"
	"  'voicemail_box_id' from voip.voicemail_boxes as b where b.active),"
	" others as ("
	"select t.entity, t.id, t.domain_id, t.number,"
	"  t.entity || ' ' || t.name as text from things as t"
	"  where t.entity <> 'voicemail'"
	" union all select 'extension', e.id, e.domain_id, e.extension,"
	"  format('extension %s of type %s', e.extension, e.type)"
	"  from voip.extensions as e where e.active and e.pattern_re is null)"
	" select t.id, t.name" AT ", format('its number %s is also that of %s',"
	"  t.number, string_agg(o.text, ', ' order by o.text collate \"C\")),"
	" t.entity"
	" from things as t" OF_DOMAIN("t")
	" join others as o on o.domain_id = t.domain_id and o.number = t.number"
	"  and (o.entity, o.id) <> (t.entity, t.id)"
	" left join voip.extensions as e on o.entity = 'extension'"
	"  and e.id = o.id"
	" where e.id is null and t.entity <> 'voicemail'"
	"  or e.id is not null and not (e.type = case t.entity"
	"   when 'extension' then '' else t.entity end"
	"   and coalesce(to_jsonb(e) ->> t.link, t.id::text) = t.id::text)"
	"  and not (t.entity = 'voicemail'"
	"   and e.type in ('user', 'queue', 'ivr'))"
	" group by t.entity, t.id, t.name, t.number, d.domain" BY_KEY;

static const char unreachable[] =
	ROWS "select x.id, x.name" AT ", 'no number and no menu leads to it',"
	" x.entity from ("
	"select 'queue' as entity, q.id, q.domain_id, q.name, q.name as word,"
	"  'queue' as action, 'queue_id' as link"
	"  from voip.queues as q where q.active"
	"  and not exists (select from voip.extensions as e"
	"  where e.queue_id = q.id and e.active)"
	" union all select 'ivr', i.id, i.domain_id, i.name, i.name, 'sub-menu',"
	"  'ivr_id' from voip.ivr_menus as i where i.active"
	"  and not exists (select from voip.extensions as e"
	"  where e.ivr_id = i.id and e.active)"
	" union all select 'voicemail', b.id, b.domain_id, b.number, b.number,"
	"  'voicemail', 'box' from voip.voicemail_boxes as b where b.active"
	"  and not exists (select from voip.extensions as e"
	"  where e.voicemail_box_id = b.id and e.active)"
	/* The box of a user, queue or menu takes what that does not answer. */
	"  and not exists (select from voip.extensions as e"
	"  where e.domain_id = b.domain_id and e.extension = b.number"
	"  and e.active and e.type in ('user', 'queue', 'ivr'))"
	" union all select 'conference', c.id, c.domain_id, c.number, null, null,"
	"  'conference_id' from voip.conferences as c where c.active"
	"  and not exists (select from voip.extensions as e"
	"  where e.conference_id = c.id and e.active)) as x" OF_DOMAIN("x")
	" where not exists (select from voip.ivr_entries as n"
	"  where n.domain_id = x.domain_id and n.active and n.action = x.action"
	"  and n.action_data = x.word)"
	" and not exists (select from voip.extensions as e"
	"  where e.domain_id = x.domain_id and e.active and e.type = x.entity"
	"  and e.service_ref <> '{}' and (e.service_ref ->> x.link"
	"   in (x.id::text, x.word) or e.service_ref ->> 'name' = x.word))"
	BY_KEY;

static const char user_without_number[] =
	ROWS "select u.id, u.username" AT ", 'no number rings it'"
	" from voip.users as u" OF_DOMAIN("u")
	" where u.active and not exists (select from voip.extensions as e"
	"  where e.user_id = u.id)" BY_KEY;

/* --- passwords and keys ---------------------------------------------------- */

static const char user_without_password[] =
	ROWS "select u.id, u.username" AT ", 'it has no password: nobody can log in'"
	" from voip.users as u" OF_DOMAIN("u")
	" where u.active and u.ha1 is null" BY_KEY;

static const char user_guessable[] =
	ROWS "select u.id, u.username" AT ", 'its password is '"
	" || case when u.ha1 in (md5(p.start || u.username),"
	"   md5(p.start || reverse(u.username))) then 'its own name'"
	"  when u.ha1 = md5(p.start || d.domain) then 'its domain'"
	"  when n.hit then 'its own number'"
	"  else 'one of those tried first' end"
	" from voip.users as u" OF_DOMAIN("u")
	" cross join lateral (select u.username || ':' || d.domain || ':'"
	"  as start) as p"
	" cross join lateral (select exists (select from voip.extensions as e"
	"  where e.user_id = u.id and u.ha1 in (md5(p.start || e.extension),"
	"   md5(p.start || reverse(e.extension)))) as hit) as n"
	" where u.active and u.ha1 is not null and (n.hit"
	"  or u.ha1 in (md5(p.start || u.username), md5(p.start || d.domain),"
	"   md5(p.start || reverse(u.username)))"
	"  or exists (select from unnest(string_to_array('" DOCTOR_GUESSES "',"
	"   ' ')) as g(word) where md5(p.start || g.word) = u.ha1))" BY_KEY;

#define KEYS(condition, what) \
	ROWS "select k.id, k.key_name, " what " from voip.api_keys as k" \
	" left join voip.domains as d on d.id = k.domain_id" \
	" where k.active and ($1::text is null or d.domain = $1)" \
	" and " condition BY_KEY
#define MOMENT(column) \
	"to_char(" column " at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"

/* --- queues, groups and menus ----------------------------------------------- */

static const char queue_without_members[] =
	ROWS "select q.id, q.name" AT ", 'it has no active member'"
	" from voip.queues as q" OF_DOMAIN("q")
	" where q.active and not exists (select from voip.queue_members as m"
	"  join voip.users as u on u.id = m.user_id and u.active"
	"  where m.queue_id = q.id and m.active)" BY_KEY;

static const char group_without_members[] =
	ROWS "select g.id, g.name" AT ", 'it has no active member'"
	" from voip.groups as g" OF_DOMAIN("g")
	" where g.active and not exists (select from voip.group_members as m"
	"  join voip.users as u on u.id = m.user_id and u.active"
	"  where m.group_id = g.id and m.active)" BY_KEY;

static const char ivr_without_entries[] =
	ROWS "select i.id, i.name" AT ", 'it has no active entry'"
	" from voip.ivr_menus as i" OF_DOMAIN("i")
	" where i.active and not exists (select from voip.ivr_entries as n"
	"  where n.ivr_id = i.id and n.active)" BY_KEY;

static const char entry_to_nowhere[] =
	ROWS "select n.id, i.name || '/' || n.digit" AT ","
	" case n.action when 'transfer'"
	"  then format('nothing answers the number %s', n.action_data)"
	"  else format('there is no active %s %s', case n.action"
	"   when 'sub-menu' then 'menu' when 'voicemail' then 'box'"
	"   else n.action end, n.action_data) end"
	" from voip.ivr_entries as n" OF_DOMAIN("n")
	" join voip.ivr_menus as i on i.id = n.ivr_id and i.active"
	" where n.active and not case n.action"
	"  when 'transfer' then exists (select"
	"   from voip.route(d.domain, n.action_data))"
	"  when 'queue' then exists (select from voip.queues as o"
	"   where o.domain_id = n.domain_id and o.active"
	"   and o.name = n.action_data)"
	"  when 'voicemail' then exists (select from voip.voicemail_boxes as o"
	"   where o.domain_id = n.domain_id and o.active"
	"   and o.number = n.action_data)"
	"  else exists (select from voip.ivr_menus as o"
	"   where o.domain_id = n.domain_id and o.active"
	"   and o.name = n.action_data) end" BY_KEY;

/* Menus from which no digits lead to anything but menus. */
static const char ivr_without_end[] =
	ROWS "with recursive leads as ("
	"select distinct n.ivr_id as id from voip.ivr_entries as n"
	"  where n.active and n.action <> 'sub-menu'"
	" union select n.ivr_id from voip.ivr_entries as n"
	"  join voip.ivr_menus as o on o.domain_id = n.domain_id and o.active"
	"  and o.name = n.action_data join leads as l on l.id = o.id"
	"  where n.active and n.action = 'sub-menu')"
	" select i.id, i.name" AT ", 'its digits lead to menus only, in a circle'"
	" from voip.ivr_menus as i" OF_DOMAIN("i")
	" where i.active and i.id not in (select id from leads)"
	" and exists (select from voip.ivr_entries as n"
	"  where n.ivr_id = i.id and n.active)" BY_KEY;

/* --- ways out ---------------------------------------------------------------- */

static const char trunk_unused[] =
	ROWS "select t.id, t.name, 'no number goes out by it' from voip.trunks as t"
	" left join voip.domains as d on d.id = t.domain_id"
	" where t.active and ($1::text is null or d.domain = $1)"
	" and not exists (select from voip.extensions as e"
	"  where e.active and (e.trunk_id = t.id or e.type = 'trunk_out'"
	"  and e.trunk_id is null and (e.service_ref ->> 'name' = t.name"
	"  or e.service_ref ->> 'trunk_id' = t.id::text)))"
	" and not exists (select from voip.emergency_numbers as n"
	"  where n.trunk_id = t.id and n.active)" BY_KEY;

static const char trunk_without_password[] =
	ROWS "select t.id, t.name, 'it registers without a password'"
	" from voip.trunks as t"
	" left join voip.domains as d on d.id = t.domain_id"
	" where t.active and t.register and t.password is null"
	" and ($1::text is null or d.domain = $1)" BY_KEY;

static const char emergency_without_trunk[] =
	ROWS "select n.id, n.number, case when t.id is null then 'it has no trunk'"
	" else format('its trunk %s is inactive', t.name) end"
	" from voip.emergency_numbers as n"
	" left join voip.trunks as t on t.id = n.trunk_id"
	" where n.active and not coalesce(t.active, false)"
	" and" PLATFORM BY_KEY;

static const char no_media_node[] =
	ROWS "select null::bigint, 'set 1', 'no FreeSWITCH is active there:"
	" nothing but calls between phones works' where" PLATFORM
	" and not exists (select from voip.media_nodes"
	"  where set_id = 1 and active)" BY_KEY;

static const char no_gateway_node[] =
	ROWS "select null::bigint, 'set 2', format('no gateway is active there, but"
	" %s numbers go there directly', count(*))"
	" from voip.extensions as e where e.active and e.type = 'trunk_out'"
	" and not e.need_media and" PLATFORM
	" and not exists (select from voip.media_nodes"
	"  where set_id = 2 and active) having count(*) > 0" BY_KEY;

/* --- the rest ------------------------------------------------------------------ */

static const char domain_without_users[] =
	ROWS "select d.id, d.domain, 'it has no active user' from voip.domains as d"
	" where" HERE " and not exists (select from voip.users as u"
	"  where u.domain_id = d.id and u.active)" BY_KEY;

static const char policy_inactive[] =
	ROWS "select e.id, e.extension" AT ", format('its recording policy %s is"
	" inactive: nothing is recorded', p.name)"
	" from voip.extensions as e" OF_DOMAIN("e")
	" join voip.recording_policies as p on p.id = e.recording_policy_id"
	" where e.active and not p.active" BY_KEY;

#define SQL(text) text, NULL
#define CODE(function) NULL, function

const struct doctor_check doctor_checks[] = {
	{ "no-media-node", "error", "node", SQL(no_media_node),
	  "voip-ext node add sip:ADDRESS:5080", NULL },
	{ "no-gateway-node", "error", "node", SQL(no_gateway_node),
	  "voip-ext node add sip:ADDRESS set_id=2, or need_media=true", NULL },
	{ "duplicate-number", "error", NULL, SQL(duplicate_number),
	  "give one of them another number", NULL },
	{ "extension-to-nowhere", "error", "extension", SQL(to_nowhere),
	  "set what answers it, or remove it", NULL },
	{ "target-inactive", "error", "extension", SQL(target_inactive),
	  "activate what it points to, or remove the number", NULL },
	{ "never-reached", "error", "extension", CODE(doctor_patterns),
	  "remove it, or make it differ; --fix deactivates it",
	  "update voip.extensions set active = false"
	  " where id = any($1::bigint[])" },
	{ "emergency-shadows", "warning", "extension", CODE(doctor_emergency),
	  "emergency numbers come first, for every tenant", NULL },
	{ "emergency-without-trunk", "error", "emergency",
	  SQL(emergency_without_trunk), "set an active trunk", NULL },
	{ "unreachable", "warning", NULL, SQL(unreachable),
	  "add a number or an entry that leads there, or remove it", NULL },
	{ "user-without-number", "warning", "user", SQL(user_without_number),
	  "add an extension for it, or remove it", NULL },
	{ "user-without-password", "warning", "user",
	  SQL(user_without_password),
	  "voip-ext user set USER password=random", NULL },
	{ "guessable-password", "error", "user", SQL(user_guessable),
	  "voip-ext user set USER password=random", NULL },
	{ "guessable-secret", "error", NULL, CODE(doctor_guessable),
	  "give it another", NULL },
	{ "pin-not-digits", "error", NULL, CODE(doctor_dialled),
	  "give it one that the keys of a phone have, or pin=random", NULL },
	{ "sealed-secret", "error", NULL, CODE(doctor_sealed),
	  "check secret_key_file; after a rename give the secret anew", NULL },
	{ "key-expired", "warning", "key",
	  SQL(KEYS("k.expires_at <= now()",
		   "'it expired at ' || " MOMENT("k.expires_at"))),
	  "remove it or set expires_at; --fix deactivates it",
	  "update voip.api_keys set active = false"
	  " where id = any($1::bigint[])" },
	{ "key-expires", "notice", "key",
	  SQL(KEYS("k.expires_at > now()"
		   " and k.expires_at < now() + interval '14 days'",
		   "'it expires at ' || " MOMENT("k.expires_at"))),
	  "set expires_at, or make a new one", NULL },
	{ "key-without-permissions", "warning", "key",
	  SQL(KEYS("k.permissions = '{}'", "'it may do nothing'")),
	  "set permissions, or remove it", NULL },
	{ "queue-without-members", "error", "queue",
	  SQL(queue_without_members), "voip-ext member add QUEUE/USER", NULL },
	{ "group-without-members", "warning", "group",
	  SQL(group_without_members),
	  "voip-ext groupmember add GROUP/USER", NULL },
	{ "ivr-without-entries", "error", "ivr", SQL(ivr_without_entries),
	  "voip-ext entry add MENU/DIGIT", NULL },
	{ "ivr-without-end", "error", "ivr", SQL(ivr_without_end),
	  "add an entry that leads to a number, a queue or a box", NULL },
	{ "entry-to-nowhere", "error", "entry", SQL(entry_to_nowhere),
	  "correct action_data, or remove the entry", NULL },
	{ "trunk-unused", "warning", "trunk", SQL(trunk_unused),
	  "add a number or pattern with trunk=, or remove it", NULL },
	{ "trunk-without-password", "error", "trunk",
	  SQL(trunk_without_password), "voip-ext trunk set TRUNK password=-",
	  NULL },
	{ "domain-without-users", "notice", "domain",
	  SQL(domain_without_users), "add its users, or deactivate it", NULL },
	{ "policy-inactive", "warning", "extension", SQL(policy_inactive),
	  "activate the policy, or set another", NULL },
	{ .name = NULL },
};
/* clang-format on */
