#include "dialplanask.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "dialplan.h"
#include "fsvalue.h"
#include "utf8.h"

/* --- the statement ---------------------------------------------------- */

/* $1 domain, $2 number, $3 caller, $4 context or "", $5 the users' context,
 * $6 and $7 what the proxy says that answers: a type and its name; $8 "inside"
 * when the call was sent there by somebody inside. */
#define TENANT \
	"with d as (select * from voip.domains where domain = $1 and active), "

/* The caller by username, else by number; with the policy of the number. */
#define CALLER                                                            \
	"c as (select u.*, n.extension as number, n.policy_id from d "    \
	"join lateral (select u.id, 0 as rank from voip.users as u "      \
	"where u.domain_id = d.id and u.username = $3 "                   \
	"union all select x.user_id, 1 from voip.extensions as x "        \
	"where x.domain_id = d.id and x.extension = $3 "                  \
	"and x.type = 'user' and x.active) as m on true "                 \
	"join voip.users as u on u.id = m.id and u.active "               \
	"left join lateral (select x.extension, "                         \
	"x.recording_policy_id as policy_id from voip.extensions as x "   \
	"where x.user_id = u.id and x.type = 'user' and x.active "        \
	"order by x.extension <> u.username, x.id limit 1) as n on true " \
	"order by m.rank limit 1), "

/*
 * What answers.  The proxy may send a user's call to voicemail, and then the
 * number alone would not do; the emergency numbers are above that.
 */
#define TARGET                                                                         \
	"a as (select 0 as place, r.matched, r.pattern as number, r.type, "            \
	"r.trunk, e.user_id, e.queue_id, e.ivr_id, e.voicemail_box_id, "               \
	"e.conference_id, e.recording_policy_id as policy_id, "                        \
	"e.service_ref as ref, e.pattern_re "                                          \
	"from voip.route($1, $2) as r "                                                \
	"left join voip.extensions as e on e.id = r.extension_id "                     \
	"union all select case $6 when 'voicemail' then -1 else 1 end, "               \
	"'service', $2, $6, null, null, null, null, null, null, null, "                \
	"jsonb_build_object('name', $7::text, 'id', $7::text, 'box', $7::text), null " \
	"where $6 <> ''), "                                                            \
	"t as (select * from a order by matched <> 'emergency', place "                \
	"limit 1) "

#define COLUMNS                                                           \
	"select t.matched, case when t.matched <> 'service' "             \
	"or coalesce(q.name, i.name, b.number, k.number) is not null "    \
	"then t.type end as type, t.number, t.pattern_re, "               \
	"u.username, u.max_calls::text, q.name, i.name, "                 \
	"b.number, k.number, "                                            \
	"c.username, coalesce(c.number, c.username), "                    \
	"coalesce(nullif(c.full_name, ''), c.caller_id_name), "           \
	"c.max_calls::text, v.number, v.pin is not null, c.accountcode, " \
	"coalesce(c.caller_id_name, d.caller_id_name), "                  \
	"coalesce(c.caller_id_number, d.caller_id_number), "              \
	"d.max_calls::text, p.record_inbound, "                           \
	"p.record_outbound or cp.record_outbound is true, "               \
	"p.record_internal or cp.record_internal is true, "               \
	"q.record or p.record_queue is true, t.ref ->> 'strip', "         \
	"w.name, w.prefix, w.max_calls::text, w.caller_id_name, "         \
	"w.caller_id_number "

/* What a number points to, or what its service_ref names. */
#define REFERENCES                                                            \
	"left join voip.users as u on u.id = t.user_id and u.active "         \
	"left join lateral (select * from voip.queues as q "                  \
	"where t.type = 'queue' and q.domain_id = d.id and q.active "         \
	"and case when t.queue_id is not null then q.id = t.queue_id "        \
	"else q.name = t.ref ->> 'name' or q.id::text = t.ref ->> 'id' end "  \
	"order by q.name <> t.ref ->> 'name' limit 1) as q on true "          \
	"left join lateral (select * from voip.ivr_menus as i "               \
	"where t.type = 'ivr' and i.domain_id = d.id and i.active "           \
	"and case when t.ivr_id is not null then i.id = t.ivr_id "            \
	"else i.name = t.ref ->> 'name' or i.id::text = t.ref ->> 'id' end "  \
	"order by i.name <> t.ref ->> 'name' limit 1) as i on true "          \
	"left join lateral (select * from voip.conferences as k "             \
	"where t.type = 'conference' and k.domain_id = d.id and k.active "    \
	"and case when t.conference_id is not null "                          \
	"then k.id = t.conference_id else k.number = t.number "               \
	"or k.id::text = t.ref ->> 'id' end "                                 \
	"order by k.number <> t.number limit 1) as k on true "                \
	"left join lateral (select * from voip.voicemail_boxes as b "         \
	"where b.domain_id = d.id and b.active "                              \
	"and case when t.type = 'user' "                                      \
	"then b.number in (t.number, u.username) "                            \
	"when t.type <> 'voicemail' then false "                              \
	"when t.voicemail_box_id is not null then b.id = t.voicemail_box_id " \
	"else b.number = t.ref ->> 'box' end "                                \
	"order by b.number <> t.number limit 1) as b on true "                \
	"left join lateral (select * from voip.voicemail_boxes as b "         \
	"where b.domain_id = d.id and b.active "                              \
	"and b.number in (c.number, c.username) "                             \
	"order by b.number <> c.number limit 1) as v on true "                \
	"left join voip.recording_policies as p "                             \
	"on p.id = t.policy_id and p.active "                                 \
	"left join voip.recording_policies as cp "                            \
	"on cp.id = c.policy_id and cp.active "

/*
 * The number's own trunk, then those of service_ref's list `failover`.  An
 * emergency call takes every trunk that there is.
 */
#define TRUNKS                                                                  \
	"left join lateral (select w.*, o.place from (select t.trunk as name, " \
	"0 as place union all select f.name, f.place::int "                     \
	"from jsonb_array_elements_text(case "                                  \
	"jsonb_typeof(t.ref -> 'failover') when 'array' "                       \
	"then t.ref -> 'failover' else '[]' end) "                              \
	"with ordinality as f (name, place) "                                   \
	"union all select w.name, 1000 from voip.trunks as w "                  \
	"where t.matched = 'emergency') as o "                                  \
	"join voip.trunks as w on w.name = o.name and w.active "                \
	"and (w.domain_id is null or w.domain_id = d.id) "                      \
	"where t.type = 'trunk_out' limit 32) as w on true "

const char dialplanask_sql[] = TENANT CALLER TARGET COLUMNS
	"from (values (1)) as one left join d on true left join t on true "
	"left join c on true " REFERENCES TRUNKS
	"where ($4 = '' or $4 = $5 or exists (select from voip.users as x "
	"where x.domain_id = d.id and x.active and x.user_context = $4)) "
	"and (t.type is distinct from 'trunk_out' or c.id is not null "
	"or t.matched = 'emergency' or $8 = 'inside') order by w.place, w.name";

/* Every number of the tenant, in the order in which they are looked for; the
 * caller is nobody, and the statement has one parameter. */
#define NO_CALLER                                                            \
	"c as (select u.*, null::text as number, null::bigint as policy_id " \
	"from voip.users as u where false), "

#define EVERY_TARGET                                                           \
	"t as (select 'emergency' as matched, n.number, 'trunk_out' as type, " \
	"t.name as trunk, null::bigint as user_id, null::bigint as queue_id, " \
	"null::bigint as ivr_id, null::bigint as voicemail_box_id, "           \
	"null::bigint as conference_id, null::bigint as policy_id, "           \
	"null::jsonb as ref, n.pattern_re, n.pattern_rank "                    \
	"from voip.emergency_numbers as n left join voip.trunks as t "         \
	"on t.id = n.trunk_id and t.active where n.active "                    \
	"union all select case when v.pattern_re is null then 'exact' "        \
	"else 'pattern' end, v.extension, v.type, v.trunk, e.user_id, "        \
	"e.queue_id, e.ivr_id, e.voicemail_box_id, e.conference_id, "          \
	"e.recording_policy_id, e.service_ref, v.pattern_re, v.pattern_rank "  \
	"from d join voip.vw_routes as v on v.domain_id = d.id "               \
	"join voip.extensions as e on e.id = v.id) "

const char dialplanask_sql_whole[] = TENANT NO_CALLER EVERY_TARGET COLUMNS
	"from d join t on true left join c on true " REFERENCES TRUNKS
	"order by t.matched = 'emergency' desc, t.pattern_re is not null, "
	"t.pattern_rank, t.number collate \"C\", w.place, w.name";

/* --- who is believed -------------------------------------------------- */

static bool
from_proxy(const struct lookup_call *call, const struct fs_settings *s)
{
	for (unsigned i = 0; i < s->nproxies; i++)
		if (network_has(&s->proxies[i], call->network))
			return true;
	return false;
}

/* The number is not the one that the INVITE asked for. */
static bool
has_moved(const struct lookup_call *call)
{
	return *call->request_number &&
	       strcmp(call->request_number, call->number) != 0;
}

/*
 * Sent here by a menu or by somebody inside.  That the number has changed does
 * not say so: with `;gw=NAME` in the URI of an INVITE mod_sofia takes the
 * number from that gateway, or from To.  FreeSWITCH itself writes down who was
 * transferred.  By a REFER it is the other leg that is sent on: so one that we
 * called for a caller from outside was sent by that caller.
 */
static bool
was_sent_here(const struct lookup_call *call)
{
	bool by_outsider = strcmp(call->direction, "outbound") == 0 &&
			   strcmp(call->call_direction, "inbound") == 0;

	return has_moved(call) && *call->transfer && !by_outsider;
}

/* The first that is there. */
static const char *
first_of(const char *a, const char *b, const char *c, const char *d)
{
	return *a ? a : *b ? b : *c ? c : d;
}

/*
 * The proxy checked the password of X-VOIP-CALLER, which may be USER or
 * USER@DOMAIN; a user of another tenant is a caller from outside.
 */
static void
proxys_caller(struct question *q, const struct lookup_call *call,
	      const char *domain)
{
	const char *at = strchr(call->header_caller, '@');
	size_t len = strcspn(call->header_caller, "@");

	if ((at && strcasecmp(at + 1, domain) != 0) || len >= sizeof(q->caller))
		return;
	memcpy(q->caller, call->header_caller, len);
	q->caller[len] = '\0';
	if (!lookup_is_user(q->caller))
		*q->caller = '\0';
}

/* The value of `;NAME=` in "queue;name=sales;queue_id=12". */
static bool
header_value(char *to, size_t size, const char *header, const char *name)
{
	size_t len = strlen(name), n;

	for (header = strchr(header, ';'); header;
	     header = strchr(header, ';')) {
		header++;
		if (strncmp(header, name, len) != 0 || header[len] != '=')
			continue;
		header += len + 1;
		n = strcspn(header, ";");
		if (n >= size)
			return false;
		/* what is no text names nothing */
		if (!utf8_valid(header, n))
			n = 0;
		memcpy(to, header, n);
		to[n] = '\0';
		return true;
	}
	return false;
}

/*
 * What the proxy says counts for the number that it routed: after a transfer
 * the header is still there, and means another call.
 */
static void
proxys_service(struct question *q, const struct lookup_call *call)
{
	static const struct {
		const char *type, *id;
	} types[] = { { "queue", "queue_id" },
		      { "ivr", "ivr_id" },
		      { "conference", "conference_id" },
		      { "voicemail", "box" } };
	size_t len = strcspn(call->header_service, ";");

	if (has_moved(call))
		return;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (strlen(types[i].type) != len ||
		    strncmp(call->header_service, types[i].type, len) != 0)
			continue;
		if (header_value(q->service_name, sizeof(q->service_name),
				 call->header_service, types[i].id) ||
		    header_value(q->service_name, sizeof(q->service_name),
				 call->header_service, "name"))
			snprintf(q->service, sizeof(q->service), "%s",
				 types[i].type);
	}
}

/* False when nobody says, in a way to be believed, whose call it is. */
static bool
decide(struct question *q, struct lookup *l, const struct fs_settings *s)
{
	const struct lookup_call *call = &l->call;
	bool authorized = strcmp(call->authorized, "true") == 0;

	if (strcmp(call->context, DIALPLAN_PROXY_CONTEXT) == 0) {
		if (!from_proxy(call, s)) {
			l->refused = "not from an address of trusted_proxies";
			return false;
		}
		l->domain = first_of(call->header_domain, call->domain_name,
				     call->dialed_domain, call->from_host);
		proxys_caller(q, call, l->domain);
		proxys_service(q, call);
	} else {
		l->domain = first_of(call->domain_name, call->dialed_domain,
				     authorized ? call->from_host : "", "");
		snprintf(q->caller, sizeof(q->caller), "%s",
			 *call->domain_name || authorized ? call->user_name
							  : call->dialed_user);
		if (!lookup_is_user(q->caller))
			*q->caller = '\0';
	}
	if (*l->domain && lookup_is_domain(l->domain))
		return true;
	l->refused = "no tenant that can be believed";
	l->domain = "";
	return false;
}

bool
dialplanask(struct question *q, struct lookup *l, const struct fs_settings *s)
{
	bool proxy = strcmp(l->call.context, DIALPLAN_PROXY_CONTEXT) == 0;

	/* Nothing else can be a number: the database need not be asked. */
	if (!decide(q, l, s) || !fsvalue_is_number(l->call.number))
		return false;
	question_domain(q, l->domain);
	q->nparams = 8;
	q->params[0] = DB_TEXT(q->domain);
	q->params[1] = DB_TEXT(l->call.number);
	q->params[2] = DB_TEXT(q->caller);
	q->params[3] = DB_TEXT(proxy ? "" : l->call.context);
	q->params[4] = DB_TEXT(s->context);
	q->params[5] = DB_TEXT(q->service);
	q->params[6] = DB_TEXT(q->service_name);
	q->params[7] = DB_TEXT(was_sent_here(&l->call) ? "inside" : "");
	return true;
}

void
dialplanask_row(struct dialplan_row *to, const struct db_result *r, int row)
{
	int column = 0;

#define READ(name) to->name = db_value(r, row, column++);
	DIALPLAN_COLUMNS(READ)
#undef READ
}
