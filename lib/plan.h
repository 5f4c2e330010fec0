/*
 * plan: the actions of one call, in the order in which FreeSWITCH runs them.
 *
 * Layer domain.  What every call gets (direction, limits, recording), then
 * where it goes.  The same for a call that FreeSWITCH asks about and for a
 * number of a static file: there the caller is not known, and a pattern's
 * number is FreeSWITCH's variable.
 *
 * Calling sequence: fill the plan, open a condition in `x`, plan_write(), close
 * it; release `text`.
 */
#ifndef PLAN_H
#define PLAN_H

#include "dialplanask.h"
#include "fsxml.h"

enum plan_direction { PLAN_INBOUND, PLAN_OUTBOUND, PLAN_INTERNAL };

/* One call while its document is written. */
struct plan {
	struct fsxml x;
	struct buf text;
	const struct fs_settings *s;
	const struct db_result *r;
	int first, rows;         /* of this number */
	struct dialplan_row row; /* the first; others differ in their trunk */
	const char *domain;      /* in lower case */
	const char *number; /* as it was dialled; NULL: a pattern of a file */
	enum plan_direction direction;
	bool proxy;
	bool is_file; /* the caller is FreeSWITCH's ${user_name} */
};

struct plan_target;

/* What answers, by its type; NULL: nothing. */
const struct plan_target *plan_target(const struct plan *p);
const char *plan_type(const struct plan_target *t);

/* expression="^LITERAL$", for a number or a domain. */
void plan_expression(struct plan *p, const char *literal);

/* The actions; false when there is nothing that they could lead to. */
bool plan_write(struct plan *p, const struct plan_target *t);

/* The box of a caller, by a number or a variable that holds one. */
void plan_own_box(struct plan *p, const char *caller);

#endif
