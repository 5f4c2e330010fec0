#include "plan.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "dialplan.h"
#include "fsvalue.h"

static const char *const direction_words[] = {
	[PLAN_INBOUND] = "inbound",
	[PLAN_OUTBOUND] = "outbound",
	[PLAN_INTERNAL] = "internal",
};

static bool
is_true(const char *flag)
{
	return flag && *flag == 't';
}

static bool
is_emergency(const struct plan *p)
{
	return p->row.matched && strcmp(p->row.matched, "emergency") == 0;
}

/* --- actions ---------------------------------------------------------- */

/* What stands in `fmt` besides our own words must have been checked. */
static void __attribute__((format(printf, 3, 4)))
action(struct plan *p, const char *application, const char *fmt, ...)
{
	va_list ap;

	buf_clear(&p->text);
	va_start(ap, fmt);
	buf_vprintf(&p->text, fmt, ap);
	va_end(ap);
	fsxml_open(&p->x, "action");
	fsxml_attr(&p->x, "application", application);
	fsxml_expanded(&p->x, "data", p->text.data);
	fsxml_close(&p->x);
}

/* `set NAME=`, with a value that a person wrote. */
static void
set_text(struct plan *p, const char *name, const char *value)
{
	if (!value)
		return;
	buf_clear(&p->text);
	buf_printf(&p->text, "%s=%s", name, value);
	fsxml_open(&p->x, "action");
	fsxml_attr(&p->x, "application", "set");
	fsxml_plain(&p->x, "data", p->text.data);
	fsxml_close(&p->x);
}

static void
set_number(struct plan *p, const char *name, const char *value)
{
	if (fsvalue_is_number(value))
		action(p, "set", "%s=%s", name, value);
}

/* The name of a queue, menu or conference in an application's argument. */
static void
run_named(struct plan *p, const char *application, const char *name, char at)
{
	struct buf full = BUF_INIT;

	lookup_put_name(&full, name, at, p->domain);
	if (buf_failed(&full))
		p->x.out->failed = true;
	else if (at == '_')
		action(p, application, "%s@%s", full.data, full.data);
	else
		action(p, application, "%s", full.data);
	buf_release(&full);
}

static void
answer_call(struct plan *p)
{
	action(p, "answer", "%s", "");
	action(p, "sleep", "500");
}

/* --- what every call gets --------------------------------------------- */

/* One that is exceeded ends the call: busy for a person, else congestion. */
static void
limit(struct plan *p, const char *kind, const char *name, const char *max,
      const char *cause)
{
	if (max && fsvalue_is_number(name))
		action(p, "limit", "hash voip %s_%s@%s %s !%s", kind, name,
		       p->domain, max, cause);
}

static void
limits(struct plan *p)
{
	const struct dialplan_row *row = &p->row;

	if (row->domain_max_calls)
		action(p, "limit", "hash voip domain_%s %s !%s", p->domain,
		       row->domain_max_calls, "NORMAL_CIRCUIT_CONGESTION");
	limit(p, "user", row->caller, row->caller_max_calls,
	      "NORMAL_CIRCUIT_CONGESTION");
	limit(p, "user", row->user, row->user_max_calls, "USER_BUSY");
}

static bool
is_recorded(const struct plan *p)
{
	const struct dialplan_row *row = &p->row;

	switch (p->direction) {
	case PLAN_INBOUND:
		return is_true(row->record_inbound);
	case PLAN_OUTBOUND:
		return is_true(row->record_outbound);
	case PLAN_INTERNAL:
		return is_true(row->record_internal);
	}
	return false;
}

/*
 * Both legs on a channel each.  The variable tells the path to the CDR: of
 * record_session, FreeSWITCH tells it in app_log only.
 */
static void
record(struct plan *p)
{
	struct buf path = BUF_INIT;

	fsvalue_recording(&path, p->s, p->domain);
	action(p, "set", "RECORD_STEREO=true");
	action(p, "set", "RECORD_ANSWER_REQ=true");
	action(p, "set", "recording_follow_transfer=true");
	action(p, "export", "voip_recording=%s", path.data);
	action(p, "record_session", "%s", "${voip_recording}");
	if (buf_failed(&path))
		p->x.out->failed = true;
	buf_release(&path);
}

/* Who calls, as those inside see it; FreeSWITCH knows only who logged in. */
static void
introduce(struct plan *p)
{
	const struct dialplan_row *row = &p->row;

	action(p, "export", "call_direction=%s", direction_words[p->direction]);
	if (p->proxy) {
		action(p, "set", "domain_name=%s", p->domain);
		/* what the proxy told us is not for the next peer */
		action(p, "set", "sip_copy_custom_headers=false");
		set_text(p, "accountcode", row->accountcode);
	}
	if (row->caller && p->direction == PLAN_INTERNAL) {
		set_text(p, "effective_caller_id_name", row->caller_name);
		set_number(p, "effective_caller_id_number", row->caller_number);
	}
}

/* --- where it goes ---------------------------------------------------- */

static void
to_box(struct plan *p)
{
	answer_call(p);
	action(p, "voicemail", "default %s %s", p->domain, p->row.box);
}

static bool
to_user(struct plan *p)
{
	bool box = fsvalue_is_number(p->row.box);

	if (!fsvalue_is_number(p->row.user))
		return false;
	action(p, "set", "hangup_after_bridge=true");
	action(p, "set", "continue_on_fail=%s", box ? "true" : "false");
	action(p, "set", "call_timeout=%ld", p->s->ring_seconds);
	action(p, "bridge", "user/%s@%s", p->row.user, p->domain);
	if (box)
		to_box(p);
	return true;
}

static bool
to_queue(struct plan *p)
{
	if (!p->row.queue)
		return false;
	action(p, "set", "cc_export_vars=call_direction,domain_name");
	action(p, "answer", "%s", "");
	run_named(p, "callcenter", p->row.queue, '@');
	return true;
}

static bool
to_menu(struct plan *p)
{
	if (!p->row.ivr)
		return false;
	answer_call(p);
	run_named(p, "ivr", p->row.ivr, '@');
	return true;
}

static bool
to_conference(struct plan *p)
{
	if (!p->row.conference)
		return false;
	action(p, "answer", "%s", "");
	run_named(p, "conference", p->row.conference, '_');
	return true;
}

/* The caller has shown a password to the proxy: without a PIN it is enough. */
static bool
to_own_box(struct plan *p)
{
	const char *box = p->row.caller_box;

	if (!fsvalue_is_number(box))
		return false;
	if (!is_true(p->row.caller_box_has_pin))
		action(p, "set", "voicemail_authorized=true");
	plan_own_box(p, box);
	return true;
}

void
plan_own_box(struct plan *p, const char *caller)
{
	answer_call(p);
	action(p, "voicemail", "check default %s %s", p->domain, caller);
}

static bool
to_voicemail(struct plan *p)
{
	if (!fsvalue_is_number(p->row.box))
		return to_own_box(p);
	to_box(p);
	return true;
}

/* --- trunks ----------------------------------------------------------- */

/* The number as the carrier wants it; false when nothing is left of it. */
static bool
carriers_number(struct buf *out, const struct plan *p,
		const struct dialplan_row *row)
{
	const char *number = p->number, *prefix = row->prefix;
	size_t strip = row->strip ? strtoul(row->strip, NULL, 10) : 0;

	if (is_emergency(p)) { /* every carrier knows these numbers */
		prefix = NULL;
		strip = 0;
	}
	if (prefix && *prefix && !fsvalue_is_number(prefix))
		return false;
	if (!number) { /* a file's pattern has looked at it */
		buf_puts(out, prefix ? prefix : "");
		if (strip)
			buf_printf(out, "${destination_number:%zu}", strip);
		else
			buf_puts(out, "${destination_number}");
		return strip < 65;
	}
	if (strip >= strlen(number))
		return false;
	number += strip;
	if (number[strspn(number, "0123456789*#+")])
		return false;
	buf_printf(out, "%s%s", prefix ? prefix : "", number);
	return true;
}

/* Other trunks are tried for what is the trunk's fault, not the callee's. */
#define TRUNK_FAULTS                                             \
	"GATEWAY_DOWN,INVALID_GATEWAY,DESTINATION_OUT_OF_ORDER," \
	"NETWORK_OUT_OF_ORDER,NORMAL_TEMPORARY_FAILURE,"         \
	"SWITCH_CONGESTION,NORMAL_CIRCUIT_CONGESTION,"           \
	"REQUESTED_CHAN_UNAVAIL,RECOVERY_ON_TIMER_EXPIRE,"       \
	"NO_ROUTE_TRANSIT_NET,SERVICE_UNAVAILABLE"

/* As the callee sees it; the directory has told FreeSWITCH of its users. */
static void
callers_number(struct plan *p, const struct dialplan_row *row)
{
	if (p->is_file && !p->proxy) {
		action(p, "set", "effective_caller_id_name=%s",
		       "${outbound_caller_id_name}");
		action(p, "set", "effective_caller_id_number=%s",
		       "${outbound_caller_id_number}");
		return;
	}
	set_text(p, "effective_caller_id_name",
		 row->out_name ? row->out_name : row->trunk_name);
	set_number(p, "effective_caller_id_number",
		   row->out_number ? row->out_number : row->trunk_number);
}

static bool
to_trunk(struct plan *p, const struct dialplan_row *row)
{
	struct buf number = BUF_INIT;
	bool good = carriers_number(&number, p, row) &&
		    fsvalue_is_number(row->trunk);

	if (good) {
		callers_number(p, row);
		if (row->trunk_max_calls && !is_emergency(p))
			action(p, "limit_execute",
			       "hash voip trunk_%s %s bridge "
			       "sofia/gateway/%s/%s",
			       row->trunk, row->trunk_max_calls, row->trunk,
			       number.data);
		else
			action(p, "bridge", "sofia/gateway/%s/%s", row->trunk,
			       number.data);
	}
	if (buf_failed(&number))
		p->x.out->failed = true;
	buf_release(&number);
	return good;
}

static bool
was_tried(const struct plan *p, int row, const char *trunk)
{
	struct dialplan_row earlier;

	while (row-- > p->first) {
		dialplanask_row(&earlier, p->r, row);
		if (earlier.trunk && strcmp(earlier.trunk, trunk) == 0)
			return true;
	}
	return false;
}

static bool
to_trunks(struct plan *p)
{
	struct dialplan_row row;
	bool any = false;

	action(p, "set", "hangup_after_bridge=true");
	action(p, "set", "continue_on_fail=%s", TRUNK_FAULTS);
	for (int i = p->first; i < p->first + p->rows; i++) {
		dialplanask_row(&row, p->r, i);
		if (row.trunk && !was_tried(p, i, row.trunk) &&
		    to_trunk(p, &row))
			any = true;
	}
	action(p, "hangup", "NORMAL_CIRCUIT_CONGESTION");
	return any;
}

/* --- all of it ---------------------------------------------------------- */

static const struct plan_target {
	const char *type;
	bool (*write)(struct plan *p);
	bool session; /* a recording policy is kept by record_session */
} targets[] = {
	{ "user", to_user, true },
	{ "queue", to_queue, true },
	{ "ivr", to_menu, true },
	{ "conference", to_conference, true },
	{ "voicemail", to_voicemail, false },
	{ "trunk_out", to_trunks, true },
	{ "own_box", to_own_box, false },
};

const struct plan_target *
plan_target(const struct plan *p)
{
	const char *type = p->row.type;

	if (!type && p->number && *p->s->voicemail_number &&
	    strcmp(p->number, p->s->voicemail_number) == 0)
		type = "own_box";
	for (size_t i = 0; type && i < sizeof(targets) / sizeof(targets[0]);
	     i++)
		if (strcmp(targets[i].type, type) == 0)
			return &targets[i];
	return NULL;
}

void
plan_expression(struct plan *p, const char *literal)
{
	buf_clear(&p->text);
	buf_putc(&p->text, '^');
	for (const char *c = literal; *c; c++)
		buf_printf(&p->text, strchr("+*.", *c) ? "[%c]" : "%c", *c);
	buf_putc(&p->text, '$');
	fsxml_expanded(&p->x, "expression", p->text.data);
}

bool
plan_write(struct plan *p, const struct plan_target *t)
{
	const struct dialplan_row *row = &p->row;

	introduce(p);
	if (!is_emergency(p))
		limits(p);
	if (t->session && is_recorded(p) &&
	    !(row->queue && is_true(row->queue_records)))
		record(p);
	return t->write(p);
}

const char *
plan_type(const struct plan_target *t)
{
	return t->type;
}
