#include "directoryask.h"

#include <string.h>

/* As struct directory_user, in its order. */
#define USER_COLUMNS "d.domain, u.username, n.extension as number, "

#define USER_REST                                                         \
	"nullif(u.full_name, '') as full_name, u.accountcode, "           \
	"u.toll_allow, u.user_context, u.caller_id_name, "                \
	"u.caller_id_number, "                                            \
	"coalesce(u.caller_id_name, d.caller_id_name) as outbound_name, " \
	"coalesce(u.caller_id_number, d.caller_id_number) "               \
	"as outbound_number, "                                            \
	"coalesce(u.auth_acl, d.auth_acl) as auth_acl, "                  \
	"coalesce(u.user_agent_filter, d.user_agent_filter) "             \
	"as user_agent_filter, "                                          \
	"coalesce(u.max_registrations, d.max_registrations) "             \
	"as max_registrations, "                                          \
	"u.forbid_register, "

/* The number of a user: the one that is the username too, else the first. */
#define USER_NUMBER                                                        \
	"left join lateral (select x.extension from voip.extensions as x " \
	"where x.user_id = u.id and x.type = 'user' and x.active "         \
	"order by x.extension <> u.username, x.id limit 1) as n on true "

/* NAME is where the name that is asked for stands: a parameter, or a column. */
#define USER_ID(name)                                              \
	"select u.id, 0 as rank from voip.users as u "             \
	"where u.domain_id = d.id and u.username = " name " "      \
	"union all select x.user_id, 1 from voip.extensions as x " \
	"where x.domain_id = d.id and x.extension = " name " "     \
	"and x.type = 'user' and x.active "

/* The box that is asked for, else the one of the user's number. */
#define BOX(name)                                                           \
	"left join lateral (select b.number, b.pin, b.email, b.keep, "      \
	"b.number <> " name " as rank from voip.voicemail_boxes as b "      \
	"where b.domain_id = d.id and b.active and b.number in (" name ", " \
	"n.extension, u.username)) as b on true "

#define BOX_COLUMNS "b.number as box, b.email, b.keep, b.pin "

#define USER(domain, name)                                                            \
	"select " USER_COLUMNS "u.ha1, " USER_REST                                    \
	"u.reverse_auth_user, u.reverse_auth_pass, " BOX_COLUMNS                      \
	"from voip.domains as d "                                                     \
	"join lateral (" USER_ID(                                                     \
		name) ") as m on true "                                               \
		      "join voip.users as u on u.id = m.id and u.active " USER_NUMBER \
		      BOX(name) "where d.domain = " domain " and d.active "           \
				"order by m.rank, b.rank limit 1"

/* By username; else by a number that points to the user. */
const char directoryask_sql_user[] = USER("$1", "$2");

/* The same for many, each row with the place of its key. */
const char directoryask_sql_users[] =
	"select u.*, k.place from unnest($1::text[], $2::text[]) "
	"with ordinality as k(domain, name, place) "
	"cross join lateral (" USER("k.domain", "k.name") ") as u";

/* What of a user's answer is its own, and what the tenant's. */
const char directoryask_sql_sources[] =
	"select u.username = $2 as by_name, u.auth_acl is not null as auth_acl, "
	"u.user_agent_filter is not null as user_agent_filter, "
	"u.max_registrations is not null as max_registrations, "
	"u.user_context is not null as user_context, u.full_name <> '' "
	"as full_name, n.extension is not null as number, "
	"u.caller_id_name is not null as caller_id_name, "
	"u.caller_id_number is not null as caller_id_number "
	"from voip.domains as d "
	"join lateral (" USER_ID(
		"$2") ") as m on true "
		      "join voip.users as u on u.id = m.id and u.active " USER_NUMBER
		      "where d.domain = lower($1) and d.active order by m.rank limit 1";

/* The same, else a box that is nobody's number. */
const char directoryask_sql_mailbox[] =
	"select " USER_COLUMNS "u.ha1, " USER_REST
	"u.reverse_auth_user, u.reverse_auth_pass, " BOX_COLUMNS
	"from voip.domains as d "
	"join lateral (" USER_ID(
		"$2") "union all select null, 2) as m on true "
		      "left join voip.users as u on u.id = m.id and u.active " USER_NUMBER
			      BOX("$2") "where d.domain = $1 and d.active "
					"and (u.id is not null or (m.id is null and b.number is not null)) "
					"order by m.rank, b.rank limit 1";

const char directoryask_sql_domain[] = "select 1 from voip.domains "
				       "where domain = $1 and active";

/*
 * A group of users, else the members of the queue of that name.  HA1s are left
 * out: calling a group needs none.  One row of nulls when it has no members.
 */
const char directoryask_sql_group[] =
	"select " USER_COLUMNS "null::text as ha1, " USER_REST
	"null::text as reverse_auth_user, null::bytea as reverse_auth_pass "
	"from voip.domains as d "
	"join lateral (select g.id as group_id, null::bigint as queue_id "
	"from voip.groups as g "
	"where g.domain_id = d.id and g.name = $2 and g.active "
	"union all select null, q.id from voip.queues as q "
	"where q.domain_id = d.id and q.name = $2 and q.active "
	"order by group_id limit 1) as t on true "
	"left join lateral (select user_id, 0 as tier, position "
	"from voip.group_members where group_id = t.group_id and active "
	"union all select user_id, tier, position "
	"from voip.queue_members where queue_id = t.queue_id and active"
	") as m on true "
	"left join voip.users as u on u.id = m.user_id and u.active " USER_NUMBER
	"where d.domain = $1 and d.active "
	"order by m.tier, m.position, u.username limit 1000";

/* A row for each network; one with nulls when the tenant has none. */
const char directoryask_sql_networks[] =
	"select u.username, u.network from voip.domains as d "
	"left join lateral (select username, unnest(cidr) as network "
	"from voip.users where domain_id = d.id and active) as u on true "
	"where d.domain = $1 and d.active "
	"order by u.username, u.network limit 10000";

/*
 * All tenants, or the one that the profile names, with their trunks where the
 * profile is the one that has them.  Shared trunks are in the first: a
 * gateway's name is global, and FreeSWITCH wants it once.
 */
const char directoryask_sql_gateways[] =
	"with d as (select id, domain, "
	"row_number() over (order by domain) = 1 as first from voip.domains "
	"where active and ($1 = '' or domain = $1) limit 1000) "
	"select d.domain, t.name, t.host, t.port, t.username, t.register, "
	"t.password from d left join voip.trunks as t "
	"on t.active and $2 = 'trunks' and (t.domain_id = d.id "
	"or (t.domain_id is null and d.first)) "
	"order by d.domain, t.name";

/*
 * All of a tenant: its users, then the boxes that are nobody's number, then
 * the members of each group.
 */
const char directoryask_sql_whole[] =
	"select " USER_COLUMNS "u.ha1, " USER_REST
	"u.reverse_auth_user, u.reverse_auth_pass, " BOX_COLUMNS ", m.grp "
	"from voip.domains as d join lateral ("
	"select u.id, null::text as grp, null::text as box "
	"from voip.users as u where u.domain_id = d.id "
	"union all select null, null, b.number from voip.voicemail_boxes as b "
	"where b.domain_id = d.id and b.active and not exists ("
	"select from voip.users as u where u.domain_id = d.id and u.active "
	"and u.username = b.number) and not exists ("
	"select from voip.extensions as x where x.domain_id = d.id "
	"and x.active and x.type = 'user' and x.extension = b.number) "
	"union all select g.user_id, h.name, null from voip.groups as h "
	"join voip.group_members as g on g.group_id = h.id and g.active "
	"where h.domain_id = d.id and h.active) as m on true "
	"left join voip.users as u on u.id = m.id and u.active " USER_NUMBER
	"left join lateral (select * from voip.voicemail_boxes as b "
	"where b.domain_id = d.id and b.active "
	"and b.number in (m.box, n.extension, u.username) "
	"order by b.number <> n.extension limit 1) as b on true "
	"where d.domain = $1 and d.active "
	"and (u.id is not null or m.box is not null) "
	"order by m.grp nulls first, u.username nulls last, m.box";

bool
directoryask_domain(struct question *q, struct lookup *l,
		    const struct fs_settings *s)
{
	(void)l;
	(void)s;
	q->nparams = 1;
	q->params[0] = DB_TEXT(q->domain);
	return true;
}

bool
directoryask_user(struct question *q, struct lookup *l,
		  const struct fs_settings *s)
{
	directoryask_domain(q, l, s);
	q->params[q->nparams++] = DB_TEXT(l->user);
	return true;
}

bool
directoryask_group(struct question *q, struct lookup *l,
		   const struct fs_settings *s)
{
	directoryask_domain(q, l, s);
	q->params[q->nparams++] = DB_TEXT(l->group);
	return true;
}

bool
directoryask_gateways(struct question *q, struct lookup *l,
		      const struct fs_settings *s)
{
	bool trunks =
		!*l->profile || strcmp(l->profile, s->gateway_profile) == 0;

	directoryask_domain(q, l, s);
	q->params[q->nparams++] = DB_TEXT(trunks ? "trunks" : "none");
	return true;
}
