#include "dialplan.h"

#include <string.h>

#include "fsvalue.h"
#include "plan.h"

static void
open_context(struct plan *p, const struct lookup *l, const char *type)
{
	fsxml_open(&p->x, "context");
	fsxml_plain(&p->x, "name", l->call.context);
	fsxml_open(&p->x, "extension");
	fsxml_attr(&p->x, "name", type);
	fsxml_open(&p->x, "condition");
	fsxml_attr(&p->x, "field", "destination_number");
	plan_expression(p, p->number);
}

static int
number_answer(struct buf *out, const struct lookup *l,
	      const struct db_result *r, const struct fs_settings *s,
	      struct verr *e)
{
	struct plan p = { .text = BUF_INIT,
			  .s = s,
			  .r = r,
			  .rows = db_rows(r),
			  .domain = l->domain,
			  .number = l->call.number };
	size_t before = out->len;
	const struct plan_target *t;
	char domain[256];
	int found;

	(void)e;
	dialplanask_row(&p.row, r, 0);
	t = plan_target(&p);
	if (!t || !fsvalue_is_number(p.number))
		return 0;
	for (size_t i = 0; i < sizeof(domain); i++) {
		char c = l->domain[i];

		domain[i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
		if (!c)
			break;
	}
	p.domain = domain;
	p.proxy = strcmp(l->call.context, DIALPLAN_PROXY_CONTEXT) == 0;
	p.direction = strcmp(plan_type(t), "trunk_out") == 0 ? PLAN_OUTBOUND
		      : p.row.caller                         ? PLAN_INTERNAL
							     : PLAN_INBOUND;
	fsxml_begin(&p.x, out, "dialplan");
	open_context(&p, l, plan_type(t));
	found = plan_write(&p, t);
	fsxml_end(&p.x);
	if (buf_failed(&p.text))
		out->failed = true;
	if (!found && !buf_failed(out))
		out->data[out->len = before] = '\0';
	buf_release(&p.text);
	return found;
}

const struct answer dialplan_number = { .sql = dialplanask_sql,
					.ask = dialplanask,
					.build = number_answer };

/* --- a static file ---------------------------------------------------- */

/*
 * A file knows neither the tenant nor the caller: FreeSWITCH compares them,
 * with the variables in which the context has them.
 */
struct facts {
	const char *tenant;
	const char *caller;
};

static const struct facts proxys = { "${sip_h_X-VOIP-DOMAIN}",
				     "${sip_h_X-VOIP-CALLER}" };
static const struct facts users = { "${domain_name}", "${user_name}" };

static void
condition(struct plan *p, const char *field, const char *expression)
{
	fsxml_open(&p->x, "condition");
	fsxml_expanded(&p->x, "field", field);
	fsxml_expanded(&p->x, "expression", expression);
	fsxml_close(&p->x);
}

static void
open_number(struct plan *p, const struct facts *facts, const char *type,
	    const char *callers)
{
	fsxml_open(&p->x, "extension");
	fsxml_attr(&p->x, "name", type);
	fsxml_open(&p->x, "condition");
	fsxml_expanded(&p->x, "field", facts->tenant);
	plan_expression(p, p->domain);
	fsxml_close(&p->x);
	condition(p, facts->caller, callers);
	fsxml_open(&p->x, "condition");
	fsxml_attr(&p->x, "field", "destination_number");
}

/* One number; nothing is left of it when it leads nowhere. */
static void
write_extension(struct plan *p, const struct facts *facts, bool inside)
{
	const struct plan_target *t = plan_target(p);
	struct buf *out = p->x.out;
	struct fsxml before = p->x;
	size_t len = out->len;

	if (!t)
		return;
	p->direction = strcmp(plan_type(t), "trunk_out") == 0 ? PLAN_OUTBOUND
		       : inside                               ? PLAN_INTERNAL
							      : PLAN_INBOUND;
	if (p->direction == PLAN_OUTBOUND && !inside)
		return;
	open_number(p, facts, plan_type(t), inside ? "^.+$" : "^$");
	if (p->number)
		plan_expression(p, p->number);
	else
		fsxml_expanded(&p->x, "expression", p->row.expression);
	if (plan_write(p, t)) {
		fsxml_close_to(&p->x, before.depth);
	} else {
		p->x = before;
		if (!buf_failed(out))
			out->data[out->len = len] = '\0';
	}
}

/* The caller's name becomes an argument, so it has to be one. */
static void
write_own_box(struct plan *p, const struct facts *facts)
{
	if (!*p->s->voicemail_number)
		return;
	open_number(p, facts, "own_box",
		    "^[A-Za-z0-9_.+*#][A-Za-z0-9_.+*#-]*$");
	plan_expression(p, p->s->voicemail_number);
	plan_own_box(p, facts->caller);
	fsxml_close_to(&p->x, 0);
}

static int
whole_answer(struct buf *out, const struct lookup *l, const struct db_result *r,
	     const struct fs_settings *s, struct verr *e)
{
	bool proxy = strcmp(l->call.context, DIALPLAN_PROXY_CONTEXT) == 0;
	struct plan p = { .text = BUF_INIT,
			  .s = s,
			  .r = r,
			  .domain = l->domain,
			  .proxy = proxy,
			  .is_file = true };
	const struct facts *facts = proxy ? &proxys : &users;
	struct dialplan_row next;

	(void)e;
	fsxml_begin_part(&p.x, out);
	for (; p.first < db_rows(r); p.first += p.rows) {
		dialplanask_row(&p.row, r, p.first);
		for (p.rows = 1; p.first + p.rows < db_rows(r); p.rows++) {
			dialplanask_row(&next, r, p.first + p.rows);
			if (strcmp(next.number, p.row.number) != 0 ||
			    strcmp(next.matched, p.row.matched) != 0)
				break;
		}
		p.number = p.row.expression ? NULL : p.row.number;
		write_extension(&p, facts, true);
		if (proxy)
			write_extension(&p, facts, false);
	}
	write_own_box(&p, facts);
	if (buf_failed(&p.text))
		out->failed = true;
	buf_release(&p.text);
	return 1;
}

static bool
ask_whole(struct question *q, struct lookup *l, const struct fs_settings *s)
{
	(void)l;
	(void)s;
	q->nparams = 1;
	q->params[0] = DB_TEXT(q->domain);
	return true;
}

const struct answer dialplan_whole = { .sql = dialplanask_sql_whole,
				       .ask = ask_whole,
				       .build = whole_answer };
